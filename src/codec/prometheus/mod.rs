//! STUB
use crate::model::{Exemplar, Family, Label, Part};
pub const LINE_BYTES_MAX: usize = 65536;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}
pub enum Event<'a> {
    Sample(RawSample<'a>),
    FamilyEnd(&'a Family<'a>),
}
pub struct RawSample<'a> {
    pub family: &'a Family<'a>,
    pub part: Part,
    pub name: &'a str,
    pub labels: &'a [Label<'a>],
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
}
#[derive(Debug)]
pub struct ParseError {
    pub line: u64,
}
impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}", self.line)
    }
}
pub struct Parser {}
impl Parser {
    pub fn new(_: Format) -> Parser {
        Parser {}
    }
    pub fn reset(&mut self, _: Format) {}
    pub fn parse<E: From<ParseError>>(
        &mut self,
        window: &[u8],
        _last: bool,
        _visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        Ok(window.len())
    }
    pub fn finish<E: From<ParseError>>(
        &mut self,
        _visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        Ok(())
    }
}

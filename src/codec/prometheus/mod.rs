//! Prometheus text formats: a page in, samples and families out, borrowed and one window at a time.
//!
//! Exposition formats, "Text-based format" 0.0.4 and 1.0.0 (quoted UTF-8 names), and OpenMetrics
//! 1.0 text, both as Prometheus' own parser reads them. Left out: protobuf, native histograms, and
//! whatever concerns more than one line, such as series that occur twice.
//!
//! Invariants: the same page gives the same events and the same error however it is cut into
//! windows; nothing is allocated in the steady state; the first error ends the page.
//!
//! Stricter than Prometheus in one place: a page must be UTF-8 altogether, comments included.

mod bound;
mod family;
mod labels;
mod number;
mod openmetrics;
mod rewrite;
mod scan;
mod series;
mod text;

#[cfg(test)]
mod tests_openmetrics;
#[cfg(test)]
mod tests_split;
#[cfg(test)]
mod tests_text;

use std::{fmt, mem};

use crate::model::{recycle, Changes, Exemplar, Family, Label, MetricType, Part};
use crate::observe::log::shorten;
use family::Current;
use labels::Labels;
use rewrite::{push_unescaped, Rewriter};
use scan::Cursor;
use series::Series;

/// Longest line, without its line feed; a longer one is an error. A window must have room for one
/// byte more than this, or a line may never be complete.
pub const LINE_BYTES_MAX: usize = 64 * 1024;

const TOO_LONG: &str = "line too long";

/// How much of a bad line an error shows, in characters; four bytes each are enough to cut from.
const EXCERPT_CHARS_MAX: usize = 80;

/// Which of the two text formats a page is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Text,
    OpenMetrics,
}

/// What the parser found. Everything is borrowed from the window or from the parser.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    Sample(RawSample<'a>),
    /// The family's last sample has been seen: the next family starts, or the page has ended. Once
    /// for each family that had metadata or a sample; a family may come again later in a page.
    FamilyEnd(&'a Family<'a>),
}

/// One sample line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawSample<'a> {
    /// What is known of its family at this line.
    pub family: &'a Family<'a>,
    pub part: Part,
    /// The name as exposed, suffix included.
    pub name: &'a str,
    /// In the order of the text, without the name; names unique, unescaped; `le` and `quantile`
    /// normalised. Empty values are kept: the honour rule needs them.
    pub labels: &'a [Label<'a>],
    /// How it differs from the page's last sample: place 0 is the name, 1 the first label. All
    /// where that is not known at no cost.
    pub changes: Changes,
    /// A NaN is always the ordinary one, [`crate::model::NORMAL_NAN_BITS`].
    pub value: f64,
    pub timestamp_ms: Option<i64>,
    pub exemplar: Option<Exemplar<'a>>,
}

/// Why a page was given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: u64,
    pub reason: &'static str,
    /// The start of the line, escaped.
    pub excerpt: String,
}

impl fmt::Display for ParseError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}: {}: \"{}\"", self.line, self.reason, self.excerpt)
    }
}

impl std::error::Error for ParseError {}

/// Why reading stopped before the end of a line.
#[derive(Debug)]
enum Stop {
    /// The line goes on beyond the window.
    More,
    Bad {
        at: usize,
        reason: &'static str,
    },
}

/// Why a page is given up, or waits.
enum Halt<E> {
    Stop(Stop),
    Visitor(E),
}

impl<E> From<Stop> for Halt<E> {
    fn from(stop: Stop) -> Halt<E> {
        Halt::Stop(stop)
    }
}

/// One line, still escaped.
enum Line<'w> {
    Nothing,
    Meta(Series<'w>, Meta<'w>),
    Sample(SampleLine<'w>),
    /// `# EOF`
    End,
}

enum Meta<'w> {
    Help(&'w str),
    Type(MetricType),
    Unit(&'w str),
}

struct SampleLine<'w> {
    series: Series<'w>,
    number: Number,
    /// The exemplar's number, and whether its labels hold escapes.
    exemplar: Option<(Number, bool)>,
}

struct Number {
    value: f64,
    timestamp_ms: Option<i64>,
}

/// The labels of a line; the buffers are lent to each window under that window's lifetime.
#[derive(Default)]
struct LineLabels<'w> {
    sample: Labels<'w>,
    exemplar: Labels<'w>,
}

impl LineLabels<'_> {
    fn recycle<'b>(self) -> LineLabels<'b> {
        LineLabels { sample: self.sample.recycle(), exemplar: self.exemplar.recycle() }
    }
}

/// Buffers for labels whose texts are rewritten; such texts live shorter than the window.
#[derive(Default)]
struct Rewritten {
    labels: Vec<Label<'static>>,
    texts: Rewriter,
}

impl Rewritten {
    /// A copy of the labels with their true texts; see [`Rewriter::rewrite`].
    #[inline(never)]
    fn copy<'a>(
        &'a mut self,
        name: &mut &'a str,
        labels: &[Label<'a>],
        bound: Option<usize>,
    ) -> Vec<Label<'a>> {
        let mut copy = recycle(mem::take(&mut self.labels));
        copy.extend_from_slice(labels);
        self.texts.rewrite(name, &mut copy, bound);
        copy
    }
}

/// Reads pages, one after the other; see [`Parser::parse`].
pub struct Parser {
    format: Format,
    /// Line feeds consumed so far.
    lines: u64,
    /// `# EOF` has been read.
    ended: bool,
    current: Current,
    /// The label to normalise, as the last TYPE line has it, whichever family that was for.
    bound: Option<&'static str>,
    /// Where the last sample had it, and which part of its family that was.
    bound_at: Option<usize>,
    part: Part,
    /// What may differ from the last sample, whatever the lines say.
    changes: Changes,
    labels: LineLabels<'static>,
    rewritten: Rewritten,
    rewritten_exemplar: Rewritten,
}

impl Parser {
    pub fn new(format: Format) -> Parser {
        Parser {
            format,
            lines: 0,
            ended: false,
            current: Current::default(),
            bound: None,
            bound_at: None,
            part: Part::Value,
            changes: Changes::ALL,
            labels: LineLabels::default(),
            rewritten: Rewritten::default(),
            rewritten_exemplar: Rewritten::default(),
        }
    }

    /// Makes it ready for another page; buffers are kept.
    pub fn reset(&mut self, format: Format) {
        self.format = format;
        self.lines = 0;
        self.ended = false;
        self.current.open = false;
        self.bound = None;
        self.changes = Changes::ALL;
    }

    /// How many lines have been consumed.
    pub fn line(&self) -> u64 {
        self.lines
    }

    /// Parses the complete lines at the start of `window`; returns how many bytes they were. The
    /// caller keeps the rest and calls again with more behind it. `last`: nothing will follow.
    ///
    /// What `visit` returns as an error ends the page and comes back as it is.
    pub fn parse<E: From<ParseError>>(
        &mut self,
        window: &[u8],
        last: bool,
        visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<usize, E> {
        let complete = if last { window.len() } else { lines_end(window) };
        let (text, broken_at) = match std::str::from_utf8(&window[..complete]) {
            Ok(text) => (text, None),
            // The lines before the broken one still count.
            Err(error) => {
                let whole = lines_end(&window[..error.valid_up_to()]);
                let text = std::str::from_utf8(&window[..whole]).unwrap_or_default();
                (text, Some(error.valid_up_to()))
            }
        };
        let mut cursor = Cursor::new(text, last && broken_at.is_none());
        let mut labels = mem::take(&mut self.labels).recycle();
        let mut start = 0;
        while !cursor.at_end() {
            match self.parse_line(&mut cursor, &mut labels, visit) {
                Ok(()) => start = cursor.at,
                Err(Halt::Stop(Stop::More)) => break,
                Err(Halt::Stop(Stop::Bad { at, reason })) => {
                    return Err(self.error(window, start, at, reason).into());
                }
                Err(Halt::Visitor(error)) => return Err(error),
            }
        }
        self.labels = labels.recycle();
        let consumed = start.min(window.len());
        if let Some(at) = broken_at {
            return Err(self.error(window, consumed, at, "invalid UTF-8").into());
        }
        if window.len() - consumed > LINE_BYTES_MAX {
            return Err(self.error(window, consumed, window.len(), TOO_LONG).into());
        }
        self.lines += count_lines(&window[..consumed]);
        Ok(consumed)
    }

    /// Call after the last window: ends the last family.
    pub fn finish<E: From<ParseError>>(
        &mut self,
        visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.current.end(visit)?;
        if self.format == Format::OpenMetrics && !self.ended {
            return Err(self.error(&[], 0, 0, "the page ends without # EOF").into());
        }
        Ok(())
    }

    fn parse_line<'w, E>(
        &mut self,
        cursor: &mut Cursor<'w>,
        labels: &mut LineLabels<'w>,
        visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), Halt<E>> {
        if self.ended {
            return Err(cursor.bad("text after # EOF").into());
        }
        let start = cursor.at;
        let line = match self.format {
            Format::Text => text::read_line(cursor, &mut labels.sample),
            Format::OpenMetrics => openmetrics::read_line(cursor, labels),
        };
        // Past the line feed by now, so one byte more than the line has.
        if line.is_ok() && cursor.at - start > LINE_BYTES_MAX + 1 {
            return Err(Stop::Bad { at: cursor.at - 1, reason: TOO_LONG }.into());
        }
        match line? {
            Line::Sample(line) => self.take_sample(line, labels, cursor.at - 1, visit)?,
            Line::Meta(name, meta) => self.take_meta(name, meta, visit).map_err(Halt::Visitor)?,
            Line::End => self.ended = true,
            Line::Nothing => {}
        }
        Ok(())
    }

    /// Finishes a sample's texts and hands it over; `line_end` is for errors.
    #[inline]
    fn take_sample<E>(
        &mut self,
        line: SampleLine<'_>,
        labels: &LineLabels<'_>,
        line_end: usize,
        visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), Halt<E>> {
        let Series { mut name, escaped, changes } = line.series;
        let changes = changes | mem::take(&mut self.changes);
        let (mut list, mut exemplar_list) = (labels.sample.list(), labels.exemplar.list());
        let (mut copy, mut exemplar_copy) = (None, None);
        if changes.is_all() {
            let place = |bound| list.iter().position(|label| label.name == bound);
            self.bound_at = self.bound.and_then(place);
        }
        let bound = self.bound_at.filter(|&at| !bound::is_normal(list[at].value));
        if escaped || bound.is_some() {
            list = copy.insert(self.rewritten.copy(&mut name, list, bound));
        }
        if let Some((_, true)) = line.exemplar {
            let rewritten = self.rewritten_exemplar.copy(&mut "", exemplar_list, None);
            exemplar_list = exemplar_copy.insert(rewritten);
        }
        if escaped && series::has_duplicates(list) {
            return Err(Stop::Bad { at: line_end, reason: series::NOT_UNIQUE }.into());
        }
        if changes.has(0) {
            self.part = match self.current.part(name, list) {
                Some(part) => part,
                None => {
                    self.current.end(visit).map_err(Halt::Visitor)?;
                    self.current.start(name);
                    Part::Value
                }
            };
        }
        let part = self.part;
        let exemplar = line.exemplar.map(|(Number { value, timestamp_ms }, _)| Exemplar {
            labels: exemplar_list,
            value,
            timestamp_ms,
        });
        let (family, Number { value, timestamp_ms }) = (&self.current.family(), line.number);
        let labels = list;
        let raw = RawSample { family, part, name, labels, changes, value, timestamp_ms, exemplar };
        visit(Event::Sample(raw)).map_err(Halt::Visitor)?;
        if let Some(copy) = copy.map(recycle) {
            self.rewritten.labels = copy;
        }
        if let Some(copy) = exemplar_copy.map(recycle) {
            self.rewritten_exemplar.labels = copy;
        }
        Ok(())
    }

    fn take_meta<E>(
        &mut self,
        name: Series<'_>,
        meta: Meta<'_>,
        visit: &mut impl FnMut(Event<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Series { mut name, escaped, .. } = name;
        if escaped {
            self.rewritten.texts.rewrite(&mut name, &mut [], None);
        }
        // The same text may be another part from here on, or be normalised no longer.
        self.changes = Changes::ALL;
        if !self.current.is(name) {
            self.current.end(visit)?;
            self.current.start(name);
        }
        match meta {
            Meta::Help(text) => {
                self.current.help.clear();
                let quotes = self.format == Format::OpenMetrics;
                push_unescaped(&mut self.current.help, text, quotes);
            }
            Meta::Unit(text) => {
                self.current.unit.clear();
                self.current.unit.push_str(text);
            }
            Meta::Type(metric_type) => {
                self.current.metric_type = metric_type;
                self.bound = match metric_type {
                    MetricType::Histogram => Some("le"),
                    MetricType::Summary => Some("quantile"),
                    _ => None,
                };
            }
        }
        Ok(())
    }

    /// The error at `at` in the line that starts at `start`. How a line that is too long is wrong
    /// otherwise depends on the window, so its length is the reason given.
    #[cold]
    fn error(&self, window: &[u8], start: usize, at: usize, reason: &'static str) -> ParseError {
        let to_feed = |from: usize| {
            let tail = &window[from.min(window.len())..];
            &tail[..memchr::memchr(b'\n', tail).unwrap_or(tail.len())]
        };
        let length = at + to_feed(at).len() - start;
        let first = to_feed(start);
        ParseError {
            line: self.lines + count_lines(&window[..start]) + 1,
            reason: if length > LINE_BYTES_MAX { TOO_LONG } else { reason },
            excerpt: shorten(
                &first[..first.len().min(4 * EXCERPT_CHARS_MAX + 4)],
                EXCERPT_CHARS_MAX,
            ),
        }
    }
}

/// Where the last complete line of `bytes` ends.
fn lines_end(bytes: &[u8]) -> usize {
    memchr::memrchr(b'\n', bytes).map_or(0, |at| at + 1)
}

fn count_lines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

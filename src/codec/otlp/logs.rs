//! Log records over a validated logs body: scalars read at once, attributes when asked for
//! (opentelemetry-proto, logs.proto). Times are Unix nanoseconds, 0 where not said; ids are empty
//! or whole.
//!
//! Left out: flags and the count of attributes that the SDK dropped.

use super::attributes::{AnyValue, Attributes};
use super::resource::Children;
use super::schema;
use crate::codec::protobuf::Fields;

/// The log records of a scope.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogRecords<'a>(pub(super) Children<'a>);

impl<'a> Iterator for LogRecords<'a> {
    type Item = LogRecord<'a>;

    fn next(&mut self) -> Option<LogRecord<'a>> {
        self.0.next().map(LogRecord::read)
    }
}

/// One log record.
#[derive(Clone, Copy, Debug)]
pub struct LogRecord<'a> {
    /// When it happened, as its source says.
    pub time_ns: u64,
    /// When the SDK or a collector saw it.
    pub observed_ns: u64,
    /// 1 to 24, the higher the worse; 0 is not said; others nobody has defined.
    pub severity_number: u64,
    /// The level as its source names it.
    pub severity_text: &'a str,
    pub body: AnyValue<'a>,
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub event_name: &'a str,
    message: &'a [u8],
}

impl<'a> LogRecord<'a> {
    fn read(message: &'a [u8]) -> LogRecord<'a> {
        let mut record = LogRecord {
            time_ns: 0,
            observed_ns: 0,
            severity_number: 0,
            severity_text: "",
            body: AnyValue::Empty,
            trace_id: &[],
            span_id: &[],
            event_name: "",
            message,
        };
        for (number, value) in Fields::new(message) {
            match number {
                1 => record.time_ns = value.number(),
                2 => record.severity_number = value.number(),
                3 => record.severity_text = value.text(),
                5 => record.body = AnyValue::read(value.bytes()),
                9 => record.trace_id = value.bytes(),
                10 => record.span_id = value.bytes(),
                11 => record.observed_ns = value.number(),
                12 => record.event_name = value.text(),
                _ => {}
            }
        }
        record
    }

    /// The severity number's short name, `WARN2`; none where it is not said or not defined
    /// (Logs Data Model, "Displaying Severity").
    pub fn severity_name(&self) -> Option<&'static str> {
        let number = usize::try_from(self.severity_number).ok().filter(|number| *number > 0)?;
        schema::SEVERITY.values.get(number).copied()
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 6)
    }

    /// What it takes in the body.
    pub fn encoded_bytes(&self) -> usize {
        self.message.len()
    }
}

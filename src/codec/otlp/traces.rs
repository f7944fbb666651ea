//! Spans over a validated traces body: scalars read at once, lists when asked for
//! (opentelemetry-proto, trace.proto). Times are Unix nanoseconds, 0 where not said; ids are empty
//! or whole.
//!
//! Left out: flags and the counts of what the SDK dropped.

use super::attributes::Attributes;
use super::resource::Children;
use crate::codec::protobuf::{Fields, Nested};

/// The spans of a scope.
#[derive(Clone, Copy, Debug, Default)]
pub struct Spans<'a>(pub(super) Children<'a>);

impl<'a> Iterator for Spans<'a> {
    type Item = Span<'a>;

    fn next(&mut self) -> Option<Span<'a>> {
        self.0.next().map(Span::read)
    }
}

/// Which side of which exchange a span is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SpanKind {
    /// Not said, or a value nobody has defined.
    #[default]
    Unspecified,
    Internal,
    Server,
    Client,
    Producer,
    Consumer,
}

impl SpanKind {
    fn from_number(number: u64) -> SpanKind {
        match number {
            1 => SpanKind::Internal,
            2 => SpanKind::Server,
            3 => SpanKind::Client,
            4 => SpanKind::Producer,
            5 => SpanKind::Consumer,
            _ => SpanKind::Unspecified,
        }
    }

    /// Its name as the specification has it, in small letters.
    pub fn name(self) -> &'static str {
        match self {
            SpanKind::Unspecified => "unspecified",
            SpanKind::Internal => "internal",
            SpanKind::Server => "server",
            SpanKind::Client => "client",
            SpanKind::Producer => "producer",
            SpanKind::Consumer => "consumer",
        }
    }
}

/// How a span ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StatusCode {
    /// Not said, or a value nobody has defined.
    #[default]
    Unset,
    Ok,
    Error,
}

/// One span.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub parent_span_id: &'a [u8],
    pub trace_state: &'a str,
    pub name: &'a str,
    pub kind: SpanKind,
    pub start_ns: u64,
    pub end_ns: u64,
    pub status: StatusCode,
    pub status_message: &'a str,
    /// How many [`Span::events`] gives.
    pub event_count: u64,
    /// How many [`Span::links`] gives.
    pub link_count: u64,
    message: &'a [u8],
}

impl<'a> Span<'a> {
    fn read(message: &'a [u8]) -> Span<'a> {
        let mut span = Span {
            trace_id: &[],
            span_id: &[],
            parent_span_id: &[],
            trace_state: "",
            name: "",
            kind: SpanKind::Unspecified,
            start_ns: 0,
            end_ns: 0,
            status: StatusCode::Unset,
            status_message: "",
            event_count: 0,
            link_count: 0,
            message,
        };
        for (number, value) in Fields::new(message) {
            match number {
                1 => span.trace_id = value.bytes(),
                2 => span.span_id = value.bytes(),
                3 => span.trace_state = value.text(),
                4 => span.parent_span_id = value.bytes(),
                5 => span.name = value.text(),
                6 => span.kind = SpanKind::from_number(value.number()),
                7 => span.start_ns = value.number(),
                8 => span.end_ns = value.number(),
                11 => span.event_count += 1,
                13 => span.link_count += 1,
                _ => {}
            }
        }
        span.read_status();
        span
    }

    /// A status that comes in pieces is merged, as any submessage.
    fn read_status(&mut self) {
        for (number, value) in Nested::new(self.message, 15) {
            match number {
                2 => self.status_message = value.text(),
                3 => {
                    self.status = match value.number() {
                        1 => StatusCode::Ok,
                        2 => StatusCode::Error,
                        _ => StatusCode::Unset,
                    }
                }
                _ => {}
            }
        }
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 9)
    }

    pub fn events(&self) -> impl Iterator<Item = SpanEvent<'a>> + Clone + 'a {
        Children::new(self.message, 11).map(SpanEvent::read)
    }

    pub fn links(&self) -> impl Iterator<Item = Link<'a>> + Clone + 'a {
        Children::new(self.message, 13).map(Link::read)
    }

    /// What it takes in the body.
    pub fn encoded_bytes(&self) -> usize {
        self.message.len()
    }
}

/// Something that happened during a span.
#[derive(Clone, Copy, Debug)]
pub struct SpanEvent<'a> {
    pub time_ns: u64,
    pub name: &'a str,
    message: &'a [u8],
}

impl<'a> SpanEvent<'a> {
    fn read(message: &'a [u8]) -> SpanEvent<'a> {
        let mut event = SpanEvent { time_ns: 0, name: "", message };
        for (number, value) in Fields::new(message) {
            match number {
                1 => event.time_ns = value.number(),
                2 => event.name = value.text(),
                _ => {}
            }
        }
        event
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 3)
    }
}

/// Another span that this one has to do with.
#[derive(Clone, Copy, Debug)]
pub struct Link<'a> {
    pub trace_id: &'a [u8],
    pub span_id: &'a [u8],
    pub trace_state: &'a str,
    message: &'a [u8],
}

impl<'a> Link<'a> {
    fn read(message: &'a [u8]) -> Link<'a> {
        let mut link = Link { trace_id: &[], span_id: &[], trace_state: "", message };
        for (number, value) in Fields::new(message) {
            match number {
                1 => link.trace_id = value.bytes(),
                2 => link.span_id = value.bytes(),
                3 => link.trace_state = value.text(),
                _ => {}
            }
        }
        link
    }

    pub fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.message, 4)
    }
}

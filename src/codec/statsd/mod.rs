//! StatsD lines: Etsy's grammar, DogStatsD 1.0 to 1.6, and tags in the name as InfluxDB, SignalFx
//! and Librato write them. One line in, borrowed parts out; nothing is copied or allocated.
//!
//! Follows the statsd/statsd README ("Metric Types"), Datadog's "DogStatsD datagram and shell
//! usage", and statsd_exporter's README ("Tagging Extensions"). What one dialect refuses and
//! another gives a meaning is taken with that meaning. Leaves out Etsy's meters (`m`), and the rule
//! that an unknown type is a counter.
//!
//! Invariants: one bad line never affects another; every byte string is an answer, never a panic.

mod event;
mod metric;
mod number;
mod tags;

use memchr::memchr;

pub use event::{Check, Event};
pub use metric::{Kind, Metric, Value};
pub use tags::{Dialect, Name, Tag, Tags};

/// One line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Line<'a> {
    Empty,
    Metric(Metric<'a>),
    Event(Event<'a>),
    Check(Check<'a>),
}

/// Why a line, or one of the samples in it, is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// No colon after the name, or no name before it.
    NoName,
    /// No `|` after the value.
    NoType,
    /// A type that is none of c, g, ms, h, d, s.
    UnknownType,
    /// No number where one belongs, or one that is not finite.
    BadValue,
    /// A counter that goes down.
    NegativeCounter,
    /// Tags in the name and behind `|#`.
    MixedTags,
    /// An event whose lengths do not fit it.
    BadEvent,
    /// A service check without name or known status.
    BadCheck,
}

impl Refusal {
    /// The value of the label `reason`.
    pub fn name(self) -> &'static str {
        match self {
            Refusal::NoName => "no_name",
            Refusal::NoType => "no_type",
            Refusal::UnknownType => "unknown_type",
            Refusal::BadValue => "bad_value",
            Refusal::NegativeCounter => "negative_counter",
            Refusal::MixedTags => "mixed_tags",
            Refusal::BadEvent => "bad_event",
            Refusal::BadCheck => "bad_check",
        }
    }
}

/// The lines of a datagram, without line feed and without one carriage return before it.
pub fn lines(datagram: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = datagram;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let end = memchr(b'\n', rest).unwrap_or(rest.len());
        let line = &rest[..end];
        rest = rest.get(end + 1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

/// Parses one line without its line feed.
#[inline]
pub fn parse(line: &[u8]) -> Result<Line<'_>, Refusal> {
    match line {
        [] => Ok(Line::Empty),
        [b'_', b'e', b'{', ..] => event::event(line).map(Line::Event),
        [b'_', b's', b'c', b'|', ..] => event::check(line).map(Line::Check),
        _ => metric::parse(line).map(Line::Metric),
    }
}

#[cfg(test)]
mod tests;

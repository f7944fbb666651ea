//! Metric lines: `name:value|type|section…`, packed values and several samples on a line.

use memchr::{memchr, memchr2};

use super::{number, Refusal};

/// A smaller sample rate is taken for a mistake: one line would count for more than 10⁹.
const RATE_MIN: f64 = 1e-9;

/// Digits of a Unix time in seconds; more are no time that will come.
const TIME_DIGITS_MAX: usize = 11;

/// What a sample is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    Counter,
    Gauge,
    /// `ms`, in milliseconds.
    Timer,
    /// `h` and `d`, in whatever unit.
    Histogram,
    Set,
}

/// One sample, or several that differ in their value alone.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric<'a> {
    /// As sent: tags of a dialect may be in it, see [`Name`](super::Name).
    pub name: &'a [u8],
    pub kind: Kind,
    /// What stands for the value; see [`Metric::values`].
    pub text: &'a [u8],
    /// How many events each value stands for: the inverse of the sample rate.
    pub weight: f64,
    /// What stands behind `|#`.
    pub tags: &'a [u8],
    /// Unix time from `|T`, for counters and gauges.
    pub time_s: Option<u32>,
    /// The sample rate was no number above 0 and at most 1, and is ignored.
    pub bad_rate: bool,
    /// The time was none, or is not for this type, and is ignored.
    pub bad_time: bool,
    /// Sections nobody knows, ignored.
    pub unknown_sections: u32,
    /// Further samples of this name, in Etsy's form.
    rest: &'a [u8],
}

/// One value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    Number(f64),
    /// A gauge's change, written with a sign.
    Change(f64),
    /// A set's member.
    Text(&'a [u8]),
}

pub(super) fn parse(line: &[u8]) -> Result<Metric<'_>, Refusal> {
    // page.views:1|c|@0.1|#env:prod
    //           ^
    match memchr(b':', line) {
        None | Some(0) => Err(Refusal::NoName),
        Some(colon) => sample(&line[..colon], &line[colon + 1..]),
    }
}

/// One sample of `name`, up to the end or to the colon before the next one.
fn sample<'a>(name: &'a [u8], text: &'a [u8]) -> Result<Metric<'a>, Refusal> {
    // page.views:1|c|@0.1|#env:prod
    //             ^
    let bar = memchr(b'|', text).ok_or(Refusal::NoType)?;
    let (values, rest) = (&text[..bar], &text[bar + 1..]);
    // page.views:1|c|@0.1|#env:prod
    //              ^ c, g, ms, h, d, s
    let (kind, length) = match rest {
        [b'c', ..] => (Kind::Counter, 1),
        [b'g', ..] => (Kind::Gauge, 1),
        [b'm', b's', ..] => (Kind::Timer, 2),
        [b'h' | b'd', ..] => (Kind::Histogram, 1),
        [b's', ..] => (Kind::Set, 1),
        _ => return Err(Refusal::UnknownType),
    };
    let mut metric = Metric {
        name,
        kind,
        text: values,
        weight: 1.0,
        tags: &[],
        time_s: None,
        bad_rate: false,
        bad_time: false,
        unknown_sections: 0,
        rest: &[],
    };
    let rest = &rest[length..];
    match rest.first() {
        None => {}
        Some(b'|') => metric.sections(&rest[1..]),
        // page.views:1|c:200|ms
        //               ^ the next sample
        Some(b':') => metric.rest = &rest[1..],
        Some(_) => return Err(Refusal::UnknownType),
    }
    Ok(metric)
}

impl<'a> Metric<'a> {
    /// The next sample on the line, if there is one.
    pub fn next(&self) -> Option<Result<Metric<'a>, Refusal>> {
        (!self.rest.is_empty()).then(|| sample(self.name, self.rest))
    }

    /// The values, one by one; those that are none as errors.
    pub fn values(&self) -> Values<'a> {
        Values { kind: self.kind, rest: Some(self.text) }
    }

    /// Reads sections in any order; the last of each kind counts.
    fn sections(&mut self, mut text: &'a [u8]) {
        loop {
            // page.views:1|c|@0.1|#env:prod
            //                ^    ^
            let end = memchr(b'|', text);
            let section = &text[..end.unwrap_or(text.len())];
            match section {
                [] | [b'c', b':', ..] | [b'e', b':', ..] => {}
                [b'@', rate @ ..] => {
                    if let Some(colon) = memchr(b':', rate) {
                        self.rate(&rate[..colon]);
                        // Behind the at sign and the colon.
                        self.rest = &text[colon + 2..];
                        return;
                    }
                    self.rate(rate);
                }
                [b'#', tags @ ..] => self.tags = tags,
                [b'T', time @ ..] => self.time(time),
                [b'c', b'a', b'r', b'd', b':', ..] => {}
                _ => self.unknown_sections += 1,
            }
            match end {
                Some(end) => text = &text[end + 1..],
                None => return,
            }
        }
    }

    fn rate(&mut self, text: &[u8]) {
        let rate = number::parse(text).filter(|rate| (RATE_MIN..=1.0).contains(rate));
        self.bad_rate = rate.is_none();
        self.weight = 1.0 / rate.unwrap_or(1.0);
    }

    fn time(&mut self, digits: &[u8]) {
        let fits = digits.len() <= TIME_DIGITS_MAX && digits.iter().all(u8::is_ascii_digit);
        let first = digits.iter().take(TIME_DIGITS_MAX);
        let time = first.fold(0_u64, |time, digit| time * 10 + u64::from(digit & 15));
        let of_type = matches!(self.kind, Kind::Counter | Kind::Gauge);
        self.time_s = u32::try_from(time).ok().filter(|time| *time > 0 && fits && of_type);
        self.bad_time = self.time_s.is_none();
    }
}

/// The values of a [`Metric`].
#[derive(Clone, Debug)]
pub struct Values<'a> {
    kind: Kind,
    /// None when all are read.
    rest: Option<&'a [u8]>,
}

impl<'a> Iterator for Values<'a> {
    type Item = Result<Value<'a>, Refusal>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let text = self.rest?;
        if self.kind == Kind::Set {
            self.rest = None;
            return Some(if text.is_empty() {
                Err(Refusal::BadValue)
            } else {
                Ok(Value::Text(text))
            });
        }
        // page.load:1:2:3|ms
        //            ^
        let end = memchr2(b':', b'|', text);
        self.rest = end.map(|end| &text[end + 1..]);
        Some(self.value(&text[..end.unwrap_or(text.len())]))
    }
}

impl<'a> Values<'a> {
    #[inline]
    fn value(&self, text: &'a [u8]) -> Result<Value<'a>, Refusal> {
        let number = number::parse(text).ok_or(Refusal::BadValue)?;
        match self.kind {
            Kind::Counter if number < 0.0 => Err(Refusal::NegativeCounter),
            Kind::Timer if number < 0.0 => Err(Refusal::BadValue),
            Kind::Gauge if matches!(text, [b'+' | b'-', ..]) => Ok(Value::Change(number)),
            _ => Ok(Value::Number(number)),
        }
    }
}

//! DogStatsD events and service checks.
//!
//! Optional fields that are wrong are left out, as Datadog's agent does; of repeated ones the last
//! counts. The two characters `\n` in a title or text stay as they are.

use memchr::memchr;

use super::Refusal;

/// Digits of a length; a longer one is no length of anything here.
const LENGTH_DIGITS_MAX: usize = 9;

const ALERTS: [&[u8]; 4] = [b"error", b"warning", b"info", b"success"];

/// `_e{4,2}:name|hi|t:warning|#a:b`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Event<'a> {
    pub title: &'a [u8],
    pub text: &'a [u8],
    pub fields: Fields<'a>,
}

/// `_sc|name|0|#a:b|m:text`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check<'a> {
    pub name: &'a [u8],
    /// 0 is OK, 1 a warning, 2 critical, 3 unknown.
    pub status: u8,
    pub fields: Fields<'a>,
}

/// What may follow; empty where absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields<'a> {
    pub time: &'a [u8],
    pub host: &'a [u8],
    pub tags: &'a [u8],
    /// A check's message.
    pub message: &'a [u8],
    /// An event's aggregation key.
    pub key: &'a [u8],
    /// An event's `normal` or `low`.
    pub priority: &'a [u8],
    /// An event's source type.
    pub source: &'a [u8],
    /// An event's `error`, `warning`, `info` or `success`.
    pub alert: &'a [u8],
}

pub(super) fn event(line: &[u8]) -> Result<Event<'_>, Refusal> {
    parse_event(line).ok_or(Refusal::BadEvent)
}

fn parse_event(line: &[u8]) -> Option<Event<'_>> {
    // _e{4,2}:name|hi|t:warning
    //    ^ ^
    let rest = line.strip_prefix(b"_e{")?;
    let (comma, close) = (memchr(b',', rest)?, memchr(b'}', rest)?);
    let (title, text) = (length(rest.get(..comma)?)?, length(rest.get(comma + 1..close)?)?);
    // _e{4,2}:name|hi|t:warning
    //         ^    ^
    let rest = rest[close..].strip_prefix(b"}:")?;
    let (title, rest) = rest.split_at_checked(title)?;
    let (text, rest) = rest.strip_prefix(b"|")?.split_at_checked(text)?;
    if title.is_empty() {
        return None;
    }
    let fields = match rest.split_first() {
        None => Fields::default(),
        Some((b'|', rest)) => Fields::parse(rest),
        Some(_) => return None,
    };
    Some(Event { title, text, fields })
}

fn length(digits: &[u8]) -> Option<usize> {
    let good = (1..=LENGTH_DIGITS_MAX).contains(&digits.len());
    let good = good && digits.iter().all(u8::is_ascii_digit);
    good.then(|| digits.iter().fold(0, |length, digit| length * 10 + usize::from(digit - b'0')))
}

pub(super) fn check(line: &[u8]) -> Result<Check<'_>, Refusal> {
    parse_check(line).ok_or(Refusal::BadCheck)
}

fn parse_check(line: &[u8]) -> Option<Check<'_>> {
    // _sc|name|0|#a:b
    //     ^    ^
    let rest = line.strip_prefix(b"_sc|")?;
    let (name, rest) = rest.split_at(memchr(b'|', rest)?);
    let (status, rest) = match rest {
        [b'|', status @ b'0'..=b'3'] => (status - b'0', &[][..]),
        [b'|', status @ b'0'..=b'3', b'|', rest @ ..] => (status - b'0', rest),
        _ => return None,
    };
    (!name.is_empty()).then(|| Check { name, status, fields: Fields::parse(rest) })
}

impl<'a> Fields<'a> {
    fn parse(text: &'a [u8]) -> Fields<'a> {
        let mut fields = Fields::default();
        let mut rest = text;
        while !rest.is_empty() {
            // The message is the last field and may hold bars.
            if let Some(message) = rest.strip_prefix(b"m:") {
                fields.message = message;
                break;
            }
            let end = memchr(b'|', rest).unwrap_or(rest.len());
            match &rest[..end] {
                [b'#', tags @ ..] => fields.tags = tags,
                [b'd', b':', time @ ..] => fields.time = time,
                [b'h', b':', host @ ..] => fields.host = host,
                [b'k', b':', key @ ..] => fields.key = key,
                [b'p', b':', priority @ ..] if [&b"normal"[..], b"low"].contains(&priority) => {
                    fields.priority = priority;
                }
                [b's', b':', source @ ..] => fields.source = source,
                [b't', b':', alert @ ..] if ALERTS.contains(&alert) => fields.alert = alert,
                _ => {}
            }
            rest = rest.get(end + 1..).unwrap_or_default();
        }
        fields
    }
}

//! Leaves of the documents, read leniently: what cannot be the value asked for is absent.

use std::borrow::Cow;

use super::TEXT_BYTES_MAX;
use crate::codec::json::{Error, Reader};
use crate::codec::rfc3339;

/// A text that says something: neither empty nor longer than [`TEXT_BYTES_MAX`].
pub fn text<'a>(json: &mut Reader<'a>) -> Result<Option<Cow<'a, str>>, Error> {
    let found = json.string()?.filter(|text| text.as_written().len() <= TEXT_BYTES_MAX);
    Ok(found.map(|text| text.decode()).filter(|text| !text.is_empty()))
}

/// A count. A float loses its fraction, what exceeds 64 bits is the largest count, and what is
/// below zero is none.
pub fn count(json: &mut Reader<'_>) -> Result<Option<u64>, Error> {
    Ok(json.number()?.and_then(|digits| match digits.parse() {
        Ok(count) => Some(count),
        // The cast saturates.
        Err(_) => digits.parse().ok().filter(|value: &f64| *value >= 0.0).map(|value| value as u64),
    }))
}

pub fn integer(json: &mut Reader<'_>) -> Result<Option<i64>, Error> {
    Ok(json.number()?.and_then(|digits| digits.parse().ok()))
}

/// A finite number.
pub fn float(json: &mut Reader<'_>) -> Result<Option<f64>, Error> {
    Ok(json
        .number()?
        .and_then(|digits| digits.parse().ok())
        .filter(|value: &f64| value.is_finite()))
}

/// A time, in nanoseconds since the Unix epoch.
pub fn time_ns(json: &mut Reader<'_>) -> Result<Option<i64>, Error> {
    Ok(json.string()?.and_then(|text| rfc3339::parse(text.as_written())))
}

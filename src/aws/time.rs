//! The three notations of time that AWS uses: RFC 3339 (§5.6, expiry of credentials), the basic
//! format of SigV4 (`20260102T030405Z`), and the Date header (RFC 9110 §5.6.7).
//!
//! Left out: the two obsolete forms of the Date header, which AWS does not send; leap seconds
//! count as the second after.

use crate::codec::rfc3339;
use crate::observe::log::Utc;

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// `20260102T030405Z`; the first eight characters are the date.
pub fn amz_date(unix_ms: i64) -> String {
    // 2026-01-02T03:04:05.678Z
    let mut text = Utc(unix_ms).to_string();
    text.truncate(text.find('.').unwrap_or(text.len()));
    text.retain(|character| !matches!(character, '-' | ':'));
    text.push('Z');
    text
}

/// Milliseconds since 1970 of an RFC 3339 time.
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    rfc3339::parse(text).map(|unix_ns| unix_ns.div_euclid(1_000_000))
}

/// Milliseconds since 1970 of a Date header.
pub fn parse_http_date(text: &str) -> Option<i64> {
    // Fri, 02 Jan 2026 03:04:05 GMT
    let (_, rest) = text.trim().split_once(", ")?;
    let mut words = rest.split(' ');
    let day = number(words.next()?)?;
    let month = words.next()?;
    let month = MONTHS.iter().position(|name| *name == month)? as i64 + 1;
    let year = words.next().filter(|year| year.len() == 4)?;
    let seconds = unix_s(number(year)?, month, day, words.next()?)?;
    (words.next() == Some("GMT") && words.next().is_none()).then_some(seconds * 1000)
}

/// Seconds since 1970 of a date and `03:04:05`.
fn unix_s(year: i64, month: i64, day: i64, time: &str) -> Option<i64> {
    let mut parts = time.split(':').map(|part| number(part).filter(|_| part.len() == 2));
    let (hour, minute, second) = (parts.next()??, parts.next()??, parts.next()??);
    let is_time = hour < 24 && minute < 60 && second <= 60 && parts.next().is_none();
    let is_date = (1..=12).contains(&month) && (1..=31).contains(&day);
    (is_date && is_time)
        .then(|| days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second)
}

/// Days since 1970-01-01 (proleptic Gregorian calendar), counted in years that begin in March.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// Digits only, at most four of them.
fn number(text: &str) -> Option<i64> {
    let is_number = (1..=4).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    if is_number {
        text.parse().ok()
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amz_dates() {
        assert_eq!(amz_date(1_767_323_045_678), "20260102T030405Z");
        assert_eq!(amz_date(0), "19700101T000000Z");
    }

    #[test]
    fn rfc3339() {
        for (text, expected_ms) in [
            ("2026-01-02T03:04:05Z", 1_767_323_045_000),
            ("2026-01-02T03:04:05.6Z", 1_767_323_045_600),
            ("2026-01-02T03:04:05.123456789z", 1_767_323_045_123),
            ("2026-01-02T04:04:05+01:00", 1_767_323_045_000),
            ("2026-01-01T21:34:05-05:30", 1_767_323_045_000),
            ("2000-02-29 00:00:00Z", 951_782_400_000),
            ("1969-12-31T23:59:59Z", -1000),
        ] {
            assert_eq!(parse_rfc3339(text), Some(expected_ms), "{text}");
        }
        let whole = "2026-01-02T03:04:05Z";
        for len in 0..whole.len() {
            assert_eq!(parse_rfc3339(&whole[..len]), None, "{len}");
        }
        for text in [
            "2026-01-02T03:04:05",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+1",
            "2026-13-02T03:04:05Z",
            "2026-01-32T03:04:05Z",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:04:05ZZ",
            "2026-01-0\u{fffd}03:04:05Z",
            "2026-01-02X03:04:05Z",
            "+026-01-02T03:04:05Z",
            "2026-01-02T03:04:0éZ",
            "éééééééééééééééééééé",
            "1767323045",
        ] {
            assert_eq!(parse_rfc3339(text), None, "{text}");
        }
    }

    #[test]
    fn date_headers() {
        assert_eq!(parse_http_date("Fri, 02 Jan 2026 03:04:05 GMT"), Some(1_767_323_045_000));
        assert_eq!(parse_http_date(" Tue, 29 Feb 2000 00:00:00 GMT "), Some(951_782_400_000));
        for text in [
            "",
            "Fri, 02 Jan 2026 03:04:05",
            "Fri, 02 Jan 2026 03:04:05 CET",
            "Fri, 02 Foo 2026 03:04:05 GMT",
            "Fri, 02 Jan 26 03:04:05 GMT",
            "Friday, 02-Jan-26 03:04:05 GMT",
            "Fri Jan  2 03:04:05 2026",
            "Fri, 02 Jan 2026 03:04:05 GMT x",
        ] {
            assert_eq!(parse_http_date(text), None, "{text}");
        }
    }
}

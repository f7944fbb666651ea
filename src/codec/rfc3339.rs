//! Internet timestamps (RFC 3339, section 5.6) to nanoseconds since the Unix epoch, and back.
//!
//! Left out: times outside 1677 to 2262, which do not fit; they read as none, and with them Go's
//! zero time `0001-01-01T00:00:00Z`, which means "not set". Digits past the ninth are cut.

use std::fmt::Write;

use crate::observe::log::Utc;

const NS_PER_S: i64 = 1_000_000_000;
const NS_PER_MS: u64 = 1_000_000;

/// Appends a time in UTC with all nine digits, `2025-02-27T05:22:49.186680000Z`.
pub fn push(out: &mut String, unix_ns: u64) {
    // Writing to a String cannot fail. After milliseconds comes a Z, which gives way.
    let _ = write!(out, "{}", Utc((unix_ns / NS_PER_MS) as i64));
    out.pop();
    let _ = write!(out, "{:06}Z", unix_ns % NS_PER_MS);
}

/// `2025-02-27T05:22:49.18668Z`, or with an offset in place of `Z`.
pub fn parse(text: &str) -> Option<i64> {
    let bytes = text.as_bytes();
    if bytes.len() < "2025-02-27T05:22:49Z".len() || !text.is_ascii() {
        return None;
    }
    let separators = [(4, b'-'), (7, b'-'), (13, b':'), (16, b':')];
    if separators.iter().any(|&(at, byte)| bytes[at] != byte) || !b"Tt ".contains(&bytes[10]) {
        return None;
    }
    let (year, month, day) = (number(&text[..4])?, number(&text[5..7])?, number(&text[8..10])?);
    let clock = [number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?];
    // Second 60 is a leap second.
    if !(1..=12).contains(&month)
        || !(1..=month_days(year, month)).contains(&day)
        || clock[0] > 23
        || clock[1] > 59
        || clock[2] > 60
    {
        return None;
    }
    let (fraction_ns, zone) = fraction(&text[19..])?;
    let clock_s = clock[0] * 3600 + clock[1] * 60 + clock[2];
    let seconds = days_since_epoch(year, month, day) * 86_400 + clock_s - offset_s(zone)?;
    seconds.checked_mul(NS_PER_S)?.checked_add(fraction_ns)
}

/// Digits alone.
fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
}

/// An optional `.digits`, in nanoseconds, and what follows it.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else { return Some((0, text)) };
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    let digits = &rest[..end.min(9)];
    let scale = 10_i64.pow(9 - digits.len() as u32);
    Some((number(digits).filter(|_| end > 0)? * scale, &rest[end..]))
}

/// Seconds east of UTC: `Z` or `±hh:mm`.
fn offset_s(zone: &str) -> Option<i64> {
    let sign = match zone.as_bytes() {
        b"Z" | b"z" => return Some(0),
        [b'+', _, _, b':', _, _] => 1,
        [b'-', _, _, b':', _, _] => -1,
        _ => return None,
    };
    let (hours, minutes) = (number(&zone[1..3])?, number(&zone[4..6])?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 in the proleptic Gregorian calendar, counted in years that begin in March
/// so that the leap day comes last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year
        - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ok(text: &str, ns: i64) {
        assert_eq!(parse(text), Some(ns), "{text}");
    }

    fn bad(text: &str) {
        assert_eq!(parse(text), None, "{text}");
    }

    #[test]
    fn good_times() {
        ok("1970-01-01T00:00:00Z", 0);
        ok("1970-01-01t00:00:01.5z", 1_500_000_000);
        ok("2025-02-27T05:22:49.18668Z", 1_740_633_769_186_680_000);
        ok("2025-02-27T05:22:49.186680001999Z", 1_740_633_769_186_680_001);
        ok("2024-02-29T23:59:60Z", 1_709_251_200_000_000_000);
        ok("2000-03-01T00:00:00+01:30", 951_863_400_000_000_000);
        ok("1999-12-31T23:00:00-01:00", 946_684_800_000_000_000);
        ok("1969-12-31T23:59:59.999999999Z", -1);
        ok("1678-01-01T00:00:00Z", -9_214_560_000_000_000_000);
    }

    #[test]
    fn there_and_back() {
        let shown = |ns: u64| {
            let mut out = String::new();
            push(&mut out, ns);
            out
        };
        assert_eq!(shown(0), "1970-01-01T00:00:00.000000000Z");
        assert_eq!(shown(1_740_633_769_186_680_001), "2025-02-27T05:22:49.186680001Z");
        assert_eq!(shown(u64::MAX), "2554-07-21T23:34:33.709551615Z");
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..1000 {
            let ns = random.i64(0..);
            assert_eq!(parse(&shown(ns as u64)), Some(ns));
        }
    }

    #[test]
    fn times_that_are_none() {
        bad("");
        bad("0001-01-01T00:00:00Z");
        bad("9999-12-31T23:59:59Z");
        bad("2025-02-29T00:00:00Z");
        bad("2025-13-01T00:00:00Z");
        bad("2025-00-01T00:00:00Z");
        bad("2025-01-01T24:00:00Z");
        bad("2025-01-01T00:00:00");
        bad("2025-01-01T00:00:00.Z");
        bad("2025-01-01T00:00:00+1:00");
        bad("2025-01-01T00:00:00+24:00");
        bad("2025-01-01T00:00:00ZZ");
        bad("2025-01-01X00:00:00Z");
        bad("+025-01-01T00:00:00Z");
        bad("2025-01-01T00:00:0éZ");
    }

    #[test]
    fn no_prefix_panics() {
        let text = "2025-02-27T05:22:49.18668+01:00";
        for end in 0..text.len() {
            bad(&text[..end]);
        }
    }
}

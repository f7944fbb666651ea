//! Texts to typed values: durations, sizes, booleans, lists, label names, regular expressions.
//!
//! Each function says what it expected, never what it got: the caller knows whether the text may be
//! shown.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use regex_lite::Regex;

use super::nearest::nearest;
use crate::net::Url;

/// Longest duration. Times are added to clocks, which must not overflow.
const DURATION_S_MAX: u64 = 365 * 24 * 3600;

/// The choices of a switch, and how the table marks one.
pub const SWITCH: &str = "true|false";

/// A value, or what was expected in its place.
pub type Parsed<T> = Result<T, String>;

/// `500ms`, `15s`, `5m`, `1h`; zero too.
pub fn duration(text: &str) -> Parsed<Duration> {
    let expected = || "expected a duration such as 500ms, 15s, 5m or 1h".to_owned();
    let unit_at = text.find(|digit: char| !digit.is_ascii_digit()).ok_or_else(expected)?;
    let unit_ms = match &text[unit_at..] {
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    let count = count(&text[..unit_at]).map_err(|_| expected())?;
    match count.checked_mul(unit_ms) {
        Some(ms) if ms <= DURATION_S_MAX * 1000 => Ok(Duration::from_millis(ms)),
        _ => Err(format!("expected at most {}h", DURATION_S_MAX / 3600)),
    }
}

/// A duration that is not zero.
pub fn interval(text: &str) -> Parsed<Duration> {
    let interval = duration(text)?;
    if interval.is_zero() {
        return Err("expected a duration above zero".to_owned());
    }
    Ok(interval)
}

/// `64KiB`, `8MiB`, `1GiB`, or plain bytes; not zero.
pub fn size(text: &str) -> Parsed<u64> {
    let expected = || "expected a size such as 64KiB, 8MiB, 1GiB or plain bytes".to_owned();
    let unit_at = text.find(|digit: char| !digit.is_ascii_digit()).unwrap_or(text.len());
    let shift = match &text[unit_at..] {
        "" => 0,
        "KiB" => 10,
        "MiB" => 20,
        "GiB" => 30,
        _ => return Err(expected()),
    };
    let count = count(&text[..unit_at]).map_err(|_| expected())?;
    match count.checked_mul(1 << shift) {
        Some(0) => Err("expected a size above zero".to_owned()),
        Some(bytes) => Ok(bytes),
        None => Err(expected()),
    }
}

/// A whole number; zero too.
pub fn count(text: &str) -> Parsed<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or_else(|| "expected a whole number".to_owned())
}

/// A whole number from 1.
pub fn count_above_zero(text: &str) -> Parsed<usize> {
    let number = usize::try_from(count(text)?).unwrap_or(0);
    if number == 0 {
        return Err("expected a whole number above zero".to_owned());
    }
    Ok(number)
}

/// `true` or `false`.
pub fn switch(text: &str) -> Parsed<bool> {
    Ok(choice(SWITCH)(text)? == "true")
}

/// One of the names in `choices`, which a `|` separates.
pub fn choice(choices: &'static str) -> impl Fn(&str) -> Parsed<&'static str> {
    move |text| {
        if let Some(name) = choices.split('|').find(|name| *name == text) {
            return Ok(name);
        }
        let hint = nearest(text, choices.split('|'));
        let hint = hint.map_or(String::new(), |name| format!("; nearest is {name}"));
        Err(format!("expected {}{hint}", choices.replace('|', ", ")))
    }
}

/// Any text.
pub fn text(text: &str) -> Parsed<String> {
    Ok(text.to_owned())
}

/// Any text but none at all.
pub fn filled(text: &str) -> Parsed<String> {
    if text.is_empty() {
        return Err("expected a text that is not empty".to_owned());
    }
    Ok(text.to_owned())
}

/// A text that fits on one line: not empty, without control characters.
pub fn word(text: &str) -> Parsed<String> {
    if text.chars().any(char::is_control) {
        return Err("expected a text without line breaks and control characters".to_owned());
    }
    filled(text)
}

/// `a,b,c`; no name may be empty.
pub fn list(text: &str) -> Parsed<Vec<String>> {
    if text.split(',').any(str::is_empty) {
        return Err("expected names separated by commas, without blanks".to_owned());
    }
    Ok(text.split(',').map(str::to_owned).collect())
}

/// An address to connect to.
pub fn url(text: &str) -> Parsed<Url> {
    let authority = text.split("://").last().unwrap_or_default();
    if authority.split(['/', '?', '#']).next().is_some_and(|host| host.contains('@')) {
        return Err("expected a URL without credentials; they have their own keys".to_owned());
    }
    Url::parse(text).map_err(|error| format!("expected a URL: {error}"))
}

/// An address to listen on: `127.0.0.1:13133`, `[::1]:13133`, `localhost:13133`.
pub fn listen(text: &str) -> Parsed<SocketAddr> {
    let local = text.strip_prefix("localhost:").and_then(|port| port.parse::<u16>().ok());
    match local {
        Some(port) => Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port))),
        None => text.parse().map_err(|_| "expected an address such as 127.0.0.1:13133".to_owned()),
    }
}

/// A label name that samples may carry (Prometheus data model); `__` is kept for internal use.
pub fn label_name(text: &str) -> Parsed<String> {
    if !is_label_name(text) {
        return Err("expected a label name of letters, digits and _".to_owned());
    }
    if text.starts_with("__") {
        return Err("expected a label name that does not start with __".to_owned());
    }
    Ok(text.to_owned())
}

/// `[a-zA-Z_][a-zA-Z0-9_]*`
pub fn is_label_name(text: &str) -> bool {
    let word = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    word && text.bytes().next().is_some_and(|first| !first.is_ascii_digit())
}

/// A regular expression that compiles alone and anchored as Prometheus anchors it.
pub fn regex(text: &str) -> Parsed<String> {
    // Alone first: `a)|(b` would compile within the anchor's parentheses and mean something else.
    for pattern in [text, &format!("^(?s:{text})$")] {
        if let Err(error) = Regex::new(pattern) {
            let hint = if text.contains("\\p") { " (\\p{…} is not supported)" } else { "" };
            return Err(format!("expected a regular expression: {error}{hint}"));
        }
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fmt::Debug;

    #[track_caller]
    fn bad<T: Debug>(parsed: Parsed<T>, expected: &str) {
        assert_eq!(parsed.unwrap_err(), expected);
    }

    #[test]
    fn durations() {
        let ok = |text, ms| assert_eq!(duration(text), Ok(Duration::from_millis(ms)), "{text}");
        ok("500ms", 500);
        ok("15s", 15_000);
        ok("5m", 300_000);
        ok("1h", 3_600_000);
        ok("0s", 0);
        ok("8760h", DURATION_S_MAX * 1000);
        for text in ["", "15", "s", "-1s", "1.5s", "1m30s", "1 s", "15S", "1d", "+1s", "é"] {
            bad(duration(text), "expected a duration such as 500ms, 15s, 5m or 1h");
        }
        bad(duration("8761h"), "expected at most 8760h");
        bad(duration("18446744073709551615h"), "expected at most 8760h");
        bad(interval("0ms"), "expected a duration above zero");
    }

    #[test]
    fn sizes_and_counts() {
        let ok = |text, bytes| assert_eq!(size(text), Ok(bytes), "{text}");
        ok("64KiB", 65_536);
        ok("8MiB", 8 << 20);
        ok("1GiB", 1 << 30);
        ok("1000", 1000);
        for text in ["", "MiB", "1MB", "1mib", "-1", "1.5MiB", "99999999999999999GiB"] {
            bad(size(text), "expected a size such as 64KiB, 8MiB, 1GiB or plain bytes");
        }
        bad(size("0"), "expected a size above zero");
        assert_eq!(count("0"), Ok(0));
        bad(count("+1"), "expected a whole number");
        bad(count("18446744073709551616"), "expected a whole number");
        bad(count_above_zero("0"), "expected a whole number above zero");
    }

    #[test]
    fn choices_and_lists() {
        assert_eq!((switch("true"), switch("false")), (Ok(true), Ok(false)));
        bad(switch("yes"), "expected true, false");
        bad(choice("text|json")("jsn"), "expected text, json; nearest is json");
        assert_eq!(list("a,b"), Ok(vec!["a".to_owned(), "b".to_owned()]));
        for text in ["", ",", "a,", "a,,b"] {
            bad(list(text), "expected names separated by commas, without blanks");
        }
    }

    #[test]
    fn names_texts_and_addresses() {
        assert!(label_name("_a9").is_ok());
        bad(label_name("__name__"), "expected a label name that does not start with __");
        for text in ["", "9a", "a-b", "é", "a b"] {
            bad(label_name(text), "expected a label name of letters, digits and _");
        }
        bad(word(""), "expected a text that is not empty");
        bad(word("a\r\nb"), "expected a text without line breaks and control characters");
        assert_eq!(listen("localhost:80"), Ok(SocketAddr::from(([127, 0, 0, 1], 80))));
        assert!(listen("[::1]:0").is_ok());
        for text in ["", ":80", "localhost", "localhost:x", "1.2.3.4", "example.com:80"] {
            bad(listen(text), "expected an address such as 127.0.0.1:13133");
        }
    }

    #[test]
    fn regular_expressions() {
        assert!(regex(r"http_\d+|up").is_ok() && regex("").is_ok());
        assert!(regex("a)|(b").is_err(), "must not escape the anchor");
        assert!(regex("(?x)a # b").is_err(), "must not comment the anchor out");
        assert!(regex("(").unwrap_err().starts_with("expected a regular expression: "));
        assert!(regex(r"\pL").unwrap_err().ends_with(r" (\p{…} is not supported)"));
    }
}

//! The log: one line per event on stderr, as text or JSON, never blocking, never twice a second.
//!
//! The same message (its text up to the first number, so that counts and times do not matter) is
//! written at most once per [`REPEAT_MS`]; the next one says how many were held back. Lines that
//! stderr does not take wait in a bounded buffer. Text that came from outside is escaped and cut
//! before it gets here: see [`shorten`].

use std::cell::RefCell;
use std::fmt::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use log::{Level, LevelFilter, Metadata, Record};

use super::output::Output;

/// How long the same message is held back after it was written.
const REPEAT_MS: u128 = 10_000;

/// How many different messages are remembered; the oldest is forgotten.
const REMEMBERED_MAX: usize = 64;

/// Longest line; the rest is cut.
const LINE_BYTES_MAX: usize = 2048;

/// How lines look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
}

struct Remembered {
    key: String,
    written_at: Instant,
    held_back: u64,
}

struct State {
    output: Output,
    remembered: Vec<Remembered>,
    lines_dropped: u64,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::new(State {
        output: Output::stderr(),
        remembered: Vec::new(),
        lines_dropped: 0,
    });
}

static JSON: AtomicBool = AtomicBool::new(false);

struct Logger;

/// Installs the logger. Call once, before anything logs.
pub fn init(level: LevelFilter, format: Format) {
    JSON.store(format == Format::Json, Ordering::Relaxed);
    log::set_max_level(level);
    // Fails only where a logger is installed already, as in tests.
    let _ = log::set_logger(&Logger);
}

/// Writes what stderr takes now; true when nothing waits.
pub fn flush() -> bool {
    STATE.with(|state| state.borrow_mut().output.flush())
}

/// Lines given up because stderr did not take them, since the start.
pub fn lines_dropped() -> u64 {
    STATE.with(|state| state.borrow().lines_dropped)
}

impl log::Log for Logger {
    fn enabled(&self, metadata: &Metadata) -> bool {
        metadata.level() <= log::max_level() && metadata.target().starts_with("otlet")
    }

    fn log(&self, record: &Record) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut message = String::new();
        let _ = write!(message, "{}", record.args());
        STATE.with(|state| {
            if let Ok(mut state) = state.try_borrow_mut() {
                state.write(record.level(), &message, Instant::now());
            }
        });
    }

    fn flush(&self) {
        flush();
    }
}

impl State {
    fn write(&mut self, level: Level, message: &str, now: Instant) {
        let Some(held_back) = self.admit(level, message, now) else { return };
        let unix_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64);
        let line = render(unix_ms, level, message, held_back, JSON.load(Ordering::Relaxed));
        self.lines_dropped += self.output.push(line.as_bytes());
    }

    /// None when the message is to be held back, else how many like it were.
    fn admit(&mut self, level: Level, message: &str, now: Instant) -> Option<u64> {
        if level > Level::Warn {
            return Some(0);
        }
        let key = repeat_key(message);
        if let Some(known) = self.remembered.iter_mut().find(|known| known.key == key) {
            if now.duration_since(known.written_at).as_millis() < REPEAT_MS {
                known.held_back += 1;
                return None;
            }
            known.written_at = now;
            return Some(std::mem::take(&mut known.held_back));
        }
        if self.remembered.len() == REMEMBERED_MAX {
            self.remembered.remove(0);
        }
        self.remembered.push(Remembered { key: key.to_owned(), written_at: now, held_back: 0 });
        Some(0)
    }
}

/// Two messages count as the same when they agree up to their first number: counts, times and
/// statuses differ between repetitions. An address is no number; it tells destinations apart.
fn repeat_key(message: &str) -> &str {
    let is_number = |word: &str| word.trim_end_matches([':', ';', ',']).parse::<f64>().is_ok();
    let starts_with_digit = |word: &str| word.starts_with(|first: char| first.is_ascii_digit());
    let mut at = 0;
    for word in message.split(' ') {
        if at > 0 && starts_with_digit(word) && is_number(word) {
            return &message[..at];
        }
        at += word.len() + 1;
    }
    message
}

fn render(unix_ms: i64, level: Level, message: &str, held_back: u64, json: bool) -> String {
    let mut text = String::new();
    for character in message.chars() {
        if text.len() + 4 > LINE_BYTES_MAX {
            text.push('…');
            break;
        }
        match character {
            '"' | '\\' if json => text.extend(['\\', character]),
            '\n' => text.push_str("\\n"),
            control if control.is_control() => {
                let _ = write!(text, "\\u{:04x}", control as u32);
            }
            other => text.push(other),
        }
    }
    if held_back > 0 {
        let _ = write!(text, " ({held_back} more like this)");
    }
    let level = level.as_str().to_ascii_lowercase();
    let time = Utc(unix_ms);
    if json {
        format!("{{\"time\":\"{time}\",\"level\":\"{level}\",\"message\":\"{text}\"}}\n")
    } else {
        format!("{time} {level:<5} {text}\n")
    }
}

/// Unix milliseconds, shown as RFC 3339 in UTC.
pub struct Utc(pub i64);

impl std::fmt::Display for Utc {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (day_ms, days) = (self.0.rem_euclid(86_400_000), self.0.div_euclid(86_400_000));
        let (year, month, day) = civil_date(days);
        let (s, ms) = (day_ms / 1000, day_ms % 1000);
        let (hour, minute, s) = (s / 3600, s / 60 % 60, s % 60);
        write!(out, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{s:02}.{ms:03}Z")
    }
}

/// Year, month and day of a number of days since 1970-01-01 (proleptic Gregorian calendar).
fn civil_date(days: i64) -> (i64, i64, i64) {
    // Counted from 0000-03-01, so that the leap day is the last of its year.
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Foreign text for a log line: escaped, at most `chars_max` characters, marked where it was cut.
pub fn shorten(text: &[u8], chars_max: usize) -> String {
    let mut out = String::new();
    for (count, character) in String::from_utf8_lossy(text).chars().enumerate() {
        if count == chars_max {
            out.push('…');
            break;
        }
        match character {
            '"' => out.push_str("\\\""),
            plain if !plain.is_control() => out.push(plain),
            control => out.extend(control.escape_default()),
        }
    }
    out
}

/// Overwrites a secret that a peer repeats, before any of its words are cut or shown. Lengths stay.
pub fn hide(text: &mut [u8], secret: &str) {
    let mut at = 0;
    while let Some(found) = memchr::memmem::find(&text[at..], secret.as_bytes()) {
        let start = at + found;
        at = start + secret.len();
        text[start..at].fill(b'*');
        if secret.is_empty() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeats_are_held_back_and_summed_up() {
        let mut state =
            State { output: Output::stderr(), remembered: Vec::new(), lines_dropped: 0 };
        let start = Instant::now();
        let later = start + std::time::Duration::from_millis(REPEAT_MS as u64);
        assert_eq!(state.admit(Level::Warn, "a:90: lost 5 items", start), Some(0));
        assert_eq!(state.admit(Level::Warn, "a:90: lost 6 items", start), None);
        assert_eq!(state.admit(Level::Warn, "a:91: lost 6 items", start), Some(0));
        assert_eq!(state.admit(Level::Warn, "a:90: lost 7 items", later), Some(1));
        assert_eq!(repeat_key("to 127.0.0.1:80: 503: try in 0.8 s"), "to 127.0.0.1:80: ");
        assert_eq!(repeat_key("to 127.0.0.1:80: reset; 7 wait"), "to 127.0.0.1:80: reset; ");
        assert_eq!(state.admit(Level::Info, "fine", start), Some(0));
        assert_eq!(state.admit(Level::Info, "fine", start), Some(0));
        for number in 0..1000 {
            state.admit(Level::Error, &format!("e{number}"), start);
        }
        assert_eq!(state.remembered.len(), REMEMBERED_MAX);
    }

    #[test]
    fn lines_are_one_line_and_json_is_json() {
        assert_eq!(
            render(0, Level::Warn, "a\nb", 2, false),
            "1970-01-01T00:00:00.000Z warn  a\\nb (2 more like this)\n"
        );
        assert_eq!(
            render(1_700_000_000_123, Level::Info, "say \"x\"\u{1}", 0, true),
            "{\"time\":\"2023-11-14T22:13:20.123Z\",\"level\":\"info\",\
             \"message\":\"say \\\"x\\\"\\u0001\"}\n"
        );
        assert!(render(0, Level::Info, &"x".repeat(9999), 0, false).len() < LINE_BYTES_MAX + 64);
    }

    #[test]
    fn foreign_text_is_escaped_and_cut() {
        assert_eq!(shorten(b"a\"\x00\xff\n", 10), "a\\\"\\u{0}\u{fffd}\\n");
        assert_eq!(shorten(b"abcdef", 3), "abc…");
    }

    #[test]
    fn dates() {
        assert_eq!(Utc(951_782_400_000).to_string(), "2000-02-29T00:00:00.000Z");
        assert_eq!(Utc(-1).to_string(), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn secrets_are_overwritten() {
        let hidden = |text: &str, secret: &str| {
            let mut text = text.as_bytes().to_vec();
            hide(&mut text, secret);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(hidden("no abc and abcabc", "abc"), "no *** and ******");
        assert_eq!(hidden("ab", "abc"), "ab");
        assert_eq!(hidden("abc", ""), "abc");
    }
}

//! When to send again: what an answer means, how long to wait.
//!
//! Pure: random numbers and times come in as arguments. Which status means what follows
//! Remote-Write 1.0 ("Retries & Backoff") and RFC 9110 §10.2.3 (Retry-After).

use std::time::Duration;

use crate::aws::time::parse_http_date;

/// The first wait lies within a second even with jitter.
const FIRST_MS: f64 = 800.0;
const WAIT_MS_MAX: f64 = 30_000.0;
/// Waits are spread by this much to either side.
const JITTER: f64 = 0.2;
/// A server may ask for a longer wait than ours, up to this.
const ASKED_WAIT_MAX: Duration = Duration::from_secs(300);

/// What an answer means for the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Sent,
    /// Send the same again, after the server's wait if it named one.
    Retry,
    /// The request is too large; it may be sent once more in halves.
    TooLarge,
    /// Credentials were refused; refreshed ones may help once.
    Unauthorized,
    /// Something in the request is bad; parts of it may pass.
    BadData,
    /// Given up, with the server's words in the log.
    Refused,
}

/// What an HTTP status means to a remote-write sender.
pub fn classify(status: u16) -> Verdict {
    match status {
        200..=299 => Verdict::Sent,
        408 | 429 | 500..=599 => Verdict::Retry,
        413 => Verdict::TooLarge,
        400 => Verdict::BadData,
        401 | 403 => Verdict::Unauthorized,
        _ => Verdict::Refused,
    }
}

/// The growing wait between attempts.
#[derive(Clone, Copy, Debug, Default)]
pub struct Backoff {
    failures: u32,
}

impl Backoff {
    pub fn reset(&mut self) {
        self.failures = 0;
    }

    /// The next wait; `random` is uniform in 0..1 and `asked` is what the server asked for.
    pub fn next(&mut self, random: f64, asked: Option<Duration>) -> Duration {
        let base_ms = (FIRST_MS * 2_f64.powi(self.failures.min(16) as i32)).min(WAIT_MS_MAX);
        self.failures = self.failures.saturating_add(1);
        let spread_ms = base_ms * (1.0 - JITTER + 2.0 * JITTER * random);
        // A server that asks for no wait at all gets ours: it is failing.
        let asked = asked.filter(|wait| !wait.is_zero());
        asked.map_or(Duration::from_millis(spread_ms as u64), |wait| wait.min(ASKED_WAIT_MAX))
    }
}

/// Reads Retry-After: seconds or an HTTP date (RFC 9110 §5.6.7, the IMF-fixdate form only).
/// `now_s` is Unix time. None where the text is neither or lies in the past.
pub fn retry_after(text: &str, now_s: i64) -> Option<Duration> {
    if let Ok(seconds) = text.trim().parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let wait_s = parse_http_date(text)? / 1000 - now_s;
    (wait_s > 0).then(|| Duration::from_secs(wait_s as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses() {
        for (status, verdict) in [
            (200, Verdict::Sent),
            (204, Verdict::Sent),
            (301, Verdict::Refused),
            (400, Verdict::BadData),
            (401, Verdict::Unauthorized),
            (403, Verdict::Unauthorized),
            (404, Verdict::Refused),
            (408, Verdict::Retry),
            (413, Verdict::TooLarge),
            (429, Verdict::Retry),
            (500, Verdict::Retry),
            (599, Verdict::Retry),
            (600, Verdict::Refused),
        ] {
            assert_eq!(classify(status), verdict, "{status}");
        }
    }

    #[test]
    fn waits_grow_within_bounds() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.next(0.5, None).as_millis()).collect();
        assert_eq!(waits, [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]);
        backoff.reset();
        assert!(backoff.next(1.0, None) <= Duration::from_secs(1));
        assert_eq!(backoff.next(0.0, None), Duration::from_millis(1280));
        for _ in 0..100 {
            assert!(backoff.next(1.0, None) <= Duration::from_secs(36));
        }
        let asked = Some(Duration::from_secs(7));
        assert_eq!(backoff.next(0.3, asked), Duration::from_secs(7));
        assert_eq!(backoff.next(0.3, Some(Duration::from_secs(9999))), ASKED_WAIT_MAX);
        assert!(backoff.next(0.5, Some(Duration::ZERO)) >= Duration::from_secs(24));
    }

    #[test]
    fn retry_after_in_both_forms() {
        let date = "Sun, 06 Nov 1994 08:49:37 GMT";
        assert_eq!(retry_after("120", 0), Some(Duration::from_secs(120)));
        assert_eq!(retry_after(date, 784_111_770), Some(Duration::from_secs(7)));
        for bad in ["", "-1", "soon", "Sun, 06 Nov 1994 08:49:37", "Sun, 99 Foo 1994 1:2:3 GMT"] {
            assert_eq!(retry_after(bad, 0), None, "{bad}");
        }
        assert_eq!(retry_after(date, 784_111_777), None);
    }
}

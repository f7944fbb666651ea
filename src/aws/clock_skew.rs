//! How far the local clock is from AWS's, learnt from the Date header of a refusal.
//!
//! A signature is valid for five minutes around the server's time. Only a refusal teaches: an
//! answer that accepted the signature proves the clock good enough, whatever its Date says. After a
//! correction the difference is gone, so that the same refusal cannot correct again.

use super::time::parse_http_date;

/// Smaller differences do not explain a refusal that gives another reason.
const UNNAMED_MS_MIN: i64 = 4 * 60_000;

/// Smaller differences are not worth a correction even if the refusal is about time: the Date
/// header counts whole seconds and was on its way.
const NAMED_MS_MIN: i64 = 5_000;

/// No clock is this far off; such a Date header is wrong itself.
const OFFSET_MS_MAX: i64 = 10 * 366 * 86_400_000;

/// Codes of refusals that are about time.
const TIME_CODES: [&str; 4] =
    ["RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture", "SignatureExpired"];

/// The learnt offset.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClockSkew {
    offset_ms: i64,
}

impl ClockSkew {
    /// AWS's time when the local clock shows `unix_ms`.
    pub fn corrected(&self, unix_ms: i64) -> i64 {
        unix_ms + self.offset_ms
    }

    /// Server minus local time.
    pub fn offset_ms(&self) -> i64 {
        self.offset_ms
    }

    /// Learns from a response; true if the offset changed, and another attempt is worth it. `code`
    /// and `message` are the error's.
    pub fn observe(
        &mut self,
        status: u16,
        date: Option<&str>,
        (code, message): (&str, &str),
        unix_ms: i64,
    ) -> bool {
        if !matches!(status, 400 | 401 | 403) {
            return false;
        }
        let Some(server_ms) = date.and_then(parse_http_date) else { return false };
        let is_about_time = TIME_CODES.contains(&code)
            || message.contains("Signature expired")
            || message.contains("Signature not yet current");
        // Other reasons for 400 are the request's own.
        if status == 400 && !is_about_time {
            return false;
        }
        let least_ms = if is_about_time { NAMED_MS_MIN } else { UNNAMED_MS_MIN };
        let offset_ms = server_ms - unix_ms;
        let difference_ms = (server_ms - self.corrected(unix_ms)).abs();
        if difference_ms < least_ms || offset_ms.abs() > OFFSET_MS_MAX {
            return false;
        }
        self.offset_ms = offset_ms;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DATE: &str = "Fri, 02 Jan 2026 03:04:05 GMT";
    const DATE_MS: i64 = 1_767_323_045_000;

    fn learns(status: u16, date: Option<&str>, error: (&str, &str), behind_ms: i64) -> bool {
        let mut skew = ClockSkew::default();
        let local_ms = DATE_MS - behind_ms;
        let has_learnt = skew.observe(status, date, error, local_ms);
        if has_learnt {
            assert_eq!((skew.offset_ms(), skew.corrected(local_ms)), (behind_ms, DATE_MS));
            assert!(!skew.observe(status, date, error, local_ms), "only once");
        }
        has_learnt
    }

    #[test]
    fn refusals_teach() {
        let (late, other) = (("RequestTimeTooSkewed", ""), ("AccessDenied", ""));
        let expired = ("InvalidSignatureException", "Signature expired: 1 is now earlier than 2");
        for (status, error, behind_ms, expected) in [
            (403, other, UNNAMED_MS_MIN, true),
            (401, ("", ""), -UNNAMED_MS_MIN, true),
            (403, other, UNNAMED_MS_MIN - 1, false),
            (403, late, NAMED_MS_MIN, true),
            (403, late, NAMED_MS_MIN - 1, false),
            (400, expired, 90_000, true),
            (400, other, 3_600_000, false),
            (200, late, 3_600_000, false),
            (500, late, 3_600_000, false),
            (403, late, OFFSET_MS_MAX + 1, false),
        ] {
            assert_eq!(learns(status, Some(DATE), error, behind_ms), expected, "{error:?}");
        }
        assert!(!learns(403, None, late, 3_600_000));
        assert!(!learns(403, Some("yesterday"), late, 3_600_000));
    }

    #[test]
    fn a_clock_set_right_is_followed() {
        let mut skew = ClockSkew::default();
        assert!(skew.observe(403, Some(DATE), ("", ""), DATE_MS - 3_600_000));
        assert!(skew.observe(403, Some(DATE), ("", ""), DATE_MS));
        assert_eq!(skew.offset_ms(), 0);
    }
}

//! Whether and when another attempt is made: one place, pure functions.

use std::time::Duration;

use super::headers::RetryAdvice;
use crate::engine::error::{Error, Kind};

/// A longer wait than this is the caller's decision: the error is handed over with the time in it.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);
const FIRST_DELAY: Duration = Duration::from_millis(500);
const MAX_DELAY: Duration = Duration::from_secs(8);

/// Whether an HTTP status may be cured by another attempt, before quota and the server's own advice are looked at.
#[must_use]
pub fn status_is_retryable(status: u16) -> bool {
    matches!(status, 408 | 409 | 429) || status >= 500
}

/// The verdict on a failed answer: kinds that never pass, then the server's word, then its status.
#[must_use]
pub fn is_retryable(kind: Kind, status: u16, advice: RetryAdvice) -> bool {
    let hopeless = matches!(
        kind,
        Kind::Quota | Kind::Authentication | Kind::Permission | Kind::Tls | Kind::ContextLength | Kind::ContentFilter
    );
    let too_long = advice.after.is_some_and(|after| after > MAX_RETRY_AFTER);
    !hopeless && !too_long && advice.should.unwrap_or_else(|| status_is_retryable(status))
}

/// How long to wait before attempt number `taken + 2`, where `taken` retries have been made. `random` is from 0 to 1.
#[must_use]
pub fn delay(error: &Error, taken: u32, random: f64) -> Duration {
    if let Some(after) = error.retry_after {
        return after.min(MAX_RETRY_AFTER);
    }
    let full = FIRST_DELAY.saturating_mul(2u32.saturating_pow(taken.min(16))).min(MAX_DELAY);
    full.mul_f64(1.0 - 0.25 * random.clamp(0.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_to_a_bound_and_jitter_only_shortens() {
        let error = Error::new(Kind::Server, "x");
        for (taken, full) in [(0, 0.5), (1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 8.0), (u32::MAX, 8.0)] {
            assert_eq!(delay(&error, taken, 0.0), Duration::from_secs_f64(full));
            assert_eq!(delay(&error, taken, 1.0), Duration::from_secs_f64(full * 0.75));
        }
    }

    #[test]
    fn the_servers_word_goes_before_its_status_but_not_before_quota() {
        let said = |should| RetryAdvice { after: None, should: Some(should) };
        let none = RetryAdvice::default();
        assert!(is_retryable(Kind::RateLimited, 429, none));
        assert!(!is_retryable(Kind::Quota, 429, none));
        assert!(!is_retryable(Kind::Quota, 429, said(true)));
        assert!(is_retryable(Kind::BadRequest, 400, said(true)));
        assert!(!is_retryable(Kind::Server, 500, said(false)));
        let long = RetryAdvice { after: Some(Duration::from_secs(121)), should: Some(true) };
        assert!(!is_retryable(Kind::RateLimited, 429, long));
    }
}

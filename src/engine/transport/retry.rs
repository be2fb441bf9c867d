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
    !hopeless && advice.should.unwrap_or_else(|| status_is_retryable(status))
}

/// Whether the library itself tries again: not where the server asks for more patience than we have for the caller.
#[must_use]
pub fn is_worth_waiting(error: &Error) -> bool {
    error.retryable && error.retry_after.is_none_or(|after| after <= MAX_RETRY_AFTER)
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
        let mut error = Error::new(Kind::RateLimited, "x").retryable();
        for (seconds, waits) in [(120, true), (121, false)] {
            error.detail_mut().retry_after = Some(Duration::from_secs(seconds));
            assert_eq!(is_worth_waiting(&error), waits);
        }
    }
}

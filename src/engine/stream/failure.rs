//! From an answer with a failing status, or an error inside a successful one, to the error that the caller sees and the
//! verdict on another attempt.

use std::time::SystemTime;

use bytes::Bytes;

use crate::engine::error::{Error, Kind};
use crate::engine::format::provider_error::ProviderError;
use crate::engine::transport::headers::{request_id, retry_advice, RetryAdvice};
use crate::engine::transport::retry;

/// An answer with a failing status.
#[must_use]
pub fn from_answer(status: u16, headers: &[(String, String)], body: Bytes, now: SystemTime) -> Error {
    let advice = retry_advice(headers, now);
    let mut error = ProviderError::in_failure(&body).into_error(status, body);
    let retryable = retry::is_retryable(error.kind(), status, advice);
    let detail = error.detail_mut();
    if (300..400).contains(&status) {
        let target = headers.iter().find(|(n, _)| n == "location").map_or("elsewhere", |(_, v)| v.as_str());
        detail.message =
            format!("the server redirects to {target:?}; the key is not sent there: set that base URL if you trust it");
    }
    detail.retry_after = advice.after;
    detail.retryable = retryable;
    detail.request_id = detail.request_id.take().or_else(|| request_id(headers));
    error
}

/// An error inside a successful answer: it has no status of its own, so the verdict goes by its kind.
pub fn judge_inside_success(error: &mut Error) {
    if error.http_status == Some(200) {
        let status = match error.kind() {
            Kind::RateLimited | Kind::Quota => 429,
            Kind::Overloaded => 529,
            Kind::Server => 500,
            Kind::TimedOut => 504,
            _ => 400,
        };
        let retryable = retry::is_retryable(error.kind(), status, RetryAdvice::default());
        error.detail_mut().retryable = retryable;
    }
}

/// Takes a key out of what a provider said: some repeat it in their errors.
pub fn redact(error: &mut Error, key: &str) {
    // Shorter ones are no secrets, and would make words unreadable.
    const SHORTEST: usize = 6;
    if key.len() < SHORTEST {
        return;
    }
    let detail = error.detail_mut();
    let texts =
        [Some(&mut detail.message), detail.provider_code.as_mut(), detail.provider_type.as_mut(), detail.request_id.as_mut()];
    for text in texts.into_iter().flatten() {
        if text.contains(key) {
            *text = text.replace(key, "(key)");
        }
    }
    if let Some(body) = detail.body.as_mut().filter(|body| memchr::memmem::find(body, key.as_bytes()).is_some()) {
        let mut clean = Vec::with_capacity(body.len());
        let mut from = 0;
        for at in memchr::memmem::find_iter(body, key.as_bytes()) {
            clean.extend_from_slice(&body[from..at]);
            clean.extend_from_slice(b"(key)");
            from = at + key.len();
        }
        clean.extend_from_slice(&body[from..]);
        *body = clean.into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_a_provider_repeats_goes_no_further() {
        let body = Bytes::from_static(br#"{"error":{"message":"bad key sk-secret!","code":"sk-secret","x":"sk-secret"}}"#);
        let mut error = from_answer(401, &[], body, SystemTime::now());
        redact(&mut error, "sk-secret");
        assert_eq!(error.message, "bad key (key)!");
        assert_eq!(error.provider_code.as_deref(), Some("(key)"));
        assert_eq!(error.body.as_deref(), Some(&br#"{"error":{"message":"bad key (key)!","code":"(key)","x":"(key)"}}"#[..]));
    }
}

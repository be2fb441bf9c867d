//! What providers say when something fails: a dozen shapes, one record.

use std::borrow::Cow;

use bytes::Bytes;
use serde_json::{Map, Value};

use super::json::{scalar, text};
use crate::engine::error::{Error, Kind};

/// A provider's error, from whatever shape it came in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProviderError {
    pub message: String,
    pub code: Option<String>,
    pub kind: Option<String>,
    /// Anthropic's `details.error_code`: says more than its type.
    pub cause: Option<String>,
    /// A status inside the error: OpenRouter and vLLM put it into `code`.
    pub status: Option<u16>,
    pub request_id: Option<String>,
}

impl ProviderError {
    /// The error that an answer or an event holds, if it holds one. An error object without a message and without a code is
    /// what gateways put beside a success.
    #[must_use]
    pub fn find(value: &Value) -> Option<Self> {
        let object = value.as_object()?;
        let mut found = match object.get("error") {
            Some(Value::Object(error)) if says_something(error) => Self::from_object(error),
            Some(Value::String(message)) if !message.is_empty() => {
                Self { message: message.clone(), code: scalar(object, "code").map(Cow::into_owned), ..Self::default() }
            }
            _ if text(object, "type") == Some("error") || text(object, "object") == Some("error") => {
                Self::from_object(object).without_kind("error")
            }
            _ => return None,
        };
        found.request_id = found.request_id.or_else(|| text(object, "request_id").map(str::to_owned));
        Some(found)
    }

    /// The error in the body of a failed request, where anything will do.
    #[must_use]
    pub fn in_failure(body: &[u8]) -> Self {
        let value: Value = match serde_json::from_slice(body) {
            Ok(value) => value,
            Err(_) => return Self { message: String::from_utf8_lossy(body).trim().to_owned(), ..Self::default() },
        };
        if let Some(found) = Self::find(&value) {
            return found;
        }
        let Some(object) = value.as_object() else {
            return Self { message: value.as_str().map_or_else(|| value.to_string(), str::to_owned), ..Self::default() };
        };
        match object.get("detail") {
            Some(Value::String(detail)) => Self { message: detail.clone(), ..Self::default() },
            Some(detail @ (Value::Array(_) | Value::Object(_))) => Self { message: detail.to_string(), ..Self::default() },
            _ if text(object, "message").is_some() => Self::from_object(object),
            _ => Self { message: String::from_utf8_lossy(body).into_owned(), ..Self::default() },
        }
    }

    fn from_object(error: &Map<String, Value>) -> Self {
        let code = scalar(error, "code").map(Cow::into_owned);
        let status = code.as_deref().or(scalar(error, "status").as_deref()).and_then(|c| c.parse().ok());
        // OpenRouter keeps what the upstream provider said as a string of JSON. The message stays OpenRouter's; the rest is
        // in the error's body.
        let upstream = || {
            let raw = text(super::json::object(error, "metadata")?, "raw")?;
            let inner = serde_json::from_str::<Value>(raw).ok();
            Some(inner.as_ref().and_then(Self::find).map_or_else(|| raw.to_owned(), |e| e.message))
        };
        let message = text(error, "message").map(str::to_owned).or_else(upstream);
        Self {
            message: message
                .unwrap_or_else(|| text(error, "detail").map_or_else(|| Value::Object(error.clone()).to_string(), str::to_owned)),
            code,
            kind: text(error, "type").map(str::to_owned),
            cause: super::json::object(error, "details").and_then(|d| scalar(d, "error_code")).map(Cow::into_owned),
            status: status.filter(|s| (400..600).contains(s)),
            request_id: None,
        }
    }

    fn without_kind(mut self, kind: &str) -> Self {
        self.kind = self.kind.filter(|k| k != kind);
        self
    }

    /// The error as ours. `status` is that of the answer: an error inside a success has none of its own.
    #[must_use]
    pub fn into_error(self, status: u16, body: Bytes) -> Error {
        let status_for_kind = if status >= 300 { status } else { self.status.unwrap_or_else(|| self.status_by_name()) };
        let kind = self.classify(status_for_kind);
        let message = if self.message.is_empty() { format!("HTTP status {status} without a message") } else { self.message };
        let message = match (status, message.contains("error code: 1010")) {
            (403, true) => format!(
                "{message} (the gateway's CDN does not like this user agent: set another with apertis_config_set_user_agent)"
            ),
            _ => message,
        };
        let mut error = Error::new(kind, message);
        let detail = error.detail_mut();
        detail.http_status = (status > 0).then_some(status);
        detail.provider_code = self.code;
        detail.provider_type = self.kind;
        detail.request_id = self.request_id;
        detail.body = Some(body);
        error
    }

    /// For errors inside a 200: the status that the same error has elsewhere.
    fn status_by_name(&self) -> u16 {
        let all = self.names();
        let has = |words: &[&str]| words.iter().any(|w| all.contains(w));
        if has(&["insufficient_quota", "rate_limit"]) {
            429
        } else if has(&["authentication"]) {
            401
        } else if has(&["permission"]) {
            403
        } else if has(&["not_found"]) {
            404
        } else if has(&["overload"]) {
            529
        } else if has(&["timeout"]) {
            504
        } else if has(&["invalid", "bad_request", "context_length"]) {
            400
        } else {
            500
        }
    }

    fn names(&self) -> String {
        [&self.code, &self.kind, &self.cause].map(|name| name.as_deref().unwrap_or("")).join(" ").to_ascii_lowercase()
    }

    /// By status first, then code, then type, then what the message is known to say: types differ between pages and versions
    /// of one gateway.
    fn classify(&self, status: u16) -> Kind {
        let names = self.names();
        let message = self.message.to_ascii_lowercase();
        let named = |words: &[&str]| words.iter().any(|w| names.contains(w));
        let says = |words: &[&str]| words.iter().any(|w| message.contains(w));
        let quota = || {
            named(&["insufficient_quota", "quota_exceeded", "insufficient_balance", "billing", "subscription_expired", "payment"])
                || says(&[
                    "insufficient_quota",
                    "insufficient balance",
                    "exceeded your current quota",
                    "credit balance is too low",
                    "insufficient credits",
                    "insufficient quota",
                    "quota exceeded",
                ])
        };
        let context = || {
            named(&["context_length", "exceed_context_size", "too_many_prompt_tokens", "prompt_too_long"])
                || says(&[
                    "prompt is too long",
                    "maximum context length",
                    "max context length",
                    "context window",
                    "context_length_exceeded",
                ])
        };
        let filtered = || named(&["content_filter", "content_policy", "moderation_blocked"]);
        match status {
            401 => Kind::Authentication,
            402 => Kind::Quota,
            403 if quota() => Kind::Quota,
            403 if filtered() => Kind::ContentFilter,
            403 => Kind::Permission,
            404 => Kind::NotFound,
            408 | 504 => Kind::TimedOut,
            429 if quota() => Kind::Quota,
            429 => Kind::RateLimited,
            503 | 529 => Kind::Overloaded,
            s if s >= 500 && named(&["overloaded"]) => Kind::Overloaded,
            s if s >= 500 => Kind::Server,
            300..=399 => Kind::Protocol,
            _ if context() => Kind::ContextLength,
            _ if filtered() => Kind::ContentFilter,
            _ if quota() || says(&["quota", "balance", "insufficient"]) => Kind::Quota,
            // xAI answers 400 to a wrong key.
            400 if named(&["invalid_api_key"]) || says(&["incorrect api key", "invalid api key"]) => Kind::Authentication,
            _ => Kind::BadRequest,
        }
    }
}

/// The zero value `{"message":"","type":"","param":"","code":null}` stands beside successes.
fn says_something(error: &Map<String, Value>) -> bool {
    text(error, "message").is_some()
        || error.get("code").is_some_and(|c| !c.is_null() && c != "" && c != 0)
        || (error.get("message").is_none() && text(error, "type").is_some())
}

/// The error that a successful answer, or one of its events, holds.
#[must_use]
pub fn inside_success(value: &Value) -> Option<Error> {
    let found = ProviderError::find(value)?;
    Some(found.into_error(200, Bytes::from(value.to_string())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Error {
        let body = Bytes::copy_from_slice(body.as_bytes());
        ProviderError::in_failure(&body).into_error(status, body)
    }

    #[test]
    fn every_shape_gives_its_message() {
        for (body, message, code) in [
            (r#"{"error":{"message":"m","type":"t","param":null,"code":"c"}}"#, "m", Some("c")),
            (r#"{"type":"error","error":{"type":"overloaded_error","message":"m"},"request_id":"req_1"}"#, "m", None),
            (r#"{"error":{"code":429,"metadata":{"raw":"{\"error\":{\"message\":\"inner\"}}"}}}"#, "inner", Some("429")),
            (r#"{"code":"invalid-argument","error":"m"}"#, "m", Some("invalid-argument")),
            (r#"{"object":"error","message":"m","type":"invalid_model","param":null,"code":"1500"}"#, "m", Some("1500")),
            (r#"{"detail":"m"}"#, "m", None),
            (r#"{"detail":[{"msg":"field required"}]}"#, r#"[{"msg":"field required"}]"#, None),
            (r#"{"code":400,"message":"m","type":"Bad Request"}"#, "m", Some("400")),
            ("<html>502</html>", "<html>502</html>", None),
            ("", "HTTP status 400 without a message", None),
        ] {
            let error = of(400, body);
            assert_eq!((error.message.as_str(), error.provider_code.as_deref()), (message, code), "{body}");
        }
    }

    #[test]
    fn the_zero_value_is_no_error() {
        let zero = serde_json::json!({"error": {"message": "", "type": "", "param": "", "code": null}, "choices": []});
        assert_eq!(ProviderError::find(&zero), None);
        assert_eq!(ProviderError::find(&serde_json::json!({"error": null})), None);
        assert!(ProviderError::find(&serde_json::json!({"error": {"message": "", "code": 502}})).is_some());
    }

    #[test]
    fn status_goes_before_code_and_code_before_type() {
        for (status, body, kind) in [
            (401, r#"{"error":{"message":"m","type":"invalid_request_error"}}"#, Kind::Authentication),
            (402, "{}", Kind::Quota),
            (400, r#"{"error":{"message":"your balance is insufficient"}}"#, Kind::Quota),
            (429, r#"{"error":{"message":"m","code":"insufficient_quota"}}"#, Kind::Quota),
            (429, r#"{"error":{"message":"m","code":"rate_limit_exceeded"}}"#, Kind::RateLimited),
            (
                429,
                r#"{"type":"error","error":{"type":"rate_limit_error","message":"m","details":{"error_code":"insufficient_quota"}}}"#,
                Kind::Quota,
            ),
            (403, "error code: 1010", Kind::Permission),
            (404, "{}", Kind::NotFound),
            (408, r#"{"error":{"code":"request_timeout"}}"#, Kind::TimedOut),
            (400, r#"{"error":{"message":"m","code":"context_length_exceeded"}}"#, Kind::ContextLength),
            (
                400,
                r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 tokens > 8 maximum"}}"#,
                Kind::ContextLength,
            ),
            (400, r#"{"error":{"code":"content_filter","message":"m"}}"#, Kind::ContentFilter),
            (400, r#"{"code":"invalid-argument","error":"Incorrect API key provided"}"#, Kind::Authentication),
            (409, "{}", Kind::BadRequest),
            (413, "{}", Kind::BadRequest),
            (422, "{}", Kind::BadRequest),
            (500, "{}", Kind::Server),
            (502, "<html>", Kind::Server),
            (503, "{}", Kind::Overloaded),
            (529, "{}", Kind::Overloaded),
            (307, "", Kind::Protocol),
        ] {
            assert_eq!(of(status, body).kind(), kind, "{status} {body}");
        }
    }
}

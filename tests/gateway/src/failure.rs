//! Errors, in each format's own shape.

use serde_json::{json, Value};

use crate::format::Format;
use crate::script::ErrorText;

/// An error that is answered, or sent within a stream.
#[derive(Clone, Debug)]
pub struct Failure {
    pub status: u16,
    pub code: Option<String>,
    kind: Option<String>,
    pub message: String,
}

impl Failure {
    /// An error of the gateway itself.
    pub fn new(status: u16, message: impl Into<String>) -> Self {
        Self { status, code: usual(status).1.map(str::to_owned), kind: None, message: message.into() }
    }

    /// The same with this code.
    pub fn code(mut self, code: &str) -> Self {
        self.code = Some(code.to_owned());
        self
    }

    /// The error that a script wants.
    pub fn told(status: u16, text: Option<&ErrorText>) -> Self {
        let mut failure = Self::new(status, format!("The loopback gateway was told to fail with status {status}."));
        if let Some(text) = text {
            // An empty code is a code that is null.
            failure.code = text.code.clone().filter(|code| !code.is_empty());
            failure.kind.clone_from(&text.kind);
            if let Some(message) = &text.message {
                failure.message.clone_from(message);
            }
        }
        failure
    }

    fn openai(&self) -> Value {
        let kind = self.kind.as_deref().unwrap_or(usual(self.status).0);
        json!({"message": self.message, "type": kind, "param": null, "code": self.code})
    }

    fn anthropic(&self) -> Value {
        let kind = self.kind.as_deref().unwrap_or(match self.status {
            401 => "authentication_error",
            402 => "billing_error",
            403 => "permission_error",
            404 => "not_found_error",
            408 | 504 => "timeout_error",
            409 => "conflict_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            500.. => "api_error",
            _ => "invalid_request_error",
        });
        let details = self.code.as_ref().map(|code| json!({"error_code": code}));
        json!({"type": kind, "message": self.message, "details": details})
    }

    /// The body of an error answer, and of the error events of chat and Messages streams.
    pub fn body(&self, format: Format, request_id: &str) -> Value {
        match format {
            Format::Chat | Format::Responses => json!({"error": self.openai()}),
            Format::Messages => {
                json!({"type": "error", "error": self.anthropic(), "request_id": request_id})
            }
        }
    }

    /// The code where one must stand.
    pub fn some_code(&self) -> &str {
        self.code.as_deref().unwrap_or("server_error")
    }
}

/// Type and code that the gateway documents for a status.
fn usual(status: u16) -> (&'static str, Option<&'static str>) {
    match status {
        400 => ("invalid_request_error", Some("invalid_request")),
        401 => ("authentication_error", Some("invalid_api_key")),
        402 => ("billing_error", Some("quota_exceeded")),
        403 => ("permission_error", Some("access_denied")),
        404 => ("invalid_request_error", Some("endpoint_not_found")),
        408 => ("timeout", Some("request_timeout")),
        429 => ("rate_limit_error", Some("rate_limit_exceeded")),
        502 => ("server_error", Some("upstream_error")),
        503 => ("server_error", Some("service_unavailable")),
        529 => ("server_error", Some("model_overloaded")),
        500.. => ("server_error", Some("internal_error")),
        _ => ("invalid_request_error", None),
    }
}

//! The one error record: what went wrong, what the provider said of it, and whether another attempt may help.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// What went wrong, in the order of the public status codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    InvalidArgument,
    InvalidHandle,
    InvalidUtf8,
    InvalidJson,
    MissingApiKey,
    WouldDeadlock,
    Cancelled,
    Shutdown,
    Forked,
    Connect,
    Tls,
    TimedOut,
    Disconnected,
    TooLarge,
    Protocol,
    Truncated,
    Schema,
    ToolRounds,
    Authentication,
    Permission,
    Quota,
    RateLimited,
    NotFound,
    BadRequest,
    ContextLength,
    ContentFilter,
    Overloaded,
    Server,
    Internal,
}

/// An error with all that is known of it. Boxed inside, so that a `Result` stays small.
#[derive(Clone)]
pub struct Error(Box<Detail>);

/// The fields of an [`Error`].
#[derive(Clone, Debug)]
pub struct Detail {
    pub kind: Kind,
    /// One line, without secrets.
    pub message: String,
    pub http_status: Option<u16>,
    pub provider_code: Option<String>,
    pub provider_type: Option<String>,
    pub request_id: Option<String>,
    pub retry_after: Option<Duration>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// Requests that were sent, this one's included; 0 where none was.
    pub attempts: u32,
    /// What the provider sent, as it came.
    pub body: Option<Bytes>,
}

/// The engine's result.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error that is not the provider's. The message is made one line.
    #[must_use]
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            kind,
            message: one_line(message.into()),
            http_status: None,
            provider_code: None,
            provider_type: None,
            request_id: None,
            retry_after: None,
            retryable: false,
            attempts: 0,
            body: None,
        }))
    }

    /// The caller passed something that cannot be used; `message` names it.
    #[must_use]
    pub fn argument(message: impl Into<String>) -> Self {
        Self::new(Kind::InvalidArgument, message)
    }

    /// The same error, marked as one that another attempt may cure.
    #[must_use]
    pub fn retryable(mut self) -> Self {
        self.0.retryable = true;
        self
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// Changes the fields in place.
    pub fn detail_mut(&mut self) -> &mut Detail {
        &mut self.0
    }
}

impl std::ops::Deref for Error {
    type Target = Detail;
    fn deref(&self) -> &Detail {
        &self.0
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl std::error::Error for Error {}

/// Messages go into logs and terminals: line breaks and other control characters become blanks, and what a provider
/// wrote at length is cut.
fn one_line(text: String) -> String {
    const LIMIT: usize = 2000;
    let clean = if text.chars().any(char::is_control) {
        text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    } else {
        text
    };
    match clean.char_indices().nth(LIMIT) {
        Some((end, _)) => format!("{}…", &clean[..end]),
        None => clean,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_one_line_and_bounded() {
        let error = Error::argument("a\r\nb\tc");
        assert_eq!(error.message, "a  b c");
        assert_eq!(Error::argument("é".repeat(5000)).message.chars().count(), 2001);
    }
}

//! The wire formats, and small helpers to write JSON by hand where a delta is hot.

use serde_json::Value;

/// Which format a path speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Chat,
    Responses,
    Messages,
}

impl Format {
    /// By the end of the path; any prefix may stand before it.
    pub fn of(path: &str) -> Option<Self> {
        let path = path.trim_end_matches('/');
        if path.ends_with("/chat/completions") {
            Some(Self::Chat)
        } else if path.ends_with("/responses") {
            Some(Self::Responses)
        } else if path.ends_with("/messages") {
            Some(Self::Messages)
        } else {
            None
        }
    }
}

/// The text as a JSON string.
pub fn quote(text: &str) -> String {
    Value::from(text).to_string()
}

/// The inside of an object, to be put behind fields that are written by hand.
pub fn inside(object: &Value) -> String {
    let text = object.to_string();
    text.strip_prefix('{').and_then(|t| t.strip_suffix('}')).unwrap_or_default().to_owned()
}

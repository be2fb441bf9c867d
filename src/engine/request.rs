//! A conversation and how to answer it, in no provider's words. It serialises to the document that
//! `apertis_request_json` hands out; keys are not part of it.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::config::{Secret, TimeoutKind, Timeouts};
use super::error::{Error, Kind, Result};
use super::format::{Format, FormatChoice};
use super::response::Response;

/// The version of the saved document.
const DOCUMENT: u32 = 1;

/// A conversation and its options.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Request {
    pub turns: Vec<Turn>,
    #[serde(default)]
    pub options: Options,
    /// Never saved.
    #[serde(skip)]
    pub api_key: Option<Secret>,
}

/// One turn of the conversation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    pub role: Role,
    pub parts: Vec<Part>,
    /// An assistant's turn as its provider sent it; replayed as it is to the same format.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub native: Option<Native>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    System,
    Developer,
    User,
    Assistant,
    Tool,
}

/// A provider's own form of an assistant's turn: Chat Completions' message object, Responses' output items, Messages'
/// content blocks. After tool rounds, the whole exchange: results included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Native {
    pub format: Format,
    pub value: Value,
}

/// A piece of a turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum Part {
    Text {
        text: String,
        /// Citations and annotations, as the provider sent them.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        annotations: Vec<Value>,
    },
    Reasoning {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        signature: Option<String>,
        /// Reasoning that only its provider can read.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        encrypted: Option<String>,
    },
    Refusal {
        text: String,
    },
    ToolCall {
        id: String,
        name: String,
        /// JSON text as the model wrote it; of a custom tool: free text.
        arguments: String,
        /// A tool that takes free text (`custom` in Chat Completions and Responses).
        #[serde(default, skip_serializing_if = "is_false")]
        custom: bool,
    },
    ToolResult {
        call_id: String,
        text: String,
        #[serde(default, skip_serializing_if = "is_false")]
        is_error: bool,
    },
    Media {
        media_type: String,
        #[serde(flatten)]
        source: Source,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        file_name: Option<String>,
    },
    /// What we have no name for, as it came.
    Other {
        json: Value,
    },
}

/// Where an attachment is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    Url(String),
    /// Base64 with padding.
    Data(String),
}

fn is_false(value: &bool) -> bool {
    !value
}

/// How to answer; `None` is "not set".
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Options {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub format: Option<FormatChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// 0: the provider's own limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reasoning_effort: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub timeouts: Vec<(TimeoutKind, u64)>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// Fields of the body, set last; `None` removes a field.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub json: BTreeMap<String, Option<Value>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback_models: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output_schema: Option<OutputSchema>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(skip_serializing_if = "is_zero")]
    pub max_tool_rounds: u32,
}

fn is_zero(value: &u32) -> bool {
    *value == 0
}

/// A function that the model may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// A JSON Schema object.
    pub parameters: Value,
}

/// Whether and which tool is to be called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolChoice {
    Auto,
    None,
    Required,
    Named(String),
}

/// What the answer has to look like.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutputSchema {
    pub name: String,
    pub schema: Value,
}

impl Part {
    /// A part that is nothing but text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), annotations: Vec::new() }
    }
}

impl Turn {
    /// A turn of one text part.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self { role, parts: vec![Part::text(text)], native: None }
    }
}

impl Request {
    /// Appends an attachment to the message added last.
    pub fn attach(&mut self, part: Part) -> Result<()> {
        match self.turns.last_mut() {
            Some(turn) if turn.role == Role::User => {
                turn.parts.push(part);
                Ok(())
            }
            Some(_) => Err(Error::argument("only a user's message can carry an attachment")),
            None => Err(Error::argument("there is no message yet to attach to: add one first")),
        }
    }

    /// Appends the assistant's turn that `response` holds.
    pub fn add_response(&mut self, response: &Response) {
        self.turns.extend(response.turns());
    }

    /// The time limits of this request, on top of the client's.
    #[must_use]
    pub fn timeouts(&self, client: Timeouts) -> Timeouts {
        let mut all = client;
        for (kind, ms) in &self.options.timeouts {
            all.set(*kind, (*ms > 0).then(|| Duration::from_millis(*ms)));
        }
        all
    }

    /// The conversation and its options as one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Document<'a> {
            apertis: u32,
            #[serde(flatten)]
            request: &'a Request,
        }
        // Maps with string keys and no user-defined serialiser: this cannot fail.
        serde_json::to_string(&Document { apertis: DOCUMENT, request: self }).unwrap_or_default()
    }

    /// Reads what [`Request::to_json`] wrote.
    pub fn from_json(text: &str) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            apertis: Option<u32>,
        }
        let invalid = |e: serde_json::Error| Error::new(Kind::InvalidJson, format!("not a saved request: {e}"));
        let head: Head = serde_json::from_str(text).map_err(invalid)?;
        match head.apertis {
            Some(DOCUMENT) => {}
            Some(other) => {
                return Err(Error::new(
                    Kind::InvalidJson,
                    format!("a saved request of version {other}; this library reads {DOCUMENT}"),
                ))
            }
            None => return Err(Error::new(Kind::InvalidJson, "not a saved request: it lacks the field \"apertis\"")),
        }
        serde_json::from_str(text).map_err(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_saved_request_comes_back_the_same() {
        let mut request = Request { api_key: Some(Secret::new("sk-secret")), ..Request::default() };
        request.turns.push(Turn::text(Role::System, "Be brief."));
        request.turns.push(Turn::text(Role::User, "Ünïcode \u{1f600}\n"));
        request
            .attach(Part::Media { media_type: "image/png".into(), source: Source::Data("AAAA".into()), file_name: None })
            .unwrap();
        request.options.temperature = Some(0.30000000000000004);
        request.options.json.insert("x".into(), Some(serde_json::from_str("1.50e3").unwrap()));
        request.options.tool_choice = Some(ToolChoice::Named("f".into()));
        let saved = request.to_json();
        assert!(!saved.contains("sk-secret"));
        let back = Request::from_json(&saved).unwrap();
        assert_eq!(back.to_json(), saved);
        assert_eq!(back.turns, request.turns);
        assert_eq!(back.options, request.options);
    }

    #[test]
    fn what_is_no_saved_request_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"apertis":2,"turns":[]}"#,
            r#"{"apertis":1}"#,
            r#"{"apertis":1,"turns":[{"role":"x","parts":[]}]}"#,
        ] {
            assert_eq!(Request::from_json(text).unwrap_err().kind(), Kind::InvalidJson, "{text}");
        }
    }
}

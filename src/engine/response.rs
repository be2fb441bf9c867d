//! The whole answer, the same whether it was streamed or not.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{json, Map, Value};

use super::format::Format;
use super::request::{Native, Part, Role, Turn};

/// Why the model stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Finish {
    #[default]
    Unknown,
    Stop,
    Length,
    ToolCalls,
    ContentFilter,
    Refusal,
    Paused,
    /// Cancelled or cut off.
    Interrupted,
}

impl Finish {
    /// The name in [`Response::to_json`].
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Stop => "stop",
            Self::Length => "length",
            Self::ToolCalls => "tool_calls",
            Self::ContentFilter => "content_filter",
            Self::Refusal => "refusal",
            Self::Paused => "paused",
            Self::Interrupted => "interrupted",
        }
    }
}

/// Tokens, as far as the provider said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: Option<u64>,
    pub output: Option<u64>,
    pub total: Option<u64>,
    pub cached_input: Option<u64>,
    pub cache_write: Option<u64>,
    pub reasoning: Option<u64>,
}

impl Usage {
    /// Adds what a further round used.
    pub fn add(&mut self, more: Self) {
        let sum = |a: &mut Option<u64>, b: Option<u64>| {
            if let Some(b) = b {
                *a = Some(a.unwrap_or(0).saturating_add(b));
            }
        };
        sum(&mut self.input, more.input);
        sum(&mut self.output, more.output);
        sum(&mut self.total, more.total);
        sum(&mut self.cached_input, more.cached_input);
        sum(&mut self.cache_write, more.cache_write);
        sum(&mut self.reasoning, more.reasoning);
    }
}

/// When things happened, counted from the call that started the stream; `None`: they did not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Timing {
    /// How long the request waited for its turn.
    pub queued: Option<Duration>,
    pub headers: Option<Duration>,
    pub first_delta: Option<Duration>,
    pub total: Option<Duration>,
}

/// A tool call as the caller sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ToolCall<'a> {
    pub id: &'a str,
    pub name: &'a str,
    pub arguments: &'a str,
}

/// An answer, or the part of one that came.
#[derive(Clone, Debug, Default)]
pub struct Response {
    pub format: Format,
    pub id: Option<String>,
    pub model: Option<String>,
    pub parts: Vec<Part>,
    pub finish: Finish,
    /// In the provider's word.
    pub finish_reason: Option<String>,
    pub usage: Usage,
    pub timing: Timing,
    pub attempts: u32,
    pub request_id: Option<String>,
    pub headers: Vec<(String, String)>,
    /// The assistant's turn in its provider's form.
    pub native: Option<Value>,
    /// The provider's own object; after a stream, put together.
    pub raw: Bytes,
    /// What went before in the tool rounds of this stream: calls and results.
    pub rounds: Vec<Turn>,
    /// The JSON in the text, where a schema was set and is satisfied.
    pub output: Option<String>,
}

/// All text parts, joined.
#[must_use]
pub fn text_of(parts: &[Part]) -> String {
    let pieces: Vec<&str> =
        parts.iter().filter_map(|p| if let Part::Text { text, .. } = p { Some(text.as_str()) } else { None }).collect();
    pieces.concat()
}

impl Response {
    /// All text parts, joined.
    #[must_use]
    pub fn text(&self) -> String {
        text_of(&self.parts)
    }

    /// The reasoning that may be shown; blocks are parted by an empty line.
    #[must_use]
    pub fn reasoning(&self) -> String {
        let mut all = String::new();
        for part in &self.parts {
            if let Part::Reasoning { text, .. } = part {
                if !all.is_empty() && !text.is_empty() {
                    all.push_str("\n\n");
                }
                all.push_str(text);
            }
        }
        all
    }

    /// The refusal; `None` where the model did not refuse in words.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        let pieces: Vec<&str> =
            self.parts.iter().filter_map(|p| if let Part::Refusal { text } = p { Some(text.as_str()) } else { None }).collect();
        let all = pieces.concat();
        (!all.is_empty()).then_some(all)
    }

    pub fn tool_calls(&self) -> impl Iterator<Item = ToolCall<'_>> {
        self.parts.iter().filter_map(|part| match part {
            Part::ToolCall { id, name, arguments, .. } => Some(ToolCall { id, name, arguments }),
            _ => None,
        })
    }

    /// Whether anything came that a caller could use: a piece of the answer, or the id to ask for it later.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.id.is_some()
            || self.parts.iter().any(|part| match part {
                Part::Text { text, .. } | Part::Refusal { text } | Part::Reasoning { text, .. } => !text.is_empty(),
                Part::ToolCall { .. } | Part::Other { .. } => true,
                _ => false,
            })
    }

    /// A header of the answer, by its name in any case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// What this answer adds to a conversation: the rounds before, and the assistant's turn.
    #[must_use]
    pub fn turns(&self) -> Vec<Turn> {
        let mut turns = self.rounds.clone();
        if !self.parts.is_empty() || self.native.is_some() {
            turns.push(Turn {
                role: Role::Assistant,
                parts: self.parts.clone(),
                native: self.native.clone().map(|value| Native { format: self.format, value }),
            });
        }
        turns
    }

    /// Everything in our own names, as documented in `include/apertis-response.schema.json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let tokens = |n: Option<u64>| n.map_or(Value::Null, Value::from);
        let micros =
            |d: Option<Duration>| d.map_or(Value::Null, |d| Value::from(u64::try_from(d.as_micros()).unwrap_or(u64::MAX)));
        let calls: Vec<Value> =
            self.tool_calls().map(|c| json!({"id": c.id, "name": c.name, "arguments": c.arguments})).collect();
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            headers.insert(name.clone(), Value::from(value.clone()));
        }
        json!({
            "format": self.format.name(),
            "id": self.id,
            "model": self.model,
            "text": self.text(),
            "reasoning": self.reasoning(),
            "refusal": self.refusal(),
            "tool_calls": calls,
            "finish": self.finish.name(),
            "finish_reason": self.finish_reason,
            "parts": self.parts,
            "output": self.output.as_deref().and_then(|json| serde_json::from_str::<Value>(json).ok()),
            "usage": {
                "input": tokens(self.usage.input),
                "output": tokens(self.usage.output),
                "total": tokens(self.usage.total),
                "cached_input": tokens(self.usage.cached_input),
                "cache_write": tokens(self.usage.cache_write),
                "reasoning": tokens(self.usage.reasoning),
            },
            "timing_us": {
                "queued": micros(self.timing.queued),
                "headers": micros(self.timing.headers),
                "first_delta": micros(self.timing.first_delta),
                "total": micros(self.timing.total),
            },
            "attempts": self.attempts,
            "request_id": self.request_id,
            "headers": headers,
            "rounds": self.rounds,
        })
    }
}

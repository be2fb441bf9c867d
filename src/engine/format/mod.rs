//! The three wire formats. A format is one file with three pure functions: the body of a request, the meaning of a whole
//! answer, and the meaning of one event of a streamed one. No I/O, no clock. A fourth format is one file and one line in
//! [`Format::codec`].

pub mod chat_completions;
#[cfg(test)]
mod conformance;
pub mod json;
#[cfg(test)]
mod lossless;
pub mod messages;
pub mod provider_error;
pub mod responses;

use std::ops::ControlFlow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::error::Result;
use super::models;
use super::request::Request;
use super::stream::accumulate::Accumulator;

/// A wire format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// OpenAI Chat Completions.
    #[default]
    ChatCompletions,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages.
    Messages,
}

/// What the caller chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FormatChoice {
    ChatCompletions,
    Responses,
    Messages,
    /// By the model's name.
    Auto,
}

/// A request with the client's defaults filled in, ready to be encoded.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    pub request: &'a Request,
    pub model: &'a str,
    /// `None`: not sent.
    pub temperature: Option<f64>,
    /// `None`: not sent, where the format allows that.
    pub max_tokens: Option<i64>,
    pub stream: bool,
}

/// How a key is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyHeader {
    /// `Authorization: Bearer KEY`
    Bearer,
    /// `x-api-key: KEY`
    XApiKey,
}

/// What a format is.
pub struct Codec {
    /// Below the base.
    pub path: &'static str,
    pub key: KeyHeader,
    /// Headers that the format wants, beside the usual ones; the caller may set them otherwise.
    pub headers: &'static [(&'static str, &'static str)],
    /// The body of a request; the caller's own fields are merged in afterwards.
    pub encode: fn(&Call<'_>) -> Result<Map<String, Value>>,
    /// A decoder for one answer.
    pub decoder: fn() -> Box<dyn Decoder>,
}

/// Turns one answer into deltas. What deltas amount to is the [`Accumulator`]'s business.
pub trait Decoder: Send {
    /// One event of a streamed answer: its name, where it had one, and its data. `Break` after the last one.
    fn frame(&mut self, name: &[u8], data: &[u8], out: &mut Accumulator) -> Result<ControlFlow<()>>;
    /// A whole answer that was not streamed.
    fn body(&mut self, body: &Value, out: &mut Accumulator) -> Result<()>;
    /// Whether what came is a whole answer. Asked at the end of the bytes.
    fn is_complete(&self) -> bool;
    /// The provider's own object and the assistant's turn in it, from all that came.
    fn assemble(&mut self, out: &Accumulator) -> Assembled;
}

/// What a decoder puts together at the end.
#[derive(Debug, Default)]
pub struct Assembled {
    /// The provider's object as it would have come unstreamed.
    pub raw: Value,
    /// The assistant's turn; `None` where there is none to replay.
    pub native: Option<Value>,
}

impl Format {
    /// The format's functions.
    #[must_use]
    pub fn codec(self) -> &'static Codec {
        match self {
            Self::ChatCompletions => &chat_completions::CODEC,
            Self::Responses => &responses::CODEC,
            Self::Messages => &messages::CODEC,
        }
    }

    /// The name in documents.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::ChatCompletions => "chat_completions",
            Self::Responses => "responses",
            Self::Messages => "messages",
        }
    }
}

impl FormatChoice {
    /// The format for a model.
    #[must_use]
    pub fn resolve(self, model: &str) -> Format {
        match self {
            Self::ChatCompletions => Format::ChatCompletions,
            Self::Responses => Format::Responses,
            Self::Messages => Format::Messages,
            Self::Auto => models::family(model).format,
        }
    }
}

/// The tool that a model without structured output gives its answer with, where the format does it so.
#[must_use]
pub fn answer_tool(format: Format, call: &Call<'_>) -> Option<String> {
    let output = (format == Format::Messages).then(|| messages::answer_tool(call)).flatten();
    output.map(|output| output.name.clone())
}

/// The body of a request: what the format makes of it, then the gateway's own fields, then the caller's, last.
pub fn body(format: Format, call: &Call<'_>) -> Result<Map<String, Value>> {
    let mut body = (format.codec().encode)(call)?;
    let options = &call.request.options;
    if !options.fallback_models.is_empty() {
        body.insert("fallback_enabled".into(), Value::Bool(true));
        body.insert("fallback_models".into(), Value::from(options.fallback_models.clone()));
    }
    for (field, value) in &options.json {
        match value {
            Some(value) => body.insert(field.clone(), value.clone()),
            None => body.shift_remove(field),
        };
    }
    Ok(body)
}

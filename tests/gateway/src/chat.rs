//! Chat Completions.

use std::sync::Arc;

use serde_json::{json, Map, Value};

use crate::answer::{Answer, Finish, Step};
use crate::failure::Failure;
use crate::format::{inside, quote, Format};
use crate::script::{ToolStyle, Usage};
use crate::stream::Writer;

const SIGNATURE: &str = "bG9vcGJhY2stc2lnbmF0dXJl";

fn finish(answer: &Answer) -> Value {
    match &answer.finish {
        Finish::Reason(reason) => json!(reason),
        Finish::Never => Value::Null,
        Finish::Usual if answer.tools.is_empty() => json!("stop"),
        Finish::Usual => json!("tool_calls"),
    }
}

fn usage(usage: Option<Usage>) -> Value {
    usage.map_or(Value::Null, |usage| {
        json!({
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input.saturating_add(usage.output),
            "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": 0},
            "completion_tokens_details": {
                "reasoning_tokens": usage.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
        })
    })
}

/// The field or fields that hold this much of the reasoning.
fn reasoning(answer: &Answer, text: &str, signature: Option<&str>) -> (String, Value) {
    let value = if answer.reasoning_field == "reasoning_details" {
        let mut entry = json!({"type": "reasoning.text", "text": text, "format": "unknown", "index": 0});
        if let Some(signature) = signature {
            entry["signature"] = json!(signature);
        }
        json!([entry])
    } else {
        json!(text)
    };
    (answer.reasoning_field.clone(), value)
}

/// The answer that is not streamed.
pub fn whole(answer: &Answer) -> Value {
    let mut message = Map::new();
    message.insert("role".into(), json!("assistant"));
    message.insert("content".into(), json!(answer.text.as_deref()));
    message.insert("refusal".into(), json!(answer.refusal.as_deref()));
    if let Some(text) = &answer.reasoning {
        let (field, value) = reasoning(answer, text, Some(SIGNATURE));
        message.insert(field, value);
    }
    if !answer.tools.is_empty() {
        let calls: Vec<_> = answer
            .tools
            .iter()
            .map(|tool| {
                let function = json!({"name": tool.name, "arguments": &*tool.arguments});
                json!({"id": tool.id, "type": "function", "function": function})
            })
            .collect();
        message.insert("tool_calls".into(), calls.into());
    }
    message.insert("annotations".into(), json!([]));
    let mut body = json!({
        "id": answer.id,
        "object": "chat.completion",
        "created": answer.created,
        "model": answer.model,
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish(answer)}],
        "service_tier": "default",
        "system_fingerprint": "fp_loopback",
    });
    if answer.usage.is_some() {
        body["usage"] = usage(answer.usage);
    }
    body
}

/// Writes the chunks of a stream.
pub struct Stream {
    answer: Arc<Answer>,
    request_id: String,
    /// `{"id":...` up to the choices: the same in every chunk.
    head: String,
    wants_usage: bool,
}

impl Stream {
    /// A stream of this answer.
    pub fn new(answer: Arc<Answer>, request_id: &str) -> Self {
        let head = inside(&json!({
            "id": answer.id,
            "object": "chat.completion.chunk",
            "created": answer.created,
            "model": answer.model,
            "service_tier": "default",
            "system_fingerprint": "fp_loopback",
        }));
        let wants_usage = answer.request["stream_options"]["include_usage"] == json!(true);
        Self { answer, request_id: request_id.to_owned(), head, wants_usage }
    }

    fn chunk(&self, delta: &str, finish: &str) -> String {
        let head = &self.head;
        let usage = if self.wants_usage { ",\"usage\":null" } else { "" };
        format!(
            "data: {{{head},\"choices\":[{{\"index\":0,\"delta\":{delta},\"logprobs\":null,\
             \"finish_reason\":{finish}}}]{usage}}}\n\n"
        )
    }

    fn delta(&self, field: &str, value: &str) -> String {
        self.chunk(&format!("{{\"{field}\":{value}}}"), "null")
    }

    fn call(&self, index: usize, arguments: &str) -> String {
        let tool = &self.answer.tools[index];
        let mut call = Map::new();
        if self.answer.tool_style != ToolStyle::NoIndex {
            call.insert("index".into(), json!(index));
        }
        call.insert("id".into(), json!(tool.id));
        call.insert("type".into(), json!("function"));
        let function = json!({"name": tool.name, "arguments": arguments});
        call.insert("function".into(), function);
        self.delta("tool_calls", &json!([call]).to_string())
    }

    fn arguments(&self, index: usize, piece: &str) -> String {
        let piece = quote(piece);
        let value = if self.answer.tool_style == ToolStyle::NoIndex {
            format!("[{{\"function\":{{\"arguments\":{piece}}}}}]")
        } else {
            format!("[{{\"index\":{index},\"function\":{{\"arguments\":{piece}}}}}]")
        };
        self.delta("tool_calls", &value)
    }

    fn end(&self) -> String {
        let mut out = self.chunk("{}", &finish(&self.answer).to_string());
        if self.wants_usage && self.answer.usage.is_some() {
            let (head, usage) = (&self.head, usage(self.answer.usage));
            out.push_str(&format!("data: {{{head},\"choices\":[],\"usage\":{usage}}}\n\n"));
        }
        if self.answer.done != Some(false) {
            out.push_str("data: [DONE]\n\n");
        }
        out
    }
}

impl Writer for Stream {
    fn step(&mut self, step: Step) -> String {
        let whole = self.answer.tool_style == ToolStyle::Whole;
        let details = self.answer.reasoning_field == "reasoning_details";
        match step {
            Step::Start => {
                // A role chunk with nothing but calls behind it has no content.
                let content = if self.answer.text.is_some() || self.answer.tools.is_empty() { "\"\"" } else { "null" };
                let delta = format!("{{\"role\":\"assistant\",\"content\":{content},\"refusal\":null}}");
                self.chunk(&delta, "null")
            }
            Step::Reasoning(piece) => {
                let (field, value) = reasoning(&self.answer, &piece, None);
                self.delta(&field, &value.to_string())
            }
            Step::ReasoningEnd if details => {
                let entry = json!([{"type": "reasoning.text", "signature": SIGNATURE,
                    "format": "unknown", "index": 0}]);
                self.delta("reasoning_details", &entry.to_string())
            }
            Step::Text(piece) => self.delta("content", &quote(&piece)),
            Step::Refusal(piece) => self.delta("refusal", &quote(&piece)),
            Step::ToolStart(index) if !whole => self.call(index, ""),
            Step::Tool(index, piece) if whole => self.call(index, &piece),
            Step::Tool(index, piece) => self.arguments(index, &piece),
            Step::Finish => self.end(),
            _ => String::new(),
        }
    }

    fn failure(&mut self, failure: &Failure) -> String {
        let body = failure.body(Format::Chat, &self.request_id);
        format!("data: {body}\n\n")
    }
}

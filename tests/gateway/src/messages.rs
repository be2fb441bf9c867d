//! Messages.

use std::sync::Arc;

use serde_json::{json, Value};

use crate::answer::{Answer, Finish, Step, Tool};
use crate::failure::Failure;
use crate::format::{inside, quote, Format};
use crate::script::{ToolStyle, Usage};
use crate::stream::Writer;

const SIGNATURE: &str = "bG9vcGJhY2stc2lnbmF0dXJlLW9mLXRoZS10aGlua2luZy1ibG9jaw==";

fn stop_reason(answer: &Answer) -> Value {
    match &answer.finish {
        Finish::Reason(reason) => json!(reason),
        Finish::Never => Value::Null,
        Finish::Usual if !answer.tools.is_empty() => json!("tool_use"),
        Finish::Usual if answer.refusal.is_some() => json!("refusal"),
        Finish::Usual => json!("end_turn"),
    }
}

fn stop_sequence(answer: &Answer) -> Value {
    if answer.finish == Finish::Reason("stop_sequence".into()) {
        answer.request["stop_sequences"][0].clone()
    } else {
        Value::Null
    }
}

/// A refusal has no block of its own: its words are the explanation.
fn stop_details(answer: &Answer) -> Value {
    answer.refusal.as_deref().map_or(Value::Null, |text| json!({"type": "refusal", "category": null, "explanation": text}))
}

/// Input tokens do not include the cached ones here, unlike everywhere else.
fn usage(usage: Usage, output: u64) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": output,
        "service_tier": "standard",
    })
}

fn with_thinking(mut value: Value, usage: Usage) -> Value {
    if usage.reasoning > 0 {
        value["output_tokens_details"] = json!({"thinking_tokens": usage.reasoning});
    }
    value
}

/// The input is an object; arguments that are none are shown as the text they are.
fn input(tool: &Tool) -> Value {
    if tool.arguments.trim().is_empty() {
        return json!({});
    }
    serde_json::from_str(&tool.arguments).unwrap_or_else(|_| json!(&*tool.arguments))
}

/// The answer that is not streamed.
pub fn whole(answer: &Answer) -> Value {
    let mut content = Vec::new();
    if let Some(text) = &answer.reasoning {
        content.push(json!({"type": "thinking", "thinking": &**text, "signature": SIGNATURE}));
    }
    if let Some(text) = answer.text.as_deref().filter(|text| !text.is_empty()) {
        content.push(json!({"type": "text", "text": text}));
    }
    for tool in &answer.tools {
        content.push(json!({"type": "tool_use", "id": tool.id, "name": tool.name, "input": input(tool)}));
    }
    let mut body = json!({
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": content,
        "stop_reason": stop_reason(answer),
        "stop_sequence": stop_sequence(answer),
        "stop_details": stop_details(answer),
    });
    if let Some(counts) = answer.usage {
        body["usage"] = with_thinking(usage(counts, counts.output), counts);
    }
    body
}

fn event(kind: &str, fields: &str) -> String {
    let comma = if fields.is_empty() { "" } else { "," };
    format!("event: {kind}\ndata: {{\"type\":\"{kind}\"{comma}{fields}}}\n\n")
}

/// Writes the events of a stream.
pub struct Stream {
    answer: Arc<Answer>,
    request_id: String,
    /// Blocks that were opened; the last one's index is one less.
    blocks: usize,
    /// The index of each call's block.
    calls: Vec<usize>,
}

impl Stream {
    /// A stream of this answer.
    pub fn new(answer: Arc<Answer>, request_id: &str) -> Self {
        Self { answer, request_id: request_id.to_owned(), blocks: 0, calls: Vec::new() }
    }

    fn start(&self) -> String {
        let answer = &self.answer;
        let mut message = json!({
            "id": answer.id,
            "type": "message",
            "role": "assistant",
            "model": answer.model,
            "content": [],
            "stop_reason": null,
            "stop_sequence": null,
            "stop_details": null,
        });
        if let Some(counts) = answer.usage {
            message["usage"] = usage(counts, 1.min(counts.output));
        }
        event("message_start", &format!("\"message\":{message}"))
    }

    fn open(&mut self, block: &Value) -> String {
        let index = self.blocks;
        self.blocks += 1;
        let mut out = event("content_block_start", &format!("\"index\":{index},\"content_block\":{block}"));
        if index == 0 {
            out.push_str(&event("ping", ""));
        }
        out
    }

    fn delta(index: usize, kind: &str, field: &str, value: &str) -> String {
        let delta = format!("{{\"type\":\"{kind}\",\"{field}\":{value}}}");
        event("content_block_delta", &format!("\"index\":{index},\"delta\":{delta}"))
    }

    fn close(index: usize) -> String {
        event("content_block_stop", &format!("\"index\":{index}"))
    }

    fn last(&self) -> usize {
        self.blocks.saturating_sub(1)
    }

    fn open_call(&mut self, index: usize, with_input: bool) -> String {
        let tool = &self.answer.tools[index];
        let input = if with_input { input(tool) } else { json!({}) };
        let block = json!({"type": "tool_use", "id": tool.id, "name": tool.name, "input": input});
        self.calls.push(self.blocks);
        self.open(&block)
    }

    fn end(&self) -> String {
        let answer = &self.answer;
        let delta = json!({
            "stop_reason": stop_reason(answer),
            "stop_sequence": stop_sequence(answer),
            "stop_details": stop_details(answer),
        });
        let usage = answer.usage.map(|counts| {
            let value = json!({
                "input_tokens": counts.input.saturating_sub(counts.cached),
                "cache_creation_input_tokens": 0,
                "cache_read_input_tokens": counts.cached,
                "output_tokens": counts.output,
            });
            format!(",\"usage\":{}", with_thinking(value, counts))
        });
        let fields = format!("\"delta\":{delta}{}", usage.unwrap_or_default());
        let mut out = event("message_delta", &fields);
        if answer.done != Some(false) {
            out.push_str(&event("message_stop", ""));
        }
        if answer.done == Some(true) {
            out.push_str("data: [DONE]\n\n");
        }
        out
    }
}

impl Writer for Stream {
    fn step(&mut self, step: Step) -> String {
        let whole = self.answer.tool_style == ToolStyle::Whole;
        let empty = self.answer.text.as_deref() == Some("");
        match step {
            Step::Start => self.start(),
            Step::ReasoningStart => self.open(&json!({"type": "thinking", "thinking": "", "signature": ""})),
            Step::Reasoning(piece) => Self::delta(self.last(), "thinking_delta", "thinking", &quote(&piece)),
            Step::ReasoningEnd => {
                let index = self.last();
                let signature = quote(SIGNATURE);
                let mut out = Self::delta(index, "signature_delta", "signature", &signature);
                out.push_str(&Self::close(index));
                out
            }
            Step::TextStart if !empty => self.open(&json!({"type": "text", "text": ""})),
            Step::Text(piece) => Self::delta(self.last(), "text_delta", "text", &quote(&piece)),
            Step::TextEnd if !empty => Self::close(self.last()),
            Step::ToolStart(index) if !whole => {
                let mut out = self.open_call(index, false);
                let at = self.last();
                out.push_str(&Self::delta(at, "input_json_delta", "partial_json", "\"\""));
                out
            }
            Step::Tool(index, _) if whole => self.open_call(index, true),
            Step::Tool(index, piece) => {
                let at = self.calls.get(index).copied().unwrap_or_default();
                Self::delta(at, "input_json_delta", "partial_json", &quote(&piece))
            }
            Step::ToolEnd(index) => Self::close(self.calls.get(index).copied().unwrap_or_default()),
            Step::Finish => self.end(),
            _ => String::new(),
        }
    }

    fn failure(&mut self, failure: &Failure) -> String {
        let body = failure.body(Format::Messages, &self.request_id);
        event("error", &inside(&body).replacen("\"type\":\"error\",", "", 1))
    }
}

//! Responses.

use std::sync::Arc;

use serde_json::{json, Value};

use crate::answer::{Answer, Finish, Step};
use crate::failure::Failure;
use crate::format::{inside, quote};
use crate::script::ToolStyle;
use crate::stream::Writer;

const ENCRYPTED: &str = "Z0FBQUFBbG9vcGJhY2stZW5jcnlwdGVkLXJlYXNvbmluZw==";

/// How a response stands at its end: status, and why it is incomplete.
fn status(answer: &Answer) -> (&str, Option<&str>) {
    let Finish::Reason(reason) = &answer.finish else {
        return ("completed", None);
    };
    match reason.as_str() {
        "" | "stop" | "tool_calls" | "completed" => ("completed", None),
        "failed" | "cancelled" | "queued" | "in_progress" => (reason, None),
        "length" => ("incomplete", Some("max_output_tokens")),
        other => ("incomplete", Some(other)),
    }
}

fn item_status(answer: &Answer) -> &'static str {
    match status(answer).0 {
        "incomplete" => "incomplete",
        _ => "completed",
    }
}

fn suffix(answer: &Answer) -> &str {
    answer.id.strip_prefix("resp_").unwrap_or(&answer.id)
}

fn reasoning_id(answer: &Answer) -> String {
    format!("rs_{}", suffix(answer))
}

fn message_id(answer: &Answer) -> String {
    format!("msg_{}", suffix(answer))
}

fn call_id(answer: &Answer, index: usize) -> String {
    format!("fc_{}_{}", suffix(answer), index + 1)
}

fn reasoning_item(answer: &Answer, done: bool) -> Value {
    let summary = match &answer.reasoning {
        Some(text) if done => json!([{"type": "summary_text", "text": &**text}]),
        _ => json!([]),
    };
    let mut item = json!({"id": reasoning_id(answer), "type": "reasoning", "summary": summary});
    let asked = answer.request["include"].as_array();
    if asked.is_some_and(|asked| asked.contains(&json!("reasoning.encrypted_content"))) {
        item["encrypted_content"] = json!(ENCRYPTED);
    }
    item
}

fn text_part(text: &str) -> Value {
    json!({"type": "output_text", "annotations": [], "logprobs": [], "text": text})
}

fn refusal_part(text: &str) -> Value {
    json!({"type": "refusal", "refusal": text})
}

fn message_item(answer: &Answer, done: bool) -> Value {
    let mut content = Vec::new();
    if done {
        content.extend(answer.text.as_deref().map(text_part));
        content.extend(answer.refusal.as_deref().map(refusal_part));
    }
    let status = if done { item_status(answer) } else { "in_progress" };
    json!({"id": message_id(answer), "type": "message", "status": status, "content": content, "role": "assistant"})
}

fn call_item(answer: &Answer, index: usize, done: bool) -> Value {
    let tool = &answer.tools[index];
    let (status, arguments) = if done { ("completed", &*tool.arguments) } else { ("in_progress", "") };
    json!({"id": call_id(answer, index), "type": "function_call", "status": status,
        "arguments": arguments, "call_id": tool.id, "name": tool.name})
}

fn output(answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    if answer.reasoning.is_some() {
        items.push(reasoning_item(answer, true));
    }
    if answer.text.is_some() || answer.refusal.is_some() {
        items.push(message_item(answer, true));
    }
    items.extend((0..answer.tools.len()).map(|index| call_item(answer, index, true)));
    items
}

fn usage(answer: &Answer) -> Value {
    answer.usage.map_or(Value::Null, |usage| {
        json!({
            "input_tokens": usage.input,
            "input_tokens_details": {"cached_tokens": usage.cached},
            "output_tokens": usage.output,
            "output_tokens_details": {"reasoning_tokens": usage.reasoning},
            "total_tokens": usage.input.saturating_add(usage.output),
        })
    })
}

/// The response object; `output` and usage are empty while it is in progress.
fn object(answer: &Answer, status: &str, output: Vec<Value>, usage: Value) -> Value {
    let request = &answer.request;
    let asked = |name: &str, default: Value| match &request[name] {
        Value::Null => default,
        given => given.clone(),
    };
    json!({
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "background": asked("background", json!(false)),
        "error": null,
        "incomplete_details": null,
        "instructions": asked("instructions", Value::Null),
        "max_output_tokens": asked("max_output_tokens", Value::Null),
        "model": answer.model,
        "output": output,
        "parallel_tool_calls": asked("parallel_tool_calls", json!(true)),
        "previous_response_id": asked("previous_response_id", Value::Null),
        "reasoning": asked("reasoning", json!({"effort": null, "summary": null})),
        "service_tier": "default",
        "store": asked("store", json!(true)),
        "temperature": asked("temperature", json!(1.0)),
        "text": asked("text", json!({"format": {"type": "text"}})),
        "tool_choice": asked("tool_choice", json!("auto")),
        "tools": asked("tools", json!([])),
        "top_p": asked("top_p", json!(1.0)),
        "truncation": asked("truncation", json!("disabled")),
        "usage": usage,
        "user": asked("user", Value::Null),
        "metadata": asked("metadata", json!({})),
    })
}

/// The answer that is not streamed, or the response of the last event.
pub fn whole(answer: &Answer) -> Value {
    let (status, why) = match answer.finish {
        Finish::Never => ("in_progress", None),
        _ => status(answer),
    };
    let mut body = object(answer, status, output(answer), usage(answer));
    if let Some(why) = why {
        body["incomplete_details"] = json!({"reason": why});
    }
    if status == "failed" {
        body["error"] = json!({"code": "server_error",
            "message": "The loopback gateway was told to fail."});
    }
    body
}

/// Writes the events of a stream.
pub struct Stream {
    answer: Arc<Answer>,
    sequence: u64,
    /// Items that were added.
    items: usize,
    /// The output index of each call.
    calls: Vec<usize>,
    /// The fields that say where a delta belongs: the same for all deltas of a part.
    place: String,
    /// The output index of the message, once there is one: text and refusal share it.
    message: Option<usize>,
}

impl Stream {
    /// A stream of this answer.
    pub fn new(answer: Arc<Answer>) -> Self {
        Self { answer, sequence: 0, items: 0, calls: Vec::new(), place: String::new(), message: None }
    }

    fn event(&mut self, kind: &str, fields: &str) -> String {
        let number = self.sequence;
        self.sequence += 1;
        format!("event: {kind}\ndata: {{\"type\":\"{kind}\",\"sequence_number\":{number},{fields}}}\n\n")
    }

    fn at(&mut self, kind: &str, name: &str, value: &str) -> String {
        let fields = format!("{},\"{name}\":{value}", self.place);
        self.event(kind, &fields)
    }

    fn item(&mut self, kind: &str, index: usize, item: &Value) -> String {
        let fields = format!("\"output_index\":{index},\"item\":{item}");
        self.event(kind, &fields)
    }

    fn add(&mut self, item: &Value) -> (usize, String) {
        let index = self.items;
        self.items += 1;
        (index, self.item("response.output_item.added", index, item))
    }

    fn start(&mut self) -> String {
        let response = object(&self.answer, "in_progress", Vec::new(), Value::Null);
        let fields = format!("\"response\":{response}");
        let mut out = self.event("response.created", &fields);
        out.push_str(&self.event("response.in_progress", &fields));
        out
    }

    fn reasoning_start(&mut self) -> String {
        let (index, mut out) = self.add(&reasoning_item(&self.answer, false));
        self.place = inside(&json!({"item_id": reasoning_id(&self.answer),
            "output_index": index, "summary_index": 0}));
        let part = json!({"type": "summary_text", "text": ""}).to_string();
        out.push_str(&self.at("response.reasoning_summary_part.added", "part", &part));
        out
    }

    fn reasoning_end(&mut self) -> String {
        let answer = Arc::clone(&self.answer);
        let text = answer.reasoning.as_deref().unwrap_or_default();
        let part = json!({"type": "summary_text", "text": text}).to_string();
        let mut out = self.at("response.reasoning_summary_text.done", "text", &quote(text));
        out.push_str(&self.at("response.reasoning_summary_part.done", "part", &part));
        let item = reasoning_item(&answer, true);
        let index = self.items - 1;
        out.push_str(&self.item("response.output_item.done", index, &item));
        out
    }

    fn part_start(&mut self, content_index: usize, part: &Value) -> String {
        let mut out = String::new();
        let index = match self.message {
            Some(index) => index,
            None => {
                let (index, added) = self.add(&message_item(&self.answer, false));
                self.message = Some(index);
                out.push_str(&added);
                index
            }
        };
        self.place = inside(&json!({"item_id": message_id(&self.answer),
            "output_index": index, "content_index": content_index}));
        out.push_str(&self.at("response.content_part.added", "part", &part.to_string()));
        out
    }

    fn message_end(&mut self) -> String {
        let item = message_item(&self.answer, true);
        let index = self.message.unwrap_or_default();
        self.item("response.output_item.done", index, &item)
    }

    fn text_end(&mut self) -> String {
        let answer = Arc::clone(&self.answer);
        let text = answer.text.as_deref().unwrap_or_default();
        let fields = format!("{},\"text\":{},\"logprobs\":[]", self.place, quote(text));
        let mut out = self.event("response.output_text.done", &fields);
        let part = text_part(text).to_string();
        out.push_str(&self.at("response.content_part.done", "part", &part));
        if answer.refusal.is_none() {
            out.push_str(&self.message_end());
        }
        out
    }

    fn refusal_end(&mut self) -> String {
        let answer = Arc::clone(&self.answer);
        let text = answer.refusal.as_deref().unwrap_or_default();
        let mut out = self.at("response.refusal.done", "refusal", &quote(text));
        let part = refusal_part(text).to_string();
        out.push_str(&self.at("response.content_part.done", "part", &part));
        out.push_str(&self.message_end());
        out
    }

    fn call_place(&self, index: usize) -> String {
        let at = self.calls.get(index).copied().unwrap_or_default();
        inside(&json!({"item_id": call_id(&self.answer, index), "output_index": at}))
    }

    fn call_end(&mut self, index: usize) -> String {
        let answer = Arc::clone(&self.answer);
        let arguments = quote(&answer.tools[index].arguments);
        let fields = format!("{},\"arguments\":{arguments}", self.call_place(index));
        let mut out = self.event("response.function_call_arguments.done", &fields);
        let at = self.calls.get(index).copied().unwrap_or_default();
        let item = call_item(&answer, index, true);
        out.push_str(&self.item("response.output_item.done", at, &item));
        out
    }

    fn end(&mut self) -> String {
        let mut out = String::new();
        if self.answer.done != Some(false) {
            let response = whole(&self.answer);
            let kind = match response["status"].as_str() {
                Some("incomplete") => "response.incomplete",
                Some("failed") => "response.failed",
                _ => "response.completed",
            };
            out.push_str(&self.event(kind, &format!("\"response\":{response}")));
        }
        if self.answer.done == Some(true) {
            out.push_str("data: [DONE]\n\n");
        }
        out
    }
}

impl Writer for Stream {
    fn step(&mut self, step: Step) -> String {
        match step {
            Step::Start => self.start(),
            Step::ReasoningStart => self.reasoning_start(),
            Step::Reasoning(piece) => self.at("response.reasoning_summary_text.delta", "delta", &quote(&piece)),
            Step::ReasoningEnd => self.reasoning_end(),
            Step::TextStart => self.part_start(0, &text_part("")),
            Step::Text(piece) => {
                let fields = format!("{},\"delta\":{},\"logprobs\":[]", self.place, quote(&piece));
                self.event("response.output_text.delta", &fields)
            }
            Step::TextEnd => self.text_end(),
            Step::RefusalStart => {
                let index = usize::from(self.answer.text.is_some());
                self.part_start(index, &refusal_part(""))
            }
            Step::Refusal(piece) => self.at("response.refusal.delta", "delta", &quote(&piece)),
            Step::RefusalEnd => self.refusal_end(),
            Step::ToolStart(index) => {
                let (at, out) = self.add(&call_item(&self.answer, index, false));
                self.calls.push(at);
                out
            }
            // Some gateways send arguments only where they are done.
            Step::Tool(..) if self.answer.tool_style == ToolStyle::Whole => String::new(),
            Step::Tool(index, piece) => {
                let fields = format!("{},\"delta\":{}", self.call_place(index), quote(&piece));
                self.event("response.function_call_arguments.delta", &fields)
            }
            Step::ToolEnd(index) => self.call_end(index),
            Step::Finish => self.end(),
        }
    }

    fn failure(&mut self, failure: &Failure) -> String {
        let fields = inside(&json!({"code": failure.some_code(),
            "message": failure.message, "param": null}));
        let mut out = self.event("error", &fields);
        let mut response = object(&self.answer, "failed", Vec::new(), Value::Null);
        response["error"] = json!({"code": failure.some_code(), "message": failure.message});
        out.push_str(&self.event("response.failed", &format!("\"response\":{response}")));
        out
    }
}

//! From the events of Messages, or from a whole message, to deltas.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::ControlFlow;

use serde::de::IgnoredAny;
use serde::Deserialize;
use serde_json::{json, Map, Value};

use crate::engine::error::{Error, Kind, Result};
use crate::engine::format::json::{self, count, object, text};
use crate::engine::format::{provider_error, Assembled, Decoder};
use crate::engine::request::Part;
use crate::engine::response::{Finish, Usage};
use crate::engine::stream::accumulate::{Accumulator, At};

/// Decodes one answer.
#[derive(Default)]
pub struct MessagesDecoder {
    /// The message's fields in the order in which they came; content and usage are put into their places at the end.
    message: Map<String, Value>,
    /// What the start said, overwritten by what was said later.
    usage: Map<String, Value>,
    blocks: Vec<Block>,
    by_index: HashMap<u64, usize>,
    /// The index of a block that comes without one.
    next_index: u64,
    started: bool,
    /// Why the model stopped is known.
    stopped: bool,
    /// The end was said.
    done: bool,
}

/// One content block.
struct Block {
    at: At,
    index: u64,
    what: What,
    /// The block as it began; what came in pieces is in the part. Of an opaque block the part has everything.
    json: Map<String, Value>,
    /// The pieces of an opaque block's input.
    input: String,
    /// Whether the input came in pieces: then what the start said of it does not count.
    in_pieces: bool,
    closed: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Text,
    Thinking,
    /// Thinking that only the provider can read.
    Redacted,
    /// A call for the caller to execute.
    Call,
    /// Server tools, their results, and what is not known yet: kept as it came.
    Opaque,
}

/// The event that nearly all events are, without a copy of what it holds.
#[derive(Deserialize)]
struct Hot<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    index: u64,
    #[serde(borrow)]
    delta: HotDelta<'a>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct HotDelta<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(borrow)]
    text: Option<Borrowed<'a>>,
    #[serde(borrow)]
    thinking: Option<Borrowed<'a>>,
    #[serde(borrow)]
    partial_json: Option<Borrowed<'a>>,
}

/// An `Option<Cow<str>>` is always owned; one around this is not.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

impl Decoder for MessagesDecoder {
    fn frame(&mut self, name: &[u8], data: &[u8], out: &mut Accumulator) -> Result<ControlFlow<()>> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if data == b"[DONE]" {
            self.end(out);
            return Ok(ControlFlow::Break(()));
        }
        // The name is a hint only; what counts is the type inside.
        if matches!(name, b"" | b"content_block_delta") && self.hot(data, out) {
            return Ok(ControlFlow::Continue(()));
        }
        let name = std::str::from_utf8(name).unwrap_or("");
        let Some(event) = json::parse_event(data)? else {
            let said = Value::from(String::from_utf8_lossy(data));
            if name == "error" {
                return Err(failure(&said));
            }
            out.other(&said);
            return Ok(ControlFlow::Continue(()));
        };
        self.event(name, &event, out)
    }

    fn body(&mut self, body: &Value, out: &mut Accumulator) -> Result<()> {
        if let Some(error) = provider_error::inside_success(body) {
            return Err(error);
        }
        match body.as_object() {
            Some(message) if message.contains_key("content") || text(message, "stop_reason").is_some() => {
                self.whole(message, out)
            }
            _ => Err(Error::new(Kind::Protocol, "the answer is no message: it has no content")),
        }
    }

    fn is_complete(&self) -> bool {
        self.stopped || self.done
    }

    fn assemble(&mut self, out: &Accumulator) -> Assembled {
        if !self.started && self.blocks.is_empty() {
            return Assembled::default();
        }
        // Blocks have their places by index; those that share one stay in the order in which they came.
        self.blocks.sort_by_key(|block| block.index);
        self.by_index.clear();
        let content: Vec<Value> = self.blocks.iter().map(|block| block.assemble(out.parts())).collect();
        let native = self.native(&content, out.finish);
        let mut raw = std::mem::take(&mut self.message);
        if !self.started {
            raw.extend([("type".to_owned(), "message".into()), ("role".to_owned(), "assistant".into())]);
        }
        raw.insert("content".into(), content.into());
        if !self.usage.is_empty() {
            raw.insert("usage".into(), std::mem::take(&mut self.usage).into());
        }
        Assembled { raw: raw.into(), native }
    }
}

impl MessagesDecoder {
    /// Takes a delta of text, thinking or arguments; false where it is not quite such a one.
    fn hot(&mut self, data: &[u8], out: &mut Accumulator) -> bool {
        let Ok(Hot { kind: "content_block_delta", index, delta, error: None }) = serde_json::from_slice(data) else {
            return false;
        };
        let Some(block) = self.by_index.get(&index).and_then(|n| self.blocks.get_mut(*n)) else { return false };
        match (delta.kind, block.what, delta.text, delta.thinking, delta.partial_json) {
            ("text_delta", What::Text, Some(piece), ..) | ("thinking_delta", What::Thinking, _, Some(piece), _) => {
                out.piece(block.at, &piece.0);
            }
            ("input_json_delta", What::Call, _, _, Some(piece)) => {
                block.in_pieces |= !piece.0.is_empty();
                out.arguments(block.at, &piece.0);
            }
            _ => return false,
        }
        true
    }

    fn event(&mut self, name: &str, event: &Value, out: &mut Accumulator) -> Result<ControlFlow<()>> {
        let Some(fields) = event.as_object() else {
            out.other(event);
            return Ok(ControlFlow::Continue(()));
        };
        if let Some(error) = provider_error::inside_success(event) {
            return Err(error);
        }
        match text(fields, "type").unwrap_or(name) {
            "message_start" => match object(fields, "message") {
                Some(message) => self.start(message, out)?,
                None => self.started = true,
            },
            "content_block_start" => {
                if let Some(block) = object(fields, "content_block") {
                    let index = count(fields.get("index")).unwrap_or(self.next_index);
                    let n = self.open(index, block, out);
                    if self.blocks[n].what == What::Opaque {
                        out.other(event);
                    }
                }
            }
            "content_block_delta" => self.delta(fields, event, out),
            "content_block_stop" => {
                if let Some(n) = self.find(fields) {
                    self.blocks[n].close(out);
                }
            }
            "message_delta" => {
                if let Some(usage) = object(fields, "usage") {
                    self.take_usage(usage, out);
                }
                self.keep(fields, &["type", "delta", "usage"]);
                if let Some(delta) = object(fields, "delta") {
                    self.keep(delta, &[]);
                    self.take_stop(delta, out);
                }
            }
            "message_stop" => {
                self.keep(fields, &["type"]);
                self.end(out);
                return Ok(ControlFlow::Break(()));
            }
            "message" => self.whole(fields, out)?,
            "ping" => {}
            // The type may be the error's own.
            _ if name == "error" => return Err(failure(event)),
            _ if fields.is_empty() => {}
            _ => out.other(event),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// A message as it begins, or all of it.
    fn start(&mut self, message: &Map<String, Value>, out: &mut Accumulator) -> Result<()> {
        let id = text(message, "id");
        if self.started {
            return match (id, out.id.as_deref()) {
                (Some(new), Some(known)) if new != known => {
                    Err(Error::new(Kind::Protocol, "another message begins inside this one: two answers were mixed up"))
                }
                _ => Ok(()),
            };
        }
        self.started = true;
        out.id = id.map(str::to_owned);
        out.model = text(message, "model").map(str::to_owned);
        for (field, value) in message {
            let value = if field == "content" { Value::Array(Vec::new()) } else { value.clone() };
            self.message.insert(field.clone(), value);
        }
        match message.get("content") {
            Some(Value::Array(content)) => {
                for block in content.iter().filter_map(Value::as_object) {
                    let index = self.next_index;
                    let n = self.open(index, block, out);
                    if self.blocks[n].what == What::Opaque {
                        out.other(&json!({"type": "content_block_start", "index": index, "content_block": block}));
                    }
                    self.blocks[n].close(out);
                }
            }
            Some(Value::String(plain)) => {
                self.open_new(0, json!({"type": "text", "text": plain}), out);
            }
            _ => {}
        }
        if let Some(usage) = object(message, "usage") {
            self.take_usage(usage, out);
        }
        self.take_stop(message, out);
        Ok(())
    }

    fn whole(&mut self, message: &Map<String, Value>, out: &mut Accumulator) -> Result<()> {
        self.start(message, out)?;
        self.end(out);
        Ok(())
    }

    fn end(&mut self, out: &mut Accumulator) {
        self.done = true;
        self.close_all(out);
    }

    /// Some gateways never say that a block is whole, or announce blocks out of their order.
    fn close_all(&mut self, out: &mut Accumulator) {
        for block in &mut self.blocks {
            block.close(out);
        }
        if !self.blocks.is_sorted_by_key(|block| block.index) {
            self.blocks.sort_by_key(|block| block.index);
            out.arrange(&self.blocks.iter().map(|block| block.at).collect::<Vec<At>>());
            for (n, block) in self.blocks.iter_mut().enumerate() {
                block.at = n;
                self.by_index.insert(block.index, n);
            }
        }
    }

    /// The block that an event is about: by its index, else the last one.
    fn find(&self, fields: &Map<String, Value>) -> Option<usize> {
        match count(fields.get("index")) {
            Some(index) => self.by_index.get(&index).copied(),
            None => self.blocks.len().checked_sub(1),
        }
    }

    fn open(&mut self, index: u64, block: &Map<String, Value>, out: &mut Accumulator) -> usize {
        let (what, part) = match text(block, "type") {
            Some("text") => {
                let annotations = json::array(block, "citations").to_vec();
                (What::Text, Part::Text { text: String::new(), annotations })
            }
            Some("thinking") => {
                let signature = text(block, "signature").map(str::to_owned);
                (What::Thinking, Part::Reasoning { text: String::new(), signature, encrypted: None })
            }
            Some("redacted_thinking") => {
                let encrypted = text(block, "data").map(str::to_owned);
                (What::Redacted, Part::Reasoning { text: String::new(), signature: None, encrypted })
            }
            Some("tool_use") => {
                let own = |field| text(block, field).unwrap_or("").to_owned();
                (What::Call, Part::ToolCall { id: own("id"), name: own("name"), arguments: String::new(), custom: false })
            }
            _ => (What::Opaque, Part::Other { json: block.clone().into() }),
        };
        let at = out.open(part);
        match what {
            // A text that is there already is the beginning of what follows.
            What::Text => out.piece(at, text(block, "text").unwrap_or("")),
            What::Thinking => out.piece(at, text(block, "thinking").unwrap_or("")),
            What::Redacted | What::Call | What::Opaque => {}
        }
        let json = if what == What::Opaque { Map::new() } else { block.clone() };
        self.blocks.push(Block { at, index, what, json, input: String::new(), in_pieces: false, closed: false });
        self.by_index.insert(index, self.blocks.len() - 1);
        self.next_index = self.next_index.max(index.saturating_add(1));
        self.blocks.len() - 1
    }

    /// Opens a block that nobody announced.
    fn open_new(&mut self, index: u64, block: Value, out: &mut Accumulator) -> Option<usize> {
        block.as_object().map(|block| self.open(index, block, out))
    }

    fn delta(&mut self, fields: &Map<String, Value>, event: &Value, out: &mut Accumulator) {
        let Some(delta) = object(fields, "delta") else { return };
        let known = self.find(fields);
        let what = known.map(|n| self.blocks[n].what);
        let kind = text(delta, "type").unwrap_or("");
        // Text and thinking are not lost because their block was not announced, or as something else.
        let n = match (kind, what, known) {
            ("text_delta" | "thinking_delta", Some(What::Opaque), Some(n)) => Some(n),
            ("text_delta", Some(What::Text), n) | ("thinking_delta", Some(What::Thinking), n) => n,
            ("text_delta" | "thinking_delta", ..) => {
                let index = count(fields.get("index")).unwrap_or(self.next_index);
                let block = match kind {
                    "text_delta" => json!({"type": "text", "text": ""}),
                    _ => json!({"type": "thinking", "thinking": "", "signature": ""}),
                };
                self.open_new(index, block, out)
            }
            (_, _, n) => n,
        };
        let Some(block) = n.and_then(|n| self.blocks.get_mut(n)) else {
            out.other(event);
            return;
        };
        match (kind, block.what) {
            ("text_delta", What::Text) => out.piece(block.at, text(delta, "text").unwrap_or("")),
            ("thinking_delta", What::Thinking) => out.piece(block.at, text(delta, "thinking").unwrap_or("")),
            ("signature_delta", What::Thinking) => {
                if let Some(new) = text(delta, "signature") {
                    block.json.insert("signature".into(), new.into());
                    if let Some(Part::Reasoning { signature, .. }) = out.part_mut(block.at) {
                        *signature = Some(new.to_owned());
                    }
                }
            }
            ("input_json_delta", What::Call) => match delta.get("partial_json") {
                Some(Value::String(piece)) => {
                    block.in_pieces |= !piece.is_empty();
                    out.arguments(block.at, piece);
                }
                Some(whole @ Value::Object(_)) => {
                    block.in_pieces = true;
                    out.set_arguments(block.at, &whole.to_string());
                }
                _ => {}
            },
            _ => {
                block.take_opaque(kind, delta, out);
                out.other(event);
            }
        }
    }

    /// Fields of the message that came later; null takes nothing away.
    fn keep(&mut self, fields: &Map<String, Value>, but: &[&str]) {
        for (field, value) in fields {
            if !but.contains(&field.as_str()) && (!value.is_null() || !self.message.contains_key(field)) {
                self.message.insert(field.clone(), value.clone());
            }
        }
    }

    fn take_stop(&mut self, fields: &Map<String, Value>, out: &mut Accumulator) {
        if let Some(reason) = text(fields, "stop_reason") {
            self.stopped = true;
            self.close_all(out);
            out.finish = finish(reason, out);
            out.finish_reason = Some(reason.to_owned());
        }
    }

    /// Counts are totals: what is said later overwrites, what is not said stays.
    fn take_usage(&mut self, usage: &Map<String, Value>, out: &mut Accumulator) {
        for (field, value) in usage {
            if !value.is_null() || !self.usage.contains_key(field) {
                self.usage.insert(field.clone(), value.clone());
            }
        }
        out.usage = normalised(&self.usage);
    }

    /// The content as it may go back: block by block as it came, without what the provider would have to refuse.
    fn native(&self, content: &[Value], finish: Finish) -> Option<Value> {
        let complete = self.is_complete();
        let answered: HashSet<&str> = content.iter().map(|block| of(block, "tool_use_id")).collect();
        let says_something = content.iter().any(|block| block["type"] == "text" && !of(block, "text").trim().is_empty());
        let keeps = |(block, json): &(&Block, &Value)| match block.what {
            // Blank text is taken beside real text only, empty text nowhere.
            What::Text => {
                let text = of(json, "text");
                !text.is_empty() && (says_something || !text.trim().is_empty())
            }
            // Cut off before its signature.
            What::Thinking => block.closed,
            What::Redacted => true,
            // What was refused or cut off is not executed, and a call without a result cannot be sent.
            What::Call => complete && finish != Finish::Refusal,
            What::Opaque => {
                complete || (block.closed && (!of(json, "type").ends_with("tool_use") || answered.contains(of(json, "id"))))
            }
        };
        let mut kept: Vec<(&Block, &Value)> = self.blocks.iter().zip(content).filter(|pair| keeps(pair)).collect();
        // A turn that ends in thinking is refused, unless it is to go on.
        if finish != Finish::Paused {
            let end = kept.iter().rposition(|(block, _)| !matches!(block.what, What::Thinking | What::Redacted));
            kept.truncate(end.map_or(0, |at| at + 1));
        }
        (!self.blocks.is_empty()).then(|| kept.into_iter().map(|(_, json)| json.clone()).collect())
    }
}

impl Block {
    /// The block is whole: an input that did not come in pieces came with the start.
    fn close(&mut self, out: &mut Accumulator) {
        if std::mem::replace(&mut self.closed, true) {
            return;
        }
        match self.what {
            What::Call if !self.in_pieces => match self.json.get("input") {
                Some(Value::Object(input)) if input.is_empty() => {}
                // What was no JSON when it was cut off, in a message that we put together ourselves.
                Some(Value::String(input)) => out.set_arguments(self.at, input),
                Some(input) if !input.is_null() => out.set_arguments(self.at, &input.to_string()),
                _ => {}
            },
            What::Opaque if !self.input.is_empty() => {
                if let Some(Part::Other { json: Value::Object(json) }) = out.part_mut(self.at) {
                    json.insert("input".into(), input_of(&self.input));
                }
            }
            _ => {}
        }
    }

    /// Deltas that a block of its own kind may have beside text, thinking and a call's arguments.
    fn take_opaque(&mut self, kind: &str, delta: &Map<String, Value>, out: &mut Accumulator) {
        match (kind, self.what, out.part_mut(self.at)) {
            ("citations_delta", What::Text, Some(Part::Text { annotations, .. })) => {
                annotations.extend(delta.get("citation").cloned());
            }
            ("input_json_delta", What::Opaque, _) => self.input.push_str(text(delta, "partial_json").unwrap_or("")),
            // Comes once, with all that the block was announced without.
            ("compaction_delta", What::Opaque, Some(Part::Other { json: Value::Object(json) })) => {
                for (field, value) in delta {
                    if field != "type" && !value.is_null() {
                        json.insert(field.clone(), value.clone());
                    }
                }
            }
            _ => {}
        }
    }

    /// The block as an unstreamed answer holds it.
    fn assemble(&self, parts: &[Part]) -> Value {
        let mut json = self.json.clone();
        match (self.what, parts.get(self.at)) {
            (What::Text, Some(Part::Text { text, annotations })) => {
                json.insert("text".into(), text.clone().into());
                if !annotations.is_empty() {
                    json.insert("citations".into(), annotations.clone().into());
                }
            }
            (What::Thinking, Some(Part::Reasoning { text, .. })) => {
                json.insert("thinking".into(), text.clone().into());
            }
            (What::Call, Some(Part::ToolCall { id, name, arguments, .. })) => {
                json.insert("id".into(), id.clone().into());
                json.insert("name".into(), name.clone().into());
                if !arguments.is_empty() {
                    json.insert("input".into(), input_of(arguments));
                }
            }
            (What::Opaque, Some(Part::Other { json: Value::Object(whole) })) => {
                json.clone_from(whole);
                if !self.closed && !self.input.is_empty() {
                    json.insert("input".into(), input_of(&self.input));
                }
            }
            _ => {}
        }
        json.into()
    }
}

/// A text field of a block.
fn of<'a>(block: &'a Value, field: &str) -> &'a str {
    block.get(field).and_then(Value::as_str).unwrap_or("")
}

/// An input from its text; a text that was cut off stays text.
fn input_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| text.into())
}

/// An event that is called an error and does not look like one.
fn failure(said: &Value) -> Error {
    provider_error::inside_success(&json!({ "error": said }))
        .unwrap_or_else(|| Error::new(Kind::Server, format!("the provider reported an error: {said}")))
}

/// The normalised reason.
fn finish(reason: &str, out: &Accumulator) -> Finish {
    match reason {
        // Gateways that translate from other formats say this of calls too.
        "end_turn" | "stop" if out.has_calls() => Finish::ToolCalls,
        "end_turn" | "stop_sequence" | "stop" => Finish::Stop,
        "tool_use" | "tool_calls" => Finish::ToolCalls,
        "max_tokens" | "model_context_window_exceeded" | "length" => Finish::Length,
        "refusal" => Finish::Refusal,
        "content_filter" => Finish::ContentFilter,
        "pause_turn" | "compaction" => Finish::Paused,
        _ => Finish::Unknown,
    }
}

/// The input that the provider counts is what it neither read from the cache nor wrote to it; everyone else's is all.
fn normalised(usage: &Map<String, Value>) -> Usage {
    let top = |field: &str| count(usage.get(field));
    let (cached_input, cache_write) = (top("cache_read_input_tokens"), top("cache_creation_input_tokens"));
    let input = [top("input_tokens"), cached_input, cache_write].into_iter().flatten().reduce(u64::saturating_add);
    let output = top("output_tokens");
    Usage {
        input,
        output,
        total: top("total_tokens").or_else(|| Some(input?.saturating_add(output?))),
        cached_input,
        cache_write,
        reasoning: object(usage, "output_tokens_details").and_then(|d| count(d.get("thinking_tokens"))),
    }
}

#[cfg(test)]
mod tests;

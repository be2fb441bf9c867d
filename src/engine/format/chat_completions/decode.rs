//! From the chunks of Chat Completions, or from a whole completion, to deltas.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;

use serde_json::{json, Map, Value};

use super::template::Template;
use crate::engine::error::{Error, Kind, Result};
use crate::engine::format::json::{self, array, count, object, text};
use crate::engine::format::{provider_error, Assembled, Decoder};
use crate::engine::request::Part;
use crate::engine::response::{Finish, Usage};
use crate::engine::stream::accumulate::{Accumulator, At};

/// The id of the gateway's web-search status chunk: its text is not the model's.
pub const WEB_SEARCH: &str = "web-search";

/// Decodes one answer.
#[derive(Default)]
pub struct ChatDecoder {
    /// Top-level fields, as they came first or last.
    head: Map<String, Value>,
    /// The first choice is the answer; the others are kept for `raw`.
    first: Choice,
    others: BTreeMap<u64, (Choice, Accumulator)>,
    saw_first: bool,
    done: bool,
    template: Template,
    /// For tests: every chunk goes the full way.
    #[cfg(test)]
    pub never_short: bool,
}

/// One choice on its way to a message.
#[derive(Default)]
struct Choice {
    text: Option<At>,
    reasoning: Option<At>,
    refusal: Option<At>,
    /// Which field brought the reasoning; it goes back in the same.
    reasoning_field: Option<&'static str>,
    calls: Calls,
    reasoning_details: Vec<Value>,
    /// Fields of the message that we have no name for.
    extra: Map<String, Value>,
    /// Fields of the choice that we have no name for.
    choice_extra: Map<String, Value>,
    /// The content came as an array of parts, which goes back as it was.
    content_parts: Option<Vec<Value>>,
    logprobs: Option<Map<String, Value>>,
    finish_reason: Option<String>,
    role: Option<String>,
}

/// The tool calls of a choice, found again by id, by index, or by being the last.
#[derive(Default)]
struct Calls {
    all: Vec<OneCall>,
    by_index: BTreeMap<u64, usize>,
    by_id: HashMap<String, usize>,
}

struct OneCall {
    at: At,
    id: String,
    /// Unknown fields of the call (Gemini's thought signatures): sent back as they came.
    extra: Map<String, Value>,
    legacy: bool,
}

impl Decoder for ChatDecoder {
    fn frame(&mut self, _name: &[u8], data: &[u8], out: &mut Accumulator) -> Result<ControlFlow<()>> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if data == b"[DONE]" {
            self.done = true;
            return Ok(ControlFlow::Break(()));
        }
        if let Some(text) = self.short_way(data) {
            self.first.text(&text, out);
            return Ok(ControlFlow::Continue(()));
        }
        let Some(chunk) = json::parse_event(data)? else {
            out.other(&Value::from(String::from_utf8_lossy(data)));
            return Ok(ControlFlow::Continue(()));
        };
        self.chunk(&chunk, out)?;
        self.template.learn(data, &chunk);
        Ok(ControlFlow::Continue(()))
    }

    fn body(&mut self, body: &Value, out: &mut Accumulator) -> Result<()> {
        self.chunk(body, out)?;
        if !body.get("choices").is_some_and(Value::is_array) {
            return Err(Error::new(Kind::Protocol, "the answer is no chat completion: it has no choices"));
        }
        self.done = true;
        Ok(())
    }

    fn is_complete(&self) -> bool {
        let finished = |choice: &Choice| choice.finish_reason.is_some();
        self.done
            || ((self.saw_first || !self.others.is_empty())
                && (!self.saw_first || finished(&self.first))
                && self.others.values().all(|(choice, _)| finished(choice)))
    }

    fn assemble(&mut self, out: &Accumulator) -> Assembled {
        let mut choices = Vec::new();
        let mut native = None;
        if self.saw_first {
            let message = self.first.message(out.parts());
            native = self.first.native(&message);
            choices.push(self.first.assemble(0, message));
        }
        for (index, (choice, acc)) in &self.others {
            let message = choice.message(acc.parts());
            choices.push(choice.assemble(*index, message));
        }
        let mut raw = Map::new();
        let mut head = self.head.clone();
        for field in ["id", "object", "created", "model"] {
            if let Some(value) = head.shift_remove(field) {
                raw.insert(field.into(), value);
            }
        }
        if raw.contains_key("object") {
            raw.insert("object".into(), "chat.completion".into());
        }
        raw.insert("choices".into(), choices.into());
        raw.extend(head);
        Assembled { raw: raw.into(), native }
    }
}

impl ChatDecoder {
    /// The text of a chunk that is like the one before; see [`Template`]. Not where text has more to it than being appended.
    fn short_way<'a>(&mut self, data: &'a [u8]) -> Option<Cow<'a, str>> {
        #[cfg(test)]
        if self.never_short {
            return None;
        }
        if self.first.finish_reason.is_some() || self.first.content_parts.is_some() {
            return None;
        }
        self.template.read(data)
    }

    fn chunk(&mut self, chunk: &Value, out: &mut Accumulator) -> Result<()> {
        let Some(fields) = chunk.as_object() else {
            out.other(chunk);
            return Ok(());
        };
        if text(fields, "id") == Some(WEB_SEARCH) {
            out.other(chunk);
            return Ok(());
        }
        let failure = provider_error::inside_success(chunk);
        self.take_head(fields, out);
        let mut choice_failure = None;
        for choice in array(fields, "choices") {
            if let Some(choice) = choice.as_object() {
                choice_failure = choice_failure.or_else(|| provider_error::inside_success(&Value::from(choice.clone())));
                self.choice(choice, out);
            }
        }
        if let Some(usage) = usage_of(fields) {
            out.usage = usage;
        }
        match failure.or(choice_failure) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    fn take_head(&mut self, fields: &Map<String, Value>, out: &mut Accumulator) {
        for (field, slot) in [("id", &mut out.id), ("model", &mut out.model)] {
            if slot.is_none() {
                *slot = text(fields, field).map(str::to_owned);
            }
        }
        for (field, value) in fields {
            let keep = match field.as_str() {
                "choices" | "obfuscation" => false,
                // What says who answered stays as it came first; the rest as it came last.
                "id" | "model" | "object" | "created" => {
                    self.head.get(field).is_none_or(|known| known.is_null() || known == "" || known == 0)
                }
                _ => !value.is_null(),
            };
            if keep && (!value.is_null() || !self.head.contains_key(field)) {
                self.head.insert(field.clone(), value.clone());
            }
        }
    }

    fn choice(&mut self, choice: &Map<String, Value>, out: &mut Accumulator) {
        let index = count(choice.get("index")).unwrap_or(0);
        if index == 0 {
            self.saw_first = true;
            self.first.take(choice, out);
            if let Some(reason) = &self.first.finish_reason {
                out.finish_reason = Some(reason.clone());
                out.finish = finish(reason, out);
            }
        } else {
            let (other, acc) = self.others.entry(index).or_default();
            other.take(choice, acc);
        }
    }
}

impl Choice {
    fn take(&mut self, choice: &Map<String, Value>, out: &mut Accumulator) {
        // Some gateways send the whole text so far as `message` beside each `delta`.
        let delta = object(choice, "delta").filter(|d| !d.is_empty() || !choice.contains_key("message"));
        if let Some(fields) = delta.or_else(|| object(choice, "message")) {
            self.message_fields(fields, out);
        } else if let Some(plain) = text(choice, "text") {
            self.text(plain, out);
        }
        if let Some(reason) = text(choice, "finish_reason") {
            self.finish_reason = Some(reason.to_owned());
        }
        if let Some(new) = object(choice, "logprobs") {
            let all = self.logprobs.get_or_insert_with(Map::new);
            for (field, value) in new {
                append(all, field, value);
            }
        }
        for (field, value) in choice {
            if !matches!(field.as_str(), "index" | "delta" | "message" | "text" | "finish_reason" | "logprobs")
                && !value.is_null()
            {
                self.choice_extra.insert(field.clone(), value.clone());
            }
        }
    }

    fn message_fields(&mut self, fields: &Map<String, Value>, out: &mut Accumulator) {
        self.reasoning(fields, out);
        for (field, value) in fields {
            match field.as_str() {
                "content" => self.content(value, out),
                "refusal" => {
                    if let Some(piece) = value.as_str() {
                        if !piece.is_empty() {
                            let at = *self.refusal.get_or_insert_with(|| out.open(Part::Refusal { text: String::new() }));
                            out.piece(at, piece);
                        }
                    }
                }
                "tool_calls" => {
                    for call in value.as_array().map_or(&[][..], Vec::as_slice) {
                        if let Some(call) = call.as_object() {
                            self.calls.take(call, out);
                        }
                    }
                }
                "function_call" => {
                    if let Some(function) = value.as_object() {
                        self.calls.take_legacy(function, out);
                    }
                }
                "annotations" => self.annotations(value, out),
                "reasoning_content" | "reasoning" | "thinking" | "reasoning_details" | "obfuscation" => {}
                "role" => self.role = self.role.take().or_else(|| value.as_str().filter(|r| !r.is_empty()).map(str::to_owned)),
                "audio" => self.audio(value),
                _ => append(&mut self.extra, field, value),
            }
        }
    }

    /// The spellings carry the same text: the first that is there counts.
    fn reasoning(&mut self, fields: &Map<String, Value>, out: &mut Accumulator) {
        let spelled = ["reasoning_content", "reasoning", "thinking"].into_iter().find_map(|f| Some((f, text(fields, f)?)));
        let details = array(fields, "reasoning_details");
        match spelled {
            Some((field, piece)) => {
                self.reasoning_field.get_or_insert(field);
                self.reason(piece, out);
            }
            None => {
                for detail in details.iter().filter_map(Value::as_object) {
                    if let Some(piece) = text(detail, "text").or_else(|| text(detail, "summary")) {
                        self.reason(piece, out);
                    }
                }
            }
        }
        for detail in details {
            merge_detail(&mut self.reasoning_details, detail);
        }
    }

    fn reason(&mut self, piece: &str, out: &mut Accumulator) {
        let at = *self
            .reasoning
            .get_or_insert_with(|| out.open(Part::Reasoning { text: String::new(), signature: None, encrypted: None }));
        out.piece(at, piece);
    }

    fn text(&mut self, piece: &str, out: &mut Accumulator) {
        if !piece.is_empty() {
            let at = *self.text.get_or_insert_with(|| out.open(Part::text("")));
            out.piece(at, piece);
        }
    }

    fn content(&mut self, content: &Value, out: &mut Accumulator) {
        match content {
            Value::String(piece) => {
                if let Some(parts) = &mut self.content_parts {
                    push_part(parts, &json!({"type": "text", "text": piece}));
                }
                self.text(piece, out);
            }
            Value::Array(parts) => {
                let own = self.content_parts.get_or_insert_with(Vec::new);
                for part in parts {
                    push_part(own, part);
                }
                for part in parts.iter().filter_map(Value::as_object) {
                    match part.get("thinking") {
                        Some(Value::String(piece)) => self.reason(piece, out),
                        Some(Value::Array(pieces)) => {
                            for piece in pieces.iter().filter_map(|p| p.as_object().and_then(|p| text(p, "text"))) {
                                self.reason(piece, out);
                            }
                        }
                        _ => {
                            if let Some(piece) = text(part, "text") {
                                self.text(piece, out);
                            } else if let Some(piece) = text(part, "refusal") {
                                let at = *self.refusal.get_or_insert_with(|| out.open(Part::Refusal { text: String::new() }));
                                out.piece(at, piece);
                            } else if text(part, "type").is_some_and(|t| t != "text" && t != "refusal") {
                                out.open(Part::Other { json: Value::from(part.clone()) });
                            }
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn annotations(&mut self, value: &Value, out: &mut Accumulator) {
        let new = value.as_array().map_or(&[][..], Vec::as_slice);
        if new.is_empty() {
            return;
        }
        let at = *self.text.get_or_insert_with(|| out.open(Part::text("")));
        if let Some(Part::Text { annotations, .. }) = out.part_mut(at) {
            annotations.extend(new.iter().cloned());
        }
    }

    /// Transcript and base64 come in pieces; everything else once.
    fn audio(&mut self, value: &Value) {
        let Some(fields) = value.as_object() else { return };
        let audio = self.extra.entry("audio").or_insert_with(|| Value::Object(Map::new()));
        let Some(audio) = audio.as_object_mut() else { return };
        for (field, value) in fields {
            match (field.as_str(), audio.get_mut(field), value) {
                ("data" | "transcript", Some(Value::String(all)), Value::String(piece)) => all.push_str(piece),
                _ => {
                    audio.insert(field.clone(), value.clone());
                }
            }
        }
    }

    /// The message as an unstreamed answer would hold it.
    fn message(&self, parts: &[Part]) -> Map<String, Value> {
        let mut message = Map::new();
        message.insert("role".into(), self.role.as_deref().unwrap_or("assistant").into());
        let whole = |at: Option<At>| match at.and_then(|at| parts.get(at)) {
            Some(Part::Text { text, .. } | Part::Reasoning { text, .. } | Part::Refusal { text }) => Some(text.as_str()),
            _ => None,
        };
        let content = match (&self.content_parts, whole(self.text)) {
            (Some(parts), _) => parts.clone().into(),
            (None, Some(text)) => text.into(),
            (None, None) if self.calls.all.is_empty() && self.refusal.is_none() => "".into(),
            (None, None) => Value::Null,
        };
        message.insert("content".into(), content);
        if let Some(refusal) = whole(self.refusal) {
            message.insert("refusal".into(), refusal.into());
        }
        if let (Some(field), Some(reasoning)) = (self.reasoning_field, whole(self.reasoning)) {
            message.insert(field.into(), reasoning.into());
        }
        if !self.reasoning_details.is_empty() {
            message.insert("reasoning_details".into(), self.reasoning_details.clone().into());
        }
        let (legacy, calls): (Vec<_>, Vec<_>) = self.calls.all.iter().partition(|c| c.legacy);
        let calls: Vec<Value> = calls.into_iter().filter_map(|call| call.assemble(parts)).collect();
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
        if let Some(mut call) = legacy.first().and_then(|call| call.assemble(parts)) {
            message.insert("function_call".into(), call["function"].take());
        }
        if let Some(Part::Text { annotations, .. }) = self.text.and_then(|at| parts.get(at)) {
            if !annotations.is_empty() {
                message.insert("annotations".into(), annotations.clone().into());
            }
        }
        message.extend(self.extra.clone());
        message
    }

    /// The message as it goes back with the next request: audio by reference, and without what only answers may hold.
    fn native(&self, message: &Map<String, Value>) -> Option<Value> {
        let mut native = message.clone();
        native.shift_remove("annotations");
        if let Some(id) = native.get("audio").and_then(|a| a.get("id")).cloned() {
            native.insert("audio".into(), json!({ "id": id }));
        }
        let says_nothing = native.get("content").is_none_or(|c| c.is_null() || c == "") && native.len() <= 2;
        (!says_nothing).then(|| native.into())
    }

    fn assemble(&self, index: u64, message: Map<String, Value>) -> Value {
        let mut choice = Map::new();
        choice.insert("index".into(), index.into());
        choice.insert("message".into(), message.into());
        if let Some(logprobs) = &self.logprobs {
            choice.insert("logprobs".into(), logprobs.clone().into());
        }
        choice.insert("finish_reason".into(), self.finish_reason.clone().map_or(Value::Null, Value::from));
        choice.extend(self.choice_extra.clone());
        choice.into()
    }
}

impl Calls {
    /// One entry of a `tool_calls` delta. Ids go before indexes: a new id at an index that is taken opens a new call.
    fn take(&mut self, delta: &Map<String, Value>, out: &mut Accumulator) {
        let id = text(delta, "id");
        let index = count(delta.get("index"));
        let by_index = index.and_then(|i| self.by_index.get(&i).copied());
        let known = match (id, index) {
            (Some(id), _) => {
                self.by_id.get(id).copied().or_else(|| by_index.filter(|n| self.all.get(*n).is_some_and(|c| c.id.is_empty())))
            }
            (None, Some(_)) => by_index,
            // No index and no id continues the last call, unless it names another function.
            (None, None) => self.last_unless_new(delta, out),
        };
        let custom = delta.get("type").is_some_and(|t| t == "custom") || delta.contains_key("custom");
        let n = known.unwrap_or_else(|| self.open(out, custom, false));
        if let Some(index) = index {
            self.by_index.insert(index, n);
        }
        let Some(call) = self.all.get_mut(n) else { return };
        if let Some(id) = id.filter(|_| call.id.is_empty()) {
            id.clone_into(&mut call.id);
            self.by_id.insert(id.to_owned(), n);
        }
        let function = object(delta, if custom { "custom" } else { "function" });
        let name = function.and_then(|f| text(f, "name"));
        out.name_call(call.at, id, name);
        for (field, value) in delta {
            if !matches!(field.as_str(), "index" | "id" | "type" | "function" | "custom") && !value.is_null() {
                call.extra.insert(field.clone(), value.clone());
            }
        }
        match function.and_then(|f| f.get("arguments").or_else(|| f.get("input"))) {
            Some(Value::String(piece)) => out.arguments(call.at, piece),
            Some(whole @ (Value::Object(_) | Value::Array(_))) => out.set_arguments(call.at, &whole.to_string()),
            _ => {}
        }
    }

    /// The deprecated single call without an id.
    fn take_legacy(&mut self, function: &Map<String, Value>, out: &mut Accumulator) {
        let n = self.all.iter().position(|c| c.legacy).unwrap_or_else(|| self.open(out, false, true));
        let at = self.all[n].at;
        out.name_call(at, None, text(function, "name"));
        if let Some(piece) = text(function, "arguments") {
            out.arguments(at, piece);
        }
    }

    fn last_unless_new(&self, delta: &Map<String, Value>, out: &Accumulator) -> Option<usize> {
        let last = self.all.len().checked_sub(1)?;
        let names = object(delta, "function").and_then(|f| text(f, "name"));
        let Some(Part::ToolCall { name, arguments, .. }) = out.parts().get(self.all[last].at) else { return Some(last) };
        // Whole calls one after the other, with neither id nor index: a name again, and the last one's arguments are whole.
        let opens_another = names.is_some()
            && !name.is_empty()
            && !arguments.is_empty()
            && serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok();
        (!opens_another).then_some(last)
    }

    fn open(&mut self, out: &mut Accumulator, custom: bool, legacy: bool) -> usize {
        let at = out.open(Part::ToolCall { id: String::new(), name: String::new(), arguments: String::new(), custom });
        self.all.push(OneCall { at, id: String::new(), extra: Map::new(), legacy });
        self.all.len() - 1
    }
}

impl OneCall {
    fn assemble(&self, parts: &[Part]) -> Option<Value> {
        let Some(Part::ToolCall { id, name, arguments, custom }) = parts.get(self.at) else { return None };
        let mut call = Map::new();
        call.insert("id".into(), id.clone().into());
        if *custom {
            call.insert("type".into(), "custom".into());
            call.insert("custom".into(), json!({"name": name, "input": arguments}));
        } else {
            call.insert("type".into(), "function".into());
            call.insert("function".into(), json!({"name": name, "arguments": arguments}));
        }
        call.extend(self.extra.clone());
        Some(call.into())
    }
}

/// Arrays grow; everything else is as it came last, but null takes nothing away.
fn append(all: &mut Map<String, Value>, field: &str, value: &Value) {
    match (all.get_mut(field), value) {
        (Some(Value::Array(known)), Value::Array(new)) => known.extend(new.iter().cloned()),
        (Some(known), Value::Null) if !known.is_null() => {}
        _ => {
            all.insert(field.to_owned(), value.clone());
        }
    }
}

/// Content parts of a stream: text after text is one text.
fn push_part(parts: &mut Vec<Value>, new: &Value) {
    let is_text = |v: &Value| v["type"] == "text" && v.as_object().is_some_and(|o| o.len() == 2);
    if let Some(last) = parts.last_mut().filter(|last| is_text(last) && is_text(new)) {
        if let (Some(Value::String(all)), Some(piece)) = (last.get_mut("text"), new["text"].as_str()) {
            all.push_str(piece);
            return;
        }
    }
    if new["type"] != "text" || new["text"] != "" {
        parts.push(new.clone());
    }
}

/// Entries of one index are one entry: texts join, the rest is as it came first that was not null.
fn merge_detail(all: &mut Vec<Value>, new: &Value) {
    let Some(fields) = new.as_object() else { return };
    let same = match fields.get("index") {
        Some(index) if !index.is_null() => {
            all.iter_mut().rev().find(|d| d.get("index") == Some(index) && d.get("type") == fields.get("type"))
        }
        _ => all.last_mut().filter(|d| {
            d["type"] == "reasoning.text"
                && fields.get("type") == Some(&d["type"])
                && d.get("signature").is_none_or(Value::is_null)
        }),
    };
    let Some(known) = same.and_then(Value::as_object_mut) else {
        all.push(new.clone());
        return;
    };
    for (field, value) in fields {
        match (field.as_str(), known.get_mut(field), value) {
            ("text" | "summary" | "data", Some(Value::String(text)), Value::String(piece)) => text.push_str(piece),
            (_, Some(old), _) if !old.is_null() => {}
            _ => {
                known.insert(field.clone(), value.clone());
            }
        }
    }
}

/// The normalised reason.
fn finish(reason: &str, out: &Accumulator) -> Finish {
    match reason {
        "stop" | "eos" | "end_turn" | "stop_sequence" => {
            let refused = out.parts().iter().any(|p| matches!(p, Part::Refusal { text } if !text.is_empty()));
            if out.has_calls() {
                Finish::ToolCalls
            } else if refused {
                Finish::Refusal
            } else {
                Finish::Stop
            }
        }
        "length" | "max_tokens" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" | "tool_use" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        _ => Finish::Unknown,
    }
}

/// The last usage that is there counts; providers send totals, not increments.
fn usage_of(fields: &Map<String, Value>) -> Option<Usage> {
    let usage = object(fields, "usage")
        .filter(|u| !u.is_empty())
        .or_else(|| object(fields, "x_groq").and_then(|g| object(g, "usage")))?;
    let input = object(usage, "prompt_tokens_details");
    let output = object(usage, "completion_tokens_details");
    let top = |field: &str| count(usage.get(field));
    // Where a provider's own field is zero and there are no details, nobody counted.
    let own = |field: &str| top(field).filter(|n| *n > 0);
    let within = |details: Option<&Map<String, Value>>, field: &str| details.and_then(|d| count(d.get(field)));
    Some(Usage {
        input: top("prompt_tokens").or_else(|| top("input_tokens")),
        output: top("completion_tokens").or_else(|| top("output_tokens")),
        total: top("total_tokens"),
        cached_input: within(input, "cached_tokens")
            .or_else(|| own("prompt_cache_hit_tokens"))
            .or_else(|| own("cached_tokens"))
            .or_else(|| own("cache_read_input_tokens")),
        cache_write: within(input, "cache_write_tokens").or_else(|| own("cache_creation_input_tokens")),
        reasoning: within(output, "reasoning_tokens").or_else(|| own("reasoning_tokens")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::event::Event;
    use crate::engine::format::conformance::cases;
    use crate::engine::format::Format;
    use crate::engine::transport::sse::Splitter;

    /// Everything that a decoder leaves behind.
    fn outcome(body: &[u8], never_short: bool) -> (String, usize) {
        let mut decoder = ChatDecoder { never_short, ..ChatDecoder::default() };
        let mut out = Accumulator::default();
        let mut splitter = Splitter::default();
        let flow = splitter.feed(body, |frame| decoder.frame(frame.name, frame.data, &mut out));
        let events: Vec<Event> = out.outbox().drain().collect();
        let assembled = decoder.assemble(&out);
        (format!("{flow:?} {events:?} {assembled:?} {out:?}"), events.len())
    }

    #[test]
    fn the_short_way_and_the_full_way_agree() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut compared = 0;
        for case in cases(Format::ChatCompletions) {
            let lines: Vec<&[u8]> = case.body.split_inclusive(|b| *b == b'\n').collect();
            for round in 0..12 {
                // As it is; then with events repeated, left out and damaged.
                let mut body = Vec::new();
                for line in &lines {
                    let times = if round == 0 { 1 } else { random.usize(0..3) };
                    for _ in 0..times {
                        let from = body.len();
                        body.extend_from_slice(line);
                        if round > 6 && line.len() > 10 && random.u8(..) < 8 {
                            let at = from + random.usize(6..line.len() - 1);
                            body[at] = random.u8(..);
                        }
                        if times > 1 {
                            body.push(b'\n');
                        }
                    }
                }
                assert_eq!(outcome(&body, false), outcome(&body, true), "{} round {round}", case.name);
                compared += 1;
            }
        }
        assert!(compared > 100);
    }
}

//! From the events of Responses, or from a whole response object, to deltas.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::ops::ControlFlow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::item::{content_part, take_first, Item, Kind, Source};
use crate::engine::error::{Error, Kind as ErrorKind, Result};
use crate::engine::format::json::{self, count, object, text};
use crate::engine::format::provider_error::{self, ProviderError};
use crate::engine::format::{Assembled, Decoder};
use crate::engine::request::Part;
use crate::engine::response::{Finish, Usage};
use crate::engine::stream::accumulate::Accumulator;

/// Decodes one answer.
#[derive(Default)]
pub struct ResponsesDecoder {
    /// The response object as it came last, its output taken out.
    head: Map<String, Value>,
    items: Vec<Item>,
    done: bool,
}

/// An event that carries a piece, without a copy of it.
#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow, rename = "type")]
    name: Option<Borrowed<'a>>,
    output_index: Option<u64>,
    content_index: Option<u64>,
    summary_index: Option<u64>,
    #[serde(borrow)]
    delta: Borrowed<'a>,
}

/// `Option<Cow<str>>` would be copied; this is not.
#[derive(Deserialize)]
struct Borrowed<'a>(#[serde(borrow)] Cow<'a, str>);

/// Where an event belongs. Ids do not say: there are gateways where they change from event to event.
#[derive(Clone, Copy)]
struct Place {
    item: Option<u64>,
    content: u64,
    summary: u64,
}

impl Decoder for ResponsesDecoder {
    fn frame(&mut self, name: &[u8], data: &[u8], out: &mut Accumulator) -> Result<ControlFlow<()>> {
        let data = data.trim_ascii();
        if data.is_empty() {
            return Ok(ControlFlow::Continue(()));
        }
        if data == b"[DONE]" {
            self.settle_collected(out);
            self.done = true;
            return Ok(ControlFlow::Break(()));
        }
        let fallback = std::str::from_utf8(name).unwrap_or("");
        if let Ok(delta) = serde_json::from_slice::<Delta<'_>>(data) {
            let name = delta.name.as_ref().map_or(fallback, |name| &*name.0);
            let place = Place {
                item: delta.output_index,
                content: delta.content_index.unwrap_or(0),
                summary: delta.summary_index.unwrap_or(0),
            };
            if self.delta(name, place, &delta.delta.0, out) {
                return Ok(ControlFlow::Continue(()));
            }
        }
        let event = match json::parse_event(data)? {
            Some(Value::Object(event)) => event,
            _ if fallback == "error" => {
                return Err(ProviderError::in_failure(data).into_error(200, Bytes::copy_from_slice(data)));
            }
            other => {
                out.other(&other.unwrap_or_else(|| String::from_utf8_lossy(data).into()));
                return Ok(ControlFlow::Continue(()));
            }
        };
        let name = text(&event, "type").unwrap_or(fallback).to_owned();
        self.event(&name, event, out)
    }

    fn body(&mut self, body: &Value, out: &mut Accumulator) -> Result<()> {
        match body {
            Value::Object(fields)
                if fields.get("output").is_some_and(Value::is_array) || text(fields, "object") == Some("response") =>
            {
                self.last(fields.clone(), None, out)?;
                if self.done {
                    return Ok(());
                }
                // In the background it goes on, but these bytes are all that this request brings of it.
                let status = out.finish_reason.as_deref().unwrap_or("");
                Err(Error::new(ErrorKind::Truncated, format!("the response is not there yet: its status is {status:?}")))
            }
            _ => Err(provider_error::inside_success(body)
                .unwrap_or_else(|| Error::new(ErrorKind::Protocol, "the answer is no response object: it has no output"))),
        }
    }

    fn is_complete(&self) -> bool {
        self.done
    }

    fn assemble(&mut self, out: &Accumulator) -> Assembled {
        if self.head.is_empty() && self.items.is_empty() {
            return Assembled::default();
        }
        self.items.sort_by_key(|item| item.index);
        let output: Vec<Value> = self.items.iter().map(|item| item.whole(out.parts())).collect();
        // The ids of an answer that broke off mean nothing to its provider, and reasoning that nothing follows is refused.
        let replayable = self.done && self.items.iter().any(|item| item.kind != Kind::Reasoning);
        let native = replayable.then(|| output.clone().into());
        let mut raw = self.head.clone();
        raw.insert("output".into(), output.into());
        Assembled { raw: raw.into(), native }
    }
}

impl ResponsesDecoder {
    /// A piece of the answer; false where the event is none.
    fn delta(&mut self, name: &str, place: Place, piece: &str, out: &mut Accumulator) -> bool {
        match name {
            "response.output_text.delta" => {
                self.growing(place.item, Kind::Message).words(place.content, Part::text(""), piece, out);
            }
            "response.refusal.delta" => {
                let blank = Part::Refusal { text: String::new() };
                self.growing(place.item, Kind::Message).words(place.content, blank, piece, out);
            }
            "response.reasoning_text.delta" => {
                self.growing(place.item, Kind::Reasoning).reason(Source::Content, place.content, piece, out);
            }
            "response.reasoning_summary_text.delta" => {
                self.growing(place.item, Kind::Reasoning).reason(Source::Summary, place.summary, piece, out);
            }
            "response.function_call_arguments.delta" => self.growing(place.item, Kind::Function).arguments(piece, out),
            "response.custom_tool_call_input.delta" => self.growing(place.item, Kind::Custom).arguments(piece, out),
            _ => return false,
        }
        true
    }

    fn event(&mut self, name: &str, mut event: Map<String, Value>, out: &mut Accumulator) -> Result<ControlFlow<()>> {
        let index = |field: &str| count(event.get(field));
        let place = Place {
            item: index("output_index"),
            content: index("content_index").unwrap_or(0),
            summary: index("summary_index").unwrap_or(0),
        };
        let string = |field: &str| event.get(field).and_then(Value::as_str);
        match name {
            "response.created" | "response.in_progress" | "response.queued" => {
                if let Some(Value::Object(response)) = event.shift_remove("response") {
                    self.take_head(response, out);
                }
            }
            "response.completed" | "response.incomplete" | "response.failed" | "response.cancelled" => {
                let word = name.trim_start_matches("response.");
                let mut response = match event.shift_remove("response") {
                    Some(Value::Object(response)) => response,
                    _ => Map::new(),
                };
                if let Some(error) = event.shift_remove("error").filter(|_| response.get("error").is_none_or(Value::is_null)) {
                    response.insert("error".into(), error);
                }
                self.last(response, Some(word), out)?;
                return Ok(ControlFlow::Break(()));
            }
            "error" => return Err(error_event(event)),
            "response.output_item.added" | "response.output_item.done" => {
                if let Some(Value::Object(item)) = event.shift_remove("item") {
                    self.whole_item(place.item, item, name.ends_with("done"), out);
                }
            }
            "response.content_part.added" | "response.content_part.done" => {
                if let Some(part) = event.get("part").filter(|part| part.is_object()) {
                    self.content_part(place, content_part(part), name.ends_with("done"), out);
                }
            }
            "response.output_text.done" => {
                if let Some(whole) = string("text") {
                    self.item(place.item, Kind::Message).whole_words(place.content, Part::text(whole), out);
                }
            }
            "response.refusal.done" => {
                if let Some(whole) = string("refusal") {
                    let whole = Part::Refusal { text: whole.to_owned() };
                    self.item(place.item, Kind::Message).whole_words(place.content, whole, out);
                }
            }
            "response.reasoning_text.done" => {
                if let Some(whole) = string("text") {
                    self.item(place.item, Kind::Reasoning).whole_reason(Source::Content, place.content, whole, out);
                }
            }
            "response.reasoning_summary_text.done" => {
                if let Some(whole) = string("text") {
                    self.item(place.item, Kind::Reasoning).whole_reason(Source::Summary, place.summary, whole, out);
                }
            }
            "response.function_call_arguments.done" => {
                let whole = string("arguments").unwrap_or("");
                self.item(place.item, Kind::Function).whole_arguments(string("name"), whole, out);
            }
            "response.custom_tool_call_input.done" => {
                let whole = string("input").unwrap_or("");
                self.item(place.item, Kind::Custom).whole_arguments(string("name"), whole, out);
            }
            "response.output_text.annotation.added" => {
                if let Some(annotation) = event.get("annotation") {
                    self.item(place.item, Kind::Message).annotate(place.content, annotation, out);
                }
                out.other(&event.into());
            }
            // The items say the same.
            "response.reasoning_summary_part.added"
            | "response.reasoning_summary_part.done"
            | "response.reasoning_part.added"
            | "response.reasoning_part.done" => {}
            "keepalive" | "ping" => {}
            _ => return self.unknown(name, event, out),
        }
        Ok(ControlFlow::Continue(()))
    }

    /// An event without a kind of its own. Gateways put errors into such, too; those of the format's own families (of a tool
    /// that failed on the server) are no end of the answer.
    fn unknown(&mut self, name: &str, event: Map<String, Value>, out: &mut Accumulator) -> Result<ControlFlow<()>> {
        // A piece whose event holds something that the short way does not take.
        let place = Place {
            item: count(event.get("output_index")),
            content: count(event.get("content_index")).unwrap_or(0),
            summary: count(event.get("summary_index")).unwrap_or(0),
        };
        if event.get("delta").and_then(Value::as_str).is_some_and(|piece| self.delta(name, place, piece, out)) {
            return Ok(ControlFlow::Continue(()));
        }
        let nothing = event.is_empty();
        let event = Value::from(event);
        match provider_error::inside_success(&event) {
            Some(error) if !name.starts_with("response.") => Err(error),
            _ => {
                if !nothing {
                    out.other(&event);
                }
                Ok(ControlFlow::Continue(()))
            }
        }
    }

    /// An item at its beginning, or whole.
    fn whole_item(&mut self, index: Option<u64>, json: Map<String, Value>, done: bool, out: &mut Accumulator) {
        // The cheap question first: of ten thousand items all but one stand elsewhere.
        let here = |item: &Item| index.is_none_or(|index| item.index == index) && item.is_like(&json);
        let known = if done {
            // Where the place is not told, what names the item decides, then what is still open.
            let by_name = self.items.iter().rposition(|item| here(item) && item.is(&json));
            by_name.or_else(|| {
                self.items.iter().rposition(|item| {
                    here(item) && (index.is_some() || !item.done) && !(item.done && item.is_another_call(&json))
                })
            })
        } else {
            // A second beginning at one place is another item; only its own deltas may have come before.
            self.items.iter().rposition(|item| !item.added && !item.done && here(item))
        };
        let at = known.unwrap_or_else(|| self.open(index, Kind::of(&json)));
        if done {
            self.items[at].settle(json, out);
        } else {
            self.items[at].add(json, out);
        }
    }

    fn content_part(&mut self, place: Place, whole: Part, done: bool, out: &mut Accumulator) {
        match whole {
            // The reasoning item's own events say the same.
            Part::Reasoning { .. } => {}
            whole if done => self.item(place.item, Kind::Message).whole_words(place.content, whole, out),
            Part::Text { .. } => self.growing(place.item, Kind::Message).words(place.content, Part::text(""), "", out),
            Part::Refusal { .. } => {
                let blank = Part::Refusal { text: String::new() };
                self.growing(place.item, Kind::Message).words(place.content, blank, "", out);
            }
            other => self.growing(place.item, Kind::Message).words(place.content, other, "", out),
        }
    }

    /// The item that a piece belongs to, made where pieces come without it. What is done gets no more of them.
    fn growing(&mut self, index: Option<u64>, kind: Kind) -> &mut Item {
        let fits = |item: &Item| item.kind == kind && !item.done && index.is_none_or(|index| item.index == index);
        let at = self.items.iter().rposition(fits).unwrap_or_else(|| self.open(index, kind));
        &mut self.items[at]
    }

    /// The item that something whole belongs to, which may be done already.
    fn item(&mut self, index: Option<u64>, kind: Kind) -> &mut Item {
        let fits = |item: &Item| item.kind == kind && index.is_none_or(|index| item.index == index);
        let growing = self.items.iter().rposition(|item| fits(item) && !item.done);
        let at = growing.or_else(|| self.items.iter().rposition(fits)).unwrap_or_else(|| self.open(index, kind));
        &mut self.items[at]
    }

    fn open(&mut self, index: Option<u64>, kind: Kind) -> usize {
        let next = || self.items.iter().map(|item| item.index.saturating_add(1)).max().unwrap_or(0);
        let index = index.unwrap_or_else(next);
        self.items.push(Item::new(index, kind));
        self.items.len() - 1
    }

    /// A response object as far as it is known. Gateways send parts of it.
    fn take_head(&mut self, response: Map<String, Value>, out: &mut Accumulator) {
        for (field, slot) in [("id", &mut out.id), ("model", &mut out.model)] {
            if let Some(value) = text(&response, field) {
                *slot = Some(value.to_owned());
            }
        }
        if let Some(usage) = usage_of(&response) {
            out.usage = usage;
        }
        for (field, value) in std::mem::replace(&mut self.head, response) {
            self.head.entry(field).or_insert(value);
        }
    }

    /// The last word on the answer: the response object, from its event or as the whole body.
    fn last(&mut self, mut response: Map<String, Value>, event: Option<&str>, out: &mut Accumulator) -> Result<()> {
        let output = match response.get_mut("output") {
            Some(Value::Array(items)) => std::mem::take(items),
            _ => Vec::new(),
        };
        let running = |status: &str| matches!(status, "queued" | "in_progress");
        let status = text(&response, "status").filter(|status| event.is_none() || !running(status)).or(event).map(str::to_owned);
        let status = status.as_deref();
        if let Some(status) = status {
            response.insert("status".into(), status.into());
        }
        let reason = object(&response, "incomplete_details").and_then(|details| text(details, "reason")).map(str::to_owned);
        self.take_head(response, out);
        if output.is_empty() {
            self.settle_collected(out);
        } else {
            self.settle_output(output, out);
        }
        out.finish_reason = status.map(str::to_owned);
        if let Some(error) = self.failure(status) {
            return Err(error);
        }
        out.finish = match status {
            None | Some("completed" | "complete") => completed(out),
            Some("incomplete") => {
                out.finish_reason = reason.or_else(|| out.finish_reason.take());
                match out.finish_reason.as_deref() {
                    Some("max_output_tokens" | "max_tokens" | "length") => Finish::Length,
                    Some("content_filter") => Finish::ContentFilter,
                    _ => Finish::Unknown,
                }
            }
            Some("cancelled") => Finish::Interrupted,
            _ => Finish::Unknown,
        };
        self.done = !status.is_some_and(running);
        Ok(())
    }

    /// The error of an answer that failed, with the response object as its body.
    fn failure(&self, status: Option<&str>) -> Option<Error> {
        let error = self.head.get("error");
        let named = error.and_then(|error| ProviderError::find(&serde_json::json!({ "error": error })));
        let body = || Bytes::from(Value::from(self.head.clone()).to_string());
        match named {
            Some(named) => Some(named.into_error(200, body())),
            None if status == Some("failed") => {
                let mut error = Error::new(ErrorKind::Server, "the response failed, and the server did not say why");
                error.detail_mut().body = Some(body());
                Some(error)
            }
            None => None,
        }
    }

    /// The provider's own list of what it said replaces what was collected.
    fn settle_output(&mut self, output: Vec<Value>, out: &mut Accumulator) {
        let output: Vec<Map<String, Value>> =
            output.into_iter().filter_map(|item| if let Value::Object(item) = item { Some(item) } else { None }).collect();
        // Output indexes have gaps where the list has none, so what has no name in common goes by kind, one after the other.
        self.items.sort_by_key(|item| item.index);
        let mut free = VecDeque::from(std::mem::take(&mut self.items));
        let mut found: Vec<Option<Item>> = output.iter().map(|json| take_first(&mut free, |item| item.is(json))).collect();
        for (item, json) in found.iter_mut().zip(&output).filter(|(item, _)| item.is_none()) {
            *item = take_first(&mut free, |item| item.is_like(json) && !item.is_another_call(json));
        }
        for (index, (item, json)) in (0..).zip(found.into_iter().zip(output)) {
            let mut item = item.unwrap_or_else(|| Item::new(index, Kind::of(&json)));
            item.index = index;
            item.settle(json, out);
            self.items.push(item);
        }
        self.arrange(out);
    }

    fn settle_collected(&mut self, out: &mut Accumulator) {
        self.items.sort_by_key(|item| item.index);
        for item in &mut self.items {
            item.settle_as_collected(out);
        }
        self.arrange(out);
    }

    /// The parts of the answer in the order of the items, as they stand in an answer that was not streamed.
    fn arrange(&mut self, out: &mut Accumulator) {
        let mut order = Vec::new();
        for place in self.items.iter_mut().flat_map(Item::places) {
            order.push(*place);
            *place = order.len() - 1;
        }
        out.arrange(&order);
    }
}

/// The error of an `error` event, whose fields lie flat or in an object.
fn error_event(mut event: Map<String, Value>) -> Error {
    event.entry("type").or_insert_with(|| "error".into());
    let event = Value::from(event);
    let body = Bytes::from(event.to_string());
    ProviderError::find(&event).unwrap_or_else(|| ProviderError::in_failure(&body)).into_error(200, body)
}

/// Why a completed answer ended.
fn completed(out: &Accumulator) -> Finish {
    let says = |wanted: fn(&Part) -> bool| out.parts().iter().any(wanted);
    if out.has_calls() {
        Finish::ToolCalls
    } else if says(|part| matches!(part, Part::Refusal { text } if !text.is_empty()))
        && !says(|part| matches!(part, Part::Text { text, .. } if !text.is_empty()))
    {
        Finish::Refusal
    } else {
        Finish::Stop
    }
}

/// Converted answers count in the words of Chat Completions.
fn usage_of(response: &Map<String, Value>) -> Option<Usage> {
    let usage = object(response, "usage").filter(|usage| !usage.is_empty())?;
    let top = |field: &str| count(usage.get(field));
    let within = |details: [&str; 2], field: &str| {
        details.into_iter().find_map(|details| object(usage, details).and_then(|details| count(details.get(field))))
    };
    let (input, output) =
        (["input_tokens_details", "prompt_tokens_details"], ["output_tokens_details", "completion_tokens_details"]);
    Some(Usage {
        input: top("input_tokens").or_else(|| top("prompt_tokens")),
        output: top("output_tokens").or_else(|| top("completion_tokens")),
        total: top("total_tokens"),
        cached_input: within(input, "cached_tokens"),
        cache_write: within(input, "cache_write_tokens"),
        reasoning: within(output, "reasoning_tokens"),
    })
}

//! One output item on its way: what streamed of it, and what its provider made of it in the end.

use std::collections::VecDeque;
use std::mem::{discriminant, take};

use serde_json::{json, Map, Value};

use crate::engine::format::json::{array, text};
use crate::engine::request::Part;
use crate::engine::stream::accumulate::{Accumulator, At};

/// What of an item we have names for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Message,
    Reasoning,
    Function,
    /// A call of a tool that takes free text.
    Custom,
    /// Everything else, kept as it came.
    Other,
}

/// Where a piece of reasoning stands in its item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `content`: the reasoning itself.
    Content,
    /// `summary`: what may be told of it.
    Summary,
}

/// An output item.
#[derive(Debug)]
pub struct Item {
    /// Where the provider put it: the only thing that names it, for ids change from event to event.
    pub index: u64,
    pub kind: Kind,
    /// As it came last, or as far as it can be told from its deltas.
    json: Map<String, Value>,
    pub added: bool,
    pub done: bool,
    /// Its parts in the answer: of a message by content index, of everything else at most one.
    slots: Vec<Slot>,
    /// Which stretches of the reasoning part's text belong where.
    stretches: Vec<Stretch>,
}

#[derive(Debug)]
struct Slot {
    index: u64,
    at: At,
    /// An OTHER event was made of it.
    told: bool,
}

#[derive(Debug)]
struct Stretch {
    source: Source,
    index: u64,
    start: usize,
}

/// Between two paragraphs of reasoning.
const BLANK_LINE: &str = "\n\n";

impl Kind {
    /// By the item's type; converted answers may lack it.
    pub fn of(item: &Map<String, Value>) -> Self {
        let by_the_model = text(item, "role").is_none_or(|role| role == "assistant");
        match text(item, "type") {
            Some("message") if by_the_model => Self::Message,
            Some("reasoning") => Self::Reasoning,
            Some("function_call") => Self::Function,
            Some("custom_tool_call") => Self::Custom,
            None if item.contains_key("content") && by_the_model => Self::Message,
            None if item.contains_key("name") && item.contains_key("arguments") => Self::Function,
            _ => Self::Other,
        }
    }

    /// The field of a call that holds what the model wrote.
    fn input(self) -> &'static str {
        if self == Self::Custom {
            "input"
        } else {
            "arguments"
        }
    }
}

impl Item {
    pub fn new(index: u64, kind: Kind) -> Self {
        Self { index, kind, json: Map::new(), added: false, done: false, slots: Vec::new(), stretches: Vec::new() }
    }

    /// The item at its beginning. What it already says counts only if nothing else says it: it is provisional.
    pub fn add(&mut self, json: Map<String, Value>, out: &mut Accumulator) {
        match self.kind {
            Kind::Message => {}
            Kind::Function | Kind::Custom => {
                let at = self.only(out);
                out.name_call(at, call_id(&json), text(&json, "name"));
            }
            Kind::Reasoning => {
                self.only(out);
            }
            Kind::Other => {
                let at = self.only(out);
                set_other(out, at, &json);
            }
        }
        self.json = json;
        self.added = true;
    }

    /// A piece of a message's text or refusal; `blank` says which.
    pub fn words(&mut self, index: u64, blank: Part, piece: &str, out: &mut Accumulator) {
        let at = self.slot(index, blank, out);
        out.piece(at, piece);
    }

    /// A whole content part, where nothing came of it in pieces.
    pub fn whole_words(&mut self, index: u64, whole: Part, out: &mut Accumulator) {
        let at = self.slot(index, blank(&whole), out);
        if out.parts().get(at).is_some_and(|part| written(part).is_empty()) {
            settle(out, at, whole);
        }
    }

    /// A citation of a message's text.
    pub fn annotate(&mut self, index: u64, annotation: &Value, out: &mut Accumulator) {
        let at = self.slot(index, Part::text(""), out);
        if let Some(Part::Text { annotations, .. }) = out.part_mut(at) {
            annotations.push(annotation.clone());
        }
    }

    /// A piece of reasoning. A summary beside the reasoning itself is not shown.
    pub fn reason(&mut self, source: Source, index: u64, piece: &str, out: &mut Accumulator) {
        if source == Source::Summary && self.stretches.iter().any(|s| s.source == Source::Content) {
            return;
        }
        let at = self.only(out);
        if self.stretches.last().is_none_or(|s| (s.source, s.index) != (source, index)) && !piece.is_empty() {
            if !self.stretches.is_empty() {
                out.piece(at, BLANK_LINE);
            }
            let start = out.parts().get(at).map_or(0, |part| written(part).len());
            self.stretches.push(Stretch { source, index, start });
        }
        out.piece(at, piece);
    }

    /// A whole paragraph of reasoning, where nothing came of it in pieces.
    pub fn whole_reason(&mut self, source: Source, index: u64, whole: &str, out: &mut Accumulator) {
        if !self.stretches.iter().any(|s| (s.source, s.index) == (source, index)) {
            self.reason(source, index, whole, out);
        }
    }

    /// A piece of a call's arguments.
    pub fn arguments(&mut self, piece: &str, out: &mut Accumulator) {
        let at = self.only(out);
        out.arguments(at, piece);
    }

    /// A call's whole arguments, where nothing came of them in pieces.
    pub fn whole_arguments(&mut self, name: Option<&str>, whole: &str, out: &mut Accumulator) {
        let at = self.only(out);
        out.name_call(at, None, name);
        if out.parts().get(at).is_some_and(|part| written(part).is_empty()) {
            out.arguments(at, whole);
        }
    }

    /// The whole item. It replaces what was collected; only what did not come in pieces becomes events now.
    pub fn settle(&mut self, json: Map<String, Value>, out: &mut Accumulator) {
        self.json = json;
        self.done = true;
        match self.kind {
            Kind::Message => self.settle_message(out),
            Kind::Reasoning => {
                let at = self.only(out);
                settle(out, at, reasoning(&self.json));
            }
            Kind::Function | Kind::Custom => self.settle_call(out),
            Kind::Other => {
                let at = self.only(out);
                set_other(out, at, &self.json);
                self.tell(out);
            }
        }
    }

    /// The whole item as far as it came, where its provider says no more of it.
    pub fn settle_as_collected(&mut self, out: &mut Accumulator) {
        if !self.done {
            let json = self.collected(out.parts());
            self.settle(json, out);
        }
    }

    fn settle_message(&mut self, out: &mut Accumulator) {
        let whole: Vec<Part> = match self.json.get("content") {
            Some(Value::String(plain)) => vec![Part::text(plain.clone())],
            Some(Value::Array(parts)) => parts.iter().filter(|part| !part.is_null()).map(content_part).collect(),
            _ => Vec::new(),
        };
        if whole.is_empty() && !self.slots.is_empty() {
            // What was delivered is not taken back.
            let content = self.content(out.parts());
            self.json.insert("content".into(), content);
            return self.tell(out);
        }
        // Content indexes have gaps and need not begin at 0, so a part that is not at its index is the next of its kind.
        self.slots.sort_by_key(|slot| slot.index);
        let mut free = VecDeque::from(take(&mut self.slots));
        let same = |slot: &Slot, part: &Part| out.parts().get(slot.at).is_some_and(|p| discriminant(p) == discriminant(part));
        let at_index = |(index, part): (usize, &Part), free: &mut VecDeque<Slot>| {
            take_first(free, |slot| slot.index == index as u64 && same(slot, part))
        };
        let mut found: Vec<Option<Slot>> = whole.iter().enumerate().map(|part| at_index(part, &mut free)).collect();
        for (slot, part) in found.iter_mut().zip(&whole).filter(|(slot, _)| slot.is_none()) {
            *slot = take_first(&mut free, |slot| same(slot, part));
        }
        for (index, (slot, part)) in (0u64..).zip(found.into_iter().zip(whole)) {
            let slot = slot.unwrap_or_else(|| Slot { index, at: out.open(blank(&part)), told: false });
            settle(out, slot.at, part);
            self.slots.push(Slot { index, ..slot });
        }
        self.tell(out);
    }

    fn settle_call(&mut self, out: &mut Accumulator) {
        let at = self.only(out);
        let field = self.kind.input();
        let whole = match self.json.get(field) {
            Some(Value::String(whole)) => whole.clone(),
            Some(whole @ (Value::Object(_) | Value::Array(_))) => whole.to_string(),
            _ => String::new(),
        };
        match out.parts().get(at) {
            Some(Part::ToolCall { arguments, .. }) if whole.is_empty() && !arguments.is_empty() => {
                self.json.insert(field.into(), arguments.clone().into());
            }
            _ => {}
        }
        let name = |value: Option<&str>| value.unwrap_or("").to_owned();
        let (id, name) = (name(call_id(&self.json)), name(text(&self.json, "name")));
        settle(out, at, Part::ToolCall { id, name, arguments: whole, custom: self.kind == Kind::Custom });
    }

    /// An OTHER event for each part that has no kind of its own; once.
    fn tell(&mut self, out: &mut Accumulator) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.told) {
            if let Some(Part::Other { json }) = out.parts().get(slot.at) {
                let json = json.clone();
                out.other(&json);
                slot.told = true;
            }
        }
    }

    /// Whether `json` is this item by what names it beside its place.
    pub fn is(&self, json: &Map<String, Value>) -> bool {
        let same = |field| text(&self.json, field).is_some_and(|value| text(json, field) == Some(value));
        self.is_like(json) && (same("call_id") || same("id"))
    }

    /// Whether `json` can be this item.
    pub fn is_like(&self, json: &Map<String, Value>) -> bool {
        self.kind == Kind::of(json) && (self.kind != Kind::Other || self.json.get("type") == json.get("type"))
    }

    /// Whether this call and `json` are two, by the ids that results are matched with.
    pub fn is_another_call(&self, json: &Map<String, Value>) -> bool {
        matches!((text(&self.json, "call_id"), text(json, "call_id")), (Some(a), Some(b)) if a != b)
    }

    /// The places of the item's parts, to be changed when they move.
    pub fn places(&mut self) -> impl Iterator<Item = &mut At> {
        self.slots.iter_mut().map(|slot| &mut slot.at)
    }

    /// The item as it would have come unstreamed.
    pub fn whole(&self, parts: &[Part]) -> Value {
        let mut json = if self.done { self.json.clone() } else { self.collected(parts) };
        if matches!(self.kind, Kind::Function | Kind::Custom) && text(&json, "call_id").is_none() {
            // Without an id of its provider's, the call has one of ours, and its result will refer to that.
            if let Some(Part::ToolCall { id, .. }) = self.slots.first().and_then(|slot| parts.get(slot.at)) {
                if !id.is_empty() {
                    json.insert("call_id".into(), id.clone().into());
                }
            }
        }
        json.into()
    }

    /// The item from its pieces.
    fn collected(&self, parts: &[Part]) -> Map<String, Value> {
        let mut json = self.json.clone();
        let mut or = |field: &str, value: Value| {
            json.entry(field).or_insert(value);
        };
        let part = self.slots.first().and_then(|slot| parts.get(slot.at));
        match (self.kind, part) {
            (Kind::Message, _) => {
                or("type", "message".into());
                or("role", "assistant".into());
                or("content", Value::Array(Vec::new()));
                if !self.slots.is_empty() {
                    json.insert("content".into(), self.content(parts));
                }
            }
            (Kind::Reasoning, part) => {
                or("type", "reasoning".into());
                or("summary", Value::Array(Vec::new()));
                let shown = part.map_or("", written);
                for (source, field, of_type) in
                    [(Source::Summary, "summary", "summary_text"), (Source::Content, "content", "reasoning_text")]
                {
                    let paragraphs = self.paragraphs(source, shown);
                    if !paragraphs.is_empty() {
                        let paragraphs: Vec<Value> = paragraphs.iter().map(|p| json!({"type": of_type, "text": p})).collect();
                        json.insert(field.into(), paragraphs.into());
                    }
                }
            }
            (Kind::Function | Kind::Custom, Some(Part::ToolCall { id, name, arguments, .. })) => {
                or("type", if self.kind == Kind::Custom { "custom_tool_call" } else { "function_call" }.into());
                if !id.is_empty() {
                    or("call_id", id.clone().into());
                }
                or("name", name.clone().into());
                or(self.kind.input(), "".into());
                if !arguments.is_empty() {
                    json.insert(self.kind.input().into(), arguments.clone().into());
                }
            }
            _ => {}
        }
        json
    }

    /// The content of a message from its pieces.
    fn content(&self, parts: &[Part]) -> Value {
        let mut slots: Vec<&Slot> = self.slots.iter().collect();
        slots.sort_by_key(|slot| slot.index);
        let content = slots.into_iter().filter_map(|slot| match parts.get(slot.at)? {
            Part::Text { text, annotations } => Some(json!({"type": "output_text", "text": text, "annotations": annotations})),
            Part::Refusal { text } => Some(json!({"type": "refusal", "refusal": text})),
            Part::Reasoning { text, .. } => Some(json!({"type": "reasoning_text", "text": text})),
            Part::Other { json } => Some(json.clone()),
            _ => None,
        });
        content.collect()
    }

    /// The reasoning that was shown, cut into its paragraphs again.
    fn paragraphs(&self, source: Source, shown: &str) -> Vec<String> {
        let mut all: Vec<(u64, String)> = Vec::new();
        let ends = self.stretches.iter().skip(1).map(|next| next.start - BLANK_LINE.len()).chain([shown.len()]);
        for (stretch, end) in self.stretches.iter().zip(ends).filter(|(stretch, _)| stretch.source == source) {
            let piece = shown.get(stretch.start..end).unwrap_or("");
            match all.iter_mut().find(|(index, _)| *index == stretch.index) {
                Some((_, paragraph)) => paragraph.push_str(piece),
                None => all.push((stretch.index, piece.to_owned())),
            }
        }
        all.sort_by_key(|(index, _)| *index);
        all.into_iter().map(|(_, paragraph)| paragraph).collect()
    }

    /// The place of a message's part, opened where it is new.
    fn slot(&mut self, index: u64, blank: Part, out: &mut Accumulator) -> At {
        let same = |slot: &&Slot| {
            slot.index == index && out.parts().get(slot.at).is_some_and(|part| discriminant(part) == discriminant(&blank))
        };
        if let Some(slot) = self.slots.iter().rev().find(same) {
            return slot.at;
        }
        let at = out.open(blank);
        self.slots.push(Slot { index, at, told: false });
        at
    }

    /// The place of the only part of an item that is no message.
    fn only(&mut self, out: &mut Accumulator) -> At {
        if let Some(slot) = self.slots.first() {
            return slot.at;
        }
        let at = out.open(match self.kind {
            Kind::Message => Part::text(""),
            Kind::Reasoning => Part::Reasoning { text: String::new(), signature: None, encrypted: None },
            Kind::Function | Kind::Custom => {
                let custom = self.kind == Kind::Custom;
                Part::ToolCall { id: String::new(), name: String::new(), arguments: String::new(), custom }
            }
            Kind::Other => Part::Other { json: Value::Null },
        });
        self.slots.push(Slot { index: 0, at, told: false });
        at
    }
}

/// A member of a message's content. Converted answers call text `text`, and put reasoning among it.
pub fn content_part(part: &Value) -> Part {
    if let Value::String(plain) = part {
        return Part::text(plain.clone());
    }
    let other = || Part::Other { json: part.clone() };
    let Some(fields) = part.as_object() else { return other() };
    let field = |name: &str| text(fields, name).unwrap_or("").to_owned();
    match text(fields, "type") {
        Some("output_text" | "text" | "input_text") => {
            Part::Text { text: field("text"), annotations: array(fields, "annotations").to_vec() }
        }
        Some("refusal") => Part::Refusal { text: field("refusal") },
        Some("reasoning_text" | "summary_text") => Part::Reasoning { text: field("text"), signature: None, encrypted: None },
        Some("reasoning") => reasoning(fields),
        None if fields.contains_key("text") => Part::text(field("text")),
        _ => other(),
    }
}

/// A reasoning item: the reasoning itself where it is told, otherwise its summary.
fn reasoning(item: &Map<String, Value>) -> Part {
    let paragraphs = |field: &str| -> String {
        let texts = array(item, field).iter().filter_map(|part| part.as_object().and_then(|part| text(part, "text")));
        texts.collect::<Vec<_>>().join(BLANK_LINE)
    };
    let mut shown = paragraphs("content");
    if shown.is_empty() {
        shown = paragraphs("summary");
    }
    Part::Reasoning { text: shown, signature: None, encrypted: text(item, "encrypted_content").map(str::to_owned) }
}

/// What results are matched with. An item's `id` is its identity and nothing else, but some gateways send the call's there.
fn call_id(item: &Map<String, Value>) -> Option<&str> {
    text(item, "call_id").or_else(|| text(item, "id").filter(|id| id.starts_with("call")))
}

/// What the model wrote of a part.
fn written(part: &Part) -> &str {
    match part {
        Part::Text { text, .. } | Part::Reasoning { text, .. } | Part::Refusal { text } => text,
        Part::ToolCall { arguments, .. } => arguments,
        _ => "",
    }
}

/// The same part before anything came of it.
fn blank(part: &Part) -> Part {
    match part {
        Part::Text { .. } => Part::text(""),
        Part::Refusal { .. } => Part::Refusal { text: String::new() },
        Part::Reasoning { .. } => Part::Reasoning { text: String::new(), signature: None, encrypted: None },
        other => other.clone(),
    }
}

/// Makes the part at `at` what its provider says it is. What was not delivered yet becomes an event; what was delivered
/// otherwise is right in the answer from now on, and an empty last word takes nothing back.
fn settle(out: &mut Accumulator, at: At, whole: Part) {
    let known = out.parts().get(at).map_or("", written);
    let whole_text = written(&whole);
    let rest = whole_text.strip_prefix(known).map(str::to_owned);
    let replaces = rest.is_none() && !whole_text.is_empty();
    if let Part::ToolCall { id, name, .. } = &whole {
        let said = |value: &'_ String| (!value.is_empty()).then(|| value.clone());
        out.name_call(at, said(id).as_deref(), said(name).as_deref());
    }
    match (out.part_mut(at), &whole) {
        (Some(Part::Text { annotations, .. }), Part::Text { annotations: all, .. }) if !all.is_empty() => {
            annotations.clone_from(all);
        }
        (Some(Part::Reasoning { encrypted, .. }), Part::Reasoning { encrypted: last, .. }) => encrypted.clone_from(last),
        (Some(Part::ToolCall { id, name, .. }), Part::ToolCall { id: last_id, name: last_name, .. }) => {
            for (known, last) in [(id, last_id), (name, last_name)] {
                if !last.is_empty() {
                    known.clone_from(last);
                }
            }
        }
        (Some(other @ Part::Other { .. }), Part::Other { .. }) => other.clone_from(&whole),
        _ => {}
    }
    match (rest, &whole) {
        (Some(rest), Part::ToolCall { .. }) => out.arguments(at, &rest),
        (Some(rest), _) => out.piece(at, &rest),
        (None, _) if replaces => match (out.part_mut(at), whole) {
            (Some(Part::Text { text, .. }), Part::Text { text: last, .. })
            | (Some(Part::Reasoning { text, .. }), Part::Reasoning { text: last, .. })
            | (Some(Part::Refusal { text }), Part::Refusal { text: last })
            | (Some(Part::ToolCall { arguments: text, .. }), Part::ToolCall { arguments: last, .. }) => *text = last,
            _ => {}
        },
        (None, _) => {}
    }
}

fn set_other(out: &mut Accumulator, at: At, new: &Map<String, Value>) {
    if let Some(Part::Other { json }) = out.part_mut(at) {
        *json = Value::from(new.clone());
    }
}

/// Takes out the first member that fits; mostly it is the very first.
pub fn take_first<T>(all: &mut VecDeque<T>, fits: impl FnMut(&T) -> bool) -> Option<T> {
    let at = all.iter().position(fits)?;
    all.remove(at)
}

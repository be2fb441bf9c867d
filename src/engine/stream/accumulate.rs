//! The only place that knows how deltas become a response, and which events they are on the way.

use std::borrow::Cow;
use std::sync::Arc;

use serde_json::Value;

use crate::engine::event::{CallName, Event, Outbox};
use crate::engine::format::json::surrogate;
use crate::engine::request::Part;
use crate::engine::response::{text_of, Finish, Usage};

/// A part's place in the answer.
pub type At = usize;

/// The answer so far, and the events that have not gone to the queue yet.
#[derive(Debug, Default)]
pub struct Accumulator {
    pub id: Option<String>,
    pub model: Option<String>,
    pub finish: Finish,
    /// In the provider's word.
    pub finish_reason: Option<String>,
    pub usage: Usage,
    parts: Vec<Part>,
    /// Names that events of a call share; as long as `parts`, or shorter.
    names: Vec<Option<Arc<CallName>>>,
    outbox: Outbox,
    /// The first half of a surrogate pair whose second half may come with the next piece of this part.
    half: Option<(At, u16)>,
    /// A call of this tool is no call, but how the model gives its answer: its arguments are the text.
    answer_tool: Option<String>,
    /// Something that cannot be taken back was handed to the caller, or is about to be.
    delivered: bool,
}

impl Accumulator {
    /// Appends a part and returns its place. An empty one makes no event.
    pub fn open(&mut self, part: Part) -> At {
        self.parts.push(part);
        self.parts.len() - 1
    }

    #[must_use]
    pub fn parts(&self) -> &[Part] {
        &self.parts
    }

    pub fn part_mut(&mut self, at: At) -> Option<&mut Part> {
        self.parts.get_mut(at)
    }

    /// A piece of a part's text: answer, reasoning or refusal by the part's kind.
    pub fn piece(&mut self, at: At, piece: &str) {
        let piece = &*self.mend(at, piece);
        if piece.is_empty() {
            return;
        }
        let event = match self.parts.get_mut(at) {
            Some(Part::Text { text, .. }) => {
                text.push_str(piece);
                self.delivered = true;
                self.outbox.text(piece);
                return;
            }
            Some(Part::Reasoning { text, .. }) => {
                text.push_str(piece);
                Event::Reasoning(piece.to_owned())
            }
            Some(Part::Refusal { text }) => {
                text.push_str(piece);
                Event::Refusal(piece.to_owned())
            }
            _ => return,
        };
        self.delivered = true;
        self.outbox.push(event);
    }

    /// Joins what a server cut in the middle of a surrogate pair; see [`surrogate`].
    fn mend<'a>(&mut self, at: At, piece: &'a str) -> Cow<'a, str> {
        let waiting = self.half.take_if(|(part, _)| *part == at);
        if piece.is_empty() || (waiting.is_none() && !surrogate::suspect(piece)) {
            self.half = self.half.or(waiting);
            return Cow::Borrowed(piece);
        }
        let mut text = String::with_capacity(piece.len() + 4);
        text.extend(waiting.map(|(_, unit)| surrogate::stand_in(unit)));
        text.push_str(piece);
        let last = text.chars().next_back().and_then(surrogate::half).filter(|unit| surrogate::is_high(*unit));
        if let Some(unit) = last {
            text.pop();
            self.half = Some((at, unit));
        }
        Cow::Owned(surrogate::mend(&text))
    }

    /// What a call is called; a first value stays.
    pub fn name_call(&mut self, at: At, new_id: Option<&str>, new_name: Option<&str>) {
        if let Some(Part::ToolCall { id, name, .. }) = self.parts.get_mut(at) {
            let mut changed = false;
            for (slot, value) in [(id, new_id), (name, new_name)] {
                if let Some(value) = value.filter(|_| slot.is_empty()) {
                    value.clone_into(slot);
                    changed = true;
                }
            }
            if changed {
                self.forget_name(at);
            }
        }
    }

    /// A piece of a call's arguments.
    pub fn arguments(&mut self, at: At, piece: &str) {
        let piece = &*self.mend(at, piece);
        if piece.is_empty() {
            return;
        }
        if let Some(Part::ToolCall { arguments, .. }) = self.parts.get_mut(at) {
            arguments.push_str(piece);
            self.delivered = true;
            if self.is_answer(at) {
                self.outbox.text(piece);
            } else {
                let call = self.call_name(at);
                self.outbox.push(Event::ToolArguments { call, piece: piece.to_owned() });
            }
        }
    }

    /// Makes calls of a tool the answer's text.
    pub fn set_answer_tool(&mut self, name: Option<String>) {
        self.answer_tool = name;
    }

    fn is_answer(&self, at: At) -> bool {
        match (&self.answer_tool, self.parts.get(at)) {
            (Some(tool), Some(Part::ToolCall { name, .. })) => name == tool,
            _ => false,
        }
    }

    /// The text of the answer, in whatever way the model gave it.
    #[must_use]
    pub fn answer(&self) -> String {
        let answers = (0..self.parts.len()).filter(|at| self.is_answer(*at)).filter_map(|at| match &self.parts[at] {
            Part::ToolCall { arguments, .. } => Some(arguments.as_str()),
            _ => None,
        });
        let answers: Vec<&str> = answers.collect();
        if answers.is_empty() {
            text_of(&self.parts)
        } else {
            answers.concat()
        }
    }

    /// The whole arguments, where a provider sends them at once. What already came stays as it was if it is the same.
    pub fn set_arguments(&mut self, at: At, whole: &str) {
        let Some(Part::ToolCall { arguments, .. }) = self.parts.get_mut(at) else { return };
        if arguments.is_empty() {
            self.arguments(at, whole);
        } else if arguments != whole {
            whole.clone_into(arguments);
        }
    }

    fn call_name(&mut self, at: At) -> Arc<CallName> {
        if self.names.len() <= at {
            self.names.resize(at + 1, None);
        }
        let part = self.parts.get(at);
        self.names[at]
            .get_or_insert_with(|| match part {
                Some(Part::ToolCall { id, name, .. }) => Arc::new(CallName { id: id.clone(), name: name.clone() }),
                _ => Arc::default(),
            })
            .clone()
    }

    fn forget_name(&mut self, at: At) {
        if let Some(name) = self.names.get_mut(at) {
            *name = None;
        }
    }

    /// A provider's event without a kind of its own, for whoever wants it.
    pub fn other(&mut self, json: &Value) {
        let text = json.to_string();
        self.outbox.push(Event::Other(if surrogate::suspect(&text) { surrogate::mend(&text) } else { text }));
    }

    /// Something of the answer was found before it was known that it would be the caller's: makes its events now.
    pub fn adopt(&mut self, parts: Vec<Part>) {
        for part in parts {
            match part {
                Part::Text { text, annotations } => {
                    let at = self.open(Part::Text { text: String::new(), annotations });
                    self.piece(at, &text);
                }
                Part::Reasoning { text, signature, encrypted } => {
                    let at = self.open(Part::Reasoning { text: String::new(), signature, encrypted });
                    self.piece(at, &text);
                }
                Part::Refusal { text } => {
                    let at = self.open(Part::Refusal { text: String::new() });
                    self.piece(at, &text);
                }
                Part::ToolCall { id, name, arguments, custom } => {
                    let at = self.open(Part::ToolCall { id, name, arguments: String::new(), custom });
                    self.arguments(at, &arguments);
                }
                other => {
                    self.open(other);
                }
            }
        }
    }

    /// The parts in the order in which their provider has them in the end; those that it does not list were provisional.
    /// Places taken before are no longer valid: a part's place is now that in `order`.
    pub fn arrange(&mut self, order: &[At]) {
        let mut known: Vec<Option<Part>> = std::mem::take(&mut self.parts).into_iter().map(Some).collect();
        self.parts = order.iter().filter_map(|at| known.get_mut(*at)?.take()).collect();
        self.names.clear();
    }

    /// The answer is whole: half a character that nobody completed is a damaged one, calls without an id get one, and empty
    /// arguments their meaning.
    pub fn settle(&mut self) {
        if let Some((at, _)) = self.half.take() {
            self.piece(at, "\u{fffd}");
            self.arguments(at, "\u{fffd}");
        }
        for (at, part) in self.parts.iter_mut().enumerate() {
            let Part::ToolCall { id, arguments, custom, .. } = part else { continue };
            if id.is_empty() {
                *id = format!("call_local_{at}");
            }
            if !*custom && arguments.trim().is_empty() {
                *arguments = "{}".to_owned();
            }
        }
        self.names.clear();
        if self.finish == Finish::ToolCalls && self.answer_tool.is_some() && !self.has_calls() {
            self.finish = Finish::Stop;
        }
    }

    /// Makes the TOOL_CALL events. A call whose arguments are cut off (the token limit), or that stands in a refusal, is in
    /// the response, but is not offered for execution.
    pub fn offer_calls(&mut self) {
        if self.finish == Finish::Refusal {
            return;
        }
        for at in 0..self.parts.len() {
            if self.is_answer(at) {
                continue;
            }
            let Some(Part::ToolCall { arguments, custom, .. }) = self.parts.get(at) else { continue };
            if *custom || serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok() {
                let arguments = arguments.clone();
                let call = self.call_name(at);
                self.delivered = true;
                self.outbox.push(Event::ToolCall { call, arguments });
            }
        }
    }

    /// The calls that wait for a result.
    pub fn calls(&self) -> impl Iterator<Item = &Part> {
        (0..self.parts.len())
            .filter(|at| !self.is_answer(*at))
            .map(|at| &self.parts[at])
            .filter(|p| matches!(p, Part::ToolCall { .. }))
    }

    #[must_use]
    pub fn has_calls(&self) -> bool {
        self.calls().next().is_some()
    }

    /// Whether the caller got, or is about to get, a piece of the answer: then no other attempt may follow.
    #[must_use]
    pub fn delivered(&self) -> bool {
        self.delivered
    }

    /// An event that is no piece of the answer.
    pub fn notice(&mut self, event: Event) {
        self.outbox.push(event);
    }

    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Forgets an attempt that failed before it delivered anything; waiting notices stay.
    pub fn restart(&mut self) {
        let (outbox, answer_tool) = (std::mem::take(&mut self.outbox), self.answer_tool.take());
        *self = Self { outbox, answer_tool, ..Self::default() };
    }

    pub fn take_parts(&mut self) -> Vec<Part> {
        self.names.clear();
        for at in 0..self.parts.len() {
            if self.is_answer(at) {
                if let Part::ToolCall { arguments, .. } = &mut self.parts[at] {
                    self.parts[at] = Part::text(std::mem::take(arguments));
                }
            }
        }
        std::mem::take(&mut self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_become_one_event_and_one_part() {
        let mut acc = Accumulator::default();
        let at = acc.open(Part::text(""));
        assert!(!acc.delivered());
        acc.piece(at, "a");
        acc.piece(at, "");
        acc.piece(at, "b");
        assert!(acc.delivered());
        let events: Vec<Event> = acc.outbox().drain().collect();
        assert!(matches!(&events[..], [Event::Text(t)] if t == "ab"));
        assert_eq!(acc.parts(), [Part::text("ab")]);
    }

    #[test]
    fn a_pair_that_was_cut_is_one_character_again() {
        let mut acc = Accumulator::default();
        let (high, low) = (surrogate::stand_in(0xD83C).to_string(), surrogate::stand_in(0xDF89).to_string());
        let at = acc.open(Part::text(""));
        for piece in ["a", &high, "", &low, "b", &low, &high, "c"] {
            acc.piece(at, piece);
        }
        let events: Vec<Event> = acc.outbox().drain().collect();
        let expected = "a\u{1f389}b\u{fffd}\u{fffd}c";
        assert!(matches!(&events[..], [Event::Text(t)] if t == expected), "{events:?}");
        assert_eq!(acc.parts(), [Part::text(expected)]);
    }

    #[test]
    fn a_name_that_comes_late_reaches_the_whole_call() {
        let mut acc = Accumulator::default();
        let call = |id: &str| Part::ToolCall { id: id.into(), name: String::new(), arguments: String::new(), custom: false };
        let (a, b) = (acc.open(call("a")), acc.open(call("")));
        acc.arguments(a, "{\"x\"");
        acc.name_call(a, Some("other"), Some("f"));
        acc.arguments(a, ":1}");
        acc.settle();
        acc.offer_calls();
        let events: Vec<Event> = acc.outbox().drain().collect();
        let Event::ToolCall { call, arguments } = &events[2] else { panic!("{events:?}") };
        assert_eq!((call.id.as_str(), call.name.as_str(), arguments.as_str()), ("a", "f", "{\"x\":1}"));
        let Event::ToolCall { call, arguments } = &events[3] else { panic!("{events:?}") };
        assert_eq!((call.id.as_str(), arguments.as_str()), (&*format!("call_local_{b}"), "{}"));
    }

    #[test]
    fn an_answer_given_with_a_tool_is_text() {
        let mut acc = Accumulator::default();
        acc.set_answer_tool(Some("answer".into()));
        acc.restart();
        let at = acc.open(Part::ToolCall { id: "a".into(), name: "answer".into(), arguments: String::new(), custom: false });
        acc.arguments(at, "{\"x\"");
        acc.arguments(at, ":1}");
        acc.finish = Finish::ToolCalls;
        acc.settle();
        acc.offer_calls();
        assert_eq!((acc.finish, acc.answer().as_str()), (Finish::Stop, "{\"x\":1}"));
        let events: Vec<Event> = acc.outbox().drain().collect();
        assert!(matches!(&events[..], [Event::Text(t)] if t == "{\"x\":1}"), "{events:?}");
        assert_eq!(acc.take_parts(), [Part::text("{\"x\":1}")]);
    }

    #[test]
    fn a_call_that_was_cut_is_not_offered() {
        let mut acc = Accumulator::default();
        acc.open(Part::ToolCall { id: "a".into(), name: "f".into(), arguments: "{\"x\":".into(), custom: false });
        acc.settle();
        acc.offer_calls();
        assert!(acc.outbox().is_empty());
        assert!(acc.has_calls());
    }
}

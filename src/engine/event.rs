//! What a stream tells its caller.

use std::sync::Arc;

use super::error::Error;
use super::response::Response;

/// One event. Deltas of one kind merge while they wait.
#[derive(Clone, Debug)]
pub enum Event {
    /// The provider accepted the request.
    Started,
    /// A piece of the answer.
    Text(String),
    /// A piece of the model's reasoning or of its summary.
    Reasoning(String),
    /// A piece of a refusal.
    Refusal(String),
    /// A piece of a call's arguments.
    ToolArguments { call: Arc<CallName>, piece: String },
    /// One whole call.
    ToolCall { call: Arc<CallName>, arguments: String },
    /// An attempt failed; another follows.
    Retry(Arc<Error>),
    /// A provider's event that has no kind of its own, as JSON.
    Other(String),
    /// The last event of every stream.
    End { response: Arc<Response>, error: Option<Arc<Error>> },
}

/// Which call an event is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CallName {
    pub id: String,
    pub name: String,
}

impl Event {
    /// What a waiting event takes beside its text, so that a flood of empty events is bounded too.
    pub const SLOT: usize = 64;

    /// What this event weighs against the queue's bound.
    #[must_use]
    pub fn weight(&self) -> usize {
        Self::SLOT
            + match self {
                Self::Text(s) | Self::Reasoning(s) | Self::Refusal(s) | Self::Other(s) => s.len(),
                Self::ToolArguments { piece, .. } => piece.len(),
                Self::ToolCall { arguments, .. } => arguments.len(),
                Self::Started | Self::Retry(_) | Self::End { .. } => 0,
            }
    }

    /// Appends `next` where both are pieces of the same thing; otherwise gives it back.
    pub fn merge(&mut self, next: Self) -> Option<Self> {
        match (self, next) {
            (Self::Text(a), Self::Text(b)) | (Self::Reasoning(a), Self::Reasoning(b)) | (Self::Refusal(a), Self::Refusal(b)) => {
                a.push_str(&b);
                None
            }
            (Self::ToolArguments { call: a, piece }, Self::ToolArguments { call: b, piece: more }) if Arc::ptr_eq(a, &b) => {
                piece.push_str(&more);
                None
            }
            (_, next) => Some(next),
        }
    }
}

/// Events that one network read brought, merged, on their way to the queue.
#[derive(Debug, Default)]
pub struct Outbox {
    events: Vec<Event>,
}

impl Outbox {
    pub fn push(&mut self, event: Event) {
        let rest = match self.events.last_mut() {
            Some(last) => last.merge(event),
            None => Some(event),
        };
        self.events.extend(rest);
    }

    /// Appends a piece of text without making an event of its own where one is open.
    pub fn text(&mut self, piece: &str) {
        match self.events.last_mut() {
            Some(Event::Text(text)) => text.push_str(piece),
            _ => self.events.push(Event::Text(piece.to_owned())),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    pub fn drain(&mut self) -> std::vec::Drain<'_, Event> {
        self.events.drain(..)
    }

    pub fn clear(&mut self) {
        self.events.clear();
    }
}

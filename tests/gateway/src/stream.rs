//! Turns the steps of an answer into the pieces of a streamed body.

use std::sync::Arc;

use bytes::Bytes;

use crate::answer::{Answer, Step};
use crate::failure::Failure;
use crate::format::Format;
use crate::{chat, messages, responses};

/// Some bytes of a body.
pub struct Piece {
    pub bytes: Bytes,
    /// `pace_ms=` waits before it, if there was a delta before.
    pub delta: bool,
}

/// Writes one format's events.
pub trait Writer: Send {
    /// The events of this step; may be none.
    fn step(&mut self, step: Step) -> String;
    /// The events that end the stream with an error.
    fn failure(&mut self, failure: &Failure) -> String;
}

/// A streamed answer: an iterator over its pieces.
pub struct Events {
    steps: Box<dyn Iterator<Item = Step> + Send>,
    writer: Box<dyn Writer>,
    failure: Option<(usize, Failure)>,
    deltas: usize,
    ended: bool,
}

impl Events {
    /// Streams `answer`, or fails after some deltas.
    pub fn new(format: Format, answer: &Arc<Answer>, failure: Option<(usize, Failure)>, request_id: &str) -> Self {
        let writer: Box<dyn Writer> = match format {
            Format::Chat => Box::new(chat::Stream::new(Arc::clone(answer), request_id)),
            Format::Responses => Box::new(responses::Stream::new(Arc::clone(answer))),
            Format::Messages => Box::new(messages::Stream::new(Arc::clone(answer), request_id)),
        };
        Self { steps: answer.steps(), writer, failure, deltas: 0, ended: false }
    }
}

impl Iterator for Events {
    type Item = Piece;

    fn next(&mut self) -> Option<Piece> {
        while !self.ended {
            let due = |deltas| matches!(&self.failure, Some((after, _)) if deltas >= *after);
            let step = if due(self.deltas) { None } else { self.steps.next() };
            // An answer with fewer deltas than `error_after=` fails where it would have ended.
            let last = matches!(step, None | Some(Step::Finish));
            if last {
                self.ended = true;
                if let Some((_, failure)) = &self.failure {
                    let bytes = Bytes::from(self.writer.failure(failure));
                    return Some(Piece { bytes, delta: true });
                }
            }
            let step = step?;
            let delta = step.is_delta();
            self.deltas += usize::from(delta);
            let text = self.writer.step(step);
            if !text.is_empty() {
                let bytes = Bytes::from(text);
                return Some(Piece { bytes, delta });
            }
        }
        None
    }
}

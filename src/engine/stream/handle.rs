//! A stream as its caller holds it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::queue::{Delivery, Next, Queue};
use super::reentry;
use super::tools::Round;
use crate::engine::error::{Error, Kind, Result};
use crate::engine::response::Response;

/// How a stream ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub response: Arc<Response>,
    pub error: Option<Arc<Error>>,
}

/// What the caller, the queue and the running task share of a stream.
#[derive(Debug, Default)]
pub struct Core {
    /// Tells streams apart; never used twice.
    pub id: u64,
    cancelled: AtomicBool,
    wake: Notify,
    /// Two words of the caller's own that come back with every event.
    pub ticket: AtomicUsize,
    user_data: AtomicUsize,
    /// The tool calls that wait for a reply.
    pub round: Round,
    /// Set when the END was handed over.
    outcome: OnceLock<Outcome>,
}

impl Core {
    #[must_use]
    pub fn new(id: u64, user_data: usize) -> Self {
        Self { id, user_data: AtomicUsize::new(user_data), ..Self::default() }
    }

    /// Asks the stream to end. Any thread, any number of times.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Release);
        self.wake.notify_one();
    }

    /// Ready once [`Core::cancel`] was called. Awaited by the stream's task alone.
    pub async fn cancelled(&self) {
        while !self.cancelled.load(Ordering::Acquire) {
            self.wake.notified().await;
        }
    }

    pub fn user_data(&self) -> usize {
        self.user_data.load(Ordering::Acquire)
    }

    /// For streams whose data is known only when they have begun.
    pub fn set_user_data(&self, user_data: usize) {
        self.user_data.store(user_data, Ordering::Release);
    }

    /// The caller's data is about to be dropped: events that still come carry none.
    pub fn release_user_data(&self) {
        self.user_data.store(0, Ordering::Release);
    }

    #[must_use]
    pub fn is_taken(&self) -> bool {
        self.outcome.get().is_some()
    }

    pub fn set_taken(&self, response: Arc<Response>, error: Option<Arc<Error>>) {
        // A stream has one END, so the slot is empty.
        let _ = self.outcome.set(Outcome { response, error });
    }

    #[must_use]
    pub fn outcome(&self) -> Option<&Outcome> {
        self.outcome.get()
    }
}

/// A stream under way, or one that has ended.
pub struct Stream {
    pub core: Arc<Core>,
    pub queue: Arc<Queue>,
    /// The queue is this stream's own and goes with it.
    pub private: bool,
}

impl Stream {
    /// The next event of this stream.
    pub fn next(&self, timeout: Option<Duration>) -> Result<Next> {
        if self.queue.delivery() == Delivery::Pull {
            return Ok(self.queue.next(Some(&self.core), timeout));
        }
        Err(Error::argument("the events of this stream go to the callback of its queue"))
    }

    /// Waits for the end. On a queue with callbacks they take the events; otherwise what is left is taken here.
    pub fn wait(&self, timeout: Option<Duration>) -> Result<Option<Outcome>> {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        loop {
            if let Some(outcome) = self.core.outcome() {
                return Ok(Some(outcome.clone()));
            }
            if reentry::inside(self.queue.id) {
                return Err(Error::new(Kind::WouldDeadlock, "a callback of this stream's queue is running on this thread"));
            }
            let left = deadline.map(|d| d.saturating_duration_since(Instant::now()));
            let next = match self.queue.delivery() {
                Delivery::Pull => self.queue.next(Some(&self.core), left),
                _ => self.queue.wait_taken(&self.core, left),
            };
            match next {
                Next::Event(_) | Next::Done => {}
                Next::TimedOut => return Ok(None),
                Next::Closed => return Err(Error::new(Kind::InvalidHandle, "the stream or its queue was freed meanwhile")),
                Next::Shutdown => return Err(Error::new(Kind::Shutdown, "the library was shut down")),
            }
        }
    }

    /// What freeing the caller's handle means: a stream under way is cancelled.
    pub fn release(&self) {
        self.core.cancel();
        if self.private {
            self.queue.close();
        }
    }
}

//! Whose turn it is: how many requests may be under way, and how many may start in a minute.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// The window of `requests_per_minute`.
const MINUTE: Duration = Duration::from_secs(60);

/// The limits of one client; shared by all its streams.
#[derive(Debug)]
pub struct Limits {
    in_flight: Option<Arc<Semaphore>>,
    rate: Option<Mutex<Rate>>,
}

#[derive(Debug)]
struct Rate {
    per_minute: usize,
    /// When the last `per_minute` requests started or will start, oldest first.
    starts: VecDeque<Instant>,
    /// Nothing starts before: the server said so.
    not_before: Option<Instant>,
}

/// A place among the requests under way; given back when dropped.
#[derive(Debug)]
pub struct Turn {
    _permit: Option<OwnedSemaphorePermit>,
}

/// A place that was asked for.
pub type TurnToCome = Pin<Box<dyn Future<Output = Turn> + Send + Sync>>;

impl Limits {
    #[must_use]
    pub fn new(max_in_flight: Option<usize>, requests_per_minute: Option<u32>) -> Self {
        Self {
            in_flight: max_in_flight.map(|n| Arc::new(Semaphore::new(n.min(Semaphore::MAX_PERMITS)))),
            rate: requests_per_minute.map(|n| {
                let per_minute = usize::try_from(n).unwrap_or(usize::MAX);
                Mutex::new(Rate { per_minute, starts: VecDeque::new(), not_before: None })
            }),
        }
    }

    /// Asks for a place and waits for it. Who asks first has it first: the place in the line is taken when this is called, not
    /// when it is awaited.
    pub fn turn(&self) -> TurnToCome {
        let mut turn: TurnToCome = match &self.in_flight {
            // The semaphore is never closed, so this gives a permit.
            Some(places) => {
                let places = places.clone();
                Box::pin(async move { Turn { _permit: places.acquire_owned().await.ok() } })
            }
            None => return Box::pin(std::future::ready(Turn { _permit: None })),
        };
        // The first poll takes the place in the line.
        match turn.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Box::pin(std::future::ready(turn)),
            Poll::Pending => turn,
        }
    }

    /// Waits until one more request may start. Each asking takes a place in the window, in the order of asking.
    pub async fn start(&self) {
        let Some(rate) = &self.rate else { return };
        let at = rate.lock().unwrap_or_else(PoisonError::into_inner).reserve(Instant::now());
        tokio::time::sleep_until(at).await;
    }

    /// The server asked for a pause: no request of a rate-limited client starts before it is over.
    pub fn pause(&self, wait: Duration) {
        if let Some(rate) = &self.rate {
            let mut rate = rate.lock().unwrap_or_else(PoisonError::into_inner);
            let until = Instant::now().checked_add(wait);
            rate.not_before = rate.not_before.max(until);
        }
    }
}

impl Rate {
    fn reserve(&mut self, now: Instant) -> Instant {
        let mut at = self.not_before.map_or(now, |t| t.max(now));
        if self.starts.len() >= self.per_minute {
            if let Some(oldest) = self.starts.pop_front() {
                at = at.max(oldest + MINUTE);
            }
        }
        self.starts.push_back(at);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_of_a_minute_holds_more_than_the_limit() {
        let mut rate = Rate { per_minute: 3, starts: VecDeque::new(), not_before: None };
        let now = Instant::now();
        let at: Vec<Duration> = (0..8).map(|_| rate.reserve(now) - now).collect();
        let expected = [0, 0, 0, 60, 60, 60, 120, 120].map(Duration::from_secs);
        assert_eq!(at, expected);
        rate.not_before = Some(now + Duration::from_secs(500));
        assert_eq!(rate.reserve(now) - now, Duration::from_secs(500));
    }
}

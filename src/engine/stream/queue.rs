//! The one queue: events wait here, bounded by bytes, until the caller takes them.
//!
//! Pull is the primitive. Pumping is taking and calling back; the delivery thread is a thread that pumps. Handlers are
//! called, and dropped, outside the lock and never on a network thread.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::handle::Core;
use super::reentry;
use crate::engine::error::{Error, Kind, Result};
use crate::engine::event::{Event, Outbox};
use crate::engine::runtime::Threads;

/// Waiting events of a queue may weigh this much, in bytes, before sockets are no longer read.
pub const QUEUE_BOUND: usize = 4 << 20;
/// A stream whose own events weigh less than this goes on even where its queue is full: whoever waits for this stream
/// alone must not be starved by its neighbours.
pub const STREAM_FLOOR: usize = 64 << 10;

/// On whose thread events are handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    Pull,
    Pump,
    Thread,
}

/// Handles the events of one stream; dropped after the last one.
pub trait Handler: Send {
    fn event(&mut self, event: &mut Delivered);
}

/// Tells a poll loop that events wait.
pub trait Signal: Send + Sync {
    fn raise(&self);
    fn clear(&self);
}

/// Runs when an empty queue gets an event.
pub type Wakeup = Arc<dyn Fn() + Send + Sync>;

/// An event on its way out.
pub struct Delivered {
    pub stream: Arc<Core>,
    pub event: Event,
    /// With the END of a pulled stream: what is to be dropped when the event is done with.
    pub handler: Option<Box<dyn Handler>>,
}

/// What waiting for an event came to.
pub enum Next {
    Event(Box<Delivered>),
    TimedOut,
    /// The stream's END has been taken.
    Done,
    /// The queue was freed.
    Closed,
    /// The library was shut down, and nothing is left.
    Shutdown,
}

/// See the module's documentation.
pub struct Queue {
    /// Tells queues apart; never used twice.
    pub id: u64,
    delivery: Delivery,
    state: Mutex<State>,
    /// Events, their end, or the end of a callback.
    changed: Condvar,
    threads: Arc<Threads>,
}

#[derive(Default)]
struct State {
    inboxes: HashMap<u64, Inbox>,
    /// Streams that have events, each once: the queue goes round, so that no stream waits for a chatty one.
    ready: VecDeque<u64>,
    /// How many events wait.
    count: usize,
    bytes: usize,
    /// Streams that wait for room.
    waiting: Vec<(u64, Arc<Notify>)>,
    /// Threads in [`Queue::wait`].
    sleepers: usize,
    /// A handler runs.
    busy: bool,
    closed: bool,
    shut: bool,
    signal: Option<Arc<dyn Signal>>,
    wakeup: Option<Wakeup>,
    /// The delivery thread that is to run, by number; 0: none. One that finds another number here ends.
    thread: u64,
    threads_started: u64,
    thread_stops: bool,
}

struct Inbox {
    core: Arc<Core>,
    events: VecDeque<Event>,
    bytes: usize,
    /// `None` while it is called.
    handler: Option<Box<dyn Handler>>,
    room: Arc<Notify>,
}

impl Queue {
    #[must_use]
    pub fn new(delivery: Delivery, threads: Arc<Threads>) -> Arc<Self> {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Arc::new(Self { id, delivery, state: Mutex::default(), changed: Condvar::new(), threads })
    }

    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code of ours panics under this lock; if it did, the state would still be whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a stream in. The handler comes back where the queue was freed already.
    pub fn attach(self: &Arc<Self>, core: &Arc<Core>, handler: Option<Box<dyn Handler>>) -> Result<(), Option<Box<dyn Handler>>> {
        let mut state = self.lock();
        if state.closed {
            return Err(handler);
        }
        // A thread that a shutdown is about to join is not kept from its end: a new one takes over.
        if self.delivery == Delivery::Thread && (state.thread == 0 || state.thread_stops) {
            let (queue, number) = (self.clone(), state.threads_started + 1);
            if self.threads.spawn("apertis-events", move || queue.run_thread(number)).is_err() {
                return Err(handler);
            }
            state.threads_started = number;
            state.thread = number;
        }
        state.shut = false;
        state.thread_stops = false;
        let inbox = Inbox { core: core.clone(), events: VecDeque::new(), bytes: 0, handler, room: Arc::default() };
        state.inboxes.insert(core.id, inbox);
        Ok(())
    }

    /// Takes a stream out that never began; its handler comes back.
    pub fn detach(&self, stream: u64) -> Option<Box<dyn Handler>> {
        self.lock().inboxes.remove(&stream)?.handler
    }

    /// Puts a network read's events in. Returns what to wait for before reading on, if there is too much already.
    pub fn push(&self, stream: u64, outbox: &mut Outbox) -> Option<Arc<Notify>> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let Some(inbox) = state.inboxes.get_mut(&stream) else {
            // Freed: nobody will ask for these.
            outbox.clear();
            return None;
        };
        let was_idle = inbox.events.is_empty();
        for event in outbox.drain() {
            let weight = event.weight();
            let rest = match inbox.events.back_mut() {
                Some(last) => last.merge(event),
                None => Some(event),
            };
            // What merges takes no slot of its own.
            let added = if rest.is_some() { weight } else { weight - Event::SLOT };
            state.count += usize::from(rest.is_some());
            inbox.events.extend(rest);
            inbox.bytes += added;
            state.bytes += added;
        }
        let room =
            (inbox.bytes > QUEUE_BOUND || (state.bytes > QUEUE_BOUND && inbox.bytes > STREAM_FLOOR)).then(|| inbox.room.clone());
        let mut wakeup = None;
        if was_idle && !inbox.events.is_empty() {
            if state.ready.is_empty() {
                if let Some(signal) = &state.signal {
                    signal.raise();
                }
                wakeup = state.wakeup.clone();
            }
            state.ready.push_back(stream);
        }
        state.waiting.extend(room.clone().map(|room| (stream, room)));
        let wake_sleepers = state.sleepers > 0;
        drop(guard);
        if wake_sleepers {
            self.changed.notify_all();
        }
        if let Some(wakeup) = wakeup {
            wakeup();
        }
        room
    }

    /// Takes an event: of one stream, or of whichever is next. Pull queues only.
    pub fn next(&self, only: Option<&Core>, timeout: Option<Duration>) -> Next {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut state = self.lock();
        loop {
            if state.closed {
                return Next::Closed;
            }
            if only.is_some_and(Core::is_taken) {
                return Next::Done;
            }
            if let Some(mut delivered) = self.take(&mut state, only.map(|c| c.id)) {
                if let Event::End { response, error } = &delivered.event {
                    delivered.handler = state.inboxes.remove(&delivered.stream.id).and_then(|inbox| inbox.handler);
                    delivered.stream.set_taken(response.clone(), error.clone());
                    if state.sleepers > 0 {
                        self.changed.notify_all();
                    }
                }
                return Next::Event(Box::new(delivered));
            }
            if state.shut && state.inboxes.is_empty() {
                return Next::Shutdown;
            }
            match self.wait(state, deadline, timeout) {
                Ok(next) => state = next,
                Err(_) => return Next::TimedOut,
            }
        }
    }

    /// Waits until something changes. `Err` when the time is over.
    fn wait<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        deadline: Option<Instant>,
        timeout: Option<Duration>,
    ) -> Result<MutexGuard<'a, State>, MutexGuard<'a, State>> {
        // A timeout too long for the clock is no timeout.
        let left = match (timeout, deadline) {
            (Some(_), Some(deadline)) => Some(deadline.saturating_duration_since(Instant::now())),
            _ => None,
        };
        if left == Some(Duration::ZERO) {
            return Err(state);
        }
        state.sleepers += 1;
        let mut state = match left {
            Some(left) => self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0,
            None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
        };
        state.sleepers -= 1;
        Ok(state)
    }

    /// Waits until a stream's END has been taken, without taking events itself.
    pub fn wait_taken(&self, core: &Core, timeout: Option<Duration>) -> Next {
        let deadline = timeout.and_then(|t| Instant::now().checked_add(t));
        let mut state = self.lock();
        loop {
            if core.is_taken() {
                return Next::Done;
            }
            if state.closed {
                return Next::Closed;
            }
            match self.wait(state, deadline, timeout) {
                Ok(next) => state = next,
                Err(_) => return Next::TimedOut,
            }
        }
    }

    fn take(&self, state: &mut State, only: Option<u64>) -> Option<Delivered> {
        let stream = match only {
            Some(id) => id,
            None => *state.ready.front()?,
        };
        let inbox = state.inboxes.get_mut(&stream)?;
        let event = inbox.events.pop_front()?;
        let weight = event.weight();
        inbox.bytes -= weight;
        state.bytes -= weight;
        state.count -= 1;
        let core = inbox.core.clone();
        let inbox_bytes = inbox.bytes;
        let more = !inbox.events.is_empty();
        match only {
            None => {
                state.ready.pop_front();
                if more {
                    state.ready.push_back(stream);
                }
            }
            Some(_) if !more => state.ready.retain(|id| *id != stream),
            Some(_) => {}
        }
        if state.ready.is_empty() {
            if let Some(signal) = &state.signal {
                signal.clear();
            }
        }
        if !state.waiting.is_empty() {
            // With room in the queue everyone reads on; otherwise the stream that was just drained does.
            let (roomy, drained) = (state.bytes <= QUEUE_BOUND / 2, inbox_bytes <= STREAM_FLOOR);
            state.waiting.retain(|(id, room)| {
                let goes_on = roomy || (drained && *id == stream);
                if goes_on {
                    room.notify_one();
                }
                !goes_on
            });
        }
        Some(Delivered { stream: core, event, handler: None })
    }

    /// Runs the handlers of what waits now, until `budget` is used up. Returns how many ran.
    pub fn pump(&self, budget: Option<Duration>) -> Result<usize> {
        if reentry::inside(self.id) {
            return Err(Error::new(Kind::WouldDeadlock, "a callback of this queue is running on this thread"));
        }
        let start = Instant::now();
        let mut left = self.lock().count;
        let mut ran = 0;
        while left > 0 && self.deliver_one() {
            left -= 1;
            ran += 1;
            if budget.is_some_and(|budget| start.elapsed() >= budget) {
                break;
            }
        }
        Ok(ran)
    }

    /// Handles one event. False where there is none, or another thread is at it.
    fn deliver_one(&self) -> bool {
        let mut state = self.lock();
        if state.busy || state.closed {
            return false;
        }
        let Some(mut delivered) = self.take(&mut state, None) else { return false };
        let id = delivered.stream.id;
        let mut handler = state.inboxes.get_mut(&id).and_then(|inbox| inbox.handler.take());
        state.busy = true;
        drop(state);
        if let Some(handler) = &mut handler {
            let _inside = reentry::enter(self.id);
            handler.event(&mut delivered);
        }
        let outcome = match delivered.event {
            Event::End { response, error } => Some((response, error)),
            _ => None,
        };
        let mut state = self.lock();
        if outcome.is_some() {
            state.inboxes.remove(&id);
        } else if let Some(inbox) = state.inboxes.get_mut(&id) {
            inbox.handler = handler.take();
        }
        drop(state);
        {
            // The last use of the caller's data is over before anyone is told so, and before the next callback.
            let _inside = reentry::enter(self.id);
            drop(handler);
        }
        if let Some((response, error)) = outcome {
            delivered.stream.set_taken(response, error);
        }
        let mut state = self.lock();
        state.busy = false;
        let wake = state.sleepers > 0;
        drop(state);
        if wake {
            self.changed.notify_all();
        }
        true
    }

    fn run_thread(&self, number: u64) {
        loop {
            let mut state = self.lock();
            let replaced = state.thread != number;
            if replaced || state.closed || (state.thread_stops && state.ready.is_empty()) {
                if !replaced {
                    state.thread = 0;
                }
                drop(state);
                self.changed.notify_all();
                return;
            }
            if state.ready.is_empty() || state.busy {
                // Without a deadline the wait ends only by a change.
                drop(self.wait(state, None, None));
                continue;
            }
            drop(state);
            self.deliver_one();
        }
    }

    /// Frees the queue: streams are cancelled, waiting events and handlers dropped. Never blocks.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let inboxes = std::mem::take(&mut state.inboxes);
        let signal = state.signal.take();
        let wakeup = state.wakeup.take();
        state.ready.clear();
        (state.count, state.bytes) = (0, 0);
        for (_, room) in state.waiting.drain(..) {
            room.notify_one();
        }
        drop(state);
        self.changed.notify_all();
        for inbox in inboxes.values() {
            inbox.core.cancel();
        }
        let _inside = reentry::enter(self.id);
        drop((inboxes, signal, wakeup));
    }

    /// Hands over what is left at shutdown: every handler has run its END and is dropped when this returns true. False
    /// where the time did not suffice. Pulled streams keep their events, but not their handlers.
    pub fn settle(&self, deadline: Option<Instant>) -> bool {
        match self.delivery {
            Delivery::Pull => {
                let mut state = self.lock();
                state.shut = true;
                let handlers: Vec<_> = state
                    .inboxes
                    .values_mut()
                    .filter_map(|inbox| {
                        let handler = inbox.handler.take()?;
                        inbox.core.release_user_data();
                        Some(handler)
                    })
                    .collect();
                drop(state);
                self.changed.notify_all();
                drop(handlers);
                true
            }
            Delivery::Pump => self.settle_until(deadline, |state| state.ready.is_empty() && !state.busy),
            Delivery::Thread => {
                let mut state = self.lock();
                state.thread_stops = true;
                let number = state.thread;
                drop(state);
                self.changed.notify_all();
                self.settle_until(deadline, |state| state.thread != number || number == 0)
            }
        }
    }

    fn settle_until(&self, deadline: Option<Instant>, done: impl Fn(&State) -> bool) -> bool {
        loop {
            if self.delivery == Delivery::Pump && self.deliver_one() {
                continue;
            }
            let state = self.lock();
            if done(&state) {
                return true;
            }
            let timeout = deadline.map(|_| Duration::ZERO);
            if self.wait(state, deadline, timeout).is_err() {
                return false;
            }
        }
    }

    /// Sets what is raised while events wait.
    pub fn set_signal(&self, signal: Arc<dyn Signal>) {
        let mut state = self.lock();
        if !state.ready.is_empty() {
            signal.raise();
        }
        state.signal = Some(signal);
    }

    /// Sets what runs when an empty queue gets an event; it runs at once where events wait already.
    pub fn set_wakeup(&self, wakeup: Option<Wakeup>) {
        let mut state = self.lock();
        let now = wakeup.clone().filter(|_| !state.ready.is_empty());
        let old = std::mem::replace(&mut state.wakeup, wakeup);
        drop(state);
        drop(old);
        if let Some(wakeup) = now {
            wakeup();
        }
    }

    /// Streams that have not ended for the caller yet.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().inboxes.len()
    }
}

//! The library's own threads: up to two for the network, each with a current-thread runtime, and one for each queue that
//! asked for one. They start with the first stream and are joined by a shutdown, after which a fresh [`Runtime`] starts anew.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Handle};
use tokio::sync::Notify;

use super::error::{Error, Kind, Result};
use super::log::log;

/// Network threads at most.
const WORKERS: usize = 2;
/// The second thread starts when the first has this many streams: until then one pool of connections serves all.
const BUSY: usize = 16;
/// A look-up thread that is not needed again for this long ends.
const LOOKUP_THREAD_IDLE: Duration = Duration::from_millis(200);
/// How long the end of a runtime waits for a name look-up where the caller set no limit.
const LONGEST_LOOKUP: Duration = Duration::from_secs(60);

thread_local! {
    static NETWORK: Cell<bool> = const { Cell::new(false) };
}

/// Whether this is one of the threads that everyone's streams depend on.
#[must_use]
pub fn is_network_thread() -> bool {
    NETWORK.get()
}

/// One life of the library, from its first use to its shutdown.
#[derive(Default)]
pub struct Runtime {
    state: Mutex<State>,
    ended: Condvar,
}

#[derive(Default)]
struct State {
    workers: Vec<Worker>,
    stopped: bool,
    /// Threads that have not come to their end.
    running: usize,
}

struct Worker {
    handle: Handle,
    load: Arc<AtomicUsize>,
    stop: Arc<Stop>,
    thread: JoinHandle<()>,
}

#[derive(Default)]
struct Stop {
    now: Notify,
    deadline: Mutex<Option<Instant>>,
}

/// How a new thread tells whether it could begin.
type Begun = (Mutex<Option<io::Result<Handle>>>, Condvar);

trait Announce {
    fn say(&self, begun: io::Result<Handle>);
    fn hear(&self) -> io::Result<Handle>;
}

impl Announce for Begun {
    fn say(&self, begun: io::Result<Handle>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(begun);
        self.1.notify_one();
    }

    fn hear(&self) -> io::Result<Handle> {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            match slot.take() {
                Some(begun) => return begun,
                None => slot = self.1.wait(slot).unwrap_or_else(PoisonError::into_inner),
            }
        }
    }
}

/// Counts a stream on its thread while it lives.
pub struct Place {
    pub worker: usize,
    load: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Runtime {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a task on the thread that has the fewest. The task is dropped where it stands when the runtime stops.
    pub fn spawn<F>(self: &Arc<Self>, task: impl FnOnce(Place) -> F) -> Result<()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut state = self.lock();
        if state.stopped {
            return Err(stopped());
        }
        let load = |w: &Worker| w.load.load(Ordering::Relaxed);
        let all_busy = state.workers.iter().all(|w| load(w) >= BUSY);
        if all_busy && state.workers.len() < WORKERS {
            match self.start_worker(state.workers.len()) {
                Ok(worker) => {
                    state.workers.push(worker);
                    state.running += 1;
                }
                // With one thread at work already the second is a luxury.
                Err(e) if state.workers.is_empty() => {
                    return Err(Error::new(Kind::Internal, format!("no thread for the network could be started: {e}")))
                }
                Err(e) => log!(Warn, "the second network thread could not be started: {e}"),
            }
        }
        // While the first thread is not busy it gets everything: connections are reused there.
        let first_is_free = state.workers.first().is_some_and(|w| load(w) < BUSY);
        let chosen = if first_is_free { state.workers.first() } else { state.workers.iter().min_by_key(|w| load(w)) };
        let Some(worker) = chosen else { return Err(stopped()) };
        let number =
            if first_is_free { 0 } else { state.workers.iter().position(|w| Arc::ptr_eq(&w.load, &worker.load)).unwrap_or(0) };
        worker.load.fetch_add(1, Ordering::Relaxed);
        let place = Place { worker: number, load: worker.load.clone() };
        worker.handle.spawn(task(place));
        Ok(())
    }

    fn start_worker(self: &Arc<Self>, number: usize) -> io::Result<Worker> {
        let begun = Arc::new((Mutex::new(None), Condvar::new()));
        let stop = Arc::<Stop>::default();
        let (life, asked, begin) = (self.clone(), stop.clone(), begun.clone());
        let thread = std::thread::Builder::new().name(format!("apertis-net-{number}")).spawn(move || {
            NETWORK.set(true);
            // Built here and not by the caller, on whose thread it would leave thread-local memory behind.
            let runtime = Builder::new_current_thread()
                .enable_all()
                .thread_name("apertis-lookup")
                .thread_keep_alive(LOOKUP_THREAD_IDLE)
                .max_blocking_threads(1)
                .build();
            let runtime = match runtime {
                Ok(runtime) => {
                    begin.say(Ok(runtime.handle().clone()));
                    runtime
                }
                Err(e) => return begin.say(Err(e)),
            };
            runtime.block_on(asked.now.notified());
            let deadline = *asked.deadline.lock().unwrap_or_else(PoisonError::into_inner);
            // Drops every task, which ends its stream; then waits for a look-up, if one is under way.
            runtime.shutdown_timeout(deadline.map_or(LONGEST_LOOKUP, |d| d.saturating_duration_since(Instant::now())));
            life.lock().running -= 1;
            life.ended.notify_all();
        })?;
        let handle = begun.hear()?;
        Ok(Worker { handle, load: Arc::default(), stop, thread })
    }

    /// Whether the runtime takes streams.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.lock().stopped
    }

    /// Ends every task and joins the network threads. False where `deadline` came first; calling again goes on waiting.
    pub fn stop(&self, deadline: Option<Instant>) -> bool {
        let mut state = self.lock();
        state.stopped = true;
        for worker in &state.workers {
            *worker.stop.deadline.lock().unwrap_or_else(PoisonError::into_inner) = deadline;
            worker.stop.now.notify_one();
        }
        while state.running > 0 {
            let (next, in_time) = wait_until(&self.ended, state, deadline);
            state = next;
            if !in_time {
                return false;
            }
        }
        let workers = std::mem::take(&mut state.workers);
        drop(state);
        for worker in workers {
            // The thread has said that it is at its end; a panic of it has been reported where it happened.
            let _ = worker.thread.join();
        }
        true
    }
}

/// The error of whoever comes after the shutdown.
#[must_use]
pub fn stopped() -> Error {
    Error::new(Kind::Shutdown, "the library was shut down; make a new client to start afresh")
}

fn wait_until<'a, T>(
    condition: &Condvar,
    guard: std::sync::MutexGuard<'a, T>,
    deadline: Option<Instant>,
) -> (std::sync::MutexGuard<'a, T>, bool) {
    match deadline {
        None => (condition.wait(guard).unwrap_or_else(PoisonError::into_inner), true),
        Some(deadline) => {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return (guard, false);
            }
            (condition.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0, true)
        }
    }
}

/// The threads of delivery queues, kept so that they can be joined.
#[derive(Default)]
pub struct Threads {
    all: Mutex<Vec<JoinHandle<()>>>,
}

impl Threads {
    /// Starts a thread, and forgets those that have ended.
    pub fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = std::thread::Builder::new().name(name.to_owned()).spawn(run)?;
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let (ended, mut running): (Vec<_>, Vec<_>) = std::mem::take(&mut *all).into_iter().partition(JoinHandle::is_finished);
        running.push(thread);
        *all = running;
        drop(all);
        for thread in ended {
            let _ = thread.join();
        }
        Ok(())
    }

    /// The threads that run now; what is started later is not among them.
    #[must_use]
    pub fn take(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.all.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Joins threads that have been told to end. False where `deadline` came first; those are kept for the next time.
    pub fn join(&self, threads: Vec<JoinHandle<()>>, deadline: Option<Instant>) -> bool {
        let mut late = Vec::new();
        for thread in threads {
            // They are at their end, so this is short; there is no join with a time limit to lean on.
            while !thread.is_finished() && deadline.is_none_or(|d| Instant::now() < d) {
                std::thread::sleep(Duration::from_micros(200));
            }
            if thread.is_finished() {
                let _ = thread.join();
            } else {
                late.push(thread);
            }
        }
        let all_joined = late.is_empty();
        self.all.lock().unwrap_or_else(PoisonError::into_inner).extend(late);
        all_joined
    }
}

//! Process: the one global of the library, the log, and the end.

use std::ffi::{c_char, c_void};
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Once, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::error::apertis_status;
use super::guard::{may_block, plain, status};
use super::handle::Registry;
use super::queue::QueueHandle;
use super::user_data::{apertis_drop_fn, UserData};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::log;
use crate::engine::runtime::{Runtime, Threads};
use crate::engine::stream::reentry;

/// Everything global of one process. A forked child gets a new one: what the parent's threads held locked at the moment of
/// the fork stays locked there for ever.
pub struct Process {
    pub epoch: usize,
    pub registry: Registry,
    pub threads: Arc<Threads>,
    lives: Mutex<Lives>,
    /// The parent's, kept reachable so that leak checkers see it.
    _before: *const Process,
}

// SAFETY: `_before` is never looked behind.
unsafe impl Send for Process {}
// SAFETY: as above.
unsafe impl Sync for Process {}

#[derive(Default)]
struct Lives {
    /// What new clients get.
    current: Arc<Runtime>,
    /// Told to end, not joined yet: by a shutdown that is under way or that ran out of time.
    ending: Vec<Arc<Runtime>>,
}

static CURRENT: AtomicPtr<Process> = AtomicPtr::new(std::ptr::null_mut());
/// Counts the forks between the first process that used the library and this one.
static EPOCH: AtomicUsize = AtomicUsize::new(0);

/// How many forks ago the library was first used.
pub fn epoch() -> usize {
    EPOCH.load(Ordering::Relaxed)
}

/// The process's one global. Made on first use, never freed: the library stays loaded.
pub fn process() -> &'static Process {
    let known = CURRENT.load(Ordering::Acquire);
    // SAFETY: NULL or a box that was leaked below.
    match unsafe { known.as_ref() } {
        Some(process) if process.epoch == epoch() => process,
        _ => begin(known),
    }
}

#[cold]
fn begin(before: *mut Process) -> &'static Process {
    watch_forks();
    let new = Box::into_raw(Box::new(Process {
        epoch: epoch(),
        registry: Registry::default(),
        threads: Arc::default(),
        lives: Mutex::default(),
        _before: before,
    }));
    match CURRENT.compare_exchange(before, new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: leaked just now.
        Ok(_) => unsafe { &*new },
        Err(_) => {
            // Another thread was faster.
            // SAFETY: nobody has seen this one.
            drop(unsafe { Box::from_raw(new) });
            process()
        }
    }
}

#[cfg(unix)]
fn watch_forks() {
    extern "C" fn in_child() {
        EPOCH.fetch_add(1, Ordering::Relaxed);
    }
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the handler only adds to an atomic. Without memory it is not registered, and a forked child that goes on
        // using its parent's handles is not told so.
        unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
    });
}

#[cfg(not(unix))]
fn watch_forks() {}

impl Process {
    /// The life that new clients belong to.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.lives.lock().unwrap_or_else(PoisonError::into_inner).current.clone()
    }

    /// Ends everything that was started. False where `deadline` came first.
    fn shutdown(&self, deadline: Option<Instant>) -> bool {
        let ending = {
            let mut lives = self.lives.lock().unwrap_or_else(PoisonError::into_inner);
            let old = std::mem::take(&mut lives.current);
            lives.ending.push(old);
            lives.ending.clone()
        };
        // Every stream gets its END before any queue is asked to hand over what it has.
        let mut all = true;
        for runtime in &ending {
            all &= runtime.stop(deadline);
        }
        if all {
            self.lives
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .ending
                .retain(|left| !ending.iter().any(|done| Arc::ptr_eq(left, done)));
        }
        let threads: Vec<JoinHandle<()>> = self.threads.take();
        for queue in self.registry.all::<QueueHandle>() {
            all &= queue.settle(deadline);
        }
        self.threads.join(threads, deadline) && all
    }
}

/// How much goes to the log.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_log_level {
    APERTIS_LOG_OFF = 0,
    /// Faults of the library.
    APERTIS_LOG_ERROR = 1,
    /// What works, but not as set up.
    APERTIS_LOG_WARN = 2,
    /// Retries, and streams that end with an error.
    APERTIS_LOG_INFO = 3,
    /// Each request: method, URL without its query, status, time.
    APERTIS_LOG_DEBUG = 4,
    /// Each network read: its size.
    APERTIS_LOG_TRACE = 5,
}

/// Receives a log line: UTF-8, `length` bytes, NUL-terminated, lent for the call. It runs on any thread, the library's own
/// among them and several at once: it may write the line somewhere, and must not call into the library.
pub type apertis_log_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, level: i32, message: *const c_char, length: usize)>;

/// ---- Process -------------------------------------------------------------------------------------------------------
///
/// Sets the one log sink of the process; lines above `level` (an apertis_log_level) are not made. `log` NULL, or level OFF,
/// removes it. Keys and contents are never logged. `drop` (may be NULL) is called once, when the sink has been replaced and
/// no line is being written to it any more; also when this fails.
///
/// Errors: INVALID_ARGUMENT (unknown level).
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_set_log(
    level: i32,
    log: apertis_log_fn,
    user_data: *mut c_void,
    drop: apertis_drop_fn,
) -> apertis_status {
    let user_data = UserData::new(user_data, drop);
    plain(move || {
        let level = match u8::try_from(level) {
            Ok(level @ 0..=5) => level,
            _ => return Err(Error::argument(format!("{level} is no apertis_log_level"))),
        };
        let Some(write) = log.filter(|_| level > 0) else {
            log::set(0, None);
            return Ok(());
        };
        log::set(
            level,
            Some(Arc::new(move |level, line| {
                // The whole value moves in, so that its drop function runs with the last line's end.
                let user_data = &user_data;
                let text = super::text::CText::new(line);
                let _inside = reentry::enter(u64::MAX);
                // SAFETY: by contract a function that takes these.
                unsafe { write(user_data.pointer, level as i32, text.as_ptr(), text.len()) };
            })),
        );
        Ok(())
    })
}

/// Ends the library's activity: every stream under way ends with APERTIS_ERROR_SHUTDOWN, every END that has a callback is
/// delivered, every `drop` runs, every thread of the library is joined. The next apertis_client_new starts afresh; clients
/// made before give APERTIS_ERROR_SHUTDOWN, and every handle stays valid until it is freed. For a PUMP queue the callbacks
/// that wait run on this thread. Streams that you pull keep their END until you take it; apertis_event_user_data gives NULL
/// from then on.
///
/// `timeout_ms` bounds the wait (< 0: none). A second call while nothing runs, or without any use before, is a success.
/// Plugins call this before they are unloaded, editors before they reload; a program that just exits need not.
///
/// Errors: APERTIS_TIMEOUT (a callback or a name look-up did not return in time: what is left ends by itself, and calling
/// again goes on waiting), WOULD_DEADLOCK (inside a callback: nothing was done).
/// Threads: any. From callbacks: no. Blocks: up to `timeout_ms`.
#[no_mangle]
pub extern "C" fn apertis_shutdown(timeout_ms: i64) -> apertis_status {
    let body = || -> Result<apertis_status> {
        may_block()?;
        if reentry::inside_any() {
            return Err(Error::new(Kind::WouldDeadlock, "apertis_shutdown inside a callback would wait for that callback"));
        }
        let deadline = time_limit(timeout_ms).and_then(|limit| Instant::now().checked_add(limit));
        let in_time = process().shutdown(deadline);
        Ok(if in_time { apertis_status::APERTIS_OK } else { apertis_status::APERTIS_TIMEOUT })
    };
    // SAFETY: no error object is asked for.
    unsafe { status(std::ptr::null_mut(), body) }
}

/// A caller's timeout: below 0 there is none.
pub fn time_limit(ms: i64) -> Option<Duration> {
    u64::try_from(ms).ok().map(Duration::from_millis)
}

//! One sink for the process: metadata only, never keys or contents.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

/// How much is logged; the numbers are the public ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Level {
    Error = 1,
    Warn = 2,
    Info = 3,
    Debug = 4,
    Trace = 5,
}

/// Receives a line; may be called on any thread, on several at once.
pub type Sink = dyn Fn(Level, &str) + Send + Sync;

// Read before anything else, so that a library without a sink pays one load per log site.
static LEVEL: AtomicU8 = AtomicU8::new(0);
static SINK: RwLock<Option<Arc<Sink>>> = RwLock::new(None);

/// Replaces the sink. The old one is dropped here or, where a line is just being written, by that thread.
pub fn set(level: u8, sink: Option<Arc<Sink>>) {
    let old = {
        let mut slot = SINK.write().unwrap_or_else(PoisonError::into_inner);
        LEVEL.store(if sink.is_some() { level } else { 0 }, Ordering::Relaxed);
        std::mem::replace(&mut *slot, sink)
    };
    drop(old);
}

/// Whether a line of this level would be read by anyone.
pub fn enabled(level: Level) -> bool {
    level as u8 <= LEVEL.load(Ordering::Relaxed)
}

/// Writes a line. Use through [`log!`], which formats only what is wanted.
pub fn write(level: Level, line: &str) {
    let sink = SINK.read().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(sink) = sink {
        sink(level, line);
    }
}

macro_rules! log {
    ($level:ident, $($arg:tt)*) => {
        if $crate::engine::log::enabled($crate::engine::log::Level::$level) {
            $crate::engine::log::write($crate::engine::log::Level::$level, &format!($($arg)*));
        }
    };
}
pub(crate) use log;

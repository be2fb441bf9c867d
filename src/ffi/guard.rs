//! What stands between a C caller and our code: panics become a status, errors go out as objects.

use std::cell::Cell;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

use super::error::{apertis_error, apertis_status, ErrorHandle};
use super::handle;
use crate::engine::error::{Error, Kind, Result};
use crate::engine::log::log;
use crate::engine::runtime;

thread_local! {
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body`; a panic becomes [`Kind::Internal`].
fn caught<T>(body: impl FnOnce() -> Result<T>) -> Result<T> {
    quiet_panics();
    let before = GUARDED.replace(true);
    let result = catch_unwind(AssertUnwindSafe(body));
    GUARDED.set(before);
    result.unwrap_or_else(|_| Err(Error::new(Kind::Internal, "a fault inside the library; please report it")))
}

/// For functions that return a status and may hand out an error object.
pub unsafe fn status(error: *mut *mut apertis_error, body: impl FnOnce() -> Result<apertis_status>) -> apertis_status {
    // SAFETY: by contract NULL or a place for one pointer.
    unsafe { write(error, std::ptr::null_mut()) };
    match caught(body) {
        Ok(status) => status,
        Err(e) => {
            let status = apertis_status::from(e.kind());
            if !error.is_null() {
                // SAFETY: checked above.
                unsafe { error.write(handle::insert(ErrorHandle::new(e))) };
            }
            status
        }
    }
}

/// For functions that return a status and nothing else.
pub fn plain(body: impl FnOnce() -> Result<()>) -> apertis_status {
    match caught(body) {
        Ok(()) => apertis_status::APERTIS_OK,
        Err(e) => e.kind().into(),
    }
}

/// For functions that return a value: `neutral` where there is none.
pub fn value<T>(neutral: T, body: impl FnOnce() -> Result<T>) -> T {
    caught(body).unwrap_or(neutral)
}

/// Refuses to wait on a thread that others wait for.
pub fn may_block() -> Result<()> {
    if runtime::is_network_thread() {
        return Err(Error::new(Kind::WouldDeadlock, "this is a thread of the library: hooks may signal, not call in and wait"));
    }
    Ok(())
}

/// Writes an output where the caller gave a place for one.
pub unsafe fn write<T>(place: *mut T, value: T) {
    if !place.is_null() {
        // SAFETY: by contract a valid place.
        unsafe { place.write(value) };
    }
}

/// A place that the caller has to give.
pub fn needed<T>(place: *mut T, name: &str) -> Result<*mut T> {
    if place.is_null() {
        return Err(Error::argument(format!("{name} is NULL")));
    }
    Ok(place)
}

/// The library writes nothing to stderr, so a panic of ours goes to the log sink. Panics of a Rust host that links this
/// crate as an `rlib` are none of our business.
fn quiet_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let others = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            let ours = GUARDED.with(Cell::get) || std::thread::current().name().is_some_and(|name| name.starts_with("apertis-"));
            if ours {
                let place = info.location().map_or_else(String::new, ToString::to_string);
                log!(Error, "panic at {place}");
            } else {
                others(info);
            }
        }));
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_becomes_a_status() {
        assert_eq!(plain(|| panic!("on purpose")) as i32, apertis_status::APERTIS_ERROR_INTERNAL as i32);
        assert_eq!(value(7, || panic!("on purpose")), 7);
    }
}

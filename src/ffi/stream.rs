//! Streams that do not wait.

use std::ffi::c_char;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::client::{self, apertis_client, hand_over};
use super::error::{apertis_error, apertis_status};
use super::event::{apertis_event, EventBox};
use super::guard::{may_block, needed, plain, status, value, write};
use super::handle::{self, Handle};
use super::process::{process, time_limit};
use super::request::{apertis_request, RequestHandle};
use super::response::apertis_response;
use super::text;
use crate::engine::client::{Client, Mode};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::stream::queue::{Delivered, Delivery, Next, Queue};
use crate::engine::stream::Stream;

/// An answer on its way.
pub struct apertis_stream {
    _opaque: [u8; 0],
}

/// Who may end the life of a stream's handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// The caller, by apertis_stream_free.
    Caller,
    /// A blocking call: its callback may cancel, but the handle is only lent to it.
    Call,
}

/// A stream as C holds it.
pub struct StreamHandle {
    pub stream: Stream,
    owner: Owner,
    pub lent: LentEvents,
}

impl Handle for StreamHandle {
    type C = apertis_stream;
    const KIND: usize = 5;
    const NAME: &'static str = "stream";
}

impl StreamHandle {
    pub fn new(stream: Stream, owner: Owner) -> Self {
        Self { stream, owner, lent: LentEvents::default() }
    }
}

/// The events that pulling threads hold, one each.
#[derive(Default)]
pub struct LentEvents(Mutex<Vec<(usize, Box<EventBox>)>>);

impl LentEvents {
    /// This thread is done with its last event. Outside the lock: a drop function of the caller's may run.
    pub fn give_back(&self) {
        let me = thread_key();
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let last = all.iter().position(|(thread, _)| *thread == me).map(|n| all.swap_remove(n));
        drop(all);
        drop(last);
    }

    /// Lends an event to this thread.
    pub fn lend(&self, delivered: Delivered) -> *const apertis_event {
        let event = Box::new(EventBox::new(delivered));
        let pointer = event.as_ptr();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((thread_key(), event));
        pointer
    }

    /// Drops what the caller wants to see dropped by the end of a shutdown; the events stay readable.
    pub fn release_user_data(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let handlers: Vec<_> = all.iter_mut().filter_map(|(_, event)| event.take_handler()).collect();
        drop(all);
        drop(handlers);
    }
}

/// Tells threads that live at the same time apart. A thread that comes after one has ended may get the same number, and then
/// gives back what that one left.
fn thread_key() -> usize {
    thread_local! {
        static PLACE: u8 = const { 0 };
    }
    PLACE.with(|place| std::ptr::from_ref(place) as usize)
}

/// ---- Streams that do not wait --------------------------------------------------------------------------------------
///
/// Starts a stream and returns at once; its events are taken with apertis_stream_next. `request` stays yours. `*stream` is
/// yours: free it with apertis_stream_free, before or after its END.
///
/// Errors: INVALID_ARGUMENT (no message in the request, an option that the format cannot carry, `stream` NULL),
/// INVALID_HANDLE, SHUTDOWN, FORKED, INTERNAL (no thread or descriptor left). What goes wrong later is in the END.
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_start(
    client: *mut apertis_client,
    request: *const apertis_request,
    stream: *mut *mut apertis_stream,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL.
    unsafe {
        write(stream, std::ptr::null_mut());
        status(error, || {
            let place = needed(stream, "stream")?;
            let client = client::get(client)?;
            let request = handle::get::<RequestHandle>(request)?.copy();
            let prepared = client.prepare(&request, Mode::StreamedWithRounds)?;
            let queue = Queue::new(Delivery::Pull, process().threads.clone());
            let owner = Arc::new(StreamHandle::new(Client::stream(&queue, true, 0), Owner::Caller));
            let ticket = handle::insert_shared(owner.clone());
            owner.stream.core.ticket.store(ticket as usize, Ordering::Release);
            if let Err(error) = client.start(prepared, &owner.stream, None) {
                handle::remove::<StreamHandle>(ticket);
                return Err(error);
            }
            place.write(ticket);
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

/// Takes the next event. `timeout_ms` 0: looks, does not wait; < 0: waits as long as it takes. The event is lent until this
/// thread's next pull from this stream, or until the stream is freed. Adjacent deltas of one kind that arrived since the last
/// call come as one event. Memory stays bounded: while nobody takes the events, the socket is not read. Nothing is dropped.
///
/// Returns OK with an event, TIMEOUT where nothing arrived in time, DONE after END was taken; *event is NULL then.
/// Errors: INVALID_HANDLE (also: freed while this waited), INVALID_ARGUMENT (`event` NULL, or the stream's queue has
/// callbacks), WOULD_DEADLOCK (inside a hook on a thread of the library).
/// Threads: any, several at once. From callbacks: yes. Blocks: up to `timeout_ms`.
#[no_mangle]
pub unsafe extern "C" fn apertis_stream_next(
    stream: *mut apertis_stream,
    timeout_ms: i64,
    event: *mut *const apertis_event,
) -> apertis_status {
    // SAFETY: by contract a valid place or NULL.
    unsafe {
        write(event, std::ptr::null());
        status(std::ptr::null_mut(), || {
            let place = needed(event, "event")?;
            if timeout_ms != 0 {
                may_block()?;
            }
            let owner = handle::get::<StreamHandle>(stream)?;
            owner.lent.give_back();
            let next = owner.stream.next(time_limit(timeout_ms))?;
            lend_next(next, &owner.lent, place)
        })
    }
}

/// What a pull hands out.
pub unsafe fn lend_next(next: Next, lent: &LentEvents, place: *mut *const apertis_event) -> Result<apertis_status> {
    match next {
        Next::Event(delivered) => {
            // SAFETY: by contract a valid place.
            unsafe { place.write(lent.lend(*delivered)) };
            Ok(apertis_status::APERTIS_OK)
        }
        Next::TimedOut => Ok(apertis_status::APERTIS_TIMEOUT),
        Next::Done => Ok(apertis_status::APERTIS_DONE),
        Next::Closed => Err(Error::new(Kind::InvalidHandle, "freed meanwhile")),
        Next::Shutdown => Err(Error::new(Kind::Shutdown, "the library was shut down")),
    }
}

/// Takes what is left and returns the whole answer, which is yours. After END it returns the same again. For a stream whose
/// queue has callbacks it takes nothing, but waits until the callback has had the END.
///
/// Returns OK, or TIMEOUT: then call it again.
/// Errors: all; see apertis_error. On a failure that left something, *response receives the part that came.
/// WOULD_DEADLOCK inside a callback of the stream's queue.
/// Threads: any. From callbacks: of other queues. Blocks: up to `timeout_ms` (< 0: until END).
#[no_mangle]
pub unsafe extern "C" fn apertis_stream_wait(
    stream: *mut apertis_stream,
    timeout_ms: i64,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL.
    unsafe {
        write(response, std::ptr::null_mut());
        status(error, || {
            may_block()?;
            let owner = handle::get::<StreamHandle>(stream)?;
            match owner.stream.wait(time_limit(timeout_ms))? {
                Some(outcome) => hand_over(outcome, response),
                None => Ok(apertis_status::APERTIS_TIMEOUT),
            }
        })
    }
}

/// Gives the result of a tool call that a TOOL_CALL event brought: `length` bytes of UTF-8, or APERTIS_NTS; `is_error` not 0:
/// the tool failed, and the text says why. For requests with apertis_request_set_max_tool_rounds. When all calls of a round
/// have theirs, the next round is sent on the same stream. From any thread, at any time, in any order.
///
/// Errors: INVALID_ARGUMENT (no call of this id waits: unknown, answered already, or the stream has ended), INVALID_UTF8,
/// INVALID_HANDLE.
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_stream_reply(
    stream: *mut apertis_stream,
    call_id: *const c_char,
    text: *const c_char,
    length: usize,
    is_error: i32,
) -> apertis_status {
    plain(|| {
        let owner = handle::get::<StreamHandle>(stream)?;
        // SAFETY: by contract a C string, and `length` bytes or a C string.
        let (call_id, text) = unsafe { (text::string(call_id, "call_id")?, text::content(text, length, "text")?) };
        owner.stream.core.round.reply(call_id, text, is_error != 0)
    })
}

/// Asks the stream to end at once: the connection is closed, END follows with APERTIS_ERROR_CANCELLED and the part that
/// came. Any number of times; one that has ended stays as it ended. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_stream_cancel(stream: *mut apertis_stream) {
    value((), || {
        handle::get::<StreamHandle>(stream)?.stream.core.cancel();
        Ok(())
    });
}

/// Frees a stream; one that is under way is cancelled. On a queue with callbacks END still comes, then `drop`. NULL and stale
/// handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_stream_free(stream: *mut apertis_stream) {
    value((), || {
        let owner = handle::get::<StreamHandle>(stream)?;
        if owner.owner == Owner::Call {
            owner.stream.core.cancel();
        } else if let Some(owner) = handle::remove::<StreamHandle>(stream) {
            owner.stream.release();
        }
        Ok(())
    });
}

//! Many streams, one queue.

use std::ffi::c_void;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use super::client::{self, apertis_client};
use super::error::{apertis_error, apertis_status};
use super::event::{apertis_event, apertis_event_fn, EventBox};
use super::guard::{may_block, needed, plain, status, value, write};
use super::handle::{self, Handle};
use super::pollable::Pollable;
use super::process::{process, time_limit};
use super::request::{apertis_request, RequestHandle};
use super::stream::{apertis_stream, lend_next, LentEvents, Owner, StreamHandle};
use super::user_data::{apertis_drop_fn, UserData};
use crate::engine::client::{Client, Mode};
use crate::engine::error::{Error, Kind};
use crate::engine::event::Event;
use crate::engine::stream::queue::{Delivered, Delivery, Handler, Queue};
use crate::engine::stream::reentry;

/// On whose thread the events of a queue are handled. 0 is no value: the choice is yours.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_delivery {
    /// You take events with apertis_queue_next.
    APERTIS_DELIVER_PULL = 1,
    /// Callbacks run inside your apertis_queue_pump: the game loop.
    APERTIS_DELIVER_PUMP = 2,
    /// Callbacks run on one thread that the queue owns.
    APERTIS_DELIVER_THREAD = 3,
}

/// Where the events of any number of streams come together.
pub struct apertis_queue {
    _opaque: [u8; 0],
}

/// A queue as C holds it.
pub struct QueueHandle {
    queue: Arc<Queue>,
    lent: LentEvents,
    /// `None` inside: the system had no descriptor left.
    pollable: OnceLock<Option<Arc<Pollable>>>,
}

impl Handle for QueueHandle {
    type C = apertis_queue;
    const KIND: usize = 6;
    const NAME: &'static str = "queue";
}

impl QueueHandle {
    /// See [`Queue::settle`].
    pub fn settle(&self, deadline: Option<Instant>) -> bool {
        self.lent.release_user_data();
        self.queue.settle(deadline)
    }
}

/// The callback of a stream, and what it was given to go with it.
struct Callback {
    on_event: apertis_event_fn,
    user_data: UserData,
    /// The ticket of a stream that the caller did not want to hold.
    unwanted: Option<usize>,
}

impl Handler for Callback {
    fn event(&mut self, delivered: &mut Delivered) {
        // What the queue still needs of it, the END's outcome, is shared and cheap; the text moves out.
        let event = match &mut delivered.event {
            Event::End { response, error } => Event::End { response: response.clone(), error: error.clone() },
            other => std::mem::replace(other, Event::Started),
        };
        let event = EventBox::new(Delivered { stream: delivered.stream.clone(), event, handler: None });
        if let Some(on_event) = self.on_event {
            // SAFETY: by contract a function that takes these; the event lives until it returns.
            unsafe { on_event(self.user_data.pointer, event.as_ptr()) };
        }
    }
}

impl Drop for Callback {
    fn drop(&mut self) {
        if let Some(ticket) = self.unwanted {
            handle::remove::<StreamHandle>(ticket as *const apertis_stream);
        }
    }
}

/// ---- Many streams, one queue ---------------------------------------------------------------------------------------
///
/// Makes a queue. `delivery` (an apertis_delivery) says on whose thread its events are handled. Yours: free it with
/// apertis_queue_free. A THREAD queue's thread starts with its first stream.
///
/// Errors: INVALID_ARGUMENT (no such delivery, `queue` NULL).
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_queue_new(
    delivery: i32,
    queue: *mut *mut apertis_queue,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL.
    unsafe {
        write(queue, std::ptr::null_mut());
        status(error, || {
            let place = needed(queue, "queue")?;
            let delivery = match delivery {
                1 => Delivery::Pull,
                2 => Delivery::Pump,
                3 => Delivery::Thread,
                _ => return Err(Error::argument(format!("{delivery} is no apertis_delivery: choose who runs the callbacks"))),
            };
            let queue = Queue::new(delivery, process().threads.clone());
            place.write(handle::insert(QueueHandle { queue, lent: LentEvents::default(), pollable: OnceLock::new() }));
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

/// Frees a queue: its streams are cancelled, no callback begins any more (one that runs on another thread goes on to its
/// end), every `drop` runs. Their handles stay valid until you free them. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_queue_free(queue: *mut apertis_queue) {
    value((), || {
        if let Some(owner) = handle::remove::<QueueHandle>(queue) {
            owner.queue.close();
        }
        Ok(())
    });
}

/// Starts a stream whose events come to `queue`, there to be handed to `on_event` (NULL only for a PULL queue, which never
/// calls it). `drop` (may be NULL) is called once with `user_data`, after its last use: when END has been handled, when the
/// queue is freed, at shutdown, or before this returns where starting fails. `*stream` is yours; where `stream` is NULL the
/// library frees it after END, and apertis_event_stream gives it meanwhile.
///
/// Errors: INVALID_ARGUMENT (no message, an option that the format cannot carry, no callback), INVALID_HANDLE, SHUTDOWN,
/// FORKED, INTERNAL. What goes wrong later is in the END.
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_start_on(
    client: *mut apertis_client,
    request: *const apertis_request,
    queue: *mut apertis_queue,
    on_event: apertis_event_fn,
    user_data: *mut c_void,
    drop: apertis_drop_fn,
    stream: *mut *mut apertis_stream,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // Owns the caller's data from here on, so that no way out of this function forgets it.
    let mut callback = Box::new(Callback { on_event, user_data: UserData::new(user_data, drop), unwanted: None });
    // SAFETY: by contract valid places or NULL.
    unsafe {
        write(stream, std::ptr::null_mut());
        status(error, || {
            let client = client::get(client)?;
            let request = handle::get::<RequestHandle>(request)?.copy();
            let queue = handle::get::<QueueHandle>(queue)?.queue.clone();
            if on_event.is_none() && queue.delivery() != Delivery::Pull {
                return Err(Error::argument("on_event is NULL, but this queue delivers by callback"));
            }
            let prepared = client.prepare(&request, Mode::StreamedWithRounds)?;
            let owner = Arc::new(StreamHandle::new(Client::stream(&queue, false, user_data as usize), Owner::Caller));
            let ticket = handle::insert_shared(owner.clone());
            owner.stream.core.ticket.store(ticket as usize, Ordering::Release);
            if stream.is_null() {
                callback.unwanted = Some(ticket as usize);
            } else {
                // Before the first callback can run on another thread, which may look here.
                stream.write(ticket);
            }
            if let Err(error) = client.start(prepared, &owner.stream, Some(callback)) {
                write(stream, std::ptr::null_mut());
                handle::remove::<StreamHandle>(ticket);
                return Err(error);
            }
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

/// Takes the next event of any stream of a PULL queue; streams take turns. `timeout_ms` 0: looks, does not wait; < 0: waits
/// as long as it takes. The event is lent until this thread's next pull from this queue, or until the queue is freed; several
/// threads may pull at once.
///
/// Returns OK with an event, or TIMEOUT where nothing arrived in time; *event is NULL then.
/// Errors: INVALID_HANDLE (also: freed while this waited), INVALID_ARGUMENT (`event` NULL, or no PULL queue), SHUTDOWN
/// (after a shutdown, when everything has been taken), WOULD_DEADLOCK (inside a hook on a thread of the library).
/// Threads: any, several at once. From callbacks: yes. Blocks: up to `timeout_ms`.
#[no_mangle]
pub unsafe extern "C" fn apertis_queue_next(
    queue: *mut apertis_queue,
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
            let owner = handle::get::<QueueHandle>(queue)?;
            if owner.queue.delivery() != Delivery::Pull {
                return Err(Error::argument("the events of this queue go to its callbacks"));
            }
            owner.lent.give_back();
            lend_next(owner.queue.next(None, time_limit(timeout_ms)), &owner.lent, place)
        })
    }
}

/// Runs the callbacks of what has arrived at a PUMP queue, on this thread, for at most `budget_us` microseconds (0: all of
/// it; at least one callback runs where something waits). Returns how many ran, or an apertis_status below 0. Where another
/// thread is pumping the queue it returns 0.
///
/// Errors: INVALID_HANDLE, INVALID_ARGUMENT (no PUMP queue, budget below 0), WOULD_DEADLOCK (inside a callback of it).
/// Threads: any. From callbacks: of other queues. Blocks: no, but your callbacks take their time.
#[no_mangle]
pub unsafe extern "C" fn apertis_queue_pump(queue: *mut apertis_queue, budget_us: i64) -> i32 {
    let mut ran = 0;
    let status = plain(|| {
        let owner = handle::get::<QueueHandle>(queue)?;
        if owner.queue.delivery() != Delivery::Pump {
            return Err(Error::argument("only a PUMP queue can be pumped"));
        }
        let budget = u64::try_from(budget_us).map_err(|_| Error::argument(format!("a budget of {budget_us} µs")))?;
        let count = owner.queue.pump((budget > 0).then(|| Duration::from_micros(budget)))?;
        ran = i32::try_from(count).unwrap_or(i32::MAX);
        Ok(())
    });
    if status == apertis_status::APERTIS_OK {
        ran
    } else {
        status as i32
    }
}

/// Sets a hook that runs, on any thread, when an empty queue gets an event, and at once where events wait already. It may
/// signal (a condition variable, a message to a window), not call in. NULL removes it. `drop` (may be NULL) is called once
/// with `user_data`, after the hook's last run; also when this fails.
///
/// Errors: INVALID_HANDLE.
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_queue_set_wakeup(
    queue: *mut apertis_queue,
    wakeup: apertis_drop_fn,
    user_data: *mut c_void,
    drop: apertis_drop_fn,
) -> apertis_status {
    let user_data = UserData::new(user_data, drop);
    plain(move || {
        let owner = handle::get::<QueueHandle>(queue)?;
        owner.queue.set_wakeup(wakeup.map(|wakeup| {
            let hook: crate::engine::stream::queue::Wakeup = Arc::new(move || {
                // The whole value moves in, so that its drop function runs after the last run.
                let user_data = &user_data;
                let _inside = reentry::enter(u64::MAX);
                // SAFETY: by contract a function that takes what it was registered with.
                unsafe { wakeup(user_data.pointer) };
            });
            hook
        }));
        Ok(())
    })
}

/// A handle that is readable (a Windows event: signalled) while events wait: for poll, epoll, kqueue, libuv. Only poll it; it
/// belongs to the queue and closes with it. -1: there is none (an invalid queue, or no descriptor left).
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_queue_handle(queue: *mut apertis_queue) -> libc::intptr_t {
    value(-1, || {
        let owner = handle::get::<QueueHandle>(queue)?;
        let pollable = owner.pollable.get_or_init(|| {
            let pollable = Arc::new(Pollable::new()?);
            owner.queue.set_signal(pollable.clone());
            Some(pollable)
        });
        pollable.as_ref().map(|p| p.raw()).ok_or_else(none_left)
    })
}

fn none_left() -> Error {
    Error::new(Kind::Internal, "no descriptor is left")
}

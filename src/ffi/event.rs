//! Events. They alone are addresses and not tickets: they live only until the next pull or the callback's return.

use std::ffi::{c_char, c_void};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use super::error::{apertis_error, ErrorHandle};
use super::guard::write;
use super::handle;
use super::response::{apertis_response, ResponseHandle};
use super::stream::apertis_stream;
use super::text::{pointer, CText};
use crate::engine::error::Error;
use crate::engine::event::{CallName, Event};
use crate::engine::response::Response;
use crate::engine::stream::handle::Core;
use crate::engine::stream::queue::{Delivered, Handler};

/// What an event is about. Ignore kinds that you do not know.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_event_kind {
    /// No event (the event was NULL).
    APERTIS_EVENT_NONE = 0,
    /// The provider accepted the request; headers are there. At most once; a RETRY may come before it.
    APERTIS_EVENT_STARTED = 1,
    /// A piece of the answer: apertis_event_text is what to append.
    APERTIS_EVENT_TEXT = 2,
    /// A piece of the model's reasoning, or of its summary.
    APERTIS_EVENT_REASONING = 3,
    /// A piece of a refusal.
    APERTIS_EVENT_REFUSAL = 4,
    /// A piece of a call's arguments, as it is written.
    APERTIS_EVENT_TOOL_ARGUMENTS = 5,
    /// One whole call: id, name, and arguments in apertis_event_text and apertis_event_json.
    APERTIS_EVENT_TOOL_CALL = 6,
    /// An attempt failed, apertis_event_error says why; another follows.
    APERTIS_EVENT_RETRY = 7,
    /// An event of the provider's that has no kind here: apertis_event_json, unharmed.
    APERTIS_EVENT_OTHER = 8,
    /// The last one: apertis_event_response, and apertis_event_error where it failed.
    APERTIS_EVENT_END = 9,
}

use apertis_event_kind::*;

/// Something that a stream tells. Lent: until the callback's return, or until the next pull by the same thread.
pub struct apertis_event {
    _opaque: [u8; 0],
}

/// Receives an event.
pub type apertis_event_fn = Option<unsafe extern "C" fn(user_data: *mut c_void, event: *const apertis_event)>;

/// An event as C sees it.
pub struct EventBox {
    kind: apertis_event_kind,
    stream: Arc<Core>,
    text: Option<CText>,
    is_json: bool,
    call: Option<(Option<CText>, Option<CText>)>,
    response: Option<Lent<ResponseHandle>>,
    error: Option<Lent<ErrorHandle>>,
    /// Dropped last: the caller's data is in use until here.
    handler: Option<Box<dyn Handler>>,
}

/// A handle that is made when it is asked for, and goes with its event.
struct Lent<T: handle::Handle> {
    make: Box<dyn Fn() -> T + Send + Sync>,
    ticket: OnceLock<usize>,
}

impl<T: handle::Handle> Lent<T> {
    fn get(&self) -> *const T::C {
        *self.ticket.get_or_init(|| handle::insert((self.make)()) as usize) as *const T::C
    }
}

impl<T: handle::Handle> Drop for Lent<T> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.get() {
            handle::remove::<T>(*ticket as *const T::C);
        }
    }
}

fn lend_response(response: Arc<Response>) -> Lent<ResponseHandle> {
    Lent { make: Box::new(move || ResponseHandle::lent(response.clone())), ticket: OnceLock::new() }
}

fn lend_error(error: Arc<Error>) -> Lent<ErrorHandle> {
    Lent { make: Box::new(move || ErrorHandle::lent(error.clone())), ticket: OnceLock::new() }
}

fn names(call: &CallName) -> (Option<CText>, Option<CText>) {
    let text = |s: &str| (!s.is_empty()).then(|| CText::new(s));
    (text(&call.id), text(&call.name))
}

impl EventBox {
    pub fn new(delivered: Delivered) -> Self {
        let mut event = Self {
            kind: APERTIS_EVENT_NONE,
            stream: delivered.stream,
            text: None,
            is_json: false,
            call: None,
            response: None,
            error: None,
            handler: delivered.handler,
        };
        event.kind = match delivered.event {
            Event::Started => APERTIS_EVENT_STARTED,
            Event::Text(text) => event.with_text(text, APERTIS_EVENT_TEXT),
            Event::Reasoning(text) => event.with_text(text, APERTIS_EVENT_REASONING),
            Event::Refusal(text) => event.with_text(text, APERTIS_EVENT_REFUSAL),
            Event::ToolArguments { call, piece } => {
                event.call = Some(names(&call));
                event.with_text(piece, APERTIS_EVENT_TOOL_ARGUMENTS)
            }
            Event::ToolCall { call, arguments } => {
                event.call = Some(names(&call));
                event.is_json = true;
                event.with_text(arguments, APERTIS_EVENT_TOOL_CALL)
            }
            Event::Retry(error) => {
                event.error = Some(lend_error(error));
                APERTIS_EVENT_RETRY
            }
            Event::Other(json) => {
                event.is_json = true;
                event.with_text(json, APERTIS_EVENT_OTHER)
            }
            Event::End { response, error } => {
                event.response = Some(lend_response(response));
                event.error = error.map(lend_error);
                APERTIS_EVENT_END
            }
        };
        event
    }

    fn with_text(&mut self, text: String, kind: apertis_event_kind) -> apertis_event_kind {
        self.text = Some(CText::new(text));
        kind
    }

    /// Takes the caller's data away from an event that may go on being read.
    pub fn take_handler(&mut self) -> Option<Box<dyn Handler>> {
        let handler = self.handler.take();
        if handler.is_some() {
            self.stream.release_user_data();
        }
        handler
    }

    pub fn as_ptr(&self) -> *const apertis_event {
        std::ptr::from_ref(self).cast()
    }
}

/// The event behind an address; `None` for NULL.
unsafe fn get<'a>(event: *const apertis_event) -> Option<&'a EventBox> {
    // SAFETY: by contract NULL or an event that is lent at this moment.
    unsafe { event.cast::<EventBox>().as_ref() }
}

/// What the event is about: an apertis_event_kind. NONE for NULL.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_kind_of(event: *const apertis_event) -> i32 {
    // SAFETY: the contract of this function.
    unsafe { get(event) }.map_or(APERTIS_EVENT_NONE, |e| e.kind) as i32
}

/// The stream that the event belongs to: the handle that starting it gave, to compare or to cancel. Lent: do not free it. It
/// is stale where you have freed yours already.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_stream(event: *const apertis_event) -> *mut apertis_stream {
    // SAFETY: the contract of this function.
    unsafe { get(event) }.map_or(0, |e| e.stream.ticket.load(Ordering::Acquire)) as *mut apertis_stream
}

/// The `user_data` that the stream was started with. NULL where there was none, and after a shutdown.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_user_data(event: *const apertis_event) -> *mut c_void {
    // SAFETY: the contract of this function.
    unsafe { get(event) }.map_or(0, |e| e.stream.user_data()) as *mut c_void
}

/// The piece that a TEXT, REASONING, REFUSAL or TOOL_ARGUMENTS event brings, whole code points; of a TOOL_CALL its
/// arguments. NULL for other kinds. Lent by the event; `length` (may be NULL) receives its size in bytes.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_text(event: *const apertis_event, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(event, length, |e| e.kind != APERTIS_EVENT_OTHER) }
}

/// The id of the call that a TOOL_CALL or TOOL_ARGUMENTS event is about; NULL for other kinds, and where the provider has
/// not said it yet. Lent by the event.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_tool_call_id(event: *const apertis_event) -> *const c_char {
    // SAFETY: the contract of this function.
    pointer(unsafe { get(event) }.and_then(|e| e.call.as_ref()?.0.as_ref()))
}

/// The name of the tool that a TOOL_CALL or TOOL_ARGUMENTS event is about; NULL for other kinds, and where the provider has
/// not said it yet. Lent by the event.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_tool_name(event: *const apertis_event) -> *const c_char {
    // SAFETY: the contract of this function.
    pointer(unsafe { get(event) }.and_then(|e| e.call.as_ref()?.1.as_ref()))
}

/// The JSON of an OTHER event, as the provider sent it; of a TOOL_CALL its arguments. NULL for other kinds. Lent by the
/// event; `length` (may be NULL) receives its size in bytes.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_json(event: *const apertis_event, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(event, length, |e| e.is_json) }
}

/// The whole answer, or the part that came, of an END event; NULL for other kinds. Lent by the event: to keep it, add it to a
/// request, take its JSON, or use apertis_stream_wait.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_response(event: *const apertis_event) -> *const apertis_response {
    // SAFETY: the contract of this function.
    unsafe { get(event) }.and_then(|e| e.response.as_ref()).map_or(std::ptr::null(), Lent::get)
}

/// Why an END failed, or why a RETRY follows; NULL for a success and for other kinds. Lent by the event.
///
/// Threads: the one that the event is lent to. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_event_error(event: *const apertis_event) -> *const apertis_error {
    // SAFETY: the contract of this function.
    unsafe { get(event) }.and_then(|e| e.error.as_ref()).map_or(std::ptr::null(), Lent::get)
}

unsafe fn lend(event: *const apertis_event, length: *mut usize, has: impl Fn(&EventBox) -> bool) -> *const c_char {
    // SAFETY: by contract NULL or valid.
    unsafe {
        write(length, 0);
        match get(event).filter(|e| has(e)).and_then(|e| e.text.as_ref()) {
            Some(text) => text.lend(length),
            None => std::ptr::null(),
        }
    }
}

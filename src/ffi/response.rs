//! Response.

use std::collections::HashMap;
use std::ffi::c_char;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use super::guard::{value, write};
use super::handle::{self, Handle};
use super::text::{self, pointer, CText};
use crate::engine::error::{Error, Result};
use crate::engine::response::{Finish, Response};

/// Why the model stopped.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_finish {
    /// The provider did not say, or said something new: see apertis_response_finish_reason.
    APERTIS_FINISH_UNKNOWN = 0,
    APERTIS_FINISH_STOP = 1,
    /// The token limit was reached: the answer is cut.
    APERTIS_FINISH_LENGTH = 2,
    /// The model waits for the results of its tool calls.
    APERTIS_FINISH_TOOL_CALLS = 3,
    APERTIS_FINISH_CONTENT_FILTER = 4,
    APERTIS_FINISH_REFUSAL = 5,
    /// The provider paused a long turn: add the response to the request and send it again.
    APERTIS_FINISH_PAUSED = 6,
    /// Cancelled or cut off: this is a part.
    APERTIS_FINISH_INTERRUPTED = 7,
}

use apertis_finish::*;

/// Which token count.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_usage {
    /// All input, what came from a cache included.
    APERTIS_USAGE_INPUT = 1,
    /// All output, reasoning included where the provider counts it there.
    APERTIS_USAGE_OUTPUT = 2,
    APERTIS_USAGE_TOTAL = 3,
    /// The part of the input that came from a cache.
    APERTIS_USAGE_CACHED_INPUT = 4,
    /// The part of the input that was written to a cache.
    APERTIS_USAGE_CACHE_WRITE = 5,
    APERTIS_USAGE_REASONING = 6,
}

/// Which moment, counted in microseconds from the call that started the request.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_timing {
    /// It had waited for its turn.
    APERTIS_TIMING_QUEUED = 1,
    /// The head of the answer was there.
    APERTIS_TIMING_HEADERS = 2,
    /// The first delta was there: the time to the first token.
    APERTIS_TIMING_FIRST_DELTA = 3,
    /// It had ended.
    APERTIS_TIMING_TOTAL = 4,
}

/// An answer, the same whether it was streamed or not.
pub struct apertis_response {
    _opaque: [u8; 0],
}

/// A response as C holds it; texts for C are made when they are asked for.
pub struct ResponseHandle {
    pub response: Arc<Response>,
    lent: bool,
    text: OnceLock<CText>,
    reasoning: OnceLock<CText>,
    refusal: OnceLock<Option<CText>>,
    output: OnceLock<Option<CText>>,
    id: OnceLock<Option<CText>>,
    model: OnceLock<Option<CText>>,
    finish_reason: OnceLock<Option<CText>>,
    request_id: OnceLock<Option<CText>>,
    json: OnceLock<CText>,
    raw: OnceLock<CText>,
    calls: OnceLock<Vec<Call>>,
    headers: Mutex<HashMap<String, CText>>,
}

struct Call {
    id: CText,
    name: CText,
    arguments: CText,
}

impl Handle for ResponseHandle {
    type C = apertis_response;
    const KIND: usize = 7;
    const NAME: &'static str = "response";
}

impl ResponseHandle {
    pub fn new(response: Arc<Response>) -> Self {
        Self {
            response,
            lent: false,
            text: OnceLock::new(),
            reasoning: OnceLock::new(),
            refusal: OnceLock::new(),
            output: OnceLock::new(),
            id: OnceLock::new(),
            model: OnceLock::new(),
            finish_reason: OnceLock::new(),
            request_id: OnceLock::new(),
            json: OnceLock::new(),
            raw: OnceLock::new(),
            calls: OnceLock::new(),
            headers: Mutex::default(),
        }
    }

    /// One that an event lends: the caller's free does nothing.
    pub fn lent(response: Arc<Response>) -> Self {
        Self { lent: true, ..Self::new(response) }
    }

    fn calls(&self) -> &[Call] {
        self.calls.get_or_init(|| {
            let call = |c: crate::engine::response::ToolCall<'_>| Call {
                id: CText::new(c.id),
                name: CText::new(c.name),
                arguments: CText::new(c.arguments),
            };
            self.response.tool_calls().map(call).collect()
        })
    }
}

/// Runs a getter; the handle's texts live as long as the handle does.
fn get<T>(response: *const apertis_response, neutral: T, read: impl FnOnce(&ResponseHandle) -> Result<T>) -> T {
    value(neutral, || read(&*handle::get::<ResponseHandle>(response)?))
}

unsafe fn lend(
    response: *const apertis_response,
    length: *mut usize,
    pick: impl FnOnce(&ResponseHandle) -> Option<&CText>,
) -> *const c_char {
    // SAFETY: by contract NULL or a valid place.
    unsafe { write(length, 0) };
    get(response, std::ptr::null(), |r| {
        // SAFETY: as above.
        Ok(pick(r).map_or(std::ptr::null(), |text| unsafe { text.lend(length) }))
    })
}

/// ---- Response ------------------------------------------------------------------------------------------------------
///
/// Frees a response that is yours; one that an event lends stays. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_free(response: *mut apertis_response) {
    value((), || {
        if !handle::get::<ResponseHandle>(response)?.lent {
            handle::remove::<ResponseHandle>(response);
        }
        Ok(())
    });
}

/// The answer's text, "" where there is none. Lent by `response`; `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_text(response: *const apertis_response, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(response, length, |r| Some(r.text.get_or_init(|| CText::new(r.response.text())))) }
}

/// What the model showed of its reasoning, "" where there is none; parts are parted by an empty line. Lent by `response`;
/// `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_reasoning(response: *const apertis_response, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(response, length, |r| Some(r.reasoning.get_or_init(|| CText::new(r.response.reasoning())))) }
}

/// The answer's JSON, where apertis_request_set_output_schema was used and the answer satisfies the schema: what stood around
/// it is taken off. NULL otherwise. Lent by `response`; `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_output(response: *const apertis_response, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(response, length, |r| r.output.get_or_init(|| CText::optional(r.response.output.as_deref())).as_ref()) }
}

/// In which words the model refused; NULL: it did not. Lent by `response`; `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_refusal(response: *const apertis_response, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(response, length, |r| r.refusal.get_or_init(|| r.response.refusal().map(CText::new)).as_ref()) }
}

/// The answer's id, as the provider gave it; NULL: it gave none. Lent by `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_id(response: *const apertis_response) -> *const c_char {
    get(response, std::ptr::null(), |r| Ok(pointer(r.id.get_or_init(|| CText::optional(r.response.id.as_deref())).as_ref())))
}

/// The model that answered: after a fallback, the other one. NULL: the provider did not say. Lent by `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_model(response: *const apertis_response) -> *const c_char {
    get(response, std::ptr::null(), |r| {
        // The gateway's own word on a fallback goes before what the answer calls itself.
        let model = || r.response.header("x-actual-model").filter(|m| !m.is_empty()).or(r.response.model.as_deref());
        Ok(pointer(r.model.get_or_init(|| CText::optional(model())).as_ref()))
    })
}

/// Why the model stopped: an apertis_finish.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_finish(response: *const apertis_response) -> i32 {
    get(response, APERTIS_FINISH_UNKNOWN as i32, |r| {
        Ok(match r.response.finish {
            Finish::Unknown => APERTIS_FINISH_UNKNOWN,
            Finish::Stop => APERTIS_FINISH_STOP,
            Finish::Length => APERTIS_FINISH_LENGTH,
            Finish::ToolCalls => APERTIS_FINISH_TOOL_CALLS,
            Finish::ContentFilter => APERTIS_FINISH_CONTENT_FILTER,
            Finish::Refusal => APERTIS_FINISH_REFUSAL,
            Finish::Paused => APERTIS_FINISH_PAUSED,
            Finish::Interrupted => APERTIS_FINISH_INTERRUPTED,
        } as i32)
    })
}

/// Why the model stopped, in the provider's word; NULL: it did not say. Lent by `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_finish_reason(response: *const apertis_response) -> *const c_char {
    get(response, std::ptr::null(), |r| {
        Ok(pointer(r.finish_reason.get_or_init(|| CText::optional(r.response.finish_reason.as_deref())).as_ref()))
    })
}

/// How many tools the model wants to be called.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_tool_call_count(response: *const apertis_response) -> usize {
    get(response, 0, |r| Ok(r.calls().len()))
}

fn call<T>(response: *const apertis_response, index: usize, neutral: T, read: impl FnOnce(&Call) -> T) -> T {
    get(response, neutral, |r| r.calls().get(index).map(read).ok_or_else(|| Error::argument("no such call")))
}

/// The id that a tool's result has to name; NULL: no such call. Lent by `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_tool_call_id(response: *const apertis_response, index: usize) -> *const c_char {
    call(response, index, std::ptr::null(), |c| c.id.as_ptr())
}

/// The tool's name; NULL: no such call. Lent by `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_tool_call_name(response: *const apertis_response, index: usize) -> *const c_char {
    call(response, index, std::ptr::null(), |c| c.name.as_ptr())
}

/// The call's arguments: JSON as the model wrote it, "{}" where it wrote none; where the answer was cut it need not be whole.
/// NULL: no such call. Lent by `response`; `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_tool_call_arguments(
    response: *const apertis_response,
    index: usize,
    length: *mut usize,
) -> *const c_char {
    // SAFETY: by contract NULL or a valid place.
    unsafe { write(length, 0) };
    // SAFETY: as above.
    call(response, index, std::ptr::null(), |c| unsafe { c.arguments.lend(length) })
}

/// A token count (`which`: an apertis_usage); -1: the provider did not say. After tool rounds: of all of them together.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_usage(response: *const apertis_response, which: i32) -> i64 {
    get(response, -1, |r| {
        let usage = &r.response.usage;
        let count = match which {
            1 => usage.input,
            2 => usage.output,
            3 => usage.total,
            4 => usage.cached_input,
            5 => usage.cache_write,
            6 => usage.reasoning,
            _ => None,
        };
        Ok(count.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX)))
    })
}

/// When something happened (`which`: an apertis_timing), in microseconds from the call that started the request; -1: it did
/// not.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_timing_us(response: *const apertis_response, which: i32) -> i64 {
    get(response, -1, |r| {
        let timing = &r.response.timing;
        let moment: Option<Duration> = match which {
            1 => timing.queued,
            2 => timing.headers,
            3 => timing.first_delta,
            4 => timing.total,
            _ => None,
        };
        Ok(moment.map_or(-1, |d| i64::try_from(d.as_micros()).unwrap_or(i64::MAX)))
    })
}

/// How many requests it took.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_attempts(response: *const apertis_response) -> i32 {
    get(response, -1, |r| Ok(i32::try_from(r.response.attempts).unwrap_or(i32::MAX)))
}

/// The id under which the provider's support finds the request; NULL: it sent none. Lent by `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_request_id(response: *const apertis_response) -> *const c_char {
    get(response, std::ptr::null(), |r| {
        Ok(pointer(r.request_id.get_or_init(|| CText::optional(r.response.request_id.as_deref())).as_ref()))
    })
}

/// A header of the HTTP answer, by its name in any case: rate limits, fallbacks, costs. NULL: there was none. Lent by
/// `response`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_header(response: *const apertis_response, name: *const c_char) -> *const c_char {
    get(response, std::ptr::null(), |r| {
        // SAFETY: by contract a C string.
        let name = unsafe { text::string(name, "name") }?.to_ascii_lowercase();
        let Some(value) = r.response.header(&name) else { return Ok(std::ptr::null()) };
        let mut lent = r.headers.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lent.entry(name).or_insert_with(|| CText::new(value)).as_ptr())
    })
}

/// All of the above and every part of the answer, as one JSON object in our names; include/apertis-response.schema.json describes it.
/// Lent by `response`; `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_json(response: *const apertis_response, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(response, length, |r| Some(r.json.get_or_init(|| CText::new(r.response.to_json().to_string())))) }
}

/// The provider's own object: the body as it came, or, after a stream, put together from its events. Lent by `response`;
/// `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_response_raw(response: *const apertis_response, length: *mut usize) -> *const c_char {
    // SAFETY: the contract of this function.
    unsafe { lend(response, length, |r| Some(r.raw.get_or_init(|| CText::new(r.response.raw.to_vec())))) }
}

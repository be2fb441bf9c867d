//! Client, and the calls that wait for one answer.

use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::config::{self, apertis_config};
use super::error::{apertis_error, apertis_status};
use super::event::{apertis_event_fn, EventBox};
use super::guard::{may_block, needed, status, value, write};
use super::handle::{self, Handle};
use super::process::{process, time_limit};
use super::request::{apertis_request, RequestHandle};
use super::response::{apertis_response, ResponseHandle};
use super::stream::{Owner, StreamHandle};
use super::text;
use crate::engine::client::{Client, Mode};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::event::Event;
use crate::engine::request::{Request, Role, Turn};
use crate::engine::stream::handle::Outcome;
use crate::engine::stream::queue::{Delivery, Next, Queue};
use crate::engine::stream::reentry;
use crate::engine::stream::run::Prepared;

/// What requests are sent with: key, base URL, connections, limits. One serves any number of threads and streams.
pub struct apertis_client {
    _opaque: [u8; 0],
}

/// A client as C holds it.
pub struct ClientHandle(pub Arc<Client>);

impl Handle for ClientHandle {
    type C = apertis_client;
    const KIND: usize = 3;
    const NAME: &'static str = "client";
}

/// The client behind a ticket.
pub fn get(client: *const apertis_client) -> Result<Arc<Client>> {
    Ok(handle::get::<ClientHandle>(client)?.0.clone())
}

/// ---- Client --------------------------------------------------------------------------------------------------------
///
/// Makes a client from `config`, which is copied; NULL: all defaults, key and base from the environment. The environment is
/// read here and nowhere else. No connection is opened and no thread started yet. Yours: free it with apertis_client_free.
///
/// Errors: MISSING_API_KEY (the message names both ways to set one), INVALID_ARGUMENT (a base, key or proxy from the
/// environment that cannot be used, `client` NULL), INVALID_HANDLE.
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_new(
    config: *const apertis_config,
    client: *mut *mut apertis_client,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places.
    unsafe {
        write(client, std::ptr::null_mut());
        status(error, || {
            let client = needed(client, "client")?;
            let config = config::copy(config)?;
            let made = Client::new(process().runtime(), config, |name| std::env::var(name).ok())?;
            client.write(handle::insert(ClientHandle(Arc::new(made))));
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

/// Frees a client; its streams go on to their END. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_free(client: *mut apertis_client) {
    value((), || {
        handle::remove::<ClientHandle>(client);
        Ok(())
    });
}

/// Opens a connection ahead of the first request, so that it need not wait for TCP and TLS: a HEAD request to the base,
/// whose answer does not matter. Waits until the connection is there.
///
/// Errors: APERTIS_TIMEOUT (not in `timeout_ms`; the opening goes on), CONNECT, TLS, SHUTDOWN, WOULD_DEADLOCK,
/// INVALID_HANDLE.
/// Threads: any. From callbacks: yes, but it waits. Blocks: up to `timeout_ms` (< 0: no limit but the connect timeout).
#[no_mangle]
pub unsafe extern "C" fn apertis_client_warm(
    client: *mut apertis_client,
    timeout_ms: i64,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract a valid place or NULL.
    unsafe {
        status(error, || {
            may_block()?;
            let client = get(client)?;
            let mut prepared = client.prepare_call("HEAD", "models", None, Bytes::new())?;
            prepared.max_retries = 0;
            let stream = begin(&client, prepared)?;
            let outcome = stream.stream.wait(time_limit(timeout_ms));
            match outcome? {
                None => Ok(apertis_status::APERTIS_TIMEOUT),
                Some(Outcome { error: Some(error), .. }) if error.http_status.is_none() => Err((*error).clone()),
                Some(_) => Ok(apertis_status::APERTIS_OK),
            }
        })
    }
}

/// ---- One call, one answer (these wait) -----------------------------------------------------------------------------
///
/// Asks `prompt` (`length` bytes or APERTIS_NTS) with the client's defaults and waits for the whole answer, which is yours:
/// free it with apertis_response_free.
///
/// Errors: all; see apertis_error. On a failure that left something, *response receives the part that came; otherwise it is
/// NULL.
/// Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there; see apertis_config_set_timeout.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_complete(
    client: *mut apertis_client,
    prompt: *const c_char,
    length: usize,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: the contract of this function is that of `answer` and `content`.
    unsafe {
        answer(
            client,
            || prompt_request(text::content(prompt, length, "prompt")?),
            false,
            None,
            std::ptr::null_mut(),
            response,
            error,
        )
    }
}

/// Sends the conversation of `request`, which stays yours and as it is, and waits for the whole answer, which is yours too.
///
/// Errors: all; see apertis_error. On a failure that left something, *response receives the part that came; otherwise it is
/// NULL.
/// Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there; see apertis_config_set_timeout.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_chat(
    client: *mut apertis_client,
    request: *const apertis_request,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: the contract of this function is that of `answer`.
    unsafe {
        answer(client, || Ok(handle::get::<RequestHandle>(request)?.copy()), false, None, std::ptr::null_mut(), response, error)
    }
}

/// The same, streamed: each event is handed to `on_event` (may be NULL) on this thread as it arrives, END last. The event is
/// lent for the call. apertis_event_stream inside the callback gives a handle to cancel with. `response` may be NULL.
///
/// Errors: all; see apertis_error. On a failure that left something, *response receives the part that came.
/// Threads: any. From callbacks: yes, but it waits. Blocks: until END.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_chat_stream(
    client: *mut apertis_client,
    request: *const apertis_request,
    on_event: apertis_event_fn,
    user_data: *mut c_void,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: the contract of this function is that of `answer`.
    unsafe { answer(client, || Ok(handle::get::<RequestHandle>(request)?.copy()), true, on_event, user_data, response, error) }
}

/// apertis_client_complete, streamed as apertis_client_chat_stream does.
///
/// Errors: all; see apertis_error. On a failure that left something, *response receives the part that came.
/// Threads: any. From callbacks: yes, but it waits. Blocks: until END.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_complete_stream(
    client: *mut apertis_client,
    prompt: *const c_char,
    length: usize,
    on_event: apertis_event_fn,
    user_data: *mut c_void,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: the contract of this function is that of `answer` and `content`.
    unsafe {
        answer(client, || prompt_request(text::content(prompt, length, "prompt")?), true, on_event, user_data, response, error)
    }
}

fn prompt_request(prompt: &str) -> Result<Request> {
    Ok(Request { turns: vec![Turn::text(Role::User, prompt)], ..Request::default() })
}

unsafe fn answer(
    client: *mut apertis_client,
    request: impl FnOnce() -> Result<Request>,
    stream: bool,
    on_event: apertis_event_fn,
    user_data: *mut c_void,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract NULL or a valid place.
    unsafe {
        write(response, std::ptr::null_mut());
        status(error, || {
            may_block()?;
            let client = get(client)?;
            // Without a callback nobody could execute a tool: its calls are data in the answer.
            let mode = match (stream, on_event.is_some()) {
                (false, _) => Mode::Whole,
                (true, false) => Mode::Streamed,
                (true, true) => Mode::StreamedWithRounds,
            };
            let prepared = client.prepare(&request()?, mode)?;
            let outcome = finish(&client, prepared, on_event, user_data)?;
            hand_over(outcome, response)
        })
    }
}

/// Gives the caller the response, or the part that came and the error.
pub unsafe fn hand_over(outcome: Outcome, response: *mut *mut apertis_response) -> Result<apertis_status> {
    if !response.is_null() && (outcome.error.is_none() || outcome.response.has_content()) {
        // SAFETY: checked above.
        unsafe { response.write(handle::insert(ResponseHandle::new(outcome.response))) };
    }
    match outcome.error {
        None => Ok(apertis_status::APERTIS_OK),
        Some(error) => Err((*error).clone()),
    }
}

/// A stream on a queue of its own that this call waits for.
fn begin(client: &Arc<Client>, prepared: Prepared) -> Result<Arc<StreamHandle>> {
    let queue = Queue::new(Delivery::Pull, process().threads.clone());
    let stream = Client::stream(&queue, true, 0);
    client.start(prepared, &stream, None)?;
    Ok(Arc::new(StreamHandle::new(stream, Owner::Call)))
}

/// Runs a request to its END on this thread.
pub unsafe fn finish(
    client: &Arc<Client>,
    prepared: Prepared,
    on_event: apertis_event_fn,
    user_data: *mut c_void,
) -> Result<Outcome> {
    let owner = begin(client, prepared)?;
    let stream = &owner.stream;
    let Some(on_event) = on_event else {
        let outcome = stream.wait(None)?;
        return outcome.ok_or_else(|| Error::new(Kind::Internal, "the stream came to no end"));
    };
    stream.core.set_user_data(user_data as usize);
    let ticket = handle::insert_shared(owner.clone());
    stream.core.ticket.store(ticket as usize, std::sync::atomic::Ordering::Release);
    let outcome = loop {
        match stream.queue.next(Some(&stream.core), None::<Duration>) {
            Next::Event(delivered) => {
                let is_end = matches!(delivered.event, Event::End { .. });
                let event = EventBox::new(*delivered);
                let _inside = reentry::enter(stream.queue.id);
                // SAFETY: by contract a function that takes these; the event lives until it returns.
                unsafe { on_event(user_data, event.as_ptr()) };
                if is_end {
                    break stream.core.outcome().cloned();
                }
            }
            Next::Done => break stream.core.outcome().cloned(),
            Next::TimedOut | Next::Closed | Next::Shutdown => break None,
        }
    };
    handle::remove::<StreamHandle>(ticket);
    outcome.ok_or_else(|| Error::new(Kind::Internal, "the stream came to no end"))
}

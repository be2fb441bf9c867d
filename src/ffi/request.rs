//! Request: a conversation and how to answer it.

use std::ffi::{c_char, c_void};
use std::sync::{Mutex, PoisonError};

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::Value;

use super::client::{self, apertis_client};
use super::config::{filled, format, set_header, temperature, timeout, tokens};
use super::error::{apertis_error, apertis_status};
use super::guard::{needed, plain, status, value, write};
use super::handle::{self, Handle};
use super::response::{apertis_response, ResponseHandle};
use super::text::{self, CText};
use crate::engine::config::{check_key, Secret};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::request::{OutputSchema, Part, Request, Role, Source, Tool, ToolChoice, Turn};
use crate::engine::schema::Validator;

/// Who speaks.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_role {
    APERTIS_ROLE_SYSTEM = 1,
    /// What newer OpenAI models call the system; others know SYSTEM alone.
    APERTIS_ROLE_DEVELOPER = 2,
    APERTIS_ROLE_USER = 3,
    APERTIS_ROLE_ASSISTANT = 4,
}

/// A conversation and the options of its answer. It may be sent any number of times.
pub struct apertis_request {
    _opaque: [u8; 0],
}

/// A request as C holds it.
#[derive(Default)]
pub struct RequestHandle(Mutex<Owned>);

#[derive(Default)]
struct Owned {
    request: Request,
    /// Texts lent to the caller, valid until the next change.
    lent: Vec<CText>,
}

impl Handle for RequestHandle {
    type C = apertis_request;
    const KIND: usize = 4;
    const NAME: &'static str = "request";
}

impl RequestHandle {
    fn new(request: Request) -> Self {
        Self(Mutex::new(Owned { request, lent: Vec::new() }))
    }

    /// The request as it is now.
    pub fn copy(&self) -> Request {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).request.clone()
    }

    /// Lends a text until the next change; the same text is lent once.
    unsafe fn lend(&self, text: String, length: *mut usize) -> *const c_char {
        let mut owned = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = owned.lent.iter().position(|known| known.as_bytes() == text.as_bytes()).unwrap_or_else(|| {
            owned.lent.push(CText::new(text));
            owned.lent.len() - 1
        });
        // SAFETY: by contract NULL or a valid place.
        unsafe { owned.lent[place].lend(length) }
    }
}

fn change(request: *mut apertis_request, set: impl FnOnce(&mut Request) -> Result<()>) -> apertis_status {
    plain(|| {
        let owner = handle::get::<RequestHandle>(request)?;
        let mut owned = owner.0.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut owned.request)?;
        owned.lent.clear();
        Ok(())
    })
}

fn json(text: &str, name: &str) -> Result<Value> {
    serde_json::from_str(text).map_err(|e| Error::new(Kind::InvalidJson, format!("{name} is not JSON: {e}")))
}

/// ---- Request: a conversation and how to answer it ------------------------------------------------------------------
///
/// An empty conversation with no option set. Yours: free it with apertis_request_free. NULL only without memory.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub extern "C" fn apertis_request_new() -> *mut apertis_request {
    value(std::ptr::null_mut(), || Ok(handle::insert(RequestHandle::default())))
}

/// A copy of a request, its key included, that goes its own way. Yours. NULL where `request` is no request.
///
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_clone(request: *const apertis_request) -> *mut apertis_request {
    value(std::ptr::null_mut(), || Ok(handle::insert(RequestHandle::new(handle::get::<RequestHandle>(request)?.copy()))))
}

/// Frees a request; streams started with it go on. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_free(request: *mut apertis_request) {
    value((), || {
        handle::remove::<RequestHandle>(request);
        Ok(())
    });
}

/// Adds a message of `role` (an apertis_role): `length` bytes of UTF-8, or APERTIS_NTS. Copied.
///
/// Errors: INVALID_ARGUMENT (no such role, `text` NULL), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_add_message(
    request: *mut apertis_request,
    role: i32,
    text: *const c_char,
    length: usize,
) -> apertis_status {
    change(request, |request| {
        let role = match role {
            1 => Role::System,
            2 => Role::Developer,
            3 => Role::User,
            4 => Role::Assistant,
            _ => return Err(Error::argument(format!("{role} is no apertis_role"))),
        };
        // SAFETY: by contract `length` bytes or a C string.
        request.turns.push(Turn::text(role, unsafe { text::content(text, length, "text") }?));
        Ok(())
    })
}

/// Attaches what is at `url` to the message added last, which must be the user's. The media type says what it is: "image/png",
/// "audio/wav", "video/mp4", "application/pdf". What the format of the request cannot carry is an error of its start.
///
/// Errors: INVALID_ARGUMENT (NULL or empty, no message to attach to), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_attach_url(
    request: *mut apertis_request,
    media_type: *const c_char,
    url: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract C strings.
        let (media_type, url) = unsafe { (self::media_type(media_type)?, text::string(url, "url")?) };
        let source = Source::Url(filled(url, "url")?.to_owned());
        request.attach(Part::Media { media_type, source, file_name: None })
    })
}

/// Attaches `size` bytes to the message added last, which must be the user's. `file_name` (may be NULL) is what documents are
/// called. Copied.
///
/// Errors: INVALID_ARGUMENT (NULL or empty, no message to attach to), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_attach_data(
    request: *mut apertis_request,
    media_type: *const c_char,
    file_name: *const c_char,
    data: *const c_void,
    size: usize,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract C strings and `size` bytes.
        let (media_type, file_name, data) = unsafe {
            (self::media_type(media_type)?, text::optional(file_name, "file_name")?, text::bytes(data.cast(), size, "data")?)
        };
        if data.is_empty() {
            return Err(Error::argument("there is nothing to attach: the size is 0"));
        }
        let source = Source::Data(BASE64_STANDARD.encode(data));
        request.attach(Part::Media { media_type, source, file_name: file_name.map(str::to_owned) })
    })
}

unsafe fn media_type(text: *const c_char) -> Result<String> {
    // SAFETY: by contract a C string.
    let text = unsafe { text::string(text, "media_type") }?.trim().to_ascii_lowercase();
    match text.split_once('/') {
        Some((kind, sub)) if !kind.is_empty() && !sub.is_empty() && !text.contains(char::is_whitespace) => Ok(text),
        _ => Err(Error::argument("the media type must look like \"image/png\"")),
    }
}

/// Adds the assistant's turn exactly as it came: reasoning, signatures, tool calls and unknown parts included; after tool
/// rounds the whole exchange. Replayed in another format it says what that one can carry. `response` stays yours.
///
/// Errors: INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_add_response(
    request: *mut apertis_request,
    response: *const apertis_response,
) -> apertis_status {
    change(request, |request| {
        request.add_response(&handle::get::<ResponseHandle>(response)?.response);
        Ok(())
    })
}

/// Adds the result of a tool call: `length` bytes of UTF-8, or APERTIS_NTS. `is_error` not 0: the tool failed, and the text
/// says why.
///
/// Errors: INVALID_ARGUMENT (`call_id` NULL or empty), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_add_tool_result(
    request: *mut apertis_request,
    call_id: *const c_char,
    text: *const c_char,
    length: usize,
    is_error: i32,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string, and `length` bytes or a C string.
        let (call_id, text) = unsafe { (text::string(call_id, "call_id")?, text::content(text, length, "text")?) };
        let result =
            Part::ToolResult { call_id: filled(call_id, "call_id")?.to_owned(), text: text.to_owned(), is_error: is_error != 0 };
        request.turns.push(Turn { role: Role::Tool, parts: vec![result], native: None });
        Ok(())
    })
}

/// Sets the model; the client's unless set.
///
/// Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_model(request: *mut apertis_request, model: *const c_char) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string.
        request.options.model = Some(filled(unsafe { text::string(model, "model") }?, "model")?.to_owned());
        Ok(())
    })
}

/// Sets the wire format (an apertis_format); DEFAULT: the client's.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_format(request: *mut apertis_request, format: i32) -> apertis_status {
    change(request, |request| {
        request.options.format = self::format(format)?;
        Ok(())
    })
}

/// Sets the temperature, 0 to 2; the client's unless set. What you set is always sent.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_temperature(request: *mut apertis_request, value: f64) -> apertis_status {
    change(request, |request| {
        request.options.temperature = Some(temperature(value)?);
        Ok(())
    })
}

/// Sets top_p, 0 to 1; not sent unless set.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_top_p(request: *mut apertis_request, value: f64) -> apertis_status {
    change(request, |request| {
        if !(0.0..=1.0).contains(&value) {
            return Err(Error::argument(format!("a top_p of {value}: it goes from 0 to 1")));
        }
        request.options.top_p = Some(value);
        Ok(())
    })
}

/// Sets how many tokens the answer may have; the client's unless set, 0: as many as the provider allows.
///
/// Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_max_tokens(request: *mut apertis_request, tokens: i64) -> apertis_status {
    change(request, |request| {
        request.options.max_tokens = Some(self::tokens(tokens)?);
        Ok(())
    })
}

/// Sets the seed; not sent unless set. Chat Completions alone knows seeds: with another format the start is an error.
///
/// Errors: INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_seed(request: *mut apertis_request, seed: i64) -> apertis_status {
    change(request, |request| {
        request.options.seed = Some(seed);
        Ok(())
    })
}

/// Adds a sequence at which the model stops. Responses knows none: with that format the start is an error.
///
/// Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_add_stop(request: *mut apertis_request, sequence: *const c_char) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string.
        let sequence = unsafe { text::string(sequence, "sequence") }?;
        if sequence.is_empty() {
            return Err(Error::argument("sequence is empty"));
        }
        request.options.stop.push(sequence.to_owned());
        Ok(())
    })
}

/// Sets how much the model reasons, in the provider's word: "none", "minimal", "low", "medium", "high", "xhigh", "max". Sent
/// in each format's own place; not sent unless set.
///
/// Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_reasoning_effort(
    request: *mut apertis_request,
    effort: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string.
        request.options.reasoning_effort = Some(filled(unsafe { text::string(effort, "effort") }?, "effort")?.to_owned());
        Ok(())
    })
}

/// Sets a time limit (`kind`: an apertis_timeout_kind) in milliseconds, 0: none; the client's unless set.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_timeout(request: *mut apertis_request, kind: i32, ms: i64) -> apertis_status {
    change(request, |request| {
        let (kind, ms) = timeout(kind, ms)?;
        request.options.timeouts.retain(|(known, _)| *known != kind);
        request.options.timeouts.push((kind, ms));
        Ok(())
    })
}

/// Sends this request alone with this key: one player, one token. "": without any. Not saved by apertis_request_json.
///
/// Errors: INVALID_ARGUMENT (NULL, or characters that no header may carry), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_api_key(request: *mut apertis_request, key: *const c_char) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string.
        let key = Secret::new(unsafe { text::string(key, "key") }?);
        check_key(&key)?;
        request.api_key = Some(key);
        Ok(())
    })
}

/// Sets a header of this request; it goes before the client's. See apertis_config_set_header.
///
/// Errors: INVALID_ARGUMENT (NULL, a name or a value that no header may have), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_header(
    request: *mut apertis_request,
    name: *const c_char,
    value: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract C strings.
        let (name, value) = unsafe { (text::string(name, "name")?, text::string(value, "value")?) };
        set_header(&mut request.options.headers, name, value)
    })
}

/// Sets any field of the body, last and as it is: `json` is a JSON value, in the words of the request's format. NULL removes
/// the field, whoever set it.
///
/// Errors: INVALID_ARGUMENT (`field` NULL or empty), INVALID_JSON, INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_json(
    request: *mut apertis_request,
    field: *const c_char,
    json: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string, and NULL or one.
        let (field, text) = unsafe { (text::string(field, "field")?, text::optional(json, "json")?) };
        let value = text.map(|text| self::json(text, "json")).transpose()?;
        request.options.json.insert(filled(field, "field")?.to_owned(), value);
        Ok(())
    })
}

/// Adds a model that the gateway tries when those before it fail, in this order; five at most.
///
/// Errors: INVALID_ARGUMENT (NULL or empty, a sixth), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_add_fallback_model(
    request: *mut apertis_request,
    model: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string.
        let model = filled(unsafe { text::string(model, "model") }?, "model")?.to_owned();
        if request.options.fallback_models.len() >= 5 {
            return Err(Error::argument("the gateway takes five fallback models at most"));
        }
        request.options.fallback_models.push(model);
        Ok(())
    })
}

/// Asks for an answer that is JSON of this schema. It is asked of the provider, in each format's way, and checked here: what
/// models put around the JSON is taken off, and an answer that breaks the schema ends with APERTIS_ERROR_SCHEMA, which names
/// the place, with the response attached. apertis_response_output gives the JSON. `name` is what the provider calls it.
///
/// Providers enforce a strict subset: the root is an object, and every object has "additionalProperties": false and lists all
/// its properties as required (an optional one may be null). A schema outside of it is an error of the start, which names the
/// place.
///
/// Errors: INVALID_ARGUMENT (NULL; `name` not of letters, digits, "_" and "-", 64 at most; no JSON Schema), INVALID_JSON,
/// INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_output_schema(
    request: *mut apertis_request,
    name: *const c_char,
    schema_json: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract C strings.
        let (name, schema) = unsafe { (text::string(name, "name")?, text::string(schema_json, "schema_json")?) };
        let schema = json(schema, "schema_json")?;
        Validator::new(&schema)?;
        request.options.output_schema = Some(OutputSchema { name: identifier(name, 64)?, schema });
        Ok(())
    })
}

/// Adds a function that the model may call. `description` may be NULL; `parameters_schema_json` is a JSON Schema of type
/// object, NULL for a function without parameters. A tool of the same name is replaced.
///
/// Errors: INVALID_ARGUMENT (`name` NULL, or not of letters, digits, "_" and "-", 128 at most; a schema that is no object),
/// INVALID_JSON, INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_add_tool(
    request: *mut apertis_request,
    name: *const c_char,
    description: *const c_char,
    parameters_schema_json: *const c_char,
) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string, and twice NULL or one.
        let (name, description, schema) = unsafe {
            (
                text::string(name, "name")?,
                text::optional(description, "description")?,
                text::optional(parameters_schema_json, "parameters_schema_json")?,
            )
        };
        let parameters = match schema {
            None => serde_json::json!({"type": "object", "properties": {}}),
            Some(schema) => json(schema, "parameters_schema_json")?,
        };
        if !parameters.is_object() {
            return Err(Error::argument("the parameters' schema must be a JSON object"));
        }
        let tool = Tool { name: identifier(name, 128)?, description: description.map(str::to_owned), parameters };
        request.options.tools.retain(|known| known.name != tool.name);
        request.options.tools.push(tool);
        Ok(())
    })
}

/// What every provider takes as a name.
fn identifier(name: &str, longest: usize) -> Result<String> {
    let good = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > longest || !name.chars().all(good) {
        return Err(Error::argument(format!("a name has 1 to {longest} letters, digits, \"_\" or \"-\"")));
    }
    Ok(name.to_owned())
}

/// Sets whether tools are called: "auto", "none", "required", or a tool's name. Not sent unless set.
///
/// Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_tool_choice(request: *mut apertis_request, choice: *const c_char) -> apertis_status {
    change(request, |request| {
        // SAFETY: by contract a C string.
        request.options.tool_choice = Some(match filled(unsafe { text::string(choice, "choice") }?, "choice")? {
            "auto" => ToolChoice::Auto,
            "none" => ToolChoice::None,
            "required" => ToolChoice::Required,
            name => ToolChoice::Named(name.to_owned()),
        });
        Ok(())
    })
}

/// Sets whether the model may call several tools at once: 0 no, anything else yes. Not sent unless set.
///
/// Errors: INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_parallel_tool_calls(request: *mut apertis_request, allowed: i32) -> apertis_status {
    change(request, |request| {
        request.options.parallel_tool_calls = Some(allowed != 0);
        Ok(())
    })
}

/// Lets the stream go on by itself after tool calls, up to `rounds` times (0: not, which is how it is unless set; 1000 at
/// most): each TOOL_CALL event waits for its apertis_stream_reply, and when all calls of a round have theirs the next round is
/// sent. A model that then still asks for tools ends the stream with APERTIS_ERROR_TOOL_ROUNDS. A call whose arguments are no
/// JSON has no event: the library tells the model so. END's response holds the last answer, the usage of all rounds, and the
/// whole exchange, so that apertis_request_add_response continues the conversation. Calls that nobody can reply to (those
/// of apertis_client_chat, and of streams without callback that wait) are data in the response, as without this.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_set_max_tool_rounds(request: *mut apertis_request, rounds: i32) -> apertis_status {
    change(request, |request| match u32::try_from(rounds) {
        Ok(rounds @ 0..=1000) => {
            request.options.max_tool_rounds = rounds;
            Ok(())
        }
        _ => Err(Error::argument(format!("{rounds} rounds of tools: 0 to 1000 can be set"))),
    })
}

/// The conversation and its options as one JSON document, to save; keys are not in it. apertis_request_from_json reads it.
/// Lent by `request`; `length` (may be NULL) receives its size in bytes. NULL where `request` is no request.
///
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_json(request: *const apertis_request, length: *mut usize) -> *const c_char {
    // SAFETY: by contract NULL or a valid place.
    unsafe { write(length, 0) };
    value(std::ptr::null(), || {
        let owner = handle::get::<RequestHandle>(request)?;
        // SAFETY: as above.
        Ok(unsafe { owner.lend(owner.copy().to_json(), length) })
    })
}

/// Reads what apertis_request_json wrote: `length` bytes, or APERTIS_NTS. *request is yours.
///
/// Errors: INVALID_JSON (also: JSON that is no saved request), INVALID_UTF8, INVALID_ARGUMENT (NULL).
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_request_from_json(
    json: *const c_char,
    length: usize,
    request: *mut *mut apertis_request,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL, and `length` bytes or a C string.
    unsafe {
        write(request, std::ptr::null_mut());
        status(error, || {
            let place = needed(request, "request")?;
            let loaded = Request::from_json(text::content(json, length, "json")?)?;
            place.write(handle::insert(RequestHandle::new(loaded)));
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

/// The exact body that apertis_client_start would send for this request, without sending it. Lent by `request`, until it is
/// changed or freed; `length` (may be NULL) receives its size in bytes.
///
/// Errors: INVALID_ARGUMENT (no message, an option that the format cannot carry, `body` NULL), INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_preview(
    client: *mut apertis_client,
    request: *mut apertis_request,
    body: *mut *const c_char,
    length: *mut usize,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL.
    unsafe {
        write(body, std::ptr::null());
        write(length, 0);
        status(error, || {
            let place = needed(body, "body")?;
            let client = client::get(client)?;
            let owner = handle::get::<RequestHandle>(request)?;
            let request = owner.copy();
            let text = client.body(&request, client.format(&request), true)?;
            place.write(owner.lend(text, length));
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

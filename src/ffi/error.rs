//! Status and errors.

use std::ffi::c_char;
use std::sync::{Arc, OnceLock};

use super::guard::{value, write};
use super::handle::{self, Handle};
use super::text::{pointer, CText};
use crate::engine::error::{Error, Kind};

/// For a length: the text ends at its NUL.
/// cbindgen:ignore
pub const APERTIS_NTS: usize = usize::MAX;

/// What a call came to: 0 success, above 0 an outcome that is no error, below 0 an error. Values never change; new ones
/// may come, so treat an unknown negative one as an error of an unknown kind.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_status {
    APERTIS_OK = 0,
    /// Nothing arrived in the time you gave.
    APERTIS_TIMEOUT = 1,
    /// The stream's END has been delivered; there is nothing more.
    APERTIS_DONE = 2,

    /// The caller's own mistake: NULL where something is needed, an absurd number, an unknown value.
    APERTIS_ERROR_INVALID_ARGUMENT = -100,
    /// A handle that is NULL, was freed, or is of another kind.
    APERTIS_ERROR_INVALID_HANDLE = -101,
    /// Text that is not UTF-8.
    APERTIS_ERROR_INVALID_UTF8 = -102,
    /// Text that should be JSON and is not.
    APERTIS_ERROR_INVALID_JSON = -103,
    /// No key in the configuration and none in APERTIS_API_KEY.
    APERTIS_ERROR_MISSING_API_KEY = -104,
    /// The call would wait for itself: it was made inside a callback that it would wait for.
    APERTIS_ERROR_WOULD_DEADLOCK = -105,

    /// The stream was cancelled.
    APERTIS_ERROR_CANCELLED = -200,
    /// The library was shut down; a new client starts it afresh.
    APERTIS_ERROR_SHUTDOWN = -201,
    /// The handle is of the parent process; make new ones in the child.
    APERTIS_ERROR_FORKED = -202,

    /// No connection: refused, unreachable, or a name that does not resolve.
    APERTIS_ERROR_CONNECT = -300,
    /// The certificate or the handshake; the message names the cause. Never retried.
    APERTIS_ERROR_TLS = -301,
    /// One of the four time limits, or the gateway's own.
    APERTIS_ERROR_TIMED_OUT = -302,
    /// The connection broke.
    APERTIS_ERROR_DISCONNECTED = -303,
    /// The server sent more than the library takes in.
    APERTIS_ERROR_TOO_LARGE = -304,

    /// The answer is not what the format says.
    APERTIS_ERROR_PROTOCOL = -400,
    /// The answer ended before its end; the part that came is attached.
    APERTIS_ERROR_TRUNCATED = -401,
    /// The output does not satisfy the schema that was set.
    APERTIS_ERROR_SCHEMA = -402,
    /// The model asked for more rounds of tools than were allowed.
    APERTIS_ERROR_TOOL_ROUNDS = -403,

    /// The provider does not take the key.
    APERTIS_ERROR_AUTHENTICATION = -500,
    /// The key may not do this.
    APERTIS_ERROR_PERMISSION = -501,
    /// The account has nothing left. Never retried.
    APERTIS_ERROR_QUOTA = -502,
    /// Too many requests; see apertis_error_retry_after_ms.
    APERTIS_ERROR_RATE_LIMITED = -503,
    /// No such model or endpoint.
    APERTIS_ERROR_NOT_FOUND = -504,
    /// The provider does not like the request; the message says why.
    APERTIS_ERROR_BAD_REQUEST = -505,
    /// The conversation is longer than the model's context window.
    APERTIS_ERROR_CONTEXT_LENGTH = -506,
    /// The provider's filter refused the prompt or stopped the answer.
    APERTIS_ERROR_CONTENT_FILTER = -507,
    /// The provider is overloaded.
    APERTIS_ERROR_OVERLOADED = -508,
    /// The provider failed.
    APERTIS_ERROR_SERVER = -509,

    /// A fault inside the library; please report it.
    APERTIS_ERROR_INTERNAL = -900,
}

use apertis_status::*;

/// Every status with its name.
const NAMES: &[(apertis_status, &std::ffi::CStr)] = &[
    (APERTIS_OK, c"APERTIS_OK"),
    (APERTIS_TIMEOUT, c"APERTIS_TIMEOUT"),
    (APERTIS_DONE, c"APERTIS_DONE"),
    (APERTIS_ERROR_INVALID_ARGUMENT, c"APERTIS_ERROR_INVALID_ARGUMENT"),
    (APERTIS_ERROR_INVALID_HANDLE, c"APERTIS_ERROR_INVALID_HANDLE"),
    (APERTIS_ERROR_INVALID_UTF8, c"APERTIS_ERROR_INVALID_UTF8"),
    (APERTIS_ERROR_INVALID_JSON, c"APERTIS_ERROR_INVALID_JSON"),
    (APERTIS_ERROR_MISSING_API_KEY, c"APERTIS_ERROR_MISSING_API_KEY"),
    (APERTIS_ERROR_WOULD_DEADLOCK, c"APERTIS_ERROR_WOULD_DEADLOCK"),
    (APERTIS_ERROR_CANCELLED, c"APERTIS_ERROR_CANCELLED"),
    (APERTIS_ERROR_SHUTDOWN, c"APERTIS_ERROR_SHUTDOWN"),
    (APERTIS_ERROR_FORKED, c"APERTIS_ERROR_FORKED"),
    (APERTIS_ERROR_CONNECT, c"APERTIS_ERROR_CONNECT"),
    (APERTIS_ERROR_TLS, c"APERTIS_ERROR_TLS"),
    (APERTIS_ERROR_TIMED_OUT, c"APERTIS_ERROR_TIMED_OUT"),
    (APERTIS_ERROR_DISCONNECTED, c"APERTIS_ERROR_DISCONNECTED"),
    (APERTIS_ERROR_TOO_LARGE, c"APERTIS_ERROR_TOO_LARGE"),
    (APERTIS_ERROR_PROTOCOL, c"APERTIS_ERROR_PROTOCOL"),
    (APERTIS_ERROR_TRUNCATED, c"APERTIS_ERROR_TRUNCATED"),
    (APERTIS_ERROR_SCHEMA, c"APERTIS_ERROR_SCHEMA"),
    (APERTIS_ERROR_TOOL_ROUNDS, c"APERTIS_ERROR_TOOL_ROUNDS"),
    (APERTIS_ERROR_AUTHENTICATION, c"APERTIS_ERROR_AUTHENTICATION"),
    (APERTIS_ERROR_PERMISSION, c"APERTIS_ERROR_PERMISSION"),
    (APERTIS_ERROR_QUOTA, c"APERTIS_ERROR_QUOTA"),
    (APERTIS_ERROR_RATE_LIMITED, c"APERTIS_ERROR_RATE_LIMITED"),
    (APERTIS_ERROR_NOT_FOUND, c"APERTIS_ERROR_NOT_FOUND"),
    (APERTIS_ERROR_BAD_REQUEST, c"APERTIS_ERROR_BAD_REQUEST"),
    (APERTIS_ERROR_CONTEXT_LENGTH, c"APERTIS_ERROR_CONTEXT_LENGTH"),
    (APERTIS_ERROR_CONTENT_FILTER, c"APERTIS_ERROR_CONTENT_FILTER"),
    (APERTIS_ERROR_OVERLOADED, c"APERTIS_ERROR_OVERLOADED"),
    (APERTIS_ERROR_SERVER, c"APERTIS_ERROR_SERVER"),
    (APERTIS_ERROR_INTERNAL, c"APERTIS_ERROR_INTERNAL"),
];

impl From<Kind> for apertis_status {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::InvalidArgument => APERTIS_ERROR_INVALID_ARGUMENT,
            Kind::InvalidHandle => APERTIS_ERROR_INVALID_HANDLE,
            Kind::InvalidUtf8 => APERTIS_ERROR_INVALID_UTF8,
            Kind::InvalidJson => APERTIS_ERROR_INVALID_JSON,
            Kind::MissingApiKey => APERTIS_ERROR_MISSING_API_KEY,
            Kind::WouldDeadlock => APERTIS_ERROR_WOULD_DEADLOCK,
            Kind::Cancelled => APERTIS_ERROR_CANCELLED,
            Kind::Shutdown => APERTIS_ERROR_SHUTDOWN,
            Kind::Forked => APERTIS_ERROR_FORKED,
            Kind::Connect => APERTIS_ERROR_CONNECT,
            Kind::Tls => APERTIS_ERROR_TLS,
            Kind::TimedOut => APERTIS_ERROR_TIMED_OUT,
            Kind::Disconnected => APERTIS_ERROR_DISCONNECTED,
            Kind::TooLarge => APERTIS_ERROR_TOO_LARGE,
            Kind::Protocol => APERTIS_ERROR_PROTOCOL,
            Kind::Truncated => APERTIS_ERROR_TRUNCATED,
            Kind::Schema => APERTIS_ERROR_SCHEMA,
            Kind::ToolRounds => APERTIS_ERROR_TOOL_ROUNDS,
            Kind::Authentication => APERTIS_ERROR_AUTHENTICATION,
            Kind::Permission => APERTIS_ERROR_PERMISSION,
            Kind::Quota => APERTIS_ERROR_QUOTA,
            Kind::RateLimited => APERTIS_ERROR_RATE_LIMITED,
            Kind::NotFound => APERTIS_ERROR_NOT_FOUND,
            Kind::BadRequest => APERTIS_ERROR_BAD_REQUEST,
            Kind::ContextLength => APERTIS_ERROR_CONTEXT_LENGTH,
            Kind::ContentFilter => APERTIS_ERROR_CONTENT_FILTER,
            Kind::Overloaded => APERTIS_ERROR_OVERLOADED,
            Kind::Server => APERTIS_ERROR_SERVER,
            Kind::Internal => APERTIS_ERROR_INTERNAL,
        }
    }
}

/// What went wrong, with all that is known of it. Yours when a function's last parameter hands it out; lent when it comes
/// from an event.
pub struct apertis_error {
    _opaque: [u8; 0],
}

/// An error as C holds it.
pub struct ErrorHandle {
    error: Arc<Error>,
    message: CText,
    code: Option<CText>,
    kind: Option<CText>,
    request_id: Option<CText>,
    body: OnceLock<CText>,
    lent: bool,
}

impl Handle for ErrorHandle {
    type C = apertis_error;
    const KIND: usize = 1;
    const NAME: &'static str = "error";
}

impl ErrorHandle {
    pub fn new(error: Error) -> Self {
        Self::shared(Arc::new(error), false)
    }

    /// One that an event lends: the caller's free does nothing.
    pub fn lent(error: Arc<Error>) -> Self {
        Self::shared(error, true)
    }

    fn shared(error: Arc<Error>, lent: bool) -> Self {
        Self {
            message: CText::new(error.message.as_str()),
            code: CText::optional(error.provider_code.as_deref()),
            kind: CText::optional(error.provider_type.as_deref()),
            request_id: CText::optional(error.request_id.as_deref()),
            body: OnceLock::new(),
            error,
            lent,
        }
    }
}

/// ---- Status and errors ---------------------------------------------------------------------------------------------
///
/// The name of a status, "APERTIS_ERROR_QUOTA". Total: for a number that is no status "APERTIS_ERROR_UNKNOWN". Static:
/// never freed.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub extern "C" fn apertis_status_name(status: i32) -> *const c_char {
    let name = NAMES.iter().find(|(s, _)| *s as i32 == status).map_or(c"APERTIS_ERROR_UNKNOWN", |(_, name)| name);
    name.as_ptr()
}

/// Frees an error that is yours; one that an event lends stays. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_free(error: *mut apertis_error) {
    value((), || {
        if !handle::get::<ErrorHandle>(error)?.lent {
            handle::remove::<ErrorHandle>(error);
        }
        Ok(())
    });
}

/// Which error: an apertis_status below 0. APERTIS_OK where `error` is no error: that of an END that succeeded is NULL.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_status(error: *const apertis_error) -> i32 {
    value(APERTIS_OK as i32, || Ok(apertis_status::from(handle::get::<ErrorHandle>(error)?.error.kind()) as i32))
}

/// What went wrong, in one line for people; it never holds a key. Lent by `error`. NULL where `error` is no error.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_message(error: *const apertis_error) -> *const c_char {
    value(std::ptr::null(), || Ok(handle::get::<ErrorHandle>(error)?.message.as_ptr()))
}

/// The HTTP status of the answer that failed; 0: there was no answer.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_http_status(error: *const apertis_error) -> i32 {
    value(0, || Ok(handle::get::<ErrorHandle>(error)?.error.http_status.map_or(0, i32::from)))
}

/// The provider's own code, "model_not_found"; NULL: there was none. Lent by `error`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_provider_code(error: *const apertis_error) -> *const c_char {
    value(std::ptr::null(), || Ok(pointer(handle::get::<ErrorHandle>(error)?.code.as_ref())))
}

/// The provider's own type, "invalid_request_error"; NULL: there was none. Lent by `error`. Types differ between providers
/// and versions of one provider: decide by apertis_error_status.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_provider_type(error: *const apertis_error) -> *const c_char {
    value(std::ptr::null(), || Ok(pointer(handle::get::<ErrorHandle>(error)?.kind.as_ref())))
}

/// The id under which the provider's support finds the request; NULL: there was none. Lent by `error`.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_request_id(error: *const apertis_error) -> *const c_char {
    value(std::ptr::null(), || Ok(pointer(handle::get::<ErrorHandle>(error)?.request_id.as_ref())))
}

/// How long the server asked to wait, in milliseconds; -1: it did not say.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_retry_after_ms(error: *const apertis_error) -> i64 {
    value(-1, || {
        let after = handle::get::<ErrorHandle>(error)?.error.retry_after;
        Ok(after.map_or(-1, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    })
}

/// 1 where the same request may succeed later, 0 where it will not. The library's own retries have been made already.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_is_retryable(error: *const apertis_error) -> i32 {
    value(0, || Ok(i32::from(handle::get::<ErrorHandle>(error)?.error.retryable)))
}

/// How many requests were sent; 0: none was.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_attempts(error: *const apertis_error) -> i32 {
    value(0, || Ok(i32::try_from(handle::get::<ErrorHandle>(error)?.error.attempts).unwrap_or(i32::MAX)))
}

/// The body of the failed answer as it came, up to 1 MiB of it; NULL: there was none. It need not be text. Lent by `error`;
/// `length` (may be NULL) receives its size in bytes.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_error_body(error: *const apertis_error, length: *mut usize) -> *const c_char {
    // SAFETY: by contract NULL or a valid place.
    unsafe { write(length, 0) };
    value(std::ptr::null(), || {
        let owner = handle::get::<ErrorHandle>(error)?;
        let Some(body) = &owner.error.body else { return Ok(std::ptr::null()) };
        let text = owner.body.get_or_init(|| CText::new(body.to_vec()));
        // SAFETY: as above.
        Ok(unsafe { text.lend(length) })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_own_name() {
        for (status, name) in NAMES {
            assert_eq!(name.to_str().unwrap(), format!("{status:?}"));
            // SAFETY: static text.
            assert_eq!(unsafe { std::ffi::CStr::from_ptr(apertis_status_name(*status as i32)) }, *name);
        }
        // SAFETY: static text.
        assert_eq!(unsafe { std::ffi::CStr::from_ptr(apertis_status_name(-12345)) }, c"APERTIS_ERROR_UNKNOWN");
    }
}

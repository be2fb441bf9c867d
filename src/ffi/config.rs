//! Configuration.

use std::ffi::c_char;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use super::error::apertis_status;
use super::guard::{plain, value};
use super::handle::{self, Handle};
use super::text;
use crate::engine::client::header;
use crate::engine::config::{check_key, Config, ProxyChoice, Secret, TimeoutKind, Trust};
use crate::engine::error::{Error, Result};
use crate::engine::format::FormatChoice;
use crate::engine::transport::cassette::Mode;
use crate::engine::transport::endpoint::Base;
use crate::engine::transport::tls;

/// Which wire format a request goes out in.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_format {
    /// Inherit: a request from its client, a client from the library, whose own default is CHAT_COMPLETIONS.
    APERTIS_FORMAT_DEFAULT = 0,
    /// POST {base}/chat/completions
    APERTIS_FORMAT_CHAT_COMPLETIONS = 1,
    /// POST {base}/responses
    APERTIS_FORMAT_RESPONSES = 2,
    /// POST {base}/messages
    APERTIS_FORMAT_MESSAGES = 3,
    /// By the model's name: Claude goes to MESSAGES, models that only RESPONSES serves go there, all others to
    /// CHAT_COMPLETIONS.
    APERTIS_FORMAT_AUTO = 4,
}

/// Which time limit.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_timeout_kind {
    /// For a connection, TLS included; 10 s unless set.
    APERTIS_TIMEOUT_CONNECT = 1,
    /// From sending the request to the first event of its answer; 10 min unless set.
    APERTIS_TIMEOUT_FIRST_EVENT = 2,
    /// Between two bytes of an answer; keep-alives count as bytes; 5 min unless set.
    APERTIS_TIMEOUT_IDLE = 3,
    /// For everything: waiting for its turn, all attempts, the waits between them; none unless set.
    APERTIS_TIMEOUT_TOTAL = 4,
}

/// Whose certificates are trusted.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_trust {
    /// The platform's roots, plus those you add. Where the platform has none, the bundled ones.
    APERTIS_TRUST_SYSTEM = 0,
    /// Mozilla's roots inside the library, plus those you add.
    APERTIS_TRUST_BUNDLED = 1,
    /// Only those you add.
    APERTIS_TRUST_ONLY_ADDED = 2,
}

/// What a client does with a cassette.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum apertis_cassette {
    /// None: requests go to the network.
    APERTIS_CASSETTE_OFF = 0,
    /// Requests go to the network, and their answers are appended to the file.
    APERTIS_CASSETTE_RECORD = 1,
    /// Answers come from the file; the network is not touched. A miss is APERTIS_ERROR_CONNECT, whose message names the
    /// request and what differs from the nearest one that was recorded.
    APERTIS_CASSETTE_REPLAY = 2,
}

/// How a client is set up. Made by apertis_config_new, copied by apertis_client_new.
pub struct apertis_config {
    _opaque: [u8; 0],
}

/// A configuration as C holds it.
#[derive(Default)]
pub struct ConfigHandle(Mutex<Config>);

impl Handle for ConfigHandle {
    type C = apertis_config;
    const KIND: usize = 2;
    const NAME: &'static str = "config";
}

/// The configuration behind a handle, copied; all defaults for NULL.
pub fn copy(config: *const apertis_config) -> Result<Config> {
    if config.is_null() {
        return Ok(Config::default());
    }
    let owner = handle::get::<ConfigHandle>(config)?;
    let copy = owner.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(copy)
}

fn change(config: *mut apertis_config, set: impl FnOnce(&mut Config) -> Result<()>) -> apertis_status {
    plain(|| {
        let owner = handle::get::<ConfigHandle>(config)?;
        let mut config = owner.0.lock().unwrap_or_else(PoisonError::into_inner);
        set(&mut config)
    })
}

/// The format behind a number; `None`: inherit.
pub fn format(number: i32) -> Result<Option<FormatChoice>> {
    Ok(match number {
        0 => None,
        1 => Some(FormatChoice::ChatCompletions),
        2 => Some(FormatChoice::Responses),
        3 => Some(FormatChoice::Messages),
        4 => Some(FormatChoice::Auto),
        _ => return Err(Error::argument(format!("{number} is no apertis_format"))),
    })
}

/// The time limit behind two numbers, in milliseconds; 0: none.
pub fn timeout(kind: i32, ms: i64) -> Result<(TimeoutKind, u64)> {
    let kind = match kind {
        1 => TimeoutKind::Connect,
        2 => TimeoutKind::FirstEvent,
        3 => TimeoutKind::Idle,
        4 => TimeoutKind::Total,
        _ => return Err(Error::argument(format!("{kind} is no apertis_timeout_kind"))),
    };
    let ms = u64::try_from(ms).map_err(|_| Error::argument(format!("a timeout of {ms} ms")))?;
    Ok((kind, ms))
}

pub fn temperature(number: f64) -> Result<f64> {
    if (0.0..=2.0).contains(&number) {
        return Ok(number);
    }
    Err(Error::argument(format!("a temperature of {number}: it goes from 0 to 2")))
}

pub fn tokens(number: i64) -> Result<i64> {
    if number >= 0 {
        return Ok(number);
    }
    Err(Error::argument(format!("a limit of {number} tokens")))
}

/// A name that has to say something.
pub fn filled<'a>(text: &'a str, name: &str) -> Result<&'a str> {
    if text.trim().is_empty() {
        return Err(Error::argument(format!("{name} is empty")));
    }
    Ok(text)
}

/// ---- Configuration -------------------------------------------------------------------------------------------------
///
/// A configuration with all defaults. Yours: free it with apertis_config_free. NULL only without memory.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub extern "C" fn apertis_config_new() -> *mut apertis_config {
    value(std::ptr::null_mut(), || Ok(handle::insert(ConfigHandle::default())))
}

/// Frees a configuration; clients made with it stay as they are. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_free(config: *mut apertis_config) {
    value((), || {
        handle::remove::<ConfigHandle>(config);
        Ok(())
    });
}

/// Sets the key; without this the environment's APERTIS_API_KEY counts. Blanks and line ends around it are taken off. ""
/// sends no key at all, which is for bases other than the default: local servers and proxies.
///
/// Errors: INVALID_ARGUMENT (NULL, or characters that no header may carry), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_api_key(config: *mut apertis_config, key: *const c_char) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract a C string.
        let key = Secret::new(unsafe { text::string(key, "key") }?);
        check_key(&key)?;
        config.api_key = Some(key);
        Ok(())
    })
}

/// Sets the base URL; without this the environment's APERTIS_API_BASE counts, then "https://api.apertis.ai/v1". With or
/// without "/v1", with or without a slash at its end, or the full URL of an endpoint: all work. A query is kept.
///
/// Errors: INVALID_ARGUMENT (NULL, or no http or https URL), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_api_base(config: *mut apertis_config, url: *const c_char) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract a C string.
        config.api_base = Some(Base::parse(unsafe { text::string(url, "url") }?)?);
        Ok(())
    })
}

/// Sets the wire format (an apertis_format) of requests that do not set their own; CHAT_COMPLETIONS unless set.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_format(config: *mut apertis_config, format: i32) -> apertis_status {
    change(config, |config| {
        config.format = self::format(format)?;
        Ok(())
    })
}

/// Sets the model of requests that do not set their own; "gpt-5.2" unless set.
///
/// Errors: INVALID_ARGUMENT (NULL or empty), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_model(config: *mut apertis_config, model: *const c_char) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract a C string.
        config.model = Some(filled(unsafe { text::string(model, "model") }?, "model")?.to_owned());
        Ok(())
    })
}

/// Sets the temperature, 0 to 2, of requests that do not set their own; 0.1 unless set. The default is left out for models
/// that are known to reject any temperature; what you set is always sent.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_temperature(config: *mut apertis_config, value: f64) -> apertis_status {
    change(config, |config| {
        config.temperature = Some(temperature(value)?);
        Ok(())
    })
}

/// Sets how many tokens an answer may have, for requests that do not set their own; 256 unless set. 0: as many as the
/// provider allows.
///
/// Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_max_tokens(config: *mut apertis_config, tokens: i64) -> apertis_status {
    change(config, |config| {
        config.max_tokens = Some(self::tokens(tokens)?);
        Ok(())
    })
}

/// Sets how many attempts may follow the first; 5 unless set, 0 for none, 100 at most. Connection errors, time-outs before
/// an answer, 408, 409, 429 and 500 and above are tried again after 0.5, 1, 2, 4, 8, 8 ... s (less up to a quarter), or after
/// what the server asks for, up to 120 s. Quota, key and TLS errors never are, and nothing is once a delta was delivered.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_max_retries(config: *mut apertis_config, retries: i32) -> apertis_status {
    change(config, |config| match u32::try_from(retries) {
        Ok(retries @ 0..=100) => {
            config.max_retries = Some(retries);
            Ok(())
        }
        _ => Err(Error::argument(format!("{retries} retries: 0 to 100 can be set"))),
    })
}

/// Sets a time limit (`kind`: an apertis_timeout_kind) in milliseconds; 0: none.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_timeout(config: *mut apertis_config, kind: i32, ms: i64) -> apertis_status {
    change(config, |config| {
        let (kind, ms) = timeout(kind, ms)?;
        config.timeouts.set(kind, (ms > 0).then(|| Duration::from_millis(ms)));
        Ok(())
    })
}

/// Sets a header that every request has; the same name again replaces the value. It goes before what the library would send
/// under that name; what HTTP itself needs (Host, Content-Length, ...) cannot be set.
///
/// Errors: INVALID_ARGUMENT (NULL, a name or a value that no header may have: line breaks above all), INVALID_UTF8,
/// INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_header(
    config: *mut apertis_config,
    name: *const c_char,
    value: *const c_char,
) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract C strings.
        let (name, value) = unsafe { (text::string(name, "name")?, text::string(value, "value")?) };
        set_header(&mut config.headers, name, value)
    })
}

/// Checks a header and puts it among the others.
pub fn set_header(headers: &mut Vec<(String, String)>, name: &str, value: &str) -> Result<()> {
    header(name, value)?;
    headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    headers.push((name.to_owned(), value.to_owned()));
    Ok(())
}

/// Sets the User-Agent; "libapertis/VERSION" unless set.
///
/// Errors: INVALID_ARGUMENT (NULL, empty, or characters that no header may carry), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_user_agent(config: *mut apertis_config, value: *const c_char) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract a C string.
        let value = filled(unsafe { text::string(value, "value") }?, "value")?;
        header("user-agent", value)?;
        config.user_agent = Some(value.to_owned());
        Ok(())
    })
}

/// Sets the proxy, "http://user:password@host:port". NULL: by the environment (https_proxy, http_proxy, all_proxy,
/// no_proxy, also in capitals), which is how it is unless set. "": none.
///
/// Errors: INVALID_ARGUMENT (no URL), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_proxy(config: *mut apertis_config, url: *const c_char) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract NULL or a C string.
        config.proxy = match unsafe { text::optional(url, "url") }?.map(str::trim) {
            None => ProxyChoice::Environment,
            Some("") => ProxyChoice::None,
            Some(url) => {
                let usable = url.starts_with("http://") || url.starts_with("https://");
                if !usable || reqwest::Proxy::all(url).is_err() {
                    return Err(Error::argument("the proxy must be a URL that begins with http:// or https://"));
                }
                ProxyChoice::Url(url.to_owned())
            }
        };
        Ok(())
    })
}

/// Sets whose certificates are trusted (an apertis_trust); SYSTEM unless set.
///
/// Errors: INVALID_ARGUMENT, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_trust(config: *mut apertis_config, trust: i32) -> apertis_status {
    change(config, |config| {
        config.trust = match trust {
            0 => Trust::System,
            1 => Trust::Bundled,
            2 => Trust::OnlyAdded,
            _ => return Err(Error::argument(format!("{trust} is no apertis_trust"))),
        };
        Ok(())
    })
}

/// Adds trusted root certificates: one or several in PEM, `length` bytes or APERTIS_NTS. Copied.
///
/// Errors: INVALID_ARGUMENT (NULL, or no certificate in it), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_add_ca_pem(
    config: *mut apertis_config,
    pem: *const c_char,
    length: usize,
) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract `length` bytes or a C string.
        let pem = unsafe { text::content(pem, length, "pem") }?;
        config.added_roots.extend(tls::read_pem(pem.as_bytes())?);
        Ok(())
    })
}

/// Sets how many requests of a client may be under way at once; more wait their turn, in the order of their start. 0: no
/// limit, which is how it is unless set. How long a request waited is its APERTIS_TIMING_QUEUED.
///
/// Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_max_in_flight(config: *mut apertis_config, requests: i32) -> apertis_status {
    change(config, |config| {
        let requests = usize::try_from(requests).map_err(|_| Error::argument(format!("{requests} requests in flight")))?;
        config.max_in_flight = (requests > 0).then_some(requests);
        Ok(())
    })
}

/// Sets how many requests of a client may start within any minute; more wait their turn. 0: no limit, which is how it is
/// unless set. Every attempt counts. A client with such a limit also pauses all its requests for as long as a 429 asks, and, where
/// an answer's X-RateLimit headers say that nothing remains, until their reset; both up to 120 s.
///
/// Errors: INVALID_ARGUMENT (below 0), INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_rate_limit(config: *mut apertis_config, requests_per_minute: i32) -> apertis_status {
    change(config, |config| {
        let limit = u32::try_from(requests_per_minute)
            .map_err(|_| Error::argument(format!("{requests_per_minute} requests a minute")))?;
        config.requests_per_minute = (limit > 0).then_some(limit);
        Ok(())
    })
}

/// Records answers to a file, or plays them back without a network (`mode`: an apertis_cassette), so that tests need neither
/// a key nor a server. The file is JSON lines; keys and the requests' headers are never in it. It is opened by
/// apertis_client_new, which fails where it cannot. A request is found again by method, path and body; one that was recorded
/// several times is answered in that order, and from then on with the last. Replay goes as fast as you take the events. A
/// key is still needed, any will do.
///
/// Errors: INVALID_ARGUMENT (unknown mode, `path` NULL or empty unless OFF), INVALID_UTF8, INVALID_HANDLE.
/// Threads: one at a time. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_config_set_cassette(
    config: *mut apertis_config,
    mode: i32,
    path: *const c_char,
) -> apertis_status {
    change(config, |config| {
        // SAFETY: by contract NULL or a C string.
        let path = || unsafe { text::string(path, "path") }.and_then(|p| filled(p, "path")).map(str::to_owned);
        config.cassette = match mode {
            0 => None,
            1 => Some(Mode::Record(path()?)),
            2 => Some(Mode::Replay(path()?)),
            _ => return Err(Error::argument(format!("{mode} is no apertis_cassette"))),
        };
        Ok(())
    })
}

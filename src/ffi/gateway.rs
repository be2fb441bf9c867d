//! The rest of the gateway.

use std::ffi::{c_char, c_void};

use bytes::Bytes;

use super::client::{self, apertis_client, finish, hand_over};
use super::error::{apertis_error, apertis_status};
use super::guard::{may_block, needed, status, value, write};
use super::handle::{self, Handle};
use super::response::apertis_response;
use super::text;
use crate::engine::embed::{self, Vectors};
use crate::engine::error::{Error, Result};
use crate::engine::models;

/// Texts as vectors.
pub struct apertis_embeddings {
    _opaque: [u8; 0],
}

/// Embeddings as C holds them.
pub struct EmbeddingsHandle(Vectors);

impl Handle for EmbeddingsHandle {
    type C = apertis_embeddings;
    const KIND: usize = 8;
    const NAME: &'static str = "embeddings";
}

/// ---- The rest of the gateway ---------------------------------------------------------------------------------------
///
/// Calls any endpoint with this client's key, retries, timeouts and proxy, and waits. `path` is relative to the base
/// ("models", "images/generations"), with a query where one is wanted. `content_type` may be NULL where `size` is 0. The body
/// of the answer, whatever it is, comes back with apertis_response_raw.
///
/// Errors: all; see apertis_error. INVALID_ARGUMENT for a method or path that cannot be.
/// Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_call(
    client: *mut apertis_client,
    method: *const c_char,
    path: *const c_char,
    content_type: *const c_char,
    body: *const c_void,
    size: usize,
    response: *mut *mut apertis_response,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL, C strings, and `size` bytes.
    unsafe {
        write(response, std::ptr::null_mut());
        status(error, || {
            may_block()?;
            let client = client::get(client)?;
            let (method, path) = (text::string(method, "method")?, text::string(path, "path")?);
            let content_type = text::optional(content_type, "content_type")?;
            let body = Bytes::copy_from_slice(text::bytes(body.cast(), size, "body")?);
            let prepared = client.prepare_call(method, path, content_type, body)?;
            hand_over(finish(&client, prepared, None, std::ptr::null_mut())?, response)
        })
    }
}

/// Turns `count` texts (C strings) into vectors and waits. *embeddings is yours: free it with apertis_embeddings_free.
///
/// Errors: all; see apertis_error. INVALID_ARGUMENT for no text, or one that is NULL; PROTOCOL where the answer does not have
/// a vector of the same size for each text.
/// Threads: any. From callbacks: yes, but it waits. Blocks: until the answer is there.
#[no_mangle]
pub unsafe extern "C" fn apertis_client_embed(
    client: *mut apertis_client,
    model: *const c_char,
    texts: *const *const c_char,
    count: usize,
    embeddings: *mut *mut apertis_embeddings,
    error: *mut *mut apertis_error,
) -> apertis_status {
    // SAFETY: by contract valid places or NULL, a C string, and `count` of them.
    unsafe {
        write(embeddings, std::ptr::null_mut());
        status(error, || {
            may_block()?;
            let place = needed(embeddings, "embeddings")?;
            let client = client::get(client)?;
            let model = text::string(model, "model")?;
            if texts.is_null() || count == 0 || count > isize::MAX as usize / size_of::<*const c_char>() {
                return Err(Error::argument("there is no text to embed"));
            }
            let texts = std::slice::from_raw_parts(texts, count)
                .iter()
                .map(|one| text::string(*one, "a text"))
                .collect::<Result<Vec<&str>>>()?;
            let json = Bytes::from(embed::body(model, &texts));
            let prepared = client.prepare_call("POST", "embeddings", Some("application/json"), json)?;
            let outcome = finish(&client, prepared, None, std::ptr::null_mut())?;
            if let Some(error) = outcome.error {
                return Err((*error).clone());
            }
            let vectors = embed::read(&outcome.response.raw, texts.len())?;
            place.write(handle::insert(EmbeddingsHandle(vectors)));
            Ok(apertis_status::APERTIS_OK)
        })
    }
}

/// Frees embeddings. NULL and stale handles are ignored.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_embeddings_free(embeddings: *mut apertis_embeddings) {
    value((), || {
        handle::remove::<EmbeddingsHandle>(embeddings);
        Ok(())
    });
}

/// How many vectors there are: one for each text, in their order.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_embeddings_count(embeddings: *const apertis_embeddings) -> usize {
    value(0, || Ok(handle::get::<EmbeddingsHandle>(embeddings)?.0.count()))
}

/// A vector; NULL: there is no such one. Lent by `embeddings`; `dimensions` (may be NULL) receives how many floats it has.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_embeddings_vector(
    embeddings: *const apertis_embeddings,
    index: usize,
    dimensions: *mut usize,
) -> *const f32 {
    // SAFETY: by contract NULL or a valid place.
    unsafe { write(dimensions, 0) };
    value(std::ptr::null(), || {
        let owner = handle::get::<EmbeddingsHandle>(embeddings)?;
        let Some(vector) = owner.0.get(index) else { return Ok(std::ptr::null()) };
        // SAFETY: as above.
        unsafe { write(dimensions, vector.len()) };
        Ok(vector.as_ptr())
    })
}

/// How many tokens of input and output together a model takes, by what is known of its family; -1: not known.
///
/// Threads: any. From callbacks: yes. Blocks: no.
#[no_mangle]
pub unsafe extern "C" fn apertis_model_context_window(model: *const c_char) -> i64 {
    // SAFETY: by contract a C string or NULL.
    value(-1, || Ok(models::family(unsafe { text::string(model, "model") }?).context_window))
}

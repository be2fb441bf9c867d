//! Text on its way in, checked, and on its way out, with its NUL.

use std::ffi::{c_char, CStr};

use super::error::APERTIS_NTS;
use crate::engine::error::{Error, Kind, Result};

/// A name, URL, id or JSON text: a C string that has to be there.
pub unsafe fn string<'a>(text: *const c_char, name: &str) -> Result<&'a str> {
    // SAFETY: by contract NULL or a C string.
    unsafe { optional(text, name) }?.ok_or_else(|| Error::argument(format!("{name} is NULL")))
}

/// The same, where NULL means "none".
pub unsafe fn optional<'a>(text: *const c_char, name: &str) -> Result<Option<&'a str>> {
    if text.is_null() {
        return Ok(None);
    }
    // SAFETY: by contract a C string.
    let bytes = unsafe { CStr::from_ptr(text) }.to_bytes();
    utf8(bytes, name).map(Some)
}

/// Content: `length` bytes, or up to the NUL. NULL is no content, which only a length of 0 (or `APERTIS_NTS`, not) may say.
pub unsafe fn content<'a>(text: *const c_char, length: usize, name: &str) -> Result<&'a str> {
    if length == APERTIS_NTS {
        // SAFETY: by contract a C string.
        return unsafe { string(text, name) };
    }
    // SAFETY: by contract `length` bytes.
    utf8(unsafe { bytes(text.cast(), length, name) }?, name)
}

/// Bytes that need not be text.
pub unsafe fn bytes<'a>(data: *const u8, size: usize, name: &str) -> Result<&'a [u8]> {
    if size == 0 {
        return Ok(&[]);
    }
    if data.is_null() {
        return Err(Error::argument(format!("{name} is NULL but its size is {size}")));
    }
    // More than this no object can have; a negative number that became unsigned lands here.
    if isize::try_from(size).is_err() {
        return Err(Error::argument(format!("the size of {name} is absurd: {size}")));
    }
    // SAFETY: by contract `size` readable bytes.
    Ok(unsafe { std::slice::from_raw_parts(data, size) })
}

fn utf8<'a>(bytes: &'a [u8], name: &str) -> Result<&'a str> {
    std::str::from_utf8(bytes)
        .map_err(|e| Error::new(Kind::InvalidUtf8, format!("{name} is not UTF-8: see its byte {}", e.valid_up_to())))
}

/// Text that C may read: it ends in NUL, and it may hold others.
#[derive(Debug)]
pub struct CText(Vec<u8>);

impl CText {
    pub fn new(text: impl Into<Vec<u8>>) -> Self {
        let mut bytes = text.into();
        bytes.reserve_exact(1);
        bytes.push(0);
        Self(bytes)
    }

    pub fn optional(text: Option<&str>) -> Option<Self> {
        text.map(Self::new)
    }

    pub fn len(&self) -> usize {
        self.0.len() - 1
    }

    pub fn as_ptr(&self) -> *const c_char {
        self.0.as_ptr().cast()
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.0[..self.len()]
    }

    /// The pointer, and the length where it is wanted.
    pub unsafe fn lend(&self, length: *mut usize) -> *const c_char {
        // SAFETY: by contract NULL or a valid place.
        unsafe { super::guard::write(length, self.len()) };
        self.as_ptr()
    }
}

/// The pointer of a text that may not be there.
pub fn pointer(text: Option<&CText>) -> *const c_char {
    text.map_or(std::ptr::null(), CText::as_ptr)
}

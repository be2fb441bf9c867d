//! The C boundary: every exported function, one file for each section of the header, in the header's order.
//!
//! The rules: a function is a plain `pub unsafe extern "C" fn` whose body is one of the guards of [`guard`]; handles are
//! tickets ([`handle`]), never dereferenced; text is checked on its way in and ends in NUL on its way out ([`text`]); whatever
//! the caller hands over with a drop function is dropped exactly once ([`user_data`]).

#![allow(non_camel_case_types)]
// What every caller of a C function has to see to stands in the header's preface, not at each function.
#![allow(clippy::missing_safety_doc)]
// Values whose names say it all have no comment; that every function has its manual is checked by tests/header.rs.
#![allow(missing_docs)]

mod event;
mod guard;
mod handle;
mod pollable;
mod text;
mod user_data;

pub mod client;
pub mod config;
pub mod error;
pub mod gateway;
pub mod process;
pub mod queue;
pub mod request;
pub mod response;
pub mod stream;
pub mod version;

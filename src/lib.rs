//! libapertis: the C library for talking to language models.
//!
//! A request goes in through a C function, becomes the body of one of three wire formats, and what comes back becomes
//! events in a queue, which the caller drains on the thread of its choice. `include/apertis.h` is the manual; this crate
//! has two halves:
//!
//! - `engine`, safe Rust that knows nothing of C: requests, formats, transport, streams, queues, runtime.
//! - `ffi`, the C boundary and the only place with `unsafe`.
//!
//! Rust programs that link the `rlib` see the same C functions; there is no separate Rust API yet.

#![deny(unsafe_code)]
#![deny(missing_docs)]
#![warn(clippy::unwrap_used, clippy::expect_used)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub(crate) mod engine;
#[allow(unsafe_code)]
pub mod ffi;

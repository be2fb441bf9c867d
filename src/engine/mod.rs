//! The library without its C boundary. `client` turns a [`request::Request`] into a running [`stream::Stream`];
//! `stream` calls `transport` (bytes) and `format` (meaning), and those two never call each other.

pub mod client;
pub mod config;
pub mod embed;
pub mod error;
pub mod event;
pub mod format;
pub mod log;
pub mod models;
pub mod request;
pub mod response;
pub mod runtime;
pub mod schema;
pub mod stream;
pub mod transport;

//! Bytes out and bytes in: addresses, HTTP, server-sent events, waits between attempts, turns. Knows no wire format.

pub mod cassette;
pub mod endpoint;
pub mod headers;
pub mod http;
pub mod limit;
pub mod retry;
pub mod sse;
pub mod tls;

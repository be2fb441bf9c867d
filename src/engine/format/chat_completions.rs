//! OpenAI Chat Completions: `POST {base}/chat/completions`.
//!
//! A whole answer is decoded as a stream of one event: what a `message` means does not depend on how it came.

mod decode;
mod encode;
mod template;

use super::{Codec, KeyHeader};

/// The format's functions.
pub const CODEC: Codec = Codec {
    path: "chat/completions",
    key: KeyHeader::Bearer,
    headers: &[],
    encode: encode::encode,
    decoder: || Box::new(decode::ChatDecoder::default()),
};

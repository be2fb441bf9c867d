//! Anthropic Messages: `POST {base}/messages`.
//!
//! A whole message is decoded as a stream whose `message_start` already holds everything: gateways send such streams too.

mod decode;
mod encode;

pub use encode::answer_tool;

use super::{Codec, KeyHeader};

/// The format's functions.
pub const CODEC: Codec = Codec {
    path: "messages",
    key: KeyHeader::XApiKey,
    headers: &[("anthropic-version", "2023-06-01")],
    encode: encode::encode,
    decoder: || Box::new(decode::MessagesDecoder::default()),
};

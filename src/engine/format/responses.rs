//! OpenAI Responses: `POST {base}/responses`.
//!
//! What goes in and what comes out are items of one family. Those that we have names for become parts; all of them go back
//! as they came. A whole answer is decoded as the last event of a stream, which holds the same object.

mod decode;
mod encode;
mod item;
mod strict;
#[cfg(test)]
mod tests;

use super::{Codec, KeyHeader};

/// The format's functions.
pub const CODEC: Codec = Codec {
    path: "responses",
    key: KeyHeader::Bearer,
    headers: &[],
    encode: encode::encode,
    decoder: || Box::new(decode::ResponsesDecoder::default()),
};

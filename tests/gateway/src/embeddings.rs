//! Embeddings and the list of models: small answers of their own.

use base64::engine::general_purpose::STANDARD;
use base64::Engine;
use serde_json::{json, Value};

const DIMENSIONS: usize = 16;
const MOST_DIMENSIONS: usize = 65_536;

/// `GET /v1/models`.
pub fn models() -> Value {
    let names = ["loopback", "loopback-mini", "gpt-5.2", "claude-sonnet-4.5"];
    let data: Vec<_> =
        names.iter().map(|id| json!({"id": id, "object": "model", "created": 1_700_000_000, "owned_by": "loopback"})).collect();
    json!({"object": "list", "data": data})
}

/// `POST /v1/embeddings`: the same input has the same vector, of length one.
pub fn embeddings(request: &Value, model: Option<&str>) -> Value {
    let inputs = inputs(&request["input"]);
    let dimensions =
        request["dimensions"].as_u64().and_then(|n| usize::try_from(n).ok()).map_or(DIMENSIONS, |n| n.clamp(1, MOST_DIMENSIONS));
    let as_base64 = request["encoding_format"] == json!("base64");
    let data: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let vector = vector(input, dimensions);
            let embedding = if as_base64 {
                let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_le_bytes()).collect();
                json!(STANDARD.encode(bytes))
            } else {
                json!(vector)
            };
            json!({"object": "embedding", "index": index, "embedding": embedding})
        })
        .collect();
    let tokens: usize = inputs.iter().map(|text| text.chars().count().div_ceil(4)).sum();
    let asked = request["model"].as_str().unwrap_or("loopback");
    json!({
        "object": "list",
        "data": data,
        "model": model.unwrap_or(asked),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    })
}

/// A string, strings, tokens, or lists of tokens: one text for each vector.
fn inputs(input: &Value) -> Vec<String> {
    match input {
        Value::String(text) => vec![text.clone()],
        Value::Array(items) if items.first().is_some_and(Value::is_number) => {
            vec![input.to_string()]
        }
        Value::Array(items) => items.iter().map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned)).collect(),
        _ => Vec::new(),
    }
}

fn vector(text: &str, dimensions: usize) -> Vec<f32> {
    // FNV-1a seeds an xorshift: good enough to tell texts apart, and the same everywhere.
    let mut state =
        text.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)) | 1;
    let mut vector: Vec<f32> = (0..dimensions)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            f32::from(u16::try_from(state >> 48).unwrap_or_default()) / 32_768.0 - 1.0
        })
        .collect();
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
    vector
}

//! Embeddings: the body of the request, and floats from either spelling of the answer.

use base64::prelude::{Engine, BASE64_STANDARD};
use serde_json::{json, Value};

use super::error::{Error, Kind, Result};
use super::format::json as loose;
use super::format::provider_error;

/// Vectors of one size, in the order of their texts.
#[derive(Debug)]
pub struct Vectors {
    dimensions: usize,
    floats: Vec<f32>,
}

impl Vectors {
    #[must_use]
    pub fn count(&self) -> usize {
        self.floats.len().checked_div(self.dimensions).unwrap_or(0)
    }

    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[f32]> {
        let start = index.checked_mul(self.dimensions)?;
        self.floats.get(start..start.checked_add(self.dimensions)?).filter(|v| !v.is_empty())
    }
}

/// Base64 is a quarter of the size of written floats; servers that do not know it send floats all the same.
#[must_use]
pub fn body(model: &str, texts: &[&str]) -> String {
    json!({"model": model, "input": texts, "encoding_format": "base64"}).to_string()
}

/// Reads an answer that has to hold `count` vectors.
pub fn read(body: &[u8], count: usize) -> Result<Vectors> {
    let wrong = |what: &str| Error::new(Kind::Protocol, format!("the embeddings cannot be used: {what}"));
    let value = loose::parse(body)?;
    if let Some(error) = provider_error::inside_success(&value) {
        return Err(error);
    }
    let rows = value.as_object().map(|o| loose::array(o, "data")).unwrap_or_default();
    if rows.len() != count {
        return Err(wrong(&format!("{} vectors for {count} texts", rows.len())));
    }
    let mut rows: Vec<(Option<u64>, &Value)> = rows.iter().map(|row| (loose::count(row.get("index")), row)).collect();
    // Some gateways number every row 0: then they stand as they are meant.
    let mut seen = vec![false; count];
    let numbered = rows.iter().all(|(index, _)| {
        let place = index.and_then(|i| usize::try_from(i).ok()).and_then(|i| seen.get_mut(i));
        place.is_some_and(|seen| !std::mem::replace(seen, true))
    });
    if numbered {
        rows.sort_by_key(|(index, _)| *index);
    }
    let mut all = Vectors { dimensions: 0, floats: Vec::new() };
    for (_, row) in rows {
        let vector = match row.get("embedding") {
            Some(Value::String(text)) => {
                let bytes = BASE64_STANDARD.decode(text).map_err(|e| wrong(&format!("bad base64: {e}")))?;
                if bytes.len() % 4 != 0 {
                    return Err(wrong("the bytes are no whole floats"));
                }
                bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
            }
            Some(Value::Array(numbers)) => numbers
                .iter()
                .map(|n| n.as_f64().map(|f| f as f32).ok_or_else(|| wrong("a member is no number")))
                .collect::<Result<Vec<f32>>>()?,
            _ => return Err(wrong("a row has no vector")),
        };
        if vector.is_empty() || (all.dimensions > 0 && vector.len() != all.dimensions) {
            return Err(wrong("the vectors differ in size or are empty"));
        }
        all.dimensions = vector.len();
        all.floats.extend(vector);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_and_any_order() {
        let base64 = BASE64_STANDARD.encode([1.5f32, -2.0].iter().flat_map(|f| f.to_le_bytes()).collect::<Vec<u8>>());
        let body = json!({"data": [{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": base64}]}).to_string();
        let vectors = read(body.as_bytes(), 2).unwrap();
        assert_eq!((vectors.count(), vectors.get(0).unwrap(), vectors.get(1).unwrap()), (2, &[1.5, -2.0][..], &[3.0, 4.5][..]));
        assert!(vectors.get(2).is_none() && vectors.get(usize::MAX).is_none());
        let zeros = json!({"data": [{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [2]}]}).to_string();
        assert_eq!(read(zeros.as_bytes(), 2).unwrap().get(1).unwrap(), &[2.0]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for body in [
            r#"{"data":[]}"#,
            r#"{"data":[{"embedding":"AAA="}]}"#,
            r#"{"data":[{"embedding":["x"]}]}"#,
            r#"{"data":[{}]}"#,
            r#"{"data":[{"embedding":[]}]}"#,
            "no",
        ] {
            assert_eq!(read(body.as_bytes(), 1).unwrap_err().kind(), Kind::Protocol, "{body}");
        }
        let error = read(br#"{"error":{"message":"m","code":"insufficient_quota"}}"#, 1).unwrap_err();
        assert_eq!(error.kind(), Kind::Quota);
    }
}

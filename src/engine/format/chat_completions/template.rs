//! The short way through a stream: consecutive chunks are the same but for the text.
//!
//! A chunk that was decoded in full, and that did nothing but bring text, becomes a template: its bytes before and behind the
//! text. A later chunk with the same bytes there can do nothing else either, so only its text is read. Every chunk that
//! differs anywhere goes the full way.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::decode::WEB_SEARCH;

const KEY: &[u8] = b"\"content\":";
/// Streams whose chunks differ each time (padding against traffic analysis, logprobs) are not worth learning from for ever.
const MOST_MISSES: u32 = 16;

/// What the last plain chunk looked like.
#[derive(Debug, Default)]
pub struct Template {
    /// Up to and with the quote that opens the text; empty: nothing was learnt.
    prefix: Vec<u8>,
    /// From behind the quote that closes it.
    suffix: Vec<u8>,
    misses: u32,
}

impl Template {
    /// The text of a chunk that is like the one that was learnt from.
    pub fn read<'a>(&mut self, data: &'a [u8]) -> Option<Cow<'a, str>> {
        if self.prefix.is_empty() {
            return None;
        }
        let text = self.match_chunk(data);
        self.misses = if text.is_some() { 0 } else { self.misses + 1 };
        text
    }

    fn match_chunk<'a>(&self, data: &'a [u8]) -> Option<Cow<'a, str>> {
        let rest = data.strip_prefix(self.prefix.as_slice())?;
        let end = rest.len().checked_sub(self.suffix.len() + 1)?;
        if rest[end] != b'"' || rest[end + 1..] != self.suffix {
            return None;
        }
        let text = &rest[..end];
        match memchr::memchr2(b'"', b'\\', text) {
            // JSON allows no raw control characters in a string: the full way says what is to be said of them.
            None if text.iter().all(|b| *b >= 0x20) => std::str::from_utf8(text).ok().map(Cow::Borrowed),
            None => None,
            // A quote that ends the string early makes it no JSON string, which is found out here.
            Some(_) => {
                let quoted = &data[self.prefix.len() - 1..self.prefix.len() + end + 1];
                serde_json::from_slice::<String>(quoted).ok().map(Cow::Owned)
            }
        }
    }

    /// Learns from a chunk that was decoded in full.
    pub fn learn(&mut self, data: &[u8], chunk: &Value) {
        if self.misses > MOST_MISSES {
            return;
        }
        self.prefix.clear();
        let Some(text) = plain_text(chunk) else { return };
        let mut keys = memchr::memmem::find_iter(data, KEY);
        let (Some(at), None) = (keys.next(), keys.next()) else { return };
        let value = &data[at + KEY.len()..];
        let blanks = value.iter().take_while(|b| b.is_ascii_whitespace()).count();
        let mut strings = serde_json::Deserializer::from_slice(&value[blanks..]).into_iter::<Cow<'_, str>>();
        if !matches!(strings.next(), Some(Ok(found)) if found == text) {
            return;
        }
        let start = at + KEY.len() + blanks;
        self.prefix.extend_from_slice(&data[..=start]);
        self.suffix.clear();
        self.suffix.extend_from_slice(&data[start + strings.byte_offset()..]);
    }
}

/// The text of a chunk that brings nothing else: whatever stands in its place in a later chunk, decoding that one in full
/// would append the text and change nothing.
fn plain_text(chunk: &Value) -> Option<&str> {
    let nothing = |fields: &Map<String, Value>, names: &[&str]| {
        fields.iter().all(|(name, value)| names.contains(&name.as_str()) || value.is_null())
    };
    let chunk = chunk.as_object()?;
    let [choice] = chunk.get("choices")?.as_array()?.as_slice() else { return None };
    let choice = choice.as_object()?;
    let delta = choice.get("delta")?.as_object()?;
    let of_first = choice.get("index").is_none_or(|index| *index == 0);
    let plain = of_first
        && chunk.get("id").is_none_or(|id| id != WEB_SEARCH)
        && nothing(chunk, &["id", "object", "created", "model", "system_fingerprint", "service_tier", "provider", "choices"])
        && chunk.values().all(|value| value.is_array() || !value.is_object())
        && nothing(choice, &["index", "delta"])
        && nothing(delta, &["content", "role"]);
    delta.get("content").filter(|_| plain)?.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn learnt(chunk: &str) -> Template {
        let mut template = Template::default();
        template.learn(chunk.as_bytes(), &serde_json::from_str(chunk).unwrap());
        template
    }

    const CHUNK: &str = r#"{"id":"a","choices":[{"index":0,"delta":{"content": "x"},"finish_reason":null}],"usage":null}"#;

    #[test]
    fn only_the_text_may_differ() {
        let mut template = learnt(CHUNK);
        let with = |text: &str| CHUNK.replace("\"x\"", text);
        for (text, expected) in [
            (r#""""#, Some("")),
            (r#""yz""#, Some("yz")),
            (r#""é\n\"\u00e9""#, Some("é\n\"é")),
            (r#""a","b":"c""#, None),
            ("\"a\nb\"", None),
            (r#""\ud83d""#, None),
            (r#""\""#, None),
            ("null", None),
        ] {
            assert_eq!(template.read(with(text).as_bytes()).as_deref(), expected, "{text}");
        }
        assert_eq!(template.read(CHUNK.replace(":null}]", ":\"stop\"}]").as_bytes()), None);
        assert_eq!(template.read(CHUNK.replace("\"a\"", "\"b\"").as_bytes()), None);
        assert_eq!(template.read(b""), None);
    }

    #[test]
    fn a_chunk_that_does_more_is_no_template() {
        for (from, to) in [
            ("\"finish_reason\":null", "\"finish_reason\":\"stop\""),
            ("\"finish_reason\":null", "\"logprobs\":{\"content\":[1]}"),
            ("\"usage\":null", "\"usage\":{\"prompt_tokens\":1}"),
            ("\"usage\":null", "\"error\":{\"message\":\"m\"}"),
            ("\"usage\":null", "\"obfuscation\":\"abc\""),
            ("\"content\"", "\"refusal\":\"no\",\"content\""),
            ("\"id\":\"a\"", "\"id\":\"web-search\""),
            ("\"index\":0", "\"index\":1"),
            ("\"choices\":[", "\"choices\":[{},"),
        ] {
            assert!(learnt(&CHUNK.replace(from, to)).prefix.is_empty(), "{to}");
        }
    }

    #[test]
    fn chunks_that_never_repeat_are_given_up() {
        let mut template = Template::default();
        for n in 0..100 {
            let chunk = CHUNK.replace("\"a\"", &format!("\"{n}\""));
            assert_eq!(template.read(chunk.as_bytes()), None);
            template.learn(chunk.as_bytes(), &serde_json::from_str(&chunk).unwrap());
        }
        assert!(template.misses <= MOST_MISSES + 2 || !template.prefix.is_empty());
    }
}

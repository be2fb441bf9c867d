//! Reading JSON that providers send: tolerant of what is missing, null, or of another type than documented.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::engine::error::{Error, Kind, Result};

/// Parses what should be JSON. Bytes that are no UTF-8 and halves of surrogate pairs become U+FFFD: a damaged character
/// is no reason to lose an answer.
pub fn parse(data: &[u8]) -> Result<Value> {
    parse_with(data, |_| char::REPLACEMENT_CHARACTER)
}

/// The same for an event of a stream, where the other half of a pair may come with the next delta: servers that cut by
/// UTF-16 units do that. Halves are kept as stand-ins, which the accumulator joins.
///
/// `None` for what never was JSON: gateways write status lines between the events. What begins as JSON and is none is a
/// damaged event, and to go on without it would lose a piece in silence.
pub fn parse_event(data: &[u8]) -> Result<Option<Value>> {
    match parse_with(data, surrogate::stand_in) {
        Ok(value) => Ok(Some(value)),
        Err(error) if matches!(data.trim_ascii_start().first(), Some(b'{' | b'[')) => Err(error),
        Err(_) => Ok(None),
    }
}

fn parse_with(data: &[u8], half: fn(u16) -> char) -> Result<Value> {
    match serde_json::from_slice(data) {
        Ok(value) => Ok(value),
        Err(first) => serde_json::from_str(&repair(data, half))
            .map_err(|_| Error::new(Kind::Protocol, format!("the server sent something that is not JSON: {first}"))),
    }
}

/// Halves of surrogate pairs in our strings, which cannot hold them: each of the 2048 has a code point at the end of the
/// last private plane, where no provider has business.
pub mod surrogate {
    const FIRST: u32 = 0x10_F800;

    /// The code point that stands for a half.
    #[must_use]
    pub fn stand_in(unit: u16) -> char {
        char::from_u32(FIRST + u32::from(unit & 0x7FF)).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// Which half a code point stands for.
    #[must_use]
    pub fn half(stand_in: char) -> Option<u16> {
        let offset = u32::from(stand_in).checked_sub(FIRST)?;
        Some(0xD800 | offset as u16)
    }

    /// Whether a half is the first of its pair.
    #[must_use]
    pub fn is_high(unit: u16) -> bool {
        unit < 0xDC00
    }

    /// The character of a pair.
    #[must_use]
    pub fn join(high: u16, low: u16) -> char {
        let code = 0x10000 + ((u32::from(high) - 0xD800) << 10) + (u32::from(low) - 0xDC00);
        char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
    }

    /// Whether a text may hold stand-ins: it has the byte that they begin with, which is rare otherwise.
    #[must_use]
    pub fn suspect(text: &str) -> bool {
        memchr::memchr(0xF4, text.as_bytes()).is_some()
    }

    /// Joins halves that stand side by side; what stays alone becomes U+FFFD.
    #[must_use]
    pub fn mend(text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut chars = text.chars().peekable();
        while let Some(c) = chars.next() {
            let low = chars.peek().copied().and_then(half).filter(|unit| !is_high(*unit));
            match (half(c), low) {
                (None, _) => out.push(c),
                (Some(high), Some(low)) if is_high(high) => {
                    out.push(join(high, low));
                    chars.next();
                }
                _ => out.push(char::REPLACEMENT_CHARACTER),
            }
        }
        out
    }
}

/// Replaces what JSON text must not hold but servers send: invalid UTF-8, and lone surrogate escapes by what `half` gives.
fn repair(data: &[u8], half: fn(u16) -> char) -> String {
    let text = String::from_utf8_lossy(data);
    let mut out = String::with_capacity(text.len());
    let mut rest: &str = &text;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        out.push_str(before);
        let taken = match unit(escape) {
            Some(high @ 0xD800..=0xDBFF) => match unit(escape.get(6..).unwrap_or("")) {
                Some(low @ 0xDC00..=0xDFFF) => {
                    out.push(surrogate::join(high, low));
                    12
                }
                _ => {
                    out.push(half(high));
                    6
                }
            },
            Some(low @ 0xDC00..=0xDFFF) => {
                out.push(half(low));
                6
            }
            // The backslash and what it escapes, which may be a backslash too.
            _ => {
                let end = escape.char_indices().nth(2).map_or(escape.len(), |(i, _)| i);
                out.push_str(&escape[..end]);
                end
            }
        };
        rest = &escape[taken..];
    }
    out.push_str(rest);
    out
}

/// The value of an escape `\uXXXX` at the beginning of `text`.
fn unit(text: &str) -> Option<u16> {
    let digits = text.strip_prefix("\\u")?.get(..4)?;
    u16::from_str_radix(digits, 16).ok().filter(|_| digits.bytes().all(|b| b.is_ascii_hexdigit()))
}

/// A field that is a string and not empty.
#[must_use]
pub fn text<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a str> {
    object.get(field).and_then(Value::as_str).filter(|s| !s.is_empty())
}

/// A field that is a string, number or boolean, as text.
#[must_use]
pub fn scalar<'a>(object: &'a Map<String, Value>, field: &str) -> Option<Cow<'a, str>> {
    match object.get(field)? {
        Value::String(s) if !s.is_empty() => Some(Cow::Borrowed(s)),
        Value::Number(n) => Some(Cow::Owned(n.to_string())),
        Value::Bool(b) => Some(Cow::Borrowed(if *b { "true" } else { "false" })),
        _ => None,
    }
}

/// A count: an integer, a float or a number in a string.
#[must_use]
pub fn count(value: Option<&Value>) -> Option<u64> {
    let float = |f: f64| (0.0..9.0e18).contains(&f).then_some(f as u64);
    match value? {
        Value::Number(n) => n.as_u64().or_else(|| n.as_f64().and_then(float)),
        Value::String(s) => s.trim().parse().ok().or_else(|| s.trim().parse().ok().and_then(float)),
        _ => None,
    }
}

/// A field that is an object.
#[must_use]
pub fn object<'a>(object: &'a Map<String, Value>, field: &str) -> Option<&'a Map<String, Value>> {
    object.get(field).and_then(Value::as_object)
}

/// The members of a field that is an array; nothing otherwise.
#[must_use]
pub fn array<'a>(object: &'a Map<String, Value>, field: &str) -> &'a [Value] {
    object.get(field).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_characters_do_not_lose_the_answer() {
        for (data, expected) in [
            (&br#"{"a":"x\ud83dy"}"#[..], "x\u{fffd}y"),
            (br#"{"a":"\ude00"}"#, "\u{fffd}"),
            (br#"{"a":"\ud83d\ude00 \ud83d"}"#, "\u{1f600} \u{fffd}"),
            (br#"{"a":"\\ud83d \ud800\n"}"#, "\\ud83d \u{fffd}\n"),
            (b"{\"a\":\"\xff\xc3\xa9\"}", "\u{fffd}\u{e9}"),
        ] {
            assert_eq!(parse(data).unwrap()["a"], expected);
        }
        for bad in [&b"{"[..], b"", b"nope", b"{\"a\":\"\\u12\"}", b"\"\\"] {
            assert_eq!(parse(bad).unwrap_err().kind(), Kind::Protocol);
        }
    }

    #[test]
    fn halves_of_a_pair_meet_again() {
        let value = parse_event(br#"{"a":"x\ud83d","b":"\ude00y","c":"\ud83d\ud83d\ude00"}"#).unwrap().unwrap();
        assert!(parse_event(b"searching ...").unwrap().is_none());
        assert_eq!(parse_event(b" {nope").unwrap_err().kind(), Kind::Protocol);
        let text = |field: &str| value[field].as_str().unwrap().to_owned();
        assert_eq!(surrogate::mend(&(text("a") + &text("b"))), "x\u{1f600}y");
        assert_eq!(surrogate::mend(&text("c")), "\u{fffd}\u{1f600}");
        for unit in [0xD800u16, 0xDBFF, 0xDC00, 0xDFFF] {
            assert_eq!(surrogate::half(surrogate::stand_in(unit)), Some(unit));
        }
        assert_eq!(surrogate::half('x'), None);
    }

    #[test]
    fn counts_in_all_their_types() {
        let value: Value = serde_json::from_str(r#"[3, 3.0, "3", "3.7", -1, null, {}, 1e99, "x"]"#).unwrap();
        let counts: Vec<_> = value.as_array().unwrap().iter().map(|v| count(Some(v))).collect();
        assert_eq!(counts, [Some(3), Some(3), Some(3), Some(3), None, None, None, None, None]);
    }
}

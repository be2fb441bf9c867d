//! What a request asks of the gateway: the header `x-gateway`, or a model name that starts with `gw:`.

use std::time::Duration;

use hyper::header::{HeaderName, HeaderValue};

/// Where on the wire a fault happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Before the request's body has been read.
    Accept,
    /// Before the first byte of the response head.
    Head,
    /// After this many bytes of the body, chunk headers included.
    Body(u64),
}

/// How tool calls are cut into deltas.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolStyle {
    #[default]
    Normal,
    NoIndex,
    Whole,
    Interleaved,
}

/// Token counts; the input includes the cached tokens, the output the reasoning ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
    pub cached: u64,
    pub reasoning: u64,
}

/// `usage=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum UsageChoice {
    #[default]
    Estimated,
    None,
    Given(Usage),
}

/// `length=`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Length {
    /// Content-Length for bodies that exist as a whole, chunks for streams.
    #[default]
    AsItComes,
    Chunked,
    True,
    Claimed(u64),
}

/// `error=CODE:TYPE:MESSAGE`; absent parts have defaults by status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ErrorText {
    pub code: Option<String>,
    pub kind: Option<String>,
    pub message: Option<String>,
}

/// All options of one request.
#[derive(Clone, Debug, Default)]
pub struct Script {
    pub key: Option<String>,
    pub auth: bool,

    pub say: Option<String>,
    pub repeat: Option<usize>,
    pub deltas: Option<usize>,
    pub reasoning: Option<String>,
    pub reasoning_deltas: Option<usize>,
    pub reasoning_field: Option<String>,
    pub refusal: Option<String>,
    pub tools: Vec<(String, String)>,
    pub tool_deltas: Option<usize>,
    pub tool_style: ToolStyle,
    pub rounds: Option<usize>,
    pub finish: Option<String>,
    pub done: Option<bool>,
    pub usage: UsageChoice,
    pub id: Option<String>,
    pub model: Option<String>,
    pub echo: bool,
    pub fixture: Option<String>,
    pub body: Option<String>,
    pub body_repeat: Option<u64>,
    pub content_type: Option<HeaderValue>,

    pub status: Option<u16>,
    pub error: Option<ErrorText>,
    pub fail: Vec<u16>,
    pub times: Option<usize>,
    pub retry_after: Option<HeaderValue>,
    pub retry_after_ms: Option<HeaderValue>,
    pub should_retry: Option<HeaderValue>,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub error_after: Option<usize>,
    pub redirect: Option<HeaderValue>,

    pub pace: Option<Duration>,
    pub chunk: usize,
    pub gap: Duration,
    pub gzip: bool,
    pub length: Length,
    pub json: bool,
    pub sse: bool,
    pub stall: Option<Place>,
    pub stall_for: Option<Duration>,
    pub reset: Option<Place>,
    pub close: Option<Place>,
    pub keep_alive: Option<bool>,
    pub idle_close: Option<Duration>,
}

impl Script {
    /// Reads `name=value;name=value`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Self::default();
        for pair in text.split(';').map(str::trim).filter(|p| !p.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, "1"));
            script.set(name.trim(), decode(value))?;
        }
        Ok(script)
    }

    fn set(&mut self, name: &str, value: String) -> Result<(), String> {
        match name {
            "key" => self.key = Some(value),
            "auth" => self.auth = flag(name, &value)?,
            "say" => self.say = Some(value),
            "repeat" => self.repeat = Some(number(name, &value)?),
            "deltas" => self.deltas = Some(at_least_one(name, &value)?),
            "reasoning" => self.reasoning = Some(value),
            "reasoning_deltas" => self.reasoning_deltas = Some(at_least_one(name, &value)?),
            "reasoning_field" => {
                const KNOWN: [&str; 4] = ["reasoning_content", "reasoning", "thinking", "reasoning_details"];
                if !KNOWN.contains(&value.as_str()) {
                    return Err(unknown(name, &value));
                }
                self.reasoning_field = Some(value);
            }
            "refusal" => self.refusal = Some(value),
            "tool" => {
                let (tool, arguments) = value.split_once(':').unwrap_or((&value, "{}"));
                self.tools.push((tool.to_owned(), arguments.to_owned()));
            }
            "tool_deltas" => self.tool_deltas = Some(at_least_one(name, &value)?),
            "tool_style" => {
                self.tool_style = match value.as_str() {
                    "normal" => ToolStyle::Normal,
                    "noindex" => ToolStyle::NoIndex,
                    "whole" => ToolStyle::Whole,
                    "interleaved" => ToolStyle::Interleaved,
                    _ => return Err(unknown(name, &value)),
                }
            }
            "rounds" => self.rounds = Some(number(name, &value)?),
            "finish" => self.finish = Some(value),
            "done" => self.done = Some(flag(name, &value)?),
            "usage" => self.usage = usage(name, &value)?,
            "id" => self.id = Some(value),
            "model" => self.model = Some(value),
            "echo" => self.echo = flag(name, &value)?,
            "fixture" => self.fixture = Some(value),
            "body" => self.body = Some(value),
            "body_repeat" => self.body_repeat = Some(number(name, &value)?),
            "content_type" => self.content_type = Some(header_value(name, &value)?),
            _ => return self.set_failure(name, &value),
        }
        Ok(())
    }

    fn set_failure(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "status" => self.status = Some(status(name, value)?),
            "error" => {
                let mut parts = value.splitn(3, ':').map(|p| Some(p.to_owned()));
                self.error = Some(ErrorText {
                    code: parts.next().flatten(),
                    kind: parts.next().flatten().filter(|p| !p.is_empty()),
                    message: parts.next().flatten(),
                });
            }
            "fail" => {
                for part in value.split(',').map(str::trim).filter(|p| !p.is_empty()) {
                    let status = if part == "0" { 0 } else { status(name, part)? };
                    self.fail.push(status);
                }
            }
            "times" => self.times = Some(number(name, value)?),
            "retry_after" => self.retry_after = Some(header_value(name, value)?),
            "retry_after_ms" => self.retry_after_ms = Some(header_value(name, value)?),
            "should_retry" => self.should_retry = Some(header_value(name, value)?),
            "header" => {
                let (header, text) = value.split_once(':').ok_or_else(|| unknown(name, value))?;
                let header = header.trim().parse::<HeaderName>().map_err(|_| unknown(name, value))?;
                self.headers.push((header, header_value(name, text.trim())?));
            }
            "error_after" => self.error_after = Some(number(name, value)?),
            "redirect" => self.redirect = Some(header_value(name, value)?),
            _ => return self.set_sending(name, value),
        }
        Ok(())
    }

    fn set_sending(&mut self, name: &str, value: &str) -> Result<(), String> {
        match name {
            "pace_ms" => self.pace = Some(millis(name, value)?),
            "chunk" => self.chunk = number(name, value)?,
            "gap_ms" => self.gap = millis(name, value)?,
            "gzip" => self.gzip = flag(name, value)?,
            "length" => {
                self.length = match number(name, value)? {
                    0 => Length::Chunked,
                    1 => Length::True,
                    claimed => Length::Claimed(claimed),
                }
            }
            "json" => self.json = flag(name, value)?,
            "sse" => self.sse = flag(name, value)?,
            "stall" => self.stall = Some(place(name, value, false)?),
            "stall_ms" => self.stall_for = Some(millis(name, value)?),
            "reset" => self.reset = Some(place(name, value, true)?),
            "close" => self.close = Some(place(name, value, false)?),
            "keep_alive" => self.keep_alive = Some(flag(name, value)?),
            "idle_close_ms" => self.idle_close = Some(millis(name, value)?),
            _ => return Err(format!("unknown option `{name}`")),
        }
        Ok(())
    }

    /// The same without its faults: what `times=N` leaves from request N + 1 on.
    pub fn without_faults(mut self) -> Self {
        self.status = None;
        self.error = None;
        self.error_after = None;
        self.redirect = None;
        self.stall = None;
        self.reset = None;
        self.close = None;
        if matches!(self.length, Length::Claimed(_)) {
            self.length = Length::AsItComes;
        }
        self
    }
}

/// The value of `key=` in a script that may be wrong in other places.
pub fn key_of(text: &str) -> Option<String> {
    text.split(';').filter_map(|pair| pair.split_once('=')).find(|(name, _)| name.trim() == "key").map(|(_, value)| decode(value))
}

/// Percent-decoding; what is no escape stays as it is.
pub fn decode(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%')
            .then(|| bytes.get(at + 1..at + 3))
            .flatten()
            .and_then(|hex| std::str::from_utf8(hex).ok())
            .filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()))
            .and_then(|hex| u8::from_str_radix(hex, 16).ok());
        if let Some(byte) = escape {
            out.push(byte);
            at += 3;
        } else {
            out.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn unknown(name: &str, value: &str) -> String {
    let shown: String = value.chars().take(80).collect();
    format!("`{name}` does not know `{shown}`")
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> Result<T, String> {
    value.trim().parse().map_err(|_| unknown(name, value))
}

fn at_least_one(name: &str, value: &str) -> Result<usize, String> {
    number(name, value).and_then(|n| if n == 0 { Err(unknown(name, value)) } else { Ok(n) })
}

fn flag(name: &str, value: &str) -> Result<bool, String> {
    match value {
        "1" | "true" => Ok(true),
        "0" | "false" => Ok(false),
        _ => Err(unknown(name, value)),
    }
}

fn millis(name: &str, value: &str) -> Result<Duration, String> {
    // A year stands for ever, and can be added to any point in time.
    const LONGEST: u64 = 365 * 24 * 3_600_000;
    number(name, value).map(|n: u64| Duration::from_millis(n.min(LONGEST)))
}

fn status(name: &str, value: &str) -> Result<u16, String> {
    // 1xx would not be an answer, and hyper refuses to send it as one.
    number(name, value).and_then(|n| match n {
        200..=999 => Ok(n),
        _ => Err(unknown(name, value)),
    })
}

fn header_value(name: &str, value: &str) -> Result<HeaderValue, String> {
    HeaderValue::from_str(value).or_else(|_| HeaderValue::from_bytes(value.as_bytes())).map_err(|_| unknown(name, value))
}

fn place(name: &str, value: &str, accept: bool) -> Result<Place, String> {
    match value {
        "head" => Ok(Place::Head),
        "accept" if accept => Ok(Place::Accept),
        _ => number(name, value).map(Place::Body),
    }
}

fn usage(name: &str, value: &str) -> Result<UsageChoice, String> {
    if value == "none" {
        return Ok(UsageChoice::None);
    }
    let mut numbers = value.split(',').map(|part| number(name, part));
    let mut next = || numbers.next().unwrap_or(Ok(0));
    Ok(UsageChoice::Given(Usage { input: next()?, output: next()?, cached: next()?, reasoning: next()? }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_in_any_order_and_decoded() {
        let script = Script::parse("say=a%3Bb%3D%C3%BC 100%;deltas=2; tool=f:{\"a\":1} ;tool=g;stall=head").unwrap();
        assert_eq!(script.say.as_deref(), Some("a;b=ü 100%"));
        assert_eq!(script.deltas, Some(2));
        assert_eq!(script.tools[0], ("f".into(), "{\"a\":1}".into()));
        assert_eq!(script.tools[1], ("g".into(), "{}".into()));
        assert_eq!(script.stall, Some(Place::Head));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for wrong in
            ["sey=x", "deltas=0", "deltas=x", "status=99", "stall=accept", "header=nocolon", "tool_style=odd", "usage=1,x"]
        {
            assert!(Script::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn usage_has_optional_parts() {
        let script = Script::parse("usage=7,3,2").unwrap();
        let expected = Usage { input: 7, output: 3, cached: 2, reasoning: 0 };
        assert_eq!(script.usage, UsageChoice::Given(expected));
    }
}

//! Answers of real providers, and hand-made ones, through splitter, decoder and accumulator: what comes out is what the
//! case expects, however the bytes were cut.
//!
//! The cases lie in `tests/conformance/handmade`; where the folder `../shared/conformance` exists, its recorded ones run
//! too. How results are compared is written in the README there.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;

use bytes::Bytes;
use serde_json::Value;

use super::{json, Call, Decoder, Format};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::event::Event;
use crate::engine::request::{Part, Request, Role, Turn};
use crate::engine::response::{Finish, Response};
use crate::engine::stream::accumulate::Accumulator;
use crate::engine::transport::sse::Splitter;

/// How many bytes arrive at once.
const STEPS: [usize; 3] = [1, 7, 4096];

/// Details that the README leaves free, by the end of the case's name: there it is enough that nothing breaks.
const FREE: [&str; 3] = ["unterminated-last", "spliced-message-start", "error-field-line"];

/// Recordings whose deltas were shortened, so that they are not what the end of the stream says.
const SHORTENED: [&str; 1] = ["openai-shell-container-1"];

/// An answer and what it means.
pub struct Case {
    pub name: String,
    pub body: Vec<u8>,
    pub expect: Value,
}

/// What came out.
pub struct Outcome {
    pub response: Response,
    pub error: Option<Error>,
    pub events: Vec<Event>,
}

/// The folder of a format's cases.
fn kind(format: Format) -> &'static str {
    match format {
        Format::ChatCompletions => "chat",
        Format::Responses => "responses",
        Format::Messages => "messages",
    }
}

/// All cases of a format whose HTTP status is a success: failures are no decoder's business.
pub fn cases(format: Format) -> Vec<Case> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let mut all = BTreeMap::new();
    for folder in ["../shared/conformance/recorded", "../shared/conformance/handmade", "tests/conformance/handmade"] {
        let folder = root.join(folder).join(kind(format));
        let Ok(manifest) = fs::read(folder.join("manifest.json")) else { continue };
        let manifest: Value = serde_json::from_slice(&manifest).unwrap();
        for (name, entry) in manifest.as_object().unwrap() {
            if entry["status"] != 200 {
                continue;
            }
            let body = fs::read(folder.join(entry["file"].as_str().unwrap())).unwrap();
            let expected = fs::read(folder.join(format!("{name}.expected.json"))).unwrap();
            let mut expected: Value = serde_json::from_slice(&expected).unwrap();
            all.insert(name.clone(), Case { name: name.clone(), body, expect: expected["expect"].take() });
        }
    }
    assert!(!all.is_empty(), "no cases of {}", kind(format));
    all.into_values().collect()
}

/// An answer that arrives `step` bytes at a time, decoded as a stream's task does it.
pub fn decode(format: Format, body: &[u8], step: usize) -> Outcome {
    let mut decoder = (format.codec().decoder)();
    let mut acc = Accumulator::default();
    let whole = body.trim_ascii_start().first().is_some_and(|b| matches!(b, b'{' | b'[' | b'<'));
    let error =
        if whole { read_body(&mut *decoder, &mut acc, body) } else { read_events(&mut *decoder, &mut acc, body, step) }.err();
    let assembled = decoder.assemble(&acc);
    let response = Response {
        format,
        id: acc.id.take(),
        model: acc.model.take(),
        parts: acc.parts().to_vec(),
        finish: acc.finish,
        finish_reason: acc.finish_reason.take(),
        usage: acc.usage,
        native: assembled.native,
        raw: Bytes::from(if assembled.raw.is_null() { String::new() } else { assembled.raw.to_string() }),
        ..Response::default()
    };
    let mut events: Vec<Event> = Vec::new();
    for event in acc.outbox().drain() {
        let rest = match events.last_mut() {
            Some(last) => last.merge(event),
            None => Some(event),
        };
        events.extend(rest);
    }
    Outcome { response, error, events }
}

fn read_body(decoder: &mut dyn Decoder, acc: &mut Accumulator, body: &[u8]) -> Result<()> {
    let value = json::parse(body)?;
    decoder.body(&value, acc)?;
    acc.settle();
    acc.offer_calls();
    Ok(())
}

fn read_events(decoder: &mut dyn Decoder, acc: &mut Accumulator, body: &[u8], step: usize) -> Result<()> {
    let mut splitter = Splitter::default();
    for piece in body.chunks(step) {
        if splitter.feed(piece, |frame| decoder.frame(frame.name, frame.data, acc))?.is_break() {
            break;
        }
    }
    splitter.finish(|frame| {
        if frame.data.trim_ascii() == b"[DONE]" || json::parse(frame.data).is_ok() {
            let _: ControlFlow<()> = decoder.frame(frame.name, frame.data, acc)?;
        }
        Ok(())
    })?;
    if !decoder.is_complete() {
        return Err(Error::new(Kind::Truncated, "the stream ended before its end"));
    }
    acc.settle();
    acc.offer_calls();
    Ok(())
}

/// The differences between what a case expects and what came out, a line each.
fn differences(case: &Case, got: &Outcome) -> Vec<String> {
    let mut all = Vec::new();
    let mut same = |what: &str, expected: Value, got: Value| {
        if expected != got {
            all.push(format!("{what}: expected {}, got {}", short(&expected), short(&got)));
        }
    };
    let (expect, response) = (&case.expect, &got.response);
    if case.name.ends_with("apertis-web-search") {
        let text = expect["text"].as_str().unwrap_or("");
        same("text", true.into(), text.ends_with(&response.text()).into());
    } else {
        same("text", expect["text"].clone(), response.text().into());
    }
    let lines = |text: &str| Value::from(text.replace("\n\n", ""));
    same("reasoning", lines(expect["reasoning"].as_str().unwrap_or("")), lines(&response.reasoning()));
    same("refusal", expect["refusal"].clone(), response.refusal().into());
    same("finish_reason", expect["finish_reason_raw"].clone(), response.finish_reason.clone().into());
    for (what, got) in [("id", &response.id), ("model", &response.model)] {
        if expect[what].as_str().is_some_and(|s| !s.is_empty()) {
            same(what, expect[what].clone(), got.clone().into());
        }
    }
    compare_calls(expect, response, &mut same);
    compare_failure(expect, got, &mut same);
    let usage = &expect["usage"];
    // Of Messages both the provider's count and the whole are noted; ours is the whole.
    let input = usage.get("total_input_tokens").unwrap_or(&usage["input_tokens"]);
    for (what, expected, got) in [
        ("usage.input", input, response.usage.input),
        ("usage.output", &usage["output_tokens"], response.usage.output),
        ("usage.total", &usage["total_tokens"], response.usage.total),
        ("usage.cached_input", &usage["cached_input_tokens"], response.usage.cached_input),
        ("usage.cache_write", &usage["cache_write_tokens"], response.usage.cache_write),
        ("usage.reasoning", &usage["reasoning_tokens"], response.usage.reasoning),
    ] {
        same(what, expected.clone(), got.into());
    }
    let opaque: Vec<Value> = response
        .parts
        .iter()
        .filter_map(|p| if let Part::Other { json } = p { Some(json["type"].clone()) } else { None })
        .collect();
    same("opaque", expect["opaque"].clone(), opaque.into());
    if let Some(expected) = expect.get("citations") {
        let count = |part: &Part| if let Part::Text { annotations, .. } = part { annotations.len() } else { 0 };
        same("citations", expected.clone(), response.parts.iter().map(count).sum::<usize>().into());
    }
    if let Some(expected) = expect.get("signatures") {
        let signature = |part: &Part| if let Part::Reasoning { signature, .. } = part { signature.clone() } else { None };
        same("signatures", expected.clone(), response.parts.iter().filter_map(signature).collect());
    }
    if !SHORTENED.contains(&case.name.as_str()) {
        all.extend(contradictions(got));
    }
    all
}

fn compare_calls(expect: &Value, response: &Response, same: &mut impl FnMut(&str, Value, Value)) {
    let expected = expect["tool_calls"].as_array().map_or(&[][..], Vec::as_slice);
    let calls: Vec<_> = response.tool_calls().collect();
    same("calls", expected.len().into(), calls.len().into());
    for (n, (expected, call)) in expected.iter().zip(&calls).enumerate() {
        if expected["id"].as_str().is_some_and(|id| !id.is_empty()) {
            same(&format!("calls[{n}].id"), expected["id"].clone(), call.id.into());
        }
        same(&format!("calls[{n}].name"), expected["name"].clone(), call.name.into());
        let (what, got) = (format!("calls[{n}].arguments"), call.arguments);
        match serde_json::from_str(got) {
            Ok(arguments) if expected["arguments_valid"] == true => same(&what, expected["arguments_json"].clone(), arguments),
            _ => same(&what, expected["arguments"].clone(), got.into()),
        }
    }
}

fn compare_failure(expect: &Value, got: &Outcome, same: &mut impl FnMut(&str, Value, Value)) {
    let error = got.error.as_ref();
    // The cases call a stream that ends in [DONE] without a reason incomplete, the protocol notes call it complete.
    if expect["done_seen"] == true && expect["complete"] == false && expect["error"].is_null() {
        return;
    }
    same("complete", expect["complete"].clone(), error.is_none().into());
    if expect["error"].is_object() {
        same("error", expect["error"]["message"].clone(), error.map(|e| e.message.clone()).into());
        for (field, found) in
            [("code", error.and_then(|e| e.provider_code.clone())), ("type", error.and_then(|e| e.provider_type.clone()))]
        {
            let expected = match &expect["error"][field] {
                Value::Number(n) => n.to_string().into(),
                other => other.clone(),
            };
            same(&format!("error.{field}"), expected, found.into());
        }
        return;
    }
    if expect["complete"] == false {
        same("error", "Truncated".into(), error.map(|e| format!("{:?}", e.kind())).into());
    }
    let finish = got.response.finish;
    let fits = match expect["finish"].as_str() {
        Some("stop") => finish == Finish::Stop,
        Some("length") => finish == Finish::Length,
        Some("tool_calls") => finish == Finish::ToolCalls,
        Some("content_filter") => finish == Finish::ContentFilter,
        Some("refusal") => finish == Finish::Refusal,
        Some("pause" | "paused") => finish == Finish::Paused,
        Some("cancelled") | None => matches!(finish, Finish::Unknown | Finish::Interrupted),
        Some(_) => finish == Finish::Unknown,
    };
    if !fits {
        same("finish", expect["finish"].clone(), finish.name().into());
    }
}

/// What the events said is what the response says.
fn contradictions(got: &Outcome) -> Vec<String> {
    let (mut text, mut reasoning, mut refusal) = (String::new(), String::new(), String::new());
    let mut calls = Vec::new();
    for event in &got.events {
        match event {
            Event::Text(piece) => text.push_str(piece),
            Event::Reasoning(piece) => reasoning.push_str(piece),
            Event::Refusal(piece) => refusal.push_str(piece),
            Event::ToolCall { call, arguments } => calls.push((call.id.as_str(), call.name.as_str(), arguments.as_str())),
            _ => {}
        }
    }
    let response = &got.response;
    let whole: Vec<_> = response
        .tool_calls()
        .filter(|c| got.error.is_none() && response.finish != Finish::Refusal && json::parse(c.arguments.as_bytes()).is_ok())
        .map(|c| (c.id, c.name, c.arguments))
        .collect();
    let mut all = Vec::new();
    for (what, fits) in [
        ("text", text == response.text()),
        (
            "reasoning",
            reasoning == response.reasoning().replace("\n\n", "")
                || reasoning.replace("\n\n", "") == response.reasoning().replace("\n\n", ""),
        ),
        ("refusal", refusal == response.refusal().unwrap_or_default()),
        ("tool calls", calls == whole || response.parts.iter().any(|p| matches!(p, Part::ToolCall { custom: true, .. }))),
    ] {
        if !fits {
            all.push(format!("events and response disagree about {what}"));
        }
    }
    all
}

/// All that a caller can see of an outcome, for comparing outcomes with each other. Arguments are the same if they say the
/// same: one format sends them as text when it streams, and as an object when it does not.
fn visible(got: &Outcome) -> Value {
    let mut response = got.response.clone();
    for part in &mut response.parts {
        if let Part::ToolCall { arguments, custom: false, .. } = part {
            if let Ok(value) = serde_json::from_str::<Value>(arguments) {
                *arguments = value.to_string();
            }
        }
    }
    serde_json::json!({
        "response": response.to_json(),
        "native": got.response.native,
        "error": got.error.as_ref().map(|e| format!("{e:?}")),
    })
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn run(format: Format) {
    let cases = cases(format);
    let mut failed = Vec::new();
    for case in &cases {
        let outcomes = STEPS.map(|step| decode(format, &case.body, step));
        let mut lines = Vec::new();
        for (step, outcome) in STEPS.iter().zip(&outcomes).skip(1) {
            if visible(outcome) != visible(&outcomes[0]) || outcome.response.raw != outcomes[0].response.raw {
                lines.push(format!("cut into {step} bytes it comes out otherwise"));
            }
        }
        if !FREE.iter().any(|free| case.name.ends_with(free)) {
            lines.extend(differences(case, &outcomes[0]));
        }
        // What a stream amounts to means the same when it comes in one piece.
        if outcomes[0].error.is_none() {
            let again = decode(format, &outcomes[0].response.raw, 4096);
            let (streamed, whole) = (visible(&outcomes[0]), visible(&again));
            if streamed != whole {
                lines.push(format!("unstreamed it is another response: {}", short_difference(&streamed, &whole, "")));
            }
        }
        if !lines.is_empty() {
            failed.push(format!("{}\n      {}", case.name, lines.join("\n      ")));
        }
    }
    assert!(failed.is_empty(), "{} of {} {} cases fail:\n    {}", failed.len(), cases.len(), kind(format), failed.join("\n    "));
}

/// Where two values differ first.
fn short_difference(a: &Value, b: &Value, path: &str) -> String {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            for (key, value) in x {
                match y.get(key) {
                    Some(other) if other == value => {}
                    Some(other) => return short_difference(value, other, &format!("{path}/{key}")),
                    None => return format!("{path}/{key} is missing: {}", short(value)),
                }
            }
            let extra = y.keys().find(|key| !x.contains_key(*key));
            format!("{path} has also {extra:?}")
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            let at = x.iter().zip(y).position(|(a, b)| a != b).unwrap_or(0);
            short_difference(&x[at], &y[at], &format!("{path}/{at}"))
        }
        _ => format!("{path}: streamed {}, whole {}", short(a), short(b)),
    }
}

#[test]
fn chat() {
    run(Format::ChatCompletions);
}

#[test]
fn responses() {
    run(Format::Responses);
}

#[test]
fn messages() {
    run(Format::Messages);
}

/// Whatever is cut off or changed on the way: it is decoded or refused, and what came can be sent again or is refused.
#[test]
fn damage_does_no_harm() {
    let mut random = fastrand::Rng::with_seed(7);
    let formats = [Format::ChatCompletions, Format::Responses, Format::Messages];
    for format in formats {
        for case in cases(format) {
            for round in 0..8 {
                let mut body = case.body[..random.usize(..=case.body.len())].to_vec();
                if round % 2 == 1 {
                    for _ in 0..random.usize(1..8) {
                        if let Some(byte) = body.get_mut(random.usize(..case.body.len().max(1))) {
                            *byte = *random.choice(b"\0\n\"\\{}[]:,-019eint\xff").unwrap();
                        }
                    }
                }
                let response = decode(format, &body, 4096).response;
                let mut request = Request { turns: vec![Turn::text(Role::User, "Hi")], ..Request::default() };
                request.add_response(&response);
                request.turns.push(Turn::text(Role::User, "Go on"));
                for other in formats {
                    let call = Call { request: &request, model: "m", temperature: None, max_tokens: None, stream: true };
                    let _ = super::body(other, &call);
                }
            }
        }
    }
}

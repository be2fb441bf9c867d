//! Bodies as they go out, answers as they come in, and both after each other.

use std::collections::BTreeMap;

use serde_json::{json, Value};

use crate::engine::error::{Error, Kind};
use crate::engine::event::Event;
use crate::engine::format::conformance::{cases, decode, Outcome};
use crate::engine::format::{body, Call, Format};
use crate::engine::request::{Native, Options, OutputSchema, Part, Request, Role, Source, Tool, ToolChoice, Turn};
use crate::engine::response::Finish;

fn encoded(request: &Request) -> Result<String, Error> {
    let call = Call { request, model: "m", temperature: None, max_tokens: None, stream: false };
    body(Format::Responses, &call).map(|body| Value::from(body).to_string())
}

fn input_of(turns: Vec<Turn>) -> Result<String, Error> {
    let body = encoded(&Request { turns, ..Request::default() })?;
    Ok(body.strip_prefix(r#"{"model":"m","input":"#).and_then(|rest| rest.strip_suffix('}')).unwrap_or(&body).to_owned())
}

fn turn(role: Role, parts: Vec<Part>) -> Turn {
    Turn { role, parts, native: None }
}

fn call(id: &str, name: &str, arguments: &str) -> Part {
    Part::ToolCall { id: id.into(), name: name.into(), arguments: arguments.into(), custom: false }
}

fn result(call_id: &str, text: &str, is_error: bool) -> Part {
    Part::ToolResult { call_id: call_id.into(), text: text.into(), is_error }
}

fn reasoning(text: &str, encrypted: Option<&str>) -> Part {
    Part::Reasoning { text: text.into(), signature: None, encrypted: encrypted.map(str::to_owned) }
}

fn media(media_type: &str, source: Source, file_name: Option<&str>) -> Part {
    Part::Media { media_type: media_type.into(), source, file_name: file_name.map(str::to_owned) }
}

// ---- Bodies ------------------------------------------------------------------------------------------------------------

#[test]
fn a_conversation_keeps_its_order() {
    let turns = vec![
        Turn::text(Role::System, "Be brief."),
        Turn::text(Role::Developer, "Really."),
        Turn::text(Role::User, "Hi"),
        Turn::text(Role::Assistant, "Hello!"),
        Turn::text(Role::System, "Now French."),
        turn(Role::User, vec![Part::text("And "), Part::text("you?")]),
    ];
    assert_eq!(
        input_of(turns).unwrap(),
        concat!(
            r#"[{"role":"system","content":"Be brief."},{"role":"developer","content":"Really."},"#,
            r#"{"role":"user","content":"Hi"},{"role":"assistant","content":"Hello!"},"#,
            r#"{"role":"system","content":"Now French."},{"role":"user","content":"And you?"}]"#
        )
    );
}

#[test]
fn every_option_has_its_field() {
    let mut request = Request::default();
    request.turns.push(Turn::text(Role::User, "Hi"));
    request.options = Options {
        top_p: Some(0.5),
        reasoning_effort: Some("low".into()),
        tools: vec![
            Tool {
                name: "open".into(),
                description: Some("d".into()),
                parameters: json!({"type": "object", "properties": {"x": {"type": "string"}}}),
            },
            Tool {
                name: "closed".into(),
                description: None,
                parameters: json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false}),
            },
        ],
        tool_choice: Some(ToolChoice::Named("open".into())),
        parallel_tool_calls: Some(false),
        output_schema: Some(OutputSchema { name: "city".into(), schema: json!({"type": "object"}) }),
        ..Options::default()
    };
    let call = Call { request: &request, model: "gpt-5.2", temperature: Some(0.1), max_tokens: Some(256), stream: true };
    assert_eq!(
        Value::from(body(Format::Responses, &call).unwrap()).to_string(),
        concat!(
            r#"{"model":"gpt-5.2","input":[{"role":"user","content":"Hi"}],"stream":true,"max_output_tokens":256,"#,
            r#""temperature":0.1,"top_p":0.5,"reasoning":{"effort":"low"},"tools":["#,
            r#"{"type":"function","name":"open","description":"d","#,
            r#""parameters":{"type":"object","properties":{"x":{"type":"string"}}},"strict":false},"#,
            r#"{"type":"function","name":"closed","#,
            r#""parameters":{"type":"object","properties":{},"required":[],"additionalProperties":false},"strict":true}],"#,
            r#""tool_choice":{"type":"function","name":"open"},"parallel_tool_calls":false,"#,
            r#""text":{"format":{"type":"json_schema","name":"city","schema":{"type":"object"},"strict":true}}}"#
        )
    );
    for (choice, expected) in [(ToolChoice::Auto, "auto"), (ToolChoice::None, "none"), (ToolChoice::Required, "required")] {
        request.options = Options { tool_choice: Some(choice), ..Options::default() };
        let expected = format!(r#"{{"model":"m","input":[{{"role":"user","content":"Hi"}}],"tool_choice":"{expected}"}}"#);
        assert_eq!(encoded(&request).unwrap(), expected);
    }
}

#[test]
fn what_the_format_has_no_field_for_is_refused_by_name() {
    let refused = |options: Options, name: &str| {
        let error = encoded(&Request { options, ..Request::default() }).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message.contains(name) && error.message.contains("Responses"), "{error}");
    };
    refused(Options { stop: vec!["x".into()], ..Options::default() }, "\"stop\"");
    refused(Options { seed: Some(1), ..Options::default() }, "\"seed\"");
}

#[test]
fn attachments_become_input_parts() {
    let data = || Source::Data("AAAA".into());
    let url = || Source::Url("https://x/y".into());
    for (part, expected) in [
        (media("image/png", data(), None), r#"{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"auto"}"#),
        (media("image/png", url(), None), r#"{"type":"input_image","image_url":"https://x/y","detail":"auto"}"#),
        (
            media("application/pdf", data(), Some("a.pdf")),
            r#"{"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,AAAA"}"#,
        ),
        (
            media("text/plain", data(), None),
            r#"{"type":"input_file","filename":"file","file_data":"data:text/plain;base64,AAAA"}"#,
        ),
        (media("application/pdf", url(), None), r#"{"type":"input_file","file_url":"https://x/y"}"#),
        (media("audio/wav", data(), None), r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"wav"}}"#),
        (media("audio/mpeg", data(), None), r#"{"type":"input_audio","input_audio":{"data":"AAAA","format":"mp3"}}"#),
        (Part::Other { json: json!({"type": "input_file", "file_id": "f"}) }, r#"{"type":"input_file","file_id":"f"}"#),
    ] {
        assert_eq!(
            input_of(vec![turn(Role::User, vec![Part::text("See:"), part])]).unwrap(),
            format!(r#"[{{"role":"user","content":[{{"type":"input_text","text":"See:"}},{expected}]}}]"#)
        );
    }
    for (part, said) in [
        (media("video/mp4", data(), None), "video/mp4"),
        (media("audio/wav", url(), None), "audio/wav"),
        (media("audio/ogg", data(), None), "audio/ogg"),
        (call("c", "f", "{}"), "user message"),
    ] {
        let error = input_of(vec![turn(Role::User, vec![part])]).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message.contains(said) && error.message.contains("Responses"), "{error}");
    }
}

#[test]
fn calls_and_results_are_items_of_their_own() {
    let custom = Part::ToolCall { id: "c2".into(), name: "sql".into(), arguments: "SELECT 1".into(), custom: true };
    let turns = vec![
        turn(
            Role::Assistant,
            vec![Part::text("Let me "), Part::text("see."), call("c1", "f", r#"{"x":1}"#), custom, Part::text("So.")],
        ),
        turn(Role::Tool, vec![result("c1", "one", false), result("c2", "no such table", true)]),
    ];
    assert_eq!(
        input_of(turns).unwrap(),
        concat!(
            r#"[{"role":"assistant","content":"Let me see."},"#,
            r#"{"type":"function_call","call_id":"c1","name":"f","arguments":"{\"x\":1}"},"#,
            r#"{"type":"custom_tool_call","call_id":"c2","name":"sql","input":"SELECT 1"},"#,
            r#"{"role":"assistant","content":"So."},"#,
            r#"{"type":"function_call_output","call_id":"c1","output":"one"},"#,
            r#"{"type":"custom_tool_call_output","call_id":"c2","output":"Error: no such table"}]"#
        )
    );
}

#[test]
fn reasoning_goes_back_to_its_provider_alone_and_never_last() {
    let parts = vec![reasoning("Hm.", Some("ENC")), Part::text("Yes."), reasoning("", Some("LAST"))];
    assert_eq!(
        input_of(vec![turn(Role::Assistant, parts.clone())]).unwrap(),
        concat!(
            r#"[{"type":"reasoning","summary":[{"type":"summary_text","text":"Hm."}],"encrypted_content":"ENC"},"#,
            r#"{"role":"assistant","content":"Yes."}]"#
        )
    );
    // Of another format, or plain: it stays at home.
    let native = Some(Native { format: Format::Messages, value: json!([]) });
    assert_eq!(
        input_of(vec![Turn { role: Role::Assistant, parts, native }]).unwrap(),
        r#"[{"role":"assistant","content":"Yes."}]"#
    );
    let signed = Part::Reasoning { text: "Hm.".into(), signature: Some("s".into()), encrypted: None };
    assert_eq!(input_of(vec![turn(Role::Assistant, vec![signed, reasoning("Hm.", None)])]).unwrap(), "[]");
}

#[test]
fn a_refusal_is_an_output_part() {
    let parts = vec![Part::text("Well."), Part::Refusal { text: "No.".into() }];
    assert_eq!(
        input_of(vec![turn(Role::Assistant, parts)]).unwrap(),
        r#"[{"role":"assistant","content":[{"type":"output_text","text":"Well."},{"type":"refusal","refusal":"No."}]}]"#
    );
}

#[test]
fn what_this_format_brought_goes_back_as_it_came() {
    let items = concat!(
        r#"[{"id":"rs_1","type":"reasoning","summary":[]},{"type":"hologram_call","n":1.50,"x":null},"#,
        r#"{"id":"fc_1","type":"function_call","call_id":"c","name":"f","arguments":"{ }","status":"completed"}]"#
    );
    let native = Some(Native { format: Format::Responses, value: serde_json::from_str(items).unwrap() });
    let turn = Turn { role: Role::Assistant, parts: vec![Part::text("else")], native };
    assert_eq!(input_of(vec![turn.clone()]).unwrap(), items);
    // A provider that stores nothing would look for rs_1 in vain.
    let mut request = Request { turns: vec![turn], ..Request::default() };
    request.options.json.insert("store".into(), Some(false.into()));
    let body = encoded(&request).unwrap();
    assert!(!body.contains("rs_1") && body.contains("fc_1") && body.contains(r#""store":false"#), "{body}");
}

/// Each recorded answer, appended to a conversation that is saved and read again, is the same items as before.
#[test]
fn every_answer_survives_saving_and_goes_back_byte_for_byte() {
    let mut seen = 0;
    for case in cases(Format::Responses) {
        let got = decode(Format::Responses, &case.body, 4096);
        if got.error.is_some() || got.response.parts.is_empty() {
            continue;
        }
        let raw: Value = serde_json::from_slice(&got.response.raw).unwrap();
        let mut request = Request::default();
        request.turns.push(Turn::text(Role::User, "Hi"));
        request.add_response(&got.response);
        let saved = request.to_json();
        let back = Request::from_json(&saved).unwrap();
        assert_eq!(back.to_json(), saved, "{}", case.name);
        let hi = r#"{"role":"user","content":"Hi"}"#;
        let items = raw["output"].to_string();
        let expected = format!("[{hi},{}", &items[1..]);
        assert_eq!(input_of(back.turns).unwrap(), expected, "{}", case.name);
        seen += 1;
    }
    assert!(seen > 10, "{seen}");
}

// ---- Answers -----------------------------------------------------------------------------------------------------------

/// A stream of these events, decoded; a string is an event that is no JSON.
fn streamed(events: &[Value]) -> Outcome {
    let data = |event: &Value| event.as_str().map_or_else(|| event.to_string(), str::to_owned);
    let body: String = events.iter().map(|event| format!("data: {}\n\n", data(event))).collect();
    decode(Format::Responses, body.as_bytes(), 4096)
}

fn whole(body: &Value) -> Outcome {
    decode(Format::Responses, body.to_string().as_bytes(), 4096)
}

fn completed(output: Value) -> Value {
    json!({"type": "response.completed", "response": {"id": "r", "status": "completed", "output": output}})
}

fn delta(name: &str, index: u64, piece: &str) -> Value {
    delta_at(name, json!({"output_index": index}), piece)
}

fn delta_at(name: &str, place: Value, piece: &str) -> Value {
    let mut event = json!({"type": format!("response.{name}.delta"), "delta": piece});
    event.as_object_mut().unwrap().extend(place.as_object().unwrap().clone());
    event
}

fn added(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.added", "output_index": index, "item": item})
}

fn done(index: u64, item: &Value) -> Value {
    json!({"type": "response.output_item.done", "output_index": index, "item": item})
}

/// The events of each kind, joined.
fn told(got: &Outcome) -> BTreeMap<&'static str, String> {
    let mut all: BTreeMap<&'static str, String> = BTreeMap::new();
    for event in &got.events {
        let (kind, piece) = match event {
            Event::Text(piece) => ("text", piece.clone()),
            Event::Reasoning(piece) => ("reasoning", piece.clone()),
            Event::Refusal(piece) => ("refusal", piece.clone()),
            Event::ToolArguments { piece, .. } => ("arguments", piece.clone()),
            Event::ToolCall { call, arguments } => ("calls", format!("{} {} {arguments};", call.id, call.name)),
            Event::Other(json) => ("other", format!("{json};")),
            _ => continue,
        };
        all.entry(kind).or_default().push_str(&piece);
    }
    all
}

fn native(got: &Outcome) -> Value {
    got.response.native.clone().unwrap_or_default()
}

fn message(text: &str) -> Value {
    let content = json!([{"type": "output_text", "text": text, "annotations": []}]);
    json!({"type": "message", "id": "msg", "role": "assistant", "status": "completed", "content": content})
}

fn function(call_id: &str, arguments: &str) -> Value {
    json!({"type": "function_call", "id": format!("fc_{call_id}"), "call_id": call_id, "name": "f", "arguments": arguments})
}

#[test]
fn items_are_told_apart_by_their_place_not_by_their_ids() {
    let at = |index: u64, id: &str, piece: &str| {
        let place = json!({"output_index": index, "content_index": 0, "item_id": id});
        delta_at("output_text", place, piece)
    };
    let got = streamed(&[at(2, "a", "two"), at(0, "b", "ze"), at(2, "c", " parts"), at(0, "d", "ro"), completed(json!([]))]);
    assert!(got.error.is_none());
    // In the order of the items, though the other came first.
    assert_eq!(got.response.parts, [Part::text("zero"), Part::text("two parts")]);
    assert_eq!(native(&got)[1]["content"][0]["text"], "two parts");
}

#[test]
fn deltas_alone_make_items() {
    let got = streamed(&[
        delta("reasoning_summary_text", 0, "Hm"),
        delta("output_text", 1, "Hi"),
        delta("refusal", 2, "No"),
        delta("function_call_arguments", 3, r#"{"x":"#),
        delta("function_call_arguments", 3, "1}"),
        json!({"type": "response.function_call_arguments.done", "output_index": 3, "name": "f", "arguments": "{\"x\":1}"}),
        delta("custom_tool_call_input", 4, "free"),
        completed(json!([])),
    ]);
    assert!(got.error.is_none());
    assert_eq!(got.response.finish, Finish::ToolCalls);
    assert_eq!(
        native(&got),
        json!([
            {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hi", "annotations": []}]},
            {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]},
            {"type": "function_call", "name": "f", "arguments": "{\"x\":1}", "call_id": "call_local_3"},
            {"type": "custom_tool_call", "name": "", "input": "free", "call_id": "call_local_4"},
        ])
    );
    assert_eq!(told(&got)["arguments"], r#"{"x":1}free"#);
    assert_eq!(told(&got)["calls"], r#"call_local_3 f {"x":1};call_local_4  free;"#);
}

#[test]
fn converters_without_indexes_are_understood() {
    let bare = |name: &str, piece: &str| json!({"type": format!("response.{name}.delta"), "delta": piece});
    let done = |item: Value| json!({"type": "response.output_item.done", "item": item});
    let got = streamed(&[
        bare("reasoning_text", "Hm"),
        bare("output_text", "He"),
        bare("output_text", "llo"),
        json!({"type": "response.output_item.added", "item": function("c1", "")}),
        bare("function_call_arguments", "{}"),
        done(function("c1", "{}")),
        json!({"type": "response.output_item.added", "item": function("c2", "")}),
        bare("function_call_arguments", "{ }"),
        done(function("c2", "{ }")),
        json!({"type": "response.completed", "response": {"usage": {"prompt_tokens": 3, "completion_tokens": "4"}}}),
        json!("[DONE]"),
    ]);
    assert!(got.error.is_none(), "{:?}", got.error);
    assert_eq!(got.response.text(), "Hello");
    assert_eq!(got.response.reasoning(), "Hm");
    assert_eq!(told(&got)["calls"], "c1 f {};c2 f { };");
    assert_eq!((got.response.usage.input, got.response.usage.output), (Some(3), Some(4)));
    assert_eq!(got.response.finish_reason.as_deref(), Some("completed"));
}

#[test]
fn one_index_for_everything_still_gives_every_item() {
    for with_added in [true, false] {
        let mut events = vec![delta("reasoning_text", 0, "Hm"), delta("output_text", 0, "Hi"), done(0, &message("Hi"))];
        for call in [function("c1", "{}"), function("c2", "{}")] {
            if with_added {
                events.push(added(0, &call));
            }
            events.push(done(0, &call));
        }
        events.push(completed(json!([])));
        let got = streamed(&events);
        assert_eq!(got.response.text(), "Hi");
        assert_eq!(told(&got)["calls"], "c1 f {};c2 f {};");
        assert_eq!(native(&got).as_array().unwrap().len(), 4);
    }
}

#[test]
fn what_did_not_come_in_pieces_is_told_once_wherever_it_stands() {
    let text_done = json!({"type": "response.output_text.done", "output_index": 0, "content_index": 0, "text": "Hello"});
    let part = json!({"type": "output_text", "text": "Hello"});
    let part_done = json!({"type": "response.content_part.done", "output_index": 0, "content_index": 0, "part": part});
    let item_done = done(0, &message("Hello"));
    let last = completed(json!([message("Hello")]));
    let delta = delta("output_text", 0, "Hello");
    for events in [
        vec![delta.clone(), text_done.clone(), part_done.clone(), item_done.clone(), last.clone()],
        vec![text_done.clone(), part_done.clone(), item_done.clone(), last.clone()],
        vec![part_done, item_done.clone(), last.clone()],
        vec![item_done.clone(), last.clone()],
        vec![last],
        vec![delta.clone(), item_done.clone(), completed(json!([]))],
        vec![item_done, completed(json!([]))],
        vec![delta, completed(json!([]))],
        vec![text_done, completed(json!([]))],
    ] {
        let got = streamed(&events);
        assert!(got.error.is_none());
        assert_eq!(got.response.parts, [Part::text("Hello")], "{events:?}");
        assert_eq!(told(&got), BTreeMap::from([("text", "Hello".to_owned())]), "{events:?}");
    }
}

#[test]
fn arguments_are_found_wherever_they_stand() {
    let added = |arguments: &str| added(0, &function("c", arguments));
    let item_done = done(0, &function("c", "{\"x\":1}"));
    let done = json!({"type": "response.function_call_arguments.done", "output_index": 0, "arguments": "{\"x\":1}"});
    let pieces = [delta("function_call_arguments", 0, "{\"x\""), delta("function_call_arguments", 0, ":1}")];
    for events in [
        vec![added("{\"x\":1}"), completed(json!([]))],
        vec![added(""), done.clone(), completed(json!([]))],
        vec![added(""), item_done.clone(), completed(json!([]))],
        vec![added(""), completed(json!([function("c", "{\"x\":1}")]))],
        vec![added("{\"x\":1}"), pieces[0].clone(), pieces[1].clone(), done, item_done, completed(json!([]))],
        vec![added(""), pieces[0].clone(), completed(json!([function("c", "{\"x\":1}")]))],
    ] {
        let got = streamed(&events);
        assert_eq!(told(&got)["arguments"], "{\"x\":1}", "{events:?}");
        assert_eq!(told(&got)["calls"], "c f {\"x\":1};", "{events:?}");
        assert_eq!(native(&got), json!([function("c", "{\"x\":1}")]), "{events:?}");
    }
}

#[test]
fn the_last_word_counts_and_takes_nothing_back() {
    let pieces = [delta("output_text", 0, "Hel"), delta("output_text", 0, "p")];
    let cut = vec![pieces[0].clone(), completed(json!([message("Hello")]))];
    let got = streamed(&cut);
    assert_eq!((got.response.text().as_str(), told(&got)["text"].as_str()), ("Hello", "Hello"));
    let other = vec![pieces[0].clone(), pieces[1].clone(), completed(json!([message("Hello")]))];
    let got = streamed(&other);
    assert_eq!((got.response.text().as_str(), told(&got)["text"].as_str()), ("Hello", "Help"));
    let mut empty = message("");
    empty["content"] = json!([]);
    let got = streamed(&[pieces[0].clone(), completed(json!([empty]))]);
    assert_eq!(got.response.text(), "Hel");
    assert_eq!(native(&got)[0]["content"][0]["text"], "Hel");
    assert_eq!(native(&got)[0]["id"], "msg");
}

#[test]
fn content_indexes_need_not_begin_at_zero() {
    let at = |index: u64, piece: &str| delta_at("output_text", json!({"output_index": 4, "content_index": index}), piece);
    let mut two = message("a");
    let refusal = json!({"type": "refusal", "refusal": "no"});
    two["content"] = json!([{"type": "output_text", "text": "a"}, refusal, {"type": "text", "text": "b"}]);
    let got = streamed(&[at(1, "a"), at(7, "b"), completed(json!([two]))]);
    assert_eq!(got.response.parts, [Part::text("a"), Part::Refusal { text: "no".into() }, Part::text("b")]);
    assert_eq!(told(&got)["text"], "ab");
}

#[test]
fn reasoning_is_shown_from_its_content_or_from_its_summaries() {
    let summary = |index: u64, piece: &str| {
        let place = json!({"output_index": 0, "summary_index": index});
        delta_at("reasoning_summary_text", place, piece)
    };
    let paragraph = |text: &str| json!({"type": "summary_text", "text": text});
    let item = json!({"type": "reasoning", "id": "rs", "summary": [paragraph("A"), paragraph("B")], "encrypted_content": "LAST"});
    let added = added(0, &json!({"type": "reasoning", "id": "rs", "summary": [], "encrypted_content": "FIRST"}));
    let done = done(0, &item);
    let got = streamed(&[added.clone(), summary(0, "A"), summary(1, "B"), done, completed(json!([]))]);
    assert_eq!(got.response.parts, [reasoning("A\n\nB", Some("LAST"))]);
    assert_eq!(told(&got)["reasoning"], "A\n\nB");
    // Nothing follows it: there is nothing that could be sent back.
    assert_eq!(got.response.native, None);
    // Without `done`, the paragraphs are found again.
    let got = streamed(&[
        added,
        summary(0, "A"),
        summary(1, "B"),
        summary(1, "b"),
        delta("output_text", 1, "Hi"),
        completed(json!([])),
    ]);
    assert_eq!(native(&got)[0]["summary"], json!([paragraph("A"), paragraph("Bb")]));
    let content = json!([{"type": "reasoning_text", "text": "C"}]);
    let both = json!({"type": "reasoning", "summary": [paragraph("S")], "content": content});
    let got = whole(&json!({"output": [both, message("Hi")], "status": "completed"}));
    assert_eq!(got.response.reasoning(), "C");
    assert_eq!(native(&got)[0], both);
}

#[test]
fn converted_answers_are_understood() {
    let got = whole(&json!({"output": [{"type": "message", "content": [
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm"}]},
        {"type": "text", "text": "Hi"},
    ]}, {"role": "assistant", "content": " there"}, {"name": "f", "id": "call_9", "arguments": {"x": 1}}]}));
    assert!(got.error.is_none());
    assert_eq!((got.response.reasoning().as_str(), got.response.text().as_str()), ("Hm", "Hi there"));
    assert_eq!(told(&got)["calls"], r#"call_9 f {"x":1};"#);
    assert_eq!((got.response.finish, got.response.finish_reason), (Finish::ToolCalls, None));
}

#[test]
fn citations_stand_on_their_text() {
    let annotation = json!({"type": "url_citation", "url": "https://x", "title": "X", "start_index": 0, "end_index": 2});
    let added =
        json!({"type": "response.output_text.annotation.added", "output_index": 0, "content_index": 0, "annotation": annotation});
    let got = streamed(&[delta("output_text", 0, "Hi"), added.clone(), completed(json!([]))]);
    assert_eq!(got.response.parts, [Part::Text { text: "Hi".into(), annotations: vec![annotation.clone()] }]);
    assert_eq!(native(&got)[0]["content"][0]["annotations"], json!([annotation]));
    assert_eq!(told(&got)["other"], format!("{added};"));
    let mut cited = message("Hi");
    cited["content"][0]["annotations"] = json!([annotation]);
    let got = streamed(&[delta("output_text", 0, "Hi"), added, completed(json!([cited]))]);
    assert_eq!(got.response.parts, [Part::Text { text: "Hi".into(), annotations: vec![annotation] }]);
}

#[test]
fn what_has_no_name_here_is_kept_in_its_place_and_told_once() {
    let first = json!({"type": "web_search_call", "id": "ws", "status": "in_progress"});
    let last = json!({"type": "web_search_call", "id": "ws", "status": "completed", "action": {"query": "q"}});
    let searching = json!({"type": "response.web_search_call.searching", "output_index": 0, "item_id": "ws"});
    let vendor = json!({"type": "vendor.thing", "n": 1.50});
    let failed = json!({"type": "response.mcp_call.failed", "error": {"message": "m"}});
    let got = streamed(&[
        json!({"type": "response.output_item.added", "output_index": 0, "item": first}),
        searching.clone(),
        json!({"type": "keepalive"}),
        json!({}),
        vendor.clone(),
        failed.clone(),
        json!("not JSON"),
        json!({"type": "response.output_item.done", "output_index": 0, "item": last}),
        delta("output_text", 1, "Hi"),
        completed(json!([last, message("Hi")])),
    ]);
    assert_eq!(got.response.parts, [Part::Other { json: last.clone() }, Part::text("Hi")]);
    assert_eq!(told(&got)["other"], format!("{searching};{vendor};{failed};\"not JSON\";{last};"));
    assert_eq!(native(&got), json!([last, message("Hi")]));
    assert_eq!(got.response.finish, Finish::Stop);
    // The same, from an answer in one piece.
    let again = whole(&json!({"output": [last, message("Hi")]}));
    assert_eq!(told(&again)["other"], format!("{last};"));
}

#[test]
fn an_error_is_told_once_in_all_its_shapes() {
    let failed = |error: Value| {
        let response = json!({"id": "r", "status": "failed", "output": [], "error": error});
        json!({"type": "response.failed", "response": response})
    };
    let said = json!({"code": "insufficient_quota", "message": "m"});
    let flat = json!({"type": "error", "code": "insufficient_quota", "message": "m", "param": null});
    let nested = json!({"type": "error", "error": {"type": "insufficient_quota", "code": "insufficient_quota", "message": "m"}});
    let bare = json!({"error": {"message": "m", "code": "insufficient_quota"}});
    for (events, message, kind, reason) in [
        (vec![flat, failed(said.clone())], "m", Kind::Quota, None),
        (vec![nested, failed(said.clone())], "m", Kind::Quota, None),
        (vec![bare], "m", Kind::Quota, None),
        (vec![failed(said)], "m", Kind::Quota, Some("failed")),
        (vec![failed(Value::Null)], "the response failed, and the server did not say why", Kind::Server, Some("failed")),
        (
            vec![json!({"type": "response.failed", "error": {"message": "m", "code": "server_error"}})],
            "m",
            Kind::Server,
            Some("failed"),
        ),
    ] {
        let mut all = vec![delta("output_text", 0, "Hel")];
        all.extend(events);
        let got = streamed(&all);
        let error = got.error.as_ref().unwrap();
        assert_eq!((error.message.as_str(), error.kind()), (message, kind), "{all:?}");
        assert!(error.body.is_some());
        assert_eq!(got.response.finish_reason.as_deref(), reason);
        assert_eq!(got.response.parts, [Part::text("Hel")]);
        assert_eq!(got.response.native, None);
    }
    // By the event's name alone.
    for data in [r#"{"message":"m","code":"server_error"}"#, "m"] {
        let got = decode(Format::Responses, format!("event: error\ndata: {data}\n\n").as_bytes(), 7);
        assert_eq!(got.error.unwrap().message, "m");
    }
}

#[test]
fn the_status_says_why_it_ended() {
    let body = |status: &str| json!({"id": "r", "status": status, "output": [message("Hi")], "error": null});
    for (status, finish, reason, error) in [
        ("completed", Finish::Stop, "completed", None),
        ("complete", Finish::Stop, "complete", None),
        ("cancelled", Finish::Interrupted, "cancelled", None),
        ("brand_new", Finish::Unknown, "brand_new", None),
        ("queued", Finish::Unknown, "queued", Some(Kind::Truncated)),
        ("in_progress", Finish::Unknown, "in_progress", Some(Kind::Truncated)),
        ("incomplete", Finish::Unknown, "incomplete", None),
    ] {
        let got = whole(&body(status));
        assert_eq!((got.response.finish, got.response.finish_reason.as_deref()), (finish, Some(reason)));
        assert_eq!(got.error.map(|e| e.kind()), error);
        assert_eq!(got.response.parts, [Part::text("Hi")]);
    }
    for (reason, finish) in
        [("max_output_tokens", Finish::Length), ("content_filter", Finish::ContentFilter), ("steered", Finish::Unknown)]
    {
        let mut incomplete = body("incomplete");
        incomplete["incomplete_details"] = json!({"reason": reason});
        let event = json!({"type": "response.incomplete", "response": incomplete});
        for got in [whole(&incomplete), streamed(&[event])] {
            assert!(got.error.is_none());
            assert_eq!((got.response.finish, got.response.finish_reason.as_deref()), (finish, Some(reason)));
        }
    }
    let mut refused = message("");
    refused["content"] = json!([{"type": "refusal", "refusal": "No."}]);
    assert_eq!(whole(&json!({"status": "completed", "output": [refused]})).response.finish, Finish::Refusal);
    assert_eq!(whole(&json!({"object": "list", "data": []})).error.unwrap().kind(), Kind::Protocol);
}

#[test]
fn a_stream_that_breaks_off_keeps_what_came() {
    let response = json!({"id": "r", "object": "response", "status": "in_progress", "model": "m", "output": []});
    let created = json!({"type": "response.created", "response": response});
    let added = added(0, &json!({"type": "message", "id": "msg", "role": "assistant", "content": []}));
    let got = streamed(&[created.clone(), added.clone(), delta("output_text", 0, "Hel")]);
    assert_eq!(got.error.as_ref().unwrap().kind(), Kind::Truncated);
    assert_eq!(got.response.parts, [Part::text("Hel")]);
    assert_eq!(
        String::from_utf8_lossy(&got.response.raw),
        concat!(
            r#"{"id":"r","object":"response","status":"in_progress","model":"m","output":[{"type":"message","id":"msg","#,
            r#""role":"assistant","content":[{"type":"output_text","text":"Hel","annotations":[]}]}]}"#
        )
    );
    // Its ids mean nothing to the provider, so it goes back as what it says.
    assert_eq!(got.response.native, None);
    assert_eq!(input_of(got.response.turns()).unwrap(), r#"[{"role":"assistant","content":"Hel"}]"#);
    // The gateway's own mark of the end is one.
    let got = streamed(&[created, added, delta("output_text", 0, "Hel"), json!("[DONE]")]);
    assert!(got.error.is_none());
    assert_eq!(got.response.finish, Finish::Unknown);
    assert_eq!(native(&got)[0]["content"][0]["text"], "Hel");
}

#[test]
fn a_damaged_character_does_not_lose_its_piece() {
    let got = decode(
        Format::Responses,
        b"data: {\"type\":\"response.output_text.delta\",\"output_index\":\"0\",\"delta\":\"a\\ud83db\"}\n\n\
          data: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"delta\":\"\xff\"}\n\n\
          data: {\"type\":\"response.completed\"}\n\n",
        1,
    );
    assert!(got.error.is_none());
    assert_eq!(got.response.text(), "a\u{fffd}b\u{fffd}");
}

/// Whatever comes in whatever order: nothing breaks, what is told is never more than once, and the answer is the one that
/// its own object means.
#[test]
fn no_order_of_events_breaks_anything() {
    let mut random = fastrand::Rng::with_seed(7);
    let other = json!({"type": "web_search_call", "id": "ws"});
    let thought = json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "xx"}], "encrypted_content": "E"});
    let items =
        [message("xx"), function("c1", "{}"), function("c2", ""), other, thought, json!({}), json!({"content": [null, "x", {}]})];
    for round in 0..2000 {
        let mut events = Vec::new();
        for _ in 0..random.usize(0..12) {
            let index = random.u64(0..3);
            let item = &items[random.usize(0..items.len())];
            events.push(match random.usize(0..12) {
                0 | 1 => added(index, item),
                2 | 3 => done(index, item),
                4 => delta_at("output_text", json!({"output_index": index, "content_index": random.u64(0..3)}), "x"),
                5 => delta_at("reasoning_summary_text", json!({"output_index": index, "summary_index": random.u64(0..3)}), "x"),
                6 => delta("reasoning_text", index, "x"),
                7 => delta("function_call_arguments", index, "1"),
                8 => delta("refusal", index, "x"),
                9 => json!({"type": "response.output_item.done", "item": item}),
                10 => json!({"type": "response.output_text.delta", "delta": "x", "output_index": u64::MAX}),
                _ => json!({"type": "response.output_text.done", "output_index": index, "text": "xx"}),
            });
        }
        let output: Vec<Value> = (0..random.usize(0..4)).map(|_| items[random.usize(0..items.len())].clone()).collect();
        events.push(completed(output.into()));
        let got = streamed(&events);
        assert!(got.error.is_none(), "round {round}: {:?} {events:?}", got.error);
        let again = decode(Format::Responses, &got.response.raw, 1);
        assert_eq!(got.response.finish, again.response.finish, "round {round}: {events:?}");
        let calls: Vec<_> = got.response.tool_calls().map(|call| call.id).collect();
        let offered = got.events.iter().filter(|event| matches!(event, Event::ToolCall { .. })).count();
        assert_eq!(calls.len(), offered, "round {round}: {events:?}");
        assert_eq!(got.response.text(), again.response.text(), "round {round}: {events:?}");
        assert_eq!(native(&got), native(&again), "round {round}: {events:?}");
    }
}

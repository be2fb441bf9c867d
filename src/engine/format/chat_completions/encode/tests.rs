use serde_json::{json, Value};

use super::*;
use crate::engine::error::Kind;
use crate::engine::request::{Native, OutputSchema, Request, Tool};

fn request(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}

fn try_body(request: &Request, model: &str, stream: bool) -> Result<Value> {
    encode(&Call { request, model, temperature: Some(0.5), max_tokens: Some(100), stream }).map(Value::from)
}

fn body(request: &Request) -> Value {
    try_body(request, "m", false).unwrap()
}

fn messages(turns: Vec<Turn>) -> Value {
    body(&request(turns))["messages"].take()
}

fn attached(media_type: &str, source: Source, file_name: Option<&str>) -> Request {
    let media = Part::Media { media_type: media_type.into(), source, file_name: file_name.map(str::to_owned) };
    request(vec![Turn { role: Role::User, parts: vec![Part::text("Look:"), media], native: None }])
}

#[test]
fn the_smallest_body_and_the_streamed_one() {
    let hi = request(vec![Turn::text(Role::User, "Hi")]);
    assert_eq!(
        try_body(&hi, "m", false).unwrap().to_string(),
        r#"{"model":"m","messages":[{"role":"user","content":"Hi"}],"max_tokens":100,"temperature":0.5}"#
    );
    assert_eq!(
        try_body(&hi, "gpt-5.2", true).unwrap().to_string(),
        r#"{"model":"gpt-5.2","messages":[{"role":"user","content":"Hi"}],"stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":100,"temperature":0.5}"#
    );
}

#[test]
fn roles_keep_their_places() {
    let turns = vec![
        Turn::text(Role::System, "S"),
        Turn::text(Role::Developer, "D"),
        Turn::text(Role::User, "U"),
        Turn::text(Role::Assistant, "A"),
        Turn::text(Role::System, "later"),
    ];
    assert_eq!(
        messages(turns),
        json!([
            {"role": "system", "content": "S"},
            {"role": "developer", "content": "D"},
            {"role": "user", "content": "U"},
            {"role": "assistant", "content": "A"},
            {"role": "system", "content": "later"},
        ])
    );
}

#[test]
fn every_option_has_its_field() {
    let mut full = request(vec![Turn::text(Role::User, "Hi")]);
    full.options.top_p = Some(0.25);
    full.options.seed = Some(-7);
    full.options.stop = vec!["END".into(), "\n".into()];
    full.options.reasoning_effort = Some("low".into());
    full.options.parallel_tool_calls = Some(false);
    full.options.tools = vec![
        Tool { name: "f".into(), description: Some("does".into()), parameters: json!({"type": "object", "properties": {}}) },
        Tool { name: "g".into(), description: None, parameters: json!({"type": "object"}) },
    ];
    full.options.tool_choice = Some(ToolChoice::Named("f".into()));
    full.options.output_schema = Some(OutputSchema { name: "answer".into(), schema: json!({"type": "object"}) });
    let body = body(&full);
    for (field, expected) in [
        ("top_p", json!(0.25)),
        ("seed", json!(-7)),
        ("stop", json!(["END", "\n"])),
        ("reasoning_effort", json!("low")),
        ("parallel_tool_calls", json!(false)),
        (
            "tools",
            json!([
                {"type": "function", "function": {"name": "f", "description": "does", "parameters": {"type": "object", "properties": {}}}},
                {"type": "function", "function": {"name": "g", "parameters": {"type": "object"}}},
            ]),
        ),
        ("tool_choice", json!({"type": "function", "function": {"name": "f"}})),
        (
            "response_format",
            json!({"type": "json_schema", "json_schema": {"name": "answer", "schema": {"type": "object"}, "strict": true}}),
        ),
    ] {
        assert_eq!(body[field], expected, "{field}");
    }
    for (choice, expected) in [(ToolChoice::Auto, "auto"), (ToolChoice::None, "none"), (ToolChoice::Required, "required")] {
        full.options.tool_choice = Some(choice);
        assert_eq!(
            super::encode(&Call { request: &full, model: "m", temperature: None, max_tokens: None, stream: false }).unwrap()
                ["tool_choice"],
            expected
        );
    }
}

#[test]
fn a_family_without_schemas_gets_json_mode_and_the_schema_in_words() {
    let mut full = request(vec![Turn::text(Role::User, "Hi")]);
    full.options.output_schema = Some(OutputSchema { name: "answer".into(), schema: json!({"type": "object"}) });
    let body = try_body(&full, "deepseek-chat", false).unwrap();
    assert_eq!(body["response_format"], json!({"type": "json_object"}));
    let first = &body["messages"][0];
    assert_eq!(first["role"], "system");
    assert!(first["content"].as_str().unwrap().contains(r#"{"type":"object"}"#));
    assert_eq!(body["messages"][1]["content"], "Hi");
}

#[test]
fn a_turn_of_this_format_goes_back_as_it_came() {
    let value = json!({"role": "assistant", "content": null, "reasoning_details": [{"type": "reasoning.text", "signature": "s"}],
        "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{ }"}, "extra_content": {"google": 1}}]});
    let turn = Turn {
        role: Role::Assistant,
        parts: vec![],
        native: Some(Native { format: Format::ChatCompletions, value: value.clone() }),
    };
    assert_eq!(messages(vec![turn])[0].to_string(), value.to_string());
}

#[test]
fn a_turn_of_another_format_says_what_this_one_can() {
    let parts = vec![
        Part::Reasoning { text: "hm".into(), signature: Some("s".into()), encrypted: None },
        Part::text("A"),
        Part::text("B"),
        Part::ToolCall { id: "1".into(), name: "f".into(), arguments: "{}".into(), custom: false },
        Part::ToolCall { id: "2".into(), name: "g".into(), arguments: "free".into(), custom: true },
        Part::Other { json: json!({"type": "server_tool_use"}) },
    ];
    let native = Some(Native { format: Format::Messages, value: json!([]) });
    let results = Turn {
        role: Role::Tool,
        parts: vec![
            Part::ToolResult { call_id: "1".into(), text: "ok".into(), is_error: false },
            Part::ToolResult { call_id: "2".into(), text: "no".into(), is_error: true },
        ],
        native: None,
    };
    assert_eq!(
        messages(vec![Turn { role: Role::Assistant, parts, native }, results]),
        json!([
            {"role": "assistant", "content": "AB", "tool_calls": [
                {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "2", "type": "custom", "custom": {"name": "g", "input": "free"}},
            ]},
            {"role": "tool", "tool_call_id": "1", "content": "ok"},
            {"role": "tool", "tool_call_id": "2", "content": "Error: no"},
        ])
    );
    let only_reasoning = Turn {
        role: Role::Assistant,
        parts: vec![Part::Reasoning { text: "hm".into(), signature: None, encrypted: None }],
        native: None,
    };
    assert_eq!(messages(vec![only_reasoning]), json!([]));
    let refusal = Turn { role: Role::Assistant, parts: vec![Part::Refusal { text: "no".into() }], native: None };
    assert_eq!(messages(vec![refusal]), json!([{"role": "assistant", "content": null, "refusal": "no"}]));
}

#[test]
fn attachments_in_their_shapes() {
    let data = || Source::Data("AAAA".into());
    let url = || Source::Url("https://h/x".into());
    for (media_type, source, name, expected) in [
        ("image/png", url(), None, json!({"type": "image_url", "image_url": {"url": "https://h/x"}})),
        ("image/png", data(), None, json!({"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}})),
        ("video/mp4", url(), None, json!({"type": "video_url", "video_url": {"url": "https://h/x"}})),
        ("audio/wav", data(), None, json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})),
        ("audio/mpeg", data(), None, json!({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "mp3"}})),
        (
            "application/pdf",
            data(),
            Some("a.pdf"),
            json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}}),
        ),
    ] {
        let body = body(&attached(media_type, source, name));
        assert_eq!(body["messages"][0]["content"], json!([{"type": "text", "text": "Look:"}, expected]), "{media_type}");
    }
    for (media_type, source) in [("audio/wav", url()), ("audio/flac", data()), ("application/pdf", url())] {
        let error = try_body(&attached(media_type, source, None), "m", false).unwrap_err();
        assert_eq!(error.kind(), Kind::InvalidArgument);
        assert!(error.message.contains(media_type) && error.message.contains("Chat Completions"), "{error}");
    }
}

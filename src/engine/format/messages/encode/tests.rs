use serde_json::{json, Value};

use super::*;
use crate::engine::error::Kind;
use crate::engine::format::conformance;
use crate::engine::request::{Native, Request};

fn request(turns: Vec<Turn>) -> Request {
    Request { turns, ..Request::default() }
}

fn try_body(request: &Request) -> Result<Value> {
    encode(&Call { request, model: "claude-x", temperature: None, max_tokens: Some(100), stream: false }).map(Value::from)
}

fn body(request: &Request) -> Value {
    try_body(request).unwrap()
}

fn messages(turns: Vec<Turn>) -> Value {
    body(&request(turns))["messages"].take()
}

fn refused(request: &Request) -> String {
    let error = try_body(request).unwrap_err();
    assert_eq!(error.kind(), Kind::InvalidArgument);
    error.message.clone()
}

fn user(text: &str) -> Turn {
    Turn::text(Role::User, text)
}

fn assistant(parts: Vec<Part>) -> Turn {
    Turn { role: Role::Assistant, parts, native: None }
}

fn native(format: Format, parts: Vec<Part>, value: Value) -> Turn {
    Turn { role: Role::Assistant, parts, native: Some(Native { format, value }) }
}

fn call(id: &str, arguments: &str) -> Part {
    Part::ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), custom: false }
}

fn results(all: &[(&str, &str)]) -> Turn {
    let result = |(id, text): &(&str, &str)| Part::ToolResult { call_id: (*id).into(), text: (*text).into(), is_error: false };
    Turn { role: Role::Tool, parts: all.iter().map(result).collect(), native: None }
}

fn attached(media_type: &str, source: Source, file_name: Option<&str>) -> Request {
    let media = Part::Media { media_type: media_type.into(), source, file_name: file_name.map(str::to_owned) };
    request(vec![Turn { role: Role::User, parts: vec![Part::text("Look:"), media], native: None }])
}

#[test]
fn the_smallest_body() {
    let request = request(vec![user("Hi")]);
    assert_eq!(
        body(&request).to_string(),
        r#"{"model":"claude-x","max_tokens":100,"messages":[{"role":"user","content":"Hi"}]}"#
    );
    let call = Call { request: &request, model: "m", temperature: Some(0.5), max_tokens: None, stream: true };
    let body = Value::from(encode(&call).unwrap());
    assert_eq!(
        body.to_string(),
        r#"{"model":"m","max_tokens":4096,"messages":[{"role":"user","content":"Hi"}],"stream":true,"temperature":0.5}"#
    );
}

#[test]
fn every_option_has_its_place() {
    let mut request = request(vec![user("Hi")]);
    let options = &mut request.options;
    options.top_p = Some(0.25);
    options.stop = vec!["END".into(), "\n\n".into()];
    options.reasoning_effort = Some("high".into());
    options.output_schema =
        Some(OutputSchema { name: "n".into(), schema: json!({"type": "object", "additionalProperties": false}) });
    options.tools = vec![
        Tool {
            name: "clock".into(),
            description: Some("Tells the time".into()),
            parameters: json!({"type": "object", "properties": {"z": {}}}),
        },
        Tool { name: "bell".into(), description: None, parameters: json!({}) },
        Tool { name: "horn".into(), description: None, parameters: json!({"properties": {}}) },
    ];
    let mut body = body(&request);
    assert_eq!(body["top_p"], json!(0.25));
    assert_eq!(body["stop_sequences"], json!(["END", "\n\n"]));
    assert_eq!(
        body["output_config"].take().to_string(),
        r#"{"effort":"high","format":{"type":"json_schema","schema":{"type":"object","additionalProperties":false}}}"#
    );
    assert_eq!(
        body["tools"].take().to_string(),
        concat!(
            r#"[{"name":"clock","description":"Tells the time","input_schema":{"type":"object","properties":{"z":{}}}},"#,
            r#"{"name":"bell","input_schema":{"type":"object","properties":{}}},"#,
            r#"{"name":"horn","input_schema":{"type":"object","properties":{}}}]"#
        )
    );
    assert!(body.get("tool_choice").is_none() && body.get("thinking").is_none());
}

#[test]
fn no_effort_is_no_thinking() {
    let mut request = request(vec![user("Hi")]);
    for effort in ["none", "minimal"] {
        request.options.reasoning_effort = Some(effort.into());
        let body = body(&request);
        assert_eq!(body["thinking"], json!({"type": "disabled"}));
        assert!(body.get("output_config").is_none());
    }
}

#[test]
fn a_choice_says_also_whether_calls_may_be_parallel() {
    let mut request = request(vec![user("Hi")]);
    for (choice, parallel, expected) in [
        (None, None, Value::Null),
        (None, Some(true), Value::Null),
        (None, Some(false), json!({"type": "auto", "disable_parallel_tool_use": true})),
        (Some(ToolChoice::Auto), None, json!({"type": "auto"})),
        (Some(ToolChoice::Required), Some(false), json!({"type": "any", "disable_parallel_tool_use": true})),
        (Some(ToolChoice::Named("f".into())), Some(true), json!({"type": "tool", "name": "f"})),
        (Some(ToolChoice::None), Some(false), json!({"type": "none"})),
    ] {
        request.options.tool_choice = choice;
        request.options.parallel_tool_calls = parallel;
        assert_eq!(body(&request).get("tool_choice").cloned().unwrap_or_default(), expected);
    }
}

#[test]
fn what_the_format_cannot_carry_is_refused_by_name() {
    let mut seeded = request(vec![user("Hi")]);
    seeded.options.seed = Some(7);
    assert!(refused(&seeded).contains("seed"));
    let mut scalar = request(vec![user("Hi")]);
    for parameters in [json!({"type": "string"}), json!([]), json!(true)] {
        scalar.options.tools = vec![Tool { name: "odd".into(), description: None, parameters }];
        assert!(refused(&scalar).contains("\"odd\""));
    }
    for media_type in ["audio/wav", "video/mp4", "application/zip"] {
        let message = refused(&attached(media_type, Source::Data("AAAA".into()), Some("song")));
        assert!(message.contains("Messages") && message.contains(media_type) && message.contains("song"), "{message}");
    }
    assert!(refused(&attached("audio/wav", Source::Url("https://a/b".into()), None)).contains("audio/wav"));
    assert!(refused(&attached("text/plain", Source::Data("/w==".into()), None)).contains("UTF-8"));
    assert!(refused(&request(vec![assistant(vec![Part::text("I begin")]), user("Hi")])).contains("begins with a user's message"));
    assert!(refused(&request(vec![Turn::text(Role::System, "alone")])).contains("needs a user's message"));
}

#[test]
fn instructions_at_the_beginning_are_the_system_text() {
    let mut conversation = request(vec![Turn::text(Role::System, "One"), Turn::text(Role::Developer, "Two"), user("Hi")]);
    let body_of = body(&conversation);
    assert_eq!(body_of["system"], "One\n\nTwo");
    assert_eq!(body_of["messages"], json!([{"role": "user", "content": "Hi"}]));
    // Blocks that the caller marked for the cache stay blocks.
    let marked = json!({"type": "text", "text": "Three", "cache_control": {"type": "ephemeral"}});
    conversation.turns[1].parts.push(Part::Other { json: marked.clone() });
    assert_eq!(body(&conversation)["system"], json!([{"type": "text", "text": "One"}, {"type": "text", "text": "Two"}, marked]));
}

#[test]
fn instructions_in_the_middle_stay_there() {
    let turns = vec![
        user("Hi"),
        assistant(vec![Part::text("Hello")]),
        Turn::text(Role::Developer, "Be brief."),
        user("So?"),
        assistant(vec![Part::text("So.")]),
        Turn::text(Role::System, "Now end."),
    ];
    assert_eq!(
        messages(turns),
        json!([
            {"role": "user", "content": "Hi"},
            {"role": "assistant", "content": [{"type": "text", "text": "Hello"}]},
            {"role": "user", "content": [{"type": "text", "text": "<system>Be brief.</system>"}, {"type": "text", "text": "So?"}]},
            {"role": "assistant", "content": [{"type": "text", "text": "So."}]},
            {"role": "user", "content": "<system>Now end.</system>"},
        ])
    );
}

#[test]
fn turns_of_one_role_are_one_message_and_results_come_first() {
    let mut failed = results(&[("toolu_2", "no")]);
    if let Part::ToolResult { is_error, .. } = &mut failed.parts[0] {
        *is_error = true;
    }
    let turns = vec![
        user("a"),
        user("b"),
        assistant(vec![Part::text("Let me see.")]),
        assistant(vec![call("toolu_1", r#"{"x": 1.50}"#), call("toolu_2", "")]),
        Turn::text(Role::System, "Hurry."),
        results(&[("toolu_1", "42")]),
        failed,
        user("And?"),
    ];
    assert_eq!(
        messages(turns).to_string(),
        concat!(
            r#"[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]},"#,
            r#"{"role":"assistant","content":[{"type":"text","text":"Let me see."},"#,
            r#"{"type":"tool_use","id":"toolu_1","name":"f","input":{"x":1.50}},{"type":"tool_use","id":"toolu_2","name":"f","input":{}}]},"#,
            r#"{"role":"user","content":[{"type":"tool_result","tool_use_id":"toolu_1","content":"42"},"#,
            r#"{"type":"tool_result","tool_use_id":"toolu_2","content":"no","is_error":true},"#,
            r#"{"type":"text","text":"<system>Hurry.</system>"},{"type":"text","text":"And?"}]}]"#
        )
    );
}

#[test]
fn attachments() {
    let sent = |request: Request| body(&request)["messages"][0]["content"][1].to_string();
    let url = || Source::Url("https://example.com/a".into());
    let data = || Source::Data("aGk=".into());
    for (request, expected) in [
        (
            attached("image/png", data(), None),
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}"#,
        ),
        (attached("image/png", url(), None), r#"{"type":"image","source":{"type":"url","url":"https://example.com/a"}}"#),
        (
            attached("image/png", Source::Url("data:image/png;base64,aGk=".into()), None),
            r#"{"type":"image","source":{"type":"base64","media_type":"image/png","data":"aGk="}}"#,
        ),
        (
            attached("application/pdf", data(), Some("a.pdf")),
            r#"{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"aGk="},"title":"a.pdf"}"#,
        ),
        (
            attached("application/pdf", url(), None),
            r#"{"type":"document","source":{"type":"url","url":"https://example.com/a"}}"#,
        ),
        (
            attached("text/markdown; charset=utf-8", data(), Some("a.md")),
            r#"{"type":"document","source":{"type":"text","media_type":"text/plain","data":"hi"},"title":"a.md"}"#,
        ),
        (attached("text/plain", url(), None), r#"{"type":"document","source":{"type":"url","url":"https://example.com/a"}}"#),
    ] {
        assert_eq!(sent(request), expected);
    }
    let unknown = json!({"type": "search_result", "source": "s", "title": "t", "content": []});
    let turn = Turn { role: Role::User, parts: vec![Part::text(""), Part::Other { json: unknown.clone() }], native: None };
    assert_eq!(messages(vec![turn])[0]["content"], json!([unknown]));
}

#[test]
fn an_own_turn_goes_back_byte_for_byte() {
    let content = concat!(
        r#"[{"type":"thinking","thinking":"","signature":"c2ln"},{"signature":"x","thinking":"t","type":"thinking"},"#,
        r#"{"type":"redacted_thinking","data":"ZGF0YQ=="},{"type":"text","text":"é","citations":[{"type":"z","n":1.50}]},"#,
        r#"{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"q":"b","a":1}},"#,
        r#"{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"encrypted_content":"AAA="}]},"#,
        r#"{"type":"hologram","payload":{"z":1,"a":2}},"#,
        r#"{"type":"tool_use","id":"call.1","name":"f","input":{"z":1,"a":2},"caller":{"type":"direct"}}]"#
    );
    let turn = native(Format::Messages, vec![Part::text("ignored")], serde_json::from_str(content).unwrap());
    let sent = messages(vec![user("Hi"), turn, results(&[("call.1", "r")])]);
    assert_eq!(sent[1]["content"].to_string(), content);
    // An id that the provider gave is not for us to clean.
    assert_eq!(sent[2]["content"][0]["tool_use_id"], "call.1");
}

#[test]
fn a_pause_goes_on_where_it_stopped() {
    let turn = |n: u32| {
        native(Format::Messages, vec![], json!([{"type": "server_tool_use", "id": format!("srvtoolu_{n}"), "input": {}}]))
    };
    let sent = messages(vec![user("Hi"), turn(1), turn(2)]);
    assert_eq!(sent.as_array().unwrap().len(), 2);
    assert_eq!(sent[1]["content"].as_array().unwrap().len(), 2);
}

#[test]
fn the_turn_of_another_format_is_translated() {
    let parts = vec![
        Part::Reasoning { text: "secret".into(), signature: Some("not Anthropic's".into()), encrypted: None },
        Part::Reasoning { text: String::new(), signature: None, encrypted: Some("gAAAA".into()) },
        Part::text("Well"),
        Part::text(" \n"),
        Part::Refusal { text: "No.".into() },
        Part::Other { json: json!({"type": "web_search_call"}) },
        call("functions.f:0", r#"{"x":1}"#),
        Part::ToolCall { id: "fc|2".into(), name: "g".into(), arguments: "free text".into(), custom: true },
    ];
    let turn = native(Format::Responses, parts, json!([]));
    let sent = messages(vec![user("Hi"), turn, results(&[("fc|2", "b"), ("functions.f:0", "a")])]);
    assert_eq!(
        sent[1]["content"],
        json!([
            {"type": "text", "text": "Well"},
            {"type": "text", "text": "No."},
            {"type": "tool_use", "id": "functions_2ef_3a0", "name": "f", "input": {"x": 1}},
            {"type": "tool_use", "id": "fc_7c2", "name": "g", "input": {"input": "free text"}},
        ])
    );
    assert_eq!(sent[2]["content"][0]["tool_use_id"], "fc_7c2");
    assert_eq!(sent[2]["content"][1]["tool_use_id"], "functions_2ef_3a0");
}

#[test]
fn reasoning_goes_back_with_its_signature_only() {
    let parts = vec![
        Part::Reasoning { text: "unsigned".into(), signature: None, encrypted: None },
        Part::Reasoning { text: "signed".into(), signature: Some("c2ln".into()), encrypted: None },
        Part::Reasoning { text: String::new(), signature: None, encrypted: Some("ZGF0YQ==".into()) },
        Part::text("So."),
    ];
    let sent = messages(vec![user("Hi"), assistant(parts), user("?")]);
    assert_eq!(
        sent[1]["content"],
        json!([
            {"type": "thinking", "thinking": "signed", "signature": "c2ln"},
            {"type": "redacted_thinking", "data": "ZGF0YQ=="},
            {"type": "text", "text": "So."},
        ])
    );
    // A turn of which nothing is left is no turn.
    let silent = assistant(vec![Part::Reasoning { text: "unsigned".into(), signature: None, encrypted: None }]);
    assert_eq!(messages(vec![user("a"), silent, user("b")]).as_array().unwrap().len(), 1);
}

#[test]
fn an_id_that_comes_again_is_another_call() {
    let turns = vec![
        user("Hi"),
        native(Format::ChatCompletions, vec![call("call_local_0", "{}")], json!({})),
        results(&[("call_local_0", "a")]),
        native(Format::ChatCompletions, vec![call("call_local_0", "{}")], json!({})),
        results(&[("call_local_0", "b")]),
    ];
    let sent = messages(turns);
    let ids = [
        &sent[1]["content"][0]["id"],
        &sent[2]["content"][0]["tool_use_id"],
        &sent[3]["content"][0]["id"],
        &sent[4]["content"][0]["tool_use_id"],
    ];
    assert_eq!(ids, ["call_local_0", "call_local_0", "call_local_0_2", "call_local_0_2"]);
}

#[test]
fn a_call_that_was_cut_off_does_not_make_the_conversation_unsendable() {
    let cut = "{\"x\": \"ab";
    let own = || {
        native(
            Format::Messages,
            vec![],
            json!([{"type": "text", "text": "t"}, {"type": "tool_use", "id": "a", "name": "f", "input": cut}]),
        )
    };
    let foreign = || native(Format::ChatCompletions, vec![Part::text("t"), call("a", cut)], json!({}));
    let turns: [&dyn Fn() -> Turn; 2] = [&own, &foreign];
    for turn in turns {
        let sent = messages(vec![user("Hi"), turn(), user("Go on")]);
        assert_eq!(sent[1]["content"], json!([{"type": "text", "text": "t"}]));
        let sent = messages(vec![user("Hi"), turn(), results(&[("a", "that was cut off")])]);
        assert_eq!(sent[1]["content"][1], json!({"type": "tool_use", "id": "a", "name": "f", "input": {"input": cut}}));
    }
}

#[test]
fn every_recorded_turn_survives_saving_and_goes_back_as_it_came() {
    for case in conformance::cases(Format::Messages) {
        let response = conformance::decode(Format::Messages, &case.body, 4096).response;
        let Some(native) = response.native.clone().filter(|n| n.as_array().is_some_and(|a| !a.is_empty())) else { continue };
        let mut request = request(vec![user("Hi")]);
        request.add_response(&response);
        // What was cut off is answered, so that it stays.
        let calls: Vec<(&str, &str)> = response.tool_calls().map(|c| (c.id, "r")).collect();
        request.turns.extend((!calls.is_empty()).then(|| results(&calls)));
        let saved = request.to_json();
        let loaded = Request::from_json(&saved).unwrap();
        assert_eq!(loaded.to_json(), saved, "{}", case.name);
        let sent = body(&loaded)["messages"][1]["content"].to_string();
        if case.name.ends_with("tool-truncated") {
            assert!(sent.contains(r#""input":{"input":"{\"x\": \"ab"}"#), "{sent}");
        } else {
            assert_eq!(sent, native.to_string(), "{}", case.name);
        }
    }
}

#[test]
fn a_model_without_schemas_gets_a_tool_whose_arguments_are_the_answer() {
    let schema = json!({"type": "object", "properties": {}, "required": [], "additionalProperties": false});
    let mut full = request(vec![user("Hi")]);
    full.options.output_schema = Some(OutputSchema { name: "answer".into(), schema: schema.clone() });
    let encoded = |full: &Request| {
        let call =
            Call { request: full, model: "claude-3-5-haiku-latest", temperature: None, max_tokens: Some(9), stream: false };
        Value::from(encode(&call).unwrap())
    };
    let body = encoded(&full);
    assert_eq!(body["output_config"], Value::Null);
    assert_eq!(body["tools"][0]["input_schema"], schema);
    assert_eq!(body["tool_choice"], json!({"type": "tool", "name": "answer", "disable_parallel_tool_use": true}));
    full.options.tools.push(Tool { name: "f".into(), description: None, parameters: json!({"type": "object"}) });
    let body = encoded(&full);
    assert_eq!((body["tools"][0]["name"].as_str(), body["tools"][1]["name"].as_str()), (Some("f"), Some("answer")));
    assert_eq!(body["tool_choice"], json!({"type": "any"}));
}

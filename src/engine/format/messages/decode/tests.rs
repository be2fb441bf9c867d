use serde_json::{json, Value};

use super::*;
use crate::engine::event::Event;
use crate::engine::format::conformance::{self, Outcome};
use crate::engine::format::Format;
use crate::engine::response::Response;

/// A stream of these events, each as the data of one frame without a name.
fn stream(events: &[Value]) -> Outcome {
    let body: String = events.iter().map(|event| format!("data: {event}\n\n")).collect();
    conformance::decode(Format::Messages, body.as_bytes(), 4096)
}

fn start() -> Value {
    json!({"type": "message_start", "message": {"id": "msg_1", "type": "message", "role": "assistant", "model": "m", "content": [],
        "stop_reason": null, "usage": {"input_tokens": 1, "output_tokens": 1}}})
}

fn open(index: u64, block: Value) -> Value {
    json!({"type": "content_block_start", "index": index, "content_block": block})
}

fn delta(index: u64, delta: Value) -> Value {
    json!({"type": "content_block_delta", "index": index, "delta": delta})
}

fn close(index: u64) -> Value {
    json!({"type": "content_block_stop", "index": index})
}

fn stop(reason: &str) -> Value {
    json!({"type": "message_delta", "delta": {"stop_reason": reason, "stop_sequence": null}, "usage": {"output_tokens": 5}})
}

fn text_block() -> Value {
    json!({"type": "text", "text": ""})
}

fn said(index: u64, text: &str) -> Value {
    delta(index, json!({"type": "text_delta", "text": text}))
}

fn native(response: &Response) -> String {
    response.native.as_ref().map(Value::to_string).unwrap_or_default()
}

#[test]
fn thinking_keeps_its_signature_and_what_is_redacted_its_data() {
    let got = stream(&[
        start(),
        open(0, json!({"type": "thinking", "thinking": "", "signature": ""})),
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
        delta(0, json!({"type": "signature_delta", "signature": "c2ln"})),
        close(0),
        open(1, json!({"type": "thinking", "thinking": ""})),
        delta(1, json!({"type": "signature_delta", "signature": "b21pdHRlZA=="})),
        close(1),
        open(2, json!({"type": "redacted_thinking", "data": "ZGF0YQ=="})),
        close(2),
        open(3, text_block()),
        said(3, "Hi"),
        close(3),
        stop("end_turn"),
    ]);
    assert!(got.error.is_none());
    let reasoning = |text: &str, signature: Option<&str>, encrypted: Option<&str>| Part::Reasoning {
        text: text.into(),
        signature: signature.map(str::to_owned),
        encrypted: encrypted.map(str::to_owned),
    };
    let expected = [
        reasoning("Hm", Some("c2ln"), None),
        reasoning("", Some("b21pdHRlZA=="), None),
        reasoning("", None, Some("ZGF0YQ==")),
        Part::text("Hi"),
    ];
    assert_eq!(got.response.parts, expected);
    assert_eq!(
        native(&got.response),
        concat!(
            r#"[{"type":"thinking","thinking":"Hm","signature":"c2ln"},{"type":"thinking","thinking":"","signature":"b21pdHRlZA=="},"#,
            r#"{"type":"redacted_thinking","data":"ZGF0YQ=="},{"type":"text","text":"Hi"}]"#
        )
    );
}

#[test]
fn blocks_may_come_interleaved_and_out_of_order() {
    let got = stream(&[
        start(),
        open(1, json!({"type": "tool_use", "id": "b", "name": "g", "input": {}})),
        open(0, json!({"type": "tool_use", "id": "a", "name": "f", "input": {"never": "merged"}})),
        delta(1, json!({"type": "input_json_delta", "partial_json": "{\"y\""})),
        delta(0, json!({"type": "input_json_delta", "partial_json": "{\"x\":"})),
        delta(1, json!({"type": "input_json_delta", "partial_json": ":2}"})),
        delta(0, json!({"type": "input_json_delta", "partial_json": "1}"})),
        close(1),
        close(0),
        stop("tool_use"),
    ]);
    let calls: Vec<_> = got.response.tool_calls().map(|c| (c.id, c.name, c.arguments)).collect();
    assert_eq!(calls, [("a", "f", r#"{"x":1}"#), ("b", "g", r#"{"y":2}"#)]);
    assert_eq!(
        native(&got.response),
        r#"[{"type":"tool_use","id":"a","name":"f","input":{"x":1}},{"type":"tool_use","id":"b","name":"g","input":{"y":2}}]"#
    );
}

#[test]
fn gateways_that_announce_nothing_lose_nothing() {
    // No start of the message, no start of the blocks, one index for everything, no stop of a block.
    let got = stream(&[
        delta(0, json!({"type": "thinking_delta", "thinking": "Hm"})),
        said(0, "Hi"),
        json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": "!"}}),
        open(0, json!({"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}})),
        stop("tool_use"),
    ]);
    assert!(got.error.is_none());
    assert_eq!((got.response.reasoning().as_str(), got.response.text().as_str()), ("Hm", "Hi!"));
    assert_eq!(got.response.tool_calls().next().unwrap().arguments, r#"{"x":1}"#);
    assert_eq!(got.response.finish, Finish::ToolCalls);
}

#[test]
fn what_has_no_name_here_is_kept_and_told() {
    let hologram = json!({"type": "hologram", "payload": {"b": 1, "a": 2}});
    let search = json!({"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}});
    let events = [
        start(),
        json!({"type": "brand_new", "x": 1}),
        open(0, hologram.clone()),
        delta(0, json!({"type": "hologram_delta", "bits": "x"})),
        close(0),
        open(1, search.clone()),
        delta(1, json!({"type": "input_json_delta", "partial_json": ""})),
        delta(1, json!({"type": "input_json_delta", "partial_json": "{\"q\":1}"})),
        close(1),
        open(2, json!({"type": "compaction", "content": null})),
        delta(2, json!({"type": "compaction_delta", "content": "short", "encrypted_content": null})),
        close(2),
        open(3, text_block()),
        said(3, "Hi"),
        delta(3, json!({"type": "citations_delta", "citation": {"url": "u"}})),
        close(3),
        json!({"type": "ping"}),
        stop("end_turn"),
    ];
    let got = stream(&events);
    let told: Vec<Value> = got
        .events
        .iter()
        .filter_map(|e| if let Event::Other(json) = e { serde_json::from_str(json).ok() } else { None })
        .collect();
    let expected: Vec<Value> = [1, 2, 3, 5, 6, 7, 9, 10, 14].map(|n: usize| events[n].clone()).into();
    assert_eq!(told, expected);
    assert_eq!(
        got.response.native,
        Some(json!([
            hologram,
            {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"q": 1}},
            {"type": "compaction", "content": "short"},
            {"type": "text", "text": "Hi", "citations": [{"url": "u"}]},
        ]))
    );
    assert_eq!(got.response.finish, Finish::Stop);
    assert_eq!(got.response.tool_calls().count(), 0);
}

#[test]
fn raw_is_the_message_as_it_would_have_come_unstreamed() {
    let got = stream(&[
        start(),
        open(0, text_block()),
        said(0, "Hi"),
        close(0),
        json!({"type": "message_delta", "delta": {"stop_reason": "refusal", "stop_details": {"category": "cyber"}, "container": null},
            "usage": {"input_tokens": 3, "cache_read_input_tokens": null, "output_tokens": 2}, "context_management": {"x": 1}}),
        json!({"type": "message_delta", "delta": {"stop_reason": null, "stop_details": null}, "usage": {"output_tokens": 4}}),
        json!({"type": "message_stop"}),
    ]);
    assert_eq!(
        String::from_utf8_lossy(&got.response.raw),
        concat!(
            r#"{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],"stop_reason":"refusal","#,
            r#""usage":{"input_tokens":3,"output_tokens":4,"cache_read_input_tokens":null},"context_management":{"x":1},"#,
            r#""stop_details":{"category":"cyber"},"container":null}"#
        )
    );
    assert_eq!(got.response.finish, Finish::Refusal);
    assert_eq!((got.response.usage.input, got.response.usage.output, got.response.usage.total), (Some(3), Some(4), Some(7)));
}

#[test]
fn reasons_are_normalised() {
    for (reason, finish) in [
        ("end_turn", Finish::Stop),
        ("stop_sequence", Finish::Stop),
        ("max_tokens", Finish::Length),
        ("model_context_window_exceeded", Finish::Length),
        ("tool_use", Finish::ToolCalls),
        ("refusal", Finish::Refusal),
        ("pause_turn", Finish::Paused),
        ("compaction", Finish::Paused),
        ("made_up_yesterday", Finish::Unknown),
    ] {
        let response = stream(&[start(), stop(reason)]).response;
        assert_eq!((response.finish, response.finish_reason.as_deref()), (finish, Some(reason)));
    }
}

#[test]
fn the_start_of_a_message_may_come_again_but_not_another_message() {
    let again = stream(&[start(), open(0, text_block()), said(0, "a"), start(), said(0, "b"), stop("end_turn")]);
    assert!(again.error.is_none());
    assert_eq!(again.response.text(), "ab");
    let mut other = start();
    other["message"]["id"] = "msg_2".into();
    let spliced = stream(&[start(), open(0, text_block()), said(0, "a"), other, said(0, "b")]);
    assert_eq!(spliced.error.unwrap().kind(), Kind::Protocol);
    assert_eq!(spliced.response.text(), "a");
}

#[test]
fn failures_in_all_their_shapes() {
    let decode = |body: &str| conformance::decode(Format::Messages, body.as_bytes(), 4096).error.unwrap();
    for (body, kind, message) in [
        ("event: error\ndata: {\"type\":\"error\",\"error\":{\"details\":null,\"type\":\"overloaded_error\",\"message\":\"Overloaded\"} }\n\n", Kind::Overloaded, "Overloaded"),
        ("data: {\"error\":{\"message\":\"m\",\"type\":\"upstream_error\",\"code\":\"c\"}}\n\n", Kind::Server, "m"),
        ("event: error\ndata: {\"message\":\"m\",\"type\":\"rate_limit_error\"}\n\n", Kind::RateLimited, "m"),
        ("event: error\ndata: upstream went away\n\n", Kind::Server, "upstream went away"),
        ("data: {\"type\":\"message_start\",\"message\":{\"content\":[]}}\n\n", Kind::Truncated, "the stream ended before its end"),
        ("{\"choices\":[]}", Kind::Protocol, "the answer is no message: it has no content"),
        ("{\"type\":\"error\",\"error\":{\"type\":\"authentication_error\",\"message\":\"m\"}}", Kind::Authentication, "m"),
    ] {
        let error = decode(body);
        assert_eq!((error.kind(), error.message.as_str()), (kind, message), "{body}");
    }
}

#[test]
fn noise_is_no_failure() {
    let body = concat!(
        ": ping\n\nevent: ping\ndata: {}\n\ndata: {}\n\ndata: not JSON\n\ndata: 7\n\n",
        "event: message_start\ndata: {\"message\":{\"id\":\"a\",\"content\":[]},\"error\":{\"message\":\"\",\"type\":\"\",\"code\":null}}\n\n",
        "event: content_block_start\ndata: {\"index\":0,\"content_block\":{\"type\":\"text\",\"text\":\"A\"}}\n\n",
        "event: content_block_delta\ndata: {\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"B\\ud83d\"}}\n\n",
        "data: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":null}\n\n",
        "event: data\ndata: [DONE]\n\n",
    );
    let got = conformance::decode(Format::Messages, body.as_bytes(), 1);
    assert!(got.error.is_none());
    assert_eq!(got.response.text(), "AB\u{fffd}");
    assert_eq!(got.response.finish, Finish::Unknown);
}

#[test]
fn a_refusal_offers_no_calls() {
    let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}});
    let got = stream(&[start(), open(0, text_block()), said(0, "I"), close(0), open(1, call), close(1), stop("refusal")]);
    assert!(got.error.is_none());
    assert!(!got.events.iter().any(|e| matches!(e, Event::ToolCall { .. })));
    // It would stay without a result, which the provider does not take back.
    assert_eq!(native(&got.response), r#"[{"type":"text","text":"I"}]"#);
}

#[test]
fn what_was_cut_off_can_still_go_back() {
    let thinking = |signature: &str| json!({"type": "thinking", "thinking": "t", "signature": signature});
    let server = |id: &str| json!({"type": "server_tool_use", "id": id, "name": "w", "input": {}});
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": []});
    let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
    let got = stream(&[
        start(),
        open(0, thinking("c2ln")),
        close(0),
        open(1, server("s1")),
        close(1),
        open(2, result),
        close(2),
        open(3, text_block()),
        said(3, "Hi"),
        close(3),
        open(4, call),
        close(4),
        open(5, server("s2")),
        close(5),
        open(6, thinking("")),
    ]);
    assert_eq!(got.error.unwrap().kind(), Kind::Truncated);
    let kinds =
        |value: &Value| value.as_array().unwrap().iter().map(|b| b["type"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(kinds(got.response.native.as_ref().unwrap()), ["thinking", "server_tool_use", "web_search_tool_result", "text"]);
    let raw: Value = serde_json::from_slice(&got.response.raw).unwrap();
    assert_eq!(raw["content"].as_array().unwrap().len(), 7);
    // Thinking alone, which ran into the limit, is no turn that can be sent.
    let got = stream(&[start(), open(0, thinking("c2ln")), close(0), stop("max_tokens")]);
    assert_eq!(native(&got.response), "[]");
}

#[test]
fn blank_text_goes_back_beside_real_text_only() {
    let block = |text: &str| json!({"type": "text", "text": text});
    let call = json!({"type": "tool_use", "id": "a", "name": "f", "input": {}});
    let whole = |content: Value| {
        let body = json!({"type": "message", "id": "a", "content": content, "stop_reason": "tool_use"}).to_string();
        conformance::decode(Format::Messages, body.as_bytes(), 4096).response.native.unwrap()
    };
    assert_eq!(whole(json!([block("\n\n"), call])), json!([call]));
    assert_eq!(whole(json!([block(""), block("\n\n"), block("x"), call])), json!([block("\n\n"), block("x"), call]));
}

#[test]
fn a_whole_message_as_an_event_and_usage_that_is_missing() {
    let got = stream(&[json!({"type": "message", "id": "a", "model": "m", "content": "plain", "stop_reason": "end_turn"})]);
    assert!(got.error.is_none());
    assert_eq!(got.response.text(), "plain");
    assert_eq!(got.response.usage, Usage::default());
    assert_eq!(native(&got.response), r#"[{"type":"text","text":"plain"}]"#);
}

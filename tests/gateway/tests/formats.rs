//! The three formats, streamed and not, say the same.

mod client;

use apertis_gateway::Gateway;
use client::{ask, get, plain, streamed, Client, CHAT, MESSAGES, RESPONSES};
use serde_json::{json, Value};

const ALL: &str = "say=Hällo wörld 👋;reasoning=let me think;tool=f:{\"a\": [1, 2]};tool=g;usage=20,9,5,3";

#[derive(Debug, Default, PartialEq)]
struct Seen {
    text: String,
    reasoning: String,
    refusal: String,
    calls: Vec<(String, String, String)>,
    finish: String,
    usage: Option<(u64, u64, u64, u64)>,
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn chat_usage(usage: &Value) -> Option<(u64, u64, u64, u64)> {
    let number = |pointer| usage.pointer(pointer).and_then(Value::as_u64);
    Some((
        number("/prompt_tokens")?,
        number("/completion_tokens")?,
        number("/prompt_tokens_details/cached_tokens")?,
        number("/completion_tokens_details/reasoning_tokens")?,
    ))
}

fn chat_stream(events: &[(String, Value)]) -> Seen {
    let mut seen = Seen::default();
    for (_, chunk) in events.iter().filter(|(_, data)| data.is_object()) {
        seen.usage = chat_usage(&chunk["usage"]).or(seen.usage);
        let Some(choice) = chunk["choices"].get(0) else {
            continue;
        };
        let delta = &choice["delta"];
        seen.text += text(&delta["content"]);
        seen.reasoning += text(&delta["reasoning_content"]);
        seen.refusal += text(&delta["refusal"]);
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            if let Some(id) = call["id"].as_str() {
                let name = text(&call["function"]["name"]).to_owned();
                seen.calls.push((id.to_owned(), name, String::new()));
            }
            let last = seen.calls.len() - 1;
            let index = call["index"].as_u64().map_or(last, |n| n as usize);
            seen.calls[index].2 += text(&call["function"]["arguments"]);
        }
        seen.finish += text(&choice["finish_reason"]);
    }
    seen
}

fn chat_whole(body: &Value) -> Seen {
    let message = &body["choices"][0]["message"];
    let calls = message["tool_calls"].as_array().into_iter().flatten();
    let part = |call: &Value, pointer| text(call.pointer(pointer).unwrap()).to_owned();
    Seen {
        text: text(&message["content"]).into(),
        reasoning: text(&message["reasoning_content"]).into(),
        refusal: text(&message["refusal"]).into(),
        calls: calls.map(|c| (part(c, "/id"), part(c, "/function/name"), part(c, "/function/arguments"))).collect(),
        finish: text(&body["choices"][0]["finish_reason"]).into(),
        usage: chat_usage(&body["usage"]),
    }
}

fn responses_whole(body: &Value) -> Seen {
    let mut seen = Seen { finish: text(&body["status"]).into(), ..Seen::default() };
    for item in body["output"].as_array().unwrap() {
        match text(&item["type"]) {
            "reasoning" => seen.reasoning += text(&item["summary"][0]["text"]),
            "message" => {
                for part in item["content"].as_array().unwrap() {
                    seen.text += text(&part["text"]);
                    seen.refusal += text(&part["refusal"]);
                }
            }
            "function_call" => {
                seen.calls.push((text(&item["call_id"]).into(), text(&item["name"]).into(), text(&item["arguments"]).into()))
            }
            other => panic!("item {other}"),
        }
    }
    let number = |pointer| body["usage"].pointer(pointer).and_then(Value::as_u64);
    seen.usage = number("/input_tokens").map(|input| {
        let cached = number("/input_tokens_details/cached_tokens").unwrap();
        let reasoning = number("/output_tokens_details/reasoning_tokens").unwrap();
        (input, number("/output_tokens").unwrap(), cached, reasoning)
    });
    seen
}

/// From the deltas alone; what `.done` and the last event say is checked against them.
fn responses_stream(events: &[(String, Value)]) -> Seen {
    let mut seen = Seen::default();
    let mut arguments: Vec<(String, String)> = Vec::new();
    for (number, (name, event)) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], json!(number));
        assert_eq!(&event["type"], name);
        let delta = text(&event["delta"]);
        match name.as_str() {
            "response.output_text.delta" => seen.text += delta,
            "response.reasoning_summary_text.delta" => seen.reasoning += delta,
            "response.refusal.delta" => seen.refusal += delta,
            "response.output_item.added" if event["item"]["type"] == "function_call" => {
                arguments.push((text(&event["item"]["id"]).into(), String::new()));
            }
            "response.function_call_arguments.delta" => {
                let id = text(&event["item_id"]);
                arguments.iter_mut().find(|(i, _)| i == id).unwrap().1 += delta;
            }
            _ => {}
        }
    }
    let last = &events.last().unwrap().1;
    let whole = responses_whole(&last["response"]);
    assert_eq!(whole.text, seen.text);
    assert_eq!(whole.reasoning, seen.reasoning);
    assert_eq!(whole.refusal, seen.refusal);
    let streamed: Vec<_> = arguments.iter().map(|(_, a)| a.as_str()).collect();
    let given: Vec<_> = whole.calls.iter().map(|c| c.2.as_str()).collect();
    assert_eq!(given, streamed);
    whole
}

fn messages_usage(usage: &Value) -> Option<(u64, u64, u64, u64)> {
    let cached = usage["cache_read_input_tokens"].as_u64()?;
    let thinking = usage.pointer("/output_tokens_details/thinking_tokens");
    Some((
        usage["input_tokens"].as_u64()? + cached,
        usage["output_tokens"].as_u64()?,
        cached,
        thinking.and_then(Value::as_u64).unwrap_or(0),
    ))
}

fn messages_whole(body: &Value) -> Seen {
    let mut seen = Seen {
        finish: text(&body["stop_reason"]).into(),
        usage: messages_usage(&body["usage"]),
        refusal: text(&body["stop_details"]["explanation"]).into(),
        ..Seen::default()
    };
    for block in body["content"].as_array().unwrap() {
        match text(&block["type"]) {
            "thinking" => {
                seen.reasoning += text(&block["thinking"]);
                assert!(!text(&block["signature"]).is_empty());
            }
            "text" => seen.text += text(&block["text"]),
            "tool_use" => seen.calls.push((text(&block["id"]).into(), text(&block["name"]).into(), block["input"].to_string())),
            other => panic!("block {other}"),
        }
    }
    seen
}

fn messages_stream(events: &[(String, Value)]) -> Seen {
    let mut message = events[0].1["message"].clone();
    let mut inputs = Vec::new();
    assert_eq!(events[0].0, "message_start");
    assert_eq!(events.last().unwrap().0, "message_stop");
    for (name, event) in events {
        assert_eq!(&event["type"], name);
        let index = event["index"].as_u64().unwrap_or_default() as usize;
        let delta = &event["delta"];
        match name.as_str() {
            "content_block_start" => {
                let blocks = message["content"].as_array_mut().unwrap();
                assert_eq!(blocks.len(), index);
                blocks.push(event["content_block"].clone());
                inputs.push(String::new());
            }
            "content_block_delta" => {
                let block = &mut message["content"][index];
                for (kind, from, to) in [
                    ("text_delta", "text", "text"),
                    ("thinking_delta", "thinking", "thinking"),
                    ("signature_delta", "signature", "signature"),
                ] {
                    if delta["type"] == kind {
                        block[to] = json!(format!("{}{}", text(&block[to]), text(&delta[from])));
                    }
                }
                inputs[index] += text(&delta["partial_json"]);
            }
            "content_block_stop" if !inputs[index].is_empty() => {
                message["content"][index]["input"] = serde_json::from_str(&inputs[index]).unwrap();
            }
            "message_delta" => {
                for field in ["stop_reason", "stop_details"] {
                    message[field] = delta[field].clone();
                }
                if event["usage"].is_object() {
                    message["usage"] = event["usage"].clone();
                }
            }
            _ => {}
        }
    }
    messages_whole(&message)
}

fn with_usage() -> Value {
    let mut body = streamed();
    body["stream_options"] = json!({"include_usage": true});
    body
}

fn both(gateway: &Gateway, path: &str, script: &str) -> Seen {
    let stream = ask(gateway, path, script, &with_usage());
    let whole = ask(gateway, path, script, &plain());
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert_eq!(whole.header("content-type"), Some("application/json"));
    let (stream, whole) = match path {
        CHAT => (chat_stream(&stream.events()), chat_whole(&whole.json())),
        RESPONSES => (responses_stream(&stream.events()), responses_whole(&whole.json())),
        _ => (messages_stream(&stream.events()), messages_whole(&whole.json())),
    };
    assert_eq!(stream, whole, "{path} {script}");
    stream
}

#[test]
fn everything_at_once() {
    let gateway = Gateway::start();
    for (path, finish) in [(CHAT, "tool_calls"), (RESPONSES, "completed"), (MESSAGES, "tool_use")] {
        let first = if path == MESSAGES { "{\"a\":[1,2]}" } else { "{\"a\": [1, 2]}" };
        let call = |id: &str, name: &str, arguments: &str| (id.into(), name.into(), arguments.into());
        let expected = Seen {
            text: "Hällo wörld 👋".into(),
            reasoning: "let me think".into(),
            refusal: String::new(),
            calls: vec![call("call_1", "f", first), call("call_2", "g", "{}")],
            finish: finish.into(),
            usage: Some((20, 9, 5, 3)),
        };
        assert_eq!(both(&gateway, path, ALL), expected);
    }
}

#[test]
fn refusals_finish_reasons_and_no_usage() {
    let gateway = Gateway::start();
    for (path, refused) in [(CHAT, "stop"), (RESPONSES, "completed"), (MESSAGES, "refusal")] {
        let seen = both(&gateway, path, "refusal=I will not;usage=none");
        assert_eq!(seen.refusal, "I will not");
        assert_eq!((seen.finish.as_str(), seen.text.as_str()), (refused, ""));
        assert_eq!(seen.usage, None);
        let seen = both(&gateway, path, "say=cut;finish=length");
        let raw = if path == RESPONSES { "incomplete" } else { "length" };
        assert_eq!(seen.finish, raw);
    }
    let body = ask(&gateway, RESPONSES, "say=x;finish=content_filter", &plain()).json();
    assert_eq!(body["incomplete_details"]["reason"], "content_filter");
}

#[test]
fn chat_has_its_chunks_in_order() {
    let gateway = Gateway::start();
    let chunks = ask(&gateway, CHAT, "say=ab;deltas=2;id=i;model=n", &with_usage()).events();
    assert_eq!(chunks.len(), 6);
    let delta = |n: usize| &chunks[n].1["choices"][0]["delta"];
    assert_eq!(delta(0), &json!({"role": "assistant", "content": "", "refusal": null}));
    assert_eq!(delta(1), &json!({"content": "a"}));
    assert_eq!(delta(3), &json!({}));
    assert_eq!(chunks[3].1["choices"][0]["finish_reason"], "stop");
    assert_eq!(chunks[3].1["usage"], Value::Null);
    assert_eq!(chunks[4].1["choices"], json!([]));
    assert_eq!(chunks[5].1, "[DONE]");
    assert_eq!((&chunks[2].1["id"], &chunks[2].1["model"]), (&json!("i"), &json!("n")));

    let without = ask(&gateway, CHAT, "say=ab;deltas=2", &streamed());
    assert_eq!(without.events().len(), 5);
    assert!(!without.text().contains("usage"));
    let endless = ask(&gateway, CHAT, "say=ab;deltas=2;finish=none", &streamed());
    assert_eq!(endless.events().len(), 3);
    let bare = ask(&gateway, CHAT, "say=ab;deltas=2;done=0", &streamed());
    assert_eq!(bare.events().len(), 4);
}

#[test]
fn reasoning_in_every_spelling() {
    let gateway = Gateway::start();
    for field in ["reasoning_content", "reasoning", "thinking"] {
        let script = format!("say=x;reasoning=a b;reasoning_field={field}");
        let events = ask(&gateway, CHAT, &script, &streamed()).events();
        assert_eq!(events[1].1["choices"][0]["delta"], json!({field: "a"}));
        let whole = ask(&gateway, CHAT, &script, &plain()).json();
        assert_eq!(whole["choices"][0]["message"][field], "a b");
    }
    let script = "say=x;reasoning=a b;reasoning_field=reasoning_details";
    let events = ask(&gateway, CHAT, script, &streamed()).events();
    let entry = |n: usize| &events[n].1["choices"][0]["delta"]["reasoning_details"][0];
    assert_eq!(entry(1)["text"], "a");
    assert!(entry(3)["signature"].is_string());

    let mut body = streamed();
    assert!(!ask(&gateway, RESPONSES, "reasoning=a;say=x", &body).text().contains("encrypted_content"));
    body["include"] = json!(["reasoning.encrypted_content"]);
    let events = ask(&gateway, RESPONSES, "reasoning=a;say=x", &body).events();
    assert!(events.last().unwrap().1["response"]["output"][0]["encrypted_content"].is_string());
}

#[test]
fn tool_calls_in_every_style() {
    let gateway = Gateway::start();
    for style in ["normal", "noindex", "whole", "interleaved"] {
        for path in [CHAT, MESSAGES] {
            let script = format!("tool=f:{{\"a\":1}};tool=g:{{\"b\":2}};tool_style={style};tool_deltas=4");
            let seen = both(&gateway, path, &script);
            assert_eq!(seen.calls[0].2, "{\"a\":1}", "{style}");
            assert_eq!(seen.calls[1].2, "{\"b\":2}", "{style}");
        }
    }
    let script = "tool=f:{\"a\":1};tool=g;tool_style=noindex";
    assert!(!ask(&gateway, CHAT, script, &streamed()).text().contains("tool_calls\":[{\"index"));
    let script = "tool=f:{\"a\":1};tool=g;tool_style=whole";
    assert_eq!(ask(&gateway, CHAT, script, &streamed()).events().len(), 5);
    let text = ask(&gateway, RESPONSES, script, &streamed()).text();
    assert!(!text.contains("arguments.delta") && text.contains("arguments.done"));
    both(&gateway, RESPONSES, "tool=f:{\"a\":1};tool=g:{};tool_style=interleaved");
}

#[test]
fn results_are_repeated_and_rounds_are_counted() {
    let gateway = Gateway::start();
    let mut messages = vec![json!({"role": "user", "content": "q"})];
    let script = "tool=f;rounds=2";
    for round in 1..=2 {
        let body = json!({"messages": messages});
        let answer = ask(&gateway, CHAT, script, &body).json();
        let message = answer["choices"][0]["message"].clone();
        let id = message["tool_calls"][0]["id"].clone();
        assert_eq!(id, format!("call_{round}"));
        messages.push(message);
        messages.push(json!({"role": "tool", "tool_call_id": id, "content": format!("r{round}")}));
    }
    let answer = ask(&gateway, CHAT, script, &json!({"messages": messages})).json();
    assert_eq!(answer["choices"][0]["message"]["content"], "Results: r1, r2");

    // The same where the gateway keeps the history.
    let mut body = json!({"input": "q"});
    for round in 1..=2 {
        let answer = ask(&gateway, RESPONSES, script, &body).json();
        let id = &answer["output"][0]["call_id"];
        assert_eq!(id, &json!(format!("call_{round}")));
        let output = json!({"type": "function_call_output", "call_id": id, "output": "r"});
        body = json!({"previous_response_id": answer["id"], "input": [output]});
    }
    let seen = responses_whole(&ask(&gateway, RESPONSES, script, &body).json());
    assert_eq!(seen.text, "Results: r");
}

#[test]
fn errors_have_the_shape_of_their_format() {
    let gateway = Gateway::start();
    let script = "status=429;error=slow:rate:Too fast;retry_after=3;retry_after_ms=2500;should_retry=true";
    for path in [CHAT, RESPONSES] {
        let answer = ask(&gateway, path, script, &streamed());
        assert_eq!(answer.status, 429);
        let error = json!({"message": "Too fast", "type": "rate", "param": null, "code": "slow"});
        assert_eq!(answer.json(), json!({"error": error}));
        assert_eq!(answer.header("retry-after"), Some("3"));
        assert_eq!(answer.header("retry-after-ms"), Some("2500"));
        assert_eq!(answer.header("x-should-retry"), Some("true"));
    }
    let body = ask(&gateway, MESSAGES, "status=529", &plain()).json();
    assert_eq!(body["type"], "error");
    assert_eq!(body["error"]["type"], "overloaded_error");
    assert_eq!(ask(&gateway, CHAT, "status=200;error=a:b:c", &plain()).json()["error"]["type"], "b");
}

#[test]
fn errors_within_a_stream() {
    let gateway = Gateway::start();
    let script = |n| format!("say=a b c;error_after={n};error=over:overloaded_error:Overloaded");
    let events = ask(&gateway, CHAT, &script(2), &streamed()).events();
    assert_eq!(events.len(), 4);
    assert_eq!(events[3].1["error"]["message"], "Overloaded");
    let events = ask(&gateway, MESSAGES, &script(1), &streamed()).events();
    let (name, event) = events.last().unwrap();
    assert_eq!((name.as_str(), &event["error"]["type"]), ("error", &json!("overloaded_error")));
    let events = ask(&gateway, RESPONSES, &script(9), &streamed()).events();
    let names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[names.len() - 2..], ["error", "response.failed"]);
    for path in [CHAT, RESPONSES, MESSAGES] {
        let answer = ask(&gateway, path, &script(0), &streamed());
        assert!(answer.events()[0].1.to_string().contains("Overloaded"), "{path}");
    }
}

#[test]
fn exact_bodies_echo_and_models_that_are_scripts() {
    let gateway = Gateway::start();
    let answer = ask(&gateway, CHAT, "body=a%3Bb;content_type=text/html;status=502;header=x-a: 1;header=X-A:2", &plain());
    assert_eq!((answer.status, answer.text().as_str()), (502, "a;b"));
    assert_eq!(answer.header("content-type"), Some("text/html"));
    assert_eq!(answer.head.matches("x-a:").count(), 2);
    let body = "{\"model\": \"gw:echo=1\",\"n\":1.50}";
    let mut client = Client::new(&gateway);
    client.send("POST", "/any/prefix/chat/completions?api-version=7", &[], body);
    let seen = chat_whole(&client.receive().json());
    assert_eq!(seen.text, body);
    let entry = &gateway.log(Some("echo=1"))[0];
    assert_eq!(entry["path"], "/any/prefix/chat/completions");
    assert_eq!((&entry["query"], &entry["raw"]), (&json!("api-version=7"), &json!(body)));
    assert_eq!(entry["body"]["model"], "gw:echo=1");
    let long = ask(&gateway, CHAT, "body=0123456789;body_repeat=300000", &plain());
    assert_eq!(long.body().len(), 3_000_000);
    let forced = ask(&gateway, CHAT, "say=x;json=1", &streamed());
    assert_eq!(forced.header("content-type"), Some("application/json"));
    let forced = ask(&gateway, CHAT, "say=x;sse=1", &plain());
    assert_eq!(forced.header("content-type"), Some("text/event-stream"));
}

#[test]
fn a_newcomer_gets_a_paragraph() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway);
    client.send("POST", CHAT, &[], &plain().to_string());
    let text = chat_whole(&client.receive().json()).text;
    assert!(text.contains("No key") && text.contains('👋') && text.contains('ü'));
    assert!(text.ends_with("You asked: \"q\""), "{text}");
    let words = text.split_whitespace().count();
    assert!((50..=75).contains(&words), "{words}");
    client.send("POST", MESSAGES, &[], &streamed().to_string());
    let answer = client.receive();
    assert!(answer.took.as_millis() >= 30 * (words as u128 - 2));
    assert_eq!(messages_stream(&answer.events()).text, text);
}

#[test]
fn keys_and_what_cannot_be_answered() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway);
    for (header, value) in [("authorization", "Bearer sk-wrong"), ("x-api-key", "sk-wrong")] {
        client.send("POST", MESSAGES, &[(header, value)], "{}");
        let answer = client.receive();
        assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (401, Some("authentication_error")));
    }
    assert_eq!(ask(&gateway, CHAT, "auth=1", &plain()).status, 401);
    let headers = [("x-gateway", "auth=1;say=x"), ("Authorization", "bearer any")];
    client.send("POST", CHAT, &headers, "{}");
    assert_eq!(client.receive().status, 200);
    for (body, status) in [("no json", 400), ("[1]", 400), ("", 200)] {
        client.send("POST", CHAT, &[("x-gateway", "say=x")], body);
        assert_eq!(client.receive().status, status, "{body}");
    }
    let answer = ask(&gateway, CHAT, "sey=x", &plain());
    assert_eq!(answer.status, 400);
    assert!(answer.text().contains("sey"));
    for path in ["/v1/nothing", "/", "/v1/chat/completions"] {
        assert_eq!(get(&gateway, path).status, 404);
    }
}

#[test]
fn fixtures_embeddings_models() {
    let folder = std::env::temp_dir().join(format!("gateway-fixtures-{}", std::process::id()));
    std::fs::create_dir_all(folder.join("chat")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join("chat").join(name), text).unwrap();
    write(
        "manifest.json",
        r#"{"a": {"file": "a.json", "status": 418, "content_type": "text/x", "headers": {"x-b": "c", "content-length": "9"}}}"#,
    );
    write("a.json", "{}");
    write("b.sse", "data: 1\n\ndata: 2\n\n");
    let gateway = Gateway::start_on(0, vec![folder.join("none"), folder.clone()]);
    let answer = ask(&gateway, CHAT, "fixture=chat/a", &plain());
    assert_eq!((answer.status, answer.text().as_str()), (418, "{}"));
    assert_eq!(answer.header("x-b"), Some("c"));
    let answer = ask(&gateway, CHAT, "fixture=chat/b;pace_ms=20", &streamed());
    assert_eq!(answer.events().len(), 2);
    assert!(answer.took.as_millis() >= 20);
    for wrong in ["chat/c", "chat/../chat/a", "a", "../x/y"] {
        assert_eq!(ask(&gateway, CHAT, &format!("fixture={wrong}"), &plain()).status, 404);
    }
    std::fs::remove_dir_all(folder).unwrap();

    let floats = json!({"model": "e", "input": ["a", "b"], "dimensions": 4});
    let answer = ask(&gateway, "/v1/embeddings", "key=e", &floats).json();
    assert_eq!(answer["data"][1]["embedding"].as_array().unwrap().len(), 4);
    let encoded = json!({"model": "e", "input": "a", "encoding_format": "base64"});
    let answer = ask(&gateway, "/v1/embeddings", "key=e", &encoded).json();
    assert!(answer["data"][0]["embedding"].is_string());
    assert_eq!(ask(&gateway, "/v1/embeddings", "status=500", &encoded).status, 500);
    assert_eq!(get(&gateway, "/v1/models").json()["object"], "list");
}

//! Every fault does on the wire what it says.

mod client;

use std::io::{Read, Write};
use std::time::Duration;

use apertis_gateway::Gateway;
use client::{ask, get, plain, streamed, until, Client, Ending, CHAT, MESSAGES, RESPONSES};
use serde_json::json;

#[test]
fn cut_at_the_byte() {
    let gateway = Gateway::start();
    let all = ask(&gateway, CHAT, "say=a b c;id=x", &streamed()).wire.len();
    for (name, ending) in [("reset", Ending::Reset), ("close", Ending::Eof)] {
        for at in [0, 1, 2, 3, 50, 300, all - 6, all - 1, all] {
            let answer = ask(&gateway, CHAT, &format!("say=a b c;id=x;{name}={at}"), &streamed());
            assert_eq!(answer.status, 200, "{name}={at}");
            assert_eq!(answer.wire.len(), at, "{name}={at}");
            // At its last byte the client has seen the end already.
            let expected = if at == all { Ending::Complete } else { ending };
            assert_eq!(answer.ending, expected, "{name}={at}");
        }
        let answer = ask(&gateway, CHAT, &format!("say=abc;{name}=7"), &plain());
        assert_eq!((answer.wire.len(), answer.ending), (7, ending));
        let answer = ask(&gateway, CHAT, &format!("say=abc;{name}=head"), &plain());
        assert_eq!((answer.head.as_str(), answer.ending), ("", ending));
        let answer = ask(&gateway, CHAT, &format!("say=a b c;{name}=99999999"), &streamed());
        assert_eq!(answer.ending, Ending::Complete);
    }
    let answer = ask(&gateway, CHAT, "reset=accept", &plain());
    assert_eq!((answer.head.as_str(), answer.ending), ("", Ending::Reset));
    until(&gateway, "open", 0);
    assert_eq!(gateway.stats()["cancelled"], 0, "our faults are nobody's cancellation");
    assert_eq!(gateway.stats()["in_flight"], 0);
}

#[test]
fn megabytes_are_cut_exactly_too() {
    let gateway = Gateway::start();
    let script = "body=0123456789;body_repeat=1000000;length=1;close=3333333";
    let answer = ask(&gateway, CHAT, script, &plain());
    assert_eq!((answer.wire.len(), answer.ending), (3_333_333, Ending::Eof));
}

#[test]
fn stalls() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway).patience(150);
    let answer = client.ask(CHAT, "say=a b c;stall=60", &streamed());
    assert_eq!((answer.wire.len(), answer.ending), (60, Ending::Silence));
    let mut client = Client::new(&gateway).patience(150);
    let answer = client.ask(CHAT, "say=a b c;stall=head", &streamed());
    assert_eq!((answer.head.as_str(), answer.ending), ("", Ending::Silence));

    let answer = ask(&gateway, CHAT, "say=a b c;stall=head;stall_ms=120", &streamed());
    assert!(answer.first >= Duration::from_millis(115), "{:?}", answer.first);
    assert_eq!(answer.events().len(), 6);
    let answer = ask(&gateway, CHAT, "say=a b c;stall=10;stall_ms=120", &streamed());
    assert!(answer.first < Duration::from_millis(100) && answer.took >= Duration::from_millis(115));
    assert_eq!(answer.events().len(), 6);
    let answer = ask(&gateway, CHAT, "say=a b c;stall=10;stall_ms=50;reset=20", &streamed());
    assert_eq!((answer.wire.len(), answer.ending), (20, Ending::Reset));
    assert!(answer.took >= Duration::from_millis(50));
}

#[test]
fn a_client_that_hangs_up_is_noticed() {
    let gateway = Gateway::start();
    let scripts = [
        "say=a b c;stall=head",
        "say=a b c;stall=20",
        "say=abc;stall=3;json=1",
        "say=a b c;pace_ms=60000",
        "say=a b c;chunk=1;gap_ms=60000",
        "body=0123456789;body_repeat=100000000",
    ];
    for (before, script) in scripts.iter().enumerate() {
        let mut client = Client::new(&gateway).patience(50);
        let body = streamed().to_string();
        let connection = if before % 2 == 0 { "close" } else { "keep-alive" };
        client.send("POST", CHAT, &[("x-gateway", script), ("connection", connection)], &body);
        std::thread::sleep(Duration::from_millis(30));
        assert_eq!(gateway.stats()["in_flight"], 1, "{script}");
        drop(client);
        until(&gateway, "cancelled", before as u64 + 1);
        until(&gateway, "open", 0);
        assert_eq!(gateway.stats()["in_flight"], 0, "{script}");
    }
    // A whole answer is no cancellation, whatever happens then.
    ask(&gateway, CHAT, "say=a", &streamed());
    until(&gateway, "open", 0);
    assert_eq!(gateway.stats()["cancelled"], scripts.len());
}

#[test]
fn failures_are_counted_by_key() {
    let gateway = Gateway::start();
    let script = "say=ok;fail=429,0,503;key=k;retry_after_ms=7";
    let mut endings = Vec::new();
    for _ in 0..5 {
        let answer = ask(&gateway, MESSAGES, script, &plain());
        assert_eq!(answer.header("retry-after-ms").is_some(), answer.status >= 400);
        endings.push((answer.status, answer.ending));
    }
    let complete = |status| (status, Ending::Complete);
    let expected = [complete(429), (0, Ending::Eof), complete(503), complete(200), complete(200)];
    assert_eq!(endings, expected);
    assert_eq!(ask(&gateway, CHAT, "fail=500;say=x;key=l", &plain()).status, 500);
    assert_eq!(gateway.log(Some("k")).len(), 5);
    gateway.reset();
    assert_eq!(gateway.log(None).len(), 0);
    assert_eq!(ask(&gateway, MESSAGES, script, &plain()).status, 429);

    let once = "say=x;reset=0;times=1;key=m";
    assert_eq!(ask(&gateway, CHAT, once, &plain()).ending, Ending::Reset);
    assert_eq!(ask(&gateway, CHAT, once, &plain()).status, 200);
    let once = "say=x;reset=accept;times=1;key=n";
    assert_eq!(ask(&gateway, CHAT, once, &plain()).ending, Ending::Reset);
    assert_eq!(ask(&gateway, CHAT, once, &plain()).status, 200);
}

#[test]
fn the_log_knows_what_came() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway);
    client.ask(CHAT, "key=a%20b;say=x", &plain());
    client.ask(MESSAGES, "key=a%20b;say=x", &plain());
    ask(&gateway, CHAT, "key=other;say=x", &plain());
    let log = get(&gateway, "/v1/_log?key=a%20b").json();
    assert_eq!(log.as_array().unwrap().len(), 2);
    assert_eq!(log, json!(gateway.log(Some("a b"))));
    assert_eq!((&log[1]["method"], &log[1]["path"]), (&json!("POST"), &json!(MESSAGES)));
    assert_eq!(log[0]["connection"], log[1]["connection"]);
    assert_eq!(log[0]["headers"]["x-gateway"], "key=a%20b;say=x");
    assert_eq!(log[0]["body"], plain());
    assert!(log[0]["t_ms"].as_u64() <= log[1]["t_ms"].as_u64());
    assert_eq!(get(&gateway, "/_log").json().as_array().unwrap().len(), 3);
    let stats = get(&gateway, "/_stats").json();
    assert_eq!((&stats["requests"], &stats["max_in_flight"]), (&json!(3), &json!(1)));
    assert_eq!(get(&gateway, "/_reset").status, 200);
    assert_eq!(get(&gateway, "/_log").json(), json!([]));
}

#[test]
fn lengths_that_lie() {
    let gateway = Gateway::start();
    let answer = ask(&gateway, CHAT, "body=0123456789;length=1", &streamed());
    assert_eq!((answer.header("content-length"), answer.wire.len()), (Some("10"), 10));
    assert_eq!(answer.ending, Ending::Complete);
    let answer = ask(&gateway, CHAT, "body=0123456789;length=12", &plain());
    assert_eq!((answer.wire.len(), answer.ending), (10, Ending::Eof));
    let mut client = Client::new(&gateway);
    client.ask(CHAT, "body=0123456789;length=4", &plain());
    // What does not fit stands where the next answer should start.
    let second = client.ask(CHAT, "body=ab;length=0", &plain());
    assert!(second.head.contains("HTTP/1.1 200"), "{second:?}");
    let answer = ask(&gateway, CHAT, "body=ab;length=0", &plain());
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
}

#[test]
fn connections_are_kept_or_not() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway);
    let answer = client.ask(CHAT, "say=x;keep_alive=0", &plain());
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);

    let mut client = Client::new(&gateway);
    for _ in 0..3 {
        assert_eq!(client.ask(CHAT, "say=x;idle_close_ms=150", &streamed()).status, 200);
        std::thread::sleep(Duration::from_millis(30));
    }
    let started = std::time::Instant::now();
    assert_eq!(client.stream.read(&mut [0]).unwrap(), 0);
    assert!(started.elapsed() >= Duration::from_millis(80), "{:?}", started.elapsed());
    until(&gateway, "open", 0);
    assert_eq!(gateway.stats()["cancelled"], 0);
}

#[test]
fn redirects() {
    let gateway = Gateway::start();
    let answer = ask(&gateway, CHAT, "redirect=http://127.0.0.1:1/v1", &plain());
    assert_eq!(answer.status, 307);
    assert_eq!(answer.header("location"), Some("http://127.0.0.1:1/v1"));
}

#[test]
fn large_requests_and_those_that_are_too_large() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway);
    let body = format!("{{\"x\":\"{}\"}}", "y".repeat(20 << 20));
    client.send("POST", CHAT, &[("x-gateway", "say=x"), ("expect", "100-continue")], &body);
    assert_eq!(client.receive().status, 200);
    assert_eq!(gateway.log(None)[0]["raw"].as_str().unwrap().len(), body.len());

    let mut client = Client::new(&gateway);
    let head = format!("POST {CHAT} HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", 65 << 20);
    client.stream.write_all(head.as_bytes()).unwrap();
    let block = vec![b'x'; 1 << 20];
    for _ in 0..65 {
        if client.stream.write_all(&block).is_err() {
            break;
        }
    }
    let answer = client.receive();
    assert!(answer.status == 413 || answer.ending == Ending::Reset, "{answer:?}");
}

#[test]
fn it_stops_when_it_is_dropped() {
    let gateway = Gateway::start();
    let mut client = Client::new(&gateway);
    client.send("POST", CHAT, &[("x-gateway", "stall=head")], "{}");
    drop(gateway);
    assert!(matches!(client.receive().ending, Ending::Eof | Ending::Reset));
}

#[test]
fn extremes_do_no_harm() {
    const MOST: &str = "18446744073709551615";
    let gateway = Gateway::start();
    for script in [
        format!("say=x;usage={MOST},{MOST},{MOST},{MOST}"),
        format!("say=x;deltas={MOST};reset={MOST};stall={MOST};stall_ms={MOST};idle_close_ms={MOST}"),
        format!("say=x;repeat={MOST}"),
        format!("body=x;length={MOST}"),
        "body=;body_repeat=9;length=1".into(),
        "body=;length=5".into(),
        "body=;gzip=1;length=3".into(),
        "status=204;say=x".into(),
        "say=;tool=:;tool_style=whole".into(),
        "tool=f:{;tool=g:;reasoning=".into(),
        "header=bad name:x".into(),
        "say=%ff%;;=;=1".into(),
        "error=;status=500".into(),
    ] {
        for body in [plain(), streamed(), json!({"messages": [[]], "input": [1]})] {
            for path in [CHAT, RESPONSES, MESSAGES] {
                let answer = ask(&gateway, path, &script, &body);
                assert_ne!(answer.status, 0, "{script}");
                assert_ne!(answer.ending, Ending::Silence, "{script}");
            }
        }
    }
    assert_eq!(gateway.stats()["cancelled"], 0);
}

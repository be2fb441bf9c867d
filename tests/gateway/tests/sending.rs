//! How answers are cut into writes.

mod client;

use std::io::Read;
use std::time::Duration;

use apertis_gateway::Gateway;
use client::{ask, plain, streamed, CHAT, MESSAGES};

#[test]
fn one_byte_at_a_time_is_fast() {
    let gateway = Gateway::start();
    let script = "body=0123456789;body_repeat=2000;chunk=1";
    let answer = ask(&gateway, CHAT, script, &plain());
    let chunks = answer.chunks();
    assert_eq!(chunks.len(), 20_000);
    assert!(chunks.iter().all(|chunk| chunk.len() == 1));
    assert!(answer.took < Duration::from_secs(1), "{:?}", answer.took);
}

#[test]
fn chunks_cross_the_events() {
    let gateway = Gateway::start();
    let whole = ask(&gateway, MESSAGES, "say=a b c ü;id=i", &streamed()).body();
    for size in [1, 7, 100, 4096] {
        let script = format!("say=a b c ü;id=i;chunk={size}");
        let answer = ask(&gateway, MESSAGES, &script, &streamed());
        assert_eq!(answer.body(), whole);
        let chunks = answer.chunks();
        assert!(chunks[..chunks.len() - 1].iter().all(|chunk| chunk.len() == size));
    }
}

#[test]
fn each_write_is_its_own() {
    let gateway = Gateway::start();
    let script = "body=0123456789012345678901234;chunk=5;gap_ms=20;length=1";
    let answer = ask(&gateway, CHAT, script, &plain());
    assert_eq!(answer.wire, b"0123456789012345678901234");
    // The head and the first bytes may have come before the first read.
    assert!(answer.reads.ends_with(&[5, 5, 5, 5]), "{:?}", answer.reads);
    assert!(answer.took >= Duration::from_millis(75), "{:?}", answer.took);
}

#[test]
fn deltas_keep_their_pace_and_come_alone() {
    let gateway = Gateway::start();
    let script = "say=a b c d e;pace_ms=25";
    let answer = ask(&gateway, CHAT, script, &streamed());
    assert!(answer.took >= Duration::from_millis(95) && answer.took < Duration::from_secs(1));
    assert!(answer.reads.len() >= 6, "{:?}", answer.reads);
    // Role, five words, the end with [DONE]: a chunk for each.
    assert_eq!(answer.chunks().len(), 7);
}

#[test]
fn gzip_is_flushed_with_each_delta() {
    let gateway = Gateway::start();
    let plain = ask(&gateway, CHAT, "say=a b c;id=i", &streamed());
    for script in ["say=a b c;id=i;gzip=1;pace_ms=15", "say=a b c;id=i;gzip=1;chunk=1", "say=a b c;id=i;gzip=1;length=1"] {
        let answer = ask(&gateway, CHAT, script, &streamed());
        assert_eq!(answer.header("content-encoding"), Some("gzip"));
        assert_eq!(unzip(&answer.body()), plain.text(), "{script}");
    }
    let answer = ask(&gateway, CHAT, "say=a b c;id=i;gzip=1;pace_ms=5", &streamed());
    let first_two = answer.chunks()[..2].concat();
    assert!(unzip(&first_two).contains("\"content\":\"a\""));
}

fn unzip(bytes: &[u8]) -> String {
    let mut text = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(bytes);
    let mut buffer = [0; 512];
    // The end of a part of a stream is no end of gzip; what came before counts.
    while let Ok(length @ 1..) = decoder.read(&mut buffer) {
        text.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(text).unwrap()
}

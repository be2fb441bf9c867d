//! Many clients at once.

mod client;

use std::time::{Duration, Instant};

use apertis_gateway::Gateway;
use client::{streamed, until, Client, Ending, CHAT};

fn crowd(clients: usize, words: usize, pace: u64) {
    let gateway = Gateway::start();
    let script = format!("say=word ;repeat={words};deltas={words};pace_ms={pace}");
    let body = streamed().to_string();
    let started = Instant::now();
    let mut crowd: Vec<_> = (0..clients)
        .map(|_| {
            let mut client = Client::new(&gateway);
            client.send("POST", CHAT, &[("x-gateway", &script)], &body);
            client
        })
        .collect();
    for client in &mut crowd {
        let answer = client.receive();
        assert_eq!(answer.ending, Ending::Complete);
        assert_eq!(answer.events().len(), words + 3);
    }
    let took = started.elapsed();
    let stats = gateway.stats();
    assert_eq!(stats["requests"], clients);
    assert_eq!(stats["max_in_flight"], clients, "they were not there at the same time");
    let ideal = Duration::from_millis(pace * (words as u64 - 1));
    println!("{clients} clients: {took:?}, alone {ideal:?}");
    assert!(took < ideal * 3 + Duration::from_secs(2), "{took:?}");
    drop(crowd);
    until(&gateway, "open", 0);
    assert_eq!(gateway.stats()["cancelled"], 0);
}

#[test]
fn five_hundred() {
    crowd(500, 20, 50);
}

#[test]
#[ignore = "needs more file descriptors than some systems give"]
fn two_thousand() {
    crowd(2000, 30, 100);
}

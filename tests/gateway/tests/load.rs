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
    println!("{clients} clients: {took:?}, alone {:?}", Duration::from_millis(pace * (words as u64 - 1)));
    drop(crowd);
    until(&gateway, "open", 0);
    assert_eq!(gateway.stats()["cancelled"], 0);
}

/// How many clients the system has descriptors for: both ends of each connection are in this process.
fn as_many_as_fit(wanted: usize) -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap_or_default();
    let soft = limits.lines().find_map(|line| line.strip_prefix("Max open files")?.split_whitespace().next()?.parse().ok());
    wanted.min((soft.unwrap_or(1024_usize).saturating_sub(100)) / 2)
}

#[test]
fn five_hundred() {
    crowd(as_many_as_fit(500), 20, 200);
}

#[test]
fn two_thousand() {
    crowd(as_many_as_fit(2000), 30, 200);
}

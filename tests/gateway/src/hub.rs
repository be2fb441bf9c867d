//! What the gateway remembers: the log, the counters behind `fail=`, the statistics.

use std::collections::{HashMap, VecDeque};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use serde_json::{json, Map, Value};

use crate::fixtures::Fixtures;

/// The log forgets its oldest entries beyond these, so that soak tests do not fill the memory.
const MOST_ENTRIES: usize = 200_000;
const MOST_BYTES: usize = 512 << 20;

/// One request, as it came.
pub struct Entry {
    pub key: String,
    pub method: String,
    pub path: String,
    pub query: Option<String>,
    pub headers: Vec<(String, String)>,
    pub body: Bytes,
    pub connection: u64,
}

#[derive(Default)]
struct Stats {
    accepted: u64,
    open: u64,
    in_flight: u64,
    max_in_flight: u64,
    requests: u64,
    cancelled: u64,
}

#[derive(Default)]
struct Memory {
    log: VecDeque<(u64, Entry)>,
    logged_bytes: usize,
    counters: HashMap<String, usize>,
    /// Rounds and calls behind a response that may be named by `previous_response_id`.
    responses: HashMap<String, (usize, usize)>,
    stats: Stats,
    connections: u64,
    answers: u64,
}

/// Shared by the serving thread and whoever asks.
pub struct Hub {
    started: Instant,
    memory: Mutex<Memory>,
    pub fixtures: Fixtures,
}

impl Hub {
    /// An empty memory; fixtures are looked for in these folders.
    pub fn new(fixtures: Vec<PathBuf>) -> Self {
        Self { started: Instant::now(), memory: Mutex::default(), fixtures: Fixtures::new(fixtures) }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // Nothing in here can be left half done by a panic.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection was accepted: its serial number.
    pub fn accepted(&self) -> u64 {
        let mut memory = self.memory();
        memory.stats.accepted += 1;
        memory.stats.open += 1;
        memory.connections += 1;
        memory.connections
    }

    /// A connection has ended.
    pub fn closed(&self) {
        let stats = &mut self.memory().stats;
        stats.open = stats.open.saturating_sub(1);
    }

    /// A request has arrived; the number of its answer.
    pub fn begin(&self) -> u64 {
        let mut memory = self.memory();
        memory.answers += 1;
        let stats = &mut memory.stats;
        stats.requests += 1;
        stats.in_flight += 1;
        stats.max_in_flight = stats.max_in_flight.max(stats.in_flight);
        memory.answers
    }

    /// The answer has ended: it was sent, cut by us, or the client hung up.
    pub fn end(&self, cancelled: bool) {
        let stats = &mut self.memory().stats;
        stats.in_flight = stats.in_flight.saturating_sub(1);
        stats.cancelled += u64::from(cancelled);
    }

    /// Logs a request; how many with this key came before it.
    pub fn record(&self, entry: Entry) -> usize {
        let now = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        let mut memory = self.memory();
        let counter = memory.counters.entry(entry.key.clone()).or_default();
        let before = *counter;
        *counter += 1;
        memory.logged_bytes += entry.body.len();
        memory.log.push_back((now, entry));
        while memory.log.len() > MOST_ENTRIES || memory.logged_bytes > MOST_BYTES {
            let Some((_, oldest)) = memory.log.pop_front() else {
                break;
            };
            memory.logged_bytes -= oldest.body.len();
        }
        before
    }

    /// How many requests came with this key.
    pub fn count(&self, key: &str) -> usize {
        self.memory().counters.get(key).copied().unwrap_or_default()
    }

    /// The log of this key, or all of it.
    pub fn log(&self, key: Option<&str>) -> Vec<Value> {
        self.memory()
            .log
            .iter()
            .filter(|(_, entry)| key.is_none_or(|key| entry.key == key))
            .map(|(at, entry)| shown(*at, entry))
            .collect()
    }

    /// Forgets the log, the counters and the sums of the statistics.
    pub fn reset(&self) {
        let mut memory = self.memory();
        memory.log.clear();
        memory.logged_bytes = 0;
        memory.counters.clear();
        memory.responses.clear();
        // What is the case now is not forgotten.
        let (open, in_flight) = (memory.stats.open, memory.stats.in_flight);
        memory.stats = Stats { open, in_flight, max_in_flight: in_flight, ..Stats::default() };
    }

    /// The numbers of `GET /_stats`.
    pub fn stats(&self) -> Value {
        let stats = &self.memory().stats;
        json!({
            "accepted": stats.accepted,
            "open": stats.open,
            "in_flight": stats.in_flight,
            "max_in_flight": stats.max_in_flight,
            "requests": stats.requests,
            "cancelled": stats.cancelled,
        })
    }

    /// Rounds and calls that a stored response stands for.
    pub fn recall(&self, response: &str) -> (usize, usize) {
        let memory = self.memory();
        memory.responses.get(response).copied().unwrap_or_default()
    }

    /// Remembers them.
    pub fn remember(&self, response: String, rounds: usize, calls: usize) {
        self.memory().responses.insert(response, (rounds, calls));
    }
}

fn shown(at: u64, entry: &Entry) -> Value {
    let raw = String::from_utf8_lossy(&entry.body);
    let body = serde_json::from_str(&raw).unwrap_or_else(|_| json!(raw));
    let mut headers = Map::new();
    for (name, value) in &entry.headers {
        match headers.get_mut(name) {
            Some(Value::String(before)) => {
                before.push_str(", ");
                before.push_str(value);
            }
            _ => {
                headers.insert(name.clone(), json!(value));
            }
        }
    }
    json!({
        "method": entry.method,
        "path": entry.path,
        "query": entry.query,
        "headers": headers,
        "body": body,
        "raw": raw,
        "t_ms": at,
        "connection": entry.connection,
        "key": entry.key,
    })
}

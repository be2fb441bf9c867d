//! An HTTP client of a few lines: it shows what is on the wire, which a real one would hide.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use apertis_gateway::Gateway;
use serde_json::{json, Value};

pub const CHAT: &str = "/v1/chat/completions";
pub const RESPONSES: &str = "/v1/responses";
pub const MESSAGES: &str = "/v1/messages";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// As the framing says.
    Complete,
    Eof,
    Reset,
    /// Nothing more came for a while.
    Silence,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    /// The body as it stood on the wire.
    pub wire: Vec<u8>,
    pub ending: Ending,
    /// Until the first byte, and until the end.
    pub first: Duration,
    pub took: Duration,
    pub reads: Vec<usize>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn chunked(&self) -> bool {
        self.header("transfer-encoding") == Some("chunked")
    }

    /// The sizes of the chunks.
    pub fn chunks(&self) -> Vec<Vec<u8>> {
        let mut rest = &self.wire[..];
        let mut out = Vec::new();
        while let Some(end) = rest.windows(2).position(|w| w == b"\r\n") {
            let size = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            if size == 0 || rest.len() < end + 4 + size {
                break;
            }
            out.push(rest[end + 2..end + 2 + size].to_vec());
            rest = &rest[end + 4 + size..];
        }
        out
    }

    pub fn body(&self) -> Vec<u8> {
        if self.chunked() {
            self.chunks().concat()
        } else {
            self.wire.clone()
        }
    }

    pub fn text(&self) -> String {
        String::from_utf8(self.body()).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body()).unwrap_or_else(|error| panic!("{error} in {:?}", self.text()))
    }

    /// Event names and data of a stream.
    pub fn events(&self) -> Vec<(String, Value)> {
        events(&self.text())
    }
}

pub fn events(text: &str) -> Vec<(String, Value)> {
    assert!(text.ends_with("\n\n"), "an event is not ended: {text:?}");
    let blocks = text.split("\n\n").filter(|block| !block.is_empty());
    blocks
        .map(|block| {
            let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
            let data = field("data: ").unwrap_or_else(|| panic!("no data in {block:?}"));
            let data = if data == "[DONE]" {
                json!("[DONE]")
            } else {
                serde_json::from_str(data).unwrap_or_else(|error| panic!("{error} in {data:?}"))
            };
            (field("event: ").unwrap_or_default().to_owned(), data)
        })
        .collect()
}

/// A connection that is used again and again.
pub struct Client {
    pub stream: TcpStream,
}

impl Client {
    pub fn new(gateway: &Gateway) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", gateway.port())).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Self { stream }
    }

    pub fn patience(self, millis: u64) -> Self {
        let time = Duration::from_millis(millis);
        self.stream.set_read_timeout(Some(time)).unwrap();
        self
    }

    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut text = format!("{method} {path} HTTP/1.1\r\nhost: loopback\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub fn receive(&mut self) -> Answer {
        let started = Instant::now();
        let mut all = Vec::new();
        let mut reads = Vec::new();
        let mut first = None;
        let mut buffer = vec![0; 65_536];
        let ending = loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => break Ending::Eof,
                Ok(length) => {
                    first.get_or_insert_with(|| started.elapsed());
                    reads.push(length);
                    all.extend_from_slice(&buffer[..length]);
                    if complete(&all) {
                        break Ending::Complete;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ConnectionReset => break Ending::Reset,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break Ending::Silence,
            }
        };
        let (head, wire) = split(&all).unwrap_or_default();
        let status = head.get(9..12).and_then(|s| s.parse().ok()).unwrap_or(0);
        Answer { status, head, wire: wire.to_vec(), ending, first: first.unwrap_or_default(), took: started.elapsed(), reads }
    }

    pub fn ask(&mut self, path: &str, script: &str, body: &Value) -> Answer {
        let headers = [("x-gateway", script), ("content-type", "application/json")];
        self.send("POST", path, &headers, &body.to_string());
        self.receive()
    }
}

fn split(all: &[u8]) -> Option<(String, &[u8])> {
    // An interim answer is none.
    let all = all.strip_prefix(b"HTTP/1.1 100 Continue\r\n\r\n").unwrap_or(all);
    let end = all.windows(4).position(|w| w == b"\r\n\r\n")? + 4;
    Some((String::from_utf8_lossy(&all[..end]).into_owned(), &all[end..]))
}

fn complete(all: &[u8]) -> bool {
    let Some((head, body)) = split(all) else {
        return false;
    };
    if head.starts_with("HTTP/1.1 204") {
        return true;
    }
    let head = head.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).map(|value| value.parse::<usize>().unwrap());
    match length {
        Some(length) => body.len() >= length,
        None => body.ends_with(b"0\r\n\r\n") && (body.len() == 5 || body.ends_with(b"\r\n0\r\n\r\n")),
    }
}

/// One request on a connection of its own.
pub fn ask(gateway: &Gateway, path: &str, script: &str, body: &Value) -> Answer {
    Client::new(gateway).ask(path, script, body)
}

/// A GET.
pub fn get(gateway: &Gateway, path: &str) -> Answer {
    let mut client = Client::new(gateway);
    client.send("GET", path, &[], "");
    client.receive()
}

/// A streamed request with one user message, as each format has it.
pub fn streamed() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "q"}], "input": "q"})
}

/// The same, not streamed.
pub fn plain() -> Value {
    json!({"model": "m", "messages": [{"role": "user", "content": "q"}], "input": "q"})
}

/// Waits until the statistics say so.
pub fn until(gateway: &Gateway, name: &str, value: u64) {
    let started = Instant::now();
    while gateway.stats()[name].as_u64() != Some(value) {
        assert!(started.elapsed() < Duration::from_secs(5), "{name} is not {value}: {}", gateway.stats());
        std::thread::sleep(Duration::from_millis(2));
    }
}

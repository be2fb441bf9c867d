//! Cassettes: answers recorded to a file, and played back without a network.
//!
//! A cassette is a file of JSON lines, one for each answer, in the order in which the answers ended:
//!
//! ```json
//! {"apertis_cassette": 1,
//!  "request": {"method": "POST", "path": "/v1/chat/completions", "body": {...}},
//!  "response": {"status": 200, "headers": [["content-type", "text/event-stream"]],
//!               "chunks": [[12, "data: ..."], [13, {"base64": "..."}]], "complete": true}}
//! ```
//!
//! A chunk is a network read: milliseconds since the request was sent, and its bytes as text, or as base64 where they are
//! none. Requests are found again by method, path and body. Of a request's headers nothing is kept, and a key that an answer
//! repeats is taken out, so that a cassette can be committed.

use std::collections::VecDeque;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use base64::prelude::{Engine, BASE64_STANDARD};
use bytes::Bytes;
use reqwest::{Method, Url};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::engine::error::{Error, Kind, Result};
use crate::engine::log::log;

const VERSION: u32 = 1;
/// Response headers that have no place in a file that others read.
const SECRET_HEADERS: &[&str] = &["set-cookie", "authorization", "proxy-authorization", "x-api-key"];

/// What a client does with its cassette.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    Record(String),
    Replay(String),
}

/// An open cassette.
#[derive(Debug)]
pub enum Cassette {
    Record(Arc<Mutex<File>>),
    Replay(Mutex<Vec<Entry>>),
}

/// One line.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Entry {
    apertis_cassette: u32,
    request: Request,
    response: Response,
    #[serde(skip)]
    used: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Request {
    method: String,
    path: String,
    body: Value,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Response {
    status: u16,
    headers: Vec<(String, String)>,
    chunks: Vec<(u64, Chunk)>,
    /// False: the answer broke off here.
    complete: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Chunk {
    Text(String),
    Bytes { base64: String },
}

impl Chunk {
    fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Bytes { base64: BASE64_STANDARD.encode(bytes) },
        }
    }

    fn bytes(&self) -> Option<Bytes> {
        match self {
            Self::Text(text) => Some(Bytes::copy_from_slice(text.as_bytes())),
            Self::Bytes { base64 } => BASE64_STANDARD.decode(base64).ok().map(Bytes::from),
        }
    }
}

impl Request {
    fn new(method: &Method, url: &Url, body: &[u8]) -> Self {
        let path = url.query().map_or_else(|| url.path().to_owned(), |query| format!("{}?{query}", url.path()));
        let body = match serde_json::from_slice(body) {
            Ok(json) => json,
            Err(_) if body.is_empty() => Value::Null,
            Err(_) => Value::from(BASE64_STANDARD.encode(body)),
        };
        Self { method: method.to_string(), path, body }
    }
}

impl Cassette {
    /// Opens a cassette: for recording the file is appended to, for replay it is read whole.
    pub fn open(mode: &Mode) -> Result<Self> {
        let refused = |path: &str, why: String| Error::argument(format!("the cassette {path}: {why}"));
        match mode {
            Mode::Record(path) => {
                let file = OpenOptions::new().create(true).append(true).open(path);
                Ok(Self::Record(Arc::new(Mutex::new(file.map_err(|e| refused(path, e.to_string()))?))))
            }
            Mode::Replay(path) => {
                let text = std::fs::read_to_string(path).map_err(|e| refused(path, e.to_string()))?;
                let mut entries = Vec::new();
                for (n, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
                    let entry: Entry = serde_json::from_str(line).map_err(|e| refused(path, format!("line {}: {e}", n + 1)))?;
                    if entry.apertis_cassette != VERSION || entry.response.chunks.iter().any(|(_, c)| c.bytes().is_none()) {
                        return Err(refused(path, format!("line {} cannot be read by this version", n + 1)));
                    }
                    entries.push(entry);
                }
                Ok(Self::Replay(Mutex::new(entries)))
            }
        }
    }

    /// The recorded answer to a request: the first that was not played yet, and the last one again when all were.
    pub fn play(&self, method: &Method, url: &Url, body: &[u8]) -> Option<Result<Playback>> {
        let Self::Replay(entries) = self else { return None };
        let asked = Request::new(method, url, body);
        let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = entries.iter().position(|e| !e.used && e.request == asked);
        let Some(found) = fresh.or_else(|| entries.iter().rposition(|e| e.request == asked)) else {
            return Some(Err(miss(&asked, &entries)));
        };
        let entry = &mut entries[found];
        entry.used = true;
        Some(Ok(Playback {
            status: entry.response.status,
            headers: entry.response.headers.clone(),
            chunks: entry.response.chunks.iter().filter_map(|(_, chunk)| chunk.bytes()).collect(),
            complete: entry.response.complete,
        }))
    }

    /// A recorder for an answer whose head has just come.
    pub fn record(
        &self,
        method: &Method,
        url: &Url,
        body: &[u8],
        status: u16,
        headers: &[(String, String)],
        key: &str,
    ) -> Option<Recorder> {
        let Self::Record(file) = self else { return None };
        let keep = |(name, _): &&(String, String)| !SECRET_HEADERS.contains(&name.as_str());
        Some(Recorder {
            file: file.clone(),
            start: Instant::now(),
            key: key.to_owned(),
            entry: Entry {
                apertis_cassette: VERSION,
                request: Request::new(method, url, body),
                response: Response {
                    status,
                    headers: headers.iter().filter(keep).cloned().collect(),
                    chunks: Vec::new(),
                    complete: false,
                },
                used: false,
            },
        })
    }
}

/// Names the request, and what differs from the one that comes nearest.
fn miss(asked: &Request, entries: &[Entry]) -> Error {
    let same_place = entries.iter().map(|e| &e.request).filter(|r| r.method == asked.method && r.path == asked.path);
    let differences = |known: &Request| -> Vec<String> {
        let (Some(a), Some(b)) = (asked.body.as_object(), known.body.as_object()) else { return vec!["the body".into()] };
        let mut names: Vec<String> = a.iter().filter(|(k, v)| b.get(*k) != Some(v)).map(|(k, _)| k.clone()).collect();
        names.extend(b.keys().filter(|k| !a.contains_key(*k)).cloned());
        names
    };
    let nearest = same_place.map(differences).min_by_key(Vec::len);
    let hint = match nearest {
        Some(fields) => format!("the nearest recorded request differs in: {}", fields.join(", ")),
        None => format!("none of its {} requests goes there", entries.len()),
    };
    Error::new(Kind::Connect, format!("the cassette has no answer to {} {}: {hint}", asked.method, asked.path))
}

/// A recorded answer on its way.
#[derive(Debug)]
pub struct Playback {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    chunks: VecDeque<Bytes>,
    complete: bool,
}

impl Playback {
    /// The next network read as it was; an error where the answer broke off.
    pub fn chunk(&mut self) -> Result<Option<Bytes>> {
        match self.chunks.pop_front() {
            Some(chunk) => Ok(Some(chunk)),
            None if self.complete => Ok(None),
            None => Err(Error::new(Kind::Disconnected, "the recorded answer breaks off here").retryable()),
        }
    }
}

/// Takes down an answer; the line is written when it ends, however it ends.
#[derive(Debug)]
pub struct Recorder {
    file: Arc<Mutex<File>>,
    start: Instant,
    key: String,
    entry: Entry,
}

impl Recorder {
    pub fn chunk(&mut self, bytes: &[u8]) {
        let ms = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.entry.response.chunks.push((ms, Chunk::new(bytes)));
    }

    /// The answer came to its end, or to where nobody reads on.
    pub fn complete(&mut self) {
        self.entry.response.complete = true;
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        let mut line = serde_json::to_string(&self.entry).unwrap_or_default();
        if self.key.len() >= 6 && line.contains(&self.key) {
            line = line.replace(&self.key, "(key)");
        }
        line.push('\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(e) = file.write_all(line.as_bytes()) {
            log!(Error, "the cassette cannot be written: {e}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("http://h").unwrap().join(path).unwrap()
    }

    #[test]
    fn what_was_recorded_is_played_without_keys() {
        let path = std::env::temp_dir().join(format!("apertis-cassette-{}.jsonl", std::process::id()));
        let name = path.to_str().unwrap().to_owned();
        let _ = std::fs::remove_file(&path);
        let tape = Cassette::open(&Mode::Record(name.clone())).unwrap();
        for (status, text) in [(429, &b"slow down sk-secret"[..]), (200, b"data: \xff\n\n")] {
            let headers = [("set-cookie".to_owned(), "x".to_owned()), ("a".to_owned(), "b".to_owned())];
            let mut recorder =
                tape.record(&Method::POST, &url("/v1/x?y=1"), br#"{"a":1,"b":2}"#, status, &headers, "sk-secret").unwrap();
            recorder.chunk(text);
            if status == 200 {
                recorder.complete();
            }
        }
        let file = std::fs::read_to_string(&path).unwrap();
        assert!(!file.contains("sk-secret") && !file.contains("cookie"));

        let tape = Cassette::open(&Mode::Replay(name)).unwrap();
        let play = |body: &[u8]| tape.play(&Method::POST, &url("/v1/x?y=1"), body).unwrap();
        let mut first = play(br#"{"a":1,"b":2}"#).unwrap();
        assert_eq!((first.status, first.headers.len()), (429, 1));
        assert_eq!(first.chunk().unwrap().unwrap(), &b"slow down (key)"[..]);
        assert!(first.chunk().is_err());
        for _ in 0..2 {
            let mut last = play(br#"{ "b": 2, "a": 1 }"#).unwrap();
            assert_eq!(last.chunk().unwrap().unwrap(), &b"data: \xff\n\n"[..]);
            assert!(last.chunk().unwrap().is_none());
        }
        let error = play(br#"{"a":1,"c":3}"#).unwrap_err();
        assert!(error.message.contains("POST /v1/x?y=1") && error.message.contains("differs in: c, b"), "{error}");
        std::fs::remove_file(&path).unwrap();
    }
}

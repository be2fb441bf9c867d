//! Recorded and hand-made answers: `DIR/KIND/NAME.sse` or `.json`, described by `DIR/KIND/manifest.json`.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use serde_json::{Map, Value};

/// Headers that describe the recording's transfer, not ours.
const OURS: [&str; 6] = ["connection", "content-encoding", "content-length", "content-type", "keep-alive", "transfer-encoding"];

/// An answer to replay.
pub struct Fixture {
    pub status: u16,
    pub content_type: HeaderValue,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Bytes,
    pub is_stream: bool,
}

/// The folders, and the manifests that have been read.
pub struct Fixtures {
    folders: Vec<PathBuf>,
    manifests: Mutex<HashMap<PathBuf, Arc<Map<String, Value>>>>,
}

impl Fixtures {
    /// Nothing is read yet.
    pub fn new(folders: Vec<PathBuf>) -> Self {
        Self { folders, manifests: Mutex::default() }
    }

    /// `KIND/NAME` in the first folder that has it.
    pub fn find(&self, name: &str) -> Result<Fixture, String> {
        let plain = |text: &str| !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\\', '\0']);
        let (kind, name) = name
            .split_once('/')
            .filter(|(kind, name)| plain(kind) && plain(name))
            .ok_or_else(|| format!("a fixture is KIND/NAME, not `{name}`"))?;
        self.folders.iter().find_map(|folder| self.read(&folder.join(kind), name)).ok_or_else(|| {
            let folders = self.folders.len();
            format!("no fixture `{kind}/{name}` in {folders} folders")
        })
    }

    fn read(&self, folder: &Path, name: &str) -> Option<Fixture> {
        let manifest = self.manifest(folder);
        let entry = manifest.get(name).unwrap_or(&Value::Null);
        let file = entry["file"].as_str().filter(|file| !file.contains(['/', '\\']));
        let candidates = match file {
            Some(file) => vec![file.to_owned()],
            None => vec![format!("{name}.sse"), format!("{name}.json")],
        };
        let (file, body) = candidates.into_iter().find_map(|file| Some((file.clone(), fs::read(folder.join(file)).ok()?)))?;
        let is_stream = file.ends_with(".sse");
        let usual = if is_stream { "text/event-stream" } else { "application/json" };
        let headers = entry["headers"].as_object().into_iter().flatten();
        Some(Fixture {
            status: entry["status"]
                .as_u64()
                .and_then(|status| u16::try_from(status).ok())
                .filter(|status| (200..=999).contains(status))
                .unwrap_or(200),
            content_type: entry["content_type"]
                .as_str()
                .and_then(|text| HeaderValue::from_str(text).ok())
                .unwrap_or(HeaderValue::from_static(usual)),
            headers: headers.filter_map(|(name, value)| header(name, value)).collect(),
            body: Bytes::from(body),
            is_stream,
        })
    }

    fn manifest(&self, folder: &Path) -> Arc<Map<String, Value>> {
        let mut known = self.manifests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(manifest) = known.get(folder) {
            return Arc::clone(manifest);
        }
        let manifest = fs::read(folder.join("manifest.json"))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok())
            .map(Arc::new)
            .unwrap_or_default();
        known.insert(folder.to_owned(), Arc::clone(&manifest));
        manifest
    }
}

fn header(name: &str, value: &Value) -> Option<(HeaderName, HeaderValue)> {
    let name = name.parse::<HeaderName>().ok()?;
    if OURS.contains(&name.as_str()) {
        return None;
    }
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    Some((name, HeaderValue::from_str(&text).ok()?))
}

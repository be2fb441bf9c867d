//! An answer on its way out: status, headers, a body, and how the script wants it sent.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::{
    HeaderMap, HeaderName, HeaderValue, CACHE_CONTROL, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE,
};
use hyper::{Response, StatusCode};
use serde_json::Value;

use crate::body::{AnswerBody, Pieces, Sending};
use crate::failure::Failure;
use crate::format::Format;
use crate::script::{Length, Place, Script};
use crate::stream::Piece;
use crate::valve::{Action, Link, Plan};

/// Repetitions are put together to blocks of about this size.
const BLOCK: usize = 64 << 10;

/// How long `stall=` stalls.
const STALL: Duration = Duration::from_secs(600);

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const SSE: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The bytes of an answer.
pub enum Content {
    Whole(Bytes),
    Stream(Pieces),
    Repeat(Bytes, u64),
}

/// What is answered.
pub struct Reply {
    pub status: u16,
    pub content_type: HeaderValue,
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub content: Content,
    /// `pace_ms=` if the script does not say.
    pub pace: Duration,
}

impl Reply {
    /// A JSON answer.
    pub fn json(status: u16, body: &Value) -> Self {
        Self {
            status,
            content_type: JSON,
            headers: Vec::new(),
            content: Content::Whole(Bytes::from(body.to_string())),
            pace: Duration::ZERO,
        }
    }

    /// An error answer.
    pub fn failure(format: Format, failure: &Failure, request_id: &str) -> Self {
        Self::json(failure.status, &failure.body(format, request_id))
    }

    /// A stream of events.
    pub fn stream(status: u16, pieces: Pieces) -> Self {
        Self {
            status,
            content_type: SSE,
            headers: vec![(CACHE_CONTROL, HeaderValue::from_static("no-cache"))],
            content: Content::Stream(pieces),
            pace: Duration::ZERO,
        }
    }

    /// Exactly these bytes; those of a stream are cut into its events if there is a pace.
    pub fn exact(status: u16, content_type: Option<HeaderValue>, body: Bytes, is_stream: bool, paced: bool) -> Self {
        let usual = if is_stream { SSE } else { JSON };
        let content = if is_stream {
            let cut = if paced { events(&body) } else { vec![body] };
            let pieces = cut.into_iter().map(|bytes| Piece { bytes, delta: true });
            Content::Stream(Box::new(pieces))
        } else {
            Content::Whole(body)
        };
        Self { status, content_type: content_type.unwrap_or(usual), headers: Vec::new(), content, pace: Duration::ZERO }
    }

    /// Makes hyper's response, and arms the connection's valve for it.
    pub fn send(self, script: &Script, link: &Arc<Link>, request_id: &str) -> Response<AnswerBody> {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, self.content_type);
        if let Ok(id) = HeaderValue::from_str(request_id) {
            headers.insert("x-request-id", id.clone());
            headers.insert("request-id", id);
        }
        for (name, value) in self.headers {
            headers.append(name, value);
        }
        if self.status >= 400 {
            let told = [
                ("retry-after", &script.retry_after),
                ("retry-after-ms", &script.retry_after_ms),
                ("x-should-retry", &script.should_retry),
            ];
            for (name, value) in told {
                if let Some(value) = value {
                    headers.insert(name, value.clone());
                }
            }
        }
        let mut sending = Sending {
            pace: script.pace.unwrap_or(self.pace),
            chunk: script.chunk,
            gap: script.gap,
            gzip: script.gzip,
            head_first: script.chunk > 0 || !matches!(self.content, Content::Whole(_)),
            hold_open: false,
        };
        if script.gzip {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        let mut plan = plan(script);
        let (pieces, length) = framed(self.content, script, &mut sending, &mut plan);
        let bodiless = matches!(self.status, 204 | 304);
        if let Some(length) = length.filter(|_| !bodiless) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        match script.keep_alive {
            Some(false) => headers.insert(CONNECTION, HeaderValue::from_static("close")),
            Some(true) => headers.insert(CONNECTION, HeaderValue::from_static("keep-alive")),
            None => None,
        };
        // What the script says replaces what we say; said twice it stands there twice.
        for (name, _) in &script.headers {
            headers.remove(name);
        }
        for (name, value) in &script.headers {
            headers.append(name, value.clone());
        }

        plan.cuts.sort_by_key(|(place, action)| {
            let place = match place {
                Place::Accept => (0, 0),
                Place::Head => (1, 0),
                Place::Body(at) => (2, *at),
            };
            // Where both are at one place, the stall comes first.
            (place, !matches!(action, Action::Stall(_)))
        });
        link.arm(plan);
        let mut response = Response::new(AnswerBody::new(pieces, sending, Arc::clone(link)));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        *response.headers_mut() = headers;
        response
    }
}

fn plan(script: &Script) -> Plan {
    let stall = Action::Stall(script.stall_for.unwrap_or(STALL));
    let cuts = [
        script.stall.map(|place| (place, stall)),
        script.reset.map(|place| (place, Action::Reset)),
        script.close.map(|place| (place, Action::Close)),
    ];
    Plan { cuts: cuts.into_iter().flatten().collect(), extra: None, idle_close: script.idle_close }
}

/// The pieces and the Content-Length, if there is one; bodies must exist as a whole for that.
fn framed(content: Content, script: &Script, sending: &mut Sending, plan: &mut Plan) -> (Pieces, Option<u64>) {
    let wanted = match (&content, script.length) {
        (Content::Whole(_), Length::AsItComes) => Length::True,
        // Repetitions are not held in memory, so their compressed length is not known.
        (Content::Repeat(..), Length::True) if sending.gzip => Length::Chunked,
        (_, length) => length,
    };
    let claimed = match wanted {
        Length::AsItComes | Length::Chunked => return (pieces(content), None),
        Length::True => None,
        Length::Claimed(claimed) => Some(claimed),
    };
    let (mut all, actual): (Pieces, u64) = match content {
        Content::Repeat(bytes, times) if !sending.gzip => {
            let length = (bytes.len() as u64).saturating_mul(times);
            (repeat(bytes, times), length)
        }
        content => {
            let mut all: Vec<Piece> =
                if sending.gzip { AnswerBody::compress(pieces(content)) } else { pieces(content).collect() };
            sending.gzip = false;
            let actual = all.iter().map(|piece| piece.bytes.len() as u64).sum();
            if let Some(claimed) = claimed.filter(|claimed| *claimed < actual) {
                plan.extra = Some((claimed, split(&mut all, claimed)));
            }
            (Box::new(all.into_iter()), actual)
        }
    };
    if claimed.is_some_and(|claimed| claimed > actual) {
        // hyper would drop what it has not written yet when a body is too short: the valve closes instead.
        sending.hold_open = true;
        plan.cuts.push((Place::Body(actual), Action::Close));
        if actual == 0 {
            all = Box::new(std::iter::empty());
        }
    }
    (all, Some(claimed.unwrap_or(actual)))
}

/// Takes what is behind byte `at` off the pieces.
fn split(pieces: &mut Vec<Piece>, at: u64) -> Bytes {
    let mut left = usize::try_from(at).unwrap_or(usize::MAX);
    let mut rest = Vec::new();
    for piece in pieces.iter_mut() {
        let here = left.min(piece.bytes.len());
        rest.extend_from_slice(&piece.bytes.split_off(here));
        left -= here;
    }
    pieces.retain(|piece| !piece.bytes.is_empty());
    Bytes::from(rest)
}

fn pieces(content: Content) -> Pieces {
    match content {
        Content::Whole(bytes) => {
            let delta = false;
            Box::new(std::iter::once(Piece { bytes, delta }))
        }
        Content::Stream(pieces) => pieces,
        Content::Repeat(bytes, times) => repeat(bytes, times),
    }
}

fn repeat(bytes: Bytes, times: u64) -> Pieces {
    if bytes.is_empty() || times == 0 {
        return Box::new(std::iter::empty());
    }
    let each = (BLOCK / bytes.len()).max(1);
    let block = Bytes::from(bytes.repeat(each));
    let (length, each) = (bytes.len(), each as u64);
    let mut left = times;
    Box::new(std::iter::from_fn(move || {
        let now = left.min(each);
        left -= now;
        // At most a block, which is in memory.
        let end = length * usize::try_from(now).unwrap_or(0);
        let bytes = block.slice(..end);
        (now > 0).then_some(Piece { bytes, delta: false })
    }))
}

/// Cuts behind each blank line.
fn events(body: &Bytes) -> Vec<Bytes> {
    let mut out = Vec::new();
    let mut start = 0;
    for at in 0..body.len() {
        let so_far = &body[start..=at];
        if so_far.ends_with(b"\n\n") || so_far.ends_with(b"\r\n\r\n") || so_far.ends_with(b"\r\r") {
            out.push(body.slice(start..=at));
            start = at + 1;
        }
    }
    if start < body.len() {
        out.push(body.slice(start..));
    }
    out
}

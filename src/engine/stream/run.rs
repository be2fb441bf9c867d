//! One request from its first attempt to its END.
//!
//! A stream is one task on one of the network threads. Whatever ends it (success, failure, cancellation, a panic, the end of
//! the runtime, which drops the task where it stands), [`Ending`] hands over exactly one END with all that came.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderValue, ACCEPT, CONTENT_TYPE};
use reqwest::{Method, Url};
use tokio::time::Instant as Tick;

use super::accumulate::Accumulator;
use super::failure;
use super::handle::Core;
use super::queue::Queue;
use crate::engine::client::Client;
use crate::engine::config::{Secret, Timeouts};
use crate::engine::error::{Error, Kind, Result};
use crate::engine::event::Event;
use crate::engine::format::{json, Decoder, Format};
use crate::engine::log::log;
use crate::engine::request::{Request, Turn};
use crate::engine::response::{Finish, Response, Timing, Usage};
use crate::engine::runtime::Place;
use crate::engine::schema::Validator;
use crate::engine::transport::cassette::{Playback, Recorder};
use crate::engine::transport::limit::TurnToCome;
use crate::engine::transport::{headers, http, retry, sse};

/// The largest answer that is taken in, in bytes after decompression.
pub const MAX_RESPONSE: usize = 512 << 20;
/// The largest answer that has to be held in one piece to be understood.
pub const MAX_BODY: usize = 128 << 20;
/// What is kept of the body of a failure.
const MAX_ERROR_BODY: usize = 1 << 20;
/// How long the rest of a body behind its last event is waited for, so that the connection can be used again.
const DRAIN: Duration = Duration::from_millis(200);

/// A request in the form in which it is sent, as often as it takes.
pub struct Prepared {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Bytes,
    pub answer: Answer,
    pub timeouts: Timeouts,
    pub max_retries: u32,
    /// The key that goes with it: what must not come back in a message.
    pub key: Option<Secret>,
    /// A place in the line of requests, taken when the stream was started.
    pub turn: Option<TurnToCome>,
    /// What the answer has to obey.
    pub output: Option<Arc<Validator>>,
    /// The tool that the model gives it with, where it knows no other way.
    pub answer_tool: Option<String>,
    /// The conversation, where the stream goes on by itself after tool calls.
    pub rounds: Option<Box<Rounds>>,
}

/// A conversation that goes on as long as the model asks for tools.
#[derive(Debug)]
pub struct Rounds {
    pub request: Request,
    /// How many times results may still be sent.
    pub left: u32,
}

/// What is expected back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Streamed(Format),
    Whole(Format),
    /// Any bytes: they are the response's `raw`.
    Raw,
}

impl Answer {
    /// The format of an answer that has one.
    #[must_use]
    pub fn format(self) -> Option<Format> {
        match self {
            Self::Streamed(format) | Self::Whole(format) => Some(format),
            Self::Raw => None,
        }
    }
}

/// Runs a stream to its END.
pub async fn run(client: Arc<Client>, mut prepared: Prepared, queue: Arc<Queue>, core: Arc<Core>, place: Place, start: Instant) {
    let turn = prepared.turn.take();
    let mut ending = Ending::new(&prepared, queue, core.clone(), start);
    let total = prepared.timeouts.total;
    let outcome = {
        let attempts = ending.rounds(&client, prepared, turn, place.worker);
        let limited = async {
            match total {
                Some(limit) => match tokio::time::timeout(limit.saturating_sub(start.elapsed()), attempts).await {
                    Ok(outcome) => outcome,
                    Err(_) => {
                        Err(Error::new(Kind::TimedOut, format!("not done within the total timeout of {} ms", limit.as_millis()))
                            .retryable())
                    }
                },
                None => attempts.await,
            }
        };
        tokio::select! {
            biased;
            () = core.cancelled() => Err(Error::new(Kind::Cancelled, "the stream was cancelled")),
            outcome = limited => outcome,
        }
    };
    ending.finish(outcome.err());
    drop(place);
}

/// The state of a stream, and the promise of its END.
struct Ending {
    queue: Arc<Queue>,
    core: Arc<Core>,
    start: Instant,
    answer: Answer,
    acc: Accumulator,
    decoder: Option<Box<dyn Decoder>>,
    timing: Timing,
    attempts: u32,
    /// The status of this attempt's answer.
    status: Option<u16>,
    headers: Vec<(String, String)>,
    /// The body of an answer that came in one piece.
    body: Option<Bytes>,
    started: bool,
    done: bool,
    /// The turns of the tool rounds so far, and what they used.
    rounds: Vec<Turn>,
    used: Usage,
    output: Option<String>,
}

impl Ending {
    fn new(prepared: &Prepared, queue: Arc<Queue>, core: Arc<Core>, start: Instant) -> Self {
        let mut acc = Accumulator::default();
        acc.set_answer_tool(prepared.answer_tool.clone());
        Self {
            queue,
            core,
            start,
            answer: prepared.answer,
            acc,
            decoder: None,
            timing: Timing::default(),
            attempts: 0,
            status: None,
            headers: Vec::new(),
            body: None,
            started: false,
            done: false,
            rounds: Vec::new(),
            used: Usage::default(),
            output: None,
        }
    }

    /// Requests until the model has no more calls, and the results between them.
    async fn rounds(
        &mut self,
        client: &Client,
        mut prepared: Prepared,
        mut turn: Option<TurnToCome>,
        worker: usize,
    ) -> Result<()> {
        loop {
            // Given back while results are waited for: whoever decides on a tool may take long.
            let held = turn.take().unwrap_or_else(|| client.limits.turn()).await;
            self.attempts(client, &prepared, worker).await?;
            drop(held);
            self.acc.settle();
            let asks = self.acc.finish == Finish::ToolCalls && self.acc.has_calls();
            let Some(rounds) = prepared.rounds.as_mut().filter(|_| asks) else { break };
            if rounds.left == 0 {
                return Err(Error::new(Kind::ToolRounds, "the model asks for more rounds of tools than were allowed"));
            }
            rounds.left -= 1;
            // Before the events are there: replies may come at once.
            self.core.round.begin(self.acc.calls());
            self.acc.offer_calls();
            self.flush().await;
            // The turn goes on before its results are there: what ends the stream meanwhile hands it over.
            let answered = self.core.round.results().await;
            let round = self.response();
            self.used.add(round.usage);
            let mut new = round.turns();
            new.extend(answered);
            self.rounds.extend(new.iter().cloned());
            rounds.request.turns.extend(new);
            prepared = client.next_round(prepared)?;
            self.acc.restart();
            self.decoder = None;
        }
        self.acc.offer_calls();
        self.note_first_delta();
        if let (Some(output), Finish::Stop | Finish::Length | Finish::Unknown) = (&prepared.output, self.acc.finish) {
            self.output = Some(output.check(&self.acc.answer())?);
        }
        Ok(())
    }

    /// All attempts of one request and the waits between them.
    async fn attempts(&mut self, client: &Client, prepared: &Prepared, worker: usize) -> Result<()> {
        let mut taken = 0;
        let mut at_once = true;
        loop {
            client.limits.start().await;
            self.timing.queued.get_or_insert_with(|| self.start.elapsed());
            let outcome = self.attempt(client, prepared, worker).await;
            let at_a_new_place = !client.http.may_reuse();
            if self.status.is_some() {
                client.http.note_served();
            }
            let Err(mut error) = outcome else { return Ok(()) };
            failure::judge_inside_success(&mut error);
            if let Some(key) = &prepared.key {
                failure::redact(&mut error, key.reveal());
            }
            error.detail_mut().attempts = self.attempts;
            let mut wait = retry::delay(&error, taken, fastrand::f64());
            if error.kind() == Kind::RateLimited {
                client.limits.pause(wait);
            }
            // Most likely a connection that the server had closed while it was idle, or on which a body longer than it claimed to
            // be left its rest: a fresh one is taken, and there is nothing to wait for.
            let was_dead = at_once
                && !at_a_new_place
                && self.status.is_none()
                && matches!(error.kind(), Kind::Disconnected | Kind::Protocol);
            let goes_on = was_dead || retry::is_worth_waiting(&error);
            if !goes_on || taken >= prepared.max_retries || self.acc.delivered() {
                return Err(error);
            }
            if was_dead {
                at_once = false;
                wait = Duration::ZERO;
            }
            log!(Info, "attempt {} failed ({}); the next one follows in {} ms", self.attempts, summary(&error), wait.as_millis());
            taken += 1;
            self.acc.restart();
            self.decoder = None;
            self.body = None;
            self.acc.notice(Event::Retry(Arc::new(error)));
            self.flush().await;
            tokio::time::sleep(wait).await;
        }
    }

    async fn attempt(&mut self, client: &Client, prepared: &Prepared, worker: usize) -> Result<()> {
        let place = prepared.url.origin().ascii_serialization();
        self.attempts += 1;
        self.status = None;
        log!(Debug, "{} {}{} (attempt {})", prepared.method, place, prepared.url.path(), self.attempts);
        let first_event = prepared.timeouts.first_event.map(|limit| (Tick::now() + limit, limit));
        let played = client.cassette.as_ref().and_then(|tape| tape.play(&prepared.method, &prepared.url, &prepared.body));
        let (status, source) = match played {
            Some(playback) => {
                let mut playback = playback?;
                self.headers = std::mem::take(&mut playback.headers);
                (playback.status, Source::Tape(playback))
            }
            None => {
                let sent = send(client, prepared, worker, &place);
                let response = match first_event {
                    Some((deadline, limit)) => {
                        tokio::time::timeout_at(deadline, sent).await.map_err(|_| no_first_event(limit))?
                    }
                    None => sent.await,
                }?;
                self.headers = headers::to_pairs(response.headers());
                (response.status().as_u16(), Source::Network(response))
            }
        };
        self.status = Some(status);
        if let Some(pause) = headers::rate_limit_pause(&self.headers, SystemTime::now()) {
            client.limits.pause(pause.min(retry::MAX_RETRY_AFTER));
        }
        self.timing.headers = Some(self.start.elapsed());
        log!(Debug, "status {status} after {} ms", self.start.elapsed().as_millis());
        let key = prepared.key.as_ref().map_or("", Secret::reveal);
        let recorder = client
            .cassette
            .as_ref()
            .and_then(|tape| tape.record(&prepared.method, &prepared.url, &prepared.body, status, &self.headers, key));
        let mut reader =
            Reader { source, recorder, status, place, first_event, idle: prepared.timeouts.idle, seen_event: false, taken: 0 };
        if !(200..300).contains(&status) {
            let body = reader.failure_body().await;
            return Err(failure::from_answer(status, &self.headers, body, SystemTime::now()));
        }
        if !std::mem::replace(&mut self.started, true) {
            self.acc.notice(Event::Started);
            self.flush().await;
        }
        match prepared.answer.format() {
            None => self.read_raw(reader).await,
            Some(format) => {
                self.decoder = Some((format.codec().decoder)());
                self.read_answer(reader).await
            }
        }
    }

    async fn read_raw(&mut self, mut reader: Reader) -> Result<()> {
        let body = reader.whole(Vec::new(), MAX_RESPONSE).await?;
        self.body = Some(body.into());
        Ok(())
    }

    /// Decides by what comes, not by what was asked for or what the header says, whether this is a stream.
    async fn read_answer(&mut self, mut reader: Reader) -> Result<()> {
        // Blank lines keep a stream alive before it begins; more of them than this are no answer in one piece either.
        const MOST_BLANKS: usize = 64 << 10;
        let asked_for = matches!(self.answer, Answer::Streamed(_));
        let mut head = Vec::new();
        let mut blanks = 0;
        let mut streamed = None;
        while streamed.is_none() {
            let Some(chunk) = reader.chunk().await? else { break };
            head.extend_from_slice(&chunk);
            // What is known to be blank is not looked at again.
            blanks += head[blanks..].iter().take_while(|b| b.is_ascii_whitespace()).count();
            streamed = match &head[blanks..] {
                [] if head.len() > MOST_BLANKS => Some(asked_for),
                [] => None,
                rest => is_event_stream(rest, asked_for),
            };
        }
        match streamed {
            Some(true) => self.read_events(reader, head).await,
            _ => self.read_body(reader, head).await,
        }
    }

    async fn read_body(&mut self, mut reader: Reader, head: Vec<u8>) -> Result<()> {
        let body = match reader.whole(head, MAX_BODY).await {
            Ok(body) => body,
            Err(error) => return Err(error),
        };
        if body.trim_ascii().is_empty() {
            return Err(Error::new(Kind::Truncated, "the server answered with an empty body"));
        }
        let value = json::parse(&body).map_err(|mut error| {
            error.detail_mut().http_status = Some(reader.status);
            error.detail_mut().body = Some(Bytes::copy_from_slice(&body[..body.len().min(MAX_ERROR_BODY)]));
            error
        })?;
        self.body = Some(body.into());
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        decoder.body(&value, &mut self.acc)?;
        self.note_first_delta();
        Ok(())
    }

    async fn read_events(&mut self, mut reader: Reader, head: Vec<u8>) -> Result<()> {
        let mut splitter = sse::Splitter::default();
        let mut chunk = Bytes::from(head);
        let ended = loop {
            let mut events = 0usize;
            let flow = {
                let Some(decoder) = &mut self.decoder else { return Ok(()) };
                let acc = &mut self.acc;
                splitter.feed(&chunk, |frame| {
                    events += 1;
                    decoder.frame(frame.name, frame.data, acc)
                })
            };
            reader.seen_event |= events > 0;
            self.note_first_delta();
            let stop = match flow {
                Ok(flow) => flow.is_break(),
                Err(error) => {
                    // What stood before the failing event in the same read belongs to the caller.
                    self.flush().await;
                    return Err(error);
                }
            };
            if !stop {
                self.flush().await;
            }
            if stop {
                break None;
            }
            chunk = match reader.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
        };
        let Some(decoder) = &mut self.decoder else { return Ok(()) };
        let acc = &mut self.acc;
        splitter.finish(|frame| {
            let whole = frame.data.trim_ascii() == b"[DONE]" || json::parse(frame.data).is_ok();
            if whole {
                // It is the last one whatever the decoder says.
                let _ = decoder.frame(frame.name, frame.data, acc)?;
            }
            Ok(())
        })?;
        if !decoder.is_complete() {
            return Err(ended.unwrap_or_else(|| {
                if splitter.saw_fields() {
                    Error::new(Kind::Truncated, "the stream ended before its end")
                } else {
                    Error::new(Kind::Protocol, "the server's answer is not an event stream")
                }
            }));
        }
        if ended.is_none() {
            reader.drain();
        }
        Ok(())
    }

    fn note_first_delta(&mut self) {
        if self.timing.first_delta.is_none() && self.acc.delivered() {
            self.timing.first_delta = Some(self.start.elapsed());
        }
    }

    /// Hands the events of a read to the queue, and waits while there is no room for more.
    async fn flush(&mut self) {
        if !self.acc.outbox().is_empty() {
            if let Some(room) = self.queue.push(self.core.id, self.acc.outbox()) {
                room.notified().await;
            }
        }
    }

    /// Hands over the END; later calls do nothing.
    fn finish(&mut self, error: Option<Error>) {
        if std::mem::replace(&mut self.done, true) {
            return;
        }
        self.timing.total = Some(self.start.elapsed());
        let mut response = self.response();
        response.rounds = std::mem::take(&mut self.rounds);
        response.output = self.output.take();
        let last = std::mem::replace(&mut response.usage, self.used);
        response.usage.add(last);
        if error.is_some() && self.started && response.finish == Finish::Unknown {
            response.finish = Finish::Interrupted;
        }
        let error = error.map(|mut error| {
            let detail = error.detail_mut();
            detail.attempts = self.attempts;
            if !matches!(detail.kind, Kind::Cancelled | Kind::Shutdown | Kind::Internal) {
                // The answer that failed behind its head had a status all the same.
                detail.http_status = detail.http_status.or(self.status);
            }
            if detail.request_id.is_none() {
                detail.request_id.clone_from(&response.request_id);
            }
            log!(Info, "ended: {}", summary(&error));
            Arc::new(error)
        });
        self.acc.notice(Event::End { response: Arc::new(response), error });
        // The END is taken in whether there is room or not.
        let _ = self.queue.push(self.core.id, self.acc.outbox());
    }

    fn response(&mut self) -> Response {
        let assembled = self.decoder.as_mut().map(|decoder| decoder.assemble(&self.acc)).unwrap_or_default();
        let mut raw = if assembled.raw.is_null() { String::new() } else { assembled.raw.to_string() };
        let mut native = assembled.native;
        if json::surrogate::suspect(&raw) {
            // What a decoder keeps as it came may hold halves of characters that are whole in the parts.
            raw = json::surrogate::mend(&raw);
            native = native.map(|n| serde_json::from_str(&json::surrogate::mend(&n.to_string())).unwrap_or(n));
        }
        let raw = self.body.take().unwrap_or_else(|| Bytes::from(raw));
        Response {
            format: self.answer.format().unwrap_or_default(),
            id: self.acc.id.take(),
            model: self.acc.model.take(),
            parts: self.acc.take_parts(),
            finish: self.acc.finish,
            finish_reason: self.acc.finish_reason.take(),
            usage: self.acc.usage,
            timing: self.timing,
            attempts: self.attempts,
            request_id: headers::request_id(&self.headers),
            headers: std::mem::take(&mut self.headers),
            native,
            raw,
            rounds: Vec::new(),
            output: None,
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        if !self.done {
            let error = if std::thread::panicking() {
                Error::new(Kind::Internal, "a fault inside the library ended this stream; please report it")
            } else {
                Error::new(Kind::Shutdown, "the library was shut down")
            };
            self.finish(Some(error));
        }
    }
}

/// The body of an answer under its limits of time and size.
struct Reader {
    source: Source,
    recorder: Option<Recorder>,
    status: u16,
    place: String,
    first_event: Option<(Tick, Duration)>,
    idle: Option<Duration>,
    seen_event: bool,
    taken: usize,
}

/// Where a body comes from.
enum Source {
    Network(reqwest::Response),
    Tape(Playback),
}

impl Source {
    async fn chunk(&mut self, place: &str) -> Result<Option<Bytes>> {
        match self {
            Self::Network(response) => response.chunk().await.map_err(|e| http::body_error(e, place)),
            Self::Tape(playback) => playback.chunk(),
        }
    }
}

/// Sends a request and waits for the head of its answer.
async fn send(client: &Client, prepared: &Prepared, worker: usize, place: &str) -> Result<reqwest::Response> {
    let pool = client.http.pool(worker, prepared.timeouts.connect, &client.settings).await?;
    let request = pool.request(prepared.method.clone(), prepared.url.clone()).headers(prepared.headers.clone());
    request.body(prepared.body.clone()).send().await.map_err(|e| http::send_error(e, place))
}

impl Reader {
    /// The next piece; `None` at the end.
    async fn chunk(&mut self) -> Result<Option<Bytes>> {
        let idle = self.idle.map(|limit| (Tick::now() + limit, limit));
        let first = self.first_event.filter(|_| !self.seen_event);
        let chunk = match (idle, first) {
            (None, None) => self.source.chunk(&self.place).await,
            (idle, first) => {
                // Whichever comes first; ties go to the more telling one.
                let first_rules = match (idle, first) {
                    (Some((idle, _)), Some((first, _))) => first <= idle,
                    (_, first) => first.is_some(),
                };
                let (deadline, limit) = if first_rules { first } else { idle }.unwrap_or((Tick::now(), Duration::ZERO));
                tokio::time::timeout_at(deadline, self.source.chunk(&self.place)).await.map_err(|_| {
                    if first_rules {
                        no_first_event(limit)
                    } else {
                        Error::new(Kind::TimedOut, format!("nothing came for the idle timeout of {} ms", limit.as_millis()))
                            .retryable()
                    }
                })?
            }
        };
        let chunk = chunk?;
        match (&mut self.recorder, &chunk) {
            (Some(recorder), Some(chunk)) => recorder.chunk(chunk),
            (Some(recorder), None) => recorder.complete(),
            _ => {}
        }
        let size = chunk.as_ref().map_or(0, Bytes::len);
        log!(Trace, "{size} bytes");
        self.taken += size;
        if self.taken > MAX_RESPONSE {
            return Err(too_large(MAX_RESPONSE));
        }
        Ok(chunk)
    }

    /// Reads what may follow the last event, in a task of its own that nobody waits for: a connection whose body was read to
    /// its end can serve again.
    fn drain(mut self) {
        if let Some(recorder) = &mut self.recorder {
            recorder.complete();
        }
        if let Source::Network(mut response) = self.source {
            tokio::spawn(async move {
                let _ = tokio::time::timeout(DRAIN, async { while let Ok(Some(_)) = response.chunk().await {} }).await;
            });
        }
    }

    /// The rest of the body behind `body`.
    async fn whole(&mut self, mut body: Vec<u8>, limit: usize) -> Result<Vec<u8>> {
        // A body in one piece is one event, which has begun: from here on it must not fall silent, however long it is.
        self.seen_event |= !body.is_empty();
        while let Some(chunk) = self.chunk().await? {
            self.seen_event = true;
            if body.len() + chunk.len() > limit {
                return Err(too_large(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// As much of a failure's body as can be had; the status is known, so nothing that goes wrong here matters more.
    async fn failure_body(&mut self) -> Bytes {
        let mut body = Vec::new();
        while let Ok(Some(chunk)) = self.chunk().await {
            let room = MAX_ERROR_BODY - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if body.len() == MAX_ERROR_BODY {
                break;
            }
        }
        body.into()
    }
}

/// Whether a body is an event stream, by its first characters; `None`: too early to tell.
fn is_event_stream(head: &[u8], asked_for: bool) -> Option<bool> {
    const FIELDS: [&[u8]; 5] = [b":", b"data:", b"event:", b"id:", b"retry:"];
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    match head.first()? {
        b'{' | b'[' | b'<' | b'"' => Some(false),
        _ if asked_for => Some(true),
        _ if FIELDS.iter().any(|field| head.starts_with(field)) => Some(true),
        _ if FIELDS.iter().any(|field| field.starts_with(head)) => None,
        _ => Some(false),
    }
}

/// An error for the log: what a provider says in words may repeat contents, so it is left out.
fn summary(error: &Error) -> String {
    let status = error.http_status.map_or_else(String::new, |s| format!(", status {s}"));
    format!("{:?}{status}", error.kind())
}

fn no_first_event(limit: Duration) -> Error {
    Error::new(Kind::TimedOut, format!("no event within the first-event timeout of {} ms", limit.as_millis())).retryable()
}

fn too_large(limit: usize) -> Error {
    Error::new(Kind::TooLarge, format!("the answer is larger than {limit} bytes"))
}

/// The headers that every request has; the caller's come on top.
pub fn usual_headers(answer: Answer, content_type: Option<HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let accept = match answer {
        Answer::Streamed(_) => "text/event-stream",
        Answer::Whole(_) => "application/json",
        Answer::Raw => "*/*",
    };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    if let Some(content_type) = content_type {
        headers.insert(CONTENT_TYPE, content_type);
    }
    headers
}

//! Turns a [`Request`] into a running [`Stream`].

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, AUTHORIZATION, USER_AGENT};
use reqwest::Method;
use serde_json::Value;

use super::config::{Config, Secret, Settings, DEFAULT_MAX_RETRIES, DEFAULT_MAX_TOKENS, DEFAULT_MODEL, DEFAULT_TEMPERATURE};
use super::error::{Error, Kind, Result};
use super::format::{self, Call, Format, FormatChoice, KeyHeader};
use super::models;
use super::request::Request;
use super::runtime::{stopped, Runtime};
use super::schema::{check_strict, Validator};
use super::stream::handle::Core;
use super::stream::queue::{Handler, Queue};
use super::stream::run::{self, Answer, Prepared, Rounds};
use super::stream::Stream;
use super::transport::cassette::Cassette;
use super::transport::http::Http;
use super::transport::limit::Limits;

/// The gateway's own limit is set with this header; it takes 5 to 300 s.
const X_TIMEOUT: HeaderName = HeaderName::from_static("x-timeout");
const X_TIMEOUT_RANGE: (u128, u128) = (5_000, 300_000);

/// How an answer is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Whole,
    /// Nobody is there to execute tools: their calls are data.
    Streamed,
    /// Calls are answered with `apertis_stream_reply`, as often as the request allows.
    StreamedWithRounds,
}

/// A client: settings, connections and limits.
pub struct Client {
    pub settings: Settings,
    pub http: Http,
    pub limits: Limits,
    pub cassette: Option<Cassette>,
    runtime: Arc<Runtime>,
}

impl Client {
    /// Reads the environment; opens nothing and starts no thread.
    pub fn new(runtime: Arc<Runtime>, config: Config, env: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let settings = Settings::resolve(config, env)?;
        let http = Http::new(&settings)?;
        let limits = Limits::new(settings.config.max_in_flight, settings.config.requests_per_minute);
        let cassette = settings.config.cassette.as_ref().map(Cassette::open).transpose()?;
        Ok(Self { settings, http, limits, cassette, runtime })
    }

    /// A stream that has not begun. Its handle can be made known before its first event comes.
    #[must_use]
    pub fn stream(queue: &Arc<Queue>, private: bool, user_data: usize) -> Stream {
        static IDS: AtomicU64 = AtomicU64::new(1);
        let core = Arc::new(Core::new(IDS.fetch_add(1, Ordering::Relaxed), user_data));
        Stream { core, queue: queue.clone(), private }
    }

    /// Begins a stream. A handler that was not taken in is dropped before this returns.
    pub fn start(self: &Arc<Self>, mut prepared: Prepared, stream: &Stream, handler: Option<Box<dyn Handler>>) -> Result<()> {
        let start = Instant::now();
        // Here and not in the task: turns are in the order of the starts.
        prepared.turn = Some(self.limits.turn());
        if self.runtime.is_stopped() {
            return Err(stopped());
        }
        let (client, queue, core) = (self.clone(), stream.queue.clone(), stream.core.clone());
        if let Err(handler) = queue.attach(&core, handler) {
            drop(handler);
            return Err(Error::new(Kind::InvalidHandle, "the queue was freed, or its thread could not be started"));
        }
        let spawned = self.runtime.spawn(move |place| run::run(client, prepared, queue, core, place, start));
        if let Err(error) = spawned {
            drop(stream.queue.detach(stream.core.id));
            return Err(error);
        }
        Ok(())
    }

    /// The body of a chat and where it goes. Everything that can be wrong with a request is found here.
    pub fn prepare(&self, request: &Request, mode: Mode) -> Result<Prepared> {
        let stream = mode != Mode::Whole;
        let format = self.format(request);
        let body = self.body(request, format, stream)?;
        let answer = if stream { Answer::Streamed(format) } else { Answer::Whole(format) };
        let codec = format.codec();
        let json = Some(HeaderValue::from_static("application/json"));
        let mut headers = run::usual_headers(answer, json);
        for (name, value) in codec.headers {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let output = request.options.output_schema.as_ref().map(|o| Validator::new(&o.schema)).transpose()?;
        let rounds = mode == Mode::StreamedWithRounds && request.options.max_tool_rounds > 0;
        let timeouts = request.timeouts(self.settings.config.timeouts);
        let key = request.api_key.as_ref().or(self.settings.api_key.as_ref());
        self.add_headers(&mut headers, key, codec.key, &request.options.headers)?;
        let told = [timeouts.total, timeouts.first_event.filter(|_| timeouts.first_event_is_the_callers)];
        if let Some(limit) = told.into_iter().flatten().min().filter(|_| !headers.contains_key(&X_TIMEOUT)) {
            let ms = limit.as_millis().clamp(X_TIMEOUT_RANGE.0, X_TIMEOUT_RANGE.1);
            headers.insert(X_TIMEOUT, HeaderValue::from_str(&ms.to_string()).map_err(|_| unusable_header("x-timeout"))?);
        }
        Ok(Prepared {
            method: Method::POST,
            url: self.settings.base.join(codec.path)?,
            headers,
            body: Bytes::from(body),
            answer,
            timeouts,
            max_retries: self.settings.config.max_retries.unwrap_or(DEFAULT_MAX_RETRIES),
            key: key.cloned(),
            turn: None,
            output: output.map(Arc::new),
            answer_tool: format::answer_tool(format, &self.call(request, stream)),
            rounds: rounds.then(|| Box::new(Rounds { request: request.clone(), left: request.options.max_tool_rounds })),
        })
    }

    /// The same request with the conversation as it has become after a round of tools.
    pub fn next_round(&self, mut prepared: Prepared) -> Result<Prepared> {
        if let (Some(rounds), Some(format)) = (&prepared.rounds, prepared.answer.format()) {
            prepared.body = Bytes::from(self.body(&rounds.request, format, true)?);
        }
        Ok(prepared)
    }

    /// A call of any endpoint below the base.
    pub fn prepare_call(&self, method: &str, path: &str, content_type: Option<&str>, body: Bytes) -> Result<Prepared> {
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Error::argument("the method is no HTTP method: use \"GET\", \"POST\", ..."))?;
        let content_type =
            content_type.map(|t| HeaderValue::from_str(t).map_err(|_| unusable_header("content-type"))).transpose()?;
        let mut headers = run::usual_headers(Answer::Raw, content_type);
        self.add_headers(&mut headers, self.settings.api_key.as_ref(), KeyHeader::Bearer, &[])?;
        Ok(Prepared {
            method,
            url: self.settings.base.join(path)?,
            headers,
            body,
            answer: Answer::Raw,
            timeouts: self.settings.config.timeouts,
            max_retries: self.settings.config.max_retries.unwrap_or(DEFAULT_MAX_RETRIES),
            key: self.settings.api_key.clone(),
            turn: None,
            output: None,
            answer_tool: None,
            rounds: None,
        })
    }

    /// The exact body that [`Client::prepare`] would send.
    pub fn body(&self, request: &Request, format: Format, stream: bool) -> Result<String> {
        if request.turns.is_empty() {
            return Err(Error::argument("the request has no message"));
        }
        if let Some(output) = &request.options.output_schema {
            check_strict(&output.schema)?;
        }
        Ok(Value::from(format::body(format, &self.call(request, stream))?).to_string())
    }

    /// The request with the client's defaults filled in.
    fn call<'a>(&'a self, request: &'a Request, stream: bool) -> Call<'a> {
        let model = self.model(request);
        let (options, config) = (&request.options, &self.settings.config);
        let set = options.temperature.or(config.temperature);
        let default = Some(DEFAULT_TEMPERATURE).filter(|_| !models::family(model).rejects_temperature);
        let limit = options.max_tokens.or(config.max_tokens).unwrap_or(DEFAULT_MAX_TOKENS);
        Call { request, model, temperature: set.or(default), max_tokens: Some(limit).filter(|n| *n > 0), stream }
    }

    /// The format in which a request goes out.
    #[must_use]
    pub fn format(&self, request: &Request) -> Format {
        let choice = request.options.format.or(self.settings.config.format).unwrap_or(FormatChoice::ChatCompletions);
        choice.resolve(self.model(request))
    }

    fn model<'a>(&'a self, request: &'a Request) -> &'a str {
        request.options.model.as_deref().or(self.settings.config.model.as_deref()).unwrap_or(DEFAULT_MODEL)
    }

    fn add_headers(
        &self,
        headers: &mut HeaderMap,
        key: Option<&Secret>,
        key_header: KeyHeader,
        own: &[(String, String)],
    ) -> Result<()> {
        let config = &self.settings.config;
        let agent = config.user_agent.as_deref().unwrap_or(concat!("libapertis/", env!("CARGO_PKG_VERSION")));
        headers.insert(USER_AGENT, HeaderValue::from_str(agent).map_err(|_| unusable_header("user-agent"))?);
        if let Some(key) = key.filter(|k| !k.is_empty()) {
            let (name, mut value) = match key_header {
                KeyHeader::Bearer => (AUTHORIZATION, HeaderValue::from_str(&format!("Bearer {}", key.reveal()))),
                KeyHeader::XApiKey => (HeaderName::from_static("x-api-key"), HeaderValue::from_str(key.reveal())),
            };
            if let Ok(value) = &mut value {
                value.set_sensitive(true);
            }
            headers.insert(name, value.map_err(|_| unusable_header("authorization"))?);
        }
        for (name, value) in config.headers.iter().chain(own) {
            let (name, value) = header(name, value)?;
            headers.insert(name, value);
        }
        Ok(())
    }
}

/// Checks a header that the caller sets. What HTTP itself needs stays ours.
pub fn header(name: &str, value: &str) -> Result<(HeaderName, HeaderValue)> {
    const OURS: &[&str] = &["host", "content-length", "transfer-encoding", "connection", "accept-encoding"];
    let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| Error::argument("that is no header name"))?;
    if OURS.contains(&name.as_str()) {
        return Err(Error::argument(format!("the header {name} is set by the library")));
    }
    let value = HeaderValue::from_str(value).map_err(|_| unusable_header(name.as_str()))?;
    Ok((name, value))
}

fn unusable_header(name: &str) -> Error {
    Error::argument(format!("the value of the header {name} holds characters that no header may carry"))
}

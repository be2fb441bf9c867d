//! From a request to its reply.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, AUTHORIZATION, LOCATION};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response};
use serde_json::{json, Value};

use crate::answer::Answer;
use crate::body::AnswerBody;
use crate::embeddings;
use crate::failure::Failure;
use crate::format::Format;
use crate::hub::{Entry, Hub};
use crate::reply::{Content, Reply};
use crate::script::{decode, key_of, Place, Script};
use crate::stream::Events;
use crate::valve::Link;
use crate::{chat, messages, responses};

const LARGEST_BODY: usize = 64 << 20;
const DEFAULT_PACE: Duration = Duration::from_millis(30);
/// This key is wrong everywhere.
const WRONG_KEY: &str = "sk-wrong";

/// What a path is for.
#[derive(Clone, Copy)]
enum Target {
    Answer(Format),
    Models,
    Embeddings,
    Nothing,
}

impl Target {
    fn of(method: &Method, path: &str) -> Self {
        let post = method == Method::POST;
        let path = path.trim_end_matches('/');
        match Format::of(path) {
            Some(format) if post => Self::Answer(format),
            _ if post && path.ends_with("/embeddings") => Self::Embeddings,
            _ if method == Method::GET && path.ends_with("/models") => Self::Models,
            _ => Self::Nothing,
        }
    }
}

/// One request, read.
struct Asked<'a> {
    hub: &'a Hub,
    target: Target,
    /// The shape of errors.
    format: Format,
    headers: &'a HeaderMap,
    raw: &'a str,
    json: Result<Value, String>,
    request_id: &'a str,
    serial: u64,
    path: &'a str,
}

/// Answers a request.
pub async fn handle(hub: Arc<Hub>, link: Arc<Link>, request: Request<Incoming>) -> Result<Response<AnswerBody>, Infallible> {
    let (parts, incoming) = request.into_parts();
    if let Some(reply) = control(&hub, &parts) {
        return Ok(reply.send(&Script::default(), &link, "req_control"));
    }
    let serial = link.begin();
    let request_id = format!("req_loopback{serial}");
    let path = parts.uri.path();
    let format = Format::of(path).unwrap_or(Format::Chat);
    let header = parts.headers.get("x-gateway").map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());

    let mut script = header.as_deref().map(Script::parse);
    let at_once = matches!(&script, Some(Ok(script)) if resets_at_once(&hub, script, &header));
    let body = if at_once { Ok(Bytes::new()) } else { read(incoming).await };
    let raw = body.clone().unwrap_or_default();
    let text = String::from_utf8_lossy(&raw);
    let json = parse(&text);
    let told = header.or_else(|| {
        let model = json.as_ref().ok()?["model"].as_str()?;
        let told = model.strip_prefix("gw:")?.to_owned();
        script = Some(Script::parse(&told));
        Some(told)
    });
    let told = told.unwrap_or_default();
    let key = match &script {
        Some(Ok(script)) => script.key.clone(),
        _ => key_of(&told),
    };
    let before = hub.record(Entry {
        key: key.unwrap_or(told),
        method: parts.method.to_string(),
        path: path.to_owned(),
        query: parts.uri.query().map(str::to_owned),
        headers: shown(&parts.headers),
        body: raw.clone(),
        connection: link.connection,
    });

    let refuse = |failure: &Failure| {
        let reply = Reply::failure(format, failure, &request_id);
        reply.send(&Script::default(), &link, &request_id)
    };
    let script = match (body, script.unwrap_or_else(|| Ok(Script::default()))) {
        (Err(failure), _) => return Ok(refuse(&failure)),
        (_, Err(why)) => return Ok(refuse(&Failure::new(400, format!("x-gateway: {why}")))),
        (_, Ok(script)) => script,
    };
    let script = if script.times.is_some_and(|times| before >= times) { script.without_faults() } else { script };
    let asked = Asked {
        hub: &hub,
        target: Target::of(&parts.method, path),
        format,
        headers: &parts.headers,
        raw: &text,
        json,
        request_id: &request_id,
        serial,
        path,
    };
    let (reply, plain) = answer(&asked, &script, before);
    let mut script = if plain { plainly(&script) } else { script };
    if script.fail.get(before) == Some(&0) {
        // No status: the connection is closed where the head would start.
        script = plainly(&script);
        script.close = Some(Place::Head);
    }
    Ok(reply.send(&script, &link, &request_id))
}

/// `reset=accept` does not wait for the body, but a body that is not read has no answer either: only
/// where the reset is sure to come.
fn resets_at_once(hub: &Hub, script: &Script, header: &Option<String>) -> bool {
    let key = script.key.as_ref().or(header.as_ref());
    let before = key.map_or(0, |key| hub.count(key));
    script.reset == Some(Place::Accept) && before >= script.fail.len() && script.times.is_none_or(|times| before < times)
}

/// `GET /_log`, `/_stats`, `/_reset`: neither logged nor counted.
fn control(hub: &Hub, parts: &Parts) -> Option<Reply> {
    let path = parts.uri.path();
    let name = path.strip_prefix("/v1").unwrap_or(path);
    let body = match name {
        "/_log" => {
            let query = parts.uri.query().unwrap_or_default();
            let key = query.split('&').find_map(|pair| pair.strip_prefix("key=")).map(decode);
            json!(hub.log(key.as_deref()))
        }
        "/_stats" => hub.stats(),
        "/_reset" => {
            hub.reset();
            json!({})
        }
        _ => return None,
    };
    Some(Reply::json(200, &body))
}

async fn read(incoming: Incoming) -> Result<Bytes, Failure> {
    let limited = Limited::new(incoming, LARGEST_BODY).collect().await;
    limited.map(|body| body.to_bytes()).map_err(|error| {
        if error.is::<LengthLimitError>() {
            Failure::new(413, "The request body has more than 64 MiB.")
        } else {
            Failure::new(400, format!("The request body cannot be read: {error}"))
        }
    })
}

/// No body at all counts as an empty object: faults can be tried without one.
fn parse(text: &str) -> Result<Value, String> {
    if text.trim().is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn shown(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
    headers.iter().map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect()
}

/// The reply, and whether it is one that faults leave alone.
fn answer(asked: &Asked<'_>, script: &Script, before: usize) -> (Reply, bool) {
    let fail = |failure: &Failure| Reply::failure(asked.format, failure, asked.request_id);
    if let Some(failure) = unauthorised(asked.headers, script) {
        return (fail(&failure), true);
    }
    if let Some(status) = script.fail.get(before).filter(|status| **status != 0) {
        return (fail(&Failure::told(*status, script.error.as_ref())), true);
    }
    match told(asked, script) {
        Ok(reply) => (reply, false),
        Err(failure) => (fail(&failure), false),
    }
}

fn told(asked: &Asked<'_>, script: &Script) -> Result<Reply, Failure> {
    if let Some(location) = &script.redirect {
        let mut reply = Reply::json(307, &Value::Null);
        reply.content = Content::Whole(Bytes::new());
        reply.headers.push((LOCATION, location.clone()));
        return Ok(reply);
    }
    let wrong = |why: String| Failure::new(400, format!("x-gateway: {why}"));
    let asks_stream = asked.json.as_ref().is_ok_and(|json| json["stream"] == json!(true));
    let streamed = (asks_stream || script.sse) && !script.json;
    let paced = script.pace.is_some();
    if let Some(body) = &script.body {
        let content_type = script.content_type.clone();
        let (status, body) = (script.status.unwrap_or(200), Bytes::from(body.clone()));
        let mut reply = Reply::exact(status, content_type, body.clone(), streamed, paced);
        if let Some(times) = script.body_repeat {
            reply.content = Content::Repeat(body, times);
        }
        return Ok(reply);
    }
    if script.body_repeat.is_some() {
        return Err(wrong("`body_repeat` needs a `body`".into()));
    }
    if let Some(name) = &script.fixture {
        let found = asked.hub.fixtures.find(name);
        let fixture = found.map_err(|why| Failure::new(404, format!("x-gateway: {why}")))?;
        let status = script.status.unwrap_or(fixture.status);
        let kind = script.content_type.clone().unwrap_or(fixture.content_type);
        let mut reply = Reply::exact(status, Some(kind), fixture.body, fixture.is_stream, paced);
        reply.headers.extend(fixture.headers);
        return Ok(reply);
    }
    let failed = script.status.is_some_and(|status| status >= 400);
    if failed || (script.error.is_some() && script.error_after.is_none()) {
        let status = script.status.unwrap_or(500);
        return Err(Failure::told(status, script.error.as_ref()));
    }
    let mut reply = by_target(asked, script, streamed).map_err(|failure| match failure {
        Refused::Script(why) => wrong(why),
        Refused::Request(failure) => failure,
    })?;
    if let Some(content_type) = &script.content_type {
        reply.content_type = content_type.clone();
    }
    Ok(reply)
}

enum Refused {
    Script(String),
    Request(Failure),
}

fn by_target(asked: &Asked<'_>, script: &Script, streamed: bool) -> Result<Reply, Refused> {
    let status = script.status.unwrap_or(200);
    let body = || {
        let json = asked
            .json
            .clone()
            .map_err(|why| Refused::Request(Failure::new(400, format!("The request body is no JSON: {why}"))))?;
        if json.is_object() {
            return Ok(json);
        }
        let failure = Failure::new(400, "The request body is no JSON object.");
        Err(Refused::Request(failure))
    };
    match asked.target {
        Target::Models => Ok(Reply::json(status, &embeddings::models())),
        Target::Embeddings => {
            let body = embeddings::embeddings(&body()?, script.model.as_deref());
            Ok(Reply::json(status, &body))
        }
        Target::Nothing => {
            let failure = Failure::new(404, format!("There is nothing at {}.", asked.path));
            Err(Refused::Request(failure))
        }
        Target::Answer(format) => {
            let answer = make(asked, script, format, body()?).map_err(Refused::Script)?;
            Ok(if streamed {
                stream(asked, script, format, &answer, status)
            } else if script.error_after.is_some() {
                let failure = Failure::told(500, script.error.as_ref());
                return Err(Refused::Request(failure));
            } else {
                let body = match format {
                    Format::Chat => chat::whole(&answer),
                    Format::Responses => responses::whole(&answer),
                    Format::Messages => messages::whole(&answer),
                };
                Reply::json(status, &body)
            })
        }
    }
}

fn make(asked: &Asked<'_>, script: &Script, format: Format, request: Value) -> Result<Arc<Answer>, String> {
    let before = request["previous_response_id"].as_str().map(|id| asked.hub.recall(id)).unwrap_or_default();
    let answer = Answer::new(format, script, request, asked.raw, before, asked.serial)?;
    if format == Format::Responses && !script.tools.is_empty() {
        let (rounds, calls) = answer.so_far;
        asked.hub.remember(answer.id.clone(), rounds, calls);
    }
    Ok(Arc::new(answer))
}

fn stream(asked: &Asked<'_>, script: &Script, format: Format, answer: &Arc<Answer>, status: u16) -> Reply {
    let failure = script.error_after.map(|after| (after, Failure::told(500, script.error.as_ref())));
    let events = Events::new(format, answer, failure, asked.request_id);
    let mut reply = Reply::stream(status, Box::new(events));
    if answer.is_default {
        reply.pace = DEFAULT_PACE;
    }
    reply
}

fn unauthorised(headers: &HeaderMap, script: &Script) -> Option<Failure> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).map(|value| {
        let scheme = value.get(..7).unwrap_or_default();
        if scheme.eq_ignore_ascii_case("bearer ") {
            value[7..].trim()
        } else {
            value
        }
    });
    match bearer.or_else(|| text("x-api-key")) {
        Some(WRONG_KEY) => Some(Failure::new(401, "Incorrect API key provided: sk-wrong.")),
        None | Some("") if script.auth => Some(Failure::new(401, "You did not provide an API key.").code("missing_api_key")),
        _ => None,
    }
}

/// What is left of a script for the failures of `fail=` and for refused keys: those come whole.
fn plainly(script: &Script) -> Script {
    Script {
        retry_after: script.retry_after.clone(),
        retry_after_ms: script.retry_after_ms.clone(),
        should_retry: script.should_retry.clone(),
        headers: script.headers.clone(),
        keep_alive: script.keep_alive,
        idle_close: script.idle_close,
        ..Script::default()
    }
}

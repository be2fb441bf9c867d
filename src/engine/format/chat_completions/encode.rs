//! From a neutral request to the body of Chat Completions.

use serde_json::{json, Map, Value};

use crate::engine::error::{Error, Result};
use crate::engine::format::{Call, Format};
use crate::engine::models;
use crate::engine::request::{Part, Role, Source, ToolChoice, Turn};

/// The body, without the caller's own fields.
pub fn encode(call: &Call<'_>) -> Result<Map<String, Value>> {
    let options = &call.request.options;
    let mut body = Map::new();
    body.insert("model".into(), call.model.into());
    let mut messages = Vec::new();
    for turn in &call.request.turns {
        encode_turn(turn, &mut messages)?;
    }
    body.insert("messages".into(), messages.into());
    if call.stream {
        body.insert("stream".into(), true.into());
        body.insert("stream_options".into(), json!({"include_usage": true}));
    }
    if let Some(limit) = call.max_tokens {
        let name = if models::family(call.model).completion_tokens { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.into(), limit.into());
    }
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(field.to_owned(), value);
        }
    };
    set("temperature", call.temperature.map(Value::from));
    set("top_p", options.top_p.map(Value::from));
    set("seed", options.seed.map(Value::from));
    set("stop", (!options.stop.is_empty()).then(|| options.stop.clone().into()));
    set("reasoning_effort", options.reasoning_effort.clone().map(Value::from));
    let tools: Vec<Value> = options
        .tools
        .iter()
        .map(|tool| {
            let mut function = Map::new();
            function.insert("name".into(), tool.name.clone().into());
            if let Some(description) = &tool.description {
                function.insert("description".into(), description.clone().into());
            }
            function.insert("parameters".into(), tool.parameters.clone());
            json!({"type": "function", "function": function})
        })
        .collect();
    set("tools", (!tools.is_empty()).then(|| tools.into()));
    set("tool_choice", options.tool_choice.as_ref().map(encode_choice));
    set("parallel_tool_calls", options.parallel_tool_calls.map(Value::from));
    if let Some(output) = &options.output_schema {
        let native = models::family(call.model).takes_schemas;
        let schema =
            json!({"type": "json_schema", "json_schema": {"name": output.name, "schema": output.schema, "strict": true}});
        set("response_format", Some(if native { schema } else { json!({"type": "json_object"}) }));
        if !native {
            if let Some(messages) = body.get_mut("messages").and_then(Value::as_array_mut) {
                messages.insert(0, json!({"role": "system", "content": json_mode_prompt(&output.schema)}));
            }
        }
    }
    Ok(body)
}

/// For models that know JSON but no schemas: they are told in words, and the answer is checked here as any other.
fn json_mode_prompt(schema: &Value) -> String {
    format!("Answer with one JSON object and nothing else. It must satisfy this JSON Schema: {schema}")
}

fn encode_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "function": {"name": name}}),
    }
}

fn encode_turn(turn: &Turn, messages: &mut Vec<Value>) -> Result<()> {
    match turn.role {
        Role::System => messages.push(json!({"role": "system", "content": content(&turn.parts, "system")?})),
        Role::Developer => messages.push(json!({"role": "developer", "content": content(&turn.parts, "developer")?})),
        Role::User => messages.push(json!({"role": "user", "content": content(&turn.parts, "user")?})),
        Role::Tool => {
            for part in &turn.parts {
                if let Part::ToolResult { call_id, text, is_error } = part {
                    // The format has no field for a failure, so it is said in the result.
                    let text = if *is_error { format!("Error: {text}") } else { text.clone() };
                    messages.push(json!({"role": "tool", "tool_call_id": call_id, "content": text}));
                }
            }
        }
        Role::Assistant => match &turn.native {
            Some(native) if native.format == Format::ChatCompletions => messages.push(native.value.clone()),
            _ => messages.extend(assistant(&turn.parts)),
        },
    }
    Ok(())
}

/// An assistant's turn that another format brought, or that the caller wrote. Reasoning of other formats is theirs.
fn assistant(parts: &[Part]) -> Option<Value> {
    let mut text = String::new();
    let mut refusal = String::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::Text { text: piece, .. } => text.push_str(piece),
            Part::Refusal { text: piece } => refusal.push_str(piece),
            Part::ToolCall { id, name, arguments, custom: false } => {
                calls.push(json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}));
            }
            Part::ToolCall { id, name, arguments, custom: true } => {
                calls.push(json!({"id": id, "type": "custom", "custom": {"name": name, "input": arguments}}));
            }
            _ => {}
        }
    }
    let mut message = Map::new();
    message.insert("role".into(), "assistant".into());
    let has_text = !text.is_empty();
    message
        .insert("content".into(), if has_text || (calls.is_empty() && refusal.is_empty()) { text.into() } else { Value::Null });
    if !refusal.is_empty() {
        message.insert("refusal".into(), refusal.into());
    } else if !has_text && calls.is_empty() {
        // Nothing that this format could carry was said.
        return None;
    }
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Some(message.into())
}

/// A plain string where there is only text: some gateways take nothing else.
fn content(parts: &[Part], role: &str) -> Result<Value> {
    if parts.iter().all(|p| matches!(p, Part::Text { .. })) {
        let texts: Vec<&str> =
            parts.iter().filter_map(|p| if let Part::Text { text, .. } = p { Some(text.as_str()) } else { None }).collect();
        return Ok(texts.concat().into());
    }
    parts.iter().map(|part| content_part(part, role)).collect::<Result<Vec<_>>>().map(Value::from)
}

fn content_part(part: &Part, role: &str) -> Result<Value> {
    match part {
        Part::Text { text, .. } => Ok(json!({"type": "text", "text": text})),
        Part::Media { media_type, source, file_name } => media(media_type, source, file_name.as_deref()),
        Part::Other { json } => Ok(json.clone()),
        _ => Err(Error::argument(format!("a {role} message of Chat Completions carries text and attachments only"))),
    }
}

fn media(media_type: &str, source: &Source, file_name: Option<&str>) -> Result<Value> {
    let url = |source: &Source| match source {
        Source::Url(url) => url.clone(),
        Source::Data(data) => format!("data:{media_type};base64,{data}"),
    };
    let refused = |what: &str| Err(Error::argument(format!("Chat Completions cannot carry {what} ({media_type})")));
    match (media_type.split('/').next().unwrap_or(""), source) {
        ("image", source) => Ok(json!({"type": "image_url", "image_url": {"url": url(source)}})),
        ("video", source) => Ok(json!({"type": "video_url", "video_url": {"url": url(source)}})),
        ("audio", Source::Url(_)) => refused("audio by URL: attach its bytes"),
        ("audio", Source::Data(data)) => match media_type {
            "audio/wav" | "audio/x-wav" | "audio/wave" => {
                Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}))
            }
            "audio/mpeg" | "audio/mp3" => Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}})),
            _ => refused("audio that is neither WAV nor MP3"),
        },
        (_, Source::Url(_)) => refused("a document by URL: attach its bytes"),
        (_, source @ Source::Data(_)) => {
            Ok(json!({"type": "file", "file": {"filename": file_name.unwrap_or("file"), "file_data": url(source)}}))
        }
    }
}

#[cfg(test)]
mod tests;

//! From a neutral request to the body of Responses.

use std::collections::HashSet;

use serde_json::{json, Map, Value};

use super::strict::is_strict;
use crate::engine::error::{Error, Result};
use crate::engine::format::json::{array, text};
use crate::engine::format::{Call, Format};
use crate::engine::request::{Options, Part, Request, Role, Source, ToolChoice, Turn};

/// The body, without the caller's own fields.
pub fn encode(call: &Call<'_>) -> Result<Map<String, Value>> {
    let options = &call.request.options;
    refuse_what_has_no_field(options)?;
    let mut body = Map::new();
    body.insert("model".into(), call.model.into());
    body.insert("input".into(), input(call.request)?.into());
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(field.to_owned(), value);
        }
    };
    set("stream", call.stream.then_some(Value::Bool(true)));
    set("max_output_tokens", call.max_tokens.map(Value::from));
    set("temperature", call.temperature.map(Value::from));
    set("top_p", options.top_p.map(Value::from));
    set("reasoning", options.reasoning_effort.as_ref().map(|effort| json!({ "effort": effort })));
    let tools: Vec<Value> = options
        .tools
        .iter()
        .map(|tool| {
            let mut function = Map::new();
            function.insert("type".into(), "function".into());
            function.insert("name".into(), tool.name.clone().into());
            if let Some(description) = &tool.description {
                function.insert("description".into(), description.clone().into());
            }
            function.insert("parameters".into(), tool.parameters.clone());
            // Never left out: what is not said counts as true here.
            function.insert("strict".into(), is_strict(&tool.parameters).into());
            function.into()
        })
        .collect();
    set("tools", (!tools.is_empty()).then(|| tools.into()));
    set("tool_choice", options.tool_choice.as_ref().map(encode_choice));
    set("parallel_tool_calls", options.parallel_tool_calls.map(Value::from));
    set(
        "text",
        options.output_schema.as_ref().map(
            |output| json!({"format": {"type": "json_schema", "name": output.name, "schema": output.schema, "strict": true}}),
        ),
    );
    Ok(body)
}

/// What the caller set is sent or refused, not forgotten.
fn refuse_what_has_no_field(options: &Options) -> Result<()> {
    let set = [("stop", !options.stop.is_empty()), ("seed", options.seed.is_some())];
    match set.into_iter().find(|(_, is_set)| *is_set) {
        Some((option, _)) => Err(Error::argument(format!("the Responses format cannot carry the option \"{option}\""))),
        None => Ok(()),
    }
}

fn encode_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => "auto".into(),
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Named(name) => json!({"type": "function", "name": name}),
    }
}

/// The conversation as input items, in its order: `instructions` would move what stands in the middle to the front.
fn input(request: &Request) -> Result<Vec<Value>> {
    let calls = request.turns.iter().flat_map(|turn| &turn.parts);
    let custom: HashSet<&str> = calls
        .filter_map(|part| if let Part::ToolCall { id, custom: true, .. } = part { Some(id.as_str()) } else { None })
        .collect();
    let stored = !matches!(request.options.json.get("store"), Some(Some(Value::Bool(false))));
    let mut input = Vec::new();
    for turn in &request.turns {
        match turn.role {
            Role::System => input.push(json!({"role": "system", "content": content(&turn.parts, "system")?})),
            Role::Developer => input.push(json!({"role": "developer", "content": content(&turn.parts, "developer")?})),
            Role::User => input.push(json!({"role": "user", "content": content(&turn.parts, "user")?})),
            Role::Tool => {
                for part in &turn.parts {
                    match part {
                        Part::ToolResult { .. } => input.push(result(part, &custom)),
                        _ => return Err(Error::argument("a tool message of Responses carries results only")),
                    }
                }
            }
            Role::Assistant => match native(turn) {
                Some(items) => input.extend(items.iter().filter(|item| stored || stands_alone(item)).cloned()),
                None => assistant(turn, &custom, &mut input)?,
            },
        }
    }
    Ok(input)
}

/// An assistant's turn that this format brought: its items, unharmed, their ids included.
fn native(turn: &Turn) -> Option<&[Value]> {
    match &turn.native {
        Some(native) if native.format == Format::Responses => native.value.as_array().map(Vec::as_slice),
        _ => None,
    }
}

/// A provider that was told to store nothing does not know a reasoning item again that holds nothing but its id.
fn stands_alone(item: &Value) -> bool {
    let Some(fields) = item.as_object() else { return true };
    text(fields, "type") != Some("reasoning")
        || text(fields, "encrypted_content").is_some()
        || !array(fields, "content").is_empty()
}

/// An assistant's turn that another format brought, or that the caller wrote.
fn assistant(turn: &Turn, custom: &HashSet<&str>, input: &mut Vec<Value>) -> Result<()> {
    let mut said: Vec<&Part> = Vec::new();
    // Reasoning is refused where the item that it led to does not follow.
    let mut thought: Vec<Value> = Vec::new();
    for part in &turn.parts {
        match part {
            Part::Text { text, .. } | Part::Refusal { text } => {
                if !text.is_empty() {
                    input.append(&mut thought);
                    said.push(part);
                }
            }
            Part::ToolCall { id, name, arguments, custom } => {
                input.extend(message(&mut said));
                input.append(&mut thought);
                input.push(if *custom {
                    json!({"type": "custom_tool_call", "call_id": id, "name": name, "input": arguments})
                } else {
                    json!({"type": "function_call", "call_id": id, "name": name, "arguments": arguments})
                });
            }
            Part::ToolResult { .. } => {
                input.extend(message(&mut said));
                input.push(result(part, custom));
            }
            // Encrypted reasoning is its provider's, plain reasoning has no place here.
            Part::Reasoning { text, signature: None, encrypted: Some(encrypted) } if turn.native.is_none() => {
                input.extend(message(&mut said));
                let summary: Vec<Value> =
                    (!text.is_empty()).then(|| json!({"type": "summary_text", "text": text})).into_iter().collect();
                thought.push(json!({"type": "reasoning", "summary": summary, "encrypted_content": encrypted}));
            }
            Part::Reasoning { .. } | Part::Other { .. } => {}
            Part::Media { media_type, .. } => {
                return Err(Error::argument(format!("an assistant message of Responses carries no attachments ({media_type})")))
            }
        }
    }
    input.extend(message(&mut said));
    Ok(())
}

/// What an assistant said; a plain string where it is only text, which every gateway takes.
fn message(said: &mut Vec<&Part>) -> Option<Value> {
    let said = std::mem::take(said);
    if said.is_empty() {
        return None;
    }
    let content = plain(said.iter().copied()).map_or_else(
        || {
            let parts = said.iter().filter_map(|part| match part {
                Part::Text { text, .. } => Some(json!({"type": "output_text", "text": text})),
                Part::Refusal { text } => Some(json!({"type": "refusal", "refusal": text})),
                _ => None,
            });
            parts.collect()
        },
        Value::from,
    );
    Some(json!({"role": "assistant", "content": content}))
}

fn result(part: &Part, custom: &HashSet<&str>) -> Value {
    let Part::ToolResult { call_id, text, is_error } = part else { return Value::Null };
    let of_type = if custom.contains(call_id.as_str()) { "custom_tool_call_output" } else { "function_call_output" };
    // The format has no field for a failure, so it is said in the result.
    let output = if *is_error { format!("Error: {text}") } else { text.clone() };
    json!({"type": of_type, "call_id": call_id, "output": output})
}

/// The text of parts that are nothing but text.
fn plain<'a>(parts: impl Iterator<Item = &'a Part>) -> Option<String> {
    parts.map(|part| if let Part::Text { text, .. } = part { Some(text.as_str()) } else { None }).collect()
}

/// A plain string where there is only text: some gateways take nothing else.
fn content(parts: &[Part], role: &str) -> Result<Value> {
    match plain(parts.iter()) {
        Some(plain) => Ok(plain.into()),
        None => parts.iter().map(|part| content_part(part, role)).collect::<Result<Vec<_>>>().map(Value::from),
    }
}

fn content_part(part: &Part, role: &str) -> Result<Value> {
    match part {
        Part::Text { text, .. } => Ok(json!({"type": "input_text", "text": text})),
        Part::Media { media_type, source, file_name } => media(media_type, source, file_name.as_deref()),
        Part::Other { json } => Ok(json.clone()),
        _ => Err(Error::argument(format!("a {role} message of Responses carries text and attachments only"))),
    }
}

fn media(media_type: &str, source: &Source, file_name: Option<&str>) -> Result<Value> {
    let url = |source: &Source| match source {
        Source::Url(url) => url.clone(),
        Source::Data(data) => format!("data:{media_type};base64,{data}"),
    };
    let refused = |what: &str| Err(Error::argument(format!("Responses cannot carry {what} ({media_type})")));
    match (media_type.split('/').next().unwrap_or(""), source) {
        ("image", source) => Ok(json!({"type": "input_image", "image_url": url(source), "detail": "auto"})),
        ("video", _) => refused("video"),
        ("audio", Source::Url(_)) => refused("audio by URL: attach its bytes"),
        ("audio", Source::Data(data)) => match media_type {
            "audio/wav" | "audio/x-wav" | "audio/wave" => {
                Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": "wav"}}))
            }
            "audio/mpeg" | "audio/mp3" => Ok(json!({"type": "input_audio", "input_audio": {"data": data, "format": "mp3"}})),
            _ => refused("audio that is neither WAV nor MP3"),
        },
        (_, Source::Url(url)) => Ok(json!({"type": "input_file", "file_url": url})),
        (_, source @ Source::Data(_)) => {
            Ok(json!({"type": "input_file", "filename": file_name.unwrap_or("file"), "file_data": url(source)}))
        }
    }
}

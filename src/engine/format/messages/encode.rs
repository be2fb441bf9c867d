//! From a neutral request to the body of Messages.

use std::collections::{HashMap, HashSet};

use base64::prelude::{Engine as _, BASE64_STANDARD};
use serde_json::{json, Map, Value};

use crate::engine::error::{Error, Result};
use crate::engine::format::{Call, Format};
use crate::engine::models;
use crate::engine::request::{Options, OutputSchema, Part, Role, Source, Tool, ToolChoice, Turn};

/// The format wants a limit with every request; this one is safe with all models.
const MAX_TOKENS: i64 = 4096;

/// The body, without the caller's own fields.
pub fn encode(call: &Call<'_>) -> Result<Map<String, Value>> {
    let options = &call.request.options;
    if options.seed.is_some() {
        return Err(Error::argument("Messages cannot carry a seed: leave it out, or choose another format"));
    }
    let mut body = Map::new();
    let mut set = |field: &str, value: Option<Value>| {
        if let Some(value) = value {
            body.insert(field.to_owned(), value);
        }
    };
    let turns = &call.request.turns;
    let conversation = turns.iter().position(|turn| !is_system(turn)).unwrap_or(turns.len());
    let (leading, turns) = turns.split_at(conversation);
    set("model", Some(call.model.into()));
    set("max_tokens", Some(call.max_tokens.unwrap_or(MAX_TOKENS).into()));
    set("system", system(leading)?);
    set("messages", Some(Conversation::of(turns)?.into()));
    set("stream", call.stream.then(|| true.into()));
    set("temperature", call.temperature.map(Value::from));
    set("top_p", options.top_p.map(Value::from));
    set("stop_sequences", (!options.stop.is_empty()).then(|| options.stop.clone().into()));
    let mut tools = options.tools.iter().map(tool).collect::<Result<Vec<_>>>()?;
    let answer_tool = answer_tool(call);
    if let Some(output) = answer_tool {
        tools.push(json!({"name": output.name, "description": "Gives the answer. Call it once.", "input_schema": output.schema}));
    }
    set("tools", (!tools.is_empty()).then(|| tools.into()));
    set(
        "tool_choice",
        match answer_tool {
            // The caller's own tools may come first; without any there is only one thing to do.
            Some(_) if !options.tools.is_empty() => Some(json!({"type": "any"})),
            Some(output) => Some(json!({"type": "tool", "name": output.name, "disable_parallel_tool_use": true})),
            None => choice(options),
        },
    );
    let mut output = Map::new();
    match options.reasoning_effort.as_deref() {
        // There is no effort below the lowest but not to think at all.
        Some("none" | "minimal") => set("thinking", Some(json!({"type": "disabled"}))),
        Some(effort) => {
            output.insert("effort".into(), effort.into());
        }
        None => {}
    }
    if let Some(schema) = options.output_schema.as_ref().filter(|_| answer_tool.is_none()) {
        output.insert("format".into(), json!({"type": "json_schema", "schema": schema.schema}));
    }
    set("output_config", (!output.is_empty()).then(|| output.into()));
    Ok(body)
}

/// For models without structured output: a tool whose arguments are the answer.
pub fn answer_tool<'a>(call: &Call<'a>) -> Option<&'a OutputSchema> {
    let output = call.request.options.output_schema.as_ref()?;
    (!models::family(call.model).takes_schemas).then_some(output)
}

fn is_system(turn: &Turn) -> bool {
    matches!(turn.role, Role::System | Role::Developer)
}

/// What stands before the conversation: text, or blocks where the caller marked some for the cache.
fn system(turns: &[Turn]) -> Result<Option<Value>> {
    let mut blocks = Vec::new();
    for turn in turns {
        for block in instructions(turn)? {
            blocks.push(block);
        }
    }
    if let Some(texts) = blocks.iter().map(plain_text).collect::<Option<Vec<_>>>() {
        return Ok((!texts.is_empty()).then(|| texts.join("\n\n").into()));
    }
    Ok(Some(blocks.into()))
}

/// A system's turn as text blocks: one of all its texts, unless the caller wrote blocks himself.
fn instructions(turn: &Turn) -> Result<Vec<Value>> {
    let mut blocks: Vec<Value> = Vec::new();
    let mut open = false;
    for part in &turn.parts {
        match part {
            Part::Text { text, .. } => match blocks.last_mut().and_then(|last| last.get_mut("text")) {
                Some(Value::String(all)) if open => all.push_str(text),
                _ => blocks.push(text_block(text)),
            },
            Part::Other { json } => blocks.push(json.clone()),
            _ => return Err(Error::argument("a system message of Messages carries text only: attach files to a user's message")),
        }
        open = matches!(part, Part::Text { .. });
    }
    blocks.retain(|block| plain_text(block) != Some(""));
    Ok(blocks)
}

fn text_block(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

/// The text of a block that is nothing but text.
fn plain_text(block: &Value) -> Option<&str> {
    let fields = block.as_object().filter(|fields| fields.len() == 2)?;
    fields.get("type").filter(|t| *t == "text").and(fields.get("text")).and_then(Value::as_str)
}

/// The messages on their way: user and assistant take turns, whatever the caller's turns are.
#[derive(Default)]
struct Conversation<'a> {
    messages: Vec<Message>,
    ids: Ids<'a>,
}

struct Message {
    assistant: bool,
    /// Of a user's message: they stand before everything else.
    results: Vec<Value>,
    blocks: Vec<Value>,
}

impl<'a> Conversation<'a> {
    fn of(turns: &'a [Turn]) -> Result<Vec<Value>> {
        let mut conversation = Self::default();
        for (n, turn) in turns.iter().enumerate() {
            match turn.role {
                Role::Assistant => conversation.assistant(turn, turns.get(n + 1..).unwrap_or(&[]))?,
                Role::System | Role::Developer => conversation.later_instructions(turn)?,
                Role::User | Role::Tool => conversation.user(turn)?,
            }
        }
        match conversation.messages.first() {
            None => Err(Error::argument("Messages needs a user's message: the conversation has none")),
            Some(first) if first.assistant => {
                Err(Error::argument("a conversation in Messages begins with a user's message, not with the assistant's"))
            }
            Some(_) => Ok(conversation.messages.into_iter().map(Message::into_json).collect()),
        }
    }

    /// The message that is open for this role.
    fn message(&mut self, assistant: bool) -> &mut Message {
        if self.messages.last().is_none_or(|last| last.assistant != assistant) {
            self.messages.push(Message { assistant, results: Vec::new(), blocks: Vec::new() });
        }
        let last = self.messages.len() - 1;
        &mut self.messages[last]
    }

    /// Instructions in the middle stay where they are, as text that says what it is: before the conversation they would mean
    /// something else.
    fn later_instructions(&mut self, turn: &Turn) -> Result<()> {
        for mut block in instructions(turn)? {
            if let Some(Value::String(text)) = block.get_mut("text") {
                *text = format!("<system>{text}</system>");
            }
            self.message(false).blocks.push(block);
        }
        Ok(())
    }

    fn user(&mut self, turn: &'a Turn) -> Result<()> {
        for part in &turn.parts {
            let block = match part {
                Part::ToolResult { call_id, text, is_error } => {
                    let mut result = json!({"type": "tool_result", "tool_use_id": self.ids.of(call_id), "content": text});
                    if *is_error {
                        result["is_error"] = true.into();
                    }
                    result
                }
                // Empty text is refused, and says nothing.
                Part::Text { text, .. } if text.is_empty() => continue,
                Part::Text { text, .. } => text_block(text),
                Part::Media { media_type, source, file_name } => media(media_type, source, file_name.as_deref())?,
                Part::Other { json } => json.clone(),
                Part::Reasoning { .. } | Part::Refusal { .. } | Part::ToolCall { .. } => {
                    return Err(Error::argument("a user's message of Messages carries text, attachments and tool results only"));
                }
            };
            let message = self.message(false);
            if block["type"] == "tool_result" {
                message.results.push(block);
            } else {
                message.blocks.push(block);
            }
        }
        Ok(())
    }

    fn assistant(&mut self, turn: &'a Turn, later: &'a [Turn]) -> Result<()> {
        let blocks = match turn.native.as_ref() {
            Some(native) if native.format == Format::Messages => match &native.value {
                Value::Array(blocks) => self.replay(blocks, later),
                Value::String(text) if !text.is_empty() => vec![text_block(text)],
                _ => Vec::new(),
            },
            native => self.translate(&turn.parts, native.is_some(), later)?,
        };
        if !blocks.is_empty() {
            self.message(true).blocks.extend(blocks);
        }
        Ok(())
    }

    /// The blocks as the provider sent them. Only a call that was cut off cannot go back as it is.
    fn replay(&mut self, blocks: &'a [Value], later: &[Turn]) -> Vec<Value> {
        let mut kept = Vec::new();
        for block in blocks {
            let id = block.get("id").and_then(Value::as_str);
            match (block["type"] == "tool_use", id) {
                (true, Some(id)) if !block["input"].is_object() => {
                    let input = block["input"].as_str().map_or_else(|| block["input"].to_string(), str::to_owned);
                    if let Some(input) = object_of(&input, is_answered(id, later)) {
                        let mut block = block.clone();
                        block["input"] = input;
                        kept.push(block);
                    }
                }
                _ => kept.push(block.clone()),
            }
            if let Some(id) = id {
                self.ids.keep(id);
            }
        }
        kept
    }

    /// A turn that another format brought, or that the caller wrote. Reasoning without a signature of this format, and what
    /// another format has no name for, cannot be said here.
    fn translate(&mut self, parts: &'a [Part], foreign: bool, later: &[Turn]) -> Result<Vec<Value>> {
        let mut blocks = Vec::new();
        for part in parts {
            match part {
                Part::Text { text, .. } | Part::Refusal { text } if !text.trim().is_empty() => blocks.push(text_block(text)),
                Part::Reasoning { text, signature: Some(signature), .. } if !foreign => {
                    blocks.push(json!({"type": "thinking", "thinking": text, "signature": signature}));
                }
                Part::Reasoning { encrypted: Some(data), .. } if !foreign => {
                    blocks.push(json!({"type": "redacted_thinking", "data": data}));
                }
                Part::ToolCall { id, name, arguments, custom } => {
                    let answered = is_answered(id, later);
                    let input = if *custom { Some(json!({ "input": arguments })) } else { object_of(arguments, answered) };
                    if let Some(input) = input {
                        blocks.push(json!({"type": "tool_use", "id": self.ids.call(id), "name": name, "input": input}));
                    }
                }
                Part::Other { json } if !foreign => blocks.push(json.clone()),
                Part::Media { media_type, .. } => {
                    return Err(Error::argument(format!(
                        "an assistant's message of Messages cannot carry an attachment ({media_type})"
                    )));
                }
                Part::ToolResult { .. } => {
                    return Err(Error::argument("an assistant's message of Messages cannot carry a tool result"));
                }
                Part::Text { .. } | Part::Refusal { .. } | Part::Reasoning { .. } | Part::Other { .. } => {}
            }
        }
        Ok(blocks)
    }
}

impl Message {
    fn into_json(self) -> Value {
        let role = if self.assistant { "assistant" } else { "user" };
        let mut content = self.results;
        content.extend(self.blocks);
        match (self.assistant, content.as_slice()) {
            // One text of a user is a plain string, which every gateway takes.
            (false, [only]) if plain_text(only).is_some() => json!({"role": role, "content": plain_text(only)}),
            _ => json!({"role": role, "content": content}),
        }
    }
}

/// What calls are called on the wire. The format allows letters, digits, `_` and `-`, and every id once.
#[derive(Default)]
struct Ids<'a> {
    wire: HashMap<&'a str, String>,
    taken: HashSet<String>,
}

impl<'a> Ids<'a> {
    /// An id that the provider gave goes back as it is.
    fn keep(&mut self, id: &'a str) {
        self.taken.insert(id.to_owned());
        self.wire.insert(id, id.to_owned());
    }

    /// A call of another format.
    fn call(&mut self, id: &'a str) -> String {
        let base = clean(id);
        let mut wire = base.clone();
        let mut n = 1;
        while !self.taken.insert(wire.clone()) {
            n += 1;
            wire = format!("{base}_{n}");
        }
        self.wire.insert(id, wire.clone());
        wire
    }

    /// The call that a result belongs to: the last one of that name.
    fn of(&self, id: &str) -> String {
        self.wire.get(id).cloned().unwrap_or_else(|| clean(id))
    }
}

/// Other characters become `_` and their code, so that different ids stay different.
fn clean(id: &str) -> String {
    use std::fmt::Write as _;

    let mut clean = String::with_capacity(id.len());
    for c in id.chars() {
        if c.is_ascii_alphanumeric() || matches!(c, '_' | '-') {
            clean.push(c);
        } else {
            // Writing into a string cannot fail.
            let _ = write!(clean, "_{:x}", u32::from(c));
        }
    }
    if clean.is_empty() {
        clean.push('_');
    }
    clean
}

/// Whether a result of this call follows before the assistant speaks again.
fn is_answered(id: &str, later: &[Turn]) -> bool {
    let mut following = later.iter().take_while(|turn| turn.role != Role::Assistant).flat_map(|turn| &turn.parts);
    following.any(|part| matches!(part, Part::ToolResult { call_id, .. } if call_id == id))
}

/// Arguments as the object that the format wants. What is none is wrapped where a result refers to it; where none does, the
/// call was cut off and never executed, and a call without a result would be refused: `None`.
fn object_of(arguments: &str, answered: bool) -> Option<Value> {
    if arguments.trim().is_empty() {
        return Some(json!({}));
    }
    match serde_json::from_str(arguments) {
        Ok(input @ Value::Object(_)) => Some(input),
        Ok(Value::Null) => Some(json!({})),
        Ok(other) => Some(json!({ "input": other })),
        Err(_) => answered.then(|| json!({ "input": arguments })),
    }
}

fn media(media_type: &str, source: &Source, file_name: Option<&str>) -> Result<Value> {
    let essence = media_type.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    let inline = |url: &str| url.strip_prefix("data:")?.split_once(";base64,").map(|(_, data)| Source::Data(data.to_owned()));
    let source = match source {
        Source::Url(url) => inline(url).unwrap_or_else(|| source.clone()),
        Source::Data(_) => source.clone(),
    };
    let document = |source: Value| {
        let mut block = json!({"type": "document", "source": source});
        if let Some(name) = file_name {
            block["title"] = name.into();
        }
        block
    };
    match (essence.split('/').next().unwrap_or(""), essence.as_str(), source) {
        ("image", _, Source::Url(url)) => Ok(json!({"type": "image", "source": {"type": "url", "url": url}})),
        ("image", _, Source::Data(data)) => {
            Ok(json!({"type": "image", "source": {"type": "base64", "media_type": essence, "data": data}}))
        }
        (_, "application/pdf", Source::Data(data)) => {
            Ok(document(json!({"type": "base64", "media_type": "application/pdf", "data": data})))
        }
        (_, "application/pdf", Source::Url(url)) | ("text", _, Source::Url(url)) => {
            Ok(document(json!({"type": "url", "url": url})))
        }
        ("text", _, Source::Data(data)) | (_, "application/json" | "application/xml", Source::Data(data)) => {
            let text = BASE64_STANDARD.decode(&data).ok().and_then(|bytes| String::from_utf8(bytes).ok());
            let text =
                text.ok_or_else(|| Error::argument(format!("Messages carries text ({media_type}) as UTF-8, and this is none")))?;
            Ok(document(json!({"type": "text", "media_type": "text/plain", "data": text})))
        }
        _ => Err(Error::argument(format!(
            "Messages cannot carry {}: it takes images, PDF and text",
            file_name.map_or_else(|| media_type.to_owned(), |name| format!("{name:?} ({media_type})"))
        ))),
    }
}

fn tool(tool: &Tool) -> Result<Value> {
    let mut out = Map::new();
    out.insert("name".into(), tool.name.clone().into());
    if let Some(description) = &tool.description {
        out.insert("description".into(), description.clone().into());
    }
    let schema = match &tool.parameters {
        Value::Null => json!({"type": "object", "properties": {}}),
        Value::Object(schema) if schema.is_empty() => json!({"type": "object", "properties": {}}),
        schema @ Value::Object(fields) => match fields.get("type") {
            Some(kind) if kind == "object" => schema.clone(),
            None => {
                let mut typed = Map::new();
                typed.insert("type".into(), "object".into());
                typed.extend(fields.clone());
                typed.into()
            }
            Some(_) => return Err(no_object(tool)),
        },
        _ => return Err(no_object(tool)),
    };
    out.insert("input_schema".into(), schema);
    Ok(out.into())
}

fn no_object(tool: &Tool) -> Error {
    Error::argument(format!(
        "the parameters of the tool {:?} are no object: Messages takes a schema of type \"object\" only",
        tool.name
    ))
}

fn choice(options: &Options) -> Option<Value> {
    let one_at_a_time = options.parallel_tool_calls == Some(false);
    let mut choice = match &options.tool_choice {
        None if !one_at_a_time => return None,
        None | Some(ToolChoice::Auto) => json!({"type": "auto"}),
        Some(ToolChoice::None) => return Some(json!({"type": "none"})),
        Some(ToolChoice::Required) => json!({"type": "any"}),
        Some(ToolChoice::Named(name)) => json!({"type": "tool", "name": name}),
    };
    if one_at_a_time {
        choice["disable_parallel_tool_use"] = true.into();
    }
    Some(choice)
}

#[cfg(test)]
mod tests;

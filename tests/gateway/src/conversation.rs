//! What a request says, as far as the gateway wants to know it.

use serde_json::Value;

use crate::format::Format;

/// One step of a conversation, whatever the format.
enum Turn {
    User(String),
    Result(String),
    Other,
}

/// A request in neutral words.
#[derive(Debug, Default)]
pub struct Conversation {
    /// The text of the last user message.
    pub last_user: Option<String>,
    /// The texts of the tool results behind the last user message.
    pub results: Vec<String>,
    /// In how many groups these came: one for each time that tools were asked for.
    pub rounds: usize,
    /// All tool results of the conversation: ids of further calls start behind them.
    pub calls: usize,
}

impl Conversation {
    /// Reads a request body; what it does not understand it skips.
    pub fn read(format: Format, body: &Value) -> Self {
        let turns = match format {
            Format::Chat => chat(body),
            Format::Responses => responses(body),
            Format::Messages => messages(body),
        };
        let mut seen = Self::default();
        let mut in_results = false;
        for turn in turns {
            let result = matches!(turn, Turn::Result(_));
            match turn {
                Turn::User(text) => {
                    seen.last_user = Some(text);
                    seen.results.clear();
                    seen.rounds = 0;
                }
                Turn::Result(text) => {
                    seen.results.push(text);
                    seen.calls += 1;
                    seen.rounds += usize::from(!in_results);
                }
                Turn::Other => {}
            }
            in_results = result;
        }
        seen
    }
}

fn list<'a>(body: &'a Value, name: &str) -> impl Iterator<Item = &'a Value> {
    body.get(name).and_then(Value::as_array).into_iter().flatten()
}

fn named<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// The text of a content that is a string or a list of parts.
fn text(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().map(|part| named(part, "text")).collect(),
        _ => String::new(),
    }
}

fn chat(body: &Value) -> Vec<Turn> {
    let mut turns: Vec<Turn> = Vec::new();
    for message in list(body, "messages") {
        let content = message.get("content");
        match named(message, "role") {
            "tool" | "function" => turns.push(Turn::Result(text(content))),
            "user" => {
                // Tool messages hold no images: clients send those in a user message right behind, which
                // belongs to the results and is nothing that a user has said.
                let images =
                    content.and_then(Value::as_array).is_some_and(|parts| parts.iter().any(|p| named(p, "type") != "text"));
                if !(images && matches!(turns.last(), Some(Turn::Result(_)))) {
                    turns.push(Turn::User(text(content)));
                }
            }
            "assistant" => turns.push(Turn::Other),
            _ => {}
        }
    }
    turns
}

fn responses(body: &Value) -> Vec<Turn> {
    if let Some(text) = body.get("input").and_then(Value::as_str) {
        return vec![Turn::User(text.to_owned())];
    }
    list(body, "input")
        .map(|item| match (named(item, "type"), named(item, "role")) {
            ("" | "message", "user") => Turn::User(text(item.get("content"))),
            ("function_call_output" | "custom_tool_call_output", _) => Turn::Result(text(item.get("output"))),
            _ => Turn::Other,
        })
        .collect()
}

fn messages(body: &Value) -> Vec<Turn> {
    let mut turns = Vec::new();
    for message in list(body, "messages") {
        if named(message, "role") != "user" {
            turns.push(Turn::Other);
            continue;
        }
        let Some(blocks) = message.get("content").and_then(Value::as_array) else {
            turns.push(Turn::User(text(message.get("content"))));
            continue;
        };
        let mut said: Option<String> = None;
        for block in blocks {
            if named(block, "type") == "tool_result" {
                turns.push(Turn::Result(text(block.get("content"))));
            } else {
                said.get_or_insert_default().push_str(named(block, "text"));
            }
        }
        // Results stand before what else a user message holds.
        turns.extend(said.map(Turn::User));
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn facts(format: Format, body: Value) -> (Option<String>, Vec<String>, usize, usize) {
        let seen = Conversation::read(format, &body);
        (seen.last_user, seen.results, seen.rounds, seen.calls)
    }

    #[test]
    fn two_rounds_behind_the_last_user_message_in_each_format() {
        let expected = (Some("q".to_owned()), vec!["1".to_owned(), "2".into(), "3".into()], 2, 3);
        let chat = json!({"messages": [
            {"role": "system", "content": "s"}, {"role": "user", "content": [{"type": "text", "text": "q"}]},
            {"role": "assistant", "tool_calls": []},
            {"role": "tool", "content": "1"}, {"role": "tool", "content": [{"type": "text", "text": "2"}]},
            {"role": "assistant", "tool_calls": []}, {"role": "tool", "content": "3"}]});
        assert_eq!(facts(Format::Chat, chat), expected);
        let responses = json!({"input": [
            {"role": "user", "content": "q"}, {"type": "function_call"}, {"type": "function_call"},
            {"type": "function_call_output", "output": "1"},
            {"type": "function_call_output", "output": [{"type": "input_text", "text": "2"}]},
            {"type": "reasoning"}, {"type": "function_call"}, {"type": "function_call_output", "output": "3"}]});
        assert_eq!(facts(Format::Responses, responses), expected);
        let messages = json!({"messages": [
            {"role": "user", "content": "q"}, {"role": "assistant", "content": []},
            {"role": "user", "content": [{"type": "tool_result", "content": "1"},
                {"type": "tool_result", "content": [{"type": "text", "text": "2"}]}]},
            {"role": "assistant", "content": []},
            {"role": "user", "content": [{"type": "tool_result", "content": "3"}]}]});
        assert_eq!(facts(Format::Messages, messages), expected);
    }

    #[test]
    fn a_user_message_behind_the_results_ends_the_rounds() {
        let body = json!({"messages": [{"role": "user", "content": [
            {"type": "tool_result", "content": "1"}, {"type": "text", "text": "next"}]}]});
        assert_eq!(facts(Format::Messages, body), (Some("next".into()), vec![], 0, 1));
        let images = json!({"messages": [{"role": "user", "content": "q"}, {"role": "tool", "content": "1"},
            {"role": "user", "content": [{"type": "text", "text": "of call_1"}, {"type": "image_url"}]}]});
        assert_eq!(facts(Format::Chat, images), (Some("q".into()), vec!["1".into()], 1, 1));
    }

    #[test]
    fn nonsense_is_skipped() {
        for body in [json!(null), json!({"messages": 3, "input": {}}), json!({"messages": [1, {"role": 2}]})] {
            for format in [Format::Chat, Format::Responses, Format::Messages] {
                assert_eq!(Conversation::read(format, &body).last_user, None);
            }
        }
    }
}

//! Tool rounds: the calls of a round, and the results that its caller gives from any thread.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::engine::error::{Error, Result};
use crate::engine::request::{Part, Role, Turn};

/// The round under way.
#[derive(Debug, Default)]
pub struct Round {
    open: Mutex<Open>,
    answered: Notify,
}

#[derive(Debug, Default)]
struct Open {
    /// In the order of the calls.
    ids: Vec<String>,
    results: HashMap<String, Part>,
}

impl Round {
    /// Begins a round. Calls that cannot be executed, because their arguments are no JSON, are answered here: the model
    /// sees why and can do better.
    pub fn begin<'a>(&self, calls: impl Iterator<Item = &'a Part>) {
        let mut open = Open::default();
        for call in calls {
            let Part::ToolCall { id, arguments, custom, .. } = call else { continue };
            open.ids.push(id.clone());
            if let (false, Err(e)) = (custom, serde_json::from_str::<serde::de::IgnoredAny>(arguments)) {
                let text = format!("the arguments are not valid JSON: {e}");
                open.results.insert(id.clone(), Part::ToolResult { call_id: id.clone(), text, is_error: true });
            }
        }
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = open;
    }

    /// Takes the result of one call.
    pub fn reply(&self, call_id: &str, text: &str, is_error: bool) -> Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.ids.iter().any(|id| id == call_id) {
            return Err(Error::argument("no call with this id waits for a reply"));
        }
        if open.results.contains_key(call_id) {
            return Err(Error::argument("this call has been answered already"));
        }
        open.results
            .insert(call_id.to_owned(), Part::ToolResult { call_id: call_id.to_owned(), text: text.to_owned(), is_error });
        drop(open);
        self.answered.notify_one();
        Ok(())
    }

    /// Waits until every call has its result, and gives them in the order of the calls.
    pub async fn results(&self) -> Vec<Turn> {
        loop {
            if let Some(turns) = self.take_if_all() {
                return turns;
            }
            self.answered.notified().await;
        }
    }

    fn take_if_all(&self) -> Option<Vec<Turn>> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if !open.ids.iter().all(|id| open.results.contains_key(id)) {
            return None;
        }
        let Open { ids, mut results } = std::mem::take(&mut *open);
        let turn = |result| Turn { role: Role::Tool, parts: vec![result], native: None };
        Some(ids.iter().filter_map(|id| results.remove(id)).map(turn).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::error::Kind;

    fn call(id: &str, arguments: &str) -> Part {
        Part::ToolCall { id: id.into(), name: "f".into(), arguments: arguments.into(), custom: false }
    }

    #[test]
    fn each_call_takes_one_reply_and_order_is_that_of_the_calls() {
        let round = Round::default();
        round.begin([call("a", "{}"), Part::text("x"), call("b", "{}"), call("c", "{\"x\":")].iter());
        assert!(round.take_if_all().is_none());
        assert_eq!(round.reply("z", "?", false).unwrap_err().kind(), Kind::InvalidArgument);
        round.reply("b", "B", false).unwrap();
        assert!(round.reply("b", "again", false).is_err());
        assert!(round.reply("c", "answered by the library", false).is_err());
        round.reply("a", "A", true).unwrap();
        let texts: Vec<String> = round
            .take_if_all()
            .unwrap()
            .into_iter()
            .map(|turn| match &turn.parts[..] {
                [Part::ToolResult { call_id, text, is_error }] => format!("{call_id} {text} {is_error}"),
                other => format!("{other:?}"),
            })
            .collect();
        assert_eq!(texts[..2], ["a A true", "b B false"]);
        assert!(texts[2].starts_with("c the arguments are not valid JSON"));
        assert!(round.reply("a", "late", false).is_err());
    }
}

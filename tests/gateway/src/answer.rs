//! The answer in neutral words, and the steps in which every format streams it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::conversation::Conversation;
use crate::cut::Cuts;
use crate::format::Format;
use crate::script::{Script, ToolStyle, Usage, UsageChoice};

/// No answer is longer: a typo in `repeat=` should not eat the machine.
const LONGEST: usize = 512 << 20;

/// A call of a tool.
pub struct Tool {
    pub id: String,
    pub name: String,
    pub arguments: Arc<str>,
}

/// `finish=`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// What the format says after this content.
    Usual,
    /// Nothing: the answer has no end.
    Never,
    /// The provider's word.
    Reason(String),
}

/// What the gateway answers.
pub struct Answer {
    pub id: String,
    pub model: String,
    pub created: u64,
    pub reasoning: Option<Arc<str>>,
    pub text: Option<Arc<str>>,
    pub refusal: Option<Arc<str>>,
    pub tools: Vec<Tool>,
    pub finish: Finish,
    pub usage: Option<Usage>,
    pub reasoning_field: String,
    pub tool_style: ToolStyle,
    /// `done=`: whether the last marker is sent.
    pub done: Option<bool>,
    /// What was asked; Responses says much of it again.
    pub request: Value,
    deltas: Option<usize>,
    reasoning_deltas: Option<usize>,
    tool_deltas: usize,
    /// It is the default paragraph, which has a pace of its own.
    pub is_default: bool,
    /// Rounds and calls up to here, for a request that continues from this response.
    pub so_far: (usize, usize),
}

/// What happens next in a stream.
#[derive(Debug)]
pub enum Step {
    Start,
    ReasoningStart,
    Reasoning(String),
    ReasoningEnd,
    TextStart,
    Text(String),
    TextEnd,
    RefusalStart,
    Refusal(String),
    RefusalEnd,
    ToolStart(usize),
    Tool(usize, String),
    ToolEnd(usize),
    Finish,
}

impl Step {
    /// Whether `pace_ms=` and `error_after=` count it.
    pub fn is_delta(&self) -> bool {
        matches!(self, Self::Reasoning(_) | Self::Text(_) | Self::Refusal(_) | Self::Tool(..))
    }
}

impl Answer {
    /// Makes the answer that this script wants for this request.
    pub fn new(
        format: Format,
        script: &Script,
        request: Value,
        raw: &str,
        before: (usize, usize),
        serial: u64,
    ) -> Result<Self, String> {
        let conversation = Conversation::read(format, &request);
        // A new question starts the rounds anew, wherever the earlier ones are kept.
        let earlier = if conversation.last_user.is_some() { 0 } else { before.0 };
        let rounds = earlier + conversation.rounds;
        let calls = before.1 + conversation.calls;
        let wants_tools = !script.tools.is_empty() && rounds < script.rounds.unwrap_or(1);

        let mut is_default = false;
        let text = if wants_tools {
            script.say.clone()
        } else if !script.tools.is_empty() && !conversation.results.is_empty() {
            Some(format!("Results: {}", conversation.results.join(", ")))
        } else if script.echo {
            Some(raw.to_owned())
        } else if script.say.is_some() || script.refusal.is_some() {
            script.say.clone()
        } else {
            is_default = true;
            Some(paragraph(conversation.last_user.as_deref()))
        };
        let text = match (text, script.repeat) {
            (Some(text), Some(times)) => {
                if text.len().saturating_mul(times) > LONGEST {
                    return Err("`repeat` makes a text of more than 512 MiB".into());
                }
                Some(text.repeat(times))
            }
            (text, _) => text,
        };

        let tools = if wants_tools {
            let named = script.tools.iter().enumerate();
            named
                .map(|(index, (name, arguments))| Tool {
                    id: format!("call_{}", calls + index + 1),
                    name: name.clone(),
                    arguments: Arc::from(arguments.as_str()),
                })
                .collect()
        } else {
            Vec::new()
        };
        let mut answer = Self {
            id: script.id.clone().unwrap_or_else(|| default_id(format, serial)),
            model: script.model.clone().unwrap_or_else(|| model(&request)),
            created: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs()),
            reasoning: script.reasoning.as_deref().map(Arc::from),
            text: text.map(Arc::from),
            refusal: script.refusal.as_deref().map(Arc::from),
            tools,
            finish: match script.finish.as_deref() {
                None => Finish::Usual,
                Some("none") => Finish::Never,
                Some(reason) => Finish::Reason(reason.to_owned()),
            },
            usage: None,
            reasoning_field: script.reasoning_field.clone().unwrap_or_else(|| "reasoning_content".into()),
            tool_style: script.tool_style,
            done: script.done,
            request,
            deltas: script.deltas,
            reasoning_deltas: script.reasoning_deltas,
            tool_deltas: script.tool_deltas.unwrap_or(3),
            is_default,
            so_far: (rounds, calls),
        };
        answer.usage = match script.usage {
            UsageChoice::None => None,
            UsageChoice::Given(usage) => Some(usage),
            UsageChoice::Estimated => Some(answer.estimate()),
        };
        Ok(answer)
    }

    /// About four characters to a token, as everybody estimates; the same whether it is streamed or not.
    fn estimate(&self) -> Usage {
        const READ: [&str; 5] = ["messages", "input", "system", "instructions", "tools"];
        let tokens = |text: &str| text.chars().count().div_ceil(4) as u64;
        let of = |text: &Option<Arc<str>>| text.as_deref().map_or(0, tokens);
        let reasoning = of(&self.reasoning);
        let arguments: u64 = self.tools.iter().map(|t| tokens(&t.arguments) + 1).sum();
        Usage {
            input: READ.iter().map(|name| tokens(&self.request[name].to_string())).sum(),
            output: reasoning + of(&self.text) + of(&self.refusal) + arguments,
            cached: 0,
            reasoning,
        }
    }

    /// The steps of the stream, made as they are asked for.
    pub fn steps(self: &Arc<Self>) -> Box<dyn Iterator<Item = Step> + Send> {
        let cut = |text: &Option<Arc<str>>, parts| text.clone().map(|text| Cuts::new(text, parts)).into_iter();
        let reasoning = cut(&self.reasoning, self.reasoning_deltas)
            .flat_map(|cuts| around(Step::ReasoningStart, cuts.map(Step::Reasoning), Step::ReasoningEnd));
        let text = cut(&self.text, self.deltas).flat_map(|cuts| around(Step::TextStart, cuts.map(Step::Text), Step::TextEnd));
        let refusal = cut(&self.refusal, self.deltas)
            .flat_map(|cuts| around(Step::RefusalStart, cuts.map(Step::Refusal), Step::RefusalEnd));
        let end = (self.finish != Finish::Never).then_some(Step::Finish);
        Box::new(std::iter::once(Step::Start).chain(reasoning).chain(text).chain(refusal).chain(self.tool_steps()).chain(end))
    }

    fn tool_steps(&self) -> Vec<Step> {
        let pieces = |tool: &Tool| -> Vec<String> {
            let parts = match self.tool_style {
                ToolStyle::Whole => 1,
                _ => self.tool_deltas,
            };
            let mut pieces: Vec<_> = Cuts::new(Arc::clone(&tool.arguments), Some(parts)).collect();
            if pieces.is_empty() && self.tool_style == ToolStyle::Whole {
                pieces.push(String::new());
            }
            pieces
        };
        let mut steps = Vec::new();
        if self.tool_style == ToolStyle::Interleaved {
            let all: Vec<_> = self.tools.iter().map(pieces).collect();
            steps.extend((0..all.len()).map(Step::ToolStart));
            let most = all.iter().map(Vec::len).max().unwrap_or(0);
            for round in 0..most {
                for (index, pieces) in all.iter().enumerate() {
                    if let Some(piece) = pieces.get(round) {
                        steps.push(Step::Tool(index, piece.clone()));
                    }
                }
            }
            steps.extend((0..all.len()).map(Step::ToolEnd));
        } else {
            for (index, tool) in self.tools.iter().enumerate() {
                steps.push(Step::ToolStart(index));
                steps.extend(pieces(tool).into_iter().map(|p| Step::Tool(index, p)));
                steps.push(Step::ToolEnd(index));
            }
        }
        steps
    }
}

fn around(start: Step, deltas: impl Iterator<Item = Step>, end: Step) -> impl Iterator<Item = Step> {
    std::iter::once(start).chain(deltas).chain(std::iter::once(end))
}

fn default_id(format: Format, serial: u64) -> String {
    let prefix = match format {
        Format::Chat => "chatcmpl",
        Format::Responses => "resp",
        Format::Messages => "msg",
    };
    format!("{prefix}_loopback{serial}")
}

fn model(request: &Value) -> String {
    let asked = request.get("model").and_then(Value::as_str);
    // A model name that is a script may be long, and would stand in every chunk.
    asked.filter(|model| !model.starts_with("gw:")).unwrap_or("loopback").to_owned()
}

/// What a newcomer reads first.
fn paragraph(question: Option<&str>) -> String {
    let mut text = String::from(
        "Hello from the loopback gateway of libapertis! 👋 No key was needed for this answer, and nothing has \
         left your machine: a small program on 127.0.0.1 is speaking the wire format that you picked, one word at a \
         time, so that you can watch it stream. Set a key, and the same code talks to real models. Viel Vergnügen!",
    );
    if let Some(question) = question.map(str::trim).filter(|q| !q.is_empty()) {
        const SHOWN: usize = 200;
        let more = if question.chars().nth(SHOWN).is_some() { "…" } else { "" };
        let shown: String = question.chars().take(SHOWN).collect();
        text.push_str(&format!(" You asked: \"{shown}{more}\""));
    }
    text
}

//! What is known of models by their name: one table, the only place that knows it.
//!
//! Source of the rows: the providers' public model pages and the gateway's catalogue, as of 2026-11.

use super::format::Format;

/// What a family of models has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// Names begin with this.
    prefix: &'static str,
    /// Tokens of input and output together; -1: not known.
    pub context_window: i64,
    /// The format that serves the family best.
    pub format: Format,
    /// Reasoning models of this family answer a temperature with an error.
    pub rejects_temperature: bool,
    /// The limit is called `max_completion_tokens` in Chat Completions.
    pub completion_tokens: bool,
    /// Answers can be bound to a JSON Schema. Where not, the fallback of the format is used: JSON mode and the schema in words
    /// (Chat Completions), or a tool that the model has to call (Messages).
    pub takes_schemas: bool,
}

const fn row(
    prefix: &'static str,
    context_window: i64,
    format: Format,
    rejects_temperature: bool,
    completion_tokens: bool,
) -> Family {
    Family { prefix, context_window, format, rejects_temperature, completion_tokens, takes_schemas: true }
}

/// A family whose answers cannot be bound to a schema.
const fn without_schemas(family: Family) -> Family {
    Family { takes_schemas: false, ..family }
}

use Format::{ChatCompletions as Chat, Messages, Responses};

/// The longest prefix that fits wins.
const FAMILIES: &[Family] = &[
    row("gpt-5", 400_000, Chat, true, true),
    // Served through /v1/responses alone.
    row("gpt-5-pro", 400_000, Responses, true, true),
    row("gpt-5-chat-latest", 400_000, Responses, false, true),
    row("gpt-5-mini", 400_000, Responses, true, true),
    row("gpt-5-nano", 400_000, Responses, true, true),
    row("gpt-5-codex", 400_000, Responses, true, true),
    row("gpt-5.1-codex", 400_000, Responses, true, true),
    row("gpt-5.2-codex", 400_000, Responses, true, true),
    row("codex-", 200_000, Responses, true, true),
    row("o1", 200_000, Chat, true, true),
    row("o1-mini", 128_000, Chat, true, true),
    row("o1-pro", 200_000, Responses, true, true),
    row("o3", 200_000, Chat, true, true),
    row("o3-pro", 200_000, Responses, true, true),
    row("o4", 200_000, Chat, true, true),
    row("gpt-4.1", 1_047_576, Chat, false, false),
    row("gpt-4o", 128_000, Chat, false, false),
    without_schemas(row("gpt-4-turbo", 128_000, Chat, false, false)),
    without_schemas(row("gpt-4", 8_192, Chat, false, false)),
    without_schemas(row("gpt-3.5", 16_385, Chat, false, false)),
    row("claude-", 200_000, Messages, false, false),
    // Before 4.5 (Opus: 4.1) there is no native structured output.
    without_schemas(row("claude-3", 200_000, Messages, false, false)),
    without_schemas(row("claude-2", 200_000, Messages, false, false)),
    without_schemas(row("claude-sonnet-4-", 200_000, Messages, false, false)),
    row("claude-sonnet-4-5", 200_000, Messages, false, false),
    row("claude-sonnet-4-6", 1_000_000, Messages, false, false),
    without_schemas(row("claude-opus-4-", 200_000, Messages, false, false)),
    row("claude-opus-4-1", 200_000, Messages, false, false),
    row("claude-opus-4-5", 200_000, Messages, false, false),
    row("claude-opus-4-6", 1_000_000, Messages, false, false),
    row("claude-opus-4-7", 1_000_000, Messages, true, false),
    row("claude-opus-4-8", 1_000_000, Messages, true, false),
    row("claude-opus-5", 1_000_000, Messages, true, false),
    row("claude-sonnet-5", 1_000_000, Messages, true, false),
    row("claude-fable-5", 1_000_000, Messages, true, false),
    row("gemini-1.5-pro", 2_097_152, Chat, false, false),
    row("gemini-", 1_048_576, Chat, false, false),
    without_schemas(row("deepseek-", 128_000, Chat, false, false)),
    row("grok-4", 256_000, Chat, false, false),
    row("grok-", 131_072, Chat, false, false),
    row("mistral-", 128_000, Chat, false, false),
    row("glm-", 128_000, Chat, false, false),
    row("kimi-", 256_000, Chat, false, false),
    row("qwen", 131_072, Chat, false, false),
    row("llama-", 131_072, Chat, false, false),
];

/// What holds for a name that no row fits.
const UNKNOWN: Family = row("", -1, Chat, false, false);

/// The family of a model, by name; routing prefixes (`code:`, `openai/`) and suffixes (`:web`, `:free`) are ignored,
/// and dates are part of no row.
#[must_use]
pub fn family(model: &str) -> Family {
    let name = bare_name(model).to_ascii_lowercase();
    FAMILIES
        .iter()
        .filter(|family| name.starts_with(family.prefix) && ends_at_a_word(&name, family.prefix))
        .max_by_key(|family| family.prefix.len())
        .copied()
        .unwrap_or(UNKNOWN)
}

/// `o1` is the family of `o1-mini`, not of `o100`.
fn ends_at_a_word(name: &str, prefix: &str) -> bool {
    !prefix.ends_with(|c: char| c.is_ascii_digit()) || !name[prefix.len()..].starts_with(|c: char| c.is_ascii_digit())
}

fn bare_name(model: &str) -> &str {
    let name = model.strip_prefix("code:").unwrap_or(model);
    let name = name.rsplit('/').next().unwrap_or(name);
    name.split(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_and_suffixes_do_not_hide_the_family() {
        for name in ["gpt-5.2", "gpt-5.2:web", "code:gpt-5.2", "openai/gpt-5.2-2025-12-11:free", "GPT-5.2"] {
            assert!(family(name).rejects_temperature && family(name).completion_tokens, "{name}");
        }
        assert_eq!(family("claude-sonnet-4.5").format, Format::Messages);
        assert_eq!(family("gpt-5-codex-high").format, Format::Responses);
        for (name, takes) in [
            ("claude-sonnet-4-20250514", false),
            ("claude-3-5-haiku-latest", false),
            ("claude-sonnet-4-5-20250929", true),
            ("claude-sonnet-4.5", true),
            ("claude-opus-4-1-20250805", true),
            ("deepseek-chat", false),
            ("gpt-4o-mini", true),
            ("gpt-4", false),
        ] {
            assert_eq!(family(name).takes_schemas, takes, "{name}");
        }
        assert_eq!(family("o100").context_window, -1);
        assert_eq!(family("my-own").format, Format::ChatCompletions);
    }
}

//! Structured output: what a schema has to be like so that every provider can enforce it, and whether an answer obeys it.

use serde_json::Value;

use super::error::{Error, Kind, Result};

/// A schema that answers are checked against.
pub struct Validator(jsonschema::Validator);

impl std::fmt::Debug for Validator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Validator")
    }
}

impl Validator {
    /// Reads a schema. References to other places are not followed: nothing is loaded.
    pub fn new(schema: &Value) -> Result<Self> {
        if !schema.is_object() {
            return Err(Error::argument("the output schema must be a JSON object"));
        }
        jsonschema::validator_for(schema).map(Self).map_err(|e| {
            Error::argument(format!("the output schema is no JSON Schema: {} at {}", e, place(e.instance_path().as_str())))
        })
    }

    /// The JSON in an answer, if it obeys the schema. What models like to put around it (a fence, a sentence) is taken off.
    pub fn check(&self, answer: &str) -> Result<String> {
        let violation = |what: String| Error::new(Kind::Schema, what);
        let json = extract(answer).ok_or_else(|| violation("the answer holds no JSON".into()))?;
        let value: Value = match serde_json::from_str(json) {
            Ok(value) => value,
            Err(e) => return Err(violation(format!("the answer is not JSON: {e}"))),
        };
        if let Some(e) = self.0.iter_errors(&value).next() {
            return Err(violation(format!("the answer breaks the schema at {}: {e}", place(e.instance_path().as_str()))));
        }
        Ok(json.to_owned())
    }
}

fn place(pointer: &str) -> &str {
    if pointer.is_empty() {
        "its root"
    } else {
        pointer
    }
}

/// The JSON text inside an answer: the answer itself, what a fence holds, or the first object or array in the prose.
fn extract(answer: &str) -> Option<&str> {
    let whole = answer.trim();
    if whole.is_empty() || is_json(whole) {
        return (!whole.is_empty()).then_some(whole);
    }
    if let Some((_, fenced)) = whole.split_once("```") {
        let body = fenced.split_once('\n').map_or(fenced, |(_, body)| body);
        let body = body.split("```").next().unwrap_or(body).trim();
        if is_json(body) {
            return Some(body);
        }
    }
    // A stream deserialiser stops behind the first whole value, so prose behind it does not matter. Each opening bracket is
    // tried once and a try ends at its first fault, which in prose comes soon.
    const TRIES: usize = 64;
    for (at, _) in whole.match_indices(['{', '[']).take(TRIES) {
        let rest = &whole[at..];
        let mut values = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        if let Some(Ok(_)) = values.next() {
            return Some(rest[..values.byte_offset()].trim());
        }
    }
    Some(whole)
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok()
}

/// What OpenAI's strict mode and Anthropic's structured output ask of a schema: objects that list all their properties as
/// required and allow no others. The error names the place.
pub fn check_strict(schema: &Value) -> Result<()> {
    check_at(schema, "#", 0)?;
    let root = schema.get("type");
    if root != Some(&Value::from("object")) {
        return Err(Error::argument("the output schema must be of type \"object\" at its root (#)"));
    }
    Ok(())
}

fn check_at(schema: &Value, path: &str, depth: usize) -> Result<()> {
    // Deeper ones are refused by providers, and by no means needed.
    const DEEPEST: usize = 100;
    let Some(fields) = schema.as_object() else { return Ok(()) };
    if depth > DEEPEST {
        return Err(Error::argument(format!("the output schema is nested too deeply at {path}")));
    }
    let demand = |what: &str| Err(Error::argument(format!("the output schema at {path}: {what}")));
    let is_object = match fields.get("type") {
        Some(Value::String(one)) => one == "object",
        Some(Value::Array(any)) => any.iter().any(|t| t == "object"),
        _ => fields.contains_key("properties"),
    };
    if is_object {
        if fields.get("additionalProperties") != Some(&Value::Bool(false)) {
            return demand("an object needs \"additionalProperties\": false");
        }
        let required: Vec<&str> = fields
            .get("required")
            .and_then(Value::as_array)
            .map(|r| r.iter().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        for name in fields.get("properties").and_then(Value::as_object).into_iter().flat_map(|p| p.keys()) {
            if !required.contains(&name.as_str()) {
                return demand(&format!("the property {name:?} must be in \"required\" (an optional one may be null instead)"));
            }
        }
    }
    for keyword in ["properties", "$defs", "definitions"] {
        for (name, inner) in fields.get(keyword).and_then(Value::as_object).into_iter().flatten() {
            check_at(inner, &format!("{path}/{keyword}/{name}"), depth + 1)?;
        }
    }
    for keyword in ["items", "additionalItems", "contains"] {
        if let Some(inner) = fields.get(keyword) {
            check_at(inner, &format!("{path}/{keyword}"), depth + 1)?;
        }
    }
    for keyword in ["anyOf", "oneOf", "allOf", "prefixItems"] {
        for (n, inner) in fields.get(keyword).and_then(Value::as_array).into_iter().flatten().enumerate() {
            check_at(inner, &format!("{path}/{keyword}/{n}"), depth + 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn schema() -> Value {
        json!({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "string"}}},
               "required": ["a", "b"], "additionalProperties": false})
    }

    #[test]
    fn the_json_is_found_in_what_models_put_around_it() {
        let json = r#"{"a":1,"b":["x"]}"#;
        let validator = Validator::new(&schema()).unwrap();
        for answer in [
            json.to_owned(),
            format!("\n {json} \n"),
            format!("```json\n{json}\n```"),
            format!("```\n{json}\n```\nDone."),
            format!("Sure [as asked]: {json} - anything else?"),
        ] {
            assert_eq!(validator.check(&answer).unwrap(), json, "{answer}");
        }
    }

    #[test]
    fn a_violation_names_its_place() {
        let validator = Validator::new(&schema()).unwrap();
        for (answer, place) in
            [(r#"{"a":1,"b":["x",2]}"#, "/b/1"), (r#"{"a":"1","b":[]}"#, "/a"), (r#"{"a":1}"#, "its root"), ("no", "JSON")]
        {
            let error = validator.check(answer).unwrap_err();
            assert_eq!(error.kind(), Kind::Schema);
            assert!(error.message.contains(place), "{error}");
        }
    }

    #[test]
    fn the_strict_subset_is_demanded_with_the_place() {
        check_strict(&schema()).unwrap();
        for (schema, place) in [
            (json!({"type": "object", "properties": {}}), "#"),
            (json!({"type": "array", "items": {"type": "string"}}), "root"),
            (json!({"type": "object", "properties": {"a": {}}, "required": [], "additionalProperties": false}), "\"a\""),
            (
                json!({"type": "object", "additionalProperties": false, "required": ["x"],
                       "properties": {"x": {"type": "array", "items": {"type": "object", "properties": {}}}}}),
                "#/properties/x/items",
            ),
        ] {
            let error = check_strict(&schema).unwrap_err();
            assert!(error.message.contains(place), "{error}");
        }
    }

    #[test]
    fn what_is_no_schema_is_refused() {
        assert!(Validator::new(&json!([])).is_err());
        assert!(Validator::new(&json!({"type": "nonsense"})).is_err());
        assert!(Validator::new(&json!({"$ref": "http://127.0.0.1:9/x.json"})).is_err());
    }
}

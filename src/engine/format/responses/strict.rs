//! Whether a schema lies in the subset that providers can enforce (`strict`).

use serde_json::{Map, Value};

use crate::engine::format::json::array;

/// Deeper schemas are refused.
const MAX_DEPTH: usize = 10;

/// What the subset knows. Anything else may be refused, so it is taken as outside.
const KEYWORDS: &[&str] = &[
    "$defs",
    "$ref",
    "$schema",
    "additionalProperties",
    "anyOf",
    "const",
    "definitions",
    "description",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "items",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "multipleOf",
    "pattern",
    "properties",
    "required",
    "title",
    "type",
];

/// Whether `schema` can be enforced as the parameters of a function.
pub fn is_strict(schema: &Value) -> bool {
    schema.get("type").is_some_and(|t| t == "object") && schema.get("anyOf").is_none() && fits(schema, 0)
}

fn fits(schema: &Value, depth: usize) -> bool {
    let Some(fields) = schema.as_object() else { return false };
    depth <= MAX_DEPTH
        && fields.keys().all(|field| KEYWORDS.contains(&field.as_str()))
        && ["type", "anyOf", "$ref", "enum", "const"].iter().any(|field| fields.contains_key(*field))
        && (!is_object(fields) || is_closed(fields))
        && ["properties", "$defs", "definitions"].iter().all(|field| match fields.get(*field) {
            Some(Value::Object(members)) => members.values().all(|member| fits(member, depth + 1)),
            Some(_) => false,
            None => true,
        })
        && fields.get("items").is_none_or(|items| fits(items, depth + 1))
        && array(fields, "anyOf").iter().all(|member| fits(member, depth + 1))
}

fn is_object(fields: &Map<String, Value>) -> bool {
    fields.contains_key("properties")
        || match fields.get("type") {
            Some(Value::Array(types)) => types.iter().any(|t| t == "object"),
            Some(one) => one == "object",
            None => false,
        }
}

/// Every property is required and no other is allowed.
fn is_closed(fields: &Map<String, Value>) -> bool {
    let Some(Value::Object(properties)) = fields.get("properties") else { return false };
    let Some(Value::Array(required)) = fields.get("required") else { return false };
    fields.get("additionalProperties") == Some(&Value::Bool(false))
        && required.len() == properties.len()
        && properties.keys().all(|name| required.iter().any(|r| r == name.as_str()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_closed_object_is_strict_and_an_open_one_is_not() {
        let closed = json!({
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "d"},
                "unit": {"type": ["string", "null"], "enum": ["c", "f", null]},
                "stops": {"type": "array", "items": {"$ref": "#/$defs/stop"}},
                "or": {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]},
            },
            "required": ["city", "unit", "stops", "or"],
            "additionalProperties": false,
            "$defs": {"stop": {"type": "object", "properties": {}, "required": [], "additionalProperties": false}},
        });
        assert!(is_strict(&closed));
        let changes: [fn(&mut Value); 9] = [
            |s| drop(s["required"].as_array_mut().unwrap().pop()),
            |s| drop(s.as_object_mut().unwrap().shift_remove("additionalProperties")),
            |s| s["additionalProperties"] = json!({"type": "string"}),
            |s| s["properties"]["city"]["default"] = json!("Tokyo"),
            |s| s["properties"]["city"] = json!({}),
            |s| s["properties"]["city"] = json!(true),
            |s| drop(s["$defs"]["stop"].as_object_mut().unwrap().shift_remove("additionalProperties")),
            |s| s["properties"]["stops"]["items"] = json!({"type": "object"}),
            |s| s["allOf"] = json!([]),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let mut open = closed.clone();
            change(&mut open);
            assert!(!is_strict(&open), "change {n}");
        }
        for other in [json!({}), json!(null), json!({"type": "string"}), json!({"type": "object"})] {
            assert!(!is_strict(&other), "{other}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| {
            let mut schema = json!({"type": "string"});
            for _ in 0..depth {
                schema = json!({"type": "object", "properties": {"x": schema}, "required": ["x"], "additionalProperties": false});
            }
            schema
        };
        assert!(is_strict(&nested(10)));
        assert!(!is_strict(&nested(11)));
    }
}

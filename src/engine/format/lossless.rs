//! What was answered survives: in the document that `apertis_response_json` gives, and in a conversation that is saved,
//! loaded and sent again. Over every conformance case of every format.

use serde_json::{Map, Value};

use super::conformance::{cases, decode};
use super::{Call, Format};
use crate::engine::request::{Request, Role, Turn};

const FORMATS: [Format; 3] = [Format::ChatCompletions, Format::Responses, Format::Messages];

fn body(format: Format, request: &Request) -> Result<String, String> {
    let call = Call { request, model: "m", temperature: None, max_tokens: Some(9), stream: true };
    super::body(format, &call).map(|body: Map<String, Value>| Value::from(body).to_string()).map_err(|e| e.message.clone())
}

#[test]
fn every_response_fits_the_documented_schema() {
    let schema: Value = serde_json::from_str(include_str!("../../../include/apertis-response.schema.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for format in FORMATS {
        for case in cases(format) {
            let json = decode(format, &case.body, 4096).response.to_json();
            let faults: Vec<String> = validator.iter_errors(&json).map(|e| format!("{} at {}", e, e.instance_path())).collect();
            assert!(faults.is_empty(), "{}: {faults:?}", case.name);
        }
    }
}

#[test]
fn a_saved_conversation_is_sent_as_if_it_had_not_been_saved() {
    let mut replayed = 0;
    for format in FORMATS {
        for case in cases(format) {
            let response = decode(format, &case.body, 4096).response;
            let mut request = Request::default();
            request.turns.push(Turn::text(Role::User, "And?"));
            request.add_response(&response);
            request.turns.push(Turn::text(Role::User, "Go on."));
            let loaded = Request::from_json(&request.to_json()).unwrap();
            assert_eq!(loaded.to_json(), request.to_json(), "{}", case.name);
            for target in FORMATS {
                assert_eq!(body(target, &loaded), body(target, &request), "{} to {target:?}", case.name);
            }
            replayed += usize::from(response.native.is_some());
        }
    }
    assert!(replayed > 50, "only {replayed} cases have a turn to replay");
}

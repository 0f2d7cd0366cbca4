//! The words of Chat V2 stand in one place each: what the machines know, what the schemas describe and what the table of
//! operations promises are the same.

use std::collections::BTreeSet;
use std::fs;

use conformance::cases::cases;
use conformance::schema::{OPERATIONS, Schema, of_operation, validate};
use pretty_assertions::assert_eq;
use protocol::chat::notification::EventType;
use protocol::chat::operation::{Invalid, Operation, Request};
use serde_json::{Value, json};

use crate::schemas::root;

fn parsed(schema: Schema) -> Value {
    serde_json::from_str(schema.text()).expect("a schema is JSON")
}

/// A request with everything that any operation needs.
fn request(operation: &str) -> Value {
    json!({
        "operation": operation, "secureKey": "k", "nickname": "Ann", "message": "hi", "pushUrl": "https://a.example/",
        "userData": {}, "transcriptPosition": 1,
    })
}

#[test]
fn the_operations_with_a_schema_are_those_that_machines_know() {
    let described: Vec<&str> = OPERATIONS.iter().map(|(name, _)| *name).collect();
    assert_eq!(described, Operation::NAMES);
    for (name, schema) in OPERATIONS {
        let request = request(name);
        assert_eq!(validate(*schema, &request), [], "{name}");
        assert_eq!(parsed(*schema)["properties"]["operation"]["const"], *name);
        assert_eq!(Request::parse(&request.to_string()).map(|request| request.operation.name()), Ok(*name));
    }
    let unknown = Request::parse(&request("requestchat").to_string());
    assert_eq!(unknown, Err(Invalid::OperationUnknown("requestchat".to_owned())));
    assert_eq!(of_operation("requestchat"), Schema::Operation);
}

#[test]
fn what_a_schema_requires_machines_require_too() {
    for (name, schema) in OPERATIONS {
        let required: BTreeSet<String> =
            parsed(*schema)["required"].as_array().into_iter().flatten().filter_map(text).collect();
        for member in ["secureKey", "message", "pushUrl", "userData", "transcriptPosition"] {
            let mut request = request(name);
            request.as_object_mut().expect("an object").shift_remove(member);
            let refused = Request::parse(&request.to_string()).is_err();
            assert_eq!(refused, required.contains(member), "{name} without {member}");
        }
    }
}

#[test]
fn the_events_with_a_schema_are_those_that_machines_know() {
    let known: Vec<&str> = EventType::ALL.into_iter().map(EventType::as_str).collect();
    let event = parsed(Schema::Event);
    let listed: Vec<String> =
        event["if"]["properties"]["type"]["enum"].as_array().into_iter().flatten().filter_map(text).collect();
    assert_eq!(listed, known);
    let branches = event["allOf"].as_array().expect("branches");
    let told: Vec<String> =
        branches.iter().filter_map(|branch| text(&branch["if"]["properties"]["type"]["const"])).collect();
    assert_eq!(told, known);
    for (branch, name) in branches.iter().zip(known) {
        let file = text(&branch["then"]["$ref"]).expect("a reference");
        let schema =
            Schema::ALL.iter().find(|schema| file == format!("{}.schema.json", &schema.path()["chat/".len()..]));
        assert_eq!(parsed(*schema.expect("the schema"))["properties"]["type"]["const"], name);
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

/// The rows of the table under a heading, by column.
fn table(document: &str, heading: &str) -> Vec<Vec<String>> {
    let section = document.split("\n## ").find(|section| section.starts_with(heading)).expect("the section");
    let rows = section
        .lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| any") || line.contains("no object"));
    let cells = |row: &str| row.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect();
    rows.map(cells).collect()
}

#[test]
fn the_table_of_operations_is_filled_and_true() {
    let document = fs::read_to_string(root().join("docs/chat-operations.md")).expect("the document");
    let rows = table(&document, "On the service channel");
    let mut named: Vec<String> = Vec::new();
    for row in &rows {
        let [operation, schema, answer, simulator, client, judged] = row.as_slice() else { panic!("{row:?}") };
        assert!([answer, simulator, client].iter().all(|cell| !cell.is_empty()), "{row:?}");
        let operation = operation.trim_matches('`');
        if Operation::NAMES.contains(&operation) {
            named.push(operation.to_owned());
            assert_eq!(format!("chat/{}", schema.trim_matches('`')), of_operation(operation).path(), "{operation}");
        }
        let patterns: Vec<&str> = judged.split(',').map(|name| name.trim().trim_matches('`')).collect();
        for pattern in patterns {
            let found = match pattern.strip_suffix('*') {
                Some(group) => cases().iter().any(|case| case.id.starts_with(group)),
                None => cases().iter().any(|case| case.id == pattern),
            };
            assert!(found && !pattern.is_empty(), "{operation}: no case is called `{pattern}`");
        }
    }
    assert_eq!(named, Operation::NAMES);
    assert_eq!(rows.len(), Operation::NAMES.len() + 2);
}

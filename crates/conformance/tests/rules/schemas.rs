//! The messages under `fixtures/message/`: each folder is named for the schema that its files obey or break.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use conformance::schema::{self, Schema, validate};
use pretty_assertions::assert_eq;
use protocol::bayeux::message::Message;
use protocol::wire::Side;
use serde_json::{Value, json};

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Every file below a folder, by its path from there, sorted.
pub(crate) fn files(folder: &Path) -> Vec<(String, PathBuf)> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap_or_else(|error| panic!("{}: {error}", next.display())) {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).expect("it is below").to_string_lossy().into_owned();
                files.push((name, path));
            }
        }
    }
    files.sort();
    files
}

/// The fixtures of one kind: the schema, the file's own name, the message.
pub(crate) fn fixtures(kind: &str) -> Vec<(Schema, String, Value)> {
    let fixture = |(name, path): (String, PathBuf)| {
        let (folder, file) = name.rsplit_once('/').unwrap_or_else(|| panic!("{name} is in no schema's folder"));
        let schema = Schema::ALL.iter().find(|schema| schema.path() == folder);
        let schema = *schema.unwrap_or_else(|| panic!("{name}: there is no such schema"));
        let value = serde_json::from_slice(&fs::read(path).expect("readable"))
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        (schema, file.trim_end_matches(".json").to_owned(), value)
    };
    files(&root().join("fixtures/message").join(kind)).into_iter().map(fixture).collect()
}

#[test]
fn every_file_of_the_two_folders_is_embedded() {
    let mut on_disk = BTreeSet::new();
    for folder in ["bayeux", "chat"] {
        for (name, _) in files(&root().join("schemas").join(folder)) {
            on_disk.insert(format!("{folder}/{}", name.trim_end_matches(".schema.json")));
        }
    }
    let embedded: BTreeSet<String> = Schema::ALL.iter().map(|schema| schema.path().to_owned()).collect();
    assert_eq!(on_disk, embedded);
}

#[test]
fn every_schema_is_one_and_says_what_it_is_for() {
    for schema in Schema::ALL {
        let text: Value = serde_json::from_str(schema.text()).unwrap();
        assert!(jsonschema::meta::is_valid(&text), "{}", schema.path());
        assert_eq!(text["$schema"], "https://json-schema.org/draft/2020-12/schema");
        assert_eq!(text["$id"], format!("https://tapestry.example/schemas/{}.schema.json", schema.path()));
        assert!(text["title"].is_string(), "{}", schema.path());
        let description = text["description"].as_str().unwrap();
        assert!(description.contains("BX-") || description.contains("CV-"), "{}", schema.path());
    }
}

#[test]
fn every_schema_has_fixtures_of_both_kinds() {
    for kind in ["ok", "violation"] {
        let shown: BTreeSet<Schema> = fixtures(kind).into_iter().map(|(schema, ..)| schema).collect();
        assert_eq!(shown.len(), Schema::ALL.len(), "{kind}");
    }
}

#[test]
fn good_messages_obey_their_schema() {
    for (schema, file, value) in fixtures("ok") {
        assert_eq!(validate(schema, &value), [], "{}/{file}", schema.path());
    }
}

/// One departure each; the snapshot says where, to be read beside the file's name.
#[test]
fn bad_messages_break_their_schema_in_one_place() {
    let mut departures = String::new();
    for (schema, file, value) in fixtures("violation") {
        let found = validate(schema, &value);
        let [mismatch] = &found[..] else { panic!("{}/{file}: {found:#?}", schema.path()) };
        departures.push_str(&format!("{}/{file}: {} {}\n", schema.path(), mismatch.pointer, mismatch.wrong));
    }
    insta::assert_snapshot!(departures);
}

/// A chat's schemas are shown well: two good messages and three bad ones for each.
#[test]
fn every_chat_schema_has_enough_fixtures() {
    for (kind, least) in [("ok", 2), ("violation", 3)] {
        let shown: Vec<Schema> = fixtures(kind).into_iter().map(|(schema, ..)| schema).collect();
        for schema in Schema::ALL.iter().filter(|schema| schema.path().starts_with("chat/")) {
            let count = shown.iter().filter(|shown| *shown == schema).count();
            assert!(count >= least, "{}: {count} of {kind}", schema.path());
        }
    }
}

/// What is found in the `data` of a message on the service channel, without `/data` before the place.
fn found_on_the_wire(from: Side, data: &Value) -> Vec<(Schema, String, String)> {
    let message = json!({"channel": "/service/chatV2/customer-support", "clientId": "1x2y", "data": data});
    let message = Message::parse(&message.to_string()).expect("a message");
    let without_data = |pointer: &str| pointer.strip_prefix("/data").expect("it lies in the data").to_owned();
    let found = schema::check(from, &message);
    found.into_iter().map(|found| (found.schema, without_data(&found.pointer), found.wrong)).collect()
}

#[test]
fn an_operation_is_judged_by_its_own_schema_on_the_wire() {
    let mut judged = BTreeSet::new();
    for (schema, file, value) in fixtures("violation") {
        let word = value.get("operation").and_then(Value::as_str).unwrap_or_default();
        if !schema::OPERATIONS.contains(&(word, schema)) {
            continue;
        }
        let [mismatch] = &validate(schema, &value)[..] else { panic!("{}/{file}", schema.path()) };
        let expected = (schema, mismatch.pointer.clone(), mismatch.wrong.clone());
        assert_eq!(found_on_the_wire(Side::Client, &value), [expected], "{}/{file}", schema.path());
        judged.insert(schema);
    }
    assert_eq!(judged.len(), schema::OPERATIONS.len());
}

#[test]
fn an_event_is_judged_by_its_type_on_the_wire() {
    let mut judged = BTreeSet::new();
    for (schema, file, event) in fixtures("violation") {
        let own_type = !file.starts_with("type-");
        if !schema.path().starts_with("chat/event-") || schema == Schema::EventAttributes || !own_type {
            continue;
        }
        let [mismatch] = &validate(schema, &event)[..] else { panic!("{}/{file}", schema.path()) };
        let place = format!("/messages/0{}", mismatch.pointer);
        let expected = (Schema::Notification, place, mismatch.wrong.clone());
        let data = json!({"statusCode": 0, "chatEnded": false, "messages": [event]});
        assert_eq!(found_on_the_wire(Side::Server, &data), [expected], "{}/{file}", schema.path());
        judged.insert(schema);
    }
    // The thirteen types, and what they have in common.
    assert_eq!(judged.len(), 14);
}

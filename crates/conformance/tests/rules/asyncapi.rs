//! `schemas/chat-v2.asyncapi.json`: that it describes the whole API, by the schemas and the fixtures beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use conformance::schema::{FILE_OPERATIONS, OPERATIONS, Schema, validate};
use pretty_assertions::assert_eq;
use serde_json::{Map, Value};

use crate::schemas::{fixtures, root};

fn document() -> Value {
    let text = fs::read(root().join("schemas/chat-v2.asyncapi.json")).expect("readable");
    serde_json::from_slice(&text).expect("JSON")
}

fn object<'a>(value: &'a Value, name: &str) -> &'a Map<String, Value> {
    value[name].as_object().unwrap_or_else(|| panic!("`{name}` is no object"))
}

/// Every reference in a value, and how many members stand beside it.
fn references(value: &Value) -> Vec<(&str, usize)> {
    match value {
        Value::Object(members) => {
            let own = members.get("$ref").and_then(Value::as_str).map(|to| (to, members.len() - 1));
            own.into_iter().chain(members.values().flat_map(references)).collect()
        }
        Value::Array(elements) => elements.iter().flat_map(references).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Vec::new(),
    }
}

/// The schema that a reference names, from a folder below `schemas/`.
fn schema_of(folder: &str, reference: &str) -> Option<Schema> {
    let path = format!("{folder}{}", reference.split('#').next()?.strip_suffix(".schema.json")?);
    Schema::ALL.iter().copied().find(|schema| schema.path() == path)
}

/// What the references of a list name, each in the place where it must be.
fn names<'a>(list: &'a Value, place: &str) -> Vec<&'a str> {
    let name = |reference: &'a Value| {
        let to = reference["$ref"].as_str().unwrap_or_else(|| panic!("{reference} is no reference"));
        to.strip_prefix(place).unwrap_or_else(|| panic!("{to} does not lead into {place}"))
    };
    list.as_array().map(|list| list.iter().map(name).collect()).unwrap_or_default()
}

/// Every message of every channel, as `channel/message`.
fn messages(document: &Value) -> BTreeMap<String, &Value> {
    let of_channel = |(channel, value)| {
        object(value, "messages").iter().map(move |(name, message)| (format!("{channel}/{name}"), message))
    };
    object(document, "channels").iter().flat_map(of_channel).collect()
}

/// The schema of a message's payload.
fn payload(message: &Value) -> Option<Schema> {
    schema_of("", message["payload"]["$ref"].as_str()?)
}

#[test]
fn it_has_what_the_specification_requires() {
    let document = document();
    assert_eq!(document["asyncapi"], "3.0.0");
    for member in ["title", "version"] {
        assert!(document["info"][member].is_string(), "info.{member}");
    }
    for (name, channel) in object(&document, "channels") {
        assert!(channel["address"].is_string(), "{name}");
        assert!(!object(channel, "messages").is_empty(), "{name}");
        let parameters: BTreeSet<String> =
            channel.get("parameters").and_then(Value::as_object).into_iter().flat_map(Map::keys).cloned().collect();
        let address = channel["address"].as_str().unwrap();
        let in_address: BTreeSet<String> =
            address.split('{').skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned())).collect();
        assert_eq!(parameters, in_address, "{name}");
    }
    for (name, operation) in object(&document, "operations") {
        assert!(["send", "receive"].contains(&operation["action"].as_str().unwrap()), "{name}");
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        assert!(!names(&operation["messages"], &format!("{channel}/messages/")).is_empty(), "{name}");
        if let Some(reply) = operation.get("reply") {
            let channel = reply["channel"]["$ref"].as_str().unwrap();
            assert!(!names(&reply["messages"], &format!("{channel}/messages/")).is_empty(), "{name}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let references = references(&document);
    assert!(!references.is_empty());
    for (reference, _) in references {
        let found = match reference.strip_prefix('#') {
            Some(pointer) => document.pointer(pointer).is_some(),
            None => schema_of("", reference).is_some(),
        };
        assert!(found, "{reference}");
    }
}

/// The schemas of the document are those of draft 07, which ignores what stands beside a `$ref`.
#[test]
fn nothing_stands_beside_a_reference() {
    let schemas = Schema::ALL.iter().map(|schema| (schema.path(), serde_json::from_str(schema.text()).unwrap()));
    for (name, value) in schemas.chain([("the document", document())]) {
        for (reference, beside) in references(&value) {
            assert_eq!(beside, 0, "{reference} in {name}");
        }
    }
}

#[test]
fn its_operations_are_those_of_the_api() {
    let document = document();
    let messages = messages(&document);
    let schemas = |channel: &str, list: &Value| -> BTreeSet<Schema> {
        let names = names(list, &format!("#/channels/{channel}/messages/"));
        names.into_iter().filter_map(|name| payload(messages[&format!("{channel}/{name}")])).collect()
    };
    let operations = object(&document, "operations");
    for (name, schema) in OPERATIONS {
        assert_eq!(schemas("service", &operations[*name]["messages"]), [*schema].into(), "{name}");
        let answer = match schema {
            Schema::RequestChat => Schema::RequestChatAnswer,
            Schema::Disconnect => Schema::DisconnectAnswer,
            _ => Schema::Notification,
        };
        let replies = [Schema::PublishReply, answer].into();
        assert_eq!(schemas("service", &operations[*name]["reply"]["messages"]), replies, "{name}");
    }
    for (name, request, answer) in FILE_OPERATIONS {
        assert_eq!(schemas("files", &operations[*name]["messages"]), [*request].into(), "{name}");
        assert_eq!(schemas("files", &operations[*name]["reply"]["messages"]), [*answer].into(), "{name}");
    }
    assert_eq!(schemas("service", &operations["notify"]["messages"]), [Schema::Notification].into());
    let known = OPERATIONS.iter().map(|(name, _)| *name).chain(FILE_OPERATIONS.iter().map(|(name, ..)| *name));
    let known: BTreeSet<&str> = known.chain(["notify", "meta"]).collect();
    assert_eq!(operations.keys().map(String::as_str).collect::<BTreeSet<&str>>(), known);
}

#[test]
fn every_message_is_used_by_an_operation() {
    let document = document();
    let used: BTreeSet<String> = references(&document["operations"])
        .into_iter()
        .filter_map(|(to, _)| to.strip_prefix("#/channels/")?.split_once("/messages/"))
        .map(|(channel, message)| format!("{channel}/{message}"))
        .collect();
    assert_eq!(used, messages(&document).into_keys().collect());
}

/// By a message itself, or by a schema that a message uses.
#[test]
fn every_chat_schema_is_used_by_a_message() {
    let document = document();
    let mut used: BTreeSet<Schema> = BTreeSet::new();
    let mut found: Vec<Schema> = messages(&document).into_values().filter_map(payload).collect();
    while let Some(schema) = found.pop() {
        if used.insert(schema) {
            let folder = &schema.path()[..=schema.path().find('/').unwrap()];
            let text: Value = serde_json::from_str(schema.text()).unwrap();
            found.extend(references(&text).into_iter().filter_map(|(to, _)| schema_of(folder, to)));
        }
    }
    let unused: Vec<&Schema> =
        Schema::ALL.iter().filter(|schema| schema.path().starts_with("chat/") && !used.contains(schema)).collect();
    assert_eq!(unused, [] as [&Schema; 0]);
}

/// All but the one that is a file's bytes have a payload and show it.
#[test]
fn examples_are_fixtures_and_obey_the_schema_of_their_message() {
    let document = document();
    let fixtures = fixtures("ok");
    for (name, message) in messages(&document) {
        let Some(schema) = payload(message) else {
            assert_eq!(
                (name.as_str(), &message["contentType"]),
                ("files/fileContent", &"application/octet-stream".into())
            );
            continue;
        };
        let examples = message["examples"].as_array().map(Vec::as_slice).unwrap_or_default();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let file = example["name"].as_str().unwrap();
            let shown = fixtures.iter().find(|(of, own, _)| *of == schema && own == file);
            assert_eq!(Some(&example["payload"]), shown.map(|(.., value)| value), "{name}: {file}");
            assert_eq!(validate(schema, &example["payload"]), [], "{name}: {file}");
        }
    }
}

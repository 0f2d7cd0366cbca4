//! The messages under `fixtures/message/`: each folder is named for the schema that its files obey or break.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use conformance::schema::{Schema, validate};
use pretty_assertions::assert_eq;
use serde_json::Value;

fn root() -> PathBuf {
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
fn fixtures(kind: &str) -> Vec<(Schema, String, Value)> {
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

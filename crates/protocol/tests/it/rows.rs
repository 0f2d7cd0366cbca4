//! The audit in `docs/bayeux-rows.md` names tests; this one holds it to its word.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The text of every Rust file below a directory.
fn sources(directory: &Path) -> String {
    let mut text = String::new();
    for entry in fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            text += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text += &fs::read_to_string(&path).expect("a file");
        }
    }
    text
}

/// The cells of the rows of one side's table.
fn rows<'a>(audit: &'a str, side: &str) -> Vec<[&'a str; 3]> {
    let section = audit.split("\n## ").find(|section| section.starts_with(side)).expect("a section");
    section
        .lines()
        .filter(|line| line.starts_with("| BX-"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
            cells.try_into().unwrap_or_else(|_| panic!("three cells: {line}"))
        })
        .collect()
}

#[test]
fn the_audit_of_the_server_names_tests_that_exist() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let audit = fs::read_to_string(here.join("../../docs/bayeux-rows.md")).expect("the audit");
    let sources = sources(here);
    let rows = rows(&audit, "Server");
    let mut ids = BTreeSet::new();
    for [id, place, tests] in &rows {
        assert!(ids.insert(*id), "{id} is there twice");
        assert!(!place.is_empty() && !tests.is_empty(), "{id} is incomplete");
        let names: Vec<&str> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!names.is_empty() || tests.starts_with("none: "), "{id} has neither a test nor a reason");
        for name in names {
            let is_there = match name.strip_prefix("scene ") {
                Some(title) => sources.contains(&format!("\"{title}\"")),
                None => sources.contains(&format!("fn {name}(")),
            };
            assert!(is_there, "{id}: there is no `{name}`");
        }
    }
    assert!(rows.len() > 140, "{} rows", rows.len());
}

#[test]
fn the_audit_of_the_client_names_tests_that_exist() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let audit = fs::read_to_string(here.join("../../docs/bayeux-rows.md")).expect("the audit");
    let sources = sources(here) + &sources(&here.join("../simulator/tests"));
    let rows = rows(&audit, "Client");
    let mut ids = BTreeSet::new();
    for [id, place, tests] in &rows {
        assert!(ids.insert(*id), "{id} is there twice");
        assert!(!place.is_empty() && !tests.is_empty(), "{id} is incomplete");
        // Members and values of the wire stand between backticks too; tests are named by sentences.
        let names = tests.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() > 1);
        for name in names {
            assert!(sources.contains(&format!("fn {name}(")), "{id}: there is no `{name}`");
        }
    }
    assert!(rows.len() > 95, "{} rows", rows.len());
}

//! The tapes under `fixtures/`: what is written is written byte for byte as there, and each is read as its folder says.

use std::fs;
use std::path::{Path, PathBuf};

use pretty_assertions::assert_eq;
use protocol::wire::Transport;
use recording::compare::compare;
use recording::join::join;
use recording::tape::{Finish, Status, Tape, VERSION};

use crate::parts::parts;
use crate::sample::{Run, chat, odd, pieces};

/// Every tape in a folder, by name.
fn tapes(folder: &str) -> Vec<(String, Vec<u8>)> {
    let folder = root().join(folder);
    let mut tapes: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .expect("the folder is there")
        .map(|entry| {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, fs::read(path).expect("readable"))
        })
        .collect();
    tapes.sort();
    assert!(tapes.len() >= 3, "{} tapes in {folder:?}", tapes.len());
    tapes
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/tape")
}

/// The fixtures that this version writes itself.
pub(crate) fn written() -> [(&'static str, Vec<u8>); 3] {
    let (lp, ws) = (Run::new(Transport::LongPolling), Run { key: 8, salt: 2, ..Run::new(Transport::WebSocket) });
    let complete = |run, entries: &[_]| pieces(run, entries, Some(Finish::Complete)).concat();
    [
        ("chat-long-polling", complete(lp, &chat(lp))),
        ("chat-websocket", complete(ws, &chat(ws))),
        ("every-kind", pieces(lp, &odd(0), Some(Finish::Aborted)).concat()),
    ]
}

#[test]
fn tapes_are_written_as_in_the_fixtures() {
    assert_written("ok", written().map(|(name, bytes)| (name.to_owned(), bytes)));
}

#[test]
fn parts_are_written_as_in_the_fixtures() {
    let parts = parts(&odd(0), |step| step == 3 || step == 13);
    let named = (1..).zip(parts).map(|(number, bytes)| (format!("every-kind.{number:04}"), bytes));
    assert_written("parts", named);
}

fn assert_written(folder: &str, written: impl IntoIterator<Item = (String, Vec<u8>)>) {
    let fixtures = tapes(folder);
    let mut missing = Vec::new();
    for (name, bytes) in written {
        let file = format!("{name}.tape.jsonl");
        match fixtures.iter().find(|(name, _)| *name == file) {
            Some((_, fixture)) => {
                assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(fixture), "{name}");
            }
            None => {
                fs::write(root().join(folder).join(&file), &bytes).expect("the folder can be written");
                missing.push(file);
            }
        }
    }
    assert!(missing.is_empty(), "{missing:?} were not there and were written: review them like code");
}

/// Every version that was ever written has a folder of golden tapes, which read as the same conversation as a tape of the same
/// traffic today.
#[test]
fn tapes_of_past_versions_say_the_same_as_those_of_this_one() {
    let past: Vec<String> = (0..VERSION.minor).map(|minor| format!("{}.{minor}", VERSION.major)).collect();
    assert_eq!(past, ["1.0"]);
    for version in past {
        for (name, bytes) in tapes(&version) {
            let old = Tape::read(&bytes).unwrap_or_else(|error| panic!("{version}/{name}: {error}"));
            assert_eq!(old.header().version.to_string(), version, "{name}");
            let new = Tape::read(&fs::read(root().join("ok").join(&name)).expect("readable")).expect("a tape");
            assert_eq!(old.entries().len(), new.entries().len(), "{version}/{name}");
            // A long number at a place that nobody knows was kept then.
            let differences = if name.starts_with("every-kind") { Vec::new() } else { compare(&old, &new) };
            assert_eq!(differences, [], "{version}/{name}");
            assert_eq!(old.to_bytes(), bytes, "{version}/{name}");
        }
    }
}

#[test]
fn good_tapes_are_read_with_their_status() {
    let read: Vec<(String, Status)> = tapes("ok")
        .into_iter()
        .map(|(name, bytes)| {
            let tape = Tape::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}"));
            (name, tape.status())
        })
        .collect();
    let expected = [
        ("chat-long-polling", Status::Complete),
        ("chat-websocket", Status::Complete),
        ("every-kind", Status::Aborted),
        ("interrupted", Status::Interrupted),
        ("newer-minor", Status::Interrupted),
        ("torn", Status::Interrupted),
    ];
    assert_eq!(read, expected.map(|(name, status)| (format!("{name}.tape.jsonl"), status)));
}

#[test]
fn good_parts_are_read_and_joined() {
    let parts = tapes("parts")
        .into_iter()
        .map(|(name, bytes)| Tape::read(&bytes).unwrap_or_else(|error| panic!("{name}: {error}")));
    let parts: Vec<Tape> = parts.collect();
    assert_eq!((parts.len(), join(&parts).expect("they belong together").status), (3, Status::Complete));
}

#[test]
fn bad_tapes_are_refused_with_line_and_remedy() {
    let refused: Vec<String> = tapes("violation")
        .into_iter()
        .map(|(name, bytes)| {
            let error = Tape::read(&bytes).expect_err(&name);
            format!("{name}\n  {error}\n  hint: {}", error.hint())
        })
        .collect();
    insta::assert_snapshot!(refused.join("\n"));
}

//! `tapestry audit` finds nothing on whatever tape the program itself has written.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tempfile::TempDir;

use crate::harness::{Listening, record, root, run, shown, tapestry};

/// The tapes below a folder.
fn tapes(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the folder is there") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            found.extend(tapes(&path));
        } else if path.to_str().is_some_and(|name| name.ends_with(".tape.jsonl")) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn assert_passes(folder: &TempDir, at_least: usize) {
    let tapes = tapes(folder.path());
    assert!(tapes.len() >= at_least, "{tapes:?}");
    let words = tapes.iter().map(|tape| tape.to_str().expect("a plain path"));
    let output = run(&["audit"].into_iter().chain(words).collect::<Vec<_>>());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

/// Chats over a transport, as somebody who types two lines.
pub(crate) fn chat(folder: &TempDir, url: &str, transport: &str, options: &[&str]) {
    let typed = folder.path().join("typed");
    fs::write(&typed, "hello\nbye\n").expect("it can be written");
    let fixed = ["chat", "--url", url, "--service", "customer-support", "--nickname", "Ann", "--transport", transport];
    let own = ["--subject", "Hats", "--user-data", "hat=green"];
    let stdin = Stdio::from(File::open(&typed).expect("it is there"));
    let output = tapestry(&[&fixed[..], &own, options].concat()).stdin(stdin).output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
}

pub(crate) const TRANSPORTS: [&str; 3] = ["websocket", "long-polling", "callback-polling"];

#[test]
fn the_tapes_of_cases_pass() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report");
    let fixed = ["conformance", "--service", "customer-support", "--report", report.to_str().unwrap()];
    let cases = ["--case", "chat.agent.*", "--case", "bayeux.framing.*", "--case", "chat.file.*"];
    let output = run(&[&fixed[..], &cases].concat());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert_passes(&folder, 40);
}

#[test]
fn the_tapes_of_clients_under_test_pass() {
    let folder = TempDir::new().unwrap();
    let report = folder.path().join("report");
    let command = format!(
        "exec '{}' chat --url \"$TAPESTRY_URL\" --service \"$TAPESTRY_SERVICE\" --transport \"$TAPESTRY_TRANSPORT\" \
         --nickname Ann",
        env!("CARGO_BIN_EXE_tapestry")
    );
    let fixed = ["conformance", "--client", "--listen", "127.0.0.1:0", "--command", &command, "--jobs", "8"];
    let own = ["--report", report.to_str().unwrap(), "--transport", "websocket", "--case", "client.tolerance.*"];
    let output = run(&[&fixed[..], &own].concat());
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    assert_passes(&folder, 1);
}

#[test]
fn the_tapes_of_chats_pass() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    for transport in TRANSPORTS {
        let tape = folder.path().join(format!("{transport}.tape.jsonl"));
        chat(&folder, &serving.url, transport, &["--tape", tape.to_str().unwrap()]);
    }
    assert_passes(&folder, 3);
}

#[rstest::rstest]
#[case::plain(&[], 1)]
#[case::parts(&["--rotate", "8kB"], 3)]
#[case::sessions(&["--split", "session"], 3)]
#[case::moved(&["--shift-times"], 1)]
fn the_tapes_of_recordings_pass(#[case] options: &[&str], #[case] at_least: usize) {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let tape = folder.path().join("chat.tape.jsonl");
    let fixed = record(&serving.url, tape.to_str().unwrap());
    let recorder = Listening::start(&[&fixed[..], &["--service", "customer-support"], options].concat());
    for transport in TRANSPORTS {
        chat(&folder, &recorder.url, transport, &[]);
    }
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    if options.contains(&"--rotate") {
        let (parts, joined) = (tapes(folder.path()), folder.path().join("joined.tape.jsonl"));
        let words = parts.iter().map(|part| part.to_str().expect("a plain path"));
        let join = ["tape", "join", "-o", joined.to_str().unwrap()];
        assert_eq!(run(&join.into_iter().chain(words).collect::<Vec<_>>()).status.code(), Some(0));
    }
    assert_passes(&folder, at_least);
}

#[test]
fn the_tapes_of_imports_pass() {
    let folder = TempDir::new().unwrap();
    let hars = fs::read_dir(root().join("fixtures/har")).unwrap().map(|file| file.unwrap().path());
    for (number, har) in hars.enumerate() {
        let tape = folder.path().join(format!("{number}.tape.jsonl"));
        let output = run(&["import", "har", har.to_str().unwrap(), "-o", tape.to_str().unwrap()]);
        // One of them has no message, by design of the browser that wrote it.
        assert!(output.status.code() == Some(0) || !tape.exists(), "{}", shown(&output));
    }
    assert_passes(&folder, 11);
}

//! `tapestry import har` and `tapestry export har`: files, exit codes, and what they say.

use std::fs;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::harness::{root, run, shown, tapestry};

fn fixture(name: &str) -> String {
    root().join("fixtures/har").join(name).display().to_string()
}

/// A name in a folder of its own.
fn file(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).display().to_string()
}

#[test]
fn a_har_becomes_a_tape_that_passes_the_rules() {
    let folder = TempDir::new().unwrap();
    let tape = file(&folder, "chat.tape.jsonl");
    let output = run(&["import", "har", &fixture("chrome-websocket.har"), "--output", &tape]);
    let said = shown(&output).replace(&folder.path().display().to_string(), "FOLDER");
    let expected = "exit 0\n----- stdout\n----- stderr\nFOLDER/chat.tape.jsonl: 29 messages from 1 of 4 entries; left out: 1 went \
                    to no server, 2 not of the conversation\n";
    assert_eq!(said, expected);
    let check = run(&["check", &tape]);
    assert_eq!(check.status.code(), Some(0), "{}", shown(&check));
}

#[test]
fn a_tape_comes_back_from_its_har() {
    let folder = TempDir::new().unwrap();
    let tape = root().join("recordings/cometd-8.0.11-long-polling.tape.jsonl");
    let (har, again) = (file(&folder, "chat.har"), file(&folder, "again.tape.jsonl"));
    let exported = run(&["export", "har", tape.to_str().unwrap(), "--output", &har]);
    assert_eq!(exported.status.code(), Some(0), "{}", shown(&exported));
    let imported = run(&["import", "har", &har, "--output", &again]);
    assert_eq!(imported.status.code(), Some(0), "{}", shown(&imported));
    assert_eq!(fs::read(tape).unwrap(), fs::read(again).unwrap());
}

/// A recorded tape without its last line, whose hash would tell of every change, and with some words replaced.
fn interrupted(path: &str, from: &str, to: &str) {
    let recorded =
        fs::read_to_string(root().join("recordings/cometd-8.0.11-websocket.tape.jsonl")).expect("a recording");
    let (body, _) = recorded.split_once("{\"k\":\"end\"").expect("it has an end");
    assert!(body.contains(from), "{from}");
    fs::write(path, body.replace(from, to)).expect("written");
}

/// What was written into the HAR by hand is on no tape, since nothing in such a file is redacted again.
#[test]
fn an_edited_har_of_a_tape_is_refused() {
    let folder = TempDir::new().unwrap();
    let (tape, har, again) =
        (file(&folder, "chat.tape.jsonl"), file(&folder, "chat.har"), file(&folder, "again.tape.jsonl"));
    interrupted(&tape, "", "");
    assert_eq!(run(&["export", "har", &tape, "--output", &har]).status.code(), Some(0));
    let text = fs::read_to_string(&har).unwrap();
    let (ahead, behind) = text.split_once(r#"\"nickname\":\"nick_"#).expect("somebody has a name");
    fs::write(&har, format!(r#"{ahead}\"nickname\":\"Ann_{behind}"#)).unwrap();
    let said = shown(&run(&["import", "har", &har, "--output", &again])).replace(&har, "HAR");
    assert!(said.starts_with("exit 2\n"), "{said}");
    assert!(said.contains("error: `HAR`: the tape that it was exported from does not pass the audit: line "), "{said}");
    assert!(
        said.contains("nickname` may hold a name of a person (14 characters)\n\nhint: if the file was edited"),
        "{said}"
    );
    assert!(!said.contains("Ann_") && !fs::exists(again).unwrap(), "{said}");
}

#[test]
fn a_word_is_allowed_in_a_har_of_a_tape() {
    let folder = TempDir::new().unwrap();
    let (tape, har) = (file(&folder, "tea.tape.jsonl"), file(&folder, "tea.har"));
    interrupted(&tape, "/service/chatV2/customer-support", "/service/chatV2/tea-shop");
    assert_eq!(run(&["export", "har", &tape, "--output", &har]).status.code(), Some(0));
    let import = ["import", "har", &har, "--output", "-"];
    assert_eq!(run(&import).status.code(), Some(2));
    let allowed = run(&[&import[..], &["--allow", "tea-shop"]].concat());
    assert_eq!(allowed.status.code(), Some(0), "{}", shown(&allowed));
    assert_eq!(allowed.stdout, fs::read(tape).unwrap());
}

/// Nothing but its header says so.
#[test]
fn a_har_of_a_tape_that_was_not_redacted_is_told() {
    let folder = TempDir::new().unwrap();
    let (tape, har, again) =
        (file(&folder, "raw.tape.jsonl"), file(&folder, "raw.har"), file(&folder, "again.tape.jsonl"));
    interrupted(&tape, r#""mode":"hmac""#, r#""mode":"none""#);
    assert_eq!(run(&["export", "har", &tape, "--output", &har]).status.code(), Some(0));
    let said = shown(&run(&["import", "har", &har, "--output", &again])).replace(&again, "AGAIN");
    let warning = "warning: `AGAIN` is not redacted, as that tape was not: it may hold secrets\n";
    assert!(said.starts_with("exit 0\n") && said.ends_with(warning), "{said}");
}

#[test]
fn entries_that_cannot_be_read_are_named_beside_the_error() {
    let folder = TempDir::new().unwrap();
    let text = fs::read_to_string(fixture("chrome-websocket.har")).unwrap();
    let mut har: Value = serde_json::from_str(&text).unwrap();
    har["log"]["entries"][3]["startedDateTime"] = "yesterday".into();
    let path = file(&folder, "bad.har");
    fs::write(&path, har.to_string()).unwrap();
    let said = shown(&run(&["import", "har", &path, "--output", "-"]));
    let warning =
        "exit 2\n----- stdout\n----- stderr\nwarning: entry 4 lacks a member or has a wrong one, and is left out\n";
    assert!(said.starts_with(warning) && said.contains("error: ") && said.contains("none of its 4 entries"), "{said}");
}

#[test]
fn stdin_and_stdout_will_do() {
    let har = fs::File::open(fixture("mitmproxy-websocket.har")).unwrap();
    let output = tapestry(&["import", "har", "-", "--output", "-"]).stdin(har).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.starts_with("{\"k\":\"hdr\"") && text.contains("\"source\":\"har:mitmproxy\""), "{text}");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn a_file_that_is_there_is_left_alone() {
    let folder = TempDir::new().unwrap();
    let tape = file(&folder, "kept.tape.jsonl");
    fs::write(&tape, "kept").unwrap();
    let output = run(&["import", "har", &fixture("chrome-websocket.har"), "--output", &tape]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), fs::read_to_string(tape).unwrap()), (Some(2), "kept".to_owned()));
    assert!(text.contains("exists already") && text.contains("hint: give another file name"), "{text}");
}

#[test]
fn what_gives_no_tape_is_named_with_a_remedy() {
    let folder = TempDir::new().unwrap();
    let tape = file(&folder, "none.tape.jsonl");
    let output = run(&["import", "har", &fixture("firefox-websocket.har"), "--output", &tape]);
    let said = shown(&output).replace(&root().display().to_string(), "ROOT");
    insta::assert_snapshot!("sockets_without_messages", said);
    assert!(!fs::exists(tape).unwrap());
}

/// Each command reads what is imported, whichever program wrote it and whichever transport it is of.
#[rstest::rstest]
#[case::chrome("chrome-websocket.har")]
#[case::chrome_over_http("chrome-long-polling.har")]
#[case::chrome_over_callbacks("chrome-callback-polling.har")]
#[case::firefox_over_http("firefox-long-polling.har")]
#[case::playwright_archive("playwright-websocket.zip")]
#[case::playwright_archive_over_http("playwright-long-polling.zip")]
#[case::mitmproxy_over_http("mitmproxy-long-polling.har")]
fn what_is_imported_is_checked_replayed_and_compared(#[case] name: &str) {
    let folder = TempDir::new().unwrap();
    let (one, other) = (file(&folder, "one.tape.jsonl"), file(&folder, "other.tape.jsonl"));
    let same = fixture("mitmproxy-websocket.har");
    for command in [
        &["import", "har", &fixture(name), "--output", &one] as &[&str],
        &["import", "har", &same, "--output", &other],
        &["check", &one],
        &["replay", &one],
        &["audit", &one],
        &["compare", &other, &one],
    ] {
        let output = run(command);
        assert_eq!(output.status.code(), Some(0), "{command:?}\n{}", shown(&output));
    }
}

/// Playwright writes a size of -1 where it did not get to fetch an answer: no command makes anybody guilty of that.
#[test]
fn what_a_file_lacks_is_told_by_every_command() {
    let folder = TempDir::new().unwrap();
    let mut har: Value = serde_json::from_slice(&fs::read(fixture("playwright-long-polling.har")).unwrap()).unwrap();
    let mut connects = har["log"]["entries"]
        .as_array_mut()
        .unwrap()
        .iter_mut()
        .filter(|entry| entry["request"]["url"].as_str().unwrap().ends_with("/connect"));
    connects.nth(3).expect("a held connect")["response"]["content"] = json!({"size": -1, "mimeType": "x-unknown"});
    let (poorer, tape, other) =
        (file(&folder, "chat.har"), file(&folder, "chat.tape.jsonl"), file(&folder, "other.tape.jsonl"));
    fs::write(&poorer, har.to_string()).unwrap();
    assert_eq!(run(&["import", "har", &fixture("playwright-long-polling.har"), "-o", &other]).status.code(), Some(0));
    let commands = [
        &["import", "har", &poorer, "--output", &tape] as &[&str],
        &["check", &tape],
        &["replay", &tape],
        &["audit", &tape],
        &["compare", &other, &tape],
    ];
    let said: Vec<String> =
        commands.iter().map(|command| format!("{}: {}", command[0], shown(&run(command)))).collect();
    insta::assert_snapshot!("lacking", said.join("\n").replace(&folder.path().display().to_string(), "FOLDER"));
}

/// What is wrong with one file keeps none of the others back.
#[test]
fn several_files_become_a_tape_each() {
    let folder = TempDir::new().unwrap();
    let names = ["chrome-websocket.har", "firefox-websocket.har", "playwright-websocket.zip"].map(fixture);
    let output = run(&["import", "har", &names[0], &names[1], &names[2], "--output", folder.path().to_str().unwrap()]);
    let said = shown(&output).replace(&folder.path().display().to_string(), "FOLDER");
    insta::assert_snapshot!("several_files", said.replace(&root().display().to_string(), "ROOT"));
    let mut tapes: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    tapes.sort();
    assert_eq!(tapes, ["chrome-websocket.tape.jsonl", "playwright-websocket.tape.jsonl"]);
}

#[test]
fn several_files_do_not_become_one_tape() {
    let folder = TempDir::new().unwrap();
    let (one, other) = (fixture("chrome-websocket.har"), fixture("firefox-long-polling.har"));
    let output = run(&["import", "har", &one, &other, "--output", &file(&folder, "chat.tape.jsonl")]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(text.contains("is no folder") && text.contains("hint: several files become a tape each"), "{text}");
}

#[test]
fn two_files_of_one_name_are_not_mixed_up() {
    let folder = TempDir::new().unwrap();
    let (har, zip) = (fixture("playwright-websocket.har"), fixture("playwright-websocket.zip"));
    let output = run(&["import", "har", &har, &zip, "--output", folder.path().to_str().unwrap()]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), fs::read_dir(&folder).unwrap().count()), (Some(2), 0));
    assert!(text.contains("would both become"), "{text}");
}

#[test]
fn a_folder_holds_a_har_and_what_it_names() {
    let folder = TempDir::new().unwrap();
    let har = fs::read_to_string(fixture("playwright-websocket.har")).unwrap();
    let mut har: Value = serde_json::from_str(&har).unwrap();
    for entry in har["log"]["entries"].as_array_mut().unwrap() {
        if let Some(messages) = entry.as_object_mut().unwrap().remove("_webSocketMessages") {
            let lines: String = messages.as_array().unwrap().iter().map(|message| format!("{message}\n")).collect();
            fs::write(folder.path().join("socket.jsonl"), lines).unwrap();
            entry["response"]["content"]["_file"] = "socket.jsonl".into();
        }
    }
    fs::write(folder.path().join("har.har"), har.to_string()).unwrap();
    let output =
        run(&["import", "har", folder.path().to_str().unwrap(), "--output", &file(&folder, "chat.tape.jsonl")]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("29 messages from 1 of "), "{text}");
}

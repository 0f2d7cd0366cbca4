//! `tapestry record`: what it refuses, and what survives.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::audit::{TRANSPORTS, chat};
use crate::harness::{HANDSHAKE, Listening, ask, record, root, run, shown, tapestry, within_seconds};

/// An upstream where nobody listens.
const NOBODY: &str = "http://127.0.0.1:1/genesys/cometd";

fn recording(upstream: &str, tape: &Path) -> Listening {
    Listening::start(&record(upstream, tape.to_str().expect("a plain path")))
}

/// What the command says without what differs from run to run.
fn refusal(arguments: &[&str], folder: &TempDir) -> String {
    shown(&run(arguments)).replace(folder.path().to_str().expect("a plain path"), "FOLDER")
}

#[test]
fn writes_a_whole_tape_and_ends_with_0() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = recording(&serving.url, &tape);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    let text = fs::read_to_string(&tape).unwrap();
    assert!(text.contains(r#""channel":"/meta/handshake""#), "{text}");
    assert!(text.trim_end().lines().last().unwrap().contains(r#""status":"complete""#), "{text}");
}

#[test]
fn what_was_recorded_survives_a_kill() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = recording(&serving.url, &tape);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    // The tape is written behind the traffic.
    assert!(within_seconds(10, || fs::read_to_string(&tape).unwrap().contains(r#""clientId":"cid_"#)));
    recorder.signal("-KILL");
    let output = run(&["check", tape.to_str().unwrap()]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.code() == Some(3) && text.contains("the tape is interrupted"), "{:?} {text}", output.status);
    assert!(text.contains("2 messages of 1 session"), "{text}");
}

#[test]
fn a_tape_is_not_written_to_stdout() {
    for arguments in [
        record(NOBODY, "-").as_slice(),
        &["chat", "--url", "http://127.0.0.1:1/", "--service", "s", "--nickname", "Ann", "--tape", "-"],
    ] {
        let output = run(arguments);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && text.contains("`./-` if"), "{:?} {text}", output.status);
        assert!(!Path::new("-").exists());
    }
}

/// Records a request for a chat with some options, and gives what the tape and the audit say.
fn taped(options: &[&str], key: &str) -> (String, String) {
    const REQUEST: &[u8] = br#"[{"id":"2","channel":"/service/chatV2/tea-shop","clientId":"c-12345",
        "data":{"operation":"requestChat","nickname":"Ann Smith","subject":"Ann Smith likes tea"}}]"#;
    let (folder, serving) = (TempDir::new().expect("a folder"), Listening::serve());
    let path = folder.path().join("a.tape.jsonl");
    let tape = path.to_str().expect("the path is text");
    let recorder = Listening::start_with(&[&record(&serving.url, tape), options].concat(), "TAPE_KEY", key);
    assert_eq!(recorder.post("/", REQUEST).0, 200);
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    (fs::read_to_string(&path).expect("it is there"), shown(&run(&["audit", tape])).replace(tape, "TAPE"))
}

#[test]
fn texts_are_kept_where_that_is_asked_for() {
    let (tape, audit) = taped(&["--keep-text", "--service", "tea-shop"], "");
    assert!(tape.contains(r#""subject":"nick_"#) && tape.contains(r#" likes tea""#), "{tape}");
    assert!(tape.contains(r#""keep":"texts""#) && !tape.contains("Ann"), "{tape}");
    assert!(audit.starts_with("exit 0\n") && audit.contains("kept on purpose"), "{audit}");
}

#[test]
fn nothing_is_replaced_where_that_is_asked_for_and_the_audit_refuses_it() {
    let (tape, audit) = taped(&["--no-redact"], "");
    assert!(
        tape.contains("c-12345") && tape.contains("Ann Smith likes tea") && tape.contains(r#""mode":"none""#),
        "{tape}"
    );
    assert!(audit.starts_with("exit 1\n") && audit.contains("--no-redact"), "{audit}");
}

#[test]
fn a_key_of_the_project_makes_the_tokens_of_two_tapes_comparable() {
    let digits = "0a".repeat(32);
    let token = |(tape, _): (String, String)| {
        let (_, behind) = tape.split_once(r#""nickname":""#).expect("a nickname");
        behind.split('"').next().unwrap_or_default().to_owned()
    };
    let option = ["--key", "${TAPE_KEY}"];
    assert_eq!(token(taped(&option, &digits)), token(taped(&option, &digits)));
    assert_ne!(token(taped(&[], "")), token(taped(&[], "")));
}

#[test]
fn a_key_that_is_none_is_refused_and_not_repeated() {
    let arguments = |key| [&record(NOBODY, "x")[..], &["--key", key]].concat();
    let output = run(&arguments("hunter2"));
    assert!(output.status.code() == Some(2) && !shown(&output).contains("hunter2"), "{}", shown(&output));
    let output = tapestry(&arguments("${TAPE_KEY}")).env("TAPE_KEY", "hunter2").output().unwrap();
    let text = shown(&output);
    assert!(
        text.starts_with("exit 2\n") && !text.contains("hunter2") && text.contains("openssl rand -hex 32"),
        "{text}"
    );
}

#[test]
fn nobody_upstream_is_told_to_the_client_and_to_the_tape() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = recording(NOBODY, &tape);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 502);
    recorder.signal("-INT");
    assert!(fs::read_to_string(&tape).unwrap().contains(r#""error":{"class":"unreachable"}"#));
}

#[test]
fn a_tape_is_never_overwritten() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    fs::write(&tape, "precious").unwrap();
    insta::assert_snapshot!(refusal(&record(NOBODY, tape.to_str().unwrap()), &folder));
    assert_eq!(fs::read_to_string(&tape).unwrap(), "precious");
}

#[test]
fn a_missing_directory_is_named() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("nowhere/a.tape.jsonl");
    insta::assert_snapshot!(refusal(&record(NOBODY, tape.to_str().unwrap()), &folder));
}

#[test]
fn an_upstream_that_is_no_url_is_a_usage_error() {
    let folder = TempDir::new().unwrap();
    insta::assert_snapshot!(refusal(&record("gms:8080", "x"), &folder));
}

#[test]
fn a_password_in_a_url_is_refused_and_not_repeated() {
    for url in ["http://ann:hunter2@gms/x", "ftp://ann:hunter2@gms/x", "ann:hunter2@gms"] {
        let output = run(&record(url, "x"));
        let text = shown(&output);
        assert!(output.status.code() == Some(2) && !text.contains("hunter2"), "{text}");
    }
}

/// Starts a recording with some options, and what it says on stderr in a file.
fn recording_with(folder: &TempDir, upstream: &str, options: &[&str]) -> (Listening, PathBuf) {
    let (tape, said) = (folder.path().join("chat.tape.jsonl"), folder.path().join("stderr"));
    let fixed = record(upstream, tape.to_str().expect("a plain path"));
    (Listening::start_as(&mut tapestry(&[&fixed, options].concat()), &said), said)
}

/// The tapes in a folder, by name.
fn tapes(folder: &TempDir) -> Vec<String> {
    let files = fs::read_dir(folder.path()).expect("it is there").map(|file| file.expect("it can be read").path());
    let mut tapes: Vec<String> = files.filter_map(|path| path.to_str().map(str::to_owned)).collect();
    tapes.retain(|name| name.ends_with(".tape.jsonl"));
    tapes.sort();
    tapes
}

/// Records three handshakes in parts, and gives the parts and what was said on stderr.
fn in_parts(folder: &TempDir) -> (Vec<String>, String) {
    let serving = Listening::serve();
    let (recorder, said) = recording_with(folder, &serving.url, &["--rotate", "1kB", "--rotate", "1h"]);
    for _ in 0..3 {
        assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    }
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    (tapes(folder), fs::read_to_string(said).expect("it is there"))
}

#[test]
fn parts_are_joined_to_a_tape_that_can_be_judged() {
    let folder = TempDir::new().unwrap();
    let (parts, said) = in_parts(&folder);
    assert!(parts.len() > 2 && parts[0].ends_with("/chat.0001.tape.jsonl"), "{parts:?}");
    assert!(said.contains(&format!("{} tapes beside ", parts.len())), "{said}");

    let whole = folder.path().join("whole.jsonl");
    let words: Vec<&str> = parts.iter().rev().map(String::as_str).collect();
    let joined = run(&[&["tape", "join", "-o", whole.to_str().unwrap()][..], &words].concat());
    assert_eq!(shown(&joined), "exit 0\n----- stdout\n----- stderr\n");
    let check = shown(&run(&["check", whole.to_str().unwrap()]));
    assert!(check.starts_with("exit 0\n") && check.contains("6 messages of 3 sessions"), "{check}");
    for part in &parts {
        let audit = shown(&run(&["audit", part]));
        assert!(audit.starts_with("exit 0\n"), "{audit}");
    }
}

#[test]
fn a_later_part_alone_is_not_judged() {
    let folder = TempDir::new().unwrap();
    let (parts, _) = in_parts(&folder);
    let (first, second) = (parts[0].as_str(), parts[1].as_str());
    for arguments in
        [&["check", second][..], &["replay", second], &["compare", second, first], &["compare", first, second]]
    {
        let text = shown(&run(arguments));
        let says = format!("error: `{second}` is part 2 of a recording");
        assert!(text.starts_with("exit 2\n") && text.contains(&says) && text.contains("tapestry tape join"), "{text}");
    }
    // The first one begins where the recording does.
    let text = shown(&run(&["check", first]));
    let says = "the recording goes on in part 2, which was not judged";
    assert!(text.starts_with("exit 3\n") && text.contains(says), "{text}");
    let text = shown(&run(&["tape", "show", second]));
    assert!(text.contains("part 2") && text.contains("told again"), "{text}");
}

/// Programs are told the same by all commands that read a part.
#[test]
fn a_part_that_is_not_the_last_has_one_word_for_programs() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (recorder, _) = recording_with(&folder, &serving.url, &["--rotate", "1kB"]);
    for _ in 0..3 {
        assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    }
    recorder.signal("-TERM");
    let first = &tapes(&folder)[0];
    for command in ["check", "replay"] {
        let output = run(&[command, "--format", "json", first]);
        let said: Value = serde_json::from_slice(&output.stdout).unwrap();
        // One command takes several tapes.
        let said = said.get(0).unwrap_or(&said);
        assert_eq!((&said["status"], &said["next"]), (&"goes-on".into(), &2.into()), "{command}: {}", shown(&output));
    }
}

/// A part that is not the last is no broken tape, and neither is what some parts are joined to.
#[test]
fn a_part_says_in_which_part_the_recording_goes_on() {
    let folder = TempDir::new().unwrap();
    let (parts, _) = in_parts(&folder);
    let head = |tape: &str| shown(&run(&["tape", "head", tape]));
    let text = head(&parts[0]);
    assert!(text.starts_with("exit 0\n") && text.contains("\nstatus     goes on in part 2\n"), "{text}");
    let joined = folder.path().join("joined.jsonl").display().to_string();
    let text = shown(&run(&["tape", "join", &parts[0], &parts[1], "-o", &joined]));
    let says = "warning: the recording goes on in part 3, which was not given\n";
    assert_eq!(text, format!("exit 3\n----- stdout\n----- stderr\n{says}"));
    let text = head(&joined);
    assert!(text.starts_with("exit 0\n") && text.contains("\nstatus     goes on in part 3\n"), "{text}");
}

#[test]
fn parts_that_do_not_belong_together_are_not_joined() {
    let folder = TempDir::new().unwrap();
    let (parts, _) = in_parts(&folder);
    let missing = shown(&run(&["tape", "join", &parts[1], "-o", "-"]));
    assert!(
        missing.starts_with("exit 2\n") && missing.contains("part 1 of the recording is missing\n\nhint: "),
        "{missing}"
    );
    let foreign = "recordings/cometd-8.0.11-websocket.tape.jsonl";
    let foreign = root().join(foreign).display().to_string();
    let foreign = shown(&run(&["tape", "join", &parts[0], &foreign, "-o", "-"]));
    assert!(foreign.starts_with("exit 2\n") && foreign.contains("is no part of a recording"), "{foreign}");
    let early = shown(&run(&["tape", "join", &parts[0], "-o", "-"]));
    assert!(early.starts_with("exit 3\n") && early.contains("goes on in part 2"), "{early}");
}

#[test]
fn a_part_that_was_made_and_not_begun_is_left_out() {
    let folder = TempDir::new().unwrap();
    let (mut parts, _) = in_parts(&folder);
    let empty = folder.path().join("chat.9999.tape.jsonl").display().to_string();
    fs::write(&empty, "").unwrap();
    parts.push(empty.clone());
    let words: Vec<&str> = parts.iter().map(String::as_str).collect();
    let output = run(&[&["tape", "join", "-o", "-"][..], &words].concat());
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains(&format!("warning: `{empty}` holds nothing")), "{said}");
}

#[test]
fn a_prefix_of_the_upstream_is_part_of_the_printed_address() {
    let folder = TempDir::new().unwrap();
    let serving = Listening::start(&["serve", "--listen", "127.0.0.1:0", "--base", "/chat/eu/genesys/cometd"]);
    let recorder = recording(&serving.url, &folder.path().join("a.tape.jsonl"));
    assert!(recorder.url.ends_with("/chat/eu/genesys/cometd"), "{}", recorder.url);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    // What lies beside the servlet is forwarded, too.
    assert!(recorder.ask_at("GET", "/chat/eu/nothing", "", b"").starts_with("HTTP/1.1 404"));
    recorder.signal("-TERM");
    let text = fs::read_to_string(folder.path().join("a.tape.jsonl")).unwrap();
    assert_eq!(text.matches(r#""k":"http.req""#).count(), 2, "{text}");
}

#[test]
fn each_browser_session_has_a_tape_that_is_judged_by_itself() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (recorder, _) = recording_with(&folder, &serving.url, &["--split", "session"]);
    for _ in 0..2 {
        assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    }
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    let tapes = tapes(&folder);
    let [first, second] = tapes.as_slice() else { panic!("{tapes:?}") };
    assert!(first.ends_with("/chat.session-0001.tape.jsonl") && second.ends_with("/chat.session-0002.tape.jsonl"));
    for tape in [first, second] {
        let check = shown(&run(&["check", tape]));
        assert!(check.starts_with("exit 0\n") && check.contains("2 messages of 1 session"), "{check}");
        let audit = shown(&run(&["audit", tape]));
        assert!(audit.starts_with("exit 0\n"), "{audit}");
    }
}

#[test]
fn a_kill_leaves_the_tape_of_each_session_readable() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (recorder, _) = recording_with(&folder, &serving.url, &["--split", "session"]);
    for _ in 0..5 {
        assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    }
    // A tape is written behind the traffic.
    let last = folder.path().join("chat.session-0005.tape.jsonl");
    assert!(within_seconds(10, || fs::read_to_string(&last).is_ok_and(|text| text.contains(r#""clientId":"cid_"#))));
    recorder.signal("-KILL");
    let check = shown(&run(&["check", last.to_str().unwrap()]));
    assert!(check.starts_with("exit 3\n") && check.contains("2 messages of 1 session"), "{check}");
}

/// Seconds since 1970.
fn seconds(rfc3339: &str) -> i64 {
    rfc3339.parse::<jiff::Timestamp>().expect("a time").as_second()
}

/// Parts and sessions are of one recording, and whoever lays them side by side must not learn more than from one.
#[rstest::rstest]
#[case::parts(&["--rotate", "8kB"])]
#[case::sessions(&["--split", "session"])]
fn all_tapes_of_a_recording_are_moved_by_one_amount(#[case] options: &[&str]) {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (recorder, _) = recording_with(&folder, &serving.url, &[&["--shift-times"], options].concat());
    for transport in TRANSPORTS {
        chat(&folder, &recorder.url, transport, &[]);
    }
    assert_eq!(recorder.signal("-TERM").code(), Some(0));
    let tapes = tapes(&folder);
    assert!(tapes.len() >= 3, "{tapes:?}");
    let (mut starts, mut with_events) = (Vec::new(), 0);
    for tape in &tapes {
        let text = fs::read_to_string(tape).unwrap();
        let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let header = lines.next().unwrap();
        assert_eq!(header["redact"]["times"], "shifted", "{header}");
        let start = header["start"].as_str().unwrap().to_owned();
        let (mut is_near, mut events) = (true, 0);
        for line in lines {
            for event in line["m"]["data"]["messages"].as_array().into_iter().flatten() {
                let told = event["utcTime"].as_i64().unwrap() / 1_000;
                let moment = seconds(&start) + line["t"].as_i64().unwrap() / 1_000_000;
                events += 1;
                is_near &= (told - moment).abs() < 60;
            }
        }
        assert!(is_near, "an event is not near its line: {text}");
        with_events += usize::from(events > 0);
        starts.push(start);
    }
    assert!(with_events >= 2, "{with_events}");
    starts.dedup();
    let [start] = starts.as_slice() else { panic!("not one amount: {starts:?}") };
    let earlier = jiff::Timestamp::now().as_second() - seconds(start);
    assert!((86_400..3_700 * 86_400).contains(&earlier), "{start} is {earlier} s ago");
}

#[test]
fn a_limit_ends_the_recording_in_good_order() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (recorder, said) = recording_with(&folder, &serving.url, &["--max-messages", "2"]);
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    assert_eq!(recorder.ended().code(), Some(0));
    let said = fs::read_to_string(said).unwrap();
    assert!(said.contains("\nended by --max-messages\n"), "{said}");
    let check = shown(&run(&["check", &tapes(&folder)[0]]));
    assert!(check.starts_with("exit 0\n"), "{check}");
}

#[test]
fn wrong_numbers_are_usage_errors_that_say_what_is_right() {
    for (options, says) in [
        (&["--rotate", "10"][..], "such as `100MB`, nor a duration"),
        (&["--rotate", "1MB", "--rotate", "2MB"], "two sizes"),
        (&["--rotate", "1MB", "--split", "session"], "cannot be used with"),
        (&["--max-bytes", "1M"], "is no unit of a size"),
        (&["--max-duration", "5"], "such as `90s`"),
        (&["--max-messages", "0"], "0 is not in"),
    ] {
        let text = shown(&run(&[&record(NOBODY, "x"), options].concat()));
        assert!(text.starts_with("exit 2\n") && text.contains(says), "{options:?} {text}");
    }
}

#[cfg(unix)]
#[test]
fn when_the_file_cannot_grow_traffic_goes_on_and_the_recorder_says_so() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (tape, said) = (folder.path().join("a.tape.jsonl"), folder.path().join("stderr"));
    // 8 blocks of 512 bytes or of 1024, as the shell has it. The signal would end the program, so it is left out.
    let mut command = Command::new("sh");
    let program = env!("CARGO_BIN_EXE_tapestry");
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$0\" \"$@\"", program]);
    command.args(record(&serving.url, tape.to_str().unwrap())).env("NO_COLOR", "1");
    let recorder = Listening::start_as(&mut command, &said);
    let is_told = || fs::read_to_string(&said).is_ok_and(|text| text.contains("traffic goes on"));
    for _ in 0..40 {
        assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    }
    assert!(within_seconds(10, is_told));
    assert_eq!(recorder.post("/handshake", HANDSHAKE).0, 200);
    assert_eq!(recorder.signal("-TERM").code(), Some(3));
    let text = fs::read_to_string(&said).unwrap();
    assert!(text.contains("warning: the tape ends early: ") && text.contains("are not on the tape"), "{text}");
    let check = shown(&run(&["check", tape.to_str().unwrap()]));
    assert!(check.starts_with("exit 3\n") && check.contains("the tape is interrupted"), "{check}");
}

#[cfg(target_os = "linux")]
#[test]
fn what_cannot_be_written_is_told_before_anybody_connects() {
    for (output, says) in [
        ("/dev/full", "`/dev/full` is there and is no file"),
        ("/", "`/` is there and is no file"),
        ("/sys/a.tape.jsonl", "cannot write `/sys/a.tape.jsonl`"),
    ] {
        for options in [&[][..], &["--rotate", "1h"], &["--split", "session"]] {
            let text = shown(&run(&[&record(NOBODY, output), options].concat()));
            // Several files have names that are made of this one.
            let says = says.trim_end_matches(".tape.jsonl`");
            assert!(text.starts_with("exit 2\n") && text.contains(says), "{output} {options:?} {text}");
            assert!(text.contains("\nhint: "), "{text}");
        }
    }
}

#[cfg(unix)]
#[test]
fn without_room_for_the_first_line_there_is_no_file() {
    let folder = TempDir::new().unwrap();
    let tape = folder.path().join("a.tape.jsonl");
    for options in [&[][..], &["--rotate", "1h"], &["--split", "session"]] {
        let mut command = Command::new("sh");
        command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_tapestry")]);
        command.args(record(NOBODY, tape.to_str().unwrap())).args(options);
        let text = shown(&command.env("NO_COLOR", "1").output().unwrap());
        assert!(text.starts_with("exit 2\n") && text.contains("error: cannot write `"), "{options:?} {text}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{options:?}");
    }
}

/// A terminal is what `script` makes; without it the text of the line is tested, beside the code that makes it.
#[cfg(target_os = "linux")]
#[test]
fn a_terminal_shows_how_the_recording_stands_and_nothing_else_does() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    for (options, is_shown) in [("", true), ("--quiet", false)] {
        let tape = folder.path().join(format!("a{options}.tape.jsonl"));
        let record = format!(
            "exec '{}' record --listen 127.0.0.1:0 --upstream {} -o '{}' --max-messages 2 {options}",
            env!("CARGO_BIN_EXE_tapestry"),
            serving.url,
            tape.display()
        );
        let mut script = Command::new("script");
        script.args(["-qefc", &record, "/dev/null"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let Ok(mut script) = script.spawn() else { return };
        let mut terminal = BufReader::new(script.stdout.take().unwrap());
        let mut line = String::new();
        terminal.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on http://").expect("it listens");
        let (authority, path) = url.split_once('/').unwrap();
        let body = String::from_utf8_lossy(HANDSHAKE);
        let answer = ask(
            authority,
            "POST",
            &format!("/{path}/handshake"),
            "Content-Type: application/json\r\n",
            body.as_bytes(),
        );
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        let mut rest = String::new();
        terminal.read_to_string(&mut rest).unwrap();
        assert_eq!(script.wait().unwrap().code(), Some(0), "{rest}");
        // How much had passed when it was drawn, nobody knows.
        let shows = |word: &str| rest.contains(word);
        assert_eq!([", sessions ", ", messages ", ", lag "].map(shows), [is_shown; 3], "{rest}");
    }
}

#[test]
fn without_a_terminal_no_line_is_drawn() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (recorder, said) = recording_with(&folder, &serving.url, &[]);
    recorder.signal("-TERM");
    let said = fs::read_to_string(said).unwrap();
    assert!(said.starts_with("recording ") && !said.contains("sessions"), "{said}");
}

//! Nothing that a client or a server said is in a log, a tape or a report.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use tempfile::TempDir;

use crate::harness::{Listening, ask, run, shown, tapestry, within_seconds};

const CANARY: &str = "cAnArYzq7";

fn absent(text: &str, what: &str) {
    let hex: String = CANARY.bytes().map(|byte| format!("{byte:02x}")).collect();
    for form in [CANARY, "Y0FuQXJZenE3", &hex] {
        assert!(!text.to_ascii_lowercase().contains(&form.to_ascii_lowercase()), "{what} holds {form}:\n{text}");
    }
}

#[test]
fn no_canary_is_logged_taped_or_reported() {
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    let (tape, log) = (folder.path().join("a.tape.jsonl"), folder.path().join("log"));
    let tape_name = tape.to_str().unwrap();
    let arguments = ["-vv", "record", "--listen", "127.0.0.1:0", "--upstream", &serving.url, "-o", tape_name];
    let mut recorder = tapestry(&arguments)
        .stdout(Stdio::piped())
        .stderr(File::create(&log).unwrap())
        .spawn()
        .expect("the program starts");
    let mut line = String::new();
    BufReader::new(recorder.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let authority = line.trim().split('/').nth(2).expect("an authority").to_owned();
    let cookie =
        format!("Content-Type: application/json\r\nAuthorization: Basic Y0FuQXJZenE3\r\nCookie: other={CANARY}\r\n");
    let bodies = [
        r#"[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"CANARY"}}]"#,
        r#"[{"id":"2","channel":"/service/chatV2/customer-support","clientId":"CANARY","data":{"operation":"requestChat","nickname":"CANARY","subject":"CANARY","userData":{"CANARY":"CANARY"},"mood":"CANARY"}}]"#,
        r#"[{"id":"3","channel":"/CANARY@x","clientId":"CANARY"}, and CANARY"#,
    ];
    for body in bodies {
        let target = format!("/genesys/cometd/?secureKey={CANARY}&{CANARY}=1");
        ask(&authority, "POST", &target, &cookie, body.replace("CANARY", CANARY).as_bytes());
    }
    ask(&authority, "POST", &format!("/genesys/2/chat-ntf/{CANARY}"), &cookie, CANARY.as_bytes());
    assert!(within_seconds(10, || fs::read_to_string(&tape).unwrap().matches("\"http.res\"").count() == 4));
    let pid = recorder.id().to_string();
    std::process::Command::new("kill").args(["-TERM", &pid]).status().expect("kill starts");
    recorder.wait().expect("it ends");
    let logged = fs::read_to_string(&log).unwrap();
    assert!(logged.contains("recording"), "{logged}");
    absent(&logged, "the log");
    absent(&fs::read_to_string(&tape).unwrap(), "the tape");
    for words in
        [&["check"][..], &["check", "--format", "json"], &["replay"], &["tape", "show"], &["tape", "stats"], &["audit"]]
    {
        absent(&shown(&run(&[words, &[tape_name]].concat())), &words.join(" "));
    }
}

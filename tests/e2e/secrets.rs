//! Nothing that a client or a server said is in a log, a tape, a report or a file that nobody asked for.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use protocol::wire::Wire;
use rstest::rstest;
use tempfile::TempDir;
use tokio::sync::oneshot;
use transport::client::Connections;
use transport::driver::Carrier;
use transport::endpoint::Endpoint;
use transport::fields::Fields;
use transport::route::Route;
use transport::server::Server;
use transport::tls::Trust;

use self::search::{MARKER, Search};
use self::voice::Voice;
use crate::harness::{Listening, ask, record, run, shown, tapestry, within_seconds};
use crate::reverse_proxy::in_background;

#[path = "../canary/corpus.rs"]
#[allow(dead_code, reason = "shared with tests that know what becomes of each canary")]
mod corpus;
#[path = "../canary/har.rs"]
mod raw_har;
#[path = "../canary/search.rs"]
mod search;
#[path = "../canary/voice.rs"]
mod voice;

/// The simulator.
const SERVE: [&str; 5] = ["serve", "--listen", "127.0.0.1:0", "--seed", "1"];

/// A folder in which a program runs, with an empty one for its temporary files. Whatever it leaves in either is searched.
struct Watched {
    folder: TempDir,
    search: Search,
}

impl Watched {
    fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        for name in ["here", "temporary"] {
            fs::create_dir(folder.path().join(name)).expect("a folder within it");
        }
        Self { folder, search: Search::new() }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join("here").join(name)
    }

    /// The program, as talkative as it can be.
    fn tapestry(&self, arguments: &[&str]) -> Command {
        let mut command = tapestry(&[&["-vv"], arguments].concat());
        command.current_dir(self.folder.path().join("here")).env("TMPDIR", self.folder.path().join("temporary"));
        for (variable, value) in [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full")] {
            command.env(variable, value);
        }
        command
    }

    /// Starts a command that listens, with its stderr in a file.
    fn listen(&self, log: &str, arguments: &[&str]) -> Listening {
        Listening::start_as(&mut self.tapestry(arguments), &self.file(log))
    }

    fn absent(&self, bytes: &[u8], what: &str) {
        let found = self.search.found(bytes);
        assert!(found.is_empty(), "{what} holds a canary as {found:?}:\n{}", String::from_utf8_lossy(bytes));
    }

    /// No canary is in anything that was written, and nothing was written for a time only. Gives the names of files.
    fn clean(&self) -> Vec<String> {
        let left = fs::read_dir(self.folder.path().join("temporary")).expect("it is there").count();
        assert_eq!(left, 0, "temporary files were left behind");
        let mut folders = vec![self.folder.path().join("here")];
        let mut names = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default().to_owned();
                self.absent(name.as_bytes(), "a name");
                if path.is_dir() {
                    folders.push(path);
                } else {
                    self.absent(&fs::read(&path).expect("a file"), &name);
                    names.push(name);
                }
            }
        }
        names.sort();
        names
    }

    /// Everything that commands say of a tape is free of canaries.
    fn shown_clean(&self, tape: &Path) {
        let tape = tape.to_str().expect("a plain path");
        // What judges a tape may find something.
        for words in
            [&["check"][..], &["check", "--format", "json"], &["replay"], &["replay", "--format", "json"], &["audit"]]
        {
            let output = run(&[words, &[tape]].concat());
            self.said_clean(&output, &words.join(" "));
            assert!(matches!(output.status.code(), Some(0 | 1 | 3)), "{words:?}: {}", shown(&output));
        }
        for arguments in [
            &["tape", "show", tape][..],
            &["tape", "stats", tape],
            &["tape", "head", tape],
            &["compare", tape, tape],
            &["export", "har", tape, "-o", "-"],
        ] {
            let output = run(arguments);
            self.said_clean(&output, &arguments.join(" "));
            assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", shown(&output));
        }
    }

    fn said_clean(&self, output: &Output, what: &str) {
        self.absent(&output.stdout, what);
        self.absent(&output.stderr, what);
    }
}

fn full_of_canaries() -> Voice {
    Voice::new(format!("s{MARKER}"), format!("s{MARKER}"))
}

/// A server on this machine in front of another, with a voice of its own.
fn talkative(servlet: &str, voice: Voice) -> (String, oneshot::Sender<()>) {
    let servlet: Endpoint = servlet.parse().expect("a URL");
    let path = servlet.path.clone();
    let route = Route::new(servlet, &Trust::System).expect("without TLS nothing is to be trusted");
    let (port, stop) = in_background(move |listener| async move {
        let (mut server, mut client) = (Server::start(listener, 1 << 20), Connections::new(route, Fields::default()));
        loop {
            tokio::select! {
                wire = server.receive() => client.send(voice.hears(own(wire))),
                wire = client.receive() => server.send(voice.says(wire)),
            }
        }
    });
    (format!("http://127.0.0.1:{port}{path}"), stop)
}

/// Without the fields of an upgrade that each connection has of its own.
fn own(wire: Wire) -> Wire {
    match wire {
        Wire::Upgrade(socket, mut request) => {
            request
                .headers
                .0
                .retain(|(name, _)| !["sec-websocket-key", "sec-websocket-version"].contains(&name.as_str()));
            Wire::Upgrade(socket, request)
        }
        other => other,
    }
}

fn terminate(listening: Listening) -> Option<i32> {
    listening.signal("-TERM").code()
}

/// A chat with a file, full of canaries on both sides, through the recorder. What `chat` says on stdout is what was said.
#[rstest]
fn no_canary_of_a_chat_is_logged_or_taped(
    #[values("websocket", "long-polling", "callback-polling")] transport: &str,
    #[values(false, true)] moves_times: bool,
) {
    let watched = Watched::new();
    let serving = watched.listen("serve.log", &SERVE);
    let (upstream, _talking) = talkative(&serving.url, full_of_canaries());
    let shift: &[&str] = if moves_times { &["--shift-times"] } else { &[] };
    let recorder = watched.listen("record.log", &[&record(&upstream, "a.tape.jsonl"), shift].concat());
    let elsewhere = TempDir::new().unwrap();
    let file = elsewhere.path().join(format!("{MARKER}.txt"));
    fs::write(&file, format!("of {MARKER}")).unwrap();
    let nickname = format!("{MARKER} Ann");
    let mut chat = watched
        .tapestry(&["chat", "--url", &recorder.url, "--service", "customer-support", "--transport", transport])
        .args(["--nickname", &nickname, "--subject", &nickname])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(fs::File::create(watched.file("chat.log")).unwrap())
        .spawn()
        .unwrap();
    let mut stdin = chat.stdin.take().unwrap();
    let mut lines = BufReader::new(chat.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut wait_for = |wanted: &str| assert!(lines.any(|line| line.contains(wanted)), "nobody says `{wanted}`");
    wait_for("How can I help?");
    writeln!(stdin, "hello from {MARKER}").unwrap();
    wait_for("You wrote: hello");
    writeln!(stdin, "/file {}", file.display()).unwrap();
    wait_for(".txt");
    drop(stdin);
    while lines.next().is_some() {}
    assert!(chat.wait().unwrap().code().is_some_and(|code| code != 70));
    assert_eq!((terminate(recorder), terminate(serving)), (Some(0), Some(0)));
    assert_eq!(watched.clean(), ["a.tape.jsonl", "chat.log", "record.log", "serve.log"]);
    let tape = fs::read_to_string(watched.file("a.tape.jsonl")).unwrap();
    assert!(tape.contains("chat-ntf") && tape.contains("sendMessage") && tape.contains("fileUpload"), "{tape}");
    assert_eq!(tape.contains(r#""times":"shifted""#), moves_times);
    watched.shown_clean(&watched.file("a.tape.jsonl"));
}

/// What is no conversation at all, in heads and bodies.
#[test]
fn no_canary_of_odd_requests_is_logged_or_taped() {
    let watched = Watched::new();
    let serving = watched.listen("serve.log", &SERVE);
    let recorder = watched.listen("record.log", &record(&serving.url, "a.tape.jsonl"));
    let authority = recorder.authority();
    let fields =
        format!("Content-Type: application/json\r\nAuthorization: Basic Y0FuQXJZenE3\r\nCookie: other={MARKER}\r\n");
    let bodies = [
        r#"[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"],"ext":{"token":"CANARY"}}]"#,
        r#"[{"id":"2","channel":"/service/chatV2/customer-support","clientId":"CANARY","data":{"operation":"requestChat","nickname":"CANARY","subject":"CANARY","userData":{"CANARY":"CANARY"},"mood":"CANARY"}}]"#,
        r#"[{"id":"3","channel":"/CANARY@x","clientId":"CANARY"}, and CANARY"#,
    ];
    for body in bodies {
        let target = format!("/genesys/cometd/?secureKey={MARKER}&{MARKER}=1");
        ask(authority, "POST", &target, &fields, body.replace("CANARY", MARKER).as_bytes());
    }
    ask(authority, "POST", &format!("/genesys/2/chat-ntf/{MARKER}"), &fields, MARKER.as_bytes());
    ask(authority, MARKER, &format!("/{MARKER}"), &fields, b"");
    let tape = watched.file("a.tape.jsonl");
    assert!(within_seconds(10, || fs::read_to_string(&tape).unwrap().matches("\"http.res\"").count() == 5));
    assert_eq!((terminate(recorder), terminate(serving)), (Some(0), Some(0)));
    assert_eq!(watched.clean(), ["a.tape.jsonl", "record.log", "serve.log"]);
    let logged = fs::read_to_string(watched.file("serve.log")).unwrap();
    assert!(logged.contains("e4 (unusual method)"), "{logged}");
    watched.shown_clean(&tape);
}

/// The suite against a server that says canaries wherever it can.
#[test]
fn no_canary_of_a_server_under_test_is_logged_taped_or_reported() {
    let (watched, serving) = (Watched::new(), Listening::serve());
    let (target, _talking) = talkative(&serving.url, full_of_canaries());
    let groups = ["bayeux.framing.*", "chat.key.*", "chat.file.*-announced"];
    let output = watched
        .tapestry(&["conformance", "--target", &target, "--service", "customer-support", "--report", "report"])
        .args(groups.iter().flat_map(|group| ["--case", group]))
        .output()
        .unwrap();
    watched.said_clean(&output, "conformance");
    let names = watched.clean();
    assert!(names.len() > 20 && names.contains(&"junit.xml".to_owned()), "{names:?} {}", shown(&output));
    let tapes = watched.file("report/tapes");
    for tape in fs::read_dir(tapes).unwrap().step_by(10) {
        watched.shown_clean(&tape.unwrap().path());
    }
}

/// What surrounds a server is what the doctor tells; ids, keys and names he does not.
#[test]
fn the_doctor_tells_no_canary() {
    let (watched, serving) = (Watched::new(), Listening::serve());
    let voice = Voice::new(format!("s{MARKER}"), "node-7".to_owned());
    let (target, _talking) = talkative(&serving.url, voice);
    let output = watched.tapestry(&["doctor", "--target", &target, "--service", "customer-support"]).output().unwrap();
    watched.said_clean(&output, "doctor");
    assert!(shown(&output).contains("node-7"), "{}", shown(&output));
    assert_eq!(watched.clean(), [""; 0]);
}

/// A HAR of a browser holds everything; its tape and what is said of the import nothing.
#[test]
fn no_canary_of_a_har_is_logged_or_taped() {
    let watched = Watched::new();
    let elsewhere = TempDir::new().unwrap();
    let har = elsewhere.path().join("raw.har");
    fs::write(&har, raw_har::har(&corpus::session(5, 5).entries)).unwrap();
    for (tape, options) in [("a.tape.jsonl", &[][..]), ("b.tape.jsonl", &["--shift-times"])] {
        let arguments = ["import", "har", har.to_str().unwrap(), "--output", tape];
        let output = watched.tapestry(&[&arguments, options].concat()).output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 3)), "{}", shown(&output));
        watched.said_clean(&output, "import har");
        watched.shown_clean(&watched.file(tape));
    }
    assert_eq!(watched.clean(), ["a.tape.jsonl", "b.tape.jsonl"]);
    let times = |tape| fs::read_to_string(watched.file(tape)).unwrap().matches("2026-11-23").count();
    assert!(times("a.tape.jsonl") > 1 && times("b.tape.jsonl") == 0);
}

#[test]
fn a_har_of_a_tape_keeps_its_times() {
    let (watched, tape) = (Watched::new(), "recordings/cometd-8.0.11-long-polling.tape.jsonl");
    let tape = crate::harness::root().join(tape);
    let exported = run(&["export", "har", tape.to_str().unwrap(), "-o", watched.file("a.har").to_str().unwrap()]);
    assert_eq!(exported.status.code(), Some(0), "{}", shown(&exported));
    let output = watched.tapestry(&["import", "har", "a.har", "-o", "b.tape.jsonl", "--shift-times"]).output().unwrap();
    let said = shown(&output);
    assert!(said.starts_with("exit 2\n") && said.contains("hint: leave `--shift-times` out"), "{said}");
}

/// What a crash would leave of everything that was said.
#[cfg(target_os = "linux")]
#[test]
fn nothing_is_dumped_at_a_crash() {
    let (watched, serving) = (Watched::new(), Listening::serve());
    let recorder = watched.listen("record.log", &record(&serving.url, "a.tape.jsonl"));
    let limits = fs::read_to_string(format!("/proc/{}/limits", recorder.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    assert_eq!(core.split_whitespace().nth(4), Some("0"), "{limits}");
    assert_eq!(terminate(recorder), Some(0));
}

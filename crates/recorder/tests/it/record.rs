//! A recording from end to end: real sockets, a real file, read back as a tape.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use pretty_assertions::assert_eq;
use protocol::wire::{Failure, Wire};
use recorder::{Config, Error, Recorder, Summary};
use recording::audit::audit;
use recording::redaction::Keep;
use recording::tape::{Closer, Kind, Status, Tape};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use transport::clock::Clock;
use transport::endpoint::Endpoint;
use transport::listener::bind;
use transport::proxy::Limits;
use transport::route::Route;
use transport::tls::Trust;

const CANARIES: [&str; 12] = [
    "canary-secure-key",
    "canary%2Dsecure%2Dkey",
    "canary-client-id",
    "canary-cookie",
    "canary-server-cookie",
    "CanaryNick",
    "canary text",
    "canary preview",
    "canary@example.org",
    "Y2FuYXJ5OnNlY3JldA",
    "dGhlIHNhbXBsZSBub25jZQ",
    "canary-close",
];

pub(crate) fn config(output: &Path) -> Config {
    Config {
        output: output.to_owned(),
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        clock: Clock::start(),
        rfc3339: |_| "2026-11-24T09:00:00Z".to_owned(),
        key: None,
        keep: Keep::Nothing,
        shift: None,
        env: BTreeMap::from([("service".to_owned(), "customer-support".to_owned())]),
        limits: Limits::default(),
    }
}

/// A recording in front of a scripted server.
pub(crate) struct Recording {
    pub(crate) directory: TempDir,
    pub(crate) server: TcpListener,
    pub(crate) client: TcpStream,
    stop: oneshot::Sender<()>,
    pub(crate) running: JoinHandle<Result<Summary, Error>>,
}

impl Recording {
    async fn start() -> Self {
        Self::with(|config| Recorder::create(config).unwrap()).await
    }

    pub(crate) async fn with(begin: impl FnOnce(Config) -> Recorder) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let recorder = begin(config(&directory.path().join("chat.tape.jsonl")));
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let upstream: Endpoint = format!("http://{}/genesys/cometd", server.local_addr().unwrap()).parse().unwrap();
        let upstream = Route::new(upstream, &Trust::System).unwrap();
        let listener = bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr()).await.unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn(recorder.run(listener, upstream, async { drop(stopped.await) }));
        Self { directory, server, client, stop, running }
    }

    fn bytes(&self) -> Vec<u8> {
        fs::read(self.directory.path().join("chat.tape.jsonl")).unwrap()
    }

    /// Waits until the file holds a text.
    async fn written(&self, text: &str) {
        let find = async {
            while !String::from_utf8_lossy(&self.bytes()).contains(text) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), find).await.expect("written in time");
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.client.write_all(bytes.as_ref()).await.unwrap();
    }

    async fn stop(self) -> (Summary, Vec<u8>) {
        self.stop.send(()).unwrap();
        let summary = self.running.await.unwrap().unwrap();
        let bytes = fs::read(self.directory.path().join("chat.tape.jsonl")).unwrap();
        // What the recorder counts as missing is what a reader takes for missing.
        let losses = Tape::read(&bytes).unwrap().losses();
        assert_eq!(summary.gaps + summary.lost > 0, !losses.is_empty(), "{summary:?} {losses:?}");
        (summary, bytes)
    }

    /// Stops it and gives the tapes that it left, by name.
    pub(crate) async fn tapes(self) -> (Summary, BTreeMap<String, Tape>) {
        self.stop.send(()).unwrap();
        let summary = self.running.await.unwrap().unwrap();
        (summary, tapes(self.directory.path()))
    }

    /// A request and its answer on a connection to the proxy and the one behind it.
    pub(crate) async fn exchange(&mut self, server: &mut Option<TcpStream>, request: &str, answer: &str) {
        self.send(request).await;
        let server = match server {
            Some(server) => server,
            none => none.insert(self.server.accept().await.unwrap().0),
        };
        // The address of the upstream may be longer or shorter than that of the proxy.
        receive(server, request.rsplit_once("\r\n\r\n").unwrap().1).await;
        server.write_all(answer.as_bytes()).await.unwrap();
        receive(&mut self.client, answer.rsplit_once("\r\n\r\n").unwrap().1).await;
    }
}

/// The tapes in a folder, by name.
fn tapes(folder: &Path) -> BTreeMap<String, Tape> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).filter(|path| path.is_file());
    let named = files.map(|path| (path.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(path).unwrap()));
    named.map(|(name, bytes)| (name, Tape::read(&bytes).unwrap())).collect()
}

/// Reads up to and with the given text.
pub(crate) async fn receive(stream: &mut TcpStream, end: &str) {
    let mut bytes = Vec::new();
    while !bytes.ends_with(end.as_bytes()) {
        bytes.push(tokio::time::timeout(Duration::from_secs(10), stream.read_u8()).await.expect("in time").unwrap());
    }
}

pub(crate) fn post(target: &str, body: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: gms.example.org\r\nCookie: BAYEUX_BROWSER=canary-cookie\r\n\
         Authorization: Basic Y2FuYXJ5OnNlY3JldA==\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn ok(body: &str) -> String {
    format!(
        "HTTP/1.1 200 OK\r\nSet-Cookie: BAYEUX_BROWSER=canary-server-cookie; Path=/\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A short text frame, masked with zeros if the client sends it.
fn frame(masked: bool, text: &str) -> Vec<u8> {
    let flag = if masked { 0x80 } else { 0 };
    let mut bytes = vec![0x81];
    match text.len() {
        short @ 0..126 => bytes.push(flag | short as u8),
        long => {
            bytes.push(flag | 126);
            bytes.extend((long as u16).to_be_bytes());
        }
    }
    bytes.extend(if masked { [0; 4].as_slice() } else { &[] });
    bytes.extend(text.bytes());
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_is_on_the_tape_and_no_secret_is() {
    let mut recording = Recording::start().await;
    let handshake = r#"[{"id":"1","channel":"/meta/handshake","version":"1.0"}]"#;
    recording.send(post("/genesys/cometd/handshake", handshake)).await;
    let (mut server, _) = recording.server.accept().await.unwrap();
    receive(&mut server, handshake).await;
    let reply = r#"[{"id":"1","channel":"/meta/handshake","clientId":"canary-client-id","successful":true}]"#;
    server.write_all(ok(reply).as_bytes()).await.unwrap();
    receive(&mut recording.client, reply).await;

    recording
        .send(
            "GET /genesys/cometd?secureKey=canary%2Dsecure%2Dkey HTTP/1.1\r\nHost: gms.example.org\r\n\
             Cookie: BAYEUX_BROWSER=canary-cookie\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        )
        .await;
    receive(&mut server, "\r\n\r\n").await;
    let grant = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
    server.write_all(grant.as_bytes()).await.unwrap();
    receive(&mut recording.client, "\r\n\r\n").await;
    let request = r#"[{"channel":"/service/chatV2/customer-support","id":"2","clientId":"canary-client-id","data":{"operation":"requestChat","nickname":"CanaryNick","emailAddress":"canary@example.org"}}]"#;
    recording.send(frame(true, request)).await;
    receive(&mut server, request).await;
    let event = r#"[{"channel":"/service/chatV2/customer-support","data":{"statusCode":0,"secureKey":"canary-secure-key","messages":[{"index":1,"type":"Message","text":"canary text","from":{"nickname":"CanaryNick","participantId":1,"type":"Client"}}]}}]"#;
    server.write_all(&frame(false, event)).await.unwrap();
    receive(&mut recording.client, event).await;
    let typing = r#"[{"channel":"/service/chatV2/customer-support","id":"3","data":{"operation":"startTyping","secureKey":"canary-secure-key","message":"canary preview"}}]"#;
    recording.send(frame(true, typing)).await;
    receive(&mut server, typing).await;
    let close = [b"\x88\x0e\x03\xe8".as_slice(), b"canary-close"].concat();
    server.write_all(&close).await.unwrap();
    receive(&mut recording.client, "canary-close").await;
    recording.written(r#""opcode":8"#).await;
    let (summary, bytes) = recording.stop().await;

    let text = String::from_utf8(bytes.clone()).unwrap();
    for canary in CANARIES {
        assert!(!text.contains(canary), "{canary}");
    }
    let tape = Tape::read(&bytes).unwrap();
    assert_eq!((tape.status(), tape.header().source.as_str()), (Status::Complete, "proxy"));
    assert_eq!(tape.header().start, "2026-11-24T09:00:00Z");
    let kinds: Vec<&str> = tape.records().iter().map(|record| record.kind.word()).collect();
    let unit = |kind| [kind, "msg"];
    let expected = [
        vec!["conn.open"],
        [unit("http.req"), unit("http.res")].concat(),
        vec!["http.req", "ws.open"],
        [unit("ws.msg"), unit("ws.msg"), unit("ws.msg")].concat(),
        vec!["ws.ctl", "conn.close", "end"],
    ];
    assert_eq!(kinds, expected.concat());
    let expected = Summary {
        connections: 1,
        exchanges: 1,
        sockets: 1,
        sessions: 1,
        messages: 5,
        bytes: bytes.len() as u64,
        tapes: summary.tapes.clone(),
        ..Summary::default()
    };
    assert_eq!(summary, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_held_request_is_in_the_file_before_its_answer() {
    let mut recording = Recording::start().await;
    let connect = r#"[{"id":"2","channel":"/meta/connect","clientId":"canary-client-id"}]"#;
    recording.send(post("/genesys/cometd/connect", connect)).await;
    let (mut server, _) = recording.server.accept().await.unwrap();
    receive(&mut server, connect).await;
    recording.written(r#""k":"msg""#).await;
    // What a kill would leave behind.
    let tape = Tape::read(&recording.bytes()).unwrap();
    assert_eq!((tape.status(), tape.torn()), (Status::Interrupted, 0));
    assert!(matches!(tape.entries().as_slice(), [entry] if matches!(entry.wire, Wire::Request(..))));

    let (summary, bytes) = recording.stop().await;
    assert!(summary.is_complete());
    let tape = Tape::read(&bytes).unwrap();
    assert_eq!((tape.status(), tape.entries().len()), (Status::Complete, 1));
    let cut = &tape.records()[tape.records().len() - 2].kind;
    assert!(matches!(cut, Kind::ConnClose { by: Closer::Net, error: Some(Failure::Aborted), .. }), "{cut:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_marked() {
    let mut recording = Recording::start().await;
    recording.send("GET /genesys/cometd HTTP/1.1\r\nHost: h\r\n\r\n").await;
    let (mut server, _) = recording.server.accept().await.unwrap();
    receive(&mut server, "\r\n\r\n").await;
    let body = "x".repeat((1 << 20) + 1);
    let answer = ok(&format!("{body}!"));
    tokio::join!(async { server.write_all(answer.as_bytes()).await.unwrap() }, receive(&mut recording.client, "!"));
    let (summary, bytes) = recording.stop().await;
    assert_eq!((summary.gaps, summary.lost, summary.is_complete()), (1, 0, false));
    let tape = Tape::read(&bytes).unwrap();
    let labels: Vec<String> = tape.marks().into_iter().map(|mark| mark.label).collect();
    assert_eq!(labels, ["e1 answer left out: over the limit of 1 MiB", "e1 answered with status 200"]);
    assert!(matches!(tape.entries().last().unwrap().wire, Wire::Broken(_, Failure::TooLarge)));
    assert_eq!(audit(&bytes, &[]).unwrap().findings, []);
    assert_eq!(tape.status(), Status::Aborted);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_its_client_gives_up_is_nothing_missing() {
    let mut recording = Recording::start().await;
    recording.send(post("/genesys/cometd", "[]").replace("Content-Length: 2", "Content-Length: 9")).await;
    let (mut server, _) = recording.server.accept().await.unwrap();
    receive(&mut server, "[]").await;
    recording.client.shutdown().await.unwrap();
    recording.written("it was never whole").await;
    let (summary, bytes) = recording.stop().await;
    assert!(summary.is_complete(), "{summary:?}");
    assert_eq!(audit(&bytes, &[]).unwrap().findings, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_may_be_longer_than_messages_and_nothing_is_kept_but_their_size() {
    let text = with_files(Keep::Nothing).await;
    assert!(!text.contains("a.txt"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unredacted_tape_does_not_hold_the_bytes_of_files_either() {
    let text = with_files(Keep::Everything).await;
    assert!(text.contains("a.txt"), "{text}");
}

async fn with_files(keep: Keep) -> String {
    let limits = Limits { body: 1_000, ..Limits::default() };
    let mut recording = Recording::with(|config| Recorder::create(Config { keep, limits, ..config }).unwrap()).await;
    let contents = "canary text ".repeat(400);
    let name = "Content-Disposition: form-data; name=";
    let form = format!(
        "--b\r\n{name}\"operation\"\r\n\r\nfileUpload\r\n--b\r\n{name}\"file\"; filename=\"a.txt\"\r\n\r\n{contents}\r\n--b--"
    );
    let request = post("/genesys/2/chat-ntf", &form).replace("application/json", "multipart/form-data; boundary=b");
    let mut server = None;
    recording.exchange(&mut server, &request, &ok(&contents)).await;
    let (summary, bytes) = recording.stop().await;
    assert_eq!((summary.gaps, summary.lost, summary.is_complete()), (0, 0, true));
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.contains("fileUpload") && text.matches("~u8=4800").count() == 2, "{text}");
    assert!(!text.contains("canary text"), "{text}");
    text
}

/// Sends one request after the other on a connection, and the answers, and a message on a WebSocket in the end.
#[tokio::test(flavor = "multi_thread")]
async fn marks_of_what_cannot_be_kept_pass_the_audit() {
    let (mut recording, mut server) = (Recording::start().await, None);
    let field = |fields: &str| format!("\r\nContent-Encoding: {fields}\r\nContent-Type");
    for coding in ["canary", "br", "gzip,gzip,gzip,gzip"] {
        let coded = |text: String| text.replacen("\r\nContent-Type", &field(coding), 1);
        recording.exchange(&mut server, &coded(post("/genesys/cometd", "[{}]")), &coded(ok("[{}]"))).await;
    }
    recording.send("GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await;
    let server = server.as_mut().unwrap();
    receive(server, "\r\n\r\n").await;
    server.write_all(b"HTTP/1.1 101 OK\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n").await.unwrap();
    server.write_all(&[0x82, 127, 0, 0, 0, 0, 0, 0x10, 0, 1]).await.unwrap();
    recording.written("over the limit").await;
    let (_, bytes) = recording.stop().await;
    let labels: Vec<String> = Tape::read(&bytes).unwrap().marks().into_iter().map(|mark| mark.label).collect();
    let expected = [
        "e1 request cannot be read: its content coding is not known here",
        "e1 answer cannot be read: its content coding is not known here",
        "e2 request cannot be read: it does not decode as br",
        "e2 answer cannot be read: it does not decode as br",
        "e3 request cannot be read: it has too many content codings",
        "e3 answer cannot be read: it has too many content codings",
        "s1 message of the server left out: over the limit of 1 MiB",
    ];
    assert_eq!(labels, expected);
    assert_eq!(audit(&bytes, &[]).unwrap().findings, []);
}

#[test]
fn a_tape_is_never_overwritten() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("old.tape.jsonl");
    fs::write(&path, "precious").unwrap();
    let error = Recorder::create(config(&path)).err().unwrap();
    assert_eq!(error.to_string(), format!("`{}` exists already", path.display()));
    assert!(error.hint().is_some());
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
}

#[test]
fn a_missing_directory_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("missing").join("new.tape.jsonl");
    let error = Recorder::create(config(&path)).err().unwrap();
    assert_eq!(error.to_string(), format!("the directory of `{}` does not exist", path.display()));
}

/// Ends a recording with whose tape `meddle` did something, and gives what is said about it.
#[cfg(unix)]
async fn meddled(meddle: impl FnOnce(&Path)) -> (Summary, String) {
    let mut recording = Recording::start().await;
    let (mut server, body) = (None, "[]");
    recording.exchange(&mut server, &post("/genesys/cometd", body), &ok(body)).await;
    recording.written("http.res").await;
    meddle(&recording.directory.path().join("chat.tape.jsonl"));
    recording.stop.send(()).unwrap();
    let summary = recording.running.await.unwrap().unwrap();
    let [(_, what)] = summary.astray.as_slice() else { panic!("{summary:?}") };
    let what = what.clone();
    (summary, what)
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_is_deleted_meanwhile_is_told() {
    let (summary, what) = meddled(|tape| fs::remove_file(tape).unwrap()).await;
    assert_eq!((what.as_str(), summary.is_complete()), ("it was deleted or moved while it was written", false));
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_is_replaced_meanwhile_is_told() {
    let (_, what) = meddled(|tape| {
        let copy = tape.with_extension("copy");
        fs::copy(tape, &copy).unwrap();
        fs::rename(&copy, tape).unwrap();
    })
    .await;
    assert_eq!(what, "another file has taken its place");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_tape_that_is_cut_meanwhile_is_told() {
    let (summary, what) = meddled(|tape| fs::write(tape, "").unwrap()).await;
    assert!(what.ends_with(&format!("bytes where {} were written", summary.bytes)), "{what}");
}

#[test]
fn the_standard_output_is_no_tape() {
    let error = Recorder::create(config(Path::new("-"))).err().unwrap();
    assert!(error.to_string().contains("`-` is no file") && error.hint().is_some(), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_a_tape() {
    use std::os::unix::fs::PermissionsExt;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("new.tape.jsonl");
    drop(Recorder::create(config(&path)).unwrap());
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(Tape::read(&fs::read(&path).unwrap()).unwrap().status(), Status::Interrupted);
}

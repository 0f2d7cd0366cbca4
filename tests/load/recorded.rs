//! Nothing is lost, and memory is bounded.

use std::fs;
use std::io::Write;
use std::time::Duration;

use recording::tape::{Control, Kind, Status, Tape};
use tempfile::TempDir;
use tokio::net::{TcpListener, TcpStream};

use crate::account::{Account, Seen};
use crate::client::{self, Carrier, Outcome, Plan};
use crate::http::Connection;
use crate::process::{Process, recorder};
use crate::server::Server;
use crate::{descriptors, taped};

/// Sessions in a plain run.
const SESSIONS: u64 = 200;

/// Messages that each session publishes; each is answered and comes back as an event.
const MESSAGES: u64 = 20;

fn sessions() -> u64 {
    std::env::var("TAPESTRY_LOAD").ok().map_or(SESSIONS, |text| text.parse().expect("a number"))
}

/// What a whole load came to.
struct Run {
    outcome: Outcome,
    served: Account,
    at_once: usize,
    tape: Tape,
    /// Of the recorder, in KiB.
    peak: Option<u64>,
}

/// Sends a load through a recorder that must end well.
fn run(plan: Plan) -> Run {
    descriptors::raise();
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("load.tape.jsonl");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let server = Server::start().await.expect("a server");
        let recorder = Process::start(&mut recorder(&server.authority(), &path), "http://").expect("a recorder");
        let outcome = client::run(&recorder.authority, plan).await.expect("every session comes to its end");
        let peak = recorder.peak();
        let (status, said) = recorder.stop().expect("it ends");
        assert_eq!(status.code(), Some(0), "{said}");
        let (served, at_once) = server.take();
        let tape = Tape::read(&fs::read(&path).expect("a tape")).expect("a whole tape");
        Run { outcome, served, at_once, tape, peak }
    })
}

/// Each number once, in order.
fn expected(plan: Plan) -> Account {
    let all: Vec<u64> = (1..=plan.messages).collect();
    let seen = Seen { published: all.clone(), answered: all.clone(), pushed: all };
    (1..=plan.sessions).map(|session| (session, seen.clone())).collect()
}

/// Tells what was measured.
fn say(text: &str) {
    // Nobody may be there.
    let _ = writeln!(std::io::stderr(), "{text}");
}

fn assert_nothing_lost(carrier: Carrier) {
    let plan = Plan { carrier, sessions: sessions(), messages: MESSAGES, time: Duration::MAX, rate: None };
    let run = run(plan);
    assert_eq!(run.at_once as u64, plan.sessions, "sessions at once");
    // Only Linux tells what a process had at most.
    if let Some(peak) = run.peak {
        say(&format!("{carrier}, {} sessions: the recorder had {peak} KiB at most", plan.sessions));
        assert!(peak <= bound(plan.sessions), "{peak} KiB");
    }
    // Not `assert_eq!`: the accounts are too long to print.
    assert!(run.outcome.account == expected(plan), "what the clients sent and received");
    assert!(run.served == expected(plan), "what the server received and sent");
    assert!(taped::account(&run.tape).expect("numbers on the tape") == expected(plan), "what the tape has");
    assert_eq!(run.tape.status(), Status::Complete);
    let count = |is: fn(&Kind) -> bool| run.tape.records().iter().filter(|record| is(&record.kind)).count() as u64;
    // Handshake and disconnect, and the replies to them, come on top.
    let messages = plan.sessions * (3 * MESSAGES + 4);
    assert_eq!(count(|kind| matches!(kind, Kind::Msg { .. })), messages);
    let carriers = match carrier {
        Carrier::WebSocket => (messages, plan.sessions),
        Carrier::LongPolling => (0, plan.sessions * (MESSAGES + 2)),
    };
    let frames = count(|kind| matches!(kind, Kind::WsMsg { .. }));
    assert_eq!((frames, count(|kind| matches!(kind, Kind::HttpReq { .. }))), carriers);
    let closed = |kind: &Kind| matches!(kind, Kind::WsCtl { control: Control::Close { .. }, .. });
    assert_eq!(count(closed), if carrier == Carrier::WebSocket { 2 * plan.sessions } else { 0 });
}

#[test]
fn nothing_is_lost_over_websocket() {
    assert_nothing_lost(Carrier::WebSocket);
}

#[test]
fn nothing_is_lost_over_long_polling() {
    assert_nothing_lost(Carrier::LongPolling);
}

/// What a recorder has when nothing passes, in KiB.
const AT_REST: u64 = 16 << 10;

/// The documented bound in KiB: what a recorder has at rest, what it may keep of messages that are not on the tape yet, and
/// what each client costs.
const fn bound(sessions: u64) -> u64 {
    const WAITING: u64 = 64 << 10;
    const CLIENT: u64 = 96;
    AT_REST + WAITING + sessions * CLIENT
}

#[test]
fn memory_does_not_grow_with_the_number_of_messages() {
    // Few sessions, so that what each costs does not hide what each message would, and a rate that any machine can record: else
    // messages would wait for the disk, up to a limit of their own.
    let plan =
        |messages| Plan { carrier: Carrier::WebSocket, sessions: 20, messages, time: Duration::MAX, rate: Some(2_000) };
    let (few, many) = (run(plan(20)), run(plan(800)));
    // Only Linux tells what a process had at most.
    if let (Some(few), Some(many)) = (few.peak, many.peak) {
        say(&format!("20 sessions: {few} KiB at most, and {many} KiB with forty times as many messages"));
        assert!(many <= few + few / 4 + (4 << 10), "{few} KiB became {many} KiB with forty times as many messages");
    }
}

/// The documented bound: the copy of the file itself, and twice its length more while its size is taken.
#[test]
fn a_file_costs_three_times_its_length_at_most() {
    const LENGTH: usize = 30 << 20;
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("file.tape.jsonl");
    let part = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a\"\r\n\r\n";
    // No text, which a reader that looks for one may not copy either.
    let body = [part.as_bytes(), &vec![0xff; LENGTH], b"\r\n--b--\r\n"].concat();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let authority = listener.local_addr().expect("an address").to_string();
        let server = tokio::spawn(async move {
            let mut connection = Connection::new(listener.accept().await?.0)?;
            connection.receive().await?;
            connection.send("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await
        });
        let recorder = Process::start(&mut recorder(&authority, &path), "http://").expect("a recorder");
        let stream = TcpStream::connect(&recorder.authority).await.expect("the recorder listens");
        let mut client = Connection::new(stream).expect("a connection");
        let head = format!(
            "POST /genesys/2/chat-ntf HTTP/1.1\r\nHost: {authority}\r\nContent-Length: {}\r\n\
             Content-Type: multipart/form-data; boundary=b\r\n\r\n",
            body.len()
        );
        client.send(head).await.expect("the head passes");
        client.send(&body).await.expect("the file passes");
        let answer = client.receive().await.expect("an answer").expect("an answer");
        assert_eq!(answer.start(), "HTTP/1.1 200 OK");
        server.await.expect("the server runs").expect("the server answers");
        // The file is looked at after it has passed, and on the tape when that is done.
        let taped = tokio::time::timeout(Duration::from_secs(60), async {
            while !fs::read_to_string(&path).is_ok_and(|tape| tape.contains(&format!("~u8={LENGTH}"))) {
                tokio::task::yield_now().await;
            }
        });
        taped.await.expect("the size of the file is on the tape");
        let peak = recorder.peak();
        let (status, said) = recorder.stop().expect("it ends");
        assert_eq!(status.code(), Some(0), "{said}");
        // Only Linux tells what a process had at most.
        if let Some(peak) = peak {
            say(&format!("a file of 30 MiB: the recorder had {peak} KiB at most"));
            assert!(peak <= AT_REST + 3 * (LENGTH as u64 >> 10), "{peak} KiB");
        }
    });
}

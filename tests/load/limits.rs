//! A recorder that has few file descriptors.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use recording::tape::Tape;
use tempfile::TempDir;
use tokio::net::TcpStream;

use crate::client::{self, Carrier, Plan};
use crate::descriptors;
use crate::http::Connection;
use crate::process::{Process, recorder};
use crate::server::Server;

/// Nothing here takes this long; a test that waits longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// The recorder, behind a command of the shell that sets a limit.
fn limited(limit: &str, upstream: &str, tape: &Path) -> Command {
    let inner = recorder(upstream, tape);
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit {limit} && exec \"$0\" \"$@\"")])
        .arg(inner.get_program())
        .args(inner.get_args());
    command.env("NO_COLOR", "1");
    command
}

const fn plan(sessions: u64) -> Plan {
    Plan { carrier: Carrier::WebSocket, sessions, messages: 2, time: Duration::MAX, rate: None }
}

/// The status that the answer to a request on an open connection has.
async fn status(stream: TcpStream) -> u16 {
    let mut connection = Connection::new(stream).expect("a connection");
    connection.send("POST /genesys/cometd HTTP/1.1\r\nHost: test\r\nContent-Length: 2\r\n\r\n[]").await.expect("sent");
    let answer = connection.receive().await.expect("received").expect("an answer");
    answer.start().split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn a_recorder_without_file_descriptors_says_so_and_counts_whom_it_refused() {
    descriptors::raise();
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await.unwrap());
    let path = folder.path().join("a.tape.jsonl");
    let recorder = Process::start(&mut limited("-n 40", &server.authority(), &path), "http://").unwrap();
    let mut streams = Vec::new();
    for _ in 0..80 {
        streams.push(TcpStream::connect(&recorder.authority).await.unwrap());
    }
    let asked: Vec<_> = streams.into_iter().map(|stream| tokio::spawn(status(stream))).collect();
    let mut statuses = Vec::new();
    for answer in asked {
        // Nobody waits for ever: who was answered leaves, and makes room.
        statuses.push(tokio::time::timeout(PATIENCE, answer).await.expect("in time").unwrap());
    }
    let refused = statuses.iter().filter(|status| **status == 502).count();
    assert!(refused > 0 && statuses.iter().all(|status| [200, 502].contains(status)), "{statuses:?}");
    let (status, said) = recorder.stop().unwrap();
    assert_eq!(status.code(), Some(3), "{said}");
    assert!(said.contains("no file descriptor is left: new clients wait") && said.contains("ulimit -n"), "{said}");
    assert!(said.contains(&format!("warning: {refused} requests were answered with 502 here")), "{said}");
    let tape = Tape::read(&fs::read(&path).unwrap()).unwrap();
    let marks: Vec<String> = tape.marks().into_iter().map(|mark| mark.label).collect();
    let marked = marks.iter().filter(|label| label.ends_with("refused here: no file descriptor left")).count();
    assert_eq!(marked, refused, "{marks:?}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread")]
async fn the_soft_limit_of_open_files_is_raised() {
    descriptors::raise();
    let (folder, server) = (TempDir::new().unwrap(), Server::start().await.unwrap());
    let tape = folder.path().join("a.tape.jsonl");
    let recorder = Process::start(&mut limited("-Sn 64", &server.authority(), &tape), "http://").unwrap();
    client::run(&recorder.authority, plan(60)).await.unwrap();
    let (status, said) = recorder.stop().unwrap();
    assert_eq!(status.code(), Some(0), "{said}");
}

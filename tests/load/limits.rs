//! A recorder that has few file descriptors.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::client::{self, Carrier, Plan};
use crate::descriptors;
use crate::process::Process;
use crate::recorded::recorder;
use crate::server::Server;

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

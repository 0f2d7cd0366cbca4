//! A recorder that is killed at any moment leaves a tape that reads to its last whole unit.
//!
//! The plain run kills a few; `TAPESTRY_KILLS=1000` kills as many as one wants.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use recording::tape::{Kind, Status, Tape};
use tempfile::TempDir;

use crate::harness::{Listening, within_seconds};

/// Kills in a plain run.
const KILLS: u64 = 12;

/// Of a tape so long the last byte that may be there at a kill is drawn.
const LONGEST: u64 = 30_000;

const HANDSHAKE: &str =
    r#"[{"id":"1","channel":"/meta/handshake","version":"1.0","supportedConnectionTypes":["long-polling"]}]"#;

#[test]
fn leaves_a_tape_that_reads_to_its_last_whole_unit() {
    let kills = std::env::var("TAPESTRY_KILLS").ok().map_or(KILLS, |text| text.parse().expect("a number"));
    let (folder, serving) = (TempDir::new().unwrap(), Listening::serve());
    for seed in 0..kills {
        let path = folder.path().join(format!("{seed}.tape.jsonl"));
        // A step that shares no factor with the length visits every remainder.
        let moment = seed.wrapping_mul(7_919) % LONGEST;
        kill_at(moment, &serving.url, &path);
        assert_whole_units(&fs::read(&path).unwrap(), seed);
        fs::remove_file(&path).unwrap();
    }
}

/// Records until the tape is so long, and kills the recorder amid traffic.
fn kill_at(moment: u64, upstream: &str, path: &Path) {
    let tape = path.to_str().expect("a plain path");
    let recorder = Listening::start(&["record", "--listen", "127.0.0.1:0", "--upstream", upstream, "-o", tape]);
    let authority = recorder.authority().to_owned();
    let is_over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    // Whatever fails is cut by the kill.
                    let _ = exchange(&authority);
                }
            });
        }
        let long = within_seconds(30, || fs::metadata(path).is_ok_and(|file| file.len() >= moment));
        recorder.signal("-KILL");
        is_over.store(true, Ordering::Relaxed);
        assert!(long, "the tape does not grow to {moment} bytes");
    });
}

fn exchange(authority: &str) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(authority)?;
    let length = HANDSHAKE.len();
    write!(
        stream,
        "POST /genesys/cometd/handshake HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{HANDSHAKE}"
    )?;
    stream.read_to_end(&mut Vec::new()).map(drop)
}

/// At most a part of one unit is lost at the end, and nothing before it.
fn assert_whole_units(bytes: &[u8], seed: u64) {
    let tape = Tape::read(bytes).unwrap_or_else(|error| panic!("kill {seed}: {error}"));
    assert_eq!(tape.status(), Status::Interrupted, "kill {seed}");
    let kept = bytes.len() - tape.torn();
    assert_eq!(tape.to_bytes(), bytes[..kept], "kill {seed}");
    let lost = String::from_utf8_lossy(&bytes[kept..]);
    // Of a lost unit there is at most the line that announces it and a part of those that follow.
    let units = lost.lines().filter(|line| !line.starts_with(r#"{"k":"msg""#)).count();
    assert!(units <= 1, "kill {seed}: {lost}");
    let exchanges = tape.records().iter().filter(|record| matches!(record.kind, Kind::HttpReq { .. })).count();
    let answers = tape.records().iter().filter(|record| matches!(record.kind, Kind::HttpRes { .. })).count();
    assert!(answers <= exchanges, "kill {seed}");
}

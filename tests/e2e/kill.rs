//! A recorder that is killed at any moment leaves a tape that reads to its last whole unit, be it in parts or by session.
//!
//! The plain run kills a few; `TAPESTRY_KILLS=1000` kills as many as one wants.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use recording::tape::{Kind, ReadError, Status, Tape};
use tempfile::TempDir;

use crate::harness::{HANDSHAKE, Listening, record, run, within_seconds};

/// Kills in a plain run.
const KILLS: u64 = 12;

/// Of a tape so long the last byte that may be there at a kill is drawn.
const LONGEST: u64 = 30_000;

#[test]
fn leaves_a_tape_that_reads_to_its_last_whole_unit() {
    let serving = Listening::serve();
    for seed in 0..kills() {
        let folder = TempDir::new().unwrap();
        kill_at(moment(seed), &serving.url, &[], folder.path());
        let [path] = files(folder.path()).try_into().expect("one file");
        assert_whole_units(&fs::read(path).unwrap(), seed);
    }
}

#[test]
fn leaves_parts_that_are_joined_to_the_last_whole_unit() {
    let serving = Listening::serve();
    for seed in 0..kills() {
        let folder = TempDir::new().unwrap();
        kill_at(moment(seed), &serving.url, &["--rotate", "2kB"], folder.path());
        let files = files(folder.path());
        let parts: Vec<&str> = files.iter().map(String::as_str).collect();
        let joined = run(&[&["tape", "join", "-o", "-"], parts.as_slice()].concat());
        assert_eq!(joined.status.code(), Some(3), "kill {seed}: {}", String::from_utf8_lossy(&joined.stderr));
        let tape = Tape::read(&joined.stdout).unwrap_or_else(|error| panic!("kill {seed}: {error}"));
        assert_ne!(tape.status(), Status::Complete, "kill {seed}");
        let parts = files.iter().filter_map(|path| read(path, seed));
        assert_eq!(answers(&tape), parts.map(|part| answers(&part)).sum::<usize>(), "kill {seed}");
    }
}

#[test]
fn leaves_the_tape_of_each_session_readable() {
    let serving = Listening::serve();
    for seed in 0..kills() {
        let folder = TempDir::new().unwrap();
        kill_at(moment(seed), &serving.url, &["--split", "session"], folder.path());
        let mut hurt = 0;
        for path in files(folder.path()) {
            hurt += u64::from(read(&path, seed).is_none_or(|tape| tape.torn() > 0));
        }
        // Only the one that was being written.
        assert!(hurt <= 1, "kill {seed}: {hurt}");
    }
}

/// A tape; `None` if its first line is not whole.
fn read(path: &str, seed: u64) -> Option<Tape> {
    match Tape::read(&fs::read(path).expect("it is there")) {
        Ok(tape) => Some(tape),
        Err(ReadError::Empty | ReadError::HeaderTorn) => None,
        Err(error) => panic!("kill {seed}: {path}: {error}"),
    }
}

fn answers(tape: &Tape) -> usize {
    tape.records().iter().filter(|record| matches!(record.kind, Kind::HttpRes { .. })).count()
}

fn kills() -> u64 {
    std::env::var("TAPESTRY_KILLS").ok().map_or(KILLS, |text| text.parse().expect("a number"))
}

/// A step that shares no factor with the length visits every remainder.
const fn moment(seed: u64) -> u64 {
    seed.wrapping_mul(7_919) % LONGEST
}

/// The files of a folder, by name.
fn files(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).expect("it is there").map(|file| file.expect("it can be read").path());
    let mut files: Vec<String> = files.map(|path| path.to_str().expect("a plain path").to_owned()).collect();
    files.sort();
    files
}

/// How many bytes the files of a folder have.
fn length(folder: &Path) -> u64 {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files.filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
}

/// Records into a folder until its tapes are so long, and kills the recorder amid traffic.
fn kill_at(moment: u64, upstream: &str, options: &[&str], folder: &Path) {
    let tape = folder.join("a.tape.jsonl");
    let tape = tape.to_str().expect("a plain path");
    let recorder = Listening::start(&[&record(upstream, tape), options].concat());
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
        let long = within_seconds(30, || length(folder) >= moment);
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
        "POST /genesys/cometd/handshake HTTP/1.1\r\nHost: test\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )?;
    stream.write_all(HANDSHAKE)?;
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
    assert!(answers(&tape) <= exchanges, "kill {seed}");
}

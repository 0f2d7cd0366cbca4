//! Disks that are slow, full or broken, under a real proxy.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use pretty_assertions::assert_eq;
use protocol::time::Time;
use recording::tape::{Kind, Status, Tape};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use transport::endpoint::Endpoint;
use transport::listener::bind;
use transport::proxy::{Event, What};
use transport::tls::Trust;

use super::*;
use crate::writer::Tapes;

pub(crate) fn config() -> Config {
    Config {
        output: PathBuf::from("test.tape.jsonl"),
        version: "0.1.0".to_owned(),
        git: "abc1234".to_owned(),
        clock: Clock::start(),
        rfc3339: |_| "2026-11-24T09:00:00Z".to_owned(),
        key: None,
        keep: Keep::Nothing,
        shift: None,
        env: BTreeMap::new(),
        limits: Limits::default(),
    }
}

/// Takes so many units, then waits or fails.
struct Faulty {
    written: Arc<Mutex<Vec<u8>>>,
    left: usize,
    /// Waited for before each unit once none is left; an error if there is nothing to wait for.
    gate: Option<mpsc::Receiver<()>>,
}

impl Disk for Faulty {
    fn append(&mut self, unit: &[u8]) -> io::Result<()> {
        if self.left > 0 {
            self.left -= 1;
        } else if let Some(gate) = &self.gate {
            // An error means that the test has let go of the disk.
            let _ = gate.recv();
        } else {
            // A full disk takes what fits.
            self.written.lock().unwrap().extend_from_slice(&unit[..unit.len() / 2]);
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.written.lock().unwrap().extend_from_slice(unit);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Sends so many requests of 10 kB through a recorder, each answered, and stops it.
async fn conversation(recorder: Recorder, requests: usize, release: impl FnOnce()) -> Summary {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream: Endpoint = format!("http://{}/", server.local_addr().unwrap()).parse().unwrap();
    let upstream = Route::new(upstream, &Trust::System).unwrap();
    let listener = bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr();
    let (stop, stopped) = oneshot::channel::<()>();
    let running = tokio::spawn(recorder.run(listener, upstream, async { drop(stopped.await) }));
    let mut client = TcpStream::connect(address).await.unwrap();
    let body = format!(r#"[{{"channel":"/x","data":"{}"}}]"#, "x".repeat(10_000));
    let request = format!(
        "POST /genesys/cometd HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        server.local_addr().unwrap(),
        body.len()
    );
    let answer = b"HTTP/1.1 204 No Content\r\n\r\n";
    let mut served = None;
    for _ in 0..requests {
        client.write_all(request.as_bytes()).await.unwrap();
        let stream: &mut TcpStream = match &mut served {
            Some(stream) => stream,
            none => none.insert(server.accept().await.unwrap().0),
        };
        stream.read_exact(&mut vec![0; request.len()]).await.unwrap();
        stream.write_all(answer).await.unwrap();
        let mut got = vec![0; answer.len()];
        client.read_exact(&mut got).await.unwrap();
        assert_eq!(got, answer);
    }
    release();
    stop.send(()).unwrap();
    running.await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_ends_the_tape_and_not_the_traffic() {
    let written = Arc::new(Mutex::new(Vec::new()));
    let disk = Faulty { written: Arc::clone(&written), left: 6, gate: None };
    let summary = conversation(on(disk, &config()), 10, || ()).await;
    assert_eq!(summary.failed.as_deref(), Some(io::Error::from(io::ErrorKind::StorageFull).to_string().as_str()));
    // The third request did not fit, so its message is not on the tape.
    assert_eq!(summary.messages, 2);
    // Ten requests and answers, opening and closing; a header and five units are there.
    assert_eq!((summary.connections, summary.exchanges, summary.lost), (1, 10, 22 - 5));
    assert!(!summary.is_complete());
    let tape = Tape::read(&written.lock().unwrap()).unwrap();
    assert_eq!((tape.status(), tape.entries().len()), (Status::Interrupted, 4));
    assert_eq!(tape.to_bytes().len() as u64, summary.bytes);
}

/// A tape on a disk that takes so many units, what is on it, and its counts.
fn one(left: usize) -> (One, Arc<Mutex<Vec<u8>>>, Tally) {
    let written = Arc::new(Mutex::new(Vec::new()));
    let disk = Faulty { written: Arc::clone(&written), left, gate: None };
    (One::new(sheet(disk).unwrap(), None), written, tally())
}

/// A tape that holds its header.
fn sheet(disk: impl Disk + 'static) -> Result<Sheet, Error> {
    let config = config();
    let (capture, header) = Capture::shifting(described(&config)?, Keep::Nothing, None);
    Sheet::begin(Box::new(disk), &config.output, capture, &header)
}

fn on(disk: impl Disk + 'static, config: &Config) -> Recorder {
    Recorder::with(sheet(disk).unwrap(), config, config.output.clone(), None)
}

pub(crate) fn tally() -> Tally {
    let Config { clock, rfc3339, .. } = config();
    Tally::new(Times { clock, rfc3339 })
}

fn opened(conn: u64) -> Event {
    Event { at: Time::ZERO, what: What::Opened { conn, peer: "127.0.0.1".to_owned() } }
}

/// The wall clock may move while nothing passes.
#[test]
fn a_wall_clock_that_has_moved_is_told_behind_what_passed_before() {
    let (mut one, written, mut tally) = one(9);
    one.move_wall();
    one.take(opened(1), &mut tally);
    one.tick(Time::ZERO, &mut tally);
    let tape = Tape::read(&written.lock().unwrap()).unwrap();
    let words: Vec<&str> = tape.records().iter().map(|record| record.kind.word()).collect();
    assert_eq!(words, ["conn.open", "clock"]);
}

#[test]
fn nothing_is_written_behind_a_line_that_is_torn() {
    let (mut one, written, mut tally) = one(1);
    one.move_wall();
    for conn in [1, 2] {
        one.take(opened(conn), &mut tally);
        one.tick(Time::ZERO, &mut tally);
    }
    let bytes = written.lock().unwrap();
    let tape = Tape::read(&bytes).unwrap();
    let torn = String::from_utf8_lossy(&bytes[bytes.len() - tape.torn()..]).into_owned();
    assert_eq!((torn.matches(r#"{"k":"#).count(), torn.contains("conn.open")), (1, true), "{torn}");
}

/// Units are what passed. A line that only the recorder has to say is none.
#[test]
fn what_does_not_fit_is_counted_once() {
    let lost = What::Lost(5);
    for (left, what, expected) in [(1, opened(1).what, 1), (1, lost.clone(), 5), (2, lost, 5)] {
        let (mut one, _, mut tally) = one(left);
        one.move_wall();
        let event = Event { at: Time::ZERO, what };
        tally.see(&event);
        one.take(event, &mut tally);
        one.tick(Time::ZERO, &mut tally);
        assert!(tally.summary.failed.is_some());
        one.take(opened(2), &mut tally);
        one.finish(&mut tally);
        assert_eq!(tally.summary.lost, expected + 1);
    }
    let (mut one, _, mut tally) = one(1);
    one.finish(&mut tally);
    assert_eq!((tally.summary.lost, tally.summary.failed.is_some()), (0, true));
}

#[test]
fn a_disk_without_room_for_the_header_is_told_at_once() {
    let disk = Faulty { written: Arc::default(), left: 0, gate: None };
    let error = sheet(disk).err().unwrap();
    assert_eq!(error.to_string(), "cannot write `test.tape.jsonl`");
}

/// A disk whose fault has the unit in its words.
struct Panicking;

impl Disk for Panicking {
    fn append(&mut self, unit: &[u8]) -> io::Result<()> {
        assert!(unit.starts_with(b"{\"k\":\"hdr\""), "cannot append what Ann said");
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_words_of_a_panic_are_not_repeated() {
    let recorder = on(Panicking, &config());
    let listener = bind("127.0.0.1:0").await.unwrap();
    let (address, (stop, stopped)) = (listener.local_addr(), oneshot::channel::<()>());
    let upstream = Route::new("http://127.0.0.1:1/".parse().unwrap(), &Trust::System).unwrap();
    let running = tokio::spawn(recorder.run(listener, upstream, async { drop(stopped.await) }));
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
    client.read_to_end(&mut Vec::new()).await.unwrap();
    stop.send(()).unwrap();
    let error = running.await.unwrap().unwrap_err();
    assert_eq!(error.to_string(), "the writer of the tape failed");
    assert!(std::error::Error::source(&error).is_none() && !format!("{error:?}").contains("Ann"), "{error:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_is_slower_than_the_traffic_loses_nothing_while_it_works() {
    let (tick, gate) = mpsc::channel();
    let disk = Faulty { written: Arc::default(), left: 3, gate: Some(gate) };
    let limits = Limits { memory: 100_000, ..Limits::default() };
    let recorder = on(disk, &Config { limits, ..config() });
    // A unit each two milliseconds is written until all are.
    let ticking = std::thread::spawn(move || {
        while tick.send(()).is_ok() {
            std::thread::sleep(std::time::Duration::from_millis(2));
        }
    });
    let summary = conversation(recorder, 50, || ()).await;
    ticking.join().unwrap();
    assert!(summary.is_complete(), "{summary:?}");
    assert_eq!(summary.exchanges, 50);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_stands_still_loses_units_and_says_how_many() {
    let (release, gate) = mpsc::channel();
    let written = Arc::new(Mutex::new(Vec::new()));
    let disk = Faulty { written: Arc::clone(&written), left: 3, gate: Some(gate) };
    let limits = Limits { memory: 50_000, ..Limits::default() };
    let recorder = on(disk, &Config { limits, ..config() });
    // No unit is written behind the third until the whole conversation is over.
    let summary = conversation(recorder, 20, || drop(release)).await;
    assert!(summary.lost + summary.gaps > 0 && summary.failed.is_none(), "{summary:?}");
    let tape = Tape::read(&written.lock().unwrap()).unwrap();
    assert_eq!(tape.status(), Status::Aborted);
    let lost: u64 = tape
        .records()
        .iter()
        .filter_map(|record| match &record.kind {
            Kind::Mark { label, .. } => {
                label.strip_suffix(" units lost here: no memory left for them")?.parse::<u64>().ok()
            }
            _ => None,
        })
        .sum();
    assert_eq!(lost, summary.lost);
}

//! What the tests of cases about servers and of those about clients share.

use std::collections::BTreeSet;
use std::time::Duration;

use conformance::replay::{Recorded, Replay, replay, replay_showing};
use conformance::testimony::Label;
use protocol::wire::{Entry, Request, Response, Side, Wire};
use recording::capture::Source;
use recording::redaction::Redactor;
use recording::tape::Tape;
use recording::token::{self, Key};
use simulator::link::Network;

/// What stands at the head of a tape of a virtual run.
pub(crate) fn label(seed: u64, embedded: bool) -> Label {
    Label {
        version: "0.0.0".to_owned(),
        git: "0000000".to_owned(),
        source: Source::Sim,
        start: "2026-01-01T00:00:00Z".to_owned(),
        id: format!("{seed:032x}"),
        key: key(seed),
        embedded,
    }
}

fn key(seed: u64) -> Key {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    Key::from_bytes(key)
}

/// Redacts entries as a tape does.
pub(crate) fn redacted(entries: &[Entry], seed: u64) -> Vec<Entry> {
    let mut redactor = Redactor::new(key(seed));
    entries.iter().map(|entry| redactor.entry(entry).into_inner()).collect()
}

fn read(tape: &[u8]) -> (Recorded, Tape) {
    let tape = Tape::read(tape).expect("it is a tape");
    let recorded = Recorded::read(tape.header()).expect("its header is complete").expect("it is of a case");
    (recorded, tape)
}

/// Judges a tape again.
pub(crate) fn again(tape: &[u8]) -> Replay {
    let (recorded, tape) = read(tape);
    replay(&recorded, &tape)
}

/// The first thing that a case says otherwise when it is run again against its tape, redacted as it was then.
pub(crate) fn said_otherwise(tape: &[u8], seed: u64) -> Option<String> {
    let text = String::from_utf8_lossy(tape);
    let ids: BTreeSet<&str> = token::find(&text).into_iter().map(|(range, _)| &text[range]).collect();
    let (recorded, tape) = read(tape);
    let mut redactor = Redactor::new(key(seed));
    let mut said = Vec::new();
    let _ = replay_showing(&recorded, &tape, &mut |entry| {
        let entry = Entry { wire: with_ids(&entry.wire, &ids), ..*entry };
        said.push(redactor.entry(&entry).into_inner());
    });
    let side = if recorded.case.is_of_client() { Side::Server } else { Side::Client };
    let own = |entries: Vec<Entry>| entries.into_iter().filter(move |entry| entry.from == side);
    let (mut said, mut taped) = (own(said), own(tape.entries()));
    loop {
        match (said.next(), taped.next()) {
            (None, None) => return None,
            (said, taped) if said == taped => {}
            (said, taped) => return Some(format!("{said:?}\n  and the tape has {taped:?}")),
        }
    }
}

/// The same with the ids of clients as the tape has them: a case gets them without a `_`, which no id of a client has.
fn with_ids(wire: &Wire, ids: &BTreeSet<&str>) -> Wire {
    let put = |text: &str| {
        let ids = ids.iter().filter(|id| id.starts_with("cid_"));
        ids.fold(text.to_owned(), |text, id| text.replace(&id.replace('_', ""), id))
    };
    let put_bytes = |bytes: &[u8]| match std::str::from_utf8(bytes) {
        Ok(text) => put(text).into_bytes(),
        Err(_) => bytes.to_vec(),
    };
    match wire {
        Wire::Request(exchange, request) => {
            let (target, body) = (put(&request.target), put_bytes(&request.body));
            Wire::Request(*exchange, Request { target, body, ..request.clone() })
        }
        Wire::Response(exchange, response) => {
            Wire::Response(*exchange, Response { body: put_bytes(&response.body), ..response.clone() })
        }
        Wire::Text(socket, text) => Wire::Text(*socket, put(text)),
        other => other.clone(),
    }
}

/// A network that is even, or as uneven as loaded machines make it, by the seed.
pub(crate) fn uneven(seed: u64) -> Network {
    let jitter = [0, 50, 150, 400][usize::try_from(seed % 4).unwrap_or(0)];
    Network { jitter: Duration::from_millis(jitter), ..Network::default() }
}

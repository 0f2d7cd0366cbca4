//! A recording that goes over several tapes: each is one, and together they are the recording.

use std::collections::BTreeSet;

use pretty_assertions::assert_eq;
use proptest::prelude::*;
use protocol::time::Time;
use protocol::wire::{Entry, Transport, Wire};
use recording::audit::audit;
use recording::capture::{Capture, Seam};
use recording::join::{JoinError, join};
use recording::redaction::Keep;
use recording::stats::Stats;
use recording::tape::{Closer, ConnLabel, Finish, Kind, Record, Status, Tape};

use crate::sample::{Run, chat, config, pieces, zoo};

const RUN: Run = Run::new(Transport::LongPolling);

/// Something that a recorder does, and what it writes.
type Step<'a> = Box<dyn Fn(&mut Capture) -> Vec<u8> + 'a>;

/// What a recorder does. A seam may follow each step.
fn steps(entries: &[Entry]) -> Vec<Step<'_>> {
    let last = end(entries);
    let opened: Step<'_> =
        Box::new(|capture| capture.conn_open(Time::ZERO, ConnLabel(1), "http/1.1", "10.1.2.3:8080", false));
    let seen = entries.iter().map(|entry| -> Step<'_> { Box::new(|capture| capture.entry(Some(ConnLabel(1)), entry)) });
    let ended: [Step<'_>; 4] = [
        Box::new(move |capture| capture.clock(last, "2026-11-23T09:00:01Z", -60_000)),
        Box::new(move |capture| capture.mark(last, "agent leaves")),
        Box::new(move |capture| capture.clock(last, "2026-11-23T09:00:02Z", 20_000)),
        Box::new(move |capture| capture.conn_close(last, ConnLabel(1), Closer::Client, None)),
    ];
    std::iter::once(opened).chain(seen).chain(ended).collect()
}

fn end(entries: &[Entry]) -> Time {
    entries.last().map(|entry| entry.at).unwrap_or_default()
}

/// The recording in one file.
fn whole(entries: &[Entry]) -> Vec<u8> {
    let (mut capture, mut bytes) = Capture::new(config(RUN));
    for step in steps(entries) {
        bytes.extend(step(&mut capture));
    }
    bytes.extend(capture.finish(end(entries), Finish::Complete));
    bytes
}

/// The same with a seam behind some of its steps.
pub(crate) fn parts(entries: &[Entry], is_seam: impl Fn(usize) -> bool) -> Vec<Vec<u8>> {
    let (mut capture, mut bytes) = Capture::in_parts(config(RUN), Keep::Nothing, None);
    let mut parts = Vec::new();
    for (number, step) in steps(entries).iter().enumerate() {
        bytes.extend(step(&mut capture));
        if is_seam(number) {
            let Seam { end, begin } = capture.rotate().expect("it goes over several tapes");
            bytes.extend(end);
            parts.push(std::mem::replace(&mut bytes, begin));
        }
    }
    bytes.extend(capture.finish(end(entries), Finish::Complete));
    parts.push(bytes);
    parts
}

fn read(parts: &[Vec<u8>]) -> Vec<Tape> {
    parts.iter().map(|part| Tape::read(part).expect("each part is a tape")).collect()
}

#[test]
fn joined_parts_are_the_recording_byte_for_byte_with_a_seam_behind_every_unit() {
    let entries = zoo();
    let joined = join(&read(&parts(&entries, |_| true))).unwrap();
    assert_eq!(joined.status, Status::Complete);
    assert_eq!(String::from_utf8(joined.bytes).unwrap(), String::from_utf8(whole(&entries)).unwrap());
}

#[test]
fn the_lines_that_tell_what_was_replaced_stand_where_they_would_stand() {
    let once = chat(RUN);
    let entries: Vec<Entry> = std::iter::repeat_n(once, 60).flatten().collect();
    let joined = join(&read(&parts(&entries, |number| number % 7 == 0))).unwrap();
    assert!(joined.bytes == whole(&entries));
    assert!(Tape::read(&joined.bytes).unwrap().records().iter().any(|record| record.kind.word() == "redacted"));
}

#[test]
fn every_answer_has_its_request_in_the_same_part() {
    for part in read(&parts(&zoo(), |_| true)) {
        let mut open = Vec::new();
        let mut conns = Vec::new();
        for record in part.records() {
            match &record.kind {
                Kind::ConnOpen { conn, .. } => conns.push(*conn),
                Kind::HttpReq { conn, link, .. } => {
                    assert!(conns.contains(conn), "{}", record.text);
                    open.push(*link);
                }
                Kind::HttpRes { link, .. } | Kind::HttpErr { link, .. } | Kind::WsMsg { link, .. } => {
                    assert!(open.contains(link), "{}", record.text);
                }
                _ => {}
            }
        }
    }
}

#[test]
fn what_a_part_repeats_comes_first_in_order_and_keeps_its_moment() {
    let parts = parts(&zoo(), |_| true);
    let (mut told, mut moved) = (BTreeSet::new(), 0);
    for Record { t, kind, .. } in Tape::read(&whole(&zoo())).unwrap().records() {
        let mut kind = kind.clone();
        if let Kind::Clock { step, .. } = &mut kind {
            // The wall clock is told once, with all of its steps.
            moved += *step;
            *step = moved;
        }
        told.insert((*t, text(kind)));
    }
    let mut kinds = BTreeSet::new();
    for part in read(&parts) {
        let repeated: Vec<_> = part.records().iter().take_while(|record| record.since.is_some()).collect();
        let all = part.records().iter().filter(|record| record.since.is_some()).count();
        assert_eq!(repeated.len(), all);
        for Record { since, kind, text: line, .. } in repeated {
            assert!(told.contains(&(since.unwrap(), text(kind.clone()))), "{line}");
            kinds.insert(kind.word());
        }
        let moments: Vec<Time> = part.entries().iter().map(|entry| entry.at).collect();
        assert!(moments.is_sorted(), "{moments:?}");
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["body", "clock", "conn.open", "http.req", "msg", "ws.open"]);
}

/// What a record says, apart from the place of its unit.
fn text(mut kind: Kind) -> String {
    if let Kind::Msg { unit, .. } | Kind::Body { unit, .. } = &mut kind {
        *unit = 0;
    }
    format!("{kind:?}")
}

#[test]
fn a_part_that_is_not_the_last_says_so() {
    let parts = read(&parts(&chat(RUN), |number| number == 3 || number == 5));
    let said: Vec<_> =
        parts.iter().map(|part| (part.header().part.unwrap().number, part.status(), part.next())).collect();
    let goes_on = |part| Status::GoesOn { part };
    assert_eq!(said, [(1, goes_on(2), Some(2)), (2, goes_on(3), Some(3)), (3, Status::Complete, None)]);
    let names = |part: &Tape| (part.header().id.clone(), part.header().key_id.clone(), part.header().start.clone());
    assert!(parts.iter().all(|part| names(part) == names(&parts[0])));
}

#[test]
fn the_same_value_has_one_token_in_all_parts_wherever_it_stands() {
    // Behind the seam, the name stands in a text at whose place nothing is expected: only the memory finds it.
    let said = |text: &str| Entry {
        at: Time::ZERO,
        from: protocol::wire::Side::Client,
        wire: Wire::Text(protocol::wire::Socket(1), text.to_owned()),
    };
    let (mut capture, _) = Capture::in_parts(config(RUN), Keep::Nothing, None);
    let _ = capture.entry(None, &said(r#"{"channel":"/a","clientId":"client-12345"}"#));
    let mut next = capture.rotate().unwrap().begin;
    next.extend(capture.entry(None, &said(r#"{"channel":"/client-12345","id":"1"}"#)));
    let text = String::from_utf8(next).unwrap();
    assert!(!text.contains("client-12345") && text.contains(r#""channel":"/cid_"#), "{text}");
}

#[test]
fn a_long_request_is_repeated_without_its_messages() {
    let long = format!(r#"{{"channel":"/a","data":"{}"}}"#, "x ".repeat(40_000));
    let mut entries = zoo();
    entries.truncate(1);
    let Wire::Request(_, request) = &mut entries[0].wire else { panic!("a request") };
    request.body = format!("[{long},{}]", vec![r#"{"channel":"/b"}"#; 5_000].join(",")).into_bytes();
    let parts = read(&parts(&entries, |number| number == 1));
    let repeated = parts[1].records().iter().find(|record| record.kind.word() == "http.req").unwrap();
    assert!(repeated.since.is_some() && repeated.text.contains(r#""msgs":0"#), "{}", repeated.text);
    assert!(join(&parts).unwrap().bytes == whole(&entries));
}

#[test]
fn messages_that_are_repeated_are_not_counted_again() {
    let sum = |tapes: &[Tape]| -> u64 {
        let stats = tapes.iter().map(Stats::of);
        stats.flat_map(|stats| stats.channels.into_values()).map(|both| both.sent + both.received).sum()
    };
    let over_callbacks = crate::har::tape(&crate::har::fixture("chrome-callback-polling.har")).entries();
    for entries in [zoo(), over_callbacks] {
        let whole = Tape::read(&whole(&entries)).unwrap();
        assert_eq!(sum(&read(&parts(&entries, |_| true))), sum(&[whole]));
    }
}

#[test]
fn a_part_passes_the_audit_like_any_tape() {
    for part in parts(&chat(RUN), |_| true) {
        let findings = audit(&part, &[]).unwrap().findings;
        assert!(findings.is_empty(), "{findings:?}");
    }
}

#[test]
fn a_recorder_killed_between_two_parts_has_lost_nothing() {
    let mut parts = parts(&chat(RUN), |number| number == 4);
    let first = String::from_utf8(parts[0].clone()).unwrap();
    let without_end = first.trim_end().rsplit_once('\n').unwrap().0.len() + 1;
    parts[0].truncate(without_end);
    assert!(join(&read(&parts)).unwrap().bytes == whole(&chat(RUN)));
}

#[test]
fn a_recording_without_its_last_part_goes_on_there() {
    let parts = read(&parts(&chat(RUN), |number| number == 4));
    let joined = join(&parts[..1]).unwrap();
    assert_eq!(joined.status, Status::GoesOn { part: 2 });
    let tape = Tape::read(&joined.bytes).unwrap();
    assert_eq!((tape.status(), tape.header().part), (Status::GoesOn { part: 2 }, None));
    assert!(audit(&joined.bytes, &[]).unwrap().findings.is_empty());
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let three = parts(&chat(RUN), |number| number == 3 || number == 5);
    let tapes = read(&three);
    let [one, two, three_read] = tapes.as_slice() else { panic!("three parts") };
    let of = |tapes: &[&Tape]| join(&tapes.iter().map(|tape| (*tape).clone()).collect::<Vec<_>>()).unwrap_err();
    assert_eq!(join(&[]).unwrap_err(), JoinError::Nothing);
    assert_eq!(of(&[one, three_read]), JoinError::Missing { number: 2 });
    assert_eq!(of(&[two, three_read]), JoinError::Missing { number: 1 });
    assert_eq!(of(&[one, two, one]), JoinError::Twice { tape: 2, number: 1 });
    let plain = Tape::read(&pieces(RUN, &chat(RUN), Some(Finish::Complete)).concat()).unwrap();
    assert_eq!(of(&[one, &plain]), JoinError::Whole { tape: 1 });
    let other = String::from_utf8(three[1].clone()).unwrap().replace(&one.header().id, &"f".repeat(32));
    let other: Vec<&str> = other.lines().collect();
    let other = Tape::read((other[..other.len() - 1].join("\n") + "\n").as_bytes()).unwrap();
    assert_eq!(of(&[one, &other]), JoinError::Foreign { tape: 1 });
    let torn = Tape::read(&three[0][..three[0].len() * 2 / 3]).unwrap();
    assert!(matches!(of(&[&torn, two]), JoinError::Damaged { tape: 0, number: 1, .. }));
}

#[test]
fn a_tape_that_is_no_part_has_no_seam() {
    let (mut capture, _) = Capture::new(config(RUN));
    assert_eq!(capture.rotate(), None);
}

proptest! {
    #[test]
    fn joined_parts_are_the_recording_wherever_its_seams_are(seams in proptest::collection::vec(any::<bool>(), 1..60)) {
        let entries = zoo();
        let mut tapes = read(&parts(&entries, |number| seams[number % seams.len()]));
        tapes.reverse();
        prop_assert!(join(&tapes).unwrap().bytes == whole(&entries));
    }
}

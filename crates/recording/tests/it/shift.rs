//! Wall times that are moved: by one amount on a whole tape, wherever they stand, and nothing tells by how much.

use pretty_assertions::assert_eq;
use protocol::time::Time;
use protocol::wire::{Entry, Exchange, Headers, Request, Response, Side, Transport, Wire};
use recording::audit::audit;
use recording::capture::{Capture, Config};
use recording::redaction::{Keep, Shift};
use recording::stats::head;
use recording::tape::{Finish, Tape};
use serde_json::json;

use crate::sample::{Run, config};

/// Six hours and 17 seconds, in seconds.
const LATER: u64 = 6 * 3_600 + 17;

/// The same moment of two conversations: one begins at nine, the other six hours and 17 seconds later.
struct Moment {
    rfc3339: &'static str,
    wall: &'static str,
    timestamp: &'static str,
    millis: u64,
    expires: &'static str,
    cookie: &'static str,
    retry: &'static str,
}

const MOMENTS: [Moment; 2] = [
    Moment {
        rfc3339: "2026-11-23T09:00:00.125Z",
        wall: "2026-11-23T19:00:00.5Z",
        timestamp: "2026-11-23T09:00:01.00",
        millis: 1_795_424_401_999,
        expires: "Mon, 23 Nov 2026 20:00:00 GMT",
        cookie: "Tue, 24-Nov-2026 09:00:00 GMT",
        retry: "Mon, 23 Nov 2026 09:00:30 GMT",
    },
    Moment {
        rfc3339: "2026-11-23T15:00:17.125Z",
        wall: "2026-11-24T01:00:17.5Z",
        timestamp: "2026-11-23T15:00:18.00",
        millis: 1_795_446_018_999,
        expires: "Tue, 24 Nov 2026 02:00:17 GMT",
        cookie: "Tue, 24-Nov-2026 15:00:17 GMT",
        retry: "Mon, 23 Nov 2026 15:00:47 GMT",
    },
];

/// A tape with a wall time in every place that has one.
fn tape(moment: &Moment, shift: Option<Shift>) -> Vec<u8> {
    let Moment { timestamp, millis, .. } = moment;
    let config = Config { start: moment.rfc3339.to_owned(), ..config(Run::new(Transport::LongPolling)) };
    let (mut capture, mut bytes) = Capture::shifting(config, Keep::Nothing, shift);
    let asked = json!([{"channel": "/meta/connect", "timestamp": timestamp, "ext": {"timesync": {"tc": millis, "l": 17, "o": -4_000_000}}}]);
    let told = json!([
        {"channel": "/meta/connect", "timestamp": timestamp, "ext": {"timesync": {"tc": millis, "ts": millis + 4, "p": 2, "a": -1}}},
        {"channel": "/service/chatV2/x", "data": {"messages": [
            {"type": "Message", "index": 1, "utcTime": millis}, {"type": "Message", "index": 2, "utcTime": (millis + 5).to_string()},
        ]}},
    ]);
    let headers = Headers::new()
        .with("Date", moment.retry)
        .with("Expires", moment.expires)
        .with("Retry-After", moment.retry)
        .with("Set-Cookie", &format!("BAYEUX_BROWSER=b; Expires={}; Path=/", moment.cookie))
        .with("Set-Cookie", "JSESSIONID=; Expires=Thu, 01-Jan-1970 00:00:00 GMT");
    let target = "/genesys/cometd".to_owned();
    let request =
        Request { method: "POST".to_owned(), target, headers: Headers::new(), body: asked.to_string().into_bytes() };
    let response = Response { status: 200, headers, body: told.to_string().into_bytes() };
    for (from, wire) in
        [(Side::Client, Wire::Request(Exchange(1), request)), (Side::Server, Wire::Response(Exchange(1), response))]
    {
        bytes.extend(capture.entry(None, &Entry { at: Time::from_micros(1_000), from, wire }));
    }
    bytes.extend(capture.clock(Time::from_micros(2_000), moment.wall, -60_000_000));
    bytes.extend(capture.finish(Time::from_micros(3_000), Finish::Complete));
    bytes
}

fn text(moment: &Moment, shift: Option<Shift>) -> String {
    String::from_utf8(tape(moment, shift)).expect("a tape is a text")
}

#[test]
fn a_tape_does_not_tell_when_its_conversation_was() {
    let [early, late] = &MOMENTS;
    for bits in [0, 4_711, 100_000_000] {
        let (one, other) = (Shift::from_bits(bits), Shift::from_bits(bits + LATER));
        assert_eq!(text(early, Some(one)), text(late, Some(other)));
        let shown = text(early, Some(one));
        assert!(!shown.contains("2026-11-23") && !shown.contains("17954244"), "{shown}");
    }
}

#[test]
fn a_tape_that_is_not_moved_has_its_times_as_they_were() {
    let (moment, plain) = (&MOMENTS[0], text(&MOMENTS[0], None));
    let Moment { rfc3339, wall, timestamp, millis, expires, cookie, retry } = moment;
    for time in [rfc3339, wall, timestamp, expires, cookie, retry] {
        assert!(plain.contains(time), "{time} is gone: {plain}");
    }
    assert!(plain.contains(&millis.to_string()) && !plain.contains(r#""times":"#), "{plain}");
}

#[test]
fn differences_and_constants_survive() {
    let shown = text(&MOMENTS[0], Some(Shift::from_bits(0)));
    for kept in [
        r#""utcTime":1795338001999"#,
        r#""utcTime":"1795338002004""#,
        r#""tc":1795338001999,"ts":1795338002003,"p":2,"a":-1"#,
        r#""l":17,"o":-4000000"#,
        r#""timestamp":"2026-11-22T09:00:01.00""#,
        r#""start":"2026-11-22T09:00:00.125Z""#,
        r#""wall":"2026-11-22T19:00:00.5Z""#,
        "Sun, 22 Nov 2026 20:00:00 GMT",
        "Expires=Mon, 23-Nov-2026 09:00:00 GMT; Path=/",
        "Expires=Thu, 01-Jan-1970 00:00:00 GMT",
    ] {
        assert!(shown.contains(kept), "{kept} is not there: {shown}");
    }
}

#[test]
fn the_tape_says_that_its_times_are_moved_and_the_audit_takes_it() {
    let bytes = tape(&MOMENTS[0], Some(Shift::from_bits(7)));
    let read = Tape::read(&bytes).unwrap();
    assert!(read.header().is_shifted && head(&read).contains("wall times are moved"), "{}", head(&read));
    assert_eq!(audit(&bytes, &["x".to_owned()]).unwrap().findings, Vec::new());
    assert!(!Tape::read(&tape(&MOMENTS[0], None)).unwrap().header().is_shifted);
}

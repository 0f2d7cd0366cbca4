//! What changed from one generation to the next, line by line, and which of the known differences each change is.

use std::collections::BTreeSet;

use protocol::bayeux::dialect::Dialect;

use crate::profiles::{SCENES, play};

/// The scenes in which some generation differs from the one before it, and why, by the tables of what was seen on
/// real servers (B.1 to B.14, D) or by the requirement. Scenes that are not named here are the same in all six.
const KNOWN: &[(&str, &str)] = &[
    ("unknown session", "B.1: text of 402"),
    ("unknown session subscribes", "B.1: text of 402; D: whether errors give `subscription` back"),
    ("no channel", "B.1, D: missing channel"),
    ("channel with a bad character", "B.1, D: bad channel name"),
    ("channel without a slash in front", "B.1: channel grammar since 5.0"),
    ("meta channel that is none", "B.1: channel creation denied"),
    ("id with a dash, empty id", "B.1, D: id grammar since 5.0"),
    ("id with an odd character", "B.1: illegal message id"),
    ("subscriptions that are none", "D: whether errors give `subscription` back"),
    ("number in a subscription array", "BX-SB-02: numbers in arrays since 5.0"),
    ("bad character in a subscription", "B.1, D: bad channel name"),
    ("wildcard inside a subscription", "BX-CH-07: an ordinary name in 2.9"),
    ("subscriptions to meta and service channels", "D: publisher's id in events"),
    ("publish to a pattern", "D: publish to a wildcard"),
    ("event with all that the publisher gave it, once for all subscriptions", "D: publisher's id in events"),
    ("own event while a connect is held", "D: publisher's id in events"),
    ("denied by policy", "B.1: denials"),
    ("handshake denied by policy", "B.1: handshake denied"),
    ("publish vetoed by a listener", "B.1, D: listener veto"),
    ("handshake over HTTP", "B.11: transports; B.4: HttpOnly; B.2, D: advice in the handshake reply"),
    ("first and second connect", "B.2, D: where the first advice travels"),
    ("advice with maxInterval", "B.14: handshakeReconnect since 3.1; B.11, B.4, B.2 as any handshake"),
    ("second connect over HTTP", "B.3, D: status of the first"),
    ("connect and publish in one request", "B.3, D: batch with a connect"),
    ("connect and a silent publish in one request", "B.3, D: batch with a connect"),
    ("two sessions in one request", "D: foreign clientId in the second message; B.1: text of 402"),
    ("session of another browser", "B.4, D: cookie binds session; B.1: text of 402"),
    ("no cookie", "B.4, D: cookie binds session; B.1: text of 402"),
    ("two sessions of one browser", "B.4: timeout in the advice"),
    ("two sessions of one browser where that is forbidden", "B.4: timeout in the advice"),
    ("disconnect over HTTP", "B.1: text of 402"),
    ("disconnect by the server over HTTP", "B.5, D: server disconnect message"),
    ("disconnect by the server with no connect held", "B.1: text of 402"),
    ("lazy event on a websocket", "B.12: lazy messages"),
    ("publishes without a connect", "B.7: what puts the expiry off; B.1: text of 402"),
    ("truncated JSON", "B.9"),
    ("no body", "B.9"),
    ("body []", "B.9, D"),
    ("body null", "B.9"),
    ("scalars", "B.9"),
    ("body over the limit", "B.10: maxMessageSize since 3.1.2"),
    ("paths", "B.1: text of 402"),
    ("bare object", "B.1: text of 402"),
    ("trailing garbage", "B.9; B.1: text of 402"),
    ("text/plain", "B.9; B.1: text of 402"),
    ("form", "B.9"),
    ("callback-polling", "B.1: text of 402"),
    ("callback with odd characters", "B.9: callback names since 3.0.2"),
    ("websocket offered", "B.11, D: no WebSocket in 2.9"),
    ("handshake and connects on a websocket", "D: no WebSocket in 2.9; B.2: where the first advice travels"),
    ("frames that are no batch", "D: no WebSocket in 2.9"),
    ("frame []", "D: no WebSocket in 2.9; B.9"),
    ("frame with trailing garbage", "D: no WebSocket in 2.9; B.1: text of 402"),
    ("frame without a channel", "D: no WebSocket in 2.9; B.9"),
    ("frame with a bad channel", "D: no WebSocket in 2.9; B.9, B.1"),
    ("frame with a wildcard inside a subscription", "D: no WebSocket in 2.9"),
    ("frame over the limit, and a binary one", "D: no WebSocket in 2.9"),
    ("frame with another's session", "D: no WebSocket in 2.9; B.1: text of 402"),
    ("events on a websocket, own and another's", "D: no WebSocket in 2.9"),
    ("second connect on a websocket", "D: no WebSocket in 2.9"),
    ("second connect on a websocket, maxInterval below timeout", "D: no WebSocket in 2.9; B.3: CometD #970 in 4.0"),
    ("connect and publish in one frame", "D: no WebSocket in 2.9; B.3: batch with a connect"),
    (
        "connect and publish in one frame, maxInterval below timeout",
        "D: no WebSocket in 2.9; B.3: batch with a connect",
    ),
    ("session moves to another websocket", "D: no WebSocket in 2.9; B.3, D: old socket"),
    ("disconnect on a websocket", "D: no WebSocket in 2.9; B.5, D: order"),
    ("disconnect by the server on a websocket", "D: no WebSocket in 2.9; B.5, D: server disconnect message"),
    (
        "event before the first connect on a websocket",
        "D: no WebSocket in 2.9; BX-WS-05: since when events are pushed; B.2",
    ),
    (
        "event between the first connect and the next on a websocket",
        "D: no WebSocket in 2.9; BX-WS-05: since when events are pushed",
    ),
    ("websocket without a connect", "D: no WebSocket in 2.9; B.1: text of 402"),
    ("session swept under its connect", "D: no WebSocket in 2.9; B.7: reason in the close frame"),
    ("events while the websocket is gone", "D: no WebSocket in 2.9; B.8"),
    ("ack", "D: publisher's id in events; B.2: where the first advice travels"),
    ("timestamp, timesync and activity", "B.2: where the first advice travels; B.5, D: server disconnect message"),
];

/// The lines that only the first has, with `-`, and that only the second has, with `+`, in order.
fn changes(before: &str, after: &str) -> Vec<String> {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    // The length of the longest common run of lines behind each pair of positions.
    let mut common = vec![vec![0_usize; new.len() + 1]; old.len() + 1];
    for o in (0..old.len()).rev() {
        for n in (0..new.len()).rev() {
            common[o][n] = match old[o] == new[n] {
                true => common[o + 1][n + 1] + 1,
                false => common[o + 1][n].max(common[o][n + 1]),
            };
        }
    }
    let (mut o, mut n, mut lines) = (0, 0, Vec::new());
    while o < old.len() || n < new.len() {
        if o < old.len() && n < new.len() && old[o] == new[n] {
            (o, n) = (o + 1, n + 1);
        } else if n == new.len() || (o < old.len() && common[o + 1][n] >= common[o][n + 1]) {
            lines.push(format!("- {}", old[o]));
            o += 1;
        } else {
            lines.push(format!("+ {}", new[n]));
            n += 1;
        }
    }
    lines
}

#[test]
fn neighbours_differ_in_what_is_known_to_differ_and_in_nothing_else() {
    let names: Vec<&str> = Dialect::names().collect();
    let mut differing = BTreeSet::new();
    for pair in names.windows(2) {
        let mut text = String::new();
        for scene in SCENES {
            let lines = changes(&play(scene, pair[0]), &play(scene, pair[1]));
            if !lines.is_empty() {
                differing.insert(scene.title);
                let why = KNOWN.iter().find(|(title, _)| *title == scene.title).map_or("?", |(_, why)| *why);
                text += &format!("# {} ({why})\n{}\n\n", scene.title, lines.join("\n"));
            }
        }
        insta::with_settings!({snapshot_suffix => format!("{}_to_{}", pair[0], pair[1])}, {
            insta::assert_snapshot!("changes", text);
        });
    }
    let known: BTreeSet<&str> = KNOWN.iter().map(|(title, _)| *title).collect();
    assert_eq!(differing, known);
    assert!(KNOWN.iter().all(|(_, why)| !why.is_empty()));
}

#[test]
fn changes_are_told_line_by_line() {
    assert_eq!(changes("a\nb\nc", "a\nx\nc\nd"), ["- b", "+ x", "+ d"]);
    assert_eq!(changes("a", "a"), Vec::<String>::new());
}

//! The client's extensions: `ack`, `timestamp` and `timesync`, as the CometD client has them.
//!
//! `activity` has no part on the client: the server disconnects who is idle, and that is final. `reload` is
//! [`Saved`](super::Saved).

use std::collections::VecDeque;

use serde_json::{Value, json};

use crate::bayeux::extension::{Civil, number};
use crate::bayeux::message::Message;

/// Which extensions a client has installed. None is by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    /// Asks the server to send events again until it knows that they arrived. Each event is still delivered once.
    pub ack: bool,
    /// Stamps every message with the time of day, as `org.cometd.TimeStampExtension` does.
    pub timestamp: bool,
    /// Measures how far the server's clock is off.
    pub timesync: bool,
}

/// How many events are remembered between two batches. Those beyond are delivered again if the server sends them again.
const REMEMBERED: usize = 10_000;

/// What the `ack` extension knows of a session whose server has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Ack {
    /// The last batch that arrived as a whole.
    batch: i64,
    /// The events that arrived behind it, in order: their channels and data.
    delivered: Vec<(String, String)>,
    /// How many of those the server has sent again since the last connect.
    again: usize,
    /// Events that ride in the handshake response make up this batch once so many of them have arrived.
    riding: Option<(i64, i64)>,
}

impl Ack {
    /// Reads the reply to a handshake; `None` if the server does not have the extension. Strict: only `true`, or an object
    /// whose `enabled` is `true`.
    pub(super) fn negotiated(reply: &Message) -> Option<Self> {
        let ext = reply.ext()?;
        match ext.get("ack")? {
            Value::Bool(true) => Some(Self::default()),
            Value::Object(ack) if ack.get("enabled") == Some(&Value::Bool(true)) => {
                let integer = |name: &str| ack.get(name).and_then(Value::as_i64);
                let riding = integer("batch").zip(integer("size")).filter(|(_, size)| *size > 0);
                Some(Self { riding, ..Self::default() })
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
                None
            }
        }
    }

    /// Goes on where a saved session was.
    pub(super) fn resumed(batch: i64) -> Self {
        Self { batch, ..Self::default() }
    }

    pub(super) const fn batch(&self) -> i64 {
        self.batch
    }

    /// A connect is sent with the batch as it is: what came behind it comes again, from the first event on.
    pub(super) const fn on_connect(&mut self) {
        self.again = 0;
    }

    /// A connect was answered well: its batch is complete.
    pub(super) fn on_connect_reply(&mut self, reply: &Message) {
        let ext = reply.ext();
        if let Some(batch) = ext.as_ref().and_then(|ext| ext.get("ack")).and_then(Value::as_i64) {
            self.complete(batch);
        }
    }

    fn complete(&mut self, batch: i64) {
        self.batch = batch;
        self.delivered.clear();
        self.again = 0;
        self.riding = None;
    }

    /// Whether the event is new. What was delivered behind the last complete batch comes again in the same order; the
    /// first event that differs from that order is new, and so are all behind it.
    pub(super) fn is_new(&mut self, event: &Message) -> bool {
        let channel = event.channel().unwrap_or_default();
        let data = event.data().map_or("", |data| data.get());
        let is_again = self.delivered.get(self.again).is_some_and(|(c, d)| c == channel && d == data);
        if !is_again {
            self.delivered.truncate(self.again);
            if self.delivered.len() < REMEMBERED {
                self.delivered.push((channel.to_owned(), data.to_owned()));
            }
        }
        self.again = (self.again + 1).min(self.delivered.len());
        if let Some((batch, left)) = self.riding {
            self.riding = Some((batch, left - 1));
            if left == 1 {
                self.complete(batch);
            }
        }
        !is_again
    }
}

/// How many measurements the `timesync` extension averages.
const SAMPLES: usize = 10;

/// What the `timesync` extension has measured. Its sums are of half milliseconds, since a way is half of a round trip.
#[derive(Clone, Debug, Default)]
pub(super) struct Timesync {
    lags: VecDeque<i64>,
    offsets: VecDeque<i64>,
}

impl Timesync {
    /// The time that a message takes one way, in milliseconds.
    pub(super) fn lag(&self) -> i64 {
        average(&self.lags)
    }

    /// How far the server's clock is ahead, in milliseconds.
    pub(super) fn offset(&self) -> i64 {
        average(&self.offsets)
    }

    /// What goes into the `ext` of a meta message sent at `utc_ms`.
    pub(super) fn question(&self, utc_ms: i64) -> Value {
        json!({"tc": utc_ms, "l": self.lag(), "o": self.offset()})
    }

    /// Takes a server's answer in. One with a member that is missing or no number says nothing.
    pub(super) fn on_answer(&mut self, reply: &Message, utc_ms: i64) {
        let Some(ext) = reply.ext() else { return };
        let member = |name: &str| ext.get("timesync")?.get(name).and_then(number);
        let (Some(tc), Some(ts), Some(processing)) = (member("tc"), member("ts"), member("p")) else { return };
        let lag = utc_ms.saturating_sub(tc).saturating_sub(processing);
        let offset = ts.saturating_sub(tc).saturating_mul(2).saturating_sub(lag);
        for (samples, sample) in [(&mut self.lags, lag), (&mut self.offsets, offset)] {
            samples.push_back(sample);
            if samples.len() > SAMPLES {
                samples.pop_front();
            }
        }
    }
}

/// The average of half milliseconds as whole milliseconds, halves away from zero.
fn average(halves: &VecDeque<i64>) -> i64 {
    let Ok(count) = i128::try_from(halves.len()) else { return 0 };
    if count == 0 {
        return 0;
    }
    let sum: i128 = halves.iter().map(|half| i128::from(*half)).sum();
    let rounded = (sum.abs() + count) / (2 * count) * sum.signum();
    i64::try_from(rounded).unwrap_or(0)
}

/// A moment as `org.cometd.TimeStampExtension` writes it, which is what `Date.toUTCString` gives:
/// `Mon, 23 Nov 2026 10:06:20 GMT`.
pub(super) fn timestamp(utc_ms: i64) -> String {
    let civil = Civil::of(utc_ms);
    format!("{}, {:02} {} {:04} {} GMT", civil.weekday, civil.day, civil.month, civil.year, civil.clock())
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    fn message(text: &str) -> Message {
        Message::parse(text).unwrap()
    }

    fn event(data: &str) -> Message {
        Message::draft("/a").with("data", data).finish()
    }

    #[rstest]
    #[case(r#"{"ext":{"ack":true}}"#, true)]
    #[case(r#"{"ext":{"ack":{"enabled":true,"batch":1}}}"#, true)]
    #[case(r#"{"ext":{"ack":{"enabled":true,"batch":"x","size":{}}}}"#, true)]
    #[case(r#"{"ext":{"ack":"yes"}}"#, false)]
    #[case(r#"{"ext":{"ack":1}}"#, false)]
    #[case(r#"{"ext":{"ack":{"enabled":"true"}}}"#, false)]
    #[case(r#"{"ext":{"ack":{}}}"#, false)]
    #[case(r#"{"ext":5}"#, false)]
    #[case("{}", false)]
    fn takes_ack_only_from_a_server_that_says_so(#[case] reply: &str, #[case] on: bool) {
        assert_eq!(Ack::negotiated(&message(reply)).is_some(), on);
    }

    #[test]
    fn lets_pass_once_what_comes_again_in_the_same_order() {
        let mut ack = Ack::default();
        let is_new = |ack: &mut Ack, word: &str| ack.is_new(&event(word));
        assert!(is_new(&mut ack, "a") && is_new(&mut ack, "a") && is_new(&mut ack, "b"));
        ack.on_connect();
        assert!(!is_new(&mut ack, "a") && !is_new(&mut ack, "a") && !is_new(&mut ack, "b"));
        assert!(is_new(&mut ack, "b"));
        ack.on_connect_reply(&message(r#"{"ext":{"ack":2}}"#));
        ack.on_connect();
        assert_eq!(ack.batch(), 2);
        assert!(is_new(&mut ack, "a"));
    }

    #[test]
    fn takes_all_for_new_behind_an_event_that_differs() {
        let mut ack = Ack::default();
        for word in ["a", "b", "c"] {
            assert!(ack.is_new(&event(word)));
        }
        ack.on_connect();
        let news: Vec<bool> = ["a", "x", "c"].iter().map(|word| ack.is_new(&event(word))).collect();
        assert_eq!(news, [false, true, true]);
    }

    #[test]
    fn keeps_its_batch_when_a_reply_names_none() {
        let mut ack = Ack::default();
        for reply in ["{}", r#"{"ext":{}}"#, r#"{"ext":{"ack":"3"}}"#] {
            ack.on_connect_reply(&message(reply));
        }
        assert_eq!(ack.batch(), 0);
    }

    #[test]
    fn events_that_ride_in_the_handshake_response_complete_their_batch() {
        let mut ack = Ack::negotiated(&message(r#"{"ext":{"ack":{"enabled":true,"batch":7,"size":2}}}"#)).unwrap();
        assert!(ack.is_new(&event("a")));
        assert_eq!(ack.batch(), 0);
        assert!(ack.is_new(&event("b")));
        assert_eq!(ack.batch(), 7);
    }

    #[test]
    fn remembers_a_bounded_number_of_events() {
        let mut ack = Ack::default();
        for number in 0..REMEMBERED + 5 {
            assert!(ack.is_new(&event(&number.to_string())));
        }
        assert_eq!(ack.delivered.len(), REMEMBERED);
    }

    #[rstest]
    #[case(&[(1_000, 1_300, 20, 1_060)], (20, 280))]
    #[case(&[(1_000, 1_000, 0, 1_001)], (1, -1))]
    #[case(&[(1_000, 1_000, 0, 1_000), (1_000, 1_000, 0, 1_001)], (0, 0))]
    #[case(&[(i64::MIN, i64::MAX, i64::MIN, i64::MAX)], (4_611_686_018_427_387_904, 0))]
    fn averages_lag_and_offset(#[case] samples: &[(i64, i64, i64, i64)], #[case] lag_and_offset: (i64, i64)) {
        let mut sync = Timesync::default();
        for (tc, ts, p, now) in samples {
            let reply = json!({"ext": {"timesync": {"tc": tc, "ts": ts, "p": p}}});
            sync.on_answer(&message(&reply.to_string()), *now);
        }
        assert_eq!((sync.lag(), sync.offset()), lag_and_offset);
    }

    #[test]
    fn averages_the_last_ten() {
        let mut sync = Timesync::default();
        for lag in [1_000, 10, 10, 10, 10, 10, 10, 10, 10, 10, 10] {
            let reply = format!(r#"{{"ext":{{"timesync":{{"tc":0,"ts":{lag},"p":0}}}}}}"#);
            sync.on_answer(&message(&reply), 2 * lag);
        }
        assert_eq!((sync.lag(), sync.offset()), (10, 0));
    }

    #[rstest]
    #[case(r#"{"tc":1,"ts":2}"#)]
    #[case(r#"{"tc":"1","ts":2,"p":0}"#)]
    #[case("[]")]
    #[case("null")]
    fn learns_nothing_from_half_an_answer(#[case] answer: &str) {
        let mut sync = Timesync::default();
        sync.on_answer(&message(&format!(r#"{{"ext":{{"timesync":{answer}}}}}"#)), 5);
        assert_eq!((sync.lag(), sync.offset()), (0, 0));
    }

    #[rstest]
    #[case(1_795_428_380_999, "Mon, 23 Nov 2026 10:06:20 GMT")]
    #[case(0, "Thu, 01 Jan 1970 00:00:00 GMT")]
    #[case(1_709_251_199_000, "Thu, 29 Feb 2024 23:59:59 GMT")]
    fn writes_moments_as_browsers_do(#[case] utc_ms: i64, #[case] text: &str) {
        assert_eq!(timestamp(utc_ms), text);
    }
}

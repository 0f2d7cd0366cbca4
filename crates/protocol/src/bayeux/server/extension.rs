//! The server's extensions as far as they shape messages: `timestamp`, `timesync`, and the `ext` of replies.

use serde_json::{Map, Value, json};

use crate::bayeux::extension::{Civil, number};
use crate::bayeux::message::{Draft, Message};

/// What a client asked of the `timesync` extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timesync {
    /// The client's time.
    tc: i64,
    /// The server's time when the question came.
    ts: i64,
    /// The lag and the offset that the client reckons with, if it is not of the old style.
    reckoned: Option<(i64, i64)>,
}

/// How far a client's clock may be off before it is told again, in milliseconds.
const ACCURACY_TARGET: i64 = 25;

impl Timesync {
    /// Reads the question; members of a wrong type are as good as none, since the extension fails over them.
    pub(super) fn parse(message: &Message, utc_ms: i64) -> Option<Self> {
        let ext = message.ext()?;
        let sync = ext.get("timesync")?.as_object()?;
        let number = |name: &str| sync.get(name).and_then(number);
        let reckoned = match sync.get("l") {
            None | Some(Value::Null) => None,
            Some(_) => Some((number("l")?, number("o")?)),
        };
        Some(Self { tc: number("tc")?, ts: utc_ms, reckoned })
    }

    /// The answer in a reply sent at `utc_ms`; none if the client's clock is right enough.
    pub(super) fn answer(&self, utc_ms: i64) -> Option<Value> {
        let mut answer = json!({"tc": self.tc, "ts": self.ts, "p": utc_ms.saturating_sub(self.ts)});
        if let Some((lag, offset)) = self.reckoned {
            let accuracy = self.tc.saturating_add(offset).saturating_add(lag).saturating_sub(self.ts);
            if lag != 0 && accuracy.saturating_abs() < ACCURACY_TARGET {
                return None;
            }
            answer["a"] = accuracy.into();
        }
        Some(answer)
    }
}

/// The `ext` of a reply.
#[derive(Clone, Debug, Default)]
pub(super) struct Ext(Option<Map<String, Value>>);

impl Ext {
    /// An `ext` that is there though nothing is in it.
    pub(super) fn present(&mut self) {
        self.0.get_or_insert_default();
    }

    pub(super) fn set(&mut self, name: &str, value: impl Into<Value>) {
        self.0.get_or_insert_default().insert(name.to_owned(), value.into());
    }

    pub(super) fn add_to(self, draft: Draft) -> Draft {
        draft.with_some("ext", self.0)
    }
}

/// The message with a member in place of any of this name.
pub(super) fn with_member(message: &Message, name: &str, value: &str) -> Message {
    copy_without(message, &[name]).with(name, value).finish()
}

/// The members of a message but for some, each once, as they came.
pub(super) fn copy_without(message: &Message, names: &[&str]) -> Draft {
    let mut seen: Vec<&str> = names.to_vec();
    let mut draft = Draft::default();
    for name in message.names() {
        if !seen.contains(&name)
            && let Some(value) = message.member(name)
        {
            seen.push(name);
            draft = draft.with_raw(name, value.to_owned());
        }
    }
    draft
}

/// A moment as `org.cometd.server.ext.TimestampExtension` writes it by default: `Mon Nov 23 10:03:35 UTC 2026`.
pub(super) fn timestamp(utc_ms: i64) -> String {
    let civil = Civil::of(utc_ms);
    format!("{} {} {:02} {} UTC {}", civil.weekday, civil.month, civil.day, civil.clock(), civil.year)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case(0, "Thu Jan 01 00:00:00 UTC 1970")]
    #[case(1_795_428_215_999, "Mon Nov 23 10:03:35 UTC 2026")]
    #[case(951_782_400_000, "Tue Feb 29 00:00:00 UTC 2000")]
    #[case(1_709_251_199_000, "Thu Feb 29 23:59:59 UTC 2024")]
    #[case(1_735_689_600_000, "Wed Jan 01 00:00:00 UTC 2025")]
    #[case(-1, "Wed Dec 31 23:59:59 UTC 1969")]
    fn writes_moments_as_java_does(#[case] utc_ms: i64, #[case] text: &str) {
        assert_eq!(timestamp(utc_ms), text);
    }

    #[rstest]
    #[case(r#"{"tc":100,"l":0,"o":0}"#, Some(r#"{"tc":100,"ts":1000,"p":7,"a":-900}"#))]
    #[case(r#"{"tc":990,"l":5,"o":0}"#, None)]
    #[case(r#"{"tc":990,"l":5,"o":40}"#, Some(r#"{"tc":990,"ts":1000,"p":7,"a":35}"#))]
    #[case(r#"{"tc":990}"#, Some(r#"{"tc":990,"ts":1000,"p":7}"#))]
    #[case(r#"{"tc":"x"}"#, None)]
    #[case(r#"{"tc":1,"l":0}"#, None)]
    #[case("5", None)]
    fn answers_timesync(#[case] asked: &str, #[case] answer: Option<&str>) {
        let message = Message::parse(&format!(r#"{{"ext":{{"timesync":{asked}}}}}"#)).unwrap();
        let answered = Timesync::parse(&message, 1_000).and_then(|sync| sync.answer(1_007));
        assert_eq!(answered.map(|value| value.to_string()).as_deref(), answer);
    }

    #[test]
    fn replaces_a_member() {
        let message = Message::parse(r#"{"channel":"/a","timestamp":"x","data":1.0,"timestamp":"y"}"#).unwrap();
        let replaced = with_member(&message, "timestamp", "z");
        assert_eq!(replaced.text(), r#"{"channel":"/a","data":1.0,"timestamp":"z"}"#);
    }

    proptest! {
        #[test]
        fn writes_any_moment(utc_ms in any::<i64>()) {
            let text = timestamp(utc_ms);
            prop_assert!(text.split(' ').count() == 6 && text.len() >= 28 - 4, "{}", text);
        }
    }
}

//! An exact replay for a person at a terminal and for a program.

use protocol::bayeux::batch::Batch;
use protocol::time::Time;
use protocol::wire::Wire;
use serde_json::{Value, json};

use super::play::{Departure, Replay, What};
use crate::report::{counted, extent};

/// How much of what crossed the wire is shown, in characters.
const SHOWN: usize = 600;

impl What {
    /// A word for programs.
    #[must_use]
    pub const fn id(&self) -> &'static str {
        match self {
            Self::NotSent => "not-sent",
            Self::Unexpected => "unexpected",
            Self::Batched => "batched",
            Self::Differs(_) => "differs",
            Self::Timer => "timer",
        }
    }

    fn sentence(&self) -> String {
        match self {
            Self::NotSent => "the client does not send what the tape has".to_owned(),
            Self::Unexpected => "the client sends what the tape does not have here".to_owned(),
            Self::Batched => "the client sends other messages together than the tape has".to_owned(),
            Self::Differs(says) => format!("the client sends another thing than the tape has: {says}"),
            Self::Timer => "the client waits for something else than on the tape".to_owned(),
        }
    }
}

impl Departure {
    fn place(&self) -> String {
        self.line.map_or_else(|| "behind the last line".to_owned(), |line| format!("line {line}"))
    }

    /// Where it is, what it is, what was expected and what came.
    #[must_use]
    pub fn text(&self) -> String {
        let Self { at, what, tape, client, .. } = self;
        format!("{}, {at} s: {}\n  tape   {tape}\n  client {client}\n", self.place(), what.sentence())
    }
}

impl Replay {
    /// The departure if there is one, then what is to be known, then one line of summary.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.departure.as_ref().map(Departure::text).unwrap_or_default();
        if let Some(doubt) = &self.doubt {
            text.push_str(&format!("not all can be judged: {doubt}\n"));
        }
        if self.is_unlimited {
            text.push_str(
                "note: replayed without the limit on the length of targets, since tokens are longer than values\n",
            );
        }
        text.push_str(&extent(self.status, "as far as it goes"));
        text.push_str(&self.summary());
        text.push('\n');
        text
    }

    /// The last line: what was replayed and what came out.
    #[must_use]
    pub fn summary(&self) -> String {
        let statistics = &self.statistics;
        let came = match (&self.departure, &self.doubt) {
            (None, None) => "no departure",
            (Some(_), None) => "then a departure",
            (None, Some(_)) => "no departure where it can be judged",
            (Some(_), Some(_)) => "then nothing that can be judged",
        };
        format!(
            "exact replay: {}, {} and {} of the server, and {} of the client as on the tape, in {} s of virtual time; {came}",
            counted(statistics.calls, "call"),
            counted(statistics.timers, "timer"),
            counted(statistics.received, "unit"),
            counted(statistics.sent, "unit"),
            Time::ZERO + statistics.time,
        )
    }

    /// The same for a program.
    #[must_use]
    pub fn json(&self) -> Value {
        let statistics = &self.statistics;
        let departure = self.departure.as_ref().map(|departure| {
            json!({
                "line": departure.line,
                "at": departure.at.as_micros(),
                "what": departure.what.id(),
                "says": departure.what.sentence(),
                "tape": departure.tape,
                "client": departure.client,
            })
        });
        json!({
            "status": self.status.word(),
            "next": self.status.next(),
            "calls": statistics.calls,
            "timers": statistics.timers,
            "received": statistics.received,
            "sent": statistics.sent,
            "virtualMicros": u64::try_from(statistics.time.as_micros()).unwrap_or(u64::MAX),
            "unlimitedTargets": self.is_unlimited,
            "departure": departure,
            "doubt": self.doubt,
            "exit": self.exit_code(),
        })
    }
}

/// What a client waits for, for people.
pub(super) fn waits(timer: &str, due: Option<Time>) -> String {
    due.map_or_else(|| "no timer".to_owned(), |due| format!("timer {timer}, due at {due} s"))
}

/// What crossed the wire, for people.
pub(super) fn shown(wire: &Wire) -> String {
    let messages: Vec<String> = Batch::carried(wire).iter().map(|message| message.text().to_owned()).collect();
    let what = match wire {
        Wire::Request(_, request) | Wire::Upgrade(_, request) => {
            let path = request.target.split('?').next().unwrap_or_default();
            let upgrade = if matches!(wire, Wire::Upgrade(..)) { " (WebSocket)" } else { "" };
            format!("{} {path}{upgrade}", request.method)
        }
        Wire::Response(_, response) | Wire::Refused(_, response) => format!("{}", response.status),
        Wire::Broken(_, failure) => format!("broken: {failure}"),
        Wire::Lost(_, failure) => format!("lost: {failure}"),
        Wire::Upgraded(..) => "101".to_owned(),
        Wire::Text(..) => "frame".to_owned(),
        Wire::Binary(..) => "binary frame".to_owned(),
        Wire::Ping(..) => "ping".to_owned(),
        Wire::Pong(..) => "pong".to_owned(),
        Wire::Close(_, close) => format!("close {} {}", close.code, close.reason).trim_end().to_owned(),
    };
    let exchange = wire.exchange().map(|exchange| exchange.to_string());
    let link = exchange.or_else(|| wire.socket().map(|socket| socket.to_string())).unwrap_or_default();
    let mut text = format!("{link} {what}");
    if !messages.is_empty() {
        text.push_str(&format!(" {}", messages.join(" ")));
    }
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

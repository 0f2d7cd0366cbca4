//! The text of a history: a line for each setting, then a line for each action. Blank lines and lines that begin with `#`
//! mean nothing.
//!
//! ```text
//! transport websocket
//! seed 7
//! client starts
//! wait 500ms
//! duplicate connect-reply after 1000ms
//! ```

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::history::{Action, Deed, History, Target, Trait, Transports};
use crate::link::Fault;

/// Why a line is not part of a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// No setting and no action begins like this.
    #[error("`{0}` is neither a setting nor an action")]
    Unknown(String),
    /// A setting stands behind an action.
    #[error("a setting stands behind an action")]
    Late,
    /// No transport is named first.
    #[error("no transport is named")]
    NoTransport,
}

/// A text that is not a history.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {wrong}")]
pub struct Unreadable {
    /// The number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub wrong: Wrong,
}

const TRANSPORTS: [(Transports, &str); 4] = [
    (Transports::WebSocket, "websocket"),
    (Transports::LongPolling, "long-polling"),
    (Transports::CallbackPolling, "callback-polling"),
    (Transports::Either, "either"),
];

const TRAITS: [(Trait, &str); 5] = [
    (Trait::Gapped, "gapped"),
    (Trait::Exclusive, "exclusive"),
    (Trait::Split, "split"),
    (Trait::AtOnce, "at-once"),
    (Trait::Acked, "acked"),
];

const TARGETS: [(Target, &str); 14] = [
    (Target::Any, "any"),
    (Target::Client, "client"),
    (Target::Server, "server"),
    (Target::Handshake, "handshake"),
    (Target::HandshakeReply, "handshake-reply"),
    (Target::Connect, "connect"),
    (Target::ConnectReply, "connect-reply"),
    (Target::Request, "request"),
    (Target::Answer, "answer"),
    (Target::RequestChat, "requestChat"),
    (Target::RequestNotifications, "requestNotifications"),
    (Target::SendMessage, "sendMessage"),
    (Target::EndOfChat, "end-of-chat"),
    (Target::Upgrade, "upgrade"),
];

const DEEDS: [(Deed, &str); 11] = [
    (Deed::StartTyping, "start-typing"),
    (Deed::StopTyping, "stop-typing"),
    (Deed::CustomNotice, "custom-notice"),
    (Deed::PushUrl, "push-url"),
    (Deed::UpdateNickname, "update-nickname"),
    (Deed::UpdateData, "update-data"),
    (Deed::ReadReceipt, "read-receipt"),
    (Deed::FileLimits, "file-limits"),
    (Deed::Upload, "upload"),
    (Deed::Download, "download"),
    (Deed::DeleteFile, "delete-file"),
];

fn word_of<T: Copy + PartialEq>(table: &[(T, &'static str)], value: T) -> &'static str {
    table.iter().find(|(known, _)| *known == value).map_or("?", |(_, word)| word)
}

fn by_word<T: Copy>(table: &[(T, &'static str)], word: &str) -> Option<T> {
    table.iter().find(|(_, known)| *known == word).map(|(value, _)| *value)
}

fn millis(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}

fn duration(text: &str) -> Option<Duration> {
    text.strip_suffix("ms")?.parse().ok().map(Duration::from_millis)
}

/// A word that stands for itself in a line.
fn plain(word: &str) -> Option<String> {
    (!word.is_empty() && word.chars().all(char::is_alphanumeric)).then(|| word.to_owned())
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Wait(duration) => write!(f, "wait {}", millis(*duration)),
            Self::ClientStarts => f.write_str("client starts"),
            Self::ClientSays(word) => write!(f, "client says {word}"),
            Self::ClientDoes(deed) => write!(f, "client does {}", word_of(&DEEDS, *deed)),
            Self::ClientEnds => f.write_str("client ends"),
            Self::ClientLeaves => f.write_str("client leaves"),
            Self::AgentJoins => f.write_str("agent joins"),
            Self::AgentSays(word) => write!(f, "agent says {word}"),
            Self::AgentLeaves => f.write_str("agent leaves"),
            Self::AgentCloses => f.write_str("agent closes"),
            Self::SessionForgotten => f.write_str("session forgotten"),
            Self::SessionDisconnected => f.write_str("session disconnected"),
            Self::ServerRestarts => f.write_str("server restarts"),
            Self::ConnectionsBreak => f.write_str("connections break"),
            Self::NetworkDown => f.write_str("network down"),
            Self::NetworkUp => f.write_str("network up"),
            Self::Strike(target, fault) => {
                let target = word_of(&TARGETS, *target);
                match fault {
                    Fault::Delay(by) => write!(f, "delay {target} by {}", millis(*by)),
                    Fault::Lose => write!(f, "lose {target}"),
                    Fault::Break { after } => write!(f, "break {target} after {}", millis(*after)),
                    Fault::Silence => write!(f, "silence {target}"),
                    Fault::Duplicate { after } => write!(f, "duplicate {target} after {}", millis(*after)),
                    Fault::Unreachable => write!(f, "unreachable {target}"),
                    Fault::Refuse(status) => write!(f, "refuse {target} with {status}"),
                }
            }
        }
    }
}

impl FromStr for Action {
    type Err = Wrong;

    fn from_str(line: &str) -> Result<Self, Wrong> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let strike = |target: &str, fault: Option<Fault>| Some(Self::Strike(by_word(&TARGETS, target)?, fault?));
        let action = match words.as_slice() {
            ["wait", time] => duration(time).map(Self::Wait),
            ["client", "starts"] => Some(Self::ClientStarts),
            ["client", "says", word] => plain(word).map(Self::ClientSays),
            ["client", "does", word] => by_word(&DEEDS, word).map(Self::ClientDoes),
            ["client", "ends"] => Some(Self::ClientEnds),
            ["client", "leaves"] => Some(Self::ClientLeaves),
            ["agent", "joins"] => Some(Self::AgentJoins),
            ["agent", "says", word] => plain(word).map(Self::AgentSays),
            ["agent", "leaves"] => Some(Self::AgentLeaves),
            ["agent", "closes"] => Some(Self::AgentCloses),
            ["session", "forgotten"] => Some(Self::SessionForgotten),
            ["session", "disconnected"] => Some(Self::SessionDisconnected),
            ["server", "restarts"] => Some(Self::ServerRestarts),
            ["connections", "break"] => Some(Self::ConnectionsBreak),
            ["network", "down"] => Some(Self::NetworkDown),
            ["network", "up"] => Some(Self::NetworkUp),
            ["delay", target, "by", time] => strike(target, duration(time).map(Fault::Delay)),
            ["lose", target] => strike(target, Some(Fault::Lose)),
            ["break", target, "after", time] => strike(target, duration(time).map(|after| Fault::Break { after })),
            ["silence", target] => strike(target, Some(Fault::Silence)),
            ["duplicate", target, "after", time] => {
                strike(target, duration(time).map(|after| Fault::Duplicate { after }))
            }
            ["unreachable", target] => strike(target, Some(Fault::Unreachable)),
            ["refuse", target, "with", status] => strike(target, status.parse().ok().map(Fault::Refuse)),
            _ => None,
        };
        action.ok_or_else(|| Wrong::Unknown(line.to_owned()))
    }
}

impl fmt::Display for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "transport {}", word_of(&TRANSPORTS, self.transports))?;
        writeln!(f, "seed {}", self.seed)?;
        if !self.jitter.is_zero() {
            writeln!(f, "jitter {}", millis(self.jitter))?;
        }
        for known in &self.traits {
            writeln!(f, "server {}", word_of(&TRAITS, *known))?;
        }
        for action in &self.actions {
            writeln!(f, "{action}")?;
        }
        Ok(())
    }
}

/// What a line can set.
enum Setting {
    Transports(Transports),
    Seed(u64),
    Jitter(Duration),
    Trait(Trait),
}

fn setting(line: &str) -> Option<Setting> {
    match line.split_whitespace().collect::<Vec<_>>().as_slice() {
        ["transport", word] => by_word(&TRANSPORTS, word).map(Setting::Transports),
        ["seed", number] => number.parse().ok().map(Setting::Seed),
        ["jitter", time] => duration(time).map(Setting::Jitter),
        ["server", word] => by_word(&TRAITS, word).map(Setting::Trait),
        _ => None,
    }
}

impl FromStr for History {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut history: Option<Self> = None;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = |wrong: Wrong| Unreadable { line: number + 1, wrong };
            let Some(history) = &mut history else {
                let Some(Setting::Transports(transports)) = setting(line) else {
                    return Err(wrong(Wrong::NoTransport));
                };
                history = Some(Self::new(transports, Vec::new()));
                continue;
            };
            match setting(line) {
                Some(_) if !history.actions.is_empty() => return Err(wrong(Wrong::Late)),
                Some(Setting::Transports(transports)) => history.transports = transports,
                Some(Setting::Seed(seed)) => history.seed = seed,
                Some(Setting::Jitter(jitter)) => history.jitter = jitter,
                Some(Setting::Trait(known)) => {
                    history.traits.push(known);
                    history.traits.sort_unstable();
                    history.traits.dedup();
                }
                None => history.actions.push(line.parse().map_err(wrong)?),
            }
        }
        history.ok_or_else(|| Unreadable { line: text.lines().count() + 1, wrong: Wrong::NoTransport })
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    #[test]
    fn survives_its_own_text() {
        let millis = Duration::from_millis;
        let faults = [
            Fault::Delay(millis(15)),
            Fault::Lose,
            Fault::Break { after: millis(0) },
            Fault::Silence,
            Fault::Duplicate { after: millis(7) },
            Fault::Unreachable,
            Fault::Refuse(503),
        ];
        let strikes = Target::ALL.into_iter().flat_map(|target| faults.map(|fault| Action::Strike(target, fault)));
        let mut actions = vec![
            Action::Wait(millis(500)),
            Action::ClientStarts,
            Action::ClientSays("yes".to_owned()),
            Action::ClientEnds,
            Action::ClientLeaves,
            Action::AgentJoins,
            Action::AgentSays("no".to_owned()),
            Action::AgentLeaves,
            Action::AgentCloses,
            Action::SessionForgotten,
            Action::SessionDisconnected,
            Action::ServerRestarts,
            Action::ConnectionsBreak,
            Action::NetworkDown,
            Action::NetworkUp,
        ];
        actions.extend(strikes);
        actions.extend(Deed::ALL.map(Action::ClientDoes));
        let history = History {
            seed: 7,
            jitter: millis(20),
            traits: TRAITS.map(|(known, _)| known).to_vec(),
            ..History::new(Transports::Either, actions)
        };
        assert_eq!(history.to_string().parse(), Ok(history));
    }

    #[rstest]
    #[case("", "line 1: no transport is named")]
    #[case("client starts", "line 1: no transport is named")]
    #[case(
        "transport websocket\n# why\n\nclient startles",
        "line 4: `client startles` is neither a setting nor an action"
    )]
    #[case("transport websocket\nwait 5s", "line 2: `wait 5s` is neither a setting nor an action")]
    #[case("transport websocket\nlose everything", "line 2: `lose everything` is neither a setting nor an action")]
    #[case("transport websocket\nclient starts\nseed 4", "line 3: a setting stands behind an action")]
    fn names_what_is_wrong(#[case] text: &str, #[case] says: &str) {
        assert_eq!(text.parse::<History>().unwrap_err().to_string(), says);
    }
}

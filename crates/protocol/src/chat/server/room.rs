//! One chat as Chat Server keeps it: its participants, its transcript, and how both read on the wire.

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::bayeux::server::SessionId;
use crate::chat::notification::{ParticipantType, Status};
use crate::chat::server::Codes;
use crate::mint::Mint;
use crate::secret::Secret;
use crate::time::Time;

/// A participant, as it stands in `from`.
#[derive(Clone, Debug)]
pub(super) struct Party {
    pub(super) nickname: Secret,
    pub(super) participant_id: i64,
    pub(super) kind: ParticipantType,
}

/// An event of the transcript, ready for the wire.
#[derive(Clone)]
pub(super) struct Stored {
    pub(super) index: u64,
    pub(super) event: Value,
}

/// Shows the position alone, since the rest is personal.
impl std::fmt::Debug for Stored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.index)
    }
}

/// Why a participant left, by the number in `eventAttributes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum QuitReason {
    /// By itself: the number is not delivered.
    Logout,
    /// Another participant ended the chat.
    RemovedByOther,
}

/// What kind of event it is, with what it carries.
#[derive(Clone, Debug)]
pub(super) enum What {
    Joined,
    Left(QuitReason),
    Said { text: Secret, message_type: Option<String> },
}

/// What answers and notifications say of the chat itself.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// The service's channel.
    pub(super) channel: String,
    pub(super) secure_key: Secret,
    user_id: Secret,
    chat_id: Secret,
    alias: Secret,
    pub(super) client: Party,
    pub(super) system: Party,
    /// The agent who is in the chat.
    pub(super) agent: Option<Party>,
    last_participant: i64,
    transcript: Vec<Stored>,
    last_index: u64,
    pub(super) ended: bool,
    /// The session that gets notifications.
    pub(super) attached: Option<SessionId>,
    /// When the chat ends for want of a session.
    pub(super) inactive_at: Option<Time>,
}

impl Room {
    pub(super) fn new(channel: &str, nickname: &str, mint: &mut Mint, alias: &Secret) -> Self {
        let party = |name: &str, participant_id: i64, kind: ParticipantType| Party {
            nickname: Secret::new(name),
            participant_id,
            kind,
        };
        Self {
            channel: channel.to_owned(),
            secure_key: Secret::new(mint.base_64(100)),
            user_id: Secret::new(mint.hex(16)),
            chat_id: Secret::new(mint.alphanumeric(16)),
            alias: alias.clone(),
            client: party(nickname, 1, ParticipantType::Client),
            system: party("system", 2, ParticipantType::External),
            agent: None,
            last_participant: 2,
            transcript: Vec::new(),
            last_index: 0,
            ended: false,
            attached: None,
            inactive_at: None,
        }
    }

    pub(super) fn admit_agent(&mut self, nickname: &str) -> Party {
        self.last_participant += 1;
        let agent = Party {
            nickname: Secret::new(nickname),
            participant_id: self.last_participant,
            kind: ParticipantType::Agent,
        };
        self.agent = Some(agent.clone());
        agent
    }

    /// Adds an event to the transcript and gives it.
    pub(super) fn append(&mut self, utc_time: i64, step: u64, from: &Party, what: &What) -> Stored {
        self.last_index = self.last_index.saturating_add(step);
        let kind = match what {
            What::Joined => "ParticipantJoined",
            What::Left(_) => "ParticipantLeft",
            What::Said { .. } => "Message",
        };
        let mut event = Map::new();
        event.insert("index".to_owned(), self.last_index.into());
        event.insert("type".to_owned(), kind.into());
        match what {
            What::Said { text, message_type } => {
                event.insert("text".to_owned(), text.expose().into());
                if let Some(label) = message_type {
                    event.insert("messageType".to_owned(), label.as_str().into());
                }
            }
            What::Left(QuitReason::RemovedByOther) => {
                event.insert("eventAttributes".to_owned(), json!({"GCTI_SYSTEM": {"quit-reason-code": 4}}));
            }
            What::Joined | What::Left(QuitReason::Logout) => {}
        }
        event.insert(
            "from".to_owned(),
            json!({
                "nickname": from.nickname.expose(),
                "participantId": from.participant_id,
                "type": from.kind.as_str(),
            }),
        );
        event.insert("utcTime".to_owned(), utc_time.into());
        let stored = Stored { index: self.last_index, event: Value::Object(event) };
        self.transcript.push(stored.clone());
        stored
    }

    /// The events from a position; 0 and less mean all.
    pub(super) fn events_from(&self, position: i64, inclusive: bool) -> Vec<Stored> {
        let position = u64::try_from(position).unwrap_or(0);
        let first = if inclusive { position } else { position.saturating_add(1) };
        self.transcript.iter().filter(|stored| stored.index >= first).cloned().collect()
    }

    /// All events with their indexes.
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &Value)> {
        self.transcript.iter().map(|stored| (stored.index, &stored.event))
    }

    /// How many events there are.
    pub(super) const fn length(&self) -> usize {
        self.transcript.len()
    }

    /// Ends the chat. Its transcript is of no further use to anyone.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.agent = None;
        self.attached = None;
        self.inactive_at = None;
        self.transcript = Vec::new();
    }

    /// The envelope of a success.
    pub(super) fn success(&self, events: &[Stored], ended: bool) -> Box<RawValue> {
        raw(&json!({
            "statusCode": Status::Ok.code(),
            "chatEnded": ended,
            "secureKey": self.secure_key.expose(),
            "userId": self.user_id.expose(),
            "chatId": self.chat_id.expose(),
            "alias": self.alias.expose(),
            "nextPosition": self.last_index.saturating_add(1),
            "messages": events.iter().map(|stored| &stored.event).collect::<Vec<_>>(),
        }))
    }

    /// The envelope of a request into a chat that has ended.
    pub(super) fn over(&self, codes: &Codes, reference: u64) -> Box<RawValue> {
        raw(&json!({
            "statusCode": Status::Failed.code(),
            "chatEnded": true,
            "alias": self.alias.expose(),
            "chatId": self.chat_id.expose(),
            "messages": [],
            "errors": [not_executed(codes, reference)],
        }))
    }
}

/// The envelope of a request that failed and touched no chat.
pub(super) fn failure(ended: bool, code: i64, advice: &str) -> Box<RawValue> {
    raw(&json!({
        "statusCode": Status::Failed.code(),
        "chatEnded": ended,
        "messages": [],
        "errors": [{"code": code, "advice": advice}],
    }))
}

/// What GMS says when Chat Server refuses: a code and a reference for whoever reads its logs.
pub(super) fn not_executed(codes: &Codes, reference: u64) -> Value {
    json!({"code": codes.not_executed, "advice": not_executed_advice(reference)})
}

pub(super) fn not_executed_advice(reference: u64) -> String {
    format!("The request could not be executed. referenceId[{reference}]")
}

fn raw(value: &Value) -> Box<RawValue> {
    to_raw_value(value).expect("a JSON value always serialises")
}

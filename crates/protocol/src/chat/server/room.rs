//! One chat as Chat Server keeps it: its participants, its transcript, and how its answers read on the wire.

use std::time::Duration;

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Map, Value, json};

use crate::bayeux::server::SessionId;
use crate::chat::notification::{ParticipantType, Status};
use crate::chat::server::event::{Attached, Occurred, Party, Place, What};
use crate::chat::server::files::Files;
use crate::chat::server::settings::{GmsSettings, Idle};
use crate::mint::Mint;
use crate::secret::Secret;
use crate::time::Time;

/// What answers and notifications say of the chat itself.
#[derive(Clone, Debug)]
pub(super) struct Room {
    /// The service's channel.
    pub(super) channel: String,
    pub(super) secure_key: Secret,
    /// The key before that, until the new one is used.
    pub(super) old_key: Option<Secret>,
    pub(super) user_id: Secret,
    pub(super) chat_id: Secret,
    /// Names the Chat Server instance.
    pub(super) alias: Secret,
    pub(super) client: Party,
    pub(super) system: Party,
    /// Agents, bots and supervisors in the chat, in the order in which they joined.
    pub(super) agents: Vec<Party>,
    last_participant: i64,
    transcript: Vec<Occurred>,
    last_index: u64,
    pub(super) ended: bool,
    /// The sessions that get notifications; the last one asked last.
    pub(super) attached: Vec<SessionId>,
    /// When the chat ends for want of a session.
    pub(super) inactive_at: Option<Time>,
    /// Whether the client has subscribed to pushes.
    pub(super) pushes: bool,
    /// Whether the client went into the background.
    pub(super) in_background: bool,
    /// Whether `system` has still to welcome the client.
    pub(super) owes_welcome: bool,
    /// When something was last said.
    pub(super) said_at: Time,
    /// How many idle alerts came since.
    pub(super) alerts: u8,
    pub(super) user_data: Attached,
    pub(super) files: Files,
}

impl Room {
    pub(super) fn new(now: Time, channel: &str, nickname: &str, mint: &mut Mint, alias: &Secret) -> Self {
        let party = |name: &str, participant_id: i64, kind: ParticipantType| Party {
            nickname: Secret::new(name),
            participant_id,
            kind,
        };
        Self {
            channel: channel.to_owned(),
            secure_key: Secret::new(mint.base_64(100)),
            old_key: None,
            user_id: Secret::new(mint.hex(16)),
            chat_id: Secret::new(mint.alphanumeric(16)),
            alias: alias.clone(),
            client: party(nickname, 1, ParticipantType::Client),
            system: party("system", 2, ParticipantType::External),
            agents: Vec::new(),
            last_participant: 2,
            transcript: Vec::new(),
            last_index: 0,
            ended: false,
            attached: Vec::new(),
            inactive_at: None,
            pushes: false,
            in_background: false,
            owes_welcome: false,
            said_at: now,
            alerts: 0,
            user_data: Attached(Map::new()),
            files: Files::default(),
        }
    }

    pub(super) fn admit(&mut self, nickname: &str, kind: ParticipantType) -> Party {
        self.last_participant += 1;
        let party = Party { nickname: Secret::new(nickname), participant_id: self.last_participant, kind };
        self.agents.push(party.clone());
        party
    }

    /// Makes an event and gives it its place in the transcript. `step` is how far the index moves if it does.
    pub(super) fn append(
        &mut self,
        now: Time,
        utc_ms: i64,
        step: u64,
        from: &Party,
        what: &What,
        settings: &GmsSettings,
    ) -> Occurred {
        let place = what.place(settings);
        if place != Place::None {
            self.last_index = self.last_index.saturating_add(step);
        }
        if what.breaks_silence() {
            self.said_at = now;
            self.alerts = 0;
        }
        let index = matches!(place, Place::Kept | Place::Indexed).then_some(self.last_index);
        let occurred = Occurred { index, event: what.to_value(index, from, utc_ms, settings) };
        if place == Place::Kept {
            self.transcript.push(occurred.clone());
        }
        occurred
    }

    /// The events from a position; 0 and less mean all.
    pub(super) fn events_from(&self, position: i64, inclusive: bool) -> Vec<Occurred> {
        let position = u64::try_from(position).unwrap_or(0);
        let first = if inclusive { position } else { position.saturating_add(1) };
        self.transcript.iter().filter(|occurred| occurred.index.is_some_and(|index| index >= first)).cloned().collect()
    }

    /// All events that are kept, with their indexes.
    pub(super) fn events(&self) -> impl Iterator<Item = (u64, &Value)> {
        self.transcript.iter().filter_map(|occurred| Some((occurred.index?, &occurred.event)))
    }

    /// How many events are kept.
    pub(super) const fn length(&self) -> usize {
        self.transcript.len()
    }

    /// When the silence calls for the next alert or the end.
    pub(super) fn idle_at(&self, idle: &Idle) -> Option<Time> {
        if self.ended || idle.alert_ms == 0 {
            return None;
        }
        let second = Some(idle.alert2_ms).filter(|ms| *ms > 0 && self.alerts < 2);
        let after = match (self.alerts, second) {
            (0, _) => idle.alert_ms,
            (_, Some(second)) => second,
            (_, None) if idle.close_ms == 0 => return None,
            (_, None) => idle.close_ms,
        };
        let so_far = match self.alerts {
            0 => 0,
            1 => idle.alert_ms,
            _ => idle.alert_ms.saturating_add(idle.alert2_ms),
        };
        Some(self.said_at + Duration::from_millis(so_far.saturating_add(after)))
    }

    /// Whether the next thing that silence calls for is an alert.
    pub(super) const fn is_alert_next(&self, idle: &Idle) -> bool {
        self.alerts == 0 || (self.alerts == 1 && idle.alert2_ms > 0)
    }

    /// Ends the chat. Its transcript and its files are of no further use to anyone.
    pub(super) fn end(&mut self) {
        self.ended = true;
        self.agents = Vec::new();
        self.attached = Vec::new();
        self.inactive_at = None;
        self.transcript = Vec::new();
        self.files = Files::default();
        self.user_data = Attached(Map::new());
    }

    /// The envelope of a success.
    pub(super) fn success(
        &self,
        now: Time,
        events: &[Occurred],
        ended: bool,
        settings: &GmsSettings,
    ) -> Map<String, Value> {
        let mut data = self.named(Status::Ok, ended);
        let mut put = |name: &str, value: Value| drop(data.insert(name.to_owned(), value));
        if settings.tells_monitored {
            put("monitored", self.agents.iter().any(|agent| agent.kind == ParticipantType::Supervisor).into());
        }
        if settings.tells_idle_timer {
            let expires = self.idle_at(&settings.idle).map(|at| at.since(now).as_secs());
            put("idleTimerExpire", expires.into());
        }
        put("messages", events.iter().map(|occurred| occurred.event.clone()).collect());
        data
    }

    /// The envelope of a request that Chat Server could not be asked, with the chat that it is about.
    pub(super) fn unavailable(&self) -> Map<String, Value> {
        let mut data = self.named(Status::Unavailable, false);
        data.insert("messages".to_owned(), json!([]));
        data
    }

    fn named(&self, status: Status, ended: bool) -> Map<String, Value> {
        object(json!({
            "statusCode": status.code(),
            "chatEnded": ended,
            "secureKey": self.secure_key.expose(),
            "userId": self.user_id.expose(),
            "chatId": self.chat_id.expose(),
            "alias": self.alias.expose(),
            "nextPosition": self.last_index.saturating_add(1),
        }))
    }

    /// The envelope of a request into a chat that has ended.
    pub(super) fn over(&self, code: i64, reference: u64) -> Map<String, Value> {
        object(json!({
            "statusCode": Status::Failed.code(),
            "chatEnded": true,
            "alias": self.alias.expose(),
            "chatId": self.chat_id.expose(),
            "messages": [],
            "errors": [{"code": code, "advice": not_executed_advice(reference)}],
        }))
    }
}

/// The envelope of a request that failed and touched no chat.
pub(super) fn failure(ended: bool, code: i64, advice: &str) -> Map<String, Value> {
    object(json!({
        "statusCode": Status::Failed.code(),
        "chatEnded": ended,
        "messages": [],
        "errors": [{"code": code, "advice": advice}],
    }))
}

/// The envelope of a request that Chat Server could not be asked, for no chat.
pub(super) fn unavailable() -> Map<String, Value> {
    object(json!({"statusCode": Status::Unavailable.code(), "chatEnded": false, "messages": []}))
}

/// What GMS says when Chat Server refuses: a reference for whoever reads its logs.
pub(super) fn not_executed_advice(reference: u64) -> String {
    format!("The request could not be executed. referenceId[{reference}]")
}

/// The text of an envelope.
pub(super) fn raw(data: &Map<String, Value>) -> Box<RawValue> {
    to_raw_value(data).expect("a JSON value always serialises")
}

pub(super) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => Map::new(),
    }
}

//! Who gets the notifications of a chat, and what becomes of a chat that nobody listens to or speaks in.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::bayeux::server::SessionId;
use crate::chat::server::event::{QuitReason, What};
use crate::chat::server::settings::Sharing;
use crate::chat::server::{ChatNumber, ChatServer, EndedBy, Event};
use crate::time::Time;

/// Attached data that subscribes to pushes: the device to push to, or the word of asynchronous chats.
const PUSH_DEVICES: [&str; 2] = ["push_notification_deviceid", "GCTI_GMS_PushDeviceId"];
const PUSH_SUBSCRIBE: &str = "GCTI_Chat_PushSubscribe";

impl ChatServer {
    /// The CometD session is gone without the client's wish: it expired, or it was forgotten. Its chats live on for a
    /// while.
    pub fn handle_session_closed(&mut self, now: Time, session: SessionId) {
        self.detach(now, session, self.settings.expiry_ends);
    }

    /// The client said `/meta/disconnect`. Its chats live on for a while. `has_position` says whether it left its
    /// position in the transcript behind, as one that goes into the background does.
    pub fn handle_session_left(&mut self, now: Time, session: SessionId, has_position: bool) {
        if has_position && self.settings.background_mode {
            for room in self.rooms.values_mut().filter(|room| room.attached.contains(&session)) {
                room.in_background = true;
            }
        }
        self.detach(now, session, self.settings.disconnect_ends);
    }

    fn detach(&mut self, now: Time, session: SessionId, ends: bool) {
        let mut abandoned = Vec::new();
        for (chat, room) in self.rooms.iter_mut().filter(|(_, room)| room.attached.contains(&session)) {
            room.attached.retain(|attached| *attached != session);
            if room.attached.is_empty() {
                abandoned.push(*chat);
            }
        }
        for chat in abandoned {
            let stays = self.rooms.get(&chat).is_some_and(|room| room.in_background);
            if ends && !stays {
                self.remove_client(now, chat, QuitReason::Logout, EndedBy::Client);
            } else {
                self.begin_inactivity(now, chat);
            }
        }
    }

    /// The last session that asks gets the notifications, unless all of them do.
    pub(super) fn attach(&mut self, chat: ChatNumber, session: SessionId, user_data: &Map<String, Value>) {
        let Some(room) = self.rooms.get_mut(&chat) else { return };
        match self.settings.sharing {
            Sharing::Last => room.attached.clear(),
            Sharing::All => room.attached.retain(|attached| *attached != session),
        }
        room.attached.push(session);
        room.inactive_at = None;
        room.in_background = false;
        room.user_data.0.extend(user_data.clone());
        room.pushes = subscribes(&room.user_data.0);
        self.emit(Event::Attached(chat, session));
    }

    fn begin_inactivity(&mut self, now: Time, chat: ChatNumber) {
        let Some(room) = self.rooms.get_mut(&chat) else { return };
        let lives_on = room.pushes || room.in_background;
        let millis = if lives_on { self.settings.push_timeout_ms } else { self.settings.inactivity_ms };
        room.inactive_at = Some(now + Duration::from_millis(millis));
    }

    /// A request without attaching puts the end off.
    pub(super) fn put_off_inactivity(&mut self, now: Time, chat: ChatNumber) {
        if self.rooms.get(&chat).is_some_and(|room| room.inactive_at.is_some()) {
            self.begin_inactivity(now, chat);
        }
    }

    /// Ends the chats that no session was attached to for too long.
    pub(super) fn end_abandoned(&mut self, now: Time) {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        let abandoned: Vec<ChatNumber> =
            self.rooms.iter().filter(|(_, room)| due(room.inactive_at)).map(|(chat, _)| *chat).collect();
        for chat in abandoned {
            self.end(now, chat, EndedBy::Inactivity);
        }
    }

    /// Warns in chats in which nobody has said anything, or ends them.
    pub(super) fn mind_silence(&mut self, now: Time) {
        if self.away {
            return;
        }
        let idle = self.settings.idle.clone();
        // One that was slept through a whole night is warned and ended at once.
        while let Some(chat) = self.first_silent(now) {
            let Some(room) = self.rooms.get_mut(&chat) else { return };
            let system = room.system.clone();
            if room.is_alert_next(&idle) {
                room.alerts += 1;
                self.occur(now, chat, &system, &What::IdleAlert(idle.alert_text.clone()), false);
            } else {
                self.occur(now, chat, &system, &What::IdleClose(idle.close_text.clone()), false);
                self.remove_client(now, chat, QuitReason::SessionInactivity, EndedBy::Silence);
            }
        }
    }

    fn first_silent(&self, now: Time) -> Option<ChatNumber> {
        let due = |at: Option<Time>| at.is_some_and(|at| at <= now);
        self.rooms.iter().find(|(_, room)| due(room.idle_at(&self.settings.idle))).map(|(chat, _)| *chat)
    }
}

/// Whether attached data subscribes to pushes.
fn subscribes(user_data: &Map<String, Value>) -> bool {
    let text = |name: &str| user_data.get(name).and_then(Value::as_str).unwrap_or_default();
    PUSH_DEVICES.iter().any(|name| !text(name).is_empty()) || text(PUSH_SUBSCRIBE) == "true"
}

//! What the operations on the service channel do.

use serde_json::{Map, Value};

use crate::bayeux::server::SessionId;
use crate::chat::CHANNEL_PREFIX;
use crate::chat::operation::{Extras, Invalid, Operation, Request, RequestChat};
use crate::chat::server::event::{QuitReason, What};
use crate::chat::server::room::{self, Room};
use crate::chat::server::settings::{NotificationMode, UnknownService};
use crate::chat::server::{ChatNumber, ChatServer, EndedBy, Event};
use crate::secret::Secret;
use crate::time::Time;

impl ChatServer {
    /// Takes a publish in: the channel and the text of `data`. What is no channel of the API is not its business.
    pub fn handle_publish(&mut self, now: Time, from: SessionId, channel: &str, data: Option<&str>) {
        let Some(service) = channel.strip_prefix(CHANNEL_PREFIX) else { return };
        if self.settings.notification_mode != NotificationMode::On {
            return;
        }
        if !self.services.contains(service) {
            if self.settings.unknown_service == UnknownService::Failure {
                let reference = self.next_reference();
                let code = self.settings.codes.not_executed;
                self.fail(now, from, channel, code, &room::not_executed_advice(reference));
            }
            return;
        }
        let data = data.unwrap_or("null");
        let request = Request::parse(data);
        if request == Err(Invalid::NotAnObject) {
            // Nothing that could be answered.
            return;
        }
        let extras = Extras::parse(data);
        match self.admit(request, &extras) {
            Ok(request) => self.handle_operation(now, from, channel, request, &extras),
            Err((code, advice)) => self.fail(now, from, channel, code, &advice),
        }
    }

    /// Says what is wrong with a request before anybody looks for its chat.
    fn admit(&self, request: Result<Request, Invalid>, extras: &Extras) -> Result<Request, (i64, String)> {
        let codes = &self.settings.codes;
        let unknown = || (codes.operation_unknown, "the operation is unknown".to_owned());
        if let Some(expected) = &self.settings.auth
            && extras.auth.as_ref().map(Secret::expose) != Some(expected.0.as_str())
        {
            return Err((codes.unauthorized, "the service needs `auth`".to_owned()));
        }
        let request = request.map_err(|error| match error {
            Invalid::OperationUnknown(_) => unknown(),
            Invalid::NameMissing => (codes.name_missing, error.to_string()),
            Invalid::OperationMissing
            | Invalid::ParameterMissing(_)
            | Invalid::SecureKeyMissing
            | Invalid::NotAnObject => (codes.parameter_missing, error.to_string()),
        })?;
        if matches!(request.operation, Operation::ReadReceipt { .. }) && !self.settings.read_receipts {
            return Err(unknown());
        }
        let is_resuming = matches!(request.operation, Operation::RequestNotifications { .. });
        if is_resuming && extras.position_is_text && !self.settings.text_positions {
            return Err((codes.parameter_missing, "parameter `transcriptPosition` is no number".to_owned()));
        }
        if let Operation::RequestChat(RequestChat { email_address: Some(address), .. }) = &request.operation
            && !is_email(address)
        {
            return Err((codes.email_invalid, "`emailAddress` is no address".to_owned()));
        }
        Ok(request)
    }

    fn handle_operation(&mut self, now: Time, from: SessionId, channel: &str, request: Request, extras: &Extras) {
        let known = request.secure_key.as_ref().and_then(|key| self.chat_on(channel, key));
        if self.away {
            let data = match known.and_then(|chat| self.rooms.get(&chat)).filter(|_| self.settings.outage_names_chat) {
                Some(room) => room.unavailable(),
                None => room::unavailable(),
            };
            return self.deliver(now, from, channel, &data);
        }
        if let Operation::RequestChat(wanted) = request.operation {
            return match known.filter(|chat| self.settings.old_key_resumes && self.is_running(*chat)) {
                Some(chat) => self.resume(now, from, chat, None, extras),
                None => self.start(now, from, channel, wanted, extras),
            };
        }
        let Some(chat) = known else { return self.refuse_key(now, from, channel, extras) };
        let Some(room) = self.rooms.get_mut(&chat) else { return };
        if room.ended {
            return self.answer_over(now, from, chat, &request.operation);
        }
        if request.secure_key.as_ref() == Some(&room.secure_key)
            && let Some(old) = room.old_key.take()
        {
            self.by_key.remove(&old);
        }
        self.put_off_inactivity(now, chat);
        self.operate(now, from, chat, request.operation, extras);
    }

    /// The chat of a key. A key is good for the service that issued it.
    fn chat_on(&self, channel: &str, key: &Secret) -> Option<ChatNumber> {
        self.by_key.get(key).copied().filter(|chat| self.rooms.get(chat).is_some_and(|room| room.channel == channel))
    }

    fn operate(&mut self, now: Time, from: SessionId, chat: ChatNumber, operation: Operation, extras: &Extras) {
        let what = match operation {
            Operation::RequestChat(_) => return,
            Operation::RequestNotifications { transcript_position } => {
                return self.resume(now, from, chat, transcript_position, extras);
            }
            Operation::SendMessage { message, message_type } => {
                return self.send_message(now, from, chat, &message, message_type);
            }
            Operation::StartTyping { preview } => What::TypingStarted { preview: preview.map(Secret::new) },
            Operation::StopTyping { preview } => What::TypingStopped { preview: preview.map(Secret::new) },
            Operation::CustomNotice { message, message_type } => {
                What::Noticed { text: message.map(Secret::new), message_type }
            }
            Operation::PushUrl { url } => What::ShownUrl(Secret::new(url)),
            Operation::UpdateNickname { nickname } => return self.rename(now, from, chat, &nickname),
            Operation::UpdateData { user_data } => return self.update_data(now, from, chat, user_data),
            Operation::ReadReceipt { .. } => return self.deliver_success(now, from, chat, &[], false),
            Operation::Disconnect => {
                self.answer(now, from, chat, &What::Left(QuitReason::Logout), true);
                return self.end(now, chat, EndedBy::Client);
            }
        };
        self.answer(now, from, chat, &what, false);
    }

    /// Answers a request into a chat that has ended.
    fn answer_over(&mut self, now: Time, from: SessionId, chat: ChatNumber, operation: &Operation) {
        if self.settings.repeated_end_succeeds && matches!(operation, Operation::Disconnect) {
            return self.deliver_success(now, from, chat, &[], true);
        }
        let (code, reference) = (self.settings.codes.not_executed, self.next_reference());
        let Some(room) = self.rooms.get(&chat) else { return };
        let (channel, data) = (room.channel.clone(), room.over(code, reference));
        self.emit(Event::Failed(from, code));
        self.deliver(now, from, &channel, &data);
    }

    /// Answers a request whose key is no key of the service.
    fn refuse_key(&mut self, now: Time, from: SessionId, channel: &str, extras: &Extras) {
        if self.settings.wrong_key_removes {
            let named = |room: &Room| {
                !room.ended
                    && room.channel == channel
                    && (extras.chat_id.as_ref() == Some(&room.chat_id)
                        || extras.user_id.as_ref() == Some(&room.user_id))
            };
            let victim = self.rooms.iter().find(|(_, room)| named(room)).map(|(chat, _)| *chat);
            if let Some(chat) = victim {
                self.remove_client(now, chat, QuitReason::WrongKey, EndedBy::WrongKey);
            }
        }
        let (code, reference) = (self.settings.codes.not_executed, self.next_reference());
        self.emit(Event::Failed(from, code));
        let data = room::failure(self.settings.unknown_key_ends, code, &room::not_executed_advice(reference));
        self.deliver(now, from, channel, &data);
    }

    fn start(&mut self, now: Time, from: SessionId, channel: &str, request: RequestChat, extras: &Extras) {
        let has_chat = self.rooms.values().any(|room| !room.ended && room.attached.contains(&from));
        if self.settings.one_chat_per_session && has_chat {
            let code = self.settings.codes.cannot_start;
            return self.fail(now, from, channel, code, "the session has a chat already");
        }
        let nickname = request.nickname.unwrap_or_else(|| {
            [request.first_name, request.last_name].into_iter().flatten().collect::<Vec<_>>().join(" ")
        });
        let mut room = Room::new(now, channel, &nickname, &mut self.mint, &self.alias);
        room.owes_welcome = !self.settings.welcome.is_empty();
        let chat = ChatNumber(self.rooms.keys().next_back().map_or(1, |last| last.0 + 1));
        self.by_key.insert(room.secure_key.clone(), chat);
        self.rooms.insert(chat, room);
        self.emit(Event::Started(chat));
        self.attach(chat, from, &extras.user_data);
        self.answer(now, from, chat, &What::Joined { bot: false }, false);
        if let Some(text) = request.text.filter(|text| !text.is_empty()) {
            self.answer(now, from, chat, &What::Said { text: Secret::new(text), message_type: None }, false);
        }
        if !self.settings.welcome_after_join {
            self.welcome(now, chat);
        }
    }

    /// Lets `system` welcome the client, once.
    pub(super) fn welcome(&mut self, now: Time, chat: ChatNumber) {
        let Some(room) = self.rooms.get_mut(&chat).filter(|room| room.owes_welcome) else { return };
        room.owes_welcome = false;
        let system = room.system.clone();
        let text = Secret::new(self.settings.welcome.clone());
        self.occur(now, chat, &system, &What::Said { text, message_type: None }, false);
    }

    /// Gives a session the notifications from here on, and the events from a position.
    fn resume(&mut self, now: Time, from: SessionId, chat: ChatNumber, position: Option<i64>, extras: &Extras) {
        let repeats = self.settings.repeats_to_attached
            || self.rooms.get(&chat).is_some_and(|room| !room.attached.contains(&from));
        self.attach(chat, from, &extras.user_data);
        if self.settings.key_renewal {
            self.renew_key(chat);
        }
        let inclusive = self.settings.position_inclusive;
        let room = self.rooms.get(&chat).filter(|_| repeats);
        let events = room.map(|room| room.events_from(position.unwrap_or(0), inclusive));
        self.deliver_success(now, from, chat, &events.unwrap_or_default(), false);
    }

    fn renew_key(&mut self, chat: ChatNumber) {
        let key = Secret::new(self.mint.base_64(100));
        let Some(room) = self.rooms.get_mut(&chat) else { return };
        self.by_key.insert(key.clone(), chat);
        let current = std::mem::replace(&mut room.secure_key, key);
        if let Some(older) = room.old_key.replace(current) {
            self.by_key.remove(&older);
        }
    }

    fn send_message(&mut self, now: Time, from: SessionId, chat: ChatNumber, message: &str, label: Option<String>) {
        if message.chars().count() > self.settings.message_limit {
            let code = self.settings.codes.message_too_long;
            let advice = format!("a message may have {} characters", self.settings.message_limit);
            let channel = self.rooms.get(&chat).map(|room| room.channel.clone()).unwrap_or_default();
            return self.fail(now, from, &channel, code, &advice);
        }
        let text = Secret::new(message);
        self.answer(now, from, chat, &What::Said { text: text.clone(), message_type: label }, false);
        self.emit(Event::ClientSaid(chat, text));
    }

    fn rename(&mut self, now: Time, from: SessionId, chat: ChatNumber, nickname: &str) {
        let new_name = Secret::new(nickname);
        let in_text = self.settings.new_name_in_text;
        let Some(room) = self.rooms.get_mut(&chat) else { return };
        if !in_text {
            room.client.nickname = new_name.clone();
        }
        let what = What::Renamed { new_name: in_text.then(|| new_name.clone()) };
        self.answer(now, from, chat, &what, false);
        if let Some(room) = self.rooms.get_mut(&chat) {
            room.client.nickname = new_name;
        }
    }

    fn update_data(&mut self, now: Time, from: SessionId, chat: ChatNumber, user_data: Map<String, Value>) {
        if let Some(room) = self.rooms.get_mut(&chat) {
            room.user_data.0.extend(user_data);
        }
        if self.settings.update_data_event {
            self.answer(now, from, chat, &What::DataUpdated, false);
        } else {
            self.deliver_success(now, from, chat, &[], false);
        }
    }
}

/// Whether a text is an address, as far as can be seen; an empty one counts as none given.
fn is_email(text: &str) -> bool {
    let parts = text.rsplit_once('@');
    text.is_empty() || parts.is_some_and(|(name, host)| !name.is_empty() && !host.is_empty())
}

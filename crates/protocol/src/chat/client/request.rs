//! What the application does in a running chat: one operation after the other, each until its answer was seen.
//!
//! No answer carries the id of a request. What an operation came to is told by its echo, an event of our own that says the
//! same; for the few that have none by an answer without events.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::state::{Chat, Restore, Sending, State};
use super::{Client, Event, Misuse, SendId, Sent};
use crate::chat::notification::{Event as Transcript, EventType, ParticipantType};
use crate::chat::operation::Operation;
use crate::time::Time;

/// # Operations
///
/// Each gives [`Misuse::NoChat`] unless a chat runs; one that is being ended does not. What became of it comes as
/// [`Event::Sent`] under the returned id.
impl Client {
    /// Says something.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn send(&mut self, now: Time, text: impl Into<String>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::SendMessage { message: text.into(), message_type: None })
    }

    /// Tells that the user is typing, perhaps what so far. It is not repeated: with the connection or Chat Server away it is
    /// [`Sent::Unsent`].
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn start_typing(&mut self, now: Time, preview: Option<String>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::StartTyping { preview })
    }

    /// Tells that the user is no longer typing, perhaps what stands there. It is not repeated either.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn stop_typing(&mut self, now: Time, preview: Option<String>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::StopTyping { preview })
    }

    /// Shows a page to the agent.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn push_url(&mut self, now: Time, url: impl Into<String>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::PushUrl { url: url.into() })
    }

    /// Says something to the agent's desktop rather than to the agent.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn custom_notice(&mut self, now: Time, text: impl Into<String>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::CustomNotice { message: Some(text.into()), message_type: None })
    }

    /// Changes the name of the user.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn update_nickname(&mut self, now: Time, nickname: impl Into<String>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::UpdateNickname { nickname: nickname.into() })
    }

    /// Changes attached data.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn update_data(&mut self, now: Time, user_data: Map<String, Value>) -> Result<SendId, Misuse> {
        self.operate(now, Operation::UpdateData { user_data })
    }

    /// Tells that everything up to [`Client::position`] was read. Servers need not know the operation.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`]
    pub fn read_receipt(&mut self, now: Time) -> Result<SendId, Misuse> {
        let transcript_position = i64::try_from(self.position()).unwrap_or(i64::MAX);
        self.operate(now, Operation::ReadReceipt { transcript_position })
    }

    fn operate(&mut self, now: Time, operation: Operation) -> Result<SendId, Misuse> {
        let connected = self.bayeux.is_connected() && !self.chat_server_lost;
        let chat = self.running()?;
        let past = is_typing(&operation) && !(connected && matches!(chat.restore, Restore::Complete));
        self.sends += 1;
        let id = SendId(self.sends);
        if past {
            self.emit(Event::Sent(id, Sent::Unsent));
        } else if let Ok(chat) = self.running() {
            chat.outbox.push_back((id, operation));
            self.advance(now);
        }
        Ok(id)
    }

    /// The chat, if one runs and is not being ended.
    pub(super) fn running(&mut self) -> Result<&mut Chat, Misuse> {
        match &mut self.state {
            State::Chatting(chat) if chat.ending.is_none() && chat.over_at.is_none() && !self.leaving => Ok(chat),
            State::Idle | State::WantsChat { .. } | State::Requesting { .. } | State::Chatting(_) | State::Over => {
                Err(Misuse::NoChat)
            }
        }
    }

    pub(super) fn send_operation(&mut self, now: Time) -> bool {
        let State::Chatting(chat) = &mut self.state else { return false };
        let next = match chat.sending.take() {
            Some(sending) => Some((sending.id, sending.operation)),
            None => chat.outbox.pop_front(),
        };
        let Some((id, operation)) = next else { return false };
        let (key, after) = (chat.key.clone(), chat.order.seen());
        let published = self.publish(now, operation.clone(), Some(key));
        let deadline = now + self.config.answer_timeout;
        let State::Chatting(chat) = &mut self.state else { return false };
        match published {
            Some(publish) => {
                chat.sending =
                    Some(Sending { id, operation, after, publish, deadline, in_doubt: false, retry_at: None });
                true
            }
            None => {
                chat.outbox.push_front((id, operation));
                false
            }
        }
    }

    /// Drops what tells of typing: by the time that it could be sent it is past.
    pub(super) fn drop_typing(&mut self) {
        let State::Chatting(chat) = &mut self.state else { return };
        let under_way = chat.sending.take_if(|sending| is_typing(&sending.operation));
        let (past, outbox): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut chat.outbox).into_iter().partition(|(_, operation)| is_typing(operation));
        chat.outbox = outbox;
        if let Some(sending) = under_way {
            let says = if sending.retry_at.is_some() || self.chat_server_lost { Sent::Unsent } else { Sent::Unknown };
            self.emit(Event::Sent(sending.id, says));
        }
        for (id, _) in past {
            self.emit(Event::Sent(id, Sent::Unsent));
        }
    }
}

impl Chat {
    /// Takes the operation that these events answer, unless its echo has an index: that is told when it is shown. Some
    /// operations have no echo, and what tells of typing is answered when nothing was said against it.
    pub(super) fn take_answered(&mut self, events: &[Transcript]) -> Option<SendId> {
        let answered = self.sending.take_if(|sending| {
            let echo = events.iter().any(|event| event.index.is_none() && is_echo(&sending.operation, event));
            let awaits = !sending.in_doubt && sending.retry_at.is_none();
            awaits && (echo || (events.is_empty() && !may_be_recorded(&sending.operation)))
        });
        answered.map(|sending| sending.id)
    }
}

/// Whether an operation tells of typing.
pub(super) const fn is_typing(operation: &Operation) -> bool {
    matches!(operation, Operation::StartTyping { .. } | Operation::StopTyping { .. })
}

/// Whether the transcript holds an echo of an operation that was executed.
pub(super) const fn is_recorded(operation: &Operation) -> bool {
    matches!(operation, Operation::SendMessage { .. } | Operation::PushUrl { .. } | Operation::UpdateNickname { .. })
}

/// Whether it may: servers differ in whether notices have a place in the transcript.
pub(super) const fn may_be_recorded(operation: &Operation) -> bool {
    is_recorded(operation) || matches!(operation, Operation::CustomNotice { .. })
}

/// Whether an event is what a server makes of an operation of ours.
pub(super) fn is_echo(operation: &Operation, event: &Transcript) -> bool {
    if !event.from.as_ref().is_some_and(|from| from.kind == ParticipantType::Client) {
        return false;
    }
    let is = |kind: EventType| event.event_type() == Some(kind);
    let text = event.text.as_deref();
    match operation {
        // A message is known by its text, whatever the server calls it.
        Operation::SendMessage { message, .. } => {
            text == Some(message) && (event.event_type().is_none() || is(EventType::Message))
        }
        Operation::StartTyping { .. } => is(EventType::TypingStarted),
        Operation::StopTyping { .. } => is(EventType::TypingStopped),
        Operation::CustomNotice { message, .. } => is(EventType::CustomNotice) && text == message.as_deref(),
        Operation::PushUrl { url } => is(EventType::PushUrl) && text == Some(url),
        // Servers differ in whether the event has the old name or the new one.
        Operation::UpdateNickname { .. } => is(EventType::NicknameUpdated),
        Operation::UpdateData { .. } => is(EventType::Notice),
        Operation::RequestChat(_)
        | Operation::RequestNotifications { .. }
        | Operation::ReadReceipt { .. }
        | Operation::Disconnect => false,
    }
}

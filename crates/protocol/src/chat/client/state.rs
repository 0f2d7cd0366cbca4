//! The states of a chat client, each holding only what is valid in it.

use std::collections::VecDeque;

use super::{Event, OldIds, Order, SendId, Sent, request};
use crate::bayeux::message::MessageId;
use crate::chat::operation::{Operation, RequestChat};
use crate::secret::Secret;
use crate::time::Time;

#[derive(Clone, Debug)]
pub(super) enum State {
    /// No chat is wanted yet, or the last one did not come about.
    Idle,
    /// `requestChat` is to be sent as soon as there is a connection, or at the given time.
    WantsChat { request: RequestChat, not_before: Time },
    /// `requestChat` was sent.
    Requesting { request: RequestChat, publish: MessageId, deadline: Time, lost: bool },
    /// The chat runs.
    Chatting(Box<Chat>),
    /// The chat is over.
    Over,
}

/// A running chat.
#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub(super) key: Secret,
    pub(super) chat_id: Option<Secret>,
    pub(super) old_ids: OldIds,
    pub(super) order: Order,
    pub(super) restore: Restore,
    /// Whether the next answer is asked for from before the index shown last. A server that takes the position as
    /// exclusive gives nothing that we have otherwise, and its answer looks like any other notification.
    pub(super) asks_for_repetition: bool,
    pub(super) outbox: VecDeque<(SendId, Operation)>,
    pub(super) sending: Option<Sending>,
    pub(super) ending: Option<Ending>,
    /// The server said that the chat is over; until then its last events may still arrive.
    pub(super) over_at: Option<Time>,
}

impl Chat {
    /// Waits no longer than until then for a better answer, once the request for the transcript is acknowledged and
    /// something came that may be its answer.
    pub(super) fn hasten_restore(&mut self, until: Time) {
        if let Restore::Asked { acknowledged: true, answered: true, deadline, .. } = &mut self.restore
            && !self.asks_for_repetition
        {
            *deadline = until;
        }
    }

    /// Takes the events that nothing can precede any more, with the news of the message whose echo is among them.
    pub(super) fn take_events(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        for event in self.order.take() {
            let echo = self.sending.take_if(|sending| {
                event.index.is_some_and(|index| index > sending.after) && request::is_echo(&sending.operation, &event)
            });
            events.push(Event::Shown(event));
            events.extend(echo.map(|sending| Event::Sent(sending.id, Sent::Delivered)));
        }
        events
    }
}

/// Whether the transcript is known to be complete.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Restore {
    /// It is.
    Complete,
    /// `requestNotifications` is to be sent, not before the given time.
    Due(Time),
    /// It was sent.
    Asked { publish: MessageId, from: u64, acknowledged: bool, answered: bool, deadline: Time },
}

/// An operation whose echo is awaited.
#[derive(Clone, Debug)]
pub(super) struct Sending {
    pub(super) id: SendId,
    pub(super) operation: Operation,
    pub(super) after: u64,
    pub(super) publish: MessageId,
    pub(super) deadline: Time,
    /// The answer is lost; the transcript decides once it is complete.
    pub(super) in_doubt: bool,
    /// Chat Server was unavailable; to be repeated then.
    pub(super) retry_at: Option<Time>,
}

/// The end that we asked for.
#[derive(Clone, Debug)]
pub(super) struct Ending {
    pub(super) publish: Option<MessageId>,
    pub(super) attempts: u32,
    pub(super) deadline: Time,
}

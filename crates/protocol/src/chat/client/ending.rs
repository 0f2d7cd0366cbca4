//! How a chat comes to its end: asked for by us, told by the server, or with the connection.

use super::{Client, Ended, Event, Sent};
use crate::chat::client::state::{Ending, State};
use crate::chat::operation::Operation;
use crate::time::Time;

impl Client {
    pub(super) fn send_end(&mut self, now: Time) -> bool {
        let State::Chatting(chat) = &self.state else { return false };
        let key = chat.key.clone();
        let Some(publish) = self.publish(now, Operation::Disconnect, Some(key)) else { return false };
        let deadline = now + self.config.answer_timeout;
        if let State::Chatting(chat) = &mut self.state
            && let Some(ending) = &mut chat.ending
        {
            *ending = Ending { publish: Some(publish), deadline, ..*ending };
        }
        true
    }

    /// The server said that the chat is over. Its last events may still be on their way: behind this if it knows of more
    /// than was shown, or on another HTTP exchange. The client waits for them as long as it does for any others.
    pub(super) fn on_ended(&mut self, now: Time, complete: bool) {
        let until = now + self.config.reorder_window;
        let State::Chatting(chat) = &mut self.state else { return };
        if complete {
            self.finish(now, Ended::ByServer);
        } else {
            chat.over_at = chat.over_at.or(Some(until));
        }
    }

    pub(super) fn on_end_overdue(&mut self, now: Time) {
        let deadline = now + self.config.answer_timeout;
        let State::Chatting(chat) = &mut self.state else { return };
        let Some(ending) = &mut chat.ending else { return };
        if ending.attempts < 3 {
            *ending = Ending { publish: None, attempts: ending.attempts + 1, deadline };
        } else {
            self.finish(now, Ended::Unconfirmed);
        }
    }

    pub(super) fn finish(&mut self, now: Time, why: Ended) {
        let State::Chatting(chat) = &mut self.state else { return };
        chat.order.complete();
        let events = chat.take_events();
        for event in events {
            self.emit(event);
        }
        self.settle_sends();
        self.abandon_jobs();
        self.state = State::Over;
        self.emit(Event::Ended(why));
        self.leaving = true;
        self.bayeux.disconnect(now);
    }

    /// Tells what became of the operations that a chat leaves behind.
    pub(super) fn settle_sends(&mut self) {
        let State::Chatting(chat) = &mut self.state else { return };
        let under_way = chat.sending.take().map(|sending| match sending.retry_at {
            Some(_) => Event::Sent(sending.id, Sent::Unsent),
            None => Event::Sent(sending.id, Sent::Unknown),
        });
        let waiting = std::mem::take(&mut chat.outbox).into_iter().map(|(id, _)| Event::Sent(id, Sent::Unsent));
        let events: Vec<Event> = under_way.into_iter().chain(waiting).collect();
        for event in events {
            self.emit(event);
        }
    }
}

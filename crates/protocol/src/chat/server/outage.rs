//! What happens when Chat Server goes away and comes back, or another one takes its chats over.

use crate::chat::server::event::{QuitReason, What};
use crate::chat::server::room::{self, Room, raw};
use crate::chat::server::{ChatNumber, ChatServer, Delivery, Event, Output};
use crate::secret::Secret;
use crate::time::Time;

impl ChatServer {
    /// Chat Server goes away: requests get `statusCode` 1 from here on, and agents can do nothing.
    pub fn lose(&mut self, now: Time) {
        if std::mem::replace(&mut self.away, true) {
            return;
        }
        self.emit(Event::Lost);
        if !self.settings.tells_outage {
            return;
        }
        let names = self.settings.outage_names_chat;
        let told: Vec<Output> = self
            .rooms
            .values()
            .flat_map(|room| room.attached.iter().map(move |session| (room, *session)))
            .map(|(room, session)| {
                let data = if names { room.unavailable() } else { room::unavailable() };
                Output::Deliver(session, room.channel.clone(), Delivery(raw(&data)))
            })
            .collect();
        for output in told {
            self.send(now, now, output);
        }
    }

    /// Chat Server is back, with its chats as they were.
    pub fn come_back(&mut self, now: Time) {
        if !std::mem::replace(&mut self.away, false) {
            return;
        }
        self.emit(Event::Back);
        let chats: Vec<ChatNumber> = self.running_chats().collect();
        for chat in chats {
            let Some(room) = self.rooms.get_mut(&chat) else { continue };
            // Nobody could have said anything.
            room.said_at = now;
            room.alerts = 0;
            let attached = if self.settings.tells_outage { room.attached.clone() } else { Vec::new() };
            for session in attached {
                self.send_success(now, now, session, chat, &[], false);
            }
        }
    }

    /// Another Chat Server takes the chats over: `alias` changes, and who is restored there without the client is removed.
    pub fn fail_over(&mut self, now: Time) {
        self.alias = Secret::new(self.mint.digits(3));
        let chats: Vec<ChatNumber> = self.running_chats().collect();
        for chat in &chats {
            if let Some(room) = self.rooms.get_mut(chat) {
                room.alias = self.alias.clone();
            }
        }
        self.come_back(now);
        for chat in chats {
            let agents = self.rooms.get_mut(&chat).map(|room: &mut Room| std::mem::take(&mut room.agents));
            for agent in agents.into_iter().flatten() {
                self.occur(now, chat, &agent, &What::Left(QuitReason::Restoration), false);
                self.emit(Event::AgentLeft(chat));
            }
        }
    }

    /// Whether Chat Server is away.
    #[must_use]
    pub const fn is_away(&self) -> bool {
        self.away
    }
}

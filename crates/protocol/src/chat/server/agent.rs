//! What agents, supervisors and bots do in a chat.

use serde::{Deserialize, Serialize};

use crate::chat::notification::ParticipantType;
use crate::chat::server::event::{Party, QuitReason, What};
use crate::chat::server::room::Room;
use crate::chat::server::{ChatNumber, ChatServer, EndedBy, Event, Misuse};
use crate::secret::Secret;
use crate::time::Time;

/// What somebody is in a chat, other than its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// A person who answers.
    Agent,
    /// A person who looks on, and may speak too.
    Supervisor,
    /// A program. It joins like an agent; its join says what it is.
    Bot,
}

impl Role {
    const fn kind(self) -> ParticipantType {
        match self {
            Self::Agent | Self::Bot => ParticipantType::Agent,
            Self::Supervisor => ParticipantType::Supervisor,
        }
    }
}

/// What somebody who has joined can do. `Debug` shows the verb alone.
#[derive(Clone, PartialEq, Eq)]
pub enum Deed {
    /// Says something.
    Say(Secret),
    /// Begins to type.
    StartTyping,
    /// Stops typing.
    StopTyping,
    /// Shows a page to the client.
    PushUrl(Secret),
    /// Says something to the client's page rather than to the client.
    Notice(Secret),
    /// Lets another agent join and leaves.
    Transfer(Secret),
    /// Leaves; the chat goes on.
    Leave,
    /// Leaves and closes the chat: the client is removed.
    End,
}

impl std::fmt::Debug for Deed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Say(_) => "Say",
            Self::StartTyping => "StartTyping",
            Self::StopTyping => "StopTyping",
            Self::PushUrl(_) => "PushUrl",
            Self::Notice(_) => "Notice",
            Self::Transfer(_) => "Transfer",
            Self::Leave => "Leave",
            Self::End => "End",
        })
    }
}

impl ChatServer {
    /// Somebody joins.
    ///
    /// # Errors
    ///
    /// [`Misuse::Away`], [`Misuse::NoChat`], [`Misuse::AlreadyJoined`]
    pub fn agent_joins(&mut self, now: Time, chat: ChatNumber, nickname: &str, role: Role) -> Result<(), Misuse> {
        let room = self.running(chat)?;
        if room.agents.iter().any(|agent| agent.nickname.expose() == nickname) {
            return Err(Misuse::AlreadyJoined);
        }
        let agent = room.admit(nickname, role.kind());
        self.occur(now, chat, &agent, &What::Joined { bot: role == Role::Bot }, false);
        self.emit(Event::AgentJoined(chat));
        self.welcome(now, chat);
        Ok(())
    }

    /// Somebody who has joined does something; without a name, whoever joined first of those who are there.
    ///
    /// # Errors
    ///
    /// [`Misuse::Away`], [`Misuse::NoChat`], [`Misuse::NotJoined`], and on a transfer [`Misuse::AlreadyJoined`].
    pub fn agent_does(&mut self, now: Time, chat: ChatNumber, who: Option<&str>, deed: Deed) -> Result<(), Misuse> {
        let room = self.running(chat)?;
        let agent = find(room, who).cloned().ok_or(Misuse::NotJoined)?;
        let what = match deed {
            Deed::Say(text) => What::Said { text, message_type: None },
            Deed::StartTyping => What::TypingStarted { preview: None },
            Deed::StopTyping => What::TypingStopped { preview: None },
            Deed::PushUrl(url) => What::ShownUrl(url),
            Deed::Notice(text) => What::Noticed { text: Some(text), message_type: None },
            Deed::Transfer(to) => {
                self.agent_joins(now, chat, to.expose(), Role::Agent)?;
                return self.leave(now, chat, &agent);
            }
            Deed::Leave => return self.leave(now, chat, &agent),
            Deed::End => {
                self.leave(now, chat, &agent)?;
                self.remove_client(now, chat, QuitReason::RemovedByOther, EndedBy::Agent);
                return Ok(());
            }
        };
        self.occur(now, chat, &agent, &what, false);
        Ok(())
    }

    fn leave(&mut self, now: Time, chat: ChatNumber, agent: &Party) -> Result<(), Misuse> {
        self.running(chat)?.agents.retain(|present| present.participant_id != agent.participant_id);
        self.occur(now, chat, agent, &What::Left(QuitReason::Logout), false);
        self.emit(Event::AgentLeft(chat));
        Ok(())
    }

    fn running(&mut self, chat: ChatNumber) -> Result<&mut Room, Misuse> {
        if self.away {
            return Err(Misuse::Away);
        }
        self.rooms.get_mut(&chat).filter(|room| !room.ended).ok_or(Misuse::NoChat)
    }
}

fn find<'a>(room: &'a Room, who: Option<&str>) -> Option<&'a Party> {
    match who {
        Some(name) => room.agents.iter().find(|agent| agent.nickname.expose() == name),
        None => room.agents.first(),
    }
}

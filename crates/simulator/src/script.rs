//! What an agent can do, and what the simulated one does by itself, as data.

use protocol::chat::server::{Deed, Role};
use protocol::secret::Secret;
use serde::{Deserialize, Serialize};

/// What an agent can do. The words are those of every agent: scripted, commanded or a person.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Joins the chat.
    Join {
        /// Under this name.
        nickname: String,
    },
    /// Joins the chat as something else than an agent.
    JoinAs {
        /// Under this name.
        nickname: String,
        /// As this.
        role: Role,
    },
    /// Says something.
    Say(String),
    /// Begins to type.
    StartTyping,
    /// Stops typing.
    StopTyping,
    /// Shows a page to the client.
    PushUrl(String),
    /// Says something to the client's page rather than to the client.
    Notice(String),
    /// Lets another agent join and leaves.
    Transfer {
        /// The name of the other one.
        nickname: String,
    },
    /// Leaves; the chat goes on.
    Leave,
    /// Leaves and closes the chat.
    #[serde(alias = "close")]
    End,
    /// Somebody else than the first who joined does something.
    As {
        /// Who.
        who: String,
        /// What, other than to join.
        step: Box<Self>,
    },
}

impl Step {
    /// Whether somebody joins.
    #[must_use]
    pub const fn is_join(&self) -> bool {
        matches!(self, Self::Join { .. } | Self::JoinAs { .. })
    }

    /// What somebody who has joined does, and who if it is not the first one; `None` if it is to join.
    #[must_use]
    pub fn deed(&self) -> Option<(Option<&str>, Deed)> {
        let deed = match self {
            Self::Join { .. } | Self::JoinAs { .. } => return None,
            Self::Say(text) => Deed::Say(Secret::new(text.as_str())),
            Self::StartTyping => Deed::StartTyping,
            Self::StopTyping => Deed::StopTyping,
            Self::PushUrl(url) => Deed::PushUrl(Secret::new(url.as_str())),
            Self::Notice(text) => Deed::Notice(Secret::new(text.as_str())),
            Self::Transfer { nickname } => Deed::Transfer(Secret::new(nickname.as_str())),
            Self::Leave => Deed::Leave,
            Self::End => Deed::End,
            Self::As { who, step } => return step.deed().map(|(_, deed)| (Some(who.as_str()), deed)),
        };
        Some((None, deed))
    }
}

/// Shows the verb alone, since names and words are personal.
impl std::fmt::Debug for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Join { .. } => "join",
            Self::JoinAs { .. } => "join-as",
            Self::Say(_) => "say",
            Self::StartTyping => "start-typing",
            Self::StopTyping => "stop-typing",
            Self::PushUrl(_) => "push-url",
            Self::Notice(_) => "notice",
            Self::Transfer { .. } => "transfer",
            Self::Leave => "leave",
            Self::End => "end",
            Self::As { .. } => "as",
        })
    }
}

/// The script of an agent. Times are in milliseconds; an empty text is not said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "kebab-case", deny_unknown_fields)]
pub struct Script {
    /// The agent's name.
    pub nickname: String,
    /// How long after the start of a chat the agent joins.
    pub joins_after_ms: u64,
    /// What the agent says on joining.
    pub greeting: String,
    /// How long after a message of the client the agent answers.
    pub answers_after_ms: u64,
    /// What comes before the client's own words in an answer.
    pub answer: String,
    /// The word of the client, whatever its case, on which the agent closes the chat; empty for none.
    pub closes_on: String,
    /// What the agent says before closing.
    pub farewell: String,
}

impl Default for Script {
    fn default() -> Self {
        Self {
            nickname: "Morgan".to_owned(),
            joins_after_ms: 300,
            greeting: "Hello, this is Morgan. How can I help?".to_owned(),
            answers_after_ms: 200,
            answer: "You wrote: ".to_owned(),
            closes_on: "bye".to_owned(),
            farewell: "Goodbye.".to_owned(),
        }
    }
}

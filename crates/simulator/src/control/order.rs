//! The bodies of the control API.

use std::fmt;

use protocol::chat::server::Role;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::plan::{Act, Happening};
use crate::script::Step;

/// What a body of `POST /agent` looks like.
pub(super) const AGENT_EXAMPLE: &str = "a body is such as `{\"step\":\"say\",\"chat\":\"Ann\",\"text\":\"Hello\"}`; steps are \
    join, say, type, stop-typing, push-url, notice, transfer, leave and end";

/// What a body of `POST /server` looks like.
pub(super) const SERVER_EXAMPLE: &str = "a body is such as `{\"happening\":\"chat-server down\"}`; there are `chat-server \
    down|up|fail-over`, `forget-sessions` and `node NUMBER down|up`";

/// How a chat is named.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum Name {
    Number(u64),
    Text(String),
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// What an agent is to do.
pub(super) struct AgentOrder {
    /// The word for it, as it was given.
    pub(super) word: String,
    pub(super) chat: Option<Name>,
    pub(super) step: Step,
}

/// The members of a body of `POST /agent`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AgentBody {
    step: String,
    chat: Option<Name>,
    /// Who does it, if not the first who joined.
    #[serde(rename = "as")]
    who: Option<String>,
    text: Option<String>,
    url: Option<String>,
    nickname: Option<String>,
    role: Option<Role>,
    /// What the suite tells a program besides, so that the program can pass on what it got.
    #[serde(rename = "id", default)]
    _id: IgnoredAny,
    #[serde(rename = "wording", default)]
    _wording: IgnoredAny,
    #[serde(rename = "evidence", default)]
    _evidence: IgnoredAny,
    #[serde(rename = "withinSeconds", default)]
    _within: IgnoredAny,
}

impl AgentOrder {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let body: AgentBody = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let AgentBody { step: word, chat, who, text, url, nickname, role, .. } = body;
        let mut given = Given { word: &word, text, url, nickname, role };
        let step = match word.as_str() {
            "join" => {
                let (nickname, role) = (given.nickname()?, given.role.take());
                role.map_or_else(
                    || Step::Join { nickname: nickname.clone() },
                    |role| Step::JoinAs { nickname: nickname.clone(), role },
                )
            }
            "say" => Step::Say(given.text()?),
            "type" | "start-typing" => Step::StartTyping,
            "stop-typing" => Step::StopTyping,
            "push-url" => Step::PushUrl(given.url()?),
            "notice" => Step::Notice(given.text()?),
            "transfer" => Step::Transfer { nickname: given.nickname()? },
            "leave" => Step::Leave,
            "end" | "close" => Step::End,
            _ => return Err(format!("`{word}` is nothing that an agent can do")),
        };
        given.nothing_left()?;
        let step = match who {
            Some(_) if step.is_join() => return Err("nobody joins `as` somebody else".to_owned()),
            Some(who) => Step::As { who, step: Box::new(step) },
            None => step,
        };
        Ok(Self { word, chat, step })
    }
}

/// What a step was given to do it with.
struct Given<'a> {
    word: &'a str,
    text: Option<String>,
    url: Option<String>,
    nickname: Option<String>,
    role: Option<Role>,
}

impl Given<'_> {
    fn text(&mut self) -> Result<String, String> {
        needed(self.word, "text", self.text.take())
    }

    fn url(&mut self) -> Result<String, String> {
        needed(self.word, "url", self.url.take())
    }

    fn nickname(&mut self) -> Result<String, String> {
        needed(self.word, "nickname", self.nickname.take())
    }

    fn nothing_left(&self) -> Result<(), String> {
        let left = [
            ("text", self.text.is_some()),
            ("url", self.url.is_some()),
            ("nickname", self.nickname.is_some()),
            ("role", self.role.is_some()),
        ];
        match left.into_iter().find(|(_, is_left)| *is_left) {
            Some((member, _)) => Err(format!("`{}` has no `{member}`", self.word)),
            None => Ok(()),
        }
    }
}

fn needed(word: &str, member: &str, value: Option<String>) -> Result<String, String> {
    value.filter(|value| !value.is_empty()).ok_or_else(|| format!("`{word}` needs `{member}`"))
}

/// What is to befall the server.
pub(super) struct ServerOrder {
    /// The words for it, as they were given.
    pub(super) words: String,
    pub(super) happening: Happening,
}

/// The members of a body of `POST /server`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServerBody {
    happening: String,
}

impl ServerOrder {
    pub(super) fn parse(body: &[u8]) -> Result<Self, String> {
        let ServerBody { happening: words } = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        match words.parse::<Act>() {
            Ok(Act::Happening(happening)) => Ok(Self { words, happening }),
            Ok(Act::Step(_)) => Err(format!("`{words}` is for an agent: `POST /agent`")),
            Err(wrong) => Err(wrong.to_string()),
        }
    }

    /// The node that it befalls, counted from 0.
    pub(super) const fn node(&self) -> Option<usize> {
        match self.happening {
            Happening::NodeDown(node) | Happening::NodeUp(node) => Some(node),
            Happening::ChatServerLost
            | Happening::ChatServerBack
            | Happening::ChatServerFailsOver
            | Happening::SessionsForgotten => None,
        }
    }
}

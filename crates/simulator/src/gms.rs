//! The fake GMS: a Bayeux server, a chat server on top of it, and an agent.
//!
//! It is a machine that knows nothing but the wire, so whatever wraps a machine can wrap it too.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use protocol::bayeux::batch::Limits;
use protocol::bayeux::dialect::Dialect;
use protocol::bayeux::message::ClientId;
use protocol::bayeux::server::{self as bayeux, Closed, Rejected, SessionId};
use protocol::chat::server::{self as chat, ChatNumber, ChatServer, EndedBy, GmsSettings};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::Transport;

use crate::script::{Agents, Script, Step};

/// Who plays the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The script does. Commands work beside it.
    Scripted(Script),
    /// Whoever calls [`Gms::agent`].
    Manual,
}

/// Settings of a fake GMS.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Path of the CometD servlet.
    pub base: String,
    /// Names of the chat services.
    pub services: BTreeSet<String>,
    /// How its CometD words and times what it says.
    pub dialect: Dialect,
    /// How it answers what nobody documents.
    pub gms: GmsSettings,
    /// How much it takes from a client at once.
    pub limits: Limits,
    /// Who plays the agent.
    pub agent: Agent,
    /// Wall time at the start of virtual time, in milliseconds since the epoch.
    pub start_utc: i64,
}

impl Settings {
    /// `/genesys/cometd` with one service, CometD 3.1, the default script, and a start in November 2023.
    #[must_use]
    pub fn new(service: &str) -> Self {
        Self {
            base: "/genesys/cometd".to_owned(),
            services: BTreeSet::from([service.to_owned()]),
            dialect: Dialect::cometd_3_1(),
            gms: GmsSettings::default(),
            limits: Limits::default(),
            agent: Agent::Scripted(Script::default()),
            start_utc: 1_700_000_000_000,
        }
    }

    /// The same without a script: the agent acts on command alone.
    #[must_use]
    pub fn manual(service: &str) -> Self {
        Self { agent: Agent::Manual, ..Self::new(service) }
    }
}

/// What the caller did wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The agent cannot do that.
    #[error(transparent)]
    Agent(#[from] chat::Misuse),
    /// The session is not there.
    #[error(transparent)]
    Session(#[from] bayeux::Misuse),
}

/// What happened, for a log. Nothing in it is secret; `Display` gives one line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A handshake succeeded.
    SessionOpened(SessionId, Transport),
    /// A session is gone.
    SessionClosed(SessionId, Closed),
    /// Something from a client was thrown out whole.
    Rejected(Transport, Rejected),
    /// A chat began.
    ChatStarted(ChatNumber),
    /// A session gets a chat's notifications from here on.
    ChatAttached(ChatNumber, SessionId),
    /// The client said something.
    ClientSaid(ChatNumber),
    /// An agent joined.
    AgentJoined(ChatNumber),
    /// An agent left, and the chat goes on.
    AgentLeft(ChatNumber),
    /// A chat is over.
    ChatEnded(ChatNumber, EndedBy),
    /// A chat request failed with this code.
    RequestFailed(SessionId, i64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionOpened(session, transport) => write!(f, "{session} opened over {transport}"),
            Self::SessionClosed(session, why) => {
                let why = match why {
                    Closed::Disconnected => "disconnected",
                    Closed::Expired => "expired",
                    Closed::ByServer => "was disconnected",
                    Closed::Forgotten => "was forgotten",
                };
                write!(f, "{session} {why}")
            }
            Self::Rejected(transport, why) => {
                let why = match why {
                    Rejected::Path => "a path outside the servlet",
                    Rejected::Method => "a method or path of no transport",
                    Rejected::Malformed => "a malformed or oversized body",
                    Rejected::Protocol => "a batch that breaks the protocol",
                };
                write!(f, "rejected {why} over {transport}")
            }
            Self::ChatStarted(chat) => write!(f, "{chat} started"),
            Self::ChatAttached(chat, session) => write!(f, "{chat} attached to {session}"),
            Self::ClientSaid(chat) => write!(f, "{chat}: the client said something"),
            Self::AgentJoined(chat) => write!(f, "{chat}: the agent joined"),
            Self::AgentLeft(chat) => write!(f, "{chat}: the agent left"),
            Self::ChatEnded(chat, by) => {
                let by = match by {
                    EndedBy::Client => "the client",
                    EndedBy::Agent => "the agent",
                    EndedBy::Inactivity => "inactivity",
                };
                write!(f, "{chat} ended by {by}")
            }
            Self::RequestFailed(session, code) => write!(f, "a chat request of {session} failed with code {code}"),
        }
    }
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The Bayeux server has something due.
    Bayeux(bayeux::Timer),
    /// The chat server has something due.
    Chat(chat::Timer),
    /// The scripted agent does something.
    Agent,
}

/// A fake GMS. See the module's text.
#[derive(Clone, Debug)]
pub struct Gms {
    bayeux: bayeux::Server,
    chats: ChatServer,
    agents: Option<Agents>,
    outputs: VecDeque<Output<Event>>,
}

impl Gms {
    /// Makes a fake GMS without sessions. The same seed gives the same ids, cookies and keys.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let bayeux = bayeux::Settings {
            dialect: settings.dialect,
            limits: settings.limits,
            start_utc: settings.start_utc,
            ..bayeux::Settings::new(settings.base)
        };
        Self {
            bayeux: bayeux::Server::new(bayeux, seed),
            chats: ChatServer::new(settings.gms, settings.services, settings.start_utc, seed),
            agents: match settings.agent {
                Agent::Scripted(script) => Some(Agents::new(script)),
                Agent::Manual => None,
            },
            outputs: VecDeque::new(),
        }
    }

    /// Makes the agent of a client's running chat act. The chat is named by the client's nickname, of several the
    /// youngest is meant.
    ///
    /// # Errors
    ///
    /// [`Misuse::Agent`] if there is no such chat or the agent is not in a state to do so.
    pub fn agent(&mut self, now: Time, nickname: &str, step: &Step) -> Result<(), Misuse> {
        let chat = self.chats.chat_of(nickname).ok_or(chat::Misuse::NoChat)?;
        self.agent_in(now, chat, step)
    }

    /// Makes the agent of a chat act.
    ///
    /// # Errors
    ///
    /// [`Misuse::Agent`] if the chat does not run or the agent is not in a state to do so.
    pub fn agent_in(&mut self, now: Time, chat: ChatNumber, step: &Step) -> Result<(), Misuse> {
        self.act(now, chat, step)?;
        self.settle(now);
        Ok(())
    }

    /// Forgets a session, as a restart or a sweep would: its next message gets 402.
    ///
    /// # Errors
    ///
    /// [`Misuse::Session`] if there is none with this clientId.
    pub fn forget(&mut self, now: Time, client_id: &ClientId) -> Result<(), Misuse> {
        let session = self.bayeux.session(client_id).ok_or(bayeux::Misuse::NoSession)?;
        self.bayeux.forget(session)?;
        self.settle(now);
        Ok(())
    }

    /// Forgets every session, as a restarted node would.
    pub fn forget_all(&mut self, now: Time) {
        let sessions: Vec<SessionId> = self.bayeux.sessions().collect();
        for session in sessions {
            // It was listed a moment ago.
            let _ = self.bayeux.forget(session);
        }
        self.settle(now);
    }

    /// Disconnects a session from the server's side.
    ///
    /// # Errors
    ///
    /// [`Misuse::Session`] if there is none with this clientId.
    pub fn disconnect(&mut self, now: Time, client_id: &ClientId) -> Result<(), Misuse> {
        let session = self.bayeux.session(client_id).ok_or(bayeux::Misuse::NoSession)?;
        self.bayeux.disconnect(now, session)?;
        self.settle(now);
        Ok(())
    }

    /// The chats, for asking about them.
    #[must_use]
    pub const fn chats(&self) -> &ChatServer {
        &self.chats
    }

    /// The CometD sessions, for asking about them.
    #[must_use]
    pub const fn bayeux(&self) -> &bayeux::Server {
        &self.bayeux
    }

    fn act(&mut self, now: Time, chat: ChatNumber, step: &Step) -> Result<(), chat::Misuse> {
        match step {
            Step::Join { nickname } => self.chats.agent_joins(now, chat, nickname),
            Step::Say(text) => self.chats.agent_says(now, chat, text),
            Step::Leave => self.chats.agent_leaves(now, chat),
            Step::End => self.chats.agent_ends(now, chat),
        }
    }

    /// Hands on between the layers until none has anything more to say.
    fn settle(&mut self, now: Time) {
        loop {
            self.settle_chats(now);
            match self.bayeux.poll_output() {
                Some(Output::Wire(wire)) => self.outputs.push_back(Output::Wire(wire)),
                Some(Output::Event(event)) => self.on_bayeux(now, event),
                None => return,
            }
        }
    }

    fn settle_chats(&mut self, now: Time) {
        while let Some(output) = self.chats.poll_output() {
            match output {
                chat::Output::Deliver(session, channel, data) => {
                    // A session that is gone gets nothing: the transcript keeps what it missed.
                    let _ = self.bayeux.deliver(now, session, &channel, data.0);
                }
                chat::Output::Event(event) => {
                    if let Some(agents) = &mut self.agents {
                        agents.handle_event(now, &event);
                    }
                    self.tell(match event {
                        chat::Event::Started(chat) => Event::ChatStarted(chat),
                        chat::Event::Attached(chat, session) => Event::ChatAttached(chat, session),
                        chat::Event::ClientSaid(chat, _) => Event::ClientSaid(chat),
                        chat::Event::AgentJoined(chat) => Event::AgentJoined(chat),
                        chat::Event::AgentLeft(chat) => Event::AgentLeft(chat),
                        chat::Event::Ended(chat, by) => Event::ChatEnded(chat, by),
                        chat::Event::Failed(session, code) => Event::RequestFailed(session, code),
                    });
                }
            }
        }
    }

    fn on_bayeux(&mut self, now: Time, event: bayeux::Event) {
        match event {
            bayeux::Event::SessionOpened(session, transport) => self.tell(Event::SessionOpened(session, transport)),
            bayeux::Event::Leaving(..) => {}
            bayeux::Event::SessionClosed(session, why) => {
                self.chats.handle_session_closed(now, session);
                self.tell(Event::SessionClosed(session, why));
            }
            bayeux::Event::Published(session, message) => {
                let data = message.data().map(|data| data.get());
                self.chats.handle_publish(now, session, message.channel().unwrap_or_default(), data);
            }
            bayeux::Event::Rejected(transport, why) => self.tell(Event::Rejected(transport, why)),
        }
    }

    fn tell(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}

impl Machine for Gms {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.chats.handle_timeout(now);
        self.bayeux.handle_input(now, input);
        self.settle(now);
        while let Some((chat, step)) = self.agents.as_mut().and_then(|agents| agents.next_due(now)) {
            // What a person did meanwhile may have made the step impossible.
            let _ = self.act(now, chat, &step);
            self.settle(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        let bayeux = self.bayeux.deadline().map(|(at, timer)| (at, Timer::Bayeux(timer)));
        let chats = self.chats.deadline().map(|(at, timer)| (at, Timer::Chat(timer)));
        let agents = self.agents.as_ref().and_then(Agents::deadline).map(|at| (at, Timer::Agent));
        bayeux.into_iter().chain(chats).chain(agents).min()
    }
}

//! The fake GMS: a Bayeux server, a chat server on top of it, and an agent.
//!
//! It is a machine that knows nothing but the wire, so whatever wraps a machine can wrap it too. It may have several nodes
//! behind a balancer, each with its own CometD sessions, and one Chat Server behind them all.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;

use protocol::bayeux::batch::Limits;
use protocol::bayeux::dialect::Dialect;
use protocol::bayeux::message::{ClientId, MessageId};
use protocol::bayeux::server::{self as bayeux, Closed, Cors, Rejected, SessionId};
use protocol::chat::files;
use protocol::chat::server::{self as chat, ChatNumber, ChatServer, EndedBy, GmsSettings, NotificationMode, Role};
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Request, Response, Transport, Wire};

use crate::balancer::{Balancer, Balancing, bad_gateway};
use crate::plan::{Act, Agenda, Happening, Plan};
use crate::script::{Script, Step};

/// Who plays the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Agent {
    /// The script does. Commands work beside it.
    Scripted(Script),
    /// A plan does, and it says what befalls the server too. Commands work beside it.
    Planned(Plan),
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
    /// Pages of which origins may talk to it.
    pub cors: Option<Cors>,
    /// Pages of which origins may open a WebSocket, `*` for any; without, every page may.
    pub web_socket_origins: Option<Vec<String>>,
    /// Whether clients come over TLS.
    pub over_tls: bool,
    /// Who plays the agent.
    pub agent: Agent,
    /// How many nodes there are; one at least.
    pub nodes: usize,
    /// How the balancer in front of several nodes chooses.
    pub balancing: Balancing,
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
            cors: None,
            web_socket_origins: None,
            over_tls: false,
            agent: Agent::Scripted(Script::default()),
            nodes: 1,
            balancing: Balancing::Sticky,
            start_utc: 1_700_000_000_000,
        }
    }

    /// The same without a script: the agent acts on command alone.
    #[must_use]
    pub fn manual(service: &str) -> Self {
        Self { agent: Agent::Manual, ..Self::new(service) }
    }

    /// The most bytes that a request may have: as many as CometD takes, or as all files of a chat may have together with a
    /// form. So one file that is too large still gets its proper answer.
    #[must_use]
    pub fn body_limit(&self) -> usize {
        let files = usize::try_from(self.gms.files.max_total_size).unwrap_or(usize::MAX);
        self.limits.bytes.max(files.saturating_add(FORM_BYTES))
    }
}

/// How much a form may have beside its file.
const FORM_BYTES: usize = 256 << 10;

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
    /// One more event waits for a session than the operator's `maxQueue`.
    QueueMaxed(SessionId),
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
    /// Something is pushed to the client's device.
    Pushed(ChatNumber),
    /// A chat is over.
    ChatEnded(ChatNumber, EndedBy),
    /// A chat request failed with this code.
    RequestFailed(SessionId, i64),
    /// A request about files failed with this code.
    FilesFailed(i64),
    /// Chat Server went away.
    ChatServerLost,
    /// Chat Server is back.
    ChatServerBack,
    /// A node stopped; nodes count from 0.
    NodeDown(usize),
    /// A node is back.
    NodeUp(usize),
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
            Self::QueueMaxed(session) => write!(f, "the queue of {session} is over `maxQueue`"),
            Self::Rejected(transport, why) => {
                let why = match why {
                    Rejected::Path => "a path outside the servlet",
                    Rejected::Method => "a method or path of no transport",
                    Rejected::Malformed => "a malformed or oversized body",
                    Rejected::Protocol => "a batch that breaks the protocol",
                    Rejected::Origin => "a page of an origin that is not allowed",
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
                    EndedBy::Silence => "silence",
                    EndedBy::WrongKey => "a wrong key",
                };
                write!(f, "{chat} ended by {by}")
            }
            Self::Pushed(chat) => write!(f, "{chat}: something is pushed to the client's device"),
            Self::FilesFailed(code) => write!(f, "a request about files failed with code {code}"),
            Self::ChatServerLost => f.write_str("chat server went away"),
            Self::ChatServerBack => f.write_str("chat server is back"),
            Self::NodeDown(node) => write!(f, "node {} is down", node + 1),
            Self::NodeUp(node) => write!(f, "node {} is up", node + 1),
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
    /// At least one.
    nodes: Vec<bayeux::Server>,
    balancer: Balancer,
    chats: ChatServer,
    agenda: Option<Agenda>,
    /// The path of the file API, and the most bytes that a request there may have.
    files: (String, usize),
    /// Pages of which origins may talk to the file API too.
    cors: Option<Cors>,
    /// The sessions that are leaving for the background, by the chat server's number.
    leaving: BTreeSet<SessionId>,
    deliveries: u64,
    outputs: VecDeque<Output<Event>>,
}

impl Gms {
    /// Makes a fake GMS without sessions. The same seed gives the same ids, cookies and keys.
    #[must_use]
    pub fn new(settings: Settings, seed: u64) -> Self {
        let files = (files::path(&settings.base), settings.body_limit());
        let cors = settings.cors.clone();
        let policy = bayeux::Policy {
            deny_handshakes: settings.gms.notification_mode == NotificationMode::Refused,
            echo_in_handshake: if settings.gms.handshake.echo_secure_key {
                vec!["secureKey".to_owned()]
            } else {
                Vec::new()
            },
            ..bayeux::Policy::default()
        };
        let bayeux = bayeux::Settings {
            dialect: settings.dialect,
            limits: settings.limits,
            cors: settings.cors,
            web_socket_origins: settings.web_socket_origins,
            over_tls: settings.over_tls,
            start_utc: settings.start_utc,
            policy,
            ..bayeux::Settings::new(settings.base)
        };
        let count = settings.nodes.max(1);
        // The nodes of one GMS have nothing in common but Chat Server.
        let nodes =
            (0..count).map(|node| bayeux::Server::new(bayeux.clone(), seed.wrapping_add(NODE_SEEDS * node as u64)));
        Self {
            nodes: nodes.collect(),
            balancer: Balancer::new(settings.balancing, count),
            chats: ChatServer::new(settings.gms, settings.services, settings.start_utc, seed),
            agenda: match settings.agent {
                Agent::Scripted(script) => Some(Agenda::new(script.into())),
                Agent::Planned(plan) => Some(Agenda::new(plan)),
                Agent::Manual => None,
            },
            files,
            cors,
            leaving: BTreeSet::new(),
            deliveries: 0,
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

    /// Lets something befall the server.
    pub fn befall(&mut self, now: Time, happening: Happening) {
        match happening {
            Happening::ChatServerLost => self.chats.lose(now),
            Happening::ChatServerBack => self.chats.come_back(now),
            Happening::ChatServerFailsOver => self.chats.fail_over(now),
            Happening::SessionsForgotten => return self.forget_all(now),
            Happening::NodeDown(node) => self.stop(now, node),
            Happening::NodeUp(node) => {
                self.balancer.set_up(node, true);
                self.tell(Event::NodeUp(node));
            }
        }
        self.settle(now);
    }

    /// Forgets a session, as a restart or a sweep would: its next message gets 402.
    ///
    /// # Errors
    ///
    /// [`Misuse::Session`] if there is none with this clientId.
    pub fn forget(&mut self, now: Time, client_id: &ClientId) -> Result<(), Misuse> {
        let (node, session) = self.find(client_id)?;
        self.nodes[node].forget(session)?;
        self.settle(now);
        Ok(())
    }

    /// Forgets every session, as a restart of all nodes would.
    pub fn forget_all(&mut self, now: Time) {
        for node in &mut self.nodes {
            forget_sessions(node);
        }
        self.settle(now);
    }

    /// Disconnects a session from the server's side.
    ///
    /// # Errors
    ///
    /// [`Misuse::Session`] if there is none with this clientId.
    pub fn disconnect(&mut self, now: Time, client_id: &ClientId) -> Result<(), Misuse> {
        let (node, session) = self.find(client_id)?;
        self.nodes[node].disconnect(now, session)?;
        self.settle(now);
        Ok(())
    }

    /// The chats, for asking about them.
    #[must_use]
    pub const fn chats(&self) -> &ChatServer {
        &self.chats
    }

    /// How many nodes there are.
    #[must_use]
    pub const fn nodes(&self) -> usize {
        self.nodes.len()
    }

    /// The CometD sessions of the first node, for asking about them.
    #[must_use]
    pub fn bayeux(&self) -> &bayeux::Server {
        self.nodes.first().expect("a GMS is made with at least one node")
    }

    fn find(&self, client_id: &ClientId) -> Result<(usize, SessionId), bayeux::Misuse> {
        let found = self.nodes.iter().enumerate().find_map(|(node, bayeux)| Some((node, bayeux.session(client_id)?)));
        found.ok_or(bayeux::Misuse::NoSession)
    }

    /// Stops a node: its sessions are gone without a word, and its connections break.
    fn stop(&mut self, now: Time, node: usize) {
        let Some(bayeux) = self.nodes.get_mut(node) else { return };
        forget_sessions(bayeux);
        let mut told = Vec::new();
        while let Some(output) = bayeux.poll_output() {
            match output {
                Output::Wire(Wire::Response(exchange, _)) => {
                    self.outputs.push_back(Output::Wire(Wire::Response(exchange, bad_gateway())));
                }
                Output::Wire(_) => {}
                Output::Event(event) => told.push(event),
            }
        }
        for socket in self.balancer.set_up(node, false) {
            bayeux.handle_input(now, Input::Wire(Wire::Lost(socket, Failure::Reset)));
            self.outputs.push_back(Output::Wire(Wire::Lost(socket, Failure::Reset)));
        }
        for event in told {
            self.on_bayeux(now, node, event);
        }
        self.tell(Event::NodeDown(node));
    }

    /// The number of a node's session that is good for all nodes.
    fn joint(&self, node: usize, session: SessionId) -> SessionId {
        let count = self.nodes.len() as u64;
        SessionId(session.0.saturating_sub(1).saturating_mul(count).saturating_add(node as u64 + 1))
    }

    /// The node and its own number of a session.
    fn own(&self, session: SessionId) -> (usize, SessionId) {
        let (count, number) = (self.nodes.len() as u64, session.0.saturating_sub(1));
        (usize::try_from(number % count).unwrap_or_default(), SessionId(number / count + 1))
    }

    fn act(&mut self, now: Time, chat: ChatNumber, step: &Step) -> Result<(), chat::Misuse> {
        match step {
            Step::Join { nickname } => self.chats.agent_joins(now, chat, nickname, Role::Agent),
            Step::JoinAs { nickname, role } => self.chats.agent_joins(now, chat, nickname, *role),
            other => match other.deed() {
                Some((who, deed)) => self.chats.agent_does(now, chat, who, deed),
                // Nobody can join as somebody else.
                None => Err(chat::Misuse::NotJoined),
            },
        }
    }

    /// Hands on between the layers until none has anything more to say.
    fn settle(&mut self, now: Time) {
        loop {
            self.settle_chats(now);
            let mut nodes = self.nodes.iter_mut().enumerate();
            let Some((node, output)) = nodes.find_map(|(node, bayeux)| Some((node, bayeux.poll_output()?))) else {
                return;
            };
            match output {
                Output::Wire(wire) => {
                    let wire = self.balancer.pass(node, wire);
                    self.outputs.push_back(Output::Wire(wire));
                }
                Output::Event(event) => self.on_bayeux(now, node, event),
            }
        }
    }

    fn settle_chats(&mut self, now: Time) {
        while let Some(output) = self.chats.poll_output() {
            match output {
                chat::Output::Deliver(session, channel, data) => {
                    let (node, own) = self.own(session);
                    self.deliveries += 1;
                    let id = MessageId::new(self.deliveries.to_string());
                    let id = Some(&id).filter(|_| self.chats.settings().delivery_ids);
                    // A session that is gone gets nothing: the transcript keeps what it missed.
                    let _ = self.nodes[node].deliver_as(now, own, &channel, id, data.0);
                }
                chat::Output::Disconnect(session) => {
                    let (node, own) = self.own(session);
                    // It may be gone already.
                    let _ = self.nodes[node].disconnect(now, own);
                }
                chat::Output::Event(event) => {
                    if let Some(agenda) = &mut self.agenda {
                        agenda.handle_event(now, &event);
                    }
                    self.tell(match event {
                        chat::Event::Started(chat) => Event::ChatStarted(chat),
                        chat::Event::Attached(chat, session) => Event::ChatAttached(chat, session),
                        chat::Event::ClientSaid(chat, _) => Event::ClientSaid(chat),
                        chat::Event::AgentJoined(chat) => Event::AgentJoined(chat),
                        chat::Event::AgentLeft(chat) => Event::AgentLeft(chat),
                        chat::Event::Pushed(chat) => Event::Pushed(chat),
                        chat::Event::Ended(chat, by) => Event::ChatEnded(chat, by),
                        chat::Event::Failed(session, code) => Event::RequestFailed(session, code),
                        chat::Event::FilesFailed(code) => Event::FilesFailed(code),
                        chat::Event::Lost => Event::ChatServerLost,
                        chat::Event::Back => Event::ChatServerBack,
                    });
                }
            }
        }
    }

    fn on_bayeux(&mut self, now: Time, node: usize, event: bayeux::Event) {
        match event {
            bayeux::Event::SessionOpened(session, transport) => {
                self.tell(Event::SessionOpened(self.joint(node, session), transport));
            }
            bayeux::Event::Leaving(session, message) => {
                if message.ext().is_some_and(|ext| ext.get("transcriptPosition").is_some()) {
                    self.leaving.insert(self.joint(node, session));
                }
            }
            bayeux::Event::SessionClosed(session, why) => {
                let session = self.joint(node, session);
                let has_position = self.leaving.remove(&session);
                match why {
                    Closed::Disconnected => self.chats.handle_session_left(now, session, has_position),
                    Closed::Expired | Closed::ByServer | Closed::Forgotten => {
                        self.chats.handle_session_closed(now, session);
                    }
                }
                self.tell(Event::SessionClosed(session, why));
            }
            bayeux::Event::Published(session, message) => {
                let data = message.data().map(|data| data.get());
                let session = self.joint(node, session);
                self.chats.handle_publish(now, session, message.channel().unwrap_or_default(), data);
            }
            bayeux::Event::QueueMaxed(session) => self.tell(Event::QueueMaxed(self.joint(node, session))),
            bayeux::Event::Rejected(transport, why) => self.tell(Event::Rejected(transport, why)),
        }
    }

    /// Takes something from a client in: requests about files are no business of CometD's.
    fn handle_wire(&mut self, now: Time, wire: Wire) {
        let Some(node) = self.balancer.route(&wire) else { return self.turn_away(wire) };
        match wire {
            Wire::Request(exchange, request) if self.is_about_files(&request) => {
                self.handle_files(now, node, exchange, &request);
            }
            other => self.nodes[node].handle_input(now, Input::Wire(other)),
        }
    }

    /// No node is up.
    fn turn_away(&mut self, wire: Wire) {
        let answer = match wire {
            Wire::Request(exchange, _) => Wire::Response(exchange, bad_gateway()),
            Wire::Upgrade(socket, _) => Wire::Refused(socket, bad_gateway()),
            _ => return,
        };
        self.outputs.push_back(Output::Wire(answer));
    }

    fn is_about_files(&self, request: &Request) -> bool {
        request.target.split('?').next().unwrap_or_default().trim_end_matches('/') == self.files.0
    }

    fn handle_files(&mut self, now: Time, node: usize, exchange: Exchange, request: &Request) {
        let empty = |status: u16| Response { status, headers: Headers::new(), body: Vec::new() };
        let origin = self.cors.as_ref().and_then(|cors| cors.allowed(request));
        let mut response = if Cors::is_preflight(request) && origin.is_some() {
            let mut allowance = empty(200);
            Cors::let_send(&mut allowance);
            allowance
        } else if request.body.len() > self.files.1 {
            empty(413)
        } else {
            self.chats.handle_file_request(now, request)
        };
        if let Some(origin) = origin {
            Cors::let_see(origin, &mut response);
        }
        let wire = self.balancer.pass(node, Wire::Response(exchange, response));
        self.outputs.push_back(Output::Wire(wire));
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
        match input {
            Input::Wire(wire) => self.handle_wire(now, wire),
            Input::Timeout => {
                for node in &mut self.nodes {
                    node.handle_input(now, Input::Timeout);
                }
            }
        }
        self.settle(now);
        while let Some((chat, act)) = self.agenda.as_mut().and_then(|agenda| agenda.next_due(now)) {
            match act {
                // What a person did meanwhile may have made the step impossible.
                Act::Step(step) => drop(self.act(now, chat, &step)),
                Act::Happening(happening) => self.befall(now, happening),
            }
            self.settle(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        let nodes = self.nodes.iter().filter_map(Machine::deadline).map(|(at, timer)| (at, Timer::Bayeux(timer)));
        let chats = self.chats.deadline().map(|(at, timer)| (at, Timer::Chat(timer)));
        let agenda = self.agenda.as_ref().and_then(Agenda::deadline).map(|at| (at, Timer::Agent));
        nodes.chain(chats).chain(agenda).min()
    }
}

/// What keeps the seeds of nodes apart.
const NODE_SEEDS: u64 = 0x9e37_79b9_7f4a_7c15;

fn forget_sessions(bayeux: &mut bayeux::Server) {
    let sessions: Vec<SessionId> = bayeux.sessions().collect();
    for session in sessions {
        // It was listed a moment ago.
        let _ = bayeux.forget(session);
    }
}

//! Histories: what client, agent, server and network do, one after the other, as data and as text.
//!
//! A history is explicit, so it means the same whatever becomes of the generator that found it. Any sequence of actions is
//! a history: what cannot be done at its moment is skipped.

mod text;

use std::time::Duration;

use protocol::chat;
use protocol::wire::{Side, Transport};

pub use self::text::{Unreadable, Wrong};
use crate::link::{Fault, Rule, Unit};

/// Name of the only chat service.
pub(crate) const SERVICE: &str = "support";

/// Which transports the client may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transports {
    /// WebSocket alone.
    WebSocket,
    /// Long-polling alone.
    LongPolling,
    /// Callback-polling alone.
    CallbackPolling,
    /// WebSocket, and long-polling if it is refused.
    Either,
}

impl Transports {
    pub(crate) fn list(self) -> &'static [Transport] {
        match self {
            Self::WebSocket => &[Transport::WebSocket],
            Self::LongPolling => &[Transport::LongPolling],
            Self::CallbackPolling => &[Transport::CallbackPolling],
            Self::Either => &Transport::USUAL,
        }
    }
}

/// A way in which one GMS may differ from another, and a correct client does not care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trait {
    /// Indexes leave gaps.
    Gapped,
    /// `requestNotifications` gives only what follows the position.
    Exclusive,
    /// An answer is empty and its event comes apart.
    Split,
    /// Answers come within the request.
    AtOnce,
    /// Both sides have the `ack` extension.
    Acked,
}

/// What the application does in its chat besides talking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// It tells that somebody types.
    StartTyping,
    /// It tells that nobody types any more.
    StopTyping,
    /// It sends a notice.
    CustomNotice,
    /// It pushes a URL.
    PushUrl,
    /// It takes another name.
    UpdateNickname,
    /// It attaches data.
    UpdateData,
    /// It tells what was read.
    ReadReceipt,
    /// It asks what may be uploaded.
    FileLimits,
    /// It uploads a file.
    Upload,
    /// It downloads the file that it uploaded last, or one that is not there.
    Download,
    /// It deletes that file.
    DeleteFile,
}

impl Deed {
    /// Every deed.
    pub const ALL: [Self; 11] = [
        Self::StartTyping,
        Self::StopTyping,
        Self::CustomNotice,
        Self::PushUrl,
        Self::UpdateNickname,
        Self::UpdateData,
        Self::ReadReceipt,
        Self::FileLimits,
        Self::Upload,
        Self::Download,
        Self::DeleteFile,
    ];
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Time passes.
    Wait(Duration),
    /// The application asks for a chat, for the first time or again.
    ClientStarts,
    /// The application says a word.
    ClientSays(String),
    /// The application does something else in its chat.
    ClientDoes(Deed),
    /// The application ends the chat.
    ClientEnds,
    /// The application leaves without ending the chat.
    ClientLeaves,
    /// An agent joins.
    AgentJoins,
    /// The agent says a word.
    AgentSays(String),
    /// The agent leaves; the chat goes on.
    AgentLeaves,
    /// The agent closes the chat.
    AgentCloses,
    /// The server forgets the client's session, as if it had expired.
    SessionForgotten,
    /// The server disconnects the client's session.
    SessionDisconnected,
    /// The server forgets all sessions and drops all connections. Chats survive.
    ServerRestarts,
    /// All connections break.
    ConnectionsBreak,
    /// The network goes down: connections break and none can be made.
    NetworkDown,
    /// The network is back.
    NetworkUp,
    /// The next of these units is struck by a fault.
    Strike(Target, Fault),
}

impl Action {
    /// Whether it makes anything go wrong that would not by itself.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        match self {
            Self::Wait(_)
            | Self::ClientStarts
            | Self::ClientSays(_)
            | Self::ClientDoes(_)
            | Self::ClientEnds
            | Self::ClientLeaves
            | Self::AgentJoins
            | Self::AgentSays(_)
            | Self::AgentLeaves
            | Self::AgentCloses => false,
            Self::SessionForgotten
            | Self::SessionDisconnected
            | Self::ServerRestarts
            | Self::ConnectionsBreak
            | Self::NetworkDown
            | Self::NetworkUp
            | Self::Strike(..) => true,
        }
    }

    /// Whether it makes something arrive late or twice.
    pub(crate) const fn disturbs_time(&self) -> bool {
        matches!(self, Self::Strike(_, Fault::Delay(_) | Fault::Duplicate { .. }))
    }
}

/// What a fault strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Anything.
    Any,
    /// Anything that the client sends.
    Client,
    /// Anything that the server sends.
    Server,
    /// What carries a handshake.
    Handshake,
    /// What carries the reply to a handshake.
    HandshakeReply,
    /// What carries a connect.
    Connect,
    /// What carries the reply to a connect.
    ConnectReply,
    /// What carries a chat request.
    Request,
    /// What carries an acknowledgement, an answer or a notification of the chat.
    Answer,
    /// What carries a `requestChat`.
    RequestChat,
    /// What carries a `requestNotifications`.
    RequestNotifications,
    /// What carries a `sendMessage`.
    SendMessage,
    /// What carries the chat operation `disconnect`.
    EndOfChat,
    /// A WebSocket upgrade.
    Upgrade,
}

impl Target {
    /// Every target.
    pub const ALL: [Self; 14] = [
        Self::Any,
        Self::Client,
        Self::Server,
        Self::Handshake,
        Self::HandshakeReply,
        Self::Connect,
        Self::ConnectReply,
        Self::Request,
        Self::Answer,
        Self::RequestChat,
        Self::RequestNotifications,
        Self::SendMessage,
        Self::EndOfChat,
        Self::Upgrade,
    ];

    fn unit(self) -> Unit {
        let channel = |side: Side, channel: &str| Unit::Channel(side, channel.to_owned());
        match self {
            Self::Any => Unit::Any,
            Self::Client => Unit::From(Side::Client),
            Self::Server => Unit::From(Side::Server),
            Self::Handshake => channel(Side::Client, "/meta/handshake"),
            Self::HandshakeReply => channel(Side::Server, "/meta/handshake"),
            Self::Connect => channel(Side::Client, "/meta/connect"),
            Self::ConnectReply => channel(Side::Server, "/meta/connect"),
            Self::Request => channel(Side::Client, &chat::channel(SERVICE)),
            Self::Answer => channel(Side::Server, &chat::channel(SERVICE)),
            Self::RequestChat => Unit::Operation("requestChat".to_owned()),
            Self::RequestNotifications => Unit::Operation("requestNotifications".to_owned()),
            Self::SendMessage => Unit::Operation("sendMessage".to_owned()),
            Self::EndOfChat => Unit::Operation("disconnect".to_owned()),
            Self::Upgrade => Unit::Upgrade,
        }
    }

    /// The rule that strikes the next of these units.
    pub(crate) fn strike(self, fault: Fault) -> Rule {
        Rule::once(self.unit(), fault)
    }
}

/// A setting and what happens in it. `Display` and `FromStr` are each other's reverse.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct History {
    /// Which transports the client may use.
    pub transports: Transports,
    /// What ids, keys and jitter derive from.
    pub seed: u64,
    /// At most how much longer than usual anything takes on the network.
    pub jitter: Duration,
    /// How the GMS differs from the usual one, each trait once, in order.
    pub traits: Vec<Trait>,
    /// What happens.
    pub actions: Vec<Action>,
}

impl History {
    /// A history over one transport, with the usual GMS and no jitter.
    #[must_use]
    pub fn new(transports: Transports, actions: Vec<Action>) -> Self {
        Self { transports, seed: 1, jitter: Duration::ZERO, traits: Vec::new(), actions }
    }

    pub(crate) fn has(&self, wanted: Trait) -> bool {
        self.traits.contains(&wanted)
    }
}

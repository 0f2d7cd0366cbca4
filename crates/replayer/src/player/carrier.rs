//! The live client's connections, seen from the server: exchanges that wait for a response, and the socket.

use std::collections::BTreeMap;

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::time::Time;
use protocol::wire::{Exchange, Failure, Headers, Response, Socket, Wire};

use super::reply_id;
use crate::score::{Granted, Heard, Kind, Sent, Via};

/// A message of the live client.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) message: Message,
    /// Its counterpart on the tape.
    pub(super) sent: Option<usize>,
    pub(super) at: Time,
    /// What to answer if it has none.
    pub(super) own: Option<Vec<String>>,
}

/// An exchange that has not been answered.
#[derive(Clone, Debug)]
pub(super) struct Open {
    /// The function of callback-polling that wants to be called.
    pub(super) callback: Option<String>,
    pub(super) asked: Vec<Asked>,
    /// Deliveries that the response will carry.
    pub(super) deliveries: Vec<String>,
}

/// A reply on its way to the socket.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) at: Time,
    /// When it was sent on the tape.
    pub(super) recorded: Time,
    pub(super) order: usize,
    pub(super) line: usize,
    pub(super) text: String,
    /// The recorded connect that it answers, if it is one.
    pub(super) connect: Option<usize>,
    /// The session that it opens.
    pub(super) opens: Option<usize>,
}

/// The socket of the live client.
#[derive(Clone, Debug)]
pub(super) struct Live {
    pub(super) socket: Socket,
    /// Which upgrade of the tape it stands for.
    pub(super) upgrade: usize,
    pub(super) since: Time,
}

/// All connections of the live client.
#[derive(Clone, Debug, Default)]
pub(super) struct Carriers {
    pub(super) exchanges: BTreeMap<Exchange, Open>,
    pub(super) socket: Option<Live>,
    /// A request for a socket, which upgrade of the tape it stands for, and since when it waits.
    pub(super) opening: Option<(Socket, usize, Time)>,
    /// How many sockets were asked for.
    pub(super) upgrades: usize,
    pub(super) frames: Vec<Frame>,
    /// When the client has left and held connects are let go.
    pub(super) released: Option<Time>,
}

impl Carriers {
    pub(super) fn open(&mut self, now: Time, socket: Socket) {
        self.opening = Some((socket, self.upgrades, now));
        self.upgrades += 1;
    }

    /// What becomes of a request for a socket.
    pub(super) fn settle(&mut self, now: Time, socket: Socket, upgrade: usize, granted: &Granted) -> Wire {
        match granted {
            Granted::Yes(headers) => {
                self.socket = Some(Live { socket, upgrade, since: now });
                Wire::Upgraded(socket, headers.clone())
            }
            Granted::No(response) => Wire::Refused(socket, response.clone()),
            Granted::Lost(failure) => Wire::Lost(socket, failure.clone()),
            Granted::Open => Wire::Lost(socket, Failure::Unreachable),
        }
    }

    pub(super) fn drop_socket(&mut self, socket: Socket) {
        if self.socket.take_if(|live| live.socket == socket).is_some() {
            self.frames.clear();
        }
        self.opening.take_if(|(opening, ..)| *opening == socket);
    }

    /// The exchange whose response can carry a delivery: the one that did on the tape if that is no connect, else the held
    /// connect.
    pub(super) fn exchange_for(&self, via: Via) -> Option<Exchange> {
        let own = self
            .exchanges
            .iter()
            .find(|(_, open)| open.asked.iter().any(|asked| asked.sent.is_some_and(|sent| via == Via::Response(sent))));
        let connect = || self.exchanges.iter().find(|(_, open)| open.is_connect());
        own.or_else(connect).map(|(exchange, _)| *exchange)
    }

    /// When something held until `at` is let go.
    pub(super) fn let_go(&self, at: Time) -> Time {
        self.released.map_or(at, |released| released.min(at))
    }
}

impl Open {
    pub(super) fn is_connect(&self) -> bool {
        self.asked.iter().any(|asked| asked.message.channel() == Some(channel::CONNECT))
    }
}

impl Asked {
    /// A plain yes.
    pub(super) fn reply(&self) -> Message {
        let channel = self.message.channel().unwrap_or_default();
        Message::draft(channel).id(self.message.id()).with("successful", true).finish()
    }

    /// The text of a recorded reply with the id of the live message.
    pub(super) fn adapt(&self, sent: &Sent, reply: &Message) -> String {
        let Some(id) = reply.id() else { return reply.text().to_owned() };
        let id = reply_id(self, sent.message.id(), id);
        let mut draft = protocol::bayeux::message::Draft::default();
        for name in reply.names() {
            draft = match (name, reply.member(name)) {
                ("id", _) => draft.id(id.as_ref()),
                (name, Some(value)) => draft.with_raw(name, value.to_owned()),
                (_, None) => draft,
            };
        }
        draft.finish().text().to_owned()
    }
}

impl Sent {
    /// Whether it was answered with a plain yes, which any other yes can stand for.
    pub(super) fn is_plain(&self) -> bool {
        let is_plain = |reply: &Heard| {
            let reconnect = reply.message.advice().and_then(|advice| advice.reconnect);
            reply.message.successful() == Some(true) && matches!(reconnect, None | Some(Reconnect::Retry))
        };
        !self.replies.is_empty() && self.replies.iter().all(is_plain)
    }

    /// The session that a reply opens.
    pub(super) fn opens(&self, reply: &Heard) -> Option<usize> {
        (self.kind == Kind::Handshake && reply.message.successful() == Some(true)).then_some(self.session)
    }

    /// How long its first reply took.
    pub(super) fn latency(&self) -> Option<std::time::Duration> {
        self.replies.first().map(|reply| reply.at - self.at)
    }
}

/// A response with messages, over callback-polling as the call of this function.
pub(super) fn response(exchange: Exchange, headers: Headers, messages: &[String], callback: Option<&str>) -> Wire {
    let messages = format!("[{}]", messages.join(","));
    let body = match callback {
        Some(function) => format!("{function}({messages})"),
        None => messages,
    };
    Wire::Response(exchange, Response { status: 200, headers, body: body.into_bytes() })
}

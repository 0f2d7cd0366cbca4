//! WebSockets: upgrade, frames in, and the end (CometD's websocket transport).

use crate::bayeux::batch::Limits;
use crate::bayeux::server::http::{Place, container};
use crate::bayeux::server::malformed::{self, Habits, Verdict};
use crate::bayeux::server::session::{Carrier, HeldOn};
use crate::bayeux::server::settings::has_origin;
use crate::bayeux::server::work::{Via, Work};
use crate::bayeux::server::{Event, Open, Rejected, Server};
use crate::machine::Output;
use crate::time::Time;
use crate::wire::{Close, Headers, Request, Socket, Transport, Wire};

impl Server {
    pub(super) fn handle_upgrade(&mut self, now: Time, socket: Socket, request: &Request) {
        let protocol = self.settings.dialect.options.web_socket_protocol.as_deref();
        let asked = |wanted: &str| {
            request.headers.all("sec-websocket-protocol").flat_map(|field| field.split(',')).any(|p| p.trim() == wanted)
        };
        let offered = self.settings.dialect.offers(Transport::WebSocket.name());
        let foreign = request
            .headers
            .get("origin")
            .zip(self.settings.web_socket_origins.as_ref())
            .is_some_and(|(origin, allowed)| !has_origin(allowed, origin));
        let refusal = match self.place(request) {
            Place::Base if offered && foreign => Some((Rejected::Origin, container(403, "Forbidden"))),
            Place::Base if offered && protocol.is_none_or(asked) => None,
            Place::Base | Place::BelowBase => Some((Rejected::Method, container(400, "Unknown Bayeux Transport"))),
            Place::Elsewhere => Some((Rejected::Path, container(404, "Not Found"))),
        };
        match refusal {
            None => {
                let headers = match protocol {
                    Some(protocol) => Headers::new().with("Sec-WebSocket-Protocol", protocol),
                    None => Headers::new(),
                };
                self.sockets.insert(socket, Open { session: None, active_at: now });
                self.outputs.push_back(Output::Wire(Wire::Upgraded(socket, headers)));
            }
            Some((why, response)) => {
                self.emit(Event::Rejected(Transport::WebSocket, why));
                self.outputs.push_back(Output::Wire(Wire::Refused(socket, response)));
            }
        }
    }

    pub(super) fn handle_text(&mut self, now: Time, socket: Socket, text: &str) {
        if !self.sockets.contains_key(&socket) {
            return;
        }
        let limits = self.settings.limits;
        let limits = Limits { bytes: limits.bytes.min(self.settings.dialect.web_socket_limit), ..limits };
        let (code, reason) =
            match malformed::read(text.as_bytes(), &limits, Habits::of_frame(&self.settings.dialect.malformed)) {
                Ok(messages) => {
                    self.work = Some(Work::new(now, Via::Socket(socket), messages));
                    return;
                }
                Err(Verdict::Nothing | Verdict::EmptyArray) => return,
                Err(Verdict::NotJson(_)) => (1011, "not a batch of messages"),
                Err(Verdict::Fault) => (1011, "protocol violation"),
                Err(Verdict::TooLarge) => (1009, "message too large"),
            };
        self.emit(Event::Rejected(Transport::WebSocket, Rejected::Malformed));
        self.close(now, socket, code, reason);
    }

    /// Closes a socket from this side. Its session lives on and may come back on another (BX-WS-10).
    pub(super) fn close(&mut self, now: Time, socket: Socket, code: u16, reason: &str) {
        if self.sockets.contains_key(&socket) {
            let close = Close { code, reason: reason.to_owned() };
            self.outputs.push_back(Output::Wire(Wire::Close(socket, close)));
            self.handle_socket_gone(now, socket);
        }
    }

    /// The socket is gone, and with it the connect that was held on it.
    pub(super) fn handle_socket_gone(&mut self, now: Time, socket: Socket) {
        self.sockets.remove(&socket);
        for session in self.sessions.values_mut().filter(|session| session.carrier == Carrier::Socket(socket)) {
            if session.held.as_ref().is_some_and(|held| held.on == HeldOn::Socket) {
                session.held = None;
                session.touch(now);
            }
        }
    }

    /// Closes the sockets that carried nothing for too long, as the container does.
    pub(super) fn close_idle(&mut self, now: Time) {
        let is_due = |open: &Open| self.idle_at(open).is_some_and(|at| at <= now);
        let due: Vec<Socket> =
            self.sockets.iter().filter(|(_, open)| is_due(open)).map(|(socket, _)| *socket).collect();
        for socket in due {
            self.close(now, socket, 1001, "Idle Timeout");
        }
    }
}

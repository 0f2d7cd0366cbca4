//! How the client's messages travel: HTTP exchanges for long-polling and callback-polling, one socket for WebSocket.
//!
//! The carrier knows requests, sockets and which messages wait for an answer on which of them. It does not know what a
//! handshake or an advice is. Over HTTP it keeps two exchanges at the most, one of them the connect (BX-GEN-02), and sends
//! everything else one exchange after the other, so that publishes keep their order (BX-PB-09). Callback-polling puts the
//! messages into the target of a request, whose length is limited: what does not fit goes with the next one (BX-CP-06).

use std::collections::{BTreeMap, VecDeque};

use crate::bayeux::batch::{Batch, Limits};
use crate::bayeux::channel;
use crate::bayeux::client::saved::{Hidden, Saved};
use crate::bayeux::http::{self, Cookies};
use crate::bayeux::message::{Message, MessageId};
use crate::wire::{Close, Exchange, Failure, Headers, Request, Response, Socket, Transport, Wire};

/// Why messages will not be answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Loss {
    /// They never left: no socket could be opened. Nothing was executed.
    NotSent,
    /// The message never left and never will: it is longer than the target of a request may be (BX-CP-06).
    TooLong,
    /// The connection broke, timed out or was cut; they may have been executed.
    Connection(Failure),
    /// The server answered with this HTTP status.
    Status(u16),
    /// The answer was no batch of messages, or an empty one.
    Malformed,
    /// The answer was complete but held no reply to them.
    Unanswered,
}

/// What came over the carrier.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Messages in order. Those of different HTTP exchanges may overtake each other.
    Messages(Vec<Message>),
    /// These messages will not be answered.
    Lost(Vec<MessageId>, Loss),
    /// The open WebSocket is gone, whether or not a message waited on it. What waited was told before.
    SocketGone,
    /// A WebSocket could not be opened.
    Refused(Vec<MessageId>),
}

/// One side's view of the connections to the server.
#[derive(Clone, Debug)]
pub(super) struct Carrier {
    base: String,
    limits: Limits,
    /// How many bytes the target of a request with messages in it may have.
    target_limit: usize,
    transport: Transport,
    cookies: Cookies,
    next_exchange: u64,
    next_socket: u64,
    exchanges: BTreeMap<Exchange, Waiting>,
    queue: VecDeque<Message>,
    socket: SocketState,
    ever_open: bool,
}

/// The messages that wait for one exchange.
#[derive(Clone, Debug)]
struct Waiting {
    ids: Vec<MessageId>,
    connect: bool,
}

#[derive(Clone, Debug)]
enum SocketState {
    Closed,
    /// The upgrade is under way; messages wait in the queue.
    Opening(Socket),
    /// Messages that were sent and not yet answered.
    Open(Socket, Vec<MessageId>),
}

impl Carrier {
    pub(super) fn new(base: &str, transport: Transport, limits: Limits, target_limit: usize) -> Self {
        Self {
            base: base.to_owned(),
            limits,
            target_limit,
            transport,
            cookies: Cookies::new(),
            next_exchange: 0,
            next_socket: 0,
            exchanges: BTreeMap::new(),
            queue: VecDeque::new(),
            socket: SocketState::Closed,
            ever_open: false,
        }
    }

    /// Goes on where a saved session was, over the same transport, which worked.
    pub(super) fn resume(&mut self, saved: &Saved) {
        let cookies = saved.cookies.iter().map(|(name, value)| (name.clone(), value.0.clone()));
        self.cookies = Cookies::of(cookies);
        self.next_exchange = saved.next_exchange;
        self.next_socket = saved.next_socket;
        self.ever_open = true;
    }

    pub(super) fn cookies(&self) -> Vec<(String, Hidden)> {
        self.cookies.iter().map(|(name, value)| (name.to_owned(), Hidden(value.clone()))).collect()
    }

    /// The numbers of the next exchange and the next socket.
    pub(super) const fn next(&self) -> (u64, u64) {
        (self.next_exchange, self.next_socket)
    }

    pub(super) const fn transport(&self) -> Transport {
        self.transport
    }

    /// Whether a WebSocket was ever open; until then a refusal means that the server offers none (BX-WS-12).
    pub(super) const fn ever_open(&self) -> bool {
        self.ever_open
    }

    fn has_request_under_way(&self) -> bool {
        self.exchanges.values().any(|waiting| !waiting.connect)
    }

    /// Numbers a request that somebody else sends and awaits, and adds the cookies.
    pub(super) fn beside(&mut self, request: Request) -> (Exchange, Request) {
        let exchange = Exchange(self.next_exchange);
        self.next_exchange += 1;
        let headers = self.cookies.add_to(request.headers);
        (exchange, Request { headers, ..request })
    }

    pub(super) fn take_cookies(&mut self, headers: &Headers) {
        self.cookies.absorb(headers);
    }

    /// Changes to another transport. What was under way must have been given up before.
    pub(super) fn switch(&mut self, transport: Transport) {
        self.transport = transport;
    }

    /// Sends a message. What cannot be sent at all is lost at once.
    pub(super) fn send(&mut self, message: Message, out: &mut VecDeque<Wire>) -> Vec<Arrival> {
        match self.transport {
            Transport::LongPolling | Transport::CallbackPolling => {
                let connect = message.channel() == Some(channel::CONNECT);
                if connect {
                    return self.post(vec![message], true, out).into_iter().collect();
                }
                self.queue.push_back(message);
                return self.post_queue(out);
            }
            Transport::WebSocket => match &mut self.socket {
                SocketState::Open(socket, ids) => {
                    ids.extend(message.id().cloned());
                    out.push_back(Wire::Text(*socket, Batch::array([&message])));
                }
                SocketState::Opening(_) => self.queue.push_back(message),
                SocketState::Closed => {
                    let socket = Socket(self.next_socket);
                    self.next_socket += 1;
                    self.queue.push_back(message);
                    self.socket = SocketState::Opening(socket);
                    out.push_back(Wire::Upgrade(socket, http::upgrade(&self.base, &self.cookies)));
                }
            },
        }
        Vec::new()
    }

    /// Sends as many messages as one request takes, from the first on. The others go back to the head of the queue; a
    /// first one that is too long by itself is lost.
    fn post(&mut self, mut messages: Vec<Message>, connect: bool, out: &mut VecDeque<Wire>) -> Option<Arrival> {
        let exchange = Exchange(self.next_exchange);
        let mut request = self.request(exchange, &messages);
        while self.transport == Transport::CallbackPolling && request.target.len() > self.target_limit {
            let last = messages.pop()?;
            if messages.is_empty() {
                return Some(Arrival::Lost(last.id().cloned().into_iter().collect(), Loss::TooLong));
            }
            self.queue.push_front(last);
            request = self.request(exchange, &messages);
        }
        self.next_exchange += 1;
        let ids = messages.iter().filter_map(|message| message.id().cloned()).collect();
        self.exchanges.insert(exchange, Waiting { ids, connect });
        out.push_back(Wire::Request(exchange, request));
        None
    }

    fn request(&self, exchange: Exchange, messages: &[Message]) -> Request {
        match self.transport {
            Transport::CallbackPolling => {
                let callback = format!("_cometd_jsonp_{}", exchange.0);
                http::callback_request(&self.base, messages, &callback, &Batch::array(messages), &self.cookies)
            }
            Transport::LongPolling | Transport::WebSocket => http::request(&self.base, messages, &self.cookies),
        }
    }

    fn post_queue(&mut self, out: &mut VecDeque<Wire>) -> Vec<Arrival> {
        let mut arrivals = Vec::new();
        while !self.queue.is_empty() && !self.has_request_under_way() {
            let messages = self.queue.drain(..).collect();
            arrivals.extend(self.post(messages, false, out));
        }
        arrivals
    }

    /// Takes something from the wire. Whatever belongs to an exchange or socket that was given up is dropped whole: its
    /// events would come twice or out of order (BX-CN-15).
    pub(super) fn receive(&mut self, wire: Wire, out: &mut VecDeque<Wire>) -> Vec<Arrival> {
        match wire {
            Wire::Response(exchange, response) => match self.exchanges.remove(&exchange) {
                Some(waiting) => self.on_response(&waiting.ids, &response, out),
                None => Vec::new(),
            },
            Wire::Broken(exchange, failure) => match self.exchanges.remove(&exchange) {
                Some(waiting) => {
                    let mut arrivals = vec![Arrival::Lost(waiting.ids, Loss::Connection(failure))];
                    arrivals.extend(self.post_queue(out));
                    arrivals
                }
                None => Vec::new(),
            },
            Wire::Upgraded(socket, headers) => {
                self.on_upgraded(socket, &headers, out);
                Vec::new()
            }
            Wire::Refused(socket, response) => {
                self.cookies.absorb(&response.headers);
                self.on_socket_end(socket, &Failure::Protocol)
            }
            Wire::Text(socket, text) => self.on_text(socket, &text, out),
            Wire::Close(socket, _) => {
                let ours = self.is_ours(socket);
                let arrivals = self.on_socket_end(socket, &Failure::Reset);
                if ours {
                    out.push_back(Wire::Close(socket, Close { code: 1000, reason: String::new() }));
                }
                arrivals
            }
            Wire::Lost(socket, failure) => self.on_socket_end(socket, &failure),
            Wire::Binary(..) | Wire::Ping(..) | Wire::Pong(..) | Wire::Request(..) | Wire::Upgrade(..) => Vec::new(),
        }
    }

    fn on_response(&mut self, ids: &[MessageId], response: &Response, out: &mut VecDeque<Wire>) -> Vec<Arrival> {
        self.cookies.absorb(&response.headers);
        let lost = |loss| vec![Arrival::Lost(ids.to_vec(), loss)];
        let mut arrivals = if response.status == 200 {
            let body = match self.transport {
                Transport::CallbackPolling => http::callback_argument(&response.body),
                Transport::LongPolling | Transport::WebSocket => &response.body,
            };
            match Batch::parse(body, &self.limits) {
                Ok(batch) if !batch.messages.is_empty() => {
                    let answered = |id: &MessageId| batch.messages.iter().any(|message| message.id() == Some(id));
                    let unanswered: Vec<MessageId> = ids.iter().filter(|id| !answered(id)).cloned().collect();
                    let mut arrivals = vec![Arrival::Messages(batch.messages)];
                    if !unanswered.is_empty() {
                        arrivals.push(Arrival::Lost(unanswered, Loss::Unanswered));
                    }
                    arrivals
                }
                Ok(_) | Err(_) => lost(Loss::Malformed),
            }
        } else {
            lost(Loss::Status(response.status))
        };
        arrivals.extend(self.post_queue(out));
        arrivals
    }

    fn on_upgraded(&mut self, socket: Socket, headers: &Headers, out: &mut VecDeque<Wire>) {
        if matches!(self.socket, SocketState::Opening(opening) if opening == socket) {
            self.cookies.absorb(headers);
            self.ever_open = true;
            let mut ids = Vec::new();
            for message in self.queue.drain(..) {
                ids.extend(message.id().cloned());
                out.push_back(Wire::Text(socket, Batch::array([&message])));
            }
            self.socket = SocketState::Open(socket, ids);
        }
    }

    fn on_text(&mut self, socket: Socket, text: &str, out: &mut VecDeque<Wire>) -> Vec<Arrival> {
        let SocketState::Open(open, ids) = &mut self.socket else { return Vec::new() };
        if *open != socket {
            return Vec::new();
        }
        match Batch::parse(text.as_bytes(), &self.limits) {
            Ok(batch) => {
                ids.retain(|id| !batch.messages.iter().any(|message| message.id() == Some(id)));
                vec![Arrival::Messages(batch.messages)]
            }
            Err(_) => {
                let ids = std::mem::take(ids);
                self.socket = SocketState::Closed;
                out.push_back(Wire::Close(socket, Close { code: 1002, reason: "not a Bayeux batch".to_owned() }));
                vec![Arrival::Lost(ids, Loss::Malformed), Arrival::SocketGone]
            }
        }
    }

    fn is_ours(&self, socket: Socket) -> bool {
        match &self.socket {
            SocketState::Opening(ours) | SocketState::Open(ours, _) => *ours == socket,
            SocketState::Closed => false,
        }
    }

    fn on_socket_end(&mut self, socket: Socket, failure: &Failure) -> Vec<Arrival> {
        if !self.is_ours(socket) {
            return Vec::new();
        }
        match std::mem::replace(&mut self.socket, SocketState::Closed) {
            SocketState::Closed => Vec::new(),
            SocketState::Opening(_) => {
                let ids = self.queue.drain(..).filter_map(|message| message.id().cloned()).collect();
                vec![Arrival::Refused(ids)]
            }
            SocketState::Open(_, ids) => {
                vec![Arrival::Lost(ids, Loss::Connection(failure.clone())), Arrival::SocketGone]
            }
        }
    }

    /// Gives up the message with this id because it was not answered in time. A socket is closed with it, since nothing
    /// more is to be expected from it. Returns what else is lost thereby, the message itself included.
    pub(super) fn give_up(&mut self, id: &MessageId, out: &mut VecDeque<Wire>) -> Vec<Arrival> {
        let exchange =
            self.exchanges.iter().find(|(_, waiting)| waiting.ids.contains(id)).map(|(exchange, _)| *exchange);
        if let Some(exchange) = exchange {
            let waiting = self.exchanges.remove(&exchange);
            out.push_back(Wire::Broken(exchange, Failure::TimedOut));
            let ids = waiting.map(|waiting| waiting.ids).unwrap_or_default();
            let mut arrivals = vec![Arrival::Lost(ids, Loss::Connection(Failure::TimedOut))];
            arrivals.extend(self.post_queue(out));
            return arrivals;
        }
        let queued = self.queue.iter().position(|message| message.id() == Some(id));
        match std::mem::replace(&mut self.socket, SocketState::Closed) {
            SocketState::Open(socket, ids) if ids.contains(id) => {
                out.push_back(Wire::Close(socket, Close { code: 1000, reason: "Message Timeout".to_owned() }));
                vec![Arrival::Lost(ids, Loss::Connection(Failure::TimedOut)), Arrival::SocketGone]
            }
            SocketState::Opening(socket) if queued.is_some() => {
                out.push_back(Wire::Lost(socket, Failure::TimedOut));
                let ids = self.queue.drain(..).filter_map(|message| message.id().cloned()).collect();
                vec![Arrival::Refused(ids)]
            }
            state @ (SocketState::Closed | SocketState::Opening(_) | SocketState::Open(..)) => {
                self.socket = state;
                match queued.and_then(|position| self.queue.remove(position)) {
                    Some(message) => vec![Arrival::Lost(message.id().cloned().into_iter().collect(), Loss::NotSent)],
                    None => Vec::new(),
                }
            }
        }
    }

    /// Takes messages back that have not left yet, and gives the ids of those that it could.
    pub(super) fn withdraw(&mut self, mut wanted: impl FnMut(&MessageId) -> bool) -> Vec<MessageId> {
        let mut withdrawn = Vec::new();
        self.queue.retain(|message| match message.id().filter(|id| wanted(id)) {
            Some(id) => {
                withdrawn.push(id.clone());
                false
            }
            None => true,
        });
        withdrawn
    }

    /// Drops everything under way: aborts the exchanges and closes the socket.
    pub(super) fn close(&mut self, reason: &str, out: &mut VecDeque<Wire>) {
        for exchange in std::mem::take(&mut self.exchanges).into_keys() {
            out.push_back(Wire::Broken(exchange, Failure::Aborted));
        }
        self.queue.clear();
        match std::mem::replace(&mut self.socket, SocketState::Closed) {
            SocketState::Closed => {}
            SocketState::Opening(socket) => out.push_back(Wire::Lost(socket, Failure::Aborted)),
            SocketState::Open(socket, _) => {
                out.push_back(Wire::Close(socket, Close { code: 1000, reason: reason.to_owned() }));
            }
        }
    }

    /// Aborts every exchange that is not yet complete and forgets what waits, but leaves an open socket open: the socket
    /// can carry the next session.
    pub(super) fn abandon_messages(&mut self, out: &mut VecDeque<Wire>) {
        for exchange in std::mem::take(&mut self.exchanges).into_keys() {
            out.push_back(Wire::Broken(exchange, Failure::Aborted));
        }
        if let SocketState::Open(_, ids) = &mut self.socket {
            ids.clear();
        }
        self.queue.clear();
    }
}

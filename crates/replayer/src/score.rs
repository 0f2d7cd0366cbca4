//! What one client and its server did, as something that can be performed again.
//!
//! The client's messages stand in [`Score::sent`], each with what became of it. What happened without being a reply is a
//! [`Step`]: a deed of the application, a delivery, a loss. Steps are performed in the order of the tape; a reply is given
//! when its request arrives. So nothing depends on how a client batches, or on which carrier its messages travel.

use std::collections::BTreeMap;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::CHANNEL_PREFIX;
use protocol::chat::notification::{Event, Notification, ParticipantType, Status};
use protocol::chat::operation::RequestChat;
use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Headers, Response, Side, Socket, Transport, Wire};
use serde_json::{Map, Value};

use crate::chains::{Chain, Unit};

/// An operation that the chat client knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    RequestChat,
    RequestNotifications,
    SendMessage,
    Disconnect,
}

/// What a message of the client is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Handshake,
    Connect,
    Disconnect,
    Chat(Operation),
    /// Something that the chat client never sends, such as `startTyping` or a subscription.
    Other,
}

impl Kind {
    pub(crate) fn of(message: &Message) -> Self {
        match message.channel() {
            Some(channel::HANDSHAKE) => Self::Handshake,
            Some(channel::CONNECT) => Self::Connect,
            Some(channel::DISCONNECT) => Self::Disconnect,
            Some(service) if service.starts_with(CHANNEL_PREFIX) => match operation(message).as_deref() {
                Some("requestChat") => Self::Chat(Operation::RequestChat),
                Some("requestNotifications") => Self::Chat(Operation::RequestNotifications),
                Some("sendMessage") => Self::Chat(Operation::SendMessage),
                Some("disconnect") => Self::Chat(Operation::Disconnect),
                Some(_) | None => Self::Other,
            },
            Some(_) | None => Self::Other,
        }
    }

    /// Whether the client under replay has to send it too. How often it polls is its own affair.
    pub(crate) const fn is_expected(self) -> bool {
        matches!(self, Self::Handshake | Self::Disconnect | Self::Chat(_))
    }
}

/// The word in the `operation` member of a publish.
pub(crate) fn operation(message: &Message) -> Option<String> {
    data(message)?.get("operation")?.as_str().map(str::to_owned)
}

/// The `data` of a message.
pub(crate) fn data(message: &Message) -> Option<Map<String, Value>> {
    serde_json::from_str(message.data()?.get()).ok()
}

/// A message of the server.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) order: usize,
    pub(crate) at: Time,
    pub(crate) line: usize,
    pub(crate) message: Message,
}

/// How an HTTP exchange ended.
#[derive(Clone, Debug)]
pub(crate) enum Ending {
    /// With messages.
    Answered(Headers),
    /// With a response that holds no messages.
    Failed(Response),
    /// Without a response.
    Broken(Side, Failure),
}

/// A message of the client, and what became of it.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) order: usize,
    pub(crate) at: Time,
    pub(crate) line: usize,
    pub(crate) message: Message,
    pub(crate) kind: Kind,
    /// The number of its session, from 1; a handshake belongs to the session that it opens.
    pub(crate) session: usize,
    pub(crate) replies: Vec<Heard>,
    /// On HTTP, how its exchange ended and when; `None` if the tape does not say.
    pub(crate) ending: Option<(Time, usize, Ending)>,
}

/// What became of a request for a WebSocket.
#[derive(Clone, Debug)]
pub(crate) enum Granted {
    Yes(Headers),
    No(Response),
    Lost(Failure),
    /// The tape does not say.
    Open,
}

/// A request for a WebSocket.
#[derive(Clone, Debug)]
pub(crate) struct Upgrade {
    pub(crate) at: Time,
    pub(crate) order: usize,
    /// When its outcome came.
    pub(crate) settled: Time,
    pub(crate) granted: Granted,
}

/// What a delivery came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    Socket,
    /// The response to this message of the client.
    Response(usize),
}

/// How a WebSocket ended.
#[derive(Clone, Debug)]
pub(crate) enum End {
    Closed(Close),
    Lost(Failure),
}

/// What happens at a step.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// The application connects.
    Connect,
    /// The application asks for a chat.
    Start(usize, RequestChat),
    /// The application says something; `repeats` if it was said before and failed.
    Say { sent: usize, text: String, repeats: bool },
    /// The application ends the chat.
    End(usize),
    /// The application leaves the session.
    Leave,
    /// The recorded client sent what ours never sends.
    Unplayed(usize),
    /// The server delivers something that these messages of the client led to.
    Deliver { message: Message, causes: Vec<usize>, via: Via, session: usize },
    /// The server sends a frame that holds no messages.
    Frame(String),
    /// The WebSocket that the upgrade of this number opened ends.
    Lose { upgrade: usize, by: Side, end: End },
}

/// Something that happens of itself.
#[derive(Clone, Debug)]
pub(crate) struct Step {
    pub(crate) order: usize,
    pub(crate) at: Time,
    pub(crate) line: usize,
    pub(crate) deed: Deed,
}

/// An event of the transcript that the tape holds.
#[derive(Clone, Debug)]
pub(crate) struct Recorded {
    pub(crate) line: usize,
    pub(crate) index: u64,
    pub(crate) value: Value,
    /// Which chat of the tape it belongs to, from 0.
    pub(crate) chat: usize,
    /// Whether the chat had ended before. A client need not show it any more.
    pub(crate) after_end: bool,
}

/// Everything about one client. See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Score {
    pub(crate) begins: Time,
    pub(crate) transports: Vec<Transport>,
    pub(crate) base: String,
    pub(crate) service: String,
    pub(crate) sent: Vec<Sent>,
    pub(crate) upgrades: Vec<Upgrade>,
    pub(crate) steps: Vec<Step>,
    /// What the client has to show: each index in the order of its first delivery, and once more if it was reused.
    pub(crate) transcript: Vec<Recorded>,
    /// How many chats the transcript is of. A chat whose beginning was not seen is asked for again, and may run all the same.
    pub(crate) chats: usize,
    /// Replies to nothing.
    pub(crate) orphans: Vec<Heard>,
    /// Messages of the client in the transcript that it never sent.
    pub(crate) unsaid: Vec<Recorded>,
}

impl Score {
    /// Reads the score from what one client exchanged.
    pub(crate) fn of(chain: &Chain) -> Self {
        let first = chain.units.first();
        let mut reader = Reader {
            score: Self {
                begins: first.map(|unit| unit.at).unwrap_or_default(),
                transports: Vec::new(),
                base: String::new(),
                service: String::new(),
                sent: Vec::new(),
                upgrades: Vec::new(),
                steps: Vec::new(),
                transcript: Vec::new(),
                chats: 0,
                orphans: Vec::new(),
                unsaid: Vec::new(),
            },
            order: 0,
            sessions: 0,
            by_client_id: BTreeMap::new(),
            exchanges: BTreeMap::new(),
            on_socket: BTreeMap::new(),
            open_sockets: BTreeMap::new(),
            unclaimed: Vec::new(),
            saying: Vec::new(),
            said: Vec::new(),
            participant: None,
            chats: BTreeMap::new(),
            ended: Vec::new(),
        };
        if let Some(first) = first {
            reader.step(first.at, first.line, Deed::Connect);
        }
        for unit in &chain.units {
            reader.unit(unit);
        }
        reader.finish()
    }

    /// Whether the chat was begun before the tape or by another page, so that no deed of the application can bring it about.
    pub(crate) fn resumes(&self) -> bool {
        let first = self.sent.iter().find(|sent| matches!(sent.kind, Kind::Chat(_)));
        first.is_some_and(|sent| sent.kind != Kind::Chat(Operation::RequestChat))
    }

    /// The messages with which the client left its sessions.
    pub(crate) fn leaves(&self) -> Vec<usize> {
        let sent = self.sent.iter().enumerate();
        sent.filter(|(_, sent)| sent.kind == Kind::Disconnect).map(|(number, _)| number).collect()
    }

    /// The deliveries, as steps, that came with the response to a message, by that message.
    pub(crate) fn riders(&self) -> BTreeMap<usize, Vec<usize>> {
        let mut riders: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (number, step) in self.steps.iter().enumerate() {
            if let Deed::Deliver { via: Via::Response(sent), .. } = step.deed {
                riders.entry(sent).or_default().push(number);
            }
        }
        riders
    }

    /// How often a chat was asked for.
    pub(crate) fn requests(&self) -> usize {
        self.sent.iter().filter(|sent| sent.kind == Kind::Chat(Operation::RequestChat)).count()
    }
}

/// A message that was said and has not come back yet.
#[derive(Debug)]
struct Saying {
    sent: usize,
    text: String,
    failed: bool,
}

struct Reader {
    score: Score,
    order: usize,
    sessions: usize,
    by_client_id: BTreeMap<String, usize>,
    /// The messages that each open exchange carries.
    exchanges: BTreeMap<Exchange, Vec<usize>>,
    /// The messages that each socket carried.
    on_socket: BTreeMap<Socket, Vec<usize>>,
    /// The upgrade behind each open socket.
    open_sockets: BTreeMap<Socket, usize>,
    /// Publishes whose answer has not come yet.
    unclaimed: Vec<usize>,
    saying: Vec<Saying>,
    /// Every text that was said and is not yet in the transcript.
    said: Vec<String>,
    /// The client's own number in the chat.
    participant: Option<i64>,
    /// The number of each chat, by its id.
    chats: BTreeMap<Option<String>, usize>,
    /// The chats that have ended.
    ended: Vec<usize>,
}

impl Reader {
    fn next_order(&mut self) -> usize {
        self.order += 1;
        self.order
    }

    fn step(&mut self, at: Time, line: usize, deed: Deed) {
        let order = self.next_order();
        self.score.steps.push(Step { order, at, line, deed });
    }

    fn unit(&mut self, unit: &Unit) {
        match &unit.wire {
            Wire::Request(exchange, request) => {
                let over_callbacks = unit.is_callback;
                self.use_transport(if over_callbacks { Transport::CallbackPolling } else { Transport::LongPolling });
                let sent = self.sent(unit);
                if self.score.base.is_empty() {
                    let path = request.target.split('?').next().unwrap_or_default();
                    let base = path.strip_suffix("/handshake").unwrap_or(path).trim_end_matches('/');
                    base.clone_into(&mut self.score.base);
                }
                self.exchanges.insert(*exchange, sent);
            }
            Wire::Response(exchange, response) => {
                let Some(sent) = self.exchanges.remove(exchange) else { return };
                self.heard(unit, &sent, Via::Response);
                let ending = match unit.batch {
                    Some(_) => Ending::Answered(response.headers.clone()),
                    None => Ending::Failed(response.clone()),
                };
                self.end(unit, &sent, &ending);
            }
            Wire::Broken(exchange, failure) => {
                let Some(sent) = self.exchanges.remove(exchange) else { return };
                self.end(unit, &sent, &Ending::Broken(unit.from, failure.clone()));
            }
            Wire::Upgrade(socket, request) => {
                self.use_transport(Transport::WebSocket);
                if self.score.base.is_empty() {
                    self.score.base = request.target.split('?').next().unwrap_or_default().to_owned();
                }
                let order = self.next_order();
                let upgrade = Upgrade { at: unit.at, order, settled: unit.at, granted: Granted::Open };
                self.open_sockets.insert(*socket, self.score.upgrades.len());
                self.score.upgrades.push(upgrade);
            }
            Wire::Upgraded(socket, headers) => self.settle(unit, *socket, Granted::Yes(headers.clone())),
            Wire::Refused(socket, response) => {
                self.settle(unit, *socket, Granted::No(response.clone()));
                self.open_sockets.remove(socket);
            }
            Wire::Text(socket, text) => match (unit.from, &unit.batch) {
                (Side::Client, _) => {
                    let sent = self.sent(unit);
                    self.on_socket.entry(*socket).or_default().extend(sent);
                }
                (Side::Server, Some(_)) => {
                    let sent = self.on_socket.get(socket).cloned().unwrap_or_default();
                    self.heard(unit, &sent, |_| Via::Socket);
                }
                (Side::Server, None) => self.step(unit.at, unit.line, Deed::Frame(text.clone())),
            },
            Wire::Close(socket, close) => self.lose(unit, *socket, End::Closed(close.clone())),
            Wire::Lost(socket, failure) => self.lose(unit, *socket, End::Lost(failure.clone())),
            Wire::Binary(..) | Wire::Ping(..) | Wire::Pong(..) => {}
        }
    }

    fn use_transport(&mut self, transport: Transport) {
        if !self.score.transports.contains(&transport) {
            self.score.transports.push(transport);
        }
    }

    fn settle(&mut self, unit: &Unit, socket: Socket, granted: Granted) {
        if let Some(upgrade) = self.open_sockets.get(&socket).and_then(|at| self.score.upgrades.get_mut(*at)) {
            upgrade.settled = unit.at;
            upgrade.granted = granted;
        }
    }

    fn lose(&mut self, unit: &Unit, socket: Socket, end: End) {
        let Some(number) = self.open_sockets.remove(&socket) else { return };
        let upgrade = &mut self.score.upgrades[number];
        if matches!(upgrade.granted, Granted::Open) {
            if unit.from == Side::Server {
                upgrade.settled = unit.at;
                upgrade.granted = Granted::Lost(match end {
                    End::Lost(failure) => failure,
                    End::Closed(_) => Failure::Protocol,
                });
            }
            return;
        }
        for saying in &mut self.saying {
            saying.failed = true;
        }
        self.step(unit.at, unit.line, Deed::Lose { upgrade: number, by: unit.from, end });
    }

    /// Takes in the client's messages of a unit and gives their numbers.
    fn sent(&mut self, unit: &Unit) -> Vec<usize> {
        let mut numbers = Vec::new();
        for (line, message) in unit.batch.as_deref().unwrap_or_default() {
            let kind = Kind::of(message);
            if kind == Kind::Handshake {
                self.sessions += 1;
            }
            let known = message.client_id().and_then(|id| self.by_client_id.get(id.expose()));
            let session = known.copied().filter(|_| kind != Kind::Handshake).unwrap_or(self.sessions);
            // What the application does comes before what the client sends for it.
            let (step, order, number) = (self.next_order(), self.next_order(), self.score.sent.len());
            self.score.sent.push(Sent {
                order,
                at: unit.at,
                line: *line,
                message: message.clone(),
                kind,
                session,
                replies: Vec::new(),
                ending: None,
            });
            numbers.push(number);
            if let Some(deed) = self.deed(number) {
                self.score.steps.push(Step { order: step, at: unit.at, line: *line, deed });
            }
        }
        numbers
    }

    /// What the application did to make the client send this; `None` if the client sends it of itself.
    fn deed(&mut self, number: usize) -> Option<Deed> {
        let Sent { message, kind, .. } = &self.score.sent[number];
        let data = data(message).unwrap_or_default();
        if let (Kind::Chat(_), Some(channel)) = (kind, message.channel())
            && self.score.service.is_empty()
        {
            self.score.service = channel.trim_start_matches(CHANNEL_PREFIX).to_owned();
        }
        match kind {
            Kind::Handshake | Kind::Connect => None,
            Kind::Disconnect => Some(Deed::Leave),
            Kind::Other => Some(Deed::Unplayed(number)),
            Kind::Chat(operation) => {
                self.unclaimed.push(number);
                match operation {
                    Operation::RequestNotifications => None,
                    Operation::Disconnect => Some(Deed::End(number)),
                    Operation::RequestChat => {
                        let request = RequestChat::read(&data);
                        self.said.extend(request.text.clone().filter(|text| !text.is_empty()));
                        Some(Deed::Start(number, request))
                    }
                    Operation::SendMessage => {
                        let text = data.get("message").and_then(Value::as_str).unwrap_or_default().to_owned();
                        let failed = self.saying.iter().position(|saying| saying.failed && saying.text == text);
                        match failed {
                            Some(failed) => drop(self.saying.remove(failed)),
                            None => self.said.push(text.clone()),
                        }
                        self.saying.push(Saying { sent: number, text: text.clone(), failed: false });
                        Some(Deed::Say { sent: number, text, repeats: failed.is_some() })
                    }
                }
            }
        }
    }

    /// Takes in the server's messages of a unit, on a carrier that carried these messages of the client.
    fn heard(&mut self, unit: &Unit, sent: &[usize], via: impl Fn(usize) -> Via) {
        for (line, message) in unit.batch.as_deref().unwrap_or_default() {
            let is_reply = message.channel().is_some_and(channel::is_meta) || message.is_publish_reply();
            match self.asked(message, sent).filter(|_| is_reply) {
                Some(number) => self.reply(unit, *line, message, number),
                None if is_reply && message.id().is_some() => {
                    let order = self.next_order();
                    self.score.orphans.push(Heard { order, at: unit.at, line: *line, message: message.clone() });
                }
                None => {
                    let via = via(sent.first().copied().unwrap_or_default());
                    self.delivery(unit, *line, message, via);
                }
            }
        }
    }

    /// The message that a reply answers: by its id, or, if the id is absent or unknown, the first that waits on its channel.
    fn asked(&self, reply: &Message, sent: &[usize]) -> Option<usize> {
        let on_channel = |number: &&usize| self.score.sent[**number].message.channel() == reply.channel();
        let same_id = |number: &&usize| self.score.sent[**number].message.id() == reply.id();
        let waits = |number: &&usize| self.score.sent[**number].replies.is_empty();
        let of_channel = || sent.iter().filter(on_channel);
        let by_id = || of_channel().filter(waits).find(same_id).or_else(|| of_channel().find(same_id));
        let found = match reply.id() {
            Some(_) => by_id().or_else(|| of_channel().find(waits)),
            // A server that ends a session says so on a meta channel without having been asked.
            None => of_channel().find(waits),
        };
        found.copied()
    }

    fn reply(&mut self, unit: &Unit, line: usize, message: &Message, number: usize) {
        let order = self.next_order();
        let sent = &mut self.score.sent[number];
        sent.replies.push(Heard { order, at: unit.at, line, message: message.clone() });
        if sent.kind == Kind::Handshake
            && message.successful() == Some(true)
            && let Some(id) = message.client_id()
        {
            self.by_client_id.insert(id.expose().to_owned(), sent.session);
        }
        if message.successful() != Some(true) {
            let lost = sent.kind == Kind::Connect;
            for saying in self.saying.iter_mut().filter(|saying| lost || saying.sent == number) {
                saying.failed = true;
            }
        }
    }

    fn end(&mut self, unit: &Unit, sent: &[usize], ending: &Ending) {
        let order = self.next_order();
        for number in sent {
            self.score.sent[*number].ending = Some((unit.at, order, ending.clone()));
            let failed = !matches!(ending, Ending::Answered(_));
            for saying in self.saying.iter_mut().filter(|_| failed) {
                saying.failed = true;
            }
        }
    }

    fn delivery(&mut self, unit: &Unit, line: usize, message: &Message, via: Via) {
        let is_chat = message.channel().is_some_and(|channel| channel.starts_with(CHANNEL_PREFIX));
        let notification = message.data().filter(|_| is_chat).map(|data| Notification::parse(data.get()));
        let causes = notification.map(|notification| self.causes(line, &notification)).unwrap_or_default();
        let deed = Deed::Deliver { message: message.clone(), causes, via, session: self.sessions };
        self.step(unit.at, line, deed);
    }

    /// The client's messages that a notification answers. It carries no id, so its contents must tell.
    fn causes(&mut self, line: usize, notification: &Notification) -> Vec<usize> {
        let mut causes = Vec::new();
        let refused = notification.status.is_some_and(|status| status != Status::Ok);
        if refused {
            for saying in &mut self.saying {
                saying.failed = true;
            }
            causes.extend(self.claim(|_| true));
        } else {
            causes.extend(self.claim(|operation| operation == Operation::RequestNotifications));
            causes.extend(self.claim(|operation| operation == Operation::RequestChat));
        }
        if notification.chat_ended == Some(true) {
            causes.extend(self.claim(|operation| operation == Operation::Disconnect));
        }
        let id = notification.chat_id.as_ref().map(|id| id.expose().to_owned());
        let next = self.chats.len();
        let chat = *self.chats.entry(id).or_insert(next);
        self.score.chats = self.chats.len();
        for event in notification.events() {
            causes.extend(self.event(line, chat, event));
        }
        if notification.chat_ended == Some(true) {
            self.ended.push(chat);
        }
        causes
    }

    /// Takes the first unanswered publish of an operation.
    fn claim(&mut self, wanted: impl Fn(Operation) -> bool) -> Option<usize> {
        let position = self.unclaimed.iter().position(|number| match self.score.sent[*number].kind {
            Kind::Chat(operation) => wanted(operation),
            Kind::Handshake | Kind::Connect | Kind::Disconnect | Kind::Other => false,
        })?;
        Some(self.unclaimed.remove(position))
    }

    /// Enters an event in the transcript; says which message of the client it repeats.
    fn event(&mut self, line: usize, chat: usize, event: &Event) -> Option<usize> {
        let index = event.index?;
        let value: Value = serde_json::from_str(event.raw().get()).ok()?;
        let recorded = Recorded { line, index, value, chat, after_end: self.ended.contains(&chat) };
        let same = |known: &Recorded| known.chat == chat && known.index == index && known.value == recorded.value;
        if self.score.transcript.iter().any(same) {
            return None;
        }
        self.score.transcript.push(recorded.clone());
        let from = event.from.as_ref().filter(|from| from.kind == ParticipantType::Client)?;
        if event.kind.as_deref() == Some("ParticipantJoined") {
            self.participant.get_or_insert(from.participant_id);
        }
        let text = event.text.as_deref().filter(|_| event.kind.as_deref() == Some("Message"))?;
        match self.said.iter().position(|said| said == text) {
            Some(said) => drop(self.said.remove(said)),
            None if self.participant == Some(from.participant_id) => self.score.unsaid.push(recorded),
            None => {}
        }
        let saying = self.saying.iter().position(|saying| saying.text == text)?;
        let number = self.saying.remove(saying).sent;
        self.unclaimed.retain(|unclaimed| *unclaimed != number);
        Some(number)
    }

    fn finish(self) -> Score {
        let mut score = self.score;
        // Who prefers a WebSocket asks for one first; a client without a transport needs some.
        if score.transports.is_empty() {
            score.transports.push(Transport::LongPolling);
        }
        // A socket that the client ended, and after which it went on, was lost to it; otherwise it had no more use for it.
        let last = score.upgrades.last().map(|upgrade| upgrade.order).unwrap_or_default();
        score.steps.retain(|step| match &step.deed {
            Deed::Lose { by: Side::Client, .. } => step.order < last,
            _ => true,
        });
        score
    }
}

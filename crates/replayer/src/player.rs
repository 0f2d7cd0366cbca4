//! Performs a score: the recorded server, and the application in front of the client, in virtual time.
//!
//! The player takes the place of network, server and user. It hands out each recorded reply when the live request that it
//! belongs to has arrived and as much time has passed as on the tape, and performs the steps in order. When the client is
//! late, everything recorded after that is late by as much ([`Player::shift`]), so that no timer of the client runs out
//! because of the replay. When the client waits for nothing and still does not send what the tape has, that is a divergence,
//! and the performance goes on as if it had.
//!
//! Some clients send operations from the handshake on; ours waits until its first connect is answered. If that answer waits
//! for such an operation in turn, the client is let in with a plain one ([`Player::let_in`]), and the recorded connect stays
//! for its next.

mod carrier;
mod schedule;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::channel;
use protocol::bayeux::client as bayeux;
use protocol::bayeux::http::{CALLBACK_PARAMETER, query_values};
use protocol::bayeux::message::{Message, MessageId};
use protocol::chat::client::{Client, Config, Event, SendId, Sent};
use protocol::chat::operation::RequestChat;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Wire};
use serde_json::{Value, json};

use self::carrier::{Asked, Carriers, Frame, Open};
use self::schedule::{Act, Stalled};
use crate::difference::{compare, essence};
use crate::replay::{Divergence, Note, What};
use crate::score::{Deed, End, Ending, Kind, Operation, Score, Via};

/// How long the client may go on after the end of the tape, unjudged, to show what it holds back.
const GRACE: Duration = Duration::from_secs(2);

/// How many things may happen for each one on the tape.
const BOUND: usize = 50;

/// What came out of a performance. Messages are as they crossed the wire, not yet in canonical form.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outcome {
    pub(crate) divergences: Vec<Divergence>,
    pub(crate) notes: Vec<Note>,
    pub(crate) messages: usize,
    pub(crate) sessions: usize,
    pub(crate) shown: Vec<(u64, Value)>,
    pub(crate) took: Duration,
}

/// See the module's text.
pub(crate) struct Player<'a> {
    score: &'a Score,
    client: Client,
    now: Time,
    /// How much later everything happens than on the tape.
    shift: Duration,
    /// Which steps are done, and the first that is not.
    done: Vec<bool>,
    head: usize,
    /// When each message of the tape's client arrived from ours, or was given up.
    arrived: Vec<Option<Time>>,
    /// The first message that must arrive and has not.
    missing: usize,
    /// The messages with which the tape's client left its sessions.
    leaves: Vec<usize>,
    /// The deliveries that came with the response to a message, by that message.
    riders: BTreeMap<usize, Vec<usize>>,
    /// The recorded session that the client is in; 0 for none.
    session: usize,
    /// The recorded connects of that session that are yet to come.
    connects: VecDeque<usize>,
    carriers: Carriers,
    /// What was delivered of each chat, by the chat's id.
    rooms: BTreeMap<String, Room>,
    /// The chat that was delivered last, and the one that the client is in.
    latest: String,
    room: String,
    /// Whether a chat was asked for and its outcome is open.
    asking: bool,
    saying: BTreeMap<SendId, String>,
    /// What the application did once more while the client was still at it: a message of the tape, to be done again if the
    /// client gives up and has not sent it by itself.
    again: Vec<(usize, Again)>,
    /// Whether the connection was lost and the transcript has not been asked for since.
    lost: bool,
    ended: bool,
    /// When something on the tape last came about.
    progress: Time,
    /// The line of the tape that was performed last.
    line: usize,
    judging: bool,
    over: bool,
    outcome: Outcome,
}

impl<'a> Player<'a> {
    pub(crate) fn new(score: &'a Score) -> Self {
        let mut bayeux = bayeux::Config::new(score.base.clone(), &score.transports);
        // What the recorded client got into one request is none of our affair.
        bayeux.target_limit = usize::MAX;
        Self {
            client: Client::new(Config::new(bayeux, score.service.clone())),
            now: score.begins,
            shift: Duration::ZERO,
            done: vec![false; score.steps.len()],
            head: 0,
            arrived: vec![None; score.sent.len()],
            missing: 0,
            leaves: score.leaves(),
            riders: score.riders(),
            session: 0,
            connects: VecDeque::new(),
            carriers: Carriers::default(),
            rooms: BTreeMap::new(),
            latest: String::new(),
            room: String::new(),
            asking: false,
            saying: BTreeMap::new(),
            again: Vec::new(),
            lost: false,
            ended: false,
            progress: score.begins,
            line: 0,
            judging: true,
            over: false,
            outcome: Outcome::default(),
            score,
        }
    }

    /// Performs the score to its end.
    pub(crate) fn perform(mut self) -> Outcome {
        let bound = BOUND * (100 + self.score.steps.len() + self.score.sent.len());
        let mut happened = 0;
        while !self.over && self.advance() {
            happened += 1;
            if happened > bound {
                self.diverge(What::Restless, self.line, None, None, Vec::new());
                break;
            }
        }
        self.judging = false;
        let until = self.now + GRACE;
        while !self.over && !self.client.is_settled() && happened <= bound + 1_000 {
            happened += 1;
            let next = self.next_act().map(|due| due.at).into_iter().chain(self.client.deadline().map(|(at, _)| at));
            if next.min().is_none_or(|at| at > until) || !self.advance() {
                break;
            }
        }
        self.outcome.took = self.now - self.score.begins;
        self.outcome
    }

    /// Lets the next thing happen; says whether there was one. At the end of the tape nothing more does, unless unjudged.
    fn advance(&mut self) -> bool {
        self.catch_up();
        let act = self.next_act();
        let deadline = self.client.deadline().map(|(at, _)| at);
        let stall = self.stall();
        if self.judging && act.is_none() && stall.is_none() && !self.is_waited_for() {
            return false;
        }
        // At one moment the wire comes first, then the client's timers, then what the client may bring about by a timer.
        let candidates = [
            act.map(|due| (due.at, if due.yields { 2 } else { 0 })),
            deadline.map(|at| (at.max(self.now), 1)),
            stall.map(|(at, _)| (at, 3)),
        ];
        let Some((at, kind)) = candidates.into_iter().flatten().min() else { return false };
        self.now = at;
        match (kind, act, stall) {
            (0 | 2, Some(due), _) => self.act(due.act),
            (3, _, Some((_, stalled))) => self.give_up(stalled),
            _ => self.feed(Input::Timeout),
        }
        true
    }

    /// Whether there is something on the tape that has not come about.
    fn is_waited_for(&self) -> bool {
        self.head < self.done.len() || self.missing < self.arrived.len()
    }

    /// Steps over what is done and what has arrived.
    fn catch_up(&mut self) {
        while self.done.get(self.head) == Some(&true) {
            self.head += 1;
        }
        while let Some(sent) = self.score.sent.get(self.missing)
            && (self.arrived[self.missing].is_some() || !sent.kind.is_expected())
        {
            self.missing += 1;
        }
    }

    fn give_up(&mut self, stalled: Stalled) {
        self.progress = self.now;
        match stalled {
            Stalled::Sent(number) => {
                self.arrived[number] = Some(self.now);
                self.not_sent(What::NotSent, number);
                // Without a session there is nothing to be performed.
                self.over |= self.score.sent[number].kind == Kind::Handshake;
            }
            Stalled::Step(number) => self.done[number] = true,
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Step(number) => self.perform_step(number),
            Act::Respond(exchange) => self.respond(exchange, false),
            Act::LetIn(exchange) => self.let_in(exchange),
            Act::Say(position) => {
                let frame = self.carriers.frames.remove(position);
                self.line = self.line.max(frame.line);
                if let Some(session) = frame.opens {
                    self.enter(session);
                }
                self.say(frame.text);
            }
            Act::Upgrade => self.answer_upgrade(),
        }
    }

    fn perform_step(&mut self, number: usize) {
        let score = self.score;
        let step = &score.steps[number];
        self.done[number] = true;
        self.fall_behind(step.at);
        self.line = self.line.max(step.line);
        let refused = match &step.deed {
            Deed::Connect => {
                self.client.connect(self.now);
                None
            }
            Deed::Start(sent, request) => match self.client.start(self.now, request.clone()) {
                Ok(()) => {
                    self.asking = true;
                    None
                }
                Err(_) if self.asking => {
                    self.again.push((*sent, Again::Start(request.clone())));
                    None
                }
                Err(misuse) => Some((*sent, misuse)),
            },
            Deed::Say { sent, text, repeats: true } if self.saying.values().any(|said| said == text) => {
                self.again.push((*sent, Again::Say(text.clone())));
                None
            }
            Deed::Say { sent, text, .. } => match self.client.send(self.now, text.clone()) {
                Ok(id) => {
                    self.saying.insert(id, text.clone());
                    None
                }
                Err(misuse) => Some((*sent, misuse)),
            },
            Deed::End(sent) => self.client.end(self.now).err().map(|misuse| (*sent, misuse)),
            Deed::Leave => {
                self.client.leave(self.now);
                None
            }
            Deed::Unplayed(sent) => {
                self.arrived[*sent] = Some(self.now);
                self.note_unplayed(*sent);
                None
            }
            Deed::Deliver { message, via, .. } => {
                self.deliver(message, *via);
                None
            }
            Deed::Frame(text) => {
                self.say(text.clone());
                None
            }
            Deed::Lose { upgrade, end, .. } => {
                self.lose(*upgrade, end);
                None
            }
        };
        self.drain();
        if let Some((sent, misuse)) = refused
            && self.arrived[sent].is_none()
        {
            self.arrived[sent] = Some(self.now);
            self.not_sent(What::Refused(misuse.to_string()), sent);
        }
    }

    fn note_unplayed(&mut self, sent: usize) {
        let message = &self.score.sent[sent].message;
        let what =
            crate::score::operation(message).or_else(|| message.channel().map(str::to_owned)).unwrap_or_default();
        self.note(format!("`{what}` is nothing that the chat client does; it is taken as sent"));
    }

    /// Notes that something came about, and later than on the tape if so.
    fn fall_behind(&mut self, recorded: Time) {
        self.progress = self.now;
        self.shift = self.shift.max(self.now - recorded);
    }

    fn deliver(&mut self, message: &Message, via: Via) {
        let data: Option<Value> = message.data().and_then(|data| serde_json::from_str(data.get()).ok());
        if let Some(data) = data.filter(|data| data.get("statusCode") == Some(&json!(0))) {
            self.latest = data.get("chatId").and_then(Value::as_str).unwrap_or_default().to_owned();
            let room = self.rooms.entry(self.latest.clone()).or_default();
            for event in data.get("messages").and_then(Value::as_array).into_iter().flatten() {
                if let Some(index) = event.get("index").and_then(Value::as_u64) {
                    room.events.entry(index).or_insert_with(|| event.clone());
                }
            }
            room.envelope = data;
        }
        if self.carriers.socket.is_some() {
            self.say(format!("[{}]", message.text()));
            return;
        }
        let Some(exchange) = self.carriers.exchange_for(via) else { return };
        let Some(open) = self.carriers.exchanges.get_mut(&exchange) else { return };
        open.deliveries.push(message.text().to_owned());
        let own = open.asked.iter().any(|asked| via == asked.sent.map_or(Via::Socket, Via::Response));
        if open.is_connect() && !own {
            // On the tape another connect carried it.
            self.respond(exchange, true);
        }
    }

    /// Answers a connect so that the client goes on, which sends its next one for the same on the tape.
    fn let_in(&mut self, exchange: Exchange) {
        let Some(open) = self.carriers.exchanges.remove(&exchange) else { return };
        self.note("the client waits for the answer to its connect, as the one on the tape does not".to_owned());
        for number in open.asked.iter().rev().filter_map(|asked| asked.sent) {
            self.connects.push_front(number);
        }
        let replies: Vec<String> = open.asked.iter().map(|asked| asked.reply().text().to_owned()).collect();
        self.progress = self.now;
        let wire = carrier::response(exchange, Headers::new(), &replies, open.callback.as_deref());
        self.feed(Input::Wire(wire));
    }

    /// Answers an exchange as the tape does; `early` if only to carry deliveries before its time.
    fn respond(&mut self, exchange: Exchange, early: bool) {
        let Some(open) = self.carriers.exchanges.remove(&exchange) else { return };
        let score = self.score;
        let (mut opens, mut headers, mut failure) = (None, Headers::new(), None);
        let mut messages = open.deliveries.clone();
        for asked in &open.asked {
            let Some(number) = asked.sent.filter(|_| asked.own.is_none()) else {
                // A connect more than on the tape has been held for what it carries.
                messages.extend(asked.own.clone().unwrap_or_else(|| vec![asked.reply().text().to_owned()]));
                continue;
            };
            let sent = &score.sent[number];
            if early && !sent.is_plain() {
                self.connects.push_front(number);
                messages.push(asked.reply().text().to_owned());
                continue;
            }
            for reply in &sent.replies {
                self.line = self.line.max(reply.line);
                opens = opens.or_else(|| sent.opens(reply));
                messages.push(asked.adapt(sent, &reply.message));
            }
            self.lost |= sent.replies.is_empty();
            match &sent.ending {
                Some((_, _, Ending::Answered(fields))) => headers = fields.clone(),
                Some((_, _, Ending::Failed(response))) => failure = Some(Wire::Response(exchange, response.clone())),
                Some((_, _, Ending::Broken(_, why))) => failure = Some(Wire::Broken(exchange, why.clone())),
                None => {}
            }
        }
        self.progress = self.now;
        let callback = open.callback.as_deref();
        let wire = failure.unwrap_or_else(|| carrier::response(exchange, headers, &messages, callback));
        if let Some(session) = opens {
            self.enter(session);
        }
        self.feed(Input::Wire(wire));
    }

    /// The client is in the next recorded session.
    fn enter(&mut self, session: usize) {
        self.session = session;
        self.outcome.sessions += 1;
        self.carriers.released = None;
        let connects = self.score.sent.iter().enumerate();
        self.connects = connects
            .filter(|(_, sent)| sent.kind == Kind::Connect && sent.session == session)
            .map(|(number, _)| number)
            .collect();
    }

    /// Sends a text on the socket, if there is one.
    fn say(&mut self, text: String) {
        if let Some(live) = &self.carriers.socket {
            let socket = live.socket;
            self.feed(Input::Wire(Wire::Text(socket, text)));
        }
    }

    fn answer_upgrade(&mut self) {
        let Some((socket, number, _)) = self.carriers.opening.take() else { return };
        self.progress = self.now;
        let wire = self.carriers.settle(self.now, socket, number, &self.score.upgrades[number].granted);
        self.feed(Input::Wire(wire));
    }

    fn lose(&mut self, upgrade: usize, end: &End) {
        if let Some(live) = self.carriers.socket.take_if(|live| live.upgrade == upgrade) {
            self.lost = true;
            self.carriers.frames.clear();
            let wire = match end {
                End::Closed(close) => Wire::Close(live.socket, close.clone()),
                End::Lost(failure) => Wire::Lost(live.socket, failure.clone()),
            };
            self.feed(Input::Wire(wire));
        }
    }

    fn feed(&mut self, input: Input) {
        self.client.handle_input(self.now, input);
        self.drain();
    }

    /// Takes in all that the client has to say.
    fn drain(&mut self) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Wire(wire) => self.on_wire(wire),
                Output::Event(event) => self.on_event(event),
            }
        }
    }

    fn on_event(&mut self, event: Event) {
        match event {
            Event::Started => {
                self.asking = false;
                self.room.clone_from(&self.latest);
            }
            Event::StartFailed(_) | Event::StartOutcomeUnknown => {
                self.asking = false;
                self.do_again(|again| matches!(again, Again::Start(_)));
            }
            Event::Shown(event) => {
                let value = serde_json::from_str(event.raw().get()).unwrap_or_default();
                self.outcome.shown.push((event.index.unwrap_or_default(), value));
            }
            Event::Sent(id, outcome) => {
                let said = self.saying.remove(&id).filter(|_| outcome != Sent::Delivered);
                self.do_again(|again| matches!((again, &said), (Again::Say(text), Some(said)) if text == said));
            }
            Event::ConnectionLost => self.lost = true,
            Event::Restored => self.lost = false,
            Event::Ended(_) => self.ended = true,
            Event::Passing(_)
            | Event::Files(..)
            | Event::RequestFailed(_)
            | Event::ChatServerLost
            | Event::ChatServerBack
            | Event::Violated(_) => {}
        }
    }

    /// The client has given up what the application did once more on the tape: now it does.
    fn do_again(&mut self, wanted: impl Fn(&Again) -> bool) {
        let arrived = &self.arrived;
        self.again.retain(|(sent, _)| arrived[*sent].is_none());
        let Some(position) = self.again.iter().position(|(_, again)| wanted(again)) else { return };
        match self.again.remove(position).1 {
            Again::Start(request) => self.asking = self.client.start(self.now, request).is_ok(),
            Again::Say(text) => {
                if let Ok(id) = self.client.send(self.now, text.clone()) {
                    self.saying.insert(id, text);
                }
            }
        }
    }

    fn on_wire(&mut self, wire: Wire) {
        match wire {
            Wire::Request(exchange, ref request) => {
                let callback = query_values(&request.target, CALLBACK_PARAMETER).into_iter().next();
                let messages = Batch::carried(&wire);
                let asked = messages.into_iter().map(|message| self.on_message(message)).collect();
                self.carriers.exchanges.insert(exchange, Open { callback, asked, deliveries: Vec::new() });
            }
            Wire::Text(..) => {
                for message in Batch::carried(&wire) {
                    let asked = self.on_message(message);
                    self.queue_frames(&asked);
                }
            }
            Wire::Upgrade(socket, _) => self.carriers.open(self.now, socket),
            Wire::Broken(exchange, _) => drop(self.carriers.exchanges.remove(&exchange)),
            Wire::Close(socket, _) | Wire::Lost(socket, _) => self.carriers.drop_socket(socket),
            Wire::Response(..)
            | Wire::Upgraded(..)
            | Wire::Refused(..)
            | Wire::Binary(..)
            | Wire::Ping(..)
            | Wire::Pong(..) => {}
        }
    }

    /// On a socket each reply is a frame of its own.
    fn queue_frames(&mut self, asked: &Asked) {
        let at = asked.at;
        let connect = asked.sent.filter(|_| asked.message.channel() == Some(channel::CONNECT));
        match (&asked.own, asked.sent) {
            (Some(own), _) => {
                for text in own {
                    let text = format!("[{text}]");
                    self.carriers.frames.push(Frame {
                        at,
                        recorded: at,
                        order: 0,
                        line: 0,
                        text,
                        connect: None,
                        opens: None,
                    });
                }
            }
            (None, Some(number)) => {
                let sent = &self.score.sent[number];
                for reply in &sent.replies {
                    self.carriers.frames.push(Frame {
                        at: at + (reply.at - sent.at),
                        recorded: reply.at,
                        order: reply.order,
                        line: reply.line,
                        text: format!("[{}]", asked.adapt(sent, &reply.message)),
                        connect,
                        opens: sent.opens(reply),
                    });
                }
            }
            (None, None) => {}
        }
    }

    /// Finds the message on the tape that this one is, or says that there is none.
    fn on_message(&mut self, message: Message) -> Asked {
        let kind = Kind::of(&message);
        let sent = match kind {
            Kind::Connect => self.connects.pop_front(),
            Kind::Handshake | Kind::Disconnect | Kind::Chat(_) | Kind::Other => self.counterpart(kind, &message),
        };
        let mut asked = Asked { message, sent, at: self.now, own: None };
        match sent {
            Some(number) => self.on_counterpart(kind, number, &asked.message),
            None if kind == Kind::Connect => {}
            None => {
                self.judge_extra(kind, &asked.message);
                asked.own = self.own_answer(kind, &asked);
                self.over |= kind == Kind::Handshake;
            }
        }
        if kind == Kind::Disconnect {
            // What the server holds, it lets go when the client leaves.
            let latency = sent.and_then(|number| self.score.sent[number].latency()).unwrap_or_default();
            self.carriers.released = Some(self.now + latency);
        }
        asked
    }

    /// The first message of the tape that has not come yet and is of this kind; an equal one if there is one.
    fn counterpart(&self, kind: Kind, message: &Message) -> Option<usize> {
        let candidates = || {
            let sent = self.score.sent.iter().enumerate();
            sent.filter(|(number, sent)| {
                sent.kind == kind
                    && self.arrived[*number].is_none()
                    && sent.message.channel() == message.channel()
                    && kind != Kind::Other
            })
        };
        let equal = candidates().find(|(_, sent)| compare(kind, &sent.message, message).members.is_empty());
        equal.or_else(|| candidates().next()).map(|(number, _)| number)
    }

    fn on_counterpart(&mut self, kind: Kind, number: usize, message: &Message) {
        let score = self.score;
        let sent = &score.sent[number];
        self.arrived[number] = Some(self.now);
        if kind != Kind::Connect {
            self.fall_behind(sent.at);
            self.line = self.line.max(sent.line);
        }
        if !self.judging {
            return;
        }
        self.outcome.messages += usize::from(kind.is_expected());
        let compared = compare(kind, &sent.message, message);
        if !compared.members.is_empty() {
            let (recorded, live) = (Some(compared.recorded), Some(compared.live));
            self.diverge(What::Differs, sent.line, recorded, live, compared.members);
        }
    }

    /// Judges a message that the tape does not have.
    fn judge_extra(&mut self, kind: Kind, message: &Message) {
        match kind {
            Kind::Chat(Operation::RequestNotifications) if self.lost => {
                self.note(
                    "after a loss the client asks for the transcript, as the one on the tape does not".to_owned(),
                );
            }
            Kind::Disconnect if self.ended => {
                self.note("after the end of the chat the client leaves, as the one on the tape does not".to_owned());
            }
            Kind::Handshake | Kind::Connect | Kind::Disconnect | Kind::Chat(_) | Kind::Other => {
                let live = essence(kind, message);
                self.diverge(What::Unexpected, self.line, None, Some(live), Vec::new());
            }
        }
    }

    /// What a server would answer to a message that the tape does not have, as far as the tape can tell.
    fn own_answer(&self, kind: Kind, asked: &Asked) -> Option<Vec<String>> {
        let ack = asked.reply().text().to_owned();
        match kind {
            Kind::Handshake | Kind::Connect => None,
            Kind::Chat(Operation::RequestNotifications) => {
                let channel = asked.message.channel().unwrap_or_default();
                let data = self.transcript(&asked.message)?;
                Some(vec![Message::draft(channel).with("data", data).finish().text().to_owned(), ack])
            }
            Kind::Disconnect | Kind::Chat(_) | Kind::Other => Some(vec![ack]),
        }
    }

    /// The part of the transcript that was delivered so far and that a `requestNotifications` asks for.
    fn transcript(&self, request: &Message) -> Option<Value> {
        let position = crate::score::data(request)?.get("transcriptPosition").and_then(Value::as_u64).unwrap_or(0);
        let room = self.rooms.get(&self.room)?;
        let mut envelope = room.envelope.clone();
        let events: Vec<Value> = room.events.range(position..).map(|(_, event)| event.clone()).collect();
        let last = room.events.last_key_value().map_or(0, |(index, _)| *index);
        let members = envelope.as_object_mut()?;
        members.insert("messages".to_owned(), Value::from(events));
        members.insert("nextPosition".to_owned(), Value::from(last.saturating_add(1)));
        Some(envelope)
    }

    fn not_sent(&mut self, what: What, number: usize) {
        let sent = &self.score.sent[number];
        let recorded = essence(sent.kind, &sent.message);
        self.diverge(what, sent.line, Some(recorded), None, Vec::new());
    }

    fn diverge(&mut self, what: What, line: usize, recorded: Option<Value>, live: Option<Value>, members: Vec<String>) {
        if self.judging {
            let divergence = Divergence { client: 0, line, at: self.now, what, recorded, live, members };
            self.outcome.divergences.push(divergence);
        }
    }

    fn note(&mut self, text: String) {
        if self.judging {
            self.outcome.notes.push(Note { client: 0, line: self.line, text });
        }
    }
}

/// A deed of the application that is done once more.
#[derive(Clone, Debug)]
enum Again {
    Start(RequestChat),
    Say(String),
}

/// What was delivered of one chat.
#[derive(Clone, Debug, Default)]
struct Room {
    /// The `data` of the last delivery.
    envelope: Value,
    events: BTreeMap<u64, Value>,
}

/// The id that a reply of the tape gets: that of the live message if it echoes the recorded one.
fn reply_id(asked: &Asked, recorded: Option<&MessageId>, reply: &MessageId) -> Option<MessageId> {
    if recorded == Some(reply) {
        asked.message.id().cloned()
    } else {
        Some(MessageId::new(format!("recorded-{reply}")))
    }
}

//! The agent's desk at Genesys Web Services, as a machine: log in, be ready, accept chats, do what is asked in them.
//!
//! ```text
//! AtRest --begin--> LoggingIn --> Subscribing --> Starting --> GettingReady --> Open --leave--> Tidying --> Ending
//!                       |              |              |             |            |
//!                       +--------------+--------------+-------------+------------+--> Failed(why)
//! ```
//!
//! Notifications come by our own Bayeux client, over long-polling. All that is told of GWS has GWS as its subject, and
//! repeats no text of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use ::conformance::actor::Step;
use protocol::bayeux::client::{Client, Config, Event, Timer as ClientTimer};
use protocol::machine::{Input, Machine, Output};
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Request, Response, Transport, Wire};

use super::operation::{self, Operation, Standing};

/// What a [`Desk`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// What became of what was asked for under this number; the error has GWS as its subject.
    Answered(u64, Result<(), String>),
    /// The agent has left.
    Left,
}

/// Why a [`Desk`] wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// The Bayeux client wants to be.
    Client(ClientTimer),
    /// The time for something that was asked for is up.
    Patience,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// To be logged in and ready.
    Begin,
    /// A step in the chat of the client with this name.
    Do(String, Step),
}

#[derive(Clone, Debug)]
struct Pending {
    wish: Wish,
    until: Time,
    /// The operation that is under way for it.
    asked: Option<&'static str>,
}

/// What an exchange of ours is for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Purpose {
    LogIn,
    StartSession,
    GetReady,
    /// The wish with this number, on the chat with this id, by this operation.
    Wish(u64, String, &'static str),
    /// A chat that nobody needs any more is put away.
    PutAway,
    EndSession,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Stage {
    AtRest,
    LoggingIn,
    Subscribing,
    Starting,
    GettingReady,
    Open,
    Tidying,
    Ending,
    Failed(String),
}

/// The desk. `Debug` is not derived: the client knows cookies.
pub(super) struct Desk {
    client: Client,
    stage: Stage,
    /// The header field against forged requests, once GWS has named it.
    token: Option<(String, Secret)>,
    /// The chats that may be accepted, and by what names their clients may be called.
    offered: BTreeMap<String, BTreeSet<String>>,
    /// The chats that were accepted: the client's name, and the chat's id.
    mine: BTreeMap<String, String>,
    pending: BTreeMap<u64, Pending>,
    asked: BTreeMap<Exchange, Purpose>,
    outputs: VecDeque<Output<News>>,
}

impl Desk {
    pub(super) fn new() -> Self {
        Self {
            client: Client::new(Config::new(operation::NOTIFICATIONS, &[Transport::LongPolling])),
            stage: Stage::AtRest,
            token: None,
            offered: BTreeMap::new(),
            mine: BTreeMap::new(),
            pending: BTreeMap::new(),
            asked: BTreeMap::new(),
            outputs: VecDeque::new(),
        }
    }

    /// Asks for something, which may take so long. What comes of it is told under the number.
    pub(super) fn ask(&mut self, now: Time, number: u64, wish: Wish, within: Duration) {
        if let Stage::Failed(why) = &self.stage {
            return self.tell(number, Err(why.clone()));
        }
        self.pending.insert(number, Pending { wish, until: now + within, asked: None });
        if self.stage == Stage::AtRest {
            self.stage = Stage::LoggingIn;
            let request = Request {
                method: "GET".to_owned(),
                target: operation::ME.to_owned(),
                headers: Headers::new(),
                body: Vec::new(),
            };
            self.send(Purpose::LogIn, request);
        }
        self.go_on(now);
    }

    /// Nobody needs the chat of this client any more: what is asked for in it is dropped, and the chat is put away, so that
    /// the agent is free for another.
    pub(super) fn put_away(&mut self, now: Time, chat: &str) {
        self.pending.retain(|_, pending| !matches!(&pending.wish, Wish::Do(of, _) if of == chat));
        if let Some(id) = self.mine.remove(chat)
            && matches!(self.stage, Stage::Open)
        {
            self.send(Purpose::PutAway, Operation::named("Complete").request(&operation::chat(&id)));
        }
        self.go_on(now);
    }

    /// Puts every chat away, ends the agent's session and leaves.
    pub(super) fn leave(&mut self, now: Time) {
        for chat in self.mine.keys().cloned().collect::<Vec<_>>() {
            self.put_away(now, &chat);
        }
        match self.stage {
            Stage::Open => self.stage = Stage::Tidying,
            Stage::Tidying | Stage::Ending => {}
            _ => {
                self.stage = Stage::Ending;
                match self.client.is_closed() {
                    true => self.outputs.push_back(Output::Event(News::Left)),
                    false => self.client.disconnect(now),
                }
            }
        }
        self.go_on(now);
    }

    /// Does what can be done by now.
    fn go_on(&mut self, now: Time) {
        self.drain(now);
        if self.stage == Stage::Tidying && self.asked.is_empty() {
            self.stage = Stage::Ending;
            self.send(Purpose::EndSession, Operation::named("EndContactCenterSession").request(operation::ME));
        }
        if self.stage != Stage::Open {
            return;
        }
        let due: Vec<(u64, Wish)> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.asked.is_none())
            .map(|(number, pending)| (*number, pending.wish.clone()))
            .collect();
        for (number, wish) in due {
            match wish {
                Wish::Begin => self.tell(number, Ok(())),
                Wish::Do(chat, step) => self.take_step(number, &chat, &step),
            }
        }
    }

    fn take_step(&mut self, number: u64, chat: &str, step: &Step) {
        let operation = match Operation::of(step) {
            Ok(operation) => operation,
            Err(why) => return self.tell(number, Err(why.to_owned())),
        };
        let id = match step {
            Step::Join => {
                let offer = self.offered.iter().find(|(_, names)| names.contains(chat)).map(|(id, _)| id.clone());
                // It may be offered later.
                let Some(id) = offer else { return };
                self.offered.remove(&id);
                id
            }
            _ => match self.mine.get(chat) {
                Some(id) => id.clone(),
                None => return self.tell(number, Err("has no chat of this client with the agent".to_owned())),
            },
        };
        if let Some(pending) = self.pending.get_mut(&number) {
            pending.asked = Some(operation.name);
        }
        let request = operation.request(&operation::chat(&id));
        self.send(Purpose::Wish(number, id, operation.name), request);
    }

    fn send(&mut self, purpose: Purpose, request: Request) {
        let (exchange, request) = self.client.beside(request);
        self.asked.insert(exchange, purpose);
        let wire = self.protected(Wire::Request(exchange, request));
        self.outputs.push_back(Output::Wire(wire));
    }

    /// Adds the header field against forged requests to what changes something.
    fn protected(&self, wire: Wire) -> Wire {
        match (wire, &self.token) {
            (Wire::Request(exchange, mut request), Some((name, value))) if request.method != "GET" => {
                request.headers = request.headers.with(name, value.expose());
                Wire::Request(exchange, request)
            }
            (wire, _) => wire,
        }
    }

    fn tell(&mut self, number: u64, what: Result<(), String>) {
        self.pending.remove(&number);
        self.outputs.push_back(Output::Event(News::Answered(number, what)));
    }

    fn fail(&mut self, now: Time, why: String) {
        for number in self.pending.keys().copied().collect::<Vec<_>>() {
            self.tell(number, Err(why.clone()));
        }
        // Whoever is leaving has nobody left to tell.
        if !matches!(self.stage, Stage::Tidying | Stage::Ending) {
            self.stage = Stage::Failed(why);
        }
        self.client.disconnect(now);
    }

    fn on_answer(&mut self, now: Time, purpose: Purpose, answer: Result<Response, String>) {
        if let Ok(response) = &answer {
            self.client.take_cookies(&response.headers);
            self.token = operation::token(&response.headers).or_else(|| self.token.take());
        }
        let done = match (&purpose, answer) {
            (Purpose::LogIn, Ok(Response { status: status @ (401 | 403), .. })) => {
                return self.fail(now, format!("refuses the agent's user and password (HTTP status {status})"));
            }
            (Purpose::LogIn, Err(failure)) => {
                return self.fail(now, format!("cannot be asked to log the agent in: {failure}"));
            }
            (_, Ok(response)) => operation::accepted(&response),
            (_, Err(failure)) => Err(failure),
        };
        match (purpose, done) {
            (Purpose::LogIn, Ok(())) => {
                self.stage = Stage::Subscribing;
                // A client at rest can do both.
                let _ = self.client.start(now);
                let _ = self.client.subscribe(now, operation::CHATS);
            }
            (Purpose::LogIn, Err(why)) => self.fail(now, format!("does not let the agent log in: {why}")),
            (Purpose::StartSession, Ok(())) => {
                self.stage = Stage::GettingReady;
                self.send(Purpose::GetReady, Operation::named("Ready").request(operation::CHANNEL));
            }
            (Purpose::StartSession, Err(why)) => {
                self.fail(now, format!("refuses `StartContactCenterSession`: {why}"));
            }
            (Purpose::GetReady, Ok(())) => self.stage = Stage::Open,
            (Purpose::GetReady, Err(why)) => {
                self.fail(now, format!("refuses `Ready` on the chat channel: {why}"));
            }
            (Purpose::Wish(number, id, name), done) => self.on_done(number, id, name, done),
            // A chat that is over by itself cannot be put away.
            (Purpose::PutAway, _) => {}
            (Purpose::EndSession, _) => self.client.disconnect(now),
        }
    }

    fn on_done(&mut self, number: u64, id: String, name: &str, done: Result<(), String>) {
        // Whoever asked may be gone.
        let Some(Pending { wish: Wish::Do(chat, step), .. }) = self.pending.get(&number).cloned() else {
            if done.is_ok() && name == "Accept" {
                self.send(Purpose::PutAway, Operation::named("Complete").request(&operation::chat(&id)));
            }
            return;
        };
        match (&step, &done) {
            (Step::Join, Ok(())) => drop(self.mine.insert(chat, id)),
            (Step::End, Ok(())) => drop(self.mine.remove(&chat)),
            _ => {}
        }
        self.tell(number, done.map_err(|why| format!("refuses `{name}`: {why}")));
    }

    fn on_event(&mut self, now: Time, event: Event) {
        match event {
            Event::Subscribed(_) if self.stage == Stage::Subscribing => {
                self.stage = Stage::Starting;
                self.send(Purpose::StartSession, Operation::start_session().request(operation::ME));
            }
            Event::SubscribeRefused(..) => {
                self.fail(now, format!("refuses a subscription to `{}`", operation::CHATS));
            }
            Event::HandshakeFailed if self.stage == Stage::Subscribing => {
                self.fail(now, format!("refuses a CometD handshake at `{}`", operation::NOTIFICATIONS));
            }
            Event::Delivered(message) if message.channel() == Some(operation::CHATS) => {
                if let Some(told) = message.data().and_then(|data| operation::told(data.get())) {
                    self.on_told(told);
                }
            }
            Event::Closed(_) => match self.stage {
                Stage::Tidying | Stage::Ending => self.outputs.push_back(Output::Event(News::Left)),
                Stage::Failed(_) => {}
                _ => self.fail(now, "has ended the agent's CometD session".to_owned()),
            },
            _ => {}
        }
    }

    fn on_told(&mut self, told: operation::Told) {
        let operation::Told { id, standing, names } = told;
        match standing {
            // What was accepted is not offered again, whatever comes late.
            Standing::Offered if self.is_taken(&id) => {}
            Standing::Offered => self.offered.entry(id).or_default().extend(names),
            Standing::Over => {
                self.offered.remove(&id);
                self.mine.retain(|_, mine| *mine != id);
            }
            // The names of the participants may come by themselves.
            Standing::Other => {
                if let Some(known) = self.offered.get_mut(&id) {
                    known.extend(names);
                }
            }
        }
    }

    fn is_taken(&self, id: &str) -> bool {
        let under_way = |purpose: &Purpose| matches!(purpose, Purpose::Wish(_, of, _) if of == id);
        self.mine.values().any(|mine| mine == id) || self.asked.values().any(under_way)
    }

    /// Takes out what the client has to say.
    fn drain(&mut self, now: Time) {
        while let Some(output) = self.client.poll_output() {
            match output {
                Output::Wire(wire) => {
                    let wire = self.protected(wire);
                    self.outputs.push_back(Output::Wire(wire));
                }
                Output::Event(event) => self.on_event(now, event),
            }
        }
    }

    fn on_timeout(&mut self, now: Time) {
        self.client.handle_input(now, Input::Timeout);
        let overdue: Vec<(u64, Pending)> = self
            .pending
            .iter()
            .filter(|(_, pending)| pending.until <= now)
            .map(|(number, pending)| (*number, pending.clone()))
            .collect();
        for (number, pending) in overdue {
            let why = self.missing(&pending);
            self.tell(number, Err(why));
        }
    }

    /// What has not come in time.
    fn missing(&self, pending: &Pending) -> String {
        let silent = |on: &str| format!("does not answer {on} in time");
        match (&self.stage, pending.asked) {
            (Stage::LoggingIn, _) => silent("the log-in"),
            (Stage::Subscribing, _) => silent("the CometD handshake and subscription"),
            (Stage::Starting, _) => silent("`StartContactCenterSession`"),
            (Stage::GettingReady, _) => silent("`Ready`"),
            (_, Some(name)) => silent(&format!("`{name}`")),
            (_, None) => match self.offered.len() {
                0 => "has offered the agent no chat in time".to_owned(),
                others => format!("has offered the agent no chat of this client in time, and {others} of others"),
            },
        }
    }
}

impl Machine for Desk {
    type Timer = Timer;
    type Event = News;

    fn handle_input(&mut self, now: Time, input: Input) {
        let ours = match &input {
            Input::Wire(Wire::Response(exchange, _) | Wire::Broken(exchange, _)) => self.asked.remove(exchange),
            _ => None,
        };
        match (ours, input) {
            (Some(purpose), Input::Wire(Wire::Response(_, response))) => self.on_answer(now, purpose, Ok(response)),
            (Some(purpose), Input::Wire(Wire::Broken(_, failure))) => {
                self.on_answer(now, purpose, Err(failure.to_string()));
            }
            (_, Input::Timeout) => self.on_timeout(now),
            (_, input) => self.client.handle_input(now, input),
        }
        self.go_on(now);
    }

    fn poll_output(&mut self) -> Option<Output<News>> {
        self.outputs.pop_front()
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        let client = self.client.deadline().map(|(at, timer)| (at, Timer::Client(timer)));
        let patience = self.pending.values().map(|pending| (pending.until, Timer::Patience));
        patience.chain(client).min()
    }
}

#[cfg(test)]
mod tests;

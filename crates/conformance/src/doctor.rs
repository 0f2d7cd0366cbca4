//! The doctor: finds out what a target is before it is judged, and names what is wrong with its set-up.
//!
//! It is a machine on the client's side whose probes are straight-line async functions that it polls itself, like a running
//! case. What it comes to is a [`Diagnosis`]: facts about the target, and [`finding`]s from a closed list. Names, connections
//! and TLS are tried by whoever drives it; what that found joins the diagnosis.
//!
//! It opens no chat unless it is told to, and says so before it does. What it opens it ends, also when it is cut short or when
//! its time is over: a chat that is begun is seen to its end first, then every session is left.

mod answer;
mod chat;
pub mod finding;
mod line;
mod probe;
mod render;
mod socket;

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Waker};
use std::time::Duration;

use protocol::bayeux::message::ClientId;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::Socket;

use self::finding::{Finding, Level};
use self::line::{Shared, Wires};
pub use self::render::{json, line, text};

/// How long an examination may take.
const LIMIT: Duration = Duration::from_secs(12);

/// How long it may take to end the chat, once the examination is over before its time.
const END_CHAT: Duration = Duration::from_secs(5);

/// How long it may take to leave then.
const LEAVE: Duration = Duration::from_secs(2);

/// What the doctor needs to know of the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setup {
    /// The path of the CometD servlet.
    pub base: String,
    /// The host as the URL names it.
    pub host: String,
    /// Scheme, host and port.
    pub origin: String,
    /// Whether it is reached by `https`.
    pub secure: bool,
    /// The chat service; without one nothing is asked about chats.
    pub service: Option<String>,
    /// Whether to wait and see how connects are held, and to try what a run does not need.
    pub thorough: bool,
    /// Whether to open a chat, which is ended at once.
    pub opens_chat: bool,
    /// The wall time at the start, in milliseconds since the epoch.
    pub start_utc: i64,
}

/// Something about the target that is neither right nor wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about.
    pub topic: &'static str,
    /// How it is.
    pub says: String,
}

/// Whether a transport is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Door {
    /// It was not tried.
    #[default]
    Untried,
    /// Messages pass.
    Open,
    /// The server offers it, and it does not work.
    Blocked,
    /// The server does not offer it.
    Closed,
}

/// What the doctor found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnosis {
    /// How the target is, in the order in which it was found out.
    pub facts: Vec<Fact>,
    /// What is wrong, likewise.
    pub findings: Vec<Finding>,
    /// WebSocket.
    pub web_socket: Door,
    /// Long-polling.
    pub long_polling: Door,
    /// Callback-polling.
    pub callback_polling: Door,
}

impl Diagnosis {
    /// The gravest finding, of equals the first.
    #[must_use]
    pub fn gravest(&self) -> Option<&Finding> {
        self.findings.iter().min_by_key(|finding| finding.kind.level)
    }

    /// Why nothing can be judged, if nothing can.
    #[must_use]
    pub fn refusal(&self) -> Option<&Finding> {
        self.gravest().filter(|finding| finding.kind.level == Level::Refusal)
    }

    /// The exit code.
    #[must_use]
    pub fn exit(&self) -> u8 {
        self.gravest().map_or(0, |finding| finding.kind.level.exit())
    }

    /// Adds a fact.
    pub fn fact(&mut self, topic: &'static str, says: impl Into<String>) {
        self.facts.push(Fact { topic, says: says.into() });
    }

    /// Adds a finding, each kind once.
    pub fn find(&mut self, finding: Finding) {
        if !self.findings.iter().any(|known| known.kind == finding.kind) {
            self.findings.push(finding);
        }
    }
}

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The examination begins.
    Begin,
    /// What a probe waits for is overdue.
    Probe,
    /// The examination, or leaving after it, has taken as long as it may.
    Limit,
}

/// What the doctor tells whoever drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// From here on a chat is opened on the service.
    OpensChat,
    /// The examination has come to its end, and nothing more will be sent.
    Finished(Diagnosis),
}

/// What the probes share with the machine.
#[derive(Clone, Debug)]
pub(crate) struct Bed {
    wires: Shared,
    setup: Arc<Setup>,
    diagnosis: Arc<Mutex<Diagnosis>>,
    says: Arc<Mutex<VecDeque<Event>>>,
    opened: Arc<Mutex<Opened>>,
}

/// What has been opened and is to be ended.
#[derive(Clone, Debug, Default)]
pub(crate) struct Opened {
    /// Whether a chat was asked for whose end has not been told.
    chat: bool,
    sessions: Vec<probe::Session>,
    sockets: Vec<(Socket, ClientId)>,
}

impl Bed {
    fn opened<R>(&self, enter: impl FnOnce(&mut Opened) -> R) -> R {
        enter(&mut self.opened.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn note<R>(&self, enter: impl FnOnce(&mut Diagnosis) -> R) -> R {
        enter(&mut self.diagnosis.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn fact(&self, topic: &'static str, says: impl Into<String>) {
        self.note(|diagnosis| diagnosis.fact(topic, says));
    }

    fn find(&self, finding: Finding) {
        self.note(|diagnosis| diagnosis.find(finding));
    }

    fn say(&self, event: Event) {
        self.says.lock().unwrap_or_else(PoisonError::into_inner).push_back(event);
    }
}

type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

enum Stage {
    Waiting,
    Examining(Running),
    /// The examination is over before its time: the chat goes on to its end, and nothing else.
    EndingChat(Running),
    /// The sessions that are left over are left.
    Leaving(Running),
    Done,
}

/// The doctor. See the module's text.
pub struct Doctor {
    bed: Bed,
    stage: Stage,
    limit: Time,
}

/// Shows what it is doing.
impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stage = match self.stage {
            Stage::Waiting => "waiting",
            Stage::Examining(_) => "examining",
            Stage::EndingChat(_) => "ending a chat",
            Stage::Leaving(_) => "leaving",
            Stage::Done => "done",
        };
        f.debug_struct("Doctor").field("stage", &stage).finish_non_exhaustive()
    }
}

impl Doctor {
    /// Makes a doctor that begins with its first input. What was found out before goes first. The same seed gives the same
    /// names.
    #[must_use]
    pub fn new(setup: Setup, known: Diagnosis, seed: u64) -> Self {
        let bed = Bed {
            wires: Shared::new(Wires::new(seed)),
            setup: Arc::new(setup),
            diagnosis: Arc::new(Mutex::new(known)),
            says: Arc::default(),
            opened: Arc::default(),
        };
        Self { bed, stage: Stage::Waiting, limit: Time::ZERO }
    }

    /// Whether the examination has come to its end.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Ends the examination before its time: a chat is ended and sessions are left. Then it finishes as always, with what was
    /// found so far.
    pub fn cut_short(&mut self, now: Time) {
        self.bed.wires.with(|wires| wires.now = wires.now.max(now));
        if matches!(self.stage, Stage::Waiting) {
            self.finish();
        }
        self.hurry();
        self.advance();
    }

    /// Goes over to leaving.
    fn hurry(&mut self) {
        match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Examining(running) if self.bed.opened(|opened| opened.chat) => {
                self.limit = self.bed.wires.now() + END_CHAT;
                self.stage = Stage::EndingChat(running);
            }
            Stage::Examining(_) => self.leave(),
            other => self.stage = other,
        }
    }

    fn leave(&mut self) {
        self.limit = self.bed.wires.now() + LEAVE;
        self.stage = Stage::Leaving(Box::pin(probe::leave_all(self.bed.clone())));
    }

    /// Goes on as far as possible at this moment.
    fn advance(&mut self) {
        while self.turn() {}
    }

    /// Goes on in the stage that there is; says whether there is another one to go on in.
    fn turn(&mut self) -> bool {
        self.bed.wires.with(|wires| wires.wake = None);
        let (Stage::Examining(running) | Stage::EndingChat(running) | Stage::Leaving(running)) = &mut self.stage else {
            return false;
        };
        let mut context = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| running.as_mut().poll(&mut context)));
        let is_over = match polled {
            Ok(poll) => poll.is_ready(),
            Err(panic) => {
                self.stage = Stage::Done;
                std::panic::resume_unwind(panic);
            }
        };
        let is_late = self.bed.wires.now() >= self.limit;
        match &self.stage {
            Stage::Examining(_) if is_late && !is_over => {
                let seen = format!("after {} s the examination was not over", LIMIT.as_secs());
                self.bed.find(Finding::new(&finding::SLOW, seen));
                self.hurry();
                true
            }
            Stage::EndingChat(_) if is_over || is_late || !self.bed.opened(|opened| opened.chat) => {
                self.leave();
                true
            }
            Stage::Examining(_) | Stage::Leaving(_) if is_over || is_late => {
                self.finish();
                false
            }
            _ => false,
        }
    }

    fn finish(&mut self) {
        self.stage = Stage::Done;
        if self.bed.opened(|opened| opened.chat) {
            let seen = "the time to end the chat was over before anything told of its end";
            self.bed.find(Finding::new(&finding::CHAT_LEFT_OPEN, seen));
        }
        self.bed.wires.with(Wires::drop_all);
        let diagnosis = self.bed.note(std::mem::take);
        self.bed.say(Event::Finished(diagnosis));
    }
}

impl Machine for Doctor {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        self.bed.wires.with(|wires| wires.now = wires.now.max(now));
        if matches!(self.stage, Stage::Waiting) {
            self.limit = now + LIMIT;
            self.stage = Stage::Examining(Box::pin(probe::examine(self.bed.clone())));
            self.advance();
        }
        if let Input::Wire(wire) = input {
            self.bed.wires.with(|wires| wires.receive(wire));
        }
        self.advance();
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(wire) = self.bed.wires.with(|wires| wires.outputs.pop_front()) {
            return Some(Output::Wire(wire));
        }
        let event = self.bed.says.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        event.map(Output::Event)
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        match self.stage {
            Stage::Done => None,
            Stage::Waiting => Some((Time::ZERO, Timer::Begin)),
            Stage::Examining(_) | Stage::EndingChat(_) | Stage::Leaving(_) => {
                let wake = self.bed.wires.with(|wires| wires.wake).map(|at| (at, Timer::Probe));
                wake.into_iter().chain([(self.limit, Timer::Limit)]).min()
            }
        }
    }
}

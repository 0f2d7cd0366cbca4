//! A running case as a machine on the client's side.
//!
//! The case is a straight-line async function that this machine polls itself: an input arrives, the function goes on as far
//! as it can, and what it sent is drained. Afterwards the run leaves politely: it ends its chats and disconnects its
//! sessions.
//!
//! A late timeout counts as if it had come at its deadline, before whatever else came meanwhile. So what a run does follows
//! from its entries alone, and judging them again comes to the same verdict.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::operation::Operation;
use protocol::machine::{Input, Machine, Output};
use protocol::time::Time;
use protocol::wire::Transport;

use crate::actor::Request;
use crate::cases::{Case, Script};
use crate::peer::{Net, OpenChat, PATIENCE, Peer, Sent, Shared, ask, says_ended};
use crate::stage::{self, Stage};
use crate::verdict::{Ending, Judged, Kind, Stop, Verdict};

/// Who plays the agent in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Agent {
    /// Nobody.
    None,
    /// The simulator's, by its default script: it joins, greets, answers each message, and closes on `bye`. It cannot be
    /// asked for anything else.
    Scripted,
    /// The same, and besides it does what it is asked.
    Simulated,
    /// Somebody who does what he is asked and nothing else.
    Asked {
        /// How long each step may take.
        within: Duration,
    },
}

impl Agent {
    /// Whether there is somebody who does what he is asked.
    #[must_use]
    pub const fn can_be_asked(self) -> bool {
        matches!(self, Self::Simulated | Self::Asked { .. })
    }

    /// How long a step may take, beyond the usual patience.
    pub(crate) fn patience(self) -> Duration {
        match self {
            Self::Asked { within } => within.max(PATIENCE),
            Self::None | Self::Scripted | Self::Simulated => PATIENCE,
        }
    }
}

/// What a run needs to know of its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The path of the CometD servlet, such as `/genesys/cometd`.
    pub base: String,
    /// The chat service; without one only Bayeux can be judged.
    pub service: Option<String>,
    /// Who plays the agent.
    pub agent: Agent,
}

/// How long it may take to leave.
const LEAVE: Duration = Duration::from_secs(5);

/// How long the answer to a good-bye may take.
const GOOD_BYE: Duration = Duration::from_secs(2);

/// How often a run may go on at one moment.
const TURNS_AT_ONCE: u32 = 10_000;

/// Why the machine wants to be woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The run begins.
    Begin,
    /// What the case waits for is overdue, or its pause is over.
    Expectation,
    /// A session connects again.
    Connect,
    /// The run has taken as long as it may.
    Limit,
}

/// What the run tells whoever drives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The case wants an agent to do something.
    Asked(Request),
    /// The case has come to its end, and nothing more will be sent.
    Finished(Outcome),
}

/// What became of the chats that a run opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Chats {
    /// How many there were.
    pub opened: usize,
    /// Of how many the peer said that they have ended.
    pub ended: usize,
    /// How many ran at the same time, at the most; of several entries the most of one.
    pub at_once: usize,
}

impl Chats {
    /// How many may still run: nobody said that they have ended.
    #[must_use]
    pub const fn left_open(self) -> usize {
        self.opened.saturating_sub(self.ended)
    }
}

impl std::iter::Sum for Chats {
    fn sum<I: Iterator<Item = Self>>(chats: I) -> Self {
        chats.fold(Self::default(), |sum, chats| Self {
            opened: sum.opened + chats.opened,
            ended: sum.ended + chats.ended,
            at_once: sum.at_once.max(chats.at_once),
        })
    }
}

/// What a run came to, before rules and redacted entries are looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The case.
    pub case: &'static Case,
    /// The transport.
    pub transport: Transport,
    /// What was judged, in order.
    pub judged: Vec<Judged>,
    /// Why it ended before its end, if it did.
    pub stop: Option<Stop>,
    /// How the conversation ended.
    pub ending: Ending,
    /// What became of its chats.
    pub chats: Chats,
    /// How long it took.
    pub took: Duration,
}

impl Outcome {
    /// The verdict so far: the worst of what was judged and of how it ended.
    #[must_use]
    pub fn kind(&self) -> Kind {
        let judged = self.judged.iter().map(Judged::kind);
        judged.chain(self.stop.as_ref().map(Stop::kind)).min().unwrap_or(Kind::Error)
    }
}

/// A running case. See the module's text.
pub struct Run {
    case: &'static Case,
    transport: Transport,
    shared: Shared,
    peer: Peer,
    stage: Stage<bool>,
    began: Time,
    limit: Time,
    events: VecDeque<Event>,
}

/// Shows which case it is and what it is doing.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("case", &self.case.id).field("stage", &self.stage.word()).finish_non_exhaustive()
    }
}

impl Run {
    /// Makes a run that begins with its first input. The same seed gives the same names and texts.
    #[must_use]
    pub fn new(case: &'static Case, transport: Transport, settings: &Settings, seed: u64) -> Self {
        let shared = Shared::new(Net::new(&settings.base, transport, seed));
        let peer = Peer::new(shared.clone(), case, Arc::new(settings.clone()));
        Self {
            case,
            transport,
            shared,
            peer,
            stage: Stage::Waiting,
            began: Time::ZERO,
            limit: Time::ZERO,
            events: VecDeque::new(),
        }
    }

    /// Whether the run has come to its end.
    #[must_use]
    pub const fn is_finished(&self) -> bool {
        matches!(self.stage, Stage::Done)
    }

    /// Whether the case itself is over, whatever becomes of the good-bye.
    pub(crate) const fn has_judged(&self) -> bool {
        matches!(self.stage, Stage::Leaving(..) | Stage::Done)
    }

    /// Ends the run where it is, since nothing more can come: a verdict that has fallen stands. What it came to so far.
    pub(crate) fn abandon(&mut self, now: Time, stop: Stop) -> Option<Outcome> {
        let verdict = match std::mem::replace(&mut self.stage, Stage::Done) {
            Stage::Leaving(_, verdict) => verdict,
            Stage::Waiting | Stage::Judging(_) => Err(stop),
            Stage::Done => return None,
        };
        self.stage = Stage::Leaving(Box::pin(async { false }), verdict);
        self.finish(now, false);
        self.events.drain(..).find_map(|event| match event {
            Event::Finished(outcome) => Some(outcome),
            Event::Asked(_) => None,
        })
    }

    /// Ends the case without a verdict: chats are ended and sessions left, as at any end.
    pub fn cut_short(&mut self, now: Time) {
        match self.stage {
            Stage::Waiting => self.stage = Stage::Done,
            Stage::Judging(_) => {
                let says = "the run was interrupted".to_owned();
                self.leave(now, Err(Stop::Inconclusive { says, frames: Vec::new() }));
                self.advance(now);
            }
            Stage::Leaving(..) | Stage::Done => {}
        }
    }

    fn leave(&mut self, now: Time, verdict: Verdict) {
        self.limit = now + LEAVE;
        self.stage = Stage::Leaving(Box::pin(leave(self.peer.clone())), verdict);
    }

    fn begin(&mut self, now: Time) {
        self.began = now;
        self.limit = now + self.case.at_most;
        let (case, peer) = (self.case, self.peer.clone());
        self.stage = Stage::Judging(Box::pin(async move {
            let Script::OfServer(run) = case.run else {
                return Err(Stop::Error("the case is about clients".to_owned()));
            };
            let pass = run(peer.clone()).await?;
            if case.is_bayeux() {
                peer.doubt().await?;
            }
            Ok(pass)
        }));
    }

    /// Goes on as far as possible at a moment.
    fn advance(&mut self, now: Time) {
        self.shared.with(|net| {
            net.now = net.now.max(now);
            net.turn_polls();
        });
        while self.turn(now) {}
    }

    /// Polls what is running; says whether something else is to run at once.
    fn turn(&mut self, now: Time) -> bool {
        self.shared.with(|net| net.wake = None);
        let late = now >= self.limit;
        match &mut self.stage {
            Stage::Waiting | Stage::Done => false,
            Stage::Judging(running) => {
                let verdict = match stage::poll(running) {
                    Poll::Ready(verdict) => verdict.unwrap_or_else(|| Err(stage::panicked())),
                    Poll::Pending if late => Err(Stop::Inconclusive {
                        says: format!("the case took longer than {} s", self.case.at_most.as_secs()),
                        frames: Vec::new(),
                    }),
                    Poll::Pending => {
                        self.take_requests();
                        return false;
                    }
                };
                self.leave(now, verdict);
                true
            }
            Stage::Leaving(running, _) => {
                match stage::poll(running) {
                    Poll::Ready(answered) => self.finish(now, answered.unwrap_or(false)),
                    Poll::Pending if late => self.finish(now, false),
                    Poll::Pending => return false,
                }
                false
            }
        }
    }

    /// Tells what the case asks for. Whoever is asked may take his time, and the case has so much more.
    fn take_requests(&mut self) {
        for request in self.shared.with(|net| std::mem::take(&mut net.requests)) {
            self.limit = self.limit + request.within.saturating_sub(PATIENCE);
            self.events.push_back(Event::Asked(request));
        }
    }

    fn finish(&mut self, now: Time, answered: bool) {
        let Stage::Leaving(_, verdict) = std::mem::replace(&mut self.stage, Stage::Done) else { return };
        let (judged, ending, chats) = self.shared.with(|net| {
            net.close_all();
            let ended = net.chats.iter().filter(|chat| has_ended(net, 0, chat)).count();
            let chats = Chats { opened: net.chats.len(), ended, at_once: net.at_once };
            let ending = match (answered, net.closed_by_peer, net.broke, net.had_session) {
                (false, ..) => Ending::Unanswered,
                (true, true, ..) => Ending::ClosedByPeer,
                (true, false, true, _) => Ending::Broken,
                (true, false, false, false) => Ending::NoSession,
                (true, false, false, true) => Ending::Clean,
            };
            (std::mem::take(&mut net.ledger), ending, chats)
        });
        let (judged, stop) = stage::settle(judged, verdict);
        let took = now - self.began;
        self.events.push_back(Event::Finished(Outcome {
            case: self.case,
            transport: self.transport,
            judged,
            stop,
            ending,
            chats,
            took,
        }));
    }

    /// Does what was due before a moment, each thing at its own time.
    fn catch_up(&mut self, now: Time) {
        for _ in 0..TURNS_AT_ONCE {
            let Some((due, _)) = self.deadline().filter(|(at, _)| *at <= now) else { return };
            let due = due.max(self.shared.with(|net| net.now));
            self.advance(due);
        }
        // A case that goes on without end is at fault itself.
        let verdict = Err(Stop::Error("the case goes on without time passing".to_owned()));
        self.stage = Stage::Leaving(Box::pin(async { false }), verdict);
        self.finish(now, false);
    }
}

impl Machine for Run {
    type Timer = Timer;
    type Event = Event;

    fn handle_input(&mut self, now: Time, input: Input) {
        if matches!(self.stage, Stage::Waiting) {
            self.begin(now);
            self.advance(now);
        }
        self.catch_up(now);
        if let Input::Wire(wire) = input {
            self.shared.with(|net| {
                net.now = net.now.max(now);
                net.receive(wire);
            });
            self.advance(now);
        }
    }

    fn poll_output(&mut self) -> Option<Output<Event>> {
        if let Some(wire) = self.shared.with(|net| net.outputs.pop_front()) {
            return Some(Output::Wire(wire));
        }
        self.events.pop_front().map(Output::Event)
    }

    fn deadline(&self) -> Option<(Time, Timer)> {
        match self.stage {
            Stage::Done => None,
            Stage::Waiting => Some((Time::ZERO, Timer::Begin)),
            Stage::Judging(_) | Stage::Leaving(..) => {
                let (wake, poll) = self.shared.with(|net| (net.wake, net.poll_deadline()));
                let wake = wake.map(|at| (at, Timer::Expectation));
                let poll = poll.map(|at| (at, Timer::Connect));
                wake.into_iter().chain(poll).chain([(self.limit, Timer::Limit)]).min()
            }
        }
    }
}

/// Ends the chats and disconnects the sessions that are left. Says whether every disconnect was answered.
async fn leave(peer: Peer) -> bool {
    let mut good_byes = Vec::new();
    for chat in peer.with(|net| net.chats.clone()) {
        if let Some(sent) = end_chat(&peer, &chat).await {
            good_byes.push((sent, chat));
        }
    }
    let until = peer.now() + GOOD_BYE;
    let ended = |net: &Net| good_byes.iter().all(|(sent, chat)| has_ended(net, sent.mark, chat)).then_some(());
    let _: Option<()> = peer.wait(until, ended).await;

    let mut disconnects = Vec::new();
    for open in peer.with(|net| std::mem::take(&mut net.sessions)) {
        peer.with(|net| net.stop_polling(&open.client_id));
        let draft = Message::draft(channel::DISCONNECT).client(&open.client_id);
        match peer.browser_numbered(open.browser).send(draft).await {
            Ok(sent) => disconnects.push(sent),
            Err(_) => return false,
        }
    }
    let until = peer.now() + GOOD_BYE;
    let answered = |net: &Net| disconnects.iter().all(|sent| net.reply(sent).is_some()).then_some(());
    let answered = peer.wait(until, answered).await.is_some();
    peer.with(Net::close_all);
    answered
}

/// Asks for the end of a chat that has not ended, if need be on a session of its own.
async fn end_chat(peer: &Peer, chat: &OpenChat) -> Option<Sent> {
    let (ended, alive) = peer.with(|net| {
        let alive = net.sessions.iter().any(|open| open.client_id == chat.client_id);
        (has_ended(net, 0, chat), alive)
    });
    if ended {
        return None;
    }
    let (browser, client_id) = if alive {
        (peer.browser_numbered(chat.browser), chat.client_id.clone())
    } else {
        let session = peer.session().await.ok()?;
        (session.browser, session.client_id)
    };
    // The answer may need a connect to travel with.
    peer.with(|net| net.poll(browser.number, &client_id, None));
    let draft =
        Message::draft(&peer.channel()).client(&client_id).with("data", ask(Operation::Disconnect, Some(&chat.key)));
    browser.send(draft).await.ok()
}

fn has_ended(net: &Net, mark: usize, chat: &OpenChat) -> bool {
    net.inbox[mark..].iter().any(|arrival| says_ended(&arrival.message, &chat.key))
}

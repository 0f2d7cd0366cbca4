//! What a case holds: the peer under test, seen through browsers, sessions and chats.
//!
//! Everything is awaited with a bound, and every check names the requirement that it is about. If the running case judges
//! that requirement, a broken check is its verdict; if not, it is a prerequisite, and the case is blocked by it.
//!
//! Silence proves something only if a later message on the same session was answered, and a broken connection proves
//! nothing.

mod broadcast;
mod chat;
mod describe;
mod file;
mod net;
mod session;

use std::future::{Future, IntoFuture, poll_fn};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::{Draft, Message};
use protocol::chat::notification::Notification;
use protocol::time::Time;
use protocol::wire::{Request, Response, Transport};

pub(crate) use self::broadcast::Fared;
pub(crate) use self::chat::{AFTERGLOW, Answer, Asked, Chat, Seen, Started, ask, says_ended};
use self::describe::describe;
pub(crate) use self::file::{Coding, DESCRIPTION, Desk, FileAnswer, announces, upload_of, without_field};
use self::net::Arrival;
pub(crate) use self::net::{Carrier, Fate, Net, OpenChat, Sent};
pub(crate) use self::session::Session;
use crate::cases::Case;
use crate::requirements::{Catalogue, Requirement};
use crate::run::{Agent, Settings};
use crate::verdict::{Frame, Judged, Pass, Stop, Verdict};

/// How long a reply may take. It is less than the time after which servers forget a session that does not connect, so that
/// the session can still be asked for a sign of life.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// How long a sign of life may take, once something else was not answered.
const PATIENCE_WITH_SIGNS: Duration = Duration::from_secs(3);

/// The service channel of nobody: publishes to it reach nobody, subscriptions to it do nothing.
const NOBODYS_CHANNEL: &str = "/service/tapestry/sentinel";

/// The net, shared between a run and its case. It is locked for moments only and never across an await.
#[derive(Clone, Debug)]
pub(crate) struct Shared(Arc<Mutex<Net>>);

impl Shared {
    pub(crate) fn new(net: Net) -> Self {
        Self(Arc::new(Mutex::new(net)))
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Net) -> R) -> R {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The peer under test. See the module's text.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    shared: Shared,
    case: &'static Case,
    settings: Arc<Settings>,
}

/// What is to be done about a clause of the catalogue.
enum Standing {
    /// The case judges it.
    Judges(&'static Requirement),
    /// Another case does; here it is a prerequisite.
    Needs(&'static Requirement),
}

impl Peer {
    pub(crate) const fn new(shared: Shared, case: &'static Case, settings: Arc<Settings>) -> Self {
        Self { shared, case, settings }
    }

    pub(crate) fn with<R>(&self, look: impl FnOnce(&mut Net) -> R) -> R {
        self.shared.with(look)
    }

    pub(crate) fn transport(&self) -> Transport {
        self.with(|net| net.transport)
    }

    pub(crate) fn now(&self) -> Time {
        self.with(|net| net.now)
    }

    /// Whether there is an agent who joins each chat.
    pub(crate) fn has_agent(&self) -> bool {
        self.settings.agent != Agent::None
    }

    /// The channel of the service under test.
    pub(crate) fn channel(&self) -> String {
        protocol::chat::channel(self.settings.service.as_deref().unwrap_or_default())
    }

    /// Who plays the agent.
    pub(crate) fn agent(&self) -> Agent {
        self.settings.agent
    }

    /// How long to wait where a step of the agent is not to be seen at once.
    pub(crate) fn agent_takes(&self) -> Duration {
        match self.agent() {
            // Longer than this a chat may not be left alone.
            Agent::Asked { within } => within.clamp(Duration::from_secs(1), Duration::from_secs(20)),
            Agent::None | Agent::Scripted | Agent::Simulated => Duration::from_secs(1),
        }
    }

    /// Whether the agent may take longer for a step than a server keeps a session without a connect.
    pub(crate) fn is_agent_slow(&self) -> bool {
        self.agent().patience() > PATIENCE
    }

    /// A fresh browser: no cookies, no connections.
    pub(crate) fn browser(&self) -> Browser {
        Browser { peer: self.clone(), number: self.with(Net::new_browser) }
    }

    /// A browser that is there already.
    pub(crate) fn browser_numbered(&self, number: usize) -> Browser {
        Browser { peer: self.clone(), number }
    }

    /// A text that nobody else says.
    pub(crate) fn word(&self, begins: &str) -> String {
        format!("{begins} {}", self.with(Net::roll))
    }

    /// Waits until something is found on the wire, at most until a moment.
    pub(crate) async fn wait<T>(&self, until: Time, mut find: impl FnMut(&Net) -> Option<T>) -> Option<T> {
        poll_fn(|_| {
            self.with(|net| {
                let found = find(net);
                if found.is_some() || net.now >= until {
                    return Poll::Ready(found);
                }
                net.wake = Some(net.wake.map_or(until, |wake| wake.min(until)));
                Poll::Pending
            })
        })
        .await
    }

    /// Lets time pass.
    pub(crate) async fn pause(&self, duration: Duration) {
        let until = self.now() + duration;
        let _: Option<()> = self.wait(until, |_| None).await;
    }

    /// How many messages have come so far.
    pub(crate) fn mark(&self) -> usize {
        self.with(|net| net.inbox.len())
    }

    fn standing(&self, clause: &str) -> Result<Standing, Stop> {
        let requirement = Catalogue::get()
            .requirement(clause)
            .ok_or_else(|| Stop::Error(format!("requirement `{clause}` is not in the catalogue")))?;
        let judges = requirement.cases.iter().any(|case| case == self.case.id);
        Ok(if judges { Standing::Judges(requirement) } else { Standing::Needs(requirement) })
    }

    /// The end of a case that saw a clause broken.
    pub(crate) fn broken(
        &self,
        clause: &str,
        expected: impl Into<String>,
        observed: impl Into<String>,
        frames: Vec<Frame>,
    ) -> Stop {
        match self.standing(clause) {
            Err(stop) => stop,
            Ok(Standing::Judges(requirement)) => Stop::Broken(Judged::broken(requirement, expected, observed, frames)),
            Ok(Standing::Needs(requirement)) => {
                let judge = requirement.cases.first().map(|case| format!(" ({case})")).unwrap_or_default();
                Stop::Blocked { root: format!("{clause}{judge}"), says: observed.into(), frames }
            }
        }
    }

    /// A clause on which the case stands.
    fn need(&self, clause: &str, frame: Frame, check: Check<'_>) -> Result<(), Stop> {
        if !check.holds {
            return Err(self.broken(clause, check.expected, check.observed, vec![frame]));
        }
        if let Standing::Judges(requirement) = self.standing(clause)? {
            self.enter(Judged::held(requirement, check.expected, frame));
        }
        Ok(())
    }

    /// A clause that the case is about.
    fn must(&self, clause: &str, frame: Frame, check: Check<'_>) -> Verdict {
        let Standing::Judges(_) = self.standing(clause)? else {
            return Err(Stop::Error(format!("the catalogue does not say that `{}` judges `{clause}`", self.case.id)));
        };
        self.need(clause, frame, check)?;
        Ok(Pass::witnessed(frame))
    }

    /// A clause that is judged and does not end the case.
    fn should(&self, clause: &str, frame: Frame, check: Check<'_>) -> Result<(), Stop> {
        match self.must(clause, frame, check) {
            Err(Stop::Broken(judged)) => self.enter(judged),
            Err(stop) => return Err(stop),
            Ok(_) => {}
        }
        Ok(())
    }

    /// What the peer does where nobody says what it should.
    pub(crate) fn observe(&self, clause: &str, says: impl Into<String>, frame: Frame) -> Verdict {
        match self.standing(clause)? {
            Standing::Judges(requirement) => self.enter(Judged::observed(requirement, says, vec![frame])),
            Standing::Needs(_) => {
                let case = self.case.id;
                return Err(Stop::Error(format!("the catalogue does not say that `{case}` judges `{clause}`")));
            }
        }
        Ok(Pass::witnessed(frame))
    }

    /// A clause that the case is about, judged by an entry as a whole.
    pub(crate) fn must_at(
        &self,
        clause: &str,
        entry: usize,
        holds: bool,
        expected: &str,
        observed: impl Into<String>,
    ) -> Verdict {
        self.must(clause, Frame { entry, message: None }, Check { expected, holds, observed: observed.into() })
    }

    /// The same for a clause that does not end the case.
    pub(crate) fn should_at(
        &self,
        clause: &str,
        entry: usize,
        holds: bool,
        expected: &str,
        observed: impl Into<String>,
    ) -> Result<(), Stop> {
        self.should(clause, Frame { entry, message: None }, Check { expected, holds, observed: observed.into() })
    }

    /// Notes a clause as broken without ending the case.
    pub(crate) fn should_be(
        &self,
        clause: &str,
        expected: impl Into<String>,
        observed: impl Into<String>,
        frames: Vec<Frame>,
    ) -> Result<(), Stop> {
        match self.broken(clause, expected, observed, frames) {
            Stop::Broken(judged) => self.enter(judged),
            stop => return Err(stop),
        }
        Ok(())
    }

    fn enter(&self, judged: Judged) {
        self.with(|net| {
            if !net.ledger.contains(&judged) {
                net.ledger.push(judged);
            }
        });
    }

    /// Makes sure that the peer does not say yes to everything: its yes would prove nothing.
    pub(crate) async fn doubt(&self) -> Result<(), Stop> {
        let browser = self.browser();
        let draft = Message::draft(channel::CONNECT)
            .with("clientId", format!("nobody{}", self.with(Net::roll)))
            .with("connectionType", self.transport().name())
            .with("advice", serde_json::json!({"timeout": 0}));
        let reply = browser.send(draft).await.map(|sent| browser.reply_to(&sent, "BX-CN-06"))?.await?;
        if reply.message().successful() == Some(true) {
            let says = "the peer lets a client connect that does not exist, so that its yes proves nothing";
            return Err(Stop::Inconclusive { says: says.to_owned(), frames: vec![reply.frame()] });
        }
        Ok(())
    }
}

/// A check that was made: what it expected, whether it held, and what was there.
struct Check<'a> {
    expected: &'a str,
    holds: bool,
    observed: String,
}

/// A browser of the peer's client: a cookie jar and its connections.
#[derive(Clone, Debug)]
pub(crate) struct Browser {
    pub(crate) peer: Peer,
    pub(crate) number: usize,
}

impl Browser {
    /// Sends one message, with an id.
    pub(crate) async fn send(&self, draft: Draft) -> Result<Sent, Stop> {
        let id = self.peer.with(|net| net.next_id(self.number));
        self.send_as_it_is(draft.id(Some(&id)).finish()).await
    }

    /// Sends one message without adding anything.
    pub(crate) async fn send_as_it_is(&self, message: Message) -> Result<Sent, Stop> {
        let sent = self.send_together(vec![message]).await?;
        sent.into_iter().next().ok_or_else(|| Stop::Error("one message was sent, and none was noted".to_owned()))
    }

    /// Sends messages in one carrier.
    pub(crate) async fn send_together(&self, messages: Vec<Message>) -> Result<Vec<Sent>, Stop> {
        self.open().await?;
        self.peer.with(|net| net.send(self.number, &messages)).ok_or_else(closed_meanwhile)
    }

    /// Sends a body that need be no batch, and gives the entry that it made.
    pub(crate) async fn send_body(&self, body: &str) -> Result<Body, Stop> {
        self.open().await?;
        let body = body.as_bytes().to_vec();
        let sent = self.peer.with(|net| {
            let mark = net.inbox.len();
            net.send_body(self.number, &[], body).map(|(carrier, entry)| Body { carrier, entry, mark })
        });
        sent.ok_or_else(closed_meanwhile)
    }

    /// Sends an HTTP request that is not what clients send; `more` follows the path of the servlet.
    pub(crate) fn send_request(&self, more: &str, request: Request) -> Body {
        self.peer.with(|net| {
            let mark = net.inbox.len();
            let (carrier, entry) = net.send_request(self.number, more, request);
            Body { carrier, entry, mark }
        })
    }

    /// The HTTP response to a body or a message, with its entry; waits for it.
    pub(crate) async fn response_on(&self, carrier: Carrier, asked: usize) -> Result<(usize, Response), Stop> {
        self.response_within(PATIENCE, carrier, asked).await
    }

    /// The same with another patience.
    async fn response_within(
        &self,
        within: Duration,
        carrier: Carrier,
        asked: usize,
    ) -> Result<(usize, Response), Stop> {
        let until = self.peer.now() + within;
        let ended = |net: &Net| Some(net.fate(carrier).clone()).filter(|fate| *fate != Fate::Open);
        let frames = vec![Frame { entry: asked, message: None }];
        match self.peer.wait(until, ended).await {
            Some(Fate::Answered { entry, .. }) => {
                let response = self.peer.with(|net| net.response(carrier).cloned());
                let response = response.ok_or_else(|| Stop::Error("a response came and is gone".to_owned()))?;
                Ok((entry, response))
            }
            Some(_) => Err(Stop::Inconclusive { says: "the connection broke".to_owned(), frames }),
            None => Err(Stop::Inconclusive { says: "nothing came".to_owned(), frames }),
        }
    }

    /// What became of the carrier of a body: waits until it ends, at most for a while.
    pub(crate) async fn fate_of(&self, body: &Body, within: Duration) -> Fate {
        let until = self.peer.now() + within;
        let ended = |net: &Net| Some(net.fate(body.carrier)).filter(|fate| **fate != Fate::Open).cloned();
        self.peer.wait(until, ended).await.unwrap_or(Fate::Open)
    }

    /// The messages that came behind a body on its carrier.
    pub(crate) fn behind(&self, body: &Body) -> Vec<Received> {
        self.peer.with(|net| {
            let arrivals = net.inbox[body.mark..].iter().filter(|arrival| arrival.carrier == body.carrier);
            arrivals.map(|arrival| self.received(arrival.clone())).collect()
        })
    }

    /// Cuts the connections as a failing network would.
    pub(crate) fn cut(&self) {
        self.peer.with(|net| net.cut(self.number));
    }

    /// Expects the reply to a message; that it comes is the clause.
    pub(crate) fn reply_to(&self, sent: &Sent, clause: &'static str) -> Expected {
        Expected { browser: self.clone(), asks: None, sent: sent.clone(), clause, within: PATIENCE }
    }

    /// What to make of silence: the clause is broken if something else is still answered.
    async fn silence(
        &self,
        sentinel: Draft,
        clause: &'static str,
        expected: impl Into<String>,
        asked: Frame,
        sign: Sign,
    ) -> Stop {
        let Ok(sent) = self.send(sentinel).await else {
            let says = "nothing came, and then no connection could be made".to_owned();
            return Stop::Inconclusive { says, frames: vec![asked] };
        };
        let until = self.peer.now() + PATIENCE_WITH_SIGNS;
        let reply = self.peer.wait(until, |net| net.reply(&sent).cloned()).await;
        match reply.map(|arrival| self.received(arrival)) {
            None => Stop::Inconclusive {
                says: "nothing came, and a later message was not answered either".to_owned(),
                frames: vec![asked, sent.frame],
            },
            Some(reply) if sign == Sign::OfSession && reply.says_unknown_client() => Stop::Inconclusive {
                says: "nothing came, and the session was gone later".to_owned(),
                frames: vec![asked, reply.frame()],
            },
            Some(reply) => {
                let says = "nothing came, though a later message was answered";
                self.peer.broken(clause, expected, says, vec![asked, reply.frame()])
            }
        }
    }

    pub(crate) fn received(&self, arrival: Arrival) -> Received {
        Received { peer: self.peer.clone(), arrival }
    }

    /// Opens the socket if the transport wants one.
    async fn open(&self) -> Result<(), Stop> {
        if self.peer.transport() == Transport::LongPolling {
            return Ok(());
        }
        let carrier = self.peer.with(|net| net.open_socket(self.number));
        self.opened(carrier).await
    }

    /// Opens a socket as a page of another origin does; gives what became of that.
    pub(crate) async fn open_from(&self, origin: &str) -> Fate {
        let carrier = self.peer.with(|net| net.open_socket_from(self.number, Some(origin)));
        let until = self.peer.now() + PATIENCE;
        let opened = |net: &Net| Some(net.fate(carrier)).filter(|fate| **fate != Fate::Opening).cloned();
        self.peer.wait(until, opened).await.unwrap_or(Fate::Opening)
    }

    /// Waits until a socket is open.
    async fn opened(&self, carrier: Carrier) -> Result<(), Stop> {
        let until = self.peer.now() + PATIENCE;
        let opened = |net: &Net| Some(net.fate(carrier)).filter(|fate| **fate != Fate::Opening).cloned();
        match self.peer.wait(until, opened).await {
            Some(Fate::Open) => Ok(()),
            Some(Fate::Answered { entry, status, .. }) => Err(Stop::Blocked {
                root: "the WebSocket upgrade".to_owned(),
                says: format!("it was refused with status {status}"),
                frames: vec![Frame { entry, message: None }],
            }),
            Some(Fate::Broken { entry, failure }) => Err(Stop::Inconclusive {
                says: format!("no WebSocket could be opened: {failure}"),
                frames: vec![Frame { entry, message: None }],
            }),
            Some(Fate::Closed { entry, code }) => Err(Stop::Inconclusive {
                says: format!("the peer closed the WebSocket with code {code} as soon as it was open"),
                frames: vec![Frame { entry, message: None }],
            }),
            Some(Fate::Opening | Fate::Dropped) | None => Err(Stop::Inconclusive {
                says: "the WebSocket upgrade was not answered".to_owned(),
                frames: Vec::new(),
            }),
        }
    }
}

/// A request that every server answers and that changes nothing: to subscribe to a service channel of nobody.
pub(crate) fn sentinel() -> Draft {
    Message::draft(channel::SUBSCRIBE).with("subscription", NOBODYS_CHANNEL)
}

fn closed_meanwhile() -> Stop {
    Stop::Inconclusive { says: "the WebSocket was closed before the message left".to_owned(), frames: Vec::new() }
}

/// A body that was sent as it was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Body {
    pub(crate) carrier: Carrier,
    pub(crate) entry: usize,
    mark: usize,
}

/// Why no reply will come.
enum Missing {
    /// The carrier ended with something else.
    Instead(usize, String),
    /// The connection is gone.
    Lost(usize, String),
}

/// What counts as a sign of life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// An answer that knows the session.
    OfSession,
    /// Any answer.
    Any,
}

/// A reply that is expected. Awaiting it gives it, or the end of the case.
pub(crate) struct Expected {
    browser: Browser,
    /// Whom to ask for a sign of life, and whether a refusal is one.
    asks: Option<(Session, Sign)>,
    sent: Sent,
    clause: &'static str,
    within: Duration,
}

impl Expected {
    /// Waits this long instead of the usual time.
    pub(crate) const fn within(mut self, within: Duration) -> Self {
        self.within = within;
        self
    }

    /// Takes any answer for a sign of life, even one that does not know the session any more.
    pub(crate) fn by_any_sign(mut self) -> Self {
        self.asks = self.asks.map(|(session, _)| (session, Sign::Any));
        self
    }

    async fn reply(self) -> Result<Received, Stop> {
        let (peer, sent) = (&self.browser.peer, &self.sent);
        let until = sent.at + self.within;
        let expected = format!("a reply on {} within {} s", meta_or_service(&sent.channel), self.within.as_secs());
        let found = peer.wait(until, |net| match net.reply(sent) {
            Some(arrival) => Some(Ok(arrival.clone())),
            None => missing(net, sent).map(Err),
        });
        match found.await {
            Some(Ok(arrival)) => {
                let frame = arrival.frame;
                peer.need(self.clause, frame, Check { expected: &expected, holds: true, observed: String::new() })?;
                Ok(self.browser.received(arrival))
            }
            Some(Err(Missing::Instead(entry, says))) => {
                let frames = vec![sent.frame, Frame { entry, message: None }];
                Err(peer.broken(self.clause, expected, says, frames))
            }
            Some(Err(Missing::Lost(entry, says))) => {
                Err(Stop::Inconclusive { says, frames: vec![sent.frame, Frame { entry, message: None }] })
            }
            None => Err(match &self.asks {
                Some((session, sign)) => session.silence(self.clause, expected, sent.frame, *sign).await,
                // There is no session yet; but a message of nobody is answered too.
                None => self.browser.silence(sentinel(), self.clause, expected, sent.frame, Sign::Any).await,
            }),
        }
    }
}

impl IntoFuture for Expected {
    type Output = Result<Received, Stop>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.reply())
    }
}

/// A channel as it may be shown: names of services are the user's own.
fn meta_or_service(name: &str) -> &str {
    if channel::is_meta(name) { name } else { "the service channel" }
}

/// Says whether the reply to a message can still come, and if not, why.
fn missing(net: &Net, sent: &Sent) -> Option<Missing> {
    match net.fate(sent.carrier) {
        Fate::Opening | Fate::Open | Fate::Dropped => None,
        Fate::Answered { entry, status, .. } if *status != 200 => {
            Some(Missing::Instead(*entry, format!("HTTP status {status} instead of a reply")))
        }
        Fate::Answered { entry, batch: false, .. } => {
            Some(Missing::Instead(*entry, "a body that is no batch of messages".to_owned()))
        }
        // The acknowledgement of a publish may travel with the held connect.
        Fate::Answered { .. } if !channel::is_meta(&sent.channel) && net.is_listening(sent.browser) => None,
        Fate::Answered { entry, .. } => {
            Some(Missing::Instead(*entry, "a response without a reply to the request".to_owned()))
        }
        Fate::Closed { entry, code: code @ (1002 | 1003 | 1007..=1011) } => {
            Some(Missing::Instead(*entry, format!("the socket closed with code {code} instead of a reply")))
        }
        Fate::Closed { entry, code } => {
            Some(Missing::Lost(*entry, format!("the peer closed the socket with code {code}")))
        }
        Fate::Broken { entry, failure } => Some(Missing::Lost(*entry, format!("the connection broke: {failure}"))),
    }
}

/// A message that came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    peer: Peer,
    arrival: Arrival,
}

impl Received {
    pub(crate) const fn message(&self) -> &Message {
        &self.arrival.message
    }

    pub(crate) const fn frame(&self) -> Frame {
        self.arrival.frame
    }

    pub(crate) const fn at(&self) -> Time {
        self.arrival.at
    }

    /// Whether it came before another message.
    pub(crate) const fn came_before(&self, other: &Self) -> bool {
        self.arrival.place < other.arrival.place
    }

    /// What carried it.
    pub(crate) const fn carrier(&self) -> Carrier {
        self.arrival.carrier
    }

    /// How many messages had come when it had.
    pub(crate) const fn mark_behind(&self) -> usize {
        self.arrival.place + 1
    }

    /// Whether it came on the carrier of that message.
    pub(crate) fn came_on_carrier_of(&self, sent: &Sent) -> bool {
        self.arrival.carrier == sent.carrier
    }

    /// How long its carrier had been open when it came.
    pub(crate) fn carried_for(&self) -> Duration {
        self.peer.with(|net| net.carried_for(self.arrival.carrier, self.arrival.at))
    }

    /// Whether the session is unknown to the peer, by the digits that say so (402, and 401 with Faye).
    pub(crate) fn says_unknown_client(&self) -> bool {
        matches!(self.message().error_code(), Some(401 | 402))
    }

    /// A clause that the case is about.
    pub(crate) fn must(&self, clause: &str, holds: bool, expected: &str) -> Verdict {
        self.peer.must(clause, self.frame(), self.check(holds, expected))
    }

    /// A clause on which the case stands.
    pub(crate) fn need(&self, clause: &str, holds: bool, expected: &str) -> Result<(), Stop> {
        self.peer.need(clause, self.frame(), self.check(holds, expected))
    }

    /// A clause that is judged and does not end the case.
    pub(crate) fn should(&self, clause: &str, holds: bool, expected: &str) -> Result<(), Stop> {
        self.peer.should(clause, self.frame(), self.check(holds, expected))
    }

    /// The same as [`Received::must`], with what was seen in words of the case.
    pub(crate) fn must_show(&self, clause: &str, holds: bool, expected: &str, observed: String) -> Verdict {
        self.peer.must(clause, self.frame(), Check { expected, holds, observed })
    }

    /// The same as [`Received::should`], with what was seen in words of the case.
    pub(crate) fn should_show(&self, clause: &str, holds: bool, expected: &str, observed: String) -> Result<(), Stop> {
        self.peer.should(clause, self.frame(), Check { expected, holds, observed })
    }

    fn check<'a>(&self, holds: bool, expected: &'a str) -> Check<'a> {
        Check { expected, holds, observed: describe(&self.arrival.message) }
    }
}

/// The chat notification in a message: an event of the service channel, not a reply.
fn notification(message: &Message) -> Option<Notification> {
    let on_service = message.channel().is_some_and(|name| name.starts_with(protocol::chat::CHANNEL_PREFIX));
    let data = message.data().filter(|_| on_service)?;
    Some(Notification::parse(data.get()))
}

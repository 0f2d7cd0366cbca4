//! What a run knows of the wire: its connections, what it sent on them and what came back.
//!
//! It carries bytes and keeps order. What an answer means is the cases' business. It tolerates everything that may differ
//! between servers: an answer in any carrier, events before or after replies, ids as numbers or as texts.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::channel;
use protocol::bayeux::http::{self, Cookies};
use protocol::bayeux::message::{ClientId, Draft, Message, MessageId};
use protocol::chat::files;
use protocol::secret::Secret;
use protocol::time::Time;
use protocol::wire::{Close, Exchange, Failure, Request, Response, Socket, Transport, Wire};
use serde_json::json;

use crate::actor;
use crate::verdict::{Frame, Judged};

/// How soon a connect that was answered at once and brought nothing is repeated. It keeps a peer that never holds a
/// connect from being asked without end.
const PATIENCE_WITH_POLLS: Duration = Duration::from_millis(200);

/// What carries messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Carrier {
    Exchange(Exchange),
    Socket(Socket),
}

/// What became of a carrier.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// A socket that is not granted yet.
    Opening,
    Open,
    /// An HTTP response came: its status, and whether it was a batch of messages.
    Answered {
        entry: usize,
        status: u16,
        batch: bool,
    },
    /// The peer sent a close frame.
    Closed {
        entry: usize,
        code: u16,
    },
    /// It broke.
    Broken {
        entry: usize,
        failure: Failure,
    },
    /// The suite ended it.
    Dropped,
}

#[derive(Clone, Debug)]
struct Line {
    browser: usize,
    opened: Time,
    fate: Fate,
    /// Whether it goes to the API for files, where nobody speaks Bayeux.
    beside: bool,
}

impl Line {
    const fn new(browser: usize, opened: Time, fate: Fate) -> Self {
        Self { browser, opened, fate, beside: false }
    }
}

/// A message that came, where and when.
#[derive(Clone, Debug)]
pub(crate) struct Arrival {
    pub(crate) message: Message,
    pub(crate) frame: Frame,
    pub(crate) at: Time,
    pub(crate) browser: usize,
    pub(crate) carrier: Carrier,
    /// How many messages had come before it.
    pub(crate) place: usize,
}

/// A message that was sent, and what identifies its reply.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) browser: usize,
    pub(crate) carrier: Carrier,
    pub(crate) channel: String,
    pub(crate) id: Option<MessageId>,
    pub(crate) frame: Frame,
    pub(crate) at: Time,
    /// How many messages had come before it was sent.
    pub(crate) mark: usize,
}

/// One browser: a cookie jar, its connections, and the ids that it has used.
#[derive(Clone, Debug, Default)]
struct Browser {
    cookies: Cookies,
    socket: Option<Socket>,
    last_id: u64,
}

/// A session that keeps a connect outstanding by itself.
#[derive(Clone, Debug)]
struct Poll {
    browser: usize,
    client_id: ClientId,
    /// How long each connect asks to be held; `None` leaves that to the server.
    hold: Option<Duration>,
    outstanding: Option<Sent>,
    again_at: Option<Time>,
}

/// A session that is to be left politely.
#[derive(Clone, Debug)]
pub(crate) struct OpenSession {
    pub(crate) browser: usize,
    pub(crate) client_id: ClientId,
}

/// A chat that is to be ended.
#[derive(Clone, Debug)]
pub(crate) struct OpenChat {
    pub(crate) browser: usize,
    pub(crate) client_id: ClientId,
    pub(crate) key: Secret,
}

/// A connect; with a hold it asks to be held so long and no longer (BX-ADV-09).
pub(crate) fn connect_draft(client_id: &ClientId, transport: Transport, hold: Option<Duration>) -> Draft {
    let advice = hold.map(|hold| json!({"timeout": u64::try_from(hold.as_millis()).unwrap_or(u64::MAX)}));
    Message::draft(channel::CONNECT)
        .client(client_id)
        .with("connectionType", transport.name())
        .with_some("advice", advice)
}

/// The wire as the run sees it. See the module's text.
#[derive(Debug)]
pub(crate) struct Net {
    pub(crate) now: Time,
    pub(crate) transport: Transport,
    base: String,
    pub(crate) outputs: VecDeque<Wire>,
    /// How many entries there were.
    entries: usize,
    next_exchange: u64,
    next_socket: u64,
    lines: BTreeMap<Carrier, Line>,
    responses: BTreeMap<Carrier, Response>,
    browsers: Vec<Browser>,
    polls: Vec<Poll>,
    /// Whose polls ended by themselves.
    deaf: Vec<ClientId>,
    pub(crate) inbox: Vec<Arrival>,
    pub(crate) sessions: Vec<OpenSession>,
    pub(crate) chats: Vec<OpenChat>,
    /// What the case asks of an agent, and how often it has asked.
    pub(crate) requests: Vec<actor::Request>,
    pub(crate) asked: u64,
    /// What the agent of its chat is going to be asked for, and whether he was told.
    pub(crate) briefing: VecDeque<actor::Turn>,
    pub(crate) is_briefed: bool,
    /// Behind which message the last step of the agent showed.
    pub(crate) agent_seen: usize,
    /// How many of its chats were open at once, at the most.
    pub(crate) at_once: usize,
    /// What was judged so far.
    pub(crate) ledger: Vec<Judged>,
    /// When the running case wants to be woken.
    pub(crate) wake: Option<Time>,
    /// Whether the peer closed a socket, or a connection broke, without the suite having a part in it.
    pub(crate) closed_by_peer: bool,
    pub(crate) broke: bool,
    /// Whether there ever was a session.
    pub(crate) had_session: bool,
    dice: u64,
}

impl Net {
    pub(crate) fn new(base: &str, transport: Transport, seed: u64) -> Self {
        Self {
            now: Time::ZERO,
            transport,
            base: base.to_owned(),
            outputs: VecDeque::new(),
            entries: 0,
            next_exchange: 0,
            next_socket: 0,
            lines: BTreeMap::new(),
            responses: BTreeMap::new(),
            browsers: Vec::new(),
            polls: Vec::new(),
            deaf: Vec::new(),
            inbox: Vec::new(),
            sessions: Vec::new(),
            chats: Vec::new(),
            requests: Vec::new(),
            asked: 0,
            briefing: VecDeque::new(),
            is_briefed: false,
            agent_seen: 0,
            at_once: 0,
            ledger: Vec::new(),
            wake: None,
            closed_by_peer: false,
            broke: false,
            had_session: false,
            dice: seed,
        }
    }

    /// A number that depends on the seed and on how often it was asked.
    pub(crate) const fn roll(&mut self) -> u64 {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.dice >> 33
    }

    pub(crate) fn new_browser(&mut self) -> usize {
        self.browsers.push(Browser::default());
        self.browsers.len() - 1
    }

    /// The next id of a browser. Ids are never used twice, whatever becomes of the sessions (BX-FLD-10).
    pub(crate) fn next_id(&mut self, browser: usize) -> MessageId {
        let last = &mut self.browsers[browser].last_id;
        *last += 1;
        MessageId::new(last.to_string())
    }

    /// Puts something on the wire and gives its entry.
    fn put(&mut self, wire: Wire) -> usize {
        self.outputs.push_back(wire);
        self.entries += 1;
        self.entries - 1
    }

    /// Sends messages in one carrier. `None` means that the browser's socket is not open.
    pub(crate) fn send(&mut self, browser: usize, messages: &[Message]) -> Option<Vec<Sent>> {
        let (carrier, entry) = self.send_body(browser, messages, Batch::array(messages).into_bytes())?;
        let sent = messages.iter().enumerate().map(|(position, message)| Sent {
            browser,
            carrier,
            channel: message.channel().unwrap_or_default().to_owned(),
            id: message.id().cloned(),
            frame: Frame { entry, message: Some(position) },
            at: self.now,
            mark: self.inbox.len(),
        });
        Some(sent.collect())
    }

    /// Sends a body as it is; `messages` only choose the path.
    pub(crate) fn send_body(
        &mut self,
        browser: usize,
        messages: &[Message],
        body: Vec<u8>,
    ) -> Option<(Carrier, usize)> {
        match self.transport {
            Transport::LongPolling | Transport::CallbackPolling => {
                let exchange = Exchange(self.next_exchange);
                self.next_exchange += 1;
                let cookies = &self.browsers[browser].cookies;
                let request = match self.transport {
                    Transport::CallbackPolling => {
                        let callback = format!("_cometd_jsonp_{}", exchange.0);
                        http::callback_request(
                            &self.base,
                            messages,
                            &callback,
                            &String::from_utf8_lossy(&body),
                            cookies,
                        )
                    }
                    Transport::LongPolling | Transport::WebSocket => {
                        Request { body, ..http::request(&self.base, messages, cookies) }
                    }
                };
                let carrier = Carrier::Exchange(exchange);
                self.lines.insert(carrier, Line::new(browser, self.now, Fate::Open));
                Some((carrier, self.put(Wire::Request(exchange, request))))
            }
            Transport::WebSocket => {
                let socket = self.socket(browser)?;
                let text = String::from_utf8_lossy(&body).into_owned();
                Some((Carrier::Socket(socket), self.put(Wire::Text(socket, text))))
            }
        }
    }

    /// Sends an HTTP request as it is but for its path and the browser's cookies; what follows the path is the caller's.
    pub(crate) fn send_request(&mut self, browser: usize, more: &str, request: Request) -> (Carrier, usize) {
        let exchange = Exchange(self.next_exchange);
        self.next_exchange += 1;
        let carrier = Carrier::Exchange(exchange);
        self.lines.insert(carrier, Line::new(browser, self.now, Fate::Open));
        let mut headers = request.headers.clone();
        if let Some(cookie) = self.browsers[browser].cookies.header() {
            headers = headers.with("Cookie", &cookie);
        }
        let target = format!("{}/{more}", self.base.trim_end_matches('/'));
        (carrier, self.put(Wire::Request(exchange, Request { target, headers, ..request })))
    }

    /// Asks the API for files, with the browser's cookies or without; `query` follows its path.
    pub(crate) fn send_to_files(
        &mut self,
        browser: usize,
        query: &str,
        request: Request,
        with_cookies: bool,
    ) -> (Carrier, usize) {
        let exchange = Exchange(self.next_exchange);
        self.next_exchange += 1;
        let carrier = Carrier::Exchange(exchange);
        let line = Line { beside: true, ..Line::new(browser, self.now, Fate::Open) };
        self.lines.insert(carrier, line);
        let mut headers = request.headers.clone();
        if let Some(cookie) = self.browsers[browser].cookies.header().filter(|_| with_cookies) {
            headers = headers.with("Cookie", &cookie);
        }
        let target = format!("{}{query}", files::path(&self.base));
        (carrier, self.put(Wire::Request(exchange, Request { target, headers, ..request })))
    }

    /// The HTTP response that ended a carrier.
    pub(crate) fn response(&self, carrier: Carrier) -> Option<&Response> {
        self.responses.get(&carrier)
    }

    /// Lets the browser open another socket for its next message. The old one stays open.
    pub(crate) fn leave_socket(&mut self, browser: usize) {
        self.browsers[browser].socket = None;
    }

    /// Closes a socket in good order.
    pub(crate) fn close_socket(&mut self, carrier: Carrier) {
        if let Carrier::Socket(socket) = carrier
            && self.fate(carrier) == &Fate::Open
        {
            self.drop_line(carrier);
            self.put(Wire::Close(socket, Close { code: 1000, reason: String::new() }));
        }
    }

    /// The browser's socket, if it is open.
    pub(crate) fn socket(&self, browser: usize) -> Option<Socket> {
        self.browsers[browser].socket.filter(|socket| self.fate(Carrier::Socket(*socket)) == &Fate::Open)
    }

    /// Asks for a socket if the browser has none, and gives it.
    pub(crate) fn open_socket(&mut self, browser: usize) -> Carrier {
        self.open_socket_from(browser, None)
    }

    /// The same for a page of another origin.
    pub(crate) fn open_socket_from(&mut self, browser: usize, origin: Option<&str>) -> Carrier {
        if let Some(socket) = self.browsers[browser].socket {
            let carrier = Carrier::Socket(socket);
            if matches!(self.fate(carrier), Fate::Opening | Fate::Open) {
                return carrier;
            }
        }
        let socket = Socket(self.next_socket);
        self.next_socket += 1;
        self.browsers[browser].socket = Some(socket);
        self.lines.insert(Carrier::Socket(socket), Line::new(browser, self.now, Fate::Opening));
        let mut request = http::upgrade(&self.base, &self.browsers[browser].cookies);
        if let Some(origin) = origin {
            request.headers = request.headers.with("Origin", origin);
        }
        self.put(Wire::Upgrade(socket, request));
        Carrier::Socket(socket)
    }

    /// How long ago a carrier was opened when something came on it.
    pub(crate) fn carried_for(&self, carrier: Carrier, at: Time) -> Duration {
        self.lines.get(&carrier).map_or(Duration::ZERO, |line| at - line.opened)
    }

    pub(crate) fn fate(&self, carrier: Carrier) -> &Fate {
        self.lines.get(&carrier).map_or(&Fate::Dropped, |line| &line.fate)
    }

    /// Whether a message is not answered yet and its carrier still open: what a held connect looks like.
    pub(crate) fn is_held(&self, sent: &Sent) -> bool {
        self.reply(sent).is_none() && *self.fate(sent.carrier) == Fate::Open
    }

    fn bayeux_lines(&self, browser: usize) -> impl DoubleEndedIterator<Item = &Line> {
        self.lines.values().filter(move |line| line.browser == browser && !line.beside)
    }

    /// Whether anything is open on which a browser can still be told something.
    pub(crate) fn is_listening(&self, browser: usize) -> bool {
        self.bayeux_lines(browser).any(|line| line.fate == Fate::Open)
    }

    /// How the browser's connection ended last, if it did not end by the suite's will.
    pub(crate) fn last_end(&self, browser: usize) -> Option<&Fate> {
        self.bayeux_lines(browser).next_back().map(|line| &line.fate).filter(|fate| {
            matches!(fate, Fate::Closed { .. } | Fate::Broken { .. })
                || matches!(fate, Fate::Answered { status, batch, .. } if *status != 200 || !batch)
        })
    }

    /// Cuts every connection of a browser as a failing network would: no close frame, no good-bye.
    pub(crate) fn cut(&mut self, browser: usize) {
        self.polls.retain(|poll| poll.browser != browser);
        for carrier in self.live(Some(browser)) {
            self.drop_line(carrier);
            match carrier {
                Carrier::Exchange(exchange) => self.put(Wire::Broken(exchange, Failure::Aborted)),
                Carrier::Socket(socket) => self.put(Wire::Lost(socket, Failure::Aborted)),
            };
        }
    }

    /// Ends every connection in good order.
    pub(crate) fn close_all(&mut self) {
        self.polls.clear();
        for carrier in self.live(None) {
            let opening = self.fate(carrier) == &Fate::Opening;
            self.drop_line(carrier);
            match carrier {
                Carrier::Exchange(exchange) => self.put(Wire::Broken(exchange, Failure::Aborted)),
                Carrier::Socket(socket) if opening => self.put(Wire::Lost(socket, Failure::Aborted)),
                Carrier::Socket(socket) => self.put(Wire::Close(socket, Close { code: 1000, reason: String::new() })),
            };
        }
    }

    fn live(&self, browser: Option<usize>) -> Vec<Carrier> {
        self.lines
            .iter()
            .filter(|(_, line)| browser.is_none_or(|browser| browser == line.browser))
            .filter(|(_, line)| matches!(line.fate, Fate::Opening | Fate::Open))
            .map(|(carrier, _)| *carrier)
            .collect()
    }

    fn drop_line(&mut self, carrier: Carrier) {
        self.end_line(carrier, Fate::Dropped);
    }

    fn end_line(&mut self, carrier: Carrier, fate: Fate) {
        if let Some(line) = self.lines.get_mut(&carrier) {
            line.fate = fate;
        }
    }

    /// Takes something from the wire.
    pub(crate) fn receive(&mut self, wire: Wire) {
        if matches!(wire, Wire::Ping(..) | Wire::Pong(..)) {
            return;
        }
        let entry = self.entries;
        self.entries += 1;
        let carrier = wire.exchange().map(Carrier::Exchange).or_else(|| wire.socket().map(Carrier::Socket));
        let Some(carrier) = carrier else { return };
        let Some((browser, fate)) = self.lines.get(&carrier).map(|line| (line.browser, line.fate.clone())) else {
            return;
        };
        if !matches!(fate, Fate::Opening | Fate::Open) {
            return;
        }
        match wire {
            Wire::Response(_, response) => self.on_response(entry, browser, carrier, &response),
            Wire::Refused(_, response) => {
                self.browsers[browser].cookies.absorb(&response.headers);
                self.end_line(carrier, Fate::Answered { entry, status: response.status, batch: false });
            }
            Wire::Upgraded(_, headers) => {
                self.browsers[browser].cookies.absorb(&headers);
                self.end_line(carrier, Fate::Open);
            }
            Wire::Text(_, text) => {
                self.on_messages(entry, browser, carrier, text.as_bytes());
            }
            Wire::Close(socket, close) => {
                self.closed_by_peer = true;
                self.end_line(carrier, Fate::Closed { entry, code: close.code });
                self.put(Wire::Close(socket, Close { code: 1000, reason: String::new() }));
            }
            Wire::Broken(_, failure) | Wire::Lost(_, failure) => {
                self.broke = true;
                self.end_line(carrier, Fate::Broken { entry, failure });
            }
            Wire::Binary(..) | Wire::Ping(..) | Wire::Pong(..) | Wire::Request(..) | Wire::Upgrade(..) => {}
        }
        self.turn_polls();
    }

    fn on_response(&mut self, entry: usize, browser: usize, carrier: Carrier, response: &Response) {
        self.browsers[browser].cookies.absorb(&response.headers);
        self.responses.insert(carrier, response.clone());
        let beside = self.lines.get(&carrier).is_some_and(|line| line.beside);
        let batch = response.status == 200 && !beside && self.on_messages(entry, browser, carrier, &response.body);
        self.end_line(carrier, Fate::Answered { entry, status: response.status, batch });
    }

    /// Says whether it was a batch of messages.
    fn on_messages(&mut self, entry: usize, browser: usize, carrier: Carrier, body: &[u8]) -> bool {
        let body = match self.transport {
            Transport::CallbackPolling => http::callback_argument(body),
            Transport::LongPolling | Transport::WebSocket => body,
        };
        let Ok(batch) = Batch::parse(body, &Limits::default()) else { return false };
        for (position, message) in batch.messages.into_iter().enumerate() {
            let frame = Frame { entry, message: Some(position) };
            let place = self.inbox.len();
            self.inbox.push(Arrival { message, frame, at: self.now, browser, carrier, place });
        }
        true
    }

    /// What has come for a browser since a mark.
    pub(crate) fn arrivals(&self, browser: usize, mark: usize) -> impl Iterator<Item = &Arrival> + Clone {
        self.inbox[mark..].iter().filter(move |arrival| arrival.browser == browser)
    }

    /// The reply to a message: by its id, else, on the same carrier, one with an id that nothing was sent under.
    pub(crate) fn reply(&self, sent: &Sent) -> Option<&Arrival> {
        let candidates = || {
            self.arrivals(sent.browser, sent.mark).filter(|arrival| {
                arrival.message.member("successful").is_some() && arrival.message.channel() == Some(&sent.channel)
            })
        };
        let by_id = candidates().find(|arrival| sent.id.is_some() && arrival.message.id() == sent.id.as_ref());
        let last_id = self.browsers[sent.browser].last_id;
        let is_known = |id: &MessageId| id.as_str().parse::<u64>().is_ok_and(|id| (1..=last_id).contains(&id));
        by_id.or_else(|| {
            candidates().find(|arrival| arrival.carrier == sent.carrier && !arrival.message.id().is_some_and(is_known))
        })
    }

    /// Lets a session keep a connect outstanding from here on.
    pub(crate) fn poll(&mut self, browser: usize, client_id: &ClientId, hold: Option<Duration>) {
        let known = self.polls.iter().any(|poll| poll.browser == browser && poll.client_id == *client_id);
        if !known {
            let again_at = Some(self.now);
            self.polls.push(Poll { browser, client_id: client_id.clone(), hold, outstanding: None, again_at });
            self.turn_polls();
        }
    }

    /// Lets a session keep no connect outstanding any more. One that is held stays so.
    pub(crate) fn stop_polling(&mut self, client_id: &ClientId) {
        self.polls.retain(|poll| poll.client_id != *client_id);
    }

    /// Whether a session that was to keep a connect outstanding does not any more.
    pub(crate) fn is_deaf(&self, client_id: &ClientId) -> bool {
        self.deaf.contains(client_id)
    }

    /// Sends the connects that are due.
    pub(crate) fn turn_polls(&mut self) {
        let mut polls = std::mem::take(&mut self.polls);
        polls.retain_mut(|poll| {
            let goes_on = self.turn(poll);
            if !goes_on {
                self.deaf.push(poll.client_id.clone());
            }
            goes_on
        });
        self.polls = polls;
    }

    /// Turns one poll; `false` means that it is over.
    fn turn(&mut self, poll: &mut Poll) -> bool {
        if let Some(sent) = &poll.outstanding {
            let Some(reply) = self.reply(sent) else {
                return matches!(self.fate(sent.carrier), Fate::Open);
            };
            let advice = reply.message.advice().unwrap_or_default();
            let stops =
                matches!(advice.reconnect, Some(Reconnect::None | Reconnect::Handshake | Reconnect::Unknown(_)));
            if reply.message.successful() != Some(true) || stops {
                return false;
            }
            let interval = Duration::from_millis(advice.interval.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0));
            let brought = self.arrivals(poll.browser, sent.mark).count() > 1;
            let hasty = !brought && reply.at - sent.at < PATIENCE_WITH_POLLS;
            let wait = if hasty { interval.max(PATIENCE_WITH_POLLS) } else { interval };
            poll.again_at = Some(reply.at + wait);
            poll.outstanding = None;
        }
        if poll.again_at.is_none_or(|at| at > self.now) {
            return true;
        }
        poll.again_at = None;
        let message =
            connect_draft(&poll.client_id, self.transport, poll.hold).id(Some(&self.next_id(poll.browser))).finish();
        poll.outstanding = self.send(poll.browser, &[message]).and_then(|sent| sent.into_iter().next());
        poll.outstanding.is_some()
    }

    /// When a connect is due.
    pub(crate) fn poll_deadline(&self) -> Option<Time> {
        self.polls.iter().filter_map(|poll| poll.again_at).min()
    }

    /// A session is there, and is to be left politely.
    pub(crate) fn open_session(&mut self, browser: usize, client_id: &ClientId) {
        self.had_session = true;
        self.sessions.push(OpenSession { browser, client_id: client_id.clone() });
    }

    /// A session is over: nobody need disconnect it.
    pub(crate) fn forget_session(&mut self, client_id: &ClientId) {
        self.stop_polling(client_id);
        self.sessions.retain(|open| open.client_id != *client_id);
    }
}

//! Which browser session something belongs to, found without waiting for what follows.
//!
//! A request belongs to the session of its cookie `BAYEUX_BROWSER`, else to that of a `clientId` in it, else it begins one:
//! a handshake, an upgrade, or a cookie or `clientId` that nobody has seen. What carries none of these belongs to the session of
//! its connection, if there is just one, else to none; only a request about files has the `secureKey` of its chat to be known by.
//! Answers go where their request went, frames where their upgrade went. The
//! answer to a handshake binds the cookie and the `clientId` that it gives out.
//!
//! Cookies, ids and keys are remembered as keyed digests only.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::bayeux::batch::Batch;
use protocol::bayeux::http::{BROWSER_COOKIE, Cookies, cookie, query_values};
use protocol::bayeux::message::Message;
use protocol::chat::files::{Form, is_target};
use protocol::time::Time;
use protocol::wire::{Exchange, Headers, Request, Side, Socket, Wire};
use recording::token::{Class, Key, token};

/// A session without traffic, and without an open request or socket, is over after so long.
const IDLE: Duration = Duration::from_secs(600);

/// The member and the field with the key of a chat.
const KEY: &str = "secureKey";

/// A browser session, from 1; 0 stands for what belongs to none.
pub(crate) type Session = u64;

/// What belongs to no session.
pub(crate) const NONE: Session = 0;

/// Who is who.
pub(crate) struct Router {
    /// Behind the digests; of this recording alone.
    key: Key,
    begun: Session,
    sessions: BTreeMap<Session, Live>,
    /// By the digest of a cookie or a `clientId`.
    names: BTreeMap<String, Session>,
    /// What has begun and is not over.
    open: BTreeMap<Link, Session>,
    conns: BTreeMap<u64, Conn>,
}

/// What begins with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Link {
    Exchange(Exchange),
    Socket(Socket),
}

/// A session that is not over.
#[derive(Default)]
struct Live {
    names: BTreeSet<String>,
    /// Its ids that have not left.
    clients: BTreeSet<String>,
    /// Whether it ever had one.
    is_bayeux: bool,
    /// Exchanges and sockets.
    open: usize,
    conns: BTreeSet<u64>,
    last: Time,
}

/// A connection, which may carry the traffic of several sessions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conn {
    pub(crate) opened: Time,
    pub(crate) peer: String,
    /// Whose traffic it has carried, of those that are not over; never [`NONE`].
    sessions: BTreeSet<Session>,
    /// Where the last exchange went.
    last: Session,
    /// Whether anything that belongs to no session went over it.
    other: bool,
    /// What began on it last.
    link: Option<Link>,
}

impl Conn {
    pub(crate) fn new(opened: Time, peer: String) -> Self {
        Self { opened, peer, sessions: BTreeSet::new(), last: NONE, other: false, link: None }
    }
}

/// Where a unit goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) session: Session,
    /// The connection, if the tape does not know it yet.
    pub(crate) conn: Option<Conn>,
}

impl Router {
    pub(crate) const fn new(key: Key) -> Self {
        Self {
            key,
            begun: NONE,
            sessions: BTreeMap::new(),
            names: BTreeMap::new(),
            open: BTreeMap::new(),
            conns: BTreeMap::new(),
        }
    }

    pub(crate) fn opened(&mut self, at: Time, conn: u64, peer: String) {
        self.conns.insert(conn, Conn::new(at, peer));
    }

    /// A connection is gone: the tapes that know it and are not over. One that carried nothing belongs to no session.
    pub(crate) fn closed(&mut self, conn: u64) -> Vec<Place> {
        let Some(gone) = self.conns.remove(&conn) else { return vec![Place { session: NONE, conn: None }] };
        if let Some(link) = gone.link {
            self.settle(link);
        }
        let mut places: Vec<Place> =
            gone.sessions.iter().map(|session| Place { session: *session, conn: None }).collect();
        for Place { session, .. } in &places {
            if let Some(live) = self.sessions.get_mut(session) {
                live.conns.remove(&conn);
            }
        }
        if gone.other {
            places.push(Place { session: NONE, conn: None });
        } else if gone.last == NONE {
            places.push(Place { session: NONE, conn: Some(gone) });
        }
        places
    }

    /// What is told about a connection, without a request or socket that it belongs to.
    pub(crate) fn about(&mut self, at: Time, conn: u64) -> Place {
        let session = self.last_on(conn);
        self.touch(at, session, conn)
    }

    /// Where something that crossed the wire goes.
    pub(crate) fn wire(&mut self, at: Time, conn: u64, from: Side, wire: &Wire) -> Place {
        let messages = Batch::carried(wire);
        let session = match wire {
            Wire::Request(exchange, request) => self.asked(conn, Link::Exchange(*exchange), request, &messages),
            Wire::Upgrade(socket, request) => self.asked(conn, Link::Socket(*socket), request, &messages),
            _ => self.answered(conn, wire),
        };
        match wire {
            Wire::Response(_, response) | Wire::Refused(_, response) => self.given(session, &response.headers),
            Wire::Upgraded(_, headers) => self.given(session, headers),
            _ => {}
        }
        for message in &messages {
            self.message(session, from, message);
        }
        self.touch(at, session, conn)
    }

    /// Something begins with a request: its session.
    fn asked(&mut self, conn: u64, link: Link, request: &Request, messages: &[Message]) -> Session {
        let session = self.session_of(conn, link, request, messages);
        self.open.insert(link, session);
        if let Some(live) = self.sessions.get_mut(&session) {
            live.open += 1;
        }
        let before = self.conns.get_mut(&conn).and_then(|conn| conn.link.replace(link));
        // One follows the other on a connection. If the one before is open, its end was lost.
        if let Some(before) = before {
            self.settle(before);
        }
        session
    }

    /// The session of what follows a request or an upgrade.
    fn answered(&mut self, conn: u64, wire: &Wire) -> Session {
        let known = match (wire.exchange(), wire.socket()) {
            (Some(exchange), _) => self.settle(Link::Exchange(exchange)),
            (None, Some(socket)) => match wire {
                Wire::Refused(..) | Wire::Lost(..) => self.settle(Link::Socket(socket)),
                _ => self.open.get(&Link::Socket(socket)).copied(),
            },
            (None, None) => None,
        };
        // Its request was left out.
        known.unwrap_or_else(|| self.last_on(conn))
    }

    /// An exchange or a socket is over. Gives its session the first time.
    fn settle(&mut self, link: Link) -> Option<Session> {
        let session = self.open.remove(&link)?;
        if let Some(live) = self.sessions.get_mut(&session) {
            live.open -= 1;
        }
        Some(session)
    }

    /// The session of a request.
    fn session_of(&mut self, conn: u64, link: Link, request: &Request, messages: &[Message]) -> Session {
        let cookie = cookie(&request.headers, BROWSER_COOKIE).map(|value| self.name(Class::Cookie, value));
        let clients = messages.iter().filter_map(|message| message.client_id());
        let clients: Vec<String> = clients.map(|id| self.name(Class::ClientId, id.expose())).collect();
        let names = || cookie.iter().chain(&clients);
        let known = names().find_map(|name| self.names.get(name).copied());
        let begins = matches!(link, Link::Socket(_)) || names().next().is_some() || messages.iter().any(is_handshake);
        let session = match known {
            Some(session) => session,
            None if begins => self.begin(),
            None => return self.of_file(request).unwrap_or_else(|| self.of_connection(conn)),
        };
        // The ids follow with their messages.
        if let Some(cookie) = cookie {
            self.bind(session, cookie);
        }
        session
    }

    fn begin(&mut self) -> Session {
        self.begun += 1;
        self.sessions.insert(self.begun, Live::default());
        self.begun
    }

    /// The session of the chat that a request about files is for.
    fn of_file(&self, request: &Request) -> Option<Session> {
        if !is_target(&request.target) {
            return None;
        }
        let form = Form::parse(&request.headers, &request.body).ok();
        let of_form = form.as_ref().and_then(|form| form.get(KEY)).map(str::to_owned);
        let key = of_form.or_else(|| query_values(&request.target, KEY).into_iter().next())?;
        self.names.get(&self.name(Class::SecureKey, &key)).copied()
    }

    fn of_connection(&self, conn: u64) -> Session {
        let Some(conn) = self.conns.get(&conn) else { return NONE };
        let mut sessions = conn.sessions.iter();
        match (sessions.next(), sessions.next()) {
            (Some(session), None) => *session,
            _ => NONE,
        }
    }

    /// Where the last exchange on a connection went, if that session is not over.
    fn last_on(&self, conn: u64) -> Session {
        let last = self.conns.get(&conn).map(|conn| conn.last);
        last.filter(|session| self.sessions.contains_key(session)).unwrap_or(NONE)
    }

    /// The digest of a cookie or an id.
    fn name(&self, class: Class, value: &str) -> String {
        token(&self.key, class, value)
    }

    /// The first session with a name keeps it.
    fn bind(&mut self, session: Session, name: String) {
        if let Some(live) = self.sessions.get_mut(&session)
            && !self.names.contains_key(&name)
        {
            live.names.insert(name.clone());
            self.names.insert(name, session);
        }
    }

    /// The cookie that an answer gives out.
    fn given(&mut self, session: Session, headers: &Headers) {
        let mut cookies = Cookies::new();
        cookies.absorb(headers);
        if let Some(value) = cookies.get(BROWSER_COOKIE) {
            let name = self.name(Class::Cookie, value.expose());
            self.bind(session, name);
        }
    }

    /// A client joins with its handshake, leaves with its disconnect, and is given the key of a chat between.
    fn message(&mut self, session: Session, from: Side, message: &Message) {
        if message.data().is_some_and(|data| data.get().contains(KEY))
            && let Some(key) = message.value("data").as_ref().and_then(|data| data.get(KEY)?.as_str())
        {
            let name = self.name(Class::SecureKey, key);
            self.bind(session, name);
        }
        let Some(id) = message.client_id().filter(|_| session != NONE) else { return };
        let name = self.name(Class::ClientId, id.expose());
        self.bind(session, name.clone());
        let Some(live) = self.sessions.get_mut(&session) else { return };
        let is_reply = from == Side::Server && message.successful() == Some(true);
        match message.channel() {
            Some("/meta/handshake") if is_reply => {
                live.is_bayeux = true;
                live.clients.insert(name);
            }
            Some("/meta/disconnect") if is_reply => drop(live.clients.remove(&name)),
            _ => {}
        }
    }

    fn touch(&mut self, at: Time, session: Session, number: u64) -> Place {
        let Some(conn) = self.conns.get_mut(&number) else { return Place { session, conn: None } };
        conn.last = session;
        let is_new = match self.sessions.get_mut(&session) {
            Some(live) => {
                live.last = live.last.max(at);
                live.conns.insert(number);
                conn.sessions.insert(session)
            }
            None => !std::mem::replace(&mut conn.other, true),
        };
        Place { session, conn: is_new.then(|| conn.clone()) }
    }

    /// Sessions that are over: all their ids have left and nothing of them is open, or nothing came for long.
    pub(crate) fn take_over(&mut self, now: Time) -> Vec<Session> {
        let is_over = |live: &Live| {
            let has_left = live.is_bayeux && live.clients.is_empty() && live.conns.is_empty();
            live.open == 0 && (has_left || now - live.last >= IDLE)
        };
        let over: Vec<Session> =
            self.sessions.iter().filter(|(_, live)| is_over(live)).map(|(session, _)| *session).collect();
        for session in &over {
            let Some(live) = self.sessions.remove(session) else { continue };
            for name in live.names {
                self.names.remove(&name);
            }
            for conn in live.conns {
                if let Some(conn) = self.conns.get_mut(&conn) {
                    conn.sessions.remove(session);
                }
            }
        }
        over
    }
}

fn is_handshake(message: &Message) -> bool {
    message.channel() == Some("/meta/handshake")
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use protocol::wire::{Request, Response};

    use super::*;

    const HANDSHAKE: &str = r#"[{"id":"1","channel":"/meta/handshake"}]"#;

    struct Bench {
        router: Router,
        exchanges: u64,
    }

    impl Bench {
        fn new() -> Self {
            let mut router = Router::new(Key::from_bytes([1; 32]));
            for conn in 1..=3 {
                router.opened(Time::ZERO, conn, "127.0.0.1".to_owned());
            }
            Self { router, exchanges: 0 }
        }

        fn ask(&mut self, conn: u64, cookie: &str, body: &str) -> Session {
            self.exchanges += 1;
            let headers = if cookie.is_empty() {
                Headers::new()
            } else {
                Headers::new().with("Cookie", &format!("lb=n1; BAYEUX_BROWSER={cookie}"))
            };
            let request =
                Request { method: "POST".to_owned(), target: "/".to_owned(), headers, body: body.as_bytes().to_vec() };
            let wire = Wire::Request(Exchange(self.exchanges), request);
            self.router.wire(Time::ZERO, conn, Side::Client, &wire).session
        }

        fn answer(&mut self, conn: u64, cookie: &str, body: &str) -> Session {
            let headers = match cookie {
                "" => Headers::new(),
                cookie => Headers::new().with("Set-Cookie", &format!("BAYEUX_BROWSER={cookie}; Path=/; HttpOnly")),
            };
            let response = Response { status: 200, headers, body: body.as_bytes().to_vec() };
            let wire = Wire::Response(Exchange(self.exchanges), response);
            self.router.wire(Time::ZERO, conn, Side::Server, &wire).session
        }

        /// A handshake that gives out a cookie and an id.
        fn handshake(&mut self, conn: u64, cookie: &str, id: &str) -> Session {
            let session = self.ask(conn, "", HANDSHAKE);
            let reply = format!(r#"[{{"id":"1","channel":"/meta/handshake","clientId":"{id}","successful":true}}]"#);
            assert_eq!(self.answer(conn, cookie, &reply), session);
            session
        }

        fn frame(&mut self, conn: u64, from: Side, text: &str) -> Session {
            self.router.wire(Time::ZERO, conn, from, &Wire::Text(Socket(conn), text.to_owned())).session
        }
    }

    fn get() -> Request {
        Request { method: "GET".to_owned(), target: "/".to_owned(), headers: Headers::new(), body: Vec::new() }
    }

    fn connect(id: &str) -> String {
        format!(r#"[{{"id":"2","channel":"/meta/connect","clientId":"{id}"}}]"#)
    }

    #[test]
    fn each_browser_has_a_session_of_its_own_on_any_connection() {
        let mut bench = Bench::new();
        assert_eq!((bench.handshake(1, "b1", "c1"), bench.handshake(1, "b2", "c2")), (1, 2));
        assert_eq!((bench.ask(2, "b2", &connect("c2")), bench.ask(3, "b1", &connect("c1"))), (2, 1));
    }

    #[test]
    fn two_tabs_of_a_browser_are_one_session() {
        let mut bench = Bench::new();
        assert_eq!(bench.handshake(1, "b1", "c1"), 1);
        assert_eq!(bench.ask(2, "b1", HANDSHAKE), 1);
    }

    #[test]
    fn a_client_without_cookies_is_known_by_its_id() {
        let mut bench = Bench::new();
        assert_eq!((bench.handshake(1, "", "c1"), bench.handshake(1, "", "c2")), (1, 2));
        assert_eq!((bench.ask(2, "", &connect("c1")), bench.ask(2, "", &connect("c2"))), (1, 2));
    }

    #[test]
    fn frames_go_where_their_upgrade_went() {
        let mut bench = Bench::new();
        let session = bench.router.wire(Time::ZERO, 1, Side::Client, &Wire::Upgrade(Socket(1), get())).session;
        assert_eq!((session, bench.frame(1, Side::Client, HANDSHAKE)), (1, 1));
        let reply = r#"[{"channel":"/meta/handshake","clientId":"c1","successful":true}]"#;
        assert_eq!(bench.frame(1, Side::Server, reply), 1);
        // The session goes on over long-polling.
        assert_eq!(bench.ask(2, "", &connect("c1")), 1);
    }

    #[test]
    fn what_carries_no_name_goes_with_its_connection_if_that_is_not_shared() {
        let mut bench = Bench::new();
        assert_eq!((bench.ask(1, "", ""), bench.handshake(1, "b1", "c1"), bench.ask(1, "", "")), (NONE, 1, 1));
        assert_eq!((bench.handshake(1, "b2", "c2"), bench.ask(1, "", "")), (2, NONE));
    }

    #[test]
    fn a_request_about_files_goes_with_its_chat() {
        let mut bench = Bench::new();
        assert_eq!((bench.handshake(1, "b1", "c1"), bench.handshake(1, "b2", "c2")), (1, 2));
        bench.ask(1, "b2", &connect("c2"));
        bench.answer(1, "", r#"[{"channel":"/service/chatV2/x","data":{"statusCode":0,"secureKey":"k+2"}}]"#);
        let headers = Headers::new().with("Content-Type", "application/x-www-form-urlencoded");
        let mut ask = |key: &str| {
            let body = format!("operation=fileGetLimits&secureKey={key}").into_bytes();
            let target = "/genesys/2/chat-ntf".to_owned();
            let request = Request { method: "POST".to_owned(), target, headers: headers.clone(), body };
            bench.router.wire(Time::ZERO, 3, Side::Client, &Wire::Request(Exchange(99), request)).session
        };
        assert_eq!((ask("other"), ask("k%2B2")), (NONE, 2));
    }

    #[test]
    fn an_id_that_nobody_has_seen_begins_a_session() {
        let mut bench = Bench::new();
        assert_eq!((bench.ask(1, "", &connect("old")), bench.ask(2, "", &connect("old"))), (1, 1));
        assert_eq!(bench.ask(3, "stale", ""), 2);
    }

    #[test]
    fn a_tape_is_told_of_a_connection_once_and_before_anything_else_on_it() {
        let mut bench = Bench::new();
        let place = bench.router.wire(Time::ZERO, 1, Side::Client, &Wire::Upgrade(Socket(1), get()));
        assert_eq!(place.conn.map(|conn| conn.peer).as_deref(), Some("127.0.0.1"));
        let text = Wire::Text(Socket(1), String::new());
        assert_eq!(bench.router.wire(Time::ZERO, 1, Side::Client, &text), Place { session: 1, conn: None });
        let places = bench.router.closed(1);
        assert_eq!(places, [Place { session: 1, conn: None }]);
        // One that carried nothing is told whole, where what belongs to no session is.
        assert!(matches!(bench.router.closed(2).as_slice(), [Place { session: NONE, conn: Some(_) }]));
    }

    #[test]
    fn a_session_is_over_once_its_clients_and_connections_have_gone() {
        let mut bench = Bench::new();
        let now = Time::from_millis(1);
        bench.handshake(1, "b1", "c1");
        bench.ask(1, "b1", r#"[{"id":"9","channel":"/meta/disconnect","clientId":"c1"}]"#);
        bench.answer(1, "", r#"[{"id":"9","channel":"/meta/disconnect","clientId":"c1","successful":true}]"#);
        assert!(bench.router.take_over(now).is_empty());
        bench.router.closed(1);
        assert_eq!(bench.router.take_over(now), [1]);
        // The browser comes back.
        assert_eq!(bench.ask(2, "b1", HANDSHAKE), 2);
    }

    #[test]
    fn a_session_that_is_silent_for_long_is_over_unless_something_of_it_is_held() {
        let mut bench = Bench::new();
        let late = Time::ZERO + IDLE;
        bench.handshake(1, "b1", "c1");
        bench.ask(2, "b1", &connect("c1"));
        assert!(bench.router.take_over(late).is_empty());
        bench.answer(2, "", "[]");
        assert_eq!(bench.router.take_over(late), [1]);
    }

    #[test]
    fn what_is_held_is_over_with_its_connection() {
        let mut bench = Bench::new();
        bench.handshake(1, "b1", "c1");
        // Its answer is not told: it was lost.
        bench.ask(1, "b1", &connect("c1"));
        bench.router.closed(1);
        assert_eq!(bench.router.take_over(Time::ZERO + IDLE), [1]);
    }

    #[test]
    fn what_is_held_is_over_once_the_next_request_comes() {
        let mut bench = Bench::new();
        bench.handshake(1, "b1", "c1");
        bench.ask(1, "b1", &connect("c1"));
        bench.ask(1, "b1", &connect("c1"));
        bench.answer(1, "", "[]");
        assert_eq!(bench.router.take_over(Time::ZERO + IDLE), [1]);
    }

    #[test]
    fn a_connection_that_outlives_its_sessions_is_told_nowhere_else() {
        let mut bench = Bench::new();
        bench.handshake(1, "b1", "c1");
        assert_eq!(bench.router.take_over(Time::ZERO + IDLE), [1]);
        assert_eq!(bench.router.closed(1), []);
    }

    #[test]
    fn nothing_that_it_remembers_is_a_cookie_or_an_id() {
        let mut bench = Bench::new();
        bench.handshake(1, "browser-secret", "client-secret");
        let names: Vec<&String> = bench.router.names.keys().collect();
        assert!(names.len() == 2 && names.iter().all(|name| !name.contains("secret")), "{names:?}");
    }
}

//! The examination: what is asked over HTTP, and in which order everything is asked.

use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::channel;
use protocol::bayeux::http::{self, Cookies};
use protocol::bayeux::message::{ClientId, Draft, Message, MessageId};
use protocol::wire::{Request, Response};
use serde_json::json;

use super::answer::{self, shown};
use super::finding::{self, Finding};
use super::line::{Asked, Outcome};
use super::{Bed, Door, chat, socket};

/// How long a first answer may take; a target that says nothing costs no more.
const FIRST: Duration = Duration::from_secs(5);

/// How long every later answer may take.
pub(super) const LATER: Duration = Duration::from_secs(3);

/// How long a connect is asked to be held.
pub(super) const HOLD: Duration = Duration::from_secs(4);

/// How much earlier or later than asked an answer may come.
const TOLERANCE: Duration = Duration::from_millis(1_200);

/// How far two clocks may be apart, in seconds.
const SKEW: i64 = 60;

/// Where CometD is served elsewhere.
const USUAL_PATHS: [&str; 4] = ["/genesys/cometd", "/gms/cometd", "/cometd", "/bayeux"];

/// The texts by which generations of CometD say that they do not know a session, and Faye's.
const FAMILIES: [(&str, &str); 3] = [
    ("402::Unknown client", "CometD 2 to 4.0.3"),
    ("402::unknown_session", "CometD 4.0.4 to 4.0.9"),
    ("402::session_unknown", "CometD 5.0 or later"),
];

/// A session over HTTP.
#[derive(Clone, Debug)]
pub(super) struct Session {
    pub(super) client_id: ClientId,
    pub(super) cookies: Cookies,
    /// The types that the server offers.
    offers: Vec<String>,
    /// How long the server says that it holds a connect.
    timeout: Option<Duration>,
    response: Response,
    reply: Message,
}

/// The examination.
pub(super) async fn examine(bed: Bed) {
    let path = bed.setup.base.clone();
    match handshake(&bed, &path, "the handshake", FIRST, None).await {
        Ok(session) => {
            bed.note(|diagnosis| diagnosis.long_polling = Door::Open);
            over_http(&bed, &session).await;
        }
        Err(finding) => without_http(&bed, finding).await,
    }
}

/// Everything, once a handshake over HTTP has succeeded.
async fn over_http(bed: &Bed, session: &Session) {
    about_first(bed, session);
    let Some(held) = connects(bed, session).await else {
        return leave(bed, session).await;
    };
    if !is_right(bed, session).await {
        bed.wires.give_up(held);
        return leave(bed, session).await;
    }
    callback(bed).await;
    let held_socket = socket::examine(bed, session.offers.iter().any(|offer| offer == "websocket")).await;
    if bed.note(|diagnosis| diagnosis.refusal().is_none()) {
        chat::examine(bed).await;
    }
    if let Some(held_socket) = held_socket {
        socket::await_end(bed, held_socket).await;
    }
    if bed.setup.thorough {
        end_hold(bed, session, held).await;
    }
    leave(bed, session).await;
    bed.wires.give_up(held);
}

/// What is left if HTTP brings no session: another path, or WebSocket alone.
async fn without_http(bed: &Bed, finding: Finding) {
    let kind = finding.kind;
    let astray = [&finding::NO_PATH, &finding::NO_POST, &finding::PAGE, &finding::NOT_BAYEUX, &finding::ENDLESS];
    if astray.contains(&kind)
        && let Some(path) = elsewhere(bed).await
    {
        let seen = format!("{}; at `{path}` a CometD answers", finding.seen);
        let better = format!("name `{}{path}` in the URL", bed.setup.origin);
        return bed.find(Finding::new(&finding::WRONG_PATH, seen).remedied(better));
    }
    // Who refuses a request may still let WebSocket through; who spoils answers is to be mended first.
    let spoils =
        [&finding::CODED, &finding::CUT_SHORT, &finding::PAGE, &finding::NOT_BAYEUX, &finding::ENDLESS].contains(&kind);
    let answers = ![&finding::MUTE, &finding::HANGS_UP, &finding::NOT_HTTP].contains(&kind) && !spoils;
    if answers && socket::is_open(bed).await {
        let seen = format!("{}; over WebSocket a handshake succeeds", finding.seen);
        bed.note(|diagnosis| diagnosis.long_polling = Door::Closed);
        return bed.find(Finding::new(&finding::LONG_POLLING_CLOSED, seen));
    }
    bed.find(finding);
}

/// Handshakes over HTTP at a path.
pub(super) async fn handshake(
    bed: &Bed,
    path: &str,
    asked: &str,
    within: Duration,
    ext: Option<serde_json::Value>,
) -> Result<Session, Finding> {
    let mut cookies = Cookies::new();
    let outcome = bed.wires.ask(http::request(path, &[handshake_message(ext)], &cookies), within).await;
    let messages = answer::messages(&outcome, asked, &bed.setup.host)?;
    let Some(reply) = answer::reply(&messages, channel::HANDSHAKE) else {
        return Err(Finding::new(&finding::NOT_BAYEUX, format!("{asked} was answered without a handshake reply")));
    };
    let id = reply.client_id().filter(|id| reply.successful() == Some(true) && !id.expose().is_empty());
    let Some(client_id) = id else {
        let error = reply.error().map_or_else(|| "without an error".to_owned(), |error| format!("`{}`", shown(error)));
        return Err(Finding::new(&finding::HANDSHAKE_REFUSED, format!("{asked} was refused: {error}")));
    };
    let Outcome::Answered(response) = &outcome else {
        return Err(Finding::new(&finding::MUTE, format!("nothing came after {asked}")));
    };
    cookies.absorb(&response.headers);
    let offers = reply.value("supportedConnectionTypes").and_then(|types| serde_json::from_value(types).ok());
    let timeout = reply.advice().and_then(|advice| advice.timeout).and_then(|ms| u64::try_from(ms).ok());
    let session = Session {
        client_id: client_id.clone(),
        cookies,
        offers: offers.unwrap_or_default(),
        timeout: timeout.map(Duration::from_millis),
        response: response.clone(),
        reply: reply.clone(),
    };
    bed.opened(|opened| opened.sessions.push(session.clone()));
    Ok(session)
}

pub(super) fn handshake_message(ext: Option<serde_json::Value>) -> Message {
    Message::draft(channel::HANDSHAKE)
        .with("version", "1.0")
        .with("minimumVersion", "1.0")
        .with("supportedConnectionTypes", json!(["websocket", "long-polling", "callback-polling"]))
        .with_some("ext", ext)
        .id(Some(&MessageId::new("1")))
        .finish()
}

/// A connect; with a hold it asks to be held so long and no longer.
pub(super) fn connect(client_id: &ClientId, kind: &str, hold: Duration, id: &str) -> Message {
    let hold = u64::try_from(hold.as_millis()).unwrap_or(u64::MAX);
    Message::draft(channel::CONNECT)
        .client(client_id)
        .with("connectionType", kind)
        .with("advice", json!({"timeout": hold}))
        .id(Some(&MessageId::new(id)))
        .finish()
}

impl Session {
    /// A request of this session with one message.
    pub(super) fn request(&self, bed: &Bed, message: Message) -> Request {
        http::request(&bed.setup.base, &[message], &self.cookies)
    }

    /// A message of this session.
    pub(super) fn draft(&self, name: &str, id: &str) -> Draft {
        Message::draft(name).client(&self.client_id).id(Some(&MessageId::new(id)))
    }
}

/// What the answer to the first handshake tells.
fn about_first(bed: &Bed, session: &Session) {
    let setup = &bed.setup;
    bed.fact("offers", session.offers.join(", "));
    if let Some(advice) = session.reply.member("advice") {
        bed.fact("advice", shown(advice.get()));
    }
    let fields = &session.response.headers;
    let names: Vec<String> = fields
        .all("set-cookie")
        .filter_map(|field| field.split_once('='))
        .map(|(name, _)| format!("`{}`", shown(name.trim())))
        .collect();
    bed.fact("cookies", if names.is_empty() { "none".to_owned() } else { names.join(", ") });
    let between: Vec<String> = ["via", "server", "x-powered-by"]
        .iter()
        .filter_map(|name| Some(format!("{name}: {}", shown(fields.get(name)?))))
        .collect();
    if !between.is_empty() {
        bed.fact("headers", between.join(", "));
    }
    for finding in answer::cookies(&session.response, &setup.base, &setup.host, setup.secure) {
        bed.find(finding);
    }
    if let Some(theirs) = fields.get("date").and_then(answer::date) {
        let ours = setup.start_utc / 1_000 + i64::try_from(bed.wires.now().as_millis() / 1_000).unwrap_or(0);
        let ahead = theirs - ours;
        bed.fact("clock", format!("{ahead:+} s against this machine"));
        if ahead.abs() > SKEW {
            let side = if ahead > 0 { "ahead of" } else { "behind" };
            let seen = format!("the server's clock is {} s {side} that of this machine", ahead.abs());
            bed.find(Finding::new(&finding::CLOCK, seen));
        }
    }
}

/// Whether the session can be used: alone, and by two requests at once. Gives the connect that is held meanwhile.
async fn connects(bed: &Bed, session: &Session) -> Option<Asked> {
    let first = connect(&session.client_id, "long-polling", Duration::ZERO, "2");
    let outcome = bed.wires.ask(session.request(bed, first), LATER).await;
    let messages = match answer::messages(&outcome, "the first connect", &bed.setup.host) {
        Ok(messages) => messages,
        Err(finding) => {
            bed.find(finding);
            return None;
        }
    };
    match answer::reply(&messages, channel::CONNECT) {
        Some(reply) if answer::is_unknown(reply) => {
            scattered(bed, "the connect right after the handshake", reply);
            return None;
        }
        Some(_) => {}
        None => {
            let seen = "the first connect was answered without a reply to it";
            bed.find(Finding::new(&finding::NOT_BAYEUX, seen));
            return None;
        }
    }
    // While one connection waits, another request takes a second one, which a balancer may lead elsewhere.
    let held = connect(&session.client_id, "long-polling", hold_of(session), "3");
    let held = bed.wires.begin(session.request(bed, held));
    let beside = session.draft(channel::SUBSCRIBE, "4").with("subscription", "/service/tapestry/sentinel").finish();
    let outcome = bed.wires.ask(session.request(bed, beside), LATER).await;
    let messages = answer::messages(&outcome, "a message beside a held connect", &bed.setup.host);
    let unknown = messages.as_ref().ok().and_then(|messages| {
        answer::reply(messages, channel::SUBSCRIBE).filter(|reply| answer::is_unknown(reply)).cloned()
    });
    let early = match bed.wires.end(held, bed.wires.now()).await.0 {
        Outcome::Answered(response) => Batch::parse(&response.body, &Limits::default()).ok(),
        Outcome::Broken(_) | Outcome::Silence => None,
    };
    let early = early.and_then(|batch| answer::reply(&batch.messages, channel::CONNECT).cloned());
    let unknown = unknown.or_else(|| early.filter(answer::is_unknown));
    if let Some(reply) = unknown {
        scattered(bed, "one of two requests at once", &reply);
        bed.wires.give_up(held);
        return None;
    }
    if let Err(finding) = messages {
        bed.find(finding);
        bed.wires.give_up(held);
        return None;
    }
    Some(held)
}

fn scattered(bed: &Bed, what: &str, reply: &Message) {
    let cookies = bed.note(|diagnosis| {
        diagnosis.facts.iter().find(|fact| fact.topic == "cookies").map_or_else(String::new, |fact| fact.says.clone())
    });
    let error = shown(reply.error().unwrap_or_default());
    let seen = format!("{what} got `{error}`, though all cookies were returned ({cookies})");
    bed.find(Finding::new(&finding::NOT_STICKY, seen));
}

/// Whether what answers knows whom it talks to: it refuses nobody's session, and gives each client a session of its own.
async fn is_right(bed: &Bed, session: &Session) -> bool {
    let nobody = ClientId::new(bed.wires.word());
    let refused = connect(&nobody, "long-polling", Duration::ZERO, "1");
    let outcome = bed.wires.ask(http::request(&bed.setup.base, &[refused], &Cookies::new()), LATER).await;
    if let Ok(messages) = answer::messages(&outcome, "a connect of nobody", &bed.setup.host)
        && let Some(reply) = answer::reply(&messages, channel::CONNECT)
    {
        if reply.successful() == Some(true) {
            let seen = "a connect with an invented `clientId` succeeded";
            bed.find(Finding::new(&finding::YES_TO_ALL, seen));
            return false;
        }
        let error = reply.error().unwrap_or_default().replace(nobody.expose(), "(clientId)");
        let family = FAMILIES.iter().find(|(text, _)| *text == error).map(|(_, family)| *family);
        let family = family.or_else(|| error.starts_with("401:").then_some("Faye"));
        bed.fact("dialect", format!("{} (an unknown session gets `{}`)", family.unwrap_or("unknown"), shown(&error)));
    }
    let ext = json!({"ack": true});
    let Ok(second) = handshake(bed, &bed.setup.base, "a second handshake", LATER, Some(ext)).await else { return true };
    if second.client_id == session.client_id {
        let seen = "a second handshake got the `clientId` of the first";
        bed.find(Finding::new(&finding::SAME_ANSWER, seen));
        return false;
    }
    let ack = second.reply.ext().is_some_and(|ext| ext.get("ack").is_some());
    bed.fact("extensions", if ack { "ack" } else { "none that was asked for (ack)" });
    leave(bed, &second).await;
    true
}

/// Whether callback-polling is open.
async fn callback(bed: &Bed) {
    if !bed.setup.thorough {
        return;
    }
    let messages = [connect(&ClientId::new(bed.wires.word()), "callback-polling", Duration::ZERO, "1")];
    let text = Batch::array(&messages);
    let request = http::callback_request(&bed.setup.base, &messages, "tapestry", &text, &Cookies::new());
    let outcome = bed.wires.ask(request, LATER).await;
    let is_open = matches!(&outcome, Outcome::Answered(response) if response.status == 200
        && response.body.trim_ascii_start().first().is_some_and(|byte| !b"[{".contains(byte))
        && Batch::parse(http::callback_argument(&response.body), &Limits::default()).is_ok());
    bed.note(|diagnosis| diagnosis.callback_polling = if is_open { Door::Open } else { Door::Closed });
}

/// How long to ask the server to hold: not longer than it says it does.
fn hold_of(session: &Session) -> Duration {
    session.timeout.map_or(HOLD, |timeout| timeout.min(HOLD))
}

/// What became of a connect that was to be held.
async fn end_hold(bed: &Bed, session: &Session, asked: Asked) {
    let hold = hold_of(session);
    let (outcome, took) = bed.wires.end(asked, asked.at + hold + TOLERANCE).await;
    let took_seconds = took.as_secs_f64();
    let asked_seconds = hold.as_secs_f64();
    let messages = match &outcome {
        Outcome::Silence => {
            // It may hold longer than asked, as Faye does; an answer that got lost looks alike.
            bed.wires.give_up(asked);
            return about_late(bed, session, asked_seconds).await;
        }
        Outcome::Answered(_) | Outcome::Broken(_) => answer::messages(&outcome, "a held connect", &bed.setup.host),
    };
    match messages {
        Err(finding) => {
            let seen = format!(
                "a connect to be held for {asked_seconds:.1} s ended after {took_seconds:.1} s: {}",
                finding.seen
            );
            bed.find(Finding::new(&finding::HELD_CUT, seen));
        }
        Ok(messages) if answer::reply(&messages, channel::CONNECT).is_none() => {
            let seen = format!("a connect to be held for {asked_seconds:.1} s got no reply after {took_seconds:.1} s");
            bed.find(Finding::new(&finding::HELD_CUT, seen));
        }
        Ok(_) if took + TOLERANCE < hold => {
            let seen = format!("a connect to be held for {asked_seconds:.1} s came back after {took_seconds:.1} s");
            bed.find(Finding::new(&finding::NOT_HELD, seen));
        }
        Ok(_) => bed.fact("hold", format!("a connect is held as long as asked ({asked_seconds:.1} s)")),
    }
}

/// A held connect that does not come: whether a message that is answered at once gets through meanwhile.
async fn about_late(bed: &Bed, session: &Session, asked_seconds: f64) {
    let sign = session.draft(channel::SUBSCRIBE, "6").with("subscription", "/service/tapestry/sentinel").finish();
    match bed.wires.ask(session.request(bed, sign), LATER).await {
        Outcome::Answered(_)
            if bed.note(|diagnosis| {
                diagnosis.facts.iter().any(|fact| fact.topic == "dialect" && fact.says.starts_with("CometD"))
            }) =>
        {
            let seen =
                format!("a connect to be held for {asked_seconds:.1} s was not answered in time, and others are");
            bed.find(Finding::new(&finding::HELD_LOST, seen));
        }
        Outcome::Answered(_) => bed.fact("hold", "a connect is held longer than asked"),
        Outcome::Broken(_) | Outcome::Silence => {
            bed.find(Finding::new(&finding::SLOW, "the server stopped to answer during the examination"));
        }
    }
}

/// How long the answer to a disconnect may take.
const GOOD_BYE: Duration = Duration::from_secs(1);

/// Leaves a session in good order.
pub(super) async fn leave(bed: &Bed, session: &Session) {
    let left = bye(bed, session);
    bed.wires.end(left, left.at + GOOD_BYE).await;
    bed.wires.give_up(left);
    bed.opened(|opened| opened.sessions.retain(|known| known.client_id != session.client_id));
}

fn bye(bed: &Bed, session: &Session) -> Asked {
    let message = session.draft(channel::DISCONNECT, "9").finish();
    bed.wires.begin(session.request(bed, message))
}

/// Leaves all that is left over when the examination ends before its time.
pub(super) async fn leave_all(bed: Bed) {
    let (sessions, sockets) =
        bed.opened(|opened| (std::mem::take(&mut opened.sessions), std::mem::take(&mut opened.sockets)));
    let asked: Vec<Asked> = sessions.iter().map(|session| bye(&bed, session)).collect();
    for (socket, client_id) in sockets {
        socket::leave(&bed, socket, &client_id).await;
    }
    for left in asked {
        bed.wires.end(left, left.at + GOOD_BYE).await;
    }
}

/// Another path at which a CometD answers.
async fn elsewhere(bed: &Bed) -> Option<String> {
    let base = bed.setup.base.trim_end_matches('/');
    let behind_prefix = base.trim_start_matches('/').split_once('/').map(|(_, rest)| format!("/{rest}"));
    let before: Vec<String> = USUAL_PATHS.iter().map(|path| (*path).to_owned()).collect();
    let below = ["/cometd", "/genesys/cometd"].iter().map(|path| format!("{base}{path}"));
    let mut tried: Vec<(String, Asked)> = Vec::new();
    for path in before.into_iter().chain(below).chain(behind_prefix) {
        if path != base && !tried.iter().any(|(known, _)| *known == path) {
            let asked = bed.wires.begin(http::request(&path, &[handshake_message(None)], &Cookies::new()));
            tried.push((path, asked));
        }
    }
    let until = bed.wires.now() + LATER;
    for (path, asked) in tried {
        let (outcome, _) = bed.wires.end(asked, until).await;
        bed.wires.give_up(asked);
        if let Ok(messages) = answer::messages(&outcome, "a handshake", &bed.setup.host)
            && let Some(reply) = answer::reply(&messages, channel::HANDSHAKE)
        {
            if let Some(client_id) = reply.client_id() {
                let left =
                    Message::draft(channel::DISCONNECT).client(client_id).id(Some(&MessageId::new("2"))).finish();
                let mut cookies = Cookies::new();
                if let Outcome::Answered(response) = &outcome {
                    cookies.absorb(&response.headers);
                }
                let _ = bed.wires.ask(http::request(&path, &[left], &cookies), Duration::from_secs(1)).await;
            }
            return Some(path);
        }
    }
    None
}

//! What is asked of the chat service: whether anybody answers, and how it says no. Requests with an invented key open no
//! chat.

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::http::FORM_TYPE;
use protocol::bayeux::message::Message;
use protocol::chat::notification::{Notification, Status};
use protocol::chat::operation::{Operation, Request, RequestChat};
use protocol::chat::{self, files};
use protocol::secret::Secret;
use protocol::wire;
use serde_json::{Value, json};

use super::answer::{self, shown};
use super::finding::{self, Finding};
use super::line::Outcome;
use super::probe::{LATER, Session, connect, handshake, leave};
use super::{Bed, Event};

/// How long the answer to a request may take.
const PATIENCE: Duration = Duration::from_millis(2_500);

/// How long to wait before the next connect where connects are not held.
const PAUSE: Duration = Duration::from_millis(100);

/// Who opens the chat.
const NICKNAME: &str = "Tapestry doctor";

/// What a request on the service channel came to.
#[derive(Debug)]
enum Told {
    /// The service answered.
    Answer(Box<Notification>),
    /// It was acknowledged, and nothing came, though the session was alive.
    Nothing,
    /// The publish itself was refused, with this error.
    Refused(String),
    /// Something else was wrong.
    Failed(Finding),
}

/// Asks the service, if there is one to ask.
pub(super) async fn examine(bed: &Bed) {
    let Some(service) = bed.setup.service.clone() else { return };
    let session = match begin(bed).await {
        Ok(session) => session,
        Err(finding) => return bed.find(finding),
    };
    if ask(bed, &session, &chat::channel(&service)).await {
        if bed.setup.thorough {
            file_transfer(bed).await;
        }
        if bed.setup.opens_chat {
            bed.say(Event::OpensChat);
            bed.opened(|opened| opened.chat = true);
            open(bed, &session, &chat::channel(&service)).await;
            bed.opened(|opened| opened.chat = false);
        }
    }
    leave(bed, &session).await;
}

async fn begin(bed: &Bed) -> Result<Session, Finding> {
    let session = handshake(bed, &bed.setup.base, "a handshake for the chat", LATER, None).await?;
    let first = connect(&session.client_id, "long-polling", Duration::ZERO, "2");
    let outcome = bed.wires.ask(session.request(bed, first), LATER).await;
    answer::messages(&outcome, "a connect for the chat", &bed.setup.host)?;
    Ok(session)
}

/// How the service says no; says whether it is there.
async fn ask(bed: &Bed, session: &Session, service: &str) -> bool {
    let key = Secret::new(bed.wires.word());
    let resume = Operation::RequestNotifications { transcript_position: Some(0) };
    let resume = Request { operation: resume, secure_key: Some(key.clone()) }.to_value();
    let by_key = tell(bed, session, service, resume).await;
    let invented = || json!({"operation": bed.wires.word(), "secureKey": key.expose()});
    let by_operation = match &by_key {
        Told::Answer(_) | Told::Nothing => tell(bed, session, service, invented()).await,
        Told::Refused(error) => {
            let seen = format!("a publish to the channel of the service was refused: `{}`", shown(error));
            bed.find(Finding::new(&finding::CHAT_REFUSED, seen));
            return false;
        }
        Told::Failed(finding) => {
            bed.find(finding.clone());
            return false;
        }
    };
    let away = |told: &Told| matches!(told, Told::Answer(answer) if answer.status == Some(Status::Unavailable));
    if away(&by_key) || away(&by_operation) {
        bed.find(Finding::new(&finding::CHAT_AWAY, "a request was answered with `statusCode` 1"));
        return false;
    }
    if matches!((&by_key, &by_operation), (Told::Nothing, Told::Nothing)) {
        let seen = format!(
            "two requests on the channel of the service were acknowledged and not answered within {:.1} s, though the session \
             was alive",
            PATIENCE.as_secs_f64()
        );
        bed.find(Finding::new(&finding::CHAT_SILENT, seen));
        return false;
    }
    bed.fact("unknown key", words(&by_key));
    bed.fact("unknown operation", words(&by_operation));
    if bed.setup.thorough {
        let elsewhere = tell(bed, session, &chat::channel(&bed.wires.word()), invented()).await;
        bed.fact("unknown service", words(&elsewhere));
        let alike = |a: &Told, b: &Told| matches!((a, b), (Told::Answer(a), Told::Answer(b)) if no(a) == no(b));
        if alike(&by_key, &elsewhere) && alike(&by_operation, &elsewhere) {
            let seen =
                format!("an unknown key, an unknown operation and an unknown service all got {}", words(&elsewhere));
            bed.find(Finding::new(&finding::CHAT_UNKNOWN, seen));
            return false;
        }
    }
    true
}

/// A refusal without what differs each time.
fn no(answer: &Notification) -> (Option<i64>, Vec<(Option<i64>, String)>) {
    let plain = |text: &str| text.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let errors = answer.errors.iter().map(|error| (error.code, plain(error.advice.as_deref().unwrap_or_default())));
    (answer.status.map(Status::code), errors.collect())
}

fn words(told: &Told) -> String {
    match told {
        Told::Answer(answer) => {
            let status =
                answer.status.map_or_else(|| "no `statusCode`".to_owned(), |s| format!("`statusCode` {}", s.code()));
            let codes: Vec<String> = answer.errors.iter().filter_map(|error| Some(error.code?.to_string())).collect();
            if codes.is_empty() { status } else { format!("{status} and error {}", codes.join(", ")) }
        }
        Told::Nothing => format!("no answer within {:.1} s", PATIENCE.as_secs_f64()),
        Told::Refused(error) => format!("a refusal of the publish, `{}`", shown(error)),
        Told::Failed(finding) => finding.seen.clone(),
    }
}

/// Publishes a request and gives what comes of it: in the response, or with a connect. A server that does not hold
/// connects is asked again until the time is over.
async fn tell(bed: &Bed, session: &Session, service: &str, data: Value) -> Told {
    let number = bed.wires.word();
    let publish = session.draft(service, &number).with("data", data).finish();
    let outcome = bed.wires.ask(session.request(bed, publish), LATER).await;
    let messages = match answer::messages(&outcome, "a request of the chat", &bed.setup.host) {
        Ok(messages) => messages,
        Err(finding) => return Told::Failed(finding),
    };
    if let Some(answer) = event(&messages, service) {
        return Told::Answer(Box::new(answer));
    }
    if let Some(reply) = answer::reply(&messages, service)
        && reply.successful() == Some(false)
    {
        return Told::Refused(reply.error().unwrap_or_default().to_owned());
    }
    let until = bed.wires.now() + PATIENCE;
    loop {
        let hold = until - bed.wires.now();
        let connect = connect(&session.client_id, "long-polling", hold, &bed.wires.word());
        let outcome = bed.wires.ask(session.request(bed, connect), hold + LATER).await;
        let messages = match answer::messages(&outcome, "a connect of the chat", &bed.setup.host) {
            Ok(messages) => messages,
            Err(finding) => return Told::Failed(finding),
        };
        if let Some(answer) = event(&messages, service) {
            return Told::Answer(Box::new(answer));
        }
        let Some(reply) = answer::reply(&messages, channel::CONNECT) else {
            return Told::Failed(Finding::new(&finding::SLOW, "a connect of the chat got no reply"));
        };
        if reply.successful() != Some(true) || bed.wires.now() + PAUSE >= until {
            return Told::Nothing;
        }
        bed.wires.pause(PAUSE).await;
    }
}

/// The notification among messages.
fn event(messages: &[Message], service: &str) -> Option<Notification> {
    let is_event = |message: &&Message| message.channel() == Some(service) && message.member("successful").is_none();
    messages.iter().find(is_event).and_then(|message| Some(Notification::parse(message.data()?.get())))
}

/// Opens a chat and ends it.
async fn open(bed: &Bed, session: &Session, service: &str) {
    let wanted = RequestChat { nickname: Some(NICKNAME.to_owned()), ..RequestChat::default() };
    let request = Request { operation: Operation::RequestChat(wanted), secure_key: None };
    let told = tell(bed, session, service, request.to_value()).await;
    let key = match &told {
        Told::Answer(answer) if answer.status == Some(Status::Ok) => answer.secure_key.clone(),
        Told::Answer(_) | Told::Nothing | Told::Refused(_) | Told::Failed(_) => None,
    };
    let Some(key) = key else {
        let away = matches!(&told, Told::Answer(answer) if answer.status == Some(Status::Unavailable));
        let kind = if away { &finding::CHAT_AWAY } else { &finding::CHAT_NOT_STARTED };
        let seen = format!("`requestChat` got {}", words(&told));
        if matches!(told, Told::Nothing | Told::Failed(_)) {
            let unknown = format!("{seen}, so that nobody knows whether a chat was opened");
            bed.find(Finding::new(&finding::CHAT_LEFT_OPEN, unknown));
        }
        return bed.find(Finding::new(kind, seen));
    };
    let end = Request { operation: Operation::Disconnect, secure_key: Some(key) };
    let ended = tell(bed, session, service, end.to_value()).await;
    let is_told = matches!(&ended, Told::Answer(answer)
        if answer.status == Some(Status::Ok) || answer.chat_ended == Some(true));
    if is_told {
        return bed.fact("chat", format!("opened, and ended with {}", words(&ended)));
    }
    let seen = format!("a chat was opened, and `disconnect` got {}", words(&ended));
    bed.find(Finding::new(&finding::CHAT_LEFT_OPEN, seen));
}

/// Whether the API for files is there.
async fn file_transfer(bed: &Bed) {
    let body = format!("operation=fileGetLimits&secureKey={}", bed.wires.word());
    let request = wire::Request {
        method: "POST".to_owned(),
        target: files::path(&bed.setup.base),
        headers: wire::Headers::new().with("Content-Type", FORM_TYPE),
        body: body.into_bytes(),
    };
    let says = match bed.wires.ask(request, LATER).await {
        Outcome::Answered(response) => {
            let has_code =
                serde_json::from_slice::<Value>(&response.body).is_ok_and(|body| body.get("statusCode").is_some());
            match (response.status, has_code) {
                (_, true) => "there (an unknown key is refused)".to_owned(),
                (status, false) => format!("not there (status {status})"),
            }
        }
        Outcome::Broken(failure) => format!("not there ({failure})"),
        Outcome::Silence => format!("no answer within {} s", LATER.as_secs()),
    };
    bed.fact("file transfer", says);
}

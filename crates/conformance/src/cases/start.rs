//! How chats may start: by which names, with what beside them, and beside which other chats.

use protocol::chat::notification::{ParticipantType, Status};
use protocol::chat::operation::{Operation, RequestChat};
use serde_json::{Map, Value, json};

use crate::peer::{Answer, Asked, Chat, Peer, Session, ask};
use crate::verdict::{Stop, Verdict};

const NAME: &str = "Wren";

async fn connected(peer: &Peer) -> Result<Session, Stop> {
    let session = peer.session().await?;
    session.keep_connected();
    Ok(session)
}

fn named(request: RequestChat) -> Value {
    ask(Operation::RequestChat(RequestChat { nickname: Some(NAME.to_owned()), ..request }), None)
}

/// Asks for a chat that must begin, and says something in it.
async fn must_begin(peer: &Peer, data: Value, clause: &'static str) -> Result<(Chat, Answer, Verdict), Stop> {
    let session = connected(peer).await?;
    let (chat, answer, verdict) = match session.ask_for_chat(data, NAME, clause).await? {
        Asked::Started(chat, started) => {
            let verdict = started.answer.must(clause, true, "statusCode 0 and a `secureKey`");
            (chat, started.answer, verdict)
        }
        Asked::Refused(answer) => {
            answer.must(clause, false, "statusCode 0 and a `secureKey`")?;
            return Err(Stop::Error("a chat was refused and begins".to_owned()));
        }
    };
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok((chat, answer, verdict))
}

/// A sanity exchange: whoever grants no chat at all shows nothing by refusing one.
async fn grants_chats(peer: &Peer) -> Result<(), Stop> {
    peer.chat().await.map(drop)
}

/// First and last name do for a nickname.
pub(super) async fn first_and_last_name(peer: Peer) -> Verdict {
    let request = RequestChat {
        first_name: Some("Jenny".to_owned()),
        last_name: Some(NAME.to_owned()),
        ..RequestChat::default()
    };
    must_begin(&peer, ask(Operation::RequestChat(request), None), "CV-RC-08").await?.2
}

/// A request for a chat may bring data along.
pub(super) async fn with_user_data(peer: Peer) -> Verdict {
    let user_data = Map::from_iter([("TimeZone".to_owned(), json!("-60")), ("tapestry".to_owned(), json!("yes"))]);
    must_begin(&peer, named(RequestChat { user_data: Some(user_data), ..RequestChat::default() }), "CV-RC-10").await?.2
}

/// What older clients send along is tolerated.
pub(super) async fn legacy_members(peer: Peer) -> Verdict {
    let session = connected(&peer).await?;
    let (chat, started) = session.start_chat().await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let told = &started.answer.notification;
    let word = peer.word("tapestry");
    let operation = Operation::SendMessage { message: word.clone(), message_type: None };
    let mut data = ask(operation, Some(&chat.key));
    for (name, value) in [("userId", &told.user_id), ("alias", &told.alias), ("chatId", &told.chat_id)] {
        if let Some(value) = value {
            data[name] = value.expose().into();
        }
    }
    let sent = session.publish(data).await?;
    let expected = "the message said, as without `userId`, `alias` and `chatId`";
    let answer = chat
        .answer(&sent, "CV-RQ-01", expected, |answer| {
            let said = answer.events().iter().any(|event| event.text.as_deref() == Some(&word));
            said || answer.status == Some(Status::Failed)
        })
        .await?;
    answer.must("CV-RQ-01", answer.notification.status == Some(Status::Ok), expected)
}

/// Nobody says what becomes of members that nobody knows.
pub(super) async fn unknown_members(peer: Peer) -> Verdict {
    grants_chats(&peer).await?;
    let session = connected(&peer).await?;
    let mut data = named(RequestChat::default());
    data["tapestry"] = json!({"a": [1, null]});
    match session.ask_for_chat(data, NAME, "CV-RQ-02").await? {
        Asked::Started(chat, started) => {
            chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
            peer.observe("CV-RQ-02", "an unknown member is tolerated", started.answer.frame())
        }
        Asked::Refused(answer) => {
            session.sane("BX-SB-03").await?;
            peer.observe("CV-RQ-02", format!("refused: {}", answer.outline()), answer.frame())
        }
    }
}

/// Nobody says what becomes of words that come with the request.
pub(super) async fn first_words(peer: Peer) -> Verdict {
    grants_chats(&peer).await?;
    let word = peer.word("tapestry");
    let request = RequestChat { text: Some(word.clone()), ..RequestChat::default() };
    let (chat, answer, _) = must_begin(&peer, named(request), "CV-RC-09").await?;
    let said = chat.events().into_iter().find(|seen| seen.event.text.as_deref() == Some(&word));
    match said {
        Some(seen) => {
            let kind = seen.event.event_type().map_or("an event of unknown type", |kind| kind.as_str());
            let by = if seen.is_by(&ParticipantType::Client) { "by Client" } else { "by another" };
            peer.observe("CV-RC-09", format!("the text comes as {kind} {by}"), seen.answer.frame())
        }
        None => peer.observe("CV-RC-09", "the text does not come", answer.frame()),
    }
}

/// Nobody says what an address gets that is none.
pub(super) async fn bad_address(peer: Peer) -> Verdict {
    grants_chats(&peer).await?;
    let session = connected(&peer).await?;
    session.sane("BX-SB-03").await?;
    let request = RequestChat { email_address: Some("wren at nowhere".to_owned()), ..RequestChat::default() };
    let asked = session.ask_for_chat(named(request), NAME, "CV-RC-11").await?;
    session.sane("BX-SB-03").await?;
    match asked {
        Asked::Started(_, started) => peer.observe("CV-RC-11", "the chat begins", started.answer.frame()),
        Asked::Refused(answer) => peer.observe("CV-RC-11", answer.outline(), answer.frame()),
    }
}

/// Nobody says what a second request for a chat gets while the first chat runs.
pub(super) async fn second_in_session(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let asked = chat.session.ask_for_chat(named(RequestChat::default()), NAME, "CV-RC-06").await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    match asked {
        Asked::Started(second, started) => {
            second.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
            peer.observe("CV-RC-06", "a second chat begins beside the first", started.answer.frame())
        }
        Asked::Refused(answer) => {
            let says = format!("{}; the first chat goes on", answer.outline());
            peer.observe("CV-RC-06", says, answer.frame())
        }
    }
}

/// Nobody says what a request for a chat does with the key of one that runs.
pub(super) async fn with_old_key(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let session = connected(&peer).await?;
    let mut data = named(RequestChat::default());
    data["secureKey"] = chat.key.expose().into();
    match session.ask_for_chat(data, NAME, "CV-RC-07").await? {
        Asked::Started(begun, started) => {
            begun.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
            let says = if begun.key == chat.key { "the chat of the key is taken up" } else { "another chat begins" };
            peer.observe("CV-RC-07", says, started.answer.frame())
        }
        Asked::Refused(answer) => {
            session.sane("BX-SB-03").await?;
            peer.observe("CV-RC-07", answer.outline(), answer.frame())
        }
    }
}

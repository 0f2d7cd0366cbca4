//! Several sessions with one chat, several chats in one session, and what the key of a chat is good for.

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::chat::notification::{Event, Notification, Status};
use protocol::chat::operation::{Operation, RequestChat};
use serde_json::json;

use super::key::wrong;
use super::operations::gets;
use super::session::LONG;
use crate::peer::{AFTERGLOW, Asked, Chat, Peer, ask};
use crate::verdict::{Frame, Stop, Verdict};

/// Nobody says who hears of a chat that two sessions have asked for.
pub(super) async fn two_with_one_key(peer: Peer) -> Verdict {
    let first = peer.chat().await?;
    first.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let session = peer.session().await?;
    session.keep_connected();
    let second = first.on(&session);
    let sent = second.request_notifications(Some(0)).await?;
    let answer = second.answer(&sent, "CV-RN-01", "an answer", |answer| answer.status.is_some()).await?;
    answer.need("CV-RN-01", answer.notification.status == Some(Status::Ok), "statusCode 0")?;
    let word = peer.word("tapestry");
    let heard = second.say_and_see(&word, "RC-04").await?;
    peer.pause(AFTERGLOW).await;
    // The first session is alive, so that silence on it means something.
    first.session.sane("BX-SB-03").await?;
    let both = first.events().iter().any(|seen| seen.says(&word));
    let says = if both { "both sessions hear of the chat" } else { "the session that asked last hears of the chat" };
    peer.observe("CV-SH-01", says, heard.answer.frame())
}

/// Of two chats in one session each event says to which it belongs.
pub(super) async fn two_chats_in_one(peer: Peer) -> Verdict {
    let one = peer.chat().await?;
    one.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let request = RequestChat { nickname: Some("Robin".to_owned()), ..RequestChat::default() };
    let data = ask(Operation::RequestChat(request), None);
    let two = match one.session.ask_for_chat(data, "Robin", "CV-RC-01").await? {
        Asked::Started(chat, _) => chat,
        Asked::Refused(answer) => {
            let says = "the peer refuses a second chat in a session".to_owned();
            return Err(Stop::NotApplicable { says, frames: vec![answer.frame()] });
        }
    };
    let expected = "each event under the `secureKey` of its chat";
    let mut pass = Err(Stop::Error("nothing was said".to_owned()));
    for chat in [&one, &two] {
        let word = peer.word("tapestry");
        let sent = chat.say(&word).await?;
        let has = |answer: &Notification| answer.events().iter().any(|event| event.text.as_deref() == Some(&word));
        let answer = chat.session.told(&sent, "CV-SH-02", expected, has).await?;
        let named = answer.notification.secure_key.as_ref() == Some(&chat.key);
        pass = Ok(answer.must("CV-SH-02", named, expected)?);
    }
    pass
}

/// A client that goes into the background leaves with its position. Nobody says whether its chat outlives that.
pub(super) async fn background(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let last = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?.event.index.unwrap_or(1);
    let session = &chat.session;
    peer.with(|net| net.forget_session(&session.client_id));
    let draft = session.draft(channel::DISCONNECT).with("ext", json!({"transcriptPosition": last.to_string()}));
    let sent = session.send(draft).await?;
    session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    let (says, frame) = taken_up_anew(&chat, last).await?;
    peer.observe("CV-SH-03", says, frame)
}

/// Nobody says whether a chat outlives a session that expires because its client is gone.
pub(super) async fn session_expires(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let last = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?.event.index.unwrap_or(1);
    let session = &chat.session;
    session.browser.cut();
    peer.pause(LONG).await;
    let sent = session.connect(Some(Duration::ZERO)).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").by_any_sign().await?;
    let gone = reply.message().successful() == Some(false);
    let session = if gone { "the session is gone" } else { "the session is still there" };
    let (chat, frame) = taken_up_anew(&chat, last).await?;
    peer.observe("CV-SH-04", format!("after 12.5 s {session}; {chat}"), frame)
}

/// What a new session gets of a chat whose session is gone.
async fn taken_up_anew(chat: &Chat, last: u64) -> Result<(String, Frame), Stop> {
    let again = chat.session.browser.handshake().await?;
    again.first_connect().await?;
    again.keep_connected();
    let chat = chat.on(&again);
    let sent = chat.request_notifications(i64::try_from(last).ok()).await?;
    let answer = chat.answer(&sent, "CV-RN-01", "an answer", |answer| answer.status.is_some()).await?;
    again.sane("BX-SB-03").await?;
    let goes_on = answer.notification.status == Some(Status::Ok) && answer.notification.chat_ended == Some(false);
    let says = if goes_on { "the chat goes on".to_owned() } else { answer.outline() };
    Ok((says, answer.frame()))
}

/// Nobody says whether a request for notifications gives the chat another key. If it does, that one is good.
pub(super) async fn key_kept(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let sent = chat.request_notifications(Some(0)).await?;
    // What somebody says meanwhile is no answer.
    let begins = |event: &Event| event.index == Some(1);
    let is_answer = |answer: &Notification| answer.events().is_empty() || answer.events().iter().any(begins);
    let answer = chat.answer(&sent, "CV-RN-01", "an answer", is_answer).await?;
    answer.need("CV-RN-01", answer.notification.status == Some(Status::Ok), "statusCode 0")?;
    let says = match &answer.notification.secure_key {
        Some(key) if *key == chat.key => "the key stays",
        Some(_) => "there is a new key",
        None => "the answer has no key",
    };
    let pass = peer.observe("CV-SK-04", says, answer.frame())?;
    chat.adopting(&answer).say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// Nobody says whether a wrong key beside the ids of a chat hurts that chat.
pub(super) async fn wrong_key_beside_ids(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    let told = &started.answer.notification;
    let stranger = peer.session().await?;
    stranger.keep_connected();
    let operation = Operation::SendMessage { message: peer.word("tapestry"), message_type: None };
    let mut data = ask(operation, Some(&wrong(&chat.key)));
    for (name, value) in [("userId", &told.user_id), ("alias", &told.alias), ("chatId", &told.chat_id)] {
        if let Some(value) = value {
            data[name] = value.expose().into();
        }
    }
    let sent = stranger.publish(data).await?;
    stranger.answer_if_any(&sent).await;
    stranger.sane("BX-SB-03").await?;
    let word = peer.word("tapestry");
    let sent = chat.say(&word).await?;
    let expected = "an answer to whoever has the right key";
    let answer = chat
        .answer(&sent, "CV-SK-05", expected, |answer| {
            let said = answer.events().iter().any(|event| event.text.as_deref() == Some(&word));
            said || answer.chat_ended == Some(true)
        })
        .await?;
    let ended = answer.notification.chat_ended == Some(true);
    let says = if ended { "the chat of the right key ends" } else { "the chat of the right key goes on" };
    peer.observe("CV-SK-05", says, answer.frame())
}

/// The key alone is enough, on whatever session.
pub(super) async fn key_suffices(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let session = peer.session().await?;
    session.keep_connected();
    let word = peer.word("tapestry");
    let operation = Operation::SendMessage { message: word.clone(), message_type: None };
    let sent = session.publish(ask(operation, Some(&chat.key))).await?;
    let expected = "the message said in the chat";
    let seen = chat.event_anywhere(&sent, "CV-SK-06", expected, |seen| seen.says(&word)).await?;
    chat.session.sane("BX-SB-03").await?;
    seen.must("CV-SK-06", true, expected)
}

/// Nobody says whether the session of a chat needs the key too.
pub(super) async fn own_session_without_key(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let operation = Operation::SendMessage { message: peer.word("tapestry"), message_type: None };
    gets(&chat, "CV-SK-07", vec![("", ask(operation, None))]).await
}

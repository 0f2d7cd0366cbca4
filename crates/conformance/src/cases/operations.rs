//! What the client does beside talking: typing, notices, pages, names, data and receipts. Each comes back as an event of its
//! own, or is answered without one.
//!
//! An answer may come in one delivery or in two, with or without an `id`, and typing and notices may have an index or none.

use protocol::chat::notification::{Event, Notification, ParticipantType, Status};
use protocol::chat::operation::Operation;
use serde_json::{Map, Value, json};

use super::notifications::replay;
use crate::peer::{Answer, Chat, Peer, Seen, Sent, ask};
use crate::verdict::{Pass, Stop, Verdict};

/// A page that may be shown to anybody.
pub(super) const PAGE: &str = "https://tapestry.example/help?topic=1&lang=en";

fn is_own(seen: &Seen, kind: &str) -> bool {
    seen.is(kind) && seen.is_by(&ParticipantType::Client)
}

fn one_event(kind: &str) -> String {
    format!("statusCode 0, chatEnded false and one {kind} by Client")
}

/// Asks for something that makes an event of the client, and waits for that. A refusal is told at once.
async fn told_back(chat: &Chat, operation: Operation, kind: &str, clause: &'static str) -> Result<(Sent, Seen), Stop> {
    let expected = one_event(kind);
    let sent = chat.ask(operation).await?;
    let answer = chat
        .answer(&sent, clause, &expected, |answer| {
            let by_client =
                |event: &Event| event.from.as_ref().is_some_and(|from| from.kind == ParticipantType::Client);
            let comes = answer.events().iter().any(|event| event.kind.as_deref() == Some(kind) && by_client(event));
            comes || answer.status == Some(Status::Failed)
        })
        .await?;
    answer.need(clause, is_done(&answer), &expected)?;
    let own = chat.events_since(sent.mark).into_iter().find(|seen| is_own(seen, kind));
    answer.need(clause, own.is_some(), &expected)?;
    let own = own.ok_or_else(|| Stop::Error("an event that was seen is gone".to_owned()))?;
    Ok((sent, own))
}

/// The same, and the event comes once.
async fn own_event(chat: &Chat, operation: Operation, kind: &str, clause: &'static str) -> Result<Seen, Stop> {
    let (sent, own) = told_back(chat, operation, kind, clause).await?;
    // What was doubled has come before the echo of a message.
    let alive = chat.say_and_see(&chat.session.peer().word("tapestry"), "CV-SM-01").await?;
    let events = chat.events_since(sent.mark);
    let copies: Vec<&Seen> = events.iter().filter(|seen| is_own(seen, kind)).collect();
    if copies.len() != 1 {
        let observed = format!("{kind} by Client came {} times", copies.len());
        let shown = copies.iter().map(|copy| copy.answer.frame());
        let frames = [sent.frame].into_iter().chain(shown).chain([alive.answer.frame()]).collect();
        return Err(chat.session.peer().broken(clause, one_event(kind), observed, frames));
    }
    Ok(own)
}

/// Makes sure that something is done when it is asked for properly: only then does its refusal say anything.
pub(super) async fn is_carried_out(chat: &Chat, operation: &Operation) -> Result<(), Stop> {
    let (kind, clause) = match operation {
        Operation::StartTyping { .. } => ("TypingStarted", "CV-TY-01"),
        Operation::StopTyping { .. } => ("TypingStopped", "CV-TY-02"),
        Operation::CustomNotice { .. } => ("CustomNotice", "CV-CN-01"),
        Operation::PushUrl { .. } => ("PushUrl", "CV-PU-01"),
        Operation::UpdateNickname { .. } => ("NicknameUpdated", "CV-UN-01"),
        Operation::SendMessage { .. } => ("Message", "CV-SM-01"),
        Operation::UpdateData { user_data } => {
            let answer = changes_data(chat, user_data.clone()).await?;
            return answer.need("CV-UD-01", is_done(&answer), DATA_CHANGED);
        }
        Operation::RequestNotifications { .. } => {
            let sent = chat.ask(operation.clone()).await?;
            let is_answer = |answer: &Notification| matches!(answer.status, Some(Status::Ok | Status::Failed));
            let answer = chat.answer(&sent, "CV-RN-01", "an answer", is_answer).await?;
            return answer.need("CV-RN-01", answer.notification.status == Some(Status::Ok), "statusCode 0");
        }
        // Nobody says whether there are receipts; a chat begins and ends once.
        Operation::RequestChat(_) | Operation::Disconnect | Operation::ReadReceipt { .. } => return Ok(()),
    };
    told_back(chat, operation.clone(), kind, clause).await.map(drop)
}

/// The whole of a case about an operation that comes back.
async fn comes_back(peer: Peer, operation: Operation, kind: &str, clause: &'static str) -> Result<(Seen, Pass), Stop> {
    let chat = peer.chat().await?;
    let seen = own_event(&chat, operation, kind, clause).await?;
    let pass = seen.must(clause, true, "its event, once, by Client")?;
    Ok((seen, pass))
}

/// Who types is seen typing.
pub(super) async fn typing_started(peer: Peer) -> Verdict {
    let operation = Operation::StartTyping { preview: None };
    comes_back(peer, operation, "TypingStarted", "CV-TY-01").await.map(|(_, pass)| pass)
}

/// Who stops typing is seen to stop.
pub(super) async fn typing_stopped(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let sent = chat.ask(Operation::StartTyping { preview: None }).await?;
    chat.session.answer_if_any(&sent).await;
    let seen = own_event(&chat, Operation::StopTyping { preview: None }, "TypingStopped", "CV-TY-02").await?;
    seen.must("CV-TY-02", true, "its event, once, by Client")
}

/// Nobody says whether what is typed so far comes with the event.
pub(super) async fn typing_preview(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let typed = peer.word("tapestry");
    let operation = Operation::StartTyping { preview: Some(typed.clone()) };
    let seen = own_event(&chat, operation, "TypingStarted", "CV-TY-01").await?;
    let says = match seen.event.text.as_deref() {
        Some(text) if text == typed => "the event has the text typed so far",
        Some("") | None => "the event has no text",
        Some(_) => "the event has another text",
    };
    peer.observe("CV-TY-03", says, seen.answer.frame())
}

/// Nobody says whether typing has an index, moves `nextPosition`, or is kept.
pub(super) async fn typing_place(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let seen = own_event(&chat, Operation::StartTyping { preview: None }, "TypingStarted", "CV-TY-01").await?;
    let frame = seen.answer.frame();
    let says = if seen.event.index.is_some() { "typing has an index" } else { "typing has no index" };
    peer.observe("CV-TY-04", says, frame)?;
    let before = chat.events().into_iter().take_while(|event| !event.is("TypingStarted"));
    let last = before.filter_map(|event| i64::try_from(event.event.index?).ok()).max().unwrap_or_default();
    let ahead = seen.answer.notification.next_position.map(|next| next - last);
    let says = match ahead {
        Some(1) => "`nextPosition` stays one above the last index".to_owned(),
        Some(ahead) => format!("`nextPosition` is {ahead} above the last index before it"),
        None => "there is no `nextPosition`".to_owned(),
    };
    peer.observe("CV-TY-05", says, frame)?;
    let session = peer.session().await?;
    session.keep_connected();
    let chat = chat.on(&session);
    let sent = chat.request_notifications(Some(0)).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-01").await?;
    let kept = again.iter().any(|event| event.is("TypingStarted"));
    let says = if kept { "the transcript keeps typing" } else { "the transcript does not keep typing" };
    peer.observe("CV-TY-06", says, answer.frame())
}

/// A notice to the agent's desktop comes back with its text.
pub(super) async fn notice_told(peer: Peer) -> Verdict {
    let text = peer.word("tapestry");
    let operation = Operation::CustomNotice { message: Some(text.clone()), message_type: None };
    let (seen, _) = comes_back(peer, operation, "CustomNotice", "CV-CN-01").await?;
    seen.must("CV-CN-02", seen.event.text.as_deref() == Some(&text), "the text of the notice")
}

/// Nobody says whether the label of a notice comes back.
pub(super) async fn notice_label(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let label = Some("tapestry".to_owned());
    let operation = Operation::CustomNotice { message: Some(peer.word("tapestry")), message_type: label.clone() };
    let seen = own_event(&chat, operation, "CustomNotice", "CV-CN-01").await?;
    let says = match &seen.event.message_type {
        same if *same == label => "the event has the `messageType` of the notice",
        None => "the event has no `messageType`",
        Some(_) => "the event has another `messageType`",
    };
    peer.observe("CV-CN-03", says, seen.answer.frame())
}

/// Nobody says whether a notice has an index.
pub(super) async fn notice_place(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let operation = Operation::CustomNotice { message: Some(peer.word("tapestry")), message_type: None };
    let seen = own_event(&chat, operation, "CustomNotice", "CV-CN-01").await?;
    let says = if seen.event.index.is_some() { "a notice has an index" } else { "a notice has no index" };
    peer.observe("CV-CN-04", says, seen.answer.frame())
}

/// Nobody says whether a notice needs a text.
pub(super) async fn notice_without_message(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let operation = Operation::CustomNotice { message: None, message_type: None };
    gets(&chat, "CV-CN-05", vec![("", ask(operation, Some(&chat.key)))]).await
}

/// A page that is shown to the agent comes back as its address.
pub(super) async fn page_told(peer: Peer) -> Verdict {
    let (seen, _) = comes_back(peer, Operation::PushUrl { url: PAGE.to_owned() }, "PushUrl", "CV-PU-01").await?;
    seen.must("CV-PU-02", seen.event.text.as_deref() == Some(PAGE), "the address as it was sent")
}

/// A new name is told.
pub(super) async fn name_told(peer: Peer) -> Verdict {
    let nickname = new_name(&peer);
    comes_back(peer, Operation::UpdateNickname { nickname }, "NicknameUpdated", "CV-UN-01").await.map(|(_, pass)| pass)
}

fn new_name(peer: &Peer) -> String {
    peer.word("Robin").replace(' ', "-")
}

/// Nobody says where the event has the new name.
pub(super) async fn name_place(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let nickname = new_name(&peer);
    let operation = Operation::UpdateNickname { nickname: nickname.clone() };
    let seen = own_event(&chat, operation, "NicknameUpdated", "CV-UN-01").await?;
    let in_from = seen.event.from.as_ref().is_some_and(|from| from.nickname == nickname);
    let in_text = seen.event.text.as_deref() == Some(&nickname);
    let says = match (in_from, in_text) {
        (true, true) => "the new name is in `from` and in `text`",
        (true, false) => "the new name is in `from`",
        (false, true) => "the new name is in `text`",
        (false, false) => "the new name is neither in `from` nor in `text`",
    };
    peer.observe("CV-UN-02", says, seen.answer.frame())
}

/// Nobody says under which name later messages come.
pub(super) async fn name_used(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let nickname = new_name(&peer);
    let operation = Operation::UpdateNickname { nickname: nickname.clone() };
    own_event(&chat, operation, "NicknameUpdated", "CV-UN-01").await?;
    let seen = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let says = match seen.event.from.as_ref().map(|from| &from.nickname) {
        Some(name) if *name == nickname => "later messages come under the new name",
        Some(name) if *name == chat.nickname => "later messages come under the old name",
        _ => "later messages come under another name",
    };
    peer.observe("CV-UN-03", says, seen.answer.frame())
}

fn some_data() -> Map<String, Value> {
    Map::from_iter([("tapestry".to_owned(), json!("conformance"))])
}

const DATA_CHANGED: &str = "statusCode 0 and chatEnded false";

/// Changes the attached data; that it is answered is CV-UD-01.
async fn changes_data(chat: &Chat, user_data: Map<String, Value>) -> Result<Answer, Stop> {
    let peer = chat.session.peer();
    let sent = chat.ask(Operation::UpdateData { user_data }).await?;
    chat.session.reply_to(&sent, "BX-PB-05").await?;
    // An answer need not have an event, so whatever names the chat may be it; none of what follows is asked before.
    let answer = chat.session.answer_if_any(&sent).await;
    let alive = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    answer.ok_or_else(|| {
        let frames = vec![sent.frame, alive.answer.frame()];
        peer.broken("CV-UD-01", DATA_CHANGED, "nothing came, and the chat goes on", frames)
    })
}

fn is_done(answer: &Answer) -> bool {
    answer.notification.status == Some(Status::Ok) && answer.notification.chat_ended == Some(false)
}

/// A change of the attached data is answered.
pub(super) async fn data_answered(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let answer = changes_data(&chat, some_data()).await?;
    answer.must("CV-UD-01", is_done(&answer), DATA_CHANGED)
}

/// Nobody says whether a change of the attached data makes an event.
pub(super) async fn data_event(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let sent = chat.ask(Operation::UpdateData { user_data: some_data() }).await?;
    chat.session.answer_if_any(&sent).await;
    let word = peer.word("tapestry");
    let alive = chat.say_and_see(&word, "CV-SM-01").await?;
    let events = chat.events_since(sent.mark);
    let own = events.iter().find(|seen| seen.is_by(&ParticipantType::Client) && !seen.says(&word));
    match own {
        Some(seen) => {
            let kind = seen.event.event_type().map_or("an event of unknown type", |kind| kind.as_str());
            peer.observe("CV-UD-02", format!("{kind} by Client"), seen.answer.frame())
        }
        None => peer.observe("CV-UD-02", "no event", alive.answer.frame()),
    }
}

/// Nobody says whether there is `readReceipt` over CometD.
pub(super) async fn receipt_answered(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let last = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?.event.index;
    let position = last.and_then(|index| i64::try_from(index).ok()).unwrap_or(1);
    let data = ask(Operation::ReadReceipt { transcript_position: position }, Some(&chat.key));
    gets(&chat, "CV-RR-01", vec![("", data)]).await
}

/// States what requests get where nobody says what they should. The chat goes on after each.
pub(super) async fn gets(chat: &Chat, clause: &str, requests: Vec<(&str, Value)>) -> Verdict {
    let peer = chat.session.peer();
    let (mut says, mut frame) = (Vec::new(), None);
    for (name, data) in requests {
        let sent = chat.session.publish(data).await?;
        let answer = chat.session.answer_if_any(&sent).await;
        let alive = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
        let outcome = answer.as_ref().map_or_else(|| "nothing, and the chat goes on".to_owned(), |a| a.outline());
        says.push(if name.is_empty() { outcome } else { format!("{name}: {outcome}") });
        frame = Some(answer.map_or_else(|| alive.answer.frame(), |answer| answer.frame()));
    }
    let frame = frame.ok_or_else(|| Stop::Error("nothing was asked".to_owned()))?;
    peer.observe(clause, says.join("; "), frame)
}

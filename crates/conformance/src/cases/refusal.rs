//! What is no proper request: without a key, into a chat that has ended, without its parameters, or no request at all.

use std::time::Duration;

use protocol::chat::operation::{Operation, RequestChat};
use protocol::secret::Secret;
use serde_json::{Map, Value, json};

use super::key::{is_refused, wrong};
use super::message::refused_after_end;
use super::operations::{PAGE, gets, is_carried_out};
use crate::peer::{Peer, Seen, ask};
use crate::verdict::{Stop, Verdict};

fn typing() -> Vec<Operation> {
    vec![Operation::StartTyping { preview: None }, Operation::StopTyping { preview: None }]
}

fn notice() -> Operation {
    Operation::CustomNotice { message: Some("notice".to_owned()), message_type: None }
}

fn page() -> Operation {
    Operation::PushUrl { url: PAGE.to_owned() }
}

fn name() -> Operation {
    Operation::UpdateNickname { nickname: "Robin".to_owned() }
}

fn data() -> Operation {
    Operation::UpdateData { user_data: Map::from_iter([("tapestry".to_owned(), json!("conformance"))]) }
}

const fn receipt() -> Operation {
    Operation::ReadReceipt { transcript_position: 1 }
}

/// What is asked without a key is not done; it would have made an event of one of these types.
async fn needs_key(peer: Peer, operations: Vec<Operation>, kinds: &[&str]) -> Verdict {
    let victim = peer.chat().await?;
    victim.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let mut verdict = Err(Stop::Error("nothing was asked without a key".to_owned()));
    for operation in operations {
        is_carried_out(&victim, &operation).await?;
        let is_its_event = |seen: &Seen| kinds.iter().any(|kind| seen.is(kind));
        verdict = Ok(is_refused(&victim, ask(operation, None), is_its_event, "CV-SK-02").await?);
    }
    verdict
}

/// Nobody types in a chat without its key.
pub(super) async fn typing_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, typing(), &["TypingStarted", "TypingStopped"]).await
}

/// Nobody sends a notice without the key.
pub(super) async fn notice_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![notice()], &["CustomNotice"]).await
}

/// Nobody shows a page without the key.
pub(super) async fn page_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![page()], &["PushUrl"]).await
}

/// Nobody gives the client another name without the key.
pub(super) async fn name_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![name()], &["NicknameUpdated"]).await
}

/// Nobody changes attached data without the key.
pub(super) async fn data_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![data()], &["Notice"]).await
}

/// Nobody says without the key how far the client has read.
pub(super) async fn receipt_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![receipt()], &[]).await
}

/// Nobody gets a transcript without its key.
pub(super) async fn notifications_need_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![Operation::RequestNotifications { transcript_position: Some(0) }], &[]).await
}

/// Nobody ends a chat without its key.
pub(super) async fn end_needs_key(peer: Peer) -> Verdict {
    needs_key(peer, vec![Operation::Disconnect], &["ParticipantLeft"]).await
}

/// Nobody types after the end.
pub(super) async fn typing_after_end(peer: Peer) -> Verdict {
    refused_after_end(peer, typing()).await
}

/// No notice is sent after the end.
pub(super) async fn notice_after_end(peer: Peer) -> Verdict {
    refused_after_end(peer, vec![notice()]).await
}

/// No page is shown after the end.
pub(super) async fn page_after_end(peer: Peer) -> Verdict {
    refused_after_end(peer, vec![page()]).await
}

/// Nobody gets another name after the end.
pub(super) async fn name_after_end(peer: Peer) -> Verdict {
    refused_after_end(peer, vec![name()]).await
}

/// No data is changed after the end.
pub(super) async fn data_after_end(peer: Peer) -> Verdict {
    refused_after_end(peer, vec![data()]).await
}

/// Nobody says what a receipt gets after the end: there may be none at all.
pub(super) async fn receipt_after_end(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    chat.end("CV-DC-01").await?;
    peer.pause(Duration::from_millis(500)).await;
    let sent = chat.ask(receipt()).await?;
    let answer = chat.session.answer_if_any(&sent).await;
    let alive = chat.session.sane("BX-SB-03").await?;
    match answer {
        Some(answer) => peer.observe("CV-RR-03", answer.outline(), answer.frame()),
        None => peer.observe("CV-RR-03", "nothing", alive.frame()),
    }
}

/// What an operation gets without its parameter, and with one of a wrong type.
async fn lacks(peer: Peer, operation: Operation, parameter: &str, clause: &str) -> Verdict {
    let chat = peer.chat().await?;
    let mut without = ask(operation, Some(&chat.key));
    if let Some(members) = without.as_object_mut() {
        members.remove(parameter);
    }
    let mut wrong = without.clone();
    wrong[parameter] = json!([5]);
    gets(&chat, clause, vec![("absent", without), ("of a wrong type", wrong)]).await
}

/// Nobody says what a message without words gets.
pub(super) async fn message_lacks(peer: Peer) -> Verdict {
    let operation = Operation::SendMessage { message: String::new(), message_type: None };
    lacks(peer, operation, "message", "CV-SM-05").await
}

/// Nobody says what a page without an address gets.
pub(super) async fn page_lacks(peer: Peer) -> Verdict {
    lacks(peer, page(), "pushUrl", "CV-PU-03").await
}

/// Nobody says what a new name gets that is none.
pub(super) async fn name_lacks(peer: Peer) -> Verdict {
    lacks(peer, name(), "nickname", "CV-UN-04").await
}

/// Nobody says what a change of data gets that has none.
pub(super) async fn data_lacks(peer: Peer) -> Verdict {
    lacks(peer, data(), "userData", "CV-UD-03").await
}

/// Nobody says what a receipt for nothing gets.
pub(super) async fn receipt_lacks(peer: Peer) -> Verdict {
    lacks(peer, receipt(), "transcriptPosition", "CV-RR-02").await
}

/// Nobody says what is answered to `data` that is no object.
pub(super) async fn data_no_object(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    gets(&chat, "CV-RQ-03", vec![("a number", json!(5)), ("an array", json!(["requestChat"]))]).await
}

/// Nobody says what is answered to a request without an operation.
pub(super) async fn operation_missing(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    gets(&chat, "CV-RQ-04", vec![("", json!({"secureKey": chat.key.expose()}))]).await
}

/// Nobody says whether the names of the REST API are known here.
pub(super) async fn names_of_rest(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let key = chat.key.expose();
    let send = json!({"operation": "send", "secureKey": key, "message": peer.word("tapestry")});
    let refresh = json!({"operation": "refresh", "secureKey": key, "transcriptPosition": 1});
    gets(&chat, "CV-RQ-05", vec![("send", send), ("refresh", refresh)]).await
}

/// Nobody says which codes refusals have.
pub(super) async fn codes(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let stranger = peer.session().await?;
    stranger.keep_connected();
    let say = |key: Option<&Secret>| {
        let message = peer.word("tapestry");
        ask(Operation::SendMessage { message, message_type: None }, key)
    };
    let nobody = ask(Operation::RequestChat(RequestChat::default()), None);
    let requests: Vec<(&str, Value)> =
        vec![("no name", nobody), ("no key", say(None)), ("wrong key", say(Some(&wrong(&chat.key))))];
    let (mut says, mut frame) = (Vec::new(), None);
    for (name, data) in requests {
        let sent = stranger.publish(data).await?;
        let answer = stranger.answer_if_any(&sent).await;
        let alive = stranger.sane("BX-SB-03").await?;
        if let Some(key) = answer.as_ref().and_then(|answer| answer.notification.secure_key.clone()) {
            stranger.owes_end_of(&key);
        }
        says.push(format!("{name}: {}", answer.as_ref().map_or_else(|| "nothing".to_owned(), |a| a.outline())));
        frame = Some(answer.map_or_else(|| alive.frame(), |answer| answer.frame()));
    }
    let frame = frame.ok_or_else(|| Stop::Error("nothing was asked".to_owned()))?;
    peer.observe("CV-RQ-06", says.join("; "), frame)
}

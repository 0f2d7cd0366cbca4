//! Starting chats: `requestChat`, and what is no request.

use std::time::Duration;

use protocol::chat::notification::{ParticipantType, Status};
use protocol::chat::operation::{Operation, RequestChat};
use serde_json::json;

use crate::peer::{Peer, ask};
use crate::verdict::Verdict;

/// A chat starts with an answer that has all that later requests need.
pub(super) async fn starts(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    let (answer, told) = (&started.answer, &started.answer.notification);
    let running = told.status == Some(Status::Ok) && told.chat_ended == Some(false);
    answer.must("CV-RC-01", running, "statusCode 0 and chatEnded false with a `secureKey`")?;
    let filled = |value: &Option<protocol::secret::Secret>| value.as_ref().is_some_and(|id| !id.expose().is_empty());
    let ids = filled(&told.user_id) && filled(&told.chat_id) && filled(&told.alias);
    let pass =
        answer.must("CV-RC-02", ids && told.next_position.is_some(), "`userId`, `chatId`, `alias`, `nextPosition`")?;
    // It is a chat only if something can be said in it.
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// The first event of a chat is the join of whoever asked for it.
pub(super) async fn own_join_comes_first(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    let expected = "ParticipantJoined by Client under the name of the request";
    let joined = chat
        .event(&started.sent, "CV-RC-03", expected, |seen| {
            let own = seen.event.from.as_ref().is_some_and(|from| from.nickname == chat.nickname);
            seen.is("ParticipantJoined") && seen.is_by(&ParticipantType::Client) && own
        })
        .await?;
    joined.must("CV-RC-04", joined.event.index == Some(1), "index 1")
}

/// Whoever gives no name gets no chat.
pub(super) async fn without_name_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    session.sane("BX-SB-03").await?;
    let request = RequestChat { subject: Some("Tapestry conformance".to_owned()), ..RequestChat::default() };
    let sent = session.publish(ask(Operation::RequestChat(request), None)).await?;
    let answer = session.told(&sent, "CV-RC-05", "an answer", |answer| answer.status.is_some()).await?;
    if let Some(key) = answer.notification.secure_key.clone() {
        session.owes_end_of(&key);
    }
    let refused = answer.notification.status == Some(Status::Failed) && answer.notification.secure_key.is_none();
    let pass = answer.must("CV-RC-05", refused, "statusCode 2 and no `secureKey`")?;
    answer.should("CV-EN-04", !answer.notification.errors.is_empty(), "`errors` that are not empty")?;
    session.sane("CV-RC-05").await?;
    Ok(pass)
}

/// Nobody says what a service that does not exist answers.
pub(super) async fn unknown_service(peer: Peer) -> Verdict {
    // The service that exists answers.
    let session = peer.chat().await?.session;
    let name = peer.word("tapestry-no-such").replace(' ', "-");
    let request = RequestChat { nickname: Some("Wren".to_owned()), ..RequestChat::default() };
    let draft = session.draft(&protocol::chat::channel(&name)).with("data", ask(Operation::RequestChat(request), None));
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-PB-05").await?;
    let acknowledged = if reply.message().successful() == Some(true) { "acknowledged" } else { "refused" };
    peer.pause(Duration::from_millis(1_000)).await;
    let alive = session.sane("BX-SB-03").await?;
    let others = session.answers_since(sent.mark);
    let others = others.iter().find(|answer| answer.received().message().channel() != Some(&peer.channel()));
    match others {
        Some(answer) => {
            let says = format!("{acknowledged}, then {}", answer.describe());
            peer.observe("CV-CH-04", says, answer.frame())
        }
        None => peer.observe("CV-CH-04", format!("{acknowledged}, then nothing"), alive.frame()),
    }
}

/// Nobody says what an operation that does not exist answers.
pub(super) async fn unknown_operation(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let data = json!({"operation": "tapestryNoSuchOperation", "secureKey": chat.key.expose()});
    let sent = chat.session.publish(data).await?;
    chat.session.reply_to(&sent, "BX-PB-05").await?;
    peer.pause(Duration::from_millis(500)).await;
    // The chat goes on in any case.
    let alive = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let answers = chat.session.answers_since(sent.mark);
    match answers.iter().find(|answer| answer.notification.status == Some(Status::Failed)) {
        Some(answer) => peer.observe("CV-EN-03", answer.describe(), answer.frame()),
        None => peer.observe("CV-EN-03", "nothing, and the chat goes on", alive.answer.frame()),
    }
}

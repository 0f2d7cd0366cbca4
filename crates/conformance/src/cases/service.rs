//! Publishes and deliveries on service channels (Bayeux 2.2.3, 5).

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::operation::{Operation, RequestChat};
use protocol::wire::Transport;
use serde_json::json;

use crate::peer::{Peer, ask};
use crate::verdict::Verdict;

/// A publish is acknowledged under its id, by a message that is no event.
pub(super) async fn acknowledges_publish(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let sent = chat.say(&peer.word("tapestry")).await?;
    let reply = chat.session.reply_to(&sent, "BX-PB-05").await?;
    reply.must("BX-PB-05", reply.message().successful() == Some(true), "`successful` true")?;
    reply.must("BX-PB-05", reply.message().id() == sent.id.as_ref(), "the id of the publish")?;
    let pass = reply.must("BX-SVC-05", reply.message().data().is_none(), "no `data` in the acknowledgement")?;
    chat.session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// A publish of nobody is answered, and refused.
pub(super) async fn unknown_client_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let draft = Message::draft("/service/tapestry/nobody")
        .with("clientId", peer.word("nobody").replace(' ', ""))
        .with("data", json!({}));
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-UN-02").await?;
    let pass = reply.must("BX-SEC-03", reply.message().successful() == Some(false), "`successful` false")?;
    reply.should("BX-FLD-19", reply.message().error_code() == Some(402), "an error that begins with 402")?;
    session.sane("BX-UN-02").await?;
    Ok(pass)
}

/// A clientId is of no use to another browser: over long-polling its cookie is missing, on a WebSocket the socket has a
/// session of its own.
pub(super) async fn foreign_client_refused(peer: Peer) -> Verdict {
    let victim = peer.session().await?;
    let other = peer.session().await?;
    other.sane("BX-SB-03").await?;
    let draft = match peer.transport() {
        Transport::LongPolling | Transport::CallbackPolling => Message::draft(channel::CONNECT)
            .with("connectionType", peer.transport().name())
            .with("advice", json!({"timeout": 0})),
        Transport::WebSocket => Message::draft("/service/tapestry/foreign").with("data", json!({})),
    };
    let sent = other.send(draft.client(&victim.client_id)).await?;
    let reply = other.reply_to(&sent, "BX-UN-02").await?;
    let pass = reply.must("BX-SEC-04", reply.message().successful() == Some(false), "`successful` false")?;
    other.sane("BX-SEC-04").await?;
    victim.sane("BX-SEC-04").await?;
    Ok(pass)
}

/// Whoever publishes to the service gets its answer without having subscribed to anything.
pub(super) async fn delivered_without_subscription(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let request = RequestChat { nickname: Some(peer.word("Wren").replace(' ', "-")), ..RequestChat::default() };
    let sent = session.publish(ask(Operation::RequestChat(request), None)).await?;
    let expected = "an answer on the service channel without a subscription";
    let answer = session.told(&sent, "CV-CH-01", expected, |answer| answer.status.is_some()).await?;
    if let Some(key) = answer.notification.secure_key.clone() {
        session.owes_end_of(&key);
    }
    answer.received().must("BX-SVC-03", true, "an answer to a client that did not subscribe")?;
    let on_channel = answer.received().message().channel() == Some(&peer.channel());
    answer.must("CV-CH-01", on_channel, "the answer on the channel of the request")
}

/// A subscription to the service channel is accepted, and doubles nothing.
pub(super) async fn subscription_changes_nothing(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let sent = session.send(session.draft(channel::SUBSCRIBE).with("subscription", peer.channel())).await?;
    let reply = session.reply_to(&sent, "BX-SB-03").await?;
    reply.should("CV-CH-02", reply.message().successful() == Some(true), "`successful` true")?;
    let (chat, _) = session.start_chat().await?;
    let text = peer.word("tapestry");
    chat.say_and_see(&text, "CV-SM-01").await?;
    // What was doubled has come before the echo of a second message.
    let last = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    peer.pause(Duration::from_millis(200)).await;
    let echoes = chat.events().iter().filter(|seen| seen.says(&text)).count();
    let observed = format!("the event came {echoes} times");
    last.answer.received().must_show("CV-CH-03", echoes == 1, "each event once", observed)
}

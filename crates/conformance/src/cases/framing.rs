//! Ids, batches, and bodies that are none (Bayeux 2.5, 3.8).

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::MessageId;
use protocol::wire::Transport;

use crate::peer::{Fate, Peer, Received};
use crate::verdict::{Frame, Verdict};

/// Replies to meta messages give the id back, and have none if there was none.
pub(super) async fn id_echoed(peer: Peer) -> Verdict {
    const EXPECTED: &str = "the id of the request";
    let browser = peer.browser();
    let echoes = |reply: &Received, id: Option<&MessageId>| reply.message().id() == id;
    let sent = browser.send(browser.handshake_draft()).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    let session = browser.session_of(&reply)?;
    reply.must("BX-META-04", echoes(&reply, sent.id.as_ref()), EXPECTED)?;
    let sent = session.connect(Some(Duration::ZERO)).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").await?;
    reply.must("BX-META-04", echoes(&reply, sent.id.as_ref()), EXPECTED)?;
    let draft = session.draft(channel::SUBSCRIBE).with("subscription", "/service/tapestry/id");
    let sent = browser.send_as_it_is(draft.clone().finish()).await?;
    let reply = session.reply_to(&sent, "BX-SB-03").await?;
    reply.must("BX-META-04", echoes(&reply, None), "no id, since the request had none")?;
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-SB-03").await?;
    reply.must("BX-META-04", echoes(&reply, sent.id.as_ref()), EXPECTED)?;
    let sent = session.disconnect().await?;
    let reply = browser.reply_to(&sent, "BX-DC-05").await?;
    reply.must("BX-META-04", echoes(&reply, sent.id.as_ref()), EXPECTED)
}

/// A meta channel that does not exist is refused in a reply.
pub(super) async fn unknown_meta_channel_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let sent = session.send(session.draft("/meta/tapestry").with("data", "x")).await?;
    let reply = session.reply_to(&sent, "BX-META-05").await?;
    let pass = reply.must("BX-META-05", reply.message().successful() == Some(false), "`successful` false")?;
    session.sane("BX-META-05").await?;
    Ok(pass)
}

/// Each message of an array gets its reply.
pub(super) async fn batch_answered(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let messages = ["one", "two", "three"].map(|name| {
        let id = peer.with(|net| net.next_id(session.browser.number));
        session
            .draft(channel::SUBSCRIBE)
            .id(Some(&id))
            .with("subscription", format!("/service/tapestry/{name}"))
            .finish()
    });
    let sent = session.browser.send_together(messages.to_vec()).await?;
    let mut last = None;
    for sent in &sent {
        let reply = session.reply_to(sent, "BX-MSG-04").await?;
        let own = reply.message().id() == sent.id.as_ref() && reply.message().successful().is_some();
        last = Some(reply.must("BX-MSG-04", own, "a reply to each message of the array")?);
    }
    last.ok_or_else(|| crate::verdict::Stop::Error("a batch of three left no reply".to_owned()))
}

/// A message that stands alone, without an array around it, is accepted.
pub(super) async fn single_message_accepted(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let id = peer.with(|net| net.next_id(session.browser.number));
    let message =
        session.draft(channel::SUBSCRIBE).id(Some(&id)).with("subscription", "/service/tapestry/alone").finish();
    let body = session.browser.send_body(message.text()).await?;
    let until = peer.now() + Duration::from_secs(5);
    let replied = |reply: &Received| reply.message().id() == Some(&id) && reply.message().successful().is_some();
    let reply = loop {
        if let Some(reply) = session.browser.behind(&body).into_iter().find(replied) {
            break Some(reply);
        }
        if peer.now() >= until || session.browser.fate_of(&body, Duration::from_millis(100)).await != Fate::Open {
            break session.browser.behind(&body).into_iter().find(replied);
        }
    };
    match reply {
        Some(reply) => reply.must("BX-MSG-05", true, "a reply to the message"),
        None => {
            let alive = session.sane("BX-SB-03").await?;
            alive.must_show("BX-MSG-05", false, "a reply to the message", "no reply to it".to_owned())
        }
    }
}

/// Members that nobody knows do no harm.
pub(super) async fn unknown_members_tolerated(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let draft = session
        .draft(channel::CONNECT)
        .with("tapestry", serde_json::json!({"nested": [1, null, {"deep": true}]}))
        .with("connectionType", peer.transport().name())
        .with("ext", serde_json::json!({"tapestry": "x"}))
        .with("advice", serde_json::json!({"timeout": 0}));
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").await?;
    let pass = reply.must("BX-MSG-07", reply.message().successful() == Some(true), "`successful` true")?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// What is no JSON is not answered as if it were, and the session lives on.
pub(super) async fn malformed_json_survived(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let id = peer.with(|net| net.next_id(session.browser.number));
    let message =
        session.draft(channel::SUBSCRIBE).id(Some(&id)).with("subscription", "/service/tapestry/torn").finish();
    let body = session.browser.send_body(&format!("[{}, {{\"channel\":", message.text())).await?;
    let within = match peer.transport() {
        Transport::LongPolling | Transport::CallbackPolling => Duration::from_secs(5),
        Transport::WebSocket => Duration::from_millis(500),
    };
    session.browser.fate_of(&body, within).await;
    let answered: Vec<Frame> = session
        .browser
        .behind(&body)
        .iter()
        .filter(|reply| reply.message().id() == Some(&id) && reply.message().successful() == Some(true))
        .map(Received::frame)
        .collect();
    if !answered.is_empty() {
        let frames = [vec![Frame { entry: body.entry, message: None }], answered].concat();
        let observed = "the first message of the torn array was answered with success";
        return Err(peer.broken("BX-MSG-08", "nothing of a torn array to be executed", observed, frames));
    }
    // The peer may have closed the socket; a new one can go on with the session.
    let alive = session.sane("BX-WS-10").await?;
    alive.must("BX-WS-10", true, "the session alive after the torn array")?;
    alive.must("BX-MSG-08", true, "nothing of a torn array to be executed")
}

//! Disconnects (Bayeux 4.4).

use std::time::Duration;

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;

use crate::peer::Peer;
use crate::verdict::{Stop, Verdict};

/// A disconnect is answered.
pub(super) async fn answered(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let sent = session.disconnect().await?;
    let reply = session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    reply.must("BX-DC-06", reply.message().successful() == Some(true), "`successful` true")
}

/// A disconnect releases the connect that is held.
pub(super) async fn releases_held_connect(peer: Peer) -> Verdict {
    const HOLD: Duration = Duration::from_secs(5);
    let session = peer.session().await?;
    let connect = session.connect(Some(HOLD)).await?;
    session.sane("BX-GEN-02").await?;
    let sent = session.disconnect().await?;
    let reply = session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    reply.need("BX-DC-06", reply.message().successful() == Some(true), "`successful` true")?;
    let until = peer.now() + HOLD + Duration::from_secs(1);
    let released = peer.wait(until, |net| net.reply(&connect).cloned()).await;
    let Some(released) = released.map(|arrival| session.browser.received(arrival)) else {
        let observed = "the held connect was not answered".to_owned();
        return reply.must_show("BX-DC-03", false, "the held connect answered", observed);
    };
    let held = released.at() - connect.at;
    let observed = format!("the connect was answered {} ms after it was sent", held.as_millis());
    let in_time = held < HOLD - Duration::from_millis(500);
    let pass = released.must_show("BX-DC-03", in_time, "the held connect answered with the disconnect", observed)?;
    let advice = released.message().advice().and_then(|advice| advice.reconnect);
    let stops = released.message().successful() != Some(true) || advice == Some(Reconnect::None);
    released.should("BX-DC-50", stops, "advice not to connect again")?;
    Ok(pass)
}

/// After a disconnect nobody knows the clientId any more.
pub(super) async fn ends_session(peer: Peer) -> Verdict {
    let other = peer.session().await?;
    let session = peer.session().await?;
    let sent = session.disconnect().await?;
    session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    // A server may close the socket of a session that is over.
    session.browser.cut();
    let sent = session.connect(Some(Duration::ZERO)).await?;
    let reply = session.reply_to(&sent, "BX-CN-11").by_any_sign().await?;
    let pass = reply.must("BX-DC-07", reply.message().successful() == Some(false), "`successful` false")?;
    let advice = reply.message().advice().and_then(|advice| advice.reconnect);
    reply.should("RC-01", advice == Some(Reconnect::Handshake), "advice to handshake again")?;
    other.sane("BX-DC-07").await?;
    Ok(pass)
}

/// Even the disconnect of nobody is answered, and refused.
pub(super) async fn unknown_client_answered(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let draft = Message::draft(channel::DISCONNECT).with("clientId", peer.word("nobody").replace(' ', ""));
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-DC-05").await?;
    let pass = reply.must("BX-DC-05", reply.message().successful() == Some(false), "`successful` false")?;
    session.sane("BX-DC-05").await?;
    Ok(pass)
}

/// What stands behind a disconnect in its array comes too late.
pub(super) async fn later_messages_refused(peer: Peer) -> Verdict {
    let other = peer.session().await?;
    let session = peer.session().await?;
    let next = || peer.with(|net| net.next_id(session.browser.number));
    let messages = vec![
        session.draft(channel::DISCONNECT).id(Some(&next())).finish(),
        session.draft(channel::SUBSCRIBE).id(Some(&next())).with("subscription", "/service/tapestry/late").finish(),
    ];
    peer.with(|net| net.forget_session(&session.client_id));
    let sent = session.browser.send_together(messages).await?;
    let [disconnect, late] = &sent[..] else { return Err(Stop::Error("two messages were not sent".to_owned())) };
    let reply = session.reply_to(disconnect, "BX-DC-05").by_any_sign().await?;
    reply.need("BX-DC-06", reply.message().successful() == Some(true), "`successful` true")?;
    let reply = session.reply_to(late, "BX-SB-03").by_any_sign().await?;
    let pass = reply.must("BX-DC-08", reply.message().successful() == Some(false), "`successful` false")?;
    other.sane("BX-SB-03").await?;
    Ok(pass)
}

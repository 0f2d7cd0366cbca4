//! How long sessions live (Bayeux 4.2.2; CometD's `maxInterval`, 10 s by default). What is here takes its time.

use std::time::Duration;

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::message::Message;
use protocol::wire::Transport;

use crate::peer::{Fate, Peer, Received, Sent, Session};
use crate::verdict::{Stop, Verdict};

/// Longer than a session lives without a connect, by default, with the time that servers take to notice.
pub(super) const LONG: Duration = Duration::from_millis(12_500);

/// A session that does not connect is forgotten, whether or not its connection is there, and told to handshake.
pub(super) async fn expires_without_connect(peer: Peer) -> Verdict {
    let control = peer.session().await?;
    let (idle, cut) = (peer.session().await?, peer.session().await?);
    cut.browser.cut();
    control.keep_connected();
    peer.pause(LONG).await;
    let mut last = None;
    for (name, session) in [("idle", &idle), ("cut off", &cut)] {
        let sent = session.connect(Some(Duration::ZERO)).await?;
        let reply = session.reply_to(&sent, "BX-CN-06").by_any_sign().await?;
        let gone = reply.message().successful() == Some(false);
        let says = if gone { "it was gone" } else { "it was there" };
        last =
            Some(peer.observe("BX-CN-10", format!("a session that was {name} for 12.5 s: {says}"), reply.frame())?);
        if gone {
            let advice = reply.message().advice().and_then(|advice| advice.reconnect);
            reply.should("RC-01", advice == Some(Reconnect::Handshake), "advice to handshake again")?;
        }
    }
    control.sane("BX-SB-03").await?;
    last.ok_or_else(|| Stop::Error("two sessions left no reply".to_owned()))
}

/// Other messages keep a session alive as connects do.
pub(super) async fn kept_by_messages(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    for _ in 0..4 {
        peer.pause(LONG / 4).await;
        session.sane("BX-CN-57").await?;
    }
    let sent = session.connect(Some(Duration::ZERO)).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").by_any_sign().await?;
    reply.must("BX-CN-57", reply.message().successful() == Some(true), "the session alive after 12.5 s of messages")
}

/// A session lives as long as its connect is held, however that came to be held.
pub(super) async fn outlives_held_connect(peer: Peer) -> Verdict {
    let plain = peer.session().await?;
    let plain_connect = plain.connect(Some(LONG)).await?;
    let superseded = peer.session().await?;
    let first = superseded.connect(Some(LONG)).await?;
    superseded.sane("BX-SB-03").await?;
    let second = superseded.connect(Some(LONG)).await?;
    let resumed = peer.session().await?;
    resumed.browser.cut();
    resumed.first_connect().await?;
    let resumed_connect = resumed.connect(Some(LONG)).await?;
    let batched = match peer.transport() {
        // Over HTTP such a connect is not held.
        Transport::LongPolling | Transport::CallbackPolling => None,
        Transport::WebSocket => {
            let session = peer.session().await?;
            let connect = super::connect::beside_another(&session, LONG).await?.0;
            Some((session, connect))
        }
    };
    let after = plain_connect.at + LONG;
    peer.wait(after, |_| None::<()>).await;
    if let Some((session, connect)) = &batched {
        held_out(session, connect, "BX-CN-60").await?;
    }
    // Requests on two connections may overtake each other: the connect that is still held came last.
    let overtaken =
        peer.transport() != Transport::WebSocket && peer.with(|net| net.is_held(&first) && !net.is_held(&second));
    let superseding = if overtaken { first } else { second };
    held_out(&superseded, &superseding, "BX-CN-59").await?;
    held_out(&resumed, &resumed_connect, "BX-CN-61").await?;
    held_out(&plain, &plain_connect, "BX-CN-58").await?;
    let last = plain.sane("BX-SB-03").await?;
    last.must("BX-CN-58", true, "the session alive after a connect was held for 12.5 s")
}

/// Judges whether a connect was held to its end. What breaks only this does not end the case.
async fn held_out(session: &Session, connect: &Sent, clause: &'static str) -> Result<(), Stop> {
    const EXPECTED: &str = "the connect held for 12.5 s, and the session alive";
    let reply: Result<Received, Stop> =
        session.reply_to(connect, "BX-CN-06").within(LONG + Duration::from_secs(3)).by_any_sign().await;
    match reply {
        Ok(reply) => reply.should(clause, Message::successful(reply.message()) == Some(true), EXPECTED),
        Err(Stop::Inconclusive { says, frames } | Stop::Blocked { says, frames, .. }) if !frames.is_empty() => {
            let end = session.peer().with(|net| net.last_end(session.browser.number).cloned());
            if end.is_some_and(|end| !matches!(end, Fate::Closed { code: 1000, .. })) {
                return Err(Stop::Inconclusive { says, frames });
            }
            session.peer().should_be(clause, EXPECTED, says, frames)
        }
        Err(stop) => Err(stop),
    }
}

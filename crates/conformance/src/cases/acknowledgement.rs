//! CometD's `ack` extension: events come again until the client has said that it has them.

use std::time::Duration;

use protocol::bayeux::message::Draft;
use serde_json::{Value, json};

use crate::peer::{Peer, Received, Session};
use crate::verdict::{Stop, Verdict};

/// How much an answer at once may take.
const AT_ONCE: Duration = Duration::from_millis(1_000);

/// A session with the extension, and the number of its first batch.
async fn session_with_ack(peer: &Peer) -> Result<(Session, i64), Stop> {
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft().with("ext", json!({"ack": true}))).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    let session = browser.session_of(&reply)?;
    let ack = reply.message().ext().and_then(|ext| ext.get("ack").cloned());
    if !ack.is_some_and(|ack| ack == json!(true) || ack.is_object()) {
        let says = "the server does not have the ack extension".to_owned();
        return Err(Stop::NotApplicable { says, frames: vec![reply.frame()] });
    }
    let (reply, _) = connect(&session, 0, Duration::ZERO).await?;
    let batch = batch_of(&reply)?;
    Ok((session, batch))
}

fn batch_of(reply: &Received) -> Result<i64, Stop> {
    let batch = reply.message().ext().and_then(|ext| ext.get("ack")?.as_i64());
    reply.need("BX-ACK-01", batch.is_some(), "the number of a batch in a connect reply")?;
    batch.ok_or_else(|| Stop::Error("a number is there and is not".to_owned()))
}

fn with_ack(draft: Draft, batch: i64) -> Draft {
    draft.with("ext", json!({"ack": batch}))
}

/// Connects with the number of the last batch; gives the reply, and how long it took.
async fn connect(session: &Session, batch: i64, hold: Duration) -> Result<(Received, Duration), Stop> {
    let sent = session.send(with_ack(session.connect_draft(Some(hold)), batch)).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").await?;
    reply.need("BX-CN-08", reply.message().successful() == Some(true), "`successful` true")?;
    let took = reply.at() - sent.at;
    Ok((reply, took))
}

/// What was not acknowledged comes again, at once and with what came later; what was acknowledged does not.
pub(super) async fn redelivers(peer: Peer) -> Verdict {
    let (session, first) = session_with_ack(&peer).await?;
    let speaker = peer.session().await?;
    let room = peer.room();
    session.subscribe(room.as_str()).await?;
    let words = [(); 3].map(|()| Value::from(peer.word("tapestry")));
    speaker.tell(&room, words[0].clone()).await?;
    speaker.tell(&room, words[1].clone()).await?;
    let came = |mark: usize| -> Vec<bool> { words.iter().map(|word| !session.heard(mark, word).is_empty()).collect() };
    let mark = peer.mark();
    let (reply, _) = connect(&session, first, Duration::ZERO).await?;
    let brought = came(mark);
    reply.must_show("BX-ACK-01", brought == [true, true, false], "both events", format!("{brought:?}"))?;
    speaker.tell(&room, words[2].clone()).await?;
    // As if the last reply had been lost.
    let mark = peer.mark();
    let (reply, took) = connect(&session, first, AT_ONCE * 3).await?;
    let brought = came(mark);
    reply.must_show("BX-ACK-02", brought == [true; 3], "both events again, and the third", format!("{brought:?}"))?;
    let observed = format!("answered after {} ms", took.as_millis());
    reply.should_show("BX-ACK-03", took < AT_ONCE, "what waits brought at once", observed)?;
    let mark = peer.mark();
    let (reply, _) = connect(&session, batch_of(&reply)?, Duration::from_millis(300)).await?;
    let brought = came(mark);
    reply.must_show("BX-ACK-04", brought == [false; 3], "nothing that was acknowledged", format!("{brought:?}"))
}

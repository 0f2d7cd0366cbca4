//! Handshakes (Bayeux 4.1).

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;

use crate::peer::Peer;
use crate::verdict::Verdict;

/// A handshake is answered with a session.
pub(super) async fn succeeds(peer: Peer) -> Verdict {
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft()).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    let message = reply.message();
    let complete = message.successful() == Some(true)
        && message.client_id().is_some_and(|id| !id.expose().is_empty())
        && message.value("version").is_some_and(|version| version.is_string())
        && message.value("supportedConnectionTypes").is_some_and(|types| types.is_array());
    let session = browser.session_of(&reply);
    let pass = reply.must(
        "BX-HS-09",
        complete,
        "`successful` true with `clientId`, `version` and `supportedConnectionTypes`",
    )?;
    session?.sane("BX-SB-03").await?;
    Ok(pass)
}

/// The types that the server offers include the one in use, and long-polling.
pub(super) async fn shares_connection_type(peer: Peer) -> Verdict {
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft()).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    let session = browser.session_of(&reply)?;
    let types = reply.message().value("supportedConnectionTypes").unwrap_or_default();
    let types: Option<Vec<String>> = serde_json::from_value(types).ok();
    reply.must("BX-FLD-03", types.is_some(), "`supportedConnectionTypes` as an array of texts")?;
    let offers = |name: &str| types.iter().flatten().any(|offered| offered == name);
    reply.must("BX-HS-11", offers(peer.transport().name()), "the transport in use among the offered ones")?;
    let pass = reply.must("BX-GEN-04", offers("long-polling"), "`long-polling` among the offered types")?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// Each handshake gives a clientId of its own, even to a client that has one.
pub(super) async fn gives_new_client_id(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let browser = peer.browser();
    let draft = browser.handshake_draft().with("clientId", session.client_id.expose());
    let sent = browser.send(draft).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    reply.need("BX-HS-09", reply.message().successful() == Some(true), "`successful` true")?;
    let second = browser.session_of(&reply)?;
    reply.must("BX-HS-10", second.client_id != session.client_id, "another `clientId` than the first")?;
    let alphanumeric = second.client_id.expose().bytes().all(|byte| byte.is_ascii_alphanumeric());
    let pass = reply.must("BX-CID-01", alphanumeric, "a `clientId` of letters and digits")?;
    session.sane("BX-HS-10").await?;
    second.sane("BX-HS-10").await?;
    Ok(pass)
}

/// A client that shares no connection type with the server is refused.
pub(super) async fn without_common_type_refused(peer: Peer) -> Verdict {
    let sane = peer.session().await?;
    sane.sane("BX-SB-03").await?;
    let browser = peer.browser();
    let draft = Message::draft(channel::HANDSHAKE)
        .with("version", "1.0")
        .with("supportedConnectionTypes", ["carrier-pigeon"].as_slice());
    let sent = browser.send(draft).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    if reply.message().successful() == Some(true) {
        // It is a session nevertheless, and to be left politely.
        browser.session_of(&reply)?;
    }
    let pass = reply.must("BX-HS-12", reply.message().successful() == Some(false), "`successful` false")?;
    sane.sane("BX-SB-03").await?;
    Ok(pass)
}

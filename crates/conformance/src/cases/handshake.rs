//! Handshakes (Bayeux 4.1).

use protocol::bayeux::channel;
use protocol::bayeux::message::{Draft, Message};
use serde_json::{Value, json};

use crate::peer::{Fared, Peer};
use crate::verdict::{Stop, Verdict};

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
    let version = message.value("version").and_then(|version| version.as_str().map(is_version)).unwrap_or(false);
    reply.should("BX-VER-01", version, "a `version` of digits, and of letters and digits behind dots")?;
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
    reply.should("BX-FLD-04", offers("callback-polling"), "`callback-polling` among the offered types")?;
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

/// Digits, then any number of elements of letters and digits behind dots (Bayeux 2.3).
fn is_version(text: &str) -> bool {
    let mut elements = text.split('.');
    let first = elements.next().is_some_and(|first| !first.is_empty() && first.bytes().all(|b| b.is_ascii_digit()));
    let alphanumeric = |element: &str| !element.is_empty() && element.bytes().all(|b| b.is_ascii_alphanumeric());
    first && elements.all(alphanumeric)
}

/// A handshake where there is a session already opens another one.
pub(super) async fn again_on_same_connection(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let draft = session.browser.handshake_draft().with("clientId", session.client_id.expose());
    let sent = session.browser.send(draft).await?;
    let reply = session.browser.reply_to(&sent, "BX-HS-06").await?;
    reply.need("BX-HS-09", reply.message().successful() == Some(true), "`successful` true")?;
    let second = session.browser.session_of(&reply)?;
    let pass = reply.must("BX-HS-50", second.client_id != session.client_id, "another `clientId` than the first")?;
    second.sane("BX-SB-03").await?;
    Ok(pass)
}

/// What comes with a handshake is not executed.
pub(super) async fn others_beside_ignored(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let room = peer.room();
    listener.subscribe(room.as_str()).await?;
    let mark = peer.mark();
    let browser = peer.browser();
    let smuggled = Value::from(peer.word("smuggled"));
    let next = || peer.with(|net| net.next_id(browser.number));
    let messages = vec![
        browser.handshake_draft().id(Some(&next())).finish(),
        Message::draft(&room).id(Some(&next())).with("data", smuggled.clone()).finish(),
    ];
    let sent = browser.send_together(messages).await?;
    let [handshake, publish] = &sent[..] else { return Err(Stop::Error("two messages were not sent".to_owned())) };
    let (fared, beside) = (browser.fared(handshake).await, browser.fared(publish).await);
    if let Fared::Accepted(reply) = &fared {
        browser.session_of(reply)?;
    }
    let word = Value::from(peer.word("tapestry"));
    let last = speaker.tell(&room, word.clone()).await?;
    let event = listener.hears(&last, &word, "BX-DL-01").await?;
    let executed = !listener.heard(mark, &smuggled).is_empty();
    let pass =
        event.must_show("BX-HS-05", !executed, "a publish beside a handshake ignored", "its event came".to_owned())?;
    let says =
        format!("a handshake with a publish beside it: {}; the publish: {}", fared.describe(), beside.describe());
    peer.observe("BX-HS-51", says, event.frame())?;
    Ok(pass)
}

/// What becomes of handshakes that lack what they must have, or ask for a version that is not there.
pub(super) async fn incomplete(peer: Peer) -> Verdict {
    let sane = peer.session().await?;
    let draft = || Message::draft(channel::HANDSHAKE);
    let types = json!(["websocket", "long-polling"]);
    let odd: [(&str, &str, Draft); 3] = [
        ("BX-HS-07", "without `version`", draft().with("supportedConnectionTypes", types.clone())),
        ("BX-HS-08", "without `supportedConnectionTypes`", draft().with("version", "1.0")),
        (
            "BX-VER-02",
            "of version 0.9 that asks for 2.0",
            draft().with("version", "0.9").with("minimumVersion", "2.0").with("supportedConnectionTypes", types),
        ),
    ];
    let mut last = None;
    for (clause, name, draft) in odd {
        let browser = peer.browser();
        let sent = browser.send(draft).await?;
        let fared = browser.fared(&sent).await;
        if let Fared::Accepted(reply) = &fared {
            browser.session_of(reply)?;
        }
        let alive = sane.sane("BX-SB-03").await?;
        last = Some(peer.observe(clause, format!("a handshake {name}: {}", fared.describe()), alive.frame())?);
    }
    last.ok_or_else(|| Stop::Error("three handshakes left no reply".to_owned()))
}

/// What the handshake reply advises.
pub(super) async fn advice_told(peer: Peer) -> Verdict {
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft()).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    let session = browser.session_of(&reply)?;
    let advice = reply.message().value("advice").unwrap_or_default();
    let timing = |name: &str| advice.get(name).is_none_or(Value::is_u64);
    let proper = timing("timeout") && timing("interval") && timing("maxInterval");
    reply.must("BX-LP-06", proper, "timeout and interval as whole numbers of milliseconds")?;
    let told: Vec<String> = ["reconnect", "interval", "timeout", "maxInterval", "multiple-clients"]
        .iter()
        .filter_map(|name| Some(format!("{name} {}", plain(advice.get(*name)?)?)))
        .collect();
    let says = if told.is_empty() { "no advice".to_owned() } else { told.join(", ") };
    session.sane("BX-SB-03").await?;
    peer.observe("BX-ADV-16", format!("the handshake reply has {says}"), reply.frame())
}

/// A value of advice that may be shown.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        Value::String(text) if ["retry", "handshake", "none"].contains(&text.as_str()) => Some(text.clone()),
        Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

//! Ids, batches, and bodies that are none (Bayeux 2.5, 3.8).

use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::channel;
use protocol::bayeux::message::MessageId;
use protocol::wire::{Headers, Request, Transport};
use serde_json::json;

use crate::peer::{Fate, Peer, Received, Session, sentinel};
use crate::verdict::{Frame, Stop, Verdict};

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
        reply.should("BX-GEN-09", reply.came_on_carrier_of(sent), "the reply with the answer to its request")?;
        last = Some(reply.must("BX-MSG-04", own, "a reply to each message of the array")?);
    }
    last.ok_or_else(|| Stop::Error("a batch of three left no reply".to_owned()))
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

/// Members that nobody knows do no harm, in `ext` or beside it.
pub(super) async fn unknown_members_tolerated(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let connect = || {
        session
            .draft(channel::CONNECT)
            .with("connectionType", peer.transport().name())
            .with("advice", json!({"timeout": 0}))
    };
    let sent = session.send(connect().with("ext", json!({"tapestry": "x"}))).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").await?;
    reply.must("BX-FLD-20", reply.message().successful() == Some(true), "`successful` true, whatever is in `ext`")?;
    let draft = connect()
        .with("tapestry", json!({"nested": [1, null, {"deep": true}]}))
        .with("connectionId", "1")
        .with("json-comment-filtered", true);
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-CN-06").await?;
    let pass = reply.must("BX-MSG-07", reply.message().successful() == Some(true), "`successful` true")?;
    let obsolete = ["connectionId", "json-comment-filtered"].iter().any(|name| reply.message().member(name).is_some());
    reply.should("BX-FLD-21", !obsolete, "no obsolete member in the reply")?;
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
    let alive = session.sane_on_any_socket("BX-WS-10").await?;
    alive.must("BX-WS-10", true, "the session alive after the torn array")?;
    alive.must("BX-MSG-08", true, "nothing of a torn array to be executed")
}

/// Sends a body that is odd, and lets the server do with it what it will.
async fn react(session: &Session, body: &str) -> Result<Fate, Stop> {
    let sent = session.browser.send_body(body).await?;
    let within = match session.peer().transport() {
        Transport::LongPolling | Transport::CallbackPolling => Duration::from_secs(5),
        Transport::WebSocket => Duration::from_millis(300),
    };
    Ok(session.browser.fate_of(&sent, within).await)
}

/// An empty array is answered somehow, and ends no session.
pub(super) async fn empty_array_survived(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let fate = react(&session, "[]").await?;
    let alive = session.sane_on_any_socket("BX-MSG-09").await?;
    let hangs = peer.transport() == Transport::LongPolling && fate == Fate::Open;
    alive.must_show("BX-MSG-09", !hangs, "an answer to an empty array", "it was left without an answer".to_owned())
}

/// Protocol members of a wrong type end no session.
pub(super) async fn odd_types_survived(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let id = session.client_id.expose().to_owned();
    let connect =
        json!({"channel": channel::CONNECT, "clientId": id, "connectionType": peer.transport().name(), "advice": 5});
    let odd = [json!({"channel": 5, "clientId": id}), connect, json!(1), json!(null)];
    for message in odd {
        react(&session, &json!([message]).to_string()).await?;
        session.sane_on_any_socket("BX-FLD-22").await?;
    }
    let alive = session.sane("BX-FLD-22").await?;
    alive.must("BX-FLD-22", true, "the session alive after members of wrong types")
}

/// A `timestamp` in any message changes nothing; what the server sends itself is in the form of ISO 8601.
pub(super) async fn timestamps_tolerated(peer: Peer) -> Verdict {
    const NOW: &str = "2026-01-01T00:00:00.00";
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft().with("timestamp", NOW)).await?;
    let handshake = browser.reply_to(&sent, "BX-HS-06").await?;
    let session = browser.session_of(&handshake)?;
    let sent = session.send(session.connect_draft(Some(Duration::ZERO)).with("timestamp", NOW)).await?;
    let connect = session.reply_to(&sent, "BX-CN-06").await?;
    let sent = session.send(sentinel().client(&session.client_id).with("timestamp", NOW)).await?;
    let subscribe = session.reply_to(&sent, "BX-SB-03").await?;
    let mut last = None;
    for reply in [handshake, connect, subscribe] {
        let stamp = reply.message().value("timestamp");
        let iso = stamp.is_none_or(|stamp| stamp.as_str().is_some_and(is_iso));
        reply.should("BX-FLD-11", iso, "a `timestamp` as `YYYY-MM-DDThh:mm:ss`, or none")?;
        let taken = reply.message().successful().is_some() && !reply.says_unknown_client();
        last = Some(reply.must("BX-FLD-12", taken, "the message taken")?);
    }
    session.sane("BX-SB-03").await?;
    last.ok_or_else(|| Stop::Error("three messages left no reply".to_owned()))
}

/// `YYYY-MM-DDThh:mm:ss` and what may follow it.
fn is_iso(text: &str) -> bool {
    const FORM: &str = "dddd-dd-ddTdd:dd:dd";
    let fits = |(form, byte): (u8, u8)| if form == b'd' { byte.is_ascii_digit() } else { byte == form };
    text.len() >= FORM.len() && FORM.bytes().zip(text.bytes()).all(fits)
}

/// A response is one JSON array, and says that it is JSON.
pub(super) async fn response_is_json(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let sent = session.send(sentinel().client(&session.client_id)).await?;
    let reply = session.reply_to(&sent, "BX-SB-03").await?;
    let (entry, response) = session.browser.response_on(sent.carrier, sent.frame.entry).await?;
    let media = protocol::bayeux::http::media_type(&response.headers).unwrap_or_default();
    let known = media == "application/json";
    let observed = if known { "it says so" } else { "it says something else" };
    peer.should_at("BX-LP-04", entry, known, "the media type application/json", observed)?;
    let array = Batch::parse(&response.body, &Limits::default()).is_ok_and(|batch| !batch.single);
    reply.must_show("BX-GEN-05", array, "one JSON array, and the end of the response", "no array".to_owned())
}

/// A request that does not say what it is counts as JSON.
pub(super) async fn without_content_type(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let id = peer.with(|net| net.next_id(session.browser.number));
    let message = sentinel().client(&session.client_id).id(Some(&id)).finish();
    let request = Request {
        method: "POST".to_owned(),
        target: String::new(),
        headers: Headers::new(),
        body: Batch::array([&message]).into_bytes(),
    };
    let sent = session.browser.send_request("", request);
    session.browser.response_on(sent.carrier, sent.entry).await?;
    let replied = |reply: &Received| reply.message().id() == Some(&id) && reply.message().successful() == Some(true);
    let reply = session.browser.behind(&sent).into_iter().find(replied);
    let alive = session.sane("BX-SB-03").await?;
    match reply {
        Some(reply) => reply.must("BX-LP-05", true, "a reply to the message"),
        None => alive.must_show("BX-LP-05", false, "a reply to the message", "no reply to it".to_owned()),
    }
}

/// What a server makes of a frame that is longer than most take; the session lives on.
pub(super) async fn long_frame_survived(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let draft = session.draft("/service/tapestry/long").with("data", "x".repeat(70_000));
    let sent = session.send(draft).await?;
    let fared = session.fared(&sent).await;
    let alive = session.sane_on_any_socket("BX-WS-10").await?;
    alive.must("BX-WS-10", true, "the session alive after a long frame")?;
    peer.observe("BX-WS-51", format!("a frame of 70 KB: {}", fared.describe()), alive.frame())
}

/// What a server makes of a page of another origin.
pub(super) async fn foreign_origin(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let stranger = peer.browser();
    let fate = stranger.open_from("http://elsewhere.example").await;
    let says = match fate {
        Fate::Open => "it is let in".to_owned(),
        Fate::Answered { status, .. } => format!("it is refused with HTTP status {status}"),
        Fate::Opening | Fate::Closed { .. } | Fate::Broken { .. } | Fate::Dropped => "it is refused".to_owned(),
    };
    let alive = session.sane("BX-SB-03").await?;
    peer.observe("BX-SEC-06", format!("a WebSocket from a page of another origin: {says}"), alive.frame())
}

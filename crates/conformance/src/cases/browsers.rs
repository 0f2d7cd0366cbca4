//! Browsers and their sessions: cookies, several sessions, callback-polling (Bayeux 6.2, 8.1).

use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::channel;
use protocol::bayeux::http::BROWSER_COOKIE;
use protocol::bayeux::message::{Draft, Message};
use protocol::wire::{Headers, Request, Response};
use serde_json::{Value, json};

use crate::peer::{Browser, Peer, Received, Session, sentinel};
use crate::verdict::{Frame, Stop, Verdict};

/// How much an answer at once may take.
const AT_ONCE: Duration = Duration::from_millis(1_000);

/// The handshake gives the browser a cookie.
pub(super) async fn cookie_given(peer: Peer) -> Verdict {
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft()).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    browser.session_of(&reply)?.sane("BX-SB-03").await?;
    let (entry, response) = browser.response_on(sent.carrier, sent.frame.entry).await?;
    let given = response.headers.all("set-cookie").any(|field| field.starts_with(&format!("{BROWSER_COOKIE}=")));
    let observed = if given { "it is set" } else { "no such cookie is set" };
    peer.must_at("BX-MC-01", entry, given, "the cookie BAYEUX_BROWSER with the handshake reply", observed)
}

/// Of two sessions of one browser one is held and the other told to poll, until the first is gone.
pub(super) async fn second_session_polls(peer: Peer) -> Verdict {
    const HOLD: Duration = Duration::from_millis(2_500);
    let several = |reply: &Received| reply.message().advice().and_then(|advice| advice.multiple_clients) == Some(true);
    let browser = peer.browser();
    let first = browser.handshake().await?;
    for _ in 0..2 {
        let alone = first.first_connect().await?;
        alone.must("BX-MC-50", !several(&alone), "no advice about other sessions while there is none")?;
    }
    let second = browser.handshake().await?;
    second.first_connect().await?;
    let held = first.connect(Some(HOLD)).await?;
    first.sane("BX-GEN-02").await?;
    // The connects travel on two connections, and the one that arrives first is the one that is held.
    peer.pause(Duration::from_millis(300)).await;
    let sent = second.connect(Some(HOLD)).await?;
    let reply = second.reply_to(&sent, "BX-CN-06").await?;
    let took = reply.at() - sent.at;
    let observed = format!("answered after {} ms", took.as_millis());
    reply.must_show("BX-MC-02", took < AT_ONCE, "the second session's connect answered at once", observed)?;
    reply.should("BX-ADV-13", several(&reply), "advice that there are multiple clients")?;
    let answered = peer.with(|net| net.reply(&held).is_some());
    reply.should_show("BX-MC-03", !answered, "the first session's connect held", "it was answered".to_owned())?;
    let sent = first.disconnect().await?;
    first.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    let sent = second.connect(Some(AT_ONCE)).await?;
    let reply = second.reply_to(&sent, "BX-CN-06").await?;
    let took = reply.at() - sent.at;
    let observed = format!("answered after {} ms", took.as_millis());
    let alone = took + Duration::from_millis(200) >= AT_ONCE && !several(&reply);
    reply.must_show("BX-MC-04", alone, "the connect of the session that is left held", observed)
}

/// The GET of callback-polling; what the server says to it, with its entry.
async fn call(browser: &Browser, callback: Option<&str>, message: &Message) -> Result<(usize, Response), Stop> {
    let query = callback.map(|name| format!("jsonp={}&", encoded(name))).unwrap_or_default();
    let more = format!("?{query}message={}", encoded(&format!("[{}]", message.text())));
    let request =
        Request { method: "GET".to_owned(), target: String::new(), headers: Headers::new(), body: Vec::new() };
    let body = browser.send_request(&more, request);
    browser.response_on(body.carrier, body.entry).await
}

/// A text as it stands in a query.
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// The messages that a response gives to its function, if it is such a call.
fn called(response: &Response, name: &str) -> Option<Vec<Message>> {
    let text = std::str::from_utf8(&response.body).ok()?.trim();
    let text = text.strip_prefix("/**/").unwrap_or(text).trim_end_matches(';');
    let argument = text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')')?;
    let batch = Batch::parse(argument.as_bytes(), &Limits::default()).ok()?;
    (!batch.single).then_some(batch.messages)
}

/// A session by long-polling whose server offers callback-polling too.
async fn with_callbacks(peer: &Peer) -> Result<Session, Stop> {
    let browser = peer.browser();
    let sent = browser.send(browser.handshake_draft()).await?;
    let reply = browser.reply_to(&sent, "BX-HS-06").await?;
    let session = browser.session_of(&reply)?;
    let types = reply.message().value("supportedConnectionTypes").unwrap_or_default();
    if !types.as_array().is_some_and(|types| types.iter().any(|name| name == "callback-polling")) {
        let says = "the server does not offer callback-polling".to_owned();
        return Err(Stop::NotApplicable { says, frames: vec![reply.frame()] });
    }
    session.first_connect().await?;
    Ok(session)
}

/// A message by GET is answered with a call of the function that it names, with one array.
pub(super) async fn callback_called(peer: Peer) -> Verdict {
    const NAME: &str = "tapestry_1";
    with_callbacks(&peer).await?;
    let browser = peer.browser();
    let id = peer.with(|net| net.next_id(browser.number));
    let (entry, response) = call(&browser, Some(NAME), &browser.handshake_draft().id(Some(&id)).finish()).await?;
    let messages = called(&response, NAME);
    let observed = format!("HTTP status {} with {} bytes", response.status, response.body.len());
    let is_call = response.status == 200 && messages.is_some();
    peer.must_at("BX-CP-02", entry, is_call, "a call of the function with an array", observed)?;
    let client_id = messages.iter().flatten().find_map(|message| message.client_id().cloned());
    if let Some(client_id) = &client_id {
        peer.with(|net| net.open_session(browser.number, client_id));
        // CometD knows a session by the transport that opened it.
        asked(&browser, Message::draft(channel::DISCONNECT).client(client_id)).await?;
        peer.with(|net| net.forget_session(client_id));
    }
    let answered = messages.iter().flatten().any(|message| message.successful() == Some(true)) && client_id.is_some();
    let observed = if answered { "it holds it" } else { "it does not" };
    peer.must_at("BX-CP-04", entry, answered, "the handshake reply in the array", observed)
}

/// The name of a function is not given back as it comes: a page must not be made to run what a link says.
pub(super) async fn callback_name_checked(peer: Peer) -> Verdict {
    const NAME: &str = "alert(1);cb";
    let session = with_callbacks(&peer).await?;
    let id = peer.with(|net| net.next_id(session.browser.number));
    let message = sentinel().client(&session.client_id).id(Some(&id)).finish();
    let (entry, response) = call(&session.browser, Some(NAME), &message).await?;
    session.sane("BX-SB-03").await?;
    let reflected = response.status == 200 && String::from_utf8_lossy(&response.body).contains(NAME);
    let observed =
        if reflected { "it was given back as it came".to_owned() } else { format!("HTTP status {}", response.status) };
    peer.must_at("BX-CP-05", entry, !reflected, "a name that is code refused", observed)
}

/// What a server makes of a GET that names no function.
pub(super) async fn callback_name_missing(peer: Peer) -> Verdict {
    let session = with_callbacks(&peer).await?;
    let id = peer.with(|net| net.next_id(session.browser.number));
    let message = sentinel().client(&session.client_id).id(Some(&id)).finish();
    let (entry, response) = call(&session.browser, None, &message).await?;
    session.sane("BX-SB-03").await?;
    let called = called(&response, "jsonpcallback").is_some();
    let says = if called { "a call of `jsonpcallback`".to_owned() } else { format!("HTTP status {}", response.status) };
    peer.observe("BX-CP-03", format!("a GET that names no function: {says}"), Frame { entry, message: None })
}

/// Over callback-polling events come with connects alone.
pub(super) async fn callback_events_with_connect(peer: Peer) -> Verdict {
    with_callbacks(&peer).await?;
    let browser = peer.browser();
    let (room, word) = (peer.room(), Value::from(peer.word("tapestry")));
    let (_, messages) = asked(&browser, browser.handshake_draft()).await?;
    let client_id = messages.iter().find_map(|message| message.client_id().cloned());
    let client_id = client_id.ok_or_else(|| Stop::Blocked {
        root: "BX-CP-04 (bayeux.callback.function-called)".to_owned(),
        says: "a handshake by callback-polling brought no session".to_owned(),
        frames: Vec::new(),
    })?;
    peer.with(|net| net.open_session(browser.number, &client_id));
    let connect = || {
        let draft = Message::draft(channel::CONNECT).client(&client_id).with("connectionType", "callback-polling");
        draft.with("advice", json!({"timeout": 0}))
    };
    asked(&browser, connect()).await?;
    let subscribe = Message::draft(channel::SUBSCRIBE).client(&client_id).with("subscription", room.as_str());
    let (entry, messages) = asked(&browser, subscribe).await?;
    if messages.iter().any(|message| message.error_code() == Some(403)) {
        let says = "the server denies broadcast channels to its clients".to_owned();
        return Err(Stop::NotApplicable { says, frames: vec![Frame { entry, message: None }] });
    }
    let holds_event =
        |messages: &[Message]| messages.iter().any(|message| message.value("data").as_ref() == Some(&word));
    let publish = Message::draft(&room).client(&client_id).with("data", word.clone());
    let (entry, messages) = asked(&browser, publish).await?;
    let early = holds_event(&messages);
    let acknowledged = messages.iter().any(|message| message.successful() == Some(true));
    let (_, messages) = asked(&browser, connect()).await?;
    let brought = holds_event(&messages);
    asked(&browser, Message::draft(channel::DISCONNECT).client(&client_id)).await?;
    peer.with(|net| net.forget_session(&client_id));
    let observed =
        format!("acknowledged {acknowledged}, with the event {early}, which the next connect brings {brought}");
    let expected = "the publish acknowledged, and its event with the next connect";
    peer.must_at("BX-CP-07", entry, acknowledged && !early && brought, expected, observed)
}

/// Asks by callback-polling; gives what the function is called with.
async fn asked(browser: &Browser, draft: Draft) -> Result<(usize, Vec<Message>), Stop> {
    const NAME: &str = "tapestry_2";
    let id = browser.peer.with(|net| net.next_id(browser.number));
    let (entry, response) = call(browser, Some(NAME), &draft.id(Some(&id)).finish()).await?;
    Ok((entry, called(&response, NAME).unwrap_or_default()))
}

//! Publishes to broadcast channels, and what becomes of their data (Bayeux 5).

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::wire::Transport;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::peer::{Net, Peer, Received};
use crate::verdict::{Stop, Verdict};

/// Data arrives as it was sent, whatever JSON it is.
pub(super) async fn data_arrives_unchanged(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let room = peer.room();
    listener.subscribe(room.as_str()).await?;
    let mark = peer.mark();
    let raw = RawValue::from_string(r#""\u00e9\u6f22\ud83d\ude00 escaped""#.to_owned());
    let raw = raw.map_err(|_| Stop::Error("a text is no JSON".to_owned()))?;
    let sent = speaker.send(speaker.draft(&room).with_raw("data", raw)).await?;
    speaker.reply_to(&sent, "BX-PB-06").await?;
    let values = vec![
        json!("é漢😀 \"\\\n\t"),
        json!(0),
        json!(-17),
        json!(false),
        json!(""),
        json!([]),
        json!({"a": [1, null, {"b": {"c": [true, "d"]}}]}),
        json!("x".repeat(20_000)),
    ];
    let mut last = sent;
    for value in &values {
        last = speaker.tell(&room, value.clone()).await?;
    }
    let event = listener.hears(&last, &values[values.len() - 1], "BX-FLD-14").await?;
    let came: Vec<Value> =
        listener.events_since(mark).iter().filter_map(|event| event.message().value("data")).collect();
    let texts = [json!("é漢😀 escaped"), values[0].clone()].iter().all(|text| came.contains(text));
    event.must_show("BX-MSG-06", texts, "every character as it was sent", "a text came otherwise".to_owned())?;
    let others = values.iter().all(|value| came.contains(value));
    event.must_show("BX-FLD-14", others, "all data as it was sent", "some data came otherwise".to_owned())
}

/// What one client publishes arrives in its order.
pub(super) async fn order_kept(peer: Peer) -> Verdict {
    const MANY: u64 = 8;
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let room = peer.room();
    listener.subscribe(room.as_str()).await?;
    let mark = peer.mark();
    for number in 1..MANY {
        speaker.tell(&room, number).await?;
    }
    let sent = speaker.tell(&room, MANY).await?;
    let event = listener.hears(&sent, &MANY.into(), "BX-DL-09").await?;
    let came: Vec<u64> =
        listener.events_since(mark).iter().filter_map(|event| event.message().value("data")?.as_u64()).collect();
    let observed = format!("they came as {came:?}");
    event.must_show(
        "BX-DL-09",
        came == (1..=MANY).collect::<Vec<_>>(),
        "the events in order of the publishes",
        observed,
    )
}

/// A client's own event rides with the reply that is due anyway, ahead of it, and leaves the held connect alone.
pub(super) async fn own_event_comes_with_reply(peer: Peer) -> Verdict {
    const HOLD: Duration = Duration::from_millis(1_500);
    let session = peer.session().await?;
    let room = peer.room();
    session.subscribe(room.as_str()).await?;
    let connect = session.connect(Some(HOLD)).await?;
    session.sane("BX-GEN-02").await?;
    let word = Value::from(peer.word("tapestry"));
    let sent = session.tell(&room, word.clone()).await?;
    let reply = session.reply_to(&sent, "BX-PB-06").await?;
    let event = session.hears(&sent, &word, "BX-DL-01").await?;
    let pass = match peer.transport() {
        Transport::LongPolling => {
            let rides = event.came_on_carrier_of(&sent);
            let observed = if rides { "it did" } else { "it came with the connect" }.to_owned();
            event.should_show("BX-DL-05", rides, "the event in the response to the publish", observed)
        }
        Transport::WebSocket | Transport::CallbackPolling => Ok(()),
    };
    pass?;
    let released = session.reply_to(&connect, "BX-CN-06").within(HOLD * 3).await?;
    let held = released.at() - connect.at;
    let observed = format!("the connect was answered after {} ms", held.as_millis());
    let expected = "the connect held in spite of the client's own event";
    released.should_show("BX-DL-52", held + Duration::from_millis(200) >= HOLD, expected, observed)?;
    let observed = if event.came_before(&reply) { "event, reply" } else { "reply, event" }.to_owned();
    event.must_show("BX-DL-50", event.came_before(&reply), "the event before the reply", observed)
}

/// A subscribe and a publish in one array: both are answered, and the event comes.
pub(super) async fn subscribe_and_publish_together(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (room, word) = (peer.room(), Value::from(peer.word("tapestry")));
    let next = || peer.with(|net| net.next_id(session.browser.number));
    let messages = vec![
        session.draft(channel::SUBSCRIBE).id(Some(&next())).with("subscription", room.as_str()).finish(),
        session.draft(&room).id(Some(&next())).with("data", word.clone()).finish(),
    ];
    let sent = session.browser.send_together(messages).await?;
    let [subscribe, publish] = &sent[..] else { return Err(Stop::Error("two messages were not sent".to_owned())) };
    let reply = session.reply_to(subscribe, "BX-PB-03").await?;
    session.not_denied(&reply)?;
    reply.must("BX-PB-03", reply.message().successful() == Some(true), "`successful` true of the subscribe")?;
    let reply = session.reply_to(publish, "BX-PB-03").await?;
    reply.must("BX-PB-03", reply.message().successful() == Some(true), "`successful` true of the publish")?;
    let event = session.hears(publish, &word, "BX-SB-05").await?;
    event.must("BX-SB-05", true, "the event of a publish behind its subscribe")
}

/// Which members of a publish its event has.
pub(super) async fn members_of_event(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let (room, word) = (peer.room(), Value::from(peer.word("tapestry")));
    listener.subscribe(room.as_str()).await?;
    let draft = speaker
        .draft(&room)
        .with("data", word.clone())
        .with("ext", json!({"tapestry": true}))
        .with("timestamp", "2026-01-01T00:00:00.00")
        .with("tapestry", true);
    let sent = speaker.send(draft).await?;
    let reply = speaker.reply_to(&sent, "BX-PB-06").await?;
    speaker.not_denied(&reply)?;
    let event = listener.hears(&sent, &word, "BX-DL-01").await?;
    let members = ["id", "ext", "timestamp", "tapestry"];
    let kept: Vec<&str> = members.into_iter().filter(|name| event.message().member(name).is_some()).collect();
    let says = format!("of `{}` of a publish its event has `{}`", members.join(" "), kept.join(" "));
    peer.observe("BX-DL-51", says, event.frame())
}

/// What a server makes of a publish without data.
pub(super) async fn without_data(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let sent = session.send(session.draft(&peer.room())).await?;
    let fared = session.fared(&sent).await;
    let alive = session.sane("BX-SB-03").await?;
    peer.observe("BX-FLD-13", format!("a publish without data: {}", fared.describe()), alive.frame())
}

/// What a server makes of a publish to a pattern.
pub(super) async fn to_pattern(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let draft = session.draft(&format!("{}/*", peer.room())).with("data", peer.word("tapestry"));
    let sent = session.send(draft).await?;
    let fared = session.fared(&sent).await;
    let alive = session.sane("BX-SB-03").await?;
    peer.observe("BX-CH-09", format!("a publish to a pattern: {}", fared.describe()), alive.frame())
}

/// A publish of nobody is answered; whether it is taken is the server's choice.
pub(super) async fn unconnected(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let stranger = peer.browser();
    let sent = stranger.send(Message::draft(&peer.room()).with("data", peer.word("tapestry"))).await?;
    let reply = stranger.reply_to(&sent, "BX-UN-02").await?;
    let taken = reply.message().successful() == Some(true);
    let pass = reply.must("BX-UN-02", reply.message().successful().is_some(), "a reply with `successful`")?;
    let says = if taken { "it was accepted".to_owned() } else { refused(&reply) };
    peer.observe("BX-UN-01", format!("a publish without a session: {says}"), reply.frame())?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

fn refused(reply: &Received) -> String {
    reply
        .message()
        .error_code()
        .map_or_else(|| "it was refused".to_owned(), |code| format!("it was refused with {code}"))
}

/// Each message of an array speaks for its own session, and for none that is not the sender's.
pub(super) async fn second_message_checked(peer: Peer) -> Verdict {
    let (own, victim) = (peer.session().await?, peer.session().await?);
    let next = || peer.with(|net| net.next_id(own.browser.number));
    let messages = vec![
        own.draft(channel::SUBSCRIBE).id(Some(&next())).with("subscription", "/service/tapestry/own").finish(),
        victim.draft(channel::SUBSCRIBE).id(Some(&next())).with("subscription", "/service/tapestry/foreign").finish(),
    ];
    let sent = own.browser.send_together(messages).await?;
    let [first, second] = &sent[..] else { return Err(Stop::Error("two messages were not sent".to_owned())) };
    own.reply_to(first, "BX-SB-03").await?;
    let reply = own.reply_to(second, "BX-SB-03").await?;
    let pass = reply.must("BX-SEC-05", reply.message().successful() == Some(false), "`successful` false")?;
    own.sane("BX-SB-03").await?;
    victim.sane("BX-SB-03").await?;
    Ok(pass)
}

/// The replies to one frame come in one frame.
pub(super) async fn replies_in_one_frame(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let messages = ["one", "two", "three"].map(|name| {
        let id = peer.with(|net| net.next_id(session.browser.number));
        let draft = session.draft(channel::SUBSCRIBE).id(Some(&id));
        draft.with("subscription", format!("/service/tapestry/{name}")).finish()
    });
    let sent = session.browser.send_together(messages.to_vec()).await?;
    let mut frames = Vec::new();
    let mut last = None;
    for sent in &sent {
        let reply = session.reply_to(sent, "BX-MSG-04").await?;
        frames.push(reply.frame().entry);
        last = Some(reply);
    }
    frames.dedup();
    let last = last.ok_or_else(|| Stop::Error("a batch of three left no reply".to_owned()))?;
    last.must_show("BX-WS-06", frames.len() == 1, "one frame of replies", format!("{} frames came", frames.len()))
}

/// Events are pushed as soon as there is a session, before its first connect.
pub(super) async fn before_first_connect(peer: Peer) -> Verdict {
    let speaker = peer.session().await?;
    let listener = peer.browser().handshake().await?;
    let (room, word) = (peer.room(), Value::from(peer.word("tapestry")));
    listener.subscribe(room.as_str()).await?;
    let sent = speaker.tell(&room, word.clone()).await?;
    let event = listener.hears_within(&sent, &word, "BX-WS-50", Duration::from_secs(2)).await?;
    event.must("BX-WS-50", true, "an event before the first connect")
}

/// A new socket takes a session over: events and connects are answered there, and the end of the old one harms nothing.
pub(super) async fn new_socket_takes_over(peer: Peer) -> Verdict {
    const HOLD: Duration = Duration::from_millis(1_200);
    let (session, speaker) = (peer.session().await?, peer.session().await?);
    let (room, number) = (peer.room(), session.browser.number);
    let subscribed = session.subscribe(room.as_str()).await?;
    let old = subscribed.carrier();
    peer.with(|net| net.leave_socket(number));
    let reply = session.first_connect().await;
    let reply = match reply {
        Err(Stop::Blocked { frames, .. }) if !frames.is_empty() => {
            let observed = "the session was refused on another socket";
            return Err(peer.broken("BX-WS-09", "the session to go on", observed, frames));
        }
        other => other?,
    };
    let elsewhere = reply.carrier() != old;
    reply.must("BX-WS-09", elsewhere, "the session to go on with the same clientId on another socket")?;
    // It is told before a connect is held there: so it must find the new socket by itself.
    let word = Value::from(peer.word("tapestry"));
    let sent = speaker.tell(&room, word.clone()).await?;
    let event = session.hears(&sent, &word, "BX-WS-52").await?;
    event.must("BX-WS-52", event.carrier() == reply.carrier(), "the event on the new socket")?;
    let connect = session.connect(Some(HOLD)).await?;
    session.sane("BX-GEN-02").await?;
    peer.with(|net: &mut Net| net.close_socket(old));
    let reply = match session.reply_to(&connect, "BX-WS-53").within(HOLD * 4).await {
        Err(Stop::Inconclusive { says, frames }) if !frames.is_empty() => {
            return Err(peer.broken("BX-WS-53", "the connect answered on the new socket", says, frames));
        }
        other => other?,
    };
    let held = reply.message().successful() == Some(true);
    reply.must("BX-WS-53", held, "the connect answered, though the old socket was closed meanwhile")
}

//! Subscriptions and broadcast channels (Bayeux 2.2, 4.5, 4.6).

use std::time::Duration;

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use serde_json::{Value, json};

use crate::peer::{Fared, Peer, Received, Session};
use crate::verdict::{Stop, Verdict};

/// An event reaches whoever subscribed to its channel.
pub(super) async fn brings_events(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let room = peer.room();
    listener.subscribe(room.as_str()).await?;
    let word = Value::from(peer.word("tapestry"));
    let sent = speaker.tell(&room, word.clone()).await?;
    let event = listener.hears(&sent, &word, "BX-DL-01").await?;
    event.must("BX-DL-01", true, "the event of a publish")
}

/// One name, one pattern, or a list of both; each is echoed as it came.
pub(super) async fn takes_all_forms(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let (room, other) = (peer.room(), peer.room());
    for form in [json!(room), json!(format!("{room}/*")), json!([other, format!("{other}/**")])] {
        let reply = listener.subscribe(form.clone()).await?;
        let echoed = reply.message().value("subscription") == Some(form);
        reply.must("BX-FLD-16", echoed, "the subscription as it was asked for")?;
    }
    let mut last = None;
    for channel in [room.clone(), format!("{room}/one"), other.clone(), format!("{other}/one/two")] {
        let word = Value::from(peer.word("tapestry"));
        let sent = speaker.tell(&channel, word.clone()).await?;
        let event = listener.hears(&sent, &word, "BX-SB-02").await?;
        last = Some(event.must("BX-SB-02", true, "the events of every subscription")?);
    }
    last.ok_or_else(|| Stop::Error("four publishes brought no event".to_owned()))
}

/// Who subscribes twice, or to patterns that overlap, gets one copy of each event.
pub(super) async fn overlapping_gives_one_copy(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let parent = peer.room();
    let room = format!("{parent}/overlap");
    listener.subscribe(room.as_str()).await?;
    let sent = listener.send(listener.draft(channel::SUBSCRIBE).with("subscription", room.as_str())).await?;
    let reply = listener.reply_to(&sent, "BX-SB-03").await?;
    reply.must("BX-SB-07", reply.message().successful() == Some(true), "`successful` true, the second time too")?;
    for form in [format!("{parent}/*"), format!("{parent}/**")] {
        listener.subscribe(form).await?;
    }
    let mark = peer.mark();
    let (first, second) = (Value::from(peer.word("tapestry")), Value::from(peer.word("tapestry")));
    speaker.tell(&room, first.clone()).await?;
    let sent = speaker.tell(&room, second.clone()).await?;
    let last = listener.hears(&sent, &second, "BX-DL-01").await?;
    let copies = listener.heard(mark, &first).len();
    last.must_show("BX-DL-08", copies == 1, "one copy of an event", format!("{copies} copies came"))
}

/// A subscription to a list of nothing is answered with a reply that says how it went.
pub(super) async fn to_nothing_answered(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let sent = session.send(session.draft(channel::SUBSCRIBE).with("subscription", json!([]))).await?;
    let until = sent.at + Duration::from_secs(3);
    let under_its_id = |net: &crate::peer::Net| {
        net.inbox[sent.mark..].iter().find(|arrival| arrival.message.id() == sent.id.as_ref()).cloned()
    };
    let reply = peer.wait(until, under_its_id).await.map(|arrival| session.browser.received(arrival));
    let alive = session.sane("BX-SB-03").await?;
    let Some(reply) = reply else {
        return alive.must_show("BX-FLD-15", false, "a reply with `successful`", "no reply came".to_owned());
    };
    reply.must("BX-FLD-15", reply.message().successful().is_some(), "a reply with `successful`")
}

/// What is left of a list of subscriptions of which one is refused.
pub(super) async fn partly_refused(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let (before, behind, control) = (peer.room(), peer.room(), peer.room());
    listener.subscribe(control.as_str()).await?;
    let draft = listener.draft(channel::SUBSCRIBE).with("subscription", json!([before, "/meta/connect", behind]));
    let sent = listener.send(draft).await?;
    let fared = listener.fared(&sent).await;
    let mark = peer.mark();
    let words = [(); 3].map(|()| Value::from(peer.word("tapestry")));
    speaker.tell(&before, words[0].clone()).await?;
    speaker.tell(&behind, words[1].clone()).await?;
    let last = speaker.tell(&control, words[2].clone()).await?;
    let event = listener.hears(&last, &words[2], "BX-DL-01").await?;
    let there =
        |word: &Value| if listener.heard(mark, word).is_empty() { "is not subscribed" } else { "is subscribed" };
    let says = format!(
        "a list whose second element is refused: {}; the first {}, the third {}",
        fared.describe(),
        there(&words[0]),
        there(&words[1]),
    );
    peer.observe("BX-SB-06", says, event.frame())
}

/// A meta channel is nothing to subscribe to.
pub(super) async fn meta_channel_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let sent = session.send(session.draft(channel::SUBSCRIBE).with("subscription", channel::CONNECT)).await?;
    let reply = session.reply_to(&sent, "BX-SB-03").await?;
    let pass = reply.must("BX-META-51", reply.message().successful() == Some(false), "`successful` false")?;
    reply.should("BX-SB-08", reply.message().error().is_some(), "an error with the refusal")?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// Without a session there is nothing but refusals, and each is told.
pub(super) async fn without_session_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let stranger = peer.browser();
    let sent = stranger.send(Message::draft(channel::SUBSCRIBE).with("subscription", peer.room())).await?;
    let reply = stranger.reply_to(&sent, "BX-UN-03").await?;
    reply.must("BX-SB-09", reply.message().successful() == Some(false), "`successful` false")?;
    let draft = Message::draft(channel::CONNECT)
        .with("connectionType", peer.transport().name())
        .with("advice", json!({"timeout": 0}));
    let sent = stranger.send(draft).await?;
    let reply = stranger.reply_to(&sent, "BX-UN-03").await?;
    let pass = reply.must("BX-UN-03", reply.message().successful() == Some(false), "`successful` false")?;
    let advice = reply.message().advice().and_then(|advice| advice.reconnect);
    reply.should("RC-01", advice == Some(Reconnect::Handshake), "advice to handshake")?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// What names no channel is refused in a reply.
pub(super) async fn without_channel_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let mut last = None;
    for subscription in [None, Some(json!(5)), Some(json!({}))] {
        let sent = session.send(session.draft(channel::SUBSCRIBE).with_some("subscription", subscription)).await?;
        let reply = session.reply_to(&sent, "BX-SB-51").await?;
        last = Some(reply.must("BX-SB-51", reply.message().successful() == Some(false), "`successful` false")?);
        session.sane("BX-SB-03").await?;
    }
    last.ok_or_else(|| Stop::Error("three subscriptions left no reply".to_owned()))
}

/// Subscriptions end with their session: the next one of the same client has none of them.
pub(super) async fn ends_with_session(peer: Peer) -> Verdict {
    let speaker = peer.session().await?;
    let session = peer.session().await?;
    let (room, control) = (peer.room(), peer.room());
    session.subscribe(room.as_str()).await?;
    let sent = session.disconnect().await?;
    session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    // A server may close the socket of a session that is over.
    session.browser.cut();
    let again = session.browser.handshake().await?;
    again.first_connect().await?;
    again.keep_connected();
    again.subscribe(control.as_str()).await?;
    let mark = peer.mark();
    let event = silent_but_for(&again, &speaker, &room, &control).await?;
    let came = again.events_since(mark).len();
    event.must_show(
        "BX-SB-10",
        came == 1,
        "no events of the old session's subscriptions",
        format!("{came} events came"),
    )
}

/// Publishes to a channel from which nothing is to come, then to one whose event shows that all that was before has come.
async fn silent_but_for(listener: &Session, speaker: &Session, room: &str, control: &str) -> Result<Received, Stop> {
    speaker.tell(room, listener.peer().word("silent")).await?;
    let word = Value::from(listener.peer().word("tapestry"));
    let sent = speaker.tell(control, word.clone()).await?;
    listener.hears(&sent, &word, "BX-DL-01").await
}

/// After an unsubscribe nothing comes any more.
pub(super) async fn unsubscribe_stops_events(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let (room, control) = (peer.room(), peer.room());
    listener.subscribe(json!([room, control])).await?;
    let word = Value::from(peer.word("tapestry"));
    let sent = speaker.tell(&room, word.clone()).await?;
    listener.hears(&sent, &word, "BX-DL-01").await?;
    let sent = listener.send(listener.draft(channel::UNSUBSCRIBE).with("subscription", room.as_str())).await?;
    let reply = listener.reply_to(&sent, "BX-US-02").await?;
    reply.must("BX-US-02", reply.message().successful() == Some(true), "`successful` true")?;
    let mark = peer.mark();
    let event = silent_but_for(&listener, &speaker, &room, &control).await?;
    let came = listener.events_since(mark).len();
    event.must_show("BX-US-03", came == 1, "nothing of the channel that was left", format!("{came} events came"))
}

/// What a server says to an unsubscribe from what was never subscribed, alone and beside a subscription that is there.
pub(super) async fn unsubscribe_from_nothing(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let (room, control) = (peer.room(), peer.room());
    listener.subscribe(json!([room, control])).await?;
    let unsubscribe = |subscription: Value| listener.draft(channel::UNSUBSCRIBE).with("subscription", subscription);
    let sent = listener.send(unsubscribe(json!(peer.room()))).await?;
    let alone = listener.fared(&sent).await;
    let sent = listener.send(unsubscribe(json!([room, peer.room()]))).await?;
    let beside = listener.fared(&sent).await;
    let mark = peer.mark();
    let event = silent_but_for(&listener, &speaker, &room, &control).await?;
    let left = if listener.events_since(mark).len() == 1 { "was left" } else { "was not left" };
    let says = format!("an unsubscribe from a channel that nobody knows: {}", alone.describe());
    peer.observe("BX-US-05", says, event.frame())?;
    let says = format!("the same beside a subscription: {}, and the subscription {left}", beside.describe());
    peer.observe("BX-US-06", says, event.frame())
}

/// The channels of some publishes, in the order in which their events came; the last of them must come.
async fn reached(listener: &Session, speaker: &Session, channels: &[String]) -> Result<(Vec<String>, Received), Stop> {
    let mark = listener.peer().mark();
    let mut last = None;
    for channel in channels {
        let word = Value::from(listener.peer().word("tapestry"));
        last = Some((speaker.tell(channel, word.clone()).await?, word));
    }
    let (sent, word) = last.ok_or_else(|| Stop::Error("nothing was published".to_owned()))?;
    let event = listener.hears(&sent, &word, "BX-DL-01").await?;
    let came =
        listener.events_since(mark).iter().filter_map(|event| event.message().channel().map(str::to_owned)).collect();
    Ok((came, event))
}

/// Judges which of some channels a subscription reaches, told by what stands behind the room's name.
async fn reaches(
    peer: &Peer,
    clause: &str,
    subscription: &str,
    asked: &[&str],
    wanted: &[&str],
) -> Result<(Received, String), Stop> {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let room = peer.room();
    listener.subscribe(format!("{room}{subscription}")).await?;
    let channels: Vec<String> = asked.iter().map(|more| format!("{room}{more}")).collect();
    let (came, event) = reached(&listener, &speaker, &channels).await?;
    let came: Vec<&str> = came.iter().map(|channel| channel.strip_prefix(&room).unwrap_or(channel)).collect();
    let observed = format!("of `{}` came `{}`", asked.join(" "), came.join(" "));
    event.must_show(clause, came == wanted, &format!("events of `{}` alone", wanted.join(" ")), observed.clone())?;
    Ok((event, observed))
}

/// `*` stands for one more segment.
pub(super) async fn star_matches_one_segment(peer: Peer) -> Verdict {
    let asked = ["/a/b", "x/a", "", "/a"];
    let (event, observed) = reaches(&peer, "BX-CH-05", "/*", &asked, &["/a"]).await?;
    event.must_show("BX-CH-05", true, "events one segment below", observed)
}

/// `**` stands for one or more further segments.
pub(super) async fn double_star_matches_all_below(peer: Peer) -> Verdict {
    let asked = ["/a/b/c", "x/a", "", "/a"];
    let (event, observed) = reaches(&peer, "BX-CH-06", "/**", &asked, &["/a/b/c", "/a"]).await?;
    event.must_show("BX-CH-06", true, "events of all that is below", observed)
}

/// Upper and lower case are two channels.
pub(super) async fn case_matters(peer: Peer) -> Verdict {
    let (event, observed) = reaches(&peer, "BX-CH-10", "/name", &["/NAME", "/name"], &["/name"]).await?;
    event.must_show("BX-CH-10", true, "events of the very name", observed)
}

/// `/**` is every broadcast channel, and neither meta nor service channels.
pub(super) async fn everything_but_meta_and_service(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    listener.subscribe("/**").await?;
    let mark = peer.mark();
    let (room, private) = (peer.room(), Value::from(peer.word("private")));
    let sent = speaker.send(speaker.draft("/service/tapestry/private").with("data", private.clone())).await?;
    speaker.reply_to(&sent, "BX-PB-05").await?;
    speaker.sane("BX-SB-03").await?;
    let other = peer.session().await?;
    let sent = other.disconnect().await?;
    other.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    let channels = [format!("{room}/a/b"), room];
    let (came, event) = reached(&listener, &speaker, &channels).await?;
    let all = channels.iter().all(|channel| came.contains(channel));
    event.must_show("BX-CH-08", all, "the events of every broadcast channel", "an event did not come".to_owned())?;
    let meta = came.iter().filter(|channel| channel::is_meta(channel)).count();
    let observed = format!("{meta} messages of meta channels came");
    event.must_show("BX-META-02", meta == 0, "no message of a meta channel", observed)?;
    let leaked = listener.heard(mark, &private).len();
    let observed = format!("{leaked} messages of a service channel came");
    event.must_show("BX-SVC-01", leaked == 0, "no message of a service channel", observed)
}

/// What one client says to a service no other one hears, subscribed or not; `/services` is a channel like any other.
pub(super) async fn service_messages_stay_private(peer: Peer) -> Verdict {
    let (listener, speaker) = peer.listener_and_speaker().await?;
    let name = peer.room();
    let (service, services) = (format!("/service{name}"), format!("/services{name}"));
    let sent = listener.send(listener.draft(channel::SUBSCRIBE).with("subscription", service.as_str())).await?;
    listener.reply_to(&sent, "BX-SB-03").await?;
    listener.subscribe(services.as_str()).await?;
    let mark = peer.mark();
    let private = Value::from(peer.word("private"));
    let sent = speaker.send(speaker.draft(&service).with("data", private.clone())).await?;
    speaker.reply_to(&sent, "BX-PB-05").await?;
    let word = Value::from(peer.word("tapestry"));
    let sent = speaker.tell(&services, word.clone()).await?;
    let event = listener.hears(&sent, &word, "BX-CH-04").await?;
    let pass = event.must("BX-CH-04", true, "an ordinary channel under `/services`")?;
    let leaked = listener.heard(mark, &private).len();
    let observed = format!("{leaked} messages of another client came");
    let expected = "a subscription to a service channel that changes nothing";
    event.should_show("BX-SVC-02", leaked == 0, expected, observed.clone())?;
    event.must_show("BX-SVC-01", leaked == 0, "nothing of what another client says to a service", observed)?;
    Ok(pass)
}

/// What is no channel's name is nothing to publish to, and does no more harm than to its own message.
pub(super) async fn bad_name_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let mut last = None;
    for (clause, more) in [("BX-CH-01", "//b"), ("BX-CH-02", "/<b>")] {
        let draft = session.draft(&format!("{}{more}", peer.room())).with("data", peer.word("tapestry"));
        let sent = session.send(draft).await?;
        let fared = session.fared(&sent).await;
        let alive = session.sane("BX-SB-03").await?;
        let refused = !matches!(fared, Fared::Accepted(_));
        let expected = format!("a publish to `…{more}` refused, and the session alive");
        last = Some(alive.must_show(clause, refused, &expected, fared.describe())?);
    }
    last.ok_or_else(|| Stop::Error("nothing was published".to_owned()))
}

/// A wildcard in the middle is no pattern, and spoils no message but its own.
pub(super) async fn inner_wildcard_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let subscriptions = ["/service/tapestry/good".to_owned(), format!("{}/*/b", peer.room())];
    let messages = subscriptions.map(|subscription| {
        let id = peer.with(|net| net.next_id(session.browser.number));
        session.draft(channel::SUBSCRIBE).id(Some(&id)).with("subscription", subscription).finish()
    });
    let sent = session.browser.send_together(messages.to_vec()).await?;
    let [good, bad] = &sent[..] else { return Err(Stop::Error("two messages were not sent as two".to_owned())) };
    let (fared, beside) = (session.fared(bad).await, session.fared(good).await);
    let alive = session.sane("BX-SB-03").await?;
    let refused = !matches!(fared, Fared::Accepted(_));
    let pass = alive.must_show("BX-CH-07", refused, "a subscription to `…/*/b` refused", fared.describe())?;
    let answered = matches!(beside, Fared::Accepted(_) | Fared::Refused(_));
    let observed = format!("a proper message in the same array: {}", beside.describe());
    alive.should_show("BX-CH-50", answered, "the other message of the array answered", observed)?;
    Ok(pass)
}

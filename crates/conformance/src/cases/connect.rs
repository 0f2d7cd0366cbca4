//! Connects: answered, held, released (Bayeux 4.2, 6.1).

use std::time::Duration;

use protocol::bayeux::advice::Reconnect;
use protocol::bayeux::channel;
use protocol::bayeux::message::Message;
use protocol::chat::notification::ParticipantType;
use protocol::wire::Transport;
use serde_json::json;

use crate::actor::{Step, Turn};
use crate::peer::{Carrier, Fate, Net, PATIENCE, Peer, Seen, Sent, Session, sentinel};
use crate::verdict::{Stop, Verdict};

/// How long a connect asks to be held.
const HOLD: Duration = Duration::from_millis(1_500);

/// How much an answer at once may take.
const AT_ONCE: Duration = Duration::from_millis(1_000);

/// The first connect of a session is answered at once, on the carrier by which it came.
pub(super) async fn first_answered_at_once(peer: Peer) -> Verdict {
    let session = peer.browser().handshake().await?;
    let sent = session.connect(None).await?;
    let reply = session.reply_to(&sent, "BX-CN-50").within(Duration::from_secs(15)).await?;
    reply.must("BX-CN-06", reply.came_on_carrier_of(&sent), "the reply on the carrier of the connect")?;
    reply.must("BX-CN-08", reply.message().successful() == Some(true), "`successful` true")?;
    let took = reply.at() - sent.at;
    let observed = format!("answered after {} ms", took.as_millis());
    let pass = reply.must_show("BX-CN-50", took < AT_ONCE, "an answer at once", observed)?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// A connect is held as long as it asks, and other messages are answered meanwhile.
pub(super) async fn held_as_long_as_asked(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let sent = session.connect(Some(HOLD)).await?;
    let meanwhile = session.sane("BX-GEN-02").await?;
    let reply = session.reply_to(&sent, "BX-CN-06").within(Duration::from_secs(40)).await?;
    reply.need("BX-CN-08", reply.message().successful() == Some(true), "`successful` true")?;
    let held = reply.at() - sent.at;
    let observed = format!("answered after {} ms", held.as_millis());
    let expected = "an answer after the 1500 ms asked for, and not much later";
    let as_asked = (HOLD - Duration::from_millis(100)..HOLD + Duration::from_secs(3)).contains(&held);
    reply.must_show("BX-ADV-09", as_asked, expected, observed)?;
    meanwhile.must("BX-GEN-02", meanwhile.at() < reply.at(), "an answer to another message while the connect is held")
}

/// A connect that asks not to be held is answered at once, and so is the one behind it.
pub(super) async fn not_held_when_asked(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    let mut last = None;
    for _ in 0..2 {
        let sent = session.connect(Some(Duration::ZERO)).await?;
        let reply = session.reply_to(&sent, "BX-CN-06").within(Duration::from_secs(40)).await?;
        reply.need("BX-CN-08", reply.message().successful() == Some(true), "`successful` true")?;
        let took = reply.at() - sent.at;
        let observed = format!("answered after {} ms", took.as_millis());
        last = Some(reply.must_show("BX-ADV-09", took < AT_ONCE, "an answer at once", observed)?);
    }
    session.sane("BX-SB-03").await?;
    last.ok_or_else(|| Stop::Error("two connects left no reply".to_owned()))
}

/// A connect of nobody is refused in a Bayeux reply that says to handshake.
pub(super) async fn unknown_client_refused(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let draft = Message::draft(channel::CONNECT)
        .with("clientId", peer.word("nobody").replace(' ', ""))
        .with("connectionType", peer.transport().name())
        .with("advice", json!({"timeout": 0}));
    let sent = session.send(draft).await?;
    let reply = session.reply_to(&sent, "BX-CN-11").await?;
    let pass = reply.must("BX-CN-11", reply.message().successful() == Some(false), "`successful` false")?;
    reply.should("BX-FLD-19", reply.message().error_code() == Some(402), "an error that begins with 402")?;
    let advice = reply.message().advice().and_then(|advice| advice.reconnect);
    reply.should("RC-01", advice == Some(Reconnect::Handshake), "advice to handshake again")?;
    session.sane("BX-CN-11").await?;
    Ok(pass)
}

/// An event that happens while a connect is held arrives at once: over long-polling it releases the connect, on a
/// WebSocket it is pushed and leaves the connect alone.
pub(super) async fn event_while_held(peer: Peer) -> Verdict {
    const HOLD: Duration = Duration::from_millis(2_500);
    const ANSWER: &str = "I am here";
    let session = peer.session().await?;
    // Over long-polling a connect may be held for as long as the agent needs; on a WebSocket its end is awaited.
    let hold = match peer.transport() {
        Transport::LongPolling | Transport::CallbackPolling => HOLD.max(peer.agent_takes()),
        Transport::WebSocket => HOLD,
    };
    match peer.transport() {
        Transport::LongPolling | Transport::CallbackPolling => session.keep_connected_by(Some(hold)),
        Transport::WebSocket => {
            // Until a connect has been held once CometD 4.0.9 sends events only behind the next message of the client. Real
            // clients have held one before they chat.
            let held = session.connect(Some(Duration::from_millis(200))).await?;
            let reply = session.reply_to(&held, "BX-CN-06").await?;
            reply.need("BX-CN-08", reply.message().successful() == Some(true), "`successful` true")?;
        }
    }
    let (chat, started) = session.start_chat().await?;
    let answer = Step::Say(format!("{ANSWER}."));
    chat.brief([Turn::at_once(Step::Join), Turn::once_written(answer.clone())]);
    chat.let_agent(Step::Join);
    chat.agent_event(&started.sent, "join", |seen| seen.is_by(&ParticipantType::Agent)).await?;
    let connect = match peer.transport() {
        Transport::LongPolling | Transport::CallbackPolling => None,
        Transport::WebSocket => Some(session.connect(Some(HOLD)).await?),
    };
    let word = peer.word("tapestry");
    let said = chat.say(&word).await?;
    chat.let_agent(answer);
    // A greeting may still be under way from before the connect. Who cannot be asked repeats what was written.
    let is_answer = |seen: &Seen| {
        let text = seen.event.text.as_deref().unwrap_or_default();
        seen.is_by(&ParticipantType::Agent) && (text.contains(ANSWER) || text.contains(&word))
    };
    let seen = chat.agent_event(&said, "answer", is_answer).await?;
    let received = seen.answer.received();
    let expected = format!("the event well before the {} ms are over for which the connect is held", hold.as_millis());
    let in_time = hold - Duration::from_millis(500);
    let Some(connect) = connect else {
        let held = received.carried_for();
        let observed = format!("{} came when the connect had been held for {} ms", seen.describe(), held.as_millis());
        if held >= in_time && peer.is_agent_slow() {
            return Err(too_slow(&seen));
        }
        return received.must_show("BX-LP-07", held < in_time, &expected, observed);
    };
    let waited = received.at() - connect.at;
    let observed = format!("{} came {} ms after the connect", seen.describe(), waited.as_millis());
    if waited >= in_time && peer.is_agent_slow() {
        return Err(too_slow(&seen));
    }
    let pass = received.must_show("BX-WS-05", waited < in_time, &expected, observed)?;
    let reply = session.reply_to(&connect, "BX-CN-06").await?;
    let held = reply.at() - connect.at;
    let observed = format!("the connect was answered after {} ms", held.as_millis());
    reply.should_show("BX-WS-07", held >= in_time, "the connect held in spite of the event", observed)?;
    Ok(pass)
}

/// An agent who takes his time may have written when the hold was over.
fn too_slow(seen: &Seen) -> Stop {
    let says = "the agent may have written just as the hold of the connect was over".to_owned();
    Stop::Inconclusive { says, frames: vec![seen.answer.frame()] }
}

/// What happens while no connect is outstanding comes with the next one.
pub(super) async fn brings_what_waited(peer: Peer) -> Verdict {
    const HOLD: Duration = Duration::from_millis(300);
    let session = peer.session().await?;
    session.keep_connected_by(Some(HOLD));
    let (chat, started) = session.start_chat().await?;
    let answer = Step::Say("I am here.".to_owned());
    chat.brief([Turn::at_once(Step::Join), Turn::once_written(answer.clone())]);
    chat.let_agent(Step::Join);
    chat.agent_event(&started.sent, "join", |seen| seen.is_by(&ParticipantType::Agent)).await?;
    session.stop_connecting();
    peer.pause(HOLD * 2).await;
    let said = chat.say(&peer.word("tapestry")).await?;
    session.reply_to(&said, "BX-PB-05").await?;
    chat.let_agent(answer);
    // Longer than that the server may not keep a session that does not connect.
    peer.pause(peer.agent_takes().min(PATIENCE)).await;
    let connect = session.connect(Some(Duration::ZERO)).await?;
    let reply = session.reply_to(&connect, "BX-CN-06").await?;
    let came: Vec<String> = chat
        .events_since(said.mark)
        .iter()
        .filter(|seen| seen.is_by(&ParticipantType::Agent) && seen.answer.received().came_on_carrier_of(&connect))
        .map(Seen::describe)
        .collect();
    let expected = "the agent's answer with the first connect after it";
    if came.is_empty() {
        // Either it never was, or it waits still, or it is lost.
        session.keep_connected();
        let late = chat.agent_event(&said, "answer", |seen| seen.is_by(&ParticipantType::Agent)).await?;
        if peer.is_agent_slow() {
            let says = "the agent may have written only after the connect".to_owned();
            return Err(Stop::Inconclusive { says, frames: vec![reply.frame(), late.answer.frame()] });
        }
    }
    reply.must_show("BX-DL-07", !came.is_empty(), expected, "the connect brought nothing of it".to_owned())
}

/// Sends a connect and another message in one array.
pub(super) async fn beside_another(session: &Session, hold: Duration) -> Result<(Sent, Sent), Stop> {
    let next = || session.peer().with(|net| net.next_id(session.browser.number));
    let messages = vec![
        session.connect_draft(Some(hold)).id(Some(&next())).finish(),
        sentinel().client(&session.client_id).id(Some(&next())).finish(),
    ];
    let mut sent = session.browser.send_together(messages).await?.into_iter();
    let both = sent.next().zip(sent.next());
    both.ok_or_else(|| Stop::Error("two messages were not sent as two".to_owned()))
}

/// A connect among other messages is taken, the others are answered, and they do not wait for it.
pub(super) async fn among_others(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.sane("BX-SB-03").await?;
    let (connect, other) = beside_another(&session, HOLD).await?;
    let reply = session.reply_to(&connect, "BX-CN-03").await?;
    let pass = reply.must("BX-CN-03", reply.message().successful() == Some(true), "`successful` true")?;
    if peer.transport() == Transport::LongPolling {
        let took = reply.at() - connect.at;
        let observed = format!("answered after {} ms", took.as_millis());
        reply.should_show("BX-CN-53", took < AT_ONCE, "the connect not held", observed)?;
    }
    let beside = session.reply_to(&other, "BX-CN-51").await?;
    let took = beside.at() - other.at;
    let observed = format!("answered after {} ms", took.as_millis());
    beside.should_show("BX-CN-52", took < AT_ONCE, "the other message answered at once", observed)?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// A second connect takes the place of the one that is held, and is held itself.
pub(super) async fn second_supersedes(peer: Peer) -> Verdict {
    let mut tries = 3;
    let (session, first, second, answered) = loop {
        let session = peer.session().await?;
        let first = session.connect(Some(HOLD * 2)).await?;
        session.sane("BX-SB-03").await?;
        peer.pause(Duration::from_millis(100)).await;
        let second = session.connect(Some(HOLD)).await?;
        let answered = session.reply_to(&second, "BX-CN-54").await;
        tries -= 1;
        // Requests on two connections may overtake each other, and nothing on the wire tells when a connect is held. If the
        // first one is still held when the second one is over, it may have come last and have superseded the second.
        let early = match &answered {
            Ok(reply) => reply.at() - second.at < HOLD / 2,
            Err(stop) => matches!(stop, Stop::Broken(_)),
        };
        let overtaken = peer.transport() != Transport::WebSocket && early && peer.with(|net| net.is_held(&first));
        if !overtaken || tries == 0 {
            break (session, first, second, answered);
        }
        session.disconnect().await?;
    };
    let reply = answered?;
    let held = reply.at() - second.at;
    let observed =
        format!("answered with `successful` {:?} after {} ms", reply.message().successful(), held.as_millis());
    let as_asked = reply.message().successful() == Some(true) && held + Duration::from_millis(200) >= HOLD;
    let pass = reply.must_show("BX-CN-54", as_asked, "the second connect held as long as it asks", observed)?;
    let (status, says) = peer.with(|net| end_of(net, &first));
    let observed = format!("the first connect: {says}");
    reply.should_show(
        "BX-CN-55",
        status != Some(408),
        "no HTTP status 408, on which browsers send again",
        observed.clone(),
    )?;
    peer.observe("BX-CN-56", observed, reply.frame())?;
    session.sane("BX-SB-03").await?;
    Ok(pass)
}

/// How a connect ended that another one superseded: the HTTP status, if any, and in words.
fn end_of(net: &Net, sent: &Sent) -> (Option<u16>, String) {
    match (net.reply(sent), net.fate(sent.carrier), sent.carrier) {
        (Some(reply), ..) if reply.message.successful() == Some(true) => (None, "answered with success".to_owned()),
        (Some(_), ..) => (None, "answered with a failure".to_owned()),
        (None, Fate::Answered { status, .. }, _) => (Some(*status), format!("HTTP status {status}")),
        (None, _, Carrier::Exchange(_) | Carrier::Socket(_)) => (None, "not answered".to_owned()),
    }
}

//! What becomes of a chat when its CometD session or its connection is gone.

use std::time::Duration;

use protocol::bayeux::advice::Reconnect;
use protocol::chat::notification::{ParticipantType, Status};

use crate::actor::{Step, Turn};
use crate::cases::agent;
use crate::peer::{Chat, Peer, Seen, Sent, Session};
use crate::verdict::{Stop, Verdict, agent_who_did_not};

/// Attaches a chat to a session as clients do after a reconnect: from the index seen last, and with no second request for
/// a chat. Gives the chat as seen from there, and the events that it brought.
async fn restore(chat: &Chat, session: &Session, last: u64) -> Result<(Chat, Vec<Seen>), Stop> {
    session.keep_connected();
    let chat = chat.on(session);
    let sent = chat.request_notifications(i64::try_from(last).ok()).await?;
    let answer = chat
        .answer(&sent, "RC-02", "an answer with the key of the chat", |answer| {
            matches!(answer.status, Some(Status::Ok | Status::Failed))
        })
        .await?;
    let goes_on = answer.notification.status == Some(Status::Ok) && answer.notification.chat_ended == Some(false);
    answer.need("RC-02", goes_on, "statusCode 0 and chatEnded false")?;
    let (echo, events) = events_behind(&chat, &sent, "RC-04").await?;
    echo.answer.need("RC-04", true, "new events on the new session")?;
    Ok((chat, events))
}

/// All events that a request for notifications brought, behind what was taken for its answer, and the echo that shows that
/// they are all. That the echo comes is the clause.
async fn events_behind(chat: &Chat, sent: &Sent, clause: &'static str) -> Result<(Seen, Vec<Seen>), Stop> {
    // What was taken for the answer may have been an event of the agent, on a connect; a word said now on a connection of
    // its own could overtake the true one.
    chat.session.reply_to(sent, "BX-PB-05").await?;
    // Events may come behind the answer; the echo of a message is behind both, and shows that the chat is attached.
    let word = chat.session.peer().word("tapestry");
    let echo = chat.say_and_see(&word, clause).await?;
    let events = chat.events_since(sent.mark).into_iter().filter(|seen| !seen.says(&word)).collect();
    Ok((echo, events))
}

fn last_index(events: &[Seen]) -> u64 {
    events.iter().filter_map(|seen| seen.event.index).max().unwrap_or(0)
}

/// A session that is gone is answered with 402 and advice to handshake; the new session takes the chat up with its key.
pub(super) async fn forgotten_then_restored(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let seen = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let last = last_index(&chat.events());
    // To leave is the one way to be forgotten at once. It does not end the chat.
    let session = &chat.session;
    let sent = session.disconnect().await?;
    session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    let sent = session.connect(Some(Duration::ZERO)).await?;
    let refusal = session.reply_to(&sent, "BX-CN-11").by_any_sign().await?;
    refusal.must("BX-CN-11", refusal.message().successful() == Some(false), "`successful` false")?;
    refusal.should("BX-FLD-19", refusal.message().error_code() == Some(402), "an error that begins with 402")?;
    let advice = refusal.message().advice().and_then(|advice| advice.reconnect);
    refusal.should("RC-01", advice == Some(Reconnect::Handshake), "advice to handshake again")?;
    let again = session.browser.handshake().await?;
    again.first_connect().await?;
    let (restored, _) = restore(&chat, &again, last).await?;
    let events = restored.events();
    let same = events
        .iter()
        .filter(|event| event.event.index == seen.event.index)
        .all(|event| event.event.text == seen.event.text);
    let echo = events.last().ok_or_else(|| Stop::Error("an event that was seen is gone".to_owned()))?;
    echo.must("RC-02", same, "the same transcript on the new session")
}

/// What happened while no session was there comes with the restored chat.
pub(super) async fn missed_events_restored(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    let by_agent = |seen: &Seen| seen.is_by(&ParticipantType::Agent);
    let word = peer.word("tapestry");
    let answer = Step::Say(format!("You wrote: {word}"));
    agent::greets(&chat, Some(Turn::once_written(answer.clone())));
    chat.agent_event(&started.sent, "greet", |seen| by_agent(seen) && seen.is("Message")).await?;
    // What the agent says to it is behind that, even if it came still: a slow network may bring both at once.
    let last = chat.say_and_see(&word, "CV-SM-01").await?.event.index.unwrap_or(0);
    chat.let_agent(answer);
    let sent = session.disconnect().await?;
    let gone = session.reply_to(&sent, "BX-DC-05").by_any_sign().await?;
    peer.pause(peer.agent_takes()).await;
    let again = session.browser.handshake().await?;
    again.first_connect().await?;
    let (restored, mut events) = restore(&chat, &again, last).await?;
    events.retain(|seen| seen.event.index.is_some_and(|index| index > last));
    let is_answer = |seen: &Seen| by_agent(seen) && seen.event.text.as_deref().is_some_and(|text| text.contains(&word));
    let Some(missed) = events.iter().find(|seen| is_answer(seen)) else {
        // What the whole transcript does not have either, the agent never said.
        let sent = restored.request_notifications(Some(0)).await?;
        let says = chat_says(&restored, &sent, is_answer).await?;
        return Err(match says {
            Some(seen) => peer.broken(
                "RC-03",
                "every event behind the last one that was seen",
                format!("{} did not come, though the transcript has it", seen.describe()),
                vec![gone.frame(), seen.answer.frame()],
            ),
            None => Stop::Blocked {
                root: agent_who_did_not("answer"),
                says: "the agent did not answer".to_owned(),
                frames: vec![gone.frame()],
            },
        });
    };
    missed.must("RC-03", true, "every event behind the last one that was seen")
}

async fn chat_says(chat: &Chat, sent: &Sent, mut holds: impl FnMut(&Seen) -> bool) -> Result<Option<Seen>, Stop> {
    chat.answer(sent, "CV-RN-01", "the transcript", |answer| !answer.events().is_empty()).await?;
    let (_, events) = events_behind(chat, sent, "CV-SM-01").await?;
    Ok(events.into_iter().find(|seen| holds(seen)))
}

/// A connection that broke leaves the session: it goes on with the same clientId, and nothing is missing afterwards.
pub(super) async fn lost_then_resumed(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let first = peer.word("tapestry");
    chat.say_and_see(&first, "CV-SM-01").await?;
    let last = last_index(&chat.events());
    // What is said last is acknowledged or not; its echo is lost with the connection.
    let second = peer.word("tapestry");
    let sent = chat.say(&second).await?;
    chat.session.reply_to(&sent, "BX-PB-05").await?;
    chat.session.browser.cut();
    peer.pause(Duration::from_millis(500)).await;
    let reply = chat.session.first_connect().await;
    let reply = match reply {
        Err(Stop::Blocked { frames, .. }) if !frames.is_empty() => {
            let observed = "the session was refused on a new connection";
            return Err(peer.broken("RC-05", "the session to go on", observed, frames));
        }
        other => other?,
    };
    reply.must("RC-05", true, "the session to go on with the same clientId")?;
    let (_, events) = restore(&chat, &chat.session, last).await?;
    let echo = events.iter().find(|seen| seen.says(&second));
    match echo {
        Some(echo) => echo.must("RC-03", true, "every event behind the last one that was seen"),
        None => {
            let observed = "the message whose echo was lost did not come".to_owned();
            reply.must_show("RC-03", false, "every event behind the last one that was seen", observed)
        }
    }
}

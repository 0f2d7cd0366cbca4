//! What an agent does, as it arrives on the wire. The agent's own word is no evidence.

use protocol::chat::notification::ParticipantType;

use crate::actor::{Step, Turn};
use crate::peer::{AFTERGLOW, Chat, Peer, Seen};
use crate::verdict::Verdict;

const GREETING: &str = "Hello, how can I help?";

fn by_agent(seen: &Seen) -> bool {
    seen.is_by(&ParticipantType::Agent)
}

/// Lets the agent join and greet, and tells beforehand what he is to do then.
pub(super) fn greets(chat: &Chat, then: Option<Turn>) {
    let first = [Turn::at_once(Step::Join), Turn::at_once(Step::Say(GREETING.to_owned()))];
    chat.brief(first.into_iter().chain(then));
    chat.let_agent(Step::Join);
    chat.let_agent(Step::Say(GREETING.to_owned()));
}

/// The agent's join and first words arrive, in this order.
pub(super) async fn joins_and_greets(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    greets(&chat, None);
    let greeted = chat.agent_event(&started.sent, "greet", |seen| by_agent(seen) && seen.is("Message")).await?;
    let events = chat.events();
    let joined = events.iter().find(|seen| by_agent(seen) && seen.is("ParticipantJoined"));
    let in_order = joined.is_some_and(|joined| joined.event.index < greeted.event.index);
    greeted.must("CV-AG-01", in_order, "ParticipantJoined by Agent before the agent's first words")
}

/// What the agent answers arrives once, behind what it answers.
pub(super) async fn answers(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    let word = peer.word("tapestry");
    let answer = Step::Say(format!("You wrote: {word}"));
    greets(&chat, Some(Turn::once_written(answer.clone())));
    chat.agent_event(&started.sent, "greet", |seen| by_agent(seen) && seen.is("Message")).await?;
    let own = chat.say_and_see(&word, "CV-SM-01").await?;
    let is_answer = |seen: &Seen| by_agent(seen) && seen.event.text.as_deref().is_some_and(|text| text.contains(&word));
    chat.let_agent(answer);
    let answer = chat.agent_event(&started.sent, "answer", is_answer).await?;
    answer.must("CV-AG-02", answer.event.index > own.event.index, "the answer behind what it answers")?;
    let last = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let copies: Vec<Seen> = chat.events().into_iter().filter(is_answer).collect();
    last.comes_behind_one("CV-AG-02", "the answer", &copies)
}

/// When the agent closes the chat, the client is told that it has ended, and nothing follows.
pub(super) async fn closes(peer: Peer) -> Verdict {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    greets(&chat, Some(Turn::once_written(Step::End)));
    chat.agent_event(&started.sent, "greet", |seen| by_agent(seen) && seen.is("Message")).await?;
    let sent = chat.say("bye").await?;
    chat.let_agent(Step::End);
    let left = |seen: &Seen| by_agent(seen) && seen.is("ParticipantLeft");
    chat.agent_event(&sent, "leave", left).await?;
    let expected = "chatEnded true";
    let ended = chat.answer(&sent, "CV-AG-03", expected, |answer| answer.chat_ended == Some(true)).await?;
    let pass = ended.must("CV-AG-03", ended.notification.chat_ended == Some(true), expected)?;
    peer.pause(AFTERGLOW).await;
    let alive = session.sane("BX-SB-03").await?;
    let late = chat.events_after_end(&ended);
    let observed = format!("{} events came after the end", late.len());
    alive.must_show("CV-TR-04", late.is_empty(), "no event after chatEnded but a last ParticipantLeft", observed)?;
    Ok(pass)
}

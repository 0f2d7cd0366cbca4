//! What an agent does at his desk when a case asks for it, as it arrives on the wire.
//!
//! Whether the agent did it is told by the event alone. If none comes, and the transcript has none, nobody can say whose
//! fault that is: the case is blocked.

use protocol::chat::notification::ParticipantType;

use crate::actor::{Step, Turn};
use crate::peer::{Chat, Peer, Seen, Started};
use crate::verdict::{Stop, Verdict};

fn by_agent(seen: &Seen) -> bool {
    seen.is_by(&ParticipantType::Agent)
}

/// A chat of which an agent is told what to do in it.
async fn told(peer: &Peer, steps: &[Step]) -> Result<(Chat, Started), Stop> {
    let session = peer.session().await?;
    session.keep_connected();
    let (chat, started) = session.start_chat().await?;
    chat.brief([Step::Join].iter().chain(steps).cloned().map(Turn::at_once));
    Ok((chat, started))
}

/// Lets the agent join, and gives his join.
async fn joined(chat: &Chat, started: &Started) -> Result<Seen, Stop> {
    chat.let_agent(Step::Join);
    let joined = |seen: &Seen| by_agent(seen) && seen.is("ParticipantJoined");
    chat.agent_event(&started.sent, "join", joined).await
}

/// Lets an agent join and do something. Gives the chat, the join, and the event that shows what he did.
async fn does(peer: &Peer, step: Step) -> Result<(Chat, Seen, Seen), Stop> {
    let (chat, started) = told(peer, std::slice::from_ref(&step)).await?;
    let joined = joined(&chat, &started).await?;
    let deed = chat.agent(step).await?;
    Ok((chat, joined, deed))
}

/// Who did something: the number within the chat.
fn author(seen: &Seen) -> Option<i64> {
    seen.event.from.as_ref().map(|from| from.participant_id)
}

/// That the agent types is told, under the name of the agent who joined.
pub(super) async fn types(peer: Peer) -> Verdict {
    let (chat, joined, typing) = does(&peer, Step::Type).await?;
    let pass =
        typing.must("CV-AG-04", author(&typing) == author(&joined), "the participantId of the agent who joined")?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// A page that the agent shows arrives with its URL.
pub(super) async fn shows_page(peer: Peer) -> Verdict {
    let (chat, _, page) = does(&peer, Step::PushUrl("https://shop.example/offer".to_owned())).await?;
    let has_url = page.event.text.as_deref().is_some_and(|text| text.contains("://"));
    let pass = page.must("CV-AG-05", has_url, "a URL in `text`")?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// A notice of the agent arrives with its text.
pub(super) async fn sends_notice(peer: Peer) -> Verdict {
    let (chat, _, notice) = does(&peer, Step::Notice(peer.word("notice"))).await?;
    let has_text = notice.event.text.as_deref().is_some_and(|text| !text.is_empty());
    let pass = notice.must("CV-AG-06", has_text, "what was sent in `text`")?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// What the agent says in a row arrives in that order, each once.
pub(super) async fn order_kept(peer: Peer) -> Verdict {
    let words = ["one", "two", "three"].map(|word| peer.word(word));
    let (chat, started) = told(&peer, &words.each_ref().map(|word| Step::Say(word.clone()))).await?;
    let mark = joined(&chat, &started).await?.answer.received().mark_behind();
    for word in &words[..2] {
        chat.ask_agent(Step::Say(word.clone()));
    }
    let last = |seen: &Seen, word: &str| by_agent(seen) && seen.says(word);
    let third = chat.agent_until(Step::Say(words[2].clone()), |seen| last(seen, &words[2])).await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let said: Vec<Seen> =
        chat.events_since(mark).into_iter().filter(|seen| by_agent(seen) && seen.is("Message")).collect();
    let order: Vec<&str> = said.iter().filter_map(|seen| seen.event.text.as_deref()).collect();
    let own: Vec<&str> = order.into_iter().filter(|text| words.iter().any(|word| word.as_str() == *text)).collect();
    let rising = said.is_sorted_by(|one, next| one.event.index < next.event.index);
    let observed =
        format!("{} of 3 messages, {}", own.len(), if rising { "indexes rising" } else { "indexes not rising" });
    let as_said = own == words.each_ref().map(String::as_str) && rising;
    third.answer.received().must_show("CV-AG-07", as_said, "3 messages in the order in which they were said", observed)
}

/// When an agent hands the chat over, another one joins, the first leaves, and the chat goes on.
pub(super) async fn hands_over(peer: Peer) -> Verdict {
    let (chat, joined, second) = does(&peer, Step::Transfer("Robin".to_owned())).await?;
    let mark = joined.answer.received().mark_behind();
    second.must(
        "CV-AG-08",
        author(&second) != author(&joined),
        "a participantId that the first agent does not have",
    )?;
    let left = |seen: &Seen| by_agent(seen) && seen.is("ParticipantLeft") && author(seen) == author(&joined);
    let left = chat.agent_event_since(mark, "leave", left).await?;
    let goes_on = left.answer.notification.chat_ended == Some(false);
    let pass = left.must("CV-AG-08", goes_on, "chatEnded false as the first agent leaves")?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// When the agent leaves without closing, the chat goes on.
pub(super) async fn leaves(peer: Peer) -> Verdict {
    let (chat, joined, left) = does(&peer, Step::Leave).await?;
    left.must("CV-AG-09", author(&left) == author(&joined), "the participantId of the agent who joined")?;
    let goes_on = left.answer.notification.chat_ended == Some(false);
    let pass = left.must("CV-AG-09", goes_on, "chatEnded false")?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

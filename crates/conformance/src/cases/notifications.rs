//! `requestNotifications` on a session that is alive, and the transcript that it brings.

use std::collections::BTreeMap;

use protocol::chat::notification::{EventType, ParticipantType, Status};
use protocol::chat::operation::Operation;
use serde_json::json;

use crate::peer::{Answer, Chat, Peer, Seen, Sent};
use crate::verdict::{Stop, Verdict};

/// A chat in which some things were said, and what came of it.
async fn chat_with_events(peer: &Peer) -> Result<(Chat, Vec<Seen>), Stop> {
    let chat = peer.chat().await?;
    for _ in 0..3 {
        chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    }
    let events = stored(chat.events());
    Ok((chat, events))
}

/// The same, and the chat as seen from a session that has still to ask for it: nobody says what comes again to a session
/// that has the chat already.
async fn chat_to_ask_for(peer: &Peer) -> Result<(Chat, Vec<Seen>), Stop> {
    let (chat, events) = chat_with_events(peer).await?;
    let session = peer.session().await?;
    session.keep_connected();
    Ok((chat.on(&session), events))
}

/// The events that the transcript keeps: those with an index, each once, by index.
pub(super) fn stored(events: Vec<Seen>) -> Vec<Seen> {
    let by_index: BTreeMap<u64, Seen> =
        events.into_iter().rev().filter_map(|seen| Some((seen.event.index?, seen))).collect();
    by_index.into_values().collect()
}

/// The answer to `requestNotifications`, with the events that came with it or right behind it.
pub(super) async fn replay(chat: &Chat, sent: &Sent, clause: &'static str) -> Result<(Answer, Vec<Seen>), Stop> {
    let answer = chat
        .answer(sent, clause, "an answer", |answer| answer.status.is_some_and(|status| status != Status::Unavailable))
        .await?;
    answer.need(clause, answer.notification.status == Some(Status::Ok), "statusCode 0")?;
    // An answer may come without events and the events behind it; the echo of a message is behind both.
    let word = chat.session.peer().word("tapestry");
    chat.say_and_see(&word, "RC-04").await?;
    let events = chat.events_since(sent.mark).into_iter().filter(|seen| !seen.says(&word)).collect();
    Ok((answer, events))
}

fn indexes(events: &[Seen]) -> Vec<u64> {
    events.iter().filter_map(|seen| seen.event.index).collect()
}

fn listed(indexes: &[u64]) -> String {
    let listed: Vec<String> = indexes.iter().map(u64::to_string).collect();
    format!("indexes {}", if listed.is_empty() { "none".to_owned() } else { listed.join(" ") })
}

/// From the beginning, the same events come again under the same indexes.
pub(super) async fn repeat_the_transcript(peer: Peer) -> Verdict {
    let (chat, before) = chat_to_ask_for(&peer).await?;
    let sent = chat.request_notifications(Some(0)).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-01").await?;
    let again = stored(again);
    let (first, second) = (indexes(&before), indexes(&again));
    let complete = first.iter().all(|index| second.contains(index));
    let expected = format!("{} again", listed(&first));
    answer.received().must_show("CV-RN-01", complete, &expected, listed(&second))?;
    let same = |seen: &Seen| {
        let other = again.iter().find(|other| other.event.index == seen.event.index);
        other.is_none_or(|other| {
            (&other.event.kind, &other.event.text, &other.event.from)
                == (&seen.event.kind, &seen.event.text, &seen.event.from)
        })
    };
    let changed: Vec<u64> = indexes(&before.iter().filter(|seen| !same(seen)).cloned().collect::<Vec<_>>());
    let observed = format!("other events under {}", listed(&changed));
    answer.received().must_show("CV-TR-01", changed.is_empty(), "the same event under each index", observed)
}

/// From a position, everything behind it comes, and nothing that lies before it.
pub(super) async fn from_position(peer: Peer) -> Verdict {
    let (chat, before) = chat_to_ask_for(&peer).await?;
    let known = indexes(&before);
    let position = known.get(known.len() / 2).copied().unwrap_or(1);
    let sent = chat.request_notifications(i64::try_from(position).ok()).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-02").await?;
    let came = indexes(&stored(again));
    let missing: Vec<u64> = known.iter().copied().filter(|index| *index > position && !came.contains(index)).collect();
    let early: Vec<u64> = came.iter().copied().filter(|index| *index < position).collect();
    let expected = format!("every event behind {position}, and none before it");
    let observed = format!("{}; missing {}; too early {}", listed(&came), listed(&missing), listed(&early));
    answer.received().must_show("CV-RN-02", missing.is_empty() && early.is_empty(), &expected, observed)
}

/// Nobody says whether the event at the position itself comes too.
pub(super) async fn at_position(peer: Peer) -> Verdict {
    let (chat, before) = chat_to_ask_for(&peer).await?;
    let known = indexes(&before);
    let position = known.get(known.len() / 2).copied().unwrap_or(1);
    let sent = chat.request_notifications(i64::try_from(position).ok()).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-01").await?;
    let inclusive = indexes(&again).contains(&position);
    let says =
        if inclusive { "the event at the position comes too" } else { "the event at the position does not come" };
    peer.observe("CV-RN-05", says, answer.frame())
}

/// The sample client begins with -1; that means everything.
pub(super) async fn negative_position(peer: Peer) -> Verdict {
    let (chat, before) = chat_to_ask_for(&peer).await?;
    let sent = chat.request_notifications(Some(-1)).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-03").await?;
    everything(&answer, "CV-RN-03", &before, again)
}

/// One client sends the position as a text.
pub(super) async fn position_as_text(peer: Peer) -> Verdict {
    let (chat, before) = chat_to_ask_for(&peer).await?;
    let data = json!({
        "operation": "requestNotifications",
        "secureKey": chat.key.expose(),
        "transcriptPosition": "1",
    });
    let sent = chat.session.publish(data).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-04").await?;
    let behind: Vec<Seen> = before.into_iter().filter(|seen| seen.event.index > Some(1)).collect();
    everything(&answer, "CV-RN-04", &behind, again)
}

fn everything(answer: &Answer, clause: &str, before: &[Seen], again: Vec<Seen>) -> Verdict {
    let (known, came) = (indexes(before), indexes(&stored(again)));
    let complete = !known.is_empty() && known.iter().all(|index| came.contains(index));
    answer.received().must_show(clause, complete, &format!("{} again", listed(&known)), listed(&came))
}

/// Whoever names no position gets everything.
pub(super) async fn without_position(peer: Peer) -> Verdict {
    let (chat, before) = chat_to_ask_for(&peer).await?;
    let sent = chat.request_notifications(None).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-06").await?;
    everything(&answer, "CV-RN-06", &before, again)
}

/// Nobody says what comes from a position behind the end.
pub(super) async fn past_the_end(peer: Peer) -> Verdict {
    let (chat, _) = chat_to_ask_for(&peer).await?;
    let sent = chat.request_notifications(Some(1_000_000)).await?;
    let (answer, says) = whatever(&chat, &sent).await?;
    peer.observe("CV-RN-07", says, answer.frame())
}

/// Nobody says what a position is that is neither a number nor digits.
pub(super) async fn position_of_wrong_type(peer: Peer) -> Verdict {
    let (chat, _) = chat_to_ask_for(&peer).await?;
    let data = json!({
        "operation": "requestNotifications",
        "secureKey": chat.key.expose(),
        "transcriptPosition": {"from": 1},
    });
    let sent = chat.session.publish(data).await?;
    let (answer, says) = whatever(&chat, &sent).await?;
    peer.observe("CV-RN-10", says, answer.frame())
}

/// What a request for notifications gets that may be refused, in words that do not depend on what was said in the chat.
async fn whatever(chat: &Chat, sent: &Sent) -> Result<(Answer, String), Stop> {
    let answer = chat.answer(sent, "CV-RN-01", "an answer", |answer| answer.status.is_some()).await?;
    if answer.notification.status != Some(Status::Ok) {
        chat.session.sane("BX-SB-03").await?;
        let says = answer.describe();
        return Ok((answer, says));
    }
    let (answer, again) = replay(chat, sent, "CV-RN-01").await?;
    let says = if again.iter().any(|seen| seen.event.index == Some(1)) { "everything" } else { "no old event" };
    Ok((answer, format!("statusCode 0 with {says}")))
}

/// Nobody says what comes again to a session that has the chat already. New events come to it as before.
pub(super) async fn attached_again(peer: Peer) -> Verdict {
    let (chat, _) = chat_with_events(&peer).await?;
    let sent = chat.request_notifications(Some(0)).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-01").await?;
    let word = peer.word("tapestry");
    chat.say_and_see(&word, "CV-SM-01").await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let times = chat.events_since(sent.mark).iter().filter(|seen| seen.says(&word)).count();
    let repeated = again.iter().any(|seen| seen.event.index == Some(1));
    let says = if repeated { "the events come again" } else { "no event comes again" };
    peer.observe("CV-RN-08", format!("{says}; a new event comes {times} times"), answer.frame())
}

/// Nobody says which of the client's own events the transcript keeps.
pub(super) async fn kinds_that_come_again(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let own = [
        Operation::StartTyping { preview: None },
        Operation::StopTyping { preview: None },
        Operation::CustomNotice { message: Some(peer.word("tapestry")), message_type: None },
        Operation::PushUrl { url: "https://tapestry.example/".to_owned() },
        Operation::UpdateNickname { nickname: chat.nickname.clone() },
    ];
    for operation in own {
        let sent = chat.ask(operation).await?;
        chat.session.answer_if_any(&sent).await;
    }
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let session = peer.session().await?;
    session.keep_connected();
    let chat = chat.on(&session);
    let sent = chat.request_notifications(Some(0)).await?;
    let (answer, again) = replay(&chat, &sent, "CV-RN-01").await?;
    let mut kinds: Vec<&str> = again
        .iter()
        .filter(|seen| seen.is_by(&ParticipantType::Client))
        .filter_map(|seen| seen.event.event_type().map(EventType::as_str))
        .collect();
    kinds.dedup();
    peer.observe("CV-RN-09", kinds.join(" "), answer.frame())
}

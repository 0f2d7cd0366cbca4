//! Messages of the client, and the end of the chat by its will.

use std::collections::BTreeSet;
use std::time::Duration;

use protocol::chat::notification::{Notification, ParticipantType, Status};
use protocol::chat::operation::Operation;

use super::operations::is_carried_out;
use crate::peer::{AFTERGLOW, Answer, Chat, Peer, Seen};
use crate::verdict::{Stop, Verdict};

/// What the client says comes back as an event of its own, once.
pub(super) async fn echoed_once(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let text = peer.word("tapestry");
    let seen = chat.say_and_see(&text, "CV-SM-01").await?;
    let pass = seen.must("CV-SM-01", seen.is_by(&ParticipantType::Client), "a Message by Client")?;
    // What was doubled has come before the echo of a second message.
    let last = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let echoes: Vec<Seen> = chat.events().into_iter().filter(|seen| seen.says(&text)).collect();
    last.comes_behind_one("CV-SM-02", "the event", &echoes)?;
    Ok(pass)
}

/// The label of a message comes back with it.
pub(super) async fn label_echoed(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let text = peer.word("tapestry");
    let operation = Operation::SendMessage { message: text.clone(), message_type: Some("text".to_owned()) };
    let sent = chat.ask(operation).await?;
    let seen = chat.event(&sent, "CV-SM-01", "an event with the text of the message", |seen| seen.says(&text)).await?;
    seen.must("CV-SM-03", seen.event.message_type.as_deref() == Some("text"), "the `messageType` of the message")
}

/// Several messages come back in the order in which they were sent, under rising indexes.
pub(super) async fn order_kept(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let texts: Vec<String> = (0..4).map(|_| peer.word("tapestry")).collect();
    let mut last = None;
    for text in &texts {
        let sent = chat.say(text).await?;
        chat.session.reply_to(&sent, "BX-PB-05").await?;
        last = Some(sent);
    }
    let (Some(sent), Some(text)) = (last, texts.last()) else {
        return Err(Stop::Error("four messages left none".to_owned()));
    };
    let seen =
        chat.event(&sent, "CV-SM-01", "an event with the text of the last message", |seen| seen.says(text)).await?;
    peer.pause(Duration::from_millis(200)).await;
    let events = chat.events();
    let place = |text: &String| {
        let place = events.iter().position(|seen| seen.says(text))?;
        Some((place, events[place].event.index?, events[place].answer.received().carrier()))
    };
    let places: Option<Vec<_>> = texts.iter().map(place).collect();
    // Of two responses under way at once, to a publish and to a connect, either may arrive first (BX-DL-09).
    let rising = places
        .is_some_and(|places| places.is_sorted_by(|one, next| one.1 < next.1 && (one.0 < next.0 || one.2 != next.2)));
    let shown: Vec<String> = events.iter().map(Seen::describe).collect();
    let received = seen.answer.received();
    received.must_show("CV-TR-02", rising, "the messages in order, under rising indexes", shown.join(" "))?;
    let last_index = seen.event.index.and_then(|index| i64::try_from(index).ok());
    let behind = seen.answer.notification.next_position.zip(last_index).is_some_and(|(next, last)| next > last);
    received.must("CV-TR-05", behind, "a `nextPosition` behind the last index")
}

/// The client's disconnect ends the chat.
pub(super) async fn disconnect_ends_chat(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let answer = chat.end("CV-DC-01").await?;
    answer.must("CV-DC-01", answer.notification.chat_ended == Some(true), "chatEnded true")?;
    peer.pause(AFTERGLOW).await;
    let alive = chat.session.sane("BX-SB-03").await?;
    let late = chat.events_after_end(&answer);
    let observed = format!("{} events came after the end", late.len());
    alive.must_show("CV-TR-04", late.is_empty(), "no event after chatEnded but a last ParticipantLeft", observed)
}

/// The CometD session outlives the chat.
pub(super) async fn session_stays(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    chat.end("CV-DC-01").await?;
    let alive = chat.session.sane("CV-DC-02").await?;
    let pass = alive.must("CV-DC-02", true, "the session alive after the chat")?;
    // A second chat on the same session shows that it is of use.
    let (second, _) = chat.session.start_chat().await?;
    second.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    Ok(pass)
}

/// After the end nothing can be said.
pub(super) async fn message_refused_after_end(peer: Peer) -> Verdict {
    let message = peer.word("tapestry");
    refused_after_end(peer, vec![Operation::SendMessage { message, message_type: None }]).await
}

/// After the end nothing can be asked for.
pub(super) async fn notifications_refused_after_end(peer: Peer) -> Verdict {
    refused_after_end(peer, vec![Operation::RequestNotifications { transcript_position: Some(0) }]).await
}

/// Whatever is asked after the end is refused, and says that the chat is over.
pub(super) async fn refused_after_end(peer: Peer, operations: Vec<Operation>) -> Verdict {
    let chat: Chat = peer.chat().await?;
    chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    for operation in &operations {
        is_carried_out(&chat, operation).await?;
    }
    chat.end("CV-DC-01").await?;
    let mut pass = Err(Stop::Error("nothing was asked after the end".to_owned()));
    for operation in operations {
        // The end may be told in two deliveries.
        peer.pause(AFTERGLOW).await;
        let sent = chat.ask(operation).await?;
        let answer = chat.session.told(&sent, "CV-EN-02", "an answer", |answer| answer.status.is_some()).await?;
        let told = &answer.notification;
        let over = told.status == Some(Status::Failed) && told.chat_ended == Some(true);
        pass = Ok(answer.must("CV-EN-02", over, "statusCode 2 and chatEnded true")?);
        answer.should("CV-EN-04", !told.errors.is_empty(), "`errors` that are not empty")?;
    }
    chat.session.sane("BX-SB-03").await?;
    pass
}

/// A chat ends once; nobody says what a second `disconnect` gets.
pub(super) async fn end_again(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    chat.end("CV-DC-01").await?;
    peer.pause(AFTERGLOW).await;
    let sent = chat.ask(Operation::Disconnect).await?;
    let answer = chat.session.answer_if_any(&sent).await;
    let alive = chat.session.sane("BX-SB-03").await?;
    match answer {
        Some(answer) => peer.observe("CV-DC-03", answer.describe(), answer.frame()),
        None => peer.observe("CV-DC-03", "nothing", alive.frame()),
    }
}

/// Nobody says how often the end is told, and whether the client's own leave stands in the transcript.
pub(super) async fn how_the_end_is_told(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let sent = chat.ask(Operation::Disconnect).await?;
    let ended = |answer: &Notification| answer.chat_ended == Some(true);
    let answer = chat.answer(&sent, "CV-DC-01", "an answer with chatEnded true", ended).await?;
    peer.pause(AFTERGLOW).await;
    let alive = chat.session.sane("BX-SB-03").await?;
    let answers = chat.session.answers_since(sent.mark);
    let times = answers.iter().filter(|answer| answer.notification.chat_ended == Some(true)).count();
    peer.observe("CV-DC-04", format!("chatEnded true comes {times} times"), answer.frame())?;
    let left = |seen: &Seen| seen.is("ParticipantLeft") && seen.is_by(&ParticipantType::Client);
    match chat.events_since(sent.mark).into_iter().find(left) {
        Some(seen) => peer.observe("CV-DC-05", "ParticipantLeft by Client comes", seen.answer.frame()),
        None => peer.observe("CV-DC-05", "no ParticipantLeft by Client comes", alive.frame()),
    }
}

/// More characters than Chat Server takes in one packet of its own.
const TOO_MANY: usize = 40_000;

/// Nobody says what becomes of a message that is too long. The chat goes on.
pub(super) async fn too_long(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let sent = chat.say(&"tapestry ".repeat(TOO_MANY / 9 + 1)).await?;
    let answer = chat.session.answer_if_any(&sent).await;
    let alive = chat.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    match answer {
        Some(answer) => peer.observe("CV-SM-04", answer.outline(), answer.frame()),
        None => peer.observe("CV-SM-04", "nothing, and the chat goes on", alive.answer.frame()),
    }
}

/// Nobody says whether an answer comes in one delivery or in two, whether it has an id, and whether it comes before the
/// acknowledgement; nor what else an envelope may have, and whether indexes leave gaps.
pub(super) async fn how_answered(peer: Peer) -> Verdict {
    let chat = peer.chat().await?;
    let texts: Vec<String> = (0..3).map(|_| peer.word("tapestry")).collect();
    let mut last = None;
    let (mut empty, mut indexes) = (0, Vec::new());
    for text in &texts {
        let sent = chat.say(text).await?;
        let acknowledged = chat.session.reply_to(&sent, "BX-PB-05").await?;
        let says = |seen: &Seen| seen.says(text);
        let seen = chat.event(&sent, "CV-SM-01", "an event with the text of the message", says).await?;
        let is_empty = |answer: &Answer| {
            let told = &answer.notification;
            told.status == Some(Status::Ok) && told.events().is_empty() && told.secure_key.as_ref() == Some(&chat.key)
        };
        empty += chat.session.answers_since(sent.mark).iter().filter(|answer| is_empty(answer)).count();
        indexes.extend(seen.event.index);
        last = Some((acknowledged, seen));
    }
    let Some((acknowledged, seen)) = last else {
        return Err(Stop::Error("three messages left none".to_owned()));
    };
    let (answer, frame) = (&seen.answer, seen.answer.frame());
    let says = if empty == 0 { "one delivery with the event" } else { "an empty answer, and the event by itself" };
    peer.observe("CV-EN-05", says, frame)?;
    let with_id = answer.received().message().id().is_some();
    peer.observe("CV-EN-06", if with_id { "it has an `id`" } else { "it has no `id`" }, frame)?;
    let first = answer.received().came_before(&acknowledged);
    let says = if first { "before the acknowledgement" } else { "behind the acknowledgement" };
    peer.observe("CV-EN-07", says, frame)?;
    let members: Vec<&str> = OPTIONAL.iter().copied().filter(|name| answer.has_member(name)).collect();
    let says = if members.is_empty() { "none".to_owned() } else { members.join(" ") };
    peer.observe("CV-EN-08", says, frame)?;
    // What others say in between takes its places too.
    let known: BTreeSet<u64> = chat.events().iter().filter_map(|seen| seen.event.index).collect();
    let (from, to) = (indexes.iter().min().copied(), indexes.iter().max().copied());
    let gap = from.zip(to).is_some_and(|(from, to)| (from..=to).any(|index| !known.contains(&index)));
    peer.observe("CV-EN-09", if gap { "indexes leave gaps" } else { "indexes rise by one" }, frame)
}

/// Members of an envelope that newer releases are said to have.
const OPTIONAL: &[&str] = &["monitored", "idleTimerExpire"];

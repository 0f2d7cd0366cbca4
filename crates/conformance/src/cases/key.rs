//! The `secureKey`: the only credential of a chat.

use protocol::chat::notification::Status;
use protocol::chat::operation::Operation;
use protocol::secret::Secret;
use serde_json::json;

use crate::peer::{Chat, Peer, Seen, ask};
use crate::verdict::{Stop, Verdict};

/// A key of the same shape that nobody was given.
pub(super) fn wrong(key: &Secret) -> Secret {
    let turned: String = key
        .expose()
        .chars()
        .rev()
        .map(|c| match c {
            '0'..='8' | 'a'..='y' | 'A'..='Y' => char::from_u32(u32::from(c) + 1).unwrap_or(c),
            '9' => '0',
            'z' => 'a',
            'Z' => 'A',
            other => other,
        })
        .collect();
    Secret::new(turned)
}

/// What a stranger's request must not do: bring anything of the chat, or do anything in it. What it would have done is
/// known by the event that it would have made.
pub(super) async fn is_refused(
    victim: &Chat,
    data: serde_json::Value,
    is_its_event: impl Fn(&Seen) -> bool,
    clause: &'static str,
) -> Verdict {
    let peer = victim.session.peer();
    let stranger = peer.session().await?;
    stranger.keep_connected();
    let sent = stranger.publish(data).await?;
    let answer = stranger.told(&sent, clause, "an answer", |answer| answer.status.is_some()).await?;
    let told = &answer.notification;
    let refused = told.status == Some(Status::Failed) && told.events().is_empty() && told.secure_key.is_none();
    let pass = answer.must(clause, refused, "statusCode 2, no event and no key")?;
    // Whatever the refused request did would have come before this.
    let last = victim.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let heard = victim.events_since(sent.mark).iter().any(is_its_event);
    let observed = "what was refused was done in the chat".to_owned();
    last.answer.received().must_show(clause, !heard, "nothing of it in the chat", observed)?;
    let leaked = stranger.answers_since(sent.mark).iter().any(|answer| {
        !answer.notification.events().is_empty() || answer.notification.secure_key.as_ref() == Some(&victim.key)
    });
    let observed = "events of the chat came to the stranger".to_owned();
    last.answer.received().must_show(clause, !leaked, "nothing of the chat for the stranger", observed)?;
    Ok(pass)
}

/// A wrong key opens no chat.
pub(super) async fn wrong_refused(peer: Peer) -> Verdict {
    let victim = peer.chat().await?;
    victim.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let word = peer.word("tapestry");
    let operation = Operation::SendMessage { message: word.clone(), message_type: None };
    is_refused(&victim, ask(operation, Some(&wrong(&victim.key))), |seen| seen.says(&word), "CV-SK-01").await?;
    let operation = Operation::RequestNotifications { transcript_position: Some(0) };
    is_refused(&victim, ask(operation, Some(&wrong(&victim.key))), |seen| seen.says(&word), "CV-SK-01").await
}

/// Without a key nothing is done.
pub(super) async fn missing_refused(peer: Peer) -> Verdict {
    let victim = peer.chat().await?;
    victim.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    let word = peer.word("tapestry");
    let data = json!({"operation": "sendMessage", "message": word});
    is_refused(&victim, data, |seen| seen.says(&word), "CV-SK-02").await
}

/// Of two chats at once each hears its own words alone.
pub(super) async fn two_chats_do_not_mix(peer: Peer) -> Verdict {
    let (one, two) = (peer.chat().await?, peer.chat().await?);
    let (first, second) = (peer.word("tapestry"), peer.word("tapestry"));
    one.say_and_see(&first, "CV-SM-01").await?;
    let seen = two.say_and_see(&second, "CV-SM-01").await?;
    one.say_and_see(&peer.word("tapestry"), "CV-SM-01").await?;
    seen.answer.received().must_show(
        "CV-SK-03",
        one.key != two.key,
        "a key of its own for each chat",
        "two chats have one key".to_owned(),
    )?;
    let hears = |chat: &Chat, word: &str, key: &Secret| {
        let answers = chat.session.answers_since(0);
        let foreign = answers.iter().find(|answer| {
            let told = &answer.notification;
            told.secure_key.as_ref() == Some(key)
                || told.events().iter().any(|event| event.text.as_deref() == Some(word))
        });
        foreign.map(|answer| answer.frame())
    };
    let mixed = hears(&one, &second, &two.key).or_else(|| hears(&two, &first, &one.key));
    if let Some(frame) = mixed {
        let observed = "words or key of one chat came to the other";
        return Err(peer.broken("CV-SK-03", "each chat to hear its own words alone", observed, vec![frame]));
    }
    let own: Vec<Seen> = two.events();
    let last = own.last().ok_or_else(|| Stop::Error("an event that was seen is gone".to_owned()))?;
    last.must("CV-SK-03", true, "each chat to hear its own words alone")
}

//! What a client makes of answers that come early, late, not at all, or say no.

use std::time::Duration;

use serde_json::json;

use super::guest::Guest;
use super::house::{Fate, Heard};
use super::{House, Step, is_notification};
use crate::verdict::Verdict;

/// The answer to `requestChat` is lost: whether a chat runs nobody knows, so the client does not ask for another one by
/// itself.
pub(super) async fn answer_lost(guest: Guest) -> Verdict {
    guest.with(|house| {
        house.edit_messages(|message| if is_notification(message) { Fate::Drop } else { Fate::Pass });
    });
    let request = guest.requests_chat().await?;
    let mark = guest.mark();
    let second = guest.hears(mark, Duration::from_secs(20), |heard| heard.asks("requestChat")).await;
    guest.with(House::behave);
    let expected = "no second requestChat by itself";
    if let Some(second) = second {
        return Err(guest.broken("RC-59", expected, "requestChat again", vec![request.frame, second.frame]));
    }
    // A client that gave up altogether has not asked again either; one that is there shows it by its connects.
    let heard = guest.heard(mark);
    let Some(sign) = heard.iter().rev().find(|heard| heard.is(protocol::bayeux::channel::CONNECT)) else {
        return Err(guest.inconclusive("the client was gone before the time was over"));
    };
    guest.must("RC-59", sign.frame, true, expected, "")
}

/// The answer comes ahead of the acknowledgement, or within the response of the request.
pub(super) async fn answer_before_acknowledgement(guest: Guest) -> Verdict {
    guest.with(|house| house.set_up(|_| {}, |gms| gms.answer_delay_ms = 0));
    goes_on_with_its_chat(guest).await
}

/// The answer comes long behind the acknowledgement.
pub(super) async fn answer_late(guest: Guest) -> Verdict {
    guest.with(|house| house.set_up(|_| {}, |gms| gms.answer_delay_ms = 4_000));
    goes_on_with_its_chat(guest).await
}

async fn goes_on_with_its_chat(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let said = guest.says().await?;
    let begun = guest.with(|house| house.chats_begun);
    let expected = "the chat taken for begun, and its key used";
    let goes_on = begun == 1 && said.member("secureKey").as_ref() == Some(&talk.key);
    guest.must("CV-EV-51", said.frame, goes_on, expected, format!("{begun} chats, and another key"))
}

/// Three messages leave in the order in which the user sent them.
pub(super) async fn order_kept(guest: Guest) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    const WORDS: [&str; 3] = ["one", "two", "three"];
    guest.with(|house| house.asked.extend(WORDS.map(Step::Say)));
    let patience = guest.with(|house| house.settings.patience);
    let words = |house: &House| -> Vec<(String, Heard)> {
        let heard = house.heard[mark..].iter().filter(|heard| heard.asks("sendMessage"));
        let known = heard.filter_map(|heard| Some((heard.member("message")?, heard.clone())));
        known.filter(|(word, _)| WORDS.contains(&word.trim())).collect()
    };
    let all = guest.wait(patience, |house| Some(words(house)).filter(|words| words.len() >= WORDS.len())).await;
    let Some(all) = all else {
        return Err(guest.inconclusive("not all of the words came; say `one`, `two` and `three` when asked"));
    };
    let said: Vec<&str> = all.iter().map(|(word, _)| word.trim()).collect();
    let frames = all.iter().map(|(_, heard)| heard.frame).collect();
    let expected = "one, two, three, each once";
    if said != WORDS {
        return Err(guest.broken("BX-PB-09", expected, said.join(", "), frames));
    }
    guest.must("BX-PB-09", all[2].1.frame, true, expected, "")
}

/// A failed request with errors is no end of the chat.
pub(super) async fn failure_with_errors(guest: Guest) -> Verdict {
    goes_on_after_failure(guest, json!([{"code": 204, "advice": "the message is too long"}])).await
}

/// A failed request with an empty list of errors is none either.
pub(super) async fn failure_without_errors(guest: Guest) -> Verdict {
    goes_on_after_failure(guest, json!([])).await
}

async fn goes_on_after_failure(guest: Guest, errors: serde_json::Value) -> Verdict {
    guest.chat().await?;
    // What follows counts because the client could say something before.
    guest.says().await?;
    guest.settles().await;
    let mark = guest.mark();
    guest.with(|house| {
        house.notify(&json!({"statusCode": 2, "chatEnded": false, "messages": [], "errors": errors}));
    });
    let told = guest.last_told();
    guest.settles().await;
    let said = guest.may_say().await;
    let expected = "a client that goes on with its chat";
    let left = guest.heard(mark).into_iter().find(|heard| {
        heard.is(protocol::bayeux::channel::DISCONNECT) || heard.asks("disconnect") || heard.asks("requestChat")
    });
    match (left, said) {
        (Some(left), _) => {
            let what = left.operation().unwrap_or_else(|| "/meta/disconnect".to_owned());
            Err(guest.broken("CV-ER-50", expected, what, vec![told, left.frame]))
        }
        (None, Some(said)) => guest.must("CV-ER-50", said.frame, true, expected, ""),
        (None, None) => {
            let sign = guest.connects(mark).await?;
            let says = "nothing more is sent, though the client could send before and is still connected";
            Err(guest.broken("CV-ER-50", expected, says, vec![told, sign.frame]))
        }
    }
}

/// A notification of another chat, on another channel, changes nothing: the client keeps to its own key.
pub(super) async fn foreign_key_ignored(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    guest.with(|house| {
        let data = json!({
            "statusCode": 0, "chatEnded": false, "secureKey": "Zm9yZWlnbi1rZXktb2YtYW5vdGhlci1jaGF0", "messages": [],
            "chatId": "AnotherChat", "nextPosition": 9,
        });
        house.notify_on("/service/chatV2/tapestry-elsewhere", &data);
    });
    guest.settles().await;
    let said = guest.says().await?;
    let own = said.member("secureKey").as_ref() == Some(&talk.key);
    let same = said.message.channel() == talk.request.message.channel();
    guest.must("CV-SK-50", said.frame, own && same, "the key of the own chat, on its channel", "another key or channel")
}

/// Chat Server goes away and comes back: the client keeps its session and its chat.
pub(super) async fn chat_server_outage(guest: Guest) -> Verdict {
    guest.chat().await?;
    guest.says().await?;
    guest.settles().await;
    let mark = guest.mark();
    guest.with(|house| house.chat_server(false));
    let told = guest.last_told();
    guest.pause(Duration::from_secs(5)).await;
    guest.with(|house| house.chat_server(true));
    guest.settles().await;
    let gave_up = guest.heard(mark).into_iter().find(|heard| {
        heard.is(protocol::bayeux::channel::DISCONNECT)
            || heard.is(protocol::bayeux::channel::HANDSHAKE)
            || heard.asks("disconnect")
            || heard.asks("requestChat")
    });
    let expected = "the session and the chat kept through statusCode 1 and 0";
    if let Some(gave_up) = gave_up {
        let what = gave_up.operation().or_else(|| gave_up.message.channel().map(str::to_owned)).unwrap_or_default();
        return Err(guest.broken("RC-57", expected, what, vec![told, gave_up.frame]));
    }
    match guest.may_say().await {
        Some(said) => guest.must("RC-57", said.frame, true, expected, ""),
        None => {
            let says = "nothing more is sent, though the client could send before";
            let sign = guest.connects(mark).await?;
            Err(guest.broken("RC-57", expected, says, vec![told, sign.frame]))
        }
    }
}

/// A message that meets statusCode 1 may be sent again, at a pace that Chat Server can bear.
pub(super) async fn repeats_with_patience(guest: Guest) -> Verdict {
    guest.chat().await?;
    guest.with(|house| house.chat_server(false));
    let first = guest.says().await?;
    let mark = guest.mark();
    guest.pause(Duration::from_secs(10)).await;
    let again: Vec<Heard> = guest.heard(mark).into_iter().filter(|heard| heard.asks("sendMessage")).collect();
    guest.with(|house| house.chat_server(true));
    let sign = guest.connects(mark).await?;
    let expected = "not more than one repetition in a second";
    if again.len() > 10 {
        let frames = vec![first.frame, again[0].frame, again[1].frame];
        return Err(guest.broken("RC-58", expected, format!("{} in 10 s", again.len()), frames));
    }
    guest.must("RC-58", sign.frame, true, expected, "")
}

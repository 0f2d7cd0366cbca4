//! What a client makes of broken connections, refusals and slowness.

use std::time::Duration;

use protocol::bayeux::channel;
use protocol::bayeux::http;
use protocol::time::Time;
use protocol::wire::{Side, Wire};

use super::guest::{Guest, PATIENCE, Talk};
use super::house::Gate;
use super::{Heard, House};
use crate::verdict::{Frame, Stop, Verdict};

impl Guest {
    /// The client comes back by itself behind a mark.
    async fn comes_back(&self, mark: usize, told: Frame) -> Result<Heard, Stop> {
        let is_back = |heard: &Heard| heard.is(channel::CONNECT) || heard.is(channel::HANDSHAKE);
        let expected = "a connect or a handshake by itself";
        let Some(back) = self.hears(mark, PATIENCE, is_back).await else {
            return Err(self.broken("RC-55", expected, "none", vec![told]));
        };
        self.must("RC-55", back.frame, true, expected, "")?;
        Ok(back)
    }

    /// Once back, the client asks for what it may have missed, from where it was, and for no second chat.
    async fn takes_up(&self, mark: usize, talk: &Talk) -> Verdict {
        let told = self.last_told();
        let is_either = |heard: &Heard| heard.asks("requestNotifications") || heard.asks("requestChat");
        let expected = "requestNotifications, for what the broken connection may have lost";
        let Some(asked) = self.hears(mark, Duration::from_secs(15), is_either).await else {
            let sign = self.connects(mark).await?;
            return Err(self.broken("RC-56", expected, "none", vec![told, sign.frame]));
        };
        if asked.asks("requestChat") {
            let frames = vec![talk.request.frame, asked.frame];
            return Err(self.broken("RC-56", expected, "requestChat, while the chat runs", frames));
        }
        // What was told a moment before may not have reached the client.
        let range = |lag| self.with(|house| house.last_index_before(&asked, lag));
        let (low, high) = (range(Duration::from_millis(300)), range(Duration::ZERO));
        let position = asked.position().unwrap_or(0);
        let right = (low - 1..=high).contains(&position);
        let wanted = format!("`transcriptPosition` {high}");
        self.should("RC-54", asked.frame, right, &wanted, format!("`transcriptPosition` {position}"))?;
        self.must("RC-56", asked.frame, true, expected, "")
    }
}

/// Every connection is cut while the connect is held; the session is still there.
pub(super) async fn cut_while_held(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(House::cut);
    let told = guest.last_told();
    guest.with(|house| house.say("Are you still there?"));
    guest.comes_back(mark, told).await?;
    guest.takes_up(mark, &talk).await
}

/// The server closes the socket in good order.
pub(super) async fn server_closes_socket(guest: Guest) -> Verdict {
    let talk = guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| house.close(1001, "going away"));
    let told = guest.last_told();
    guest.comes_back(mark, told).await?;
    guest.takes_up(mark, &talk).await
}

/// Requests get 503 for a while: that is the network failing, not the end.
pub(super) async fn answers_503(guest: Guest) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| {
        house.gate = Gate::Status(503);
        house.cut();
    });
    let tried = |house: &House| attempts(house).last().copied();
    let expected = "a client that tries again until it is let in";
    let refused = guest.wait(PATIENCE, tried).await;
    guest.with(House::behave);
    let Some((_, refused)) = refused else {
        return Err(guest.broken("BX-LP-10", expected, "no attempt", vec![guest.last_told()]));
    };
    let is_back = |heard: &Heard| heard.is(channel::CONNECT) || heard.is(channel::HANDSHAKE);
    let Some(back) = guest.hears(mark, PATIENCE, is_back).await else {
        return Err(guest.broken("BX-LP-10", expected, "no attempt behind the refused one", vec![refused]));
    };
    let asked_again = guest.hears(mark, Duration::from_secs(5), |heard| heard.asks("requestChat")).await;
    if let Some(second) = asked_again {
        return Err(guest.broken(
            "BX-LP-10",
            expected,
            "requestChat, while the chat runs",
            vec![refused, second.frame],
        ));
    }
    guest.must("BX-LP-10", back.frame, true, expected, "")
}

/// The requests and upgrades that were answered with a refusal, each with its moment.
fn attempts(house: &House) -> Vec<(Time, Frame)> {
    let refused = house.entries.iter().enumerate().filter(|(_, entry)| {
        entry.from == Side::Server
            && match &entry.wire {
                Wire::Response(_, response) | Wire::Refused(_, response) => response.status == 503,
                _ => false,
            }
    });
    refused.map(|(place, entry)| (entry.at, Frame { entry: place, message: None })).collect()
}

/// Refused again and again, a client waits longer each time.
pub(super) async fn backs_off(guest: Guest) -> Verdict {
    guest.chat().await?;
    let mark = guest.mark();
    guest.with(|house| {
        house.gate = Gate::Status(503);
        house.cut();
    });
    guest.pause(Duration::from_secs(24)).await;
    let tried = guest.with(|house| attempts(house));
    guest.with(House::behave);
    // The first ones may follow one another at once, as a client tries its other transports.
    let mut moments: Vec<(Time, Frame)> = Vec::new();
    for attempt in tried {
        if moments.last().is_none_or(|last| attempt.0 - last.0 > Duration::from_millis(100)) {
            moments.push(attempt);
        }
    }
    let [first, second, .., before, last] = moments.as_slice() else {
        return Err(
            guest.inconclusive("the client tried fewer than four times in 24 s, so that its waits do not compare")
        );
    };
    let (early, late) = (second.0 - first.0, last.0 - before.0);
    let observed =
        format!("{} attempts, first {} ms apart, at last {} ms", moments.len(), early.as_millis(), late.as_millis());
    let expected = "longer waits with each failure";
    if late < early + early / 2 {
        return Err(guest.broken("BX-ADV-12", expected, observed, vec![first.1, second.1, before.1, last.1]));
    }
    let Some(_) = guest.hears(mark, PATIENCE + PATIENCE, |heard| heard.is(channel::CONNECT)).await else {
        return Err(guest.inconclusive("the client did not come back"));
    };
    guest.must("BX-ADV-12", last.1, true, expected, observed)
}

/// Every answer takes three seconds: the client waits, and repeats nothing.
pub(super) async fn slow_answers(guest: Guest) -> Verdict {
    guest.with(|house| house.delay_messages(|_| Duration::from_secs(3)));
    // A client that shakes hands again and again comes to no chat.
    let chatted = guest.chat().await;
    let heard = guest.heard(0);
    let handshakes: Vec<Frame> =
        heard.iter().filter(|heard| heard.is(channel::HANDSHAKE)).map(|heard| heard.frame).collect();
    let expected = "one handshake, and the wait for its answer";
    if handshakes.len() > 1 {
        return Err(guest.broken("BX-HS-18", expected, format!("{} handshakes", handshakes.len()), handshakes));
    }
    chatted?;
    let mark = guest.mark();
    let last = guest.connects(mark).await?;
    let requests = guest.heard(0).iter().filter(|heard| heard.asks("requestChat")).count();
    guest.should("RC-59", last.frame, requests == 1, "one requestChat", format!("{requests} of them"))?;
    guest.one_connect_at_a_time(&last)?;
    guest.must("BX-HS-18", last.frame, true, expected, "")
}

/// A client sends the cookie back that names its browser.
pub(super) async fn returns_cookies(guest: Guest) -> Verdict {
    // Without its cookie a client may come to no chat.
    let chatted = guest.chat().await;
    let given = guest.with(|house| {
        house.entries.iter().enumerate().find_map(|(place, entry)| match &entry.wire {
            Wire::Response(_, response) => {
                let set = response.headers.get("set-cookie")?;
                let value = set.split(';').next()?.split_once('=').filter(|(name, _)| *name == http::BROWSER_COOKIE)?.1;
                Some((place, value.to_owned()))
            }
            _ => None,
        })
    });
    let Some((place, value)) = given else {
        chatted?;
        return Err(guest.inconclusive("no cookie could be given"));
    };
    let requests: Vec<(Frame, bool)> = guest.with(|house| {
        let behind = house.entries.iter().enumerate().skip(place);
        let requests = behind.filter_map(|(place, entry)| match &entry.wire {
            Wire::Request(_, request) => {
                let cookie = http::cookie(&request.headers, http::BROWSER_COOKIE);
                Some((Frame { entry: place, message: None }, cookie == Some(value.as_str())))
            }
            _ => None,
        });
        requests.collect()
    });
    let expected = "the cookie in each request behind the one that gave it";
    let given = Frame { entry: place, message: None };
    let Some((last, _)) = requests.last() else { return Err(guest.inconclusive("no request came behind the cookie")) };
    match requests.iter().find(|(_, returned)| !returned) {
        Some((frame, _)) => Err(guest.broken("BX-MC-55", expected, "a request without it", vec![given, *frame])),
        None => {
            chatted?;
            guest.must("BX-MC-55", *last, true, expected, "")
        }
    }
}

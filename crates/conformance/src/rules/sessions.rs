//! What a session may see and its client may send, from its handshake to its end.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use protocol::bayeux::advice::{Advice, Reconnect};
use protocol::bayeux::channel;
use protocol::time::Time;
use protocol::violation::Violation;
use protocol::wire::Side;

use super::Findings;
use super::conversation::{Carrier, Conversation, End, Role, Seen};

/// How long it may take until the end of a carrier that the client has given up is seen as well.
const NOTICE: Duration = Duration::from_secs(2);

/// How much later than another request one may come that was sent before it.
const OVERTAKEN: Duration = Duration::from_secs(2);

/// How much earlier than advised a client's timer may fire.
const JITTER: Duration = Duration::from_millis(10);

pub(super) fn judge(conversation: &Conversation, findings: &mut Findings) {
    handshakes(conversation, findings);
    let mut clients = vec![Client::default(); conversation.sessions.len()];
    let successors = successors(conversation);
    let mut last_on: BTreeMap<Carrier, Option<Reconnect>> = BTreeMap::new();
    for (position, seen) in conversation.seen.iter().enumerate() {
        if seen.is(Side::Client, channel::HANDSHAKE) && last_on.get(&seen.carrier) == Some(&Some(Reconnect::None)) {
            findings.add(seen, Violation::AdviceNoneIgnored, "a handshake follows the advice `none` on this socket");
        }
        if seen.is(Side::Server, channel::HANDSHAKE) {
            let advised = seen.message.advice().and_then(|advice| advice.reconnect);
            let failed = seen.message.successful() == Some(false);
            last_on.insert(seen.carrier, advised.filter(|_| failed));
        }
        let Some(session) = seen.session else { continue };
        let Some(client) = clients.get_mut(session) else { continue };
        match seen.from {
            Side::Client => client.sends(conversation, position, seen, findings),
            Side::Server => client.receives(position, seen),
        }
        if successors.get(&session).is_some_and(|named| *named < seen.entry) {
            abandoned(seen, findings);
        }
        delivery_after_disconnect(conversation, client, seen, findings);
    }
    too_many_requests(conversation, findings);
}

/// What handshake replies show.
fn handshakes(conversation: &Conversation, findings: &mut Findings) {
    let mut names = BTreeSet::new();
    for seen in conversation.seen.iter().filter(|seen| seen.is(Side::Server, channel::HANDSHAKE)) {
        if seen.message.successful() != Some(true) || matches!(seen.role, Role::Repeated(_)) {
            continue;
        }
        if let Some(client) = seen.message.client_id()
            && !names.insert(client)
        {
            findings.add(seen, Violation::HandshakeClientIdReused, "an earlier handshake was given this `clientId`");
        }
    }
    let replies: BTreeSet<usize> = conversation
        .seen
        .iter()
        .filter(|seen| seen.is(Side::Server, channel::HANDSHAKE))
        .map(|seen| seen.entry)
        .collect();
    for seen in conversation.seen.iter().filter(|seen| replies.contains(&seen.entry)) {
        if seen.role == Role::Delivery && seen.from == Side::Server && seen.message.data().is_some() {
            let says = format!("a delivery on {} stands beside a handshake reply", seen.channel());
            findings.add(seen, Violation::HandshakeDeliveryInside, says);
        }
    }
}

/// One session from its client's side.
#[derive(Clone, Debug, Default)]
struct Client {
    /// The ids used, with where.
    ids: BTreeMap<String, usize>,
    /// The connects sent.
    connects: Vec<usize>,
    /// The newest advice (BX-ADV-02).
    advice: Advice,
    /// The last connect reply and what it advised.
    last_reply: Option<(usize, Time, Option<Reconnect>, Option<Duration>)>,
    /// The disconnect, once sent.
    disconnect: Option<usize>,
    /// The reply to it.
    left: Option<usize>,
}

impl Client {
    fn sends(&mut self, conversation: &Conversation, position: usize, seen: &Seen, findings: &mut Findings) {
        if let Some(id) = seen.message.id()
            && self.ids.insert(id.as_str().to_owned(), position).is_some()
        {
            let says = format!("the id {id} was used in this session before");
            findings.add(seen, Violation::MessageIdReused, says);
        }
        match seen.channel() {
            channel::CONNECT => self.connects_again(conversation, position, seen, findings),
            channel::DISCONNECT => self.disconnect = self.disconnect.or(Some(position)),
            _ => {}
        }
    }

    fn connects_again(&mut self, conversation: &Conversation, position: usize, seen: &Seen, findings: &mut Findings) {
        let outstanding = |earlier: &usize| is_outstanding(conversation, *earlier, seen);
        if let Some(earlier) = self.connects.iter().copied().rfind(outstanding) {
            let id = Conversation::id(&conversation.seen[earlier].message);
            let says = format!("the connect with {id} of this session is not answered yet");
            findings.add(seen, Violation::ConnectSecondOutstanding, says);
        }
        if self.disconnect.is_some_and(|left| self.knows_of(conversation, &conversation.seen[left], seen)) {
            let says = "the session's disconnect was sent before this connect";
            findings.add(seen, Violation::DisconnectConnectAfter, says);
        }
        if let Some((_, at, advised, interval)) = &self.last_reply {
            match advised {
                Some(Reconnect::None) => {
                    let says = "the last connect reply of this session advised `none`";
                    findings.add(seen, Violation::AdviceNoneIgnored, says);
                }
                Some(Reconnect::Handshake) => {
                    let says = "the last connect reply of this session advised `handshake`";
                    findings.add(seen, Violation::AdviceHandshakeIgnored, says);
                }
                Some(Reconnect::Retry | Reconnect::Unknown(_)) | None => {}
            }
            let waited = seen.at - *at;
            if let Some(interval) = interval
                && waited + JITTER + *interval / 100 < *interval
            {
                let says = format!(
                    "{} ms after the last connect reply, the advised interval is {} ms",
                    waited.as_millis(),
                    interval.as_millis()
                );
                findings.add(seen, Violation::ConnectIntervalIgnored, says);
            }
        }
        self.last_reply = None;
        self.connects.push(position);
    }

    /// Whether a connect was sent behind the session's disconnect. Requests on two connections may overtake each other; but
    /// what follows a reply that was sent behind the disconnect was sent behind it too.
    fn knows_of(&self, conversation: &Conversation, disconnect: &Seen, connect: &Seen) -> bool {
        let follows = |(reply, ..): &(usize, _, _, _)| conversation.seen[*reply].entry > disconnect.entry;
        connect.carrier == disconnect.carrier
            || self.last_reply.as_ref().is_some_and(follows)
            || connect.at - disconnect.at > OVERTAKEN
    }

    fn receives(&mut self, position: usize, seen: &Seen) {
        if let Some(advice) = seen.message.advice() {
            self.advice = advice;
        }
        match seen.channel() {
            channel::CONNECT => {
                let advised = seen.message.advice().and_then(|advice| advice.reconnect);
                let interval = self.advice.interval.and_then(|interval| u64::try_from(interval).ok());
                let interval = interval.filter(|interval| *interval > 0).map(Duration::from_millis);
                self.last_reply = Some((position, seen.at, advised, interval));
            }
            channel::DISCONNECT if seen.message.successful() == Some(true) && seen.is_reply() => {
                self.left = self.left.or(Some(position));
            }
            _ => {}
        }
    }
}

/// Whether a connect still waits for its reply when another is sent. A carrier that the client has given up may be seen to
/// end a little later; and a client that thinks its connect lost says so by asking for no hold, though the old carrier
/// may seem to live on.
fn is_outstanding(conversation: &Conversation, earlier: usize, next: &Seen) -> bool {
    let connect = &conversation.seen[earlier];
    let thinks_it_lost =
        connect.carrier != next.carrier && next.message.advice().and_then(|advice| advice.timeout) == Some(0);
    if let Some(reply) = conversation.replies.get(&earlier) {
        return conversation.seen[*reply].entry > next.entry && !thinks_it_lost;
    }
    let end = conversation.lives.get(&connect.carrier).and_then(|life| life.ended);
    match end {
        Some((entry, ..)) if entry < next.entry => false,
        Some((_, at, End::Broken)) if at - next.at <= NOTICE => false,
        Some(_) | None => !thinks_it_lost,
    }
}

/// The entry that gave a session's client the next session.
fn successors(conversation: &Conversation) -> BTreeMap<usize, usize> {
    let mut successors = BTreeMap::new();
    for session in &conversation.sessions {
        if let (Some(before), Some(named)) = (session.before, session.named) {
            successors.entry(before).or_insert(conversation.seen[named].entry);
        }
    }
    successors
}

/// A client that was given a new session is done with the old one.
fn abandoned(seen: &Seen, findings: &mut Findings) {
    if seen.from == Side::Client && seen.channel() != channel::DISCONNECT {
        let says = format!("the message on {} names the session before the last handshake", seen.channel());
        findings.add(seen, Violation::SessionOldClientId, says);
    }
}

fn delivery_after_disconnect(conversation: &Conversation, client: &Client, seen: &Seen, findings: &mut Findings) {
    let Some(left) = client.left.map(|left| &conversation.seen[left]) else { return };
    let delivered = seen.from == Side::Server && seen.role == Role::Delivery && seen.message.data().is_some();
    // Order inside a unit is free, and so is that of responses under way at the same time.
    if delivered && seen.entry > left.entry && conversation.follows(seen, left) {
        let says = format!("a delivery on {} follows the reply to the session's disconnect", seen.channel());
        findings.add(seen, Violation::DisconnectDeliveryAfter, says);
    }
}

/// At most two exchanges of a session at once (BX-GEN-02). One that breaks soon after counts as given up before.
fn too_many_requests(conversation: &Conversation, findings: &mut Findings) {
    let mut open: BTreeMap<usize, Vec<Carrier>> = BTreeMap::new();
    let first_of_unit = |seen: &&Seen| seen.from == Side::Client && seen.position == 0;
    for seen in conversation.seen.iter().filter(first_of_unit) {
        let (Carrier::Exchange(_), Some(session)) = (seen.carrier, seen.session) else { continue };
        let under_way = open.entry(session).or_default();
        under_way.retain(|carrier| match conversation.lives.get(carrier).and_then(|life| life.ended) {
            Some((entry, _, End::Response(_))) => entry > seen.entry,
            Some((_, _, End::Broken)) => false,
            None => true,
        });
        under_way.push(seen.carrier);
        if under_way.len() > 2 {
            let says = format!("{} requests of this session are under way", under_way.len());
            findings.add(seen, Violation::SessionTooManyRequests, says);
        }
    }
}

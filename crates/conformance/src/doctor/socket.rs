//! What is asked over WebSocket: whether it is granted, whether anything passes, and whether it stays while nothing is said.

use std::time::Duration;

use protocol::bayeux::batch::{Batch, Limits};
use protocol::bayeux::channel;
use protocol::bayeux::http::{self, Cookies};
use protocol::bayeux::message::{ClientId, Message, MessageId};
use protocol::time::Time;
use protocol::wire::{Failure, Response, Socket};

use super::answer::{self, shown};
use super::finding::{self, Finding};
use super::line::{Heard, Upgrade};
use super::probe::{HOLD, LATER, connect, handshake_message};
use super::{Bed, Door};

/// How much later than asked an answer may come.
const TOLERANCE: Duration = Duration::from_millis(1_200);

/// A socket on which a connect is held.
pub(super) struct Held {
    socket: Socket,
    client_id: ClientId,
    until: Time,
}

/// Tries WebSocket; gives a socket that is idle from here on, if there is one to watch.
pub(super) async fn examine(bed: &Bed, offered: bool) -> Option<Held> {
    let request = http::upgrade(&bed.setup.base, &Cookies::new());
    let (socket, upgrade) = bed.wires.upgrade(request, LATER).await;
    if let Err(finding) = granted(&upgrade, offered) {
        let is_note = *finding.kind == finding::NO_WEBSOCKET;
        bed.note(|diagnosis| diagnosis.web_socket = if is_note { Door::Closed } else { Door::Blocked });
        bed.find(finding);
        bed.wires.close(socket);
        return None;
    }
    let client_id = match handshake(bed, socket).await {
        Ok(client_id) => client_id,
        Err(finding) => {
            bed.note(|diagnosis| diagnosis.web_socket = Door::Blocked);
            bed.find(finding);
            bed.wires.close(socket);
            return None;
        }
    };
    bed.note(|diagnosis| diagnosis.web_socket = Door::Open);
    if !bed.setup.thorough {
        leave(bed, socket, &client_id).await;
        return None;
    }
    bed.wires.say(socket, Batch::array(&[connect(&client_id, "websocket", Duration::ZERO, "2")]));
    let _ = reply(bed, socket, channel::CONNECT).await;
    bed.wires.say(socket, Batch::array(&[connect(&client_id, "websocket", HOLD, "3")]));
    let until = bed.wires.now() + HOLD + TOLERANCE;
    own_origin(bed).await;
    Some(Held { socket, client_id, until })
}

/// Whether a handshake over WebSocket succeeds.
pub(super) async fn is_open(bed: &Bed) -> bool {
    let (socket, upgrade) = bed.wires.upgrade(http::upgrade(&bed.setup.base, &Cookies::new()), LATER).await;
    let opened = match upgrade {
        Upgrade::Granted => handshake(bed, socket).await.ok(),
        Upgrade::Refused(_) | Upgrade::Lost(_) | Upgrade::Silence => None,
    };
    match &opened {
        Some(client_id) => {
            bed.note(|diagnosis| diagnosis.web_socket = Door::Open);
            leave(bed, socket, client_id).await;
        }
        None => bed.wires.close(socket),
    }
    opened.is_some()
}

/// What an upgrade came to.
fn granted(upgrade: &Upgrade, offered: bool) -> Result<(), Finding> {
    let offer = if offered { "the handshake offers `websocket`" } else { "the handshake does not offer `websocket`" };
    let failed = |kind, what: String| Err(Finding::new(kind, format!("{what}; {offer}")));
    match upgrade {
        Upgrade::Granted => Ok(()),
        Upgrade::Refused(response) => {
            let what = format!("an upgrade was answered with status {}", response.status);
            failed(refused(response, offered), what)
        }
        Upgrade::Lost(Failure::Protocol) => {
            failed(&finding::UPGRADE_ODD, "an upgrade was answered, and not as WebSocket wants it".to_owned())
        }
        Upgrade::Lost(failure) => failed(&finding::UPGRADE_CUT, format!("an upgrade ended with: {failure}")),
        Upgrade::Silence => {
            failed(&finding::UPGRADE_MUTE, format!("an upgrade was not answered within {} s", LATER.as_secs()))
        }
    }
}

const fn refused(response: &Response, offered: bool) -> &'static finding::Kind {
    match (response.status, offered) {
        (401 | 403 | 407, _) => &finding::UPGRADE_FORBIDDEN,
        (_, true) => &finding::UPGRADE_STRIPPED,
        (_, false) => &finding::NO_WEBSOCKET,
    }
}

/// Handshakes on a socket.
async fn handshake(bed: &Bed, socket: Socket) -> Result<ClientId, Finding> {
    bed.wires.say(socket, Batch::array(&[handshake_message(None)]));
    let failed = |kind, what: &str| Err(Finding::new(kind, format!("a handshake over WebSocket {what}")));
    match reply(bed, socket, channel::HANDSHAKE).await {
        Ok(reply) => match reply.client_id().filter(|_| reply.successful() == Some(true)) {
            Some(client_id) => {
                bed.opened(|opened| opened.sockets.push((socket, client_id.clone())));
                Ok(client_id.clone())
            }
            None => failed(
                &finding::SOCKET_REFUSED,
                &format!("was refused: `{}`", shown(reply.error().unwrap_or_default())),
            ),
        },
        Err(Heard::Silence | Heard::Text(_)) => failed(&finding::NOTHING_PASSES, "was not answered"),
        Err(Heard::Closed(code)) => {
            failed(&finding::NOTHING_PASSES, &format!("was answered by a close with code {code}"))
        }
        Err(Heard::Lost(failure)) => failed(&finding::NOTHING_PASSES, &format!("ended with: {failure}")),
    }
}

/// The next reply on a channel that comes on a socket.
async fn reply(bed: &Bed, socket: Socket, channel: &str) -> Result<Message, Heard> {
    reply_until(bed, socket, channel, bed.wires.now() + LATER).await
}

async fn reply_until(bed: &Bed, socket: Socket, channel: &str, until: Time) -> Result<Message, Heard> {
    loop {
        let text = match bed.wires.hear(socket, until).await {
            Heard::Text(text) => text,
            end => return Err(end),
        };
        let Ok(batch) = Batch::parse(text.as_bytes(), &Limits::default()) else { continue };
        if let Some(reply) = answer::reply(&batch.messages, channel) {
            return Ok(reply.clone());
        }
    }
}

/// Whether a page of the server's own origin may open a WebSocket: browsers name the origin, and others do not.
async fn own_origin(bed: &Bed) {
    let mut request = http::upgrade(&bed.setup.base, &Cookies::new());
    request.headers = request.headers.with("Origin", &bed.setup.origin);
    let (socket, upgrade) = bed.wires.upgrade(request, LATER).await;
    if let Upgrade::Refused(response) = upgrade {
        let (origin, status) = (&bed.setup.origin, response.status);
        let seen = format!(
            "an upgrade for a page of `{origin}` was answered with status {status}, one without a page was granted"
        );
        bed.find(Finding::new(&finding::ORIGIN_REFUSED, seen));
    }
    bed.wires.close(socket);
}

/// Watches a socket on which nothing is said until its connect comes back.
pub(super) async fn await_end(bed: &Bed, held: Held) {
    let Held { socket, client_id, until } = held;
    let ended = match reply_until(bed, socket, channel::CONNECT, until).await {
        // A server may hold longer than asked.
        Ok(_) | Err(Heard::Silence | Heard::Text(_)) => return leave(bed, socket, &client_id).await,
        Err(Heard::Closed(code)) => format!("closed with code {code}"),
        Err(Heard::Lost(failure)) => format!("cut ({failure})"),
    };
    let seen = format!("a WebSocket on which nothing was said was {ended} within {} s", HOLD.as_secs());
    bed.find(Finding::new(&finding::IDLE_CUT, seen));
    bed.wires.close(socket);
}

/// Leaves a session and its socket in good order.
pub(super) async fn leave(bed: &Bed, socket: Socket, client_id: &ClientId) {
    bed.opened(|opened| opened.sockets.retain(|(known, _)| *known != socket));
    let message = Message::draft(channel::DISCONNECT).client(client_id).id(Some(&MessageId::new("9"))).finish();
    bed.wires.say(socket, Batch::array(&[message]));
    let _ = reply_until(bed, socket, channel::DISCONNECT, bed.wires.now() + Duration::from_secs(1)).await;
    bed.wires.close(socket);
}

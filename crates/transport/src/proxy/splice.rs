//! An upgraded socket: bytes pass as they are, a copy of each direction is decoded.

use std::io;
use std::pin::pin;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use protocol::wire::{Failure, Headers, Side, Socket, Wire};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tracing::debug;

use super::Limits;
use super::body::size;
use super::feed::{Feed, Reservation};
use crate::frames::{self, Decoder, Frame, Malformed};

/// Bytes that are moved at once.
const CHUNK: usize = 16 << 10;

pub(super) struct Splice {
    client: OnUpgrade,
    server: Upgraded,
    socket: Socket,
    up: Direction,
    down: Direction,
}

impl Splice {
    pub(super) fn new(
        feed: Feed,
        conn: u64,
        socket: Socket,
        (client, server): (OnUpgrade, Upgraded),
        granted: &Headers,
        limits: Limits,
    ) -> Self {
        let direction = |from| {
            let decoder = frames::compresses(granted).map(|compresses| Decoder::new(from, compresses, limits.frames));
            let room = feed.reserve();
            Direction {
                feed: feed.clone(),
                room,
                limit: limits.frames.message,
                conn,
                socket,
                from,
                decoder,
                closing: false,
            }
        };
        let (up, down) = (direction(Side::Client), direction(Side::Server));
        Self { client, server, socket, up, down }
    }

    /// Tells that nothing can be decoded, if that is known from the start.
    pub(super) fn announce(&self) {
        for direction in [&self.up, &self.down] {
            if let Err(malformed) = &direction.decoder {
                direction.give_up(*malformed);
            }
        }
    }

    /// Moves bytes until both sides are done or one is gone; says who ended it, and why if not in order.
    pub(super) async fn run(self) -> (Side, Option<Failure>) {
        let Self { client, server, socket, mut up, mut down } = self;
        let Ok(client) = client.await else {
            up.lost(Side::Client, Failure::Aborted);
            return (Side::Client, Some(Failure::Aborted));
        };
        let (from_client, to_client) = tokio::io::split(TokioIo::new(client));
        let (from_server, to_server) = tokio::io::split(TokioIo::new(server));
        let end = {
            let mut up = pin!(pump(&mut up, from_client, to_server));
            let mut down = pin!(pump(&mut down, from_server, to_client));
            let (first, rest) = tokio::select! {
                end = &mut up => (end, Side::Server),
                end = &mut down => (end, Side::Client),
            };
            if first.whole {
                // One side has said all; the other may still answer.
                match rest {
                    Side::Server => down.await,
                    Side::Client => up.await,
                };
            }
            first
        };
        debug!(socket = socket.0, by = end.by.arrow(), "socket ended");
        let undecoded = |direction: &Direction| Some((direction.from, *direction.decoder.as_ref().err()?));
        match undecoded(&up).or_else(|| undecoded(&down)) {
            // Nobody's fault, and whether there was a close frame is unknown.
            Some((_, Malformed::Extension)) => return (end.by, None),
            Some((from, malformed)) => {
                up.lost(from, malformed.failure());
                return (end.by, None);
            }
            None if up.closing || down.closing => return (end.by, None),
            None => {}
        }
        up.lost(end.by, Failure::Reset);
        (end.by, Some(Failure::Reset))
    }
}

/// One direction of a socket.
struct Direction {
    feed: Feed,
    /// For a message whose end has not come yet.
    room: Reservation,
    /// Bytes of a message.
    limit: usize,
    conn: u64,
    socket: Socket,
    from: Side,
    decoder: Result<Decoder, Malformed>,
    /// Whether a close frame has passed.
    closing: bool,
}

impl Direction {
    /// Looks at bytes that are about to be passed on, so that nothing can be told before its cause.
    fn see(&mut self, bytes: &[u8]) {
        let Ok(decoder) = &mut self.decoder else { return };
        let mut frames = Vec::new();
        let mut decoded = decoder.decode(bytes, &mut frames);
        let has_room = self.room.set(decoder.held());
        if !has_room {
            decoded = decoded.and_then(|()| decoder.pass_message());
            self.room.set(0);
        }
        for frame in frames {
            self.closing |= matches!(frame, Frame::Close(_));
            match wire(self.socket, frame) {
                Some(wire) => self.feed.wire(self.conn, self.from, wire),
                None => self.leave_out(&format!("over the limit of {}", size(self.limit))),
            }
        }
        if !has_room {
            self.leave_out("no memory left for it");
        }
        if let Err(malformed) = decoded {
            self.give_up(malformed);
            self.decoder = Err(malformed);
            self.room.set(0);
        }
    }

    fn leave_out(&self, why: &str) {
        self.gap(&format!("message of the {} left out: {why}", self.who()));
    }

    /// Nothing more can be decoded.
    fn give_up(&self, malformed: Malformed) {
        self.gap(&format!("frames of the {} left out from here on: {malformed}", self.who()));
    }

    fn gap(&self, text: &str) {
        self.feed.gap(self.conn, format!("s{} {text}", self.socket.0));
    }

    const fn who(&self) -> &'static str {
        match self.from {
            Side::Client => "client",
            Side::Server => "server",
        }
    }

    fn lost(&self, by: Side, failure: Failure) {
        self.feed.wire(self.conn, by, Wire::Lost(self.socket, failure));
    }
}

/// `None` of a message that is left out.
fn wire(socket: Socket, frame: Frame) -> Option<Wire> {
    Some(match frame {
        Frame::Text(text) => Wire::Text(socket, text),
        Frame::Binary(bytes) => Wire::Binary(socket, bytes),
        Frame::Ping(payload) => Wire::Ping(socket, payload),
        Frame::Pong(payload) => Wire::Pong(socket, payload),
        Frame::Close(close) => Wire::Close(socket, close),
        Frame::LeftOut => return None,
    })
}

/// How a direction ended.
struct End {
    by: Side,
    /// Whether its sender ended it, and not an error.
    whole: bool,
}

async fn pump(
    direction: &mut Direction,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
) -> End {
    let from = direction.from;
    let mut chunk = vec![0; CHUNK];
    loop {
        direction.feed.room().await;
        let read = match reader.read(&mut chunk).await {
            Ok(0) => break,
            Ok(read) => read,
            Err(_) => return End { by: from, whole: false },
        };
        direction.see(&chunk[..read]);
        let written: io::Result<()> = async {
            writer.write_all(&chunk[..read]).await?;
            writer.flush().await
        }
        .await;
        if written.is_err() {
            return End { by: from.peer(), whole: false };
        }
    }
    let whole = writer.shutdown().await.is_ok();
    End { by: from, whole }
}

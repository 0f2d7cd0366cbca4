//! One open WebSocket, on either side: frames in, frames out, and its end told once.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use protocol::wire::{Close, Failure, Socket, Wire};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::error::{CapacityError, Error, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message, Utf8Bytes};

/// How many frames may wait for a peer that does not read. A socket with more is cut.
pub(crate) const BACKLOG: usize = 1_024;

/// How long the peer has to answer a close.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// Small buffers: the library's own defaults cost more than 100 KiB a connection.
pub(crate) fn config(limit: usize) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(4_096)
        .write_buffer_size(0)
        .max_message_size(Some(limit))
        .max_frame_size(Some(limit))
}

/// Carries one socket until it ends. `outgoing` ends it when it closes: then our side has dropped it.
pub(crate) async fn carry<S>(
    socket: Socket,
    mut stream: WebSocketStream<S>,
    mut outgoing: mpsc::Receiver<Wire>,
    incoming: mpsc::Sender<Wire>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        tokio::select! {
            biased;
            wire = outgoing.recv() => {
                let sent = match wire {
                    Some(Wire::Text(_, text)) => stream.send(Message::text(text)).await,
                    Some(Wire::Binary(_, bytes)) => stream.send(Message::binary(bytes)).await,
                    Some(Wire::Ping(_, bytes)) => stream.send(Message::Ping(bytes.into())).await,
                    Some(Wire::Pong(_, bytes)) => stream.send(Message::Pong(bytes.into())).await,
                    Some(Wire::Close(_, close)) => return finish(stream, close).await,
                    // Lost on purpose: the stream is dropped without a word.
                    Some(_) | None => return,
                };
                if let Err(error) = sent {
                    let _ = incoming.send(Wire::Lost(socket, failure(&error))).await;
                    return;
                }
            }
            message = stream.next() => {
                let wire = match message {
                    Some(Ok(Message::Text(text))) => Wire::Text(socket, text.as_str().to_owned()),
                    Some(Ok(Message::Binary(bytes))) => Wire::Binary(socket, bytes.to_vec()),
                    Some(Ok(Message::Ping(bytes))) => Wire::Ping(socket, bytes.to_vec()),
                    Some(Ok(Message::Pong(bytes))) => Wire::Pong(socket, bytes.to_vec()),
                    Some(Ok(Message::Close(frame))) => {
                        let _ = incoming.send(Wire::Close(socket, close(frame))).await;
                        // The library has queued the answer. To it, a second close would be a fault of ours, and send nothing.
                        let closing = async {
                            let _ = stream.flush().await;
                            let _ = stream.get_mut().shutdown().await;
                        };
                        let _ = tokio::time::timeout(CLOSE_PATIENCE, closing).await;
                        return;
                    }
                    Some(Ok(Message::Frame(_))) => continue,
                    Some(Err(error)) => {
                        let _ = incoming.send(Wire::Lost(socket, failure(&error))).await;
                        if let Some(close) = complaint(&error) {
                            finish(stream, close).await;
                        }
                        return;
                    }
                    None => {
                        let _ = incoming.send(Wire::Lost(socket, Failure::Reset)).await;
                        return;
                    }
                };
                if incoming.send(wire).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Sends a close and waits a while for its answer. What else arrives is of no use to anyone any more.
async fn finish<S>(mut stream: WebSocketStream<S>, close: Close)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let frame = (close.code != 1005)
        .then(|| CloseFrame { code: CloseCode::from(close.code), reason: Utf8Bytes::from(close.reason) });
    let closing = async {
        if stream.close(frame).await.is_ok() {
            while let Some(Ok(_)) = stream.next().await {}
        }
        // To TLS an end without this looks like one that somebody in between has faked.
        let _ = stream.get_mut().shutdown().await;
    };
    let _ = tokio::time::timeout(CLOSE_PATIENCE, closing).await;
}

fn close(frame: Option<CloseFrame>) -> Close {
    match frame {
        Some(frame) => Close { code: frame.code.into(), reason: frame.reason.as_str().to_owned() },
        None => Close { code: 1005, reason: String::new() },
    }
}

/// What a peer is told that broke the rules of frames (RFC 6455, section 7.4.1). Without a connection nobody is told.
fn complaint(error: &Error) -> Option<Close> {
    let (code, reason) = match error {
        Error::Capacity(CapacityError::MessageTooLong { .. }) => (1009, "message too large"),
        Error::Utf8(_) => (1007, "text that is not UTF-8"),
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => {
            return None;
        }
        Error::Protocol(_) => (1002, "protocol error"),
        _ => return None,
    };
    Some(Close { code, reason: reason.to_owned() })
}

/// The class of what went wrong.
pub(crate) fn failure(error: &Error) -> Failure {
    match error {
        Error::Capacity(_) => Failure::TooLarge,
        // The stream ended in the middle. With TLS the same shows as an error of the stream.
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake | ProtocolError::HandshakeIncomplete) => {
            Failure::Reset
        }
        Error::Protocol(_) | Error::Utf8(_) | Error::Http(_) | Error::HttpFormat(_) | Error::Url(_) => {
            Failure::Protocol
        }
        _ => Failure::Reset,
    }
}

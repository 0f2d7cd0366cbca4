//! A server that counts. It answers like CometD with the chat API, over WebSocket and long-polling, and keeps account of every
//! numbered message that it takes and gives.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::account::{Account, Seen, index, number};
use crate::http::Connection;

/// The channel of the chat.
pub(crate) const CHANNEL: &str = "/service/chatV2/customer-support";

/// The path of the servlet.
pub(crate) const PATH: &str = "/genesys/cometd";

pub(crate) struct Server {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    /// Of the sessions that ended in order.
    account: Mutex<Account>,
    open: AtomicUsize,
    most: AtomicUsize,
}

impl Server {
    /// Serves on loopback for as long as the runtime lives.
    pub(crate) async fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let (address, state) = (listener.local_addr()?, Arc::new(State::default()));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let state = Arc::clone(&shared);
                // A connection that breaks leaves its session out of the account.
                tokio::spawn(async move { serve(stream, &state).await });
            }
        });
        Ok(Self { address, state })
    }

    pub(crate) fn authority(&self) -> String {
        self.address.to_string()
    }

    /// What passed in the sessions that have ended, and how many of them were open at once; both begin anew.
    pub(crate) fn take(&self) -> (Account, usize) {
        let account = std::mem::take(&mut *self.state.account.lock().unwrap_or_else(PoisonError::into_inner));
        (account, self.state.most.swap(0, Ordering::Relaxed))
    }
}

async fn serve(stream: TcpStream, state: &State) -> io::Result<()> {
    let mut connection = Connection::new(stream)?;
    let mut session = Session::default();
    while let Some(request) = connection.receive().await? {
        if let Some(key) = request.field("sec-websocket-key") {
            let accept = derive_accept_key(key.as_bytes());
            connection
                .send(&format!(
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Accept: {accept}\r\n\r\n"
                ))
                .await?;
            let mut socket = connection.upgraded(Role::Server).await;
            while let Some(message) = socket.next().await {
                let Message::Text(text) = message.map_err(io::Error::other)? else { continue };
                for answer in session.answer(text.as_str(), state) {
                    socket.send(Message::text(format!("[{answer}]"))).await.map_err(io::Error::other)?;
                    session.sent(&answer);
                }
            }
            return Ok(());
        }
        let answers = session.answer(&request.body, state);
        let body = json!(answers).to_string();
        let length = body.len();
        connection
            .send(&format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: {length}\r\n\r\n{body}"
            ))
            .await?;
        answers.iter().for_each(|answer| session.sent(answer));
    }
    Ok(())
}

#[derive(Default)]
struct Session {
    number: u64,
    client_id: String,
    seen: Seen,
}

impl Session {
    /// What is said to a batch of messages, in order.
    fn answer(&mut self, batch: &str, state: &State) -> Vec<Value> {
        let messages: Vec<Value> = serde_json::from_str(batch).unwrap_or_default();
        messages.iter().flat_map(|message| self.answer_to(message, state)).collect()
    }

    /// Keeps account of what was said.
    fn sent(&mut self, answer: &Value) {
        if let Some(id) = answer["id"].as_str() {
            // Those of the meta channels are no numbers.
            self.seen.answered.extend(id.parse::<u64>());
        } else if let Some(index) = answer["data"]["messages"][0]["index"].as_u64() {
            self.seen.pushed.extend(number(self.number, index));
        }
    }

    fn answer_to(&mut self, message: &Value, state: &State) -> Vec<Value> {
        let (channel, id) = (&message["channel"], message["id"].as_str().unwrap_or_default());
        match channel.as_str() {
            Some("/meta/handshake") => {
                // The first message says which session this is, by its id.
                self.number = id.trim_start_matches("s-").parse().unwrap_or_default();
                self.client_id = format!("c{:07x}load{:08x}", self.number, self.number.wrapping_mul(2_654_435_761));
                state.most.fetch_max(state.open.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                vec![json!({
                    "id": id, "channel": channel, "version": "1.0", "successful": true, "clientId": self.client_id,
                    "supportedConnectionTypes": ["websocket", "long-polling"],
                    "advice": {"reconnect": "retry", "interval": 0, "timeout": 30_000},
                })]
            }
            Some("/meta/disconnect") => {
                state.open.fetch_sub(1, Ordering::Relaxed);
                let seen = std::mem::take(&mut self.seen);
                state.account.lock().unwrap_or_else(PoisonError::into_inner).insert(self.number, seen);
                vec![json!({"id": id, "channel": channel, "successful": true, "clientId": self.client_id})]
            }
            _ => {
                let number = id.parse().unwrap_or_default();
                self.seen.published.push(number);
                vec![
                    json!({"id": id, "channel": channel, "successful": true, "clientId": self.client_id}),
                    json!({"channel": channel, "data": {
                        "statusCode": 0, "chatEnded": false,
                        "messages": [{
                            "index": index(self.number, number), "type": "Message", "utcTime": 1_764_364_180_000_u64 + number,
                            "from": {"nickname": format!("Client {}", self.number), "participantId": 1, "type": "Client"},
                            "text": message["data"]["message"],
                        }],
                    }}),
                ]
            }
        }
    }
}

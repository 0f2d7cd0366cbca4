//! Many sessions at once, and the account and the round trips of each.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::account::{Account, Seen, number};
use crate::http::Connection;
use crate::server::{CHANNEL, PATH};

/// How many connections are made at the same time: more than a listener's backlog holds would be tried again much later.
const OPENING: usize = 64;

/// No answer takes as long as that.
const PATIENCE: Duration = Duration::from_secs(20);

/// What carries the messages of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    WebSocket,
    LongPolling,
}

impl fmt::Display for Carrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::WebSocket => "WebSocket",
            Self::LongPolling => "long-polling",
        })
    }
}

/// What is to be done.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) carrier: Carrier,
    pub(crate) sessions: u64,
    /// A session has published enough after so many messages,
    pub(crate) messages: u64,
    /// or after that time.
    pub(crate) time: Duration,
    /// How many messages all sessions together publish in a second; without it each publishes as soon as the one before is
    /// answered.
    pub(crate) rate: Option<u32>,
}

/// What was done.
pub(crate) struct Outcome {
    pub(crate) account: Account,
    /// From each message to its reply.
    pub(crate) round_trips: Vec<Duration>,
    /// From the first message to the last event.
    pub(crate) took: Duration,
}

/// Opens all sessions, lets them publish when the last is open, and closes each when it has published enough.
pub(crate) async fn run(authority: &str, plan: Plan) -> Result<Outcome> {
    let mut opening = JoinSet::new();
    let mut sessions = Vec::new();
    for number in 1..=plan.sessions {
        if opening.len() >= OPENING {
            sessions.extend(opening.join_next().await.transpose()?.transpose()?);
        }
        let authority = authority.to_owned();
        opening.spawn(async move { within(Session::open(&authority, number, plan.carrier)).await });
    }
    while let Some(opened) = opening.join_next().await {
        sessions.push(opened??);
    }
    let began = Instant::now();
    let mut running = JoinSet::new();
    for session in sessions {
        running.spawn(session.publish(plan, began));
    }
    let mut outcome = Outcome { account: Account::new(), round_trips: Vec::new(), took: Duration::ZERO };
    while let Some(ended) = running.join_next().await {
        let (session, round_trips, at) = ended??;
        outcome.account.insert(session.number, session.seen);
        outcome.round_trips.extend(round_trips);
        outcome.took = outcome.took.max(at - began);
    }
    Ok(outcome)
}

async fn within<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(PATIENCE, work).await.context("nothing came for 20 seconds")?
}

struct Session {
    number: u64,
    client_id: String,
    link: Link,
    seen: Seen,
}

enum Link {
    Socket(Box<WebSocketStream<TcpStream>>),
    Polling(Connection),
}

impl Session {
    /// Connects and shakes hands.
    async fn open(authority: &str, number: u64, carrier: Carrier) -> Result<Self> {
        let stream = TcpStream::connect(authority).await.context("cannot connect")?;
        let mut connection = Connection::new(stream)?;
        let link = match carrier {
            Carrier::LongPolling => Link::Polling(connection),
            Carrier::WebSocket => {
                connection
                    .send(&format!(
                        "GET {PATH} HTTP/1.1\r\nHost: {authority}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
                    ))
                    .await?;
                let answer = connection.receive().await?.context("no answer to the upgrade")?;
                ensure!(answer.start().contains(" 101 "), "upgrade refused: {}", answer.start());
                Link::Socket(Box::new(connection.upgraded(Role::Client).await))
            }
        };
        let mut session = Self { number, client_id: String::new(), link, seen: Seen::default() };
        let answer = session
            .ask(&json!({
                "id": format!("s-{number}"), "channel": "/meta/handshake", "version": "1.0",
                "supportedConnectionTypes": ["websocket", "long-polling"],
            }))
            .await?;
        let client_id = answer.first().and_then(|reply| reply["clientId"].as_str());
        session.client_id = client_id.context("a handshake without a clientId")?.to_owned();
        Ok(session)
    }

    /// Publishes as planned, takes replies and events, and closes.
    async fn publish(mut self, plan: Plan, began: Instant) -> Result<(Self, Vec<Duration>, Instant)> {
        let mut round_trips = Vec::new();
        let mut pace = plan.rate.map(|rate| {
            let apart = Duration::from_secs(1) / rate;
            // The sessions take turns.
            let first = tokio::time::Instant::from_std(began) + apart * u32::try_from(self.number).unwrap_or(u32::MAX);
            let every = apart * u32::try_from(plan.sessions).unwrap_or(u32::MAX);
            let mut pace = tokio::time::interval_at(first, every);
            pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
            pace
        });
        for number in 1..=plan.messages {
            if let Some(pace) = &mut pace {
                pace.tick().await;
            }
            if began.elapsed() > plan.time {
                break;
            }
            round_trips.push(within(self.exchange(number)).await?);
        }
        let at = Instant::now();
        within(self.close()).await?;
        Ok((self, round_trips, at))
    }

    /// Publishes one message and waits for its reply, then for the event.
    async fn exchange(&mut self, number: u64) -> Result<Duration> {
        let message = json!({
            "id": number.to_string(), "channel": CHANNEL, "clientId": self.client_id,
            "data": {
                "operation": "sendMessage", "secureKey": format!("key-of-session-{:08x}", self.number),
                "message": format!("Message {number} of session {}, about as long as what people write in a chat.", self.number),
            },
        });
        let sent = Instant::now();
        self.seen.published.push(number);
        let mut answers = self.ask(&message).await?;
        let took = sent.elapsed();
        if answers.len() == 1 {
            answers.extend(self.receive().await?);
        }
        for answer in &answers {
            self.take(answer)?;
        }
        Ok(took)
    }

    fn take(&mut self, message: &Value) -> Result<()> {
        if let Some(id) = message["id"].as_str() {
            self.seen.answered.push(id.parse()?);
        } else {
            let index = message["data"]["messages"][0]["index"].as_u64().context("an event without an index")?;
            self.seen.pushed.push(number(self.number, index).context("an event of another session")?);
        }
        Ok(())
    }

    async fn close(&mut self) -> Result<()> {
        let bye = json!({
            "id": format!("bye-{}", self.number), "channel": "/meta/disconnect", "clientId": self.client_id,
        });
        let answer = self.ask(&bye).await?;
        ensure!(answer.first().is_some_and(|reply| reply["id"] == bye["id"]), "no reply to the disconnect");
        match &mut self.link {
            Link::Socket(socket) => {
                socket.close(None).await?;
                while let Some(rest) = socket.next().await {
                    ensure!(rest?.is_close(), "something came behind the reply to the disconnect");
                }
            }
            Link::Polling(connection) => {
                let rest = connection.end().await?;
                ensure!(rest.is_none(), "something came behind the reply to the disconnect");
            }
        }
        Ok(())
    }

    /// Sends a message and gives what comes next.
    async fn ask(&mut self, message: &Value) -> Result<Vec<Value>> {
        match &mut self.link {
            Link::Socket(socket) => socket.send(Message::text(format!("[{message}]"))).await?,
            Link::Polling(connection) => {
                let body = format!("[{message}]");
                let length = body.len();
                connection
                    .send(&format!(
                        "POST {PATH} HTTP/1.1\r\nHost: load\r\nContent-Type: application/json;charset=UTF-8\r\n\
                         Content-Length: {length}\r\n\r\n{body}"
                    ))
                    .await?;
            }
        }
        self.receive().await
    }

    async fn receive(&mut self) -> Result<Vec<Value>> {
        let text = match &mut self.link {
            Link::Socket(socket) => match socket.next().await.context("the socket ended")?? {
                Message::Text(text) => text.as_str().to_owned(),
                other => bail!("{} bytes that are no text", other.len()),
            },
            Link::Polling(connection) => {
                let answer = connection.receive().await?.context("the connection ended")?;
                ensure!(answer.start().contains(" 200 "), "not what the server says: {}", answer.start());
                answer.body
            }
        };
        Ok(serde_json::from_str(&text)?)
    }
}

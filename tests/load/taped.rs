//! The account that a tape gives of a load.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use protocol::wire::Side;
use recording::tape::{ConnLabel, Kind, Tape};
use serde_json::Value;

use crate::account::{Account, Seen, number};
use crate::server::CHANNEL;

#[derive(Default)]
struct Session {
    number: u64,
    /// The token of its client id.
    client: String,
    seen: Seen,
}

/// Reads the sessions back, each from its own connection.
pub(crate) fn account(tape: &Tape) -> Result<Account> {
    let mut sessions: BTreeMap<ConnLabel, Session> = BTreeMap::new();
    let mut unit = (ConnLabel::default(), Side::Client);
    for record in tape.records() {
        match &record.kind {
            Kind::WsMsg { conn, from, .. } => unit = (*conn, *from),
            Kind::HttpReq { conn, .. } => unit = (*conn, Side::Client),
            Kind::HttpRes { conn, .. } => unit = (*conn, Side::Server),
            Kind::Msg { message, .. } => {
                let message: Value = serde_json::from_str(message.get())?;
                take(sessions.entry(unit.0).or_default(), unit.1, &message)
                    .with_context(|| format!("line {} of the tape", record.line))?;
            }
            _ => {}
        }
    }
    let connections = sessions.len();
    let account: Account = sessions.into_values().map(|session| (session.number, session.seen)).collect();
    ensure!(account.len() == connections, "a session stands on two connections");
    Ok(account)
}

fn take(session: &mut Session, from: Side, message: &Value) -> Result<()> {
    let id = message["id"].as_str();
    if let (Side::Client, Some(first)) = (from, id.and_then(|id| id.strip_prefix("s-"))) {
        session.number = first.parse()?;
    }
    if let Some(client) = message["clientId"].as_str() {
        ensure!(session.client.is_empty() || session.client == client, "the id of another client");
        client.clone_into(&mut session.client);
    }
    if message["channel"] != CHANNEL {
        return Ok(());
    }
    match (from, id) {
        (Side::Client, id) => session.seen.published.push(id.context("no id")?.parse()?),
        (Side::Server, Some(id)) => session.seen.answered.push(id.parse()?),
        (Side::Server, None) => {
            let index = message["data"]["messages"][0]["index"].as_u64().context("an event without an index")?;
            session.seen.pushed.push(number(session.number, index).context("an event of another session")?);
        }
    }
    Ok(())
}

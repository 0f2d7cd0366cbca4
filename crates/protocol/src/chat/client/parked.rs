//! A chat put aside: the client leaves the CometD session and tells where it stopped, the chat goes on without it, and a
//! client of a later session takes it up again. A mobile application does so when it goes to the background.

use std::collections::VecDeque;

use serde_json::{Map, Value};

use super::order::Order;
use super::state::{Chat, Restore, State};
use super::{Client, Config, Misuse, OldIds};
use crate::secret::Secret;
use crate::time::Time;

/// All that it takes to go on with a chat. `Debug` hides the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// `secureKey`: whoever has it has the chat.
    pub secure_key: Secret,
    /// `chatId`, if the server told it.
    pub chat_id: Option<Secret>,
    /// What old releases call the chat and its client.
    pub old_ids: OldIds,
    /// The index shown last.
    pub position: u64,
}

impl Client {
    /// Leaves the CometD session without ending the chat, with the index shown last in `ext.transcriptPosition`, so that a
    /// server that can will push what comes. What was not sent is [`super::Sent::Unsent`].
    ///
    /// # Errors
    ///
    /// [`Misuse::NoChat`] unless a chat runs.
    pub fn park(&mut self, now: Time) -> Result<Parked, Misuse> {
        let chat = self.running()?;
        let position = chat.order.shown();
        let (secure_key, chat_id, old_ids) = (chat.key.clone(), chat.chat_id.clone(), chat.old_ids.clone());
        let parked = Parked { secure_key, chat_id, old_ids, position };
        self.leaving = true;
        let ext = [("transcriptPosition".to_owned(), Value::from(position.to_string()))];
        self.bayeux.disconnect_with(now, Map::from_iter(ext));
        self.advance(now);
        Ok(parked)
    }

    /// Makes a client that takes a chat up again once it is connected: see [`Client::connect`].
    #[must_use]
    pub fn resume(config: Config, now: Time, parked: Parked) -> Self {
        let order = Order::from(config.safeguards.deduplicate, parked.position);
        let mut client = Self::new(config);
        client.state = State::Chatting(Box::new(Chat {
            key: parked.secure_key,
            chat_id: parked.chat_id,
            old_ids: parked.old_ids,
            order,
            restore: Restore::Due(now),
            asks_for_repetition: false,
            outbox: VecDeque::new(),
            sending: None,
            ending: None,
            over_at: None,
        }));
        client
    }
}

//! What goes along with every request, whatever the operation: `auth`, and the ids by which old releases know a chat.

use serde_json::{Value, json};

use super::Client;
use super::state::State;
use crate::chat::notification::Notification;
use crate::secret::Secret;

/// `userId` and `alias`, which releases before about 8.5.112 need beside the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OldIds {
    /// `userId`
    pub user_id: Option<Secret>,
    /// `alias`, which may change within a chat.
    pub alias: Option<Secret>,
}

impl OldIds {
    /// Takes what a notification of the chat says.
    pub(super) fn learn(&mut self, notification: &Notification) {
        for (known, told) in [(&mut self.user_id, &notification.user_id), (&mut self.alias, &notification.alias)] {
            if told.is_some() {
                known.clone_from(told);
            }
        }
    }
}

impl Client {
    /// Adds to the `data` of a request what goes along with it.
    pub(super) fn accompany(&self, mut data: Value) -> Value {
        if let Value::Object(members) = &mut data {
            for (name, id) in self.old_ids() {
                members.insert(name.to_owned(), id.expose().into());
            }
            if let Some(auth) = &self.config.auth {
                members.insert("auth".to_owned(), json!({"encoded": auth.expose()}));
            }
        }
        data
    }

    /// The ids of the running chat by which old releases know it, if they are wanted.
    pub(super) fn old_ids(&self) -> Vec<(&'static str, Secret)> {
        let State::Chatting(chat) = &self.state else { return Vec::new() };
        if !self.config.legacy_ids {
            return Vec::new();
        }
        let ids = [("userId", &chat.old_ids.user_id), ("alias", &chat.old_ids.alias), ("chatId", &chat.chat_id)];
        ids.into_iter().filter_map(|(name, id)| Some((name, id.clone()?))).collect()
    }
}

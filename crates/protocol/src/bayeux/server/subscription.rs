//! Subscriptions: what the server answers to `/meta/subscribe` and `/meta/unsubscribe` (Bayeux 4.5, 4.6).

use serde_json::Value;

use crate::bayeux::channel;
use crate::bayeux::message::{Draft, Message};
use crate::bayeux::server::malformed::{Fault, channel_key, has_channel_characters, has_first_slash};
use crate::bayeux::server::settings::lists;
use crate::bayeux::server::{Server, SessionId};

/// The meta channels that there are. All others would have to be created.
const META: [&str; 5] =
    [channel::HANDSHAKE, channel::CONNECT, channel::DISCONNECT, channel::SUBSCRIBE, channel::UNSUBSCRIBE];

impl Server {
    /// Subscribes to one channel or pattern after the other, up to the first that fails (BX-SB-06). Service channels need
    /// no subscription, so that succeeds and does nothing (BX-SVC-02).
    pub(super) fn subscribe(&mut self, id: SessionId, message: &Message) -> Result<Message, Fault> {
        self.each_subscription(message, |server, name| server.subscribe_to(id, name))
    }

    pub(super) fn unsubscribe(&mut self, id: SessionId, message: &Message) -> Result<Message, Fault> {
        self.each_subscription(message, |server, name| server.unsubscribe_from(id, name))
    }

    fn each_subscription(
        &mut self,
        message: &Message,
        mut change: impl FnMut(&mut Self, &str) -> Result<Option<String>, Fault>,
    ) -> Result<Message, Fault> {
        let errors = &self.settings.dialect.errors;
        let names = match self.names_in(message)? {
            Names::Missing => return Ok(self.failure(message, &errors.subscription_missing).finish()),
            Names::Invalid => return Ok(self.failure(message, &errors.subscription_invalid).finish()),
            Names::Given(names) => names,
        };
        // Of no name at all nothing can be said (BX-FLD-15).
        let mut outcome = None;
        for name in names {
            let error = change(self, &name)?;
            let failed = error.is_some();
            outcome = Some(error);
            if failed {
                break;
            }
        }
        let reply = match outcome {
            None => self.reply(message),
            Some(None) => self.reply(message).with("successful", true),
            Some(Some(error)) => self.reply(message).with("error", error).with("successful", false),
        };
        Ok(with_subscription(reply, message).finish())
    }

    fn subscribe_to(&mut self, id: SessionId, name: &str) -> Result<Option<String>, Fault> {
        let errors = &self.settings.dialect.errors;
        let policy = &self.settings.policy;
        if channel::is_meta(name) {
            let denied =
                if META.contains(&name) { &errors.subscribe_denied } else { &errors.subscription_create_denied };
            return Ok(Some(denied.clone()));
        }
        let key = channel_key(name, &self.settings.dialect.validation)?;
        if !self.channels.exist(&key, self.now) && lists(&policy.deny_create, &key) {
            return Ok(Some(errors.subscription_create_denied.clone()));
        }
        if lists(&policy.deny_subscribe, &key) {
            return Ok(Some(errors.subscribe_denied.clone()));
        }
        let Some(session) = self.sessions.get_mut(&id).filter(|_| !channel::is_service(&key)) else { return Ok(None) };
        if !session.subscriptions.contains(&key) && session.subscriptions.len() >= self.settings.bounds.subscriptions {
            return Err(Fault);
        }
        self.channels.create(&key, self.now, self.settings.bounds.channels)?;
        self.channels.subscribe(&key, id);
        session.subscriptions.insert(key);
        Ok(None)
    }

    fn unsubscribe_from(&mut self, id: SessionId, name: &str) -> Result<Option<String>, Fault> {
        let errors = &self.settings.dialect.errors;
        if channel::is_meta(name) {
            let refused = if META.contains(&name) { &errors.unsubscribe_failed } else { &errors.unsubscribe_unknown };
            return Ok(Some(refused.clone()));
        }
        let key = channel_key(name, &self.settings.dialect.validation)?;
        if !self.channels.exist(&key, self.now) {
            return Ok(Some(errors.unsubscribe_unknown.clone()));
        }
        if let Some(session) = self.sessions.get_mut(&id)
            && session.subscriptions.remove(&key)
        {
            self.channels.unsubscribe(&key, id, self.now);
        }
        Ok(None)
    }

    /// The names in `subscription`, as far as they could be names (BX-SB-02).
    fn names_in(&self, message: &Message) -> Result<Names, Fault> {
        let validation = &self.settings.dialect.validation;
        let names = match message.value("subscription") {
            None | Some(Value::Null) => return Ok(Names::Missing),
            Some(Value::Bool(_) | Value::Number(_) | Value::Object(_)) => return Ok(Names::Invalid),
            Some(Value::String(name)) => vec![name],
            Some(Value::Array(names)) => {
                let text = |name: Value| match name {
                    Value::String(name) => Ok(name),
                    other if validation.subscriptions_as_texts => Ok(other.to_string()),
                    Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => Err(Fault),
                };
                names.into_iter().map(text).collect::<Result<_, _>>()?
            }
        };
        let looks = self.settings.dialect.options.validate_fields;
        let valid = |name: &String| {
            !looks || has_channel_characters(name) && (!validation.first_slash || has_first_slash(name))
        };
        match names.iter().all(valid) {
            true => Ok(Names::Given(names)),
            false if validation.subscriptions_answered => Ok(Names::Invalid),
            false => Err(Fault),
        }
    }
}

/// What `subscription` names.
enum Names {
    Missing,
    Invalid,
    Given(Vec<String>),
}

/// Gives `subscription` back as it came, if it is anything at all.
pub(super) fn with_subscription(draft: Draft, message: &Message) -> Draft {
    match message.member("subscription") {
        Some(subscription) if subscription.get() != "null" => draft.with_raw("subscription", subscription.to_owned()),
        Some(_) | None => draft,
    }
}

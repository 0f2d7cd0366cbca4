//! A session put aside, as the `reload` extension does when a page is loaded anew: the next client goes on with it and
//! sends no handshake (BX-HS-01).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::bayeux::message::ClientId;
use crate::secret::Secret;

/// All that the next client needs. Its serialised form holds the clientId and the cookies in the clear, so whoever keeps
/// it guards it like a password; `Debug` hides them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Saved {
    /// The name of the transport in use.
    pub(super) transport: String,
    pub(super) client_id: Hidden,
    pub(super) cookies: Vec<(String, Hidden)>,
    /// The newest advice, as it came.
    pub(super) advice: Option<String>,
    /// How often each channel or pattern is subscribed to.
    pub(super) subscriptions: BTreeMap<String, usize>,
    /// The last batch of the `ack` extension, where the server has it.
    pub(super) ack: Option<i64>,
    pub(super) last_id: u64,
    pub(super) next_exchange: u64,
    pub(super) next_socket: u64,
}

/// A secret that is written out where the session itself is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hidden(pub(super) Secret);

impl Hidden {
    pub(super) fn of(client_id: &ClientId) -> Self {
        Self(Secret::new(client_id.expose()))
    }

    pub(super) fn client_id(&self) -> ClientId {
        ClientId::new(self.0.expose())
    }
}

impl Serialize for Hidden {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.expose())
    }
}

impl<'de> Deserialize<'de> for Hidden {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(Secret::new(text)))
    }
}

//! Advice: how a server tells its clients to reconnect (Bayeux 3.6).

use serde_json::{Map, Value};

use crate::wire::Transport;

/// What to do after a reply (Bayeux 3.6.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reconnect {
    /// Connect again with the same clientId.
    Retry,
    /// Handshake again.
    Handshake,
    /// Neither; the session is over.
    None,
    /// A word that this implementation does not know: do nothing automatically (BX-ADV-07).
    Unknown(String),
}

impl Reconnect {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Retry => "retry",
            Self::Handshake => "handshake",
            Self::None => "none",
            Self::Unknown(word) => word,
        }
    }
}

/// An `advice` object. Members of a wrong type read as absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice {
    /// `reconnect`.
    pub reconnect: Option<Reconnect>,
    /// `interval` in milliseconds; negative means do not retry (BX-ADV-11).
    pub interval: Option<i64>,
    /// `timeout` in milliseconds: how long the server holds a connect (BX-ADV-08).
    pub timeout: Option<i64>,
    /// `maxInterval` in milliseconds (CometD 3.1+, BX-ADV-16).
    pub max_interval: Option<i64>,
    /// `multiple-clients` (BX-ADV-13).
    pub multiple_clients: Option<bool>,
}

impl Advice {
    /// Reads the text of an `advice` member; `None` if it is not an object.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self::read(&serde_json::from_str(text).ok()?))
    }

    /// Reads the text of an `advice` member as it counts for one transport: what stands under the transport's name goes
    /// before what stands outside (BX-ADV-01).
    #[must_use]
    pub fn parse_for(text: &str, transport: Transport) -> Option<Self> {
        let mut object: Map<String, Value> = serde_json::from_str(text).ok()?;
        if let Some(Value::Object(own)) = object.remove(transport.name()) {
            object.extend(own);
        }
        Some(Self::read(&object))
    }

    fn read(object: &Map<String, Value>) -> Self {
        let number = |name: &str| object.get(name).and_then(Value::as_i64);
        Self {
            reconnect: object.get("reconnect").and_then(Value::as_str).map(|word| match word {
                "retry" => Reconnect::Retry,
                "handshake" => Reconnect::Handshake,
                "none" => Reconnect::None,
                other => Reconnect::Unknown(other.to_owned()),
            }),
            interval: number("interval"),
            timeout: number("timeout"),
            max_interval: number("maxInterval"),
            multiple_clients: object.get("multiple-clients").and_then(Value::as_bool),
        }
    }

    /// The JSON object, members in CometD's order, absent ones left out.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut object = Map::new();
        let members = [
            ("interval", self.interval.map(Value::from)),
            ("timeout", self.timeout.map(Value::from)),
            ("reconnect", self.reconnect.as_ref().map(|reconnect| Value::from(reconnect.as_str()))),
            ("maxInterval", self.max_interval.map(Value::from)),
            ("multiple-clients", self.multiple_clients.map(Value::from)),
        ];
        for (name, value) in members {
            if let Some(value) = value {
                object.insert(name.to_owned(), value);
            }
        }
        Value::Object(object)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;

    use super::*;

    #[test]
    fn survives_its_own_text() {
        let text = r#"{"interval":0,"timeout":30000,"reconnect":"retry"}"#;
        assert_eq!(Advice::parse(text).unwrap().to_value().to_string(), text);
    }

    #[test]
    fn what_is_said_for_a_transport_goes_before_the_rest() {
        let text = r#"{"interval":1,"timeout":2,"long-polling":{"interval":3,"reconnect":"none"},"websocket":5}"#;
        let over = |transport| Advice::parse_for(text, transport).unwrap();
        let own = over(Transport::LongPolling);
        assert_eq!((own.interval, own.timeout, own.reconnect), (Some(3), Some(2), Some(Reconnect::None)));
        assert_eq!(over(Transport::WebSocket), Advice::parse(text).unwrap());
    }

    #[test]
    fn reads_wrong_types_as_absent_and_unknown_words_as_unknown() {
        let advice = Advice::parse(r#"{"interval":"0","reconnect":"later"}"#).unwrap();
        assert_eq!(advice.interval, None);
        assert_eq!(advice.reconnect, Some(Reconnect::Unknown("later".to_owned())));
        assert_eq!(Advice::parse("5"), None);
    }
}

//! Header fields that a client sends with every request beside those of its machine: mostly credentials.
//!
//! They join a request on its way to the socket, where nobody looks on any more, so no tape and no log has them.

use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use protocol::secret::Secret;

use crate::http;

/// Fields that machine and transport set themselves, beside those that concern a connection.
const TAKEN: [&str; 5] =
    ["content-type", "cookie", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version"];

/// Fields for every request. `Debug` shows their names alone.
#[derive(Clone, Debug, Default)]
pub struct Fields(HeaderMap);

/// A field cannot be sent with every request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidField {
    /// No name of a field.
    #[error("`{0}` is not the name of a header field")]
    Name(String),
    /// The field is set already.
    #[error("header field `{0}` is set by the conversation itself")]
    Taken(String),
    /// The value, which is not repeated, has characters that no field can hold.
    #[error("the value for header field `{0}` holds a character that is not visible ASCII")]
    Value(String),
}

impl Fields {
    /// Adds a field; more than one may have the same name.
    ///
    /// # Errors
    ///
    /// [`InvalidField`]; its text does not hold the value.
    pub fn add(&mut self, name: &str, value: &Secret) -> Result<(), InvalidField> {
        let parsed = HeaderName::try_from(name).map_err(|_| InvalidField::Name(name.to_owned()))?;
        if http::is_of_connection(parsed.as_str()) || TAKEN.contains(&parsed.as_str()) {
            return Err(InvalidField::Taken(name.to_owned()));
        }
        let mut value = HeaderValue::from_str(value.expose()).map_err(|_| InvalidField::Value(name.to_owned()))?;
        value.set_sensitive(true);
        self.0.append(parsed, value);
        Ok(())
    }

    pub(crate) fn add_to(&self, headers: &mut HeaderMap) {
        for (name, value) in &self.0 {
            headers.append(name, value.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_conversation_sets_cannot_be_set() {
        let mut fields = Fields::default();
        let secret = Secret::new("hunter2");
        for name in ["Host", "Content-Length", "cookie", "Sec-WebSocket-Key"] {
            assert_eq!(fields.add(name, &secret), Err(InvalidField::Taken(name.to_owned())));
        }
        assert_eq!(fields.add("a b", &secret), Err(InvalidField::Name("a b".to_owned())));
        let error = fields.add("x-a", &Secret::new("hunter2\r\nX: y")).unwrap_err();
        assert_eq!(error, InvalidField::Value("x-a".to_owned()));
    }

    #[test]
    fn debug_hides_the_values() {
        let mut fields = Fields::default();
        fields.add("Authorization", &Secret::new("hunter2")).unwrap();
        let shown = format!("{fields:?}");
        assert!(shown.contains("authorization") && !shown.contains("hunter2"), "{shown}");
    }
}

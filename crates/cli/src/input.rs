//! Values from the command line, with errors that name the remedy.

use transport::endpoint::{Endpoint, InvalidEndpoint};

/// The URL of a CometD servlet.
pub(crate) fn url(text: &str) -> Result<Endpoint, String> {
    text.parse().map_err(|error: InvalidEndpoint| format!("{error}; an example is `http://gms:8080/genesys/cometd`"))
}

/// The name of a chat service: what stands behind `chat.` in the name of its GMS section.
pub(crate) fn service(text: &str) -> Result<String, String> {
    let name = text.strip_prefix("chat.").unwrap_or(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_!~()$@".contains(c);
    if !name.is_empty() && name.chars().all(plain) {
        Ok(name.to_owned())
    } else {
        Err("a service is named by letters, digits and `-_!~()$@`, such as `customer-support`".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_is_one_segment_of_a_channel() {
        assert_eq!(service("customer-support").as_deref(), Ok("customer-support"));
        assert_eq!(service("chat.customer-support").as_deref(), Ok("customer-support"));
        for wrong in ["", "a/b", "a b", "chat."] {
            assert!(service(wrong).is_err(), "{wrong}");
        }
    }
}

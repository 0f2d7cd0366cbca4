//! Values from the command line, with errors that name the remedy.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command};
use transport::endpoint::{Endpoint, InvalidEndpoint};

/// Reads the URL of a CometD servlet. Unlike clap's own errors, its errors do not repeat what was given: it may hold a
/// password.
#[derive(Clone)]
pub(crate) struct Url;

impl TypedValueParser for Url {
    type Value = Endpoint;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Endpoint, clap::Error> {
        let text = value.to_string_lossy();
        text.parse().map_err(|error: InvalidEndpoint| {
            let name = arg.map(ToString::to_string).unwrap_or_default();
            let says = format!("`{name}`: {error}\n\nhint: an example is `http://gms:8080/genesys/cometd`\n");
            clap::Error::raw(ErrorKind::ValueValidation, says).with_cmd(command)
        })
    }
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

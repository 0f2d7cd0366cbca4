//! Values from the command line, with errors that name the remedy.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::anyhow;
use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, ValueEnum};
use protocol::secret::Secret;
use protocol::wire::Transport;
use recording::token::Key;
use transport::endpoint::{Endpoint, InvalidEndpoint};

use crate::exit::Failure;
use crate::files;

/// Reads the URL of a CometD servlet. Unlike clap's own errors, its errors do not repeat what was given: it may hold a
/// password.
#[derive(Clone)]
pub(crate) struct Url;

impl TypedValueParser for Url {
    type Value = Endpoint;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Endpoint, clap::Error> {
        let text = value.to_string_lossy();
        text.parse().map_err(|error: InvalidEndpoint| {
            refused(command, arg, &error.to_string(), "an example is `http://gms:8080/genesys/cometd`")
        })
    }
}

pub(crate) fn refused(command: &Command, arg: Option<&Arg>, error: &str, hint: &str) -> clap::Error {
    let name = arg.map(ToString::to_string).unwrap_or_default();
    clap::Error::raw(ErrorKind::ValueValidation, format!("`{name}`: {error}\n\nhint: {hint}\n")).with_cmd(command)
}

/// A header field whose value stands elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: String,
    source: Source,
}

/// Where a value stands that nobody else may see.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// In an environment variable.
    Variable(String),
    /// In a file, all of it but blanks at its end.
    File(PathBuf),
}

impl Source {
    /// Reads `${VARIABLE}`, or `file:PATH`, which is looked for in a folder.
    fn configured(value: &str, folder: &Path) -> Option<Self> {
        match value.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Some(Self::File(folder.join(path))),
            Some(_) => None,
            None => Some(Self::Variable(variable(value)?.to_owned())),
        }
    }
}

impl Header {
    /// A field of a configuration file: its value names a variable, as `${VARIABLE}`, or a file, as `file:PATH`, which is
    /// looked for in a folder.
    pub(crate) fn configured(name: &str, value: &str, folder: &Path) -> Option<Self> {
        Some(Self { name: name.to_owned(), source: Source::configured(value, folder)? })
    }

    /// How it is written on the command line, if it can be.
    pub(crate) fn written(&self) -> Option<String> {
        match &self.source {
            Source::Variable(variable) => Some(format!("{}=${{{variable}}}", self.name)),
            Source::File(_) => None,
        }
    }

    /// The value.
    pub(crate) fn value(&self) -> Result<Secret, Failure> {
        let name = &self.name;
        match &self.source {
            Source::Variable(variable) => match std::env::var(variable) {
                Ok(value) if !value.is_empty() => Ok(Secret::new(value)),
                Ok(_) | Err(_) => {
                    let error = anyhow!("environment variable `{variable}` has no value for header field `{name}`");
                    Err(Failure::usage(error).hint(format!("set `{variable}` and export it")))
                }
            },
            Source::File(path) => {
                let value = Secret::new(files::read_text(path)?.trim_end());
                if value.expose().is_empty() {
                    let error = anyhow!("`{}` is empty and should hold header field `{name}`", path.display());
                    return Err(Failure::usage(error).hint("write the value of the field into the file"));
                }
                Ok(value)
            }
        }
    }
}

/// Reads `NAME=${VARIABLE}`. A value in its place is not repeated in the error.
#[derive(Clone)]
pub(crate) struct HeaderParser;

impl TypedValueParser for HeaderParser {
    type Value = Header;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Header, clap::Error> {
        header(&value.to_string_lossy()).ok_or_else(|| {
            let error = "the value must be the name of an environment variable, since others can see a command line";
            let hint =
                "an example is `--header 'Authorization=${TOKEN}'`, in single quotes, with all of the value in TOKEN";
            refused(command, arg, error, hint)
        })
    }
}

fn header(text: &str) -> Option<Header> {
    let (name, value) = text.split_once('=')?;
    let source = Source::Variable(variable(value)?.to_owned());
    (!name.is_empty()).then(|| Header { name: name.to_owned(), source })
}

/// User and password, which stand elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Login(Source);

impl Login {
    /// One of a configuration file: `${VARIABLE}`, or `file:PATH`, which is looked for in a folder.
    pub(crate) fn configured(value: &str, folder: &Path) -> Option<Self> {
        Source::configured(value, folder).map(Self)
    }

    /// How it is written on the command line, if it can be.
    pub(crate) fn written(&self) -> Option<String> {
        match &self.0 {
            Source::Variable(variable) => Some(format!("${{{variable}}}")),
            Source::File(_) => None,
        }
    }

    /// Its value, `user:password`.
    pub(crate) fn value(&self) -> Result<Secret, Failure> {
        match &self.0 {
            Source::Variable(variable) => match std::env::var(variable) {
                Ok(value) if value.contains(':') => Ok(Secret::new(value)),
                Ok(_) | Err(_) => {
                    let error = anyhow!("environment variable `{variable}` does not hold `user:password`");
                    Err(Failure::usage(error)
                        .hint(format!("set `{variable}` to both, with a colon between, and export it")))
                }
            },
            Source::File(path) => {
                let value = Secret::new(files::read_text(path)?.trim_end());
                if !value.expose().contains(':') {
                    let error = anyhow!("`{}` does not hold `user:password`", path.display());
                    return Err(Failure::usage(error).hint("write both into the file, with a colon between"));
                }
                Ok(value)
            }
        }
    }
}

/// Reads `${VARIABLE}`. A value in its place is not repeated in the error.
#[derive(Clone)]
pub(crate) struct LoginParser;

impl TypedValueParser for LoginParser {
    type Value = Login;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<Login, clap::Error> {
        variable(&value.to_string_lossy()).map(|variable| Login(Source::Variable(variable.to_owned()))).ok_or_else(
            || {
                let error = "it must be the name of an environment variable, since others can see a command line";
                let flag = arg.and_then(Arg::get_long).unwrap_or_default();
                let hint =
                    format!("an example is `--{flag} '${{LOGIN}}'`, in single quotes, with `user:password` in LOGIN");
                refused(command, arg, error, &hint)
            },
        )
    }
}

/// A key behind tokens, in an environment variable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyVariable {
    variable: String,
}

impl KeyVariable {
    /// Its value, 64 hexadecimal digits.
    pub(crate) fn value(&self) -> Result<Key, Failure> {
        let Self { variable } = self;
        std::env::var(variable).ok().as_deref().and_then(hexadecimal).map(Key::from_bytes).ok_or_else(|| {
            let error = anyhow!("environment variable `{variable}` does not hold 64 hexadecimal digits");
            Failure::usage(error)
                .hint(format!("make a key with `openssl rand -hex 32`, keep it secret, and export it as `{variable}`"))
        })
    }
}

fn hexadecimal(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        let digits = &text[at..at + 2];
        *byte = u8::from_str_radix(digits, 16).ok().filter(|_| !digits.starts_with('+'))?;
    }
    Some(bytes)
}

/// Reads `${VARIABLE}`. A value in its place is not repeated in the error.
#[derive(Clone)]
pub(crate) struct KeyParser;

impl TypedValueParser for KeyParser {
    type Value = KeyVariable;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &OsStr) -> Result<KeyVariable, clap::Error> {
        let named = variable(&value.to_string_lossy()).map(|variable| KeyVariable { variable: variable.to_owned() });
        named.ok_or_else(|| {
            let error = "it must be the name of an environment variable, since others can see a command line";
            let hint = "an example is `--key '${TAPE_KEY}'`, in single quotes, with 64 hexadecimal digits in TAPE_KEY";
            refused(command, arg, error, hint)
        })
    }
}

/// The name in `${NAME}`.
fn variable(text: &str) -> Option<&str> {
    let variable = text.strip_prefix("${")?.strip_suffix('}')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    (!variable.is_empty() && variable.chars().all(plain)).then_some(variable)
}

/// The path of a servlet.
pub(crate) fn base(text: &str) -> Result<String, String> {
    if text.starts_with('/') && text.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#".contains(&byte)) {
        let path = text.trim_end_matches('/');
        Ok(if path.is_empty() { "/".to_owned() } else { path.to_owned() })
    } else {
        Err("a path begins with `/`, such as `/genesys/cometd`, and has no `?` or `#`".to_owned())
    }
}

/// The origin of a web page as browsers write it, or `*`.
pub(crate) fn origin(text: &str) -> Result<String, String> {
    if text == "*" {
        return Ok(text.to_owned());
    }
    match text.parse::<Endpoint>() {
        Ok(page) if page.path == "/" && !page.host.contains('*') => Ok(page.origin().to_ascii_lowercase()),
        Ok(_) | Err(_) => {
            Err("an origin has a scheme and a host, such as `https://shop.example`, and no path".to_owned())
        }
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

/// A transport as the command line names it.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum TransportName {
    Websocket,
    LongPolling,
    CallbackPolling,
}

impl TransportName {
    pub(crate) const fn transport(self) -> Transport {
        match self {
            Self::Websocket => Transport::WebSocket,
            Self::LongPolling => Transport::LongPolling,
            Self::CallbackPolling => Transport::CallbackPolling,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_names_a_variable() {
        let source = Source::Variable("TOKEN_1".to_owned());
        let expected = Header { name: "Authorization".to_owned(), source };
        assert_eq!(header("Authorization=${TOKEN_1}"), Some(expected.clone()));
        assert_eq!(expected.written().as_deref(), Some("Authorization=${TOKEN_1}"));
        for wrong in ["Authorization=hunter2", "Authorization: ${T}", "A=$T", "A=${}", "A=x${T}", "=${T}", "${T}"] {
            assert_eq!(header(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_64_hexadecimal_digits() {
        let digits = "0a".repeat(32);
        assert_eq!(hexadecimal(&digits), Some([10; 32]));
        for wrong in ["", "0a", &"0a".repeat(33), &"+a".repeat(32), &"0g".repeat(32), &"\u{e9}".repeat(32)] {
            assert_eq!(hexadecimal(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_base_is_a_path_without_a_slash_at_its_end() {
        assert_eq!(base("/genesys/cometd/").as_deref(), Ok("/genesys/cometd"));
        assert_eq!(base("/").as_deref(), Ok("/"));
        for wrong in ["", "genesys", "/a?b", "/a#b", "/a b", "/\u{e9}"] {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_origin_is_written_as_browsers_write_it() {
        assert_eq!(origin("*").as_deref(), Ok("*"));
        assert_eq!(origin("HTTPS://Shop.example:443").as_deref(), Ok("https://shop.example"));
        assert_eq!(origin("http://localhost:3000/").as_deref(), Ok("http://localhost:3000"));
        for wrong in ["", "shop.example", "https://shop.example/a", "https://*.shop.example"] {
            assert!(origin(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_service_is_one_segment_of_a_channel() {
        assert_eq!(service("customer-support").as_deref(), Ok("customer-support"));
        assert_eq!(service("chat.customer-support").as_deref(), Ok("customer-support"));
        for wrong in ["", "a/b", "a b", "chat."] {
            assert!(service(wrong).is_err(), "{wrong}");
        }
    }
}

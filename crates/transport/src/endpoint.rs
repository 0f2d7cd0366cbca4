//! Where a server is: the URL of its CometD servlet, taken apart.

use std::fmt;
use std::str::FromStr;

/// How the server is spoken to. A WebSocket takes the same way as HTTP: `ws` with `http`, `wss` with `https`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Without TLS.
    Http,
    /// With TLS.
    Https,
}

impl Scheme {
    /// The name in a URL.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
        }
    }

    /// The port of a URL that names none.
    #[must_use]
    pub const fn default_port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
        }
    }
}

/// The URL of a Bayeux server, such as `https://gms.example/genesys/cometd`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// With or without TLS.
    pub scheme: Scheme,
    /// Host name or address, an IPv6 address without its brackets.
    pub host: String,
    /// Port; that of the scheme if the URL names none.
    pub port: u16,
    /// Path of the servlet, beginning with `/`.
    pub path: String,
}

/// Why a text is not the URL of a Bayeux server.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidEndpoint {
    /// There is no `scheme://`.
    #[error("`{0}` is not a URL: it must begin with `http://` or `https://`")]
    NoScheme(String),
    /// A scheme that is not spoken here.
    #[error("`{0}`: scheme `{1}` is not supported, only `http` and `https`")]
    Scheme(String, String),
    /// The URL of the WebSocket instead of the servlet's; the second text is the scheme to write.
    #[error("`{0}` must begin with `{1}://`: over WebSocket, too, the servlet is named by its HTTP address")]
    WebSocket(String, &'static str),
    /// Credentials in the URL would end up in logs and shell histories.
    #[error("the URL must not hold a user name or password")]
    Credentials,
    /// There is no host.
    #[error("`{0}` names no host")]
    NoHost(String),
    /// The port is no number from 0 to 65535.
    #[error("`{0}`: `{1}` is not a port")]
    Port(String, String),
    /// A query or a fragment makes no sense behind the path of a servlet.
    #[error("`{0}` must end with the path of the servlet, without `?` and `#`")]
    Query(String),
    /// White space or a control character.
    #[error("the URL holds a blank or a control character")]
    Blank,
}

impl FromStr for Endpoint {
    type Err = InvalidEndpoint;

    fn from_str(text: &str) -> Result<Self, InvalidEndpoint> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control()) {
            return Err(InvalidEndpoint::Blank);
        }
        // First of all, since the other errors repeat the text.
        let behind_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
        if behind_scheme.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(InvalidEndpoint::Credentials);
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(|| InvalidEndpoint::NoScheme(text.to_owned()))?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ws" => return Err(InvalidEndpoint::WebSocket(text.to_owned(), Scheme::Http.name())),
            "wss" => return Err(InvalidEndpoint::WebSocket(text.to_owned(), Scheme::Https.name())),
            _ => return Err(InvalidEndpoint::Scheme(text.to_owned(), scheme.to_owned())),
        };
        if rest.contains(['?', '#']) {
            return Err(InvalidEndpoint::Query(text.to_owned()));
        }
        let (host, port) = split_authority(authority);
        if host.is_empty() {
            return Err(InvalidEndpoint::NoHost(text.to_owned()));
        }
        let port = match port {
            None | Some("") => scheme.default_port(),
            Some(port) => port.parse().map_err(|_| InvalidEndpoint::Port(text.to_owned(), port.to_owned()))?,
        };
        Ok(Self { scheme, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Host and port, brackets of an IPv6 address taken off.
fn split_authority(authority: &str) -> (&str, Option<&str>) {
    if let Some(rest) = authority.strip_prefix('[')
        && let Some((host, behind)) = rest.split_once(']')
    {
        return (host, behind.strip_prefix(':'));
    }
    match authority.split_once(':') {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    }
}

impl Endpoint {
    /// Whether the way to it is encrypted.
    #[must_use]
    pub const fn is_secure(&self) -> bool {
        matches!(self.scheme, Scheme::Https)
    }

    /// Host and port as they stand in a `Host` field or a URL.
    #[must_use]
    pub fn authority(&self) -> String {
        if self.port == self.scheme.default_port() { self.bracketed() } else { self.host_and_port() }
    }

    /// Host and port, also where the port could be left out.
    pub(crate) fn host_and_port(&self) -> String {
        format!("{}:{}", self.bracketed(), self.port)
    }

    fn bracketed(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() }
    }

    /// Scheme, host and port.
    #[must_use]
    pub fn origin(&self) -> String {
        format!("{}://{}", self.scheme.name(), self.authority())
    }

    /// Whether the host is this machine by name or address, without asking a resolver.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        self.host.eq_ignore_ascii_case("localhost")
            || self.host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.origin(), self.path)
    }
}

#[cfg(test)]
mod tests {
    use pretty_assertions::assert_eq;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://127.0.0.1:8080/genesys/cometd", "http://127.0.0.1:8080/genesys/cometd", true)]
    #[case("HTTP://gms", "http://gms/", false)]
    #[case("http://gms:80/a/", "http://gms/a/", false)]
    #[case("http://[::1]:9/x", "http://[::1]:9/x", true)]
    #[case("http://localhost:1", "http://localhost:1/", true)]
    #[case("https://gms:443/a", "https://gms/a", false)]
    #[case("https://gms:80/a", "https://gms:80/a", false)]
    #[case("HTTPS://[::1]/x", "https://[::1]/x", true)]
    fn reads_urls(#[case] text: &str, #[case] shown: &str, #[case] loopback: bool) {
        let endpoint: Endpoint = text.parse().unwrap();
        assert_eq!((endpoint.to_string().as_str(), endpoint.is_loopback()), (shown, loopback));
    }

    #[rstest]
    #[case(
        "gms:8080/genesys/cometd",
        "`gms:8080/genesys/cometd` is not a URL: it must begin with `http://` or `https://`"
    )]
    #[case("ftp://gms/", "`ftp://gms/`: scheme `ftp` is not supported, only `http` and `https`")]
    #[case(
        "ws://gms/x",
        "`ws://gms/x` must begin with `http://`: over WebSocket, too, the servlet is named by its HTTP address"
    )]
    #[case(
        "WSS://gms/x",
        "`WSS://gms/x` must begin with `https://`: over WebSocket, too, the servlet is named by its HTTP address"
    )]
    #[case("wss://u:p@gms/", "the URL must not hold a user name or password")]
    #[case("http://u:p@gms/", "the URL must not hold a user name or password")]
    #[case("u:p@gms/", "the URL must not hold a user name or password")]
    #[case("https://u:p@gms/", "the URL must not hold a user name or password")]
    #[case("http:///x", "`http:///x` names no host")]
    #[case("http://gms:x/", "`http://gms:x/`: `x` is not a port")]
    #[case("http://gms/x?y", "`http://gms/x?y` must end with the path of the servlet, without `?` and `#`")]
    #[case("http://gms /x", "the URL holds a blank or a control character")]
    fn refuses_what_is_no_url_of_a_server(#[case] text: &str, #[case] says: &str) {
        assert_eq!(text.parse::<Endpoint>().unwrap_err().to_string(), says);
    }
}

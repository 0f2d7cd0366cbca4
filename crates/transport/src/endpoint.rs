//! Where a server is: the URL of its CometD servlet, taken apart.

use std::fmt;
use std::net::Ipv6Addr;
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

/// Why a text is not the URL of a Bayeux server. What is repeated of the text ends before `?` and `#`: what follows may hold a
/// key, and errors end up in logs.
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
    /// Credentials in the URL would end up in logs and shell histories. A password may hold a `/`, so that nothing is repeated of
    /// a URL that is wrong and has an `@` in its path.
    #[error("the URL must not hold a user name or password")]
    Credentials,
    /// There is no host.
    #[error("`{0}` names no host")]
    NoHost(String),
    /// The host is neither a name nor an address.
    #[error(
        "`{0}`: `{1}` is no host; a name has letters, digits, `-`, `_` and `.`, and an IPv6 address stands in brackets"
    )]
    Host(String, String),
    /// The port is no number from 0 to 65535.
    #[error("`{0}`: `{1}` is not a port")]
    Port(String, String),
    /// A query or a fragment makes no sense behind the path of a servlet.
    #[error("`{0}` is followed by `?` or `#`, and the URL must end with the path of the servlet")]
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
        let url = text.split(['?', '#']).next().unwrap_or_default();
        let behind_scheme = url.split_once("://").map_or(url, |(_, rest)| rest);
        if behind_scheme.split('/').next().is_some_and(|authority| authority.contains('@')) {
            return Err(InvalidEndpoint::Credentials);
        }
        Self::read(url, url.len() < text.len()).map_err(|error| match error {
            _ if url.contains('@') => InvalidEndpoint::Credentials,
            other => other,
        })
    }
}

impl Endpoint {
    /// Reads a URL up to `?` or `#`.
    fn read(url: &str, goes_on: bool) -> Result<Self, InvalidEndpoint> {
        let repeated = || url.to_owned();
        let (scheme, rest) = url.split_once("://").ok_or_else(|| InvalidEndpoint::NoScheme(repeated()))?;
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, "/"),
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ws" => return Err(InvalidEndpoint::WebSocket(repeated(), Scheme::Http.name())),
            "wss" => return Err(InvalidEndpoint::WebSocket(repeated(), Scheme::Https.name())),
            _ => return Err(InvalidEndpoint::Scheme(repeated(), scheme.to_owned())),
        };
        if goes_on {
            return Err(InvalidEndpoint::Query(repeated()));
        }
        let (host, port) = split_authority(authority);
        if host.is_empty() {
            return Err(InvalidEndpoint::NoHost(repeated()));
        }
        let host = host_of(host).ok_or_else(|| InvalidEndpoint::Host(repeated(), host.to_owned()))?;
        let port = match port {
            None | Some("") => scheme.default_port(),
            Some(port) => port.parse().map_err(|_| InvalidEndpoint::Port(repeated(), port.to_owned()))?,
        };
        Ok(Self { scheme, host: host.to_owned(), port, path: path.to_owned() })
    }
}

/// Host and port; an IPv6 address keeps its brackets, and whatever stands wrongly behind them.
fn split_authority(authority: &str) -> (&str, Option<&str>) {
    let behind_address = authority.rfind(']').unwrap_or_default();
    match authority[behind_address..].split_once(':') {
        Some((before, port)) => (&authority[..behind_address + before.len()], Some(port)),
        None => (authority, None),
    }
}

/// The name or the address that a host is, an IPv6 address without its brackets (RFC 3986, 3.2.2). A name is one that
/// resolvers know: in ASCII, international ones encoded.
fn host_of(host: &str) -> Option<&str> {
    match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').filter(|address| {
            let (address, zone) = address.split_once('%').unwrap_or((address, "0"));
            let is_zone = !zone.is_empty() && zone.bytes().all(|byte| byte.is_ascii_graphic() && byte != b']');
            is_zone && address.parse::<Ipv6Addr>().is_ok()
        }),
        None => host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)).then_some(host),
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
    #[case("http://[fe80::1%eth0]/", "http://[fe80::1%eth0]/", false)]
    #[case("http://gms/one@websocket/cometd", "http://gms/one@websocket/cometd", false)]
    #[case("http://gms_1.example/", "http://gms_1.example/", false)]
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
    #[case("http:///x", "`http:///x` names no host")]
    #[case("http://gms:x/", "`http://gms:x/`: `x` is not a port")]
    #[case(
        "http://gms/x?y",
        "`http://gms/x` is followed by `?` or `#`, and the URL must end with the path of the servlet"
    )]
    #[case("http://[::1]:x/", "`http://[::1]:x/`: `x` is not a port")]
    #[case("http://gms /x", "the URL holds a blank or a control character")]
    fn refuses_what_is_no_url_of_a_server(#[case] text: &str, #[case] says: &str) {
        assert_eq!(text.parse::<Endpoint>().unwrap_err().to_string(), says);
    }

    #[rstest]
    #[case("http://gms/x?token=hunter2")]
    #[case("http://gms/x#hunter2")]
    #[case("gms/x?token=hunter2")]
    #[case("ftp://gms/x?token=hunter2")]
    #[case("wss://gms/x?token=hunter2")]
    #[case("http:///x?token=hunter2")]
    #[case("http://gms:x/?token=hunter2")]
    #[case("http://g*ms/?token=hunter2")]
    #[case("http://user:hunter2@gms/")]
    #[case("https://user:hunter2@gms/")]
    #[case("wss://user:hunter2@gms/")]
    #[case("user:hunter2@gms/")]
    #[case("http://user:hunter2/more@gms/")]
    fn what_may_be_a_secret_is_not_repeated(#[case] text: &str) {
        let says = text.parse::<Endpoint>().unwrap_err().to_string();
        assert!(!says.contains("hunter2"), "{says}");
    }

    #[rstest]
    #[case("http://[::1]x:8081/", "[::1]x")]
    #[case("http://[::1]x/", "[::1]x")]
    #[case("http://[gms]/", "[gms]")]
    #[case("http://[::1%]/", "[::1%]")]
    #[case("http://[::1/", "[")]
    #[case("http://host]:80/", "host]")]
    #[case("http://h[o]st/", "h[o]st")]
    #[case("http://*.gms/", "*.gms")]
    #[case("http://g\u{fffd}ms/", "g\u{fffd}ms")]
    fn what_is_no_host_is_named(#[case] text: &str, #[case] host: &str) {
        let named = match text.parse::<Endpoint>() {
            Err(InvalidEndpoint::Host(_, named)) => named,
            other => panic!("{other:?}"),
        };
        assert_eq!(named, host);
    }
}

//! How to get to a server: straight or through a proxy, with or without TLS.
//!
//! A proxy is asked for a tunnel (`CONNECT`, RFC 9110, 9.3.6) and sees nothing but where it leads. So it serves `https`
//! alone; whoever decides which servers need one is not decided here.

use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::endpoint::{Endpoint, Scheme};
use crate::listener::is_out_of_files;
use crate::stream::Stream;
use crate::tls::{Connector, InvalidTrust, Refused, Trust};

/// The longest head of a proxy's answer that is read, in bytes.
const PROXY_HEAD: usize = 8 << 10;

/// The way to one server.
#[derive(Clone, Debug)]
pub struct Route {
    endpoint: Endpoint,
    tls: Option<Connector>,
    proxy: Option<Endpoint>,
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum CannotConnect {
    /// Nothing accepts connections there, or nothing that can be found.
    #[error(transparent)]
    Unreachable(io::Error),
    /// It took too long.
    #[error("no connection within {} s", .0.as_secs())]
    TimedOut(Duration),
    /// The proxy cannot be reached.
    #[error("the proxy {proxy} cannot be reached")]
    NoProxy {
        /// The proxy's origin.
        proxy: String,
        /// What the operating system says.
        source: io::Error,
    },
    /// The proxy gives no tunnel.
    #[error("the proxy {proxy} answered `CONNECT` with {answer}")]
    NoTunnel {
        /// The proxy's origin.
        proxy: String,
        /// A status, or what came instead.
        answer: String,
    },
    /// There is no TLS with the server.
    #[error(transparent)]
    Tls(#[from] Refused),
    /// The connection broke before anything was sent on it.
    #[error("the connection broke at once")]
    Broken(#[source] io::Error),
}

impl CannotConnect {
    /// Whether this side had no file descriptor left, so that nobody was asked.
    pub(crate) fn is_ours(&self) -> bool {
        match self {
            Self::Unreachable(error) | Self::NoProxy { source: error, .. } => is_out_of_files(error),
            Self::TimedOut(_) | Self::NoTunnel { .. } | Self::Tls(_) | Self::Broken(_) => false,
        }
    }

    /// The reason with its causes, on one line.
    #[must_use]
    pub fn explain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text = format!("{text}: {error}");
            cause = error.source();
        }
        text
    }
}

impl Route {
    /// The straight way. Only for `https` it matters who is trusted.
    ///
    /// # Errors
    ///
    /// [`InvalidTrust`] if the certificates to trust are of no use.
    pub fn new(endpoint: Endpoint, trust: &Trust) -> Result<Self, InvalidTrust> {
        let tls = match endpoint.scheme {
            Scheme::Http => None,
            Scheme::Https => Some(Connector::new(trust)?),
        };
        Ok(Self { endpoint, tls, proxy: None })
    }

    /// The same through a proxy, if the server is one for `https`. The path of the proxy's URL does not matter.
    #[must_use]
    pub fn through(self, proxy: Endpoint) -> Self {
        Self { proxy: self.tls.is_some().then_some(proxy), ..self }
    }

    /// Where it leads.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Tries the way and turns back: whether something accepts a connection, and shows a certificate that is trusted.
    ///
    /// # Errors
    ///
    /// [`CannotConnect`] if it does not, or takes longer.
    pub async fn probe(&self, patience: Duration) -> Result<(), CannotConnect> {
        self.connect_within(patience).await.map(drop)
    }

    /// The addresses that the name of the server stands for. `None` if a proxy looks it up.
    ///
    /// # Errors
    ///
    /// The operating system's, if it finds none.
    pub async fn addresses(&self) -> io::Result<Option<Vec<SocketAddr>>> {
        if self.proxy.is_some() {
            return Ok(None);
        }
        let found = tokio::net::lookup_host((self.endpoint.host.as_str(), self.endpoint.port)).await?;
        Ok(Some(found.collect()))
    }

    pub(crate) async fn connect_within(&self, patience: Duration) -> Result<Stream, CannotConnect> {
        let connected = tokio::time::timeout(patience, self.connect()).await;
        connected.unwrap_or(Err(CannotConnect::TimedOut(patience)))
    }

    pub(crate) async fn connect(&self) -> Result<Stream, CannotConnect> {
        let stream = match &self.proxy {
            None => dial(&self.endpoint).await.map_err(CannotConnect::Unreachable)?,
            Some(proxy) => tunnel(proxy, &self.endpoint).await?,
        };
        match &self.tls {
            None => Ok(Stream::Plain(stream)),
            Some(tls) => Ok(tls.connect(&self.endpoint.host, stream).await?),
        }
    }
}

async fn dial(endpoint: &Endpoint) -> io::Result<TcpStream> {
    let stream = TcpStream::connect((endpoint.host.as_str(), endpoint.port)).await?;
    // Small messages must not wait for each other.
    let _ = stream.set_nodelay(true);
    Ok(stream)
}

async fn tunnel(proxy: &Endpoint, to: &Endpoint) -> Result<TcpStream, CannotConnect> {
    let name = || proxy.origin();
    let mut stream = dial(proxy).await.map_err(|source| CannotConnect::NoProxy { proxy: name(), source })?;
    let target = to.host_and_port();
    let request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n");
    let asked = async {
        stream.write_all(request.as_bytes()).await?;
        head(&mut stream).await
    };
    match asked.await {
        Ok(head) if status(&head).is_some_and(|status| status.starts_with('2')) => Ok(stream),
        Ok(head) => {
            let answer = status(&head).map_or_else(|| "no HTTP".to_owned(), |status| format!("status {status}"));
            Err(CannotConnect::NoTunnel { proxy: name(), answer })
        }
        Err(source) => Err(CannotConnect::NoProxy { proxy: name(), source }),
    }
}

/// Reads the head of an answer and nothing behind it, which belongs to the tunnel.
async fn head(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < PROXY_HEAD {
        head.push(stream.read_u8().await?);
    }
    Ok(head)
}

/// The three digits of a status line.
fn status(head: &[u8]) -> Option<&str> {
    let line = head.split(|byte| *byte == b'\r').next()?;
    let mut parts = std::str::from_utf8(line).ok()?.split(' ');
    let (version, status) = (parts.next()?, parts.next()?);
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    (version.starts_with("HTTP/1.") && is_status).then_some(status)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_line_has_a_version_and_three_digits() {
        assert_eq!(status(b"HTTP/1.1 200 Connection established\r\n\r\n"), Some("200"));
        assert_eq!(status(b"HTTP/1.0 407\r\n\r\n"), Some("407"));
        for wrong in [&b"SSH-2.0-x\r\n\r\n"[..], b"HTTP/1.1 20\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"\xff\xff", b""] {
            assert_eq!(status(wrong), None);
        }
    }
}

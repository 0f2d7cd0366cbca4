//! TLS: whom a client trusts, and who a server is.
//!
//! What cannot work is told apart by its remedy: a file that is not what it should be, before any connection is made; a
//! server that shows the wrong certificate, when it is tried. It knows nothing of HTTP but the name that ALPN gives it.

mod anyone;
mod pem;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{self, CertificateError, ClientConfig, RootCertStore, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use self::anyone::Anyone;
pub use self::pem::InvalidPem;
use crate::stream::Stream;

/// What both ends speak inside; HTTP/2 has no upgrade to WebSocket that CometD knows.
const ALPN: &[u8] = b"http/1.1";

/// How long a client of ours may take for its part of the handshake.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Whose certificates a client takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Trust {
    /// Those issued by an authority that the operating system trusts.
    #[default]
    System,
    /// Those, and the ones issued by an authority whose certificate is in a PEM file.
    SystemAnd(PathBuf),
    /// Anybody's. Whoever sits between can read and change everything.
    Anyone,
}

/// A file of certificates to trust is of no use.
#[derive(Debug, thiserror::Error)]
pub enum InvalidTrust {
    /// It cannot be read, or holds no certificate.
    #[error(transparent)]
    Pem(#[from] InvalidPem),
    /// What it calls a certificate is none.
    #[error("a certificate in `{}` cannot be used", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: rustls::Error,
    },
}

/// Why there is no TLS with a server that accepted the connection.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Nobody who is trusted has issued its certificate.
    #[error("its certificate was issued by nobody who is trusted here")]
    Untrusted,
    /// Its certificate is somebody else's.
    #[error("its certificate is not for `{host}` but for {}", list(names))]
    WrongHost {
        /// The host as the client names it.
        host: String,
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// Its certificate was valid once.
    #[error("its certificate has expired")]
    Expired,
    /// Its certificate will be valid, or a clock is wrong.
    #[error("its certificate is not valid yet")]
    NotYetValid,
    /// There is something else about its certificate.
    #[error("its certificate cannot be accepted")]
    Unfit(#[source] rustls::Error),
    /// It answers, but not in TLS.
    #[error("it does not speak TLS on this port")]
    NotTls,
    /// No certificate could be for the host.
    #[error("`{0}` is not the name of a host that a certificate could be for")]
    NoName(String),
    /// The two cannot agree, or one breaks the protocol.
    #[error("there is no TLS that both can speak")]
    Handshake(#[source] rustls::Error),
    /// The connection ended before the handshake did.
    #[error("the connection broke during the TLS handshake")]
    Broken(#[source] io::Error),
}

/// How many names of a certificate are told.
const NAMES: usize = 5;

/// Names in backticks, of many the first.
fn list(names: &[String]) -> String {
    if names.is_empty() {
        return "no host at all".to_owned();
    }
    let mut told: Vec<String> = names.iter().take(NAMES).map(|name| format!("`{name}`")).collect();
    if names.len() > NAMES {
        told.push(format!("{} more", names.len() - NAMES));
    }
    told.join(", ")
}

/// A client's part in TLS. Cloning it shares the sessions that can be resumed.
#[derive(Clone)]
pub(crate) struct Connector(TlsConnector);

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").finish_non_exhaustive()
    }
}

impl Connector {
    pub(crate) fn new(trust: &Trust) -> Result<Self, InvalidTrust> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .expect("the provider has cipher suites for every version");
        let builder = match trust {
            Trust::System => builder.with_root_certificates(system()),
            Trust::SystemAnd(path) => {
                let mut roots = system();
                for certificate in pem::certificates(path)? {
                    let unusable = |source| InvalidTrust::Certificate { path: path.clone(), source };
                    roots.add(certificate).map_err(unusable)?;
                }
                builder.with_root_certificates(roots)
            }
            Trust::Anyone => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self(TlsConnector::from(Arc::new(config))))
    }

    /// Shakes hands with the server of that name.
    pub(crate) async fn connect(&self, host: &str, stream: TcpStream) -> Result<Stream, Refused> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_| Refused::NoName(host.to_owned()))?;
        match self.0.connect(name, stream).await {
            Ok(stream) => Ok(Stream::Secure(Box::new(stream.into()))),
            Err(error) => Err(refused(host, error)),
        }
    }
}

/// The authorities that the operating system trusts. Where it has none, every server is untrusted, and that is told then.
fn system() -> RootCertStore {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        tracing::debug!(%error, "some of the system's certificates cannot be read");
    }
    roots.add_parsable_certificates(found.certs);
    roots
}

fn refused(host: &str, error: io::Error) -> Refused {
    let error = match error.downcast::<rustls::Error>() {
        Ok(error) => error,
        Err(error) => return Refused::Broken(error),
    };
    let host = host.to_owned();
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => Refused::Untrusted,
        rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { presented, .. }) => {
            Refused::WrongHost { host, names: presented.iter().map(|name| plain(name)).collect() }
        }
        rustls::Error::InvalidCertificate(CertificateError::NotValidForName) => {
            Refused::WrongHost { host, names: Vec::new() }
        }
        rustls::Error::InvalidCertificate(CertificateError::Expired | CertificateError::ExpiredContext { .. }) => {
            Refused::Expired
        }
        rustls::Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => Refused::NotYetValid,
        rustls::Error::InvalidCertificate(_) => Refused::Unfit(error),
        rustls::Error::InvalidMessage(_) => Refused::NotTls,
        _ => Refused::Handshake(error),
    }
}

/// A name from a certificate for people: of `DnsName("gms.example")` and the like what stands inside.
fn plain(name: &str) -> String {
    let inner = name.split_once('(').map(|(_, inner)| inner.trim_end_matches(')').trim_matches('"'));
    // The server chose it.
    inner.unwrap_or(name).escape_debug().to_string()
}

/// A server's certificate and the key to it.
#[derive(Clone)]
pub struct Identity {
    acceptor: TlsAcceptor,
    patience: Duration,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").field("patience", &self.patience).finish_non_exhaustive()
    }
}

/// A certificate and a key do not make an identity.
#[derive(Debug, thiserror::Error)]
pub enum InvalidIdentity {
    /// One of the files cannot be read, or holds something else.
    #[error(transparent)]
    Pem(#[from] InvalidPem),
    /// The key belongs to another certificate.
    #[error("the key in `{}` does not fit the certificate in `{}`", key.display(), certificate.display())]
    Mismatch {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
    },
    /// A kind of certificate or key that is not known here.
    #[error("the certificate in `{}` and the key in `{}` cannot be used", certificate.display(), key.display())]
    Unusable {
        /// The file of the certificate.
        certificate: PathBuf,
        /// The file of the key.
        key: PathBuf,
        /// What is wrong with them.
        source: rustls::Error,
    },
}

impl Identity {
    /// Reads a certificate, with those that lead to its authority behind it, and its key from PEM files.
    ///
    /// # Errors
    ///
    /// [`InvalidIdentity`], which names the file at fault.
    pub fn read(certificate: &Path, key: &Path) -> Result<Self, InvalidIdentity> {
        let (chain, secret) = (pem::certificates(certificate)?, pem::key(key)?);
        Self::new(chain, secret).map_err(|source| {
            let (certificate, key) = (certificate.to_owned(), key.to_owned());
            match source {
                rustls::Error::InconsistentKeys(_) => InvalidIdentity::Mismatch { certificate, key },
                source => InvalidIdentity::Unusable { certificate, key, source },
            }
        })
    }

    fn new(chain: Vec<CertificateDer<'static>>, key: PrivateKeyDer<'static>) -> Result<Self, rustls::Error> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain, key)?;
        config.alpn_protocols = vec![ALPN.to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), patience: HANDSHAKE_PATIENCE })
    }

    /// The same with another bound on how long a client may take to shake hands; by default ten seconds.
    #[must_use]
    pub fn patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Shakes hands with a client, if it does so in time.
    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<Stream> {
        let accepted = tokio::time::timeout(self.patience, self.acceptor.accept(stream)).await;
        let stream = accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))?;
        Ok(Stream::Secure(Box::new(stream.into())))
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

//! A socket that accepts connections, for servers and for the proxy.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;

/// A socket that accepts connections.
#[derive(Debug)]
pub struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

/// An address cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on `{address}`")]
pub struct CannotListen {
    /// The address as given.
    pub address: String,
    /// What the operating system says.
    pub source: io::Error,
}

/// Listens on an address such as `127.0.0.1:0`; port 0 lets the system choose.
///
/// # Errors
///
/// [`CannotListen`], for example when another program has the port.
pub async fn bind(address: &str) -> Result<Listener, CannotListen> {
    let error = |source| CannotListen { address: address.to_owned(), source };
    let inner = TcpListener::bind(address).await.map_err(error)?;
    let address = inner.local_addr().map_err(error)?;
    Ok(Listener { inner, address })
}

/// Whether this program, or the whole system, has no file descriptor left. The standard library has no name for it.
pub(crate) fn is_out_of_files(error: &io::Error) -> bool {
    /// `ENFILE` and `EMFILE` of Linux, macOS and the BSDs.
    const OUT_OF_FILES: [i32; 2] = [23, 24];
    cfg!(unix) && error.raw_os_error().is_some_and(|code| OUT_OF_FILES.contains(&code))
}

impl Listener {
    /// The address with the port that the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn into_inner(self) -> TcpListener {
        self.inner
    }
}

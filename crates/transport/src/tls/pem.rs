//! Certificates and keys from PEM files.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use tokio_rustls::rustls::pki_types::pem::{Error as PemError, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// The longest file that is taken, in bytes; a system's whole store has a twentieth of it.
const LIMIT: u64 = 4 << 20;

/// A file is not the PEM file that it should be.
#[derive(Debug, thiserror::Error)]
pub enum InvalidPem {
    /// It cannot be read.
    #[error("failed to read `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system says.
        source: io::Error,
    },
    /// It is far longer than any such file.
    #[error("`{}` is longer than {} MiB", path.display(), LIMIT >> 20)]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged. What the reader says is left out, as it could repeat a part of a key.
    #[error("`{}` is not proper PEM: a section does not end, or is not base64", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// It may be PEM, but there is no certificate in it.
    #[error("`{}` holds no certificate in PEM form (`-----BEGIN CERTIFICATE-----`)", path.display())]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// It may be PEM, but there is no key in it that can be read.
    #[error("`{}` holds no private key in PEM form (`-----BEGIN PRIVATE KEY-----`) without a password", path.display())]
    NoKey {
        /// The file.
        path: PathBuf,
    },
}

/// All certificates of a file; there is at least one.
pub(super) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, InvalidPem> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(certificates) if certificates.is_empty() => Err(InvalidPem::NoCertificate { path: path.to_owned() }),
        Ok(certificates) => Ok(certificates),
        Err(_) => Err(InvalidPem::Malformed { path: path.to_owned() }),
    }
}

/// The first private key of a file.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, InvalidPem> {
    PrivateKeyDer::from_pem_slice(&read(path)?).map_err(|error| match error {
        PemError::NoItemsFound => InvalidPem::NoKey { path: path.to_owned() },
        _ => InvalidPem::Malformed { path: path.to_owned() },
    })
}

fn read(path: &Path) -> Result<Vec<u8>, InvalidPem> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(LIMIT + 1).read_to_end(&mut bytes))
        .map_err(|source| InvalidPem::Unreadable { path: path.to_owned(), source })?;
    if bytes.len() as u64 > LIMIT {
        return Err(InvalidPem::TooLong { path: path.to_owned() });
    }
    Ok(bytes)
}

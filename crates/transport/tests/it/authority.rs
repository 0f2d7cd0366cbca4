//! A certificate authority for one test, with its files in a folder that goes away with it.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;
use transport::tls::{Identity, Trust};

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("ca.pem"), params.self_signed(&key).unwrap().pem()).unwrap();
        Self { issuer: Issuer::new(params, key), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Trust in this authority.
    pub(crate) fn trust(&self) -> Trust {
        Trust::SystemAnd(self.path("ca.pem"))
    }

    /// Issues a certificate for a host; the files are named for it.
    pub(crate) fn issue(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec![host.to_owned()]).unwrap();
        change(&mut params);
        let (certificate, secret) = (self.path(&format!("{host}.pem")), self.path(&format!("{host}.key")));
        fs::write(&certificate, params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        fs::write(&secret, key.serialize_pem()).unwrap();
        (certificate, secret)
    }

    pub(crate) fn identity(&self, host: &str) -> Identity {
        let (certificate, key) = self.issue(host, |_| {});
        Identity::read(&certificate, &key).unwrap()
    }
}

//! A certificate authority for one test, with its files in a folder that goes away with it.

use std::fs;
use std::path::PathBuf;

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    folder: TempDir,
}

impl Authority {
    /// Makes one; its own certificate is in `ca.pem`.
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate().expect("there is randomness");
        let mut params = CertificateParams::new(Vec::new()).expect("no name is no wrong name");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).expect("the key is its own");
        let folder = TempDir::new().expect("a folder can be made");
        fs::write(folder.path().join("ca.pem"), certificate.pem()).expect("the folder is there");
        Self { issuer: Issuer::new(params, key), folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Issues a certificate for a host, changed as needed; gives the files of certificate and key.
    pub(crate) fn issue(&self, host: &str, change: impl FnOnce(&mut CertificateParams)) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("there is randomness");
        let mut params = CertificateParams::new(vec![host.to_owned()]).expect("the name of a host");
        change(&mut params);
        let certificate = params.signed_by(&key, &self.issuer).expect("the authority can sign");
        let (chain, secret) = (self.path(&format!("{host}.pem")), self.path(&format!("{host}.key")));
        fs::write(&chain, certificate.pem()).expect("the folder is there");
        fs::write(&secret, key.serialize_pem()).expect("the folder is there");
        (chain, secret)
    }
}

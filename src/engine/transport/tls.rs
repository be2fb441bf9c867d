//! Whose certificates are trusted. Loaded with the first https connection, not before.

use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};

use crate::engine::config::Trust;
use crate::engine::error::{Error, Kind, Result};
use crate::engine::log::log;

/// Reads the certificates of a PEM text; one at least has to be there.
pub fn read_pem(pem: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut all = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|e| Error::argument(format!("the PEM text cannot be read: {e:?}")))?;
        RootCertStore::empty()
            .add(certificate.clone())
            .map_err(|e| Error::argument(format!("a certificate in the PEM text cannot be used as a root: {e}")))?;
        all.push(certificate.to_vec());
    }
    if all.is_empty() {
        return Err(Error::argument("the PEM text holds no certificate"));
    }
    Ok(all)
}

/// The TLS settings of a client. Reads files of the system for [`Trust::System`]: call it where blocking is allowed.
pub fn configuration(trust: Trust, added: &[Vec<u8>]) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if trust == Trust::System {
        let found = rustls_native_certs::load_native_certs();
        for problem in &found.errors {
            log!(Warn, "system roots: {problem}");
        }
        roots.add_parsable_certificates(found.certs);
        if roots.is_empty() {
            // A minimal container or an Android app without a store: the bundled roots are better than no TLS at all.
            log!(Warn, "the system has no trusted roots; the bundled ones are used");
        }
    }
    if trust == Trust::Bundled || (trust == Trust::System && roots.is_empty()) {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    roots.add_parsable_certificates(added.iter().map(|der| CertificateDer::from(der.clone())));
    with_roots(roots)
}

/// Settings for plain HTTP: the HTTP client wants some, and loading roots would be in vain.
pub fn none() -> Result<ClientConfig> {
    with_roots(RootCertStore::empty())
}

fn with_roots(roots: RootCertStore) -> Result<ClientConfig> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|e| Error::new(Kind::Internal, format!("TLS cannot be set up: {e}")))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

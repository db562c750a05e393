//! Mutual TLS from PEM files: as a client of the broker, as a server to the boxes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A certificate or key cannot be read.
    #[error("{path}: no {what} in PEM form can be read from it: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// What should be in it.
        what: &'static str,
        /// Why it cannot be read.
        why: String,
    },
    /// The certificate and key do not go together.
    #[error("{path}: the certificate cannot be used with its key: {source}")]
    Identity {
        /// The certificate's file.
        path: PathBuf,
        /// Why.
        source: rustls::Error,
    },
}

/// Files for mutual TLS, PEM.
#[derive(Debug, Clone, Copy)]
pub struct TlsFiles<'a> {
    /// The authority that signed the other side's certificate.
    pub ca: &'a Path,
    /// Our certificate.
    pub certificate: &'a Path,
    /// Its private key.
    pub key: &'a Path,
}

impl TlsFiles<'_> {
    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        for certificate in certificates(self.ca)? {
            roots
                .add(certificate)
                .map_err(|error| unreadable(self.ca, "certificate", &error))?;
        }
        Ok(roots)
    }

    fn identity(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key =
            PrivateKeyDer::from_pem_file(self.key).map_err(|error| unreadable(self.key, "private key", &error))?;
        Ok((certificates(self.certificate)?, key))
    }

    fn unusable(&self, source: rustls::Error) -> TlsError {
        TlsError::Identity {
            path: self.certificate.to_owned(),
            source,
        }
    }
}

/// For calling a server of the authority.
pub fn client(files: TlsFiles<'_>) -> Result<ClientConfig, TlsError> {
    let (roots, (identity, key)) = (files.roots()?, files.identity()?);
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_root_certificates(roots)
                .with_client_auth_cert(identity, key)
        })
        .map_err(|source| files.unusable(source))
}

/// For being called by clients of the authority, and by nobody else.
pub fn server(files: TlsFiles<'_>) -> Result<ServerConfig, TlsError> {
    let (roots, (identity, key)) = (files.roots()?, files.identity()?);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| unreadable(files.ca, "authority", &error))?;
    ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| {
            builder
                .with_client_cert_verifier(clients)
                .with_single_cert(identity, key)
        })
        .map_err(|source| files.unusable(source))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    let read: Vec<_> = read.map_err(|error| unreadable(path, "certificate", &error))?;
    if read.is_empty() {
        return Err(unreadable(path, "certificate", &"there is none in it"));
    }
    Ok(read)
}

fn unreadable(path: &Path, what: &'static str, why: &dyn ToString) -> TlsError {
    TlsError::File {
        path: path.to_owned(),
        what,
        why: why.to_string(),
    }
}

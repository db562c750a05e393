//! The files that a configuration names: that they are there, that no stranger reads the secret ones, and that they
//! hold what they should. Apart from the rest, so that an example can be checked without keys.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::model::{Config, FileKind, NamedFile};
use super::problem::{ConfigErrors, Problem};

/// Longest file of a key or of certificates.
const BYTES_MAX: u64 = 256 * 1024;

/// What is wrong with a file, and what would be right.
type Wrong = (String, String);

/// Whether only cameras, the page and live view need such a file.
fn is_for_viewing(kind: FileKind) -> bool {
    matches!(
        kind,
        FileKind::CameraSecrets | FileKind::PasswordHash | FileKind::CommandVkey
    )
}

fn refused(mut problems: Vec<Problem>) -> Result<(), ConfigErrors> {
    if problems.is_empty() {
        return Ok(());
    }
    problems.sort_by_key(|problem| problem.position);
    Err(ConfigErrors { problems, unlisted: 0 })
}

impl Config {
    /// Checks the files that the configuration names. Reads them all, and tells every problem.
    pub fn check_files(&self) -> Result<(), ConfigErrors> {
        let (needed, viewing) = self.file_problems();
        refused([needed, viewing].concat())
    }

    /// The same for a box that is to run: without a password of a camera it still counts. What is wrong with files that
    /// only cameras, the page and live view need is given, not refused.
    pub fn check_files_to_run(&self) -> Result<Vec<Problem>, ConfigErrors> {
        let (needed, viewing) = self.file_problems();
        refused(needed).map(|()| viewing)
    }

    /// What is wrong with the files that counting needs, and with the others.
    fn file_problems(&self) -> (Vec<Problem>, Vec<Problem>) {
        let (mut needed, mut viewing) = (Vec::new(), Vec::new());
        let mut tell = |file: &NamedFile, (message, hint): Wrong| {
            let problems = if is_for_viewing(file.kind) {
                &mut viewing
            } else {
                &mut needed
            };
            problems.push(Problem {
                path: self.path.clone(),
                position: Some(file.position),
                key: file.key.clone(),
                message: format!("{}: {message}", file.path.display()),
                hint,
            });
        };
        let mut certificates = None;
        let mut certificate_key = None;
        for file in &self.files {
            let outcome = read(&file.path, file.kind).and_then(|bytes| match file.kind {
                FileKind::LedgerKey => self.check_ledger_key(&bytes),
                FileKind::CosignerVkey => check_cosigner_vkey(&bytes),
                FileKind::Authorities => parse_certificates(&bytes).map(drop),
                FileKind::Certificate => {
                    let chain = parse_certificates(&bytes)?;
                    self.check_common_name(&chain)?;
                    certificates = Some(chain);
                    Ok(())
                }
                FileKind::CertificateKey => {
                    certificate_key = Some((file, parse_private_key(&bytes)?));
                    Ok(())
                }
                FileKind::Secret => check_secret(&bytes),
                FileKind::CameraSecrets => self.check_camera_secrets(&bytes),
                FileKind::PasswordHash => check_password_hash(&bytes),
                FileKind::CommandVkey => check_command_vkey(&bytes),
            });
            if let Err(wrong) = outcome {
                tell(file, wrong);
            }
        }
        if let (Some(chain), Some((file, key))) = (certificates, certificate_key)
            && let Err(error) = CertifiedKey::from_der(chain, key, &rustls::crypto::ring::default_provider())
        {
            let message = format!("is not the key of certificate_file ({error})");
            let hint = "ask the city to sign tls.csr of the same `gateway keygen`, and name both files of that run";
            tell(file, (message, hint.to_owned()));
        }
        (needed, viewing)
    }

    fn check_ledger_key(&self, bytes: &[u8]) -> Result<(), Wrong> {
        let make = format!(
            "make one with `gateway keygen --id {} --log-domain {}`",
            self.gateway.id, self.gateway.log_domain
        );
        let text = std::str::from_utf8(bytes).map_err(|_| ("is no text".to_owned(), make.clone()))?;
        let signer = ledger::LogSigner::from_text(text.trim()).map_err(|error| (error.to_string(), make.clone()))?;
        let origin = self.gateway.log_origin();
        if signer.name() == origin {
            return Ok(());
        }
        Err((
            format!("is the key of log {}, and this box's log is {origin}", signer.name()),
            make,
        ))
    }

    /// A line for a camera that does not exist is a misspelt name, and another camera stays dark; a media server alike.
    fn check_camera_secrets(&self, bytes: &[u8]) -> Result<(), Wrong> {
        let hint = "write a line a camera or media server, as in: simpang-1 = { user = \"...\", password = \"...\" }";
        let text = std::str::from_utf8(bytes).map_err(|_| ("is no text".to_owned(), hint.to_owned()))?;
        let secrets = crate::cameras::secrets::parse(text)
            .map_err(|(line, message)| (format!("line {line}: {message}"), hint.to_owned()))?;
        let media_servers = self.far_view.as_ref().map_or(&[][..], |far| &far.media_servers);
        if let Some(server) = secrets
            .media_servers
            .keys()
            .find(|server| !media_servers.contains(server))
        {
            let message = format!("names media server \"{server}\", and far_view.media_servers does not");
            let known = match media_servers {
                [] => "none".to_owned(),
                servers => servers.join(", "),
            };
            return Err((message, format!("media servers here: {known}")));
        }
        let stranger = secrets
            .cameras
            .keys()
            .find(|id| !self.cameras.iter().any(|camera| camera.id == **id));
        stranger.map_or(Ok(()), |id| {
            let names: Vec<&str> = self.cameras.iter().map(|camera| camera.id.as_str()).collect();
            let message = format!("names camera \"{id}\", and there is no such one");
            Err((message, format!("cameras here: {}", names.join(", "))))
        })
    }

    /// The broker knows a box by its certificate's common name, and lets it write the topics of that name only.
    fn check_common_name(&self, chain: &[CertificateDer]) -> Result<(), Wrong> {
        let hint = format!("ask the city for a certificate with common name {}", self.gateway.id);
        let no_certificate = || ("the first certificate cannot be read".to_owned(), hint.clone());
        let first = chain.first().ok_or_else(no_certificate)?;
        let (_, certificate) = x509_parser::parse_x509_certificate(first).map_err(|_| no_certificate())?;
        let names: Vec<&str> = certificate
            .subject()
            .iter_common_name()
            .filter_map(|name| name.as_str().ok())
            .collect();
        if names == [self.gateway.id.as_str()] {
            return Ok(());
        }
        let message = format!(
            "is the certificate of \"{}\", and this box is \"{}\"",
            super::reader::shown(&names.join(", ")),
            self.gateway.id
        );
        Err((message, hint))
    }
}

fn read(path: &Path, kind: FileKind) -> Result<Vec<u8>, Wrong> {
    let hint = match kind {
        FileKind::LedgerKey | FileKind::CertificateKey => "make it with `gateway keygen`, or correct the path",
        FileKind::CosignerVkey | FileKind::Authorities | FileKind::Certificate | FileKind::CommandVkey => {
            "ask the city for it, or correct the path"
        }
        FileKind::Secret => "write the secret into it, mode 600, or correct the path",
        FileKind::CameraSecrets => "write cameras' users and passwords into it, mode 600, or correct the path",
        FileKind::PasswordHash => "make it with `gateway password`, or correct the path",
    };
    let unreadable = |error: std::io::Error| (format!("cannot be read: {error}"), hint.to_owned());
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if !metadata.is_file() {
        return Err(("is no file".to_owned(), hint.to_owned()));
    }
    let secret = match kind {
        FileKind::LedgerKey
        | FileKind::CertificateKey
        | FileKind::Secret
        | FileKind::CameraSecrets
        | FileKind::PasswordHash => true,
        FileKind::CosignerVkey | FileKind::Authorities | FileKind::Certificate | FileKind::CommandVkey => false,
    };
    let mode = metadata.mode() & 0o7777;
    if secret && mode & 0o077 != 0 && !is_credential(path) {
        let message = format!("has mode {mode:03o}: others than its owner may use this secret");
        return Err((message, format!("chmod 600 {}", path.display())));
    }
    let mut bytes = Vec::new();
    file.take(BYTES_MAX + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > BYTES_MAX) {
        return Err((format!("is longer than {} KiB", BYTES_MAX / 1024), hint.to_owned()));
    }
    Ok(bytes)
}

/// Whether systemd guards `path`: a credential lies in a folder of its own, and the access list that opens it to the
/// service alone shows as the mode's group bits (systemd.exec(5), `LoadCredential=`).
fn is_credential(path: &Path) -> bool {
    std::env::var_os("CREDENTIALS_DIRECTORY").is_some_and(|folder| !folder.is_empty() && path.starts_with(folder))
}

fn check_cosigner_vkey(bytes: &[u8]) -> Result<(), Wrong> {
    let hint = || "ask the city for kominfo.vkey, the verifier key of its cosigner".to_owned();
    let text = std::str::from_utf8(bytes).map_err(|_| ("is no text".to_owned(), hint()))?;
    match ledger::CosignerVerifier::from_vkey(text.trim()) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.to_string(), hint())),
    }
}

fn parse_certificates(bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, Wrong> {
    let hint = "it must hold -----BEGIN CERTIFICATE----- and what follows (PEM)".to_owned();
    let certificates = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(("holds no certificate".to_owned(), hint)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err((format!("holds a damaged certificate: {error}"), hint)),
    }
}

fn parse_private_key(bytes: &[u8]) -> Result<PrivateKeyDer<'static>, Wrong> {
    let hint = "it must hold -----BEGIN PRIVATE KEY----- and what follows (PEM)";
    PrivateKeyDer::from_pem_slice(bytes).map_err(|error| (format!("holds no private key: {error}"), hint.to_owned()))
}

fn check_password_hash(bytes: &[u8]) -> Result<(), Wrong> {
    let is_hash = std::str::from_utf8(bytes).is_ok_and(|text| crate::page::password::Hash::parse(text).is_some());
    if is_hash {
        return Ok(());
    }
    let hint = "make it with `gateway password > FILE`; it holds a hash, not the password itself";
    Err(("holds no hash of a password".to_owned(), hint.to_owned()))
}

fn check_command_vkey(bytes: &[u8]) -> Result<(), Wrong> {
    let hint = || "ask the city for command.vkey, the verifier key of its commands".to_owned();
    let text = std::str::from_utf8(bytes).map_err(|_| ("is no text".to_owned(), hint()))?;
    match ledger::TextVerifier::from_vkey(text.trim()) {
        Ok(_) => Ok(()),
        Err(error) => Err((error.to_string(), hint())),
    }
}

/// The first line is the secret.
fn check_secret(bytes: &[u8]) -> Result<(), Wrong> {
    let first_line = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if first_line.trim_ascii().is_empty() || std::str::from_utf8(first_line).is_err() {
        return Err((
            "its first line is no text".to_owned(),
            "write the secret into the first line".to_owned(),
        ));
    }
    Ok(())
}

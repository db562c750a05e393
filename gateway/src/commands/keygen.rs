//! `gateway keygen`: the keys of a new box. Secrets are made on the box and never leave it.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::Context;
use parking::GatewayId;
use rcgen::{CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, KeyPair, KeyUsagePurpose};

use super::UsageError;
use crate::config::{is_log_domain, log_origin};

/// Make the keys of a new box: the log's signing key, and a TLS key with its certificate signing request
#[derive(Debug, clap::Args)]
pub struct Keygen {
    /// The box's id, as in its configuration's `gateway.id`
    #[arg(long)]
    id: GatewayId,
    /// Domain of the city's logs, as in its configuration's `gateway.log_domain`
    #[arg(long)]
    log_domain: String,
    /// Folder for the files; made if it is not there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

/// A file to be made.
struct NewFile {
    name: &'static str,
    mode: u32,
    content: String,
}

const SECRET: u32 = 0o600;
const PUBLIC: u32 = 0o644;

impl Keygen {
    /// Makes all files or none. Never replaces one.
    pub fn run(&self) -> anyhow::Result<()> {
        if !is_log_domain(&self.log_domain) {
            let message = format!(
                "--log-domain: \"{}\" is no name for logs to live under\n  hint: use a domain that the city owns, as in parkir.example.id",
                self.log_domain
            );
            return Err(UsageError(message).into());
        }
        let files = self.make()?;
        write_all(&self.out, &files)?;
        tell!("{}", self.what_next().trim_end());
        Ok(())
    }

    fn make(&self) -> anyhow::Result<[NewFile; 4]> {
        let origin = log_origin(&self.log_domain, &self.id);
        let signer = ledger::LogSigner::generate(&origin, &mut rand_core::OsRng).context("making the log's key")?;
        let tls_key = KeyPair::generate().context("making the TLS key")?;
        let request = self
            .request(&tls_key)
            .context("making the certificate signing request")?;
        Ok([
            NewFile {
                name: "ledger.key",
                mode: SECRET,
                content: line(&signer.to_text()),
            },
            NewFile {
                name: "ledger.vkey",
                mode: PUBLIC,
                content: line(&signer.verifier().to_vkey()),
            },
            NewFile {
                name: "tls.key",
                mode: SECRET,
                content: tls_key.serialize_pem(),
            },
            NewFile {
                name: "tls.csr",
                mode: PUBLIC,
                content: request,
            },
        ])
    }

    /// A request for a client certificate whose common name is the box's id, as PEM.
    fn request(&self, key: &KeyPair) -> Result<String, rcgen::Error> {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, self.id.as_str());
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        params.serialize_request(key)?.pem()
    }

    fn what_next(&self) -> String {
        let Self { id, log_domain, out } = self;
        let out = out.display();
        format!(
            "\
Made in {out}:
  ledger.key   secret: signs the log {log_domain}/{id}; stays on this box
  ledger.vkey  public: verifies that log
  tls.key      secret: key of the box's certificate; stays on this box
  tls.csr      public: asks for that certificate
Next:
  1. Bring ledger.vkey and tls.csr to the city's IT department. It enrols the box with
     kominfo box add --id {id} --vkey ledger.vkey --csr tls.csr --certificate-out tls.crt --pki DIR
  2. Put what it gives back beside these files: tls.crt, ca.crt and kominfo.vkey.
  3. Name the files in the box's configuration under [keys] and [uplink], and try it with
     gateway check FILE
"
        )
    }
}

fn line(text: &str) -> String {
    text.trim_end().to_owned() + "\n"
}

/// Writes `files` into `folder`, all or none, durably.
fn write_all(folder: &Path, files: &[NewFile]) -> anyhow::Result<()> {
    let there: Vec<&str> = files
        .iter()
        .map(|file| file.name)
        .filter(|name| folder.join(name).symlink_metadata().is_ok())
        .collect();
    if !there.is_empty() {
        let message = format!(
            "{} already holds {}: keys are never replaced\n  hint: name another folder, or move the old files away if the box is to have a new identity",
            folder.display(),
            there.join(", ")
        );
        return Err(UsageError(message).into());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .with_context(|| format!("making folder {}", folder.display()))?;
    let mut made = Vec::new();
    let written = files.iter().try_for_each(|file| write_one(folder, file, &mut made));
    if written.is_err() {
        for path in made {
            if let Err(error) = std::fs::remove_file(&path) {
                eprintln!(
                    "warning: {} is left over and cannot be removed: {error}",
                    path.display()
                );
            }
        }
        return written;
    }
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("writing folder {} to disk", folder.display()))
}

/// Writes one file that is not there yet, and notes in `made` that it is.
fn write_one(folder: &Path, file: &NewFile, made: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let path = folder.join(file.name);
    let context = || format!("writing {}", path.display());
    let mut opened = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(file.mode)
        .open(&path)
        .with_context(context)?;
    made.push(path.clone());
    opened
        .write_all(file.content.as_bytes())
        .and_then(|()| opened.sync_all())
        .with_context(context)
}

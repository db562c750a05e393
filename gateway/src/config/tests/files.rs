//! The files that a configuration names.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rcgen::{CertificateParams, DnType, KeyPair};

use super::SOUND;
use crate::config::Config;

/// A folder with a sound configuration and all the files that it names.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        std::fs::create_dir(folder.0.path().join("keys")).unwrap();
        std::fs::write(folder.0.path().join("box.toml"), SOUND).unwrap();
        let mut random = rand_core::OsRng;
        let log = ledger::LogSigner::generate("parkir.example.id/sudirman-01", &mut random).unwrap();
        let cosigner = ledger::Cosigner::generate("kominfo.parkir.example.id", &mut random).unwrap();
        let (certificate, key) = certificate("sudirman-01");
        folder.write("ledger.key", 0o600, &(log.to_text() + "\n"));
        folder.write("kominfo.vkey", 0o644, &(cosigner.verifier().to_vkey() + "\n"));
        folder.write("ca.pem", 0o644, &certificate);
        folder.write("tls.pem", 0o644, &certificate);
        folder.write("tls.key", 0o600, &key);
        folder.write("chirpstack.password", 0o600, "secret\n");
        folder.write("webhook.token", 0o400, "secret");
        folder
    }

    fn write(&self, name: &str, mode: u32, content: &str) {
        let path = self.0.path().join("keys").join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What is said of the files, with the folder left out.
    fn said(&self) -> String {
        let config = Config::load(&self.0.path().join("box.toml")).unwrap();
        let said = config
            .check_files()
            .map_or_else(|errors| errors.to_string(), |()| "sound".to_owned());
        said.replace(&format!("{}/", self.0.path().display()), "")
    }
}

/// A certificate for `name` and its key, PEM.
fn certificate(name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
}

#[test]
fn files_that_are_as_they_should_be_are_accepted() {
    assert_eq!(Folder::new().said(), "sound");
}

#[test]
fn a_secret_that_others_can_read_is_a_problem() {
    let folder = Folder::new();
    for (name, mode) in [("ledger.key", 0o644), ("tls.key", 0o640), ("webhook.token", 0o604)] {
        let path = folder.0.path().join("keys").join(name);
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }
    insta::assert_snapshot!(folder.said(), @r"
    error: box.toml:9:14: keys.ledger_key: keys/ledger.key: has mode 644: others than its owner may use this secret
      hint: chmod 600 keys/ledger.key
    error: box.toml:16:20: uplink.private_key_file: keys/tls.key: has mode 640: others than its owner may use this secret
      hint: chmod 600 keys/tls.key
    error: box.toml:27:14: webhook.token_file: keys/webhook.token: has mode 604: others than its owner may use this secret
      hint: chmod 600 keys/webhook.token
    ");
}

#[test]
fn files_that_are_not_there_are_all_told() {
    let folder = Folder::new();
    std::fs::remove_dir_all(folder.0.path().join("keys")).unwrap();
    insta::assert_snapshot!(folder.said(), @r"
    error: box.toml:9:14: keys.ledger_key: keys/ledger.key: cannot be read: No such file or directory (os error 2)
      hint: make it with `gateway keygen`, or correct the path
    error: box.toml:10:16: keys.kominfo_vkey: keys/kominfo.vkey: cannot be read: No such file or directory (os error 2)
      hint: ask the city for it, or correct the path
    error: box.toml:14:11: uplink.ca_file: keys/ca.pem: cannot be read: No such file or directory (os error 2)
      hint: ask the city for it, or correct the path
    error: box.toml:15:20: uplink.certificate_file: keys/tls.pem: cannot be read: No such file or directory (os error 2)
      hint: ask the city for it, or correct the path
    error: box.toml:16:20: uplink.private_key_file: keys/tls.key: cannot be read: No such file or directory (os error 2)
      hint: make it with `gateway keygen`, or correct the path
    error: box.toml:23:17: chirpstack.password_file: keys/chirpstack.password: cannot be read: No such file or directory (os error 2)
      hint: write the secret into it, mode 600, or correct the path
    error: box.toml:27:14: webhook.token_file: keys/webhook.token: cannot be read: No such file or directory (os error 2)
      hint: write the secret into it, mode 600, or correct the path
    ");
}

#[test]
fn files_that_hold_something_else_are_told_what_they_should_hold() {
    let folder = Folder::new();
    folder.write("ledger.key", 0o600, "PRIVATE+KEY+x+00000000+AAAA\n");
    folder.write("kominfo.vkey", 0o644, "");
    folder.write("ca.pem", 0o644, "no certificate");
    folder.write(
        "tls.pem",
        0o644,
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    );
    folder.write("tls.key", 0o600, "no key");
    folder.write("chirpstack.password", 0o600, "\nsecret\n");
    std::fs::remove_file(folder.0.path().join("keys/webhook.token")).unwrap();
    std::fs::create_dir(folder.0.path().join("keys/webhook.token")).unwrap();
    insta::assert_snapshot!(folder.said(), @r"
    error: box.toml:9:14: keys.ledger_key: keys/ledger.key: key of signature type 0x00: expected type 0x01 (log)
      hint: make one with `gateway keygen --id sudirman-01 --log-domain parkir.example.id`
    error: box.toml:10:16: keys.kominfo_vkey: keys/kominfo.vkey: malformed key: expected <name>+<key id, 8 hexadecimal digits>+<base64 of type and 32-byte key>
      hint: ask the city for kominfo.vkey, the verifier key of its cosigner
    error: box.toml:14:11: uplink.ca_file: keys/ca.pem: holds no certificate
      hint: it must hold -----BEGIN CERTIFICATE----- and what follows (PEM)
    error: box.toml:15:20: uplink.certificate_file: keys/tls.pem: the first certificate cannot be read
      hint: ask the city for a certificate with common name sudirman-01
    error: box.toml:16:20: uplink.private_key_file: keys/tls.key: holds no private key: no items found
      hint: it must hold -----BEGIN PRIVATE KEY----- and what follows (PEM)
    error: box.toml:23:17: chirpstack.password_file: keys/chirpstack.password: its first line is no text
      hint: write the secret into the first line
    error: box.toml:27:14: webhook.token_file: keys/webhook.token: is no file
      hint: write the secret into it, mode 600, or correct the path
    ");
}

#[test]
fn keys_and_certificates_of_another_box_are_told_apart() {
    let folder = Folder::new();
    let other = ledger::LogSigner::generate("parkir.example.id/sudirman-02", &mut rand_core::OsRng).unwrap();
    folder.write("ledger.key", 0o600, &other.to_text());
    folder.write("tls.pem", 0o644, &certificate("sudirman-02").0);
    insta::assert_snapshot!(folder.said(), @r#"
    error: box.toml:9:14: keys.ledger_key: keys/ledger.key: is the key of log parkir.example.id/sudirman-02, and this box's log is parkir.example.id/sudirman-01
      hint: make one with `gateway keygen --id sudirman-01 --log-domain parkir.example.id`
    error: box.toml:15:20: uplink.certificate_file: keys/tls.pem: is the certificate of "sudirman-02", and this box is "sudirman-01"
      hint: ask the city for a certificate with common name sudirman-01
    "#);
}

#[test]
fn a_certificate_and_the_key_of_another_are_told_apart() {
    let folder = Folder::new();
    folder.write("tls.key", 0o600, &certificate("sudirman-01").1);
    insta::assert_snapshot!(folder.said(), @r"
    error: box.toml:16:20: uplink.private_key_file: keys/tls.key: is not the key of certificate_file (keys may not be consistent: KeyMismatch)
      hint: ask the city to sign tls.csr of the same `gateway keygen`, and name both files of that run
    ");
}

#[test]
fn a_file_without_end_is_not_read_whole() {
    let config = SOUND.replace("keys/ledger.key", "/dev/zero");
    let config = Config::from_bytes(Path::new("box.toml"), config.as_bytes()).unwrap();
    let said = config.check_files().unwrap_err().to_string();
    assert!(said.contains("/dev/zero: is no file"), "{said}");
}

//! `gateway keygen` and `gateway check`, as a technician runs them.

#![allow(clippy::unwrap_used)] // the helpers here are test code too; clippy knows only functions marked #[test]

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use rcgen::CertificateSigningRequestParams;

fn gateway(arguments: &[&str], folder: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .unwrap()
}

fn keygen(folder: &Path) -> Output {
    let arguments = [
        "keygen",
        "--id",
        "sudirman-01",
        "--log-domain",
        "parkir.example.id",
        "--out",
        "keys",
    ];
    gateway(&arguments, folder)
}

fn read(folder: &Path, name: &str) -> String {
    std::fs::read_to_string(folder.join("keys").join(name)).unwrap()
}

#[test]
fn keygen_makes_keys_that_only_the_owner_can_read() {
    let folder = tempfile::tempdir().unwrap();
    let output = keygen(folder.path());
    assert!(output.status.success(), "{output:?}");
    let mode = |name| {
        std::fs::metadata(folder.path().join("keys").join(name))
            .unwrap()
            .permissions()
            .mode()
            & 0o777
    };
    assert_eq!(["ledger.key", "tls.key"].map(mode), [0o600, 0o600]);
    assert_eq!(mode(""), 0o700);
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.contains("kominfo box add --id sudirman-01"), "{said}");
    assert!(!said.contains("PRIVATE"), "{said}");
}

#[test]
fn the_keys_of_keygen_belong_to_each_other_and_to_the_box() {
    let folder = tempfile::tempdir().unwrap();
    assert!(keygen(folder.path()).status.success());
    let signer = ledger::LogSigner::from_text(&read(folder.path(), "ledger.key")).unwrap();
    assert_eq!(signer.name(), "parkir.example.id/sudirman-01");
    assert_eq!(
        signer.verifier().to_vkey(),
        read(folder.path(), "ledger.vkey").trim_end()
    );

    let request = CertificateSigningRequestParams::from_pem(&read(folder.path(), "tls.csr")).unwrap();
    let name = request.params.distinguished_name.get(&rcgen::DnType::CommonName);
    assert_eq!(name, Some(&rcgen::DnValue::Utf8String("sudirman-01".to_owned())));
    let key = rcgen::KeyPair::from_pem(&read(folder.path(), "tls.key")).unwrap();
    assert_eq!(
        rcgen::PublicKeyData::der_bytes(&request.public_key),
        rcgen::PublicKeyData::der_bytes(&key)
    );
}

#[test]
fn keygen_never_replaces_a_file() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("keys")).unwrap();
    std::fs::write(folder.path().join("keys/tls.key"), "old").unwrap();
    let output = keygen(folder.path());
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("keys already holds tls.key"), "{said}");
    assert_eq!(read(folder.path(), "tls.key"), "old");
    assert_eq!(std::fs::read_dir(folder.path().join("keys")).unwrap().count(), 1);
}

#[test]
fn keygen_leaves_nothing_behind_where_it_cannot_finish() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("keys"), "a file where the folder should be").unwrap();
    let output = keygen(folder.path());
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: making folder keys: "), "{said}");
}

#[test]
fn keygen_refuses_names_that_no_log_can_have() {
    let folder = tempfile::tempdir().unwrap();
    for (id, domain) in [
        ("a/b", "parkir.example.id"),
        ("a", "https://parkir.example.id"),
        ("a", "a b"),
        ("a", "a+b"),
    ] {
        let output = gateway(
            &["keygen", "--id", id, "--log-domain", domain, "--out", "keys"],
            folder.path(),
        );
        assert_eq!(output.status.code(), Some(2), "{id} {domain}: {output:?}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn check_sums_up_a_sound_configuration_on_stdout() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-config/sites");
    let output = gateway(&["check", "--no-files", "jalan-sudirman.toml"], &folder);
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    let said = String::from_utf8(output.stdout).unwrap();
    let (summary, sha256) = said.rsplit_once("sha256   ").unwrap();
    assert_eq!(sha256.trim_end().len(), 64);
    insta::assert_snapshot!(summary, @r"
    box      sudirman-01, log parkir.example.id/sudirman-01
    time     WIB, business day from 03:00 to 03:00
    uplink   mqtt.parkir.example.id port 8883 (MQTT over TLS), batches of up to 512 records or 64 KiB, at the latest after 2 s
    journal  /var/lib/gateway/journal, 64 MiB reserved, 4 MiB a segment
    sensors  40: 20 bosch-tps110, 20 nwave-nps405
      ChirpStack's broker at 127.0.0.1 port 1883
    cameras  2, recordings in /var/lib/gateway/ring, evidence up to 1 GiB or 90 days, 4 GiB stay free
      utara-1 (Sisi utara, tiang 4): sub and main of 192.168.10.11:554, sub recorded up to 8 GiB or 72 h; sees 8 spaces, 2 masks
      selatan-1 (Sisi selatan, tiang 7): sub and main of 192.168.10.12:554, sub recorded up to 8 GiB or 72 h; sees 6 spaces, 0 masks
    page     http://192.168.10.1:8080, plain HTTP
    far view to live.parkir.example.id:8443, up to 800 kbit/s and 5 min a command
    zones    2, with 40 spaces
      sudirman-utara (Jl. Jenderal Sudirman, sisi utara): 20 spaces (20 car), 20 with a sensor; stays under 120 s are free
      sudirman-selatan (Jl. Jenderal Sudirman, sisi selatan): 20 spaces (20 car), 20 with a sensor; stays under 120 s are free
    tariffs  2
      bandung-progresif (Perda Kota Bandung, retribusi parkir tepi jalan umum), from 2026-01-01, in sudirman-utara
        car: Rp3.000 for the first 60 min, Rp2.000 for each further 60 min begun
      palembang-tetap (Perda Kota Palembang 16/2011), from 2026-01-01, in sudirman-selatan
        car: Rp2.000 a use
    ");
}

#[test]
fn check_counts_problems_on_stderr_and_exits_with_2() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("box.toml"), "[gateway]\nid = 7\n").unwrap();
    let output = gateway(&["check", "box.toml"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(output.stdout, b"");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.starts_with("error: box.toml:1:1: "), "{said}");
    assert!(
        said.contains("error: box.toml:2:6: gateway.id: expected a text, found the number 7\n"),
        "{said}"
    );
    assert!(said.ends_with("error: 8 problems in box.toml\n"), "{said}");
}

#[test]
fn check_looks_at_the_files_unless_told_not_to() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-config/sites/jalan-sudirman.toml");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(example, folder.path().join("box.toml")).unwrap();
    assert!(keygen(folder.path()).status.success());
    let output = gateway(&["check", "box.toml"], folder.path());
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("keys.kominfo_vkey: keys/kominfo.vkey: cannot be read"),
        "{said}"
    );
    assert!(!said.contains("keys.ledger_key"), "{said}");
    assert!(said.ends_with("error: 7 problems in box.toml\n"), "{said}");
}

#[test]
fn a_credential_of_systemd_may_show_group_bits() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-config/sites/jalan-sudirman.toml");
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("box.toml");
    std::fs::copy(example, &config).unwrap();
    assert!(keygen(folder.path()).status.success());
    let key = folder.path().join("keys/ledger.key");
    std::fs::set_permissions(key, std::fs::Permissions::from_mode(0o440)).unwrap();
    let said_with = |credentials: &Path| {
        let output = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args([Path::new("check"), &config])
            .env("CREDENTIALS_DIRECTORY", credentials)
            .output()
            .unwrap();
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said_with(Path::new("/elsewhere")).contains("ledger.key: has mode 440"));
    assert!(!said_with(&folder.path().join("keys")).contains("keys.ledger_key"));
}

#[test]
fn the_gateway_links_no_codec_and_its_worker_does() {
    let linked = |program: &str| {
        let output = Command::new("ldd").arg(program).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().contains("libgst")
    };
    assert!(!linked(env!("CARGO_BIN_EXE_gateway")));
    assert!(linked(env!("CARGO_BIN_EXE_gateway-camera")));
}

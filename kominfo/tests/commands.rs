//! The commands, run as a person runs them.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Command, Output};

use ledger::{Cosigner, CosignerVerifier, LogVerifier, Proof, TextSigner, TextVerifier};
use support::{City, Database, Street, write};

fn kominfo(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kominfo"));
    command
        .current_dir(folder)
        .args(arguments)
        .env("RUST_LOG", "warn")
        .output()
        .unwrap()
}

fn ok(folder: &Path, arguments: &[&str]) -> String {
    let output = kominfo(folder, arguments);
    assert!(
        output.status.success(),
        "{arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn fails(folder: &Path, arguments: &[&str]) -> String {
    let output = kominfo(folder, arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "",
        "data only on standard output"
    );
    String::from_utf8(output.stderr).unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_and_certificates_are_private_and_made_once() {
    let folder = tempfile::tempdir().unwrap();
    let keygen = ["keygen", "--name", "kominfo.parkir.example.id", "--out", "keys"];
    ok(folder.path(), &keygen);
    let (key, vkey) = (
        folder.path().join("keys/kominfo.key"),
        folder.path().join("keys/kominfo.vkey"),
    );
    assert_eq!((mode(&key), mode(&vkey)), (0o600, 0o644));
    let cosigner = Cosigner::from_text(fs::read_to_string(&key).unwrap().trim()).unwrap();
    let verifier = CosignerVerifier::from_vkey(fs::read_to_string(&vkey).unwrap().trim()).unwrap();
    assert_eq!(cosigner.verifier(), verifier);
    let before = fs::read(&key).unwrap();
    assert!(fails(folder.path(), &keygen).contains("exists already"));
    assert_eq!(fs::read(&key).unwrap(), before);

    let (command, command_vkey) = (
        folder.path().join("keys/command.key"),
        folder.path().join("keys/command.vkey"),
    );
    assert_eq!((mode(&command), mode(&command_vkey)), (0o600, 0o644));
    let signer = TextSigner::from_text(fs::read_to_string(&command).unwrap().trim()).unwrap();
    assert_eq!(signer.name(), "kominfo.parkir.example.id/command");
    let note = signer.sign("text\n").unwrap();
    let verifier = TextVerifier::from_vkey(&fs::read_to_string(&command_vkey).unwrap()).unwrap();
    assert_eq!(verifier.open(note.as_bytes()).unwrap(), "text\n");
    // A city that has its key for receipts gets the other one beside it, once.
    fs::remove_file(&command).unwrap();
    fs::remove_file(&command_vkey).unwrap();
    let commands = [&keygen[..], &["--commands"]].concat();
    ok(folder.path(), &commands);
    assert_eq!(mode(&command), 0o600);
    assert!(fails(folder.path(), &commands).contains("exists already"));
    assert_eq!(fs::read(&key).unwrap(), before);

    ok(
        folder.path(),
        &["pki", "init", "--out", "pki", "--dns", "localhost", "--ip", "127.0.0.1"],
    );
    let live = ["pki", "live", "--pki", "pki", "--name", "live-2", "--ip", "127.0.0.1"];
    ok(folder.path(), &live);
    assert!(fails(folder.path(), &live).contains("exists already"));
    assert!(fails(folder.path(), &["pki", "live", "--pki", "pki"]).contains("how boxes call"));
    for private in ["ca.key", "broker.key", "kominfo-client.key", "live-2.key"] {
        assert_eq!(mode(&folder.path().join("pki").join(private)), 0o600, "{private}");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o644)).unwrap();
    let serve = [
        "serve",
        "--mqtt",
        "mqtt://127.0.0.1:1",
        "--cosigner-key",
        "keys/kominfo.key",
    ];
    assert!(fails(folder.path(), &serve).contains("chmod 600"));
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let part = kominfo(
        folder.path(),
        &[&serve[..], &["--command-key", "keys/command.key"]].concat(),
    );
    let said = String::from_utf8_lossy(&part.stderr).into_owned();
    assert!(!part.status.success() && said.contains("--live-address"), "{said}");
    let live = [
        ["--command-key", "keys/command.key", "--live-ca", "pki/ca.crt"],
        ["--live-cert", "pki/live-2.crt", "--live-key", "pki/live-2.key"],
        ["--live-listen", "127.0.0.1:0", "--live-address", "no address"],
    ]
    .concat();
    let wrong = kominfo(folder.path(), &[&serve[..], &live].concat());
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("like live.example.id:8443"));
    fs::set_permissions(&command, fs::Permissions::from_mode(0o644)).unwrap();
    let readable = [&serve[..], &live[..live.len() - 1], &["127.0.0.1:1"]].concat();
    assert!(fails(folder.path(), &readable).contains("command.key is a private key that others may read"));
}

#[test]
fn a_box_is_registered_by_its_key_and_its_request() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    ok(path, &["pki", "init", "--out", "pki", "--dns", "localhost"]);
    let street = Street::new("sudirman-01", 0);
    write(
        path,
        "ledger.vkey",
        &format!("{}\n", street.signer.verifier().to_vkey()),
    );
    let request = |name: &str| {
        let mut params = rcgen::CertificateParams::default();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params
            .serialize_request(&rcgen::KeyPair::generate().unwrap())
            .unwrap()
            .pem()
            .unwrap()
    };
    write(path, "tls.csr", &request("sudirman-01"));
    write(path, "other.csr", &request("sudirman-02"));
    let call = |id: &str, csr: &str| {
        let certificate = ["--csr", csr, "--certificate-out", "tls.crt", "--pki", "pki"];
        kominfo(
            path,
            &[["box", "add", "--id", id, "--vkey", "ledger.vkey"], certificate].concat(),
        )
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said(&call("sudirman-01", "other.csr")).contains("is for \"sudirman-02\""));
    assert!(said(&call("sudirman-02", "other.csr")).contains("not a log of box"));
    assert!(said(&call("kominfo", "tls.csr")).contains("cannot be called"));
    assert!(
        ok(path, &["box", "list"]).lines().count() == 1,
        "nothing is registered by a mistake"
    );
    assert!(!path.join("tls.crt").exists());

    assert!(call("sudirman-01", "tls.csr").status.success());
    assert!(
        fs::read_to_string(path.join("tls.crt"))
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE")
    );
    assert!(
        call("sudirman-01", "tls.csr").status.success(),
        "a certificate can be made anew"
    );
    assert!(ok(path, &["box", "list"]).contains("sudirman-01"));
    let stranger = Street::new("sudirman-01", 0);
    write(path, "ledger.vkey", &stranger.signer.verifier().to_vkey());
    assert!(said(&call("sudirman-01", "tls.csr")).contains("another key"));
    assert!(ok(path, &["verify"]).starts_with("sudirman-01 size 0 root "));
    assert!(fails(path, &["verify", "--box", "sudirman-02"]).contains("not registered"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proof_holds_from_its_files_alone_and_fails_when_a_digit_of_the_fee_is_changed() {
    let database = Database::sqlite();
    let city = City::open(&database).await;
    let street = Street::new("g", 700);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..600)).await;
    city.commit(&street, &street.batch(600..700)).await;
    city.store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for session in ["g-a-0", "g-a-3", "g-a-511", "g-a-695"] {
        ok(
            path,
            &[
                "--database",
                &database.address,
                "export",
                "proof",
                "--session",
                session,
                "--to",
                "proof",
            ],
        );
        let read = |name: &str| fs::read_to_string(path.join("proof").join(name)).unwrap();
        let (record, proof) = (
            read(&format!("{session}.record")),
            read(&format!("{session}.tlog-proof")),
        );
        let log = LogVerifier::from_vkey(read("g.vkey").trim()).unwrap();
        let city = CosignerVerifier::from_vkey(read("kominfo.parkir.example.id.vkey").trim()).unwrap();
        let proof = Proof::from_text(&proof).unwrap();
        proof
            .verify(record.as_bytes(), &log, std::slice::from_ref(&city))
            .unwrap();
        assert!(record.contains(&format!("\"session\":\"{session}\"")) && !record.ends_with('\n'));
        let cheaper = record.replace("\"point\":2000", "\"point\":1000");
        assert_ne!(cheaper, record);
        assert!(proof.verify(cheaper.as_bytes(), &log, &[city]).is_err());
    }
    // The newest revision is what is proved.
    let revised = fs::read_to_string(path.join("proof/g-a-3.record")).unwrap();
    assert!(revised.contains("\"revision\":2"));
    let none = fails(
        path,
        &[
            "--database",
            &database.address,
            "export",
            "proof",
            "--session",
            "g-a-4",
            "--to",
            "proof",
        ],
    );
    assert!(none.contains("no session g-a-4"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_audit_and_rebuild_tell_the_same_sessions() {
    let database = Database::sqlite();
    let city = City::open(&database).await;
    let street = Street::new("g", 300);
    city.enrol(&street).await;
    city.commit(&street, &street.batch(0..300)).await;
    let sessions = city.verify().await[0].sessions;
    city.store.close().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let all: Vec<&str> = ["--database", &database.address]
            .into_iter()
            .chain(arguments.iter().copied())
            .collect();
        ok(folder.path(), &all)
    };
    let csv = run(&["export", "sessions", "--csv"]);
    assert_eq!(csv.lines().count(), sessions + 1);
    let columns = csv.lines().next().unwrap().split(',').count();
    assert!(csv.lines().all(|line| line.split(',').count() == columns));
    let json = run(&["export", "sessions", "--json", "--zone", "z0", "--day", "2026-01-05"]);
    let zone = csv.lines().filter(|line| line.contains(",z0,")).count();
    assert_eq!(json.lines().count(), zone);
    let first: serde_json::Value = serde_json::from_str(json.lines().next().unwrap()).unwrap();
    assert_eq!((&first["box"], &first["zone"]), (&"g".into(), &"z0".into()));
    assert!(run(&["rebuild"]).starts_with(&format!("g sessions {sessions} ")));
    let verified = run(&["verify"]);
    assert!(verified.starts_with("g size 300 root ") && verified.contains(&format!(" sessions {sessions} ")));
    assert!(verified.ends_with(" ok\n"));
}

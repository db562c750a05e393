//! Proof files: their text, their verification, and an independent check with nothing but hash and signature functions.

#![allow(clippy::unwrap_used)] // in helpers too: one that fails is a test that fails

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use ledger::{Proof, ProofError, SignatureError, tiles};
use sha2::{Digest, Sha256};

mod common;
use common::{CITY, ORIGIN, Store, checkpoint_of, cosigner, record, signed, signer};

fn proof(index: u64, size: u64) -> Proof {
    let path = tiles::inclusion_proof(index, &checkpoint_of(size), &Store::of(size).0).unwrap();
    Proof::new(index, path, signed(checkpoint_of(size)))
}

#[test]
fn a_proof_verifies_with_the_log_and_every_cosigner_from_its_text_alone() {
    for (index, size) in [(0, 1), (0, 2), (5, 7), (299, 300), (17, 300)] {
        let read = Proof::from_text(&proof(index, size).to_text()).unwrap();
        assert_eq!(read, proof(index, size));
        read.verify(&record(index), &signer().verifier(), &[cosigner(CITY).verifier()])
            .unwrap();
    }
}

#[test]
fn a_digit_of_the_fee_changed_fails_the_proof() {
    let text = String::from_utf8(record(5)).unwrap();
    let altered = text.replacen("1005", "1006", 1);
    assert_ne!(text, altered);
    let result = proof(5, 7).verify(altered.as_bytes(), &signer().verifier(), &[]);
    assert_eq!(result, Err(ProofError::NotIncluded { index: 5, size: 7 }));
}

#[test]
fn every_cosigner_asked_for_must_have_signed() {
    let stranger = cosigner("bapenda.parkir.example.id").verifier();
    let asked = [cosigner(CITY).verifier(), stranger];
    let result = proof(5, 7).verify(&record(5), &signer().verifier(), &asked);
    assert!(
        matches!(result, Err(ProofError::Signature(SignatureError::Absent { .. }))),
        "{result:?}"
    );
}

#[test]
fn the_text_of_a_proof_is_that_of_the_specification() {
    let proof = proof(1, 3);
    let expected = format!(
        "c2sp.org/tlog-proof@v1\nindex 1\n{}\n{}\n\n{}",
        proof.path[0],
        proof.path[1],
        proof.checkpoint.to_note()
    );
    assert_eq!(proof.to_text(), expected);
}

#[test]
fn extra_bytes_are_read_and_kept() {
    let text = proof(1, 3).to_text().replacen('\n', "\nextra aGFsbw==\n", 1);
    let read = Proof::from_text(&text).unwrap();
    assert_eq!(read.extra.as_deref(), Some(&b"halo"[..]));
    assert_eq!(read.to_text(), text);
    read.verify(&record(1), &signer().verifier(), &[]).unwrap();
}

#[test]
fn malformed_proofs_are_refused_with_their_line() {
    let text = proof(1, 3).to_text();
    let hash = proof(1, 3).path[0].to_string();
    let line = |text: &str| match Proof::from_text(text) {
        Err(ProofError::Line { line, .. } | ProofError::Hash { line, .. }) => line,
        other => panic!("{other:?}"),
    };
    assert_eq!(Proof::from_text(&text.replacen("v1", "v2", 1)), Err(ProofError::Header));
    for bad in [
        "index 01",
        "index +1",
        "index -1",
        "index",
        "index 99999999999999999999",
        "Index 1",
    ] {
        assert_eq!(line(&text.replacen("index 1", bad, 1)), 2, "{bad}");
    }
    assert_eq!(line(&text.replacen('\n', "\nextra !\n", 1)), 2);
    assert_eq!(line(&text.replacen('\n', "\nextra aGFsbw==\nextra aGFsbw==\n", 1)), 3);
    assert_eq!(line(&text.replacen(&hash, &hash[1..], 1)), 3);
    assert_eq!(line("c2sp.org/tlog-proof@v1\nindex 1\n"), 2);
    let long = text.replacen(&hash, &vec![hash.clone(); 65].join("\n"), 1);
    assert_eq!(Proof::from_text(&long), Err(ProofError::PathLength(65)));
    assert!(matches!(
        Proof::from_text(&text.replacen("\n3\n", "\nx\n", 1)),
        Err(ProofError::Checkpoint(_))
    ));
    assert!(matches!(
        Proof::from_text(&format!("{text}\n")),
        Err(ProofError::Checkpoint(_))
    ));
}

#[test]
fn a_proof_cut_or_with_a_byte_changed_does_not_verify() {
    let text = proof(5, 7).to_text();
    let (log, city) = (signer().verifier(), [cosigner(CITY).verifier()]);
    let verifies = |bytes: &[u8]| {
        let proof = str::from_utf8(bytes).ok().and_then(|text| Proof::from_text(text).ok());
        proof.is_some_and(|proof| proof.verify(&record(5), &log, &city).is_ok())
    };
    assert!(verifies(text.as_bytes()));
    for place in 0..text.len() {
        assert!(!verifies(&text.as_bytes()[..place]), "cut at {place}");
        let mut bytes = text.clone().into_bytes();
        bytes[place] ^= 1;
        assert!(!verifies(&bytes), "byte {place}");
    }
}

/// RFC 9162, section 2.1.3.2, written down anew with a hash function only.
fn root_by_hand(record: &[u8], index: u64, size: u64, path: &[Vec<u8>]) -> Vec<u8> {
    let node = |left: &[u8], right: &[u8]| Sha256::digest([&[1], left, right].concat()).to_vec();
    let (mut fnode, mut snode) = (index, size - 1);
    let mut root = Sha256::digest([&[0], record].concat()).to_vec();
    for sibling in path {
        assert!(snode > 0, "path too long");
        if fnode % 2 == 1 || fnode == snode {
            root = node(sibling, &root);
            while fnode.is_multiple_of(2) && fnode > 0 {
                fnode >>= 1;
                snode >>= 1;
            }
        } else {
            root = node(&root, sibling);
        }
        fnode >>= 1;
        snode >>= 1;
    }
    assert_eq!(snode, 0, "path too short");
    root
}

/// The bytes of a verifier key behind its type.
fn key_by_hand(vkey: &str, kind: u8) -> (Vec<u8>, VerifyingKey) {
    let mut parts = vkey.splitn(3, '+');
    let (name, id) = (parts.next().unwrap(), parts.next().unwrap());
    let key = STANDARD.decode(parts.next().unwrap()).unwrap();
    assert_eq!(key[0], kind);
    let hash = Sha256::digest([name.as_bytes(), b"\n", &key].concat());
    assert_eq!(id, &format!("{hash:x}")[..8]);
    (
        hash[..4].to_vec(),
        VerifyingKey::from_bytes(key[1..].try_into().unwrap()).unwrap(),
    )
}

#[test]
fn another_hand_with_sha_256_and_ed25519_alone_accepts_our_proofs() {
    for (index, size) in [(0, 1), (1, 2), (5, 7), (6, 7), (128, 300), (299, 300)] {
        let text = proof(index, size).to_text();
        let (head, note) = text.split_once("\n\n").unwrap();
        let mut head = head.lines().skip(1);
        assert_eq!(head.next().unwrap(), format!("index {index}"));
        let path: Vec<_> = head.map(|line| STANDARD.decode(line).unwrap()).collect();
        let (body, signatures) = note.split_once("\n\n").unwrap();
        let body = format!("{body}\n");
        let root = STANDARD.encode(root_by_hand(&record(index), index, size, &path));
        assert_eq!(body, format!("{ORIGIN}\n{size}\n{root}\n"));

        let bytes = |line: &str, name: &str| {
            let encoded = line.strip_prefix(&format!("— {name} ")).unwrap();
            STANDARD.decode(encoded).unwrap()
        };
        let lines: Vec<_> = signatures.lines().collect();
        let (id, key) = key_by_hand(&signer().verifier().to_vkey(), 1);
        let line = bytes(lines[0], ORIGIN);
        assert_eq!(line[..4], id);
        key.verify_strict(body.as_bytes(), &Signature::from_slice(&line[4..]).unwrap())
            .unwrap();

        let (id, key) = key_by_hand(&cosigner(CITY).verifier().to_vkey(), 4);
        let line = bytes(lines[1], CITY);
        assert_eq!(line[..4], id);
        let time = u64::from_be_bytes(line[4..12].try_into().unwrap());
        let message = format!("cosignature/v1\ntime {time}\n{body}");
        key.verify_strict(message.as_bytes(), &Signature::from_slice(&line[12..]).unwrap())
            .unwrap();
    }
}

//! Keys, checkpoints and cosignatures: published vectors, and what must be refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use ledger::{
    Checkpoint, Cosigner, CosignerVerifier, Hash, KeyError, LogSigner, LogVerifier, NoteError, Receipt, ReceiptError,
    SignatureError, SignedCheckpoint, leaf_hash,
};

mod common;
use common::{CITY, CountingRng, ORIGIN, checkpoint_of, cosigner, signed, signer};

/// Keys of the tests of Go's `golang.org/x/mod/sumdb/note`, and of the C2SP signed-note specification.
const PETER_PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const PETER_PUBLIC: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
const C2SP_EXAMPLE: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

/// A checkpoint of a public Certificate Transparency log, signed by itself in two ways and cosigned by four witnesses.
const PUBLIC_NOTE: &str = "\
arche2025h1.staging.ct.transparency.dev
1432088532
U7WM79jrzyhGZ5/GUBTpM7NzwdyfFx61t3RovgcC4Ro=

— arche2025h1.staging.ct.transparency.dev zTM8sQAAAZ5W0WdjBAMARjBEAiBjW5IQf9pvsYLfQFX6hoGREPMHbdQ3urbllzalApkptQIgIpwtEroeW2BXaHAI4kJXFbon5Ch9MNL5zRNZ55lvGt0=
— arche2025h1.staging.ct.transparency.dev ui8GwCF1+kWqZrxGdhj4aX3gcw7XUlXQQabg/27lefwhUkzbC3NygNI75MdhL1bfTW9g8Ei59RA23oHP7Ry1k3ZFWwQ=
— transparency.dev/DEV:witness-little-garden 2AQqhwAAAABqEiEgzgFIqqhbUoDwjMWE6UP8nd8/KYTzwZ2rhIgcqoXHAwVkjZr4AscylP3v7sEodkRAErumC2q44vdgJY096st5BQ==
— witness1.smartit.nu/witness1 pIyCDwAAAABqEiEghIp82KWebrw7/oHQwlTAm3g2RKS4+eebl8eO0WH+/iEcxZ75W3u5hNI7TOQtmJbqmNWVuE0tgh0XwzdZsDsUAQ==
— remora.n621.de 2net5wAAAABqEiEgPlfF3V06o0Y+fHM+J5J9s27wgxxcOVSpZ/2g/KSiXCg9DEZI+aVCIobWX9sXTynk5XeU/zZ0WBxtqB0DrAWfBw==
— witness.stagemole.eu Z/euoAAAAABqEiEgw0i+7g2ENfDAWHmtRzCfKTHSDwYDJA2NmKeGi9Y8FtEyOUvVr+AJmIY/2TUFucgKi7lI7cUiOvKFYe/TmN9DAg==
";
const PUBLIC_LOG: &str =
    "arche2025h1.staging.ct.transparency.dev+ba2f06c0+AU0vHmlGCS/PdN8b2OaGmKprLI8HKM+dJ472xgFYh15f";
const PUBLIC_WITNESSES: [&str; 4] = [
    "remora.n621.de+da77ade7+BOvN63jn/bLvkieywe8R6UYAtVtNbZpXh34x7onlmtw2",
    "witness.stagemole.eu+67f7aea0+BEqSG3yu9YrmcM3BHvQYTxwFj3uSWakQepafafpUqklv",
    "transparency.dev/DEV:witness-little-garden+d8042a87+BCtusOxINQNUTN5Oj8HObRkh2yHf/MwYaGX4CPdiVEPM",
    "witness1.smartit.nu/witness1+a48c820f+BPSFWg9G6KPiO7QPryYO5Xq4oYJJ+kAvLKLSimDhoxMO",
];

#[test]
fn published_keys_are_read_and_written_back() {
    let peter = LogSigner::from_text(PETER_PRIVATE).unwrap();
    assert_eq!(peter.to_text(), PETER_PRIVATE);
    assert_eq!(peter.verifier().to_vkey(), PETER_PUBLIC);
    assert_eq!(peter.verifier().key_id(), 0xc74f_20a3);
    assert_eq!(LogVerifier::from_vkey(C2SP_EXAMPLE).unwrap().to_vkey(), C2SP_EXAMPLE);
    for witness in PUBLIC_WITNESSES {
        assert_eq!(CosignerVerifier::from_vkey(witness).unwrap().to_vkey(), witness);
    }
}

#[test]
fn a_public_checkpoint_verifies_with_its_log_and_its_witnesses() {
    let note = SignedCheckpoint::from_note(PUBLIC_NOTE).unwrap();
    note.verify(&LogVerifier::from_vkey(PUBLIC_LOG).unwrap()).unwrap();
    for witness in PUBLIC_WITNESSES {
        let receipt = note
            .verify_cosigner(&CosignerVerifier::from_vkey(witness).unwrap())
            .unwrap();
        assert_eq!((receipt.size, receipt.time_s), (1_432_088_532, 0x6a12_2120));
    }
    assert_eq!(note.receipts().len(), 4);
    assert_eq!(
        note.to_note(),
        PUBLIC_NOTE,
        "nothing of it is lost, unknown signatures included"
    );
}

#[test]
fn a_public_checkpoint_with_one_digit_changed_verifies_with_nobody() {
    let note = SignedCheckpoint::from_note(&PUBLIC_NOTE.replacen("1432088532", "1432088533", 1)).unwrap();
    note.verify(&LogVerifier::from_vkey(PUBLIC_LOG).unwrap()).unwrap_err();
    for witness in PUBLIC_WITNESSES {
        note.verify_cosigner(&CosignerVerifier::from_vkey(witness).unwrap())
            .unwrap_err();
    }
}

#[test]
fn signed_note_verifies_our_checkpoints_too() {
    let note = signed(checkpoint_of(3)).to_note();
    let verifier = signed_note::StandardVerifier::new(&signer().verifier().to_vkey()).unwrap();
    let known = signed_note::VerifierList::new(vec![Box::new(verifier)]);
    let parsed = signed_note::Note::from_bytes(note.as_bytes()).unwrap();
    let (accepted, unknown) = parsed.verify(&known).unwrap();
    assert_eq!((accepted.len(), unknown.len()), (1, 1));
}

#[test]
fn keys_survive_their_text_and_the_newline_of_a_file() {
    let (log, city) = (signer(), cosigner(CITY));
    assert_eq!(LogSigner::from_text(&log.to_text()).unwrap().verifier(), log.verifier());
    assert_eq!(
        Cosigner::from_text(&city.to_text()).unwrap().verifier(),
        city.verifier()
    );
    assert_eq!(
        LogVerifier::from_vkey(&format!("{}\n", log.verifier().to_vkey())).unwrap(),
        log.verifier()
    );
    assert_eq!(
        CosignerVerifier::from_vkey(&format!("{}\n", city.verifier().to_vkey())).unwrap(),
        city.verifier()
    );
}

#[test]
fn a_key_of_one_kind_is_not_taken_for_the_other() {
    let (log, city) = (signer(), cosigner(CITY));
    let wrong = |error| matches!(error, KeyError::Type { .. });
    assert!(wrong(Cosigner::from_text(&log.to_text()).unwrap_err()));
    assert!(wrong(LogSigner::from_text(&city.to_text()).unwrap_err()));
    assert!(wrong(
        CosignerVerifier::from_vkey(&log.verifier().to_vkey()).unwrap_err()
    ));
    assert!(wrong(LogVerifier::from_vkey(&city.verifier().to_vkey()).unwrap_err()));
}

#[test]
fn malformed_and_renamed_keys_are_refused() {
    let renamed = PETER_PUBLIC.replace("Peter", "Petra");
    assert!(matches!(LogVerifier::from_vkey(&renamed), Err(KeyError::Id { .. })));
    let renamed = PETER_PRIVATE.replace("Peter", "Petra");
    assert!(matches!(LogSigner::from_text(&renamed), Err(KeyError::Id { .. })));
    for cut in 0..PETER_PUBLIC.len() {
        assert!(LogVerifier::from_vkey(&PETER_PUBLIC[..cut]).is_err(), "{cut}");
    }
    for cut in 0..PETER_PRIVATE.len() {
        assert!(LogSigner::from_text(&PETER_PRIVATE[..cut]).is_err(), "{cut}");
    }
    for bad in [
        " ",
        "\n\n",
        "a+b",
        "PRIVATE+KEY+",
        "x+zzzzzzzz+AA==",
        "x+-1234567+AA==",
        "é é+00000000+AQ==",
    ] {
        assert!(LogVerifier::from_vkey(bad).is_err(), "{bad}");
    }
}

#[test]
fn a_name_that_would_break_a_signature_line_is_refused() {
    for bad in ["", "a b", "a+b", "a\nb", "a\u{2003}b", "a\u{7}b"] {
        assert!(
            matches!(LogSigner::generate(bad, &mut CountingRng(1)), Err(KeyError::Name(_))),
            "{bad:?}"
        );
        assert!(
            matches!(Cosigner::generate(bad, &mut CountingRng(1)), Err(KeyError::Name(_))),
            "{bad:?}"
        );
    }
}

#[test]
fn a_public_key_under_which_forgeries_verify_is_refused() {
    // The neutral element: R = S = 0 would sign anything.
    let mut key = [0; 33];
    key[..2].copy_from_slice(&[1, 1]);
    let id = signed_note::key_id("x", &key);
    let vkey = format!("x+{id:08x}+AQEAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert_eq!(LogVerifier::from_vkey(&vkey), Err(KeyError::Point("x".to_owned())));
}

#[test]
fn a_private_key_is_not_shown_by_debug_output() {
    let (log, city) = (signer(), cosigner(CITY));
    assert_eq!(
        format!("{log:?} {city:?}"),
        format!("LogSigner({ORIGIN:?}) Cosigner({CITY:?})")
    );
}

#[test]
fn a_signature_holds_for_its_log_size_and_root_only() {
    let (log, checkpoint) = (signer(), checkpoint_of(5));
    let signature = log.sign(&checkpoint);
    log.verifier().verify(&checkpoint, &signature).unwrap();
    let forged = |checkpoint: &Checkpoint| {
        matches!(
            log.verifier().verify(checkpoint, &signature),
            Err(SignatureError::Forged { .. })
        )
    };
    assert!(forged(&Checkpoint {
        size: 6,
        ..checkpoint.clone()
    }));
    assert!(forged(&Checkpoint {
        root: leaf_hash(b""),
        ..checkpoint.clone()
    }));
    let other = Checkpoint {
        origin: "parkir.example.id/x".to_owned(),
        ..checkpoint.clone()
    };
    assert!(matches!(
        log.verifier().verify(&other, &log.sign(&other)),
        Err(SignatureError::Origin { .. })
    ));
    let impostor = LogSigner::generate(ORIGIN, &mut CountingRng(7)).unwrap();
    impostor.verifier().verify(&checkpoint, &signature).unwrap_err();
}

#[test]
fn a_receipt_holds_for_its_checkpoint_time_and_key_only() {
    let (city, checkpoint) = (cosigner(CITY), checkpoint_of(5));
    let receipt = city.cosign(&checkpoint, 1_767_600_000);
    let verifier = city.verifier();
    verifier.verify(&checkpoint, &receipt).unwrap();
    let altered = Receipt {
        time_s: 1_767_600_001,
        ..receipt.clone()
    };
    assert!(matches!(
        verifier.verify(&checkpoint, &altered),
        Err(SignatureError::Forged { .. })
    ));
    let altered = Receipt {
        key_id: 1,
        ..receipt.clone()
    };
    assert!(matches!(
        verifier.verify(&checkpoint, &altered),
        Err(SignatureError::KeyId { .. })
    ));
    assert!(matches!(
        verifier.verify(&checkpoint_of(6), &receipt),
        Err(SignatureError::Size { .. })
    ));
    let other_root = Checkpoint {
        root: leaf_hash(b""),
        ..checkpoint.clone()
    };
    assert!(matches!(
        verifier.verify(&other_root, &receipt),
        Err(SignatureError::Forged { .. })
    ));
    let other_log = Checkpoint {
        origin: "parkir.example.id/x".to_owned(),
        ..checkpoint
    };
    assert!(matches!(
        verifier.verify(&other_log, &receipt),
        Err(SignatureError::Forged { .. })
    ));
}

#[test]
fn a_receipt_is_short_on_the_wire_and_read_back_only_whole() {
    let receipt = cosigner(CITY).cosign(&checkpoint_of(300), 1_767_600_000);
    let bytes = receipt.to_bytes();
    assert_eq!(bytes.len(), 1 + 2 + 5 + 4 + 64);
    assert_eq!(Receipt::from_bytes(&bytes).unwrap(), receipt);
    for cut in 0..bytes.len() {
        assert!(Receipt::from_bytes(&bytes[..cut]).is_err(), "{cut}");
    }
    assert_eq!(
        Receipt::from_bytes(&[&bytes[..], &[0]].concat()),
        Err(ReceiptError::Form(77))
    );
    let newer = [&[2], &bytes[1..]].concat();
    assert_eq!(Receipt::from_bytes(&newer), Err(ReceiptError::Version(2)));
}

#[test]
fn a_receipt_with_a_time_that_no_cosignature_can_have_is_refused() {
    let receipt = cosigner(CITY).cosign(&checkpoint_of(1), u64::MAX);
    assert_eq!(receipt.time_s, (1 << 63) - 1);
    let late = Receipt {
        time_s: 1 << 63,
        ..receipt
    };
    assert!(matches!(
        Receipt::from_bytes(&late.to_bytes()),
        Err(ReceiptError::Time(_))
    ));
    cosigner(CITY).verifier().verify(&checkpoint_of(1), &late).unwrap_err();
}

#[test]
fn a_signed_checkpoint_has_the_logs_line_first_and_is_read_back() {
    let mut note = signed(checkpoint_of(4));
    let bapenda = cosigner("bapenda.parkir.example.id");
    let receipt = bapenda.cosign(note.checkpoint(), 1_767_600_009);
    note.add_receipt(&receipt, &bapenda.verifier()).unwrap();
    let text = note.to_note();
    let names: Vec<_> = text.lines().skip(4).filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!(names, [ORIGIN, CITY, "bapenda.parkir.example.id"]);
    let read = SignedCheckpoint::from_note(&text).unwrap();
    assert_eq!(read, note);
    assert_eq!(read.checkpoint(), &checkpoint_of(4));
    read.verify(&signer().verifier()).unwrap();
    assert_eq!(read.verify_cosigner(&bapenda.verifier()).unwrap(), receipt);
    assert_eq!(read.receipts()[1], ("bapenda.parkir.example.id".to_owned(), receipt));
}

#[test]
fn a_newer_receipt_of_the_same_key_takes_the_older_ones_place() {
    let mut note = signed(checkpoint_of(4));
    let newer = cosigner(CITY).cosign(note.checkpoint(), 1_800_000_000);
    note.add_receipt(&newer, &cosigner(CITY).verifier()).unwrap();
    assert_eq!(note.receipts(), [(CITY.to_owned(), newer)]);
}

#[test]
fn nothing_is_put_under_a_checkpoint_that_does_not_verify() {
    let signature = signer().sign(&checkpoint_of(3));
    SignedCheckpoint::new(checkpoint_of(4), &signature, &signer().verifier()).unwrap_err();
    let receipt = cosigner(CITY).cosign(&checkpoint_of(3), 1);
    signed(checkpoint_of(4))
        .add_receipt(&receipt, &cosigner(CITY).verifier())
        .unwrap_err();
}

#[test]
fn a_missing_signature_is_told_from_a_forged_one() {
    let note = signed(checkpoint_of(4));
    let stranger = cosigner("stranger.example").verifier();
    assert!(matches!(
        note.verify_cosigner(&stranger),
        Err(SignatureError::Absent { .. })
    ));
    let forged = note.to_note().replacen("\n4\n", "\n5\n", 1);
    let forged = SignedCheckpoint::from_note(&forged).unwrap();
    assert!(matches!(
        forged.verify(&signer().verifier()),
        Err(SignatureError::Forged { .. })
    ));
}

#[test]
fn one_false_signature_of_a_known_key_spoils_the_note() {
    let note = signed(checkpoint_of(4)).to_note();
    let other = signed(checkpoint_of(5)).to_note();
    let (_, false_lines) = other.split_once("\n\n").unwrap();
    let mixed = SignedCheckpoint::from_note(&format!("{note}{false_lines}")).unwrap();
    mixed.verify(&signer().verifier()).unwrap_err();
    mixed.verify_cosigner(&cosigner(CITY).verifier()).unwrap_err();
}

#[test]
fn texts_that_are_no_checkpoints_are_refused_with_the_reason() {
    let note = signed(checkpoint_of(4)).to_note();
    let root = checkpoint_of(4).root.to_string();
    let cases = [
        (String::new(), NoteError::Note),
        (note.trim_end().to_owned(), NoteError::Note),
        (note.replace("\n\n", "\n"), NoteError::Note),
        (note.replace("— ", "- "), NoteError::Note),
        (note.replacen('\n', "\r\n", 1), NoteError::Note),
        (note.replacen("\n4\n", "\n04\n", 1), NoteError::Body),
        (note.replacen("\n4\n", "\n+4\n", 1), NoteError::Body),
        (note.replacen("\n4\n", "\n-4\n", 1), NoteError::Body),
        (note.replacen("\n4\n", "\n\n", 1), NoteError::Body),
        (note.replacen(&root, &root[4..], 1), NoteError::Body),
        (
            note.replacen(&root, &format!("{root}\nmore"), 1),
            NoteError::Extension(ORIGIN.to_owned()),
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(SignedCheckpoint::from_note(&text), Err(expected), "{text}");
    }
}

#[test]
fn the_body_of_a_checkpoint_is_three_lines_to_the_byte() {
    let checkpoint = Checkpoint {
        origin: ORIGIN.to_owned(),
        size: 7,
        root: Hash::new([0; 32]),
    };
    assert_eq!(
        checkpoint.body(),
        format!("{ORIGIN}\n7\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n")
    );
}

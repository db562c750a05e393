//! Signed texts: a published vector, and what must be refused.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use ledger::{TextError, TextSigner, TextVerifier};

mod common;
use common::CountingRng;

/// Key, text and signature of the tests of Go's `golang.org/x/mod/sumdb/note`.
const PRIVATE: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
const TEXT: &str =
    "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
const LINE: &str =
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";

fn verifier() -> TextVerifier {
    TextSigner::from_text(PRIVATE).unwrap().verifier()
}

#[test]
fn a_published_note_is_signed_alike_and_opened() {
    let note = TextSigner::from_text(PRIVATE).unwrap().sign(TEXT).unwrap();
    assert_eq!(note, format!("{TEXT}\n{LINE}"));
    assert_eq!(verifier().open(note.as_bytes()).unwrap(), TEXT);
}

#[test]
fn a_text_that_cannot_stand_in_a_note_is_not_signed() {
    let signer = TextSigner::generate("n", &mut CountingRng(1)).unwrap();
    for text in ["", "no newline", "tab\t\n"] {
        assert_eq!(signer.sign(text), Err(TextError::Text), "{text:?}");
    }
}

#[test]
fn a_note_without_a_valid_signature_of_the_key_is_refused() {
    let other = TextSigner::generate("PeterNeumann", &mut CountingRng(1)).unwrap();
    let open = |note: &str| verifier().open(note.as_bytes());
    assert_eq!(open(TEXT), Err(TextError::Note));
    assert!(matches!(
        open(&other.sign(TEXT).unwrap()),
        Err(TextError::Signature { .. })
    ));
    assert!(matches!(
        open(&format!("other text\n\n{LINE}")),
        Err(TextError::Signature { .. })
    ));
    // Each line of the key must be right, not only one.
    let of_another_text = TextSigner::from_text(PRIVATE).unwrap().sign("other text\n").unwrap();
    let both = format!("{TEXT}\n{LINE}{}\n", of_another_text.lines().last().unwrap());
    assert!(matches!(open(&both), Err(TextError::Signature { .. })));
}

//! Whatever bytes come as a live message or as a command: no panic, nothing beyond the bounds, and what is read is written
//! again so that it is read the same.
//!
//! Runs as a test with a fixed number of inputs, and as a fuzz target with `cargo bolero test`.

#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use bytes::Bytes;
use ledger::{TextSigner, TextVerifier};
use live::command::{self, COMMAND_BYTES_MAX, LiveCommand, TTL_S_MAX};
use live::link::parse_begin;
use live::message::{Frame, MESSAGE_BYTES_MAX, Message, TEXT_BYTES_MAX};

const ORIGIN: &str = "parkir.example.id/gate-1/command";
/// A message of each kind, to be spoilt.
const MESSAGES: [&str; 7] = [
    r#"{"type":"stream","camera":"gate-1","profile":"sub","codecs":"avc1.42c01e","width":640,"height":360,"fps":15.0}"#,
    r#"{"type":"skipped","seconds":1.5}"#,
    r#"{"type":"busy","viewers_max":8}"#,
    r#"{"type":"state","state":"stalled","message":"x","advice":{"id":"a","en":"b"}}"#,
    r#"{"type":"ended","reason":"ttl"}"#,
    r#"{"type":"begin","id":"6f1c9a0e4b7d4c52a3e8f00d1b2c3d4e"}"#,
    r#"{"type":"of a later version","x":[]}"#,
];
/// A command of each kind, to be spoilt.
const COMMANDS: [&str; 4] = [
    r#"{"type":"start","id":"6f1c9a0e4b7d4c52a3e8f00d1b2c3d4e","issued_ms":1,"camera":"gate-1","profile":"sub","ttl_s":120,"to":{"type":"kominfo","server":"live.example.id:8443"}}"#,
    r#"{"type":"start","id":"6f1c9a0e4b7d4c52a3e8f00d1b2c3d4e","issued_ms":1,"camera":"gate-1","profile":"main","ttl_s":10,"to":{"type":"media_server","url":"rtsps://media.example.id/a"}}"#,
    r#"{"type":"stop","id":"6f1c9a0e4b7d4c52a3e8f00d1b2c3d4e","issued_ms":1}"#,
    r#"{"type":"ready","id":"6f1c9a0e4b7d4c52a3e8f00d1b2c3d4e","issued_ms":1,"ttl_s":60,"server":"[::1]:8443"}"#,
];

/// `text` with a part replaced by these bytes.
fn spoilt(text: &str, bytes: &[u8], from: u16, length: u16) -> String {
    let begin = text.floor_char_boundary(usize::from(from) % text.len());
    let end = text.floor_char_boundary(begin + usize::from(length % 32)).max(begin);
    format!("{}{}{}", &text[..begin], String::from_utf8_lossy(bytes), &text[end..])
}

/// What is read when a message is written again; none where escapes make it longer than a message may be.
fn again(message: &Message) -> Option<Message> {
    let frame = message.encode().ok()?;
    Some(Message::parse(frame).unwrap())
}

#[test]
fn any_message_is_read_or_refused() {
    bolero::check!()
        .with_type::<(Vec<u8>, u8, u16, u16)>()
        .for_each(|(bytes, which, from, length)| {
            let sound = MESSAGES[usize::from(*which) % MESSAGES.len()];
            for text in [
                String::from_utf8_lossy(bytes).into_owned(),
                spoilt(sound, bytes, *from, *length),
            ] {
                parse_begin(&text);
                if let Ok(message) = Message::parse_text(&text) {
                    assert!(text.len() <= TEXT_BYTES_MAX);
                    assert!(again(&message).is_none_or(|read| read == message), "{text}");
                }
            }
            let wire = Bytes::copy_from_slice(bytes);
            if let Ok(message) = Message::parse_binary(wire.clone()) {
                assert!(wire.len() <= MESSAGE_BYTES_MAX);
                assert_eq!(message.encode().unwrap(), Frame::Binary(wire));
            }
        });
}

/// Reads a text that the right key signed.
fn read(text: &str, (signer, verifier): &(TextSigner, TextVerifier)) -> Option<LiveCommand> {
    let note = signer.sign(text).ok()?;
    let read = command::verify(note.as_bytes(), ORIGIN, verifier).ok()?;
    assert!(note.len() <= COMMAND_BYTES_MAX);
    Some(read)
}

#[test]
fn any_command_is_read_or_refused_and_none_that_the_key_has_not_signed() {
    let signer = TextSigner::generate("parkir.example.id/command", &mut rand_core::OsRng).unwrap();
    let verifier = signer.verifier();
    let keys = (signer, verifier);
    for sound in COMMANDS {
        assert!(read(&format!("{ORIGIN}\n{sound}\n"), &keys).is_some(), "{sound}");
    }
    bolero::check!()
        .with_type::<(Vec<u8>, u8, u16, u16)>()
        .for_each(|(bytes, which, from, length)| {
            let sound = format!("{ORIGIN}\n{}\n", COMMANDS[usize::from(*which) % COMMANDS.len()]);
            if let Some(command) = read(&spoilt(&sound, bytes, *from, *length), &keys) {
                if let command::Order::Start(start) = &command.order {
                    assert!(start.ttl.as_secs() <= TTL_S_MAX);
                }
                let written = command::sign(&command, ORIGIN, &keys.0).unwrap();
                assert_eq!(command::verify(&written, ORIGIN, &keys.1).unwrap(), command);
            }
            let note = keys.0.sign(&sound).unwrap();
            let forged = spoilt(&note, bytes, *from, *length);
            if let Ok(command) = command::verify(forged.as_bytes(), ORIGIN, &keys.1) {
                assert_eq!(Some(command), read(&sound, &keys), "{forged}");
            }
        });
}

use bytes::BytesMut;
use proptest::prelude::*;

use super::*;

fn info() -> StreamInfo {
    StreamInfo {
        camera: "gate-1".to_owned(),
        profile: "sub".to_owned(),
        codecs: "avc1.42c028".to_owned(),
        width: 640,
        height: 360,
        fps: Some(12.5),
        bitrate_kbit: None,
    }
}

fn text(message: &Message) -> String {
    match message.encode().unwrap() {
        Frame::Text(text) => text,
        Frame::Binary(_) => panic!("{message:?} became binary"),
    }
}

#[test]
fn text_messages_have_the_documented_json() {
    let state = CameraState::new("auth_failed", None);
    let advised = CameraState::new("link_lost", Some("x")).with_advice("Coba lagi.", "Try again.");
    let table = [
        (
            Message::Stream(info()),
            r#"{"type":"stream","camera":"gate-1","profile":"sub","codecs":"avc1.42c028","width":640,"height":360,"fps":12.5}"#,
        ),
        (
            Message::Skipped(Duration::from_millis(2500)),
            r#"{"type":"skipped","seconds":2.5}"#,
        ),
        (Message::Busy { viewers_max: 8 }, r#"{"type":"busy","viewers_max":8}"#),
        (Message::State(state), r#"{"type":"state","state":"auth_failed"}"#),
        (
            Message::State(advised),
            r#"{"type":"state","state":"link_lost","message":"x","advice":{"id":"Coba lagi.","en":"Try again."}}"#,
        ),
        (
            Message::Ended {
                reason: "ttl".to_owned(),
            },
            r#"{"type":"ended","reason":"ttl"}"#,
        ),
    ];
    for (message, json) in table {
        assert_eq!(text(&message), json);
        assert_eq!(Message::parse_text(json).unwrap(), message);
    }
}

#[test]
fn binary_messages_have_the_documented_bytes() {
    let chunk = Chunk::new(true, UnixMillis::new(0x0102), b"moof").unwrap();
    assert_eq!(chunk.payload(), "moof");
    let frame = Message::Chunk(chunk).encode().unwrap();
    assert_eq!(
        frame,
        Frame::Binary(Bytes::from_static(b"\x02\0\0\0\0\0\0\x01\x02moof"))
    );
    let frame = Message::Chunk(Chunk::new(false, None, b"m").unwrap()).encode().unwrap();
    assert_eq!(frame, Frame::Binary(Bytes::from_static(b"\x03\0\0\0\0\0\0\0\0m")));
    let frame = Message::Init(Init::new(b"ftyp").unwrap()).encode().unwrap();
    assert_eq!(frame, Frame::Binary(Bytes::from_static(b"\x01\0\0\0\0\0\0\0\0ftyp")));
}

#[test]
fn a_binary_message_is_never_copied_between_parsing_and_sending() {
    let wire = Bytes::from(b"\x02\0\0\0\0\0\0\0\x01moof".to_vec());
    let Frame::Binary(sent) = Message::parse_binary(wire.clone()).unwrap().encode().unwrap() else {
        panic!()
    };
    assert_eq!(sent.as_ptr(), wire.as_ptr());
}

#[test]
fn keys_that_are_unknown_are_ignored_and_unknown_types_are_told_apart_from_broken_ones() {
    let newer = r#"{"type":"ended","reason":"ttl","since":3}"#;
    assert_eq!(
        Message::parse_text(newer).unwrap(),
        Message::Ended {
            reason: "ttl".to_owned()
        }
    );
    assert!(
        matches!(Message::parse_text(r#"{"type":"tilt"}"#), Err(MessageError::UnknownType(kind)) if kind == "tilt")
    );
    assert!(matches!(
        Message::parse_text(r#"{"type":"ended"}"#),
        Err(MessageError::Json(_))
    ));
    assert!(matches!(Message::parse_text("[]"), Err(MessageError::Json(_))));
}

#[test]
fn values_that_cannot_be_are_refused() {
    let long = "x".repeat(FIELD_BYTES_MAX + 1);
    let table = [
        (r#"{"type":"skipped","seconds":-0.1}"#.to_owned(), "seconds"),
        (r#"{"type":"skipped","seconds":1e300}"#.to_owned(), "seconds"),
        (text(&Message::Stream(info())).replace("12.5", "0"), "fps"),
        (text(&Message::Stream(info())).replace("gate-1", &long), "camera"),
        (format!(r#"{{"type":"ended","reason":"{long}"}}"#), "reason"),
    ];
    for (json, key) in table {
        match Message::parse_text(&json) {
            Err(MessageError::Value { field }) => assert_eq!(field, key),
            other => panic!("{json}: {other:?}"),
        }
    }
    assert!(matches!(
        Message::Ended { reason: long }.encode(),
        Err(MessageError::Value { field: "reason" })
    ));
}

#[test]
fn messages_beyond_their_bounds_are_refused() {
    let largest = vec![0; MESSAGE_BYTES_MAX - HEAD_BYTES];
    assert!(Chunk::new(false, None, &largest).is_ok());
    assert!(matches!(
        Init::new(&vec![0; MESSAGE_BYTES_MAX]),
        Err(MessageError::TooLarge { .. })
    ));
    let wire = Bytes::from(vec![3; MESSAGE_BYTES_MAX + 1]);
    assert!(matches!(
        Message::parse_binary(wire),
        Err(MessageError::TooLarge { .. })
    ));
    let blanks = format!("{}{}", r#"{"type":"ended","reason":"ttl"}"#, " ".repeat(TEXT_BYTES_MAX));
    assert!(matches!(
        Message::parse_text(&blanks),
        Err(MessageError::TooLarge { .. })
    ));
}

#[test]
fn a_binary_message_without_a_payload_or_of_another_kind_is_refused() {
    assert!(matches!(
        Chunk::new(true, None, b""),
        Err(MessageError::TooShort { .. })
    ));
    for bytes in 0..=HEAD_BYTES {
        let short = Message::parse_binary(Bytes::from(vec![1; bytes]));
        assert!(matches!(short, Err(MessageError::TooShort { .. })), "{bytes} bytes");
    }
    for kind in [0, 4, 255] {
        let other = Message::parse_binary(Bytes::from(vec![kind; 20]));
        assert!(matches!(other, Err(MessageError::UnknownKind(found)) if found == kind));
    }
}

#[test]
fn long_words_about_a_camera_are_cut_so_that_the_message_can_be_sent() {
    let long = "\u{1f697}".repeat(FIELD_BYTES_MAX);
    let state = CameraState::new("stalled", Some(&long)).with_advice(&long, &long);
    assert_eq!(
        state.advice.as_ref().map(|advice| advice.id.len()),
        Some(FIELD_BYTES_MAX)
    );
    assert_eq!(
        state.message.as_deref(),
        Some("\u{1f697}".repeat(FIELD_BYTES_MAX / 4).as_str())
    );
    assert!(Message::State(state).encode().is_ok());
}

#[test]
fn the_longest_text_that_may_be_sent_may_be_read() {
    let worst = "\u{1}".repeat(FIELD_BYTES_MAX);
    let stream = StreamInfo {
        camera: worst.clone(),
        profile: worst.clone(),
        codecs: worst,
        ..info()
    };
    let message = Message::Stream(StreamInfo {
        bitrate_kbit: Some(u32::MAX),
        ..stream
    });
    assert_eq!(Message::parse(message.encode().unwrap()).unwrap(), message);
}

fn any_message() -> impl Strategy<Value = Message> {
    let short = "[a-z0-9\"\\\\é\u{1f697}]{0,12}";
    prop_oneof![
        (
            short,
            short,
            short,
            any::<(u32, u32)>(),
            proptest::option::of((1_u32..=1_000_000).prop_map(|fps| f64::from(fps) / 1000.0)),
            any::<Option<u32>>()
        )
            .prop_map(|(camera, profile, codecs, (width, height), fps, bitrate_kbit)| {
                Message::Stream(StreamInfo {
                    camera,
                    profile,
                    codecs,
                    width,
                    height,
                    fps,
                    bitrate_kbit,
                })
            }),
        (0_u64..1_000_000).prop_map(|millis| Message::Skipped(Duration::from_millis(millis))),
        any::<u32>().prop_map(|viewers_max| Message::Busy { viewers_max }),
        (
            short,
            proptest::option::of(short),
            proptest::option::of((short, short).prop_map(|(id, en)| Advice { id, en }))
        )
            .prop_map(|(state, message, advice)| Message::State(CameraState { state, message, advice })),
        short.prop_map(|reason| Message::Ended { reason }),
        proptest::collection::vec(any::<u8>(), 1..64).prop_map(|bytes| Message::Init(Init::new(&bytes).unwrap())),
        (
            any::<bool>(),
            any::<u64>(),
            proptest::collection::vec(any::<u8>(), 1..64)
        )
            .prop_map(|(keyframe, wall, bytes)| Message::Chunk(
                Chunk::new(keyframe, UnixMillis::new(wall), &bytes).unwrap()
            )),
    ]
}

/// Text that is nearly a message: right types and keys, values of every sort.
fn nearly_json() -> impl Strategy<Value = String> {
    let value = prop_oneof![
        Just("null".to_owned()),
        Just("\"x\"".to_owned()),
        Just("[]".to_owned()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_map(|number| format!("{number:e}")),
        (0.0..1e7).prop_map(|number| format!("{number}")),
    ];
    let key = proptest::sample::select(vec![
        "camera",
        "profile",
        "codecs",
        "width",
        "height",
        "fps",
        "bitrate_kbit",
        "seconds",
        "viewers_max",
        "state",
        "message",
        "advice",
        "reason",
        "type",
    ]);
    (
        proptest::sample::select(&TEXT_TYPES[..]),
        proptest::collection::vec((key, value), 0..9),
    )
        .prop_map(|(kind, pairs)| {
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
            format!(
                "{{{}}}",
                [vec![format!("\"type\":\"{kind}\"")], pairs].concat().join(",")
            )
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn every_message_comes_back_as_it_was_sent(message in any_message()) {
        prop_assert_eq!(Message::parse(message.encode().unwrap()).unwrap(), message);
    }

    #[test]
    fn any_bytes_are_refused_or_encode_to_the_same_bytes(wire in proptest::collection::vec(0_u8..6, 0..24)) {
        let wire = Bytes::from(wire);
        if let Ok(message) = Message::parse_binary(wire.clone()) {
            prop_assert_eq!(message.encode().unwrap(), Frame::Binary(wire));
        }
    }

    #[test]
    fn any_text_is_refused_or_encodes_to_an_equal_message(text in prop_oneof![nearly_json(), any::<String>()]) {
        if let Ok(message) = Message::parse_text(&text) {
            prop_assert_eq!(Message::parse(message.encode().unwrap()).unwrap(), message);
        }
    }
}

#[test]
fn a_chunk_that_is_made_where_it_lies_is_the_same() {
    let room = [&[0xff; HEAD_BYTES][..], b"moof"].concat();
    let made = Chunk::in_place(true, UnixMillis::new(7), BytesMut::from(&room[..])).unwrap();
    assert_eq!(made, Chunk::new(true, UnixMillis::new(7), b"moof").unwrap());
    for short in [0, 1, HEAD_BYTES] {
        let refused = Chunk::in_place(false, None, BytesMut::zeroed(short));
        assert!(matches!(refused, Err(MessageError::TooShort { bytes }) if bytes == short));
    }
    assert!(Chunk::in_place(false, None, BytesMut::zeroed(MESSAGE_BYTES_MAX + 1)).is_err());
}

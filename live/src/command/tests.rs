use proptest::prelude::*;

use super::*;

const ORIGIN: &str = "parkir.example.id/sudirman-01/command";
const KEY: &str = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"; // of Go's sumdb/note

fn signer() -> TextSigner {
    TextSigner::from_text(KEY).unwrap()
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(millis).unwrap()
}

fn start() -> LiveCommand {
    LiveCommand {
        id: StreamId::from_bytes([7; 16]),
        issued: at(1_767_571_925_040),
        order: Order::Start(Start {
            camera: "gate-1".to_owned(),
            profile: Profile::Sub,
            ttl: Duration::from_secs(120),
            to: Destination::Kominfo {
                server: "live.parkir.example.id:8443".to_owned(),
            },
        }),
    }
}

fn with(change: impl FnOnce(&mut Start)) -> LiveCommand {
    let mut command = start();
    if let Order::Start(start) = &mut command.order {
        change(start);
    }
    command
}

fn ready() -> LiveCommand {
    LiveCommand {
        order: Order::Ready(Ready {
            ttl: Duration::from_secs(60),
            server: "live.parkir.example.id:8443".to_owned(),
        }),
        ..start()
    }
}

fn signed_text(text: &str) -> Vec<u8> {
    signer().sign(text).unwrap().into_bytes()
}

fn read(bytes: &[u8]) -> Result<LiveCommand, CommandError> {
    verify(bytes, ORIGIN, &signer().verifier())
}

#[test]
fn a_command_is_read_as_it_was_signed() {
    let stop = LiveCommand {
        order: Order::Stop,
        ..start()
    };
    let media = with(|start| {
        start.to = Destination::MediaServer {
            url: "rtsps://media.example.id:322/gate-1?token=x".to_owned(),
        }
    });
    for command in [start(), stop, media, ready()] {
        assert_eq!(read(&sign(&command, ORIGIN, &signer()).unwrap()).unwrap(), command);
    }
}

#[test]
fn a_flipped_bit_anywhere_makes_a_command_void() {
    for command in [start(), ready()] {
        let good = sign(&command, ORIGIN, &signer()).unwrap();
        let mut bytes = good.clone();
        for place in 0..bytes.len() {
            for bit in 0..8 {
                bytes[place] ^= 1 << bit;
                assert!(read(&bytes).is_err(), "byte {place}, bit {bit}");
                bytes[place] = good[place];
            }
        }
        for length in 0..good.len() {
            assert!(read(&good[..length]).is_err(), "cut to {length}");
        }
    }
}

#[test]
fn a_command_for_another_box_or_by_another_key_is_refused() {
    let bytes = sign(&start(), ORIGIN, &signer()).unwrap();
    let other = verify(&bytes, "parkir.example.id/sudirman-02/command", &signer().verifier());
    assert!(matches!(other, Err(CommandError::Origin { .. })), "{other:?}");
    let stranger = TextSigner::generate("PeterNeumann", &mut rand_core::OsRng).unwrap();
    let forged = verify(&bytes, ORIGIN, &stranger.verifier());
    assert!(matches!(forged, Err(CommandError::Note(_))), "{forged:?}");
    // Signatures of others beside the right one change nothing.
    let line = String::from_utf8(sign(&start(), ORIGIN, &stranger).unwrap()).unwrap();
    let both = [bytes, line.lines().last().unwrap().as_bytes().to_vec(), b"\n".to_vec()].concat();
    assert_eq!(read(&both).unwrap(), start());
    assert_eq!(verify(&both, ORIGIN, &stranger.verifier()).unwrap(), start());
}

#[test]
fn a_checkpoint_that_the_same_key_signed_is_no_command() {
    let note = signed_text("parkir.example.id/sudirman-01\n1312\nqINS1GRFhWHwdkUeqLEoP4yEMkTBBzxBkGwGQlVlVcs=\n");
    assert!(matches!(read(&note), Err(CommandError::Origin { .. })));
}

#[test]
fn values_out_of_bounds_are_neither_signed_nor_accepted() {
    let long = "a".repeat(65);
    let servers = [
        "",
        "host",
        ":1",
        "host:0",
        "host:65536",
        "host:+1",
        "a/b:1",
        "a b:1",
        "::1:1",
        "[x]:1",
    ];
    let urls = [
        "",
        "rtsp://host/",
        "rtsps://",
        "rtsps:///x",
        "rtsps://host/ x",
        "rtsps://host/\u{e9}",
    ];
    let mut bad: Vec<(&str, LiveCommand)> = Vec::new();
    for camera in ["", "a/b", "-a", "a b", "é", long.as_str()] {
        bad.push(("camera", with(|start| start.camera = camera.to_owned())));
    }
    for ttl in [0, 9_000, 3_601_000, 10_500] {
        bad.push(("ttl_s", with(|start| start.ttl = Duration::from_millis(ttl))));
    }
    for server in servers {
        let server = server.to_owned();
        bad.push(("server", with(|start| start.to = Destination::Kominfo { server })));
    }
    for url in urls {
        let url = url.to_owned();
        bad.push(("url", with(|start| start.to = Destination::MediaServer { url })));
    }
    for (ttl, server, field) in [
        (9_000, "host:1", "ttl_s"),
        (61_000, "host:1", "ttl_s"),
        (10_500, "host:1", "ttl_s"),
        (60_000, "host", "server"),
    ] {
        let (ttl, server) = (Duration::from_millis(ttl), server.to_owned());
        let order = Order::Ready(Ready { ttl, server });
        bad.push((field, LiveCommand { order, ..start() }));
    }
    for (expected, command) in bad {
        let error = sign(&command, ORIGIN, &signer()).unwrap_err();
        assert!(
            matches!(error, CommandError::Value { field, .. } if field == expected),
            "{command:?}: {error}"
        );
    }
    for server in ["203.0.113.7:8443", "[2001:db8::7]:443", "live.parkir.example.id:1"] {
        let server = server.to_owned();
        let command = with(|start| start.to = Destination::Kominfo { server });
        assert!(sign(&command, ORIGIN, &signer()).is_ok(), "{command:?}");
    }
}

#[test]
fn what_is_signed_but_no_command_says_why_it_is_none() {
    let id = "07".repeat(16);
    let refused = |text: &str| read(&signed_text(text)).unwrap_err().to_string();
    let json = |json: &str| refused(&format!("{ORIGIN}\n{}\n", json.replace("ID", &id)));
    assert!(refused(&format!("{ORIGIN}\n")).contains("two lines"));
    assert!(refused(&format!("{ORIGIN}\n{{}}\nmore\n")).contains("two lines"));
    assert!(json("{}").contains("missing field"));
    assert!(json(r#"{"type":"reboot"}"#).contains("newer version"));
    assert!(json(r#"{"type":"ready","id":"ID","issued_ms":1,"ttl_s":10}"#).contains("server"));
    assert!(json(r#"{"type":"stop","id":"ID"}"#).contains("issued_ms"));
    assert!(json(r#"{"type":"stop","id":"ID","issued_ms":0}"#).contains("issued_ms"));
    assert!(json(r#"{"type":"stop","id":"xID","issued_ms":1}"#).contains("hexadecimal"));
    let upper = format!(r#"{{"type":"stop","id":"{}","issued_ms":1}}"#, "0A".repeat(16));
    assert!(json(&upper).contains("hexadecimal"));
    let to = r#"{"type":"start","id":"ID","issued_ms":1,"camera":"c","profile":"sub","ttl_s":10,"to":{"type":"ftp"}}"#;
    assert!(json(to).contains("ftp"));
    let large = format!("{ORIGIN}\n{}\n", " ".repeat(COMMAND_BYTES_MAX));
    assert!(refused(&large).contains("at most 4096"));
}

#[test]
fn keys_of_a_later_version_are_ignored() {
    let id = "07".repeat(16);
    let text = format!("{ORIGIN}\n{{\"type\":\"stop\",\"id\":\"{id}\",\"issued_ms\":5,\"why\":\"x\"}}\n");
    assert_eq!(read(&signed_text(&text)).unwrap().issued, at(5));
}

#[test]
fn a_command_is_taken_once_and_in_order_and_while_it_is_fresh() {
    let minute = 60_000;
    let issued = 1_000_000_000;
    let command = LiveCommand {
        issued: at(issued),
        ..start()
    };
    let check = |now: Option<u64>, last: Option<u64>| check_fresh(&command, now.map(at), last.map(at));
    assert_eq!(check(Some(issued), None), Ok(()));
    assert_eq!(check(Some(issued + minute), None), Ok(()));
    assert_eq!(check(Some(issued - minute), Some(issued - 1)), Ok(()));
    assert!(matches!(
        check(Some(issued + minute + 1), None),
        Err(StaleError::Old { .. })
    ));
    assert!(matches!(
        check(Some(issued - minute - 1), None),
        Err(StaleError::Ahead { .. })
    ));
    assert_eq!(check(Some(issued), Some(issued)), Err(StaleError::Replayed));
    assert_eq!(check(Some(issued), Some(issued + 1)), Err(StaleError::Replayed));
    // A clock that is not set says nothing about age; the order of commands still does.
    assert_eq!(check(None, Some(issued - 1)), Ok(()));
    assert_eq!(check(None, Some(issued)), Err(StaleError::Replayed));
}

/// The example in the documents, key and note.
#[test]
fn the_documented_example_is_a_command() {
    let page = include_str!("../../../docs/formats.md");
    let block = |heading: &str| {
        let rest = &page[page.find(heading).unwrap()..];
        let rest = rest.split_once("```text\n").unwrap().1;
        rest.split_once("```").unwrap().0
    };
    let verifier = TextVerifier::from_vkey(block("A box is told the key")).unwrap();
    let note = block("A command, signed with that key");
    let command = verify(note.as_bytes(), ORIGIN, &verifier).unwrap();
    assert_eq!(
        command,
        LiveCommand {
            id: "6f1c9a0e4b7d4c52a3e8f00d1b2c3d4e".parse().unwrap(),
            ..start()
        }
    );
}

proptest! {
    #[test]
    fn any_bytes_are_a_genuine_command_or_refused(
        bytes in proptest::collection::vec(any::<u8>(), 0..200),
        from in any::<u16>(),
        length in 0_usize..64,
    ) {
        prop_assert!(read(&bytes).is_err());
        // A good command with a part replaced gets further than random bytes.
        let good = sign(&start(), ORIGIN, &signer()).unwrap();
        let from = usize::from(from) % good.len();
        let to = good.len().min(from + length);
        let spliced = [&good[..from], &bytes, &good[to..]].concat();
        if let Ok(command) = read(&spliced) {
            prop_assert_eq!(command, start());
        }
    }

    #[test]
    fn whatever_is_signed_is_read_again(
        id in any::<[u8; 16]>(),
        issued in 1..u64::MAX,
        camera in "[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
        ttl in TTL_S_MIN..=TTL_S_MAX,
        main in any::<bool>(),
    ) {
        let mut command = with(|start| {
            start.camera = camera;
            start.ttl = Duration::from_secs(ttl);
            start.profile = if main { Profile::Main } else { Profile::Sub };
        });
        command.id = StreamId::from_bytes(id);
        command.issued = at(issued);
        prop_assert_eq!(read(&sign(&command, ORIGIN, &signer()).unwrap()).unwrap(), command);
    }
}

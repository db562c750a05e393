//! The socket between gateway and worker, from both ends: whatever bytes come, and however they are cut, nobody panics and
//! nobody takes more memory than a few of the longest frames; and every message arrives as it was sent.
//!
//! Runs as a test with a fixed number of inputs, and as a fuzz target with `cargo bolero test`.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use gateway::cameras::measure::Measurement;
use gateway::cameras::wire::{
    Cause, ChunkHead, Client, Command, Credentials, Event, FRAME_BYTES_MAX, Format, FromWorker, PictureHead, Profile,
    Quirks, Source, Stats, ToWorker, Transport, command_frame, picture_request_frame, publish_prefix, read_frame,
    take_frame, write_chunk, write_event, write_init, write_picture,
};

/// Kinds that there are, and one that there is not.
const KINDS: u8 = 7;
/// A message of each kind in JSON, to be spoilt.
const JSON: [&str; 9] = [
    r#"{"command":"chunks","profile":"sub","frames":2}"#,
    r#"{"command":"masks","camera":1,"polygons":[[[0.0,0.0],[0.5,0.0],[0.5,0.5]]]}"#,
    r#"{"command":"publish","url":"rtsps://h/p","credentials":{"user":"u","password":"p"}}"#,
    r#"{"event":"ready","version":"1"}"#,
    r#"{"event":"playing","profile":"main","server":null,"audio":true}"#,
    r#"{"event":"format","profile":"sub","format":{"fps_nominal":25.0,"reordered":false}}"#,
    r#"{"event":"ended","profile":"main","cause":"stalled","message":""}"#,
    r#"{"event":"stats","profile":"sub","stats":{"span":{"secs":1,"nanos":0},"frames":25,"keyframes":1,"bytes":9,"keyframe_bytes":9,"between_bytes":null,"between_bytes_max":0,"gop_frames":50,"lost_packets":0,"dropped_frames":0,"jumps":0}}"#,
    r#"{"event":"camera_clock","profile":"main","camera_unix_ms":-1,"at_ns":1}"#,
];

/// Takes everything out of `sent` that comes in parts of these lengths, as the gateway does; until an error or the end.
fn taken(sent: &[u8], cuts: &[u8]) -> Vec<Bytes> {
    let mut cuts = cuts.iter().copied().cycle();
    let (mut buffer, mut rest, mut frames) = (BytesMut::new(), sent, Vec::new());
    loop {
        match take_frame(&mut buffer) {
            Ok(Some(frame)) => frames.push(frame.freeze()),
            Ok(None) if !rest.is_empty() => {
                assert!(buffer.capacity() > buffer.len(), "there is room for more");
                assert!(buffer.capacity() <= 2 * FRAME_BYTES_MAX);
                let cut = usize::from(cuts.next().unwrap_or(u8::MAX)).clamp(1, rest.len());
                buffer.extend_from_slice(&rest[..cut]);
                rest = &rest[cut..];
            }
            Ok(None) | Err(_) => return frames,
        }
    }
}

/// The same as the worker does it.
fn read(mut sent: &[u8]) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    while let Ok(Some(frame)) = read_frame(&mut sent) {
        frames.push(frame);
    }
    frames
}

/// The one frame that was written.
fn frame_of(written: &[u8]) -> Bytes {
    let [frame] = taken(written, &[]).try_into().expect("one frame");
    assert_eq!(read(written), [frame.to_vec()]);
    frame
}

#[test]
fn both_ends_find_the_same_frames_in_any_bytes_however_they_are_cut() {
    bolero::check!()
        .with_type::<(Vec<u8>, Vec<u8>, bool, bool)>()
        .for_each(|(bytes, cuts, short, framed)| {
            let mut sent = bytes.clone();
            if *framed {
                // Frames with lengths that are true, and what is left over.
                sent = bytes.chunks(7).flat_map(frame_with_length).collect();
                sent.extend_from_slice(bytes);
            } else if *short && sent.len() >= 3 {
                // Arbitrary lengths are almost always too long.
                sent[..3].copy_from_slice(&[0; 3]);
            }
            assert_eq!(taken(&sent, cuts), read(&sent));
        });
}

fn frame_with_length(frame: &[u8]) -> Vec<u8> {
    let length = u32::try_from(frame.len()).unwrap();
    [&length.to_be_bytes()[..], frame].concat()
}

#[test]
fn the_longest_frames_one_after_the_other_take_bounded_memory() {
    let longest = frame_with_length(&vec![0; FRAME_BYTES_MAX]);
    let mut buffer = BytesMut::new();
    let mut kept = None;
    for number in 0..6 {
        for part in longest.chunks(1 << 20) {
            assert_eq!(take_frame(&mut buffer).unwrap(), None);
            buffer.extend_from_slice(part);
            assert!(buffer.capacity() <= 4 * FRAME_BYTES_MAX, "{}", buffer.capacity());
        }
        let frame = take_frame(&mut buffer).unwrap().unwrap();
        // Every other is kept for a while, as a chunk is.
        kept = (number % 2 == 0).then_some(frame);
    }
    drop(kept);
    assert!(buffer.is_empty());
}

#[test]
fn no_frame_makes_either_end_panic() {
    bolero::check!().with_type::<(u8, Vec<u8>)>().for_each(|(kind, body)| {
        let frame = [&[kind % KINDS], &body[..]].concat();
        if let Ok(ToWorker::Picture(head, config, unit)) = ToWorker::read(&frame) {
            assert_eq!(config.len(), usize::from(head.config_bytes));
            assert_eq!(PictureHead::BYTES + config.len() + unit.len(), body.len());
        }
        heard(&frame);
    });
}

#[test]
fn no_edit_of_a_message_makes_either_end_panic() {
    // Each edit: which message, where it begins, how much it takes out, what it puts in.
    bolero::check!()
        .with_type::<(u8, u16, u8, Vec<u8>)>()
        .for_each(|(which, start, length, put_in)| {
            let mut frame = vec![0];
            frame.extend_from_slice(JSON[usize::from(*which) % JSON.len()].as_bytes());
            let start = 1 + usize::from(*start) % frame.len().saturating_sub(1);
            let end = (start + usize::from(*length)).min(frame.len());
            frame.splice(start..end, put_in.iter().copied());
            drop(ToWorker::read(&frame));
            heard(&frame);
        });
}

/// Has a frame read, and what it says reckoned with.
fn heard(frame: &[u8]) {
    let mut measurement = Measurement::default();
    for _ in 0..3 {
        match FromWorker::read(frame) {
            Ok(FromWorker::Event(event)) => measurement.event(&event),
            Ok(FromWorker::Chunk(_, head, chunk)) => {
                assert_eq!(chunk.len() + ChunkHead::BYTES + 2, frame.len());
                measurement.chunk(head);
            }
            Ok(FromWorker::Init(_, init)) => assert_eq!(init.len() + 2, frame.len()),
            Ok(FromWorker::Picture(_, features, jpeg)) => {
                assert_eq!(features.len() + jpeg.len() + 13, frame.len());
            }
            Err(_) => {}
        }
    }
    drop(measurement.measured());
}

/// What messages are made of.
type Parts = (String, u64, u32, u16, u8, bool);

fn profile(number: u8) -> Profile {
    Profile::ALL[usize::from(number) % Profile::ALL.len()]
}

/// Every command.
fn commands((text, _, number, short, byte, flag): &Parts) -> Vec<Command> {
    let credentials = flag.then(|| Credentials {
        user: text.clone(),
        password: text.to_uppercase(),
    });
    // Numbers of few digits: the last bit of a long one may change on the way.
    let corner = [f64::from(*byte) / 256.0, f64::from(short % 128) / 128.0];
    let clients = [Client::Auto, Client::Retina, Client::Rtspsrc];
    vec![
        Command::Open {
            profile: profile(*byte),
            source: Source {
                url: text.clone(),
                credentials: credentials.clone(),
                transport: if *flag { Transport::Udp } else { Transport::Tcp },
                client: clients[usize::from(*byte) % clients.len()],
                quirks: Quirks {
                    stray_channels: *flag,
                    session_id_changes: number % 2 == 0,
                    no_keep_alive: number % 3 == 0,
                },
            },
        },
        Command::Close {
            profile: profile(*byte),
        },
        Command::Chunks {
            profile: profile(*byte),
            frames: *short,
        },
        Command::Masks {
            camera: *short,
            polygons: vec![vec![corner; usize::from(byte % 5)]; usize::from(byte % 3)],
        },
        Command::Publish {
            url: text.clone(),
            credentials,
        },
    ]
}

/// Every event.
fn events((text, long, number, short, byte, flag): &Parts) -> Vec<Event> {
    let profile = profile(*byte);
    let message = text.clone();
    let causes = [
        Cause::Refused,
        Cause::AuthUnsupported,
        Cause::NoKeyframes,
        Cause::Worker,
    ];
    vec![
        Event::Ready { version: text.clone() },
        Event::Playing {
            profile,
            server: flag.then(|| text.clone()),
            audio: *flag,
        },
        Event::Format {
            profile,
            format: Format {
                fps_nominal: flag.then(|| f32::from(*short) / 4.0),
                reordered: *flag,
            },
        },
        Event::Ended {
            profile,
            cause: causes[usize::from(*byte) % causes.len()],
            message: message.clone(),
        },
        Event::Stats {
            profile,
            stats: Stats {
                span: Duration::from_nanos(*long),
                frames: *number,
                keyframes: u32::from(*short),
                bytes: *long,
                keyframe_bytes: *number,
                between_bytes: flag.then_some(*number),
                between_bytes_max: *number,
                gop_frames: *number,
                lost_packets: *number,
                dropped_frames: *number,
                jumps: *number,
            },
        },
        Event::CameraClock {
            profile,
            camera_unix_ms: long.cast_signed(),
            at_ns: *long,
        },
        Event::PictureFailed {
            request: *long,
            message: message.clone(),
        },
        Event::Published {
            running: *flag,
            message,
        },
    ]
}

#[test]
fn every_command_and_every_event_arrives_as_it_was_sent() {
    bolero::check!().with_type::<Parts>().for_each(|parts| {
        for command in commands(parts) {
            let frame = frame_of(&command_frame(&command).unwrap());
            assert_eq!(ToWorker::read(&frame).unwrap(), ToWorker::Command(command));
        }
        for event in events(parts) {
            let mut written = Vec::new();
            write_event(&mut written, &event).unwrap();
            let frame = frame_of(&written);
            heard(&frame);
            assert_eq!(FromWorker::read(&frame).unwrap(), FromWorker::Event(event));
        }
    });
}

#[test]
fn everything_that_is_no_json_arrives_as_it_was_sent() {
    bolero::check!().with_type::<(Parts, Vec<u8>, Vec<u8>)>().for_each(
        |((_, long, _, short, byte, flag), first, second)| {
            let profile = profile(*byte);
            let mut written = Vec::new();
            write_init(&mut written, profile, first).unwrap();
            let frame = frame_of(&written);
            assert_eq!(FromWorker::read(&frame).unwrap(), FromWorker::Init(profile, first));

            let head = ChunkHead {
                keyframe: *flag,
                at_ns: *long,
                frames: *short,
            };
            let mut written = Vec::new();
            write_chunk(&mut written, profile, head, &[first, b"", second]).unwrap();
            let frame = frame_of(&written);
            let whole = [&first[..], second].concat();
            assert_eq!(
                FromWorker::read(&frame).unwrap(),
                FromWorker::Chunk(profile, head, &whole)
            );

            let mut written = Vec::new();
            write_picture(&mut written, *long, first, second).unwrap();
            let frame = frame_of(&written);
            assert_eq!(
                FromWorker::read(&frame).unwrap(),
                FromWorker::Picture(*long, first, second)
            );

            let head = PictureHead {
                request: *long,
                camera: *short,
                h265: *flag,
                jpeg_width: *short,
                config_bytes: u16::try_from(first.len()).unwrap(),
            };
            let frame = frame_of(&picture_request_frame(head, first, second).unwrap());
            assert_eq!(ToWorker::read(&frame).unwrap(), ToWorker::Picture(head, first, second));

            let written = [&publish_prefix(first.len()).unwrap()[..], first].concat();
            assert_eq!(ToWorker::read(&frame_of(&written)).unwrap(), ToWorker::Publish(first));
        },
    );
}

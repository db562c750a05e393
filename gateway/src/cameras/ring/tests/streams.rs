//! Init segments and chunks.

use bytes::Bytes;

use super::support::{BFRAMES, FRAMES, H265, PLAIN, seconds, split};
use crate::cameras::ring::chunk::Chunk;
use crate::cameras::ring::time::ticks_to_duration;
use crate::cameras::ring::{Init, VideoCodec, picture};

#[test]
fn a_stream_tells_what_media_source_extensions_ask_for() {
    for (sample, video, codec) in [
        (PLAIN, VideoCodec::H264, "avc1.64000a"),
        (BFRAMES, VideoCodec::H264, "avc1.64000a"),
        (H265, VideoCodec::H265, "hev1.1.6.L30.90"),
    ] {
        let init = Init::parse(&split(sample).init).unwrap();
        let info = init.info();
        assert_eq!((info.video, info.codec.as_str()), (video, codec));
        assert_eq!((info.width, info.height), (160, 120));
    }
}

#[test]
fn chunks_tell_their_times_and_frames() {
    for sample in [PLAIN, BFRAMES, H265] {
        let stream = split(sample);
        let init = Init::parse(&stream.init).unwrap();
        for (number, fragment) in stream.fragments.iter().enumerate() {
            let chunks = fragment.iter().map(|chunk| Chunk::parse(&init, chunk).unwrap().moof);
            let chunks: Vec<_> = chunks.collect();
            assert_eq!(chunks.iter().map(|c| c.samples.len() as u64).sum::<u64>(), FRAMES);
            let decoded = ticks_to_duration(chunks[0].decode_time, init.info().timescale);
            assert_eq!(decoded, seconds(2 * number as u64));
            assert!(chunks[0].begins_with_keyframe() && !chunks[1].begins_with_keyframe());
        }
    }
}

#[test]
fn the_keyframe_of_a_fragment_is_taken_out() {
    for sample in [PLAIN, H265] {
        let stream = split(sample);
        let init = Init::parse(&stream.init).unwrap();
        let key = picture::key_sample(&init, &stream.fragments[1][0]).unwrap();
        assert_eq!(key.codec_config, init.codec_config());
        let mut rest = &key.access_unit[..];
        let mut kinds = Vec::new();
        while let Some((length, after)) = rest.split_first_chunk::<4>() {
            let (unit, after) = after.split_at(u32::from_be_bytes(*length) as usize);
            kinds.push(unit[0]);
            rest = after;
        }
        assert!(rest.is_empty());
        let is_key = |kind: &u8| match key.video {
            VideoCodec::H264 => kind & 0x1f == 5,
            VideoCodec::H265 => (16..=21).contains(&(kind >> 1 & 0x3f)),
        };
        assert!(kinds.iter().any(is_key), "{kinds:x?}");
        assert!(
            picture::key_sample(&init, &stream.fragments[1][1]).is_err(),
            "no keyframe"
        );
    }
}

#[test]
fn foreign_and_torn_chunks_are_refused() {
    let plain = split(PLAIN);
    let init = Init::parse(&plain.init).unwrap();
    let chunk = &plain.fragments[0][0];
    for end in 0..chunk.len() {
        assert!(Chunk::parse(&init, &chunk[..end]).is_err(), "cut at {end}");
    }
    let mdat = chunk.windows(4).position(|window| window == b"mdat").unwrap();
    let mut longer = [chunk, &b"\0"[..]].concat();
    let size = u32::try_from(longer.len() - mdat + 4).unwrap();
    longer[mdat - 4..mdat].copy_from_slice(&size.to_be_bytes());
    assert!(Chunk::parse(&init, &longer).is_err(), "a byte that belongs to no frame");
    let twice = [&chunk[..], chunk].concat();
    assert!(Chunk::parse(&init, &twice).is_err(), "two chunks in one");
    assert!(Init::parse(&Bytes::from(twice)).is_err());
    for end in 0..plain.init.len() {
        assert!(Init::parse(&plain.init.slice(..end)).is_err(), "cut at {end}");
    }
}

#[test]
fn deeply_nested_boxes_do_not_exhaust_the_stack() {
    let init = Init::parse(&split(PLAIN).init).unwrap();
    for kind in [b"moof", b"moov", b"traf", b"trak"] {
        let depth = 20_000_u32;
        let mut bytes = Vec::new();
        for level in 0..depth {
            bytes.extend_from_slice(&((depth - level) * 8).to_be_bytes());
            bytes.extend_from_slice(kind);
        }
        assert!(Chunk::parse(&init, &bytes).is_err());
        assert!(Init::parse(&Bytes::from(bytes)).is_err());
    }
}

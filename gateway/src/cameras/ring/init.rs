//! The init segment of a CMAF track (ISO/IEC 23000-19): `ftyp` and `moov` with one video track and no samples.

use std::num::NonZeroU32;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::boxes::{Boxes, Found, FourCc, ParseError, Parsed};

/// Most bytes of an init segment; one of a camera has under 2 kB. A larger one is refused.
pub const INIT_BYTES_MAX: usize = 256 << 10;
/// Bytes of a visual sample entry before its boxes (ISO/IEC 14496-12 §12.1.3).
const VISUAL_ENTRY_BYTES: usize = 78;

/// Compression of a video stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VideoCodec {
    /// ITU-T H.264, sample entries `avc1` and `avc3`.
    H264,
    /// ITU-T H.265, sample entries `hvc1` and `hev1`.
    H265,
}

/// What a player must know of a stream before its first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamInfo {
    /// Compression.
    pub video: VideoCodec,
    /// RFC 6381 string for `MediaSource.isTypeSupported`, such as `avc1.640028`.
    pub codec: String,
    /// Width of a coded picture, pixels.
    pub width: u16,
    /// Height of a coded picture, pixels.
    pub height: u16,
    /// Ticks of the track in a second.
    pub timescale: NonZeroU32,
}

/// Values of `trex` (ISO/IEC 14496-12 §8.8.3), which hold where a fragment says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Defaults {
    pub duration: u32,
    pub bytes: u32,
    pub flags: u32,
}

/// An init segment that was looked through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    bytes: Bytes,
    info: StreamInfo,
    sample_entry: Vec<u8>,
    codec_config: Vec<u8>,
    /// Width and height as shown, from `tkhd`: fixed-point numbers of 32 bits each.
    pub(super) display_size: [u8; 8],
    pub(super) track: u32,
    pub(super) defaults: Defaults,
    pub(super) nal_length_bytes: u8,
}

impl Init {
    /// Looks through an init segment. Refuses one with no or several tracks, encrypted or other than H.264 or H.265.
    pub fn parse(bytes: &Bytes) -> Result<Self, ParseError> {
        if bytes.len() > INIT_BYTES_MAX {
            return Err(ParseError::Unsupported {
                what: "an init segment of more than 256 KiB",
            });
        }
        let mut boxes = Boxes::new(bytes);
        let mut moov = None;
        let mut first = true;
        while let Some(found) = boxes.next()? {
            match &found.kind.0 {
                b"ftyp" if first => {}
                b"moov" if moov.is_none() && !first => moov = Some(found),
                b"free" | b"skip" | b"uuid" if !first => {}
                _ => return Err(ParseError::Unexpected { kind: found.kind }),
            }
            first = false;
        }
        let moov = moov.ok_or(ParseError::Missing { kind: FourCc(*b"moov") })?;
        let track = Track::parse(moov.body)?;
        let defaults = defaults(moov.body, track.id)?;
        let entry = SampleEntry::parse(track.sample_entry)?;
        Ok(Self {
            info: StreamInfo {
                video: entry.video,
                codec: entry.codec()?,
                width: entry.width,
                height: entry.height,
                timescale: track.timescale,
            },
            nal_length_bytes: entry.nal_length_bytes()?,
            sample_entry: track.sample_entry.whole.to_vec(),
            codec_config: entry.config.to_vec(),
            display_size: track.display_size,
            track: track.id,
            defaults,
            bytes: bytes.clone(),
        })
    }

    /// The init segment as it was given.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What a player must know.
    pub fn info(&self) -> &StreamInfo {
        &self.info
    }

    /// Body of `avcC` or `hvcC` (ISO/IEC 14496-15 §5.3.3, §8.3.3).
    pub fn codec_config(&self) -> &[u8] {
        &self.codec_config
    }

    /// The sample entry, a box such as `avc1`, unchanged.
    pub(super) fn sample_entry(&self) -> &[u8] {
        &self.sample_entry
    }

    /// Whether samples of both can stand in one track under one sample entry. Bit rates that a muxer notes are no
    /// difference.
    pub fn is_compatible_with(&self, other: &Self) -> bool {
        self.info == other.info && self.codec_config == other.codec_config
    }
}

/// What is needed of `trak`.
struct Track<'a> {
    id: u32,
    display_size: [u8; 8],
    timescale: NonZeroU32,
    sample_entry: Found<'a>,
}

impl<'a> Track<'a> {
    fn parse(moov: &'a [u8]) -> Parsed<Self> {
        let mut tracks = Boxes::new(moov);
        let mut trak = None;
        while let Some(found) = tracks.next()? {
            if found.kind.0 == *b"trak" && trak.replace(found).is_some() {
                return Err(ParseError::Unsupported {
                    what: "more than one track",
                });
            }
        }
        let trak = trak.ok_or(ParseError::Missing { kind: FourCc(*b"trak") })?;

        let mut tkhd = Boxes::new(trak.body).require(*b"tkhd")?.reader();
        let (version, _) = tkhd.version_and_flags()?;
        tkhd.take(if version == 1 { 16 } else { 8 })?;
        let id = tkhd.u32()?;
        // Reserved, duration, layer, group, volume and matrix.
        tkhd.take(if version == 1 { 4 + 8 + 52 } else { 4 + 4 + 52 })?;
        let display_size = tkhd.array()?;

        let mdia = Boxes::new(trak.body).require(*b"mdia")?;
        let mut mdhd = Boxes::new(mdia.body).require(*b"mdhd")?.reader();
        let (version, _) = mdhd.version_and_flags()?;
        mdhd.take(if version == 1 { 16 } else { 8 })?;
        let timescale = NonZeroU32::new(mdhd.u32()?).ok_or(ParseError::Inconsistent {
            what: "the timescale is 0",
        })?;

        let minf = Boxes::new(mdia.body).require(*b"minf")?;
        let stbl = Boxes::new(minf.body).require(*b"stbl")?;
        let mut stsd = Boxes::new(stbl.body).require(*b"stsd")?.reader();
        stsd.version_and_flags()?;
        if stsd.u32()? != 1 {
            return Err(ParseError::Unsupported {
                what: "other than one sample entry",
            });
        }
        let sample_entry = Boxes::new(stsd.rest()).next()?.ok_or(ParseError::Short {
            within: FourCc(*b"stsd"),
        })?;
        Ok(Self {
            id,
            display_size,
            timescale,
            sample_entry,
        })
    }
}

fn defaults(moov: &[u8], track: u32) -> Parsed<Defaults> {
    let mvex = Boxes::new(moov).require(*b"mvex")?;
    let mut boxes = Boxes::new(mvex.body);
    while let Some(found) = boxes.next()? {
        if found.kind.0 != *b"trex" {
            continue;
        }
        let mut trex = found.reader();
        trex.version_and_flags()?;
        if trex.u32()? == track {
            let _sample_description = trex.u32()?;
            return Ok(Defaults {
                duration: trex.u32()?,
                bytes: trex.u32()?,
                flags: trex.u32()?,
            });
        }
    }
    Err(ParseError::Missing { kind: FourCc(*b"trex") })
}

struct SampleEntry<'a> {
    kind: FourCc,
    video: VideoCodec,
    width: u16,
    height: u16,
    config: &'a [u8],
}

impl<'a> SampleEntry<'a> {
    fn parse(entry: Found<'a>) -> Parsed<Self> {
        let (video, config) = match &entry.kind.0 {
            b"avc1" | b"avc3" => (VideoCodec::H264, *b"avcC"),
            b"hvc1" | b"hev1" => (VideoCodec::H265, *b"hvcC"),
            _ => {
                return Err(ParseError::Unsupported {
                    what: "a track other than plain H.264 or H.265",
                });
            }
        };
        let mut reader = entry.reader();
        let mut fixed = reader.clone();
        reader.take(VISUAL_ENTRY_BYTES)?;
        fixed.take(24)?;
        Ok(Self {
            kind: entry.kind,
            video,
            width: fixed.u16()?,
            height: fixed.u16()?,
            config: Boxes::new(reader.rest()).require(config)?.body,
        })
    }

    /// Bytes of the length before each NAL unit, from `lengthSizeMinusOne`.
    fn nal_length_bytes(&self) -> Parsed<u8> {
        let at = match self.video {
            VideoCodec::H264 => 4,
            VideoCodec::H265 => 21,
        };
        let byte = self.config.get(at).ok_or(ParseError::Short { within: self.kind })?;
        match byte & 3 {
            2 => Err(ParseError::Inconsistent {
                what: "NAL units with lengths of 3 bytes",
            }),
            code => Ok(code + 1),
        }
    }

    /// RFC 6381 §3.3 for H.264; ISO/IEC 14496-15 §E.3 for H.265.
    fn codec(&self) -> Parsed<String> {
        let mut config = super::boxes::Reader::new(self.kind, self.config);
        let _version = config.u8()?;
        if self.video == VideoCodec::H264 {
            let [profile, constraints, level] = config.array()?;
            return Ok(format!("{}.{profile:02x}{constraints:02x}{level:02x}", self.kind));
        }
        let profile = config.u8()?;
        let compatibility = config.u32()?;
        let constraints: [u8; 6] = config.array()?;
        let level = config.u8()?;
        let space = ["", "A", "B", "C"].get(usize::from(profile >> 6)).unwrap_or(&"");
        let tier = if profile & 0x20 == 0 { 'L' } else { 'H' };
        let mut codec = format!(
            "{}.{space}{}.{:X}.{tier}{level}",
            self.kind,
            profile & 0x1f,
            compatibility.reverse_bits()
        );
        let used = constraints
            .iter()
            .rposition(|byte| *byte != 0)
            .map_or(0, |last| last + 1);
        codec.extend(constraints.iter().take(used).map(|byte| format!(".{byte:X}")));
        Ok(codec)
    }
}

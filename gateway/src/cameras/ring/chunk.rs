//! A chunk of a CMAF track: `moof` and `mdat`, with `styp` or boxes of no concern before them.
//!
//! A chunk is taken only if its numbers agree: one track, the one of the init segment; data that begins with the `mdat`
//! and fills it exactly; sizes and offsets that stay within. What passes here can be written to a file, cut at any
//! chunk, and copied into a clip without another look.

use std::ops::Range;

use super::boxes::{Boxes, Found, FourCc, ParseError, Parsed, Reader};
use super::init::Init;

/// Most samples of a chunk; three minutes at 60 frames a second. A chunk with more is refused.
const SAMPLES_MAX: usize = 10_800;
/// Flag of a sample that is no keyframe: `sample_is_non_sync_sample` (ISO/IEC 14496-12 §8.8.3.1).
const NON_SYNC: u32 = 0x0001_0000;

/// A coded picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    pub bytes: u32,
    /// Ticks.
    pub duration: u32,
    /// Presentation less decode time, ticks. Negative in boxes of version 1 only.
    pub composition_offset: i64,
    pub is_sync: bool,
}

/// What a movie fragment says about its samples.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moof {
    pub decode_time: u64,
    pub samples: Vec<Sample>,
    /// Where the data begins, bytes from the first of `moof`.
    pub data_offset: u64,
    /// Bytes of all samples.
    pub data_bytes: u64,
}

/// Where the parts of a chunk are, and what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chunk {
    pub moof: Moof,
    /// The samples, one after the other, within the chunk.
    pub data: Range<usize>,
}

/// Whether a box may stand before the `moof` of a chunk.
pub(super) fn may_precede_moof(kind: FourCc) -> bool {
    matches!(&kind.0, b"styp" | b"sidx" | b"emsg" | b"free" | b"skip")
}

impl Chunk {
    pub fn parse(init: &Init, bytes: &[u8]) -> Parsed<Self> {
        let mut boxes = Boxes::new(bytes);
        let mut begin = 0;
        let moof = loop {
            let found = boxes.next()?.ok_or(ParseError::Missing { kind: FourCc(*b"moof") })?;
            if found.kind.0 == *b"moof" {
                break found;
            }
            if !may_precede_moof(found.kind) {
                return Err(ParseError::Unexpected { kind: found.kind });
            }
            begin += found.whole.len();
        };
        let mdat = boxes.next()?.ok_or(ParseError::Missing { kind: FourCc(*b"mdat") })?;
        if mdat.kind.0 != *b"mdat" {
            return Err(ParseError::Unexpected { kind: mdat.kind });
        }
        if let Some(extra) = boxes.next()? {
            return Err(ParseError::Unexpected { kind: extra.kind });
        }
        let parsed = Moof::parse(init, moof)?;
        let header_bytes = mdat.whole.len() - mdat.body.len();
        parsed.check_data((moof.whole.len() + header_bytes) as u64, mdat.body.len() as u64)?;
        let data_begin = begin + moof.whole.len() + header_bytes;
        Ok(Self {
            moof: parsed,
            data: data_begin..data_begin + mdat.body.len(),
        })
    }
}

impl Moof {
    pub fn parse(init: &Init, moof: Found<'_>) -> Parsed<Self> {
        let mut children = Boxes::new(moof.body);
        let mut traf = None;
        while let Some(found) = children.next()? {
            if found.kind.0 == *b"traf" && traf.replace(found).is_some() {
                return Err(ParseError::Unsupported {
                    what: "a fragment of more than one track",
                });
            }
        }
        let traf = traf.ok_or(ParseError::Missing { kind: FourCc(*b"traf") })?;
        let header = TrackFragment::parse(init, Boxes::new(traf.body).require(*b"tfhd")?.reader())?;
        let mut tfdt = Boxes::new(traf.body).require(*b"tfdt")?.reader();
        let decode_time = match tfdt.version_and_flags()? {
            (1, _) => tfdt.u64()?,
            _ => u64::from(tfdt.u32()?),
        };

        let mut result = Self {
            decode_time,
            samples: Vec::new(),
            data_offset: 0,
            data_bytes: 0,
        };
        let mut children = Boxes::new(traf.body);
        let mut runs = 0_u32;
        while let Some(found) = children.next()? {
            if found.kind.0 == *b"trun" {
                result.add_run(&header, found.reader(), runs == 0)?;
                runs += 1;
            }
        }
        if result.samples.is_empty() {
            return Err(ParseError::Inconsistent {
                what: "a fragment without frames",
            });
        }
        if decode_time
            .checked_add(result.duration())
            .is_none_or(|end| end > 1 << 62)
        {
            return Err(ParseError::Inconsistent {
                what: "a decode time beyond 2⁶² ticks",
            });
        }
        Ok(result)
    }

    /// Adds the samples of a `trun` (ISO/IEC 14496-12 §8.8.8).
    fn add_run(&mut self, header: &TrackFragment, mut trun: Reader<'_>, is_first: bool) -> Parsed<()> {
        let (version, flags) = trun.version_and_flags()?;
        let count = trun.u32()?;
        let next_data = self.data_offset.saturating_add(self.data_bytes);
        if flags & 0x1 != 0 {
            let offset = u64::try_from(trun.i32()?).map_err(|_| ParseError::Inconsistent {
                what: "frames before their fragment",
            })?;
            if is_first {
                self.data_offset = offset;
            } else if offset != next_data {
                return Err(ParseError::Unsupported {
                    what: "frames that do not follow each other in the data",
                });
            }
        } else if is_first {
            return Err(ParseError::Unsupported {
                what: "a run of frames without a data offset",
            });
        }
        let first_flags = if flags & 0x4 == 0 { None } else { Some(trun.u32()?) };
        if usize::try_from(count).map_or(true, |count| count > SAMPLES_MAX - self.samples.len()) {
            return Err(ParseError::Unsupported {
                what: "more than 10800 frames in a chunk",
            });
        }
        for index in 0..count {
            let mut or = |flag: u32, default: u32| if flags & flag == 0 { Ok(default) } else { trun.u32() };
            let duration = or(0x100, header.duration)?;
            let bytes = or(0x200, header.bytes)?;
            let own_flags = or(0x400, header.flags)?;
            let offset = or(0x800, 0)?;
            if bytes == 0 {
                let what = "a frame without bytes";
                return Err(ParseError::Inconsistent { what });
            }
            let sample_flags = first_flags.filter(|_| index == 0).unwrap_or(own_flags);
            self.samples.push(Sample {
                bytes,
                duration,
                composition_offset: if version == 0 {
                    i64::from(offset)
                } else {
                    i64::from(offset.cast_signed())
                },
                is_sync: sample_flags & NON_SYNC == 0,
            });
            // At most 10800 times 4 GiB.
            self.data_bytes += u64::from(bytes);
        }
        Ok(())
    }

    /// Compares the runs with the `mdat` behind: where its data begins, from the first byte of `moof`, and its bytes.
    pub fn check_data(&self, begin: u64, bytes: u64) -> Parsed<()> {
        if self.data_offset == begin && self.data_bytes == bytes {
            return Ok(());
        }
        Err(ParseError::Inconsistent {
            what: "the frames' sizes do not add up to the data behind their fragment",
        })
    }

    /// Ticks of all samples.
    pub fn duration(&self) -> u64 {
        self.samples.iter().map(|sample| u64::from(sample.duration)).sum()
    }

    /// Decode time after the last sample, ticks.
    pub fn end(&self) -> u64 {
        self.decode_time.saturating_add(self.duration())
    }

    pub fn begins_with_keyframe(&self) -> bool {
        self.samples.first().is_some_and(|sample| sample.is_sync)
    }

    /// Presentation time of the first sample, ticks; what is before the timeline's start is taken as its start.
    pub fn first_presentation_time(&self) -> u64 {
        let offset = self.samples.first().map_or(0, |sample| sample.composition_offset);
        self.decode_time.saturating_add_signed(offset)
    }
}

/// Values of `tfhd` (ISO/IEC 14496-12 §8.8.7) over those of `trex`.
struct TrackFragment {
    duration: u32,
    bytes: u32,
    flags: u32,
}

impl TrackFragment {
    fn parse(init: &Init, mut tfhd: Reader<'_>) -> Parsed<Self> {
        let (_, flags) = tfhd.version_and_flags()?;
        if tfhd.u32()? != init.track {
            return Err(ParseError::Inconsistent {
                what: "the fragment is of another track",
            });
        }
        if flags & 0x1 != 0 {
            return Err(ParseError::Unsupported {
                what: "a fragment with an absolute data offset",
            });
        }
        if flags & 0x2 != 0 && tfhd.u32()? != 1 {
            return Err(ParseError::Inconsistent {
                what: "the fragment uses a sample entry that is not there",
            });
        }
        let mut or = |flag: u32, default: u32| if flags & flag == 0 { Ok(default) } else { tfhd.u32() };
        Ok(Self {
            duration: or(0x8, init.defaults.duration)?,
            bytes: or(0x10, init.defaults.bytes)?,
            flags: or(0x20, init.defaults.flags)?,
        })
    }
}

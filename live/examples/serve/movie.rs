//! Reads just enough of a fragmented MP4 (ISO/IEC 14496-12) to replay it: boxes, times, keyframes, codec.

use std::time::Duration;

use live::message::StreamInfo;

const NANOS: u128 = 1_000_000_000;

/// A file, cut into init segment and chunks.
pub struct Movie {
    pub init: Vec<u8>,
    pub chunks: Vec<FileChunk>,
    pub timescale: u32,
    pub codecs: String,
    pub span: Duration,
    width: u32,
    height: u32,
}

/// One `moof` and its `mdat`.
pub struct FileChunk {
    pub keyframe: bool,
    pub begins: Duration,
    pub span: Duration,
    bytes: Vec<u8>,
    /// Where the `tfdt` keeps its time, and in how many bytes.
    time: (usize, usize),
}

impl FileChunk {
    /// Returns the chunk with another decode time.
    pub fn at(&self, begins: Duration, timescale: u32) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        let (at, size) = self.time;
        let ticks = (begins.as_nanos() * u128::from(timescale) + NANOS / 2) / NANOS;
        let ticks = u64::try_from(ticks).unwrap_or_default().to_be_bytes();
        bytes[at..at + size].copy_from_slice(&ticks[8 - size..]);
        bytes
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

/// Lists the boxes in a range: type, start of the box, start of its content, end.
fn boxes(bytes: &[u8], mut at: usize, end: usize) -> Vec<([u8; 4], usize, usize, usize)> {
    let mut found = Vec::new();
    while let (Some(size), Some(kind)) = (u32_at(bytes, at), bytes.get(at + 4..at + 8)) {
        let next = at + size as usize;
        if size < 8 || next > end {
            break;
        }
        found.push((kind.try_into().unwrap_or_default(), at, at + 8, next));
        at = next;
    }
    found
}

/// Finds a box by its path; returns the range of its content.
fn find(bytes: &[u8], path: &[&[u8; 4]]) -> Option<(usize, usize)> {
    path.iter().try_fold((0, bytes.len()), |(from, to), name| {
        boxes(bytes, from, to)
            .into_iter()
            .find(|(kind, ..)| kind == *name)
            .map(|(_, _, from, to)| (from, to))
    })
}

impl Movie {
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let top = boxes(bytes, 0, bytes.len());
        let moov = top.iter().position(|(kind, ..)| kind == b"moov")?;
        let init = bytes[..top[moov].3].to_vec();
        let trak: [&[u8; 4]; 3] = [b"moov", b"trak", b"mdia"];
        let (mdhd, _) = find(&init, &[trak.as_slice(), &[b"mdhd"]].concat())?;
        let timescale = u32_at(&init, mdhd + if init[mdhd] == 1 { 20 } else { 12 })?;
        let (stsd, stsd_end) = find(&init, &[trak.as_slice(), &[b"minf", b"stbl", b"stsd"]].concat())?;
        let (_, _, entry, entry_end) = *boxes(&init, stsd + 8, stsd_end).first()?;
        let size = u32_at(&init, entry + 24)?;
        let (_, _, avcc, _) = boxes(&init, entry + 78, entry_end)
            .into_iter()
            .find(|(kind, ..)| kind == b"avcC")?;
        let codecs = format!(
            "avc1.{:02x}{:02x}{:02x}",
            init[avcc + 1],
            init[avcc + 2],
            init[avcc + 3]
        );
        let default = find(&init, &[b"moov", b"mvex", b"trex"])
            .and_then(|(trex, _)| Some((u32_at(&init, trex + 12)?, u32_at(&init, trex + 20)?)));
        let mut chunks = Vec::new();
        for pair in top.windows(2).filter(|pair| &pair[0].0 == b"moof") {
            chunks.push(chunk(&bytes[pair[0].1..pair[1].3], timescale, default?)?);
        }
        let first = chunks.first()?.begins;
        for chunk in &mut chunks {
            chunk.begins -= first;
        }
        let span = chunks.last().map(|last| last.begins + last.span)?;
        Some(Self {
            init,
            chunks,
            timescale,
            codecs,
            span,
            width: size >> 16,
            height: size & 0xffff,
        })
    }

    pub fn keyframes(&self) -> usize {
        self.chunks.iter().filter(|chunk| chunk.keyframe).count()
    }

    pub fn stream(&self) -> StreamInfo {
        StreamInfo {
            camera: "example".to_owned(),
            profile: "main".to_owned(),
            codecs: self.codecs.clone(),
            width: self.width,
            height: self.height,
            fps: Some(25.0),
            bitrate_kbit: None,
        }
    }
}

/// Reads one `moof`; `default` are duration and flags of a sample in `trex`.
fn chunk(bytes: &[u8], timescale: u32, default: (u32, u32)) -> Option<FileChunk> {
    let (tfdt, _) = find(bytes, &[b"moof", b"traf", b"tfdt"])?;
    let size = if bytes[tfdt] == 1 { 8 } else { 4 };
    let ticks = bytes[tfdt + 4..tfdt + 4 + size]
        .iter()
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let (tfhd, _) = find(bytes, &[b"moof", b"traf", b"tfhd"])?;
    let tfhd_flags = u32_at(bytes, tfhd)? & 0x00ff_ffff;
    let mut at = tfhd + 8;
    let (mut duration, mut flags) = default;
    for (bit, bytes_long) in [(1, 8), (2, 4), (8, 4), (0x10, 4), (0x20, 4)] {
        if tfhd_flags & bit != 0 {
            match bit {
                8 => duration = u32_at(bytes, at)?,
                0x20 => flags = u32_at(bytes, at)?,
                _ => {}
            }
            at += bytes_long;
        }
    }
    let (trun, _) = find(bytes, &[b"moof", b"traf", b"trun"])?;
    let trun_flags = u32_at(bytes, trun)? & 0x00ff_ffff;
    let samples = u32_at(bytes, trun + 4)?;
    let mut at = trun + 8 + if trun_flags & 1 != 0 { 4 } else { 0 };
    if trun_flags & 4 != 0 {
        flags = u32_at(bytes, at)?;
        at += 4;
    }
    let mut span = 0_u64;
    for sample in 0..samples {
        let mut sample_duration = duration;
        for bit in [0x100, 0x200, 0x400, 0x800] {
            if trun_flags & bit != 0 {
                match (bit, sample) {
                    (0x100, _) => sample_duration = u32_at(bytes, at)?,
                    (0x400, 0) => flags = u32_at(bytes, at)?,
                    _ => {}
                }
                at += 4;
            }
        }
        span += u64::from(sample_duration);
    }
    let seconds = |ticks: u64| {
        let nanos = u128::from(ticks) * NANOS / u128::from(timescale.max(1));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or_default())
    };
    // sample_is_non_sync_sample, ISO/IEC 14496-12, 8.8.3.1
    let keyframe = flags & 0x0001_0000 == 0;
    Some(FileChunk {
        keyframe,
        begins: seconds(ticks),
        span: seconds(span),
        bytes: bytes.to_vec(),
        time: (tfdt + 4, size),
    })
}

//! Loops: streams that are encoded once and then sent again and again.
//!
//! A loop is a whole number of groups of pictures, so its end fits to its beginning. Streams with the same parameters
//! share one file in the cache folder and one copy in memory. Faults of the picture cannot be drawn into a finished
//! stream; each has a loop of its own, which is made when the fault is first asked for.
//!
//! # File
//!
//! Name: hexadecimal hash of the parameters and this layout's version, `.loop`. All numbers are big-endian. 8 bytes
//! `CAMLOOP1`, 4 bytes count of frames; then each access unit in decoding order: 4 bytes length, 4 bytes frame number
//! in order of presentation, 1 byte whether it is a keyframe, and the bytes (Annex B). The file is written beside its
//! place and renamed, so that a half-written one is never read; several simulators may share a folder.

use crate::config::StreamConfig;
use crate::encode::{AccessUnit, EncodeError, Encoder};
use crate::fault::Fault;
use crate::scene::painter::{Painter, Shot};
use crate::scene::{Scene, VehicleClass};
use gstreamer as gst;
use std::collections::HashMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// First bytes of a file.
const MAGIC: &[u8; 8] = b"CAMLOOP1";
/// Largest file that is read; a larger one is made anew.
const FILE_BYTES_MAX: u64 = 1 << 30;
/// Groups of pictures in the loop of a fault, except for freeze, which has one.
const FAULT_GROUPS: u32 = 3;
/// The time at which a loop pretends to be taken.
const START: Duration = Duration::from_secs(1_700_000_000);

/// One loop in memory.
#[derive(Debug)]
pub struct Loop {
    /// Access units in decoding order; their times begin at zero.
    pub units: Vec<AccessUnit>,
    /// Time from the first frame to the first frame of the next round.
    pub duration: Duration,
}

/// Why there is no loop.
#[derive(Debug, thiserror::Error)]
pub enum LoopError {
    /// The file cannot be written or read.
    #[error("loop {path}: {source}\n  hint: --cache names a folder that can be written")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The encoder gave less than it should.
    #[error("loop {path}: the encoder made {found} of {expected} frames")]
    Incomplete {
        /// Path of the file.
        path: PathBuf,
        /// Frames found.
        found: usize,
        /// Frames expected.
        expected: u32,
    },
}

/// What a loop shows and how it is coded.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    codec: crate::config::Codec,
    size: (u32, u32),
    fps: u32,
    gop: u32,
    bitrate_kbit: u32,
    b_frames: u32,
    groups: u32,
    /// Which picture: only faults that change it are told apart.
    picture: &'static str,
}

/// All loops of the process.
#[derive(Debug)]
pub struct Loops {
    folder: PathBuf,
    loaded: Mutex<HashMap<Key, Arc<Loop>>>,
}

impl Loops {
    /// Loops with files in this folder, which is made when the first file is.
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
            loaded: Mutex::new(HashMap::new()),
        }
    }

    /// The loop of a stream with a fault, from memory, the file or the encoder.
    pub fn get(&self, stream: &StreamConfig, fault: Fault) -> Result<Arc<Loop>, LoopError> {
        let key = key(stream, fault);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = loaded.get(&key) {
            return Ok(Arc::clone(found));
        }
        let mut hasher = DefaultHasher::new();
        (MAGIC, &key).hash(&mut hasher);
        let path = self.folder.join(format!("{:016x}.loop", hasher.finish()));
        let made = match read(&path, &key) {
            Some(found) => found,
            None => make(&path, stream, fault, &key)?,
        };
        let made = Arc::new(made);
        loaded.insert(key, Arc::clone(&made));
        Ok(made)
    }
}

fn key(stream: &StreamConfig, fault: Fault) -> Key {
    let groups = (stream.loop_seconds * stream.fps).div_ceil(stream.gop).max(1);
    let (picture, groups) = match fault {
        Fault::Freeze => ("freeze", 1),
        Fault::Black => ("black", FAULT_GROUPS),
        Fault::Covered => ("covered", FAULT_GROUPS),
        Fault::Blur => ("blur", FAULT_GROUPS),
        Fault::Moved => ("moved", FAULT_GROUPS),
        Fault::Resolution => ("healthy", FAULT_GROUPS),
        _ => ("healthy", groups),
    };
    Key {
        codec: stream.codec,
        size: fault.resolution(stream.width, stream.height),
        fps: stream.fps,
        gop: stream.gop,
        bitrate_kbit: stream.bitrate_kbit,
        b_frames: stream.b_frames,
        groups,
        picture,
    }
}

fn make(path: &Path, stream: &StreamConfig, fault: Fault, key: &Key) -> Result<Loop, LoopError> {
    let count = key.groups * key.gop;
    let units = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&units);
    let encoder = Encoder::start(stream, key.size, move |unit| {
        collected.lock().unwrap_or_else(PoisonError::into_inner).push(unit);
    })?;
    let size = |pixels: u32| usize::try_from(pixels).unwrap_or(0);
    let names: Vec<String> = (1..=12).map(|number| format!("L-{number:02}")).collect();
    let mut scene = Scene::new(&names);
    for (name, class) in names
        .iter()
        .step_by(2)
        .zip([VehicleClass::Car, VehicleClass::Truck].into_iter().cycle())
    {
        scene.occupy(name, class);
    }
    let mut painter = Painter::new(size(key.size.0), size(key.size.1), "LOOP", &names, 2);
    for number in 0..count {
        if number == 0 || fault != Fault::Freeze {
            let time = START + frame_time(number, key.fps);
            painter.paint(&Shot {
                scene: &scene,
                view: fault.view(),
                lens: fault.lens(),
                time,
            });
        }
        encoder.push(
            painter.last().samples(),
            frame_time(number, key.fps),
            number % key.gop == 0,
        )?;
    }
    encoder.finish()?;
    let units = std::mem::take(&mut *units.lock().unwrap_or_else(PoisonError::into_inner));
    if units.len() != size(count) {
        return Err(LoopError::Incomplete {
            path: path.to_owned(),
            found: units.len(),
            expected: count,
        });
    }
    let fail = |source| LoopError::File {
        path: path.to_owned(),
        source,
    };
    let first = units.iter().map(|unit| unit.time).min().unwrap_or_default();
    let mut file = [MAGIC.as_slice(), &count.to_be_bytes()].concat();
    for unit in &units {
        let bytes = unit
            .buffer
            .map_readable()
            .map_err(|error| fail(std::io::Error::other(error)))?;
        file.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        file.extend_from_slice(&frame_number(unit.time.saturating_sub(first), key.fps).to_be_bytes());
        file.push(u8::from(unit.keyframe));
        file.extend_from_slice(&bytes);
    }
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    path.parent().map_or(Ok(()), fs::create_dir_all).map_err(fail)?;
    fs::write(&beside, &file).map_err(fail)?;
    fs::rename(&beside, path).map_err(fail)?;
    parse(&file, key).ok_or(LoopError::Incomplete {
        path: path.to_owned(),
        found: 0,
        expected: count,
    })
}

fn read(path: &Path, key: &Key) -> Option<Loop> {
    (fs::metadata(path).ok()?.len() <= FILE_BYTES_MAX).then_some(())?;
    parse(&fs::read(path).ok()?, key)
}

fn parse(file: &[u8], key: &Key) -> Option<Loop> {
    let (count, mut rest) = file.strip_prefix(MAGIC)?.split_first_chunk::<4>()?;
    let mut units = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let (number, after) = after.split_first_chunk::<4>()?;
        let (keyframe, after) = after.split_first()?;
        let (bytes, after) = after.split_at_checked(usize::try_from(u32::from_be_bytes(*length)).ok()?)?;
        units.push(AccessUnit {
            buffer: gst::Buffer::from_slice(bytes.to_vec()),
            time: frame_time(u32::from_be_bytes(*number), key.fps),
            keyframe: *keyframe == 1,
        });
        rest = after;
    }
    let complete = units.len() == usize::try_from(u32::from_be_bytes(*count)).ok()? && !units.is_empty();
    complete.then(|| Loop {
        units,
        duration: frame_time(key.groups * key.gop, key.fps),
    })
}

/// Time of a frame at a constant rate, rounded down to nanoseconds.
pub fn frame_time(number: u32, fps: u32) -> Duration {
    Duration::from_nanos(u64::from(number) * 1_000_000_000 / u64::from(fps.max(1)))
}

/// The opposite of [`frame_time`].
fn frame_number(time: Duration, fps: u32) -> u32 {
    u32::try_from((time.as_nanos() * u128::from(fps) + 500_000_000) / 1_000_000_000).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> StreamConfig {
        toml::from_str(
            "codec = 'h264'\nwidth = 320\nheight = 180\nfps = 30\ngop = 10\nbitrate_kbit = 200\nsource = 'loop'\n\
             loop_seconds = 1\n",
        )
        .unwrap()
    }

    #[test]
    fn times_and_numbers_of_frames_fit_at_all_rates() {
        for fps in [1, 7, 15, 25, 30, 500] {
            for number in [0, 1, 2, 99, 100_000] {
                assert_eq!(frame_number(frame_time(number, fps), fps), number);
            }
        }
    }

    #[test]
    fn a_loop_is_made_once_and_then_read_from_its_file() {
        gst::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let made = Loops::new(folder.path()).get(&stream(), Fault::None).unwrap();
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let read = read(&path, &key(&stream(), Fault::None)).unwrap();
        let times = |of: &Loop| {
            of.units
                .iter()
                .map(|unit| (unit.time, unit.keyframe))
                .collect::<Vec<_>>()
        };
        assert_eq!(times(&made), times(&read));
        assert_eq!((made.units.len(), made.duration), (30, Duration::from_secs(1)));
        let keyframes: Vec<_> = made.units.iter().map(|unit| unit.keyframe).collect();
        assert!(
            keyframes
                .iter()
                .enumerate()
                .all(|(number, &keyframe)| keyframe == (number % 10 == 0)),
            "{keyframes:?}"
        );
    }

    #[test]
    fn a_damaged_file_is_made_anew() {
        gst::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        Loops::new(folder.path()).get(&stream(), Fault::Black).unwrap();
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let good = fs::read(&path).unwrap();
        fs::write(&path, &good[..good.len() - 1]).unwrap();
        assert!(read(&path, &key(&stream(), Fault::Black)).is_none());
        let again = Loops::new(folder.path()).get(&stream(), Fault::Black).unwrap();
        assert_eq!(again.units.len(), 30);
        assert_eq!(fs::read(&path).unwrap().len(), good.len());
    }

    #[test]
    fn streams_with_the_same_parameters_share_a_loop_and_b_frames_keep_their_order() {
        gst::init().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let loops = Loops::new(folder.path());
        let with_b_frames = StreamConfig {
            b_frames: 2,
            ..stream()
        };
        let first = loops.get(&with_b_frames, Fault::None).unwrap();
        assert!(Arc::ptr_eq(
            &first,
            &loops.get(&with_b_frames, Fault::WrongClock).unwrap()
        ));
        let times: Vec<_> = first.units.iter().map(|unit| unit.time).collect();
        assert!(!times.is_sorted(), "B-frames come after what they refer to");
        let mut sorted = times.clone();
        sorted.sort();
        assert!(sorted.into_iter().eq((0..30).map(|number| frame_time(number, 30))));
    }
}

//! Streams, rings and failing disks for the tests.

use std::io::{self, IoSlice};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;

use crate::cameras::ring::boxes::Boxes;
use crate::cameras::ring::chunk::Chunk;
use crate::cameras::ring::{
    ClockQuality, Directory, Fragment, Init, Limits, MemoryIndex, ReadAt, Recovered, Ring, SegmentFile, SegmentId,
    Storage,
};

pub const PLAIN: &[u8] = include_bytes!("samples/plain.cmaf");
pub const BFRAMES: &[u8] = include_bytes!("samples/bframes.cmaf");
pub const H265: &[u8] = include_bytes!("samples/h265.cmaf");
/// Frames of each fragment of the samples.
pub const FRAMES: u64 = 20;

/// A stream as the worker delivers it: an init segment, and the chunks of each fragment.
pub struct Stream {
    pub init: Bytes,
    pub fragments: Vec<Vec<Bytes>>,
}

/// Takes a recorded stream apart.
pub fn split(bytes: &'static [u8]) -> Stream {
    let mut boxes = Boxes::new(bytes);
    let (mut init, mut position, mut begin) = (None, 0, 0);
    let mut fragments: Vec<Vec<Bytes>> = Vec::new();
    while let Some(found) = boxes.next().unwrap() {
        position += found.whole.len();
        match &found.kind.0 {
            b"moov" => init = Some(Bytes::from_static(&bytes[..position])),
            b"mdat" => {
                let chunk = Bytes::from_static(&bytes[begin..position]);
                let parsed = Init::parse(init.as_ref().unwrap()).unwrap();
                if Chunk::parse(&parsed, &chunk).unwrap().moof.begins_with_keyframe() {
                    fragments.push(Vec::new());
                }
                fragments.last_mut().unwrap().push(chunk);
            }
            _ => continue,
        }
        begin = position;
    }
    Stream {
        init: init.unwrap(),
        fragments,
    }
}

pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

/// Start of the tests' recordings.
pub fn start() -> Timestamp {
    time("2026-01-05T07:00:00Z")
}

pub fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// Fragment `number` of a stream that began at `begin`.
pub fn fragment_of(stream: &Stream, begin: Timestamp, number: usize) -> Fragment {
    Fragment {
        at: begin + seconds(2 * number as u64),
        clock: ClockQuality::Synced,
        chunks: stream.fragments[number].clone(),
    }
}

pub fn limits() -> Limits {
    Limits {
        bytes_max: 10 << 20,
        age_max: None,
        free_bytes_min: 0,
        segment_duration_max: seconds(60),
        segment_bytes_max: 1 << 20,
    }
}

/// Opens a ring whose index is lost.
pub fn open(folder: &Path) -> (Ring, Recovered) {
    Ring::open(folder, limits(), MemoryIndex::default()).unwrap()
}

/// Records a whole stream from `begin` on.
pub fn record(ring: &mut Ring, stream: &Stream, begin: Timestamp) {
    ring.begin(&stream.init).unwrap();
    for number in 0..stream.fragments.len() {
        ring.append(&fragment_of(stream, begin, number)).unwrap();
    }
}

/// What a failing disk is to do next.
#[derive(Debug, Default)]
pub struct Failures {
    /// Kind of failure and number of bytes that still reach the file.
    pub append: Option<(io::ErrorKind, usize)>,
    pub sync: Option<io::ErrorKind>,
    pub truncate: Option<io::ErrorKind>,
    pub create: Option<io::ErrorKind>,
    pub open: Option<io::ErrorKind>,
    /// Free space; each file's bytes count against it. `None`: as much as one likes.
    pub capacity: Option<u64>,
    /// What `append` and `remove` did, and syncs of names, in order.
    pub log: Vec<String>,
}

/// A real folder on which one can make calls fail.
#[derive(Debug, Clone)]
pub struct FailingDisk {
    pub failures: Arc<Mutex<Failures>>,
    folder: Arc<Directory>,
}

impl FailingDisk {
    pub fn new(folder: &Path) -> Self {
        Self {
            failures: Arc::default(),
            folder: Arc::new(Directory::open(folder).unwrap()),
        }
    }

    pub fn set(&self, change: impl FnOnce(&mut Failures)) {
        change(&mut self.failures.lock().unwrap());
    }
}

#[derive(Debug)]
struct FailingFile(Box<dyn SegmentFile>, Arc<Mutex<Failures>>);

impl Storage for FailingDisk {
    fn path(&self) -> &Path {
        self.folder.path()
    }
    fn list(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        self.folder.list()
    }
    fn create(&self, id: SegmentId) -> io::Result<Box<dyn SegmentFile>> {
        if let Some(kind) = self.failures.lock().unwrap().create {
            return Err(kind.into());
        }
        self.set(|failures| failures.log.push(format!("create {id}")));
        Ok(Box::new(FailingFile(
            self.folder.create(id)?,
            Arc::clone(&self.failures),
        )))
    }
    fn open(&self, id: SegmentId) -> io::Result<Box<dyn SegmentFile>> {
        if let Some(kind) = self.failures.lock().unwrap().open {
            return Err(kind.into());
        }
        Ok(Box::new(FailingFile(self.folder.open(id)?, Arc::clone(&self.failures))))
    }
    fn remove(&self, id: SegmentId) -> io::Result<()> {
        self.set(|failures| failures.log.push(format!("remove {id}")));
        self.folder.remove(id)
    }
    fn sync_names(&self) -> io::Result<()> {
        self.set(|failures| failures.log.push("sync names".to_owned()));
        self.folder.sync_names()
    }
    fn free_bytes(&self) -> io::Result<u64> {
        let used: u64 = self.folder.list()?.iter().map(|(_, bytes)| bytes).sum();
        let capacity = self.failures.lock().unwrap().capacity;
        Ok(capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used)))
    }
}

impl ReadAt for FailingFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
}

impl SegmentFile for FailingFile {
    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        let failure = self.1.lock().unwrap().append.take();
        if let Some((kind, bytes)) = failure {
            let whole: Vec<u8> = parts.iter().flat_map(|part| part.to_vec()).collect();
            self.0.append(&mut [IoSlice::new(&whole[..bytes.min(whole.len())])])?;
            return Err(kind.into());
        }
        self.1.lock().unwrap().log.push("append".to_owned());
        self.0.append(parts)
    }
    fn sync(&self) -> io::Result<()> {
        let failure = self.1.lock().unwrap().sync.take();
        self.1.lock().unwrap().log.push("sync".to_owned());
        failure.map_or_else(|| self.0.sync(), |kind| Err(kind.into()))
    }
    fn truncate(&self, bytes: u64) -> io::Result<()> {
        let failure = self.1.lock().unwrap().truncate;
        failure.map_or_else(|| self.0.truncate(bytes), |kind| Err(kind.into()))
    }
}

/// Runs `ffprobe` on a file and gives the lines it prints.
pub fn ffprobe(path: &Path, arguments: &[&str]) -> Vec<String> {
    let output = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-of", "csv=p=0"])
        .args(arguments)
        .arg(path)
        .output()
        .expect("ffprobe is installed");
    let complaints = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success() && complaints.is_empty(),
        "{}: {complaints}",
        path.display()
    );
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| line.trim_end_matches(',').to_owned()).collect()
}

/// Number of frames that a decoder gets out of a file.
pub fn decoded_frames(path: &Path) -> u64 {
    let lines = ffprobe(path, &["-count_frames", "-show_entries", "stream=nb_read_frames"]);
    lines[0].parse().unwrap()
}

//! The recording of one video stream: a ring of segment files, clips out of it, and looks into the stream.
//!
//! **Input.** A worker delivers a CMAF track (ISO/IEC 23000-19) of H.264 or H.265: per run an init segment, then
//! fragments that begin with a keyframe and consist of chunks (`moof`, `mdat`). Nothing is decoded here.
//!
//! **Files.** A ring is a folder of files `{sequence:010}.mp4`, each playable by itself: the init segment, the ring's
//! head, then per fragment a `prft` with its UTC time and the chunks as they came; a finished file ends with a summary
//! (see `format.rs`). A fragment is one write and one `fdatasync`; the folder is synced when a file is made
//! or removed. A new file begins with a run of the worker, at a jump of more than 1 s in the timeline or of the clock
//! against it, when the clock's quality changes, and at a limit of time or bytes. So within one file times run evenly.
//!
//! **Invariants.**
//! - What `append` accepted survives `kill -9` and loss of power. What was under way may be lost, nothing else.
//! - The order of files is that of their sequences. Only the oldest are removed, and never the one being written.
//! - Nothing is removed because of an unsure clock. A file of unsure times counts its age from the first synchronised
//!   time that found it there, so that privacy's bound holds for it too.
//! - A write that fails costs its fragment. The ring tells why and tries again with the next one.
//! - No file is trusted: damage costs what lies behind it in its file.
//!
//! **Own parser.** Crates for these boxes read every box they know at any depth by recursion, which bytes made for it turn
//! into an exhausted stack, and write sample entries anew from what they understood. Here a dozen boxes are read at
//! fixed depths, and sample entries are copied as they are.
//!
//! **Blocking.** All calls block on the disk: they belong on a thread of their own, one for all rings of a disk.

mod boxes;
mod chunk;
pub mod clip;
mod error;
mod format;
mod fragment;
mod init;
mod limits;
mod near;
pub mod picture;
mod recovery;
mod scan;
mod segment;
mod storage;
mod store;
mod survey;
mod time;

#[cfg(test)]
mod tests;

pub use boxes::{FourCc, ParseError};
pub use error::RingError;
pub use fragment::Fragment;
pub use init::{INIT_BYTES_MAX, Init, StreamInfo, VideoCodec};
pub use limits::{Counters, Limits, State};
pub use near::{RecordedKey, key_near};
pub use recovery::Recovered;
pub use scan::ScanError;
pub use segment::{MemoryIndex, Segment, SegmentId, SegmentIndex};
pub use storage::{Directory, ReadAt, SegmentFile, Storage, segment_path};
pub use store::{Appended, Ring};
pub use survey::{Survey, survey};
pub use time::ClockQuality;

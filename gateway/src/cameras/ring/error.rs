//! What can go wrong with a ring.

use std::io;
use std::path::PathBuf;

use super::boxes::ParseError;

/// Why a ring could not do what it was asked. Whatever it is, the ring goes on with the next fragment.
#[derive(Debug, thiserror::Error)]
pub enum RingError {
    /// An operation on a file or folder failed.
    #[error("video ring: cannot {action} {path}: {source}{}", hint(source))]
    Storage {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The floor of free space is reached, and this ring has nothing more to give.
    #[error(
        "video ring {path}: {free_bytes} bytes of this disk are free, the floor is {free_bytes_min}\n  hint: free space on this disk, or lower the floor"
    )]
    NoSpace {
        /// The ring's folder.
        path: PathBuf,
        /// Free space, bytes.
        free_bytes: u64,
        /// The floor, bytes.
        free_bytes_min: u64,
    },
    /// A limit is out of its bounds.
    #[error("video ring: {limit} is {value}, must be {bounds}")]
    Limit {
        /// Its name.
        limit: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        bounds: &'static str,
    },
    /// The init segment or a fragment is not what the worker must deliver.
    #[error("video ring {path}: {part} is refused: {source}")]
    Invalid {
        /// The ring's folder.
        path: PathBuf,
        /// `init segment`, or which chunk of the fragment.
        part: String,
        /// Why.
        source: ParseError,
    },
    /// A fragment came before any init segment.
    #[error("video ring {path}: a fragment came before the init segment")]
    NotBegun {
        /// The ring's folder.
        path: PathBuf,
    },
    /// A fragment is larger than a segment file may be.
    #[error(
        "video ring {path}: a fragment of {bytes} bytes, a file may have {bytes_max}\n  hint: shorten the camera's keyframe interval, or raise the limit"
    )]
    TooLarge {
        /// The ring's folder.
        path: PathBuf,
        /// Its bytes.
        bytes: u64,
        /// The limit, bytes.
        bytes_max: u64,
    },
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "\n  hint: the folder and its files must belong to the gateway's user",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "\n  hint: free space on this disk",
        io::ErrorKind::ReadOnlyFilesystem => "\n  hint: the disk went read-only, look at the kernel log",
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory | io::ErrorKind::AlreadyExists => {
            "\n  hint: something else is in the place of the ring's files"
        }
        _ => "",
    }
}

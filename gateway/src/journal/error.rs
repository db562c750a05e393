//! What can go wrong with the journal.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

/// Why the journal could not do what it was asked.
#[derive(Debug, Clone, thiserror::Error)]
pub enum JournalError {
    /// Another process has the folder open.
    #[error(
        "journal {path}: another process has it open; hint: two gateways can not share one journal, stop the other one"
    )]
    Locked {
        /// The folder.
        path: PathBuf,
    },
    /// An operation on a file failed.
    #[error("journal: cannot {action} {path}: {source}{}", hint(source))]
    Storage {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said. Shared, because every waiting append gets it.
        source: Arc<io::Error>,
    },
    /// A file was written by a newer gateway.
    #[error(
        "journal: {file} has format version {found}, this program knows {known}; hint: install the newer gateway again"
    )]
    Version {
        /// The file, relative to the journal's folder.
        file: String,
        /// Its version.
        found: u32,
        /// The newest version that this program can read.
        known: u32,
    },
    /// An option is out of its bounds.
    #[error("journal: {option} is {value}, must be {bounds}")]
    Option {
        /// Its name.
        option: &'static str,
        /// Its value.
        value: u64,
        /// What is allowed.
        bounds: &'static str,
    },
    /// An append is empty or has more bytes or entries than a frame may have.
    #[error(
        "journal: an append of {entries} entries and {bytes} bytes; must be 1 to {entries_max} entries and at most {bytes_max} bytes"
    )]
    AppendSize {
        /// Entries handed in.
        entries: usize,
        /// Bytes handed in.
        bytes: usize,
        /// Most entries.
        entries_max: usize,
        /// Most bytes.
        bytes_max: usize,
    },
    /// A snapshot is larger than a slot may be.
    #[error("journal: a snapshot of {bytes} bytes; at most {bytes_max}")]
    SnapshotSize {
        /// Bytes handed in.
        bytes: usize,
        /// Most bytes.
        bytes_max: usize,
    },
    /// A write or sync failed earlier; only opening the journal again goes on.
    #[error("journal ended: {reason}; hint: restart the gateway, what was acknowledged is on disk")]
    Failed {
        /// The first failure.
        reason: Arc<str>,
    },
    /// The journal was closed before this was done.
    #[error("journal closed before this was durable")]
    Closed,
}

impl JournalError {
    /// Wraps what the system said about `action` on `path`.
    pub(super) fn storage(action: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Storage {
            action,
            path: path.into(),
            source: Arc::new(source),
        }
    }

    /// Whether the disk, or the quota on it, is full: the one failure that passes by waiting.
    pub(super) fn is_disk_full(&self) -> bool {
        let Self::Storage { source, .. } = self else {
            return false;
        };
        matches!(source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => "; hint: the journal's folder and files must belong to the gateway's user",
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "; hint: free space on this disk",
        io::ErrorKind::ReadOnlyFilesystem => "; hint: the disk went read-only, look at the kernel log",
        io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory => {
            "; hint: something else is in the journal's place"
        }
        _ => "",
    }
}

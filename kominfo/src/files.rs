//! Keys, certificates and exports on disk: made once, never overwritten by accident, private where they must be.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Bits of a file's mode that let somebody else than its owner read or write it.
const OTHERS: u32 = 0o077;
/// Largest key, certificate or request read.
const BYTES_MAX: u64 = 64 * 1_024;

/// Why a file was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It is there already.
    #[error("{0} exists already: move it away first if it is to be replaced")]
    Exists(PathBuf),
    /// Others than its owner may read a private key.
    #[error("{path} is a private key that others may read (mode {mode:03o}): chmod 600 {path}")]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is too large to be what it should be.
    #[error("{0} is larger than 64 KiB: that is no key or certificate")]
    Large(PathBuf),
    /// The system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Who may read a new file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Its owner.
    Private,
    /// Anybody.
    Public,
}

/// Writes a file that must not be there yet, durably.
pub fn create(path: &Path, text: &str, access: Access) -> Result<(), FileError> {
    write(path, text.as_bytes(), access, true)
}

/// Writes a public file, in place of what may be there.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    write(path, bytes, Access::Public, false)
}

fn write(path: &Path, bytes: &[u8], access: Access, new: bool) -> Result<(), FileError> {
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::AlreadyExists => FileError::Exists(path.to_owned()),
        _ => FileError::Io {
            path: path.to_owned(),
            source,
        },
    };
    let mode = if access == Access::Private { 0o600 } else { 0o644 };
    let mut options = OpenOptions::new();
    options
        .write(true)
        .mode(mode)
        .create_new(new)
        .create(!new)
        .truncate(!new);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(failed)
}

/// Makes a folder, with those above it, if it is not there.
pub fn folder(path: &Path) -> Result<(), FileError> {
    fs::create_dir_all(path).map_err(|source| FileError::Io {
        path: path.to_owned(),
        source,
    })
}

/// Reads a text file of keys or certificates.
pub fn read(path: &Path) -> Result<String, FileError> {
    let failed = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    if fs::metadata(path).map_err(failed)?.len() > BYTES_MAX {
        return Err(FileError::Large(path.to_owned()));
    }
    fs::read_to_string(path).map_err(failed)
}

/// Reads a private key; refuses one that others may read.
pub fn read_private(path: &Path) -> Result<String, FileError> {
    let metadata = File::open(path)
        .and_then(|file| file.metadata())
        .map_err(|source| FileError::Io {
            path: path.to_owned(),
            source,
        })?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & OTHERS != 0 {
        return Err(FileError::Readable {
            path: path.to_owned(),
            mode,
        });
    }
    read(path)
}

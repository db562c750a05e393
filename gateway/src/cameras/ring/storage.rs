//! Where segment files are: a small interface, so that tests can put a failing disk under the ring, and the real one.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Write};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::segment::SegmentId;

/// What can be read at any place.
pub trait ReadAt {
    /// Reads at `offset` until `buffer` is full or the file ends; gives the bytes read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
}

/// An open segment file.
pub trait SegmentFile: ReadAt + fmt::Debug + Send {
    /// Writes all parts at the file's end, in one call to the system where it takes them all.
    fn append(&mut self, parts: &mut [IoSlice<'_>]) -> io::Result<()>;
    /// Makes what was written, and the length, durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Cuts the file.
    fn truncate(&self, bytes: u64) -> io::Result<()>;
}

/// The folder of one ring.
pub trait Storage: fmt::Debug + Send {
    /// The folder.
    fn path(&self) -> &Path;
    /// Lists the segment files and their lengths, bytes, in any order.
    fn list(&self) -> io::Result<Vec<(SegmentId, u64)>>;
    /// Makes a file, which must not exist.
    fn create(&self, id: SegmentId) -> io::Result<Box<dyn SegmentFile>>;
    /// Opens a file for reading and cutting.
    fn open(&self, id: SegmentId) -> io::Result<Box<dyn SegmentFile>>;
    /// Removes a file; no failure if it is gone.
    fn remove(&self, id: SegmentId) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_names(&self) -> io::Result<()>;
    /// What an ordinary user can still write to the file system, bytes.
    fn free_bytes(&self) -> io::Result<u64>;
}

/// A folder on a real disk. Whoever opens it makes sure that no other process does.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// Makes the folder where it is absent, mode 0700.
    pub fn open(path: impl Into<PathBuf>) -> io::Result<Self> {
        let path = path.into();
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&path)?;
        Ok(Self { path })
    }
}

/// The file's path within a ring's folder.
pub fn segment_path(folder: &Path, id: SegmentId) -> PathBuf {
    folder.join(id.file_name())
}

/// The segment files of a folder and their lengths, bytes, in any order.
pub(super) fn list(folder: &Path) -> io::Result<Vec<(SegmentId, u64)>> {
    let mut listed = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let Some(id) = entry.file_name().to_str().and_then(SegmentId::from_file_name) else {
            continue;
        };
        match entry.metadata() {
            Ok(metadata) if metadata.is_file() => listed.push((id, metadata.len())),
            Ok(_) => {}
            // Removed meanwhile, by the ring that is at work there.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(listed)
}

impl Storage for Directory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<(SegmentId, u64)>> {
        list(&self.path)
    }

    fn create(&self, id: SegmentId) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(segment_path(&self.path, id))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, id: SegmentId) -> io::Result<Box<dyn SegmentFile>> {
        let file = OpenOptions::new()
            .read(true)
            .append(true)
            .open(segment_path(&self.path, id))?;
        Ok(Box::new(RealFile(file)))
    }

    fn remove(&self, id: SegmentId) -> io::Result<()> {
        match fs::remove_file(segment_path(&self.path, id)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(&self.path)?.sync_all()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.path)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

#[derive(Debug)]
struct RealFile(File);

impl ReadAt for File {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while let Some(left) = buffer.get_mut(done..).filter(|left| !left.is_empty()) {
            match FileExt::read_at(self, left, offset.saturating_add(done as u64)) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }
}

impl ReadAt for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        ReadAt::read_at(&self.0, offset, buffer)
    }
}

impl SegmentFile for RealFile {
    fn append(&mut self, mut parts: &mut [IoSlice<'_>]) -> io::Result<()> {
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            match self.0.write_vectored(parts) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => IoSlice::advance_slices(&mut parts, count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, bytes: u64) -> io::Result<()> {
        self.0.set_len(bytes)
    }
}

//! Where the journal's files are: a small interface, so that tests can put a simulated disk under it, and the real one.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Advice, FallocateFlags};

use super::error::JournalError;

/// Folder, within the journal's, of damaged segments.
pub(super) const DAMAGED: &str = "damaged";
/// File that is locked while the journal is open.
const LOCK: &str = "lock";

/// A file of the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its name within the journal's folder.
    pub name: String,
    /// Its length, bytes.
    pub bytes: u64,
}

/// The folder of one journal. Names are relative to it, and may lie in `damaged/`.
pub trait Storage: fmt::Debug + Send + Sync {
    /// The folder, for messages.
    fn path(&self) -> &Path;
    /// Lists the regular files of the folder, or of `damaged/` in it.
    fn list(&self, damaged: bool) -> io::Result<Vec<Listed>>;
    /// Opens a file for reading and writing.
    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>>;
    /// Makes a file and allocates its space, all of it or none.
    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn StorageFile>>;
    /// Gives a file another name; what had that name before is gone.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names durable.
    fn sync_names(&self) -> io::Result<()>;
}

/// One open file.
pub trait StorageFile: fmt::Debug + Send + Sync {
    /// Reads at `offset` until `buffer` is full or the file ends; gives the bytes read.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize>;
    /// Writes all of `bytes` at `offset`.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes what was written, and the length, durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// Allocates space so that the file has `bytes` bytes at least.
    fn allocate(&self, bytes: u64) -> io::Result<()>;
    /// Drops the file's pages from memory, as far as they are on disk. Only a wish.
    ///
    /// What is read ahead, or written much at a time, lies in memory in large pieces, and recent kernels write (at
    /// least count) a whole piece for each small frame in it. A frame in no piece gets one of its own size.
    fn forget(&self);
}

/// Writes a part of a file as it reads, and syncs it.
pub(super) fn write_again(file: &dyn StorageFile, offset: u64, bytes: u64) -> io::Result<()> {
    let mut content = vec![0; usize::try_from(bytes).unwrap_or_default()];
    let read = file.read_at(offset, &mut content)?;
    file.write_at(offset, &content[..read])?;
    file.sync()
}

/// A folder on a real disk, locked for as long as this value lives.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    _lock: File,
}

impl Directory {
    /// Makes the folder where it is absent (mode 0700), and locks it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, JournalError> {
        let path = path.into();
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path.join(DAMAGED))
            .map_err(|e| JournalError::storage("make the folder", &path, e))?;
        let lock_path = path.join(LOCK);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&lock_path)
            .map_err(|e| JournalError::storage("open", &lock_path, e))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(JournalError::Locked { path }),
            Err(TryLockError::Error(e)) => Err(JournalError::storage("lock", lock_path, e)),
        }
    }
}

impl Storage for Directory {
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self, damaged: bool) -> io::Result<Vec<Listed>> {
        let folder = if damaged {
            self.path.join(DAMAGED)
        } else {
            self.path.clone()
        };
        let mut listed = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let metadata = entry.metadata()?;
            // A name that is no text is none of ours.
            if let (true, Ok(name)) = (metadata.is_file(), entry.file_name().into_string()) {
                listed.push(Listed {
                    name,
                    bytes: metadata.len(),
                });
            }
        }
        Ok(listed)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let file = OpenOptions::new().read(true).write(true).open(self.path.join(name))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        let path = self.path.join(name);
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&path)?;
        let file = RealFile(file);
        if let Err(error) = file.allocate(bytes) {
            fs::remove_file(&path)?;
            return Err(error);
        }
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        File::open(self.path.join(DAMAGED))?.sync_all()?;
        File::open(&self.path)?.sync_all()
    }
}

#[derive(Debug)]
struct RealFile(File);

impl StorageFile for RealFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match self.0.read_at(&mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        match rustix::fs::fallocate(&self.0, FallocateFlags::empty(), 0, bytes) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS) => self.extend_with_zeros(bytes),
            Err(errno) => Err(errno.into()),
        }
    }

    fn forget(&self) {
        // Nothing depends on it.
        rustix::fs::fadvise(&self.0, 0, None, Advice::DontNeed).unwrap_or_default();
    }
}

impl RealFile {
    /// What `fallocate` does, on a file system that does not know it.
    fn extend_with_zeros(&self, bytes: u64) -> io::Result<()> {
        static CHUNK: [u8; 64 << 10] = [0; 64 << 10];
        let mut offset = self.0.metadata()?.len();
        while offset < bytes {
            let count = usize::try_from(bytes - offset).map_or(CHUNK.len(), |left| left.min(CHUNK.len()));
            self.0.write_all_at(&CHUNK[..count], offset)?;
            offset += count as u64;
        }
        Ok(())
    }
}

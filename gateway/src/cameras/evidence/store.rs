//! Where evidence pictures are kept: files named by their SHA-256, bounded by bytes and by age.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use parking::{ClockQuality, Stamp, Timestamp};
use sha2::{Digest, Sha256};

/// Where pictures are kept and how many.
#[derive(Debug, Clone)]
pub struct Store {
    folder: PathBuf,
    bytes_max: u64,
    age_max: Duration,
}

impl Store {
    /// A store under the folder of recordings.
    pub fn new(ring_dir: &Path, bytes_max: u64, age_max: Duration) -> Self {
        Self {
            folder: ring_dir.join("evidence"),
            bytes_max,
            age_max,
        }
    }

    /// The file of a picture.
    pub fn path(&self, sha256: &parking::Sha256) -> PathBuf {
        self.folder.join(format!("{sha256}.jpg"))
    }

    /// Keeps a picture durably, and returns its name. The file's time is `now`, on the box's axis.
    pub(super) fn keep(&self, jpeg: &[u8], now: Timestamp) -> std::io::Result<parking::Sha256> {
        std::fs::create_dir_all(&self.folder)?;
        let sha256 = parking::Sha256::from(<[u8; 32]>::from(Sha256::digest(jpeg)));
        let path = self.path(&sha256);
        let part = path.with_extension("part");
        let mut file = std::fs::File::create(&part)?;
        std::io::Write::write_all(&mut file, jpeg)?;
        file.set_modified(system_time(now))?;
        file.sync_all()?;
        std::fs::rename(&part, &path)?;
        std::fs::File::open(&self.folder)?.sync_all()?;
        Ok(sha256)
    }

    /// Removes the oldest beyond the bounds. Age counts from now while the box's clock is synchronised, and else from the
    /// newest file, so that an unsure clock removes nothing.
    pub(super) fn trim(&self, now: Stamp) -> std::io::Result<()> {
        let mut files = Vec::new();
        let entries = match std::fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        for entry in entries {
            let entry = entry?;
            let Ok(metadata) = entry.metadata() else { continue };
            if metadata.is_file() {
                files.push((metadata.modified()?, metadata.len(), entry.path()));
            }
        }
        files.sort();
        let Some(newest) = files.last().map(|(modified, ..)| *modified) else {
            return Ok(());
        };
        let present = match now.clock {
            ClockQuality::Synced | ClockQuality::Simulated => system_time(now.at),
            ClockQuality::Holdover | ClockQuality::Unset => newest,
        };
        // One that cannot be removed keeps no other.
        let mut failed = Ok(());
        let mut bytes: u64 = files.iter().map(|(_, length, _)| length).sum();
        for (modified, length, path) in files {
            let age = present.duration_since(modified).unwrap_or_default();
            if bytes <= self.bytes_max && age <= self.age_max {
                break;
            }
            match std::fs::remove_file(&path) {
                Ok(()) => {}
                // Somebody else has.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => {
                    failed = Err(error);
                    continue;
                }
            }
            bytes -= length;
        }
        failed
    }
}

/// A time of the box's axis as files have it; none of before 1970.
fn system_time(at: Timestamp) -> SystemTime {
    let since_epoch = Duration::from_millis(u64::try_from(at.as_millis()).unwrap_or(0));
    SystemTime::UNIX_EPOCH
        .checked_add(since_epoch)
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(second: i64, clock: ClockQuality) -> Stamp {
        Stamp {
            at: Timestamp::EPOCH.plus_seconds(second),
            boot: parking::BootId(1),
            mono_ms: 0,
            clock,
        }
    }

    #[test]
    fn pictures_go_by_age_without_a_new_one_while_the_clock_is_synchronised() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), 1_000, Duration::from_secs(1_000));
        store.trim(now(0, ClockQuality::Synced)).unwrap();
        let old = store.keep(b"old", now(100, ClockQuality::Unset).at).unwrap();
        let new = store.keep(b"new", now(900, ClockQuality::Synced).at).unwrap();
        let there = || [&old, &new].map(|picture| store.path(picture).exists());
        store.trim(now(1_100, ClockQuality::Synced)).unwrap();
        assert_eq!(there(), [true, true], "just as old as it may be");
        for unsure in [ClockQuality::Unset, ClockQuality::Holdover] {
            store.trim(now(9_000, unsure)).unwrap();
            assert_eq!(there(), [true, true]);
        }
        store.trim(now(1_101, ClockQuality::Synced)).unwrap();
        assert_eq!(there(), [false, true]);
        store.trim(now(1_901, ClockQuality::Simulated)).unwrap();
        assert_eq!(there(), [false, false]);
    }

    #[test]
    fn pictures_are_named_by_their_hash_and_bounded() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::new(dir.path(), 10, Duration::from_secs(1_000));
        let (earlier, later) = (now(1, ClockQuality::Synced), now(2, ClockQuality::Synced));
        let first = store.keep(b"12345678", earlier.at).unwrap();
        assert_eq!(first.to_string(), format!("{:x}", Sha256::digest(b"12345678")));
        let second = store.keep(b"abcdefgh", later.at).unwrap();
        store.trim(later).unwrap();
        assert_eq!(
            (store.path(&first).exists(), store.path(&second).exists()),
            (false, true)
        );
    }
}

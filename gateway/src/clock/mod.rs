//! The box's axis of time.
//!
//! What it assumes: the kernel's monotonic clock (`CLOCK_BOOTTIME`) runs and never steps within a boot; nothing else.
//! A Raspberry Pi has no battery-backed clock, so the wall clock may be years wrong at start, right only hours later,
//! or step in either direction.
//!
//! What follows: within a boot, time is `base + monotonic`. `base` is taken from the wall clock when the kernel says
//! it is synchronised. Until then it is a floor: the latest time that this box is sure has passed (kept in the file
//! `clock`), or the wall clock if that is later. When `base` changes by more than [`STEP_MS`], [`Clock::check`] tells
//! by how much, and the tracker re-dates what it counted under the old one. Times are never taken back on their own:
//! within one `base` the axis cannot go backwards.

mod kernel;
mod simulated;

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use parking::{BootId, ClockQuality, Stamp, Timestamp};
use serde::{Deserialize, Serialize};

pub use simulated::{SimulatedClock, SimulatedClockError};

/// A difference between wall clock and axis below this, milliseconds, is left alone.
const STEP_MS: i64 = 1_000;

/// Why the clock's file could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot {action} {path}: {source}\n  hint: the gateway keeps its boot counter and time floor there; check the permissions of the data folder"
)]
pub struct ClockError {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// What survives a restart: which boot this is, and the latest time that has certainly passed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Saved {
    boot: BootId,
    kernel_boot: String,
    floor: Timestamp,
    /// Time at the start of this boot, while it was never synchronised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unset_base: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Axis {
    base: Timestamp,
    quality: ClockQuality,
}

/// The clock of the box. Shared by all tasks.
#[derive(Debug)]
pub struct Clock {
    boot: BootId,
    kernel_boot: String,
    file: PathBuf,
    axis: Mutex<Axis>,
    simulated: Option<SimulatedClock>,
}

/// What the kernel's clocks say in one moment.
#[derive(Debug, Clone, Copy)]
struct Kernel {
    mono_ms: i64,
    wall: Timestamp,
    synchronised: bool,
}

impl Kernel {
    fn read() -> Self {
        let millis = |id| {
            let time = rustix::time::clock_gettime(id);
            time.tv_sec * 1_000 + time.tv_nsec / 1_000_000
        };
        Self {
            mono_ms: millis(rustix::time::ClockId::Boottime),
            wall: Timestamp::from_millis(millis(rustix::time::ClockId::Realtime)),
            synchronised: kernel::is_synchronised(),
        }
    }
}

/// The wall clock as it is, for commands that run beside the daemon. Nothing that is kept may be dated by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WallClock {
    /// What it says.
    pub at: Timestamp,
    /// Whether the kernel says that it is synchronised.
    pub synchronised: bool,
    mono_ms: i64,
}

impl WallClock {
    /// Reads it.
    pub fn read() -> Self {
        let kernel = Kernel::read();
        Self {
            at: kernel.wall,
            synchronised: kernel.synchronised,
            mono_ms: kernel.mono_ms,
        }
    }

    /// What it would have said at `boottime_ns` of the kernel's monotonic clock, in this boot.
    pub fn at_boottime(&self, boottime_ns: u64) -> Timestamp {
        let mono_ms = i64::try_from(boottime_ns / 1_000_000).unwrap_or(i64::MAX);
        self.at.plus_millis(mono_ms.saturating_sub(self.mono_ms))
    }
}

impl Clock {
    /// Starts the clock, counts the boot, and takes the time that was last saved in `data_dir` as certainly passed. Writes
    /// to `data_dir`: whoever calls holds the journal's lock.
    pub fn start(data_dir: &Path, simulated: Option<SimulatedClock>) -> Result<Self, ClockError> {
        let file = data_dir.join("clock");
        let kernel_boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
            .unwrap_or_default()
            .trim()
            .to_owned();
        let saved = load(&file)?;
        let same_boot = saved
            .as_ref()
            .is_some_and(|s| s.kernel_boot == kernel_boot && !kernel_boot.is_empty());
        let boot = match &saved {
            Some(s) if same_boot => s.boot,
            Some(s) => BootId(s.boot.0 + 1),
            None => BootId(1),
        };
        let floor = saved.as_ref().map_or(Timestamp::EPOCH, |s| s.floor);
        let unset_base = saved.filter(|_| same_boot).and_then(|s| s.unset_base);
        let axis = first_axis(Kernel::read(), floor, unset_base);
        let clock = Self {
            boot,
            kernel_boot,
            file,
            axis: Mutex::new(axis),
            simulated,
        };
        clock.save()?;
        Ok(clock)
    }

    /// Now.
    pub fn now(&self) -> Stamp {
        let kernel = Kernel::read();
        let axis = *self.axis.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, clock) = match &self.simulated {
            Some(line) => (line.at_real(kernel.wall.as_millis()), ClockQuality::Simulated),
            None => (axis.base.plus_millis(kernel.mono_ms), axis.quality),
        };
        Stamp {
            at,
            boot: self.boot,
            mono_ms: kernel.mono_ms.unsigned_abs(),
            clock,
        }
    }

    /// How many seconds of the axis pass in a real one: one, but for a simulated clock.
    pub fn rate(&self) -> f64 {
        self.simulated.map_or(1.0, |line| line.rate())
    }

    /// Now, for who measures spans of time: a simulated clock's monotonic time runs as fast as it does.
    pub fn now_with_spans(&self) -> Stamp {
        let now = self.now();
        let mono_ms = self.simulated.map_or(now.mono_ms, |line| line.span_ms(now.mono_ms));
        Stamp { mono_ms, ..now }
    }

    /// What time it was at `boottime_ns` of the kernel's monotonic clock, in this boot.
    pub fn at_boottime(&self, boottime_ns: u64) -> Stamp {
        let kernel = Kernel::read();
        let mono_ms = boottime_ns / 1_000_000;
        let ago_ms = kernel
            .mono_ms
            .saturating_sub(i64::try_from(mono_ms).unwrap_or(i64::MAX));
        let axis = *self.axis.lock().unwrap_or_else(PoisonError::into_inner);
        let (at, clock) = match &self.simulated {
            Some(line) => (
                line.at_real(kernel.wall.as_millis().saturating_sub(ago_ms)),
                ClockQuality::Simulated,
            ),
            None => (
                axis.base.plus_millis(kernel.mono_ms.saturating_sub(ago_ms)),
                axis.quality,
            ),
        };
        Stamp {
            at,
            boot: self.boot,
            mono_ms,
            clock,
        }
    }

    /// Compares the axis with the kernel's clock and follows it. Returns the milliseconds by which the axis moved if it
    /// was unset until now or moved by more than [`STEP_MS`]. To be called about once a second.
    pub fn check(&self) -> Option<i64> {
        let mut axis = self.axis.lock().unwrap_or_else(PoisonError::into_inner);
        let (next, moved) = follow(*axis, Kernel::read());
        *axis = next;
        moved.filter(|_| self.simulated.is_none())
    }

    /// Real time until `time` on the axis; zero if it has passed.
    pub fn until(&self, time: Timestamp) -> std::time::Duration {
        let millis = u64::try_from(time.millis_since(self.now().at)).unwrap_or(0);
        let duration = std::time::Duration::from_millis(millis);
        self.simulated.map_or(duration, |line| duration.div_f64(line.rate()))
    }

    /// Writes down that the present time has passed, so that a boot without a clock starts from it.
    pub fn save(&self) -> Result<(), ClockError> {
        let now = self.now();
        let axis = *self.axis.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = Saved {
            boot: self.boot,
            kernel_boot: self.kernel_boot.clone(),
            floor: if self.simulated.is_some() {
                Timestamp::EPOCH
            } else {
                now.at
            },
            unset_base: (axis.quality == ClockQuality::Unset).then_some(axis.base),
        };
        store(&self.file, &saved)
    }
}

/// The axis at start.
fn first_axis(kernel: Kernel, floor: Timestamp, unset_base: Option<Timestamp>) -> Axis {
    if kernel.synchronised {
        return Axis {
            base: kernel.wall.plus_millis(-kernel.mono_ms),
            quality: ClockQuality::Synced,
        };
    }
    let base = unset_base.unwrap_or_else(|| kernel.wall.max(floor).plus_millis(-kernel.mono_ms));
    Axis {
        base,
        quality: ClockQuality::Unset,
    }
}

/// One look at the kernel's clock: the new axis, and by how much it moved if that is to be told.
fn follow(axis: Axis, kernel: Kernel) -> (Axis, Option<i64>) {
    let wall_base = kernel.wall.plus_millis(-kernel.mono_ms);
    let drift = wall_base.millis_since(axis.base);
    match (axis.quality, kernel.synchronised) {
        (ClockQuality::Unset, true) => (
            Axis {
                base: wall_base,
                quality: ClockQuality::Synced,
            },
            Some(drift),
        ),
        (ClockQuality::Unset, false) => (axis, None),
        (_, true) if drift.abs() > STEP_MS => (
            Axis {
                base: wall_base,
                quality: ClockQuality::Synced,
            },
            Some(drift),
        ),
        (_, true) => (
            Axis {
                quality: ClockQuality::Synced,
                ..axis
            },
            None,
        ),
        (_, false) => (
            Axis {
                quality: ClockQuality::Holdover,
                ..axis
            },
            None,
        ),
    }
}

fn load(file: &Path) -> Result<Option<Saved>, ClockError> {
    match std::fs::read(file) {
        Ok(bytes) => Ok(serde_json::from_slice(&bytes)
            .inspect_err(
                |error| tracing::warn!(file = %file.display(), %error, "clock file is damaged; counting boots anew"),
            )
            .ok()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ClockError {
            action: "read",
            path: file.to_owned(),
            source,
        }),
    }
}

fn store(file: &Path, saved: &Saved) -> Result<(), ClockError> {
    let temporary = file.with_extension("new");
    let write = || -> std::io::Result<()> {
        use std::io::Write;
        let mut open = std::fs::File::create(&temporary)?;
        open.write_all(&serde_json::to_vec(saved)?)?;
        open.sync_all()?;
        std::fs::rename(&temporary, file)?;
        std::fs::File::open(file.parent().unwrap_or(Path::new(".")))?.sync_all()
    };
    write().map_err(|source| ClockError {
        action: "write",
        path: file.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(mono_s: i64, wall: &str, synchronised: bool) -> Kernel {
        Kernel {
            mono_ms: mono_s * 1_000,
            wall: wall.parse().unwrap(),
            synchronised,
        }
    }

    #[test]
    fn a_box_that_wakes_in_1970_counts_from_its_floor_and_is_told_by_how_much_it_was_wrong() {
        let floor: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let axis = first_axis(kernel(10, "1970-01-01T00:00:10Z", false), floor, None);
        assert_eq!((axis.quality, axis.base.plus_seconds(10)), (ClockQuality::Unset, floor));
        let (axis, moved) = follow(axis, kernel(20, "1970-01-01T00:00:20Z", false));
        assert_eq!(moved, None);
        let (axis, moved) = follow(axis, kernel(70, "2026-01-05T03:01:00Z", true));
        assert_eq!(moved, Some(3 * 3_600_000), "at 70 s the floor axis said 00:01:00");
        assert_eq!(axis.quality, ClockQuality::Synced);
    }

    #[test]
    fn a_restart_in_the_same_unsynchronised_boot_keeps_its_axis() {
        let base: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let axis = first_axis(
            kernel(500, "2031-01-01T00:00:00Z", false),
            base.plus_seconds(900),
            Some(base),
        );
        assert_eq!(axis.base, base);
    }

    #[test]
    fn losing_synchronisation_is_holdover_and_a_step_is_told_but_jitter_is_not() {
        let axis = first_axis(kernel(0, "2026-01-05T00:00:00Z", true), Timestamp::EPOCH, None);
        let (axis, moved) = follow(axis, kernel(10, "2026-01-05T00:00:10.400Z", true));
        assert_eq!(moved, None);
        let (axis, moved) = follow(axis, kernel(20, "2031-01-05T00:00:20Z", false));
        assert_eq!(
            (axis.quality, moved),
            (ClockQuality::Holdover, None),
            "an unsynchronised step is not believed"
        );
        let (_, moved) = follow(axis, kernel(30, "2026-01-05T00:05:30Z", true));
        assert_eq!(moved, Some(300_000));
    }

    #[test]
    fn boots_are_counted_and_a_damaged_file_does_not_stop_the_box() {
        let dir = tempfile::tempdir().unwrap();
        let first = Clock::start(dir.path(), None).unwrap();
        let again = Clock::start(dir.path(), None).unwrap();
        assert_eq!(first.now().boot, again.now().boot, "the same kernel boot");
        std::fs::write(dir.path().join("clock"), b"\0\0noise").unwrap();
        assert_eq!(Clock::start(dir.path(), None).unwrap().now().boot, BootId(1));
    }
}

//! The state of one camera that its streams, connections and commands share.
//!
//! The threads of the streams ask for the fault and the scene before each frame and say afterwards which revision of
//! the state the frame shows; a command waits for that, so that its answer means that it has taken effect.

use crate::config::CameraConfig;
use crate::fault::{Fault, LOSS_ONE_IN, TIME_JUMP};
use crate::scene::{Scene, VehicleClass};
use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Longest wait for the streams to show a change; then the command is answered anyway.
const EFFECT_WAIT: Duration = Duration::from_secs(2);
/// Longest wait for a media to close before a new one is asked for.
const CLOSING_WAIT: Duration = Duration::from_secs(5);
/// Units of an RTP timestamp of video in a second (RFC 6184, RFC 7798).
const RTP_UNITS_PER_SECOND: u64 = 90_000;

/// One camera.
#[derive(Debug)]
pub struct Camera {
    config: CameraConfig,
    state: Mutex<State>,
    changed: Condvar,
}

/// A running stream of a camera, as long as it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunningId(u64);

#[derive(Debug)]
struct State {
    fault: Fault,
    scene: Scene,
    revision: u64,
    /// Which revision each running stream shows.
    shown: BTreeMap<RunningId, u64>,
    next_running: u64,
    time_jumps: u32,
    random: u32,
    closing: u32,
    stats: BTreeMap<String, StreamStats>,
}

/// What was sent or received on one path.
#[derive(Debug, Clone, Copy, Default, serde::Serialize)]
pub struct StreamStats {
    /// Access units.
    pub frames: u64,
    /// Access units that are keyframes.
    pub keyframes: u64,
    /// Bytes of access units sent, or of RTP packets received.
    pub bytes: u64,
}

/// State of a camera at one moment.
#[derive(Debug, Clone)]
pub struct Moment {
    /// The fault.
    pub fault: Fault,
    /// The vehicles.
    pub scene: Scene,
    /// Grows with each change of fault or scene.
    pub revision: u64,
}

impl Camera {
    /// A healthy camera that looks at free spaces.
    pub fn new(config: CameraConfig) -> Self {
        let state = State {
            fault: Fault::None,
            scene: Scene::new(&config.spaces),
            revision: 1,
            shown: BTreeMap::new(),
            next_running: 0,
            time_jumps: 0,
            random: 0x1234_5678,
            closing: 0,
            stats: BTreeMap::new(),
        };
        Self {
            config,
            state: Mutex::new(state),
            changed: Condvar::new(),
        }
    }

    /// The configuration of the camera.
    pub fn config(&self) -> &CameraConfig {
        &self.config
    }

    /// A thread that panicked has left no half-made change, so the state is taken as it is.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The fault at the moment.
    pub fn fault(&self) -> Fault {
        self.state().fault
    }

    /// Fault and scene.
    pub fn moment(&self) -> Moment {
        let state = self.state();
        Moment {
            fault: state.fault,
            scene: state.scene.clone(),
            revision: state.revision,
        }
    }

    /// Begins or ends a fault.
    pub fn set_fault(&self, fault: Fault) {
        let mut state = self.state();
        state.fault = fault;
        state.revision += 1;
        if fault == Fault::TimeJump {
            state.time_jumps = state.time_jumps.wrapping_add(1);
        }
        self.changed.notify_all();
    }

    /// Lets a vehicle appear in a space or disappear; false if there is no such space.
    pub fn set_space(&self, space: &str, vehicle: Option<VehicleClass>) -> bool {
        let mut state = self.state();
        let known = match vehicle {
            Some(class) => state.scene.occupy(space, class),
            None => state.scene.vacate(space),
        };
        state.revision += 1;
        known
    }

    /// Waits until all running streams show the latest change; false if that took too long.
    pub fn wait_until_shown(&self) -> bool {
        let state = self.state();
        let wanted = state.revision;
        let behind = |state: &mut State| state.shown.values().any(|&shown| shown < wanted);
        let waited = self.changed.wait_timeout_while(state, EFFECT_WAIT, behind);
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    /// Waits as long as the camera is stalled.
    pub fn wait_while_stalled(&self) {
        let waited = self
            .changed
            .wait_while(self.state(), |state| state.fault == Fault::Stall);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Says that a media begins to close.
    pub fn begin_closing(&self) {
        self.state().closing += 1;
    }

    /// Says that a media has closed.
    pub fn end_closing(&self) {
        let mut state = self.state();
        state.closing = state.closing.saturating_sub(1);
        self.changed.notify_all();
    }

    /// Waits until no media closes.
    ///
    /// The server library answers 503 to a client that asks for a shared media which is just being closed, and that is
    /// when a client connects again at once.
    pub fn wait_while_closing(&self) {
        let waited = self
            .changed
            .wait_timeout_while(self.state(), CLOSING_WAIT, |state| state.closing > 0);
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }

    /// Enters a stream that runs from now on.
    pub fn begin_running(&self) -> RunningId {
        let mut state = self.state();
        let id = RunningId(state.next_running);
        state.next_running += 1;
        let revision = state.revision;
        state.shown.insert(id, revision);
        id
    }

    /// Says which revision a running stream shows.
    pub fn shows(&self, id: RunningId, revision: u64) {
        self.state().shown.insert(id, revision);
        self.changed.notify_all();
    }

    /// Removes a stream that does not run any more.
    pub fn end_running(&self, id: RunningId) {
        self.state().shown.remove(&id);
        self.changed.notify_all();
    }

    /// How much RTP timestamps are ahead because of time jumps.
    pub fn rtp_offset(&self) -> u32 {
        let units = u64::from(self.state().time_jumps) * TIME_JUMP.as_secs() * RTP_UNITS_PER_SECOND;
        u32::try_from(units % (1 << 32)).unwrap_or(0)
    }

    /// Decides whether the next packet is lost.
    pub fn loses_packet(&self) -> bool {
        let mut state = self.state();
        state.random = state.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.fault == Fault::Loss && (state.random >> 8).is_multiple_of(LOSS_ONE_IN)
    }

    /// Counts frames of a path.
    pub fn count(&self, path: &str, frames: u64, keyframes: u64, bytes: usize) {
        let mut state = self.state();
        let stats = state.stats.entry(path.to_owned()).or_default();
        stats.frames += frames;
        stats.keyframes += keyframes;
        stats.bytes += u64::try_from(bytes).unwrap_or(0);
    }

    /// What was counted, by path.
    pub fn stats(&self) -> BTreeMap<String, StreamStats> {
        self.state().stats.clone()
    }
}

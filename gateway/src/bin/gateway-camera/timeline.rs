//! From a camera's timestamps to the box's time.
//!
//! A camera's clock is never trusted: it drifts, jumps by hours and starts anywhere. Its timestamps are trusted for what
//! lies between two frames only. So the first frame is put at its time of receipt, and the following ones where the
//! camera's timestamps say, as long as these agree with receipt within [`JUMP_NS`]. The network can only delay, so the
//! least delay seen in [`WINDOW_NS`] is taken for none, and the axis is moved there, by at most [`SLEW_NS`] a window.

/// A difference between the camera's timestamps and times of receipt above this is a jump.
const JUMP_NS: i64 = 5_000_000_000;
/// Length of a window in which the least delay is looked for.
const WINDOW_NS: u64 = 30_000_000_000;
/// The most by which the axis is moved after a window.
const SLEW_NS: i64 = 20_000_000;

/// Where a frame lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// Time on the box's axis, `CLOCK_BOOTTIME` nanoseconds.
    pub at_ns: u64,
    /// The camera's timestamps jumped here, and the jump was taken out.
    pub jumped: bool,
}

/// The mapping of one connection.
#[derive(Debug, Default)]
pub struct Timeline {
    anchored: Option<Anchored>,
}

#[derive(Debug)]
#[allow(clippy::struct_field_names)] // the unit stands last in the name
struct Anchored {
    /// Box's time minus camera's time.
    offset_ns: i64,
    window_from_ns: u64,
    least_delay_ns: i64,
}

impl Timeline {
    /// Places a frame with the camera's timestamp `camera_ns` that was received at `received_ns`.
    pub fn place(&mut self, camera_ns: i64, received_ns: u64) -> Placed {
        let received = i64::try_from(received_ns).unwrap_or(i64::MAX);
        let Some(anchored) = &mut self.anchored else {
            self.anchored = Some(Anchored::at(camera_ns, received, received_ns));
            return Placed {
                at_ns: received_ns,
                jumped: false,
            };
        };
        let delay_ns = received.saturating_sub(camera_ns.saturating_add(anchored.offset_ns));
        if delay_ns.saturating_abs() > JUMP_NS {
            *anchored = Anchored::at(camera_ns, received, received_ns);
            return Placed {
                at_ns: received_ns,
                jumped: true,
            };
        }
        anchored.least_delay_ns = anchored.least_delay_ns.min(delay_ns);
        if received_ns.saturating_sub(anchored.window_from_ns) >= WINDOW_NS {
            let slew = anchored.least_delay_ns.clamp(-SLEW_NS, SLEW_NS);
            anchored.offset_ns = anchored.offset_ns.saturating_add(slew);
            anchored.window_from_ns = received_ns;
            anchored.least_delay_ns = i64::MAX;
        }
        let at = camera_ns.saturating_add(anchored.offset_ns);
        Placed {
            at_ns: u64::try_from(at).unwrap_or(0),
            jumped: false,
        }
    }
}

impl Anchored {
    fn at(camera_ns: i64, received: i64, window_from_ns: u64) -> Self {
        Self {
            offset_ns: received.saturating_sub(camera_ns),
            window_from_ns,
            least_delay_ns: i64::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn at(timeline: &mut Timeline, camera_ms: i64, received_ms: u64) -> (u64, bool) {
        let placed = timeline.place(camera_ms * 1_000_000, received_ms * 1_000_000);
        (placed.at_ns / 1_000_000, placed.jumped)
    }

    #[test]
    fn frames_keep_the_distances_that_the_camera_gave_them() {
        let mut timeline = Timeline::default();
        assert_eq!(at(&mut timeline, 500, 10_000), (10_000, false));
        assert_eq!(at(&mut timeline, 540, 10_055), (10_040, false));
        assert_eq!(at(&mut timeline, 580, 10_081), (10_080, false));
        assert_eq!(at(&mut timeline, 620, 10_400), (10_120, false));
    }

    #[test]
    fn a_jump_of_hours_either_way_is_taken_out() {
        let mut timeline = Timeline::default();
        assert_eq!(at(&mut timeline, 0, 10_000), (10_000, false));
        assert_eq!(at(&mut timeline, 10_800_000, 10_040), (10_040, true));
        assert_eq!(at(&mut timeline, 10_800_040, 10_080), (10_080, false));
        assert_eq!(at(&mut timeline, 80, 10_120), (10_120, true));
    }

    #[test]
    fn a_pause_of_the_camera_is_no_jump_when_its_timestamps_tell_it() {
        let mut timeline = Timeline::default();
        assert_eq!(at(&mut timeline, 0, 10_000), (10_000, false));
        assert_eq!(at(&mut timeline, 60_000, 70_010), (70_010, false));
    }

    #[test]
    fn a_camera_whose_clock_runs_slow_is_followed() {
        let mut timeline = Timeline::default();
        let mut furthest = 0;
        for frame in 0..100_000_u64 {
            let received = frame * SECOND / 25;
            // 100 parts in a million slow: 9 seconds a day.
            let camera = i64::try_from(received - received / 10_000).unwrap();
            let placed = timeline.place(camera, received);
            furthest = furthest.max(received.abs_diff(placed.at_ns));
            assert!(!placed.jumped);
        }
        assert!(furthest < 10_000_000, "{furthest} ns away");
    }

    #[test]
    fn absurd_timestamps_panic_nothing() {
        let mut timeline = Timeline::default();
        for camera in [0, i64::MAX, i64::MIN, -1, i64::MAX - 1] {
            for received in [0, u64::MAX, 1] {
                timeline.place(camera, received);
            }
        }
    }
}

//! One space as a camera's events show it. Pure: alerts and time in, readings out.
//!
//! Cameras tell of presence in two ways: an event that is repeated while something is there, and an event each when something
//! comes and goes. A camera says something all the time, if only that an event does not go on; while it does, what it said last
//! holds, and when it does not, the space is unknown.

use std::time::Duration;

use parking::{Reading, SensorId, Stamp};
use serde::Deserialize;

use super::super::Voice;
use super::alert::Alert;

/// Events by which a camera says that it sees nothing, while they are active.
const BLIND: [&str; 3] = ["videoloss", "shelteralarm", "tamperdetection"];
/// Whoever was not heard for so long may have had something to say that nobody heard.
const GLANCE: Duration = Duration::from_secs(30);

/// What a camera's events mean.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Events {
    /// Events that are repeated while a vehicle is there.
    pub while_present: Vec<String>,
    /// Events that tell that one came.
    pub came: Vec<String>,
    /// Events that tell that it went.
    pub went: Vec<String>,
    /// A repeated event that has not come for so long goes on no more, seconds.
    pub quiet_s: u32,
    /// A camera that has said nothing for so long is not there, seconds.
    pub silent_s: u32,
}

impl Events {
    /// Whether they make sense together.
    ///
    /// # Errors
    /// What does not.
    pub fn check(&self) -> Result<(), String> {
        let (present, pair) = (
            !self.while_present.is_empty(),
            !self.came.is_empty() && !self.went.is_empty(),
        );
        if self.came.is_empty() != self.went.is_empty() || !present && !pair {
            return Err("name events in while_present, or in both came and went".to_owned());
        }
        if present && !(1..=600).contains(&self.quiet_s) {
            return Err("quiet_s: write 1 to 600".to_owned());
        }
        // After 2.5 of the box's heartbeats the tracker takes a space for unknown.
        if !(5..=150).contains(&self.silent_s) || self.silent_s <= self.quiet_s {
            return Err("silent_s: write 5 to 150, and more than quiet_s".to_owned());
        }
        Ok(())
    }
}

/// A space.
#[derive(Debug)]
pub struct Watch {
    events: &'static Events,
    channel: u32,
    region: Option<String>,
    voice: Voice,
    is_occupied: Option<bool>,
    /// Since when the camera has been heard without a pause, milliseconds.
    since_ms: Option<u64>,
    /// When it was heard last.
    heard_ms: Option<u64>,
    /// When something was there last, by a repeated event.
    present_ms: Option<u64>,
    /// The camera says that it sees nothing.
    is_blind: bool,
}

impl Watch {
    /// A space in a region of a camera's picture, or in all of it.
    pub fn new(sensor: SensorId, events: &'static Events, channel: u32, region: Option<String>) -> Self {
        Self {
            events,
            channel,
            region,
            voice: Voice::new(sensor),
            is_occupied: None,
            since_ms: None,
            heard_ms: None,
            present_ms: None,
            is_blind: false,
        }
    }

    /// The camera has said something.
    pub fn hears(&mut self, now: Stamp, alert: &Alert) -> Option<Reading> {
        self.is_heard(now);
        let is = |events: &[String]| events.contains(&alert.event);
        let is_channel = alert.channel.is_none_or(|channel| channel == self.channel);
        if is_channel && BLIND.contains(&alert.event.as_str()) {
            if alert.is_active {
                self.lost_sight();
            }
            self.is_blind = alert.is_active;
        }
        if self.is_blind {
            return None;
        }
        let is_region = self.region.as_ref().is_none_or(|region| alert.regions.contains(region));
        let is_here = is_channel && is_region;
        let told = match alert.is_active {
            _ if !is_here => None,
            true if is(&self.events.while_present) => {
                self.present_ms = Some(now.mono_ms);
                Some(true)
            }
            false if is(&self.events.while_present) => {
                self.present_ms = None;
                Some(false)
            }
            true if is(&self.events.came) => Some(true),
            true if is(&self.events.went) => Some(false),
            _ => None,
        };
        match told {
            Some(is_occupied) if self.is_occupied.replace(is_occupied) != Some(is_occupied) => {
                Some(self.voice.changed(now, is_occupied, Duration::ZERO))
            }
            _ => self.holds(now),
        }
    }

    /// Time goes by: a camera that is silent for too long is not there. Tells whether it has just been lost.
    pub fn look(&mut self, now: Stamp) -> bool {
        let silent_ms = u64::from(self.events.silent_s) * 1_000;
        let is_lost = self
            .heard_ms
            .is_some_and(|heard| now.mono_ms.saturating_sub(heard) > silent_ms);
        if is_lost {
            self.lost_sight();
        }
        is_lost
    }

    /// The camera is not heard any more: whatever it shows next may have been so for long.
    pub fn lost_sight(&mut self) {
        self.voice.lost_sight();
        (self.is_occupied, self.since_ms, self.heard_ms, self.present_ms) = (None, None, None, None);
    }

    fn is_heard(&mut self, now: Stamp) {
        self.look(now);
        let quiet = Duration::from_secs(u64::from(self.events.quiet_s));
        let gap = Duration::from_millis(self.heard_ms.map_or(0, |heard| now.mono_ms.saturating_sub(heard)));
        if gap >= GLANCE || !self.events.while_present.is_empty() && gap >= quiet {
            // What it shows now may have been so for long, and that it said nothing means nothing.
            self.voice.lost_sight();
            self.present_ms = self.present_ms.map(|_| now.mono_ms);
            self.since_ms = Some(now.mono_ms);
        }
        self.since_ms.get_or_insert(now.mono_ms);
        self.heard_ms = Some(now.mono_ms);
    }

    /// What was said last, as it holds now that the camera is heard.
    fn holds(&mut self, now: Stamp) -> Option<Reading> {
        let quiet_ms = u64::from(self.events.quiet_s) * 1_000;
        let ago = |since_ms: u64| Duration::from_millis(now.mono_ms.saturating_sub(since_ms));
        if !self.events.while_present.is_empty() {
            let last_ms = self.present_ms.or(self.since_ms).unwrap_or(now.mono_ms);
            let is_quiet = now.mono_ms.saturating_sub(last_ms) >= quiet_ms;
            let may_be_free = match self.is_occupied {
                // By a repeated event only; what came by an event of its own goes by one.
                Some(true) => self.present_ms.is_some(),
                Some(false) => false,
                None => self.events.came.is_empty(),
            };
            if is_quiet && may_be_free {
                self.present_ms = None;
                self.is_occupied = Some(false);
                return Some(self.voice.changed(now, false, ago(last_ms)));
            }
        }
        let is_occupied = self.is_occupied?;
        let certain_ms = self.present_ms.filter(|_| is_occupied).unwrap_or(now.mono_ms);
        self.voice.still(now, is_occupied, ago(certain_ms))
    }
}

#[cfg(test)]
mod tests {
    use ReportKind::{Heartbeat, Status};
    use parking::{BootId, ClockQuality, ReportKind, Timestamp};

    use super::*;

    fn events(text: &str) -> &'static Events {
        let events: Events = toml::from_str(text).unwrap();
        events.check().unwrap();
        Box::leak(Box::new(events))
    }

    struct Space {
        watch: Watch,
        now_s: u64,
        said: Vec<(ReportKind, bool, u64)>,
    }

    impl Space {
        fn new(text: &str) -> Self {
            Self {
                watch: Watch::new(SensorId::new("k-1").unwrap(), events(text), 1, Some("3".to_owned())),
                now_s: 1_000,
                said: Vec::new(),
            }
        }

        fn after(&mut self, seconds: u64, event: &str, is_active: bool, region: &str) {
            self.now_s += seconds;
            let now = Stamp {
                at: Timestamp::from_millis(i64::try_from(self.now_s).unwrap() * 1_000),
                boot: BootId(1),
                mono_ms: self.now_s * 1_000,
                clock: ClockQuality::Synced,
            };
            let alert = Alert {
                event: event.to_owned(),
                is_active,
                channel: Some(1),
                regions: vec![region.to_owned()],
            };
            if let Some(reading) = self.watch.hears(now, &alert) {
                let at = u64::try_from(reading.observed.as_seconds()).unwrap();
                self.said
                    .push((reading.report.kind, reading.report.occupied.unwrap(), at));
            }
        }

        fn beats(&mut self, times: u32, seconds: u64) {
            for _ in 0..times {
                self.after(seconds, "videoloss", false, "");
            }
        }
    }

    const PAIR: &str = "came = ['regionEntrance']\nwent = ['regionExiting']\nsilent_s = 60";
    const REPEATED: &str = "while_present = ['fielddetection']\nquiet_s = 10\nsilent_s = 120";

    #[test]
    fn a_vehicle_comes_and_goes_by_an_event_each_and_meanwhile_it_is_there() {
        let mut space = Space::new(PAIR);
        space.beats(3, 10);
        assert!(space.said.is_empty(), "nobody knows yet: {:?}", space.said);
        space.after(10, "regionEntrance", true, "3");
        space.after(1, "regionEntrance", false, "3");
        space.beats(12, 10);
        space.after(5, "regionExiting", true, "2");
        space.after(5, "regionExiting", true, "3");
        space.beats(6, 10);
        let said = [
            (Heartbeat, true, 1_040),
            (Heartbeat, true, 1_101),
            (Heartbeat, true, 1_161),
            (Status, false, 1_171),
            (Heartbeat, false, 1_231),
        ];
        assert_eq!(space.said, said);
    }

    #[test]
    fn a_repeated_event_that_stops_leaves_the_space_free_from_when_it_was_last_there() {
        let mut space = Space::new(REPEATED);
        space.beats(4, 5);
        for _ in 0..4 {
            space.after(5, "fielddetection", true, "3");
        }
        space.beats(1, 4);
        space.beats(1, 7);
        let said = [(Heartbeat, false, 1_005), (Status, true, 1_025), (Status, false, 1_040)];
        assert_eq!(space.said, said);
    }

    #[test]
    fn a_repeated_event_that_is_said_to_be_over_is() {
        let mut space = Space::new(REPEATED);
        space.after(5, "fielddetection", true, "3");
        space.after(3, "fielddetection", false, "3");
        assert_eq!(space.said, [(Heartbeat, true, 1_005), (Status, false, 1_008)]);
    }

    #[test]
    fn a_camera_that_was_silent_says_nothing_of_what_it_saw_before() {
        let mut space = Space::new(PAIR);
        space.after(5, "regionEntrance", true, "3");
        space.beats(1, 61);
        assert_eq!(space.said.len(), 1, "{:?}", space.said);
        space.after(5, "regionExiting", true, "3");
        assert_eq!(space.said[1], (Heartbeat, false, 1_071), "no change that was seen");
    }

    #[test]
    fn silence_is_no_absence() {
        let mut space = Space::new(REPEATED);
        space.beats(4, 5);
        space.after(5, "fielddetection", true, "3");
        // The link is down, and the camera repeats what nobody hears.
        space.beats(1, 90);
        space.after(1, "fielddetection", true, "3");
        let told: Vec<(ReportKind, bool)> = space.said.iter().map(|(kind, state, _)| (*kind, *state)).collect();
        let expected = [(Heartbeat, false), (Status, true), (Heartbeat, true)];
        assert_eq!(told, expected, "{:?}", space.said);
    }

    #[test]
    fn what_changed_while_the_camera_was_not_heard_was_not_seen_to_change() {
        let mut space = Space::new(PAIR);
        space.beats(2, 10);
        space.after(10, "regionEntrance", true, "3");
        space.beats(1, 10);
        space.after(45, "regionExiting", true, "3");
        let last = space.said.last();
        assert_eq!(last, Some(&(Heartbeat, false, 1_085)), "{:?}", space.said);
    }

    #[test]
    fn a_camera_that_says_that_it_sees_nothing_is_believed() {
        let mut space = Space::new(PAIR);
        space.after(5, "regionEntrance", true, "3");
        space.after(5, "videoloss", true, "");
        for _ in 0..20 {
            space.after(10, "shelteralarm", true, "");
        }
        assert_eq!(space.said.len(), 1, "{:?}", space.said);
        space.after(5, "videoloss", false, "");
        space.after(5, "regionExiting", true, "3");
        assert_eq!(space.said.len(), 2, "{:?}", space.said);
        assert_eq!(space.said[1].0, Heartbeat);
    }

    #[test]
    fn another_camera_of_the_recorder_is_another_space() {
        let mut space = Space::new(PAIR);
        space.watch.channel = 2;
        space.after(5, "regionEntrance", true, "3");
        assert!(space.said.is_empty());
    }

    #[test]
    fn events_that_make_no_sense_are_refused() {
        for (text, told) in [
            ("silent_s = 60", "name events"),
            ("came = ['a']\nsilent_s = 60", "both came and went"),
            ("while_present = ['a']\nsilent_s = 60", "quiet_s"),
            ("while_present = ['a']\nquiet_s = 60\nsilent_s = 60", "silent_s"),
            ("came = ['a']\nwent = ['b']", "silent_s"),
        ] {
            let events: Events = toml::from_str(text).unwrap();
            assert!(events.check().unwrap_err().contains(told), "{text}");
        }
    }
}

//! Tests that read as timetables: what comes in at what time, and behind `>` what must come out, and nothing else.
//!
//! ```text
//! 07:00 A1 occupied
//! 08:10 A1 free
//! 08:11:30 > session 1 A1 07:00-08:10 parked 2000
//! ```
//!
//! Times are civil time of 2026-01-05; `+1/07:00` is the next day. An input is `<arrival> <space> <words>`:
//! `occupied` or `free`; `heartbeat`, `startup`, `counters` or `alive` when it is no status; `seen <time>` when it is
//! older than its arrival; `prev 5`, `prev 90-94`, `prev 660+` minutes; `changes 12`; `frame 7`, or `frame none`;
//! `message m1`; `by s-B` when another sensor than `s-<space>` speaks. A picture is `<arrival> <space> picture <camera>`,
//! with `seen <time>` when it was taken before. Also `start` and `tick`.
//!
//! Between the lines the timetable ticks at every deadline. Every step of every timetable is checked for what must
//! always hold, see [`Timetable::step`].

#![allow(dead_code)] // each test crate uses a part of this

use std::collections::BTreeMap;
use std::num::NonZeroU32;

use parking::{
    Binding, BootId, ClassFee, ClockQuality, Counted, Counter, Counting, EdgeDoubt, FeeRule, Input, Interval, Moment,
    Occupancy, Outcome, Picture, PreviousState, Reading, Record, RecordBody, Report, ReportKind, Rupiah, Sampling,
    SensorErrors, SensorTraits, Session, SessionRules, SessionStatus, Site, SiteTracker, Space, Stamp, TariffSchedule,
    TimeBounds, Timestamp, Timezone, Usage, VehicleClass, Zone,
};

/// Midnight of 2026-01-05, Western Indonesian Time.
pub fn midnight() -> Timestamp {
    "2026-01-05T00:00:00+07:00".parse().unwrap()
}

/// `07:00`, `07:00:30` or `+1/07:00`.
pub fn time(text: &str) -> Timestamp {
    let (days, clock) = match text.strip_prefix('+') {
        Some(rest) => rest.split_once('/').map(|(d, c)| (d.parse().unwrap(), c)).unwrap(),
        None => (0, text),
    };
    let parts: Vec<i64> = clock.split(':').map(|part| part.parse().unwrap()).collect();
    let seconds = parts[0] * 3_600 + parts[1] * 60 + parts.get(2).copied().unwrap_or(0);
    midnight().plus_seconds(i64::from(days) * 86_400 + seconds)
}

/// The inverse of [`time`]; times outside the week are printed in full.
pub fn clock(at: Timestamp) -> String {
    let seconds = at.seconds_since(midnight());
    if !(0..7 * 86_400).contains(&seconds) || at != at.floor_to_second() {
        return at.to_string();
    }
    let day = match seconds / 86_400 {
        0 => String::new(),
        days => format!("+{days}/"),
    };
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    match second {
        0 => format!("{day}{hour:02}:{minute:02}"),
        _ => format!("{day}{hour:02}:{minute:02}:{second:02}"),
    }
}

/// A zone `Z` with the given car spaces, each watched by `s-<space>` with an hourly heartbeat since 06:00, at a flat
/// 2,000. Sensors have queues of their own.
pub fn site(spaces: &[&str]) -> Site {
    Site {
        gateway: "box".parse().unwrap(),
        timezone: Timezone::Wib,
        day_cutoff_minutes: 0,
        zones: vec![Zone {
            id: "Z".parse().unwrap(),
            name: "Jalan Sudirman".to_owned(),
            rules: SessionRules::default(),
        }],
        spaces: spaces.iter().map(|id| space(id)).collect(),
        sensors: spaces.iter().map(|id| sensor(&format!("s-{id}"))).collect(),
        bindings: spaces
            .iter()
            .map(|id| binding(&format!("s-{id}"), id, "06:00"))
            .collect(),
        counters: Vec::new(),
        tariffs: vec![tariff("T1", FeeRule::Flat { fee: Rupiah(2_000) })],
    }
}

/// Zone `Z` without spaces: `s-L` counts motorcycles since 06:00 and tells a total of 16 bits at least once an hour; 900 of
/// 1,000 pay 1,000 each, give or take 10 %.
pub fn line() -> Site {
    let mut site = site(&[]);
    site.sensors = vec![SensorTraits {
        counts: Some(Counting {
            modulus: NonZeroU32::new(65_536),
        }),
        ..sensor("s-L")
    }];
    site.counters = vec![Counter {
        sensor: "s-L".parse().unwrap(),
        zone: "Z".parse().unwrap(),
        class: VehicleClass::Motorcycle,
        latitude: -6.2,
        longitude: 106.8,
        during: Interval {
            from: time("06:00"),
            until: None,
        },
        vehicles: Sampling {
            vehicles_per_1000: 900,
            error_percent: 10,
        },
    }];
    site.tariffs[0].fees[0].class = VehicleClass::Motorcycle;
    site.tariffs[0].fees[0].rule = FeeRule::Flat { fee: Rupiah(1_000) };
    site
}

/// A car space in zone `Z`.
pub fn space(id: &str) -> Space {
    Space {
        id: id.parse().unwrap(),
        zone: "Z".parse().unwrap(),
        class: VehicleClass::Car,
        latitude: -6.2,
        longitude: 106.8,
        closed: Vec::new(),
    }
}

/// A sensor with an hourly heartbeat and a queue of its own.
pub fn sensor(id: &str) -> SensorTraits {
    SensorTraits {
        id: id.parse().unwrap(),
        heartbeat_s: 3_600,
        queued: true,
        on_change: false,
        errors: SensorErrors::default(),
        counts: None,
    }
}

/// An open-ended binding from `from` on.
pub fn binding(sensor: &str, space: &str, from: &str) -> Binding {
    Binding {
        sensor: sensor.parse().unwrap(),
        space: space.parse().unwrap(),
        during: Interval {
            from: time(from),
            until: None,
        },
    }
}

/// A schedule for cars in all zones since 2025.
pub fn tariff(id: &str, rule: FeeRule) -> TariffSchedule {
    TariffSchedule {
        id: id.parse().unwrap(),
        regulation: "Perda 1/2025".to_owned(),
        zones: Vec::new(),
        valid_from: "2025-01-01".parse().unwrap(),
        valid_until: None,
        fees: vec![ClassFee {
            class: VehicleClass::Car,
            grace_s: None,
            rule,
            cap: None,
            once_a_day: false,
        }],
    }
}

/// Bandung's tariff: 3,000 for the first hour, 2,000 for each further one.
pub fn progressive() -> FeeRule {
    FeeRule::Progressive {
        first_s: 3_600,
        first_fee: Rupiah(3_000),
        next_s: 3_600,
        next_fee: Rupiah(2_000),
    }
}

/// A tracker, its clock, and all that it wrote.
pub struct Timetable {
    /// The machine under test.
    pub tracker: SiteTracker,
    /// A second one that is serialised and read back after every step; it must not differ.
    shadow: SiteTracker,
    /// The present.
    pub now: Stamp,
    /// Everything written so far.
    pub records: Vec<Record>,
    /// Lines of occupancy are compared too.
    pub occupancy: bool,
    /// Every step is checked; the checks serialise the whole state.
    pub checks: bool,
    told: usize,
    frames: BTreeMap<String, u32>,
}

impl Timetable {
    /// Begins at 06:00, when the sensors are bound.
    pub fn new(site: &Site) -> Self {
        Self::from("06:00", site)
    }

    /// Begins at a time of the day; the records of the first bindings are not compared.
    pub fn from(begin: &str, site: &Site) -> Self {
        let now = Stamp {
            at: time(begin),
            boot: BootId(1),
            mono_ms: 0,
            clock: ClockQuality::Synced,
        };
        Self::starting(now, site)
    }

    /// Begins at any time of any clock.
    pub fn starting(now: Stamp, site: &Site) -> Self {
        let new = || SiteTracker::new(site.clone(), "t".to_owned());
        let mut table = Self {
            tracker: new(),
            shadow: new(),
            now,
            records: Vec::new(),
            occupancy: false,
            checks: true,
            told: 0,
            frames: BTreeMap::new(),
        };
        table.step(Input::Tick);
        table.told = table.records.len();
        table
    }

    /// Steps, and checks what always holds: an input without effect leaves the state alone, a snapshot loses nothing,
    /// seconds add up, fees are ordered, sessions of a space do not overlap.
    pub fn step(&mut self, input: Input) -> Outcome {
        if !self.checks {
            let outcome = self.tracker.step(self.now, input);
            self.records.extend(outcome.records.iter().cloned());
            return outcome;
        }
        let before = snapshot(&self.tracker);
        let outcome = self.tracker.step(self.now, input.clone());
        let after = snapshot(&self.tracker);
        if !outcome.changed {
            assert!(outcome.records.is_empty(), "records without a change");
            assert_eq!(before, after, "{input:?} changed the state and said it had not");
        }
        let shadow = self.shadow.step(self.now, input);
        assert_eq!(outcome, shadow, "a snapshot lost something");
        self.shadow = serde_json::from_str(&snapshot(&self.shadow)).unwrap();
        assert_eq!(after, snapshot(&self.shadow), "a snapshot is not stable");
        self.records.extend(outcome.records.iter().cloned());
        for record in &outcome.records {
            check_record(record);
        }
        if outcome
            .records
            .iter()
            .any(|record| matches!(record.body, RecordBody::Session(_)))
        {
            check_overlaps(&self.sessions());
        }
        outcome
    }

    /// Moves to `at`, ticking at every deadline on the way.
    pub fn advance(&mut self, at: Timestamp) {
        while let Some(due) = self.tracker.deadline().filter(|due| *due <= at) {
            self.set_now(due.max(self.now.at));
            self.step(Input::Tick);
            let next = self.tracker.deadline();
            assert!(
                next.is_none_or(|next| next > due),
                "the deadline stays at {due}: {next:?}"
            );
        }
        self.set_now(at);
    }

    /// Takes a step at `at`.
    pub fn at(&mut self, at: &str, input: Input) -> Outcome {
        self.advance(time(at));
        self.step(input)
    }

    /// Another configuration from `at` on.
    pub fn site_changes(&mut self, at: &str, site: &Site) {
        self.at(
            at,
            Input::SiteChanged {
                site: Box::new(site.clone()),
                sha256: "abc".to_owned(),
            },
        );
    }

    /// Plays a timetable and compares what comes out with its lines that hold `>`.
    #[track_caller]
    pub fn play(&mut self, text: &str) {
        let expected = self.follow(text);
        let found: Vec<String> = self
            .untold()
            .map(|record| format!("{} > {}", clock(record.written.at), tell(&record.body)))
            .collect();
        self.skip();
        assert!(
            expected == found,
            "\nexpected\n  {}\nfound\n  {}\n",
            expected.join("\n  "),
            found.join("\n  ")
        );
    }

    /// Plays a timetable whatever comes out.
    pub fn feed(&mut self, text: &str) {
        self.follow(text);
        self.skip();
    }

    /// Takes the inputs of a timetable; gives its lines that hold `>`.
    fn follow(&mut self, text: &str) -> Vec<String> {
        let mut expected = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            self.advance(time(words[0]));
            match words[1] {
                ">" => expected.push(words.join(" ")),
                "tick" => {
                    self.step(Input::Tick);
                }
                "start" => {
                    self.step(Input::Started {
                        version: "1".to_owned(),
                    });
                }
                space if words.get(2) == Some(&"picture") => {
                    let picture = self.picture(space, &words[3..]);
                    self.step(Input::Picture(picture));
                }
                space => {
                    let reading = self.reading(space, &words[2..]);
                    self.step(Input::Reading(reading));
                }
            }
        }
        expected
    }

    /// Plays on, whatever was written since the last play.
    #[track_caller]
    pub fn play_from_here(&mut self, text: &str) {
        self.skip();
        self.play(text);
    }

    /// Compares nothing of what was written so far.
    pub fn skip(&mut self) {
        self.told = self.records.len();
    }

    /// What was written since the last play.
    pub fn told(&mut self) -> Vec<String> {
        let found = self.untold().map(|record| tell(&record.body)).collect();
        self.skip();
        found
    }

    fn untold(&self) -> impl Iterator<Item = &Record> {
        let wanted = |record: &&Record| self.occupancy || !matches!(record.body, RecordBody::Occupancy(_));
        self.records[self.told..].iter().filter(wanted)
    }

    /// The last word on every session that is not void, in order of name.
    pub fn sessions(&self) -> Vec<Session> {
        let mut latest = BTreeMap::new();
        for record in &self.records {
            if let RecordBody::Session(session) = &record.body {
                let before: Option<Session> = latest.insert(session.session.clone(), session.clone());
                assert_eq!(session.revision, before.map_or(1, |before| before.revision + 1));
            }
        }
        latest
            .into_values()
            .filter(|session| session.status != SessionStatus::Void)
            .collect()
    }

    /// The last word on every interval.
    pub fn intervals(&self) -> BTreeMap<(String, Timestamp), Occupancy> {
        let mut latest = BTreeMap::new();
        for record in &self.records {
            if let RecordBody::Occupancy(occupancy) = &record.body {
                latest.insert((occupancy.zone.to_string(), occupancy.from), occupancy.clone());
            }
        }
        latest
    }

    /// A reading that arrives now.
    pub fn reading(&mut self, space: &str, words: &[&str]) -> Reading {
        let mut reading = Reading {
            sensor: format!("s-{space}").parse().unwrap(),
            observed: self.now.at,
            received: self.now,
            sequence: None,
            message: None,
            report: Report::default(),
        };
        let mut numbered = false;
        let mut words = words.iter().copied();
        while let Some(word) = words.next() {
            let mut value = || words.next().unwrap();
            match word {
                "occupied" => reading.report.occupied = Some(true),
                "free" => reading.report.occupied = Some(false),
                "heartbeat" => reading.report.kind = ReportKind::Heartbeat,
                "startup" => reading.report.kind = ReportKind::Startup,
                "counters" => reading.report.kind = ReportKind::Counters,
                "alive" => reading.report.kind = ReportKind::Other,
                "seen" => reading.observed = time(value()),
                "prev" => reading.report.previous_state = Some(previous(value())),
                "changes" => {
                    reading.report.usage = Some(Usage {
                        state_changes: Some(value().parse().unwrap()),
                        occupied_seconds: None,
                    });
                }
                "frame" => (numbered, reading.sequence) = (true, value().parse().ok()),
                "count" => {
                    reading.report.count = Some(value().parse().unwrap());
                    if reading.report.kind == ReportKind::Status {
                        reading.report.kind = ReportKind::Count;
                    }
                }
                "message" => reading.message = Some(value().to_owned()),
                "by" => reading.sensor = value().parse().unwrap(),
                other => panic!("no word of a timetable: {other}"),
            }
        }
        if !numbered {
            let frame = self.frames.entry(reading.sensor.to_string()).or_default();
            *frame += 1;
            reading.sequence = Some(*frame);
        }
        reading
    }

    /// A picture that arrives now. One camera takes one picture at a time, and each is another file.
    pub fn picture(&self, space: &str, words: &[&str]) -> Picture {
        let at = match words[1..] {
            ["seen", at] => time(at),
            [] => self.now.at,
            _ => panic!("no words of a picture: {words:?}"),
        };
        let mut sha256 = [0; 32];
        for (byte, letter) in sha256.iter_mut().zip(format!("{}{at}", words[0]).bytes()) {
            *byte = letter;
        }
        Picture {
            space: space.parse().unwrap(),
            camera: words[0].parse().unwrap(),
            at,
            unset: (self.now.clock == ClockQuality::Unset).then_some(self.now.boot),
            sha256: sha256.into(),
        }
    }

    fn set_now(&mut self, at: Timestamp) {
        self.now.mono_ms += u64::try_from(at.millis_since(self.now.at)).unwrap();
        self.now.at = at;
    }
}

/// The whole state.
pub fn snapshot(tracker: &SiteTracker) -> String {
    serde_json::to_string(tracker).unwrap()
}

/// What holds for every record on its own.
pub fn check_record(record: &Record) {
    let line = serde_json::to_string(record).unwrap();
    assert_eq!(&serde_json::from_str::<Record>(&line).unwrap(), record);
    for waste in ["null", "[]", "{}", "\"\""] {
        assert!(!line.contains(waste), "{waste} in {line}");
    }
    match &record.body {
        RecordBody::Session(session) => {
            let fee = session.fee;
            assert!(fee.low <= fee.point && fee.point <= fee.high, "{line}");
            assert!(session.start <= session.end, "{line}");
            for (point, bounds) in [(session.start, session.start_bounds), (session.end, session.end_bounds)] {
                assert_eq!(point, point.floor_to_second(), "{line}");
                if let Some(TimeBounds { earliest, latest }) = bounds {
                    assert!(earliest < latest && earliest <= point && point <= latest, "{line}");
                }
            }
        }
        RecordBody::Occupancy(o) => {
            let total = u64::from(o.spaces) * u64::from(o.interval_s);
            assert_eq!(o.occupied_s + o.free_s + o.unknown_s + o.closed_s, total, "{line}");
        }
        _ => {}
    }
}

/// Two sessions of one space never hold the same moment.
pub fn check_overlaps(sessions: &[Session]) {
    let mut by_space: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for session in sessions {
        by_space
            .entry(&session.space)
            .or_default()
            .push((session.start, session.end));
    }
    for (space, mut spans) in by_space {
        spans.sort_unstable();
        for pair in spans.windows(2) {
            assert!(
                pair[0].1 <= pair[1].0,
                "{space}: {:?} and {:?} overlap",
                pair[0],
                pair[1]
            );
        }
    }
}

fn previous(text: &str) -> PreviousState {
    if let Some(min) = text.strip_suffix('+') {
        return PreviousState {
            minutes_min: min.parse().unwrap(),
            minutes_max: None,
        };
    }
    let (min, max) = text.split_once('-').unwrap_or((text, text));
    PreviousState {
        minutes_min: min.parse().unwrap(),
        minutes_max: Some(max.parse().unwrap()),
    }
}

fn tell(body: &RecordBody) -> String {
    match body {
        RecordBody::Session(session) => tell_session(session),
        RecordBody::Occupancy(o) if o.spaces == 0 => {
            let counted: String = o.counted.iter().map(tell_counted).collect();
            format!("counted {} {}{}{counted}", o.zone, clock(o.from), revision(o.revision))
        }
        RecordBody::Occupancy(o) => format!(
            "occupancy {} {}{} occupied {} free {} unknown {} closed {} in {} out {}",
            o.zone,
            clock(o.from),
            revision(o.revision),
            o.occupied_s,
            o.free_s,
            o.unknown_s,
            o.closed_s,
            o.arrivals,
            o.departures
        ),
        RecordBody::CommsLost { space, since, .. } => format!("lost {space} since {}", clock(*since)),
        RecordBody::CommsRestored { space, heard, .. } => format!("restored {space} at {}", clock(*heard)),
        RecordBody::CounterLost { sensor, zone, since } => format!("lost {sensor} of {zone} since {}", clock(*since)),
        RecordBody::CounterRestored { sensor, zone, heard } => {
            format!("restored {sensor} of {zone} at {}", clock(*heard))
        }
        RecordBody::SensorSuspect { space, hour, flips, .. } => {
            format!("suspect {space} hour {} flips {flips}", clock(*hour))
        }
        RecordBody::Binding {
            sensor,
            space,
            from,
            until,
        } => {
            let until = until
                .map(|until| format!(" until {}", clock(until)))
                .unwrap_or_default();
            format!("binding {sensor} {space} from {}{until}", clock(*from))
        }
        RecordBody::Started { version } => format!("started {version}"),
        RecordBody::TimeCorrection { of_boot, offset_ms } => format!("correction boot {} {offset_ms} ms", of_boot.0),
        RecordBody::ConfigChanged { sha256, .. } => format!("config {sha256}"),
        RecordBody::ReadingSetAside {
            sensor,
            observed,
            reason,
        } => format!("aside {sensor} {}: {reason}", clock(*observed)),
        RecordBody::JournalDamaged { first, next, .. } => format!("damaged {first}..{next}"),
        RecordBody::CameraLost { camera, since, cause } => format!("lost {camera} since {}: {cause}", clock(*since)),
        RecordBody::CameraRestored { camera, since } => format!("restored {camera} since {}", clock(*since)),
        RecordBody::CameraTampered { camera, what, since } => {
            format!("tampered {camera} {what:?} since {}", clock(*since))
        }
        RecordBody::CameraUnsteady { camera, since, changes } => {
            format!("unsteady {camera} since {}: {changes}", clock(*since))
        }
        RecordBody::BoxContact { contact, active, since } => format!("{contact} {active} since {}", clock(*since)),
    }
}

fn tell_counted(counted: &Counted) -> String {
    let edge = |edge: Option<EdgeDoubt>| {
        edge.map(|edge| format!("-{}+{}", edge.fewer, edge.more))
            .unwrap_or_default()
    };
    let least = match counted.at_least {
        0 => String::new(),
        least => format!(" least {least}"),
    };
    format!(
        " {} {}{}..{}{least} known {} unknown {}",
        counted.sensor,
        counted.count,
        edge(counted.at_begin),
        edge(counted.at_end),
        counted.known_s,
        counted.unknown_s
    )
}

fn tell_session(session: &Session) -> String {
    use std::fmt::Write as _;
    let number = session.session.as_str().rsplit('-').next().unwrap();
    let name = |value: serde_json::Value| value.as_str().unwrap().to_owned();
    let mut line = format!(
        "session {number}{} {} {}-{} {}",
        revision(session.revision),
        session.space,
        clock(session.start),
        clock(session.end),
        name(serde_json::to_value(session.status).unwrap())
    );
    let fee = session.fee;
    if fee.low == fee.high {
        write!(line, " {}", fee.point.0).unwrap();
    } else {
        write!(line, " {}/{}/{}", fee.low.0, fee.point.0, fee.high.0).unwrap();
    }
    for (word, bounds) in [("start", session.start_bounds), ("end", session.end_bounds)] {
        if let Some(TimeBounds { earliest, latest }) = bounds {
            write!(line, " {word} {}..{}", clock(earliest), clock(latest)).unwrap();
        }
    }
    for flag in &session.flags {
        write!(line, " {}", name(serde_json::to_value(flag).unwrap())).unwrap();
    }
    for picture in &session.pictures {
        let of = match picture.of {
            Moment::Start => "start",
            Moment::End => "end",
        };
        write!(line, " {of} by {} {}", picture.camera, clock(picture.at)).unwrap();
    }
    let civil = Timezone::Wib.business_day(session.start, 0);
    if session.day != civil {
        write!(line, " day {}", session.day).unwrap();
    }
    line
}

fn revision(revision: u32) -> String {
    match revision {
        1 => String::new(),
        n => format!(" rev {n}"),
    }
}

//! Made-up records that look like a street's, for training the dictionary and measuring batches.
//!
//! Everything follows from a seed: no clock, no randomness of the system.

use std::collections::VecDeque;
use std::error::Error;

use parking::{
    BootId, ClassBasis, ClockQuality, Coverage, FeeRange, Flag, Occupancy, Record, RecordBody, Rupiah, SensorErrors,
    SensorId, Session, SessionId, SessionStatus, SpaceId, TariffId, TimeBounds, Timestamp, Timezone, VehicleClass,
    Written, ZoneId,
};

/// What making records can come to: a name that is none, or JSON that cannot be written.
pub type Outcome<T> = Result<T, Box<dyn Error>>;

/// `SplitMix64` (Steele, Lea, Flood 2014): small, and the same on every machine.
pub struct Random(pub u64);

impl Random {
    /// A number below `bound`.
    pub fn below(&mut self, bound: u32) -> u32 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^= mixed >> 31;
        // The upper half, scaled: always below `bound`, so that the remainder changes nothing.
        let scaled = ((mixed >> 32) * u64::from(bound)) >> 32;
        u32::try_from(scaled).unwrap_or(0)
    }

    /// Milliseconds below `bound`.
    fn millis(&mut self, bound: i64) -> i64 {
        self.below(u32::try_from(bound).unwrap_or(u32::MAX)).into()
    }

    fn one_in(&mut self, times: u32) -> bool {
        self.below(times) == 0
    }

    /// One of `choices`, of which there is at least one.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(u32::try_from(choices.len()).unwrap_or(u32::MAX)) as usize]
    }
}

/// Names and tariffs that streets are made of.
pub struct Words {
    /// Streets, of which gateways and zones have their names.
    pub streets: &'static [&'static str],
    /// The two sides of a street.
    pub sides: &'static [[&'static str; 2]],
    /// What the names of spaces begin with.
    pub prefixes: &'static [&'static str],
    /// Names of tariffs.
    pub tariffs: &'static [&'static str],
    /// First five bytes of the sensors' device EUIs: a maker's block of addresses.
    pub makers: &'static [&'static str],
    /// Flat fees, rupiah.
    pub fees: &'static [i64],
}

struct Zone {
    id: ZoneId,
    tariff: TariffId,
    fee: Rupiah,
    spaces: u32,
}

struct Bay {
    space: SpaceId,
    zone: usize,
    sensor: SensorId,
    frame: u32,
    occupied_since: Option<i64>,
    next_change: i64,
    lost: bool,
}

/// A street whose records come out in the order in which its box would write them. Times are milliseconds since 1970.
pub struct Street {
    random: Random,
    /// What the names of sessions begin with.
    session_prefix: String,
    class: VehicleClass,
    zones: Vec<Zone>,
    bays: Vec<Bay>,
    sessions: u32,
    now: i64,
    boot: u32,
    booted: i64,
    next_interval: i64,
    timezone: Timezone,
    waiting: VecDeque<Record>,
}

const MINUTE: i64 = 60_000;
const DAY: i64 = 1_440 * MINUTE;
const INTERVAL: i64 = 15 * MINUTE;
/// 2026-01-01.
const NEW_YEAR: i64 = 1_767_225_600_000;

impl Street {
    /// A street with as many bays on either side, its names out of `words`.
    pub fn new(seed: u64, words: &Words, bays_a_side: u32) -> Outcome<Self> {
        let mut random = Random(seed);
        let street = random.pick(words.streets);
        let prefix = random.pick(words.prefixes);
        let maker = random.pick(words.makers);
        let now = NEW_YEAR + i64::from(random.below(360)) * DAY + random.millis(DAY);
        let (mut zones, mut bays) = (Vec::new(), Vec::new());
        for (zone, side) in random.pick(words.sides).into_iter().enumerate() {
            zones.push(Zone {
                id: ZoneId::new(format!("{street}-{side}"))?,
                tariff: TariffId::new(random.pick(words.tariffs))?,
                fee: Rupiah(random.pick(words.fees)),
                spaces: bays_a_side,
            });
            for _ in 0..bays_a_side {
                bays.push(Bay {
                    space: SpaceId::new(format!("{prefix}{:03}", bays.len() + 1))?,
                    zone,
                    sensor: SensorId::new(format!("{maker}{:06x}", random.below(1 << 24)))?,
                    frame: random.below(40_000),
                    occupied_since: None,
                    next_change: now + random.millis(40 * MINUTE),
                    lost: false,
                });
            }
        }
        Ok(Self {
            session_prefix: format!("{street}-{:02}-{:04x}", 1 + random.below(4), random.below(1 << 16)),
            class: random.pick(&[VehicleClass::Car, VehicleClass::Car, VehicleClass::Motorcycle]),
            zones,
            bays,
            sessions: random.below(60_000),
            now,
            boot: 1 + random.below(40),
            booted: now - MINUTE - random.millis(40 * DAY),
            next_interval: now - now % INTERVAL + INTERVAL,
            timezone: random.pick(&[Timezone::Wib, Timezone::Wib, Timezone::Wita, Timezone::Wit]),
            waiting: VecDeque::new(),
            random,
        })
    }

    /// The next record as a line of JSON, without a newline.
    pub fn next_line(&mut self) -> Outcome<Vec<u8>> {
        loop {
            match self.waiting.pop_front() {
                Some(record) => return Ok(serde_json::to_vec(&record)?),
                None => self.advance()?,
            }
        }
    }

    fn write(&mut self, body: RecordBody, delay: i64) {
        let at = self.now + delay;
        let synced = !self.random.one_in(60);
        let written = Written {
            at: Timestamp::from_millis(at).floor_to_second(),
            boot: BootId(self.boot),
            mono_s: (at - self.booted).unsigned_abs() / 1_000,
            clock: if synced {
                ClockQuality::Synced
            } else {
                ClockQuality::Holdover
            },
        };
        self.waiting.push_back(Record { body, written });
    }

    /// Moves time to whatever comes next.
    fn advance(&mut self) -> Outcome<()> {
        let next = self.bays.iter().enumerate().min_by_key(|(_, bay)| bay.next_change);
        let (place, change) = next
            .map(|(place, bay)| (place, bay.next_change))
            .ok_or("a street without bays")?;
        if self.next_interval <= change {
            self.now = self.next_interval;
            self.next_interval += INTERVAL;
            self.close_interval();
            return Ok(());
        }
        self.now = change;
        if self.random.one_in(400) {
            self.restart();
        }
        if self.random.one_in(150) {
            self.toggle_comms(place);
        }
        let longest = if self.random.one_in(8) {
            2 * MINUTE
        } else {
            180 * MINUTE
        };
        let bay = &mut self.bays[place];
        bay.frame += 1 + self.random.below(3);
        bay.next_change = change + MINUTE / 2 + self.random.millis(longest);
        match bay.occupied_since.take() {
            None => bay.occupied_since = Some(change),
            Some(begin) => self.end_session(place, begin)?,
        }
        Ok(())
    }

    fn end_session(&mut self, place: usize, begin: i64) -> Outcome<()> {
        let bay = &self.bays[place];
        let zone = &self.zones[bay.zone];
        // The tracker counts in whole seconds.
        let [start, end] = [begin, self.now].map(|millis| Timestamp::from_millis(millis).floor_to_second());
        let short = end.seconds_since(start) < 120;
        self.sessions += 1;
        let mut session = Session {
            session: SessionId::new(format!("{}-{}", self.session_prefix, self.sessions))?,
            revision: 1,
            zone: zone.id.clone(),
            space: bay.space.clone(),
            class: self.class,
            basis: ClassBasis::Bay,
            status: if short {
                SessionStatus::DropOff
            } else {
                SessionStatus::Parked
            },
            start,
            end,
            start_bounds: None,
            end_bounds: None,
            flags: Vec::new(),
            day: self.timezone.business_day(start, 0),
            tariff: Some(zone.tariff.clone()),
            vehicles: None,
            fee: if short {
                FeeRange::default()
            } else {
                FeeRange::exact(zone.fee)
            },
            cause: bay.frame.to_string(),
            pictures: Vec::new(),
        };
        if self.random.one_in(20) {
            self.make_doubtful(&mut session);
        }
        let delay = 30_000 + self.random.millis(900);
        self.write(RecordBody::Session(session), delay);
        Ok(())
    }

    fn make_doubtful(&mut self, session: &mut Session) {
        let earlier = -self.random.millis(60 * MINUTE);
        let later = self.random.millis(60 * MINUTE);
        let bounds = |time: Timestamp| TimeBounds {
            earliest: time.plus_millis(earlier).floor_to_second(),
            latest: time.plus_millis(later).floor_to_second(),
        };
        match self.random.below(5) {
            0 => {
                session.start_bounds = Some(bounds(session.start));
                session.flags = vec![Flag::AfterGap];
            }
            1 => {
                session.end_bounds = Some(bounds(session.end));
                session.flags = vec![Flag::BeforeGap];
            }
            2 => session.flags = vec![Flag::Bridged],
            3 => session.flags = vec![Flag::StartInferred, Flag::Suspect],
            _ => session.revision = 2,
        }
        session.fee.low = Rupiah(0);
    }

    fn close_interval(&mut self) {
        for zone in 0..self.zones.len() {
            let Zone { id, spaces, .. } = &self.zones[zone];
            let total = spaces * 900;
            let unknown = if self.random.one_in(4) {
                self.random.below(900)
            } else {
                0
            };
            let occupied = self.random.below(total - unknown);
            let occupancy = Occupancy {
                zone: id.clone(),
                from: Timestamp::from_millis(self.now - INTERVAL),
                interval_s: 900,
                revision: 1,
                spaces: *spaces,
                occupied_s: occupied.into(),
                free_s: (total - unknown - occupied).into(),
                unknown_s: unknown.into(),
                closed_s: 0,
                arrivals: self.random.below(12),
                departures: self.random.below(12),
                coverage: Coverage::of((total - unknown).into(), total.into()),
                gaps: Vec::new(),
                errors: SensorErrors::default(),
                counted: Vec::new(),
            };
            let delay = 30_000 + self.random.millis(500);
            self.write(RecordBody::Occupancy(occupancy), delay);
        }
    }

    fn toggle_comms(&mut self, place: usize) {
        let bay = &mut self.bays[place];
        bay.lost = !bay.lost;
        let (sensor, space) = (bay.sensor.clone(), bay.space.clone());
        let body = if bay.lost {
            let since = Timestamp::from_millis(self.now - 150 * MINUTE);
            RecordBody::CommsLost { sensor, space, since }
        } else {
            let heard = Timestamp::from_millis(self.now);
            RecordBody::CommsRestored { sensor, space, heard }
        };
        self.write(body, 0);
    }

    fn restart(&mut self) {
        self.boot += 1;
        self.booted = self.now - 20_000;
        let version = "0.1.0".to_owned();
        self.write(RecordBody::Started { version }, 0);
        let (of_boot, offset_ms) = (BootId(self.boot), self.random.millis(DAY));
        self.write(RecordBody::TimeCorrection { of_boot, offset_ms }, 8_000);
    }
}

//! What truly happened, and the comparison of what the city believes with it.
//!
//! The fee of a true session is computed here, from the tariff's text, and not by the tracker's code that it judges.

use std::collections::BTreeMap;
use std::fmt;
use std::io::Write;

use parking::{FeeRule, Rupiah, Session, SessionStatus, Site, Space, SpaceId, Timestamp, VehicleClass, ZoneId};
use serde::{Deserialize, Serialize};

/// Most differences that a report prints.
const PRINTED_MAX: usize = 40;

/// The truth of a day.
#[derive(Debug, Clone)]
pub struct Truth {
    /// Seed of the day.
    pub seed: u64,
    /// Begin.
    pub start: Timestamp,
    /// End; every session has ended by then.
    pub end: Timestamp,
    /// The sessions.
    pub sessions: Vec<TrueSession>,
    /// Uplinks that something happened to.
    pub faulted: Vec<Faulted>,
    /// Spaces whose sensor flapped.
    pub flapping: Vec<SpaceId>,
}

/// One vehicle on one space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrueSession {
    /// Its space.
    pub space: SpaceId,
    /// Its zone.
    pub zone: ZoneId,
    /// Its class.
    pub class: VehicleClass,
    /// Begin.
    pub start: Timestamp,
    /// End.
    pub end: Timestamp,
    /// What it had to pay.
    pub fee: Rupiah,
    /// Whether it only let someone out.
    drop_off: bool,
}

/// An uplink that something happened to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Faulted {
    /// Its `deduplicationId`.
    pub message: String,
    /// When the sensor saw it.
    pub observed: Timestamp,
    /// What happened.
    pub fault: Fault,
}

/// What happens to uplinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// Never arrived.
    Lost,
    /// Arrived twice.
    Repeated,
    /// Arrived minutes late.
    Late,
    /// Was overtaken.
    Reordered,
    /// Its sensor was silent.
    Silent,
}

/// A line of the file of the truth.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "line", rename_all = "snake_case")]
enum Line {
    Day {
        seed: u64,
        start: Timestamp,
        end: Timestamp,
        flapping: Vec<SpaceId>,
    },
    Session(TrueSession),
    Faulted(Faulted),
}

impl TrueSession {
    /// A stay on `space` with the fee that the site's tariffs ask.
    pub fn of(site: &Site, space: &Space, start: Timestamp, end: Timestamp) -> Self {
        let zone = site.zones.iter().find(|zone| zone.id == space.zone);
        let stay_s = end.seconds_since(start);
        let drop_off = zone.is_some_and(|zone| stay_s < i64::from(zone.rules.grace_s));
        let fee = if drop_off { Rupiah(0) } else { fee(site, space, stay_s) };
        Self {
            space: space.id.clone(),
            zone: space.zone.clone(),
            class: space.class,
            start,
            end,
            fee,
            drop_off,
        }
    }

    /// Whether it was shorter than the grace.
    pub fn is_drop_off(&self) -> bool {
        self.drop_off
    }

    /// Seconds of it inside of `from..until`.
    pub fn seconds_within(&self, from: Timestamp, until: Timestamp) -> u64 {
        u64::try_from(self.end.min(until).seconds_since(self.start.max(from))).unwrap_or(0)
    }
}

/// The fee of a stay by the first tariff that names its zone and class. The street's tariffs hold all year.
fn fee(site: &Site, space: &Space, stay_s: i64) -> Rupiah {
    let schedule = site.tariffs.iter().find(|tariff| tariff.zones.contains(&space.zone));
    let Some(class) = schedule.and_then(|tariff| tariff.fees.iter().find(|fee| fee.class == space.class)) else {
        return Rupiah(0);
    };
    let uncapped = match class.rule {
        FeeRule::Flat { fee } => fee.0,
        FeeRule::Progressive {
            first_s,
            first_fee,
            next_s,
            next_fee,
        } => {
            let beyond_s = (stay_s - i64::from(first_s)).max(0);
            let next_s = i64::from(next_s);
            first_fee.0 + (beyond_s + next_s - 1) / next_s * next_fee.0
        }
    };
    Rupiah(class.cap.map_or(uncapped, |cap| uncapped.min(cap.0)))
}

impl Truth {
    /// Writes it as JSON lines: first the day, then the sessions, then what went wrong.
    pub fn write_to(&self, mut out: impl Write) -> anyhow::Result<()> {
        let day = Line::Day {
            seed: self.seed,
            start: self.start,
            end: self.end,
            flapping: self.flapping.clone(),
        };
        let sessions = self.sessions.iter().cloned().map(Line::Session);
        let faulted = self.faulted.iter().cloned().map(Line::Faulted);
        for line in std::iter::once(day).chain(sessions).chain(faulted) {
            serde_json::to_writer(&mut out, &line)?;
            out.write_all(b"\n")?;
        }
        out.flush()?;
        Ok(())
    }

    /// True seconds of occupation of a zone inside of `from..until`.
    pub fn occupied_s(&self, zone: &ZoneId, from: Timestamp, until: Timestamp) -> u64 {
        let sessions = self.sessions.iter().filter(|session| session.zone == *zone);
        sessions.map(|session| session.seconds_within(from, until)).sum()
    }

    /// Compares the latest revisions of the city's sessions with the truth, one by one.
    pub fn compare(&self, believed: &[Session]) -> Comparison {
        let mut comparison = Comparison::default();
        let mut by_start: BTreeMap<(SpaceId, Timestamp), Vec<&Session>> = BTreeMap::new();
        for session in believed.iter().filter(|session| session.status != SessionStatus::Void) {
            by_start
                .entry((session.space.clone(), session.start))
                .or_default()
                .push(session);
        }
        for truth in &self.sessions {
            let found = by_start.remove(&(truth.space.clone(), truth.start)).unwrap_or_default();
            match found.as_slice() {
                [] => comparison.missing.push(truth.clone()),
                [one] => match differences(truth, one) {
                    differences if differences.is_empty() => comparison.equal += 1,
                    differences => comparison
                        .differing
                        .push(format!("{}: {}", one.session, differences.join(", "))),
                },
                more => comparison.doubled.extend(more.iter().map(|session| (*session).clone())),
            }
        }
        comparison.invented = by_start.into_values().flatten().cloned().collect();
        comparison
    }
}

fn differences(truth: &TrueSession, believed: &Session) -> Vec<String> {
    let mut differences = Vec::new();
    let status = if truth.drop_off {
        SessionStatus::DropOff
    } else {
        SessionStatus::Parked
    };
    let mut check = |what: &str, equal: bool, expected: &dyn fmt::Display, found: &dyn fmt::Display| {
        if !equal {
            differences.push(format!("{what} is {found} instead of {expected}"));
        }
    };
    check("end", truth.end == believed.end, &truth.end, &believed.end);
    check("zone", truth.zone == believed.zone, &truth.zone, &believed.zone);
    let classes = (format!("{:?}", truth.class), format!("{:?}", believed.class));
    check("class", truth.class == believed.class, &classes.0, &classes.1);
    let fee = &believed.fee;
    let exact = [fee.low, fee.point, fee.high].iter().all(|rupiah| *rupiah == truth.fee);
    check(
        "fee",
        exact,
        &truth.fee,
        &format!("{}..{}..{}", fee.low, fee.point, fee.high),
    );
    let statuses = (format!("{status:?}"), format!("{:?}", believed.status));
    check("status", status == believed.status, &statuses.0, &statuses.1);
    check(
        "doubt",
        believed.flags.is_empty(),
        &"none",
        &format!("{:?}", believed.flags),
    );
    differences
}

/// How what is believed differs from the truth.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Sessions that are right in everything.
    pub equal: usize,
    /// Sessions that nobody counted.
    pub missing: Vec<TrueSession>,
    /// Sessions that never were.
    pub invented: Vec<Session>,
    /// Sessions counted more than once.
    pub doubled: Vec<Session>,
    /// Sessions that are wrong in something.
    pub differing: Vec<String>,
}

impl Comparison {
    /// Whether the city believes the truth and nothing else.
    pub fn is_exact(&self) -> bool {
        self.missing.is_empty() && self.invented.is_empty() && self.doubled.is_empty() && self.differing.is_empty()
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} equal, {} missing, {} invented, {} doubled, {} differing",
            self.equal,
            self.missing.len(),
            self.invented.len(),
            self.doubled.len(),
            self.differing.len()
        )?;
        let missing = self
            .missing
            .iter()
            .map(|s| format!("missing {} {}..{} {}", s.space, s.start, s.end, s.fee));
        let line =
            |what: &str, s: &Session| format!("{what} {} {} {}..{} {:?}", s.session, s.space, s.start, s.end, s.flags);
        let invented = self.invented.iter().map(|s| line("invented", s));
        let doubled = self.doubled.iter().map(|s| line("doubled", s));
        let differing = self.differing.iter().map(|text| format!("differing {text}"));
        for line in missing
            .chain(invented)
            .chain(doubled)
            .chain(differing)
            .take(PRINTED_MAX)
        {
            writeln!(f, "  {line}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::street::Street;
    use parking::{ClassBasis, FeeRange, SessionId};

    const START: &str = "2026-01-05T08:00:00+07:00";

    fn stay(street: &Street, space: usize, seconds: i64) -> TrueSession {
        let start: Timestamp = START.parse().unwrap();
        TrueSession::of(
            &street.site,
            &street.site.spaces[space],
            start,
            start.plus_seconds(seconds),
        )
    }

    /// Spaces 0 to 9 are in the hourly zone, 10 to 19 in the zone of one fee a use.
    fn street() -> Street {
        Street::new("sim-01", 1, 20, 2).unwrap()
    }

    #[test]
    fn fees_are_those_that_a_collector_would_ask() {
        let street = street();
        let (car, motorcycle, car_per_use, truck_per_use) = (0, 3, 10, 19);
        let cases = [
            (car, 119, 0),
            (car, 120, 3_000),
            (car, 3_600, 3_000),
            (car, 3_601, 5_000),
            (car, 7_200, 5_000),
            (car, 5 * 3_600, 11_000),
            (car, 9 * 3_600, 15_000),
            (motorcycle, 2 * 3_600 + 1, 3_500),
            (car_per_use, 60, 0),
            (car_per_use, 8 * 3_600, 2_000),
            (truck_per_use, 600, 5_000),
        ];
        for (space, seconds, rupiah) in cases {
            assert_eq!(
                stay(&street, space, seconds).fee,
                Rupiah(rupiah),
                "space {space}, {seconds} s"
            );
        }
    }

    #[test]
    fn the_file_of_the_truth_reads_back() {
        let truth = truth(vec![stay(&street(), 0, 600)]);
        let mut bytes = Vec::new();
        truth.write_to(&mut bytes).unwrap();
        let lines: Vec<Line> = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert!(matches!(&lines[0], Line::Day { seed: 5, .. }));
        assert!(matches!(&lines[1], Line::Session(session) if *session == truth.sessions[0]));
    }

    #[test]
    fn every_kind_of_difference_is_found() {
        let street = street();
        let truth = truth(vec![stay(&street, 0, 600), stay(&street, 1, 600), stay(&street, 2, 60)]);
        let right: Vec<Session> = truth.sessions.iter().map(believed).collect();
        assert!(truth.compare(&right).is_exact());
        let found = |change: &dyn Fn(&mut Vec<Session>)| {
            let mut sessions = right.clone();
            change(&mut sessions);
            let c = truth.compare(&sessions);
            assert!(!c.is_exact(), "{c}");
            (c.missing.len(), c.invented.len(), c.doubled.len(), c.differing.len())
        };
        assert_eq!(found(&|s| drop(s.remove(1))), (1, 0, 0, 0));
        assert_eq!(found(&|s| s[1].status = SessionStatus::Void), (1, 0, 0, 0));
        assert_eq!(found(&|s| s.push(s[0].clone())), (0, 0, 2, 0));
        assert_eq!(found(&|s| s[0].start = s[0].start.plus_seconds(1)), (1, 1, 0, 0));
        assert_eq!(found(&|s| s[0].end = s[0].end.plus_seconds(1)), (0, 0, 0, 1));
        assert_eq!(found(&|s| s[0].fee.low = Rupiah(1)), (0, 0, 0, 1));
        assert_eq!(found(&|s| s[2].status = SessionStatus::Parked), (0, 0, 0, 1));
    }

    fn truth(sessions: Vec<TrueSession>) -> Truth {
        let start: Timestamp = START.parse().unwrap();
        Truth {
            seed: 5,
            start,
            end: start.plus_seconds(86_400),
            sessions,
            faulted: Vec::new(),
            flapping: Vec::new(),
        }
    }

    fn believed(truth: &TrueSession) -> Session {
        let status = if truth.drop_off {
            SessionStatus::DropOff
        } else {
            SessionStatus::Parked
        };
        Session {
            session: SessionId::new(format!("sim-01-{}", truth.space)).unwrap(),
            revision: 1,
            zone: truth.zone.clone(),
            space: truth.space.clone(),
            class: truth.class,
            basis: ClassBasis::Bay,
            status,
            start: truth.start,
            end: truth.end,
            start_bounds: None,
            end_bounds: None,
            flags: Vec::new(),
            day: "2026-01-05".parse().unwrap(),
            tariff: None,
            vehicles: None,
            fee: FeeRange::exact(truth.fee),
            cause: "1".to_owned(),
            pictures: Vec::new(),
        }
    }
}

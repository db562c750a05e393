//! One zone's business day in figures, each with how sure it is.
//!
//! Built from what the tracker wrote down, so a box and a city that hold the same records get the same figures.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{CivilDate, Coverage, FeeRange, Flag, Occupancy, Rupiah, Session, SessionStatus, VehicleClass, ZoneId};

/// Below this coverage a day says "not enough data", never that somebody owes something.
const FINDING_COVERAGE_MIN: Coverage = Coverage(9_000);

/// What a zone saw, and what it should have earned, in one business day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ZoneDay {
    /// The zone.
    pub zone: ZoneId,
    /// The business day.
    pub day: CivilDate,
    /// Sessions by class and by what became of them; a class without sessions is absent.
    pub sessions: BTreeMap<VehicleClass, SessionCounts>,
    /// What should have been paid: the sum over all sessions, each of which carries its own doubt.
    pub fee: FeeRange,
    /// Sessions, of any status, that a suspect sensor counted.
    pub suspect: u32,
    /// Sessions held back for review.
    pub quarantined: u32,
    /// Space-seconds known to be occupied or free.
    pub known_s: u64,
    /// Space-seconds not known.
    pub unknown_s: u64,
    /// Space-seconds closed to parking.
    pub closed_s: u64,
    /// Known share of the time that was not closed; `None` when there was none.
    pub coverage: Option<Coverage>,
    /// Whether coverage, at least 90 %, bears a finding.
    pub finding_allowed: bool,
}

/// Sessions of one class by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionCounts {
    /// Billed stays.
    pub parked: u32,
    /// Stays shorter than the grace.
    pub drop_off: u32,
    /// Stays held back for review.
    pub quarantined: u32,
}

/// Adds up `zone`'s business day `day`.
///
/// Both iterators give the latest revision of each session and interval, in any order. Void sessions and those of
/// another zone or day are left out, and so is another zone's occupancy; choosing the intervals of the day is the
/// caller's part, as only it knows the site's zone of time. Coverage speaks about the intervals given: one that was never
/// written, or has not arrived yet, is not in it. Sums saturate, as records come from outside.
pub fn zone_day<'a>(
    zone: &ZoneId,
    day: CivilDate,
    sessions: impl IntoIterator<Item = &'a Session>,
    occupancy: impl IntoIterator<Item = &'a Occupancy>,
) -> ZoneDay {
    let mut counts: BTreeMap<VehicleClass, SessionCounts> = BTreeMap::new();
    let mut fee = FeeRange::default();
    let (mut suspect, mut quarantined) = (0_u32, 0_u32);
    for session in sessions.into_iter().filter(|s| s.zone == *zone && s.day == day) {
        let count: fn(&mut SessionCounts) -> &mut u32 = match session.status {
            SessionStatus::Parked => |c| &mut c.parked,
            SessionStatus::DropOff => |c| &mut c.drop_off,
            SessionStatus::Quarantined => |c| &mut c.quarantined,
            SessionStatus::Void => continue,
        };
        *count(counts.entry(session.class).or_default()) += 1;
        quarantined += u32::from(session.status == SessionStatus::Quarantined);
        suspect += u32::from(session.flags.contains(&Flag::Suspect));
        fee = saturating_sum(fee, session.fee);
    }

    let (mut known_s, mut unknown_s, mut closed_s) = (0_u64, 0_u64, 0_u64);
    for interval in occupancy.into_iter().filter(|o| o.zone == *zone) {
        known_s = known_s
            .saturating_add(interval.occupied_s)
            .saturating_add(interval.free_s);
        unknown_s = unknown_s.saturating_add(interval.unknown_s);
        closed_s = closed_s.saturating_add(interval.closed_s);
    }
    let coverage = Coverage::of(known_s, known_s.saturating_add(unknown_s));
    ZoneDay {
        zone: zone.clone(),
        day,
        sessions: counts,
        fee,
        suspect,
        quarantined,
        known_s,
        unknown_s,
        closed_s,
        coverage,
        finding_allowed: coverage.is_some_and(|c| c >= FINDING_COVERAGE_MIN),
    }
}

fn saturating_sum(a: FeeRange, b: FeeRange) -> FeeRange {
    let sum = |a: Rupiah, b: Rupiah| Rupiah(a.0.saturating_add(b.0));
    FeeRange {
        low: sum(a.low, b.low),
        point: sum(a.point, b.point),
        high: sum(a.high, b.high),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ClassBasis, SessionId, SpaceId};

    fn zone(id: &str) -> ZoneId {
        ZoneId::new(id).unwrap()
    }

    fn day(text: &str) -> CivilDate {
        text.parse().unwrap()
    }

    fn range(low: i64, point: i64, high: i64) -> FeeRange {
        FeeRange {
            low: Rupiah(low),
            point: Rupiah(point),
            high: Rupiah(high),
        }
    }

    fn session(class: VehicleClass, status: SessionStatus, fee: FeeRange) -> Session {
        Session {
            session: SessionId::new("sudirman-01-x-1").unwrap(),
            revision: 1,
            zone: zone("a"),
            space: SpaceId::new("a-01").unwrap(),
            class,
            basis: ClassBasis::Bay,
            status,
            start: "2026-01-05T07:00:00+07:00".parse().unwrap(),
            end: "2026-01-05T08:00:00+07:00".parse().unwrap(),
            start_bounds: None,
            end_bounds: None,
            flags: Vec::new(),
            day: day("2026-01-05"),
            tariff: None,
            fee,
            cause: "1".to_owned(),
        }
    }

    fn occupancy(occupied_s: u64, free_s: u64, unknown_s: u64, closed_s: u64) -> Occupancy {
        Occupancy {
            zone: zone("a"),
            from: "2026-01-05T00:00:00Z".parse().unwrap(),
            interval_s: 900,
            revision: 1,
            spaces: 1,
            occupied_s,
            free_s,
            unknown_s,
            closed_s,
            arrivals: 0,
            departures: 0,
            coverage: None,
        }
    }

    fn sum(sessions: &[Session], occupancies: &[Occupancy]) -> ZoneDay {
        zone_day(&zone("a"), day("2026-01-05"), sessions, occupancies)
    }

    #[test]
    fn sessions_are_counted_by_class_and_status_and_their_fee_ranges_add_up() {
        let report = sum(
            &[
                session(VehicleClass::Car, SessionStatus::Parked, range(2_000, 2_000, 2_000)),
                session(VehicleClass::Car, SessionStatus::Parked, range(0, 2_000, 4_000)),
                session(VehicleClass::Car, SessionStatus::DropOff, range(0, 0, 0)),
                session(VehicleClass::Motorcycle, SessionStatus::Quarantined, range(0, 0, 1_000)),
            ],
            &[],
        );
        let car = SessionCounts {
            parked: 2,
            drop_off: 1,
            quarantined: 0,
        };
        let motorcycle = SessionCounts {
            quarantined: 1,
            ..SessionCounts::default()
        };
        let expected = BTreeMap::from([(VehicleClass::Car, car), (VehicleClass::Motorcycle, motorcycle)]);
        assert_eq!(report.sessions, expected);
        assert_eq!(report.fee, range(2_000, 4_000, 7_000));
        assert_eq!((report.quarantined, report.suspect), (1, 0));
    }

    #[test]
    fn a_session_of_a_suspect_sensor_is_counted_as_suspect_beside_its_status() {
        let mut doubtful = session(VehicleClass::Car, SessionStatus::Parked, range(0, 0, 2_000));
        doubtful.flags = vec![Flag::BeforeGap, Flag::Suspect];
        let report = sum(&[doubtful], &[]);
        assert_eq!(report.suspect, 1);
        assert_eq!(report.sessions[&VehicleClass::Car].parked, 1);
        assert_eq!(report.fee, range(0, 0, 2_000));
    }

    #[test]
    fn void_sessions_and_those_of_another_zone_or_day_count_nowhere() {
        let parked = || session(VehicleClass::Car, SessionStatus::Parked, range(1, 2, 3));
        let mut void = parked();
        void.status = SessionStatus::Void;
        void.flags = vec![Flag::Suspect];
        let mut elsewhere = parked();
        elsewhere.zone = zone("b");
        let mut next_day = parked();
        next_day.day = day("2026-01-06");
        let mut occupancy_elsewhere = occupancy(900, 0, 0, 0);
        occupancy_elsewhere.zone = zone("b");

        assert_eq!(sum(&[void, elsewhere, next_day], &[occupancy_elsewhere]), sum(&[], &[]));
    }

    #[test]
    fn coverage_is_the_known_share_of_the_time_that_was_not_closed() {
        let report = sum(&[], &[occupancy(300, 300, 300, 0), occupancy(0, 100, 0, 800)]);
        assert_eq!((report.known_s, report.unknown_s, report.closed_s), (700, 300, 800));
        assert_eq!(report.coverage, Some(Coverage(7_000)));
        assert!(!report.finding_allowed);
    }

    #[test]
    fn a_finding_needs_ninety_percent_and_not_one_second_less() {
        assert!(sum(&[], &[occupancy(450, 360, 90, 0)]).finding_allowed);
        assert!(!sum(&[], &[occupancy(450, 359, 91, 0)]).finding_allowed);
    }

    #[test]
    fn a_day_without_observation_or_all_closed_has_no_coverage_and_bears_no_finding() {
        for report in [sum(&[], &[]), sum(&[], &[occupancy(0, 0, 0, 900)])] {
            assert_eq!(report.coverage, None);
            assert!(!report.finding_allowed);
        }
    }

    #[test]
    fn absurd_figures_from_outside_saturate() {
        let absurd = || {
            session(
                VehicleClass::Car,
                SessionStatus::Parked,
                range(i64::MIN, i64::MAX, i64::MAX),
            )
        };
        let report = sum(
            &[absurd(), absurd()],
            &[occupancy(u64::MAX, u64::MAX, u64::MAX, u64::MAX), occupancy(1, 1, 1, 1)],
        );
        assert_eq!(report.fee, range(i64::MIN, i64::MAX, i64::MAX));
        assert_eq!(report.unknown_s, u64::MAX);
    }

    #[test]
    fn a_report_reads_back_as_it_was_written_with_plain_names() {
        let report = sum(
            &[session(
                VehicleClass::Car,
                SessionStatus::Parked,
                range(2_000, 2_000, 2_000),
            )],
            &[occupancy(900, 0, 0, 0)],
        );
        let json = serde_json::to_string(&report).unwrap();
        assert_eq!(
            json,
            r#"{"zone":"a","day":"2026-01-05","sessions":{"car":{"parked":1,"drop_off":0,"quarantined":0}},"fee":{"low":2000,"point":2000,"high":2000},"suspect":0,"quarantined":0,"known_s":900,"unknown_s":0,"closed_s":0,"coverage":10000,"finding_allowed":true}"#
        );
        assert_eq!(serde_json::from_str::<ZoneDay>(&json).unwrap(), report);
    }
}

//! One zone's business day in figures, each with how sure it is.
//!
//! Built from what the tracker wrote down, so a box and a city that hold the same records get the same figures. What
//! should be there by now and is not counts as unknown: a box that fell silent at noon has seen half of the day.

mod counted;
mod estimate;
mod spread;
mod unseen;

use std::collections::BTreeMap;
use std::ops::Range;

use serde::{Deserialize, Serialize};

pub use self::counted::CountedDay;
use self::estimate::Estimate;
pub use self::estimate::{CONFIDENCE_PERCENT, CountRange};
use crate::occupancy::{INTERVAL_MS, interval_of};
use crate::{
    CivilDate, Coverage, FeeRange, Flag, Occupancy, Rupiah, Session, SessionStatus, Timestamp, VehicleClass, ZoneId,
};

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
    /// How many stays there were, however short, those that nobody saw among them; the truth lies within on
    /// [`CONFIDENCE_PERCENT`] of all days. `None` when nothing was known at any time.
    pub stays: Option<CountRange>,
    /// What counters counted, by class; a class without a counter is absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted: BTreeMap<VehicleClass, CountedDay>,
    /// How many vehicles are billed, by class: one a stay or a count, or as many as a sampling factor says.
    pub billed: BTreeMap<VehicleClass, CountRange>,
    /// What should have been paid: the sum over all sessions, each of which carries its own doubt, over the stays that
    /// nobody saw, at the mean fee of their class, and over what was counted.
    pub fee: FeeRange,
    /// Sessions, of any status, that a suspect sensor counted.
    pub suspect: u32,
    /// Sessions held back for review.
    pub quarantined: u32,
    /// Space-seconds known to be occupied or free.
    pub known_s: u64,
    /// Space-seconds not known, those of `missing_s` among them.
    pub unknown_s: u64,
    /// Space-seconds of intervals that should be there and are not; `None` when all are missing, as only intervals tell
    /// how many spaces there are.
    pub missing_s: Option<u64>,
    /// Space-seconds closed to parking.
    pub closed_s: u64,
    /// Known share of the time that was not closed, or of a counter's time where that is less; `None` when there was none.
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

/// The part of the business day `span` whose intervals should have arrived by `now`; empty when there is none yet.
///
/// An interval is due when another one's length has passed since its end: the box writes it down a little after its end,
/// and its way takes some minutes, so that without this grace the newest one would be missing on every working day. What
/// comes earlier counts all the same ([`zone_day`]). The result begins and ends where intervals do, the day's intervals
/// being those that begin in `span`.
pub fn due_span(span: &Range<Timestamp>, now: Timestamp) -> Range<Timestamp> {
    let aligned = |time: Timestamp| interval_of(time.plus_millis(INTERVAL_MS - 1));
    let start = aligned(span.start);
    let due = interval_of(now.plus_millis(-INTERVAL_MS));
    start..aligned(span.end).min(due).max(start)
}

/// Adds up `zone`'s business day `day`.
///
/// Both iterators give the latest revision of each session and interval, in any order. Void sessions and those of
/// another zone or day are left out, and so is another zone's occupancy; choosing the intervals of the day is the
/// caller's part, as only it knows the site's zone of time. So is `due`, the part of the day of which all intervals should
/// be there ([`due_span`]): what none of them covers is unknown for as many spaces as the interval before it has, or
/// else the one after it, whether the box was off, is not connected, or was not there yet. Intervals outside `due` count
/// as they are. Sums saturate, as records come from outside.
pub fn zone_day<'a>(
    zone: &ZoneId,
    day: CivilDate,
    due: &Range<Timestamp>,
    sessions: impl IntoIterator<Item = &'a Session>,
    occupancy: impl IntoIterator<Item = &'a Occupancy>,
) -> ZoneDay {
    let sessions = sessions.into_iter().filter(|s| s.zone == *zone && s.day == day);
    let sessions: Vec<&Session> = sessions.filter(|s| s.status != SessionStatus::Void).collect();
    let mut counts: BTreeMap<VehicleClass, SessionCounts> = BTreeMap::new();
    let mut fee = FeeRange::default();
    let (mut suspect, mut quarantined) = (0_u32, 0_u32);
    for session in &sessions {
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

    let intervals: Vec<&Occupancy> = occupancy.into_iter().filter(|o| o.zone == *zone).collect();
    let (mut known_s, mut unknown_s, mut closed_s) = (0_u64, 0_u64, 0_u64);
    for interval in &intervals {
        known_s = known_s
            .saturating_add(interval.occupied_s)
            .saturating_add(interval.free_s);
        unknown_s = unknown_s.saturating_add(interval.unknown_s);
        closed_s = closed_s.saturating_add(interval.closed_s);
    }
    let missing = missing(due, intervals.clone());
    let missing_ms = missing.as_ref().map(|spans| {
        let of_span = |(span, spaces): &(Range<Timestamp>, u32)| {
            let gap_ms = u64::try_from(span.end.millis_since(span.start)).unwrap_or(0);
            gap_ms.saturating_mul((*spaces).into())
        };
        spans.iter().map(of_span).fold(0, u64::saturating_add)
    });
    let missing_s = missing_ms.map(|missing_ms| missing_ms.div_ceil(1_000));
    unknown_s = unknown_s.saturating_add(missing_s.unwrap_or(0));
    let mut coverage = Coverage::of(known_s, known_s.saturating_add(unknown_s));
    let estimate = Estimate::new(due, sessions, &intervals, missing.as_deref().unwrap_or_default());
    let mut billed = estimate.billed();
    let least = fee.low.min(Rupiah(0));
    for (class, range) in &mut billed {
        let parked = estimate.parked(*class);
        let mean_fee = estimate.mean_fee(*class);
        fee = saturating_sum(fee, beyond(*range, parked, mean_fee));
        *range = estimate.vehicles(*class, *range);
    }
    fee.low = fee.low.max(least);
    let counted = counted::by_class(&intervals, missing.as_deref().unwrap_or_default());
    for (class, count) in &counted {
        if let Some(at_lines) = count.billed {
            let billed = billed.entry(*class).or_default();
            *billed = billed.plus(at_lines);
        }
        fee = saturating_sum(fee, count.fee);
        coverage = counted::least(coverage, count.coverage);
    }
    ZoneDay {
        zone: zone.clone(),
        day,
        sessions: counts,
        stays: estimate.stays(),
        counted: counted.into_iter().map(|(class, count)| (class, count.day)).collect(),
        billed,
        fee,
        suspect,
        quarantined,
        known_s,
        unknown_s,
        missing_s,
        closed_s,
        coverage,
        finding_allowed: coverage.is_some_and(|c| c >= FINDING_COVERAGE_MIN),
    }
}

/// Spans of `due` that none of `intervals` covers, with the number of spaces; `None` when something is due and there are
/// no intervals.
fn missing(due: &Range<Timestamp>, mut intervals: Vec<&Occupancy>) -> Option<Vec<(Range<Timestamp>, u32)>> {
    intervals.sort_unstable_by_key(|interval| (interval.from, interval.interval_s, interval.spaces));
    let Some(first) = intervals.first() else {
        return due.is_empty().then(Vec::new);
    };
    let (mut reached, mut spaces, mut missing) = (due.start, first.spaces, Vec::new());
    let mut miss = |from: Timestamp, until: Timestamp, spaces: u32| {
        let until = until.min(due.end);
        missing.extend((from < until).then_some((from..until, spaces)));
    };
    for interval in intervals {
        miss(reached, interval.from, spaces);
        reached = reached.max(interval.from.plus_seconds(interval.interval_s.into()));
        spaces = interval.spaces;
    }
    miss(reached, due.end, spaces);
    Some(missing)
}

/// What stays beyond the `parked` ones that are written down would have paid.
fn beyond(billed: CountRange, parked: u32, mean_fee: f64) -> FeeRange {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a float becomes the nearest integer there is"
    )]
    let of = |count: u32| Rupiah(((f64::from(count) - f64::from(parked)) * mean_fee).round() as i64);
    FeeRange {
        low: of(billed.low.min(parked)),
        point: of(billed.point),
        high: of(billed.high.max(parked)),
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
    use crate::{ClassBasis, SensorErrors, SessionId, SpaceId};

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
            vehicles: None,
            fee,
            cause: "1".to_owned(),
            pictures: Vec::new(),
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
            gaps: Vec::new(),
            errors: SensorErrors::default(),
            counted: Vec::new(),
        }
    }

    /// The begin of the day on which nothing is due.
    fn sum(sessions: &[Session], occupancies: &[Occupancy]) -> ZoneDay {
        let midnight = at("2026-01-05T00:00:00+07:00");
        zone_day(
            &zone("a"),
            day("2026-01-05"),
            &(midnight..midnight),
            sessions,
            occupancies,
        )
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// Quarters `numbers` of the day, of so many spaces, all of them free.
    fn quarters(numbers: Range<i64>, spaces: u32) -> Vec<Occupancy> {
        let midnight = at("2026-01-05T00:00:00+07:00");
        let quarter = |number: i64| Occupancy {
            from: midnight.plus_seconds(number * 900),
            spaces,
            ..occupancy(0, u64::from(spaces) * 900, 0, 0)
        };
        numbers.map(quarter).collect()
    }

    /// The day of what has arrived by `now`, the day being 2026-01-05 in Jakarta.
    fn sum_by(now: &str, occupancies: &[Occupancy]) -> ZoneDay {
        let span = at("2026-01-05T00:00:00+07:00")..at("2026-01-06T00:00:00+07:00");
        let due = due_span(&span, at(now));
        zone_day(&zone("a"), day("2026-01-05"), &due, &[], occupancies)
    }

    /// Any time at which the whole day is due.
    const LATER: &str = "2026-02-01T00:00:00Z";

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
    fn a_box_that_is_silent_since_noon_has_seen_half_of_the_day() {
        let report = sum_by(LATER, &quarters(0..48, 4));
        assert_eq!((report.missing_s, report.unknown_s), (Some(172_800), 172_800));
        assert_eq!(report.coverage, Some(Coverage(5_000)));
        assert!(!report.finding_allowed);
        // What arrives late makes it whole.
        let whole = sum_by(LATER, &quarters(0..96, 4));
        assert_eq!((whole.missing_s, whole.coverage), (Some(0), Some(Coverage::FULL)));
        assert!(whole.finding_allowed);
    }

    #[test]
    fn an_interval_counts_as_missing_a_quarter_of_an_hour_after_its_end() {
        let noon = quarters(0..48, 2);
        for (now, missing_s) in [
            ("2026-01-05T12:00:00+07:00", 0),
            ("2026-01-05T12:29:59.999+07:00", 0),
            ("2026-01-05T12:30:00+07:00", 1_800),
            ("2026-01-05T12:44:59+07:00", 1_800),
            ("2026-01-05T18:00:00+07:00", 23 * 1_800),
            ("2026-01-06T00:14:59+07:00", 47 * 1_800),
            ("2026-01-06T00:15:00+07:00", 48 * 1_800),
            (LATER, 48 * 1_800),
        ] {
            assert_eq!(sum_by(now, &noon).missing_s, Some(missing_s), "{now}");
        }
    }

    #[test]
    fn a_hole_counts_for_the_spaces_before_it_and_the_begin_for_those_after_it() {
        let mut intervals = quarters(8..10, 3);
        intervals.extend(quarters(12..96, 5));
        intervals.reverse();
        let report = sum_by(LATER, &intervals);
        assert_eq!(report.missing_s, Some((8 * 3 + 2 * 3) * 900));
        assert_eq!(report.known_s, (2 * 3 + 84 * 5) * 900);
        assert_eq!(report.unknown_s, 30 * 900);
        let end = sum_by(LATER, &quarters(8..9, 3));
        assert_eq!(end.missing_s, Some(95 * 3 * 900));
    }

    #[test]
    fn a_day_of_which_nothing_has_arrived_says_so_once_something_is_due() {
        let early = sum_by("2026-01-05T00:29:59+07:00", &[]);
        assert_eq!((early.missing_s, early.coverage), (Some(0), None));
        for now in ["2026-01-05T00:30:00+07:00", LATER] {
            let report = sum_by(now, &[]);
            assert_eq!((report.missing_s, report.unknown_s), (None, 0));
            assert_eq!(report.coverage, None);
            assert!(!report.finding_allowed);
        }
    }

    #[test]
    fn what_is_missing_is_unknown_though_the_spaces_were_closed_before() {
        let closed = |numbers| -> Vec<Occupancy> {
            let shut = |open: Occupancy| Occupancy {
                closed_s: open.free_s,
                free_s: 0,
                ..open
            };
            quarters(numbers, 2).into_iter().map(shut).collect()
        };
        assert_eq!(sum_by(LATER, &closed(0..96)).coverage, None);
        let report = sum_by(LATER, &closed(0..95));
        assert_eq!((report.missing_s, report.closed_s), (Some(1_800), 95 * 1_800));
        assert_eq!(report.coverage, Some(Coverage(0)));
        assert!(!report.finding_allowed);
    }

    #[test]
    fn intervals_that_are_not_due_yet_count_and_hide_no_hole() {
        // The newest has arrived at once; those after it come from a clock that is ahead.
        let now = "2026-01-05T12:07:00+07:00";
        let mut intervals = quarters(0..46, 2);
        assert_eq!(sum_by(now, &intervals).missing_s, Some(1_800));
        intervals.extend(quarters(60..62, 2));
        let report = sum_by(now, &intervals);
        assert_eq!((report.missing_s, report.known_s), (Some(1_800), 48 * 1_800));
    }

    #[test]
    fn intervals_that_overlap_or_have_no_length_or_lie_elsewhere_neither_hide_nor_make_a_hole() {
        let mut intervals = quarters(0..96, 2);
        for (number, length_s) in [
            (0, 86_400),
            (10, 0),
            (10, 1_800),
            (11, 100),
            (-500, 900),
            (500, u32::MAX),
        ] {
            let odd = quarters(number..number + 1, 2).remove(0);
            intervals.push(Occupancy {
                interval_s: length_s,
                ..odd
            });
        }
        assert_eq!(sum_by(LATER, &intervals).missing_s, Some(0));
        let far = |millis| Occupancy {
            from: Timestamp::from_millis(millis),
            spaces: u32::MAX,
            interval_s: u32::MAX,
            ..occupancy(0, 0, 0, 0)
        };
        // The one before the day reaches into none of it, the one after it begins later: all of it is missing.
        let report = sum_by(LATER, &[far(i64::MIN), far(i64::MAX)]);
        assert_eq!(report.missing_s, Some(86_400 * u64::from(u32::MAX)));
        let absurd = Timestamp::from_millis(i64::MIN)..Timestamp::from_millis(i64::MAX);
        let due = due_span(&absurd, Timestamp::from_millis(i64::MAX));
        let report = zone_day(&zone("a"), day("2026-01-05"), &due, &[], &[far(0)]);
        assert_eq!(report.missing_s, Some(u64::MAX.div_ceil(1_000)));
        let turned = Range {
            start: absurd.end,
            end: absurd.start,
        };
        assert!(due_span(&turned, at(LATER)).is_empty());
        assert_eq!(
            zone_day(&zone("a"), day("2026-01-05"), &turned, &[], &[far(0)]).missing_s,
            Some(0)
        );
    }

    #[test]
    fn a_part_of_a_second_that_nobody_saw_is_unknown_as_a_whole_one() {
        let mut intervals = quarters(0..96, 1);
        if let Some(interval) = intervals.get_mut(40) {
            interval.from = interval.from.plus_millis(1);
        }
        assert_eq!(sum_by(LATER, &intervals).missing_s, Some(1));
    }

    #[test]
    fn a_day_that_ends_within_an_interval_begins_with_the_first_that_begins_in_it() {
        let span = at("2026-01-05T03:10:00+07:00")..at("2026-01-06T03:10:00+07:00");
        assert_eq!(
            due_span(&span, at(LATER)),
            at("2026-01-05T03:15:00+07:00")..at("2026-01-06T03:15:00+07:00")
        );
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
            r#"{"zone":"a","day":"2026-01-05","sessions":{"car":{"parked":1,"drop_off":0,"quarantined":0}},"stays":{"low":1,"point":1,"high":1},"billed":{"car":{"low":1,"point":1,"high":1}},"fee":{"low":2000,"point":2000,"high":2000},"suspect":0,"quarantined":0,"known_s":900,"unknown_s":0,"missing_s":0,"closed_s":0,"coverage":10000,"finding_allowed":true}"#
        );
        assert_eq!(serde_json::from_str::<ZoneDay>(&json).unwrap(), report);
    }
}

//! Each mistake of a site, told where it is.

use super::*;
use crate::{
    Binding, ClassFee, Counting, GatewayId, Sampling, SensorErrors, SensorId, SensorTraits, Space, SpaceId, TariffId,
    Timezone, Zone,
};

fn zone(id: &str) -> Zone {
    Zone {
        id: ZoneId::new(id).unwrap(),
        name: id.to_owned(),
        rules: SessionRules::default(),
    }
}

fn space(id: &str, zone: &str) -> Space {
    Space {
        id: SpaceId::new(id).unwrap(),
        zone: ZoneId::new(zone).unwrap(),
        class: VehicleClass::Car,
        latitude: -6.914,
        longitude: 107.609,
        closed: Vec::new(),
    }
}

fn sensor(id: &str) -> SensorTraits {
    SensorTraits {
        id: SensorId::new(id).unwrap(),
        heartbeat_s: 3_600,
        queued: true,
        on_change: false,
        errors: SensorErrors::default(),
        counts: None,
    }
}

/// From `from` o'clock to before `until` o'clock of one day.
fn hours(from: i64, until: Option<i64>) -> Interval {
    let at = |hour: i64| crate::Timestamp::from_seconds(1_767_571_200 + hour * 3_600);
    Interval {
        from: at(from),
        until: until.map(at),
    }
}

fn binding(sensor: &str, space: &str, during: Interval) -> Binding {
    Binding {
        sensor: SensorId::new(sensor).unwrap(),
        space: SpaceId::new(space).unwrap(),
        during,
    }
}

fn flat(class: VehicleClass) -> ClassFee {
    ClassFee {
        class,
        grace_s: None,
        rule: FeeRule::Flat { fee: Rupiah(2_000) },
        cap: None,
        once_a_day: false,
    }
}

fn tariff(id: &str, zones: &[&str], from: &str, until: Option<&str>) -> TariffSchedule {
    TariffSchedule {
        id: TariffId::new(id).unwrap(),
        regulation: "Perda Kota Palembang 16/2011".to_owned(),
        zones: zones.iter().map(|z| ZoneId::new(*z).unwrap()).collect(),
        valid_from: from.parse().unwrap(),
        valid_until: until.map(|day| day.parse().unwrap()),
        fees: vec![flat(VehicleClass::Car)],
    }
}

/// Two zones, two spaces, three sensors, one of them on the first space, one tariff.
fn site() -> Site {
    Site {
        gateway: GatewayId::new("sudirman-01").unwrap(),
        timezone: Timezone::Wib,
        day_cutoff_minutes: 1_439,
        zones: vec![zone("a"), zone("b")],
        spaces: vec![space("a-1", "a"), space("b-1", "b")],
        sensors: vec![sensor("s1"), sensor("s2"), sensor("s3")],
        bindings: vec![binding("s1", "a-1", hours(0, None))],
        counters: Vec::new(),
        tariffs: vec![tariff("t1", &[], "2025-01-01", None)],
    }
}

/// Where a site with this mistake has problems.
fn paths_after(mistake: impl FnOnce(&mut Site)) -> Vec<String> {
    let mut site = site();
    mistake(&mut site);
    let problems = site.check();
    for problem in &problems {
        assert!(!problem.problem.is_empty() && !problem.hint.is_empty(), "{problem:?}");
    }
    problems.into_iter().map(|p| p.path).collect()
}

#[test]
fn a_sound_site_has_no_problem() {
    assert_eq!(site().check(), []);
}

#[test]
fn a_problem_says_where_what_and_what_to_do() {
    let mut site = site();
    site.spaces[1].zone = ZoneId::new("bb").unwrap();
    let expected = SiteProblem {
        path: "spaces[1].zone".to_owned(),
        problem: "there is no zone \"bb\"".to_owned(),
        hint: "add \"bb\" to `zones`, or name one that is there".to_owned(),
    };
    assert!(site.check().contains(&expected), "{:?}", site.check());
}

#[test]
fn several_mistakes_are_told_at_once() {
    let paths = paths_after(|site| {
        site.day_cutoff_minutes = 2_000;
        site.sensors[2].heartbeat_s = 0;
        site.tariffs[0].fees.clear();
    });
    assert_eq!(
        paths,
        ["day_cutoff_minutes", "sensors[2].heartbeat_s", "tariffs[0].fees"]
    );
}

#[test]
fn a_day_cut_off_of_a_day_or_more_is_refused() {
    assert_eq!(paths_after(|s| s.day_cutoff_minutes = 1_440), ["day_cutoff_minutes"]);
}

#[test]
fn an_id_used_twice_is_refused_where_it_is_repeated() {
    assert_eq!(paths_after(|s| s.zones.push(zone("a"))), ["zones[2].id"]);
    assert_eq!(paths_after(|s| s.spaces.push(space("a-1", "b"))), ["spaces[2].id"]);
    assert_eq!(paths_after(|s| s.sensors.push(sensor("s2"))), ["sensors[3].id"]);
    let past = || tariff("t1", &[], "2024-01-01", Some("2024-12-31"));
    assert_eq!(paths_after(|s| s.tariffs.push(past())), ["tariffs[1].id"]);
}

#[test]
fn a_zone_without_a_space_is_refused() {
    assert_eq!(paths_after(|s| s.zones.push(zone("c"))), ["zones[2].id"]);
}

#[test]
fn a_name_of_nothing_is_refused_where_it_is_used() {
    assert_eq!(paths_after(|s| s.spaces.push(space("c-1", "c"))), ["spaces[2].zone"]);
    let all = hours(0, None);
    assert_eq!(
        paths_after(|s| s.bindings.push(binding("s9", "b-1", all))),
        ["bindings[1].sensor"]
    );
    assert_eq!(
        paths_after(|s| s.bindings.push(binding("s2", "b-9", all))),
        ["bindings[1].space"]
    );
    let elsewhere = || tariff("t2", &["a", "c"], "2025-01-01", None);
    assert_eq!(paths_after(|s| s.tariffs.push(elsewhere())), ["tariffs[1].zones[1]"]);
}

#[test]
fn coordinates_that_are_none_are_refused() {
    for wrong in [f64::NAN, f64::INFINITY, -90.001, 90.001] {
        assert_eq!(
            paths_after(|s| s.spaces[1].latitude = wrong),
            ["spaces[1].latitude"],
            "{wrong}"
        );
    }
    for wrong in [f64::NAN, f64::NEG_INFINITY, -180.001, 180.001] {
        assert_eq!(
            paths_after(|s| s.spaces[0].longitude = wrong),
            ["spaces[0].longitude"],
            "{wrong}"
        );
    }
    assert!(paths_after(|s| (s.spaces[0].latitude, s.spaces[0].longitude) = (-90.0, 180.0)).is_empty());
}

#[test]
fn a_time_that_ends_before_or_when_it_begins_is_refused() {
    for until in [7, 8] {
        let during = hours(8, Some(until));
        assert_eq!(
            paths_after(|s| s.bindings.push(binding("s2", "b-1", during))),
            ["bindings[1].during.until"]
        );
        assert_eq!(
            paths_after(|s| s.spaces[0].closed.push(during)),
            ["spaces[0].closed[0].until"]
        );
    }
}

#[test]
fn a_heartbeat_of_zero_is_refused() {
    assert_eq!(
        paths_after(|s| s.sensors[1].heartbeat_s = 0),
        ["sensors[1].heartbeat_s"]
    );
}

#[test]
fn a_sensor_on_two_spaces_at_once_is_refused_and_one_that_moves_is_not() {
    let moves = |hour| {
        move |s: &mut Site| {
            s.bindings = vec![
                binding("s1", "b-1", hours(hour, None)),
                binding("s1", "a-1", hours(0, Some(8))),
            ];
        }
    };
    assert_eq!(paths_after(moves(7)), ["bindings[0].sensor"]);
    assert!(paths_after(moves(8)).is_empty());
}

#[test]
fn a_space_with_two_sensors_at_once_is_refused_and_an_exchange_is_not() {
    let exchanged = |hour| {
        move |s: &mut Site| {
            s.bindings = vec![
                binding("s1", "a-1", hours(0, Some(8))),
                binding("s2", "a-1", hours(hour, Some(9))),
            ];
        }
    };
    assert_eq!(paths_after(exchanged(7)), ["bindings[1].space"]);
    assert!(paths_after(exchanged(8)).is_empty());
}

#[test]
fn a_binding_that_is_repeated_is_told_once() {
    assert_eq!(
        paths_after(|s| s.bindings.push(binding("s1", "a-1", hours(3, Some(4))))),
        ["bindings[1].sensor"]
    );
}

#[test]
fn an_overlap_behind_a_short_binding_is_found() {
    let paths = paths_after(|s| {
        s.bindings = vec![
            binding("s1", "a-1", hours(0, Some(20))),
            binding("s2", "a-1", hours(1, Some(2))),
            binding("s3", "a-1", hours(19, None)),
            binding("s2", "b-1", hours(19, None)),
        ];
    });
    assert_eq!(paths, ["bindings[1].space", "bindings[2].space"]);
}

#[test]
fn rules_without_sense_are_refused() {
    for wrong in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let paths = paths_after(|s| s.zones[1].rules.silence_heartbeats = wrong);
        assert_eq!(paths, ["zones[1].rules.silence_heartbeats"], "{wrong}");
    }
    let path_after = |mistake: fn(&mut SessionRules)| paths_after(|s| mistake(&mut s.zones[0].rules));
    assert_eq!(
        path_after(|r| r.flips_per_hour_max = 0),
        ["zones[0].rules.flips_per_hour_max"]
    );
    assert_eq!(path_after(|r| r.stay_max_s = r.grace_s), ["zones[0].rules.stay_max_s"]);
    assert_eq!(path_after(|r| r.merge_gap_s = 3_600), ["zones[0].rules.merge_gap_s"]);
    assert_eq!(path_after(|r| r.settle_s = 3_600), ["zones[0].rules.settle_s"]);
    assert_eq!(path_after(|r| r.horizon_s = 3_599), ["zones[0].rules.horizon_s"]);
    assert!(path_after(|r| (r.merge_gap_s, r.settle_s, r.horizon_s) = (3_599, 1, 3_600)).is_empty());
    assert_eq!(
        path_after(|r| (r.merge_gap_s, r.settle_s, r.horizon_s) = (3_599, 2, 3_600)),
        ["zones[0].rules.horizon_s"]
    );
}

#[test]
fn a_tariff_without_fees_or_with_two_for_a_class_is_refused() {
    assert_eq!(paths_after(|s| s.tariffs[0].fees.clear()), ["tariffs[0].fees"]);
    let repeated = |s: &mut Site| {
        s.tariffs[0].fees = [VehicleClass::Car, VehicleClass::Bus, VehicleClass::Car]
            .map(flat)
            .into();
    };
    assert_eq!(paths_after(repeated), ["tariffs[0].fees[2].class"]);
}

#[test]
fn negative_fees_and_periods_without_length_are_refused() {
    let negative = FeeRule::Flat { fee: Rupiah(-1) };
    assert_eq!(
        paths_after(|s| s.tariffs[0].fees[0].rule = negative),
        ["tariffs[0].fees[0].rule.fee"]
    );
    assert_eq!(
        paths_after(|s| s.tariffs[0].fees[0].cap = Some(Rupiah(-1))),
        ["tariffs[0].fees[0].cap"]
    );
    let nonsense = FeeRule::Progressive {
        first_s: 0,
        first_fee: Rupiah(-3_000),
        next_s: 0,
        next_fee: Rupiah(-2_000),
    };
    assert_eq!(
        paths_after(|s| s.tariffs[0].fees[0].rule = nonsense),
        ["first_s", "next_s", "first_fee", "next_fee"].map(|key| format!("tariffs[0].fees[0].rule.{key}"))
    );
}

#[test]
fn a_tariff_whose_last_day_is_before_its_first_is_refused_and_a_single_day_is_not() {
    let until = |day: &str| paths_after(|s| s.tariffs[0].valid_until = Some(day.parse().unwrap()));
    assert_eq!(until("2024-12-31"), ["tariffs[0].valid_until"]);
    assert!(until("2025-01-01").is_empty());
}

#[test]
fn two_tariffs_for_one_zone_and_class_on_one_day_are_refused() {
    let with = |zones: &'static [&'static str], second: TariffSchedule| {
        paths_after(move |s| s.tariffs = vec![tariff("t1", zones, "2025-01-01", Some("2025-12-31")), second])
    };
    let refused = ["tariffs[1].valid_from"];
    assert_eq!(with(&[], tariff("t2", &[], "2025-12-31", None)), refused);
    assert_eq!(
        with(&["a", "b"], tariff("t2", &["b"], "2024-01-01", Some("2025-01-01"))),
        refused
    );

    assert!(
        with(&[], tariff("t2", &[], "2026-01-01", None)).is_empty(),
        "one after the other"
    );
    assert!(
        with(&["a"], tariff("t2", &["b"], "2025-01-01", None)).is_empty(),
        "other zones"
    );
    assert!(
        with(&[], tariff("t2", &["b"], "2025-01-01", None)).is_empty(),
        "an exception for a zone"
    );
    let mut bus = tariff("t2", &[], "2025-01-01", None);
    bus.fees = vec![flat(VehicleClass::Bus)];
    assert!(with(&[], bus).is_empty(), "other classes");
}

/// Sensor `s2` counts motorcycles in zone `b`, and nothing is wrong.
fn site_with_counter() -> Site {
    let mut site = site();
    site.sensors[1].counts = Some(Counting::default());
    site.counters = vec![Counter {
        sensor: SensorId::new("s2").unwrap(),
        zone: ZoneId::new("b").unwrap(),
        class: VehicleClass::Motorcycle,
        latitude: -6.914,
        longitude: 107.609,
        during: hours(0, Some(8)),
        vehicles: Sampling {
            vehicles_per_1000: 900,
            error_percent: 10,
        },
    }];
    site
}

type Mistake = fn(&mut Site);

#[test]
fn a_counter_counts_what_nothing_else_counts_by_a_sensor_that_can() {
    assert_eq!(site_with_counter().check(), []);
    let paths_after = |mistake: fn(&mut Site)| -> Vec<String> {
        let mut site = site_with_counter();
        mistake(&mut site);
        site.check().into_iter().map(|problem| problem.path).collect()
    };
    let cases: [(Mistake, &str); 9] = [
        (|s| s.counters[0].zone = ZoneId::new("c").unwrap(), "counters[0].zone"),
        (
            |s| s.counters[0].sensor = SensorId::new("s9").unwrap(),
            "counters[0].sensor",
        ),
        (|s| s.sensors[1].counts = None, "counters[0].sensor"),
        (
            |s| s.bindings.push(binding("s2", "b-1", hours(0, None))),
            "counters[0].sensor",
        ),
        (|s| s.counters[0].latitude = 91.0, "counters[0].latitude"),
        (|s| s.counters[0].during = hours(8, Some(8)), "counters[0].during.until"),
        (|s| s.counters[0].class = VehicleClass::Car, "counters[0].class"),
        (
            |s| {
                let mut fee = flat(VehicleClass::Motorcycle);
                fee.once_a_day = true;
                s.tariffs[0].fees.push(fee);
            },
            "counters[0].class",
        ),
        (
            |s| {
                let again = Counter {
                    during: hours(7, None),
                    zone: ZoneId::new("a").unwrap(),
                    ..s.counters[0].clone()
                };
                s.counters.push(again);
            },
            "counters[1].sensor",
        ),
    ];
    for (mistake, path) in cases {
        assert_eq!(paths_after(mistake), [path]);
    }
    // What all zones ask by the time holds not where the zone has a fee of its own.
    let own_fee = paths_after(|s| {
        let mut fee = flat(VehicleClass::Motorcycle);
        fee.once_a_day = true;
        s.tariffs[0].fees.push(fee);
        let mut own = tariff("t2", &["b"], "2025-01-01", None);
        own.fees = vec![flat(VehicleClass::Motorcycle)];
        s.tariffs.push(own);
    });
    assert!(own_fee.is_empty(), "{own_fee:?}");
    // It may move, and a zone may have nothing else.
    let moved = paths_after(|s| {
        let again = Counter {
            during: hours(8, None),
            zone: ZoneId::new("a").unwrap(),
            ..s.counters[0].clone()
        };
        s.counters.push(again);
        s.spaces.retain(|space| space.id.as_str() != "b-1");
    });
    assert!(moved.is_empty(), "{moved:?}");
}

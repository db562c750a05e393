//! What a stay should cost by the tariff schedule in force.
//!
//! **Which schedule.** The one in force on the business day on which the stay *starts*, by the site's zone of time and
//! day cut-off. A tariff that changes during a stay does not touch it: the rate at its start holds to its end. Among the
//! schedules that price the class, one that names the zone wins over one for all zones. [`Site::check`] refuses a site in
//! which two of the same rank are in force at once; should it happen all the same, the one that came into force later
//! wins, then the one whose name sorts first, so that the order in the configuration never decides about money.
//!
//! **How much.** Nothing for a stay shorter than the grace, or that does not end after it starts. Otherwise the whole
//! stay is priced, grace included: a flat fee once, or the first period's fee plus one fee for each further period
//! begun. A stay of exactly the first period's length has begun no further one. The cap applies last. The fee never
//! falls as the stay grows, and neither is negative nor overflows, whatever the configuration says: a negative amount
//! counts as zero and sums saturate.
//!
//! **Once a day.** A sensor cannot tell whether the vehicle that comes back has paid already. So this module prices each
//! stay by itself and says that the class is paid once a day ([`Charge::once_a_day`]); whoever sees all stays of a space
//! applies the rule: the first billed stay of a space, class and business day carries the fee, each later one is priced
//! from zero (the same payer) to the full fee (another one), best estimate zero.

use std::cmp::Reverse;

use crate::{CivilDate, ClassFee, FeeRule, Rupiah, SessionRules, Site, TariffId, TariffSchedule, Timestamp};
use crate::{VehicleClass, ZoneId};

/// The price of one stay and the terms that led to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Charge {
    /// The schedule applied; `None` when none was in force for the zone and class.
    pub tariff: Option<TariffId>,
    /// A stay shorter than this is free, seconds: the class's own grace, otherwise the zone's.
    pub grace_s: u32,
    /// The class pays once for a space and a business day; see the module's head.
    pub once_a_day: bool,
    /// What the stay costs, taken by itself.
    pub fee: Rupiah,
}

impl Site {
    /// Prices a stay of a vehicle of `class` in `zone` from `start` to `end`.
    ///
    /// Without a schedule in force the fee is zero and the grace is the zone's. A zone that the site does not know has
    /// the default rules.
    pub fn charge(&self, zone: &ZoneId, class: VehicleClass, start: Timestamp, end: Timestamp) -> Charge {
        let day = self.timezone.business_day(start, self.day_cutoff_minutes);
        let zone_grace_s = self
            .zones
            .iter()
            .find(|z| z.id == *zone)
            .map_or_else(|| SessionRules::default().grace_s, |z| z.rules.grace_s);
        let Some((schedule, class_fee)) = self.schedule_in_force(zone, class, day) else {
            return Charge {
                tariff: None,
                grace_s: zone_grace_s,
                once_a_day: false,
                fee: Rupiah(0),
            };
        };
        let grace_s = class_fee.grace_s.unwrap_or(zone_grace_s);
        Charge {
            tariff: Some(schedule.id.clone()),
            grace_s,
            once_a_day: class_fee.once_a_day,
            fee: price(class_fee, grace_s, end.millis_since(start)),
        }
    }

    /// What one use costs in `zone` at `at`, where it costs the same however long it is, and by which tariff; nothing
    /// where there is none, or where the fee grows with time.
    pub(crate) fn fee_of_a_use(&self, zone: &ZoneId, class: VehicleClass, at: Timestamp) -> (Option<TariffId>, Rupiah) {
        let day = self.timezone.business_day(at, self.day_cutoff_minutes);
        let flat = self
            .schedule_in_force(zone, class, day)
            .filter(|(_, class_fee)| matches!(class_fee.rule, FeeRule::Flat { .. }));
        flat.map_or((None, Rupiah(0)), |(schedule, class_fee)| {
            (Some(schedule.id.clone()), price(class_fee, 0, 1))
        })
    }

    fn schedule_in_force(
        &self,
        zone: &ZoneId,
        class: VehicleClass,
        day: CivilDate,
    ) -> Option<(&TariffSchedule, &ClassFee)> {
        self.tariffs
            .iter()
            .filter(|s| s.valid_from <= day && s.valid_until.is_none_or(|last| day <= last))
            .filter(|s| s.zones.is_empty() || s.zones.contains(zone))
            .filter_map(|s| s.fees.iter().find(|f| f.class == class).map(|f| (s, f)))
            .max_by_key(|(s, _)| (!s.zones.is_empty(), s.valid_from, Reverse(&s.id)))
    }
}

fn price(class_fee: &ClassFee, grace_s: u32, stay_ms: i64) -> Rupiah {
    if stay_ms <= 0 || stay_ms < millis(grace_s) {
        return Rupiah(0);
    }
    let fee = match class_fee.rule {
        FeeRule::Flat { fee } => fee.0.max(0),
        FeeRule::Progressive {
            first_s,
            first_fee,
            next_s,
            next_fee,
        } => {
            let further = further_periods(stay_ms - millis(first_s), millis(next_s));
            let further_fee = next_fee.0.max(0).saturating_mul(further);
            first_fee.0.max(0).saturating_add(further_fee)
        }
    };
    Rupiah(class_fee.cap.map_or(fee, |cap| fee.min(cap.0.max(0))))
}

/// Further periods begun in `over_ms` beyond the first; none when a period has no length.
fn further_periods(over_ms: i64, period_ms: i64) -> i64 {
    if over_ms <= 0 || period_ms <= 0 {
        return 0;
    }
    // The first millisecond of a period begins it; written so that no sum can overflow.
    (over_ms - 1) / period_ms + 1
}

fn millis(seconds: u32) -> i64 {
    i64::from(seconds) * 1_000
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{GatewayId, Timezone, Zone};

    const HOUR_S: i64 = 3_600;

    fn flat(class: VehicleClass, fee: i64) -> ClassFee {
        ClassFee {
            class,
            grace_s: None,
            rule: FeeRule::Flat { fee: Rupiah(fee) },
            cap: None,
            once_a_day: false,
        }
    }

    fn hourly(class: VehicleClass, first_fee: i64, next_fee: i64) -> ClassFee {
        ClassFee {
            rule: FeeRule::Progressive {
                first_s: 3_600,
                first_fee: Rupiah(first_fee),
                next_s: 3_600,
                next_fee: Rupiah(next_fee),
            },
            ..flat(class, 0)
        }
    }

    fn schedule(id: &str, zones: &[&str], from: &str, until: Option<&str>, fees: Vec<ClassFee>) -> TariffSchedule {
        TariffSchedule {
            id: TariffId::new(id).unwrap(),
            regulation: format!("Perda {id}"),
            zones: zones.iter().map(|z| zone(z)).collect(),
            valid_from: from.parse().unwrap(),
            valid_until: until.map(|day| day.parse().unwrap()),
            fees,
        }
    }

    fn palembang() -> TariffSchedule {
        let fees = vec![flat(VehicleClass::Motorcycle, 1_000), flat(VehicleClass::Car, 2_000)];
        schedule("palembang-16-2011", &[], "2011-01-01", None, fees)
    }

    fn bandung() -> TariffSchedule {
        let fees = vec![
            hourly(VehicleClass::Car, 3_000, 2_000),
            hourly(VehicleClass::Motorcycle, 1_500, 1_000),
        ];
        schedule("bandung", &[], "2017-01-01", None, fees)
    }

    fn site(tariffs: Vec<TariffSchedule>) -> Site {
        Site {
            gateway: GatewayId::new("sudirman-01").unwrap(),
            timezone: Timezone::Wib,
            day_cutoff_minutes: 0,
            zones: vec![Zone {
                id: zone("a"),
                name: "Ruas A".to_owned(),
                rules: SessionRules::default(),
            }],
            spaces: Vec::new(),
            sensors: Vec::new(),
            bindings: Vec::new(),
            counters: Vec::new(),
            tariffs,
        }
    }

    fn zone(id: &str) -> ZoneId {
        ZoneId::new(id).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    /// The charge in zone `a` of a stay of `seconds` that starts at `start`.
    fn stay(site: &Site, class: VehicleClass, start: &str, seconds: i64) -> Charge {
        let start = at(start);
        site.charge(&zone("a"), class, start, start.plus_seconds(seconds))
    }

    /// The fee in zone `a` of a stay of `seconds` on an ordinary morning.
    fn fee(site: &Site, class: VehicleClass, seconds: i64) -> i64 {
        stay(site, class, "2026-01-05T07:00:00+07:00", seconds).fee.0
    }

    /// The name of the tariff of a car in `zone_id` that starts at `start`.
    fn tariff(site: &Site, zone_id: &str, start: &str) -> Option<String> {
        let charge = site.charge(
            &zone(zone_id),
            VehicleClass::Car,
            at(start),
            at(start).plus_seconds(HOUR_S),
        );
        charge.tariff.map(String::from)
    }

    #[test]
    fn palembang_asks_one_flat_fee_however_long_the_stay() {
        let site = site(vec![palembang()]);
        for seconds in [120, HOUR_S, 9 * HOUR_S, 23 * HOUR_S] {
            assert_eq!(fee(&site, VehicleClass::Motorcycle, seconds), 1_000, "{seconds} s");
            assert_eq!(fee(&site, VehicleClass::Car, seconds), 2_000, "{seconds} s");
        }
    }

    #[test]
    fn bandung_asks_for_the_first_hour_and_for_each_further_one_begun() {
        let site = site(vec![bandung()]);
        for (seconds, car, motorcycle) in [
            (120, 3_000, 1_500),
            (3_599, 3_000, 1_500),
            (3_600, 3_000, 1_500),
            (3_601, 5_000, 2_500),
            (7_200, 5_000, 2_500),
            (7_201, 7_000, 3_500),
            (8 * HOUR_S + 1_800, 19_000, 9_500), // 3.000 + 8 x 2.000; 1.500 + 8 x 1.000
        ] {
            assert_eq!(fee(&site, VehicleClass::Car, seconds), car, "car, {seconds} s");
            assert_eq!(
                fee(&site, VehicleClass::Motorcycle, seconds),
                motorcycle,
                "motorcycle, {seconds} s"
            );
        }
    }

    #[test]
    fn a_fraction_of_a_second_begins_a_further_period() {
        let site = site(vec![bandung()]);
        let start = at("2026-01-05T07:00:00+07:00");
        let end = start.plus_millis(3_600_001);
        assert_eq!(
            site.charge(&zone("a"), VehicleClass::Car, start, end).fee,
            Rupiah(5_000)
        );
    }

    #[test]
    fn a_stay_one_second_short_of_the_grace_is_free_and_one_of_the_grace_is_not() {
        let mut site = site(vec![palembang()]);
        assert_eq!(fee(&site, VehicleClass::Car, 119), 0);
        assert_eq!(fee(&site, VehicleClass::Car, 120), 2_000);

        site.tariffs[0].fees[1].grace_s = Some(600);
        let free = stay(&site, VehicleClass::Car, "2026-01-05T07:00:00+07:00", 599);
        assert_eq!((free.grace_s, free.fee), (600, Rupiah(0)));
        assert_eq!(fee(&site, VehicleClass::Car, 600), 2_000);
        assert_eq!(
            fee(&site, VehicleClass::Motorcycle, 599),
            1_000,
            "another class keeps the zone's"
        );
    }

    #[test]
    fn a_stay_that_does_not_end_after_it_starts_costs_nothing_even_without_grace() {
        let mut site = site(vec![palembang()]);
        site.zones[0].rules.grace_s = 0;
        assert_eq!(fee(&site, VehicleClass::Car, 0), 0);
        assert_eq!(fee(&site, VehicleClass::Car, -HOUR_S), 0);
        assert_eq!(fee(&site, VehicleClass::Car, 1), 2_000);
    }

    #[test]
    fn no_stay_costs_more_than_the_cap() {
        let mut site = site(vec![bandung()]);
        site.tariffs[0].fees[0].cap = Some(Rupiah(10_000));
        assert_eq!(fee(&site, VehicleClass::Car, 4 * HOUR_S), 9_000);
        assert_eq!(fee(&site, VehicleClass::Car, 4 * HOUR_S + 1), 10_000);
        assert_eq!(fee(&site, VehicleClass::Car, 23 * HOUR_S), 10_000);
    }

    #[test]
    fn a_class_or_zone_without_tariff_costs_nothing_and_says_so() {
        let site = site(vec![schedule(
            "b-only",
            &["b"],
            "2020-01-01",
            None,
            vec![flat(VehicleClass::Car, 2_000)],
        )]);
        let missing = Charge {
            tariff: None,
            grace_s: 120,
            once_a_day: false,
            fee: Rupiah(0),
        };
        assert_eq!(
            stay(&site, VehicleClass::Car, "2026-01-05T07:00:00+07:00", HOUR_S),
            missing
        );
        let start = at("2026-01-05T07:00:00+07:00");
        let truck = site.charge(&zone("b"), VehicleClass::Truck, start, start.plus_seconds(HOUR_S));
        assert_eq!(truck, missing);
    }

    #[test]
    fn a_tariff_holds_from_its_first_to_its_last_day_both_included() {
        let day = |from, until| schedule("t", &[], from, until, vec![flat(VehicleClass::Car, 2_000)]);
        let site = site(vec![day("2026-01-05", Some("2026-01-06"))]);
        assert_eq!(tariff(&site, "a", "2026-01-04T23:59:59+07:00"), None);
        assert_eq!(tariff(&site, "a", "2026-01-05T00:00:00+07:00").as_deref(), Some("t"));
        assert_eq!(tariff(&site, "a", "2026-01-06T23:59:59+07:00").as_deref(), Some("t"));
        assert_eq!(tariff(&site, "a", "2026-01-07T00:00:00+07:00"), None);
    }

    #[test]
    fn the_day_cut_off_and_the_zone_of_time_decide_which_day_a_stay_starts_on() {
        let fees = || vec![flat(VehicleClass::Car, 2_000)];
        let mut site = site(vec![
            schedule("old", &[], "2025-01-01", Some("2026-01-05"), fees()),
            schedule("new", &[], "2026-01-06", None, fees()),
        ]);
        assert_eq!(tariff(&site, "a", "2026-01-06T02:59:59+07:00").as_deref(), Some("new"));
        site.day_cutoff_minutes = 180;
        assert_eq!(tariff(&site, "a", "2026-01-06T02:59:59+07:00").as_deref(), Some("old"));
        assert_eq!(tariff(&site, "a", "2026-01-06T03:00:00+07:00").as_deref(), Some("new"));
        site.timezone = Timezone::Wit;
        assert_eq!(tariff(&site, "a", "2026-01-06T02:59:59+07:00").as_deref(), Some("new"));
    }

    #[test]
    fn a_tariff_that_changes_during_a_stay_does_not_touch_it() {
        let site = site(vec![
            schedule(
                "old",
                &[],
                "2025-01-01",
                Some("2026-01-05"),
                vec![hourly(VehicleClass::Car, 3_000, 2_000)],
            ),
            schedule(
                "new",
                &[],
                "2026-01-06",
                None,
                vec![hourly(VehicleClass::Car, 30_000, 20_000)],
            ),
        ]);
        let over_midnight = stay(&site, VehicleClass::Car, "2026-01-05T23:59:59+07:00", 3 * HOUR_S);
        assert_eq!(over_midnight.tariff.unwrap().as_str(), "old");
        assert_eq!(over_midnight.fee, Rupiah(7_000));
    }

    #[test]
    fn a_schedule_that_names_the_zone_wins_over_one_for_all_wherever_it_stands() {
        let general = || schedule("general", &[], "2025-06-01", None, vec![flat(VehicleClass::Car, 2_000)]);
        let own = || schedule("own", &["a"], "2025-01-01", None, vec![flat(VehicleClass::Car, 3_000)]);
        for tariffs in [vec![general(), own()], vec![own(), general()]] {
            let site = site(tariffs);
            assert_eq!(tariff(&site, "a", "2026-01-05T07:00:00+07:00").as_deref(), Some("own"));
            assert_eq!(
                tariff(&site, "b", "2026-01-05T07:00:00+07:00").as_deref(),
                Some("general")
            );
        }
    }

    #[test]
    fn a_schedule_that_names_the_zone_but_not_the_class_leaves_the_class_to_the_general_one() {
        let own = schedule(
            "own",
            &["a"],
            "2025-01-01",
            None,
            vec![flat(VehicleClass::Motorcycle, 3_000)],
        );
        let site = site(vec![own, palembang()]);
        assert_eq!(fee(&site, VehicleClass::Motorcycle, HOUR_S), 3_000);
        assert_eq!(fee(&site, VehicleClass::Car, HOUR_S), 2_000);
    }

    #[test]
    fn of_two_schedules_of_one_rank_the_later_wins_in_any_order() {
        let fees = || vec![flat(VehicleClass::Car, 2_000)];
        let earlier = || schedule("a-earlier", &[], "2025-01-01", None, fees());
        let later = || schedule("z-later", &[], "2025-06-01", None, fees());
        let twin = || schedule("b-twin", &[], "2025-06-01", None, fees());
        for tariffs in [vec![earlier(), later()], vec![later(), earlier()]] {
            assert_eq!(
                tariff(&site(tariffs), "a", "2026-01-05T07:00:00+07:00").as_deref(),
                Some("z-later")
            );
        }
        for tariffs in [vec![twin(), later()], vec![later(), twin()]] {
            assert_eq!(
                tariff(&site(tariffs), "a", "2026-01-05T07:00:00+07:00").as_deref(),
                Some("b-twin")
            );
        }
    }

    #[test]
    fn a_fee_paid_once_a_day_says_so_and_is_priced_in_full() {
        let mut site = site(vec![palembang()]);
        site.tariffs[0].fees[1].once_a_day = true;
        let charge = stay(&site, VehicleClass::Car, "2026-01-05T07:00:00+07:00", HOUR_S);
        assert!(charge.once_a_day);
        assert_eq!(charge.fee, Rupiah(2_000));
        assert!(!stay(&site, VehicleClass::Motorcycle, "2026-01-05T07:00:00+07:00", HOUR_S).once_a_day);
    }

    #[test]
    fn an_absurd_fee_saturates_instead_of_overflowing() {
        let mut site = site(vec![bandung()]);
        site.tariffs[0].fees[0] = hourly(VehicleClass::Car, i64::MAX, i64::MAX);
        let ages = site.charge(
            &zone("a"),
            VehicleClass::Car,
            at("2020-01-01T00:00:00Z"),
            Timestamp::from_millis(i64::MAX),
        );
        assert_eq!(ages.fee, Rupiah(i64::MAX));
    }

    /// Rules from the sane to the absurd.
    fn any_rule() -> impl Strategy<Value = FeeRule> {
        let amount = || prop_oneof![0..100_000_i64, any::<i64>()].prop_map(Rupiah);
        let period = || prop_oneof![0..10_000_u32, any::<u32>()];
        prop_oneof![
            amount().prop_map(|fee| FeeRule::Flat { fee }),
            (period(), amount(), period(), amount()).prop_map(|(first_s, first_fee, next_s, next_fee)| {
                FeeRule::Progressive {
                    first_s,
                    first_fee,
                    next_s,
                    next_fee,
                }
            }),
        ]
    }

    fn any_class_fee() -> impl Strategy<Value = ClassFee> {
        let cap = proptest::option::of(prop_oneof![0..1_000_000_i64, any::<i64>()].prop_map(Rupiah));
        let grace_s = prop_oneof![0..1_000_u32, any::<u32>()];
        (any_rule(), cap, grace_s).prop_map(|(rule, cap, grace_s)| ClassFee {
            class: VehicleClass::Car,
            grace_s: Some(grace_s),
            rule,
            cap,
            once_a_day: false,
        })
    }

    fn any_duration_s() -> impl Strategy<Value = i64> {
        prop_oneof![-1_000..200_000_i64, any::<i64>()]
    }

    proptest! {
        #[test]
        fn a_longer_stay_never_costs_less_and_no_fee_is_negative_or_above_the_cap(
            class_fee in any_class_fee(),
            one_s in any_duration_s(),
            other_s in any_duration_s(),
        ) {
            let cap = class_fee.cap;
            let site = site(vec![schedule("t", &[], "2020-01-01", None, vec![class_fee])]);
            let shorter = fee(&site, VehicleClass::Car, one_s.min(other_s));
            let longer = fee(&site, VehicleClass::Car, one_s.max(other_s));
            prop_assert!(0 <= shorter && shorter <= longer, "{shorter} then {longer}");
            if let Some(cap) = cap {
                prop_assert!(longer <= cap.0.max(0), "{longer} above {cap}");
            }
        }

        #[test]
        fn a_progressive_fee_equals_counting_the_periods_one_by_one(
            first_s in 1..5_000_u32,
            next_s in 1..5_000_u32,
            first_fee in 0..10_000_i64,
            next_fee in 0..10_000_i64,
            stay_s in 1..50_000_i64,
        ) {
            let mut class_fee = hourly(VehicleClass::Car, 0, 0);
            class_fee.grace_s = Some(0);
            class_fee.rule = FeeRule::Progressive {
                first_s,
                first_fee: Rupiah(first_fee),
                next_s,
                next_fee: Rupiah(next_fee),
            };
            let site = site(vec![schedule("t", &[], "2020-01-01", None, vec![class_fee])]);
            let mut paid_until_s = i64::from(first_s);
            let mut expected = first_fee;
            while paid_until_s < stay_s {
                paid_until_s += i64::from(next_s);
                expected += next_fee;
            }
            prop_assert_eq!(fee(&site, VehicleClass::Car, stay_s), expected);
        }
    }
}

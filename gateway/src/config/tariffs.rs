//! Tariff schedules: what the city's regulations ask, where and when.

use parking::{CivilDate, ClassFee, FeeRule, Rupiah, TariffId, TariffSchedule, VehicleClass, ZoneId};

use super::names::Names;
use super::reader::{Field, Table};
use super::report::{Placed, Report};
use super::site::ZONES_MAX;

/// Most tariff schedules of one box.
const TARIFFS_MAX: usize = 200;
/// Most fees of a schedule, one a class.
const FEES_MAX: usize = 16;
/// Highest fee that is taken for a fee and not for a slip of the hand.
const FEE_RP_MAX: i64 = 10_000_000;
/// Longest period of a progressive fee: a day.
const PERIOD_MINUTES_MAX: u32 = 24 * 60;

pub(super) fn tariffs(report: &mut Report, root: &mut Table, zones: &Names) -> Vec<Placed<TariffSchedule>> {
    let mut names = Names::of("tariff");
    let mut tariffs = Vec::new();
    for mut table in root.tables(report, "tariffs", TARIFFS_MAX) {
        let id = table
            .required("id", "name the tariff, as in id = \"bandung-1\"")
            .and_then(|field| names.define::<TariffId>(report, &field));
        let regulation = table
            .required(
                "regulation",
                "write the regulation as printed, as in \"Perda Kota Palembang 16/2011\"",
            )
            .and_then(|field| field.text(report).map(str::to_owned));
        let in_zones = table
            .optional("zones")
            .map_or_else(Vec::new, |field| zone_list(report, &field, zones));
        let valid_from = table
            .required("valid_from", "write the first day, as in valid_from = 2026-01-01")
            .and_then(|field| field.date(report));
        let valid_until = table.optional("valid_until");
        let last_day = valid_until
            .as_ref()
            .and_then(|field| last_day(report, field, valid_from));
        let fees = fees(report, &mut table);
        let place = table.place.clone();
        table.finish(report);
        if let (Some(id), Some(regulation), Some(valid_from), Some(fees)) = (id, regulation, valid_from, fees) {
            let value = TariffSchedule {
                id,
                regulation,
                zones: in_zones,
                valid_from,
                valid_until: last_day,
                fees,
            };
            tariffs.push(Placed { value, place });
        }
    }
    tariffs
}

fn zone_list(report: &mut Report, field: &Field, zones: &Names) -> Vec<ZoneId> {
    let Some(elements) = field.list(report, ZONES_MAX) else {
        return Vec::new();
    };
    if elements.is_empty() {
        report.error(
            &field.place,
            "this list is empty",
            "name the zones, or leave the key out for all zones",
        );
    }
    let refer = |element: &Field| zones.refer::<ZoneId>(report, element);
    elements.iter().filter_map(refer).collect()
}

fn last_day(report: &mut Report, field: &Field, first_day: Option<CivilDate>) -> Option<CivilDate> {
    let last_day = field.date(report)?;
    match first_day {
        Some(first_day) if last_day < first_day => {
            let message = format!("{last_day} is before valid_from, which is {first_day}");
            field.error(report, message, "write the last day on which the tariff holds")
        }
        _ => Some(last_day),
    }
}

/// The fees of `tariff`, if every one of them is whole.
fn fees(report: &mut Report, tariff: &mut Table) -> Option<Vec<ClassFee>> {
    let mut fees: Vec<ClassFee> = Vec::new();
    let hint = "add [[tariffs.fees]] with class and type";
    let tables = tariff.tables_required(report, "fees", FEES_MAX, hint);
    let wanted = tables.len().max(1);
    for mut table in tables {
        let class = table.required("class", "use motorcycle, car, truck or bus");
        let class = class.and_then(|field| class_once(report, &field, &fees));
        let grace_s = table
            .optional("grace_s")
            .and_then(|field| field.integer(report, &(0..=86_400)));
        let once_a_day = table
            .optional("once_a_day")
            .and_then(|field| field.boolean(report))
            .unwrap_or(false);
        let rule = rule(report, &mut table);
        let cap = table.optional("cap_rp");
        let cap = cap.and_then(|field| cap_amount(report, &field, rule));
        table.finish(report);
        if let (Some(class), Some(rule)) = (class, rule) {
            fees.push(ClassFee {
                class,
                grace_s,
                rule,
                cap,
                once_a_day,
            });
        }
    }
    (fees.len() == wanted).then_some(fees)
}

fn class_once(report: &mut Report, field: &Field, fees: &[ClassFee]) -> Option<VehicleClass> {
    let class = field.vehicle_class(report)?;
    if fees.iter().any(|fee| fee.class == class) {
        let message = format!("this tariff already has a fee for class \"{}\"", field.shown());
        return field.error(report, message, "give each class one fee a tariff");
    }
    Some(class)
}

fn rule(report: &mut Report, table: &mut Table) -> Option<FeeRule> {
    const PROGRESSIVE: [&str; 4] = ["first_minutes", "first_fee_rp", "next_minutes", "next_fee_rp"];
    let field = table.required("type", "use \"flat\" or \"progressive\"")?;
    match field.text(report)? {
        "flat" => {
            table.misplaced(report, &PROGRESSIVE, "a flat fee takes fee_rp");
            let fee = amount(
                report,
                table,
                "fee_rp",
                "write the fee of a use, rupiah, as in fee_rp = 2000",
            )?;
            Some(FeeRule::Flat { fee })
        }
        "progressive" => {
            table.misplaced(
                report,
                &["fee_rp"],
                "a progressive fee takes first_fee_rp and next_fee_rp",
            );
            let first_s = period(
                report,
                table,
                "first_minutes",
                "write the length of the first period, as in first_minutes = 60",
            );
            let first_fee = amount(
                report,
                table,
                "first_fee_rp",
                "write the fee of the first period, rupiah",
            );
            let next_s = period(
                report,
                table,
                "next_minutes",
                "write the length of each further period, as in next_minutes = 60",
            );
            let next_fee = amount(
                report,
                table,
                "next_fee_rp",
                "write the fee of each further period, rupiah",
            );
            Some(FeeRule::Progressive {
                first_s: first_s?,
                first_fee: first_fee?,
                next_s: next_s?,
                next_fee: next_fee?,
            })
        }
        _ => {
            table.ignore(&["fee_rp"]);
            table.ignore(&PROGRESSIVE);
            let message = format!("\"{}\" is no type of fee", field.shown());
            field.error(report, message, "use \"flat\" or \"progressive\"")
        }
    }
}

fn amount(report: &mut Report, table: &mut Table, key: &'static str, hint: &'static str) -> Option<Rupiah> {
    let field = table.required(key, hint)?;
    field.integer(report, &(0..=FEE_RP_MAX)).map(Rupiah)
}

fn period(report: &mut Report, table: &mut Table, key: &'static str, hint: &'static str) -> Option<u32> {
    let field = table.required(key, hint)?;
    field
        .integer(report, &(1..=PERIOD_MINUTES_MAX))
        .map(|minutes| minutes * 60)
}

fn cap_amount(report: &mut Report, field: &Field, rule: Option<FeeRule>) -> Option<Rupiah> {
    let cap = Rupiah(field.integer(report, &(1..=FEE_RP_MAX))?);
    let least = match rule? {
        FeeRule::Flat { fee } => fee,
        FeeRule::Progressive { first_fee, .. } => first_fee,
    };
    if cap < least {
        let message = format!("no session may cost more than {cap}, yet the shortest costs {least}");
        return field.error(report, message, format!("write at least {}", least.0));
    }
    Some(cap)
}

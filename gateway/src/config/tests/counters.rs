//! Mistakes about counters.

use super::{SOUND, parse};

const LINE: &str = "
[[zones]]
id = \"gasibu\"
name = \"Pasar Gasibu\"

[[sensors]]
id = \"70b3d52c00019c01\"
profile = \"nwave-ncc405\"

[[counters]]
sensor = \"70b3d52c00019c01\"
zone = \"gasibu\"
class = \"motorcycle\"
vehicles_per_count = 0.85
error_percent = 10
latitude = -6.9
longitude = 107.62

[[tariffs]]
id = \"motor\"
regulation = \"Perda 1/2025\"
zones = [\"gasibu\"]
valid_from = 2026-01-01
[[tariffs.fees]]
class = \"motorcycle\"
type = \"flat\"
fee_rp = 1000
";

fn with(changes: &[(&str, &str)]) -> String {
    let line = changes.iter().fold(LINE.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old} is not in the configuration");
        text.replacen(old, new, 1)
    });
    format!("{SOUND}{line}")
}

fn told_of(text: &str) -> String {
    match parse(text) {
        Ok(config) => config.warnings.iter().map(ToString::to_string).collect(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn a_counter_counts_a_class_of_a_zone_by_a_factor() {
    let config = parse(&with(&[])).unwrap();
    assert_eq!(config.warnings, []);
    let [counter] = config.site.counters.as_slice() else {
        panic!("{:?}", config.site.counters)
    };
    assert_eq!(
        (counter.sensor.as_str(), counter.zone.as_str()),
        ("70b3d52c00019c01", "gasibu")
    );
    assert_eq!(counter.vehicles.range(), [765, 850, 935]);
    let traits = config.site.sensors.last().unwrap();
    assert_eq!(
        traits
            .counts
            .and_then(|counts| counts.modulus)
            .map(std::num::NonZero::get),
        Some(65_536)
    );
}

#[test]
fn what_a_counter_lacks_or_cannot_do_is_told() {
    for (changes, told) in [
        (
            vec![("error_percent = 10\n", "")],
            "counters[0].error_percent: this key is missing",
        ),
        (
            vec![("vehicles_per_count = 0.85", "vehicles_per_count = 0")],
            "vehicles_per_count",
        ),
        (
            vec![("zone = \"gasibu\"\nclass", "zone = \"gasibo\"\nclass")],
            "there is no zone \"gasibo\"",
        ),
        (
            vec![("sensor = \"70b3d52c00019c01\"", "sensor = \"70b3d52c00019c02\"")],
            "there is no sensor",
        ),
        (
            vec![("profile = \"nwave-ncc405\"", "profile = \"nwave-nps405\"")],
            "counts nothing",
        ),
        (
            vec![(
                "class = \"motorcycle\"\ntype = \"flat\"\nfee_rp = 1000",
                "class = \"motorcycle\"\ntype = \"progressive\"\nfirst_minutes = 60\nfirst_fee_rp = 1000\nnext_minutes = 60\nnext_fee_rp = 500",
            )],
            "by the time or once a day, and a count tells neither",
        ),
        (vec![("latitude = -6.9\n", "latitude = 6.9\n")], "is not in Indonesia"),
        (
            vec![("class = \"motorcycle\"\ntype", "class = \"bus\"\ntype")],
            "no tariff asks a fee for class motorcycle in zone \"gasibu\"",
        ),
        (vec![("[[counters]]", "[[counter]]")], "did you mean `counters`"),
    ] {
        let said = told_of(&with(&changes));
        assert!(said.contains(told), "{said}\nlacks {told}");
    }
}

#[test]
fn a_sensor_that_counts_and_is_bound_nowhere_is_told_where_to_name_it() {
    let (before, after) = LINE.split_once("[[counters]]").unwrap();
    let (_, after) = after.split_once("[[tariffs]]").unwrap();
    let said = told_of(&format!("{SOUND}{before}[[tariffs]]{after}"));
    assert!(said.contains("zone \"gasibu\" has no space and no counter"), "{said}");
    let without_zone = before.split_once("[[sensors]]").unwrap().1;
    let said = told_of(&format!("{SOUND}[[sensors]]{without_zone}"));
    assert!(said.contains("name it in [[counters]]"), "{said}");
}

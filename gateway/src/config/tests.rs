mod cameras;
mod counters;
mod files;
mod network;
mod sensors;

use std::path::Path;
use std::time::Duration;

use super::{Config, ConfigErrors, FILE_BYTES_MAX, PROBLEMS_MAX};

/// A configuration without a problem and without a warning.
const SOUND: &str = include_str!("tests/sound.toml");

fn parse(text: &str) -> Result<Config, ConfigErrors> {
    Config::from_bytes(Path::new("box.toml"), text.as_bytes())
}

/// `SOUND` with some lines changed; each must be there.
fn sound_but(changes: &[(&str, &str)]) -> String {
    changes.iter().fold(SOUND.to_owned(), |text, (old, new)| {
        assert!(text.contains(old), "{old} is not in the configuration");
        text.replacen(old, new, 1)
    })
}

/// What is said of `SOUND` with some lines changed.
fn said(changes: &[(&str, &str)]) -> String {
    match parse(&sound_but(changes)) {
        Ok(config) => {
            let warnings: Vec<String> = config
                .warnings
                .iter()
                .map(|warning| format!("warning: {warning}"))
                .collect();
            warnings.join("\n")
        }
        Err(errors) => errors.to_string(),
    }
}

fn errors_of(text: &str) -> ConfigErrors {
    parse(text)
        .err()
        .unwrap_or_else(|| panic!("no problem was found in\n{text}"))
}

#[test]
fn a_sound_configuration_has_no_problem_and_no_warning() {
    let config = parse(SOUND).unwrap();
    assert_eq!(config.warnings, []);
    assert_eq!(config.gateway.log_origin(), "parkir.example.id/sudirman-01");
    assert_eq!(config.gateway.journal_dir(), Path::new("data/journal"));
    assert_eq!(config.local.socket, Path::new("data/gateway.sock"));
    assert_eq!(config.site.day_cutoff_minutes, 180);
    assert_eq!(
        config.sha256,
        "3a4aae77d4155a8c64ccda325de3fbbce168cd27748722175b769eeccb1a0ceb"
    );
}

#[test]
fn what_is_left_out_takes_its_default() {
    let config = parse(SOUND).unwrap();
    assert_eq!(config.uplink.port, 8883);
    assert_eq!(config.uplink.keep_alive, Duration::from_mins(1));
    assert_eq!(config.uplink.batch_records_max, 512);
    assert_eq!(config.uplink.backoff_max, Duration::from_mins(2));
    assert_eq!(config.journal.segment_bytes, 4_096 * 1_024);
    assert_eq!(config.journal.reserve_bytes, 64 * 1_024 * 1_024);
    assert_eq!(config.journal.commit_window, Duration::from_millis(20));
    assert_eq!(config.chirpstack.unwrap().client_id, "gateway-sudirman-01");
}

#[test]
fn paths_start_at_the_folder_of_the_file() {
    let config = Config::from_bytes(Path::new("/etc/gateway/box.toml"), SOUND.as_bytes()).unwrap();
    assert_eq!(config.keys.ledger_key, Path::new("/etc/gateway/keys/ledger.key"));
    let absolute = sound_but(&[("\"data\"", "\"/var/lib/gateway\"")]);
    let config = Config::from_bytes(Path::new("/etc/gateway/box.toml"), absolute.as_bytes()).unwrap();
    assert_eq!(config.gateway.data_dir, Path::new("/var/lib/gateway"));
}

#[test]
fn a_zone_takes_the_rules_of_the_box_and_sets_its_own() {
    let site = parse(SOUND).unwrap().site;
    let rules: Vec<(u32, u32)> = site
        .zones
        .iter()
        .map(|zone| (zone.rules.merge_gap_s, zone.rules.grace_s))
        .collect();
    assert_eq!(rules, [(90, 120), (90, 60)]);
}

#[test]
fn a_device_eui_is_one_sensor_however_it_is_written() {
    let config = parse(SOUND).unwrap();
    assert_eq!(config.sensors[0].id.as_str(), "70b3d5e75e004a01");
    assert_eq!(config.site.bindings[0].sensor.as_str(), "70b3d5e75e004a01");
}

#[test]
fn a_sensor_takes_heartbeat_and_queue_of_its_profile_unless_it_has_its_own() {
    let config = parse(&sound_but(&[
        ("heartbeat_s = 3600\n", ""),
        ("heartbeat_s = 600", "heartbeat_s = 600\nqueued = true"),
    ]));
    let sensors = config.unwrap().site.sensors;
    let traits: Vec<(u32, bool)> = sensors
        .iter()
        .map(|sensor| (sensor.heartbeat_s, sensor.queued))
        .collect();
    assert_eq!(traits, [(86_400, true), (3_600, true), (600, true)]);
}

#[test]
fn ten_mistakes_are_ten_messages() {
    let text = sound_but(&[
        ("log_domain", "log_domian"),
        ("timezone = \"WIB\"", "timezone = \"WIP\""),
        ("batch_bytes_max = 65536", "batch_bytes_max = \"65536\""),
        ("listen = \"127.0.0.1:8085\"", "listen = \"localhost\""),
        ("zones = [\"dago\"]", "zones = [\"dagu\"]"),
        ("valid_from = \"2026-01-01\"", "valid_from = \"2026-02-30\""),
        ("id = \"70b3d5e75e004a02\"", "id = \"70:b3:d5:e7:5e:00:4a:02\""),
        ("profile = \"webhook\"", "profile = \"webhok\""),
        ("latitude = -2.98760", "latitude = -298760"),
        ("space = \"D-02\"", "space = \"D-20\""),
    ]);
    let errors = errors_of(&text);
    assert_eq!(errors.count(), 10);
    insta::assert_snapshot!(errors, @r#"
    error: box.toml:3:1: gateway.log_domian: unknown key
      hint: did you mean `log_domain`?
    error: box.toml:4:12: gateway.timezone: "WIP" is no zone of time
      hint: use WIB, WITA or WIT
    error: box.toml:17:19: uplink.batch_bytes_max: expected a whole number, found the text "65536"
      hint: write 65536 without quotes
    error: box.toml:26:10: webhook.listen: "localhost" is no address and port
      hint: write an IP address and a port, as in "127.0.0.1:8085"
    error: box.toml:35:10: tariffs[0].zones[0]: there is no zone "dagu"
      hint: did you mean "dago"?
    error: box.toml:50:14: tariffs[1].valid_from: "2026-02-30" is no day of the calendar
      hint: write year, month and day, as in 2026-01-05
    error: box.toml:75:6: sensors[1].id: "70:b3:d5:e7:5e:00:4a:02" is no device EUI
      hint: write "70b3d5e75e004a02"
    error: box.toml:81:11: sensors[2].profile: there is no sensor profile "webhok"
      hint: did you mean "webhook"?
    error: box.toml:104:12: spaces[2].latitude: -298760 is out of range
      hint: write a number from -90 to 90
    error: box.toml:110:9: bindings[0].space: there is no space "D-20"
      hint: did you mean "D-02"?
    "#);
}

#[test]
fn mistakes_of_form_do_not_hide_mistakes_of_meaning() {
    let text = sound_but(&[
        ("host = \"mqtt.example.id\"", "host = mqtt.example.id"),
        ("timezone = \"WIB\"", "timezone = \"WIP\""),
        ("class = \"car\"", "class = \"cat\""),
        ("id = \"D-02\"", "id = \"D-02"),
    ]);
    insta::assert_snapshot!(errors_of(&text), @r#"
    error: box.toml:4:12: gateway.timezone: "WIP" is no zone of time
      hint: use WIB, WITA or WIT
    error: box.toml:13:8: this is no TOML: string values must be quoted, expected literal string
      hint: write `key = value`, texts in "quotes", sections as [name] or [[name]]
    error: box.toml:38:9: tariffs[0].fees[0].class: "cat" is no class of vehicle
      hint: use motorcycle, car, truck or bus
    error: box.toml:93:11: this is no TOML: invalid basic string, expected `"`
      hint: write `key = value`, texts in "quotes", sections as [name] or [[name]]
    "#);
}

#[test]
fn an_empty_file_is_told_what_it_lacks() {
    insta::assert_snapshot!(errors_of(""), @r"
    error: box.toml:1:1: gateway: this section is missing
      hint: add a section [gateway] with id, log_domain, timezone and data_dir
    error: box.toml:1:1: keys: this section is missing
      hint: add a section [keys] with ledger_key and kominfo_vkey
    error: box.toml:1:1: uplink: this section is missing
      hint: add a section [uplink] with host, port, ca_file, certificate_file and private_key_file
    error: box.toml:1:1: zones: this section is missing
      hint: add [[zones]] with id and name
    error: box.toml:1:1: spaces: this section is missing
      hint: add [[spaces]] with id, zone, class, latitude and longitude; or [[counters]] where lines are counted
    ");
}

#[test]
fn a_wrong_type_is_answered_with_the_right_form() {
    insta::assert_snapshot!(said(&[
        ("id = \"sudirman-01\"", "id = 7"),
        ("merge_gap_s = 90", "merge_gap_s = 1.5"),
        ("zones = [\"dago\"]", "zones = \"dago\""),
        ("once_a_day = true", "once_a_day = \"yes\""),
        ("longitude = 107.61341", "longitude = \"107.61341\""),
        ("[chirpstack]", "[[chirpstack]]"),
    ]), @r#"
    error: box.toml:2:6: gateway.id: expected a text, found the number 7
      hint: write it in quotes: "7"
    error: box.toml:20:1: chirpstack: expected one section, found a list
      hint: write [chirpstack] in single brackets, once
    error: box.toml:30:15: rules.merge_gap_s: expected a whole number, found the number 1.5
      hint: write a whole number from 0 to 3600
    error: box.toml:35:9: tariffs[0].zones: expected a list, found the text "dago"
      hint: write the values in [brackets], with commas between them
    error: box.toml:57:14: tariffs[1].fees[0].once_a_day: expected true or false, found the text "yes"
      hint: write true or false, without quotes
    error: box.toml:89:13: spaces[0].longitude: expected a number, found the text "107.61341"
      hint: write 107.61341 without quotes
    "#);
    insta::assert_snapshot!(said(&[("[[bindings]]", "[bindings]"), ("[zones.rules]", "[[zones.rules]]")]), @r"
    error: box.toml:66:1: zones[1].rules: expected one section, found a list
      hint: write [zones.rules] in single brackets, once
    error: box.toml:108:1: bindings: this is one section; a list of sections is expected
      hint: write [[bindings]] above each
    ");
}

#[test]
fn an_unknown_key_is_answered_with_the_nearest_or_all_known_ones() {
    insta::assert_snapshot!(said(&[
        ("merge_gap_s", "merge_gap"),
        ("[webhook]", "[webhok]"),
        ("name = \"Pasar 16 Ilir\"", "name = \"Pasar 16 Ilir\"\ncolour = \"red\""),
    ]), @r"
    error: box.toml:25:2: webhok: unknown key
      hint: did you mean `webhook`?
    error: box.toml:30:1: rules.merge_gap: unknown key
      hint: did you mean `merge_gap_s`?
    error: box.toml:66:1: zones[1].colour: unknown key
      hint: known here: id, name, rules
    ");
}

#[test]
fn numbers_out_of_range_are_answered_with_the_range() {
    insta::assert_snapshot!(said(&[
        ("window_bytes = 262144", "window_bytes = 262144\nport = 70000\nkeep_alive_s = -1"),
        ("first_minutes = 60", "first_minutes = 0"),
        ("latitude = -6.88912", "latitude = nan"),
        ("heartbeat_s = 600", "heartbeat_s = 99999999999999999999"),
    ]), @r"
    error: box.toml:19:8: uplink.port: 70000 is out of range
      hint: write a whole number from 1 to 65535
    error: box.toml:20:16: uplink.keep_alive_s: -1 is out of range
      hint: write a whole number from 5 to 3600
    error: box.toml:42:17: tariffs[0].fees[0].first_minutes: 0 is out of range
      hint: write a whole number from 1 to 1440
    error: box.toml:84:15: sensors[2].heartbeat_s: 99999999999999999999 is out of range
      hint: write a whole number from 10 to 604800
    error: box.toml:90:12: spaces[0].latitude: nan is out of range
      hint: write a number from -90 to 90
    ");
}

#[test]
fn limits_that_contradict_each_other_are_told() {
    insta::assert_snapshot!(said(&[
        ("window_bytes = 262144", "window_bytes = 5000\nbackoff_min_ms = 5000\nbackoff_max_ms = 4000"),
        ("[rules]", "[journal]\nsegment_kib = 65536\n[rules]"),
        ("cap_rp = 20000", "cap_rp = 2000"),
        ("valid_until = 2026-12-31", "valid_until = 2025-12-31"),
        ("until = 2026-08-17T12:00:00+07:00", "until = 2026-08-17T04:00:00+07:00"),
    ]), @r"
    error: box.toml:18:16: uplink.window_bytes: 5000 is less than batch_bytes_max, which is 65536
      hint: write at least 65536, or lower batch_bytes_max
    error: box.toml:20:18: uplink.backoff_max_ms: 4000 is less than backoff_min_ms, which is 5000
      hint: write at least 5000, or lower backoff_min_ms
    error: box.toml:31:1: journal: 64 MiB is less than 2 segments of 65536 KiB
      hint: write at least 128, or lower segment_kib
    error: box.toml:48:10: tariffs[0].fees[0].cap_rp: no session may cost more than Rp2.000, yet the shortest costs Rp3.000
      hint: write at least 3000
    error: box.toml:55:15: tariffs[1].valid_until: 2025-12-31 is before valid_from, which is 2026-01-01
      hint: write the last day on which the tariff holds
    error: box.toml:102:55: spaces[1].closed[0].until: the end is not after the begin
      hint: swap from and until, or correct one of them
    ");
}

#[test]
fn a_time_without_offset_is_answered_with_the_local_one() {
    insta::assert_snapshot!(said(&[("from = 2026-01-05T07:00:00+07:00", "from = 2026-01-05T07:00:00")]), @r#"
    error: box.toml:111:8: bindings[0].from: "2026-01-05T07:00:00" is no time with an offset from UTC
      hint: for WIB write 2026-01-05T07:00:00+07:00
    "#);
    insta::assert_snapshot!(said(&[("day_cutoff = \"03:00\"", "day_cutoff = \"15:00\"")]), @r#"
    error: box.toml:5:14: gateway.day_cutoff: "15:00" is no time at which a business day may end
      hint: write hours and minutes from "00:00" to "11:59", as in "03:00"
    "#);
}

#[test]
fn names_are_given_once_and_refer_to_something() {
    insta::assert_snapshot!(said(&[
        ("id = \"70b3d5e75e004a02\"", "id = \"70b3d5e75e004A01\""),
        ("sensor = \"70b3d5e75e004a02\"", "sensor = \"70b3d5e75e004a03\""),
        ("id = \"palembang\"", "id = \"bandung-mobil\""),
        ("zone = \"pasar\"", "zone = \"terminal\""),
        ("sensor = \"camera-3\"", "sensor = \"camera-4\""),
        ("id = \"D-01\"", "id = \"D/01\""),
    ]), @r#"
    error: box.toml:47:6: tariffs[1].id: "bandung-mobil" is already the tariff in line 33
      hint: give each tariff a name of its own
    error: box.toml:75:6: sensors[1].id: "70b3d5e75e004A01" is already the sensor in line 70
      hint: give each sensor a name of its own
    error: box.toml:85:6: spaces[0].id: "D/01" is no identifier
      hint: write 1 to 64 of A-Z a-z 0-9 - _ . and begin with a letter or digit
    error: box.toml:102:8: spaces[2].zone: there is no zone "terminal"
      hint: add it as one of [[zones]]
    error: box.toml:106:10: spaces[2].sensor: there is no sensor "camera-4"
      hint: did you mean "camera-3"?
    error: box.toml:109:10: bindings[0].sensor: there is no sensor "70b3d5e75e004a03"
      hint: did you mean "70b3d5e75e004a01"?
    "#);
}

#[test]
fn a_sensor_watches_one_space_and_a_space_is_watched_by_one_sensor() {
    let moved = "until = 2026-03-01T00:00:00+07:00\n[[bindings]]\nsensor = \"70b3d5e75e004a02\"\nspace = \"D-01\"\n";
    insta::assert_snapshot!(said(&[
        ("from = 2026-01-05T07:00:00+07:00", &format!("{moved}from = 2026-02-01T00:00:00+07:00")),
    ]), @r#"
    error: box.toml:113:10: bindings[1].sensor: sensor "70b3d5e75e004a02" already watches space "D-02" at that time (bindings[0], line 108)
      hint: end the earlier binding (`until`) when the later one begins
    error: box.toml:114:9: bindings[1].space: space "D-01" is already watched by sensor "70b3d5e75e004a01" at that time (spaces[0].sensor, line 90)
      hint: end the earlier binding (`until`) when the later one begins; a space has one sensor at a time
    "#);
    insta::assert_snapshot!(said(&[
        ("sensor = \"70B3D5E75E004A01\"\n", ""),
        ("from = 2026-01-05T07:00:00+07:00", &format!("{moved}from = 2026-03-01T00:00:00+07:00")),
    ]), @r#"
    warning: box.toml:69:1: sensors[0]: sensor "70b3d5e75e004a01" watches no space: what it says is set aside
      hint: name it in a space's sensor key or in [[bindings]]
    "#);
}

#[test]
fn what_the_site_as_a_whole_lacks_is_told_in_places_of_the_file() {
    insta::assert_snapshot!(said(&[
        ("sensor = \"camera-3\"", "sensor = \"70b3d5e75e004a01\""),
        ("grace_s = 60", "grace_s = 7200\nstay_max_s = 7200"),
        ("merge_gap_s = 90", "stay_max_s = 7200\ngrace_s = 7200"),
    ]), @r#"
    error: box.toml:30:14: rules.stay_max_s: the longest stay, 7200 s, is not longer than the grace, 7200 s
      hint: give a longest stay above `grace_s`; 86400 is usual
    error: box.toml:69:14: zones[1].rules.stay_max_s: the longest stay, 7200 s, is not longer than the grace, 7200 s
      hint: give a longest stay above `grace_s`; 86400 is usual
    error: box.toml:108:10: spaces[2].sensor: sensor "70b3d5e75e004a01" already watches space "D-01" at that time (spaces[0].sensor, line 92)
      hint: end the earlier binding (`until`) when the later one begins
    "#);
}

#[test]
fn a_thing_that_is_not_whole_is_not_missed_by_others() {
    insta::assert_snapshot!(said(&[
        ("name = \"Pasar 16 Ilir\"", "name = 16"),
        ("heartbeat_s = 600", "heartbeat_s = 1"),
        ("latitude = -6.88907", "latitude = -688907"),
    ]), @r#"
    error: box.toml:65:8: zones[1].name: expected a text, found the number 16
      hint: write it in quotes: "16"
    error: box.toml:82:15: sensors[2].heartbeat_s: 1 is out of range
      hint: write a whole number from 10 to 604800
    error: box.toml:96:12: spaces[1].latitude: -688907 is out of range
      hint: write a number from -90 to 90
    "#);
}

#[test]
fn two_tariffs_do_not_ask_for_the_same_stay() {
    insta::assert_snapshot!(said(&[
        ("zones = [\"pasar\"]\n", "zones = [\"pasar\", \"dago\"]\n"),
        ("class = \"motorcycle\"\ntype", "class = \"car\"\ntype"),
    ]), @r#"
    error: box.toml:50:14: tariffs[1].valid_from: two fees for class car in zone "dago" at once: this tariff and "bandung-mobil" (tariffs[0], line 32)
      hint: set the earlier tariff's `valid_until` to the day before the later one's `valid_from`
    "#);
}

#[test]
fn a_fee_takes_the_keys_of_its_type() {
    insta::assert_snapshot!(said(&[
        ("cap_rp = 20000", "cap_rp = 20000\nfee_rp = 3000"),
        ("type = \"flat\"", "type = \"flat\"\nfirst_minutes = 60"),
    ]), @r"
    error: box.toml:45:10: tariffs[0].fees[0].fee_rp: this key does not belong here
      hint: a progressive fee takes first_fee_rp and next_fee_rp
    error: box.toml:56:17: tariffs[1].fees[0].first_minutes: this key does not belong here
      hint: a flat fee takes fee_rp
    ");
    insta::assert_snapshot!(said(&[("type = \"progressive\"", "type = \"hourly\"")]), @r#"
    error: box.toml:39:8: tariffs[0].fees[0].type: "hourly" is no type of fee
      hint: use "flat" or "progressive"
    "#);
    insta::assert_snapshot!(said(&[("next_fee_rp = 2000\n", ""), ("valid_from = 2026-01-01", "valid_from = 2026-01-01\nfees = []")]), @r"
    error: box.toml:37:8: tariffs[0].fees: this list is empty
      hint: add [[tariffs.fees]] with class and type
    error: box.toml:38:11: written twice: duplicate key
      hint: write each key once in a section, and each [section] once
    ");
}

#[test]
fn a_sensor_needs_its_driver() {
    let without = SOUND.replace(
        "[webhook]\nlisten = \"127.0.0.1:8085\"\ntoken_file = \"keys/webhook.token\"\n",
        "",
    );
    insta::assert_snapshot!(errors_of(&without), @r#"
    error: box.toml:76:1: sensors[2]: sensors of profile "webhook" come by HTTP, which is not configured
      hint: add a section [webhook] with listen and token_file
    "#);
    insta::assert_snapshot!(said(&[("heartbeat_s = 600\n", ""), ("password_file", "#")]), @r#"
    error: box.toml:22:12: chirpstack.username: a user name without a password
      hint: add password_file, the file of its password
    error: box.toml:79:1: sensors[2].heartbeat_s: this key is missing: sensors of profile "webhook" have no heartbeat of their own
      hint: write how often, in seconds, the sensor speaks at least
    "#);
}

#[test]
fn oversights_are_warnings() {
    insta::assert_snapshot!(said(&[
        ("sensor = \"camera-3\"\n", ""),
        ("zones = [\"pasar\"]", "zones = [\"dago\"]"),
        ("latitude = -6.88907", "latitude = 6.88907"),
        ("heartbeat_s = 3600\n", ""),
    ]), @r#"
    warning: box.toml:64:6: zones[1].id: no tariff asks a fee for class motorcycle in zone "pasar"
      hint: add [[tariffs]] with a fee for class motorcycle
    warning: box.toml:69:1: sensors[0]: that sensor "70b3d5e75e004a01" has gone silent is noticed only after 60 hours
      hint: set the device to a shorter heartbeat, an hour if its battery allows, and write heartbeat_s here
    warning: box.toml:78:1: sensors[2]: sensor "camera-3" watches no space: what it says is set aside
      hint: name it in a space's sensor key or in [[bindings]]
    warning: box.toml:91:1: spaces[1]: 6.88907, 107.61342 is not in Indonesia
      hint: latitude is from -11.5 to 6.5, longitude from 94.5 to 141.5 degrees
    warning: box.toml:99:1: spaces[2]: space "M-01" has no sensor: it stays unknown for ever
      hint: add sensor = "..." or [[bindings]]
    "#);
}

#[test]
fn a_zone_without_a_space_is_a_problem() {
    insta::assert_snapshot!(said(&[("zone = \"pasar\"", "zone = \"dago\"")]), @r#"
    error: box.toml:64:6: zones[1].id: zone "pasar" has no space and no counter
      hint: put a space or a counter into this zone, or remove the zone
    "#);
}

#[test]
fn hosts_and_paths_are_what_they_should_be() {
    let long = format!("[local]\nsocket = \"/{}\"\n[rules]", "s".repeat(107));
    insta::assert_snapshot!(said(&[
        ("host = \"mqtt.example.id\"", "host = \"mqtts://mqtt.example.id:8883\""),
        ("log_domain = \"parkir.example.id\"", "log_domain = \"https://parkir.example.id\""),
        ("ledger_key = \"keys/ledger.key\"", "ledger_key = \"\""),
        ("kominfo_vkey = \"keys/kominfo.vkey\"", "kominfo_vkey = \"keys\\u0000\""),
        ("[rules]", &long),
    ]).replace(&"s".repeat(107), "sss"), @r#"
    error: box.toml:3:14: gateway.log_domain: "https://parkir.example.id" is no name for logs to live under
      hint: write a domain that the city owns, as in parkir.example.id, without https://
    error: box.toml:9:14: keys.ledger_key: the text is empty
      hint: write something between the quotes
    error: box.toml:10:16: keys.kominfo_vkey: a path cannot hold a zero byte
      hint: write the path of a file or folder
    error: box.toml:13:8: uplink.host: "mqtts://mqtt.example.id:8883" is no host name and no IP address
      hint: write the name alone, as in mqtt.example.id; the port has a key of its own
    error: box.toml:30:10: local.socket: the socket's path has 108 bytes; Linux allows 107
      hint: set local.socket to a shorter path, as in "/run/gateway/gateway.sock"
    "#);
}

#[test]
fn every_message_is_one_line_and_has_a_hint() {
    let text = sound_but(&[
        ("id = \"sudirman-01\"", "id = \"two\\nlines\\u001b[2J\""),
        (
            "host = \"mqtt.example.id\"",
            &format!("host = \"{}\"", "x y".repeat(1_000)),
        ),
        ("class = \"car\"", "class = \"\\t\""),
        ("[rules]", "[rules]\n\"a\\nb\" = 1"),
    ]);
    let errors = errors_of(&text);
    assert_eq!(errors.count(), 4, "{errors}");
    for problem in &errors.problems {
        assert!(!problem.hint.is_empty(), "{problem}");
        assert!(problem.to_string().lines().all(|line| line.len() < 200), "{problem}");
        assert_eq!(problem.to_string().lines().count(), 2, "{problem}");
        assert!(!problem.to_string().contains('\u{1b}'), "{problem}");
    }
}

#[test]
fn columns_count_characters() {
    let text = sound_but(&[(
        "name = \"Jl. Ir. H. Juanda\"",
        "rules = { \"é\" = 1, grace_s = 9999 }\nname = \"Jl.\"",
    )]);
    let columns: Vec<usize> = errors_of(&text)
        .problems
        .iter()
        .map(|problem| problem.position.unwrap().column)
        .collect();
    assert_eq!(columns, [11, 30]);
}

#[test]
fn a_thousand_mistakes_are_counted_and_the_first_are_listed() {
    let unknown: Vec<String> = (0..1_000).map(|n| format!("[unknown-{n}]\n")).collect();
    let text = format!("{SOUND}\n{}", unknown.concat());
    let errors = errors_of(&text);
    assert_eq!((errors.count(), errors.problems.len()), (1_000, PROBLEMS_MAX));
    assert!(errors.to_string().ends_with("error: and 800 more"));
}

#[test]
fn a_list_longer_than_a_box_can_serve_is_refused() {
    let zones: Vec<String> = (0..100)
        .map(|n| format!("[[zones]]\nid = \"z{n}\"\nname = \"Z\"\n"))
        .collect();
    let text = format!("{SOUND}\n{}", zones.concat());
    assert!(
        errors_of(&text)
            .to_string()
            .contains("zones: 102 entries are more than one box serves")
    );
}

#[test]
fn a_file_too_long_or_not_text_is_refused_whole() {
    let long = vec![b'#'; usize::try_from(FILE_BYTES_MAX).unwrap() + 1];
    let refused = |bytes: &[u8]| {
        Config::from_bytes(Path::new("box.toml"), bytes)
            .unwrap_err()
            .to_string()
    };
    insta::assert_snapshot!(refused(&long), @r"
    error: box.toml: is longer than 1024 KiB
      hint: this is hardly a configuration file; name another
    ");
    insta::assert_snapshot!(refused(b"[gateway]\nid = \"\xff\""), @r"
    error: box.toml:2:7: this is no UTF-8 text
      hint: save the file as UTF-8 text
    ");
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let errors = Config::load(Path::new("/nowhere/box.toml")).unwrap_err();
    insta::assert_snapshot!(errors, @r"
    error: /nowhere/box.toml: cannot be read: No such file or directory (os error 2)
      hint: name a configuration file that this user may read
    ");
}

#[test]
fn every_example_validates() {
    let sites = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-config/sites");
    let mut examples = 0;
    for entry in std::fs::read_dir(sites).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "toml") {
            let config = Config::load(&path).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(config.warnings, []);
            examples += 1;
        }
    }
    assert!(examples > 0);
}

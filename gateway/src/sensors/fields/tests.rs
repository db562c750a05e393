use serde_json::json;

use super::*;

fn fields(text: &str) -> Fields {
    toml::from_str(text).unwrap()
}

fn read(text: &str, message: &Value) -> Result<Understood, String> {
    let place = Place {
        channel: "2",
        utc_offset_s: 7 * 3_600,
    };
    fields(text).read(message, place).map_err(|error| error.to_string())
}

#[test]
fn what_stands_there_is_told_and_what_does_not_is_not() {
    let text = r#"
        occupied = { at = "/parking/status", occupied = [1, "BUSY"], free = [0, "VACANT"], unknown = ["ERROR"] }
        battery_v = { at = "/bat", scale = 0.001 }
        temperature_c = { at = "/temp" }
        low_battery = { at = "/alarms/0", is = ["LOWBAT"] }
        kind = { at = "/event", heartbeat = ["ALIVE"], startup = ["BOOT"], other = ["CONFIG"] }
        sequence = { at = "/n" }
        message = { at = "/uuid" }
        firmware = { at = "/fw" }
        rssi_dbm = { at = "/rssi" }
    "#;
    let message = json!({
        "parking": {"status": "BUSY"}, "bat": 3612, "temp": "21.5", "alarms": ["LOWBAT"], "n": 17, "uuid": "a-1", "fw": 3,
        "rssi": -87.4, "event": "CHANGE"
    });
    let all = read(text, &message).unwrap();
    assert_eq!(all.decoded.report.occupied, Some(true));
    assert_eq!(all.decoded.report.kind, ReportKind::Status);
    let health = &all.decoded.health;
    assert_eq!(
        (
            health.battery_v,
            health.temperature_c,
            health.low_battery,
            health.rssi_dbm
        ),
        (Some(3.612), Some(21.5), Some(true), Some(-87))
    );
    assert_eq!(health.firmware.as_deref(), Some("3"));
    assert_eq!((all.sequence, all.message.as_deref()), (Some(17), Some("a-1")));
    for (message, occupied, kind) in [
        (json!({"parking": {"status": 0}}), Some(false), ReportKind::Status),
        (json!({"parking": {"status": "0"}}), Some(false), ReportKind::Status),
        (json!({"parking": {"status": null}}), None, ReportKind::Other),
        (
            json!({"parking": {"status": 1}, "event": "ALIVE"}),
            Some(true),
            ReportKind::Heartbeat,
        ),
        (
            json!({"parking": {"status": 1}, "event": "BOOT"}),
            Some(true),
            ReportKind::Startup,
        ),
        (json!({"event": "CONFIG"}), None, ReportKind::Other),
        (json!({}), None, ReportKind::Other),
        (json!([1, 2]), None, ReportKind::Other),
    ] {
        let report = read(text, &message).unwrap().decoded.report;
        assert_eq!((report.occupied, report.kind), (occupied, kind), "{message}");
    }
}

#[test]
fn a_value_that_means_nothing_is_refused_and_said() {
    let state = r#"occupied = { at = "/state", occupied = ["on", 1], free = ["off"] }"#;
    let known = r#"occupied = { at = "/state", occupied = ["on"], free = ["off"], unknown = ["ERROR"] }"#;
    assert_eq!(
        read(known, &json!({"state": "ERROR"})).unwrap_err(),
        r#"/state is "ERROR"; the sensor does not know whether a vehicle is there"#
    );
    for (message, told) in [
        (json!({"state": "On"}), r#"/state is "On"; expected "on", 1, "off""#),
        (
            json!({"state": {"deep": true}}),
            r#"/state is {"deep":true}; expected "on", 1, "off""#,
        ),
        (
            json!({"state": "é".repeat(100)}),
            &format!(r#"/state is "{}…; expected "on", 1, "off""#, "é".repeat(29)),
        ),
    ] {
        assert_eq!(read(state, &message).unwrap_err(), told);
    }
    let number = r#"distance_mm = { at = "/d", scale = 10, none = [0, "timeout"] }"#;
    assert_eq!(
        read(number, &json!({"d": "nan"})).unwrap_err(),
        r#"/d is "nan"; expected a number"#
    );
    assert_eq!(
        read(number, &json!({"d": -1})).unwrap_err(),
        "distance_mm is -10; expected 0 to 4294967295"
    );
    for (message, distance) in [
        (json!({"d": 0}), None),
        (json!({"d": "timeout"}), None),
        (json!({"d": 81.26}), Some(813)),
    ] {
        assert_eq!(
            read(number, &message).unwrap().decoded.health.distance_mm,
            distance,
            "{message}"
        );
    }
}

#[test]
fn a_time_is_read_as_its_profile_says() {
    let at = |format: &str| {
        format!(
            "occupied = {{ at = \"/s\", occupied = [1], free = [0] }}\nobserved = {{ at = \"/t\", format = \"{format}\" }}"
        )
    };
    let expected: Timestamp = "2026-01-05T06:00:00+07:00".parse().unwrap();
    for (format, value) in [
        ("rfc3339", json!("2026-01-05T06:00:00+07:00")),
        ("local", json!("2026-01-05T06:00:00")),
        ("unix_s", json!(1_767_567_600)),
        ("unix_s", json!("1767567600")),
        ("unix_ms", json!(1_767_567_600_000_i64)),
    ] {
        let understood = read(&at(format), &json!({"t": value})).unwrap();
        assert_eq!(understood.observed, Some(expected), "{format}");
    }
    for (format, value) in [
        ("rfc3339", json!("2026-01-05")),
        ("local", json!(7)),
        ("unix_s", json!("soon")),
    ] {
        assert!(read(&at(format), &json!({"t": value})).is_err(), "{format}");
    }
    assert_eq!(read(&at("rfc3339"), &json!({})).unwrap().observed, None);
}

#[test]
fn sensors_of_one_message_have_channels() {
    let text = r#"occupied = { at = "/Switch{channel}/Action", occupied = ["ON"], free = ["OFF"] }"#;
    assert!(fields(text).has_channel());
    let message = json!({"Switch1": {"Action": "ON"}, "Switch2": {"Action": "OFF"}});
    assert_eq!(read(text, &message).unwrap().decoded.report.occupied, Some(false));
}

#[test]
fn a_message_may_be_for_another_sensor_and_may_have_it_in_several_places() {
    let text = r#"
        only_when = { at = "/Source/Rule", is = ["bay-{channel}"] }
        occupied = { at = ["/Data/IsInside", "/Data/State"], occupied = [true], free = [false] }
    "#;
    let place = Place {
        channel: "2",
        ..Place::default()
    };
    assert!(fields(text).has_channel());
    for (message, is_for) in [
        (json!({"Source": {"Rule": "bay-2"}}), true),
        (json!({"Source": {"Rule": "bay-3"}}), false),
        (json!({}), false),
    ] {
        assert_eq!(fields(text).is_for(&message, place), is_for, "{message}");
    }
    for message in [
        json!({"Data": {"IsInside": "true"}}),
        json!({"Data": {"IsInside": null, "State": true}}),
    ] {
        assert_eq!(read(text, &message).unwrap().decoded.report.occupied, Some(true));
    }
    let error = read(text, &json!({"Data": {"State": 2}})).unwrap_err();
    assert_eq!(error, "/Data/IsInside or /Data/State is 2; expected true, false");
}

#[test]
fn a_message_that_is_a_word_is_read_whole() {
    let text = r#"occupied = { at = "", occupied = ["ON"], free = ["OFF"] }"#;
    assert_eq!(read(text, &json!("ON")).unwrap().decoded.report.occupied, Some(true));
    assert_eq!(
        read(text, &json!("open")).unwrap_err(),
        r#"the message is "open"; expected "ON", "OFF""#
    );
}

#[test]
fn maps_that_make_no_sense_are_refused() {
    for (text, only_distance, reason) in [
        ("", false, "map occupied"),
        (
            r#"occupied = { at = "state", occupied = [1], free = [0] }"#,
            false,
            "no JSON Pointer",
        ),
        (
            r#"occupied = { at = "/s", occupied = [1], free = [] }"#,
            false,
            "values of both",
        ),
        (
            r#"occupied = { at = "/s", occupied = [1, true], free = ["true"] }"#,
            false,
            "twice",
        ),
        (r#"distance_mm = { at = "/d", scale = 0 }"#, true, "a scale is 0"),
        (r#"distance_mm = { at = "/d" }"#, false, "only_distance = true"),
        (
            r#"occupied = { at = "/s", occupied = [1], free = [0] }"#,
            true,
            "distance_mm",
        ),
        (
            "distance_mm = { at = \"/d\" }\noccupied = { at = \"/s\", occupied = [1], free = [0] }",
            true,
            "leave it out",
        ),
    ] {
        let error = fields(text).check(only_distance).unwrap_err();
        assert!(error.contains(reason), "{text}: {error}");
    }
    assert!(toml::from_str::<Fields>(r#"ocupied = { at = "/s", occupied = [1], free = [0] }"#).is_err());
}

#[test]
fn only_what_is_said_to_be_a_change_is_one() {
    let state = "occupied = { at = \"/s\", occupied = [1], free = [0] }\n";
    for (kind, message, told) in [
        ("", json!({"s": 1}), ReportKind::Heartbeat),
        (
            "kind = { at = \"/k\", change = [\"event\"] }",
            json!({"s": 1, "k": "event"}),
            ReportKind::Status,
        ),
        (
            "kind = { at = \"/k\", change = [\"event\"] }",
            json!({"s": 1, "k": "poll"}),
            ReportKind::Heartbeat,
        ),
        (
            "kind = { at = \"/k\", change = [\"event\"] }",
            json!({"s": 1}),
            ReportKind::Heartbeat,
        ),
        (
            "kind = { at = \"/k\", heartbeat = [\"poll\"] }",
            json!({"s": 1, "k": "poll"}),
            ReportKind::Heartbeat,
        ),
        (
            "kind = { at = \"/k\", heartbeat = [\"poll\"] }",
            json!({"s": 1, "k": "event"}),
            ReportKind::Status,
        ),
    ] {
        let text = format!("{state}{kind}");
        assert_eq!(
            read(&text, &message).unwrap().decoded.report.kind,
            told,
            "{kind} {message}"
        );
    }
}

#[test]
fn health_costs_no_state_and_an_identity_is_whole() {
    let text = "occupied = { at = \"/s\", occupied = [1], free = [0] }\nbattery_v = { at = \"/b\" }\nmessage = { at = \"/id\" }";
    let told = read(text, &json!({"s": 1, "b": "unknown", "id": "a"})).unwrap().decoded;
    assert_eq!((told.report.occupied, told.health.battery_v), (Some(true), None));
    let error = read(text, &json!({"s": 1, "id": "x".repeat(65)})).unwrap_err();
    assert!(error.contains("at most 64 bytes"), "{error}");
}

#[test]
fn a_channel_is_a_name_and_no_path() {
    let text = r#"occupied = { at = "/rules/{channel}", occupied = [1], free = [0] }"#;
    let place = Place {
        channel: "a/b~c",
        ..Place::default()
    };
    let told = fields(text)
        .read(&json!({"rules": {"a/b~c": 1, "a": {"b~c": 0}}}), place)
        .unwrap();
    assert_eq!(told.decoded.report.occupied, Some(true));
    assert!(
        fields(r#"occupied = { at = "/a~2", occupied = [1], free = [0] }"#)
            .check(false)
            .is_err()
    );
}

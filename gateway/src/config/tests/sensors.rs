//! Mistakes about sensors: what a distance means, and where a sensor hangs.

use parking::BoxContact;
use wired::loop_relay::Active;

use super::{parse, said, sound_but};
use crate::config::Attachment;

/// The third sensor of the sound configuration, on a serial line.
const ON_A_LINE: &str = "id = \"camera-3\"\nprofile = \"a02yyuw\"\nserial = \"/dev/ttyAMA0\"\noccupied_below_mm = 1500\n\
                         free_above_mm = 2000\n";

fn on_a_line(old: &str, new: &str) -> String {
    assert!(ON_A_LINE.contains(old), "{old} is not there");
    let sensor = "id = \"camera-3\"\nprofile = \"webhook\"\nheartbeat_s = 600\n";
    sound_but(&[(sensor, &ON_A_LINE.replacen(old, new, 1))])
}

#[test]
fn a_sensor_that_tells_a_distance_needs_both_limits_and_another_takes_none() {
    let with = |keys: &str| {
        let text = sound_but(&[("heartbeat_s = 3600\n", keys)]);
        text.replacen("profile = \"bosch-tps110\"", "profile = \"milesight-em400-mud\"", 1)
    };
    let config = parse(&with("occupied_below_mm = 1500\nfree_above_mm = 2000\n")).unwrap();
    let limits = config.sensors.iter().find_map(|sensor| sensor.distance);
    assert_eq!(
        limits.map(|it| (it.occupied_below_mm, it.free_above_mm)),
        Some((1_500, 2_000))
    );
    for (text, told) in [
        (with(""), "occupied_below_mm: this key is missing"),
        (with("occupied_below_mm = 1500\n"), "free_above_mm: this key is missing"),
        (
            with("occupied_below_mm = 1500\nfree_above_mm = 1400\n"),
            "free_above_mm is less than occupied_below_mm",
        ),
        (
            sound_but(&[("heartbeat_s = 3600\n", "free_above_mm = 1400\n")]),
            "say themselves whether a space is occupied",
        ),
    ] {
        let problems = parse(&text).unwrap_err().to_string();
        assert!(problems.contains(told), "{problems}");
    }
}

#[test]
fn a_sensor_on_a_serial_line_has_the_line_and_what_a_distance_means() {
    let config = parse(&on_a_line("", "")).unwrap();
    let sensor = config.sensors.last().unwrap();
    assert_eq!(sensor.attachment, Attachment::Serial("/dev/ttyAMA0".into()));
    assert_eq!(sensor.distance.map(|limits| limits.free_above_mm), Some(2_000));
    let queues = config.site.sensors.iter().map(|sensor| sensor.queued);
    assert_eq!(queues.filter(|queued| !queued).count(), 1, "a line is no queue");
    for (old, new, told) in [
        ("serial = \"/dev/ttyAMA0\"\n", "", "write the line's device file"),
        ("/dev/ttyAMA0", "ttyAMA0", "write it from the root"),
        ("free_above_mm = 2000\n", "", "free_above_mm: this key is missing"),
        ("free_above_mm", "heartbeat_s = 30\nfree_above_mm", "60"),
        (
            "free_above_mm",
            "queued = true\nfree_above_mm",
            "is not kept while the box is off",
        ),
        ("a02yyuw", "mmc5603", "serial: this key does not belong here"),
    ] {
        let problems = parse(&on_a_line(old, new)).unwrap_err().to_string();
        assert!(problems.contains(told), "{problems}");
    }
    let elsewhere = said(&[("heartbeat_s = 3600\n", "serial = \"/dev/ttyAMA0\"\n")]);
    assert!(elsewhere.contains("are not there"), "{elsewhere}");
}

#[test]
fn a_line_carries_one_sensor() {
    let second = ON_A_LINE.replace("camera-3", "camera-4");
    let text = on_a_line("", "") + "\n[[sensors]]\n" + &second;
    let problems = parse(&text).unwrap_err().to_string();
    assert!(problems.contains("sensor \"camera-3\" is there already"), "{problems}");
}

/// The sound configuration, its third sensor another.
fn with_sensor(sensor: &str) -> String {
    let third = "id = \"camera-3\"\nprofile = \"webhook\"\nheartbeat_s = 600\n";
    sound_but(&[(third, sensor)])
}

#[test]
fn a_magnetometer_has_a_bus_an_address_of_its_chip_and_rules() {
    const SENSOR: &str = "id = \"camera-3\"\nprofile = \"lis3mdl\"\ni2c = \"/dev/i2c-1\"\ni2c_address = 0x1e\n\
                          rules = { leave_nt = 3500, enter_samples = 5 }\n";
    let config = parse(&with_sensor(SENSOR)).unwrap();
    let Attachment::I2c { bus, address, rules } = &config.sensors.last().unwrap().attachment else {
        panic!("it is on a bus");
    };
    assert_eq!((bus.to_str().unwrap(), *address), ("/dev/i2c-1", 0x1e));
    assert_eq!((rules.leave_nt, rules.enter_samples), (3_500.0, 5));
    let other = SENSOR.replace("camera-3", "camera-4");
    let twice = with_sensor(&format!("{SENSOR}[[sensors]]\n{other}"));
    for (text, told) in [
        (
            with_sensor(&SENSOR.replace("0x1e", "0x30")),
            "a LIS3MDL is never at 0x30",
        ),
        (with_sensor(&SENSOR.replace("0x1e", "300")), "300 is out of range"),
        (
            with_sensor(&SENSOR.replace("/dev/i2c-1", "1")),
            "write it from the root",
        ),
        (
            with_sensor(&SENSOR.replace("i2c = \"/dev/i2c-1\"\n", "")),
            "write the bus's device file",
        ),
        (
            with_sensor(&SENSOR.replace("leave_nt", "leave_mg")),
            "did you mean `leave_nt`",
        ),
        (
            with_sensor(&SENSOR.replace("3500", "7000")),
            "it must be below enter_nt",
        ),
        (
            with_sensor(&SENSOR.replace("lis3mdl", "loop-relay")),
            "rules: this key does not belong here",
        ),
        (twice, "sensor \"camera-3\" is there already"),
    ] {
        let problems = parse(&text).unwrap_err().to_string();
        assert!(problems.contains(told), "{problems}");
    }
}

#[test]
fn loops_contacts_and_lights_each_have_pins_of_their_own() {
    const LOOP: &str = "id = \"camera-3\"\nprofile = \"loop-relay\"\npresence_line = 17\nfault_line = 27\n\
                        fault_active = \"low\"\n";
    const OWN: &str = "[[contacts]]\nkind = \"tamper\"\nline = 23\n\n[lights]\nlink_line = 5\nsensors_line = 6\n";
    let text = format!("{}\n{OWN}", with_sensor(LOOP));
    let config = parse(&text).unwrap();
    let Attachment::Loop { presence, fault } = &config.sensors.last().unwrap().attachment else {
        panic!("it is on pins");
    };
    assert_eq!(
        (presence.line, presence.active),
        (17, Active::High),
        "a cut wire is a vehicle"
    );
    assert_eq!(
        fault.as_ref().map(|fault| (fault.line, fault.active)),
        Some((27, Active::Low))
    );
    assert_eq!(config.contacts[0].contact, BoxContact::Tamper);
    assert_eq!(config.lights.unwrap().link, Some(5));
    for (old, new, told) in [
        (
            "line = 23",
            "line = 17",
            "pin 17 is taken by sensors[2].presence_line, line",
        ),
        (
            "sensors_line = 6",
            "sensors_line = 5",
            "pin 5 is taken by lights.link_line",
        ),
        ("tamper", "tampr", "did you mean \"tamper\""),
        ("presence_line = 17\n", "", "presence_line = 17"),
        ("fault_line = 27\n", "", "there is no fault_line"),
        ("\"low\"", "\"on\"", "\"on\" is no level"),
        ("link_line = 5", "link_line = 5000", "5000 is out of range"),
        (
            "[[contacts]]\n",
            "[[contacts]]\nkind = \"tamper\"\nline = 1\n\n[[contacts]]\n",
            "there is a contact \"tamper\" already",
        ),
    ] {
        assert!(text.contains(old), "{old}");
        let problems = parse(&text.replacen(old, new, 1)).unwrap_err().to_string();
        assert!(problems.contains(told), "{problems}");
    }
}

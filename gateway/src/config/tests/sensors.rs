//! Mistakes about sensors: what a distance means, and where a sensor hangs.

use std::path::Path;

use super::{parse, said, sound_but};

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
    let sensor = config.sensors.iter().find(|sensor| sensor.serial.is_some()).unwrap();
    assert_eq!(sensor.serial.as_deref(), Some(Path::new("/dev/ttyAMA0")));
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
            "keeps nothing while the box is off",
        ),
        ("a02yyuw", "mmc5603", "does not read its own buses yet"),
    ] {
        let problems = parse(&on_a_line(old, new)).unwrap_err().to_string();
        assert!(problems.contains(told), "{problems}");
    }
    let elsewhere = said(&[("heartbeat_s = 3600\n", "serial = \"/dev/ttyAMA0\"\n")]);
    assert!(elsewhere.contains("are on no serial line"), "{elsewhere}");
}

#[test]
fn a_line_carries_one_sensor() {
    let second = ON_A_LINE.replace("camera-3", "camera-4");
    let text = on_a_line("", "") + "\n[[sensors]]\n" + &second;
    let problems = parse(&text).unwrap_err().to_string();
    assert!(
        problems.contains("sensor \"camera-3\" is on this line already"),
        "{problems}"
    );
}

//! Mistakes about sensors of the box's own network: topics, addresses, pictures.

use super::{parse, sound_but};
use crate::config::Attachment;

/// What stands for the third sensor of the sound configuration.
fn with(sensor: &str, more: &str) -> String {
    let old = "id = \"camera-3\"\nprofile = \"webhook\"\nheartbeat_s = 600\n";
    let text = sound_but(&[(old, &format!("id = \"camera-3\"\n{sensor}"))]);
    format!("{text}\n{more}")
}

fn told_of(text: &str) -> String {
    parse(text).map_or_else(|errors| errors.to_string(), |_| String::new())
}

const MQTT: &str = "[mqtt]\nhost = \"127.0.0.1\"\n";
const CAMERA: &str = "[[cameras]]\nid = \"simpang-1\"\nname = \"Simpang\"\nhost = \"192.168.1.64\"\nsub = \"/sub\"\nspaces = [\"D-01\"]\n";

#[test]
fn a_sensor_that_publishes_has_its_topic_and_its_broker() {
    let sensor = "profile = \"tasmota-switch\"\ntopic = \"+/cabinet/+\"\nchannel = \"2\"\n";
    let config = parse(&with(sensor, MQTT)).unwrap();
    let topic = Attachment::Topic {
        filter: "+/cabinet/+".to_owned(),
        channel: "2".to_owned(),
    };
    assert_eq!(config.sensors.last().unwrap().attachment, topic);
    let broker = config.mqtt.unwrap();
    assert!(
        (broker.port, broker.client_id.ends_with("-mqtt")) == (1_883, true),
        "{broker:?}"
    );
    for (sensor, more, told) in [
        (sensor.to_owned(), "", "which is not configured"),
        (sensor.replace("topic = \"+/cabinet/+\"\n", ""), MQTT, "write the topic"),
        (sensor.replace("+/cabinet/+", "a/#/b"), MQTT, "is no topic"),
        (
            sensor.replace("channel = \"2\"\n", ""),
            MQTT,
            "say which of the device's inputs",
        ),
        (
            "profile = \"esphome-binary-sensor\"\nheartbeat_s = 600\ntopic = \"a/state\"\nchannel = \"2\"\n".to_owned(),
            MQTT,
            "are of one sensor each",
        ),
        (format!("{sensor}url = \"http://a/\"\n"), MQTT, "are not there"),
        (format!("{sensor}queued = true\n"), MQTT, "do not say of when they are"),
        (
            format!("{sensor}\n[[sensors]]\nid = \"camera-4\"\n{sensor}"),
            MQTT,
            "sensor \"camera-3\" is there already",
        ),
        (
            format!(
                "{sensor}\n[[sensors]]\nid = \"camera-4\"\n{}",
                sensor.replace("+/cabinet/+", "stat/#")
            ),
            MQTT,
            "sensor \"camera-3\" is there already",
        ),
        (
            sensor.to_owned(),
            "[mqtt]\nhost = \"127.0.0.1\"\nclient_id = \"gateway-sudirman-01\"\n",
            "at the same broker",
        ),
    ] {
        assert!(
            told_of(&with(&sensor, more)).contains(told),
            "{told}: {}",
            told_of(&with(&sensor, more))
        );
    }
}

#[test]
fn a_device_that_is_asked_has_an_address_without_a_password() {
    let sensor = "profile = \"shelly-input\"\nurl = \"http://192.168.1.40/rpc/Input.GetStatus?id=0\"\n";
    let config = parse(&with(sensor, "")).unwrap();
    let Attachment::Url { every_s, .. } = config.sensors.last().unwrap().attachment else {
        panic!()
    };
    assert_eq!(every_s, 5, "its profile's");
    for (old, new, told) in [
        ("http://192.168.1.40", "https://192.168.1.40", "it is asked without TLS"),
        (
            "http://192.168.1.40",
            "http://admin:x@192.168.1.40",
            "a password does not belong",
        ),
        ("http://192.168.1.40", "192.168.1.40", "is no address"),
        ("profile", "poll_s = 0\nprofile", "poll_s"),
        ("profile", "poll_s = 90\nprofile", "would be unknown in between"),
        ("profile", "queued = true\nprofile", "is not kept while the box is off"),
    ] {
        let told_is = told_of(&with(&sensor.replacen(old, new, 1), ""));
        assert!(told_is.contains(told), "{told}: {told_is}");
    }
    let another = format!("{sensor}\n[[sensors]]\nid = \"camera-4\"\npoll_s = 9\n{sensor}");
    let told_is = told_of(&with(&another, ""));
    assert!(told_is.contains("with another poll_s"), "{told_is}");
}

#[test]
fn a_picture_is_of_a_camera_that_there_is_and_events_come_one_way() {
    let sensor = "profile = \"hikvision-region\"\ncamera = \"simpang-1\"\nregion = \"3\"\n";
    let posts = with(sensor, CAMERA);
    assert!(told_of(&posts).contains("has no token for it"), "{}", told_of(&posts));
    let posts = posts.replacen("[webhook]\n", "[webhook]\ncamera_token_file = \"camera.token\"\n", 1);
    assert_eq!(told_of(&posts), "");
    let config = parse(&with(&format!("{sensor}isapi = \"192.168.1.64\"\n"), CAMERA)).unwrap();
    let Attachment::Picture { isapi, .. } = &config.sensors.last().unwrap().attachment else {
        panic!()
    };
    assert_eq!(isapi.as_deref(), Some("192.168.1.64:80"));
    let another = format!("[[sensors]]\nid = \"camera-4\"\n{sensor}");
    for (sensor, more, told) in [
        (
            sensor.replace("simpang-1", "simpang-2"),
            CAMERA,
            "there is no camera \"simpang-2\"",
        ),
        (
            sensor.replace("camera = \"simpang-1\"\n", ""),
            CAMERA,
            "name one of [[cameras]]",
        ),
        (format!("{sensor}isapi = \"http://a\"\n"), CAMERA, "is no address"),
        (format!("{sensor}channel = 0\n"), CAMERA, "channel"),
        (
            format!(
                "{sensor}\n{}isapi = \"a\"\n",
                another.replace("region = \"3\"", "region = \"4\"")
            ),
            CAMERA,
            "at another isapi",
        ),
        (
            format!("{sensor}\n{}", another.replace("region = \"3\"\n", "")),
            CAMERA,
            "sensor \"camera-3\" is there already",
        ),
    ] {
        let told_is = told_of(&with(&sensor, more));
        assert!(told_is.contains(told), "{told}: {told_is}");
    }
}

#[test]
fn an_unknown_profile_is_told_and_not_what_follows_from_it() {
    let sensor = "profile = \"tasmota\"\ntopic = \"a\"\nchannel = \"1\"\nisapi = \"a\"\noccupied_below_mm = 3\nheartbeat_s = 600\n";
    let told = told_of(&with(sensor, MQTT));
    assert!(
        told.contains("there is no sensor profile \"tasmota\"") && !told.contains("unknown"),
        "{told}"
    );
}

#[test]
fn a_section_that_no_sensor_comes_by_is_warned_of_and_lights_need_a_line() {
    let warned = parse(&format!("{}\n{MQTT}", super::SOUND)).unwrap().warnings;
    let [warning] = warned.as_slice() else {
        panic!("{warned:?}")
    };
    assert!(warning.to_string().contains("no sensor comes by [mqtt]"), "{warning}");
    let told = told_of(&format!("{}\n[lights]\n", super::SOUND));
    assert!(told.contains("no light is named"), "{told}");
}

#[test]
fn a_modbus_device_in_the_network_has_no_baud() {
    let sensor = "profile = \"urm12\"\nmodbus = \"192.168.1.30:502\"\noccupied_below_mm = 1500\nfree_above_mm = 2000\n";
    assert_eq!(told_of(&with(sensor, "")), "");
    let told = told_of(&with(&format!("{sensor}modbus_baud = 9600\n"), ""));
    assert!(told.contains("has no baud"), "{told}");
}

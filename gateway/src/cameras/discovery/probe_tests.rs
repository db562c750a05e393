//! Answers to Probes, and which of them are of one device.

use super::*;

fn answer(endpoint: &str, xaddrs: &str, scopes: &str) -> Vec<u8> {
    format!(
        "<E><B><ProbeMatches><ProbeMatch><EndpointReference><Address>{endpoint}</Address></EndpointReference>\
         <Scopes>{scopes}</Scopes><XAddrs>{xaddrs}</XAddrs></ProbeMatch></ProbeMatches></B></E>"
    )
    .into_bytes()
}

fn address(last: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, last])
}

fn collected(packets: &[(u8, Vec<u8>)]) -> (Vec<String>, Counters) {
    let mut collector = Collector::default();
    for (from, packet) in packets {
        collector.take(address(*from), packet);
    }
    let (answers, counters) = collector.finish();
    let services = answers
        .iter()
        .map(|answer| answer.device_service().unwrap().to_string());
    (services.collect(), counters)
}

#[test]
fn a_probe_asks_for_one_type_with_an_identifier_of_its_own() {
    let text = probe(DeviceType::Device, u128::MAX);
    let root = Element::parse(text.as_bytes(), ANSWER_BYTES_MAX).unwrap();
    let header = root.child("Header").unwrap();
    assert_eq!(
        header.child_text("MessageID"),
        Some("urn:uuid:ffffffff-ffff-4fff-bfff-ffffffffffff")
    );
    assert_eq!(root.find("Types").unwrap().text(), "n:Device");
    assert!(probe(DeviceType::NetworkVideoTransmitter, 0).contains("urn:uuid:00000000-0000-4000-8000-000000000000"));
    assert!(
        collected(&[(1, text.into_bytes())]).0.is_empty(),
        "a Probe is no answer"
    );
}

#[test]
fn scopes_are_decoded_and_the_first_name_counts() {
    let scopes = "onvif://www.onvif.org/name/Gerbang%20Timur%2 onvif://www.onvif.org/name/other \
                  onvif://www.onvif.org/hardware/%E2%82%AC%1b%FF onvif://www.onvif.org/location/city/bandung \
                  onvif://www.onvif.org/type/ptz http://example.test/name/x onvif://www.onvif.org/name";
    let matches = parse_probe_matches(&answer("u", "http://10.0.0.1/x", scopes)).unwrap();
    let scopes = &matches[0].scopes;
    assert_eq!(scopes.name.as_deref(), Some("Gerbang Timur%2"));
    assert_eq!(scopes.hardware.as_deref(), Some("€ \u{fffd}"));
}

#[test]
fn of_several_addresses_the_one_that_answered_gives_port_and_path() {
    let cases = [
        ("http://192.168.1.64/a http://10.0.0.1:8080/b", "http://10.0.0.1:8080/b"),
        ("http://[fe80::1]/a http://192.168.1.64:81/b", "http://10.0.0.1:81/b"),
        ("https://192.168.1.64/a http://[fe80::1]:82/b", "http://10.0.0.1:82/b"),
        (
            "nonsense ftp://10.0.0.1/ http://user:secret@10.0.0.1/a",
            "http://10.0.0.1/a",
        ),
    ];
    for (xaddrs, expected) in cases {
        assert_eq!(collected(&[(1, answer("u", xaddrs, ""))]).0, [expected], "{xaddrs}");
    }
}

#[test]
fn an_answer_without_a_usable_address_is_garbage() {
    for xaddrs in ["", "nonsense", "rtsp://10.0.0.1/", "http://"] {
        let (services, counters) = collected(&[(1, answer("u", xaddrs, ""))]);
        assert_eq!((services.len(), counters.garbage), (0, 1), "{xaddrs}");
    }
}

#[test]
fn one_device_with_two_addresses_is_one_and_two_with_one_identifier_are_two() {
    let both = "http://10.0.0.1/a http://10.0.0.2/a";
    let (services, counters) = collected(&[(1, answer("u", both, "")), (2, answer("u", both, ""))]);
    assert_eq!((services.len(), counters.repeated), (1, 1));
    let packets = [
        (1, answer("u", "http://10.0.0.1/a", "")),
        (2, answer("u", "http://10.0.0.2/a", "")),
    ];
    assert_eq!(collected(&packets).0.len(), 2);
}

#[test]
fn devices_without_an_identifier_are_told_apart_by_address() {
    let of = |last: u8| (last, answer("", &format!("http://10.0.0.{last}/a"), ""));
    assert_eq!(
        collected(&[of(1), of(2), of(1)]).0,
        ["http://10.0.0.1/a", "http://10.0.0.2/a"]
    );
}

#[test]
fn devices_beyond_the_bound_are_counted() {
    let packets = (0..300).map(|number| (1, answer(&format!("u{number}"), "http://10.0.0.1/a", "")));
    let (services, counters) = collected(&packets.collect::<Vec<_>>());
    assert_eq!((services.len(), counters.dropped), (ANSWERS_MAX, 300 - 256));
}

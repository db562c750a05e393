//! What is shown of cameras whose words are odd.

use std::net::SocketAddr;

use super::super::found::Problem;
use super::super::media::{Codec, MediaProfile};
use super::super::probe::Scopes;
use super::*;

fn camera(last: u8, name: Option<&str>, main: Option<&str>) -> Found {
    let address = std::net::IpAddr::from([192, 168, 1, last]);
    let scopes = Scopes {
        name: name.map(str::to_owned),
        ..Scopes::default()
    };
    let mut found = Found::new(address, format!("http://{address}/").parse().unwrap(), scopes);
    if let Some(path) = main {
        found.main = Some(0);
        found.profiles.push(FoundProfile {
            media: MediaProfile {
                token: "p".into(),
                name: "p".into(),
                source: None,
                codec: Codec::H265,
                width: 2560,
                height: 1440,
                frames_per_second: None,
                gop_frames: None,
                bitrate_kbit: None,
                codec_profile: None,
                audio: false,
            },
            stream: Some(Stream {
                host: SocketAddr::new(address, 554),
                path: path.to_owned(),
                password_removed: false,
            }),
        });
    }
    found
}

fn sections(cameras: &[Found]) -> toml::Table {
    let text = config_sections(cameras);
    toml::from_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"))
}

#[test]
fn each_camera_has_a_name_of_its_own_made_of_letters_digits_and_hyphens() {
    let names = ["Jl. Asia-Afrika / №2", "Gate", "gate!", "GATE 2", "гейт", ""];
    let cameras: Vec<Found> = (1..)
        .zip(names)
        .map(|(last, name)| camera(last, Some(name), Some("/a")))
        .collect();
    let sections = sections(&cameras);
    let shown: Vec<&str> = sections["cameras"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["id"].as_str().unwrap())
        .collect();
    let expected = [
        "jl-asia-afrika-2",
        "gate",
        "gate-2",
        "gate-2-2",
        "camera-192-168-1-5",
        "camera-192-168-1-6",
    ];
    assert_eq!(shown, expected);
}

#[test]
fn a_path_is_quoted_whatever_is_in_it() {
    let path = "/a\\b\"]\n[evil]\u{7f}";
    assert_eq!(
        sections(&[camera(1, None, Some(path))])["cameras"][0]["main"].as_str(),
        Some(path)
    );
}

#[test]
fn a_camera_without_a_smaller_stream_has_its_main_one() {
    let sections = sections(&[camera(1, None, Some("/a"))]);
    let section = sections["cameras"][0].as_table().unwrap();
    let keys: Vec<&str> = section.keys().map(String::as_str).collect();
    assert_eq!(keys, ["host", "id", "main", "profile"]);
}

#[test]
fn the_sections_belong_into_a_configuration() {
    const SOUND: &str = include_str!("../../config/tests/sound.toml");
    let mut hik = camera(
        1,
        Some("Simpang \"Dago\" \\ №2"),
        Some("/Streaming/Channels/101?x=1&y=2"),
    );
    hik.information.manufacturer = "HiLook".to_owned();
    let mut small = hik.profiles[0].clone();
    small.stream.as_mut().unwrap().path = "/Streaming/Channels/102".to_owned();
    hik.profiles.push(small);
    hik.sub = Some(1);
    let plain = camera(2, None, Some("/"));
    let text = format!("{SOUND}\n{}", config_sections(&[hik, plain]));
    let config = crate::config::Config::from_bytes(std::path::Path::new("box.toml"), text.as_bytes())
        .unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    assert_eq!(config.warnings, []);
    let [hik, plain] = config.cameras.as_slice() else {
        panic!("{:?}", config.cameras)
    };
    assert_eq!(
        (hik.id.as_str(), hik.title.as_str()),
        ("simpang-dago-2", "Simpang \"Dago\" \\ №2")
    );
    assert_eq!(
        (hik.host.as_str(), hik.sub.as_deref()),
        ("192.168.1.1:554", Some("/Streaming/Channels/102"))
    );
    assert!(hik.record.sub && !plain.record.sub);
    assert_eq!(
        (plain.id.as_str(), plain.main.as_deref()),
        ("camera-192-168-1-2", Some("/"))
    );
}

#[test]
fn an_address_of_ipv6_makes_no_section() {
    let mut camera = camera(1, None, Some("/a"));
    let stream = camera.profiles[0].stream.as_mut().unwrap();
    stream.host = "[fd00::7]:554".parse().unwrap();
    assert!(sections(&[camera]).is_empty());
}

#[test]
fn a_camera_without_a_stream_has_only_comments() {
    let mut silent = camera(1, Some("x]\n"), None);
    silent.problems.push(Problem::NoMain);
    assert!(sections(&[silent]).is_empty());
}

#[test]
fn the_profile_is_the_makers() {
    let profile = |maker: &str| {
        let mut camera = camera(1, None, Some("/a"));
        camera.information.manufacturer = maker.to_owned();
        sections(&[camera])["cameras"][0]["profile"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    assert_eq!(profile("HIKVISION"), "hikvision");
    assert_eq!(profile("HiLook"), "hikvision");
    assert_eq!(profile("IMOU"), "dahua");
    assert_eq!(profile("Reolink"), "reolink");
    assert_eq!(profile("AXIS"), "axis");
    assert_eq!(profile("Unknown"), "generic");
    assert_eq!(profile(""), "generic");
}

#[test]
fn no_line_of_the_table_is_wider_than_a_terminal() {
    let mut wide = camera(1, Some(&"n".repeat(96)), Some("/a"));
    wide.information.manufacturer = "m".repeat(96);
    wide.clock_offset = Some(jiff::SignedDuration::from_hours(-24 * 20_000));
    wide.problems.push(Problem::NoRtsp("t ".repeat(96)));
    let text = table(&[wide, camera(2, None, None)]);
    assert!(text.lines().all(|line| line.chars().count() <= WIDTH_MAX), "{text}");
    assert!(text.contains("-20000 d") && text.contains('…'), "{text}");
    assert_eq!(table(&[]), "no camera answered\n");
}

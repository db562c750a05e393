//! What is shown of cameras whose words are odd.

use std::net::SocketAddr;

use super::super::found::Problem;
use super::super::media::MediaProfile;
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
    let text = config_sections(cameras, &["hikvision", "dahua"]);
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
    let shown: Vec<&str> = sections["camera"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["name"].as_str().unwrap())
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
        sections(&[camera(1, None, Some(path))])["camera"][0]["main"].as_str(),
        Some(path)
    );
}

#[test]
fn a_camera_without_a_smaller_stream_has_the_codec_of_its_main_one() {
    let sections = sections(&[camera(1, None, Some("/a"))]);
    let section = sections["camera"][0].as_table().unwrap();
    assert_eq!((section["codec"].as_str(), section.get("sub")), (Some("h265"), None));
}

#[test]
fn a_camera_without_a_stream_has_only_comments() {
    let mut silent = camera(1, Some("x]\n"), None);
    silent.problems.push(Problem::NoMain);
    assert!(sections(&[silent]).is_empty());
}

#[test]
fn the_profile_is_the_makers_if_the_configuration_has_it() {
    let profile = |maker: &str| camera_profile(maker, &["hikvision", "dahua"]);
    assert_eq!(profile("HIKVISION"), "hikvision");
    assert_eq!(profile("Hikvision Digital Technology"), "hikvision");
    assert_eq!(profile("HiLook"), "hikvision");
    assert_eq!(profile("IMOU"), "dahua");
    assert_eq!(profile("AXIS"), "generic");
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

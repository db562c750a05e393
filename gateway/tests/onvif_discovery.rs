//! Cameras are found and understood, whatever their makers did.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod onvif_camera;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;

use gateway::cameras::discovery::media::Codec;
use gateway::cameras::discovery::{
    DiscoverError, Interface, Interfaces, Options, Problem, config_sections, discover, table,
};
use jiff::SignedDuration;

use onvif_camera::replies::Profile;
use onvif_camera::{Auth, Camera, Network, Quirk, Settings, all_found, clock, credentials, discovered, found, path};

#[tokio::test]
async fn a_camera_that_answers_a_probe_is_asked_what_it_is_and_offers() {
    let (camera, found) = found(Settings::sound(1)).await;
    assert_eq!(found.address, camera.address());
    let information = &found.information;
    assert_eq!(
        (information.manufacturer.as_str(), information.model.as_str()),
        ("Kamera Nusantara", "KN-2 & co")
    );
    assert_eq!(
        (information.firmware.as_str(), information.serial.as_str()),
        ("5.4.3", "SN0042")
    );
    assert_eq!(found.scopes.name.as_deref(), Some("Gerbang 1"));
    assert_eq!(found.scopes.hardware.as_deref(), Some("KN-2"));
    assert_eq!(found.clock_offset, Some(SignedDuration::ZERO));
    assert_eq!(path(found.main()), "/live/utama?a=1&b=2");
    assert_eq!(path(found.sub()), "/live/kecil?a=1&b=2");
    assert_eq!(
        found.main().unwrap().stream.as_ref().unwrap().host,
        SocketAddr::new(camera.address(), 554)
    );
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!(camera.proofs(), 0, "nobody asked for a password");
}

#[tokio::test]
async fn each_camera_is_listed_once_and_by_address_however_often_it_answers() {
    let mut cameras = Vec::new();
    for last in [13, 11, 12] {
        cameras.push(Camera::start(Settings::sound(last)).await);
    }
    let network = Network::of(&cameras.iter().collect::<Vec<_>>()).await;
    let report = discovered(&network.options()).await;
    let addresses: Vec<IpAddr> = report.found.iter().map(|found| found.address).collect();
    assert_eq!(addresses, [11, 12, 13].map(|last| IpAddr::from([127, 0, 77, last])));
    // Two types of device, in the two rounds that the time allows.
    assert_eq!(network.probes.load(Ordering::SeqCst), 4);
    assert_eq!(
        (
            report.counters.packets,
            report.counters.repeated,
            report.counters.garbage
        ),
        (12, 9, 0)
    );
}

#[tokio::test]
async fn cameras_of_one_batch_that_share_an_identifier_are_all_listed() {
    let mut cameras = Vec::new();
    for last in [21, 22] {
        let settings = Settings {
            endpoint: "urn:uuid:same".into(),
            ..Settings::sound(last)
        };
        cameras.push(Camera::start(settings).await);
    }
    let network = Network::of(&cameras.iter().collect::<Vec<_>>()).await;
    let report = discovered(&network.options()).await;
    assert_eq!(report.found.len(), 2);
    for found in &report.found {
        assert!(
            matches!(found.problems[..], [Problem::SharedEndpoint]),
            "{:?}",
            found.problems
        );
    }
}

#[tokio::test]
async fn garbage_on_the_network_is_counted_and_hides_no_camera() {
    let camera = Camera::start(Settings::sound(31)).await;
    let stranger = Ipv4Addr::new(127, 0, 77, 32);
    let answers = vec![
        (stranger, b"<html>".to_vec()),
        (stranger, vec![0xff; 20_000]),
        (camera.settings.address, camera.answer().into_bytes()),
        (stranger, Vec::new()),
    ];
    let network = Network::start(answers).await;
    let report = discovered(&network.options()).await;
    assert_eq!(report.found.len(), 1);
    assert_eq!((report.counters.packets, report.counters.garbage), (16, 12));
}

#[tokio::test]
async fn a_wrong_address_is_replaced_by_the_one_that_answered() {
    let hosts = ["192.168.1.64", "0.0.0.0"];
    let settings = (51..).zip(hosts).map(|(last, host)| Settings {
        says_host: Some(host.into()),
        ..Settings::sound(last)
    });
    let (cameras, all) = all_found(settings.collect(), None).await;
    for ((camera, found), host) in cameras.iter().zip(&all).zip(hosts) {
        let [Problem::WrongHost { said, used }] = &found.problems[..] else {
            panic!("{:?}", found.problems)
        };
        assert_eq!((said.as_str(), *used), (host, camera.address()));
        assert_eq!(
            found.main().unwrap().stream.as_ref().unwrap().host.ip(),
            camera.address()
        );
    }
}

#[tokio::test]
async fn behind_a_forwarded_port_the_services_are_reached_through_it() {
    let settings = Settings {
        says_host: Some("10.1.2.3".into()),
        says_port: Some(80),
        ..Settings::sound(53)
    };
    let (_camera, found) = found(settings).await;
    assert!(
        matches!(found.problems[..], [Problem::WrongHost { .. }]),
        "{:?}",
        found.problems
    );
    assert!(found.main().unwrap().stream.is_some());
}

#[tokio::test]
async fn media2_is_preferred_and_media_takes_its_place_when_it_fails() {
    let profiles = vec![
        Profile {
            encoding: "H265",
            ..Profile::main()
        },
        Profile::sub(),
    ];
    let settings = Settings {
        media2: true,
        profiles,
        ..Settings::sound(61)
    };
    let (_camera, newer) = found(settings.clone()).await;
    assert_eq!(newer.main().unwrap().media.codec, Codec::H265);
    assert_eq!(newer.sub().unwrap().media.codec, Codec::H264);
    assert!(newer.problems.is_empty(), "{:?}", newer.problems);
    let (_camera, older) = found(Settings {
        quirk: Quirk::BrokenMedia2,
        ..settings
    })
    .await;
    assert_eq!(older.main().unwrap().media.token, "kecil");
    assert!(
        older.problems.iter().any(|problem| matches!(problem, Problem::NoSub)),
        "{:?}",
        older.problems
    );
}

#[tokio::test]
async fn a_camera_of_the_first_onvif_and_one_with_undeclared_prefixes_are_understood() {
    let settings = Settings {
        quirk: Quirk::NoServices,
        odd_prefixes: true,
        ..Settings::sound(62)
    };
    let (_camera, found) = found(settings).await;
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    assert_eq!(path(found.main()), "/live/utama?a=1&b=2");
}

#[tokio::test]
async fn what_a_broken_camera_does_is_told_and_the_others_are_found() {
    let cases = [
        (Quirk::Malformed, "not well-formed XML"),
        (Quirk::Entities, "document type definition"),
        (Quirk::Huge, "longer than 1048576 bytes"),
        (Quirk::Fault, "Sender/ActionNotSupported (unknown action)"),
        (Quirk::Redirect, "HTTP status 302"),
    ];
    let mut settings: Vec<Settings> = (111..)
        .zip(cases)
        .map(|(last, (quirk, _))| Settings {
            quirk,
            ..Settings::sound(last)
        })
        .collect();
    settings.push(Settings::sound(119));
    let (_cameras, all) = all_found(settings, None).await;
    for (found, (quirk, expected)) in all.iter().zip(cases) {
        assert!(found.main().is_none(), "{quirk:?}");
        let first = found.problems[0].to_string();
        assert!(first.contains(expected), "{quirk:?}: {first}");
    }
    assert!(all[5].main().is_some());
}

#[tokio::test]
async fn a_camera_that_does_not_answer_in_time_is_told_and_asked_nothing_more() {
    let camera = Camera::start(Settings {
        quirk: Quirk::Slow,
        ..Settings::sound(66)
    })
    .await;
    let network = Network::of(&[&camera]).await;
    let options = Options {
        request_timeout: Duration::from_millis(200),
        ..network.options()
    };
    let report = discovered(&options).await;
    let problems = &report.found[0].problems;
    assert!(
        problems.len() == 1 && problems[0].to_string().contains("it took too long"),
        "{problems:?}"
    );
    assert_eq!(camera.requests(), 1);
}

#[tokio::test]
async fn a_camera_with_https_only_is_told_what_to_allow() {
    let settings = Settings::sound(67);
    let answer = onvif_camera::replies::probe_matches(&settings, "127.0.77.67", 443);
    let answer = answer
        .replace("http://127", "https://127")
        .replace("http://[", "https://[");
    let network = Network::start(vec![(settings.address, answer.into_bytes())]).await;
    let report = discovered(&network.options()).await;
    let problems = &report.found[0].problems;
    assert!(
        problems.len() == 1 && problems[0].to_string().contains("HTTPS only"),
        "{problems:?}"
    );
}

#[tokio::test]
async fn many_profiles_are_bounded_and_a_recorder_is_recognised() {
    let profiles = (0..40).map(|channel| Profile {
        token: format!("kanal{channel}"),
        source: format!("v{}", channel / 2),
        ..if channel % 2 == 0 {
            Profile::main()
        } else {
            Profile::sub()
        }
    });
    let settings = Settings {
        profiles: profiles.collect(),
        ..Settings::sound(64)
    };
    let (_camera, found) = found(settings).await;
    assert_eq!(found.profiles.len(), 32);
    assert!(
        matches!(
            found.problems[..],
            [Problem::ProfilesLeftOut(8), Problem::SeveralSources(16)]
        ),
        "{:?}",
        found.problems
    );
    assert_eq!(
        (path(found.main()), path(found.sub())),
        ("/live/kanal0?a=1&b=2".into(), "/live/kanal1?a=1&b=2".into())
    );
}

#[tokio::test]
async fn no_password_of_a_camera_is_in_anything_that_is_shown() {
    let settings = Settings {
        stream_login: "admin:rahasia@".into(),
        stream_path: "/user=admin_password=rahasia_channel=1".into(),
        ..Settings::sound(65)
    };
    let (_camera, found) = found(settings).await;
    let sections = config_sections(&[found]);
    assert!(
        sections.contains("REMOVED") && !sections.contains("rahasia"),
        "{sections}"
    );
}

#[tokio::test]
async fn a_named_host_is_asked_on_each_port_and_one_without_onvif_is_told() {
    let camera = Camera::start(Settings {
        auth: Auth::Token,
        ..Settings::sound(71)
    })
    .await;
    let silent = IpAddr::from([127, 0, 77, 72]);
    // The discard port: nothing listens there.
    let options = Options {
        interfaces: Interfaces::None,
        hosts: vec![silent, camera.address(), camera.address()],
        credentials: Some(credentials()),
        listen: Duration::from_millis(100),
        request_timeout: onvif_camera::PATIENCE,
        target: SocketAddr::from(([127, 0, 0, 1], 9)),
        http_ports: vec![9, camera.port],
    };
    let report = discovered(&options).await;
    assert_eq!(report.silent, [silent]);
    assert_eq!(report.found.len(), 1);
    assert_eq!(path(report.found[0].main()), "/live/utama?a=1&b=2");
}

#[tokio::test]
async fn a_named_host_that_answers_a_probe_is_not_asked_on_other_ports() {
    let camera = Camera::start(Settings::sound(73)).await;
    let network = Network::of(&[&camera]).await;
    let options = Options {
        interfaces: Interfaces::None,
        hosts: vec![IpAddr::V4(Ipv4Addr::LOCALHOST), camera.address()],
        http_ports: vec![camera.port],
        ..network.options()
    };
    let report = discovered(&options).await;
    assert_eq!(report.found.len(), 1);
    assert_eq!(report.silent, [IpAddr::V4(Ipv4Addr::LOCALHOST)]);
    let alone = Camera::start(Settings::sound(73)).await;
    let known = Network::of(&[&alone]).await;
    discovered(&known.options()).await;
    assert_eq!(camera.requests(), alone.requests());
}

#[tokio::test]
async fn an_interface_that_is_not_there_is_told_with_its_name() {
    let options = Options {
        interfaces: Interfaces::These(vec![Interface::Name("absent7".into())]),
        hosts: Vec::new(),
        credentials: None,
        listen: Duration::from_millis(100),
        request_timeout: onvif_camera::PATIENCE,
        target: SocketAddr::from(([127, 0, 0, 1], 9)),
        http_ports: Vec::new(),
    };
    let Err(DiscoverError::Nowhere(errors)) = discover(&options, &clock()).await else {
        panic!("nothing can be sent through it");
    };
    assert!(errors[0].to_string().contains("absent7"), "{errors:?}");
}

#[tokio::test]
async fn the_table_and_the_sections_show_what_was_found() {
    let hik = Camera::start(Settings {
        manufacturer: "HIKVISION".into(),
        auth: Auth::Digest,
        clock_offset: SignedDuration::from_secs(-90),
        profiles: vec![
            Profile {
                gop: 250,
                ..Profile::main()
            },
            Profile {
                rate: 25,
                bitrate: 2048,
                ..Profile::sub()
            },
        ],
        name: "Simpang Dago".into(),
        ..Settings::sound(81)
    })
    .await;
    let second = Camera::start(Settings {
        media2: true,
        profiles: vec![
            Profile {
                encoding: "H265",
                ..Profile::main()
            },
            Profile {
                encoding: "H265",
                ..Profile::sub()
            },
        ],
        name: "Simpang Dago".into(),
        ..Settings::sound(82)
    })
    .await;
    let locked = Camera::start(Settings {
        auth: Auth::Basic,
        ..Settings::sound(83)
    })
    .await;
    let network = Network::of(&[&hik, &second, &locked]).await;
    let report = discovered(&network.options()).await;
    let shown = table(&report.found);
    assert!(shown.lines().all(|line| line.chars().count() <= 120), "{shown}");
    insta::assert_snapshot!("table", shown);
    let sections = config_sections(&report.found);
    let read: toml::Table = toml::from_str(&sections).unwrap();
    assert_eq!(read["cameras"].as_array().unwrap().len(), 2);
    insta::assert_snapshot!("sections", sections);
}

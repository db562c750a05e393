//! Foreign bytes: nothing that a camera sends makes discovery fall over, and what is kept of it is bounded and fit to be
//! shown.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

mod onvif_camera;

use gateway::cameras::discovery::device::{parse_information, parse_services, parse_time};
use gateway::cameras::discovery::media::{PROFILES_MAX, choose, parse_profiles, parse_uri};
use gateway::cameras::discovery::probe::{ANSWERS_MAX, Collector, parse_probe_matches};
use gateway::xml::{DEPTH_MAX, Element};

use onvif_camera::{Settings, replies};

/// One reply of each kind.
fn sound() -> Vec<String> {
    let settings = Settings {
        media2: true,
        ..Settings::sound(1)
    };
    vec![
        replies::probe_matches(&settings, "192.168.1.64", 80),
        replies::time(&settings, "2026-11-22T03:04:05Z".parse().unwrap()),
        replies::information(&settings),
        replies::services(&settings, "http://192.168.1.64"),
        replies::capabilities(&settings, "http://192.168.1.64"),
        replies::profiles(&settings, false),
        replies::profiles(&settings, true),
        replies::uri(
            &settings,
            "GetStreamUri",
            "rtsp://a:b@192.168.1.64/live?c=1&amp;d=2",
            false,
        ),
        replies::fault(&settings, "NotAuthorized", "no"),
    ]
}

fn is_label(text: &str) -> bool {
    text.chars().count() <= 96 && !text.chars().any(char::is_control)
}

fn read(bytes: &[u8]) {
    let from = "192.0.2.1".parse().unwrap();
    let mut collector = Collector::default();
    collector.take(from, bytes);
    let (answers, counters) = collector.finish();
    assert!(answers.len() <= ANSWERS_MAX && counters.packets == 1);
    for answer in &answers {
        let url = answer.device_service().unwrap();
        assert_eq!(
            (url.host_str(), url.username(), url.password()),
            (Some("192.0.2.1"), "", None)
        );
        let scopes = &answer.device.scopes;
        assert!(scopes.name.iter().chain(&scopes.hardware).all(|text| is_label(text)));
    }
    assert_eq!(
        parse_probe_matches(bytes).unwrap_or_default().is_empty(),
        counters.garbage == 1
    );
    let Ok(root) = Element::parse(bytes, 1 << 20) else {
        return;
    };
    assert!(depth(&root) <= DEPTH_MAX);
    parse_time(&root);
    parse_services(&root);
    parse_uri(&root);
    if let Some(information) = parse_information(&root) {
        assert!(is_label(&information.manufacturer) && is_label(&information.serial));
    }
    if let Some(profiles) = parse_profiles(&root) {
        let profiles = profiles.profiles;
        assert!(profiles.len() <= PROFILES_MAX);
        let choice = choose(&profiles);
        assert!(
            choice
                .main
                .is_none_or(|main| main < profiles.len() && choice.sub != Some(main))
        );
        assert!(profiles.iter().all(|profile| is_label(&profile.name)));
        assert!(
            profiles
                .iter()
                .filter_map(gateway::cameras::discovery::media::MediaProfile::gop_seconds)
                .all(|gop| gop > 0.0)
        );
    }
}

fn depth(element: &Element) -> usize {
    1 + element.children().iter().map(depth).max().unwrap_or(0)
}

#[test]
fn every_sound_reply_is_read() {
    for text in sound() {
        assert!(Element::parse(text.as_bytes(), 1 << 20).is_ok(), "{text}");
        read(text.as_bytes());
    }
    assert_eq!(parse_probe_matches(sound()[0].as_bytes()).unwrap().len(), 1);
}

#[test]
fn no_bytes_make_the_reading_panic() {
    bolero::check!().for_each(read);
}

#[test]
fn no_edit_of_a_sound_reply_makes_the_reading_panic() {
    let sound = sound();
    // Which reply; then each edit: where it begins, how much it takes out, what it puts in.
    bolero::check!()
        .with_type::<(u8, Vec<(u16, u8, Vec<u8>)>)>()
        .for_each(|(which, edits)| {
            let mut bytes = sound[usize::from(*which) % sound.len()].clone().into_bytes();
            for (start, length, put_in) in edits {
                let start = usize::from(*start) % (bytes.len() + 1);
                let end = (start + usize::from(*length)).min(bytes.len());
                bytes.splice(start..end, put_in.iter().copied());
            }
            read(&bytes);
        });
}

#[test]
fn no_text_in_the_place_of_another_makes_the_reading_panic() {
    let sound = sound();
    // Which reply; then what stands in the place of which of its texts: so that tags stay whole.
    bolero::check!()
        .with_type::<(u8, Vec<(u8, String)>)>()
        .for_each(|(which, texts)| {
            let reply = &sound[usize::from(*which) % sound.len()];
            let mut parts: Vec<String> = reply.split('>').map(str::to_owned).collect();
            for (place, text) in texts {
                let place = usize::from(*place) % parts.len();
                let tag = parts[place]
                    .find('<')
                    .map(|tag| parts[place].split_off(tag))
                    .unwrap_or_default();
                parts[place] = format!("{}{tag}", text.replace(['<', '&'], "%"));
            }
            read(parts.join(">").as_bytes());
        });
}

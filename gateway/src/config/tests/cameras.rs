//! Mistakes about cameras, the page and live view.

use super::{SOUND, parse};

/// A camera without a mistake, and what goes with it.
const CAMERAS: &str = r#"
[video]
secrets_file = "keys/cameras.toml"

[page]
listen = "0.0.0.0:8080"
password_file = "keys/page.password"

[far_view]
command_vkey = "keys/command.vkey"
servers = ["kominfo.example.id:8443"]

[[cameras]]
id = "utara-1"
name = "Dago utara"
host = "192.168.1.64"
sub = "/Streaming/Channels/102"
spaces = ["D-01"]
masks = [[[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]]
"#;

fn said(old: &str, new: &str) -> String {
    assert!(CAMERAS.contains(old), "{old} is not there");
    match parse(&format!("{SOUND}{}", CAMERAS.replacen(old, new, 1))) {
        Ok(_) => "sound".to_owned(),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn a_camera_needs_its_address_and_a_stream_and_takes_the_rest_as_it_is() {
    let config = parse(&format!("{SOUND}{CAMERAS}")).unwrap();
    let camera = &config.cameras[0];
    assert_eq!(camera.host, "192.168.1.64:554", "the port of RTSP");
    assert!(
        camera.record.sub && !camera.record.main,
        "a card of flash holds the small one"
    );
    for left_out in ["host = \"192.168.1.64\"\n", "sub = \"/Streaming/Channels/102\"\n"] {
        assert!(said(left_out, "").contains("hint: "), "{left_out}");
    }
}

#[test]
fn a_mistake_about_a_camera_says_what_is_right() {
    let masks = "masks = [[[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]]";
    for (old, new, told) in [
        (masks, "masks = [[[0.0, 0.0], [1.5, 0.0], [0.0, 0.5]]]", "1.5"),
        (masks, "masks = [[[0.0, 0.0], [-0.1, 0.0], [0.0, 0.5]]]", "-0.1"),
        (masks, "masks = [[[0.0, 0.0], [nan, 0.0], [0.0, 0.5]]]", "nan"),
        (masks, "masks = [[[0.0, 0.0], [0.5, 0.5]]]", "2 corners make no area"),
        (
            masks,
            "masks = [[[0.0, 0.0], [0.2, 0.2], [0.5, 0.5]]]",
            "all points are in one line",
        ),
        (
            masks,
            "masks = [[[0.0], [0.2, 0.2], [0.5, 0.1]]]",
            "a corner has two numbers",
        ),
        ("spaces = [\"D-01\"]", "spaces = [\"D-01\", \"D-01\"]", "written twice"),
        ("spaces = [\"D-01\"]", "spaces = [\"D-99\"]", "D-99"),
        (
            "192.168.1.64",
            "rtsp://u:rahasia@192.168.1.64/x",
            "is no address of a camera",
        ),
        (
            "/Streaming/Channels/102",
            "Streaming/Channels/102",
            "no path of a stream",
        ),
        ("id = \"utara-1\"", "id = \"utara 1\"", "utara 1"),
        ("spaces", "transport = \"sctp\"\nspaces", "use tcp, udp"),
        ("spaces", "profile = \"hikvison\"\nspaces", "hikvision"),
        ("spaces", "record = \"main\"\nspaces", "main"),
        ("0.0.0.0:8080", "8080", "is no address and port"),
        ("kominfo.example.id:8443", "kominfo.example.id", "is no host and port"),
        ("[video]", "[video]\npictures_every_s = 0", "pictures_every_s"),
    ] {
        let said = said(old, new);
        assert!(said.contains(told) && said.contains("hint: "), "{new}\n{said}");
        assert!(!said.contains("rahasia"), "{said}");
    }
}

#[test]
fn a_figure_of_eight_hides_something() {
    let eight = "[[[0.2, 0.2], [0.8, 0.8], [0.8, 0.2], [0.2, 0.8]]]";
    assert_eq!(said("[[[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]]", eight), "sound");
}

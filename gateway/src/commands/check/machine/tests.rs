use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use super::*;
use crate::cameras::plugins::NEEDED;

const SOUND: &str = include_str!("../../../config/tests/sound.toml");

/// A box with two cameras whose files lie in `folder`.
fn config(folder: &Path, more: &str) -> Config {
    let text = format!(
        r#"{SOUND}
{more}
[[cameras]]
id = "utara-1"
host = "192.168.10.11"
sub = "/sub"
ring_mib = 64
[[cameras]]
id = "utara-2"
host = "192.168.10.12"
sub = "/sub"
main = "/main"
record = "both"
ring_mib = 64
"#
    );
    Config::from_bytes(&folder.join("box.toml"), text.as_bytes()).unwrap()
}

fn said(problems: &[Problem]) -> Vec<String> {
    problems.iter().map(|problem| problem.message.clone()).collect()
}

#[test]
fn cameras_without_a_password_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut findings = Findings::default();
    passwords(&config(folder.path(), ""), &mut findings);
    assert_eq!(said(&findings.warnings), ["no user and password for utara-1, utara-2"]);
    let secrets = "utara-2 = { user = \"u\", password = \"p\" }\n";
    std::fs::write(folder.path().join("secrets"), secrets).unwrap();
    let mut findings = Findings::default();
    let with_file = config(folder.path(), "[video]\nsecrets_file = \"secrets\"");
    passwords(&with_file, &mut findings);
    assert_eq!(said(&findings.warnings), ["no user and password for utara-1"]);
}

#[test]
fn a_disk_with_room_is_told_in_words_and_one_without_is_a_warning() {
    let folder = tempfile::tempdir().unwrap();
    let video = "[video]\nevidence_mib = 16\nfree_mib_min = 256\nring_dir = \"ring\"";
    let sound = config(folder.path(), video);
    assert_eq!(Budget::of(&sound).sum(), (3 * 64 + 16 + 256) << 20);
    let mut findings = Findings::default();
    disk(&sound, &mut findings);
    assert_eq!(said(&findings.problems), Vec::<String>::new());
    let words = findings.disk.unwrap();
    assert!(words.contains(" MiB free") || words.contains(" of "), "{words}");

    let mut large = sound;
    for camera in &mut large.cameras {
        camera.ring.bytes_max = 1 << 60;
    }
    let mut findings = Findings::default();
    disk(&large, &mut findings);
    let told = said(&findings.warnings);
    assert!(
        told.iter().any(|told| told.contains("more than this disk has")),
        "{told:?}"
    );
}

#[test]
fn what_recordings_take_already_counts_as_room() {
    let folder = tempfile::tempdir().unwrap();
    let ring = folder.path().join("utara-1/sub");
    std::fs::create_dir_all(&ring).unwrap();
    std::fs::write(ring.join("0000000001.mp4"), vec![0; 5_000]).unwrap();
    std::fs::write(folder.path().join("x"), vec![0; 20]).unwrap();
    assert_eq!(used(folder.path()), 5_020);
    assert_eq!(used(&folder.path().join("nothing")), 0);
}

#[test]
fn a_place_that_is_no_folder_is_a_problem() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("ring"), "").unwrap();
    let mut findings = Findings::default();
    disk(&config(folder.path(), "[video]\nring_dir = \"ring\""), &mut findings);
    let told = said(&findings.problems);
    assert!(told[0].ends_with("ring is no folder"), "{told:?}");
}

#[test]
fn the_file_system_is_that_of_the_deepest_mount() {
    let mounts = "/dev/sda1 / ext4 rw 0 0\ntmpfs /run tmpfs rw 0 0\n/dev/sdb1 /var/lib vfat rw 0 0\n/dev/sdb1 /var/lib ext4 rw 0 0\nx\n";
    let kind = |path| mount_of(mounts, Path::new(path)).map(|mount| mount.kind);
    assert_eq!(
        kind("/var/lib/gateway"),
        Some("ext4"),
        "the later mount covers the earlier"
    );
    assert_eq!(kind("/run/x"), Some("tmpfs"));
    assert_eq!(kind("/runner"), Some("ext4"));
    assert_eq!(mount_of("", Path::new("/")), None);
}

/// A program that answers so.
fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("gateway-camera");
    std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn a_worker_that_is_missing_old_or_without_its_plugins_is_a_problem_with_what_to_install() {
    let folder = tempfile::tempdir().unwrap();
    let config = config(folder.path(), "");
    let told = |program: &Path| {
        let mut findings = Findings::default();
        worker(&config, program, &mut findings).unwrap();
        let pairs = findings.problems.into_iter();
        pairs.map(|problem| (problem.message, problem.hint)).collect::<Vec<_>>()
    };
    let version = env!("CARGO_PKG_VERSION");
    let [(message, _)] = &told(&folder.path().join("nothing"))[..] else {
        panic!("one problem")
    };
    assert!(message.contains("all cameras stay dark"), "{message}");

    // What is used only for media servers is not missed without one.
    let sound = program(folder.path(), &format!("echo {version}; echo libgstrtspclientsink.so"));
    assert_eq!(told(&sound), []);

    let lacking = program(
        folder.path(),
        &format!("echo {version}; echo libgstvideoparsersbad.so; echo libgstrtp.so"),
    );
    assert_eq!(
        told(&lacking),
        [(
            "GStreamer lacks libgstvideoparsersbad.so, libgstrtp.so".to_owned(),
            "apt install gstreamer1.0-plugins-bad gstreamer1.0-plugins-good".to_owned()
        )]
    );
    let old = program(folder.path(), "echo 0.0.1");
    assert!(told(&old)[0].0.contains("is of version 0.0.1"));
    let broken = program(folder.path(), "echo no libgstreamer >&2; exit 127");
    assert!(told(&broken)[0].0.ends_with("fails: no libgstreamer"));
}

#[test]
fn only_a_media_server_needs_what_publishes() {
    let folder = tempfile::tempdir().unwrap();
    let far_view = "[far_view]\ncommand_vkey = \"x\"\nmedia_servers = [\"media.example.id:322\"]";
    let config = config(folder.path(), far_view);
    let answer = Answer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        missing: NEEDED.into_iter().filter(|plugin| plugin.publishes()).collect(),
    };
    let mut findings = Findings::default();
    judge(&config, Path::new("gateway-camera"), &answer, &mut findings);
    assert_eq!(
        said(&findings.problems),
        ["GStreamer lacks libgstapp.so, libgstisomp4.so, libgstrtspclientsink.so"]
    );
}

#[test]
fn a_large_stream_on_a_card_is_a_warning_and_a_small_one_is_not() {
    let mounts = "/dev/mmcblk0p2 / ext4 rw 0 0\n/dev/sda1 /mnt/ssd ext4 rw 0 0\n";
    let is_card = |path| mount_of(mounts, Path::new(path)).is_some_and(Mount::is_card);
    assert!(is_card("/var/lib/gateway") && !is_card("/mnt/ssd/ring"));
    let folder = tempfile::tempdir().unwrap();
    let mut config = config(folder.path(), "");
    let mut findings = Findings::default();
    large_on_card(&config, "/var/lib/gateway", &mut findings);
    let told = said(&findings.warnings);
    assert!(
        matches!(&told[..], [told] if told.contains("main stream of utara-2 is")),
        "{told:?}"
    );
    for camera in &mut config.cameras {
        camera.record.main = false;
    }
    let mut findings = Findings::default();
    large_on_card(&config, "/var/lib/gateway", &mut findings);
    assert_eq!(said(&findings.warnings), Vec::<String>::new());
}

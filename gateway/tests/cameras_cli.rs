//! `gateway cameras`, as a technician runs it, without a camera: wrong input, bad peers, a daemon that is made up.

#![allow(clippy::unwrap_used, clippy::expect_used)] // a failed unwrap is a failed test

#[path = "support/peers.rs"]
mod peers;

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use gateway::cameras::ring::{ClockQuality, Fragment, Limits, MemoryIndex, Ring};
use peers::Peer;

const SAMPLE: &[u8] = include_bytes!("../src/cameras/ring/tests/samples/plain.cmaf");
const CAMERAS: &str = r#"
[[cameras]]
id = "simpang-1"
host = "192.0.2.10"
sub = "/sub"
masks = [[[0.0, 0.0], [0.5, 0.0], [0.0, 0.5]]]

[[cameras]]
id = "gerbang"
host = "192.0.2.11"
main = "/main"
"#;

/// A folder with a configuration and everything else of a test.
struct Desk(tempfile::TempDir);

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sound = include_str!("../src/config/tests/sound.toml");
        std::fs::write(folder.path().join("box.toml"), format!("{sound}{CAMERAS}")).unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_gateway"));
        command
            .arg("cameras")
            .args(arguments)
            .current_dir(self.0.path())
            .env_remove("RUST_LOG");
        command
    }

    fn run(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (status.code(), text(stdout), text(stderr))
    }

    /// What is said on standard error by a command that refuses.
    fn refused(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.run(arguments);
        assert_eq!((code, stdout.as_str()), (Some(2), ""), "{stderr}");
        stderr
    }

    /// Ten seconds of `simpang-1` from 10:15 WIB on.
    fn record(&self) {
        let folder = self.path("data/ring/simpang-1/sub");
        let limits = Limits {
            bytes_max: 1 << 24,
            age_max: None,
            free_bytes_min: 0,
            segment_duration_max: Duration::from_secs(60),
            segment_bytes_max: 1 << 20,
        };
        let (mut ring, _) = Ring::open(&folder, limits, MemoryIndex::default()).unwrap();
        let (init, fragments) = split(SAMPLE);
        ring.begin(&init).unwrap();
        for (number, chunks) in (0..).zip(fragments) {
            let at = "2026-11-22T03:15:00Z".parse::<jiff::Timestamp>().unwrap();
            let at = at + Duration::from_secs(2 * number);
            let clock = ClockQuality::Synced;
            ring.append(&Fragment { at, clock, chunks }).unwrap();
        }
        ring.close();
    }

    /// A daemon that answers one request after the other with these, status and body.
    fn daemon(&self, answers: Vec<(&'static str, &'static str)>) -> std::thread::JoinHandle<Vec<String>> {
        let listener = UnixListener::bind(self.path("data/gateway.sock")).unwrap();
        std::thread::spawn(move || {
            let mut asked = Vec::new();
            for (head, body) in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let mut request = Vec::new();
                while !request.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    connection.read_exact(&mut byte).unwrap();
                    request.push(byte[0]);
                }
                let request = String::from_utf8(request).unwrap();
                asked.push(request.lines().next().unwrap().to_owned());
                let length = body.len();
                write!(
                    connection,
                    "HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}"
                )
                .unwrap();
            }
            asked
        })
    }
}

/// The initialisation segment of a sample, and its fragments in chunks: a keyframe each 2 s, a chunk each 200 ms.
fn split(sample: &'static [u8]) -> (Bytes, Vec<Vec<Bytes>>) {
    let (mut begin, mut end, mut init, mut chunks) = (0, 0, Bytes::new(), Vec::new());
    while end < sample.len() {
        let (size, kind) = (&sample[end..end + 4], &sample[end + 4..end + 8]);
        end += u32::from_be_bytes(size.try_into().unwrap()) as usize;
        match kind {
            b"moov" => init = Bytes::from_static(&sample[begin..end]),
            b"mdat" => chunks.push(Bytes::from_static(&sample[begin..end])),
            _ => continue,
        }
        begin = end;
    }
    (init, chunks.chunks(10).map(<[Bytes]>::to_vec).collect())
}

#[test]
fn an_unknown_camera_is_refused_with_the_names_of_those_that_are_there() {
    let desk = Desk::new();
    let said = desk.refused(&["snapshot", "box.toml", "simpang-2", "--out", "a.jpg"]);
    assert_eq!(
        said,
        "error: box.toml has no camera \"simpang-2\"\n  hint: it has: simpang-1, gerbang\n"
    );
}

#[test]
fn without_a_daemon_list_and_snapshot_say_how_to_start_it() {
    let desk = Desk::new();
    for arguments in [
        &["list", "box.toml"][..],
        &["snapshot", "box.toml", "gerbang", "--out", "a.jpg"],
    ] {
        let (code, _, said) = desk.run(arguments);
        assert_eq!(code, Some(1));
        assert!(
            said.contains("data/gateway.sock") && said.contains("systemctl status gateway"),
            "{said}"
        );
    }
    assert!(!desk.path("a.jpg").exists());
}

#[test]
fn a_list_comes_from_the_daemon() {
    let desk = Desk::new();
    let status = r#"[{"id":"gerbang","title":"Gerbang","state":"offline","cause":"refused","since":"2026-11-22T03:15:03Z",
        "evidence":[],"looked_at":null,"clock_offset_ms":null,"worker_pid":7,"workers_started":3,"main":{"phase":"waiting","codecs":null,
        "width":null,"height":null,"fps":0.0,"kbit":0.0,"gop_frames":0,"frames":0,"dropped_frames":0,"lost_packets":0,
        "jumps":0,"connections":0,"reordered":false,"ended":["refused","Connection refused"],"viewers":0,"ring":null},
        "sub":null}]"#;
    let daemon = desk.daemon(vec![("200 OK", status)]);
    let (code, said, error) = desk.run(&["list", "box.toml", "--lang", "en"]);
    assert_eq!((code, error.as_str()), (Some(0), ""));
    assert_eq!(daemon.join().unwrap(), ["GET /cameras HTTP/1.1"]);
    insta::assert_snapshot!(said);
}

#[test]
fn a_snapshot_is_written_whole_with_its_time_or_not_at_all() {
    let desk = Desk::new();
    let good = "200 OK\r\nx-received-at: 2026-11-22T03:15:03.250Z\r\nx-clock: synced";
    let daemon = desk.daemon(vec![
        (good, "jpeg"),
        (
            "503 Service Unavailable",
            "camera gerbang gives no picture now: it is dark",
        ),
    ]);
    let at = ["--at", "2026-11-22T10:15:03"];
    let arguments = [&["snapshot", "box.toml", "gerbang", "--out", "a.jpg"][..], &at].concat();
    let (code, said, _) = desk.run(&arguments);
    assert_eq!(
        (code, std::fs::read(desk.path("a.jpg")).unwrap()),
        (Some(0), b"jpeg".to_vec())
    );
    assert_eq!(
        said,
        "a.jpg: gerbang at 2026-11-22T10:15:03.25+07:00 (clock synced), 4 bytes\n"
    );
    let (code, _, error) = desk.run(&["snapshot", "box.toml", "gerbang", "--out", "b.jpg"]);
    assert_eq!((code, desk.path("b.jpg").exists()), (Some(1), false));
    assert_eq!(
        error,
        "error: the daemon says: camera gerbang gives no picture now: it is dark\n"
    );
    let asked = daemon.join().unwrap();
    assert_eq!(
        asked[0],
        "GET /cameras/gerbang/snapshot?width=1920&at=2026-11-22T03:15:03Z HTTP/1.1"
    );
}

const CLIP: [&str; 3] = ["clip", "box.toml", "simpang-1"];

fn clip(from: &'static str, to: &'static str) -> Vec<&'static str> {
    [&CLIP[..], &["--from", from, "--to", to, "--out", "clip.mp4"]].concat()
}

#[test]
fn a_clip_is_cut_without_a_daemon_and_changes_nothing_in_the_folder() {
    let desk = Desk::new();
    desk.record();
    let file = desk.path("data/ring/simpang-1/sub/0000000001.mp4");
    let before = std::fs::read(&file).unwrap();
    let (code, said, error) = desk.run(&clip("2026-11-22T10:15:03", "2026-11-22T03:15:07Z"));
    assert_eq!(code, Some(0), "{error}");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "clip.mp4");
    assert!(lines[1].ends_with(" 2026-11-22T10:15:02+07:00"), "{said}");
    let bytes = std::fs::read(desk.path("clip.mp4")).unwrap();
    let hash = <sha2::Sha256 as sha2::Digest>::digest(&bytes);
    assert_eq!(lines[4], format!("  sha256  {hash:x}"));
    assert!(lines[3].ends_with(&format!("{} bytes", bytes.len())), "{said}");
    assert!(
        error.contains("the daemon does not answer") && error.contains("masks of simpang-1"),
        "{error}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), before);
    let files = std::fs::read_dir(file.parent().unwrap()).unwrap().count();
    assert_eq!(files, 1);
}

#[test]
fn a_time_without_a_recording_is_refused_with_what_there_is() {
    let desk = Desk::new();
    desk.record();
    let said = desk.refused(&clip("2026-11-22T12:00", "2026-11-22T12:10"));
    let said = said.split_once("error: ").unwrap().1;
    assert_eq!(
        said,
        "nothing of simpang-1 sub was recorded from 2026-11-22T12:00:00+07:00 to 2026-11-22T12:10:00+07:00\n  \
         hint: there is 2026-11-22T10:15:00+07:00 to 2026-11-22T10:15:10+07:00\n"
    );
    let arguments = [
        &clip("2026-11-22T12:00", "2026-11-22T12:10")[..],
        &["--profile", "main"],
    ]
    .concat();
    let said = desk.refused(&arguments);
    assert!(
        said.contains("there is no recording") && said.contains("does not record main"),
        "{said}"
    );
    assert!(!desk.path("data/ring/simpang-1/main").exists(), "nothing is made");
}

#[test]
fn wishes_that_cannot_be_met_are_refused() {
    let desk = Desk::new();
    desk.record();
    let said = desk.refused(&clip("2026-11-22T10:15:07", "2026-11-22T10:15:03"));
    assert!(
        said.contains("--from 2026-11-22T10:15:07+07:00 is not before --to 2026-11-22T10:15:03+07:00"),
        "{said}"
    );
    assert!(
        desk.refused(&clip("kemarin", "2026-11-22T10:15"))
            .contains("\"kemarin\" is no time")
    );
    assert!(
        desk.refused(&clip("2026-11-22T01:00", "2026-11-22T10:15"))
            .contains("several clips")
    );
    let mut among = clip("2026-11-22T10:15", "2026-11-22T10:16");
    *among.last_mut().unwrap() = "data/ring/simpang-1/sub/0000000001.mp4";
    assert!(desk.refused(&among).contains("among the recordings"));
    *among.last_mut().unwrap() = "absent/clip.mp4";
    assert!(desk.refused(&among).contains("cannot write into absent"));
}

#[test]
fn a_file_that_went_meanwhile_is_told_and_the_rest_is_in_the_clip() {
    let desk = Desk::new();
    desk.record();
    let folder = desk.path("data/ring/simpang-1/sub");
    let segment = |id: u64, from: u64, to: u64| {
        format!(
            r#"{{"id":{id},"from":"2026-11-22T03:15:{from:02}Z","to":"2026-11-22T03:15:{to:02}Z","clock":"synced","bytes":900000,"fragments":5,"frames":100,"codec":"avc1.64001f"}}"#
        )
    };
    let answer = format!(
        r#"{{"folder":"{}","whole":null,"before":null,"after":null,"segments":[{},{}]}}"#,
        folder.display(),
        segment(1, 0, 10),
        segment(2, 10, 20)
    );
    let daemon = desk.daemon(vec![("200 OK", answer.leak())]);
    let (code, said, error) = desk.run(&clip("2026-11-22T10:15:00", "2026-11-22T10:15:18"));
    assert_eq!(code, Some(0), "{error}");
    assert!(said.contains("100 frames"), "{said}");
    assert!(
        error.contains("file 2 of the recording") && error.contains("removed meanwhile"),
        "{error}"
    );
    let asked = daemon.join().unwrap().remove(0);
    assert!(
        asked.starts_with("GET /cameras/simpang-1/recording?profile=sub&from=2026-11-22T03:15:00Z"),
        "{asked}"
    );
}

#[test]
fn an_address_that_is_no_rtsp_or_holds_a_password_is_refused_and_not_repeated() {
    let desk = Desk::new();
    assert!(
        desk.refused(&["probe", "http://192.0.2.1/"])
            .contains("http is no RTSP")
    );
    let said = desk.refused(&["probe", "rtsp://admin:rahasia@192.0.2.1/live"]);
    assert!(said.contains("--password-file") && !said.contains("rahasia"), "{said}");
    let said = desk.refused(&["probe", "rtsp://192.0.2.1/live", "--user", "admin"]);
    assert!(said.contains("--password-file"), "{said}");
    std::fs::write(desk.path("pw"), "rahasia\n").unwrap();
    std::fs::set_permissions(desk.path("pw"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let said = desk.refused(&[
        "probe",
        "rtsp://192.0.2.1/live",
        "--user",
        "admin",
        "--password-file",
        "pw",
    ]);
    assert!(said.contains("chmod 600 pw") && !said.contains("rahasia"), "{said}");
}

/// Probes a peer; the cause that is told.
fn cause(desk: &Desk, peer: &Peer, more: &[&str]) -> String {
    let url = peer.clone().start();
    let arguments = [&["probe", &url, "--json", "--seconds", "2"][..], more].concat();
    let (code, said, error) = desk.run(&arguments);
    assert_eq!(code, Some(1), "{peer:?}: {said} {error}");
    let outcome: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!(outcome["url"], url);
    outcome["failure"]["cause"].as_str().unwrap().to_owned()
}

#[test]
fn each_bad_peer_has_its_cause() {
    let desk = Desk::new();
    std::fs::write(desk.path("pw"), "rahasia\n").unwrap();
    std::fs::set_permissions(desk.path("pw"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let login = ["--user", "admin", "--password-file", "pw"];
    let kerberos = Peer::Answers("401 Unauthorized", "WWW-Authenticate: Negotiate\r\n");
    let timetable = [
        (Peer::http(), &[][..], "not_rtsp"),
        (Peer::Answers("404 Not Found", ""), &[], "not_found"),
        (Peer::Answers("503 Service Unavailable", ""), &[], "rejected"),
        (kerberos.clone(), &[], "auth_failed"),
        (kerberos, &login, "auth_unsupported"),
        (Peer::garbage(), &[], "bad_sdp"),
        (Peer::with_media("video", "JPEG/90000"), &[], "unsupported_codec"),
        (Peer::with_media("audio", "PCMU/8000"), &[], "no_video"),
    ];
    for (peer, more, expected) in timetable {
        assert_eq!(cause(&desk, &peer, more), expected, "{peer:?}");
    }
}

#[test]
fn each_bad_peer_has_its_cause_with_the_other_client_too() {
    let desk = Desk::new();
    std::fs::write(desk.path("pw"), "rahasia\n").unwrap();
    std::fs::set_permissions(desk.path("pw"), std::fs::Permissions::from_mode(0o600)).unwrap();
    let login = ["--user", "admin", "--password-file", "pw"];
    let asks = |scheme| Peer::Answers("401 Unauthorized", scheme);
    let basic = "WWW-Authenticate: Basic realm=\"x\"\r\n";
    let sha256 = "WWW-Authenticate: Digest realm=\"x\", nonce=\"1\", algorithm=\"SHA-256\"\r\n";
    let timetable = [
        (Peer::http(), &[][..], "not_rtsp"),
        (Peer::Answers("404 Not Found", ""), &[], "not_found"),
        (Peer::Answers("503 Service Unavailable", ""), &[], "rejected"),
        (asks(basic), &[], "auth_failed"),
        (asks(basic), &login, "auth_failed"),
        (asks(sha256), &login, "auth_unsupported"),
        (Peer::garbage(), &[], "bad_sdp"),
        (Peer::with_media("video", "JPEG/90000"), &[], "unsupported_codec"),
        (Peer::with_media("audio", "PCMU/8000"), &[], "no_video"),
    ];
    let mut wrong = Vec::new();
    for (peer, more, expected) in timetable {
        let more = [&["--client", "rtspsrc"][..], more].concat();
        let told = cause(&desk, &peer, &more);
        if told != expected {
            wrong.push((peer, more, told, expected));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_make_that_is_not_known_is_refused_with_those_that_are() {
    let desk = Desk::new();
    let (code, _, error) = desk.run(&["probe", "rtsp://192.0.2.1/a", "--make", "hikvison"]);
    assert_eq!(code, Some(2));
    assert!(error.contains("known: generic, hikvision, dahua"), "{error}");
}

#[test]
fn a_peer_that_takes_the_connection_and_hangs_is_told_from_one_that_is_not_there() {
    let desk = Desk::new();
    assert_eq!(cause(&desk, &Peer::Silent, &[]), "no_answer");
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let (code, said, error) = desk.run(&["probe", &format!("rtsp://127.0.0.1:{port}/live")]);
    assert_eq!(
        (code, error),
        (Some(1), format!("error: rtsp://127.0.0.1:{port}/live does not work\n"))
    );
    assert!(said.contains("Aktifkan RTSP di pengaturan kamera"), "{said}");
}

/// Processes that were started with this folder in their surroundings.
fn with_surroundings(folder: &Path) -> Vec<u32> {
    let folder = folder.to_str().unwrap().as_bytes();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let has = |pid: &u32| {
        let environment = std::fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.windows(folder.len()).any(|part| part == folder)
    };
    pids.filter(has).collect()
}

/// Waits until there are so many.
fn wait_for(count: usize, folder: &Path) {
    for _ in 0..500 {
        if with_surroundings(folder).len() == count {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{:?} are there, {count} were expected", with_surroundings(folder));
}

#[test]
fn no_worker_outlives_its_probe_even_if_that_is_killed() {
    let desk = Desk::new();
    let cache = desk.path("plugins-of-its-own");
    let run = |url: &str| -> Child {
        let mut command = desk.command(&["probe", url]);
        command
            .env("GST_PLUGIN_PATH", &cache)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.spawn().unwrap()
    };
    let mut refused = run(&Peer::Answers("404 Not Found", "").start());
    assert_eq!(refused.wait().unwrap().code(), Some(1));
    assert!(with_surroundings(&cache).is_empty());
    let mut hanging = run(&Peer::Silent.start());
    wait_for(2, &cache);
    hanging.kill().unwrap();
    hanging.wait().unwrap();
    wait_for(0, &cache);
}

#[test]
fn nowhere_to_look_for_cameras_is_wrong_input() {
    let desk = Desk::new();
    let (code, _, said) = desk.run(&["discover", "--interface", "absent7", "--timeout", "1"]);
    assert_eq!(code, Some(2));
    assert!(
        said.contains("cannot probe through absent7") && said.contains("nowhere to look"),
        "{said}"
    );
}

#[test]
fn a_host_that_speaks_no_onvif_is_told() {
    let desk = Desk::new();
    let (code, said, error) = desk.run(&["discover", "--host", "127.0.0.1", "--timeout", "1"]);
    assert_eq!((code, said.as_str()), (Some(0), "no camera answered\n"));
    assert!(error.contains("127.0.0.1 speaks no ONVIF"), "{error}");
}

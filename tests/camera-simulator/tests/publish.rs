//! A client that publishes, as to a media server.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

mod support;

use gstreamer::{self as gst, prelude::*};
use serde_json::{Value, json};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use support::Simulator;

const CAMERA: &str = "[[camera]]\nname = 'a'\n[camera.main]\ncodec = 'h264'\nwidth = 320\nheight = 180\nfps = 20\ngop = 10\n\
                      bitrate_kbit = 200\nsource = 'drawn'\n";

/// Longer than publishing takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Publishes 40 frames, `frames` with those before, and returns how many keyframes the encoder made, and what the
/// simulator has counted so far.
fn publish(simulator: &mut Simulator, codec: &str, address: &str, frames: u64) -> (u64, Value) {
    gst::init().unwrap();
    let pipeline = gst::parse::launch(&format!(
        "videotestsrc num-buffers=40 is-live=true ! video/x-raw,width=320,height=180,framerate=20/1 ! \
         {codec} name=encoder key-int-max=10 ! rtspclientsink protocols=tcp tls-validation-flags=0 location={address}"
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let keyframes = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&keyframes);
    let source = pipeline.by_name("encoder").unwrap().static_pad("src").unwrap();
    source.add_probe(gst::PadProbeType::BUFFER, move |_, info| {
        let keyframe = !info.buffer().unwrap().flags().contains(gst::BufferFlags::DELTA_UNIT);
        counted.fetch_add(u64::from(keyframe), Ordering::SeqCst);
        gst::PadProbeReturn::Ok
    });
    pipeline.set_state(gst::State::Playing).unwrap();
    // That all has been sent is told by the client now and then only; that it has come, by the server.
    let mut received = || simulator.command(&json!({ "cmd": "stats" }))["cameras"]["a"]["streams"]["record"].take();
    let begin = Instant::now();
    let mut stats = received();
    while stats["frames"].as_u64() < Some(frames) && begin.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(50));
        stats = received();
    }
    let error = pipeline.bus().unwrap().pop_filtered(&[gst::MessageType::Error]);
    // A pipeline that plays when it is dropped takes the process along.
    pipeline.set_state(gst::State::Null).unwrap();
    assert!(error.is_none(), "{error:?}");
    (keyframes.load(Ordering::SeqCst), stats)
}

#[test]
fn published_frames_and_keyframes_are_counted_with_and_without_tls() {
    let folder = tempfile::tempdir().unwrap();
    let mut simulator = Simulator::start(folder.path(), CAMERA, &["--tls-port", "0"]);
    let plain = format!("rtsp://127.0.0.1:{}/a/record", simulator.port());
    let said = |key: &str| simulator.greeting[key].clone();
    let (user, password) = (said("tls_user"), said("tls_password"));
    let secret = format!("rtsps://127.0.0.1:{}/a/record", said("tls_port"));
    let secret = format!("{secret} user-id={user} user-pw={password}");
    let (made, first) = publish(&mut simulator, "x264enc tune=zerolatency", &plain, 40);
    assert_eq!((&first["frames"], &first["keyframes"]), (&json!(40), &json!(made)));
    let (more, second) = publish(&mut simulator, "x265enc tune=zerolatency", &secret, 80);
    assert_eq!(
        (&second["frames"], &second["keyframes"]),
        (&json!(80), &json!(made + more))
    );
}

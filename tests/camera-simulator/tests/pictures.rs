//! The way from painter through encoder and decoder.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use camera_simulator::config::{Codec, Source, StreamConfig};
use camera_simulator::encode::Encoder;
use camera_simulator::looped::frame_time;
use camera_simulator::scene::Scene;
use camera_simulator::scene::painter::{Lens, Painter, Shot, View};
use camera_simulator::scene::timecode::{self, Timecode};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSink, AppSrc};
use std::sync::{Arc, Mutex};
use std::time::Duration;

const FRAMES: u32 = 90;

/// Encodes moving pictures with timecodes, decodes them, and returns what was written and what was read.
fn round_trip(codec: Codec, bitrate_kbit: u32) -> (Vec<Timecode>, Vec<Option<Timecode>>) {
    gst::init().unwrap();
    let stream = StreamConfig {
        codec,
        width: 640,
        height: 360,
        fps: 15,
        gop: 30,
        bitrate_kbit,
        b_frames: 0,
        source: Source::Drawn,
        loop_seconds: 1,
    };
    let units = Arc::new(Mutex::new(Vec::new()));
    let collected = Arc::clone(&units);
    let encoder = Encoder::start(&stream, (640, 360), move |unit| {
        collected.lock().unwrap().push(unit.buffer);
    })
    .unwrap();
    let mut painter = Painter::new(640, 360, "simpang-1", &["U-01".to_owned()], 3);
    let scene = Scene::new(&["U-01".to_owned()]);
    let mut written = Vec::new();
    for number in 0..FRAMES {
        let time = Duration::from_millis(1_790_000_000_123) + frame_time(number, 15);
        let shot = Shot {
            scene: &scene,
            view: View::INSTALLED,
            lens: Lens::Clear,
            time,
        };
        let picture = painter.paint(&shot);
        written.push(Timecode::at(time));
        timecode::write(picture.luma_mut(), 640, 360, Timecode::at(time));
        encoder
            .push(picture.samples(), frame_time(number, 15), number % 30 == 0)
            .unwrap();
    }
    encoder.finish().unwrap();
    let units = std::mem::take(&mut *units.lock().unwrap());
    let name = if codec == Codec::H264 { "h264" } else { "h265" };
    let pipeline = gst::parse::launch(&format!(
        "appsrc name=in format=time caps=video/x-{name},stream-format=byte-stream,alignment=au ! {name}parse ! avdec_{name} ! \
         videoconvert ! video/x-raw,format=I420 ! appsink name=out sync=false"
    ));
    let pipeline = pipeline.unwrap().downcast::<gst::Pipeline>().unwrap();
    let input = pipeline.by_name("in").unwrap().downcast::<AppSrc>().unwrap();
    let output = pipeline.by_name("out").unwrap().downcast::<AppSink>().unwrap();
    pipeline.set_state(gst::State::Playing).unwrap();
    for unit in units {
        input.push_buffer(unit).unwrap();
    }
    input.end_of_stream().unwrap();
    let mut read = Vec::new();
    while let Ok(sample) = output.pull_sample() {
        let buffer = sample.buffer().unwrap().map_readable().unwrap();
        read.push(timecode::read(&buffer, 640, 360, 640));
    }
    pipeline.set_state(gst::State::Null).unwrap();
    (written, read)
}

#[test]
fn every_timecode_survives_h264_at_300_kbit() {
    let (written, read) = round_trip(Codec::H264, 300);
    assert_eq!(read, written.into_iter().map(Some).collect::<Vec<_>>());
}

#[test]
fn every_timecode_survives_h265_at_200_kbit() {
    let (written, read) = round_trip(Codec::H265, 200);
    assert_eq!(read, written.into_iter().map(Some).collect::<Vec<_>>());
}

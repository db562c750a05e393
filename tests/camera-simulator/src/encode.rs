//! An encoder for pictures: raw frames in, access units out.
//!
//! It encodes without delay and without B-frames unless asked for them. The encoder never makes a keyframe by itself
//! after the first one; the caller asks for each, so that it can also stop asking. Access units are byte streams with
//! start codes (H.264 and H.265, Annex B each), parameter sets before each keyframe.

use crate::config::{Codec, StreamConfig};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app as app;
use std::time::Duration;

/// Frames that wait for the encoder; when it is full, the caller waits.
const FRAMES_WAITING_MAX: u64 = 2;
/// Size of the decoder's buffer that the rate control assumes, as time at the target rate.
const RATE_BUFFER_MS: u32 = 600;

/// An encoded picture.
#[derive(Debug, Clone)]
pub struct AccessUnit {
    /// The bytes; buffers share them when they are copied.
    pub buffer: gst::Buffer,
    /// Time of presentation on the axis of the frames that went in.
    pub time: Duration,
    /// Whether decoding can begin here.
    pub keyframe: bool,
}

/// What is wrong with the encoder.
#[derive(Debug, thiserror::Error)]
#[error(
    "encoder {pipeline}: {problem}\n  hint: gstreamer1.0-plugins-ugly has x264enc, gstreamer1.0-plugins-bad has x265enc"
)]
pub struct EncodeError {
    pipeline: String,
    problem: String,
}

/// A running encoder; stops when it is dropped.
#[derive(Debug)]
pub struct Encoder {
    pipeline: gst::Pipeline,
    input: app::AppSrc,
}

impl Encoder {
    /// Starts an encoder for frames of this size, which gives each access unit to `output` on a thread of its own.
    pub fn start(
        stream: &StreamConfig,
        (width, height): (u32, u32),
        mut output: impl FnMut(AccessUnit) + Send + 'static,
    ) -> Result<Self, EncodeError> {
        let description = description(stream, width, height);
        let fail = |problem: String| EncodeError {
            pipeline: description.clone(),
            problem,
        };
        let element = gst::parse::launch(&description).map_err(|error| fail(error.to_string()))?;
        let pipeline = element
            .downcast::<gst::Pipeline>()
            .map_err(|_| fail("is no pipeline".to_owned()))?;
        let find = |name: &str| pipeline.by_name(name).ok_or_else(|| fail(format!("has no {name}")));
        let input = find("input")?
            .downcast::<app::AppSrc>()
            .map_err(|_| fail("input is no appsrc".to_owned()))?;
        let sink = find("output")?
            .downcast::<app::AppSink>()
            .map_err(|_| fail("output is no appsink".to_owned()))?;
        let callbacks = app::AppSinkCallbacks::builder().new_sample(move |sink| {
            let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
            if let Some(unit) = access_unit(&sample) {
                output(unit);
            }
            Ok(gst::FlowSuccess::Ok)
        });
        sink.set_callbacks(callbacks.build());
        pipeline
            .set_state(gst::State::Playing)
            .map_err(|error| fail(error.to_string()))?;
        Ok(Self { pipeline, input })
    }

    /// Encodes a frame (I420, planes without padding). Waits while the encoder is behind.
    pub fn push(&self, samples: &[u8], time: Duration, keyframe: bool) -> Result<(), EncodeError> {
        let fail = |problem: String| EncodeError {
            pipeline: self.pipeline.name().to_string(),
            problem,
        };
        let time = clock_time(time);
        if keyframe {
            // Without a running time it holds for the next frame. GStreamer 1.22 compares a given one with times to which
            // x264enc has added 1,000 hours, and then takes every request but the first for a repetition.
            let request = gst::Structure::builder("GstForceKeyUnit")
                .field("all-headers", true)
                .field("count", 0_u32)
                .build();
            if !self.input.send_event(gst::event::CustomDownstream::new(request)) {
                return Err(fail("takes no request for a keyframe".to_owned()));
            }
        }
        let mut buffer = gst::Buffer::from_slice(samples.to_vec());
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(time);
        }
        self.input
            .push_buffer(buffer)
            .map(drop)
            .map_err(|error| fail(error.to_string()))
    }

    /// Encodes what is left; returns when everything has gone to the output.
    pub fn finish(self) -> Result<(), EncodeError> {
        let fail = |problem: String| EncodeError {
            pipeline: self.pipeline.name().to_string(),
            problem,
        };
        self.input.end_of_stream().map_err(|error| fail(error.to_string()))?;
        let bus = self.pipeline.bus().ok_or_else(|| fail("has no bus".to_owned()))?;
        let kinds = [gst::MessageType::Eos, gst::MessageType::Error];
        match bus
            .timed_pop_filtered(gst::ClockTime::from_seconds(60), &kinds)
            .map(|message| message.type_())
        {
            Some(gst::MessageType::Eos) => Ok(()),
            Some(_) => Err(fail("failed".to_owned())),
            None => Err(fail("did not finish in 60 s".to_owned())),
        }
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        if let Err(error) = self.pipeline.set_state(gst::State::Null) {
            eprintln!("camera-simulator: encoder does not stop: {error}");
        }
    }
}

/// Finest quantizer of H.264: that of a camera. Without a floor the encoder would go on refining a picture that does not
/// change, which no camera does.
const QUANTIZER_MIN: u32 = 22;

fn description(stream: &StreamConfig, width: u32, height: u32) -> String {
    let StreamConfig {
        codec,
        fps,
        bitrate_kbit,
        b_frames,
        ..
    } = stream;
    let tune = if *b_frames == 0 { "tune=zerolatency" } else { "" };
    let (encoder, caps) = match codec {
        Codec::H264 => (
            format!(
                "x264enc speed-preset=ultrafast {tune} bitrate={bitrate_kbit} vbv-buf-capacity={RATE_BUFFER_MS} \
                 bframes={b_frames} qp-min={QUANTIZER_MIN} key-int-max=1000000 threads=1 option-string=scenecut=0:open-gop=0"
            ),
            "video/x-h264",
        ),
        Codec::H265 => (
            format!(
                "x265enc speed-preset=ultrafast {tune} bitrate={bitrate_kbit} key-int-max=1000000 log-level=none \
                 option-string=bframes={b_frames}:scenecut=0:open-gop=0:repeat-headers=1:pools=1:frame-threads=1"
            ),
            "video/x-h265",
        ),
    };
    format!(
        "appsrc name=input format=time block=true max-bytes=0 max-buffers={FRAMES_WAITING_MAX} \
         caps=video/x-raw,format=I420,width={width},height={height},framerate={fps}/1 ! {encoder} ! \
         {caps},stream-format=byte-stream,alignment=au ! appsink name=output sync=false"
    )
}

fn access_unit(sample: &gst::Sample) -> Option<AccessUnit> {
    let buffer = sample.buffer_owned()?;
    // x264enc adds 1,000 hours to all timestamps and says so in the segment.
    let time = sample
        .segment()?
        .downcast_ref::<gst::ClockTime>()?
        .to_running_time(buffer.pts()?)?;
    let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
    Some(AccessUnit {
        buffer,
        time: Duration::from_nanos(time.nseconds()),
        keyframe,
    })
}

/// A duration as `GStreamer` counts it; more than 584 years become 584 years.
pub fn clock_time(time: Duration) -> gst::ClockTime {
    gst::ClockTime::from_nseconds(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX - 1).min(u64::MAX - 1))
}

//! RTSP by GStreamer's `rtspsrc`: over UDP, where its jitter buffer puts packets in order, and for cameras with which the
//! other client has trouble.
//!
//! What is known of GStreamer 1.22: a camera that stalls gives an end of stream after half a minute and no error, so
//! stalls are the caller's to notice; a SHA-256 digest challenge is not understood; `tcp-timeout` covers connecting only.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use gateway::cameras::wire::{Cause, Source, Transport};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use tokio::sync::{mpsc, oneshot};

use super::{AccessUnit, Codec, Failure, Greeting, Ingest, Item, Parameters};
use crate::plugins::{self, Plugin};

/// What receiving takes.
const PLUGINS: [Plugin; 6] = [
    Plugin::Core,
    Plugin::Rtsp,
    Plugin::Rtp,
    Plugin::RtpManager,
    Plugin::Udp,
    Plugin::Parsers,
];
/// Frames received and not yet taken. Full: frames are dropped, up to the next keyframe.
const FRAMES_MAX: usize = 64;
/// How long packets wait for one that is late, milliseconds.
const JITTER_MS: u32 = 200;
/// How long leaving the camera may take; then the process ends, and its parent starts another.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// Microseconds that a TCP connection may take to come about.
const TCP_TIMEOUT_US: u64 = 5_000_000;
/// Sender reports are told once in so many frames.
const CLOCK_EVERY_FRAMES: u32 = 50;

type Items = mpsc::Sender<Result<Item, Failure>>;

/// A connected stream.
pub struct Rtspsrc {
    pipeline: Running,
    items: mpsc::Receiver<Result<Item, Failure>>,
    first: Option<Item>,
}

impl Rtspsrc {
    pub(super) async fn connect(source: &Source) -> Result<(Self, Greeting), Failure> {
        let (sender, mut items) = mpsc::channel(FRAMES_MAX);
        let audio = Arc::new(AtomicBool::new(false));
        let pipeline =
            pipeline(source, &sender, &audio).map_err(|error| Failure::new(Cause::Worker, format!("{error:#}")))?;
        let pipeline = Running(pipeline);
        if pipeline.0.set_state(gst::State::Playing).is_err() {
            return Err(Failure::new(Cause::NotRtsp, "GStreamer does not take this address"));
        }
        let first = items.recv().await.unwrap_or_else(|| Err(ended()))?;
        let ingest = Self {
            pipeline,
            items,
            first: Some(first),
        };
        let greeting = Greeting {
            server: None,
            audio: audio.load(Ordering::Relaxed),
        };
        Ok((ingest, greeting))
    }
}

fn ended() -> Failure {
    Failure::new(Cause::Ended, "the camera ended the stream")
}

/// A pipeline that is stopped when it is dropped, also when connecting is given up half-way.
struct Running(gst::Pipeline);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.stop());
    }
}

impl Running {
    /// Stops the pipeline on a thread of its own, as it may hang. If it does, the process ends.
    fn stop(&self) -> oneshot::Receiver<()> {
        let (stopped, is_stopped) = std::sync::mpsc::channel();
        let (told, is_told) = oneshot::channel();
        let pipeline = self.0.clone();
        std::thread::spawn(move || {
            pipeline.set_state(gst::State::Null).ok();
            stopped.send(()).ok();
        });
        std::thread::spawn(move || {
            if is_stopped.recv_timeout(CLOSE_TIMEOUT).is_err() {
                std::process::exit(1);
            }
            told.send(()).ok();
        });
        is_told
    }
}

impl Ingest for Rtspsrc {
    async fn next(&mut self) -> Result<Item, Failure> {
        match self.first.take() {
            Some(first) => Ok(first),
            None => self.items.recv().await.unwrap_or_else(|| Err(ended())),
        }
    }

    async fn close(self) {
        drop(self.pipeline.stop().await);
    }
}

/// `audio` tells afterwards whether the camera offers sound.
fn pipeline(source: &Source, items: &Items, audio: &Arc<AtomicBool>) -> anyhow::Result<gst::Pipeline> {
    plugins::load(&PLUGINS)?;
    let pipeline = gst::Pipeline::new();
    let transport = match source.transport {
        Transport::Tcp => "tcp",
        Transport::Udp => "udp",
    };
    let mut builder = gst::ElementFactory::make("rtspsrc")
        .property("location", &source.url)
        .property_from_str("protocols", transport)
        .property("latency", JITTER_MS)
        .property("tcp-timeout", TCP_TIMEOUT_US)
        .property("timeout", 0_u64)
        .property("do-rtsp-keep-alive", !source.quirks.no_keep_alive)
        .property("is-live", true)
        .property("add-reference-timestamp-meta", true)
        .property("user-agent", "gateway-camera");
    if let Some(credentials) = &source.credentials {
        builder = builder
            .property("user-id", &credentials.user)
            .property("user-pw", &credentials.password);
    }
    let rtspsrc = builder.build()?;
    let offers_audio = Arc::clone(audio);
    rtspsrc.connect("select-stream", false, move |values| {
        let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        let media = caps.and_then(|caps| caps.structure(0)?.get::<String>("media").ok());
        if media.as_deref() == Some("audio") {
            offers_audio.store(true, Ordering::Relaxed);
        }
        Some((media.as_deref() == Some("video")).to_value())
    });
    let taken = AtomicBool::new(false);
    let (items_for_pads, weak) = (items.clone(), pipeline.downgrade());
    rtspsrc.connect_pad_added(move |_, pad| {
        let (Some(pipeline), false) = (weak.upgrade(), taken.swap(true, Ordering::Relaxed)) else {
            return;
        };
        if let Err(failure) = take_in(&pipeline, pad, &items_for_pads) {
            drop(items_for_pads.try_send(Err(failure)));
        }
    });
    let items_for_pads = items.clone();
    let any_video = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&any_video);
    rtspsrc.connect_pad_added(move |_, _| seen.store(true, Ordering::Relaxed));
    rtspsrc.connect_no_more_pads(move |_| {
        if !any_video.load(Ordering::Relaxed) {
            let failure = Failure::new(Cause::NoVideo, "what the camera offers has no video");
            drop(items_for_pads.try_send(Err(failure)));
        }
    });
    pipeline.add(&rtspsrc)?;
    let watch = items.clone();
    if let Some(bus) = pipeline.bus() {
        bus.set_sync_handler(move |_, message| {
            if let Some(failure) = failure(message) {
                // Full: frames still wait to be taken; when they are, the missing ones are noticed.
                drop(watch.try_send(Err(failure)));
            }
            gst::BusSyncReply::Drop
        });
    }
    Ok(pipeline)
}

/// Puts what turns packets into access units behind a pad of `rtspsrc`.
fn take_in(pipeline: &gst::Pipeline, pad: &gst::Pad, items: &Items) -> Result<(), Failure> {
    let caps = pad.current_caps().or_else(|| pad.allowed_caps());
    let encoding = caps.and_then(|caps| caps.structure(0)?.get::<String>("encoding-name").ok());
    let (codec, depay, parse, caps) = match encoding.as_deref() {
        Some("H264") => (
            Codec::H264,
            "rtph264depay",
            "h264parse",
            "video/x-h264,stream-format=avc,alignment=au",
        ),
        Some("H265") => (
            Codec::H265,
            "rtph265depay",
            "h265parse",
            "video/x-h265,stream-format=hvc1,alignment=au",
        ),
        other => {
            let name = other.unwrap_or("unknown");
            let message = format!("the camera's video is {name}; H.264 and H.265 are taken");
            return Err(Failure::new(Cause::UnsupportedCodec, message));
        }
    };
    let build = || -> anyhow::Result<()> {
        let depay = gst::ElementFactory::make(depay)
            .property("wait-for-keyframe", true)
            .build()?;
        let parse = gst::ElementFactory::make(parse).build()?;
        let caps: gst::Caps = caps.parse()?;
        let sink = AppSink::builder().caps(&caps).sync(false).max_buffers(4).build();
        let mut taker = Taker {
            codec,
            caps: None,
            dropping: false,
            frames: 0,
        };
        let items = items.clone();
        sink.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    taker.take(&sample, &items);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        let chain = [&depay, &parse, sink.upcast_ref()];
        pipeline.add_many(chain)?;
        gst::Element::link_many(chain)?;
        for element in chain {
            element.sync_state_with_parent()?;
        }
        let target = depay.static_pad("sink").context("the depayloader has no sink")?;
        pad.link(&target)?;
        Ok(())
    };
    build().map_err(|error| Failure::new(Cause::Worker, format!("{error:#}")))
}

/// Turns samples into items.
struct Taker {
    codec: Codec,
    caps: Option<gst::Caps>,
    dropping: bool,
    frames: u32,
}

impl Taker {
    fn take(&mut self, sample: &gst::Sample, items: &Items) {
        let (Some(buffer), Some(caps)) = (sample.buffer(), sample.caps()) else {
            return;
        };
        let keyframe = !buffer.flags().contains(gst::BufferFlags::DELTA_UNIT);
        if self.dropping && !keyframe {
            return;
        }
        let is_new = self.caps.as_deref() != Some(caps);
        let parameters = if is_new { parameters(self.codec, caps) } else { None };
        let (Some(pts), Ok(data)) = (buffer.pts(), buffer.map_readable()) else {
            return;
        };
        let unit = AccessUnit {
            data: data.to_vec(),
            keyframe,
            camera_ns: i64::try_from(pts.nseconds()).unwrap_or(i64::MAX),
            // The depayloader marks what follows a loss; how many packets it was, only the jitter buffer knows.
            lost_packets: u32::from(self.frames > 0 && buffer.flags().contains(gst::BufferFlags::DISCONT)),
            parameters,
        };
        self.dropping = items.try_send(Ok(Item::Unit(unit))).is_err();
        if self.dropping {
            return;
        }
        if is_new {
            self.caps = Some(caps.to_owned());
        }
        if self.frames.is_multiple_of(CLOCK_EVERY_FRAMES)
            && let Some(unix_ms) = camera_clock(buffer)
        {
            drop(items.try_send(Ok(Item::CameraClock(unix_ms))));
        }
        self.frames = self.frames.wrapping_add(1);
    }
}

/// The camera's clock at a frame, from its sender reports; they count from 1900 (RFC 3550, section 4).
fn camera_clock(buffer: &gst::BufferRef) -> Option<i64> {
    const UNIX_EPOCH_MS: i64 = 2_208_988_800_000;
    let meta = buffer.meta::<gst::ReferenceTimestampMeta>()?;
    let millis = i64::try_from(meta.timestamp().mseconds()).ok()?;
    Some(millis - UNIX_EPOCH_MS)
}

fn parameters(codec: Codec, caps: &gst::CapsRef) -> Option<Parameters> {
    let structure = caps.structure(0)?;
    let config = structure.get::<gst::Buffer>("codec_data").ok()?;
    let config = config.map_readable().ok()?.to_vec();
    let size = |name| u32::try_from(structure.get::<i32>(name).ok()?).ok();
    let rate = structure.get::<gst::Fraction>("framerate").ok();
    #[allow(clippy::cast_precision_loss)] // frame rates are small numbers
    let fps_nominal = rate
        .filter(|rate| rate.numer() > 0)
        .map(|rate| rate.numer() as f32 / rate.denom() as f32);
    Some(Parameters {
        codec,
        width: size("width")?,
        height: size("height")?,
        fps_nominal,
        config,
    })
}

/// What a message on the bus means, if it ends the stream.
fn failure(message: &gst::Message) -> Option<Failure> {
    let error = match message.view() {
        gst::MessageView::Eos(_) => return Some(ended()),
        gst::MessageView::Error(error) => error,
        _ => return None,
    };
    let debug = error.debug().unwrap_or_default();
    let says = |what: &str| debug.contains(what);
    let cause = match error.error().kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) if says("No supported authentication") => Cause::AuthUnsupported,
        Some(gst::ResourceError::NotAuthorized) => Cause::AuthFailed,
        Some(gst::ResourceError::NotFound) => Cause::NotFound,
        Some(gst::ResourceError::OpenRead | gst::ResourceError::OpenReadWrite) if says("refused") => Cause::Refused,
        Some(gst::ResourceError::OpenRead | gst::ResourceError::OpenReadWrite) => Cause::Unreachable,
        Some(gst::ResourceError::Settings) => Cause::BadSdp,
        _ => Cause::Ended,
    };
    Some(Failure::new(cause, error.error().to_string()))
}

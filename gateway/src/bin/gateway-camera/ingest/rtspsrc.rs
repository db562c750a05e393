//! RTSP by GStreamer's `rtspsrc`: over UDP, where its jitter buffer puts packets in order, and for cameras with which the
//! other client has trouble.
//!
//! What is known of GStreamer 1.22: a camera that stalls gives an end of stream after half a minute and no error, so
//! stalls are the caller's to notice; a SHA-256 digest challenge is not understood; `tcp-timeout` covers connecting only.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use gateway::cameras::wire::{Cause, Source, Transport};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};
use tokio::sync::{mpsc, oneshot};

use super::{AccessUnit, Codec, Failure, Greeting, Ingest, Item, Parameters, challenge, lacking};
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

/// What the camera offers.
#[derive(Debug, Default)]
struct Offer {
    audio: bool,
    /// The video that is taken.
    taken: bool,
    /// The codec of a video that is not.
    other: Option<String>,
}

impl Offer {
    /// Whether a stream is to be set up: the first video of a codec that is taken, and nothing else.
    fn take(&mut self, caps: Option<&gst::CapsRef>) -> bool {
        let structure = caps.and_then(|caps| caps.structure(0));
        let said = |name| structure.and_then(|structure| structure.get::<String>(name).ok());
        match said("media").as_deref() {
            Some("audio") => self.audio = true,
            Some("video") if self.taken => {}
            Some("video") => match said("encoding-name") {
                Some(name) if name == "H264" || name == "H265" => {
                    self.taken = true;
                    return true;
                }
                other => self.other = self.other.take().or(other),
            },
            _ => {}
        }
        false
    }

    /// Why nothing is taken, if that is so.
    fn lack(&self) -> Option<Failure> {
        (!self.taken).then(|| lacking(self.other.as_deref()))
    }
}

type Offered = Arc<Mutex<Offer>>;

/// What is in it is whole after a panic elsewhere.
fn locked(offer: &Offered) -> std::sync::MutexGuard<'_, Offer> {
    offer.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connected stream.
pub struct Rtspsrc {
    pipeline: Running,
    items: mpsc::Receiver<Result<Item, Failure>>,
    first: Option<Item>,
}

impl Rtspsrc {
    pub(super) async fn connect(source: &Source) -> Result<(Self, Greeting), Failure> {
        let (sender, mut items) = mpsc::channel(FRAMES_MAX);
        let offer = Offered::default();
        let pipeline =
            pipeline(source, &sender, &offer).map_err(|error| Failure::new(Cause::Worker, format!("{error:#}")))?;
        let pipeline = Running(pipeline);
        if pipeline.0.set_state(gst::State::Playing).is_err() {
            return Err(Failure::new(Cause::NotRtsp, "GStreamer does not take this address"));
        }
        let first = items.recv().await.unwrap_or_else(|| Err(ended()));
        let first = match first {
            Err(failure) if failure.cause == Cause::AuthFailed && challenge::is_foreign(&source.url).await => {
                let message = "the camera asks for another login than Basic or Digest with MD5";
                return Err(Failure::new(Cause::AuthUnsupported, message));
            }
            first => first?,
        };
        let ingest = Self {
            pipeline,
            items,
            first: Some(first),
        };
        let greeting = Greeting {
            server: None,
            audio: locked(&offer).audio,
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

/// `offer` tells afterwards what the camera offers.
fn pipeline(source: &Source, items: &Items, offer: &Offered) -> anyhow::Result<gst::Pipeline> {
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
    let selected = Arc::clone(offer);
    rtspsrc.connect("select-stream", false, move |values| {
        let caps = values.get(2).and_then(|value| value.get::<gst::Caps>().ok());
        Some(locked(&selected).take(caps.as_deref()).to_value())
    });
    let (items_for_pads, weak) = (items.clone(), pipeline.downgrade());
    rtspsrc.connect_pad_added(move |_, pad| {
        let Some(pipeline) = weak.upgrade() else { return };
        if let Err(failure) = take_in(&pipeline, pad, &items_for_pads) {
            drop(items_for_pads.try_send(Err(failure)));
        }
    });
    pipeline.add(&rtspsrc)?;
    let (watch, offer) = (items.clone(), Arc::clone(offer));
    if let Some(bus) = pipeline.bus() {
        bus.set_sync_handler(move |_, message| {
            if let Some(failure) = failure(message, &locked(&offer)) {
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
        other => return Err(lacking(other)),
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
fn failure(message: &gst::Message, offer: &Offer) -> Option<Failure> {
    let error = match message.view() {
        gst::MessageView::Eos(_) => return Some(ended()),
        gst::MessageView::Error(error) => error,
        _ => return None,
    };
    let debug = error.debug().unwrap_or_default();
    let says = |what: &str| debug.contains(what);
    let cause = match error.error().kind::<gst::ResourceError>() {
        Some(gst::ResourceError::NotAuthorized) => Cause::AuthFailed,
        Some(gst::ResourceError::NotFound) => Cause::NotFound,
        Some(gst::ResourceError::OpenRead | gst::ResourceError::OpenReadWrite) if says("refused") => Cause::Refused,
        Some(gst::ResourceError::OpenRead | gst::ResourceError::OpenReadWrite) => Cause::Unreachable,
        Some(gst::ResourceError::Settings) => Cause::BadSdp,
        Some(_) if says("Timeout while waiting") => Cause::NoAnswer,
        Some(_) if says("Parse error") => Cause::NotRtsp,
        // No stream was set up: none was selected, or the camera refuses this way of travelling.
        None if error.error().matches(gst::StreamError::CodecNotFound) => match offer.lack() {
            Some(lack) => return Some(lack),
            None => Cause::Rejected,
        },
        // The words and the number of a status that it has no name for.
        _ if says("(4") || says("(5") => Cause::Rejected,
        _ => Cause::Ended,
    };
    Some(Failure::new(cause, error.error().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_video_of_a_known_codec_is_taken_and_nothing_else() {
        gst::init().unwrap();
        let caps = |media: &str, encoding: &str| {
            gst::Caps::builder("application/x-unknown")
                .field("media", media)
                .field("encoding-name", encoding)
                .build()
        };
        let mut offer = Offer::default();
        assert!(!offer.take(Some(caps("application", "VND.ONVIF.METADATA").as_ref())));
        assert_eq!(offer.lack().map(|lack| lack.cause), Some(Cause::NoVideo));
        assert!(!offer.take(Some(caps("video", "JPEG").as_ref())));
        assert_eq!(offer.lack().map(|lack| lack.cause), Some(Cause::UnsupportedCodec));
        assert!(offer.take(Some(caps("video", "H265").as_ref())));
        assert!(!offer.take(Some(caps("video", "H264").as_ref())), "one is enough");
        assert!(!offer.take(Some(caps("audio", "PCMA").as_ref())) && offer.audio);
        assert_eq!(offer.lack(), None);
    }
}

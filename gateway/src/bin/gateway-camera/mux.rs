//! Access units in, CMAF out: an initialisation segment, then chunks. No decoding.
//!
//! `cmafmux ! appsink`, with parser and timestamper before only for streams whose frames are shown in another order than
//! they come: decoding times have to be made up for those, and for all others they are the times of showing. (Parser and
//! timestamper would cost as much as the muxer.) Frames go straight into the first element's pad: an `appsrc` would hand
//! each of them from thread to thread once more.
//!
//! Where a chunk ends is told to the muxer by an event before the frame that begins the next one: a keyframe ends a
//! fragment, and while somebody watches, every so many frames end a chunk. So one muxer serves ring and viewers, and
//! costs little while nobody watches.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use anyhow::Context;
use gateway::cameras::wire::{Cause, ChunkHead, Profile};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSinkCallbacks};

use crate::ingest::{AccessUnit, Codec, Failure, Parameters};
use crate::link::ToParent;
use crate::plugins::{self, Plugin};

/// Bytes that the muxer may hold. More: the parent is slow; frames are dropped up to the next keyframe.
const INSIDE_BYTES_MAX: u64 = 4 * 1_024 * 1_024;
/// Time that the muxer may queue: no limit, for [`INSIDE_BYTES_MAX`] is the limit. Its own, of one frame, would switch
/// threads twice a frame.
const QUEUE_MAX: gst::ClockTime = gst::ClockTime::from_seconds(3_600);
/// Longest chunk while nobody watches.
const CHUNK_MAX: gst::ClockTime = gst::ClockTime::from_seconds(2);
/// How long the muxer may take to give out what it holds when it ends.
const DRAIN_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(2);

/// Where the muxer's output goes.
#[derive(Clone)]
pub struct Output {
    /// The parent.
    pub to_parent: ToParent,
    /// Which stream.
    pub profile: Profile,
}

/// A muxer at work.
pub struct Mux {
    pipeline: gst::Pipeline,
    source: gst::Pad,
    /// Bytes that went in and have not come out.
    inside: Arc<AtomicU64>,
    /// Time of the first frame, `CLOCK_BOOTTIME` nanoseconds; the muxer counts from there.
    base_ns: u64,
    since_split: u16,
    /// Where the chunk that is being filled begins.
    chunk_from: gst::ClockTime,
    /// The chunk that is being filled begins with a keyframe.
    chunk_has_key: bool,
    is_first: bool,
    /// Frames that wait for the end of their chunk while nobody watches: given to the muxer all at once, they wake its
    /// thread once.
    held: Vec<gst::Buffer>,
    reordered: bool,
    failed: Arc<OnceLock<String>>,
}

impl Mux {
    /// A muxer for a stream with `parameters`, whose first frame lies at `base_ns`.
    pub fn start(parameters: &Parameters, reordered: bool, base_ns: u64, output: Output) -> Result<Self, Failure> {
        Self::build(parameters, reordered, base_ns, output)
            .map_err(|error| Failure::new(Cause::Mux, format!("{error:#}")))
    }

    fn build(parameters: &Parameters, reordered: bool, base_ns: u64, output: Output) -> anyhow::Result<Self> {
        let pipeline = gst::Pipeline::new();
        let source = gst::Pad::builder(gst::PadDirection::Src).name("frames").build();
        let mux = gst::ElementFactory::make("cmafmux")
            .property("manual-split", true)
            .property("latency", QUEUE_MAX)
            .build()?;
        let sink = AppSink::builder().sync(false).max_buffers(4).buffer_list(true).build();
        let failed = Arc::new(OnceLock::new());
        let inside = Arc::new(AtomicU64::new(0));
        let mut chunks = Chunks {
            output,
            base_ns,
            inside: Arc::clone(&inside),
        };
        sink.set_callbacks(
            AppSinkCallbacks::builder()
                .new_sample(move |sink| {
                    let sample = sink.pull_sample().map_err(|_| gst::FlowError::Eos)?;
                    chunks.send(&sample);
                    Ok(gst::FlowSuccess::Ok)
                })
                .build(),
        );
        let between: &[&str] = match (reordered, parameters.codec) {
            (false, _) => &[],
            (true, Codec::H264) => &["h264parse", "h264timestamper"],
            (true, Codec::H265) => &["h265parse", "h265timestamper"],
        };
        if reordered {
            plugins::load(&[Plugin::Parsers, Plugin::Timestamper])?;
        }
        let mut chain: Vec<gst::Element> = Vec::new();
        for name in between {
            chain.push(
                gst::ElementFactory::make(name)
                    .build()
                    .with_context(|| format!("no element {name}"))?,
            );
        }
        chain.extend([mux, sink.upcast()]);
        pipeline.add_many(&chain)?;
        gst::Element::link_many(&chain)?;
        if let Some(bus) = pipeline.bus() {
            let failed = Arc::clone(&failed);
            bus.set_sync_handler(move |_, message| match message.view() {
                gst::MessageView::Error(error) => {
                    // The first one says why.
                    failed.set(error.error().to_string()).ok();
                    gst::BusSyncReply::Drop
                }
                gst::MessageView::Eos(_) => gst::BusSyncReply::Pass,
                _ => gst::BusSyncReply::Drop,
            });
        }
        let first = chain.first().and_then(|first| first.static_pad("sink"));
        source.link(&first.context("the muxer has no sink")?)?;
        pipeline.set_state(gst::State::Playing)?;
        source.set_active(true)?;
        let segment = gst::FormattedSegment::<gst::ClockTime>::new();
        let began = source.push_event(gst::event::StreamStart::new("frames"))
            && source.push_event(gst::event::Caps::new(&caps(parameters)?))
            && source.push_event(gst::event::Segment::new(&segment));
        anyhow::ensure!(began, "the muxer does not take this stream");
        Ok(Self {
            pipeline,
            source,
            inside,
            base_ns,
            since_split: 0,
            chunk_from: gst::ClockTime::ZERO,
            chunk_has_key: false,
            is_first: true,
            held: Vec::new(),
            reordered,
            failed,
        })
    }

    /// Whether so much is inside that frames have to be dropped.
    pub fn is_behind(&self) -> bool {
        self.inside.load(Ordering::Relaxed) > INSIDE_BYTES_MAX
    }

    /// Takes a frame at `at_ns`. `chunk_frames`: end a chunk after so many frames; 0: see [`Mux::is_full`].
    pub fn push(&mut self, unit: AccessUnit, at_ns: u64, duration: Duration, chunk_frames: u16) -> Result<(), Failure> {
        if let Some(message) = self.failed.get() {
            return Err(Failure::new(Cause::Mux, message));
        }
        let pts = gst::ClockTime::from_nseconds(at_ns.saturating_sub(self.base_ns));
        let begins_chunk = self.is_first || unit.keyframe || self.is_full(chunk_frames, pts);
        if begins_chunk {
            self.release()?;
            if !self.is_first {
                let split = gst::Structure::builder("FMP4MuxSplitNow")
                    .field("chunk", !unit.keyframe)
                    .build();
                self.source.push_event(gst::event::CustomDownstream::new(split));
            }
            self.is_first = false;
            self.since_split = 0;
            self.chunk_from = pts;
            self.chunk_has_key = unit.keyframe;
        }
        self.since_split = self.since_split.saturating_add(1);
        let mut buffer = gst::Buffer::from_mut_slice(unit.data);
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(pts);
            if !self.reordered {
                buffer.set_dts(pts);
            }
            buffer.set_duration(gst::ClockTime::try_from(duration).ok());
            if !unit.keyframe {
                buffer.set_flags(gst::BufferFlags::DELTA_UNIT);
            }
        }
        self.held.push(buffer);
        if begins_chunk || chunk_frames > 0 {
            self.release()?;
        }
        Ok(())
    }

    /// Gives the muxer what was held back.
    fn release(&mut self) -> Result<(), Failure> {
        for buffer in self.held.drain(..) {
            let bytes = u64::try_from(buffer.size()).unwrap_or(u64::MAX);
            self.inside.fetch_add(bytes, Ordering::Relaxed);
            if self.source.push(buffer).is_err() {
                let message = self
                    .failed
                    .get()
                    .map_or("the muxer does not take this stream", String::as_str);
                return Err(Failure::new(Cause::Mux, message));
            }
        }
        Ok(())
    }

    /// Whether the chunk ends before a frame at `pts`. While nobody watches, a keyframe is a chunk of its own, so that
    /// pictures need not wait for what follows it, and the rest of its group is another.
    fn is_full(&self, chunk_frames: u16, pts: gst::ClockTime) -> bool {
        if chunk_frames > 0 {
            return self.since_split >= chunk_frames;
        }
        self.chunk_has_key || pts.saturating_sub(self.chunk_from) >= CHUNK_MAX
    }

    /// Gives out what is there and ends.
    pub fn finish(mut self) {
        self.release().ok();
        if self.source.push_event(gst::event::Eos::new())
            && let Some(bus) = self.pipeline.bus()
        {
            drop(bus.timed_pop_filtered(DRAIN_TIMEOUT, &[gst::MessageType::Eos]));
        }
    }
}

impl Drop for Mux {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

fn caps(parameters: &Parameters) -> anyhow::Result<gst::Caps> {
    let (name, format) = match parameters.codec {
        Codec::H264 => ("video/x-h264", "avc"),
        Codec::H265 => ("video/x-h265", "hvc1"),
    };
    Ok(gst::Caps::builder(name)
        .field("stream-format", format)
        .field("alignment", "au")
        .field("codec_data", gst::Buffer::from_slice(parameters.config.clone()))
        .field("width", i32::try_from(parameters.width)?)
        .field("height", i32::try_from(parameters.height)?)
        .build())
}

/// Takes the muxer's output apart.
struct Chunks {
    output: Output,
    base_ns: u64,
    inside: Arc<AtomicU64>,
}

impl Chunks {
    fn send(&mut self, sample: &gst::Sample) {
        let mut buffers: Vec<&gst::BufferRef> = Vec::new();
        if let Some(list) = sample.buffer_list() {
            buffers.extend(list.iter());
        } else {
            buffers.extend(sample.buffer());
        }
        let maps: Vec<_> = buffers.iter().filter_map(|buffer| buffer.map_readable().ok()).collect();
        if maps.len() != buffers.len() {
            return;
        }
        let mut rest = 0;
        if maps.first().is_some_and(|map| map.get(4..8) == Some(b"ftyp")) {
            rest = 1;
            if let Some(init) = maps.first() {
                self.output.to_parent.init(self.output.profile, init);
            }
        }
        let Some(first) = buffers.get(rest) else {
            return;
        };
        let payload: usize = buffers.iter().skip(rest + 1).map(|buffer| buffer.size()).sum();
        let parts: Vec<&[u8]> = maps.iter().skip(rest).map(gst::BufferMap::as_slice).collect();
        let frames = buffers.len().saturating_sub(rest + 1);
        let head = ChunkHead {
            keyframe: !first.flags().contains(gst::BufferFlags::DELTA_UNIT),
            at_ns: self.base_ns.saturating_add(running_time(sample, first).nseconds()),
            frames: u16::try_from(frames).unwrap_or(u16::MAX),
        };
        self.output.to_parent.chunk(self.output.profile, head, &parts);
        let payload = u64::try_from(payload).unwrap_or(u64::MAX);
        self.inside.fetch_sub(payload, Ordering::Relaxed);
    }
}

/// Time since the first frame. The timestamper counts from a thousand hours on, and says so in its segment.
fn running_time(sample: &gst::Sample, buffer: &gst::BufferRef) -> gst::ClockTime {
    let segment = sample.segment().and_then(|it| it.downcast_ref::<gst::ClockTime>());
    let time = segment.and_then(|segment| segment.to_running_time(buffer.pts()));
    time.or(buffer.pts()).unwrap_or(gst::ClockTime::ZERO)
}

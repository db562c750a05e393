//! The mode `pictures`: keyframes of all cameras in, masked JPEGs and features out. The only place where video is decoded.
//!
//! One keyframe at a time, each by a decoder of its own that lives for this one picture: keyframes of different cameras
//! have nothing in common, and a decoder that is kept holds a dozen pictures of memory. The hardware decoder is used where
//! the element exists (Raspberry Pi 3 and 4); what fails for a camera is not tried for it again.

use std::collections::HashMap;

use anyhow::Context;
use gateway::cameras::picture::{Colour, Features, Frame, Mask, Matrix, Picture, Plane, Quality, Range};
use gateway::cameras::wire::{Command, Event, PictureHead, ToWorker};
use gateway::memory;
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::{AppSink, AppSrc};
use gstreamer_video::{VideoColorMatrix, VideoColorRange, VideoFormat, VideoFrameExt, VideoFrameRef, VideoInfo};

use crate::link::Link;
use crate::plugins::{self, Plugin};

/// How long a decoder may take for one picture.
const DECODE_TIMEOUT: gst::ClockTime = gst::ClockTime::from_seconds(3);
/// Largest JPEG, bytes.
const JPEG_BYTES_MAX: usize = 2 * 1_024 * 1_024;

/// Does what the parent says until it has gone.
pub fn run(link: Link) -> anyhow::Result<()> {
    let to_parent = link.to_parent();
    let mut frames = link.frames();
    let mut masks: HashMap<u16, Mask> = HashMap::new();
    let mut decoders = Decoders::default();
    while let Some(frame) = frames.blocking_recv() {
        match ToWorker::read(&frame)? {
            ToWorker::Command(Command::Masks { camera, polygons }) => {
                let mask = Mask::new(polygons).map_err(|problems| {
                    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
                    anyhow::anyhow!("a mask that cannot be: {}", told.join("; "))
                })?;
                masks.insert(camera, mask);
            }
            ToWorker::Picture(head, config, unit) => {
                let mask = masks.get(&head.camera);
                match picture(&mut decoders, head, config, unit, mask) {
                    Ok((features, jpeg)) => to_parent.picture(head.request, &features, &jpeg),
                    Err(error) => to_parent.event(&Event::PictureFailed {
                        request: head.request,
                        message: format!("{error:#}"),
                    }),
                }
                // The next one is seconds away.
                memory::give_back();
            }
            _ => anyhow::bail!("a frame that is none for the mode \"pictures\""),
        }
    }
    Ok(())
}

fn picture(
    decoders: &mut Decoders,
    head: PictureHead,
    config: &[u8],
    unit: &[u8],
    mask: Option<&Mask>,
) -> anyhow::Result<(Vec<u8>, Vec<u8>)> {
    // Without its masks no picture of a camera may leave this process.
    let mask = mask.context("this camera's masks are not known yet")?;
    let picture = decoders.decode(head, config, unit, mask)?;
    let features = serde_json::to_vec(&Features::of(&picture))?;
    let jpeg = match head.jpeg_width {
        0 => Vec::new(),
        width => picture
            .shrunk(usize::from(width))
            .jpeg(Quality::DEFAULT, JPEG_BYTES_MAX)?,
    };
    Ok((features, jpeg))
}

/// A way to decode, in the order in which they are tried.
#[derive(Debug, Clone, Copy)]
struct Way {
    element: &'static str,
    plugin: Plugin,
}

/// The hardware first, where it exists; then what needs least memory; last what takes most kinds of streams.
const H264: [Way; 3] = [
    Way {
        element: "v4l2h264dec",
        plugin: Plugin::Video4Linux,
    },
    Way {
        element: "openh264dec",
        plugin: Plugin::OpenH264,
    },
    Way {
        element: "avdec_h264",
        plugin: Plugin::Libav,
    },
];

/// GStreamer 1.22 has no usable hardware decoder for H.265.
const H265: [Way; 2] = [
    Way {
        element: "libde265dec",
        plugin: Plugin::De265,
    },
    Way {
        element: "avdec_h265",
        plugin: Plugin::Libav,
    },
];

/// For each camera, and each of its codecs, the way that its last picture was decoded by.
#[derive(Default)]
struct Decoders(HashMap<(u16, bool), usize>);

impl Decoders {
    fn decode(&mut self, head: PictureHead, config: &[u8], unit: &[u8], mask: &Mask) -> anyhow::Result<Picture> {
        let ways: &[Way] = if head.h265 { &H265 } else { &H264 };
        let name = (head.camera, head.h265);
        let first = self.0.get(&name).copied().unwrap_or(0);
        let mut last_error = anyhow::anyhow!("no decoder");
        for (index, way) in ways.iter().enumerate().skip(first) {
            match decode(*way, head.h265, config, unit, mask) {
                Ok(picture) => {
                    self.0.insert(name, index);
                    return Ok(picture);
                }
                Err(error) => last_error = error.context(way.element),
            }
        }
        // Perhaps it was the picture: the next one is tried by all ways again.
        self.0.remove(&name);
        Err(last_error)
    }
}

/// A pipeline that stops when it is dropped.
struct Once(gst::Pipeline);

impl Drop for Once {
    fn drop(&mut self) {
        // What cannot be stopped dies with the process.
        self.0.set_state(gst::State::Null).ok();
    }
}

fn decode(way: Way, h265: bool, config: &[u8], unit: &[u8], mask: &Mask) -> anyhow::Result<Picture> {
    plugins::load(&[Plugin::Parsers, Plugin::Convert, way.plugin])?;
    let (name, format, parser) = if h265 {
        ("video/x-h265", "hvc1", "h265parse")
    } else {
        ("video/x-h264", "avc", "h264parse")
    };
    let caps = gst::Caps::builder(name)
        .field("stream-format", format)
        .field("alignment", "au")
        .field("codec_data", gst::Buffer::from_slice(config.to_vec()))
        .build();
    let source = AppSrc::builder().caps(&caps).format(gst::Format::Time).build();
    let parser = gst::ElementFactory::make(parser).build()?;
    let mut decoder = gst::ElementFactory::make(way.element);
    if way.plugin == Plugin::Libav {
        decoder = decoder.property("max-threads", 1);
    }
    let decoder = decoder.build()?;
    let convert = gst::ElementFactory::make("videoconvert").build()?;
    let wanted = gst::Caps::builder("video/x-raw")
        .field("format", gst::List::new(["I420", "NV12"]))
        .build();
    let sink = AppSink::builder().caps(&wanted).sync(false).max_buffers(1).build();
    let pipeline = Once(gst::Pipeline::new());
    let chain = [source.upcast_ref(), &parser, &decoder, &convert, sink.upcast_ref()];
    pipeline.0.add_many(chain)?;
    gst::Element::link_many(chain)?;
    pipeline.0.set_state(gst::State::Playing)?;
    let mut buffer = gst::Buffer::from_slice(unit.to_vec());
    if let Some(buffer) = buffer.get_mut() {
        buffer.set_pts(gst::ClockTime::ZERO);
    }
    source.push_buffer(buffer)?;
    source.end_of_stream()?;
    let sample = sink
        .try_pull_sample(DECODE_TIMEOUT)
        .context("the decoder gave no picture")?;
    masked(&sample, mask)
}

/// Takes a decoded picture with its masks burnt in; the decoder's own copy is never looked at again.
fn masked(sample: &gst::Sample, mask: &Mask) -> anyhow::Result<Picture> {
    let caps = sample.caps().context("a picture without caps")?;
    let info = VideoInfo::from_caps(caps)?;
    let buffer = sample.buffer().context("a sample without a picture")?;
    let video = VideoFrameRef::from_buffer_ref_readable(buffer, &info)?;
    let plane = |index: u32| -> anyhow::Result<Plane<'_>> {
        let stride = *video
            .plane_stride()
            .get(usize::try_from(index)?)
            .context("a plane is missing")?;
        Ok(Plane {
            bytes: video.plane_data(index)?,
            stride: usize::try_from(stride)?,
        })
    };
    let colorimetry = info.colorimetry();
    let colour = Colour {
        range: match colorimetry.range() {
            VideoColorRange::Range0_255 => Range::Full,
            _ => Range::Limited,
        },
        matrix: match colorimetry.matrix() {
            VideoColorMatrix::Bt601 => Matrix::Bt601,
            _ => Matrix::Bt709,
        },
    };
    let size = (usize::try_from(info.width())?, usize::try_from(info.height())?);
    let frame = match info.format() {
        VideoFormat::I420 => Frame::i420(size, [plane(0)?, plane(1)?, plane(2)?], colour)?,
        VideoFormat::Nv12 => Frame::nv12(size, [plane(0)?, plane(1)?], colour)?,
        other => anyhow::bail!("a picture of format {other:?}"),
    };
    Ok(frame.cover(mask))
}

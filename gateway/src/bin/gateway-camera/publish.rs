//! The mode `publish`: a CMAF stream from the parent goes to a media server by RTSP RECORD, for sites with more viewers
//! than the city's own portal should serve.
//!
//! Over TCP, and over TLS when the address says `rtsps`; certificates are checked against the system's authorities. When
//! the server is slower than the stream, bytes wait up to [`WAITING_BYTES_MAX`], and then the publication ends: the parent
//! has sent what the server should take, so nothing is left to choose from.

use anyhow::Context;
use gateway::cameras::wire::{Command, Credentials, Event, ToWorker};
use gstreamer as gst;
use gstreamer::prelude::*;
use gstreamer_app::AppSrc;

use crate::link::{Link, ToParent};
use crate::plugins::{self, Plugin};

/// What sending takes.
const PLUGINS: [Plugin; 8] = [
    Plugin::Core,
    Plugin::App,
    Plugin::Mp4,
    Plugin::Parsers,
    Plugin::Rtp,
    Plugin::RtpManager,
    Plugin::Udp,
    Plugin::RtspRecord,
];
/// Bytes that may wait for the server: a keyframe of a large picture and a little. They are still sent when records need
/// the link: within half a minute at 500 kbit/s.
const WAITING_BYTES_MAX: u64 = 1_024 * 1_024;

/// Does what the parent says until it has gone.
pub fn run(link: Link) -> anyhow::Result<()> {
    let to_parent = link.to_parent();
    let mut frames = link.frames();
    let mut publication: Option<Publication> = None;
    while let Some(frame) = frames.blocking_recv() {
        match ToWorker::read(&frame)? {
            ToWorker::Command(Command::Publish { url, credentials }) => {
                publication = Some(Publication::start(&url, credentials.as_ref(), &to_parent)?);
            }
            ToWorker::Publish(bytes) => {
                let publication = publication.as_ref().context("bytes before a command to publish")?;
                publication.push(bytes)?;
            }
            _ => anyhow::bail!("a frame that is none for the mode \"publish\""),
        }
    }
    Ok(())
}

struct Publication {
    pipeline: gst::Pipeline,
    source: AppSrc,
}

impl Publication {
    fn start(url: &str, credentials: Option<&Credentials>, to_parent: &ToParent) -> anyhow::Result<Self> {
        plugins::load(&PLUGINS)?;
        let pipeline = gst::Pipeline::new();
        let source = AppSrc::builder()
            .format(gst::Format::Bytes)
            .is_live(true)
            .max_bytes(0)
            .build();
        let demux = gst::ElementFactory::make("qtdemux").build()?;
        let mut sink = gst::ElementFactory::make("rtspclientsink")
            .property("location", url)
            .property_from_str("protocols", if url.starts_with("rtsps:") { "tls+tcp" } else { "tcp" });
        if let Some(credentials) = credentials {
            sink = sink
                .property("user-id", &credentials.user)
                .property("user-pw", &credentials.password);
        }
        let sink = sink.build()?;
        pipeline.add_many([source.upcast_ref(), &demux, &sink])?;
        source.link(&demux)?;
        let weak = pipeline.downgrade();
        let failed = to_parent.clone();
        demux.connect_pad_added(move |_, pad| {
            let Some(pipeline) = weak.upgrade() else { return };
            if let Err(error) = join(&pipeline, pad, &sink) {
                tell(&failed, false, format!("{error:#}"));
            }
        });
        let told = to_parent.clone();
        if let Some(bus) = pipeline.bus() {
            bus.set_sync_handler(move |_, message| {
                match message.view() {
                    gst::MessageView::Error(error) => tell(&told, false, in_words(error)),
                    gst::MessageView::AsyncDone(_) => tell(&told, true, String::new()),
                    _ => {}
                }
                gst::BusSyncReply::Drop
            });
        }
        pipeline.set_state(gst::State::Playing)?;
        Ok(Self { pipeline, source })
    }

    fn push(&self, bytes: &[u8]) -> anyhow::Result<()> {
        anyhow::ensure!(
            self.source.current_level_bytes() < WAITING_BYTES_MAX,
            "the media server takes less than the stream's bitrate"
        );
        let buffer = gst::Buffer::from_slice(bytes.to_vec());
        self.source.push_buffer(buffer).context("the publication has ended")?;
        Ok(())
    }
}

impl Drop for Publication {
    fn drop(&mut self) {
        self.pipeline.set_state(gst::State::Null).ok();
    }
}

fn tell(to_parent: &ToParent, running: bool, message: String) {
    to_parent.event(&Event::Published { running, message });
}

/// What went wrong, and behind it what the network said: the last line of what GStreamer tells developers.
fn in_words(error: &gst::message::Error) -> String {
    let debug = error.debug().unwrap_or_default();
    let mut lines = debug.lines().map(str::trim).filter(|line| !line.is_empty());
    // The first line is a place in GStreamer's source.
    match lines.next().and(lines.next_back()) {
        Some(reason) => format!("{}: {reason}", error.error()),
        None => error.error().to_string(),
    }
}

/// Joins a demuxed stream to the sink, by a parser that repeats the parameter sets before each keyframe.
fn join(pipeline: &gst::Pipeline, pad: &gst::Pad, sink: &gst::Element) -> anyhow::Result<()> {
    let caps = pad.current_caps().context("a stream without caps")?;
    let name = caps
        .structure(0)
        .map(|structure| structure.name().as_str())
        .unwrap_or_default();
    let parser = match name {
        "video/x-h264" => "h264parse",
        "video/x-h265" => "h265parse",
        other => anyhow::bail!("cannot publish {other}"),
    };
    let parser = gst::ElementFactory::make(parser)
        .property("config-interval", -1)
        .build()?;
    pipeline.add(&parser)?;
    parser.sync_state_with_parent()?;
    let into = parser.static_pad("sink").context("the parser has no sink")?;
    pad.link(&into)?;
    parser.link(sink)?;
    Ok(())
}

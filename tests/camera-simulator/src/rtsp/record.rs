//! The stream that a camera receives: a client publishes with ANNOUNCE and RECORD, as to a media server.
//!
//! Nothing is decoded: frames are counted by the marker bit, keyframes by what begins in a packet. The codec is taken
//! from the description that the client announced.

use super::allow;
use crate::camera::Camera;
use crate::config::Codec;
use crate::packets::frame_mark;
use gstreamer::{self as gst, prelude::*};
use gstreamer_rtsp_server::{RTSPMedia, RTSPMediaFactory, RTSPTransportMode, prelude::*};
use std::sync::{Arc, Mutex, PoisonError};

/// Path under the camera's name, and key of the counts.
pub const PATH: &str = "record";
/// How long received packets may be late, in milliseconds.
const LATENCY_MS: u32 = 200;

/// The factory of a path at which a client may publish one video.
pub fn factory(camera: Arc<Camera>) -> RTSPMediaFactory {
    let factory = RTSPMediaFactory::new();
    factory.set_launch("( identity name=depay0 silent=true ! fakesink sync=false async=false )");
    factory.set_transport_mode(RTSPTransportMode::RECORD);
    factory.set_latency(LATENCY_MS);
    allow(&factory);
    factory.connect_media_configure(move |_, media| {
        if count(media, Arc::clone(&camera)).is_none() {
            eprintln!("camera-simulator: {}/{PATH}: unexpected pipeline", camera.config().name);
        }
    });
    factory
}

fn count(media: &RTSPMedia, camera: Arc<Camera>) -> Option<()> {
    let bin = media.element().downcast::<gst::Bin>().ok()?;
    let last_keyframe = Mutex::new(None);
    bin.by_name("depay0")?
        .static_pad("src")?
        .add_probe(gst::PadProbeType::BUFFER, move |pad, info| {
            if let Some(buffer) = info.buffer()
                && let Ok(bytes) = buffer.map_readable()
                && let Some(mark) = frame_mark(&bytes, codec(pad))
            {
                let mut last = last_keyframe.lock().unwrap_or_else(PoisonError::into_inner);
                let keyframe = mark.begins_keyframe && *last != Some(mark.timestamp);
                if keyframe {
                    *last = Some(mark.timestamp);
                }
                camera.count(PATH, u64::from(mark.ends_frame), u64::from(keyframe), bytes.len());
            }
            gst::PadProbeReturn::Ok
        });
    Some(())
}

fn codec(pad: &gst::Pad) -> Codec {
    let caps = pad.current_caps();
    let name = caps
        .as_ref()
        .and_then(|caps| caps.structure(0)?.get::<&str>("encoding-name").ok());
    if name == Some("H265") { Codec::H265 } else { Codec::H264 }
}

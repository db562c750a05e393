//! The streams that a camera sends.
//!
//! All clients of a path share one media, which exists while there are clients. A client that comes later sees the
//! picture from the next keyframe on, as with most cameras. Sinks send at once instead of waiting for the time of a
//! buffer, because the producer keeps the time.

use super::allow;
use crate::camera::Camera;
use crate::config::Codec;
use crate::fault::Fault;
use crate::packets::{move_rtp_timestamp, move_sender_clock};
use crate::producer::{Job, Producer};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::{AppSrc, AppSrcCallbacks};
use gstreamer_rtsp_server::glib::translate::IntoGlib;
use gstreamer_rtsp_server::{RTSPMedia, RTSPMediaFactory, RTSPSuspendMode, prelude::*};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Sound for a camera without picture: G.711 A-law.
const AUDIO: &str = "( audiotestsrc is-live=true wave=ticks ! audio/x-raw,rate=8000,channels=1 ! alawenc ! \
                     rtppcmapay name=pay0 pt=8 )";

/// The factory of a path.
pub fn factory(job: Job) -> RTSPMediaFactory {
    let factory = RTSPMediaFactory::new();
    let (codec, payloader) = match job.stream.codec {
        Codec::H264 => ("h264", "rtph264pay"),
        Codec::H265 => ("h265", "rtph265pay"),
    };
    if job.camera.config().audio_only {
        factory.set_launch(AUDIO);
    } else {
        factory.set_launch(&format!(
            "( appsrc name=input is-live=true format=time max-bytes=0 \
             caps=video/x-{codec},stream-format=byte-stream,alignment=au ! \
             {payloader} name=pay0 pt=96 config-interval=-1 )"
        ));
    }
    factory.set_shared(true);
    factory.set_suspend_mode(RTSPSuspendMode::None);
    factory.set_latency(0);
    allow(&factory);
    factory.connect_media_configure(move |_, media| {
        if configure(media, &job).is_none() {
            eprintln!(
                "camera-simulator: {}/{}: unexpected pipeline",
                job.camera.config().name,
                job.path
            );
        }
    });
    factory
}

fn configure(media: &RTSPMedia, job: &Job) -> Option<()> {
    media.set_rate_control(false);
    let bin = media.element().downcast::<gst::Bin>().ok()?;
    let camera = Arc::clone(&job.camera);
    let kinds = gst::PadProbeType::BUFFER | gst::PadProbeType::BUFFER_LIST;
    bin.by_name("pay0")?
        .static_pad("src")?
        .add_probe(kinds, move |_, info| change_rtp(&camera, info));
    let camera = Arc::clone(&job.camera);
    media.connect_prepared(move |media| {
        if change_rtcp(media, &camera).is_none() {
            eprintln!("camera-simulator: {}: no RTCP", camera.config().name);
        }
        tell_closing(media, &camera);
    });
    if job.camera.config().audio_only {
        return Some(());
    }
    let input = bin.by_name("input")?.downcast::<AppSrc>().ok()?;
    let producer = Arc::new(Mutex::new(None));
    let running = Arc::clone(&producer);
    media.connect_unprepared(move |_| drop(running.lock().unwrap_or_else(PoisonError::into_inner).take()));
    let job = Mutex::new(Some(job.clone()));
    // Data is first asked for when the media runs; before that there is no running time to put on a frame.
    let callbacks = AppSrcCallbacks::builder().need_data(move |input, _| {
        if let Some(job) = job.lock().unwrap_or_else(PoisonError::into_inner).take() {
            match Producer::start(job, input.clone()) {
                Ok(started) => *producer.lock().unwrap_or_else(PoisonError::into_inner) = Some(started),
                Err(error) => eprintln!("camera-simulator: no thread for a stream: {error}"),
            }
        }
    });
    input.set_callbacks(callbacks.build());
    Some(())
}

/// Tells the camera from when until when a media closes.
///
/// Called when the media is prepared: handlers run in the order in which they were connected, and the one that makes the
/// factory forget the media must run before this one.
fn tell_closing(media: &RTSPMedia, camera: &Arc<Camera>) {
    let closing = Arc::new(AtomicBool::new(false));
    let (begun, begins) = (Arc::clone(&closing), Arc::clone(camera));
    media.connect_target_state(move |_, state| {
        if state == gst::State::Null.into_glib() && !begun.swap(true, Ordering::SeqCst) {
            begins.begin_closing();
        }
    });
    let ends = Arc::clone(camera);
    media.connect_unprepared(move |_| {
        if closing.swap(false, Ordering::SeqCst) {
            ends.end_closing();
        }
    });
}

/// Drops or changes RTP packets on their way out of the payloader.
fn change_rtp(camera: &Camera, info: &mut gst::PadProbeInfo) -> gst::PadProbeReturn {
    let fault = camera.fault();
    if fault == Fault::Stall {
        return gst::PadProbeReturn::Drop;
    }
    let offset = camera.rtp_offset();
    if fault != Fault::Loss && offset == 0 {
        return gst::PadProbeReturn::Ok;
    }
    let change = |buffer: gst::Buffer| {
        if camera.loses_packet() {
            None
        } else {
            Some(moved(buffer, offset))
        }
    };
    let left = match info.data.take() {
        Some(gst::PadProbeData::Buffer(buffer)) => change(buffer).map(gst::PadProbeData::Buffer),
        Some(gst::PadProbeData::BufferList(list)) => {
            let left: gst::BufferList = list.iter_owned().filter_map(change).collect();
            (!left.is_empty()).then_some(gst::PadProbeData::BufferList(left))
        }
        other => other,
    };
    if left.is_none() {
        return gst::PadProbeReturn::Drop;
    }
    info.data = left;
    gst::PadProbeReturn::Ok
}

fn moved(mut buffer: gst::Buffer, offset: u32) -> gst::Buffer {
    if offset != 0
        && let Ok(mut bytes) = buffer.make_mut().map_writable()
    {
        move_rtp_timestamp(&mut bytes, offset);
    }
    buffer
}

/// Drops or changes the RTCP packets of a media, which come from the `rtpbin` beside it.
fn change_rtcp(media: &RTSPMedia, camera: &Arc<Camera>) -> Option<()> {
    let pipeline = media.stream(0)?.joined_bin()?;
    let rtpbin = pipeline.iterate_all_by_element_factory_name("rtpbin").next().ok()??;
    let camera = Arc::clone(camera);
    rtpbin
        .static_pad("send_rtcp_src_0")?
        .add_probe(gst::PadProbeType::BUFFER, move |_, info| {
            let fault = camera.fault();
            if fault == Fault::Stall {
                return gst::PadProbeReturn::Drop;
            }
            if let Some(buffer) = info.buffer_mut()
                && let Ok(mut bytes) = buffer.make_mut().map_writable()
            {
                move_sender_clock(&mut bytes, fault.clock_error());
            }
            gst::PadProbeReturn::Ok
        });
    Some(())
}

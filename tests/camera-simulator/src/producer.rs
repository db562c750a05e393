//! The thread that makes the frames of a stream while somebody watches.
//!
//! One producer belongs to one RTSP media, which all clients of a path share. It begins when the media asks for data and
//! ends with the media. Frames are due at constant intervals from its beginning; a drawn frame that would come too late
//! is left out, as in a camera whose encoder is overloaded.

use crate::annexb::without_keyframe;
use crate::camera::{Camera, Moment, RunningId};
use crate::clock::wall_time;
use crate::config::{Codec, Source, StreamConfig};
use crate::encode::{AccessUnit, Encoder, clock_time};
use crate::fault::Fault;
use crate::looped::{Loops, frame_time};
use crate::scene::painter::{Lens, Painter, Shot};
use crate::scene::timecode::{self, Timecode};
use gstreamer::{self as gst, prelude::*};
use gstreamer_app::AppSrc;
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Access units that wait in a media which does not play yet; further ones are dropped up to the next keyframe.
const UNITS_WAITING_MAX: u64 = 100;
/// A loop that is later than this goes on from now instead of catching up.
const LATE_MAX: Duration = Duration::from_secs(1);

/// A running producer; it stops when this is dropped.
#[derive(Debug)]
pub struct Producer {
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl Stop {
    /// Waits until then; false if the producer shall stop.
    fn wait_until(&self, due: Instant) -> bool {
        let stopped = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let time = due.saturating_duration_since(Instant::now());
        let waited = self.changed.wait_timeout_while(stopped, time, |stopped| !*stopped);
        !*waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        *self.stop.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.changed.notify_all();
    }
}

/// What a producer makes and for whom.
#[derive(Debug, Clone)]
pub struct Job {
    /// The camera.
    pub camera: Arc<Camera>,
    /// `main` or `sub`.
    pub path: &'static str,
    /// How the stream is made.
    pub stream: StreamConfig,
    /// The loops of the process.
    pub loops: Arc<Loops>,
}

impl Producer {
    /// Starts the thread, which gives its access units to `input`.
    pub fn start(job: Job, input: AppSrc) -> std::io::Result<Self> {
        let stop = Arc::new(Stop::default());
        let seen = Arc::clone(&stop);
        let name = format!("{}/{}", job.camera.config().name, job.path);
        let media = Arc::new(MediaInput {
            input,
            begin: Instant::now(),
            offset: OnceLock::new(),
            camera: Arc::clone(&job.camera),
            path: job.path,
            codec: job.stream.codec,
            skipping: Mutex::new(false),
        });
        std::thread::Builder::new().name(name.clone()).spawn(move || {
            let id = job.camera.begin_running();
            let result = match job.stream.source {
                Source::Drawn => draw(&job, &media, &seen, id),
                Source::Loop => repeat(&job, &media, &seen, id),
            };
            job.camera.end_running(id);
            if let Err(error) = result {
                eprintln!("camera-simulator: {name}: {error}");
            }
        })?;
        Ok(Self { stop })
    }
}

/// The way of access units into a media.
struct MediaInput {
    input: AppSrc,
    begin: Instant,
    /// Running time of the media at `begin`.
    offset: OnceLock<gst::ClockTime>,
    camera: Arc<Camera>,
    path: &'static str,
    codec: Codec,
    skipping: Mutex<bool>,
}

impl MediaInput {
    /// Sends an access unit. Its timestamp is the running time at which it was taken, so that the sender reports, which
    /// relate running time and wall clock, are right.
    fn push(&self, unit: &AccessUnit) {
        let fault = self.camera.fault();
        if fault == Fault::Stall || !self.has_room(unit.keyframe) {
            return;
        }
        let running = self.input.current_running_time();
        let offset = *self.offset.get_or_init(|| {
            let since_begin = clock_time(self.begin.elapsed());
            running.unwrap_or(since_begin).saturating_sub(since_begin)
        });
        let mut buffer = unit.buffer.copy();
        if unit.keyframe && fault == Fault::NoKeyframes {
            let rest = unit
                .buffer
                .map_readable()
                .map(|bytes| without_keyframe(&bytes, self.codec))
                .unwrap_or_default();
            if rest.is_empty() {
                return;
            }
            buffer = gst::Buffer::from_slice(rest);
        }
        let bytes = buffer.size();
        if let Some(buffer) = buffer.get_mut() {
            buffer.set_pts(offset + clock_time(unit.time));
            buffer.set_dts(gst::ClockTime::NONE);
        }
        if self.input.push_buffer(buffer).is_ok() {
            let keyframe = unit.keyframe && fault != Fault::NoKeyframes;
            self.camera.count(self.path, 1, u64::from(keyframe), bytes);
        }
    }

    fn has_room(&self, keyframe: bool) -> bool {
        let full = self.input.current_level_buffers() >= UNITS_WAITING_MAX;
        let mut skipping = self.skipping.lock().unwrap_or_else(PoisonError::into_inner);
        *skipping = full || (*skipping && !keyframe);
        !*skipping
    }

    fn end(&self) {
        if let Err(error) = self.input.end_of_stream() {
            eprintln!(
                "camera-simulator: {}/{}: no end of stream: {error}",
                self.camera.config().name,
                self.path
            );
        }
    }
}

/// Says once when the fault that ends a stream begins; a stream that began under this fault goes on.
struct EndOfStream {
    armed: bool,
}

impl EndOfStream {
    fn is_now(&mut self, fault: Fault) -> bool {
        let now = self.armed && fault == Fault::Eos;
        self.armed = fault != Fault::Eos;
        now
    }
}

/// Why a producer stopped by itself.
#[derive(Debug, thiserror::Error)]
enum ProducerError {
    #[error(transparent)]
    Encode(#[from] crate::encode::EncodeError),
    #[error(transparent)]
    Loop(#[from] crate::looped::LoopError),
}

/// Painter and encoder of one resolution.
struct Drawing {
    size: (u32, u32),
    painter: Painter,
    encoder: Encoder,
    until_keyframe: u32,
    drawn: bool,
}

impl Drawing {
    fn new(job: &Job, size: (u32, u32), media: &Arc<MediaInput>) -> Result<Self, ProducerError> {
        let config = job.camera.config();
        let pixels = |count: u32| usize::try_from(count).unwrap_or(0);
        let painter = Painter::new(
            pixels(size.0),
            pixels(size.1),
            &config.name,
            &config.spaces,
            config.moving_vehicles,
        );
        let media = Arc::clone(media);
        let encoder = Encoder::start(&job.stream, size, move |unit| media.push(&unit))?;
        Ok(Self {
            size,
            painter,
            encoder,
            until_keyframe: 0,
            drawn: false,
        })
    }

    fn frame(&mut self, moment: &Moment, gop: u32, time: Duration) -> Result<(), ProducerError> {
        let fault = moment.fault;
        if fault != Fault::Freeze || !self.drawn {
            let time = wall_time() + fault.clock_error();
            self.painter.paint(&Shot {
                scene: &moment.scene,
                view: fault.view(),
                lens: fault.lens(),
                time,
            });
            self.drawn = true;
            if fault.lens() != Lens::Dead {
                let picture = self.painter.last();
                let (width, height) = (picture.width(), picture.height());
                timecode::write(picture.luma_mut(), width, height, Timecode::at(wall_time()));
            }
        }
        let keyframe = self.until_keyframe == 0 && fault != Fault::NoKeyframes;
        self.until_keyframe = if self.until_keyframe == 0 {
            gop - 1
        } else {
            self.until_keyframe - 1
        };
        Ok(self.encoder.push(self.painter.last().samples(), time, keyframe)?)
    }
}

fn draw(job: &Job, media: &Arc<MediaInput>, stop: &Stop, id: RunningId) -> Result<(), ProducerError> {
    let mut end_of_stream = EndOfStream {
        armed: job.camera.fault() != Fault::Eos,
    };
    let mut drawing: Option<Drawing> = None;
    let mut number = 0_u32;
    loop {
        let due = media.begin + frame_time(number, job.stream.fps);
        if !stop.wait_until(due) {
            return Ok(());
        }
        let moment = job.camera.moment();
        if end_of_stream.is_now(moment.fault) {
            media.end();
            return Ok(());
        }
        let size = moment.fault.resolution(job.stream.width, job.stream.height);
        let mut current = match drawing.take() {
            Some(current) if current.size == size => current,
            _ => Drawing::new(job, size, media)?,
        };
        current.frame(&moment, job.stream.gop, frame_time(number, job.stream.fps))?;
        drawing = Some(current);
        job.camera.shows(id, moment.revision);
        number += 1;
        while media.begin.elapsed() > frame_time(number + 1, job.stream.fps) {
            number += 1;
        }
    }
}

fn repeat(job: &Job, media: &MediaInput, stop: &Stop, id: RunningId) -> Result<(), ProducerError> {
    let mut fault = job.camera.fault();
    let mut end_of_stream = EndOfStream {
        armed: fault != Fault::Eos,
    };
    let mut looped = job.loops.get(&job.stream, fault)?;
    // Making a loop may have taken long.
    let mut round = media.begin.elapsed();
    let mut position = 0_u32;
    loop {
        let mut time = round + frame_time(position, job.stream.fps);
        if !stop.wait_until(media.begin + time) {
            return Ok(());
        }
        let moment = job.camera.moment();
        if end_of_stream.is_now(moment.fault) {
            media.end();
            return Ok(());
        }
        if moment.fault != fault {
            fault = moment.fault;
            let other = job.loops.get(&job.stream, fault)?;
            if !Arc::ptr_eq(&other, &looped) {
                (looped, round, position) = (other, time, 0);
            }
        }
        let elapsed = media.begin.elapsed();
        let late = elapsed.saturating_sub(time);
        if late > LATE_MAX {
            round += late;
            time = elapsed;
        }
        if let Some(unit) = usize::try_from(position)
            .ok()
            .and_then(|position| looped.units.get(position))
        {
            let buffer = unit.buffer.clone();
            media.push(&AccessUnit {
                buffer,
                time: round + unit.time,
                keyframe: unit.keyframe,
            });
            job.camera.shows(id, moment.revision);
            position += 1;
        } else {
            (round, position) = (time.min(round + looped.duration), 0);
        }
    }
}

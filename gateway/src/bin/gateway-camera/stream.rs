//! The mode `ingest`: streams are opened and closed as the parent says, each a task of its own.
//!
//! A stream connects once and runs until it ends, for whatever reason; the reason is told, and when to try again is the
//! parent's decision. Three clocks watch it, all monotonic: no answer in time, no first keyframe in time, nothing
//! received in time.

use std::cell::Cell;
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use gateway::cameras::wire::{Cause, Command, Event, Format, Profile, Source, Stats, ToWorker};
use tokio::task::{JoinHandle, LocalSet};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::ingest::{AccessUnit, AnyIngest, Failure, Greeting, Ingest, Item, Parameters};
use crate::link::{Link, ToParent};
use crate::mux::{Mux, Output};
use crate::pace::Pace;
use crate::timeline::Timeline;

/// How often figures are told.
const STATS_EVERY: Duration = Duration::from_secs(1);
/// A first keyframe must come within this, and within twice the longest group of pictures of earlier connections.
const FIRST_KEYFRAME_MIN: Duration = Duration::from_secs(15);
/// The least time without a frame that is a stall.
const STALL_MIN: Duration = Duration::from_secs(5);
/// A keyframe is missing after this, and after twice the length of the last group of pictures.
const KEYFRAME_MISSING_MIN: Duration = Duration::from_secs(6);
/// Frames a second above which frames are dropped: no camera of a street needs more, and 500 would choke the box.
const FPS_MAX: u32 = 120;
/// Length of a frame whose stream does not tell.
const FRAME_DEFAULT: Duration = Duration::from_millis(40);
/// Lengths of a frame beyond these are taken for faults of its timestamps.
const FRAME_RANGE: std::ops::RangeInclusive<Duration> = Duration::from_millis(5)..=Duration::from_secs(2);

/// Does what the parent says until it has gone.
pub fn run(link: Link) -> anyhow::Result<()> {
    crate::register_muxer()?;
    let pace = Pace::default();
    let resting = pace.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || resting.rest())
        .build()?;
    LocalSet::new().block_on(&runtime, async {
        let to_parent = link.to_parent();
        let mut frames = link.frames();
        let mut streams: HashMap<Profile, Open> = HashMap::new();
        let mut gops: HashMap<Profile, Rc<Cell<Option<Duration>>>> = HashMap::new();
        while let Some(frame) = frames.recv().await {
            let ToWorker::Command(command) = ToWorker::read(&frame)? else {
                anyhow::bail!("a frame that is none for the mode \"ingest\"");
            };
            match command {
                Command::Open { profile, source } => {
                    if let Some(open) = streams.remove(&profile) {
                        open.close().await;
                    }
                    let gop = Rc::clone(gops.entry(profile).or_default());
                    streams.insert(profile, Open::start((profile, source), gop, &to_parent, &pace));
                }
                Command::Close { profile } => {
                    if let Some(open) = streams.remove(&profile) {
                        open.close().await;
                    }
                }
                Command::Chunks { profile, frames } => {
                    if let Some(open) = streams.get(&profile) {
                        open.chunk_frames.set(frames);
                    }
                }
                Command::Masks { .. } | Command::Publish { .. } => {
                    anyhow::bail!("a command that is none for the mode \"ingest\"");
                }
            }
        }
        for open in std::mem::take(&mut streams).into_values() {
            open.close().await;
        }
        Ok(())
    })
}

/// A stream that was opened.
struct Open {
    task: JoinHandle<()>,
    stop: CancellationToken,
    chunk_frames: Rc<Cell<u16>>,
}

impl Open {
    fn start(
        (profile, source): (Profile, Source),
        gop: Rc<Cell<Option<Duration>>>,
        to_parent: &ToParent,
        pace: &Pace,
    ) -> Self {
        let stop = CancellationToken::new();
        let chunk_frames = Rc::new(Cell::new(0));
        let output = Output {
            to_parent: to_parent.clone(),
            profile,
        };
        let mut stream = Stream::new(output, Rc::clone(&chunk_frames), pace.clone(), gop);
        let (stopped, to_parent) = (stop.clone(), to_parent.clone());
        let task = tokio::task::spawn_local(async move {
            if let Some(failure) = stream.play(&source, &stopped).await {
                to_parent.event(&Event::Ended {
                    profile,
                    cause: failure.cause,
                    message: failure.message,
                });
            }
        });
        Self {
            task,
            stop,
            chunk_frames,
        }
    }

    async fn close(self) {
        self.stop.cancel();
        drop(self.task.await);
    }
}

/// One connection of one stream.
struct Stream {
    output: Output,
    chunk_frames: Rc<Cell<u16>>,
    pace: Pace,
    timeline: Timeline,
    /// What the frames are from here on.
    parameters: Option<Parameters>,
    mux: Option<Mux>,
    /// Frames are shown in another order than they come.
    reordered: bool,
    /// Frames are dropped until one comes that needs no other.
    awaits_keyframe: bool,
    last_camera_ns: Option<i64>,
    last_at_ns: u64,
    /// Usual length of a frame.
    frame: Duration,
    /// Longest time between two keyframes, over all connections.
    gop: Rc<Cell<Option<Duration>>>,
    watch: Watch,
    window: Window,
}

impl Stream {
    fn new(output: Output, chunk_frames: Rc<Cell<u16>>, pace: Pace, gop: Rc<Cell<Option<Duration>>>) -> Self {
        Self {
            output,
            chunk_frames,
            pace,
            timeline: Timeline::default(),
            parameters: None,
            mux: None,
            reordered: false,
            awaits_keyframe: true,
            last_camera_ns: None,
            last_at_ns: 0,
            frame: FRAME_DEFAULT,
            watch: Watch::new(Instant::now(), gop.get()),
            gop,
            window: Window::new(Instant::now()),
        }
    }

    /// Plays until it is stopped (`None`) or ends.
    async fn play(&mut self, source: &Source, stop: &CancellationToken) -> Option<Failure> {
        let connected = tokio::select! {
            connected = AnyIngest::connect(source) => connected,
            () = stop.cancelled() => return None,
        };
        let (mut ingest, Greeting { server, audio }) = match connected {
            Ok(connected) => connected,
            Err(failure) => return Some(failure),
        };
        let profile = self.output.profile;
        self.output.to_parent.event(&Event::Playing { profile, server, audio });
        self.watch = Watch::new(Instant::now(), self.gop.get());
        self.window = Window::new(Instant::now());
        let mut tick = tokio::time::interval_at(Instant::now() + STATS_EVERY, STATS_EVERY);
        // Resting makes a tick late by a little; the next one is not to be later for it.
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        let mut playing = self.pace.plays();
        let failure = loop {
            playing.watched(self.chunk_frames.get() > 0);
            let failure = tokio::select! {
                item = ingest.next() => match item {
                    Ok(Item::Unit(unit)) => self.take(unit).err(),
                    Ok(Item::CameraClock(camera_unix_ms)) => {
                        let at_ns = crate::now_ns();
                        self.output.to_parent.event(&Event::CameraClock { profile, camera_unix_ms, at_ns });
                        None
                    }
                    Err(failure) => Some(failure),
                },
                _ = tick.tick() => {
                    self.tell_stats();
                    self.watch.late(Instant::now(), self.frame)
                }
                () = stop.cancelled() => break None,
            };
            if failure.is_some() {
                break failure;
            }
        };
        drop(playing);
        self.gop.set(self.watch.gop);
        self.end_run();
        ingest.close().await;
        failure
    }

    fn tell_stats(&mut self) {
        let stats = self.window.turn(Instant::now());
        let profile = self.output.profile;
        self.output.to_parent.event(&Event::Stats { profile, stats });
    }

    /// Takes a frame.
    fn take(&mut self, mut unit: AccessUnit) -> Result<(), Failure> {
        let placed = self.timeline.place(unit.camera_ns, crate::now_ns());
        self.window.count(&unit, placed.jumped);
        self.watch.seen(Instant::now(), unit.keyframe);
        if let Some(parameters) = unit.parameters.take()
            && self.parameters.as_ref() != Some(&parameters)
        {
            self.end_run();
            self.parameters = Some(parameters);
            self.awaits_keyframe = true;
        }
        self.notice_order(unit.camera_ns, placed.jumped);
        let too_many = self.window.stats.frames > FPS_MAX;
        let is_behind = self.mux.as_ref().is_some_and(Mux::is_behind);
        if unit.lost_packets > 0 || too_many || is_behind {
            self.awaits_keyframe = true;
        }
        if self.awaits_keyframe && (!unit.keyframe || too_many || is_behind) {
            self.window.stats.dropped_frames += 1;
            return Ok(());
        }
        let at_ns = if self.reordered {
            placed.at_ns
        } else {
            placed.at_ns.max(self.last_at_ns + 1)
        };
        if !placed.jumped && at_ns > self.last_at_ns {
            let length = Duration::from_nanos(at_ns - self.last_at_ns);
            if FRAME_RANGE.contains(&length) {
                self.frame = (self.frame * 7 + length) / 8;
            }
        }
        self.last_at_ns = at_ns;
        self.awaits_keyframe = false;
        let (frame, chunk_frames) = (self.frame, self.chunk_frames.get());
        let Some(mux) = self.mux_at(at_ns)? else {
            return Ok(());
        };
        mux.push(unit, at_ns, frame, chunk_frames)
    }

    /// The muxer; a new one from here if there is none. `None` while the stream has not told its parameters.
    fn mux_at(&mut self, at_ns: u64) -> Result<Option<&mut Mux>, Failure> {
        if self.mux.is_none() {
            let Some(parameters) = &self.parameters else {
                self.awaits_keyframe = true;
                return Ok(None);
            };
            self.output.to_parent.event(&Event::Format {
                profile: self.output.profile,
                format: Format {
                    fps_nominal: parameters.fps_nominal,
                    reordered: self.reordered,
                },
            });
            self.mux = Some(Mux::start(parameters, self.reordered, at_ns, self.output.clone())?);
        }
        Ok(self.mux.as_mut())
    }

    /// Notices that timestamps go back by less than a jump: the stream has B-frames, and needs another muxer.
    fn notice_order(&mut self, camera_ns: i64, jumped: bool) {
        let goes_back = self.last_camera_ns.is_some_and(|last| camera_ns < last);
        if goes_back && !jumped && !self.reordered {
            self.end_run();
            self.reordered = true;
            self.awaits_keyframe = true;
        }
        self.last_camera_ns = Some(camera_ns);
    }

    fn end_run(&mut self) {
        if let Some(mux) = self.mux.take() {
            mux.finish();
        }
    }
}

/// What was last seen when.
struct Watch {
    since: Instant,
    frame: Option<Instant>,
    keyframe: Option<Instant>,
    /// Longest time between two keyframes.
    gop: Option<Duration>,
}

impl Watch {
    /// A connection that plays since then; `gop` is what earlier ones had.
    fn new(since: Instant, gop: Option<Duration>) -> Self {
        Self {
            since,
            frame: None,
            keyframe: None,
            gop,
        }
    }

    fn seen(&mut self, now: Instant, keyframe: bool) {
        self.frame = Some(now);
        if keyframe {
            if let Some(last) = self.keyframe {
                self.gop = self.gop.max(Some(now - last));
            }
            self.keyframe = Some(now);
        }
    }

    /// Whether something is missing, at `now`, from a stream with frames of this length.
    fn late(&self, now: Instant, frame: Duration) -> Option<Failure> {
        let stall = STALL_MIN.max(frame * 10);
        let last = self.frame.unwrap_or(self.since);
        if now - last > stall {
            let message = format!("nothing came for {} s", (now - last).as_secs());
            return Some(Failure::new(Cause::Stalled, message));
        }
        let (from, limit) = match (self.keyframe, self.gop) {
            (None, gop) => (self.since, FIRST_KEYFRAME_MIN.max(gop.unwrap_or_default() * 2)),
            (Some(keyframe), None) => (keyframe, FIRST_KEYFRAME_MIN * 2),
            (Some(keyframe), Some(gop)) => (keyframe, KEYFRAME_MISSING_MIN.max(gop * 2)),
        };
        // Counted up to the last frame: when nothing comes at all, that is a stall.
        let without = last.saturating_duration_since(from);
        (without > limit).then(|| {
            let message = format!("no keyframe for {} s, though frames come", without.as_secs());
            Failure::new(Cause::NoKeyframes, message)
        })
    }
}

/// Counts of about one second.
struct Window {
    from: Instant,
    stats: Stats,
    gop: u32,
    /// Sizes of the frames between keyframes; at most [`FPS_MAX`] are looked at.
    between: Vec<u32>,
}

impl Window {
    fn new(from: Instant) -> Self {
        Self {
            from,
            stats: Stats::default(),
            gop: 0,
            between: Vec::new(),
        }
    }

    fn count(&mut self, unit: &AccessUnit, jumped: bool) {
        let bytes = unit.data.len();
        self.stats.frames += 1;
        self.stats.bytes += u64::try_from(bytes).unwrap_or(u64::MAX);
        self.stats.lost_packets = self.stats.lost_packets.saturating_add(unit.lost_packets);
        self.stats.jumps += u32::from(jumped);
        if unit.keyframe {
            self.stats.keyframes += 1;
            self.stats.keyframe_bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.stats.gop_frames = std::mem::take(&mut self.gop);
        } else if self.stats.frames <= FPS_MAX {
            let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
            self.stats.between_bytes_max = self.stats.between_bytes_max.max(bytes);
            self.between.push(bytes);
        }
        self.gop = self.gop.saturating_add(1);
    }

    fn turn(&mut self, now: Instant) -> Stats {
        let mut stats = std::mem::take(&mut self.stats);
        stats.span = now - self.from;
        self.between.sort_unstable();
        stats.between_bytes = self.between.get(self.between.len() / 4).copied();
        self.between.clear();
        // What is known of the last group of pictures stays known until the next.
        self.stats.gop_frames = stats.gop_frames;
        self.stats.keyframe_bytes = stats.keyframe_bytes;
        self.from = now;
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_first_keyframe_may_take_as_long_as_two_groups_of_earlier_connections() {
        let begin = Instant::now();
        let after = |watch: &mut Watch, s: u64| {
            let now = begin + Duration::from_secs(s);
            watch.seen(now, false);
            watch.late(now, FRAME_DEFAULT).map(|failure| failure.cause)
        };
        let mut unknown = Watch::new(begin, None);
        assert_eq!(after(&mut unknown, 15), None);
        assert_eq!(after(&mut unknown, 16), Some(Cause::NoKeyframes));
        let mut known = Watch::new(begin, Some(Duration::from_secs(10)));
        assert_eq!(after(&mut known, 20), None);
        assert_eq!(after(&mut known, 21), Some(Cause::NoKeyframes));
    }

    #[test]
    fn when_nothing_comes_that_is_a_stall_however_long_ago_the_last_keyframe_was() {
        let begin = Instant::now();
        let at = |millis: u64| begin + Duration::from_millis(millis);
        let mut watch = Watch::new(begin, None);
        for frame in 0..60 {
            watch.seen(at(frame * 66), frame % 30 == 0);
        }
        // The last frame came at 3.9 s, the last keyframe at 2 s.
        for second in 4..=8 {
            assert_eq!(watch.late(at(second * 1_000), FRAME_DEFAULT), None, "{second} s");
        }
        let late = watch.late(at(9_000), FRAME_DEFAULT).map(|failure| failure.cause);
        assert_eq!(late, Some(Cause::Stalled));
        for frame in 60..200 {
            watch.seen(at(frame * 66), false);
        }
        let late = watch.late(at(13_200), FRAME_DEFAULT).map(|failure| failure.cause);
        assert_eq!(late, Some(Cause::NoKeyframes));
    }
}

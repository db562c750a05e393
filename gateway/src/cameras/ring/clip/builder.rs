//! Reads the files of a plan and places their frames on the clip's timeline.

use std::fs::File;
use std::io::ErrorKind;
use std::num::NonZeroU32;

use jiff::Timestamp;

use super::movie::{Clip, Movie};
use super::tables::Placed;
use super::{ClipError, Gap, Plan, SAMPLES_MAX, Unreadable};
use crate::cameras::ring::chunk::Sample;
use crate::cameras::ring::scan::{Check, SegmentReader, StoredFragment};
use crate::cameras::ring::segment::Segment;
use crate::cameras::ring::storage::segment_path;
use crate::cameras::ring::store::STEP_MIN;
use crate::cameras::ring::time::{difference, duration_to_ticks, plus_ticks, ticks_to_duration};

/// A frame as it is in its file.
#[derive(Debug, Clone, Copy)]
struct Stored {
    sample: Sample,
    /// Ticks of its run's timeline.
    decode_time: u64,
    presentation_time: i128,
    offset: u64,
    /// UTC time at which it is shown.
    at: Timestamp,
    /// UTC time that corresponds to its decode time.
    decoded_at: Timestamp,
}

/// Where the film stands: behind its last frame.
#[derive(Debug, Clone, Copy)]
struct Position {
    run: u64,
    /// End of the last frame, ticks of its run's timeline.
    decode_end: i128,
    /// The same in UTC.
    at: Timestamp,
    /// Added to ticks of the run's timeline, gives ticks of the clip's.
    shift: i128,
}

/// Reads the tables of a clip.
pub(super) fn read(plan: &Plan) -> Result<Clip, ClipError> {
    let mut builder = Builder {
        plan,
        clip: Clip::new(plan),
        position: None,
        frames: 0,
    };
    for (number, segment) in plan.segments.iter().enumerate() {
        builder.add_segment(number, segment)?;
    }
    builder.clip.movies.retain(|movie| !movie.tables.sizes.is_empty());
    if builder.clip.movies.is_empty() {
        return Err(ClipError::Empty {
            from: plan.from,
            to: plan.to,
        });
    }
    Ok(builder.clip)
}

struct Builder<'a> {
    plan: &'a Plan,
    clip: Clip,
    position: Option<Position>,
    frames: usize,
}

impl Builder<'_> {
    fn add_segment(&mut self, file_number: usize, segment: &Segment) -> Result<(), ClipError> {
        let path = segment_path(&self.plan.folder, segment.id);
        let opened = File::open(&path).and_then(|file| Ok((file.metadata()?.len(), file)));
        let (bytes, file) = match opened {
            Ok((bytes, file)) => (bytes.min(segment.bytes), file),
            Err(error) => {
                let reason = match error.kind() {
                    ErrorKind::NotFound => "it was removed meanwhile".to_owned(),
                    _ => error.to_string(),
                };
                self.unreadable(segment, reason);
                return Ok(());
            }
        };
        let mut reader = match SegmentReader::open(&file, bytes, Check::Boxes) {
            Ok(reader) => reader,
            Err(error) => {
                self.unreadable(segment, error.to_string());
                return Ok(());
            }
        };
        let timescale = reader.init.info().timescale;
        let mut samples = Vec::new();
        while let Some(fragment) = reader.next_fragment() {
            flatten(&fragment, timescale, &mut samples);
            if samples.len() > SAMPLES_MAX {
                return Err(ClipError::TooManyFrames);
            }
        }
        if let Some(damage) = &reader.damage {
            self.unreadable(segment, damage.to_string());
        }
        let Some(chosen) = choose(&samples, self.plan.from, self.plan.to) else {
            return Ok(());
        };
        self.frames += chosen.len();
        if self.frames > SAMPLES_MAX {
            return Err(ClipError::TooManyFrames);
        }
        let fits = self
            .clip
            .movies
            .last()
            .is_some_and(|movie| movie.init.is_compatible_with(&reader.init));
        if !fits {
            self.position = None;
            self.clip.movies.push(Movie::new(reader.init.clone(), segment.clock));
        }
        let Some(movie) = self.clip.movies.last_mut() else {
            return Ok(());
        };
        movie.clock = movie.clock.worse(segment.clock);
        let position = place(movie, self.position, reader.head.run, chosen, timescale, file_number);
        self.position = Some(position);
        Ok(())
    }

    fn unreadable(&mut self, segment: &Segment, reason: String) {
        self.clip.unreadable.push(Unreadable {
            segment: segment.id,
            reason,
        });
    }
}

/// Takes the frames out of a fragment.
fn flatten(fragment: &StoredFragment, timescale: NonZeroU32, samples: &mut Vec<Stored>) {
    for chunk in &fragment.chunks {
        let mut decode_time = chunk.moof.decode_time;
        let mut offset = chunk.data;
        for sample in &chunk.moof.samples {
            let presentation_time = i128::from(decode_time) + i128::from(sample.composition_offset);
            let utc = |ticks: i128| plus_ticks(fragment.at, ticks - i128::from(fragment.media_time), timescale);
            samples.push(Stored {
                sample: *sample,
                decode_time,
                presentation_time,
                offset,
                at: utc(presentation_time),
                decoded_at: utc(i128::from(decode_time)),
            });
            decode_time = decode_time.saturating_add(u64::from(sample.duration));
            offset += u64::from(sample.bytes);
        }
    }
}

/// From the last keyframe at or before `from`, or the first one, to the last frame, in decoding order, at or before `to`.
fn choose(samples: &[Stored], from: Timestamp, to: Timestamp) -> Option<&[Stored]> {
    let begin = samples
        .iter()
        .rposition(|stored| stored.sample.is_sync && stored.at <= from)
        .or_else(|| samples.iter().position(|stored| stored.sample.is_sync))?;
    let last = samples.iter().rposition(|stored| stored.at <= to)?;
    samples.get(begin..=last).filter(|chosen| !chosen.is_empty())
}

/// Puts frames behind those that a movie has.
fn place(
    movie: &mut Movie,
    before: Option<Position>,
    run: u64,
    chosen: &[Stored],
    timescale: NonZeroU32,
    file_number: usize,
) -> Position {
    let shift = chosen.first().map_or(0, |first| match before {
        None => -i128::from(first.decode_time),
        Some(before) => follow(movie, before, run, first, timescale),
    });
    let mut position = before.unwrap_or(Position {
        run,
        decode_end: 0,
        at: movie.to,
        shift,
    });
    for stored in chosen {
        let on_clip = |ticks: i128| i64::try_from(ticks + shift).unwrap_or(i64::MAX);
        let end = i128::from(stored.decode_time) + i128::from(stored.sample.duration);
        movie.tables.push(Placed {
            decode_time: on_clip(i128::from(stored.decode_time)),
            presentation_time: on_clip(stored.presentation_time),
            duration: stored.sample.duration,
            bytes: stored.sample.bytes,
            is_sync: stored.sample.is_sync,
            file: file_number,
            offset: stored.offset,
        });
        let ticks = i128::from(stored.sample.duration);
        movie.cover(stored.at, plus_ticks(stored.at, ticks, timescale));
        position = Position {
            run,
            decode_end: end,
            at: plus_ticks(stored.decoded_at, ticks, timescale),
            shift,
        };
    }
    position
}

/// How the timeline of another file lies on the clip's, and notes the gap between.
fn follow(movie: &mut Movie, before: Position, run: u64, first: &Stored, timescale: NonZeroU32) -> i128 {
    let step = difference(before.at, first.decoded_at);
    let sign = if step.is_negative() { -1 } else { 1 };
    let step_ticks = sign * i128::from(duration_to_ticks(step.unsigned_abs(), timescale));
    let same_run_ticks = i128::from(first.decode_time) - before.decode_end;
    let step_min = i128::from(duration_to_ticks(STEP_MIN, timescale));
    // Within a run its own timeline is smoother than the times of receipt.
    let agrees = before.run == run && (same_run_ticks - step_ticks).abs() <= step_min;
    let shift = if agrees {
        before.shift
    } else {
        before.decode_end + before.shift + step_ticks.max(0) - i128::from(first.decode_time)
    };
    if step.unsigned_abs() >= STEP_MIN {
        let ticks = u64::try_from(i128::from(first.decode_time) + shift).unwrap_or(0);
        movie.gaps.push(Gap {
            from: before.at,
            to: first.decoded_at,
            clip_ms: u64::try_from(ticks_to_duration(ticks, timescale).as_millis()).unwrap_or(u64::MAX),
        });
    }
    shift
}

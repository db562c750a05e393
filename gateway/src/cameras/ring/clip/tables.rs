//! Sample tables of ISO/IEC 14496-12 §8.6 and §8.7, in the compact form in which they are written.

/// Consecutive frames of one file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Piece {
    /// Position of the file among those of the clip.
    pub file: usize,
    /// Where its first frame begins in that file.
    pub offset: u64,
    pub bytes: u64,
    pub samples: u32,
}

/// A frame on the clip's timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Placed {
    pub decode_time: i64,
    pub presentation_time: i64,
    pub duration: u32,
    pub bytes: u32,
    pub is_sync: bool,
    pub file: usize,
    pub offset: u64,
}

/// The tables of a clip.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tables {
    pub sizes: Vec<u32>,
    /// Numbers of keyframes, from 1.
    pub syncs: Vec<u32>,
    /// Runs of (frames, duration), without the last frame.
    durations: Vec<(u32, u32)>,
    /// Runs of (frames, presentation less decode time).
    offsets: Vec<(u32, i64)>,
    pub pieces: Vec<Piece>,
    last: Option<(i64, u32)>,
    presentation_min: i64,
}

fn add_to_run<T: PartialEq>(runs: &mut Vec<(u32, T)>, value: T) {
    match runs.last_mut() {
        Some((count, last)) if *last == value => *count = count.saturating_add(1),
        _ => runs.push((1, value)),
    }
}

impl Tables {
    /// Adds a frame. Its decode time is moved behind the one before it where it is not.
    pub fn push(&mut self, sample: Placed) {
        let mut decode_time = sample.decode_time;
        if let Some((before, _)) = self.last {
            let delta = decode_time.saturating_sub(before).clamp(1, i64::from(u32::MAX));
            decode_time = before.saturating_add(delta);
            add_to_run(&mut self.durations, u32::try_from(delta).unwrap_or(u32::MAX));
        }
        self.presentation_min = match self.last {
            None => sample.presentation_time,
            Some(_) => self.presentation_min.min(sample.presentation_time),
        };
        self.last = Some((decode_time, sample.duration));
        add_to_run(&mut self.offsets, sample.presentation_time.saturating_sub(decode_time));
        self.sizes.push(sample.bytes);
        if sample.is_sync {
            self.syncs.push(u32::try_from(self.sizes.len()).unwrap_or(u32::MAX));
        }
        match self.pieces.last_mut() {
            Some(piece) if piece.file == sample.file && piece.offset + piece.bytes == sample.offset => {
                piece.bytes += u64::from(sample.bytes);
                piece.samples += 1;
            }
            _ => self.pieces.push(Piece {
                file: sample.file,
                offset: sample.offset,
                bytes: u64::from(sample.bytes),
                samples: 1,
            }),
        }
    }

    /// Bytes of all frames.
    pub fn data_bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.bytes).sum()
    }

    /// Duration of all frames, ticks.
    pub fn duration(&self) -> u64 {
        self.all_durations()
            .iter()
            .map(|(count, delta)| u64::from(*count) * u64::from(*delta))
            .sum()
    }

    /// Runs of (frames, duration).
    pub fn all_durations(&self) -> Vec<(u32, u32)> {
        let mut runs = self.durations.clone();
        if let Some((_, last)) = self.last {
            add_to_run(&mut runs, last);
        }
        runs
    }

    /// Runs of (frames, presentation less decode time), such that the first picture to be shown is at 0.
    pub fn composition_offsets(&self) -> Vec<(u32, i32)> {
        let mut runs = Vec::new();
        for (count, offset) in &self.offsets {
            let offset = offset.saturating_sub(self.presentation_min);
            let fits = i32::try_from(offset).unwrap_or(if offset < 0 { i32::MIN } else { i32::MAX });
            match runs.last_mut() {
                Some((last_count, last)) if *last == fits => *last_count += count,
                _ => runs.push((*count, fits)),
            }
        }
        runs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placed(decode_time: i64, presentation_time: i64, offset: u64) -> Placed {
        Placed {
            decode_time,
            presentation_time,
            duration: 100,
            bytes: 10,
            is_sync: decode_time == 0,
            file: 0,
            offset,
        }
    }

    #[test]
    fn decode_times_increase_and_presentation_times_stay_where_they_are() {
        let mut tables = Tables::default();
        for (number, (decode, presentation)) in [(0, 200), (100, 300), (99, 250), (400, 400)].into_iter().enumerate() {
            tables.push(placed(decode, presentation, number as u64 * 10));
        }
        assert_eq!(tables.all_durations(), [(1, 100), (1, 1), (1, 299), (1, 100)]);
        assert_eq!(tables.composition_offsets(), [(2, 0), (1, -51), (1, -200)]);
        assert_eq!(tables.duration(), 500);
        assert_eq!(tables.syncs, [1]);
    }

    #[test]
    fn frames_that_follow_each_other_in_their_file_are_one_piece() {
        let mut tables = Tables::default();
        for (time, offset) in [(0, 50), (100, 60), (200, 90)] {
            tables.push(placed(time, time, offset));
        }
        let pieces: Vec<_> = tables.pieces.iter().map(|p| (p.offset, p.bytes, p.samples)).collect();
        assert_eq!(pieces, [(50, 20, 2), (90, 10, 1)]);
        assert_eq!(tables.data_bytes(), 30);
    }

    #[test]
    fn absurd_times_do_not_overflow() {
        let mut tables = Tables::default();
        for (decode, presentation) in [(0, i64::MIN), (i64::MAX, i64::MAX), (i64::MIN, 0), (i64::MAX, i64::MIN)] {
            tables.push(placed(decode, presentation, 0));
        }
        assert_eq!(tables.composition_offsets().iter().map(|run| run.0).sum::<u32>(), 4);
        tables.duration();
    }
}

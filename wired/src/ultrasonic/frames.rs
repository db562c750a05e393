//! Frames out of a stream of bytes that may begin anywhere, and in which bytes may be lost, doubled or wrong.

/// The first byte of a frame.
const HEAD: u8 = 0xff;
const FRAME: usize = 4;

/// What came in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Frames whose sum was right.
    pub frames: u64,
    /// Frames whose sum was wrong.
    pub wrong_sums: u64,
    /// Bytes that belong to no frame.
    pub strays: u64,
}

/// Finds frames. After a wrong sum it looks for the next head within the bytes that it has, so that a frame behind
/// a lost byte is found.
#[derive(Debug, Clone, Default)]
pub struct Frames {
    held: Vec<u8>,
    counts: Counts,
}

impl Frames {
    /// What came in so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Takes a byte; gives a distance, millimetres, when a frame is whole.
    pub fn push(&mut self, byte: u8) -> Option<u16> {
        self.held.push(byte);
        self.drop_strays();
        let &[_, high, low, sum] = self.held.as_slice() else {
            return None;
        };
        if HEAD.wrapping_add(high).wrapping_add(low) == sum {
            self.counts.frames += 1;
            self.held.clear();
            return Some(u16::from_be_bytes([high, low]));
        }
        self.counts.wrong_sums += 1;
        self.counts.strays += 1;
        self.held.remove(0);
        self.drop_strays();
        None
    }

    fn drop_strays(&mut self) {
        let strays = self.held.iter().take_while(|byte| **byte != HEAD).count();
        self.counts.strays += u64::try_from(strays).unwrap_or(u64::MAX);
        self.held.drain(..strays);
        debug_assert!(self.held.len() <= FRAME);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frame(mm: u16) -> [u8; 4] {
        let [high, low] = mm.to_be_bytes();
        [HEAD, high, low, HEAD.wrapping_add(high).wrapping_add(low)]
    }

    fn read(bytes: &[u8]) -> (Vec<u16>, Counts) {
        let mut frames = Frames::default();
        let found = bytes.iter().filter_map(|byte| frames.push(*byte)).collect();
        (found, frames.counts())
    }

    #[test]
    fn the_example_of_the_manual() {
        // DFRobot: FF 07 A1 A7 is 1,953 mm.
        assert_eq!(read(&[0xff, 0x07, 0xa1, 0xa7]).0, [1_953]);
    }

    #[test]
    fn a_frame_is_found_behind_noise_half_a_frame_and_a_wrong_sum() {
        let mut bytes = vec![0x00, 0x12];
        bytes.extend(&frame(1_000)[2..]);
        bytes.extend(frame(2_000));
        bytes.extend([0xff, 0x01, 0x02, 0x00]);
        bytes.extend(frame(3_000));
        let (found, counts) = read(&bytes);
        assert_eq!(found, [2_000, 3_000]);
        assert_eq!((counts.frames, counts.wrong_sums), (2, 1));
    }

    #[test]
    fn a_byte_that_is_lost_costs_its_frame_only() {
        for lost in 0..4 {
            let mut bytes = [frame(1_000), frame(1_500), frame(2_000)].concat();
            bytes.remove(4 + lost);
            let (found, _) = read(&bytes);
            assert_eq!(found, [1_000, 2_000], "byte {lost}");
        }
    }

    proptest! {
        #[test]
        fn every_byte_is_counted_once(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut frames = Frames::default();
            let found = bytes.iter().filter_map(|byte| frames.push(*byte)).count();
            let counts = frames.counts();
            prop_assert_eq!(counts.frames, found as u64);
            let held = frames.held.len() as u64;
            prop_assert_eq!(counts.frames * FRAME as u64 + counts.strays + held, bytes.len() as u64);
        }
    }
}

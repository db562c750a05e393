//! Access units as byte streams with start codes (H.264 and H.265, Annex B each).

use crate::config::Codec;

/// Leaves out the slices of keyframes; parameter sets and everything else stay.
pub fn without_keyframe(bytes: &[u8], codec: Codec) -> Vec<u8> {
    let mut kept = Vec::with_capacity(bytes.len().min(4_096));
    for unit in units(bytes).filter(|unit| !is_keyframe_slice(unit, codec)) {
        kept.extend_from_slice(&[0, 0, 0, 1]);
        kept.extend_from_slice(unit);
    }
    kept
}

/// The network abstraction layer units of an access unit, without start codes.
pub fn units(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let starts = bytes
        .windows(3)
        .enumerate()
        .filter(|(_, window)| *window == [0, 0, 1])
        .map(|(position, _)| position);
    let ends = starts.clone().skip(1).chain([bytes.len()]);
    starts.zip(ends).filter_map(|(start, end)| {
        let unit = bytes.get(start + 3..end)?;
        let zeros = unit.iter().rev().take_while(|&&byte| byte == 0).count();
        unit.get(..unit.len() - zeros).filter(|unit| !unit.is_empty())
    })
}

/// Whether a unit belongs to a picture at which decoding can begin.
pub fn is_keyframe_slice(unit: &[u8], codec: Codec) -> bool {
    let first = unit.first().copied().unwrap_or(0);
    match codec {
        Codec::H264 => first & 0x1F == 5,
        Codec::H265 => (16..=21).contains(&(first >> 1 & 0x3F)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_found_behind_start_codes_of_three_and_four_bytes() {
        let bytes = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x68, 8, 0, 0, 0, 1, 0x65, 7];
        assert_eq!(
            units(&bytes).collect::<Vec<_>>(),
            [&[0x67, 9][..], &[0x68, 8], &[0x65, 7]]
        );
        assert_eq!(units(&[1, 2, 3]).count(), 0);
        assert_eq!(units(&[0, 0, 1]).count(), 0);
    }

    #[test]
    fn only_the_slices_of_keyframes_are_left_out() {
        let h264 = [0, 0, 0, 1, 0x67, 9, 0, 0, 1, 0x65, 7, 0, 0, 1, 0x41, 6];
        assert_eq!(
            without_keyframe(&h264, Codec::H264),
            [0, 0, 0, 1, 0x67, 9, 0, 0, 0, 1, 0x41, 6]
        );
        let h265 = [0, 0, 0, 1, 0x42, 1, 9, 0, 0, 1, 0x28, 1, 7, 0, 0, 1, 0x02, 1, 6];
        assert_eq!(
            without_keyframe(&h265, Codec::H265),
            [0, 0, 0, 1, 0x42, 1, 9, 0, 0, 0, 1, 0x02, 1, 6]
        );
    }
}

//! Changes to RTP and RTCP packets (RFC 3550), for faults on the wire; and what a receiver counts.

use crate::config::Codec;
use std::time::Duration;

/// Length of an RTP header without contributing sources and extension.
const RTP_HEADER_BYTES: usize = 12;
/// Packet type of an RTCP sender report.
const SENDER_REPORT: u8 = 200;

/// Moves the timestamp of an RTP packet; what is no RTP packet stays as it is.
pub fn move_rtp_timestamp(packet: &mut [u8], offset: u32) {
    if let Some(field) = packet.get_mut(4..8).and_then(|field| field.first_chunk_mut::<4>()) {
        *field = u32::from_be_bytes(*field).wrapping_add(offset).to_be_bytes();
    }
}

/// Moves the wall clock in the sender report of an RTCP packet.
///
/// A sender report is always the first part of a compound packet (RFC 3550, 6.1). Whole seconds only.
pub fn move_sender_clock(packet: &mut [u8], clock_error: Duration) {
    if packet.get(1) != Some(&SENDER_REPORT) {
        return;
    }
    let seconds = u32::try_from(clock_error.as_secs()).unwrap_or(u32::MAX);
    if let Some(field) = packet.get_mut(8..12).and_then(|field| field.first_chunk_mut::<4>()) {
        *field = u32::from_be_bytes(*field).wrapping_add(seconds).to_be_bytes();
    }
}

/// What an RTP packet of video says about frames: whether it is the last of one, and whether it begins a keyframe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameMark {
    /// The marker bit: the last packet of a frame.
    pub ends_frame: bool,
    /// A slice of a keyframe begins in this packet; a keyframe can have several.
    pub begins_keyframe: bool,
    /// The RTP timestamp, the same for all packets of a frame.
    pub timestamp: u32,
}

/// Looks into an RTP packet of H.264 (RFC 6184) or H.265 (RFC 7798); none if it is too short.
pub fn frame_mark(packet: &[u8], codec: Codec) -> Option<FrameMark> {
    let sources = usize::from(packet.first()? & 0x0F);
    let mut payload = packet.get(RTP_HEADER_BYTES + 4 * sources..)?;
    if packet.first()? & 0x10 != 0 {
        let words = u16::from_be_bytes([*payload.get(2)?, *payload.get(3)?]);
        payload = payload.get(4 + 4 * usize::from(words)..)?;
    }
    let ends_frame = packet.get(1)? & 0x80 != 0;
    let begins_keyframe = match codec {
        Codec::H264 => match payload.first()? & 0x1F {
            5 => true,
            24 => aggregated(payload.get(1..)?).any(|unit| crate::annexb::is_keyframe_slice(unit, codec)),
            28 => payload.get(1)? & 0x9F == 0x85,
            _ => false,
        },
        Codec::H265 => match payload.first()? >> 1 & 0x3F {
            48 => aggregated(payload.get(2..)?).any(|unit| crate::annexb::is_keyframe_slice(unit, codec)),
            49 => payload.get(2)? & 0x80 != 0 && (16..=21).contains(&(payload.get(2)? & 0x3F)),
            kind => (16..=21).contains(&kind),
        },
    };
    let timestamp = packet
        .get(4..)?
        .first_chunk::<4>()
        .map(|field| u32::from_be_bytes(*field))?;
    Some(FrameMark {
        ends_frame,
        begins_keyframe,
        timestamp,
    })
}

/// Units that were put together into one packet, each behind its length.
fn aggregated(mut rest: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (unit, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        rest = after;
        Some(unit)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(second: u8, payload: &[u8]) -> Vec<u8> {
        [&[0x80, second, 0, 1, 0xFF, 0xFF, 0xFF, 0xFE, 1, 2, 3, 4], payload].concat()
    }

    #[test]
    fn an_rtp_timestamp_moves_over_the_end_of_32_bits() {
        let mut packet = rtp(96, &[1]);
        move_rtp_timestamp(&mut packet, 3);
        assert_eq!(packet[4..8], [0, 0, 0, 1]);
        move_rtp_timestamp(&mut [0x80, 96], 3);
    }

    #[test]
    fn only_sender_reports_are_changed() {
        let mut report = vec![
            0x80, 200, 0, 6, 1, 2, 3, 4, 0, 0, 0, 1, 9, 9, 9, 9, 0, 0, 0, 2, 0, 0, 0, 0,
        ];
        move_sender_clock(&mut report, Duration::from_secs(3_600));
        assert_eq!(report[8..20], [0, 0, 0x0E, 0x11, 9, 9, 9, 9, 0, 0, 0, 2]);
        let receiver_report = vec![0x80, 201, 0, 1, 1, 2, 3, 4, 0, 0, 0, 1];
        let mut same = receiver_report.clone();
        move_sender_clock(&mut same, Duration::from_secs(3_600));
        assert_eq!(same, receiver_report);
    }

    #[test]
    fn keyframes_are_found_in_single_aggregated_and_fragmented_units() {
        let begins = |payload: &[u8], codec| frame_mark(&rtp(96, payload), codec).unwrap().begins_keyframe;
        assert!(begins(&[0x65, 1], Codec::H264));
        assert!(begins(&[0x78, 0, 1, 0x67, 0, 2, 0x65, 1], Codec::H264));
        assert!(begins(&[0x7C, 0x85, 1], Codec::H264));
        assert!(
            !begins(&[0x7C, 0x05, 1], Codec::H264),
            "a later fragment begins nothing"
        );
        assert!(!begins(&[0x41, 1], Codec::H264));
        assert!(begins(&[0x26, 1, 1], Codec::H265));
        assert!(begins(&[0x62, 1, 0x93, 1], Codec::H265));
        assert!(!begins(&[0x02, 1, 1], Codec::H265));
    }

    #[test]
    fn the_marker_ends_a_frame_and_short_packets_say_nothing() {
        assert!(frame_mark(&rtp(0xE0, &[0x41, 1]), Codec::H264).unwrap().ends_frame);
        assert_eq!(frame_mark(&[0x80; 11], Codec::H264), None);
        assert_eq!(frame_mark(&rtp(96, &[]), Codec::H265), None);
        let mut extended = rtp(96, &[0, 0, 0, 9, 0x65]);
        extended[0] |= 0x10;
        assert_eq!(frame_mark(&extended, Codec::H264), None);
    }
}

//! What can be wrong with a camera.
//!
//! A camera has one fault at a time; the next one replaces it. A fault works at one of three places: on the picture
//! before it is encoded, on the access units and packets, or on connections.

use crate::scene::painter::{Lens, View};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How far the clock of a camera with [`Fault::WrongClock`] is ahead.
pub const CLOCK_ERROR: Duration = Duration::from_secs(3_600);
/// How far timestamps jump at [`Fault::TimeJump`].
pub const TIME_JUMP: Duration = Duration::from_secs(3 * 3_600);
/// One of so many packets is lost at [`Fault::Loss`].
pub const LOSS_ONE_IN: u32 = 10;

/// A fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// The camera is healthy.
    #[default]
    None,
    /// The same picture again and again; timestamps advance; text clock and timecode stand still.
    Freeze,
    /// Black, without texts.
    Black,
    /// The lens is covered: black, with texts.
    Covered,
    /// Far out of focus.
    Blur,
    /// The camera was turned and magnifies.
    Moved,
    /// No keyframe is sent from now on, to nobody.
    NoKeyframes,
    /// Sender reports and text clock are an hour ahead.
    WrongClock,
    /// The password is another one; the clients are disconnected.
    Auth,
    /// Connections stay open, but nothing is sent any more, no answer to a request either.
    Stall,
    /// All connections are reset; new ones are too.
    Drop,
    /// One of ten RTP packets is lost.
    Loss,
    /// Another resolution in the same session.
    Resolution,
    /// The RTP timestamps jump by three hours, once; the end of the fault does not jump back.
    TimeJump,
    /// The stream ends, once: RTCP BYE. Who connects when all clients have left gets a new stream.
    Eos,
}

impl Fault {
    /// What lies between scene and sensor.
    pub fn lens(self) -> Lens {
        match self {
            Self::Black => Lens::Dead,
            Self::Covered => Lens::Covered,
            Self::Blur => Lens::Blurred,
            _ => Lens::Clear,
        }
    }

    /// Where the camera looks.
    pub fn view(self) -> View {
        if self == Self::Moved {
            View::MOVED
        } else {
            View::INSTALLED
        }
    }

    /// How far the clock of the camera is ahead.
    pub fn clock_error(self) -> Duration {
        if self == Self::WrongClock {
            CLOCK_ERROR
        } else {
            Duration::ZERO
        }
    }

    /// Whether existing connections end when the fault begins.
    pub fn disconnects(self) -> bool {
        matches!(self, Self::Auth | Self::Drop)
    }

    /// Size of the picture of a stream that normally has this size: two thirds of it at [`Fault::Resolution`].
    pub fn resolution(self, width: u32, height: u32) -> (u32, u32) {
        if self == Self::Resolution {
            (((width * 2 / 3) & !15).max(160), ((height * 2 / 3) & !1).max(90))
        } else {
            (width, height)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_the_names_that_commands_use() {
        for (fault, name) in [
            (Fault::NoKeyframes, "no_keyframes"),
            (Fault::Eos, "eos"),
            (Fault::TimeJump, "time_jump"),
        ] {
            assert_eq!(serde_json::to_value(fault).unwrap(), name);
        }
    }

    #[test]
    fn another_resolution_is_a_possible_one() {
        assert_eq!(Fault::Resolution.resolution(1920, 1080), (1280, 720));
        assert_eq!(Fault::Resolution.resolution(640, 360), (416, 240));
        assert_eq!(Fault::Freeze.resolution(640, 360), (640, 360));
    }
}

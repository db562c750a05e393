//! Whether a camera gives usable pictures, and if not, why, since when, and what to do. A pure machine for one camera.
//!
//! Everything goes through [`HealthMachine::step`]: what the ingest says of the connection, its statistics once a
//! second, the camera's clock, and measures of decoded keyframes. Out come [`Effect`]s. Times are on a monotonic axis
//! that counts suspend; the caller turns them into civil time.
//!
//! # States, first that holds
//!
//! 1. The stream: `offline`, `auth_failed`, `auth_unsupported`, `stalled`, `no_keyframes`, `connecting`. Without a
//!    stream nothing can be said of the picture; what was found before is kept until pictures come again.
//! 2. `black`: a black picture never changes and has no detail, so it would be frozen and blurred too.
//! 3. `frozen`: an old picture says nothing about lens and view now.
//! 4. `blurred`: without detail there are no edges that could have moved.
//! 5. `moved`.
//! 6. `wrong_clock`: the picture is of use all the same.
//! 7. `up`.
//!
//! # Time
//!
//! The stream is lost when no frame came for `max(5 s, 10 / fps)` and the reason is known, or for lack of a keyframe
//! for `max(15 s, 2 x GOP)`; connecting takes at most 10 s. While attempts follow one another, the state is that of the
//! last failure, not `connecting`.
//!
//! A fault of the picture is named after two pictures that agree, `frozen` after three that are alike or two and
//! frames that say the same, and gone after two that agree on that. Pictures come at the caller's pace, about one in 4 s. As soon as one is bad, or the statistics make
//! suspicious (`hints`), [`Effect::RequestPicture`] asks for every keyframe. With a keyframe every 2 s that is at most
//! 8 s from the start of a fault to its name, and 5 s from its end.
//!
//! A camera's clock is measured by its sender reports, about one in 5 s. One report is believed when it is far off, or
//! right; two when it is off by so little that the network may have kept it back.
//!
//! # Verdicts
//!
//! In `sight`: each compares measures with limits, most of them with the camera's own [`Baseline`], and gives the
//! numbers ([`Evidence`]). A baseline is learnt only while nothing is wrong or suspect. It may be lost: then there is
//! no verdict that needs it until it is learnt again.
//!
//! # Records
//!
//! At most [`RECORDS_PER_HOUR_MAX`] an hour; what goes beyond is counted, and when the hour is over, the count and the
//! state of things are written (`damper`).

mod baseline;
mod catalogue;
mod damper;
mod event;
mod frozen;
mod hints;
mod machine;
mod map;
mod moved;
mod sight;
mod stream;

#[cfg(test)]
mod tests;

pub use baseline::Baseline;
pub use catalogue::{cause_text, measure_text, state_text, what_to_do};
pub use damper::RECORDS_PER_HOUR_MAX;
pub use event::{
    Cause, ClockQuality, Effect, Event, Evidence, Failure, Health, HourOfDay, Limit, Measure, Now, Record, State,
    Statistics, Tampering,
};
pub use machine::HealthMachine;

//! Sessions: what is seen is written once it has settled; short gaps merge; short stays are drop-offs.

mod support;

use support::{Timetable, site};

#[test]
fn a_stay_is_written_when_the_merge_gap_and_the_settling_time_have_passed() {
    let mut day = Timetable::new(&site(&["A1"]));
    day.play(
        "06:59 A1 heartbeat free
         07:00 A1 occupied
         07:50 A1 heartbeat occupied
         08:10 A1 free
         08:11:30 > session 1 A1 07:00-08:10 parked 2000
         09:00 A1 heartbeat free",
    );
}

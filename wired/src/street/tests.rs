//! What is made up follows from its seed, and looks like what it is said to be.

use super::*;

#[test]
fn a_trace_follows_from_its_seed() {
    let [a, b, c] = [1, 1, 2].map(|seed| trace(Scenario::Everything, seed, 1.0));
    assert_eq!(a.samples, b.samples);
    assert_eq!(a.stays, b.stays);
    assert_ne!(a.samples, c.samples);
}

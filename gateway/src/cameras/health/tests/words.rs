//! The catalogue has both languages for everything.

use super::super::*;
use crate::words::Text;

#[test]
fn every_state_cause_and_measure_has_a_text_in_both_languages() {
    let states = State::ALL.map(state_text).into_iter();
    let causes = Cause::ALL.map(cause_text).into_iter().chain(Cause::ALL.map(what_to_do));
    let measures = Measure::ALL.map(measure_text).into_iter();
    for Text { id, en } in states.chain(causes).chain(measures) {
        assert!(!id.is_empty() && !en.is_empty());
        assert!(id == "normal" || id != en, "{id}");
        assert_eq!(id.ends_with('.'), en.ends_with('.'), "{id}");
        assert!(id.len() <= 130 && en.len() <= 130, "{en}");
        assert!(!en.contains('{') && !id.contains('{'));
    }
}

#[test]
fn every_failure_and_fault_says_something_of_its_own() {
    let mut said: Vec<&str> = Cause::ALL.iter().map(|cause| cause_text(*cause).id).collect();
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), Cause::ALL.len());
}

#[test]
fn all_lists_are_complete() {
    // A name that is missing in a list would be an unknown name when read back.
    for state in State::ALL {
        let name = serde_json::to_string(&state).unwrap();
        assert_eq!(serde_json::from_str::<State>(&name).unwrap(), state);
    }
    let mut causes = Cause::ALL.to_vec();
    causes.dedup();
    assert_eq!(causes.len(), Cause::ALL.len());
    assert_eq!(
        Cause::ALL.last().map(|cause| *cause as usize),
        Some(Cause::ALL.len() - 1)
    );
    assert_eq!(
        State::ALL.last().map(|state| *state as usize),
        Some(State::ALL.len() - 1)
    );
    assert_eq!(
        Measure::ALL.last().map(|measure| *measure as usize),
        Some(Measure::ALL.len() - 1)
    );
}

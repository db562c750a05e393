//! What is made of a silence once it is over: the first word after it, and evidence that fills it later.
//!
//! A silence between two states that differ ends with a change, and the report tells what can be known of it. A silence
//! with the same state on both sides is kept as a [`Gap`]: until the state ends, the previous state or the total of
//! changes that the sensor tells may yet prove that nothing happened in it, and then it is *bridged*.

use serde::{Deserialize, Serialize};

use super::{Began, Limits, Walk};
use crate::event::{Event, Said};
use crate::stay::Edge;
use crate::timeline::SpaceState;
use crate::{Flag, Timestamp};

/// Silences within one state that are remembered because evidence may yet bridge them.
const GAPS_MAX: usize = 32;

/// A silence with the same state before and behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gap {
    pub from: Timestamp,
    pub until: Timestamp,
    /// The sensor's total of changes, seen before it in the same state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    changes: Option<u32>,
}

impl Walk {
    /// The first state said after a silence, or ever.
    pub(super) fn heard_again(
        &mut self,
        event: &Event,
        said: Said,
        heard: Timestamp,
        was: Option<bool>,
        limits: &Limits,
    ) {
        let occupied = said.occupied == Some(true);
        self.extend(event.at, SpaceState::Unknown);
        let is_change = was == Some(!occupied);
        if is_change || said.change {
            if is_change && let Some(began) = Began::of(event, said) {
                self.bridge(|gap| began.covers(gap.from));
            }
            self.flip(event.at, u32::from(is_change));
        }
        match (said.change, Began::of(event, said)) {
            (true, Some(began)) => self.dated_return(event, heard, was, occupied, began, limits),
            (true, None) => {
                self.doubt_silence(heard, event.at, (was, !occupied), limits);
                self.undated_return(event, heard, was, occupied);
            }
            (false, _) => {
                self.doubt_silence(heard, event.at, (was, occupied), limits);
                self.quiet_return(event, heard, was, occupied, limits);
            }
        }
    }

    /// After a silence: a change, and how long the state before it had lasted.
    fn dated_return(
        &mut self,
        event: &Event,
        heard: Timestamp,
        was: Option<bool>,
        occupied: bool,
        began: Began,
        limits: &Limits,
    ) {
        let said = self.said.unwrap_or(heard);
        let covered = was == Some(!occupied) && began.covers(heard);
        let floor = said.max(event.at.plus_seconds(-limits.stay_max_s));
        let begin = began.within(floor, event.at);
        let known_from = if covered { heard } else { begin.point };
        self.line.repaint(known_from, event.at, SpaceState::of(!occupied));
        if covered {
            self.settle_doubts(began);
        } else {
            // Until the state that ends now had begun.
            let until = if occupied { begin.point } else { begin.earliest() };
            self.doubt_silence(heard, until, (was, occupied), limits);
        }
        if occupied {
            if was == Some(true) {
                let end = Edge::within(begin.point, said, begin.latest());
                self.close(end, event, &[Flag::EndInferred]);
            } else if was == Some(false) && began.is_after(heard) {
                // It was free before the silence and became free anew in it: somebody came and went.
                self.open(Edge::between(said, begin.point), event, &[Flag::StartInferred], false);
                self.close(begin, event, &[Flag::EndInferred]);
            }
            self.open(Edge::seen(event.at), event, &[], false);
        } else if covered {
            self.close(Edge::seen(event.at), event, &[Flag::Bridged]);
        } else {
            // It was occupied until now, but not by the vehicle from before the silence.
            if was == Some(true) {
                self.close(
                    Edge::within(heard.min(begin.point), said, begin.latest()),
                    event,
                    &[Flag::BeforeGap],
                );
            }
            self.open(begin, event, &[Flag::StartInferred], false);
            self.close(Edge::seen(event.at), event, &[]);
        }
        self.since = Some(Edge::seen(event.at));
    }

    /// After a silence: a change, without word on the state before it.
    fn undated_return(&mut self, event: &Event, heard: Timestamp, was: Option<bool>, occupied: bool) {
        let said = self.said.unwrap_or(heard);
        match (was, occupied) {
            (Some(true), true) => {
                self.close(Edge::within(heard, said, event.at), event, &[Flag::BeforeGap]);
                self.open(Edge::seen(event.at), event, &[], false);
            }
            (_, true) => self.open(Edge::seen(event.at), event, &[], false),
            (Some(true), false) => self.close(Edge::within(event.at, said, event.at), event, &[Flag::BeforeGap]),
            (Some(false), false) => {
                self.open(Edge::between(said, event.at), event, &[Flag::StartInferred], false);
                self.close(Edge::seen(event.at), event, &[]);
            }
            (None, false) => {}
        }
        self.since = Some(Edge::seen(event.at));
    }

    /// After a silence: a heartbeat.
    fn quiet_return(&mut self, event: &Event, heard: Timestamp, was: Option<bool>, occupied: bool, limits: &Limits) {
        let said = self.said.unwrap_or(heard);
        let earliest = said.max(event.at.plus_seconds(-limits.stay_max_s));
        let begin = Edge::within(event.at, earliest, event.at);
        if was == Some(true) {
            self.close(Edge::within(heard, said, event.at), event, &[Flag::BeforeGap]);
        }
        if occupied {
            let continues = was == Some(true);
            let flag = if continues { Flag::AfterGap } else { Flag::StartInferred };
            self.open(begin, event, &[flag], continues);
        }
        if was == Some(occupied) {
            self.gaps.push(Gap {
                from: heard,
                until: event.at,
                changes: self.changes,
            });
            if self.gaps.len() > GAPS_MAX {
                self.gaps.remove(0);
            }
        }
        self.since = Some(begin);
    }

    /// Fills the last silences within the present state, as long as `proven` holds for them. Whether it filled any.
    pub(super) fn bridge(&mut self, proven: impl Fn(&Gap) -> bool) -> bool {
        let mut bridged = false;
        while let Some(gap) = self.gaps.pop_if(|gap| proven(gap)) {
            bridged = true;
            self.doubts
                .retain(|doubt| (doubt.from, doubt.until) != (gap.from, gap.until));
            self.line
                .repaint(gap.from, gap.until, SpaceState::of(self.state == Some(true)));
            let joins = self
                .stays
                .last()
                .is_some_and(|stay| stay.continues && stay.end.is_none());
            if self.state == Some(true) && joins && self.stays.len() > 1 {
                self.join_last_two();
            }
        }
        bridged
    }

    fn join_last_two(&mut self) {
        let Some(open) = self.stays.pop() else { return };
        self.opened = self.opened.wrapping_sub(1);
        if let Some(stay) = self.stays.last_mut() {
            stay.end = None;
            stay.unset = stay.unset.or(open.unset);
            stay.unflag(Flag::BeforeGap);
            stay.flag(Flag::Bridged);
            self.since = Some(stay.start);
        }
    }

    /// The sensor's total of changes came: if it is what it was before a silence, nothing changed in it.
    pub(super) fn count_changes(&mut self, at: Timestamp, changes: Option<u32>) {
        if let Some(total) = changes {
            self.bridge(|gap| gap.changes == changes);
            self.changes = changes;
            self.total(at, total);
        }
    }
}

//! Which sensor watches which space: bindings that begin and end while the tracker runs, and whose a reading is.

use super::SiteTracker;
use crate::event::What;
use crate::{Binding, Reading, RecordBody, SpaceId, Stamp, Timestamp};

impl SiteTracker {
    /// Ends the bindings that end by now, and begins those that begin.
    pub(super) fn rebind(&mut self, now: Stamp, bodies: &mut Vec<RecordBody>) {
        let plan = self.site.bindings.clone();
        self.unbind(now, &plan, bodies);
        for binding in &plan {
            let span = binding.during;
            let in_force = span.from <= now.at && span.until.is_none_or(|until| now.at < until);
            if in_force && !self.bound.iter().any(|known| is_same_binding(known, binding)) {
                self.happen(&binding.space, now, span.from, What::Bound(binding.sensor.clone()));
                bodies.push(binding_record(binding, None));
                self.bound.push(binding.clone());
            }
        }
        let begins = plan.iter().map(|binding| binding.during.from);
        let ends = self.bound.iter().filter_map(|binding| binding.during.until);
        self.next_binding = begins.chain(ends).filter(|time| *time > now.at).min();
    }

    /// Ends the bindings that `plan` ends by now or does not hold any more.
    pub(super) fn unbind(&mut self, now: Stamp, plan: &[Binding], bodies: &mut Vec<RecordBody>) {
        for mut binding in std::mem::take(&mut self.bound) {
            let planned = plan.iter().find(|planned| is_same_binding(&binding, planned));
            let until = planned.map_or(Some(now.at), |planned| planned.during.until);
            if let Some(ended) = until.filter(|until| *until <= now.at) {
                self.happen(&binding.space, now, ended, What::Unbound);
                bodies.push(binding_record(&binding, Some(ended)));
            } else {
                binding.during.until = until;
                self.bound.push(binding);
            }
        }
    }

    /// The space that a reading's sensor was bound to when it spoke; if that is not known, the one that it is bound to.
    pub(super) fn space_of(&self, reading: &Reading, unset: bool) -> Option<SpaceId> {
        let is_its = |binding: &&Binding| binding.sensor == reading.sensor;
        let at = reading.observed.min(reading.received.at).floor_to_second();
        let holds = |binding: &&Binding| {
            binding.during.from <= at && binding.during.until.is_none_or(|until| at < until.floor_to_second())
        };
        let bindings = &self.site.bindings;
        let found = if unset {
            let now = self.bound.iter().find(is_its);
            now.or_else(|| bindings.iter().rfind(is_its))
        } else {
            bindings.iter().filter(is_its).find(holds)
        };
        found.map(|binding| binding.space.clone())
    }
}

/// Whether both are the same binding, the end or begin of which may have been edited.
fn is_same_binding(a: &Binding, b: &Binding) -> bool {
    let overlap = |a: &Binding, b: &Binding| b.during.until.is_none_or(|until| a.during.from < until);
    a.sensor == b.sensor && a.space == b.space && overlap(a, b) && overlap(b, a)
}

fn binding_record(binding: &Binding, until: Option<Timestamp>) -> RecordBody {
    RecordBody::Binding {
        sensor: binding.sensor.clone(),
        space: binding.space.clone(),
        from: binding.during.from,
        until,
    }
}

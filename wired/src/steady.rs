//! What shows two states and bounces between them, made steady.

/// A state has to hold for a time before it counts, the first one too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Steady {
    hold_s: f64,
    state: Option<bool>,
    /// Another state, and since when.
    coming: Option<(bool, f64)>,
}

/// The state is another.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Change {
    /// What it is now.
    pub is_active: bool,
    /// Since when.
    pub since_s: f64,
}

impl Steady {
    /// A state counts when it has held for `hold_s`; 0.05 s outlasts the bouncing of any relay.
    pub fn new(hold_s: f64) -> Self {
        Self {
            hold_s,
            state: None,
            coming: None,
        }
    }

    /// What is the case, once that is known.
    pub fn state(&self) -> Option<bool> {
        self.state
    }

    /// Takes what shows at a time.
    pub fn step(&mut self, at_s: f64, is_active: bool) -> Option<Change> {
        if self.state == Some(is_active) {
            self.coming = None;
            return None;
        }
        let since_s = match self.coming {
            Some((coming, since_s)) if coming == is_active => since_s,
            _ => at_s,
        };
        self.coming = Some((is_active, since_s));
        if at_s - since_s < self.hold_s {
            return None;
        }
        (self.state, self.coming) = (Some(is_active), None);
        Some(Change { is_active, since_s })
    }

    /// Nothing could be seen for a time: what was about to change has to hold anew.
    pub fn interrupted(&mut self) {
        self.coming = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bouncing_is_one_change_dated_by_its_last_bounce() {
        let mut steady = Steady::new(0.05);
        let shows = [
            (0.00, false),
            (0.06, false),
            (1.00, true),
            (1.01, false),
            (1.02, true),
            (1.03, false),
            (1.04, true),
            (1.08, true),
            (1.10, true),
            (1.20, true),
        ];
        let changes: Vec<Change> = shows.iter().filter_map(|(at, is)| steady.step(*at, *is)).collect();
        let expected = [(false, 0.0), (true, 1.04)].map(|(is_active, since_s)| Change { is_active, since_s });
        assert_eq!(changes, expected);
        assert_eq!(steady.state(), Some(true));
    }

    #[test]
    fn what_was_about_to_change_holds_anew_after_an_interruption() {
        let mut steady = Steady::new(1.0);
        steady.step(0.0, true);
        steady.step(1.0, true);
        steady.step(1.5, false);
        steady.interrupted();
        assert_eq!(steady.step(60.0, false), None);
        let since_s = 60.0;
        assert_eq!(
            steady.step(61.0, false),
            Some(Change {
                is_active: false,
                since_s
            })
        );
    }
}

//! How often the worker wakes up.
//!
//! A camera sends some hundred packets a second, and to wake for each costs more than to read it. While nobody watches,
//! nobody needs them at once: the thread sleeps for [`REST`] before it waits for anything, and then takes all that has
//! come. Nothing is lost meanwhile, the kernel keeps it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

/// A frame is taken at most so much later, and a command as well.
const REST: Duration = Duration::from_millis(80);

/// Counts the streams that play, and those of them that somebody watches.
#[derive(Debug, Clone, Default)]
pub struct Pace(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    playing: AtomicU32,
    watched: AtomicU32,
}

impl Pace {
    /// Called by the thread before it waits.
    pub fn rest(&self) {
        let (playing, watched) = (&self.0.playing, &self.0.watched);
        if playing.load(Ordering::Relaxed) > 0 && watched.load(Ordering::Relaxed) == 0 {
            std::thread::sleep(REST);
        }
    }

    /// A stream plays until the token is dropped.
    pub fn plays(&self) -> Playing {
        self.0.playing.fetch_add(1, Ordering::Relaxed);
        Playing {
            pace: self.clone(),
            watched: false,
        }
    }
}

/// A stream that plays.
#[derive(Debug)]
pub struct Playing {
    pace: Pace,
    watched: bool,
}

impl Playing {
    /// Whether somebody watches it.
    pub fn watched(&mut self, watched: bool) {
        if watched != std::mem::replace(&mut self.watched, watched) {
            if watched {
                self.pace.0.watched.fetch_add(1, Ordering::Relaxed);
            } else {
                self.pace.0.watched.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.watched(false);
        self.pace.0.playing.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn rests(pace: &Pace) -> bool {
        let before = Instant::now();
        pace.rest();
        before.elapsed() >= REST
    }

    #[test]
    fn the_worker_rests_while_something_plays_that_nobody_watches() {
        let pace = Pace::default();
        assert!(!rests(&pace));
        let mut main = pace.plays();
        let sub = pace.plays();
        assert!(rests(&pace));
        main.watched(true);
        assert!(!rests(&pace));
        drop(sub);
        assert!(!rests(&pace));
        main.watched(false);
        assert!(rests(&pace));
        drop(main);
        assert!(!rests(&pace));
    }
}

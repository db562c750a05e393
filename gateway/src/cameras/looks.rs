//! Pictures that one camera's task has asked for, and when it looks at one for health.
//!
//! A small picture is looked at at the configured pace. A large one costs more, in proportion to its size, and is looked
//! at more rarely, in the same proportion; and while looks find nothing, each pause is twice the one before, up to
//! [`STEADY_PAUSE_MAX`], or the first if that is longer. What changes a picture shows in the sizes of its frames, which
//! cost nothing to know: they are a reason to look at once, and the pause is short again from then on.

use std::pin::Pin;
use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use parking::{Stamp, Timestamp};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::picture::Features;
use super::pictures::{Made, PictureError, Pictures};
use super::ring::picture::key_sample;
use super::snapshot::{Snapshot, SnapshotError};
use super::stream::Key;

/// Pixels of a picture up to which the configured pace holds: 640 by 480, what small streams have at most.
const PICTURE_PIXELS: u32 = 640 * 480;
/// To this the pauses grow between looks at a large picture in which nothing happens.
const STEADY_PAUSE_MAX: Duration = Duration::from_secs(100);

/// Where somebody waits for a picture.
pub type Answer = oneshot::Sender<Result<Snapshot, SnapshotError>>;

type Making = Pin<Box<dyn Future<Output = Done> + Send>>;

struct Done {
    at_ns: u64,
    stamp: Stamp,
    made: Result<Made, PictureError>,
    answer: Option<Answer>,
}

/// A picture that was made for health.
pub struct Seen {
    /// When its keyframe was received.
    pub stream_time: Duration,
    /// What was measured.
    pub features: Box<Features>,
}

/// See the module.
pub struct Looks {
    pictures: Pictures,
    /// The camera's place in the configuration.
    camera: u16,
    pace: Pace,
    making: FuturesUnordered<Making>,
    is_looking: bool,
    /// A look is due, and waits for the next keyframe.
    is_wanted: bool,
    last_key_ns: u64,
    due: Instant,
    looked_at: Option<Timestamp>,
}

impl Looks {
    /// Looks of the camera at `camera` in the configuration, one `every` so often while its picture is small.
    pub fn new(pictures: Pictures, camera: u16, every: Duration) -> Self {
        Self {
            pictures,
            camera,
            pace: Pace { every, steady: 0 },
            making: FuturesUnordered::new(),
            is_looking: false,
            is_wanted: false,
            last_key_ns: 0,
            due: Instant::now(),
            looked_at: None,
        }
    }

    /// When the last picture that was looked at was received.
    pub fn looked_at(&self) -> Option<Timestamp> {
        self.looked_at
    }

    /// Whether the next keyframe should be looked at.
    pub fn is_wanted(&self) -> bool {
        self.is_wanted
    }

    /// Whether it is time to look without a reason.
    pub fn is_due(&self) -> bool {
        self.due <= Instant::now()
    }

    /// Looks because it is time to: at `key`, the newest there is, or, if it was looked at, at the next.
    pub fn by_pace(&mut self, key: Option<&Key>) {
        self.look(key);
    }

    /// Looks because something may be wrong.
    pub fn by_reason(&mut self, key: Option<&Key>) {
        self.pace.steady = 0;
        self.look(key);
    }

    fn look(&mut self, key: Option<&Key>) {
        if self.is_looking {
            return;
        }
        let new = key.filter(|key| key.at_ns != self.last_key_ns);
        self.is_wanted = new.is_none();
        if let Some(key) = new {
            self.last_key_ns = key.at_ns;
            let info = key.init.info();
            self.due = Instant::now() + self.pace.pause(info.width.into(), info.height.into());
            self.make(key, 0, None);
        }
    }

    /// Has a picture made for somebody.
    pub fn make_for(&mut self, key: &Key, width: u16, answer: Answer) {
        self.make(key, width, Some(answer));
    }

    fn make(&mut self, key: &Key, width: u16, answer: Option<Answer>) {
        let sample = match key_sample(&key.init, &key.chunk) {
            Ok(sample) => sample,
            Err(error) => {
                if let Some(answer) = answer {
                    let failed = PictureError::Failed(error.to_string());
                    answer.send(Err(failed.into())).ok();
                }
                return;
            }
        };
        self.is_looking |= answer.is_none();
        let (pictures, camera, at_ns, stamp) = (self.pictures.clone(), self.camera, key.at_ns, key.stamp);
        self.making.push(Box::pin(async move {
            let made = pictures.make(camera, sample, width).await;
            Done {
                at_ns,
                stamp,
                made,
                answer,
            }
        }));
    }

    /// The next picture that was made for health. What somebody waited for goes there. Safe to cancel.
    pub async fn seen(&mut self) -> Result<Seen, PictureError> {
        loop {
            let Some(done) = self.making.next().await else {
                std::future::pending::<()>().await;
                continue;
            };
            if let Some(answer) = done.answer {
                let snapshot = done.made.map(|made| Snapshot {
                    jpeg: made.jpeg,
                    stamp: done.stamp,
                });
                answer.send(snapshot.map_err(Into::into)).ok();
                continue;
            }
            self.is_looking = false;
            let made = done.made.inspect_err(|_| self.due = Instant::now() + self.pace.every)?;
            self.looked_at = Some(done.stamp.at);
            self.pace.looked();
            return Ok(Seen {
                stream_time: Duration::from_nanos(done.at_ns),
                features: made.features,
            });
        }
    }
}

/// How long to the next look without a reason.
#[derive(Debug, Clone, Copy)]
struct Pace {
    every: Duration,
    /// Looks since there was a reason for one.
    steady: u32,
}

impl Pace {
    fn looked(&mut self) {
        self.steady = self.steady.saturating_add(1);
    }

    fn pause(self, width: u32, height: u32) -> Duration {
        let larger = width.saturating_mul(height).div_ceil(PICTURE_PIXELS).max(1);
        if larger == 1 {
            return self.every;
        }
        let first = self.every.saturating_mul(larger);
        let grown = first.saturating_mul(2_u32.saturating_pow(self.steady));
        grown.min(first.max(STEADY_PAUSE_MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_secs(4);

    #[test]
    fn a_small_picture_is_looked_at_at_the_configured_pace_for_ever() {
        let mut pace = Pace {
            every: EVERY,
            steady: 0,
        };
        for _ in 0..100 {
            assert_eq!(pace.pause(640, 480), EVERY);
            pace.looked();
        }
    }

    #[test]
    fn a_large_picture_is_looked_at_ever_more_rarely_up_to_a_limit_until_there_is_a_reason() {
        let mut pace = Pace {
            every: EVERY,
            steady: 0,
        };
        let mut pauses = Vec::new();
        for _ in 0..40 {
            pauses.push(pace.pause(1_920, 1_080).as_secs());
            pace.looked();
        }
        assert_eq!(pauses.get(..4), Some([28, 56, 100, 100].as_slice()));
        assert_eq!(pauses.last(), Some(&100));
        pace.steady = 0;
        assert_eq!(pace.pause(1_280, 720).as_secs(), 12);
        assert_eq!(pace.pause(800, 600).as_secs(), 8);
    }

    #[test]
    fn a_pause_that_is_long_by_size_alone_does_not_grow() {
        let steady = Pace {
            every: EVERY,
            steady: 40,
        };
        assert_eq!(steady.pause(3_840, 2_160).as_secs(), 108);
        let rare = Pace {
            every: Duration::from_secs(3_600),
            steady: 40,
        };
        assert_eq!(rare.pause(1_920, 1_080).as_secs(), 7 * 3_600);
    }
}

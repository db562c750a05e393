//! Evidence pictures: which of them belongs to the begin or the end of which stay.
//!
//! The pictures themselves are files of the box. The tracker is told when a picture was taken, by which camera, and the
//! SHA-256 of its file; the session's record carries that on.
//!
//! What belongs to what is a function of the *set* of pictures and of the stays, so that neither the order in which
//! pictures and readings come nor their repetition matters. A picture belongs to the begin or end of a stay that is
//! nearest to it in time, if that is within [`TOLERANCE_S`]; at the same distance to a begin rather than to an end, as who
//! has come is seen more surely than who has left. Of several pictures of one camera at one moment the nearest is shown,
//! and of at most [`CAMERAS_MAX`] cameras.
//!
//! A picture is kept as long as the stay that it belongs to; one that belongs to none, until the horizon has passed it, as
//! a late reading may yet give it a stay.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::stay::Stay;
use crate::{BootId, CameraId, Sha256, SpaceId, Timestamp};

/// How far from the begin or end of a stay a picture of it may have been taken, seconds. A sensor takes some seconds to
/// notice a vehicle, and a camera that keeps only some pictures has one of about the time.
const TOLERANCE_S: i64 = 120;
/// Cameras of which a picture is shown at one moment: those with the nearest ones. Pictures of further ones are kept but
/// not shown.
const CAMERAS_MAX: usize = 2;
/// Most pictures kept of one space. When there are more, the oldest are dropped; sessions that they belong to stay as they
/// were written.
const PICTURES_MAX: usize = 512;
/// Pictures kept when there were too many.
const PICTURES_KEPT: usize = PICTURES_MAX * 3 / 4;

/// A picture that a camera took of a space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Picture {
    /// The space.
    pub space: SpaceId,
    /// The camera.
    pub camera: CameraId,
    /// When it was taken, on the box's axis.
    pub at: Timestamp,
    /// The boot, if its clock was not set when the picture was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unset: Option<BootId>,
    /// SHA-256 of its file.
    pub sha256: Sha256,
}

/// A picture as a session's record names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionPicture {
    /// What it shows.
    pub of: Moment,
    /// The camera.
    pub camera: CameraId,
    /// When it was taken, whole seconds.
    pub at: Timestamp,
    /// SHA-256 of its file.
    pub sha256: Sha256,
}

/// A moment of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Moment {
    /// Its begin.
    Start,
    /// Its end.
    End,
}

/// A picture of the space that it is kept for. Ordered by time first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Kept {
    /// Where it stands among the events of its space; whole seconds.
    at: Timestamp,
    /// When it was taken, as the box was told.
    taken: Timestamp,
    camera: CameraId,
    sha256: Sha256,
    /// The boot whose unset clock dated it, until that is corrected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    unset: Option<BootId>,
}

/// A begin or end of a stay.
struct Edge {
    at: Timestamp,
    of: Moment,
    /// Place of the stay.
    stay: usize,
}

/// The pictures of one space.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pictures {
    /// In order.
    kept: Vec<Kept>,
    /// The time of the last one that was dropped because there were too many. What is not after it can no longer be added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    full_until: Option<Timestamp>,
}

impl Pictures {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds a picture. One that an unset clock dated stands no earlier than `last`, the last event of the space. Whether it
    /// is new.
    pub fn take(&mut self, picture: Picture, last: Timestamp) -> bool {
        let floor = picture.unset.map_or(picture.at, |_| last);
        let picture = Kept {
            at: picture.at.max(floor).floor_to_second(),
            taken: picture.at,
            camera: picture.camera,
            sha256: picture.sha256,
            unset: picture.unset,
        };
        let is_known = |known: &Kept| {
            (known.taken, &known.camera, known.sha256) == (picture.taken, &picture.camera, picture.sha256)
        };
        if self.kept.iter().any(is_known) || self.full_until.is_some_and(|until| picture.at <= until) {
            return false;
        }
        let place = self.kept.partition_point(|known| *known < picture);
        self.kept.insert(place, picture);
        true
    }

    /// What the sessions of `stays` show, by the stay's place; those that show nothing are left out.
    pub fn by_stay(&self, stays: &[Stay]) -> BTreeMap<usize, Vec<SessionPicture>> {
        let mut found: BTreeMap<(usize, Moment), Vec<(i64, &Kept)>> = BTreeMap::new();
        let edges = edges(stays);
        for picture in &self.kept {
            if let Some(edge) = nearest(&edges, picture.at) {
                let candidates = found.entry((edge.stay, edge.of)).or_default();
                candidates.push((distance_ms(edge, picture.at), picture));
            }
        }
        let mut shown: BTreeMap<usize, Vec<SessionPicture>> = BTreeMap::new();
        for ((stay, of), mut candidates) in found {
            candidates.sort();
            let mut cameras = BTreeSet::new();
            candidates.retain(|(_, picture)| cameras.insert(&picture.camera));
            candidates.truncate(CAMERAS_MAX);
            candidates.sort_by_key(|(_, picture)| &picture.camera);
            let pictures = candidates.into_iter().map(|(_, picture)| SessionPicture {
                of,
                camera: picture.camera.clone(),
                at: picture.at,
                sha256: picture.sha256,
            });
            shown.entry(stay).or_default().extend(pictures);
        }
        shown
    }

    /// Moves what the unset clock of `boot` dated, and what lies after `limit`, by `offset_ms`. Whether there was any.
    pub fn correct_clock(&mut self, boot: BootId, offset_ms: i64, limit: Timestamp) -> bool {
        let is_wrong = |picture: &&mut Kept| picture.unset == Some(boot) || picture.at > limit;
        let mut moved = false;
        for picture in self.kept.iter_mut().filter(is_wrong) {
            picture.taken = picture.taken.plus_millis(offset_ms);
            picture.at = picture.taken.floor_to_second();
            picture.unset = picture.unset.filter(|unset| *unset != boot);
            moved = true;
        }
        self.kept.sort();
        self.full_until = self.full_until.filter(|until| *until <= limit);
        moved
    }

    /// Forgets what belongs to the first `forgotten` of `stays`, and what is older than `limit` and belongs to none.
    pub fn forget(&mut self, stays: &[Stay], forgotten: usize, limit: Timestamp) {
        let is_old = self.kept.first().is_some_and(|picture| picture.at < limit);
        if forgotten == 0 && !is_old {
            return;
        }
        let edges = edges(stays);
        self.kept.retain(|picture| match nearest(&edges, picture.at) {
            Some(edge) => edge.stay >= forgotten,
            None => picture.at >= limit,
        });
    }

    /// Drops the oldest if there are too many. Gives the time until which a stay that began may have lost one.
    pub fn drop_surplus(&mut self) -> Option<Timestamp> {
        if self.kept.len() <= PICTURES_MAX {
            return None;
        }
        let last = self.kept.drain(..self.kept.len() - PICTURES_KEPT).next_back()?;
        self.full_until = Some(last.at);
        Some(last.at.plus_seconds(TOLERANCE_S))
    }
}

/// The begins and ends of stays, in order of time as the stays are.
fn edges(stays: &[Stay]) -> Vec<Edge> {
    let edges = stays.iter().enumerate().flat_map(|(stay, known)| {
        let (start, end) = known.points();
        let moments = [(Some(start), Moment::Start), (end, Moment::End)];
        moments
            .into_iter()
            .filter_map(move |(at, of)| at.map(|at| Edge { at, of, stay }))
    });
    edges.collect()
}

/// What a picture taken at `at` belongs to.
fn nearest(edges: &[Edge], at: Timestamp) -> Option<&Edge> {
    let first = edges.partition_point(|edge| edge.at < at.plus_seconds(-TOLERANCE_S));
    let near = edges.iter().skip(first);
    let near = near.take_while(|edge| edge.at <= at.plus_seconds(TOLERANCE_S));
    near.min_by_key(|edge| (distance_ms(edge, at), edge.of))
}

fn distance_ms(edge: &Edge, at: Timestamp) -> i64 {
    at.millis_since(edge.at).abs()
}

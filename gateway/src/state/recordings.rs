//! Where recordings lie: what the ring remembers of its files, in a tree of its own.
//!
//! As everything here it may be lost: the ring compares it with the files when it is opened.

use crate::cameras::ring::{Segment, SegmentId, SegmentIndex};

/// The index of one ring. Clones share it.
#[derive(Debug, Clone)]
pub struct RecordingIndex {
    /// `None` if the store gives no tree; then files are read when the ring is opened.
    tree: Option<sled::Tree>,
    prefix: String,
}

impl RecordingIndex {
    pub(super) fn of(store: &sled::Db, name: &str) -> Self {
        let tree = store.open_tree("recordings");
        if let Err(error) = &tree {
            tracing::warn!(name, %error, "no index of recordings; files are read instead");
        }
        Self {
            tree: tree.ok(),
            prefix: format!("{name}/"),
        }
    }

    fn key(&self, id: SegmentId) -> Vec<u8> {
        let mut key = self.prefix.clone().into_bytes();
        key.extend_from_slice(&id.0.to_be_bytes());
        key
    }
}

impl SegmentIndex for RecordingIndex {
    fn all(&self) -> Vec<Segment> {
        let Some(tree) = &self.tree else { return Vec::new() };
        let entries = tree.scan_prefix(&self.prefix).values().map_while(Result::ok);
        entries.filter_map(|value| serde_json::from_slice(&value).ok()).collect()
    }

    fn put(&self, segment: &Segment) {
        if let (Some(tree), Ok(value)) = (&self.tree, serde_json::to_vec(segment))
            && let Err(error) = tree.insert(self.key(segment.id), value)
        {
            tracing::debug!(%error, "the index of recordings took no entry");
        }
    }

    fn remove(&self, id: SegmentId) {
        if let Some(tree) = &self.tree
            && let Err(error) = tree.remove(self.key(id))
        {
            tracing::debug!(%error, "the index of recordings kept an entry");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cameras::ring::ClockQuality;

    #[test]
    fn each_ring_has_its_own_entries_and_they_survive() {
        let dir = tempfile::tempdir().unwrap();
        let segment = |id| Segment {
            id: SegmentId(id),
            from: jiff::Timestamp::UNIX_EPOCH,
            to: jiff::Timestamp::UNIX_EPOCH,
            clock: ClockQuality::Synced,
            existed_at: None,
            bytes: 1,
            fragments: 1,
            frames: 1,
            codec: "avc1.640028".to_owned(),
        };
        let ids = |index: &RecordingIndex| index.all().iter().map(|s| s.id.0).collect::<Vec<_>>();
        {
            let board = crate::state::Board::open(dir.path()).unwrap();
            let (one, other) = (board.recordings("a/sub"), board.recordings("a/main"));
            one.put(&segment(2));
            one.put(&segment(300));
            other.put(&segment(7));
            one.remove(SegmentId(2));
            assert_eq!((ids(&one), ids(&other)), (vec![300], vec![7]));
        }
        let board = crate::state::Board::open(dir.path()).unwrap();
        assert_eq!(ids(&board.recordings("a/sub")), [300]);
        assert!(board.changes(0).1.is_empty(), "the board holds no recordings");
    }
}

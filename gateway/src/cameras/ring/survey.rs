//! What lies in a ring's folder, for whoever only reads: nothing is made, repaired or removed.
//!
//! A ring may be at work there at the same time. Its open file is read up to the last whole chunk, and a file that it
//! removes meanwhile is left out.

use std::fs::File;
use std::io;
use std::path::Path;

use super::error::RingError;
use super::recovery::describe;
use super::segment::{Segment, SegmentId};
use super::storage::{list, segment_path};

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The recordings, by sequence.
    pub segments: Vec<Segment>,
    /// Files of which nothing, or not everything, can be read, and why.
    pub damaged: Vec<(SegmentId, String)>,
}

/// Looks through a folder. One that is absent holds nothing.
pub fn survey(folder: &Path) -> Result<Survey, RingError> {
    let mut survey = Survey::default();
    let mut files = match list(folder) {
        Ok(files) => files,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(survey),
        Err(source) => {
            return Err(RingError::Storage {
                action: "read the folder",
                path: folder.to_owned(),
                source,
            });
        }
    };
    files.sort_unstable();
    for (id, bytes) in files {
        let file = match File::open(segment_path(folder, id)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => {
                survey.damaged.push((id, error.to_string()));
                continue;
            }
        };
        let (segment, damage) = match describe(&file, id, bytes) {
            Ok(described) => described,
            Err(error) => (None, Some(error)),
        };
        survey.segments.extend(segment);
        survey.damaged.extend(damage.map(|damage| (id, damage.to_string())));
    }
    Ok(survey)
}

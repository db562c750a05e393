//! Coming back: the last snapshot plus the entries after it make the state that was, exactly.

use std::collections::{BTreeSet, VecDeque};

use parking::{Input, RecordBody, SiteTracker};
use serde::{Deserialize, Serialize};

use super::engine::Stepped;
use crate::config::Config;
use crate::journal::{EntryKind, JournalError, Recovered};
use crate::uplink::lane::Receipted;

/// Why the state could not be brought back.
#[derive(Debug, thiserror::Error)]
pub enum RecoveryError {
    /// The journal could not be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The snapshot or an input is of another version of the program.
    #[error(
        "the journal holds a {what} that this version cannot read: {source}\n  hint: start the version that wrote it, or a newer one"
    )]
    Foreign {
        /// Snapshot, input or mark.
        what: &'static str,
        /// What is wrong.
        source: serde_json::Error,
    },
}

/// All that must survive a power cut.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct DurableState {
    /// The site.
    pub tracker: SiteTracker,
    /// What the city has receipted.
    pub receipted: Receipted,
    /// SHA-256 of the configuration that the tracker works with.
    pub config_sha256: String,
    /// First sequences of the holes that were noted in the ledger.
    pub damage_noted: BTreeSet<u64>,
}

impl DurableState {
    /// The bytes of a snapshot.
    pub fn to_bytes(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

/// The state that the journal holds, and what has to be stepped before anything else: a change of configuration,
/// damage found on opening.
pub fn recover(config: &Config, recovered: Recovered) -> Result<(DurableState, Vec<Input>), RecoveryError> {
    let foreign = |what| move |source| RecoveryError::Foreign { what, source };
    let mut state = match &recovered.snapshot {
        Some(bytes) => serde_json::from_slice(bytes).map_err(foreign("snapshot"))?,
        None => DurableState {
            tracker: SiteTracker::new(config.site.clone(), recovered.tag.clone()),
            receipted: Receipted::default(),
            config_sha256: String::new(),
            damage_noted: BTreeSet::new(),
        },
    };
    let mut expected: VecDeque<Vec<u8>> = VecDeque::new();
    let mut differing = 0_u64;
    for entry in recovered.replay {
        let entry = entry?;
        match entry.kind {
            EntryKind::Input => {
                let stepped: Stepped = serde_json::from_slice(&entry.bytes).map_err(foreign("input"))?;
                expected = replay(&mut state, stepped);
            }
            EntryKind::Record => differing += u64::from(expected.pop_front().as_ref() != Some(&entry.bytes)),
            EntryKind::Mark => state.receipted = serde_json::from_slice(&entry.bytes).map_err(foreign("mark"))?,
        }
    }
    if differing > 0 {
        tracing::warn!(
            differing,
            "records in the journal differ from what this version makes of the same readings; the journal's stand"
        );
    }
    let mut first = Vec::new();
    if state.config_sha256 != config.sha256 {
        state.config_sha256.clone_from(&config.sha256);
        first.push(Input::SiteChanged {
            site: Box::new(config.site.clone()),
            sha256: config.sha256.clone(),
        });
    }
    for damage in recovered.damage {
        tracing::error!(
            file = damage.file,
            reason = damage.reason,
            first = damage.first.0,
            next = damage.next.0,
            "part of the journal cannot be read back"
        );
        if state.damage_noted.insert(damage.first.0) {
            first.push(Input::Note(RecordBody::JournalDamaged {
                first: damage.first.0,
                next: damage.next.0,
                file: damage.file,
            }));
        }
    }
    Ok((state, first))
}

/// Steps an input of before the restart again; gives the records that it makes.
fn replay(state: &mut DurableState, stepped: Stepped) -> VecDeque<Vec<u8>> {
    match &stepped.input {
        Input::SiteChanged { sha256, .. } => state.config_sha256.clone_from(sha256),
        Input::Note(RecordBody::JournalDamaged { first, .. }) => {
            state.damage_noted.insert(*first);
        }
        _ => {}
    }
    let outcome = state.tracker.step(stepped.now, stepped.input);
    outcome
        .records
        .iter()
        .filter_map(|record| serde_json::to_vec(record).ok())
        .collect()
}

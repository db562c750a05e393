//! Coming back: the last snapshot plus the entries after it make the state that was, exactly.

use std::collections::{BTreeSet, VecDeque};

use parking::{Input, RecordBody, Site, SiteTracker};
use serde::{Deserialize, Serialize};

use super::engine::Stepped;
use crate::journal::{Damage, Entry, EntryKind, JournalError, Recovered};
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

/// What the journal gave back.
#[derive(Debug)]
pub struct Restored {
    /// The state that it holds.
    pub state: DurableState,
    /// Records of the last input that did not reach the disk; to be written before anything else.
    pub unwritten: Vec<Entry>,
    /// What has to be stepped next: a change of configuration, damage found on opening.
    pub first: Vec<Input>,
}

/// Brings back the state that the journal holds; `site` and `config_sha256` are what holds from now on.
pub fn recover(site: &Site, config_sha256: &str, recovered: Recovered) -> Result<Restored, RecoveryError> {
    let foreign = |what| move |source| RecoveryError::Foreign { what, source };
    let mut state = match &recovered.snapshot {
        Some(bytes) => serde_json::from_slice(bytes).map_err(foreign("snapshot"))?,
        None => DurableState {
            tracker: SiteTracker::new(site.clone(), recovered.tag.clone()),
            receipted: Receipted::default(),
            config_sha256: String::new(),
            damage_noted: BTreeSet::new(),
        },
    };
    let mut expected: VecDeque<Vec<u8>> = VecDeque::new();
    let mut differing = 0_u64;
    let mut written = 0_u64;
    for entry in recovered.replay {
        let entry = entry?;
        match entry.kind {
            EntryKind::Input => {
                let stepped: Stepped = serde_json::from_slice(&entry.bytes).map_err(foreign("input"))?;
                expected = replay(&mut state, stepped);
                written = 0;
            }
            EntryKind::Record => {
                differing += u64::from(expected.pop_front().as_ref() != Some(&entry.bytes));
                written += 1;
            }
            EntryKind::Mark => state.receipted = serde_json::from_slice(&entry.bytes).map_err(foreign("mark"))?,
        }
    }
    if differing > 0 {
        tracing::warn!(
            differing,
            "records in the journal differ from what this version makes of the same readings; the journal's stand"
        );
    }
    let unwritten = unwritten(expected, &recovered.damage, recovered.next.0.saturating_sub(written));
    let mut first = Vec::new();
    if state.config_sha256 != config_sha256 {
        config_sha256.clone_into(&mut state.config_sha256);
        first.push(Input::SiteChanged {
            site: Box::new(site.clone()),
            sha256: config_sha256.to_owned(),
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
    Ok(Restored {
        state,
        unwritten,
        first,
    })
}

/// The records that the last input, at sequence `at`, still has to get. None when damage may have taken some of them: they
/// may have been sent before, and what is lost to damage is told as such.
fn unwritten(expected: VecDeque<Vec<u8>>, damage: &[Damage], at: u64) -> Vec<Entry> {
    if expected.is_empty() {
        return Vec::new();
    }
    if damage.iter().any(|damage| damage.next.0 >= at) {
        tracing::error!(
            records = expected.len(),
            "records of the last reading are lost with the damaged part of the journal"
        );
        return Vec::new();
    }
    tracing::info!(
        records = expected.len(),
        "writing what the power cut kept from the disk"
    );
    let record = |bytes| Entry {
        kind: EntryKind::Record,
        bytes,
    };
    expected.into_iter().map(record).collect()
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

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use parking::{BootId, ClockQuality, Space, SpaceId, Stamp, Timestamp, Zone, ZoneId};

    use super::*;
    use crate::config::Config;
    use crate::journal::{Directory, Journal, Options, Sequence, Storage};

    const DAY_S: i64 = 86_400;

    fn stamp(at: Timestamp) -> Stamp {
        Stamp {
            at,
            boot: BootId(1),
            mono_ms: 0,
            clock: ClockQuality::Synced,
        }
    }

    fn open(folder: &Path) -> (Journal, Recovered) {
        let storage: Arc<dyn Storage> = Arc::new(Directory::open(folder.to_owned()).unwrap());
        let options = Options {
            segment_bytes: 256 << 10,
            reserve_bytes: 512 << 10,
            ..Options::default()
        };
        Journal::open(&options, &storage).unwrap()
    }

    /// The same street with as many zones, one space each and no sensors.
    fn with_zones(site: Site, zones: usize) -> Site {
        let (zone, space) = (&site.zones[0], &site.spaces[0]);
        let id = |number| ZoneId::new(format!("zone-{number}")).unwrap();
        Site {
            zones: (0..zones)
                .map(|number| Zone {
                    id: id(number),
                    ..zone.clone()
                })
                .collect(),
            spaces: (0..zones)
                .map(|number| Space {
                    id: SpaceId::new(format!("space-{number}")).unwrap(),
                    zone: id(number),
                    ..space.clone()
                })
                .collect(),
            bindings: Vec::new(),
            counters: Vec::new(),
            ..site
        }
    }

    /// The entries of a first start, and of the tick after eight days of silence: the tick, and many records.
    fn long_silence(site: &Site, tag: &str) -> Vec<Vec<Entry>> {
        let mut tracker = SiteTracker::new(site.clone(), tag.to_owned());
        let begin: Timestamp = "2026-01-05T00:00:00Z".parse().unwrap();
        let mut steps = Vec::new();
        for (at, input) in [
            (
                begin,
                Input::SiteChanged {
                    site: Box::new(site.clone()),
                    sha256: "a".to_owned(),
                },
            ),
            (begin.plus_seconds(8 * DAY_S), Input::Tick),
        ] {
            let stepped = Stepped { now: stamp(at), input };
            let mut entries = vec![Entry {
                kind: EntryKind::Input,
                bytes: serde_json::to_vec(&stepped).unwrap(),
            }];
            let records = tracker.step(stepped.now, stepped.input).records;
            entries.extend(records.iter().map(|record| Entry {
                kind: EntryKind::Record,
                bytes: serde_json::to_vec(record).unwrap(),
            }));
            steps.push(entries);
        }
        steps
    }

    #[tokio::test]
    async fn records_that_a_power_cut_kept_from_the_disk_are_made_again_once() {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../firmware-config/sites/jalan-sudirman.toml");
        let site = with_zones(Config::load(&example).unwrap().site, 12);
        let folder = tempfile::tempdir().unwrap();
        let (journal, made) = open(folder.path());
        let steps = long_silence(&site, &made.tag);
        drop(made);
        let silence = &steps[1];
        assert!(silence.len() > 1_024, "{} entries fit one append", silence.len());
        journal.append_in_parts(&steps[0]).await.unwrap().await.unwrap();
        // The first part of the second step reaches the disk, the rest does not.
        let (written, lost) = silence.split_at(900);
        journal.append(written).await.unwrap().await.unwrap();
        drop(journal);

        let (journal, recovered) = open(folder.path());
        let Restored { unwritten, first, .. } = recover(&site, "a", recovered).unwrap();
        assert_eq!(unwritten, lost);
        assert_eq!(first, []);
        journal.append_in_parts(&unwritten).await.unwrap().await.unwrap();
        drop(journal);

        let (_journal, recovered) = open(folder.path());
        let all = (steps[0].len() - 1 + silence.len() - 1) as u64;
        assert_eq!(recovered.next, Sequence(all));
        assert_eq!(recover(&site, "a", recovered).unwrap().unwritten, []);
    }

    #[test]
    fn nothing_is_written_again_where_damage_may_hide_that_it_was_written_before() {
        let expected = || VecDeque::from([b"{}".to_vec()]);
        let damage = |first, next| Damage {
            first: Sequence(first),
            next: Sequence(next),
            file: String::new(),
            reason: String::new(),
        };
        assert_eq!(unwritten(expected(), &[damage(3, 5)], 10).len(), 1);
        for hole in [damage(10, 11), damage(8, 10), damage(12, 12)] {
            assert_eq!(unwritten(expected(), &[hole], 10), []);
        }
    }
}

//! The store against a plain list: random appends, snapshots, releases, reads, power cuts, errors, full disks, restarts.

use proptest::prelude::*;
use proptest::test_runner::Config;
use proptest_state_machine::{ReferenceStateMachine, StateMachineTest, prop_state_machine};

use super::super::simulated::{Disk, Fault, Survives};
use super::{commit, noise, open, records, replayed};
use crate::journal::store::Store;
use crate::journal::{Entry, EntryKind, Sequence};

const CAPACITY: u64 = 256 << 10;

#[derive(Debug, Clone)]
enum Transition {
    /// Kinds and lengths of the entries; whether they compress.
    Append(Vec<(EntryKind, usize)>, bool),
    Snapshot,
    /// Per cent of the records that may go.
    Release(u64),
    /// Per cent of the records to begin behind.
    Read(u64),
    /// A fault at one of the next operations, met by whatever comes.
    Fault(u64, Fault),
    DiskFull(bool),
    PowerCut(Survives),
    Restart,
    /// A power cut, and a fault at one of the first operations after it.
    RestartWithFault(Survives, u64, Fault),
}

/// Transitions only: whether an append under way survives a cut is for the disk to say.
#[derive(Debug, Clone)]
struct Reference;

impl ReferenceStateMachine for Reference {
    type State = ();
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<()> {
        Just(()).boxed()
    }

    fn transitions((): &()) -> BoxedStrategy<Transition> {
        let kind = prop_oneof![
            1 => Just(EntryKind::Input),
            4 => Just(EntryKind::Record),
            1 => Just(EntryKind::Mark)
        ];
        let length = prop_oneof![4 => 0..400_usize, 1 => 400..4_000_usize];
        let fault = prop_oneof![Just(Fault::PowerCut), Just(Fault::Error), Just(Fault::Full)];
        let survives = prop_oneof![
            1 => Just(Survives::Nothing),
            1 => Just(Survives::Everything),
            4 => any::<u64>().prop_map(Survives::Some)
        ];
        prop_oneof![
            20 => (prop::collection::vec((kind, length), 1..4), any::<bool>()).prop_map(|(e, c)| Transition::Append(e, c)),
            3 => Just(Transition::Snapshot),
            3 => (0..=100_u64).prop_map(Transition::Release),
            2 => (0..=100_u64).prop_map(Transition::Read),
            2 => (0..8_u64, fault.clone()).prop_map(|(skip, fault)| Transition::Fault(skip, fault)),
            1 => any::<bool>().prop_map(Transition::DiskFull),
            2 => survives.clone().prop_map(Transition::PowerCut),
            1 => Just(Transition::Restart),
            1 => (survives, 0..8_u64, fault).prop_map(|(s, skip, fault)| Transition::RestartWithFault(s, skip, fault)),
        ]
        .boxed()
    }

    fn apply((): (), _: &Transition) {}
}

/// The store and the list.
struct Machine {
    disk: Disk,
    store: Store,
    appends: Vec<Vec<Entry>>,
    /// Appends for which the durable snapshot stands.
    snapshot: Option<usize>,
    /// The same for saves that failed since, and may have reached the disk nevertheless.
    snapshots_failed: Vec<usize>,
    released: u64,
    made: u64,
}

impl Machine {
    fn records(&self) -> Vec<(u64, Vec<u8>)> {
        let all = self.appends.iter().flatten().filter(|e| e.kind == EntryKind::Record);
        (0..).zip(all.map(|e| e.bytes.clone())).collect()
    }

    fn append(&mut self, kinds: &[(EntryKind, usize)], compresses: bool) {
        let entries: Vec<Entry> = kinds
            .iter()
            .map(|(kind, bytes)| {
                self.made += 1;
                let bytes = if compresses {
                    let text = format!("{{\"number\":{}}}", self.made);
                    text.bytes().cycle().take(*bytes).collect()
                } else {
                    noise(self.made, *bytes)
                };
                Entry { kind: *kind, bytes }
            })
            .collect();
        let next = self.records().len() as u64;
        match commit(&mut self.store, &entries) {
            Ok(sequences) => {
                assert_eq!(sequences.start.0, next);
                self.appends.push(entries);
                assert_eq!(sequences.end.0, self.records().len() as u64);
            }
            Err(error) if error.is_disk_full() => {}
            Err(_) => self.recover_from_error(Some(entries)),
        }
    }

    /// After the power went, or the disk failed: then the process alone begins again, or the whole box.
    fn recover_from_error(&mut self, append: Option<Vec<Entry>>) {
        self.disk.no_fault();
        if self.disk.is_off() || self.made.is_multiple_of(2) {
            self.come_back(Survives::Some(self.made), append);
        } else {
            self.open_again(append);
        }
    }

    /// Cuts the power, opens again, and compares everything.
    fn come_back(&mut self, survives: Survives, append: Option<Vec<Entry>>) {
        self.disk = self.disk.after_power_cut(survives);
        self.open_again(append);
    }

    fn open_again(&mut self, append: Option<Vec<Entry>>) {
        let (store, recovered) = open(&self.disk).unwrap();
        self.store = store;
        assert_eq!(recovered.damage, []);
        let found = recovered
            .snapshot
            .as_deref()
            .map(|s| String::from_utf8_lossy(s).parse::<usize>().unwrap());
        let failed = found.is_some_and(|found| self.snapshots_failed.contains(&found));
        assert!(found == self.snapshot || failed, "snapshot {found:?}");
        self.snapshot = found;
        self.snapshots_failed.clear();
        let next = recovered.next.0;
        let replay = replayed(recovered);
        let known: Vec<Entry> = self.appends[found.unwrap_or_default()..].concat();
        if replay.len() > known.len() {
            let append = append.expect("nothing but what was under way may come back unasked");
            assert_eq!(replay, [known, append.clone()].concat());
            self.appends.push(append);
        } else {
            assert_eq!(replay, known);
        }
        assert_eq!(next, self.records().len() as u64);
        assert_eq!(
            records(&self.store, self.released),
            self.records()[self.released_index()..]
        );
    }

    fn released_index(&self) -> usize {
        usize::try_from(self.released).unwrap()
    }
}

impl StateMachineTest for Machine {
    type SystemUnderTest = Self;
    type Reference = Reference;

    fn init_test((): &()) -> Self {
        let disk = Disk::new(CAPACITY);
        let (store, recovered) = open(&disk).unwrap();
        assert!(recovered.created && recovered.snapshot.is_none() && recovered.next == Sequence(0));
        Self {
            disk,
            store,
            appends: Vec::new(),
            snapshot: None,
            snapshots_failed: Vec::new(),
            released: 0,
            made: 0,
        }
    }

    fn apply(mut machine: Self, (): &(), transition: Transition) -> Self {
        let count = machine.records().len() as u64;
        match transition {
            Transition::Append(kinds, compresses) => machine.append(&kinds, compresses),
            Transition::Snapshot => {
                let appends = machine.appends.len();
                match machine.store.save_snapshot(appends.to_string().as_bytes()) {
                    Ok(()) => {
                        machine.snapshot = Some(appends);
                        machine.snapshots_failed.clear();
                    }
                    Err(error) => {
                        machine.snapshots_failed.push(appends);
                        if !error.is_disk_full() {
                            machine.recover_from_error(None);
                        }
                    }
                }
            }
            Transition::Release(percent) => {
                machine.released = machine.released.max(count * percent / 100);
                if let Err(error) = machine.store.release(Sequence(machine.released))
                    && !error.is_disk_full()
                {
                    machine.recover_from_error(None);
                }
            }
            Transition::Read(percent) => {
                let from = machine.released.max(count * percent / 100);
                let expected = &machine.records()[usize::try_from(from).unwrap()..];
                if !machine.disk.is_off() {
                    assert_eq!(records(&machine.store, from), expected);
                }
            }
            Transition::Fault(skip, fault) => machine.disk.fault_after(skip, fault),
            Transition::DiskFull(full) => machine
                .disk
                .set_capacity(if full { machine.disk.used() } else { CAPACITY }),
            Transition::PowerCut(survives) => machine.come_back(survives, None),
            Transition::RestartWithFault(survives, skip, fault) => {
                machine.disk = machine.disk.after_power_cut(survives);
                machine.disk.fault_after(skip, fault);
                drop(open(&machine.disk));
                machine.recover_from_error(None);
            }
            Transition::Restart => {
                machine.disk.no_fault();
                if machine.disk.is_off() {
                    machine.come_back(Survives::Everything, None);
                } else {
                    machine.open_again(None);
                }
            }
        }
        machine
    }
}

prop_state_machine! {
    #![proptest_config(Config { cases: 256, ..Config::default() })]

    #[test]
    fn the_journal_behaves_like_a_list_whatever_happens_to_the_disk(sequential 1..120 => Machine);
}

//! A simulated disk: what was synced survives a power cut; of the rest, any sectors do, and any number of the last
//! changes of names are gone. Faults strike at a chosen operation.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::storage::{DAMAGED, Listed, Storage, StorageFile};

const SECTOR_BYTES: usize = 512;

/// What an operation meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The power goes: this operation may reach the disk in part, no later one does.
    PowerCut,
    /// The disk reports an error (and keeps nothing that was to be synced).
    Error,
    /// The disk is full, for this operation.
    Full,
}

/// How much of what was not synced survives a power cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Survives {
    Nothing,
    Everything,
    /// Each sector with even odds, drawn from this seed.
    Some(u64),
}

#[derive(Debug, Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    cached: Vec<u8>,
    /// Not yet durable, in order.
    writes: Vec<(usize, Vec<u8>)>,
}

type Names = BTreeMap<String, usize>;

#[derive(Debug, Clone, Default)]
struct State {
    inodes: Vec<Inode>,
    names: Names,
    /// The names as they were after each change since they were last synced; the first is what is durable.
    history: Vec<Names>,
    capacity: u64,
    operations: u64,
    fault: Option<(u64, Fault)>,
    off: bool,
}

/// The disk; clones are the same disk.
#[derive(Debug, Clone)]
pub(super) struct Disk(Arc<Mutex<State>>);

fn error(kind: io::ErrorKind) -> io::Error {
    io::Error::new(kind, "simulated")
}

impl State {
    /// Counts an operation, which fails if it is its turn.
    fn operate(&mut self) -> Result<(), (Fault, io::Error)> {
        if self.off {
            return Err((Fault::Error, error(io::ErrorKind::Other)));
        }
        self.operations += 1;
        match self.fault {
            Some((at, fault)) if at == self.operations => {
                self.off = fault == Fault::PowerCut;
                let kind = if fault == Fault::Full {
                    io::ErrorKind::StorageFull
                } else {
                    io::ErrorKind::Other
                };
                Err((fault, error(kind)))
            }
            _ => Ok(()),
        }
    }

    fn used(&self) -> u64 {
        self.names
            .values()
            .map(|&inode| self.inodes[inode].cached.len() as u64)
            .sum()
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        if self.off {
            return Err(error(io::ErrorKind::Other));
        }
        self.names
            .get(name)
            .copied()
            .ok_or_else(|| error(io::ErrorKind::NotFound))
    }

    fn rename_in(&mut self, change: impl FnOnce(&mut Names)) {
        change(&mut self.names);
        self.history.push(self.names.clone());
    }
}

impl Disk {
    pub(super) fn new(capacity: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            capacity,
            history: vec![Names::new()],
            ..State::default()
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn storage(&self) -> Arc<dyn Storage> {
        Arc::new(self.clone())
    }

    /// Lets the operation after the next `skip` ones meet `fault`.
    pub(super) fn fault_after(&self, skip: u64, fault: Fault) {
        let mut state = self.lock();
        state.fault = Some((state.operations + 1 + skip, fault));
    }

    pub(super) fn no_fault(&self) {
        self.lock().fault = None;
    }

    pub(super) fn is_off(&self) -> bool {
        self.lock().off
    }

    pub(super) fn set_capacity(&self, bytes: u64) {
        self.lock().capacity = bytes;
    }

    pub(super) fn used(&self) -> u64 {
        self.lock().used()
    }

    /// The disk as it is when the power is back.
    pub(super) fn after_power_cut(&self, survives: Survives) -> Self {
        let state = self.lock();
        let mut random = StdRng::seed_from_u64(if let Survives::Some(seed) = survives { seed } else { 0 });
        let mut survive = || match survives {
            Survives::Nothing => false,
            Survives::Everything => true,
            Survives::Some(_) => random.random(),
        };
        let names_kept = (1..state.history.len()).take_while(|_| survive()).count();
        let inodes = state.inodes.iter().map(|inode| {
            let mut content = inode.durable.clone();
            if survive() && content.len() < inode.cached.len() {
                content.resize(inode.cached.len(), 0);
            }
            for (offset, bytes) in &inode.writes {
                let mut at = *offset;
                while at < offset + bytes.len() {
                    let end = ((at / SECTOR_BYTES + 1) * SECTOR_BYTES).min(offset + bytes.len());
                    if survive() && end <= content.len() {
                        content[at..end].copy_from_slice(&bytes[at - offset..end - offset]);
                    }
                    at = end;
                }
            }
            Inode {
                cached: content.clone(),
                durable: content,
                writes: Vec::new(),
            }
        });
        let names = state.history[names_kept].clone();
        Self(Arc::new(Mutex::new(State {
            inodes: inodes.collect(),
            history: vec![names.clone()],
            names,
            capacity: state.capacity,
            ..State::default()
        })))
    }

    /// A copy that can be spoilt without spoiling this one. Everything counts as durable.
    pub(super) fn copy(&self) -> Self {
        self.after_power_cut(Survives::Everything)
    }

    pub(super) fn files(&self) -> Vec<String> {
        self.lock().names.keys().cloned().collect()
    }

    pub(super) fn content(&self, name: &str) -> Vec<u8> {
        let state = self.lock();
        state.inodes[state.names[name]].cached.clone()
    }

    /// Puts a file there, or replaces it, durably.
    pub(super) fn put(&self, name: &str, content: &[u8]) {
        let mut state = self.lock();
        state.inodes.push(Inode {
            durable: content.to_vec(),
            cached: content.to_vec(),
            writes: Vec::new(),
        });
        let inode = state.inodes.len() - 1;
        state.names.insert(name.to_owned(), inode);
        state.history = vec![state.names.clone()];
    }

    pub(super) fn flip(&self, name: &str, offset: usize) {
        let mut content = self.content(name);
        content[offset] ^= 0x55;
        self.put(name, &content);
    }

    pub(super) fn delete(&self, name: &str) {
        let mut state = self.lock();
        state.names.remove(name).unwrap();
        state.history = vec![state.names.clone()];
    }
}

impl Storage for Disk {
    fn path(&self) -> &Path {
        Path::new("/simulated")
    }

    fn list(&self, damaged: bool) -> io::Result<Vec<Listed>> {
        let state = self.lock();
        let prefix = format!("{DAMAGED}/");
        let listed = state.names.iter().filter_map(|(name, &inode)| {
            let aside = name.strip_prefix(&prefix);
            let name = if damaged { aside? } else { name.as_str() };
            (damaged || aside.is_none()).then(|| Listed {
                name: name.to_owned(),
                bytes: state.inodes[inode].cached.len() as u64,
            })
        });
        Ok(listed.collect())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn StorageFile>> {
        let inode = self.lock().find(name)?;
        Ok(Arc::new(SimulatedFile {
            disk: self.clone(),
            inode,
        }))
    }

    fn create(&self, name: &str, bytes: u64) -> io::Result<Arc<dyn StorageFile>> {
        {
            let mut state = self.lock();
            state.operate().map_err(|(_, error)| error)?;
            if state.used() + bytes > state.capacity {
                return Err(error(io::ErrorKind::StorageFull));
            }
            state.inodes.push(Inode {
                cached: vec![0; usize::try_from(bytes).unwrap()],
                ..Inode::default()
            });
            let inode = state.inodes.len() - 1;
            state.rename_in(|names| {
                names.insert(name.to_owned(), inode);
            });
        }
        self.open(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.operate().map_err(|(_, error)| error)?;
        let inode = state.find(from)?;
        state.rename_in(|names| {
            names.remove(from);
            names.insert(to.to_owned(), inode);
        });
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        let mut state = self.lock();
        state.operate().map_err(|(_, error)| error)?;
        state.find(name)?;
        state.rename_in(|names| {
            names.remove(name);
        });
        Ok(())
    }

    fn sync_names(&self) -> io::Result<()> {
        let mut state = self.lock();
        state.operate().map_err(|(_, error)| error)?;
        state.history = vec![state.names.clone()];
        Ok(())
    }
}

#[derive(Debug)]
struct SimulatedFile {
    disk: Disk,
    inode: usize,
}

impl StorageFile for SimulatedFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.lock();
        if state.off {
            return Err(error(io::ErrorKind::Other));
        }
        let content = &state.inodes[self.inode].cached;
        let begin = usize::try_from(offset).unwrap().min(content.len());
        let count = buffer.len().min(content.len() - begin);
        buffer[..count].copy_from_slice(&content[begin..begin + count]);
        Ok(count)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.disk.lock();
        let outcome = state.operate();
        let inode = &mut state.inodes[self.inode];
        let begin = usize::try_from(offset).unwrap();
        if matches!(&outcome, Ok(()) | Err((Fault::PowerCut, _))) {
            let end = begin + bytes.len();
            assert!(
                end <= inode.cached.len(),
                "the journal writes into allocated space only"
            );
            inode.cached[begin..end].copy_from_slice(bytes);
            inode.writes.push((begin, bytes.to_vec()));
        }
        outcome.map_err(|(_, error)| error)
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.lock();
        let outcome = state.operate();
        let inode = &mut state.inodes[self.inode];
        match &outcome {
            Ok(()) => {
                inode.durable.resize(inode.cached.len(), 0);
                for (begin, bytes) in std::mem::take(&mut inode.writes) {
                    inode.durable[begin..begin + bytes.len()].copy_from_slice(&bytes);
                }
            }
            // What Linux does: the pages count as clean, though the disk has not got them.
            Err((Fault::Error | Fault::Full, _)) => inode.writes.clear(),
            Err((Fault::PowerCut, _)) => {}
        }
        outcome.map_err(|(_, error)| error)
    }

    fn allocate(&self, bytes: u64) -> io::Result<()> {
        let mut state = self.disk.lock();
        state.operate().map_err(|(_, error)| error)?;
        let more = bytes.saturating_sub(state.inodes[self.inode].cached.len() as u64);
        if state.used() + more > state.capacity {
            return Err(error(io::ErrorKind::StorageFull));
        }
        let bytes = usize::try_from(bytes).unwrap();
        let cached = &mut state.inodes[self.inode].cached;
        cached.resize(bytes.max(cached.len()), 0);
        Ok(())
    }
}

//! The writer thread and the queue in front of it.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};

use super::catalog::Catalog;
use super::error::JournalError;
use super::frame::{APPEND_ENTRIES_MAX, RAW_BYTES_MAX, encode_entry};
use super::store::{Store, raw_bytes_max};
use super::{Entry, EntryKind, Options, Sequence, Status};

/// How long a full journal waits before it tries again.
const FULL_RETRY: Duration = Duration::from_secs(1);
/// How long a reserve that is not complete waits before it is tried again.
const REPLENISH_RETRY: Duration = Duration::from_mins(1);
/// What an entry costs in the queue beside its bytes: most that its length and kind take.
const ENTRY_OVERHEAD_BYTES: usize = 4;

type Outcome<T> = Result<T, JournalError>;

/// Entries of one append, encoded.
#[derive(Debug)]
struct Pending {
    raw: Vec<u8>,
    records: u32,
    permits: usize,
    done: oneshot::Sender<Outcome<Range<Sequence>>>,
}

#[derive(Debug)]
enum Command {
    Append(Pending),
    Snapshot {
        state: Vec<u8>,
        done: oneshot::Sender<Outcome<()>>,
    },
}

/// What the lock guards.
#[derive(Debug, Default)]
struct Queue {
    commands: VecDeque<Command>,
    /// Appends among the commands.
    appends: usize,
    release: Option<Sequence>,
    closing: bool,
    failed: Option<JournalError>,
    status: Status,
}

#[derive(Debug)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Bytes that may still be queued. Closed once the journal has ended.
    room: Semaphore,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, queue: MutexGuard<'a, Queue>, longest: Option<Duration>) -> MutexGuard<'a, Queue> {
        match longest {
            None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            Some(longest) => {
                let waited = self.wake.wait_timeout(queue, longest);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        }
    }
}

/// The user's side of the queue.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    catalog: Arc<Catalog>,
    append_bytes_max: usize,
    queue_bytes: usize,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(options: &Options, store: Store) -> Outcome<Self> {
        let queue_bytes = options.queue_bytes as usize;
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            wake: Condvar::new(),
            room: Semaphore::new(queue_bytes),
        });
        store.status(&mut shared.lock().status);
        let catalog = Arc::clone(store.catalog());
        let append_bytes_max = raw_bytes_max(options.segment_bytes);
        let path = catalog.storage.path().to_owned();
        let worker = Worker {
            shared: Arc::clone(&shared),
            store,
            window: options.commit_window,
            records_max: options.commit_records,
            bytes_max: append_bytes_max,
            expected: 1,
            reserve_complete: false,
        };
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || worker.run())
            .map_err(|e| JournalError::storage("start the writer of", path, e))?;
        Ok(Self {
            shared,
            catalog,
            append_bytes_max,
            queue_bytes,
            thread: Some(thread),
        })
    }

    pub(super) fn catalog(&self) -> &Arc<Catalog> {
        &self.catalog
    }

    /// How many of `entries`, from the first on, fit one append; at least one, which may then be refused.
    pub(super) fn fitting(&self, entries: &[Entry]) -> usize {
        let mut bytes = 0;
        let fits = |entry: &&Entry| {
            bytes += entry.bytes.len() + ENTRY_OVERHEAD_BYTES;
            bytes <= self.append_bytes_max
        };
        let fitting = entries.iter().take(APPEND_ENTRIES_MAX).take_while(fits).count();
        fitting.max(1).min(entries.len())
    }

    pub(super) async fn append(&self, entries: &[Entry]) -> Outcome<oneshot::Receiver<Outcome<Range<Sequence>>>> {
        let bytes: usize = entries.iter().map(|e| e.bytes.len() + ENTRY_OVERHEAD_BYTES).sum();
        if entries.is_empty() || entries.len() > APPEND_ENTRIES_MAX || bytes > self.append_bytes_max {
            return Err(JournalError::AppendSize {
                entries: entries.len(),
                bytes,
                entries_max: APPEND_ENTRIES_MAX,
                bytes_max: self.append_bytes_max,
            });
        }
        let mut raw = Vec::with_capacity(bytes);
        let mut records = 0;
        for entry in entries {
            encode_entry(&mut raw, entry);
            records += u32::from(entry.kind == EntryKind::Record);
        }
        self.take_room(bytes).await?;
        let (done, outcome) = oneshot::channel();
        self.push(Command::Append(Pending {
            raw,
            records,
            permits: bytes,
            done,
        }))?;
        Ok(outcome)
    }

    pub(super) async fn save_snapshot(&self, state: &[u8]) -> Outcome<oneshot::Receiver<Outcome<()>>> {
        // Takes part in the queue of appends, so that it keeps its place among them.
        self.take_room(1).await?;
        let (done, outcome) = oneshot::channel();
        let state = state.to_vec();
        self.push(Command::Snapshot { state, done })?;
        Ok(outcome)
    }

    async fn take_room(&self, bytes: usize) -> Outcome<()> {
        debug_assert!(bytes <= self.queue_bytes, "an append is smaller than the queue");
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        match self.room_for(permits).await {
            Ok(()) => Ok(()),
            Err(_) => Err(self.shared.lock().failed.clone().unwrap_or(JournalError::Closed)),
        }
    }

    async fn room_for(&self, permits: u32) -> Result<(), tokio::sync::AcquireError> {
        self.shared.room.acquire_many(permits).await?.forget();
        Ok(())
    }

    fn push(&self, command: Command) -> Outcome<()> {
        let mut queue = self.shared.lock();
        if let Some(error) = &queue.failed {
            return Err(error.clone());
        }
        queue.appends += usize::from(matches!(command, Command::Append(_)));
        queue.commands.push_back(command);
        drop(queue);
        self.shared.wake.notify_one();
        Ok(())
    }

    pub(super) fn release(&self, below: Sequence) {
        let mut queue = self.shared.lock();
        queue.release = queue.release.max(Some(below));
        drop(queue);
        self.shared.wake.notify_one();
    }

    pub(super) fn status(&self) -> Status {
        self.shared.lock().status.clone()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was printed by its own hook, and told to everybody who waited.
            drop(thread.join());
        }
    }
}

/// What the thread does next.
#[derive(Debug)]
enum Work {
    Commit(Vec<Pending>),
    Snapshot(Vec<u8>, oneshot::Sender<Outcome<()>>),
    Release(Sequence),
    Replenish,
    Stop,
}

/// The thread's side.
struct Worker {
    shared: Arc<Shared>,
    store: Store,
    window: Duration,
    records_max: u32,
    bytes_max: usize,
    /// Appends that the next commit may wait for: as many as the one before had.
    expected: usize,
    reserve_complete: bool,
}

impl Drop for Worker {
    /// Lets nobody wait for a thread that is gone, whatever ended it.
    fn drop(&mut self) {
        let mut queue = self.shared.lock();
        queue.failed.get_or_insert(JournalError::Closed);
        queue.commands.clear();
        self.shared.room.close();
    }
}

impl Worker {
    fn run(mut self) {
        loop {
            let outcome = match self.next_work() {
                Work::Commit(batch) => self.commit(batch),
                Work::Snapshot(state, done) => {
                    self.shared.room.add_permits(1);
                    tell(done, self.store.save_snapshot(&state));
                    self.reserve_complete = false;
                    Ok(())
                }
                Work::Release(below) => self.store.release(below),
                Work::Replenish => self.store.replenish().map(|complete| self.reserve_complete = complete),
                Work::Stop => return,
            };
            if let Err(error) = outcome
                && !error.is_disk_full()
            {
                self.fail(error);
                return;
            }
            self.refresh_status();
        }
    }

    fn refresh_status(&self) {
        self.store.status(&mut self.shared.lock().status);
    }

    fn next_work(&mut self) -> Work {
        let mut queue = self.shared.lock();
        let mut began = None;
        loop {
            if let Some(below) = queue.release.take() {
                return Work::Release(below);
            }
            match queue.commands.front() {
                Some(Command::Snapshot { .. }) => {
                    if let Some(Command::Snapshot { state, done }) = queue.commands.pop_front() {
                        return Work::Snapshot(state, done);
                    }
                }
                Some(Command::Append(_)) => {
                    let waited = began.get_or_insert_with(Instant::now).elapsed();
                    // Nobody has to come when as many as last time have, or when something waits behind them.
                    let company = queue.appends < self.expected && queue.appends == queue.commands.len();
                    if company && waited < self.window && !queue.closing {
                        queue = self.shared.wait(queue, Some(self.window.saturating_sub(waited)));
                        continue;
                    }
                    let batch = take_batch(&mut queue, self.records_max, self.bytes_max);
                    self.expected = batch.len();
                    return Work::Commit(batch);
                }
                None if queue.closing => return Work::Stop,
                None if self.reserve_complete => queue = self.shared.wait(queue, None),
                None => {
                    queue = self.shared.wait(queue, Some(REPLENISH_RETRY));
                    if queue.commands.is_empty() && queue.release.is_none() && !queue.closing {
                        return Work::Replenish;
                    }
                }
            }
        }
    }

    fn commit(&mut self, batch: Vec<Pending>) -> Outcome<()> {
        let joined: Vec<u8>;
        let raw = if let [only] = batch.as_slice() {
            &only.raw
        } else {
            joined = batch
                .iter()
                .map(|pending| pending.raw.as_slice())
                .collect::<Vec<_>>()
                .concat();
            &joined
        };
        let records = batch.iter().map(|pending| pending.records).sum();
        let committed = loop {
            match self.store.commit(raw, records) {
                Err(error) if error.is_disk_full() => match self.wait_for_space() {
                    Ok(true) => {}
                    Ok(false) => break Err(error),
                    Err(fatal) => break Err(fatal),
                },
                other => break other,
            }
        };
        {
            let status = &mut self.shared.lock().status;
            status.full = false;
            status.payload_bytes += committed.as_ref().map_or(0, |_| raw.len() as u64);
            self.store.status(status);
        }
        let mut first = committed.as_ref().map_or(0, |range| range.start.0);
        for pending in batch {
            self.shared.room.add_permits(pending.permits);
            let next = first + u64::from(pending.records);
            let outcome = match &committed {
                Ok(_) => Ok(Sequence(first)..Sequence(next)),
                Err(error) => Err(error.clone()),
            };
            first = next;
            tell(pending.done, outcome);
        }
        committed.map(|_| ())
    }

    /// Waits while there is no space, doing what may make some; `false` when the journal is to be closed.
    fn wait_for_space(&mut self) -> Outcome<bool> {
        self.reserve_complete = false;
        self.refresh_status();
        let mut queue = self.shared.lock();
        queue.status.full = true;
        if queue.release.is_none() && !queue.closing {
            queue = self.shared.wait(queue, Some(FULL_RETRY));
        }
        let closing = queue.closing;
        let release = queue.release.take();
        drop(queue);
        match release.map(|below| self.store.release(below)) {
            Some(Err(error)) if !error.is_disk_full() => Err(error),
            _ => Ok(!closing),
        }
    }

    /// Ends the journal: everybody who waits, or comes later, is told why.
    fn fail(&mut self, error: JournalError) {
        let error = match error {
            failed @ JournalError::Failed { .. } => failed,
            other => JournalError::Failed {
                reason: other.to_string().into(),
            },
        };
        let mut queue = self.shared.lock();
        queue.status.failed = Some(error.to_string());
        for command in std::mem::take(&mut queue.commands) {
            match command {
                Command::Append(pending) => tell(pending.done, Err(error.clone())),
                Command::Snapshot { done, .. } => tell(done, Err(error.clone())),
            }
        }
        queue.failed = Some(error);
    }
}

fn tell<T>(done: oneshot::Sender<Outcome<T>>, outcome: Outcome<T>) {
    // It is refused when whoever asked has stopped waiting, which takes nothing back.
    drop(done.send(outcome));
}

/// Takes appends from the front, as many as one commit may have, and at least one.
fn take_batch(queue: &mut Queue, records_max: u32, bytes_max: usize) -> Vec<Pending> {
    let (mut records, mut bytes) = (0, 0);
    let mut batch = Vec::new();
    while let Some(Command::Append(next)) = queue.commands.front() {
        records += next.records.max(1);
        bytes += next.raw.len();
        let fits = records <= records_max && bytes <= bytes_max.min(RAW_BYTES_MAX);
        if !batch.is_empty() && !fits {
            break;
        }
        let Some(Command::Append(next)) = queue.commands.pop_front() else {
            break;
        };
        batch.push(next);
    }
    queue.appends -= batch.len();
    batch
}

//! Recomputes everything from the leaves: hashes, tiles, root, signatures and every derived figure.
//!
//! One pass over a log in constant memory but for the derived rows of that one box. `verify` compares with what is
//! stored and names the first thing that differs; `rebuild` writes the derived rows anew.

use ledger::tiles::{self, TileId, WIDTH};
use ledger::{CosignerVerifier, Frontier, Hash, LogVerifier, leaf_hash};
use parking::GatewayId;

use crate::derive::Deriver;
use crate::store::{Derived, LeafRow, LogRow, Snapshot, Store, StoreError, Tiles};

/// Rows read at once.
const PAGE_ROWS: u32 = 4_096;

/// Why an audit did not end well.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Something is not as the leaves, or the signatures, say.
    #[error("{gateway}: {what}")]
    Mismatch {
        /// The box.
        gateway: GatewayId,
        /// The first thing that differs.
        what: String,
    },
}

/// What a log was found to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// The box.
    pub gateway: GatewayId,
    /// Records.
    pub size: u64,
    /// Root of the tree over them.
    pub root: Hash,
    /// Sessions told, revisions counted once.
    pub sessions: usize,
    /// Intervals of occupancy told, revisions counted once.
    pub occupancy: usize,
    /// Other records.
    pub events: usize,
    /// Of these, records that cannot be used.
    pub undecodable: usize,
}

/// Verifies one log against the leaves and the keys. A log without records has nothing to verify.
pub async fn verify(
    snapshot: &mut Snapshot,
    log: &LogRow,
    cosigners: &[CosignerVerifier],
) -> Result<Audit, AuditError> {
    let mismatch = |what: String| AuditError::Mismatch {
        gateway: log.gateway.clone(),
        what,
    };
    let mut recomputed = Recomputed::default();
    let mut telling = Deriver::default();
    loop {
        let size = recomputed.frontier.size();
        let page = snapshot.leaves(&log.gateway, size, PAGE_ROWS).await?;
        if page.is_empty() {
            break;
        }
        let full = recomputed.page(&page, &mut telling).map_err(mismatch)?;
        compare_tiles(snapshot, &log.gateway, &full).await?;
    }
    compare_tiles(snapshot, &log.gateway, &recomputed.edge).await?;
    let tiles = snapshot.tile_count(&log.gateway).await?;
    let expected = recomputed.full_tiles + recomputed.edge.len() as u64;
    if tiles != expected {
        return Err(mismatch(format!(
            "{tiles} tiles are stored, the leaves give {expected}"
        )));
    }
    check_signatures(log, &recomputed.frontier, cosigners).map_err(mismatch)?;

    let (derived, undecodable) = telling.finish();
    compare_derived(snapshot, &log.gateway, &derived).await?;
    Ok(Audit {
        gateway: log.gateway.clone(),
        size: recomputed.frontier.size(),
        root: recomputed.frontier.root(),
        sessions: derived.sessions.len(),
        occupancy: derived.occupancy.len(),
        events: derived.events.len(),
        undecodable: undecodable.len(),
    })
}

/// Drops what was derived of a box's log and derives it again from the leaves. Nothing comes in from this box meanwhile.
/// `None` when the box is not registered.
pub async fn rebuild(store: &Store, gateway: &GatewayId) -> Result<Option<Derived>, StoreError> {
    let Some(mut log) = store.lock_log(gateway).await? else {
        return Ok(None);
    };
    let size = log.head.frontier.size();
    let mut telling = Deriver::default();
    let mut from = 0;
    while from < size {
        let records = log.records(from..size.min(from + u64::from(PAGE_ROWS))).await?;
        if records.is_empty() {
            return Err(StoreError::corrupt(
                gateway.as_str(),
                format!("leaf {from}"),
                "it is missing",
            ));
        }
        for (index, record) in (from..).zip(&records) {
            telling.leaf(gateway, index, record);
        }
        from += records.len() as u64;
    }
    let (derived, _) = telling.finish();
    log.drop_derived().await?;
    log.write_derived(&derived).await?;
    log.commit().await?;
    Ok(Some(derived))
}

/// What the leaves read so far give.
#[derive(Debug, Default)]
struct Recomputed {
    frontier: Frontier,
    /// Tiles that may still grow.
    edge: Tiles,
    full_tiles: u64,
}

impl Recomputed {
    /// Takes in a page of leaves; gives the tiles that are full now.
    fn page(&mut self, page: &[LeafRow], deriver: &mut Deriver) -> Result<Tiles, String> {
        let size = self.frontier.size();
        let mut hashes = Vec::with_capacity(page.len());
        for (index, leaf) in (size..).zip(page) {
            if leaf.index != index {
                return Err(format!(
                    "leaf {index} is missing: the next one stored is {}",
                    leaf.index
                ));
            }
            let gateway = GatewayId::new(leaf.gateway.clone()).map_err(|error| error.to_string())?;
            deriver.leaf(&gateway, index, &leaf.record);
            let hash = leaf_hash(&leaf.record);
            self.frontier.push(hash);
            hashes.push(hash);
        }
        let written = tiles::append(size, &hashes, &self.edge).map_err(|error| error.to_string())?;
        let mut full = Tiles::new();
        for (tile, bytes) in written {
            self.edge.remove(&tile);
            if bytes.len() == WIDTH * Hash::LENGTH_BYTES {
                full.insert(tile, bytes);
            } else {
                self.edge.insert(tile, bytes);
            }
        }
        self.full_tiles += full.len() as u64;
        Ok(full)
    }
}

async fn compare_tiles(snapshot: &mut Snapshot, gateway: &GatewayId, computed: &Tiles) -> Result<(), AuditError> {
    let names: Vec<TileId> = computed.keys().copied().collect();
    let stored = snapshot.tiles(gateway, &names).await?;
    for (tile, hashes) in computed {
        if stored.get(tile) != Some(hashes) {
            return Err(AuditError::Mismatch {
                gateway: gateway.clone(),
                what: format!("tile {} of level {} is not what the leaves give", tile.n, tile.level),
            });
        }
    }
    Ok(())
}

fn check_signatures(log: &LogRow, frontier: &Frontier, cosigners: &[CosignerVerifier]) -> Result<(), String> {
    if frontier.size() != log.size {
        return Err(format!(
            "{} leaves are stored, the log says {}",
            frontier.size(),
            log.size
        ));
    }
    let Some(signed) = &log.checkpoint else {
        return if log.size == 0 {
            Ok(())
        } else {
            Err("the checkpoint is missing".to_owned())
        };
    };
    let (stored, computed) = (signed.checkpoint(), frontier.checkpoint(log.origin.clone()));
    if *stored != computed {
        return Err(format!(
            "the leaves give root {} at size {}, the checkpoint says {} at {}",
            computed.root, computed.size, stored.root, stored.size
        ));
    }
    let verifier = LogVerifier::from_vkey(&log.vkey).map_err(|error| format!("key of the box: {error}"))?;
    signed
        .verify(&verifier)
        .map_err(|error| format!("signature of the box: {error}"))?;
    let receipts: Vec<_> = cosigners
        .iter()
        .filter_map(|cosigner| signed.verify_cosigner(cosigner).ok())
        .collect();
    match &log.receipt {
        Some(receipt) if receipts.contains(receipt) => Ok(()),
        Some(_) => Err("the receipt is not the city's cosignature of the checkpoint".to_owned()),
        None => Err("the receipt is missing".to_owned()),
    }
}

async fn compare_derived(snapshot: &mut Snapshot, gateway: &GatewayId, derived: &Derived) -> Result<(), AuditError> {
    let mismatch = |what: String| AuditError::Mismatch {
        gateway: gateway.clone(),
        what,
    };
    if snapshot.calendar(gateway).await? != Some(derived.calendar.unwrap_or_default()) {
        return Err(mismatch(
            "zone of time or begin of the business day is not what the leaves give".to_owned(),
        ));
    }
    let mut expected = derived.sessions.iter();
    let mut after = String::new();
    loop {
        let page = snapshot.session_rows(gateway, &after, PAGE_ROWS).await?;
        for row in &page {
            if expected.next() != Some(row) {
                return Err(mismatch(format!("session {} is not what the leaves give", row.session)));
            }
        }
        match page.last() {
            Some(row) => after.clone_from(&row.session),
            None => break,
        }
    }
    if let Some(row) = expected.next() {
        return Err(mismatch(format!("session {} is missing", row.session)));
    }
    let mut expected = derived.occupancy.iter();
    let mut after = (String::new(), i64::MIN);
    loop {
        let page = snapshot.occupancy_rows(gateway, (&after.0, after.1), PAGE_ROWS).await?;
        for row in &page {
            if expected.next() != Some(row) {
                return Err(mismatch(format!(
                    "occupancy of zone {} is not what the leaves give",
                    row.zone
                )));
            }
        }
        match page.last() {
            Some(row) => after = (row.zone.clone(), row.from_ms),
            None => break,
        }
    }
    if let Some(row) = expected.next() {
        return Err(mismatch(format!("occupancy of zone {} is missing", row.zone)));
    }
    let mut expected = derived.events.iter();
    let mut from = 0;
    loop {
        let page = snapshot.event_rows(gateway, from, PAGE_ROWS).await?;
        for row in &page {
            if expected.next() != Some(row) {
                return Err(mismatch(format!("event {} is not what the leaves give", row.index)));
            }
        }
        match page.last() {
            Some(row) => from = row.index + 1,
            None => break,
        }
    }
    match expected.next() {
        Some(row) => Err(mismatch(format!("event {} is missing", row.index))),
        None => Ok(()),
    }
}

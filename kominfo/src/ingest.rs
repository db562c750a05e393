//! What the city does with what a box sends: verify, commit, cosign; or refuse, keep and raise an alarm.
//!
//! A batch says: "records `first..first + count` of my log are these, and the log then has this root", the root being
//! implied by the signature. The city recomputes that root from its own copy up to `first` and the records sent; only
//! the box's signature over exactly that makes the batch the box's word. Then there are four cases:
//!
//! | batch lies | contents | meaning | answer |
//! |---|---|---|---|
//! | beyond what is stored | | something before it is missing | [`Outcome::Gap`] |
//! | at the end, or over it | as stored where it overlaps | it grows the log | [`Outcome::Committed`] |
//! | within what is stored | as stored | told again | [`Outcome::Repeated`] |
//! | over what is stored | other than stored | the box signed two histories | [`Outcome::Refused`], a fork |
//!
//! Invariants: no receipt before the commit; a refused batch changes nothing but the quarantine; whatever bytes come in,
//! only their own box is concerned; what is committed twice is counted once, because an index has one leaf.

use std::io::Read as _;

use ledger::batch::{self, Batch, Limits};
use ledger::{Cosigner, CosignerVerifier, Frontier, Receipt, SignedCheckpoint, leaf_hash, tiles};
use parking::{GatewayId, Timestamp};
use serde_json::{Map, Value};

use crate::derive::{Deriver, Undecodable, is_simulated};
use crate::store::{
    AlarmCode, LeafRow, LockedLog, LogHead, NewRefusal, Put, StateRow, Store, StoreError, TileRow, Tiles,
};
use crate::telemetry;

/// Bytes of a message of state or telemetry when decompressed.
const MESSAGE_BYTES_MAX: u64 = 1 << 20;
/// Bytes of one value in it; a larger one is left out.
const STATE_VALUE_BYTES_MAX: usize = 8_192;
/// zstd window that such a message may ask for, 2^n bytes.
const WINDOW_LOG_MAX: u32 = 20;
/// Bytes of a status message.
const STATUS_BYTES_MAX: usize = 4_096;

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It grew the log, durably; this is the receipt.
    Committed(Receipt),
    /// It was there already; this is the newest receipt.
    Repeated(Receipt),
    /// Records before it are missing.
    Gap {
        /// Records that the city has.
        size: u64,
        /// The newest receipt.
        receipt: Option<Receipt>,
    },
    /// It was refused, kept and an alarm raised.
    Refused {
        /// Why.
        reason: AlarmCode,
        /// The particulars.
        detail: String,
    },
}

/// Takes in what boxes send. One for an instance; any number of tasks may use it at once.
#[derive(Debug)]
pub struct Ingest {
    store: Store,
    cosigner: Cosigner,
    cosigner_verifier: CosignerVerifier,
    limits: Limits,
    accept_simulated: bool,
}

/// What is to be done with a batch whose place in the log is known.
enum Verdict {
    /// Append the records from `new` on.
    Append {
        /// How many of the batch's records are stored already.
        known: usize,
        /// The tree after the batch.
        frontier: Frontier,
        /// Its checkpoint with the box's signature.
        checkpoint: SignedCheckpoint,
    },
    /// All of it is stored.
    Known,
    /// It is not to be believed.
    Refuse(AlarmCode, String),
}

impl Ingest {
    /// Takes in into `store` and makes receipts with `cosigner`. With `accept_simulated`, records of a made-up clock
    /// count too: for demonstrations and tests.
    pub fn new(store: Store, cosigner: Cosigner, accept_simulated: bool) -> Self {
        Self {
            store,
            cosigner_verifier: cosigner.verifier(),
            cosigner,
            limits: Limits::default(),
            accept_simulated,
        }
    }

    /// The database.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Takes in a batch that came from `gateway` (the broker vouches for the topic's owner) at `topic`.
    pub async fn batch(
        &self,
        gateway: &GatewayId,
        topic: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let refusal = |reason| NewRefusal {
            gateway: gateway.as_str(),
            reason,
            detail: "",
            topic,
            payload,
        };
        let batch = match batch::decode(payload, &self.limits) {
            Ok(batch) => batch,
            Err(error) => return self.refuse(refusal(AlarmCode::Malformed), error.to_string(), now).await,
        };
        let Some(mut log) = self.store.lock_log(gateway).await? else {
            let detail = format!("box {gateway} is not registered: see `kominfo box add`");
            return self.refuse(refusal(AlarmCode::UnknownBox), detail, now).await;
        };
        let size = log.head.frontier.size();
        if batch.first_index > size {
            let receipt = log.head.receipt.take();
            log.release().await?;
            return Ok(Outcome::Gap { size, receipt });
        }
        let place = Place::find(gateway, &mut log, &batch).await?;
        match judge(&log.head, place.before, &batch, &place.overlap, self.accept_simulated) {
            Verdict::Append {
                known,
                frontier,
                checkpoint,
            } => {
                let receipt = self
                    .append(
                        gateway,
                        &mut log,
                        &batch,
                        known,
                        &place.tiles,
                        &frontier,
                        checkpoint,
                        now,
                    )
                    .await?;
                log.commit().await?;
                Ok(Outcome::Committed(receipt))
            }
            Verdict::Known => self.repeated(log, &batch, refusal(AlarmCode::Replay), now).await,
            Verdict::Refuse(reason, detail) => {
                log.refuse(
                    &NewRefusal {
                        detail: &detail,
                        ..refusal(reason)
                    },
                    now,
                )
                .await?;
                if reason == AlarmCode::Fork {
                    log.mark_forked().await?;
                }
                log.commit().await?;
                Ok(Outcome::Refused { reason, detail })
            }
        }
    }

    async fn refuse(&self, refusal: NewRefusal<'_>, detail: String, now: Timestamp) -> Result<Outcome, StoreError> {
        self.store
            .refuse(
                &NewRefusal {
                    detail: &detail,
                    ..refusal
                },
                now,
            )
            .await?;
        Ok(Outcome::Refused {
            reason: refusal.reason,
            detail,
        })
    }

    /// A batch told again. The last one is told again whenever a receipt was lost; an older one is noticed, as only a
    /// box that has missed several receipts, or somebody who plays back old messages, sends it.
    async fn repeated(
        &self,
        mut log: LockedLog,
        batch: &Batch,
        refusal: NewRefusal<'_>,
        now: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let (size, end) = (log.head.frontier.size(), batch.first_index + batch.records.len() as u64);
        let receipt = log.head.receipt.take().ok_or_else(|| {
            StoreError::corrupt(refusal.gateway, "receipt", format!("there is none for {size} records"))
        })?;
        if end < size {
            let detail = format!(
                "records {} to {} of {size} were sent again, unaltered",
                batch.first_index,
                end - 1
            );
            log.refuse(
                &NewRefusal {
                    detail: &detail,
                    ..refusal
                },
                now,
            )
            .await?;
            log.commit().await?;
        } else {
            log.release().await?;
        }
        Ok(Outcome::Repeated(receipt))
    }

    #[allow(clippy::too_many_arguments)] // one call, each argument another fact of the batch
    async fn append(
        &self,
        gateway: &GatewayId,
        log: &mut LockedLog,
        batch: &Batch,
        known: usize,
        tiles: &Tiles,
        frontier: &Frontier,
        mut checkpoint: SignedCheckpoint,
        now: Timestamp,
    ) -> Result<Receipt, StoreError> {
        let corrupt = |what: &str, why: String| StoreError::corrupt(gateway.as_str(), what, why);
        let size = log.head.frontier.size();
        let new = batch.records.get(known..).unwrap_or_default();
        let mut telling = Deriver::default();
        let mut leaves = Vec::with_capacity(new.len());
        for (index, record) in (size..).zip(new) {
            telling.leaf(gateway, index, record);
            leaves.push(LeafRow {
                gateway: gateway.to_string(),
                index,
                record: record.clone(),
                received_ms: now.as_millis(),
            });
        }
        let hashes: Vec<_> = new.iter().map(|record| leaf_hash(record)).collect();
        let tiles = tiles::append(size, &hashes, tiles).map_err(|error| corrupt("tiles", error.to_string()))?;
        let tiles: Vec<_> = tiles
            .into_iter()
            .map(|(tile, hashes)| tile_row(gateway, tile, hashes))
            .collect();
        let (derived, undecodable) = telling.finish();
        log.append(&leaves, &tiles, &derived).await?;
        if let Some(detail) = complain(&undecodable) {
            log.raise(AlarmCode::UndecodableRecord, &detail, now).await?;
        }
        let time_s = u64::try_from(now.as_seconds()).unwrap_or(0);
        let receipt = self.cosigner.cosign(checkpoint.checkpoint(), time_s);
        checkpoint
            .add_receipt(&receipt, &self.cosigner_verifier)
            .map_err(|error| corrupt("receipt", error.to_string()))?;
        log.advance(frontier, &checkpoint, &receipt, now).await?;
        Ok(receipt)
    }

    /// Takes in what is true now at a box: zstd of a JSON object of keys `space/<id>`, `sensor/<id>`, `camera/<id>`, `box`,
    /// `far_view`, and `full` when the box is telling everything. Other keys, and values of more than 8 KiB, are left out. Tells why
    /// it was refused, if it was.
    pub async fn state(
        &self,
        gateway: &GatewayId,
        topic: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Option<AlarmCode>, StoreError> {
        let refused = match decode_state(payload) {
            Ok(state) => {
                let full = state.get("full") == Some(&Value::Bool(true));
                let rows: Vec<_> = state
                    .into_iter()
                    .filter(|(name, _)| is_state_name(name))
                    .map(|(name, value)| StateRow {
                        gateway: gateway.to_string(),
                        name,
                        value: value.to_string(),
                        updated_ms: now.as_millis(),
                    })
                    .filter(|row| row.value.len() <= STATE_VALUE_BYTES_MAX)
                    .collect();
                let put = self.store.put_states(gateway, &rows, full, now).await?;
                refusal_of(put, gateway, "state of more than 10,000 keys".to_owned())
            }
            Err(why) => Some((AlarmCode::Malformed, why)),
        };
        match refused {
            Some(refused) => self.refuse_other(gateway, topic, payload, refused, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes in how things were over time at a box: zstd of a JSON object with `quarters`. Tells why it was refused, if it was.
    pub async fn telemetry(
        &self,
        gateway: &GatewayId,
        topic: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Option<AlarmCode>, StoreError> {
        let read = unpacked("telemetry", payload).and_then(|text| telemetry::read(&text, gateway, now));
        let refused = match read {
            Ok(rows) => {
                let put = self.store.put_telemetry(gateway, &rows, now).await?;
                let many = format!("telemetry of more than {} series", telemetry::SERIES_MAX);
                refusal_of(put, gateway, many)
            }
            Err(why) => Some((AlarmCode::Malformed, why)),
        };
        match refused {
            Some(refused) => self.refuse_other(gateway, topic, payload, refused, now).await.map(Some),
            None => Ok(None),
        }
    }

    /// Takes in whether a box is connected: JSON with `online`.
    pub async fn status(
        &self,
        gateway: &GatewayId,
        topic: &str,
        payload: &[u8],
        now: Timestamp,
    ) -> Result<Option<AlarmCode>, StoreError> {
        #[derive(serde::Deserialize)]
        struct Status {
            online: bool,
        }
        if payload.is_empty() {
            // A retained message that somebody took away says nothing.
            return Ok(None);
        }
        let text = payload.get(..STATUS_BYTES_MAX).unwrap_or(payload);
        let status = serde_json::from_slice::<Status>(text).map_err(|error| format!("status: {error}"));
        let detail = serde_json::from_slice::<Value>(text).unwrap_or_default().to_string();
        let refused = match status {
            Ok(Status { online }) if self.store.put_link(gateway, online, &detail, now).await? => return Ok(None),
            Ok(_) => (AlarmCode::UnknownBox, format!("box {gateway} is not registered")),
            Err(why) => (AlarmCode::Malformed, why),
        };
        self.refuse_other(gateway, topic, payload, refused, now).await.map(Some)
    }

    async fn refuse_other(
        &self,
        gateway: &GatewayId,
        topic: &str,
        payload: &[u8],
        (reason, detail): (AlarmCode, String),
        now: Timestamp,
    ) -> Result<AlarmCode, StoreError> {
        let refusal = NewRefusal {
            gateway: gateway.as_str(),
            reason,
            detail: &detail,
            topic,
            payload,
        };
        self.store.refuse(&refusal, now).await?;
        Ok(reason)
    }
}

/// What the store has around a batch.
struct Place {
    /// The tree up to the batch's first record.
    before: Frontier,
    /// What is stored at the batch's indexes.
    overlap: Vec<Vec<u8>>,
    /// The tiles at the log's right edge.
    tiles: Tiles,
}

impl Place {
    async fn find(gateway: &GatewayId, log: &mut LockedLog, batch: &Batch) -> Result<Self, StoreError> {
        let corrupt = |error: tiles::TileError| StoreError::corrupt(gateway.as_str(), "tiles", error.to_string());
        let size = log.head.frontier.size();
        let first = batch.first_index;
        let mut wanted = tiles::needed_for_edge(size).map_err(corrupt)?;
        if first == size {
            return Ok(Self {
                before: log.head.frontier.clone(),
                overlap: Vec::new(),
                tiles: log.tiles(&wanted).await?,
            });
        }
        wanted.extend(tiles::needed_for_edge(first).map_err(corrupt)?);
        let tiles = log.tiles(&wanted).await?;
        let end = size.min(first + batch.records.len() as u64);
        let overlap = log.records(first..end).await?;
        if overlap.len() as u64 != end - first {
            return Err(StoreError::corrupt(
                gateway.as_str(),
                "leaves",
                format!("some of {first} to {end} are missing"),
            ));
        }
        Ok(Self {
            before: tiles::frontier(first, &tiles).map_err(corrupt)?,
            overlap,
            tiles,
        })
    }
}

/// Decides about a batch: pure.
/// Why a message of a box was not stored, if it was not.
fn refusal_of(put: Put, gateway: &GatewayId, many: String) -> Option<(AlarmCode, String)> {
    match put {
        Put::Written => None,
        Put::UnknownBox => Some((AlarmCode::UnknownBox, format!("box {gateway} is not registered"))),
        Put::TooMany => Some((AlarmCode::Malformed, many)),
    }
}

fn judge(head: &LogHead, before: Frontier, batch: &Batch, overlap: &[Vec<u8>], accept_simulated: bool) -> Verdict {
    let altered = overlap
        .iter()
        .zip(&batch.records)
        .position(|(stored, sent)| stored != sent);
    let mut frontier = before;
    for record in &batch.records {
        frontier.push(leaf_hash(record));
    }
    let checkpoint = frontier.checkpoint(head.origin.clone());
    let checkpoint = match SignedCheckpoint::new(checkpoint, &batch.signature, &head.verifier) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            let reason = if altered.is_some() {
                AlarmCode::ReplayMismatch
            } else {
                AlarmCode::BadSignature
            };
            return Verdict::Refuse(reason, error.to_string());
        }
    };
    if let Some(place) = altered {
        let index = batch.first_index + place as u64;
        let detail = format!("the box has signed another record {index} than the one that the city has a receipt for");
        return Verdict::Refuse(AlarmCode::Fork, detail);
    }
    let known = overlap.len();
    let new = batch.records.get(known..).unwrap_or_default();
    if new.is_empty() {
        return Verdict::Known;
    }
    if !accept_simulated && new.iter().any(|record| is_simulated(record)) {
        let detail = "records of a made-up clock; only a city started with --accept-simulated takes them".to_owned();
        return Verdict::Refuse(AlarmCode::SimulatedClock, detail);
    }
    Verdict::Append {
        known,
        frontier,
        checkpoint,
    }
}

/// A tile as it is stored.
pub fn tile_row(gateway: &GatewayId, tile: tiles::TileId, hashes: Vec<u8>) -> TileRow {
    TileRow {
        gateway: gateway.to_string(),
        level: tile.level,
        n: tile.n,
        hashes,
    }
}

fn complain(undecodable: &[Undecodable]) -> Option<String> {
    let first = undecodable.first()?;
    let more = match undecodable.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    Some(format!("record {}: {}{more}", first.index, first.why))
}

fn decode_state(payload: &[u8]) -> Result<Map<String, Value>, String> {
    let text = unpacked("state", payload)?;
    serde_json::from_slice(&text).map_err(|error| format!("state: {error}"))
}

/// Decompresses a message, as far as one of `what` may be long.
fn unpacked(what: &str, payload: &[u8]) -> Result<Vec<u8>, String> {
    let wrong = |error: &dyn std::fmt::Display| format!("{what}: {error}");
    let mut decoder = zstd::stream::read::Decoder::new(payload).map_err(|error| wrong(&error))?;
    decoder.window_log_max(WINDOW_LOG_MAX).map_err(|error| wrong(&error))?;
    let mut text = Vec::new();
    decoder
        .take(MESSAGE_BYTES_MAX + 1)
        .read_to_end(&mut text)
        .map_err(|error| wrong(&error))?;
    if text.len() as u64 > MESSAGE_BYTES_MAX {
        return Err(format!("{what}: more than {MESSAGE_BYTES_MAX} bytes"));
    }
    Ok(text)
}

fn is_state_name(name: &str) -> bool {
    match name.split_once('/') {
        Some(("space", id)) => parking::SpaceId::new(id).is_ok(),
        Some(("sensor", id)) => parking::SensorId::new(id).is_ok(),
        Some(("camera", id)) => live::command::is_camera_name(id),
        Some(_) => false,
        None => ["box", live::link::REACH_KEY].contains(&name),
    }
}

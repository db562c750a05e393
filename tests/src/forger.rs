//! Someone who holds a box's files, honestly or not: builds batches with any key, and speaks to the city's broker with
//! the box's certificate through Mosquitto's own clients.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use ledger::batch::{Batch, encode};
use ledger::{Checkpoint, CosignerVerifier, Frontier, LogSigner, Receipt, leaf_hash};
use parking::{BootId, ClockQuality, GatewayId, Record, RecordBody, Timestamp, Written};

use crate::process::{Daemon, Ready, Spec, output, run, system_program};
use crate::world::{City, LOG_DOMAIN, enrol};

/// How long the city may take to answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A registered box without a gateway, in the hands of the test.
#[derive(Debug)]
pub struct Forger {
    /// The box whose certificate it holds.
    pub id: GatewayId,
    keys: PathBuf,
    signer: LogSigner,
    port: u16,
}

/// A log as it would be with some records in it.
#[derive(Debug, Clone, Default)]
pub struct History {
    records: Vec<Vec<u8>>,
}

impl History {
    /// `count` records that differ with `word`.
    pub fn of(word: &str, count: usize) -> anyhow::Result<Self> {
        let mut history = Self::default();
        history.extend(word, count)?;
        Ok(history)
    }

    /// Adds `count` records that differ with `word`.
    pub fn extend(&mut self, word: &str, count: usize) -> anyhow::Result<()> {
        for number in 0..count {
            let at = Timestamp::from_seconds(1_767_571_200 + i64::try_from(self.records.len())?);
            let record = Record {
                body: RecordBody::Started {
                    version: format!("{word}-{number}"),
                },
                written: Written {
                    at,
                    boot: BootId(1),
                    mono_s: 1,
                    clock: ClockQuality::Simulated,
                },
            };
            self.records.push(serde_json::to_vec(&record)?);
        }
        Ok(())
    }

    /// Number of records.
    pub fn size(&self) -> usize {
        self.records.len()
    }

    fn checkpoint(&self, origin: &str, size: usize) -> Checkpoint {
        let mut frontier = Frontier::new();
        for record in &self.records[..size] {
            frontier.push(leaf_hash(record));
        }
        frontier.checkpoint(origin)
    }

    /// The records `first..next` as a batch signed by `signer`.
    pub fn batch(&self, signer: &LogSigner, first: usize, next: usize) -> anyhow::Result<Vec<u8>> {
        let batch = Batch {
            first_index: u64::try_from(first)?,
            records: self.records[first..next].to_vec(),
            signature: signer.sign(&self.checkpoint(signer.name(), next)),
        };
        Ok(encode(&batch, 3)?)
    }
}

impl Forger {
    /// Registers a box under `id` and takes its keys.
    pub fn enrol(folder: &Path, city: &City, id: &str) -> anyhow::Result<Self> {
        let keys = folder.join(format!("forger-{id}"));
        fs::create_dir_all(&keys)?;
        let id = GatewayId::new(id)?;
        enrol(&city.pki, &city.database, &id, &keys)?;
        let signer = LogSigner::from_text(fs::read_to_string(keys.join("ledger.key"))?.trim())?;
        Ok(Self {
            id,
            keys,
            signer,
            port: city.broker.address.port(),
        })
    }

    /// The box's own key.
    pub fn signer(&self) -> &LogSigner {
        &self.signer
    }

    /// A key of the same name that the city does not know.
    pub fn foreign_signer(&self) -> anyhow::Result<LogSigner> {
        Ok(LogSigner::generate(
            &format!("{LOG_DOMAIN}/{}", self.id),
            &mut rand_core::OsRng,
        )?)
    }

    /// Options of Mosquitto's clients for the box's certificate.
    fn client(&self) -> Vec<String> {
        let file = |name: &str| self.keys.join(name).display().to_string();
        let port = self.port.to_string();
        let options = [
            "-h",
            "localhost",
            "-p",
            &port,
            "-V",
            "5",
            "-q",
            "1",
            "--cafile",
            &file("ca.pem"),
        ]
        .map(str::to_owned);
        let identity = ["--cert", &file("tls.pem"), "--key", &file("tls.key")].map(str::to_owned);
        options.into_iter().chain(identity).collect()
    }

    /// Publishes `payload` on the topic of `box_id` and `lane`. Fails when the broker refuses it.
    pub fn publish(&self, box_id: &GatewayId, lane: &str, payload: &[u8]) -> anyhow::Result<()> {
        let file = self.keys.join("payload");
        fs::write(&file, payload)?;
        let topic = format!("parkir/1/{box_id}/{lane}");
        let file = file.display().to_string();
        let args = self
            .client()
            .into_iter()
            .chain(["-t".to_owned(), topic.clone(), "-f".to_owned(), file]);
        let output = output(system_program("mosquitto_pub")?, args)?;
        let words = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() || words.contains("ailed") {
            bail!("publishing on {topic}: {} ({})", words.trim(), output.status);
        }
        Ok(())
    }

    /// Sends a batch on the box's own topic.
    pub fn send(&self, batch: &[u8]) -> anyhow::Result<()> {
        self.publish(&self.id, "ledger", batch)
    }

    /// Waits until the retained receipt covers `size` records of `history` and verifies it.
    pub async fn await_receipt(&self, history: &History, size: usize) -> anyhow::Result<Receipt> {
        let wanted = u64::try_from(size)?;
        let topic = format!("parkir/1/{}/receipt", self.id);
        let log = self.keys.join("receipts.log");
        let mosquitto_sub = system_program("mosquitto_sub")?.display().to_string();
        // Receipts are binary, hence hexadecimal; without `stdbuf` they would wait for a page of them.
        let mut spec = Spec::new("receipts", system_program("stdbuf")?, log, Ready::Line(String::new()));
        spec = spec
            .args(["-oL", &mosquitto_sub])
            .args(self.client())
            .args(["-t", &topic, "-F", "%x"]);
        let mut subscriber = Daemon::spawn(spec)?;
        let begin = std::time::Instant::now();
        let receipt = loop {
            let text = subscriber.log_of_this_run()?;
            let receipts = text
                .lines()
                .filter_map(from_hex)
                .map(|bytes| Receipt::from_bytes(&bytes));
            if let Some(receipt) = receipts.flatten().find(|receipt| receipt.size == wanted) {
                break receipt;
            }
            anyhow::ensure!(
                begin.elapsed() < ANSWER,
                "no receipt for {wanted} records of {}: {text}",
                self.id
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        };
        subscriber.kill()?;
        let vkey = fs::read_to_string(self.keys.join("kominfo.vkey"))?;
        let checkpoint = history.checkpoint(self.signer.name(), size);
        CosignerVerifier::from_vkey(vkey.trim())?
            .verify(&checkpoint, &receipt)
            .context("the receipt does not hold")?;
        Ok(receipt)
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim().as_bytes();
    let pairs = digits.chunks(2);
    pairs
        .map(|pair| {
            std::str::from_utf8(pair)
                .ok()
                .and_then(|pair| u8::from_str_radix(pair, 16).ok())
        })
        .collect()
}

/// Publishes one message to a plain broker, as any device in the local network could.
pub fn publish_plain(port: u16, topic: &str, payload: &str) -> anyhow::Result<()> {
    let port = port.to_string();
    let args = ["-p", &port, "-q", "1", "-V", "5", "-t", topic, "-m", payload];
    run(system_program("mosquitto_pub")?, args).map(drop)
}

//! The city's interface, as anyone may read it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context;
use parking::{CivilDate, GatewayId, Session, ZoneDay, ZoneId};
use serde_json::Value;

use crate::truth::{Comparison, Truth};

/// How often the city is asked while something is awaited.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// A reader of one `kominfo`.
#[derive(Debug, Clone)]
pub struct Api {
    base: String,
    client: reqwest::Client,
}

impl Api {
    /// A reader of the instance at `address`.
    pub fn new(address: SocketAddr) -> Self {
        Self {
            base: format!("http://{address}"),
            client: reqwest::Client::new(),
        }
    }

    /// Where the page is.
    pub fn url(&self) -> &str {
        &self.base
    }

    /// The answer to a GET of `path`, JSON.
    pub async fn get(&self, path: &str) -> anyhow::Result<Value> {
        let url = format!("{}{path}", self.base);
        let response = self
            .client
            .get(&url)
            .send()
            .await
            .with_context(|| format!("GET {url}"))?;
        let status = response.status();
        let body = response.text().await?;
        anyhow::ensure!(status.is_success(), "GET {url}: {status}\n{body}");
        serde_json::from_str(&body).with_context(|| format!("GET {url}: no JSON: {body}"))
    }

    /// All sessions of a box as last told.
    pub async fn sessions(&self, gateway: &GatewayId) -> anyhow::Result<Vec<Session>> {
        let mut sessions = Vec::new();
        let mut page = String::new();
        loop {
            let answer = self.get(&format!("/api/v1/boxes/{gateway}/sessions{page}")).await?;
            let more: Vec<Session> = serde_json::from_value(answer["sessions"].clone()).context("no sessions")?;
            sessions.extend(more);
            match answer["next"].as_str() {
                Some(next) => page = format!("?after={next}"),
                None => return Ok(sessions),
            }
        }
    }

    /// Number of records that the city has of a box.
    pub async fn log_size(&self, gateway: &GatewayId) -> anyhow::Result<u64> {
        let answer = self.get("/api/v1/boxes").await?;
        let boxes = answer.as_array().context("no list of boxes")?;
        let found = boxes.iter().find(|one| one["box"] == gateway.as_str());
        found
            .and_then(|one| one["size"].as_u64())
            .with_context(|| format!("no box {gateway} in {answer}"))
    }

    /// How many records of a kind the city has of a box, of those that are neither sessions nor occupancy.
    pub async fn events(&self, gateway: &GatewayId, kind: &str) -> anyhow::Result<u64> {
        let answer = self.get(&format!("/api/v1/boxes/{gateway}")).await?;
        let events = answer["events"].as_array().context("no list of events")?;
        let found = events.iter().find(|event| event["kind"] == kind);
        Ok(found.and_then(|event| event["count"].as_u64()).unwrap_or(0))
    }

    /// A zone's business day in figures.
    pub async fn zone_day(&self, gateway: &GatewayId, zone: &ZoneId, day: CivilDate) -> anyhow::Result<ZoneDay> {
        let answer = self.get(&format!("/api/v1/zones/{gateway}/{zone}/days/{day}")).await?;
        serde_json::from_value(answer).context("the day is none")
    }

    /// Codes of the alarms that stand for a box.
    pub async fn alarms(&self, gateway: &GatewayId) -> anyhow::Result<Vec<String>> {
        let answer = self.get("/api/v1/alarms").await?;
        let alarms = answer.as_array().context("no list of alarms")?;
        let of_box = alarms.iter().filter(|alarm| alarm["box"] == gateway.as_str());
        Ok(of_box
            .filter_map(|alarm| alarm["code"].as_str().map(str::to_owned))
            .collect())
    }

    /// Asks until an alarm of that code stands for a box.
    pub async fn await_alarm(&self, gateway: &GatewayId, code: &str, patience: Duration) -> anyhow::Result<()> {
        let begin = Instant::now();
        loop {
            let standing = self.alarms(gateway).await?;
            if standing.iter().any(|one| one == code) {
                return Ok(());
            }
            anyhow::ensure!(
                begin.elapsed() < patience,
                "no alarm \"{code}\" of {gateway}; standing: {standing:?}"
            );
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Asks until the sessions of a box equal the truth, or `patience` is over. The last comparison tells.
    pub async fn await_truth(
        &self,
        gateway: &GatewayId,
        truth: &Truth,
        patience: Duration,
    ) -> anyhow::Result<Comparison> {
        let begin = Instant::now();
        loop {
            let comparison = self.sessions(gateway).await.map(|sessions| truth.compare(&sessions));
            match comparison {
                Ok(comparison) if comparison.is_exact() || begin.elapsed() > patience => return Ok(comparison),
                Err(error) if begin.elapsed() > patience => return Err(error),
                _ => tokio::time::sleep(ASK_AGAIN).await,
            }
        }
    }
}

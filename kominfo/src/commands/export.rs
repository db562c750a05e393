//! `kominfo export`: a session's proof for anyone to check, and tables for whoever counts on.

use std::path::PathBuf;

use anyhow::{Context as _, bail, ensure};
use clap::Subcommand;
use ledger::{LogVerifier, Proof, tiles};
use parking::{CivilDate, GatewayId, SessionId, ZoneId};

use super::{Place, cosigners, shown};
use crate::files;
use crate::store::{SessionFilter, StoredSession};

/// Sessions read at once.
const PAGE: u32 = 4_096;

#[derive(Debug, Subcommand)]
pub(super) enum Export {
    /// Write a session's record, its proof and the public keys: all that is needed to check it, offline
    Proof {
        /// The session
        #[arg(long)]
        session: SessionId,
        /// The box, if more than one has a session of that name
        #[arg(long = "box", value_name = "ID")]
        gateway: Option<GatewayId>,
        /// Folder to write to
        #[arg(long, value_name = "DIR")]
        to: PathBuf,
    },
    /// Write sessions as last told, to standard output
    Sessions {
        /// Of this box
        #[arg(long = "box", value_name = "ID")]
        gateway: Option<GatewayId>,
        /// Of this business day, 2026-01-05
        #[arg(long)]
        day: Option<CivilDate>,
        /// Of this zone
        #[arg(long)]
        zone: Option<ZoneId>,
        /// As CSV (this is the default)
        #[arg(long, conflicts_with = "json")]
        csv: bool,
        /// As JSON, one session a line
        #[arg(long)]
        json: bool,
    },
}

impl Export {
    pub(super) async fn run(self, place: &Place) -> anyhow::Result<()> {
        match self {
            Self::Proof { session, gateway, to } => proof(place, &session, gateway.as_ref(), &to).await,
            Self::Sessions {
                gateway,
                day,
                zone,
                csv: _,
                json,
            } => sessions(place, gateway, day, zone, json).await,
        }
    }
}

async fn proof(
    place: &Place,
    session: &SessionId,
    gateway: Option<&GatewayId>,
    to: &std::path::Path,
) -> anyhow::Result<()> {
    let store = place.open().await?;
    let mut found = store.session_indexes(session.as_str()).await?;
    found.retain(|(of, _)| gateway.is_none_or(|gateway| gateway == of));
    let (gateway, index) = match found.as_slice() {
        [(gateway, index)] => (gateway, *index),
        [] => bail!("no session {session} is stored"),
        _ => bail!("more than one box has a session {session}: say which with --box"),
    };
    let mut snapshot = store.snapshot().await?;
    let logs = snapshot.logs(Some(gateway)).await?;
    let log = logs.first().context("the box's log is missing")?;
    let checkpoint = log
        .checkpoint
        .clone()
        .with_context(|| format!("box {gateway} has no checkpoint"))?;
    let leaf = snapshot.leaves(gateway, index, 1).await?.into_iter().next();
    let leaf = leaf
        .filter(|leaf| leaf.index == index)
        .with_context(|| format!("leaf {index} is missing"))?;
    let wanted = tiles::needed_for_inclusion(index, checkpoint.checkpoint().size)?;
    let tiles = snapshot.tiles(gateway, &wanted).await?;
    let path = tiles::inclusion_proof(index, checkpoint.checkpoint(), &tiles)
        .context("the proof does not hold; run `kominfo verify`")?;
    drop(snapshot);
    let verifier = LogVerifier::from_vkey(&log.vkey)?;
    let mut cosigners = cosigners(&store, &[]).await?;
    store.close().await;
    cosigners.retain(|cosigner| checkpoint.verify_cosigner(cosigner).is_ok());
    let proof = Proof::new(index, path, checkpoint);
    // What leaves the house was checked as its receiver will check it.
    proof
        .verify(&leaf.record, &verifier, &cosigners)
        .context("the proof does not hold; run `kominfo verify`")?;
    ensure!(
        !cosigners.is_empty(),
        "no key of the city fits the checkpoint; run `kominfo verify`"
    );

    files::folder(to)?;
    let mut written = vec![
        (format!("{session}.record"), leaf.record),
        (format!("{session}.tlog-proof"), proof.to_text().into_bytes()),
        (
            format!("{gateway}.vkey"),
            format!("{}\n", verifier.to_vkey()).into_bytes(),
        ),
    ];
    for cosigner in cosigners {
        written.push((
            format!("{}.vkey", cosigner.name()),
            format!("{}\n", cosigner.to_vkey()).into_bytes(),
        ));
    }
    for (name, bytes) in written {
        let path = to.join(name.replace('/', "_"));
        files::replace(&path, &bytes)?;
        tell!("{}", shown(&path));
    }
    Ok(())
}

async fn sessions(
    place: &Place,
    gateway: Option<GatewayId>,
    day: Option<CivilDate>,
    zone: Option<ZoneId>,
    json: bool,
) -> anyhow::Result<()> {
    let store = place.open().await?;
    let gateways: Vec<_> = match gateway {
        Some(gateway) => vec![gateway],
        None => store.boxes().await?.into_iter().map(|row| row.gateway).collect(),
    };
    if !json {
        tell!(
            "box,session,revision,zone,space,class,status,start,end,day,tariff,fee_low,fee_point,fee_high,flags,index"
        );
    }
    for gateway in gateways {
        let mut filter = SessionFilter {
            day,
            zone: zone.clone(),
            limit: PAGE,
            ..SessionFilter::default()
        };
        loop {
            let page = store.sessions(&gateway, &filter).await?;
            for stored in &page {
                tell!(
                    "{}",
                    if json {
                        as_json(&gateway, stored)?
                    } else {
                        as_csv(&gateway, stored)?
                    }
                );
            }
            match page.last() {
                Some(last) => filter.after = Some((last.session.start, last.session.session.to_string())),
                None => break,
            }
        }
    }
    store.close().await;
    Ok(())
}

fn as_json(gateway: &GatewayId, stored: &StoredSession) -> anyhow::Result<String> {
    let mut value = serde_json::to_value(stored)?;
    if let Some(object) = value.as_object_mut() {
        object.insert("box".to_owned(), gateway.as_str().into());
    }
    Ok(value.to_string())
}

/// One line of CSV. No field needs quotes: all are identifiers, numbers, times or fixed words.
fn as_csv(gateway: &GatewayId, stored: &StoredSession) -> anyhow::Result<String> {
    let word = |value: serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let session = &stored.session;
    let mut flags = Vec::new();
    for flag in &session.flags {
        flags.push(word(serde_json::to_value(flag)?));
    }
    let fields = [
        gateway.to_string(),
        session.session.to_string(),
        session.revision.to_string(),
        session.zone.to_string(),
        session.space.to_string(),
        word(serde_json::to_value(session.class)?),
        word(serde_json::to_value(session.status)?),
        session.start.to_string(),
        session.end.to_string(),
        session.day.to_string(),
        session.tariff.as_ref().map(ToString::to_string).unwrap_or_default(),
        session.fee.low.0.to_string(),
        session.fee.point.0.to_string(),
        session.fee.high.0.to_string(),
        flags.join(" "),
        stored.index.to_string(),
    ];
    Ok(fields.join(","))
}

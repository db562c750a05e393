//! `gateway status`: asks the running daemon how it is.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;

use super::load_config;
use crate::cameras::far::FarStatus;
use crate::daemon::local::Status;

/// Shows how the running daemon is.
#[derive(Debug, Args)]
pub struct StatusArguments {
    /// The box's configuration, TOML; it says where the daemon listens.
    config: PathBuf,
    /// Prints one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(arguments: &StatusArguments) -> anyhow::Result<()> {
    let config = load_config(&arguments.config)?;
    let status: Status = super::local::Daemon::at(&config.local.socket)?.get("/status")?;
    if arguments.json {
        tell!("{}", serde_json::to_string_pretty(&status)?);
    } else {
        tell!("{}", text(&status).trim_end());
    }
    Ok(())
}

fn text(status: &Status) -> String {
    let online = status
        .link
        .get("online")
        .and_then(serde_json::Value::as_bool)
        .unwrap_or(false);
    let error = status.link.get("last_error").and_then(serde_json::Value::as_str);
    let link = match (online, error) {
        (true, _) => "online".to_owned(),
        (false, Some(reason)) => format!("offline: {reason}"),
        (false, None) => "offline".to_owned(),
    };
    let receipt = status.receipt_time.map_or("none yet".to_owned(), |time| {
        format!("{time} for {} records", status.receipted)
    });
    let journal = &status.journal;
    let full = if journal.full {
        "  FULL: nothing more is taken in until space is freed"
    } else {
        ""
    };
    let clock = serde_json::to_value(status.clock).unwrap_or_default();
    let clock = clock.as_str().unwrap_or("unknown");
    let count = |(state, count): (&String, &serde_json::Value)| format!("{count} {state}");
    let spaces = status
        .spaces
        .as_object()
        .map_or_else(|| vec!["none".to_owned()], |spaces| spaces.iter().map(count).collect())
        .join(", ");
    format!(
        "gateway   {} version {}\ntime      {} (clock {clock})\ncity      {link}\nreceipt   {receipt}\nbacklog   {} records\n\
         link      {} bytes sent, {} received since start\n\
         journal   {} segments, {} KiB on disk, {} of {} spare segments in reserve{full}\nspaces    {spaces}\n{}{}",
        status.gateway,
        status.version,
        status.now,
        status.backlog,
        status.link_bytes[0],
        status.link_bytes[1],
        journal.segments,
        journal.disk_bytes / 1024,
        journal.spares.min(journal.reserve),
        journal.reserve,
        drivers(&status.drivers),
        status.far_view.as_ref().map(far_view).unwrap_or_default(),
    )
}

fn far_view(far_view: &FarStatus) -> String {
    let FarStatus {
        streams,
        streams_max,
        held,
        refused,
        last_refusal,
    } = far_view;
    let mut line = format!("far view  {streams} of {streams_max} streams");
    if *held {
        line.push_str(", waiting until records have their receipts");
    }
    if let Some(why) = last_refusal {
        // The reason may come with a hint on a line of its own.
        let why = why.lines().next().unwrap_or_default();
        write!(line, "; {refused} commands refused, the last: {why}").unwrap_or_default();
    }
    line.push('\n');
    line
}

fn drivers(drivers: &serde_json::Value) -> String {
    let lines = drivers.as_array().into_iter().flatten().map(|driver| {
        let field = |name: &str| driver.get(name).and_then(serde_json::Value::as_str).unwrap_or_default();
        let readings = driver.get("readings").and_then(serde_json::Value::as_u64).unwrap_or(0);
        let set_aside: u64 = driver
            .get("set_aside")
            .and_then(serde_json::Value::as_object)
            .map_or(0, |reasons| {
                reasons.values().filter_map(serde_json::Value::as_u64).sum()
            });
        let state = [field("state"), field("reason")].join(" ");
        format!(
            "driver    {}: {}, {readings} readings, {set_aside} set aside\n",
            field("driver"),
            state.trim_end()
        )
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_from_the_city_are_told_with_their_places_and_what_was_refused() {
        let mut status = FarStatus {
            streams: 1,
            streams_max: 4,
            ..FarStatus::default()
        };
        assert_eq!(far_view(&status), "far view  1 of 4 streams\n");
        (status.held, status.refused) = (true, 2);
        status.last_refusal = Some("command is 70 s ahead\n  hint: compare the clocks".to_owned());
        assert_eq!(
            far_view(&status),
            "far view  1 of 4 streams, waiting until records have their receipts; 2 commands refused, the last: \
             command is 70 s ahead\n"
        );
    }
}

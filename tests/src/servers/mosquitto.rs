//! Mosquitto, as the LoRaWAN side's broker (plain, loopback) and as the city's (the shipped configuration, mutual TLS).

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::process::{Daemon, Ready, Spec, free_address, is_root, system_program};

/// A broker and where it listens.
#[derive(Debug)]
pub struct Broker {
    /// The process.
    pub daemon: Daemon,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Starts the broker between the LoRaWAN server and the box. It saves its state at every change, because Mosquitto's
/// default of once in half an hour would lose what it has acknowledged at the first kill.
pub async fn sensors(folder: &Path) -> anyhow::Result<Broker> {
    let address = free_address()?;
    let data = folder.join("sensor-broker");
    fs::create_dir_all(&data)?;
    let mut text = String::from("allow_anonymous true\nmax_inflight_messages 0\nmax_queued_messages 0\n");
    text.push_str("persistence true\nautosave_on_changes true\nautosave_interval 1\nlog_dest stderr\nlog_type all\n");
    writeln!(text, "listener {} {}", address.port(), address.ip())?;
    writeln!(text, "persistence_location {}/", data.display())?;
    start("sensor-broker", folder, address, text).await
}

/// Starts the city's broker from the configuration that is shipped for production, with this machine's paths and port.
/// `pki` holds the certificates as `kominfo pki init` makes them.
pub async fn city(folder: &Path, pki: &Path) -> anyhow::Result<Broker> {
    let shipped = repository().join("kominfo/deploy/mosquitto");
    let template = shipped.join("city.conf");
    let template = fs::read_to_string(&template).with_context(|| format!("cannot read {}", template.display()))?;
    fs::copy(shipped.join("acl"), pki.join("acl")).context("cannot copy the shipped access rules")?;
    let data = folder.join("city-broker");
    fs::create_dir_all(&data)?;
    let address = free_address()?;
    let text = installed(&template, address, pki, &data)?;
    start("city-broker", folder, address, text).await
}

/// The repository's root.
pub fn repository() -> PathBuf {
    let crate_folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_folder.parent().unwrap_or(crate_folder).to_owned()
}

/// The shipped configuration as its own head says that it is to be installed elsewhere: three strings differ.
fn installed(template: &str, address: SocketAddr, pki: &Path, data: &Path) -> anyhow::Result<String> {
    let listener = format!("listener {} {}", address.port(), address.ip());
    let mut text = template.to_owned();
    for (shipped, here) in [
        ("/etc/mosquitto/parkir", pki.display().to_string()),
        ("/var/lib/mosquitto", data.display().to_string()),
        ("listener 8883", listener),
    ] {
        anyhow::ensure!(
            text.contains(shipped),
            "the shipped city.conf does not mention {shipped} any more"
        );
        text = text.replace(shipped, &here);
    }
    Ok(text)
}

async fn start(name: &str, folder: &Path, address: SocketAddr, mut text: String) -> anyhow::Result<Broker> {
    if is_root() {
        // Else Mosquitto gives up root for a user that may not read a private temporary folder.
        text.push_str("\nuser root\n");
    }
    let config = folder.join(format!("{name}.conf"));
    fs::write(&config, text)?;
    let log = folder.join(format!("{name}.log"));
    let program = system_program("mosquitto")?;
    let spec = Spec::new(name, program, log, Ready::Port(address)).args([Path::new("-c"), &config]);
    let daemon = Daemon::start(spec).await?;
    Ok(Broker { daemon, address })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_configuration_is_used_with_nothing_replaced_but_paths_and_port() {
        let template = fs::read_to_string(repository().join("kominfo/deploy/mosquitto/city.conf")).unwrap();
        let address = "127.0.0.1:4711".parse().unwrap();
        let text = installed(&template, address, Path::new("/pki"), Path::new("/data")).unwrap();
        let changed: Vec<&str> = text
            .lines()
            .zip(template.lines())
            .filter(|(a, b)| a != b)
            .map(|(a, _)| a)
            .collect();
        let settings: Vec<&&str> = changed.iter().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            settings,
            [
                &"listener 4711 127.0.0.1",
                &"cafile /pki/ca.crt",
                &"certfile /pki/broker.crt",
                &"keyfile /pki/broker.key",
                &"acl_file /pki/acl",
                &"persistence_location /data/"
            ]
        );
    }
}

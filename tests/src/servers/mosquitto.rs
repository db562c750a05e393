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

/// Certificates of the city's broker, as `kominfo pki init` makes them.
#[derive(Debug, Clone)]
pub struct CityFiles {
    /// The configuration shipped for production.
    pub template: PathBuf,
    /// The access rules shipped for production.
    pub acl: PathBuf,
    /// Certificate of the authority.
    pub ca: PathBuf,
    /// The broker's certificate.
    pub certificate: PathBuf,
    /// The broker's private key.
    pub key: PathBuf,
}

/// Starts the broker between the LoRaWAN server and the box. It saves its state at every change, because Mosquitto's
/// default of once in half an hour would lose what it has acknowledged at the first kill.
pub async fn sensors(folder: &Path) -> anyhow::Result<Broker> {
    let address = free_address()?;
    let mut text = String::new();
    writeln!(text, "listener {} {}", address.port(), address.ip())?;
    text.push_str("allow_anonymous true\nautosave_on_changes true\nautosave_interval 1\n");
    text.push_str("max_inflight_messages 0\nmax_queued_messages 0\n");
    start("sensor-broker", folder, address, text).await
}

/// Starts the city's broker from the configuration that is shipped for production, with this machine's paths and port.
pub async fn city(folder: &Path, files: &CityFiles) -> anyhow::Result<Broker> {
    let address = free_address()?;
    let template =
        fs::read_to_string(&files.template).with_context(|| format!("cannot read {}", files.template.display()))?;
    let text = fill_template(&template, address, folder, files);
    start("city-broker", folder, address, text).await
}

/// Replaces, in the shipped configuration, only what belongs to one machine: addresses and paths.
fn fill_template(template: &str, address: SocketAddr, folder: &Path, files: &CityFiles) -> String {
    let mut text = String::new();
    for line in template.lines() {
        let value = match line.split_whitespace().next() {
            Some("listener") => format!("{} {}", address.port(), address.ip()),
            Some("acl_file") => files.acl.display().to_string(),
            Some("cafile") => files.ca.display().to_string(),
            Some("certfile") => files.certificate.display().to_string(),
            Some("keyfile") => files.key.display().to_string(),
            Some("persistence_location") => format!("{}/", folder.display()),
            Some("log_dest") => "stdout".to_owned(),
            Some("pid_file" | "user" | "log_type" | "persistence") => continue,
            _ => {
                text.push_str(line);
                text.push('\n');
                continue;
            }
        };
        let key = line.split_whitespace().next().unwrap_or_default();
        text.push_str(key);
        text.push(' ');
        text.push_str(&value);
        text.push('\n');
    }
    text
}

async fn start(name: &str, folder: &Path, address: SocketAddr, mut text: String) -> anyhow::Result<Broker> {
    let data = folder.join(name);
    fs::create_dir_all(&data)?;
    text.push_str("persistence true\nlog_type all\nlog_timestamp_format %H:%M:%S\n");
    if !text.contains("persistence_location") {
        writeln!(text, "persistence_location {}/", data.display())?;
    }
    if !text.contains("log_dest") {
        text.push_str("log_dest stdout\n");
    }
    if is_root() {
        // Else Mosquitto gives up root for a user that may not read a private temporary folder.
        text.push_str("user root\n");
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
    fn only_what_belongs_to_a_machine_is_replaced_in_the_shipped_configuration() {
        let files = CityFiles {
            template: "t".into(),
            acl: "/x/acl".into(),
            ca: "/x/ca".into(),
            certificate: "/x/cert".into(),
            key: "/x/key".into(),
        };
        let template =
            "listener 8883\nrequire_certificate true\nacl_file /etc/acl\nuser mosquitto\nmax_packet_size 1048576\n";
        let address = "127.0.0.1:4711".parse().unwrap();
        assert_eq!(
            fill_template(template, address, Path::new("/x"), &files),
            "listener 4711 127.0.0.1\nrequire_certificate true\nacl_file /x/acl\nmax_packet_size 1048576\n"
        );
    }
}

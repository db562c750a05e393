//! Sends Probes and gathers the answers.
//!
//! Multicast leaves only through the interfaces that were chosen, with a time to live of one, so it never passes a
//! router. Unicast goes only to the hosts that were named. UDP loses packets, and a device drops a message identifier
//! that it has seen, so every round has new ones: at once, after half a second and after a second and a half.
//!
//! An interface that is chosen by name is bound by name (`SO_BINDTODEVICE`, free for everyone since Linux 5.7), one
//! chosen by address by its address. Loopback and point-to-point interfaces, such as a mobile network's, are used only
//! when they are named. Only IPv4 is multicast to: cameras that speak IPv6 alone are named as hosts.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::probe::{ANSWER_BYTES_MAX, Answer, Collector, Counters, DeviceType, probe};

/// Where ONVIF devices listen (WS-Discovery 2.4).
pub const MULTICAST_TARGET: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(239, 255, 255, 250)), 3702);
/// When the rounds of Probes leave, after the start.
const ROUNDS: [Duration; 3] = [Duration::ZERO, Duration::from_millis(500), Duration::from_millis(1_500)];
/// Most packets that are read in one sweep. Reading stops there: so many come from a flood, not from cameras.
const PACKETS_MAX: u32 = 8_192;
/// Most packets that wait to be parsed. The sockets' own buffers hold the next ones; then the kernel drops them.
const PACKETS_WAITING_MAX: usize = 32;
/// Most interfaces that are used. Further ones are left out; a box has one to four.
const INTERFACES_MAX: usize = 16;
/// Where Linux lists the interfaces.
const INTERFACES_FOLDER: &str = "/sys/class/net";

/// Through which interfaces multicast leaves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interfaces {
    /// None: only the named hosts are asked.
    None,
    /// All that are up, can multicast and are neither loopback nor point-to-point.
    All,
    /// These.
    These(Vec<Interface>),
}

/// One interface of the box.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Interface {
    /// By its name, such as `eth0`.
    Name(String),
    /// By an address that it has.
    Address(Ipv4Addr),
}

impl std::str::FromStr for Interface {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let address = text.parse().map(Self::Address);
        Ok(address.unwrap_or_else(|_| Self::Name(text.to_owned())))
    }
}

impl std::fmt::Display for Interface {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::Address(address) => write!(f, "{address}"),
        }
    }
}

/// Why nothing could be sent through an interface, or to a host.
#[derive(Debug, thiserror::Error)]
#[error("cannot probe through {through}: {source}")]
pub struct SweepError {
    /// The interface, or the host.
    pub through: String,
    /// Why.
    pub source: io::Error,
}

/// What a sweep found.
#[derive(Debug, Default)]
pub struct Swept {
    /// The devices that answered.
    pub answers: Vec<Answer>,
    /// What came in.
    pub counters: Counters,
    /// What could not be used.
    pub errors: Vec<SweepError>,
}

/// Probes through `interfaces` towards `target`, and each of `hosts` at the same port; listens for `listen`.
pub async fn sweep(interfaces: &Interfaces, hosts: &[IpAddr], target: SocketAddr, listen: Duration) -> Swept {
    let begin = Instant::now();
    let mut swept = Swept::default();
    let mut collector = Collector::default();
    let (packets, mut received) = mpsc::channel(PACKETS_WAITING_MAX);
    let mut tasks = JoinSet::new();
    for (through, opened) in open_all(interfaces, hosts, target, &mut swept.errors).await {
        let asking = Asking {
            socket: opened.socket,
            targets: opened.targets,
            begin,
            end: begin + listen,
            packets: packets.clone(),
        };
        tasks.spawn(async move { asking.run().await.map_err(|source| SweepError { through, source }) });
    }
    drop(packets);
    let mut count = 0;
    while count < PACKETS_MAX
        && let Some((from, packet)) = received.recv().await
    {
        collector.take(from, &packet);
        count += 1;
    }
    received.close();
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(Ok(())) => {}
            Ok(Err(error)) => swept.errors.push(error),
            Err(error) => super::pass_on_panic(error),
        }
    }
    (swept.answers, swept.counters) = collector.finish();
    swept
}

struct Opened {
    socket: UdpSocket,
    targets: Vec<SocketAddr>,
}

async fn open_all(
    interfaces: &Interfaces,
    hosts: &[IpAddr],
    target: SocketAddr,
    errors: &mut Vec<SweepError>,
) -> Vec<(String, Opened)> {
    let chosen = match interfaces {
        Interfaces::None => Vec::new(),
        Interfaces::These(interfaces) => interfaces.clone(),
        Interfaces::All => match usable_interfaces(Path::new(INTERFACES_FOLDER)) {
            Ok(names) => names.into_iter().map(Interface::Name).collect(),
            Err(source) => {
                let through = INTERFACES_FOLDER.to_owned();
                errors.push(SweepError { through, source });
                Vec::new()
            }
        },
    };
    let mut opened = Vec::new();
    for interface in chosen.iter().take(INTERFACES_MAX) {
        match open_interface(interface).await {
            Ok(socket) => opened.push((
                interface.to_string(),
                Opened {
                    socket,
                    targets: vec![target],
                },
            )),
            Err(source) => errors.push(SweepError {
                through: interface.to_string(),
                source,
            }),
        }
    }
    let families = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];
    for any in families {
        let hosts = hosts.iter().filter(|host| host.is_ipv4() == any.is_ipv4());
        let targets: Vec<SocketAddr> = hosts.map(|host| SocketAddr::new(*host, target.port())).collect();
        if targets.is_empty() {
            continue;
        }
        let through = "the route to the named hosts".to_owned();
        match UdpSocket::bind((any, 0)).await {
            Ok(socket) => opened.push((through, Opened { socket, targets })),
            Err(source) => errors.push(SweepError { through, source }),
        }
    }
    opened
}

async fn open_interface(interface: &Interface) -> io::Result<UdpSocket> {
    let socket = match interface {
        Interface::Address(address) => UdpSocket::bind((*address, 0)).await?,
        Interface::Name(name) => {
            let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
            socket.bind_device(Some(name.as_bytes()))?;
            socket
        }
    };
    socket.set_multicast_ttl_v4(1)?;
    socket.set_multicast_loop_v4(true)?;
    Ok(socket)
}

/// The names of the interfaces in `folder` that are up, can multicast and are neither loopback nor point-to-point,
/// sorted.
fn usable_interfaces(folder: &Path) -> io::Result<Vec<String>> {
    const UP: u32 = 0x1;
    const LOOPBACK: u32 = 0x8;
    const POINT_TO_POINT: u32 = 0x10;
    const MULTICAST: u32 = 0x1000;
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        // Not every entry is an interface: the bonding driver has a file there.
        let flags = std::fs::read_to_string(entry.path().join("flags")).unwrap_or_default();
        let flags = u32::from_str_radix(flags.trim().trim_start_matches("0x"), 16).unwrap_or(0);
        let usable = flags & (UP | MULTICAST | LOOPBACK | POINT_TO_POINT) == UP | MULTICAST;
        if let (true, Ok(name)) = (usable, entry.file_name().into_string()) {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// One socket that asks and listens.
struct Asking {
    socket: UdpSocket,
    targets: Vec<SocketAddr>,
    begin: Instant,
    end: Instant,
    packets: mpsc::Sender<(IpAddr, Vec<u8>)>,
}

impl Asking {
    /// Runs to the end of the sweep. Fails when no round left whole.
    async fn run(self) -> io::Result<()> {
        let mut rounds = ROUNDS.into_iter().peekable();
        let mut buffer = vec![0; ANSWER_BYTES_MAX];
        let mut sent = false;
        let mut failure = None;
        loop {
            let round = rounds.peek().map(|after| self.begin + *after);
            let round = round.filter(|round| *round < self.end);
            tokio::select! {
                () = sleep_until(round.unwrap_or(self.end)) => {
                    if round.is_none() {
                        break;
                    }
                    rounds.next();
                    match self.send_round().await {
                        Ok(()) => sent = true,
                        Err(error) => failure = Some(error),
                    }
                }
                // An error here is an old ICMP message; the next answer may still come.
                Ok((length, from)) = self.socket.recv_from(&mut buffer) => {
                    let packet = buffer.get(..length).unwrap_or_default().to_vec();
                    let waiting = timeout_at(self.end, self.packets.send((from.ip().to_canonical(), packet)));
                    if !matches!(waiting.await, Ok(Ok(()))) {
                        break;
                    }
                }
            }
        }
        failure.filter(|_| !sent).map_or(Ok(()), Err)
    }

    async fn send_round(&self) -> io::Result<()> {
        let mut result = Ok(());
        for device_type in [DeviceType::NetworkVideoTransmitter, DeviceType::Device] {
            for target in &self.targets {
                let packet = probe(device_type, rand::random());
                if let Err(error) = self.socket.send_to(packet.as_bytes(), target).await {
                    result = Err(error);
                }
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_interfaces_that_reach_a_local_network_are_used() {
        let folder = tempfile::tempdir().unwrap();
        let interfaces = [
            ("wlan0", "0x1003"),
            ("eth0", "0x1003"),
            ("lo", "0x9"),
            ("ppp0", "0x1011"),
            ("eth1", "0x1002"),
        ];
        for (name, flags) in interfaces {
            std::fs::create_dir(folder.path().join(name)).unwrap();
            std::fs::write(folder.path().join(name).join("flags"), format!("{flags}\n")).unwrap();
        }
        std::fs::write(folder.path().join("bonding_masters"), "").unwrap();
        assert_eq!(usable_interfaces(folder.path()).unwrap(), ["eth0", "wlan0"]);
        assert!(usable_interfaces(&folder.path().join("absent")).is_err());
    }

    #[test]
    fn an_interface_is_named_or_given_by_address() {
        assert_eq!("eth0".parse(), Ok(Interface::Name("eth0".into())));
        assert_eq!("10.0.0.7".parse(), Ok(Interface::Address(Ipv4Addr::new(10, 0, 0, 7))));
    }
}

//! Questions and answers on a line.
//!
//! RTU has no number by which an answer is known for that of a question: an answer that comes late is taken for that of
//! the next. So after a question without an answer the line is opened anew and listened to until it is quiet, and who did
//! not answer is left alone for a while. TCP numbers its questions; there a new connection is enough.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{self, Poll};
use std::time::Duration;

use serial2_tokio::{CharSize, SerialPort, Settings, StopBits};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_modbus::client::{Context, Reader as _, Writer as _, rtu, tcp};
use tokio_modbus::slave::{Slave, SlaveContext as _};
use tokio_modbus::{Error, ExceptionCode};

use super::map::{Block, Parity, Setting, Table};
use super::{Rate, Way};

/// A connection that does not come about within this time does not.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// A line is quiet when nothing came for this long.
const QUIET: Duration = Duration::from_millis(100);
/// A line that is not quiet after this is not waited for.
const QUIET_WITHIN: Duration = Duration::from_secs(2);

/// An open line.
pub(super) struct Bus {
    context: Context,
    /// Bytes that came.
    came: Arc<AtomicU64>,
}

/// A serial line on which bytes are counted: what has no right sum is silently passed over by whoever reads frames.
struct Counted {
    port: SerialPort,
    came: Arc<AtomicU64>,
}

impl AsyncRead for Counted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.port).poll_read(cx, into);
        let came = into.filled().len().saturating_sub(before);
        self.came.fetch_add(came as u64, Ordering::Relaxed);
        read
    }
}

impl AsyncWrite for Counted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.port).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.port).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut task::Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.port).poll_shutdown(cx)
    }
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum BusError {
    #[error("cannot open {way}: {source}; {}", advice(.way))]
    Open { way: Way, source: io::Error },
    #[error("the line fails: {source}; is its adapter plugged in?")]
    Io { source: io::Error },
    #[error("no answer from address {address} within {} ms: look at supply, address, baud and the wires A and B", .waited.as_millis())]
    Silent { address: u8, waited: Duration },
    #[error("address {address} refuses: {code}; its profile may be that of another model")]
    Exception { address: u8, code: ExceptionCode },
    #[error(
        "what comes from address {address} is no answer ({reason}): noise, two devices with one address, or another baud or parity"
    )]
    Garbled { address: u8, reason: String },
}

fn advice(way: &Way) -> &'static str {
    match way {
        Way::Serial(_) => "is the adapter plugged in, and may the gateway's user open it (group dialout)?",
        Way::Tcp(_) => "is the device on the network, with Modbus TCP switched on?",
    }
}

impl BusError {
    /// The line itself is gone.
    pub fn is_of_line(&self) -> bool {
        matches!(self, Self::Open { .. } | Self::Io { .. })
    }

    /// Something may still come that belongs to the question.
    pub fn may_answer_late(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Garbled { .. })
    }
}

impl Bus {
    pub async fn open(way: &Way, rate: Rate) -> Result<Self, BusError> {
        let came = Arc::new(AtomicU64::new(0));
        let context = match way {
            Way::Serial(_) => {
                let port = port(way, rate)?;
                let came = Arc::clone(&came);
                rtu::attach(Counted { port, came })
            }
            Way::Tcp(address) => {
                let connected = timeout(CONNECT_MAX, TcpStream::connect(address)).await;
                let connected = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                let way = way.clone();
                tcp::attach(connected.map_err(|source| BusError::Open { way, source })?)
            }
        };
        Ok(Self { context, came })
    }

    /// Listens until nothing comes any more, and begins anew. Tells how many bytes came late.
    pub async fn settle(&mut self, way: &Way, rate: Rate) -> Result<usize, BusError> {
        // Two readers of a line would share what comes, and many a TCP device takes one connection only.
        self.context = rtu::attach(tokio::io::empty());
        if let Way::Tcp(_) = way {
            *self = Self::open(way, rate).await?;
            return Ok(0);
        }
        let port = port(way, rate)?;
        let (mut late, begun) = (0, Instant::now());
        let mut bytes = [0; 256];
        while begun.elapsed() < QUIET_WITHIN {
            match timeout(QUIET, port.read(&mut bytes)).await {
                Ok(Ok(count)) if count > 0 => late += count,
                Ok(Ok(_)) | Err(_) => break,
                Ok(Err(source)) => return Err(BusError::Io { source }),
            }
        }
        let came = Arc::clone(&self.came);
        self.context = rtu::attach(Counted { port, came });
        Ok(late)
    }

    pub async fn write(&mut self, address: u8, setting: Setting, waiting: Duration) -> Result<(), BusError> {
        self.context.set_slave(Slave(address));
        let before = self.came.load(Ordering::Relaxed);
        let written = self.context.write_single_register(setting.register, setting.value);
        let answer = timeout(waiting, written).await;
        self.answered(address, waiting, before, answer)
    }

    /// Reads registers, or bits as 0 and 1.
    pub async fn read(&mut self, address: u8, block: Block, waiting: Duration) -> Result<Vec<u16>, BusError> {
        let Block { table, first, count } = block;
        self.context.set_slave(Slave(address));
        let before = self.came.load(Ordering::Relaxed);
        let context = &mut self.context;
        let read = async {
            let words = |bits: Vec<bool>| bits.into_iter().map(u16::from).collect();
            match table {
                Table::Holding => context.read_holding_registers(first, count).await,
                Table::Input => context.read_input_registers(first, count).await,
                Table::Coil => context.read_coils(first, count).await.map(|read| read.map(words)),
                Table::Discrete => context
                    .read_discrete_inputs(first, count)
                    .await
                    .map(|read| read.map(words)),
            }
        };
        let answer = timeout(waiting, read).await;
        let words = self.answered(address, waiting, before, answer)?;
        if words.len() != usize::from(count) {
            let reason = format!("{} values instead of {count}", words.len());
            return Err(BusError::Garbled { address, reason });
        }
        Ok(words)
    }

    /// What an answer, or none, means; `before` the question so many bytes had come.
    fn answered<T>(&self, address: u8, waited: Duration, before: u64, answer: Answer<T>) -> Result<T, BusError> {
        let garbled = |reason: String| Err(BusError::Garbled { address, reason });
        match answer {
            Err(_) => match self.came.load(Ordering::Relaxed) - before {
                0 => Err(BusError::Silent { address, waited }),
                came => garbled(format!("{came} bytes without a right sum")),
            },
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(code))) => Err(BusError::Exception { address, code }),
            Ok(Err(Error::Transport(source))) if source.kind() != io::ErrorKind::InvalidData => {
                Err(BusError::Io { source })
            }
            Ok(Err(error)) => garbled(error.to_string()),
        }
    }
}

type Answer<T> = Result<Result<Result<T, ExceptionCode>, Error>, tokio::time::error::Elapsed>;

fn port(way: &Way, rate: Rate) -> Result<SerialPort, BusError> {
    let Way::Serial(path) = way else {
        let source = io::Error::other("this is no serial line");
        return Err(BusError::Open {
            way: way.clone(),
            source,
        });
    };
    let set = |mut settings: Settings| {
        settings.set_raw();
        settings.set_baud_rate(rate.baud)?;
        settings.set_char_size(CharSize::Bits8);
        settings.set_stop_bits(if rate.stop_bits == 2 {
            StopBits::Two
        } else {
            StopBits::One
        });
        settings.set_parity(match rate.parity {
            Parity::None => serial2_tokio::Parity::None,
            Parity::Even => serial2_tokio::Parity::Even,
            Parity::Odd => serial2_tokio::Parity::Odd,
        });
        Ok(settings)
    };
    SerialPort::open(path, set).map_err(|source| BusError::Open {
        way: way.clone(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::{Read as _, Write as _};
    use std::thread;

    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

    use super::*;

    const TIMEOUT: Duration = Duration::from_millis(100);

    /// CRC-16 of Modbus, low byte first.
    fn with_sum(mut frame: Vec<u8>) -> Vec<u8> {
        let mut sum = 0xffff_u16;
        for byte in &frame {
            sum ^= u16::from(*byte);
            for _ in 0..8 {
                sum = if sum & 1 == 1 { sum >> 1 ^ 0xa001 } else { sum >> 1 };
            }
        }
        frame.extend(sum.to_le_bytes());
        frame
    }

    /// A device whose registers hold their own numbers. Its first answer is late, and noise comes before it.
    fn device(late: Duration, noise: usize) -> Way {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let path = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let mut line = File::from(master);
        thread::spawn(move || {
            let (mut request, mut filled, mut is_first) = ([0; 8], 0, true);
            loop {
                match line.read(&mut request[filled..]) {
                    Ok(count) => filled += count,
                    // Opened anew.
                    Err(_) => thread::sleep(Duration::from_millis(5)),
                }
                if filled < request.len() {
                    continue;
                }
                filled = 0;
                if std::mem::take(&mut is_first) {
                    line.write_all(&vec![0xa5; noise]).unwrap();
                    thread::sleep(late);
                }
                let [unit, function, _, register, ..] = request;
                line.write_all(&with_sum(vec![unit, function, 2, 0, register])).unwrap();
            }
        });
        Way::Serial(path.into())
    }

    #[tokio::test]
    async fn an_answer_that_comes_late_is_not_that_of_the_next_question() {
        let rate = Rate {
            baud: 19_200,
            parity: Parity::None,
            stop_bits: 1,
        };
        let block = |first| Block {
            table: Table::Holding,
            first,
            count: 1,
        };
        for noise in [0, 1] {
            let way = device(Duration::from_millis(170), noise);
            let mut bus = Bus::open(&way, rate).await.unwrap();
            let error = bus.read(11, block(5), TIMEOUT).await.unwrap_err();
            assert!(error.may_answer_late(), "{error}");
            assert_eq!(matches!(error, BusError::Silent { .. }), noise == 0, "{error}");
            assert!(bus.settle(&way, rate).await.unwrap() > 0, "it came late");
            // Asked the same way, of the same length: nothing but the register tells them apart.
            assert_eq!(bus.read(11, block(9), TIMEOUT).await.unwrap(), [9]);
        }
    }
}

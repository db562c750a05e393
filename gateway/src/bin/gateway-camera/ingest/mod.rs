//! Ways to take a stream in. Each gives access units as an ordinary MP4 file holds them; whatever comes after does not
//! know which it was.

mod challenge;
mod retina;
mod rtspsrc;

use std::time::Duration;

use gateway::cameras::wire::{Cause, Client, RTSP_PORT, Source, Transport};

/// How long a camera may take to answer and play.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a camera that has not answered may take to accept one more connection.
const KNOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// A stream's codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Codec {
    /// H.264, ITU-T H.264.
    H264,
    /// H.265, ITU-T H.265.
    H265,
}

/// What a decoder needs to know before the first frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameters {
    /// Codec.
    pub codec: Codec,
    /// `avcC` or `hvcC`, the content of the box (ISO/IEC 14496-15).
    pub config: Vec<u8>,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Frames a second that the stream claims, if it does.
    pub fps_nominal: Option<f32>,
}

/// One frame.
#[derive(Debug)]
pub struct AccessUnit {
    /// NAL units, each behind its length in 4 bytes; no parameter sets.
    pub data: Vec<u8>,
    /// Can be decoded without any other.
    pub keyframe: bool,
    /// The camera's timestamp, nanoseconds from anywhere.
    pub camera_ns: i64,
    /// Packets that the network lost before it.
    pub lost_packets: u32,
    /// Present when these parameters are in force from here on.
    pub parameters: Option<Parameters>,
}

/// What a camera sent.
#[derive(Debug)]
pub enum Item {
    /// A frame.
    Unit(AccessUnit),
    /// A sender report: the camera's clock now, Unix milliseconds.
    CameraClock(i64),
}

/// Why a stream ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// By kind.
    pub cause: Cause,
    /// In words, without credentials.
    pub message: String,
}

impl Failure {
    /// A failure.
    pub fn new(cause: Cause, message: impl Into<String>) -> Self {
        Self {
            cause,
            message: message.into(),
        }
    }
}

/// Nothing that the camera offers is taken; `other` is the codec of a video of it, if there is any.
fn lacking(other: Option<&str>) -> Failure {
    match other {
        Some(encoding) => Failure::new(
            Cause::UnsupportedCodec,
            format!("the camera's video is {encoding}; H.264 and H.265 are taken"),
        ),
        None => Failure::new(Cause::NoVideo, "what the camera offers has no video"),
    }
}

/// What is known when a camera has answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Greeting {
    /// What the server calls itself.
    pub server: Option<String>,
    /// Whether there is sound, which is not taken.
    pub audio: bool,
}

/// A connected stream. Dropping it says goodbye to the camera.
pub trait Ingest {
    /// Waits for what comes next. Waits for ever when nothing comes: timing is the caller's.
    async fn next(&mut self) -> Result<Item, Failure>;

    /// Says goodbye (TEARDOWN), so that the camera frees the session, and waits until it has, within reason.
    async fn close(self);
}

/// A connected stream of any kind.
pub enum AnyIngest {
    /// Over TCP.
    Retina(Box<retina::Retina>),
    /// Over UDP, or where a camera needs it.
    Rtspsrc(rtspsrc::Rtspsrc),
}

impl AnyIngest {
    /// Connects and plays.
    pub async fn connect(source: &Source) -> Result<(Self, Greeting), Failure> {
        let client = match (source.client, source.transport) {
            (Client::Auto, Transport::Tcp) => Client::Retina,
            (Client::Auto, Transport::Udp) => Client::Rtspsrc,
            (client, _) => client,
        };
        let connected = async {
            if client == Client::Rtspsrc {
                let (ingest, greeting) = rtspsrc::Rtspsrc::connect(source).await?;
                Ok((Self::Rtspsrc(ingest), greeting))
            } else {
                let (ingest, greeting) = retina::Retina::connect(source).await?;
                Ok((Self::Retina(Box::new(ingest)), greeting))
            }
        };
        match tokio::time::timeout(CONNECT_TIMEOUT, connected).await {
            Ok(connected) => connected,
            Err(_) => Err(late(source).await),
        }
    }
}

/// Why nothing came in time: whether the host takes a connection at all tells a dead camera from one that hangs.
async fn late(source: &Source) -> Failure {
    let seconds = CONNECT_TIMEOUT.as_secs();
    let url = url::Url::parse(&source.url).ok();
    // An address of IPv6 stands in brackets there.
    let host = url.as_ref().and_then(|url| {
        Some((
            url.host_str()?.trim_matches(['[', ']']),
            url.port().unwrap_or(RTSP_PORT),
        ))
    });
    let Some(host) = host else {
        return Failure::new(Cause::Unreachable, "no host in the address");
    };
    match tokio::time::timeout(KNOCK_TIMEOUT, tokio::net::TcpStream::connect(host)).await {
        Ok(Ok(_)) => Failure::new(Cause::NoAnswer, format!("no whole answer within {seconds} s")),
        _ => Failure::new(Cause::Unreachable, format!("no connection within {seconds} s")),
    }
}

impl Ingest for AnyIngest {
    async fn next(&mut self) -> Result<Item, Failure> {
        match self {
            Self::Retina(ingest) => ingest.next().await,
            Self::Rtspsrc(ingest) => ingest.next().await,
        }
    }

    async fn close(self) {
        match self {
            Self::Retina(ingest) => ingest.close().await,
            Self::Rtspsrc(ingest) => ingest.close().await,
        }
    }
}

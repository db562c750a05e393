//! RTSP over TCP by `retina`: half the processor time of `rtspsrc` for the same stream (decision 0015), every kind of
//! digest challenge, and sender reports as they come.

use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use gateway::cameras::wire::{Cause, Source, Transport};
use retina::client::{
    Credentials, Demuxed, PlayOptions, Session, SessionGroup, SessionIdPolicy, SessionOptions, SetupOptions,
    TcpTransportOptions, TeardownPolicy, UdpTransportOptions, UnassignedChannelDataPolicy, UnknownRtcpSsrcPolicy,
};
use retina::codec::{CodecItem, FrameFormat, ParametersRef, VideoFrame, VideoParametersCodec};
use retina::rtcp::TypedPacketRef;

use super::{AccessUnit, Codec, Failure, Greeting, Ingest, Item, Parameters, lacking};

/// How long a TEARDOWN may take.
const TEARDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// Packet type of a source that leaves (RFC 3550, section 6.6).
const RTCP_BYE: u8 = 203;

/// A connected stream.
pub struct Retina {
    group: Arc<SessionGroup>,
    demuxed: Demuxed,
    stream: usize,
    encoding: Codec,
    parameters_known: bool,
}

impl Retina {
    pub(super) async fn connect(source: &Source) -> Result<(Self, Greeting), Failure> {
        let url = source
            .url
            .parse()
            .map_err(|error| Failure::new(Cause::NotRtsp, format!("\"{}\" is no address: {error}", source.url)))?;
        let group = Arc::new(SessionGroup::default());
        let credentials = source.credentials.as_ref().map(|known| Credentials {
            username: known.user.clone(),
            password: known.password.clone(),
        });
        let mut options = SessionOptions::default()
            .creds(credentials)
            .session_group(Arc::clone(&group))
            .teardown(TeardownPolicy::Always)
            .user_agent("gateway-camera".to_owned());
        if source.quirks.stray_channels {
            options = options.unassigned_channel_data(UnassignedChannelDataPolicy::Ignore);
        }
        if source.quirks.session_id_changes {
            options = options.session_id(SessionIdPolicy::UseFirst);
        }
        let mut session = Session::describe(url, options).await.map_err(|error| failure(&error))?;
        let videos = session
            .streams()
            .iter()
            .enumerate()
            .filter(|(_, s)| s.media() == "video");
        let (stream, encoding) = video(videos.map(|(index, stream)| (index, stream.encoding_name())))?;
        let greeting = Greeting {
            server: session.tool().map(|tool| tool.to_string()),
            audio: session.streams().iter().any(|stream| stream.media() == "audio"),
        };
        let transport = match source.transport {
            Transport::Tcp => retina::client::Transport::Tcp(TcpTransportOptions::default()),
            Transport::Udp => retina::client::Transport::Udp(UdpTransportOptions::default()),
        };
        let setup = SetupOptions::default()
            .transport(transport)
            .frame_format(FrameFormat::MP4);
        session.setup(stream, setup).await.map_err(|error| failure(&error))?;
        let play = PlayOptions::default().unknown_rtcp_ssrc(UnknownRtcpSsrcPolicy::ProcessPackets);
        let playing = session.play(play).await.map_err(|error| failure(&error))?;
        let demuxed = playing.demuxed().map_err(|error| failure(&error))?;
        let retina = Self {
            group,
            demuxed,
            stream,
            encoding,
            parameters_known: false,
        };
        Ok((retina, greeting))
    }

    fn unit(&mut self, frame: VideoFrame) -> AccessUnit {
        let parameters = (frame.has_new_parameters() || !self.parameters_known)
            .then(|| self.parameters())
            .flatten();
        self.parameters_known |= parameters.is_some();
        let timestamp = frame.timestamp();
        let camera_ns = i128::from(timestamp.elapsed()) * 1_000_000_000 / i128::from(timestamp.clock_rate().get());
        AccessUnit {
            keyframe: frame.is_random_access_point(),
            camera_ns: i64::try_from(camera_ns).unwrap_or(i64::MAX),
            lost_packets: u32::from(frame.loss()),
            parameters,
            data: frame.into_data(),
        }
    }

    fn parameters(&self) -> Option<Parameters> {
        let Some(ParametersRef::Video(known)) = self.demuxed.streams().get(self.stream)?.parameters() else {
            return None;
        };
        let (width, height) = known.pixel_dimensions();
        let codec = match known.codec_params() {
            VideoParametersCodec::H264 { .. } => Codec::H264,
            VideoParametersCodec::H265 { .. } => Codec::H265,
            _ => self.encoding,
        };
        Some(Parameters {
            codec,
            config: known.extra_data().to_vec(),
            width,
            height,
            fps_nominal: known.frame_rate().and_then(frames_a_second),
        })
    }
}

/// From the length of a frame as a fraction of a second.
fn frames_a_second((numerator, denominator): (u32, u32)) -> Option<f32> {
    let (numerator, denominator) = (u16::try_from(numerator).ok()?, u32::min(denominator, 1_000_000));
    #[allow(clippy::cast_precision_loss)] // at most a million
    let fps = denominator as f32 / f32::from(numerator);
    fps.is_finite().then_some(fps)
}

/// The first video stream of a codec that is taken.
fn video<'a>(mut videos: impl Iterator<Item = (usize, &'a str)>) -> Result<(usize, Codec), Failure> {
    let mut other = None;
    let taken = videos.find_map(|(index, encoding)| match encoding {
        "h264" => Some((index, Codec::H264)),
        "h265" => Some((index, Codec::H265)),
        unknown => {
            other = Some(unknown.to_owned());
            None
        }
    });
    taken.ok_or_else(|| lacking(other.as_deref()))
}

impl Ingest for Retina {
    async fn next(&mut self) -> Result<Item, Failure> {
        loop {
            let item = match self.demuxed.next().await {
                Some(item) => item.map_err(|error| failure(&error))?,
                None => return Err(Failure::new(Cause::Ended, "the camera ended the stream")),
            };
            match item {
                CodecItem::VideoFrame(frame) => return Ok(Item::Unit(self.unit(frame))),
                CodecItem::Rtcp(packet) => {
                    let report = packet.pkts().find_map(|packet| match packet.as_typed() {
                        Ok(Some(TypedPacketRef::SenderReport(report))) => Some(report.ntp_timestamp().0),
                        _ => None,
                    });
                    // `retina` goes on waiting, and the connection stays open: without this it would be a stall.
                    if packet.pkts().any(|packet| packet.payload_type() == RTCP_BYE) {
                        return Err(Failure::new(
                            Cause::Ended,
                            "the camera says that the stream is over (RTCP BYE)",
                        ));
                    }
                    if let Some(ntp) = report {
                        return Ok(Item::CameraClock(unix_millis(ntp)));
                    }
                }
                _ => {}
            }
        }
    }

    async fn close(self) {
        let Self { group, demuxed, .. } = self;
        drop(demuxed);
        // What fails or takes longer goes on in the background until the session expires.
        drop(tokio::time::timeout(TEARDOWN_TIMEOUT, group.await_teardown()).await);
    }
}

/// From an NTP timestamp (RFC 3550, section 4: seconds since 1900 in the upper half) to Unix milliseconds.
pub(super) fn unix_millis(ntp: u64) -> i64 {
    const UNIX_EPOCH_S: i64 = 2_208_988_800;
    let seconds = i64::try_from(ntp >> 32).unwrap_or(0);
    let millis = i64::try_from(((ntp & 0xffff_ffff) * 1_000) >> 32).unwrap_or(0);
    (seconds - UNIX_EPOCH_S) * 1_000 + millis
}

/// What an error of `retina` means. It tells kinds apart by status code and, where it has none, by its words only; the
/// tests against bad peers notice if these change.
fn failure(error: &retina::Error) -> Failure {
    let text = error.to_string();
    let first_line = text.lines().next().unwrap_or_default().trim().to_owned();
    let says = |what: &str| text.contains(what);
    let cause = match error.status_code() {
        Some(401) if says("Can't understand WWW-Authenticate") => Cause::AuthUnsupported,
        Some(401 | 403) => Cause::AuthFailed,
        Some(404) => Cause::NotFound,
        Some(200..=299) => Cause::BadSdp,
        Some(_) => Cause::Rejected,
        None if says("Unable to connect") => {
            if says("os error 111") {
                Cause::Refused
            } else {
                Cause::Unreachable
            }
        }
        None if says("RTSP framing error") || says("Invalid RTSP message") => Cause::NotRtsp,
        None if says("Invalid argument") => Cause::NotRtsp,
        None => Cause::Ended,
    };
    Failure {
        cause,
        message: first_line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_counts_from_1900() {
        assert_eq!(unix_millis(2_208_988_800 << 32), 0);
        assert_eq!(unix_millis((2_208_988_801 << 32) | 0x8000_0000), 1_500);
        assert_eq!(unix_millis(0), -2_208_988_800_000);
    }

    #[test]
    fn the_first_video_of_a_known_codec_is_taken() {
        let found = video([(0, "vnd.onvif.metadata"), (1, "h265")].into_iter());
        assert_eq!(found, Ok((1, Codec::H265)));
        let found = video([(0, "jpeg")].into_iter());
        assert_eq!(found.map_err(|failure| failure.cause), Err(Cause::UnsupportedCodec));
        assert_eq!(
            video(std::iter::empty()).map_err(|failure| failure.cause),
            Err(Cause::NoVideo)
        );
    }

    #[test]
    fn a_frame_rate_that_is_no_number_is_none() {
        assert_eq!(frames_a_second((1, 25)), Some(25.0));
        assert_eq!(frames_a_second((0, 25)), None);
    }
}

//! What was found out about a camera, and what is wrong with it. Pure.
//!
//! A [`Problem`] happened on the way and says why something is missing or was changed. A [`Finding`] is about the
//! camera's settings: what would make it record or show badly, and what to change.

use std::net::IpAddr;

use jiff::SignedDuration;
use url::Url;

use super::address::Stream;
use super::client::RequestError;
use super::device::Information;
use super::media::{Codec, MediaProfile};
use super::probe::Scopes;
use crate::cameras::profiles::CameraProfile;
use crate::words::{self, Language};

/// Longest time between keyframes, seconds. Recordings are cut and live views started at keyframes.
const GOP_SECONDS_MAX: f32 = 4.0;
/// Most frames that the sub stream needs in a second. More only fill the ring.
const SUB_FRAMES_PER_SECOND_MAX: f32 = 15.0;
/// Most that the sub stream should take, thousands of bits in a second. 512 is 5.5 GB a day.
const SUB_BITRATE_KBIT_MAX: u32 = 1_024;
/// Most that the camera's clock may be off without being mentioned.
pub(super) const CLOCK_OFFSET_MAX: SignedDuration = SignedDuration::from_secs(5);

/// A camera.
#[derive(Debug)]
pub struct Found {
    /// Where it was reached.
    pub address: IpAddr,
    /// Its device service, as it was reached.
    pub device_service: Url,
    /// What it says that it is.
    pub information: Information,
    /// What its answer to the Probe said.
    pub scopes: Scopes,
    /// How far its clock is ahead of the box's. None when it did not tell its time.
    pub clock_offset: Option<SignedDuration>,
    /// Its profiles with their streams, in its own order.
    pub profiles: Vec<FoundProfile>,
    /// Which profile is main.
    pub(super) main: Option<usize>,
    /// Which profile is sub.
    pub(super) sub: Option<usize>,
    /// What went wrong.
    pub problems: Vec<Problem>,
}

/// A profile and where its stream is.
#[derive(Debug, Clone, PartialEq)]
pub struct FoundProfile {
    /// What ONVIF says about it.
    pub media: MediaProfile,
    /// Where its stream is, if the camera said so.
    pub stream: Option<Stream>,
}

impl Found {
    pub(super) fn new(address: IpAddr, device_service: Url, scopes: Scopes) -> Self {
        Self {
            address,
            device_service,
            information: Information::default(),
            scopes,
            clock_offset: None,
            profiles: Vec::new(),
            main: None,
            sub: None,
            problems: Vec::new(),
        }
    }

    /// The profile to cut evidence from: the largest.
    pub fn main(&self) -> Option<&FoundProfile> {
        self.profiles.get(self.main?)
    }

    /// The profile for ring and live view: the narrowest of at least 320 pixels, in H.264 if there is one.
    pub fn sub(&self) -> Option<&FoundProfile> {
        self.profiles.get(self.sub?)
    }

    /// What should be changed in the camera's settings.
    pub fn findings(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        let chosen = [("main", self.main()), ("sub", self.sub())];
        for (stream, profile) in chosen
            .into_iter()
            .filter_map(|(name, profile)| Some((name, &profile?.media)))
        {
            if let Some(seconds) = profile.gop_seconds().filter(|seconds| *seconds > GOP_SECONDS_MAX) {
                findings.push(Finding::LongGop { stream, seconds });
            }
            if stream == "sub" {
                findings.extend(sub_findings(profile));
            }
        }
        if self.main.is_some() {
            findings.push(Finding::SmartCodec(smart_codec(&self.information.manufacturer)));
        }
        findings
    }
}

fn sub_findings(profile: &MediaProfile) -> Vec<Finding> {
    let mut findings = Vec::new();
    if profile.codec == Codec::H265 {
        findings.push(Finding::SubH265);
    }
    let frames = profile
        .frames_per_second
        .filter(|rate| *rate > SUB_FRAMES_PER_SECOND_MAX);
    findings.extend(frames.map(Finding::SubFrames));
    let bitrate = profile.bitrate_kbit.filter(|rate| *rate > SUB_BITRATE_KBIT_MAX);
    findings.extend(bitrate.map(Finding::SubBitrate));
    findings
}

/// What the maker calls the mode that leaves out keyframes.
fn smart_codec(manufacturer: &str) -> &'static str {
    let profile = CameraProfile::by_manufacturer(manufacturer);
    profile
        .smart_codec
        .as_deref()
        .unwrap_or("smart codec, H.264+ or H.265+")
}

/// Something to change in a camera's settings.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// Keyframes are far apart.
    LongGop {
        /// `main` or `sub`.
        stream: &'static str,
        /// How far apart.
        seconds: f32,
    },
    /// The sub stream is H.265.
    SubH265,
    /// The sub stream has more frames in a second than it needs.
    SubFrames(f32),
    /// The sub stream takes more than it needs, thousands of bits in a second.
    SubBitrate(u32),
    /// ONVIF does not tell whether this mode is on.
    SmartCodec(&'static str),
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::LongGop { stream, seconds } => write!(
                f,
                "{stream}: keyframes are {seconds:.1} s apart; set the I-frame interval to twice the frame rate (2 s)"
            ),
            Self::SubH265 => f.write_str("sub: H.265 does not play in most browsers; set its encoding to H.264"),
            Self::SubFrames(rate) => write!(f, "sub: {rate} frames a second fill the ring for nothing; set 10 to 15"),
            Self::SubBitrate(rate) => write!(f, "sub: {rate} kbit/s is much for the ring; set 512 kbit/s"),
            Self::SmartCodec(name) => write!(
                f,
                "ONVIF does not tell if {name} is on; switch it off, it drops keyframes"
            ),
        }
    }
}

/// Something that went wrong with a camera.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// A request failed.
    #[error("{doing}: {error}")]
    Request {
        /// What was asked for.
        doing: &'static str,
        /// Why it failed.
        error: RequestError,
    },
    /// The camera names a host that is not the one that was reached.
    #[error(
        "the camera gives {said} as its address; {used} was taken\n  hint: behind address translation this is right; \
         else set the camera's own address"
    )]
    WrongHost {
        /// What it names.
        said: String,
        /// What was taken.
        used: IpAddr,
    },
    /// The clock is off.
    #[error("the camera's clock is {} off\n  hint: let it take its time from the box by NTP", offset_text(*.0))]
    ClockOff(SignedDuration),
    /// The camera told no time and then refused the login, which depends on it.
    #[error(
        "it does not tell its time without a login, so its clock was taken to be right\n  hint: if it is off, the camera \
         refuses the right password too; set it by the camera's web page"
    )]
    ClockHidden,
    /// The camera tells only its local time.
    #[error("the camera tells only its local time; the offset of its clock has its time zone in it")]
    ClockLocal,
    /// Another camera has the same endpoint reference.
    #[error("another camera has the same ONVIF identifier; both are listed")]
    SharedEndpoint,
    /// There are more profiles than are read.
    #[error("{0} profiles were left out")]
    ProfilesLeftOut(usize),
    /// There is more than one video source.
    #[error(
        "it has {0} video sources, like a recorder; only the first is listed\n  hint: connect the box to the cameras \
         themselves"
    )]
    SeveralSources(usize),
    /// No profile can be recorded.
    #[error("it has no profile in H.264 or H.265")]
    NoMain,
    /// There is no second, smaller stream.
    #[error("it has no smaller second stream\n  hint: switch on the sub stream, in H.264")]
    NoSub,
    /// A stream is offered by something else than RTSP.
    #[error("the stream of profile {0} is not offered by RTSP")]
    NoRtsp(String),
    /// A password was taken out of a stream's path.
    #[error(
        "the path of profile {0} holds a password; it was taken out, and the stream needs it: ask the maker for another path"
    )]
    PasswordInPath(String),
    /// The camera took too long as a whole.
    #[error("it took longer than {0} s to answer all questions; what it said until then is shown")]
    TooSlow(u64),
}

/// An offset for people.
pub(super) fn offset_text(offset: SignedDuration) -> String {
    let milliseconds = i64::try_from(offset.as_millis()).unwrap_or(i64::MAX);
    words::offset_text(milliseconds, Language::English)
}

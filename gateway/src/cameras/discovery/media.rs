//! The media services: profiles and where their streams are. Requests and their replies. Pure.
//!
//! Media (`ver10`) knows H.264, MPEG-4 and JPEG; a camera shows its H.265 streams there as H.264, or not at all. Media2
//! (`ver20`) knows all, so it is preferred where there is one. A profile of either is read into the same type.

use url::Url;

use super::soap::escaped;
use crate::xml::{Element, label};

/// Most profiles of a camera. The rest is left out and noted. A camera has two to ten; a recorder has more.
pub const PROFILES_MAX: usize = 32;
/// Longest token that is kept, bytes. A profile with a longer one is left out (ONVIF allows 64).
const TOKEN_BYTES_MAX: usize = 256;

/// Which of the two media services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaService {
    /// `ver10`.
    Media,
    /// `ver20`.
    Media2,
}

impl MediaService {
    fn namespace(self) -> &'static str {
        match self {
            Self::Media => "http://www.onvif.org/ver10/media/wsdl",
            Self::Media2 => "http://www.onvif.org/ver20/media/wsdl",
        }
    }

    /// Asks for all profiles.
    pub fn get_profiles(self) -> String {
        let what = match self {
            Self::Media => "",
            Self::Media2 => "<Type>All</Type>",
        };
        format!("<GetProfiles xmlns=\"{}\">{what}</GetProfiles>", self.namespace())
    }

    /// Asks where to get the stream of the profile `token` by RTSP, over TCP.
    pub fn get_stream_uri(self, token: &str) -> String {
        let schema = "http://www.onvif.org/ver10/schema";
        let how = match self {
            Self::Media => format!(
                "<StreamSetup><Stream xmlns=\"{schema}\">RTP-Unicast</Stream>\
                 <Transport xmlns=\"{schema}\"><Protocol>RTSP</Protocol></Transport></StreamSetup>"
            ),
            Self::Media2 => "<Protocol>RTSP</Protocol>".to_owned(),
        };
        let token = escaped(token);
        let namespace = self.namespace();
        format!("<GetStreamUri xmlns=\"{namespace}\">{how}<ProfileToken>{token}</ProfileToken></GetStreamUri>")
    }
}

/// How pictures are coded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Codec {
    /// H.264.
    H264,
    /// H.265.
    H265,
    /// Anything else, in the camera's word.
    Other(String),
}

impl Codec {
    fn parse(text: &str) -> Self {
        match text.to_ascii_uppercase().as_str() {
            "H264" => Self::H264,
            "H265" | "HEVC" => Self::H265,
            _ => Self::Other(label(text)),
        }
    }
}

impl std::fmt::Display for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::H264 => f.write_str("H.264"),
            Self::H265 => f.write_str("H.265"),
            Self::Other(name) => f.write_str(name),
        }
    }
}

/// A profile: one way in which a camera gives out its pictures.
#[derive(Debug, Clone, PartialEq)]
pub struct MediaProfile {
    /// What the camera calls it in requests.
    pub token: String,
    /// What it calls it for people.
    pub name: String,
    /// The sensor or input that the pictures come from.
    pub source: Option<String>,
    /// How they are coded.
    pub codec: Codec,
    /// Width, pixels.
    pub width: u32,
    /// Height, pixels.
    pub height: u32,
    /// Most frames in a second.
    pub frames_per_second: Option<f32>,
    /// Frames from one keyframe to the next.
    pub gop_frames: Option<u32>,
    /// Most bits in a second, thousands.
    pub bitrate_kbit: Option<u32>,
    /// The codec's own profile, such as `Main`.
    pub codec_profile: Option<String>,
    /// Sound goes with it.
    pub audio: bool,
}

impl MediaProfile {
    fn read(element: &Element) -> Option<Self> {
        let token = element.attribute("token").filter(|token| !token.is_empty())?;
        if token.len() > TOKEN_BYTES_MAX {
            return None;
        }
        // Media2 has its configurations in an element of their own, under shorter names.
        let parts = element.child("Configurations").unwrap_or(element);
        let part = |long: &str, short: &str| parts.child(long).or_else(|| parts.child(short));
        let encoder = part("VideoEncoderConfiguration", "VideoEncoder")?;
        let size = encoder.child("Resolution")?;
        let rate = encoder.child("RateControl");
        let details = encoder.child("H264").or_else(|| encoder.child("H265"));
        let gop = encoder.attribute("GovLength").and_then(|frames| frames.parse().ok());
        let codec_profile = details.and_then(|details| {
            let name = details.child_text("H264Profile");
            name.or_else(|| details.child_text("H265Profile"))
        });
        let source = part("VideoSourceConfiguration", "VideoSource");
        Some(Self {
            token: token.to_owned(),
            name: label(element.child_text("Name").unwrap_or_default()),
            source: source.and_then(|source| source.child_text("SourceToken")).map(label),
            codec: Codec::parse(encoder.child_text("Encoding")?),
            width: size.child_number("Width")?,
            height: size.child_number("Height")?,
            frames_per_second: rate
                .and_then(|rate| rate.child_number("FrameRateLimit"))
                .filter(|rate: &f32| rate.is_finite() && *rate > 0.0),
            gop_frames: gop
                .or_else(|| details?.child_number("GovLength"))
                .filter(|frames| *frames > 0),
            bitrate_kbit: rate
                .and_then(|rate| rate.child_number("BitrateLimit"))
                .filter(|rate| *rate > 0),
            codec_profile: encoder.attribute("Profile").or(codec_profile).map(label),
            audio: part("AudioEncoderConfiguration", "AudioEncoder").is_some(),
        })
    }

    /// The size of its pictures, pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.width).saturating_mul(u64::from(self.height))
    }

    /// Seconds from one keyframe to the next.
    pub fn gop_seconds(&self) -> Option<f32> {
        // More frames than 24 bits hold are no number that a camera means.
        let frames = u16::try_from(self.gop_frames?).unwrap_or(u16::MAX);
        Some(f32::from(frames) / self.frames_per_second?)
    }
}

/// The profiles of a camera that give pictures.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Profiles {
    /// In the camera's order.
    pub profiles: Vec<MediaProfile>,
    /// How many were left out for want of room.
    pub left_out: usize,
}

/// Reads the reply to [`MediaService::get_profiles`].
pub fn parse_profiles(root: &Element) -> Option<Profiles> {
    let reply = root.find("GetProfilesResponse")?;
    let mut profiles: Vec<MediaProfile> = reply.children_of("Profiles").filter_map(MediaProfile::read).collect();
    let left_out = profiles.len().saturating_sub(PROFILES_MAX);
    profiles.truncate(PROFILES_MAX);
    Some(Profiles { profiles, left_out })
}

/// Reads the reply to [`MediaService::get_stream_uri`].
pub fn parse_uri(root: &Element) -> Option<Url> {
    Url::parse(root.find("Uri")?.text()).ok()
}

/// The profiles to record and show.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Choice {
    /// The profile with the largest pictures: what evidence is cut from.
    pub main: Option<usize>,
    /// A small one: what the ring keeps and the live view shows.
    pub sub: Option<usize>,
    /// Video sources among the profiles. Only the first one's were chosen from.
    pub sources: usize,
}

/// Narrowest picture of the sub stream, pixels. Below that a number plate, even a person, cannot be made out.
const SUB_WIDTH_MIN: u32 = 320;

/// Chooses among the profiles of the first video source.
///
/// Main is the one with the most pixels, and of those the one with the highest bitrate. Sub is the narrowest in H.264
/// of at least 320 pixels, as browsers play no H.265; only without one, the narrowest in H.265. Sub has fewer pixels
/// than main: a camera with one stream has none.
pub fn choose(profiles: &[MediaProfile]) -> Choice {
    let usable = |profile: &MediaProfile| matches!(profile.codec, Codec::H264 | Codec::H265);
    let Some(first) = profiles.iter().find(|profile| usable(profile)) else {
        return Choice::default();
    };
    let mut sources: Vec<_> = profiles.iter().map(|profile| &profile.source).collect();
    sources.sort();
    sources.dedup();
    let candidates = || {
        let numbered = profiles.iter().enumerate();
        numbered.filter(|(_, profile)| usable(profile) && profile.source == first.source)
    };
    // The camera's first profile wins a tie, as that is the one its maker meant.
    let main = candidates()
        .rev()
        .max_by_key(|(_, profile)| (profile.pixels(), profile.bitrate_kbit));
    let pixels = main.map_or(0, |(_, profile)| profile.pixels());
    let small = candidates().filter(|(_, profile)| profile.width >= SUB_WIDTH_MIN && profile.pixels() < pixels);
    let sub = small.min_by_key(|(_, profile)| (profile.codec != Codec::H264, profile.width, profile.pixels()));
    Choice {
        main: main.map(|(index, _)| index),
        sub: sub.map(|(index, _)| index),
        sources: sources.len(),
    }
}

#[cfg(test)]
#[path = "media_tests.rs"]
mod tests;

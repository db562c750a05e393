//! Profiles of either media service, and the choice among them.

use super::*;

fn parse(text: &str) -> Profiles {
    parse_profiles(&Element::parse(text.as_bytes(), 1 << 20).unwrap()).unwrap()
}

fn profile(codec: &str, width: u32, height: u32, source: &str) -> MediaProfile {
    MediaProfile {
        token: format!("{codec}-{width}"),
        name: String::new(),
        source: Some(source.to_owned()),
        codec: Codec::parse(codec),
        width,
        height,
        frames_per_second: None,
        gop_frames: None,
        bitrate_kbit: None,
        codec_profile: None,
        audio: false,
    }
}

fn chosen(profiles: &[MediaProfile]) -> (Option<&str>, Option<&str>) {
    let choice = choose(profiles);
    let token = |index: Option<usize>| index.map(|index| profiles[index].token.as_str());
    (token(choice.main), token(choice.sub))
}

#[test]
fn a_profile_of_media_is_read() {
    let profiles = parse(
        "<GetProfilesResponse><Profiles token='p1'><Name>Main \u{7}stream</Name><VideoSourceConfiguration>\
         <SourceToken>v1</SourceToken></VideoSourceConfiguration><AudioEncoderConfiguration/>\
         <VideoEncoderConfiguration><Encoding>H264</Encoding><Resolution><Width>1920</Width><Height>1080</Height>\
         </Resolution><RateControl><FrameRateLimit>25</FrameRateLimit><BitrateLimit>4096</BitrateLimit></RateControl>\
         <H264><GovLength>50</GovLength><H264Profile>Main</H264Profile></H264></VideoEncoderConfiguration></Profiles>\
         </GetProfilesResponse>",
    );
    let [profile] = &profiles.profiles[..] else { panic!() };
    assert_eq!((profile.token.as_str(), profile.name.as_str()), ("p1", "Main stream"));
    assert_eq!(
        (&profile.codec, profile.width, profile.height),
        (&Codec::H264, 1920, 1080)
    );
    assert_eq!(
        (profile.frames_per_second, profile.gop_frames, profile.gop_seconds()),
        (Some(25.0), Some(50), Some(2.0))
    );
    assert_eq!(
        (profile.bitrate_kbit, profile.codec_profile.as_deref()),
        (Some(4096), Some("Main"))
    );
    assert_eq!((profile.source.as_deref(), profile.audio), (Some("v1"), true));
}

#[test]
fn a_profile_of_media2_is_read() {
    let profiles = parse(
        "<GetProfilesResponse><Profiles token='p1'><Name>main</Name><Configurations><VideoSource><SourceToken>v1\
         </SourceToken></VideoSource><VideoEncoder GovLength='100' Profile='Main'><Encoding>H265</Encoding><Resolution>\
         <Width>2560</Width><Height>1440</Height></Resolution><RateControl ConstantBitRate='false'>\
         <FrameRateLimit>12.5</FrameRateLimit><BitrateLimit>3072</BitrateLimit></RateControl></VideoEncoder>\
         </Configurations></Profiles></GetProfilesResponse>",
    );
    let [profile] = &profiles.profiles[..] else { panic!() };
    assert_eq!((&profile.codec, profile.width), (&Codec::H265, 2560));
    assert_eq!((profile.gop_frames, profile.gop_seconds()), (Some(100), Some(8.0)));
    assert_eq!((profile.codec_profile.as_deref(), profile.audio), (Some("Main"), false));
}

#[test]
fn profiles_without_pictures_are_skipped_and_numbers_that_cannot_be_are_none() {
    let one = |size: &str, rate: &str| {
        format!(
            "<Profiles token='p'><VideoEncoderConfiguration><Encoding>H264</Encoding><Resolution>{size}</Resolution>\
             <RateControl>{rate}</RateControl></VideoEncoderConfiguration></Profiles>"
        )
    };
    let size = "<Width>640</Width><Height>360</Height>";
    let text = format!(
        "<GetProfilesResponse><Profiles token='x'/>{}{}{}</GetProfilesResponse>",
        one("<Width>-1</Width><Height>360</Height>", ""),
        one(
            size,
            "<FrameRateLimit>0</FrameRateLimit><BitrateLimit>99999999999</BitrateLimit>"
        ),
        one(size, "<FrameRateLimit>NaN</FrameRateLimit>"),
    );
    let profiles = parse(&text).profiles;
    assert_eq!(profiles.len(), 2);
    assert!(
        profiles
            .iter()
            .all(|profile| profile.frames_per_second.is_none() && profile.bitrate_kbit.is_none())
    );
}

#[test]
fn profiles_beyond_the_bound_are_counted() {
    let one = "<Profiles token='p'><VideoEncoderConfiguration><Encoding>H264</Encoding><Resolution><Width>640</Width>\
               <Height>360</Height></Resolution></VideoEncoderConfiguration></Profiles>";
    let profiles = parse(&format!(
        "<GetProfilesResponse>{}</GetProfilesResponse>",
        one.repeat(PROFILES_MAX + 3)
    ));
    assert_eq!((profiles.profiles.len(), profiles.left_out), (PROFILES_MAX, 3));
}

#[test]
fn main_is_the_largest_and_sub_the_narrowest_that_browsers_play() {
    let profiles = [
        profile("JPEG", 4000, 3000, "v1"),
        profile("H265", 2560, 1440, "v1"),
        profile("H264", 1280, 720, "v1"),
        profile("H264", 640, 360, "v1"),
        profile("H265", 352, 288, "v1"),
        profile("H264", 176, 144, "v1"),
    ];
    assert_eq!(chosen(&profiles), (Some("H265-2560"), Some("H264-640")));
}

#[test]
fn without_h264_sub_is_h265_and_with_one_size_there_is_none() {
    let both = [profile("H265", 2560, 1440, "v1"), profile("H265", 640, 360, "v1")];
    assert_eq!(chosen(&both), (Some("H265-2560"), Some("H265-640")));
    let same = [profile("H265", 1920, 1080, "v1"), profile("H264", 1920, 1080, "v1")];
    assert_eq!(chosen(&same), (Some("H265-1920"), None));
    assert_eq!(choose(&[profile("JPEG", 640, 480, "v1")]), Choice::default());
}

#[test]
fn of_a_recorder_only_the_first_source_is_chosen_from() {
    let profiles = [
        profile("H264", 1280, 720, "v1"),
        profile("H264", 640, 360, "v1"),
        profile("H264", 1920, 1080, "v2"),
        profile("H264", 320, 180, "v2"),
    ];
    assert_eq!(chosen(&profiles), (Some("H264-1280"), Some("H264-640")));
    assert_eq!(choose(&profiles).sources, 2);
}

#[test]
fn a_token_is_written_into_requests_as_text() {
    let request = MediaService::Media2.get_stream_uri("a<b>&");
    let request = Element::parse(request.as_bytes(), 4_096).unwrap();
    assert_eq!(request.child_text("ProfileToken"), Some("a<b>&"));
}

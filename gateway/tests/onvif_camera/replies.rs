//! What a camera answers, in the shape of the ONVIF schemas.

use jiff::Timestamp;

use super::Settings;

/// A profile of a made-up camera.
#[derive(Debug, Clone)]
pub struct Profile {
    pub token: String,
    pub encoding: &'static str,
    pub width: u32,
    pub height: u32,
    pub rate: u32,
    pub gop: u32,
    pub bitrate: u32,
    pub source: String,
}

impl Profile {
    pub fn main() -> Self {
        Self {
            token: "utama".into(),
            encoding: "H264",
            width: 1920,
            height: 1080,
            rate: 25,
            gop: 50,
            bitrate: 4096,
            source: "sensor".into(),
        }
    }

    pub fn sub() -> Self {
        Self {
            token: "kecil".into(),
            width: 640,
            height: 360,
            rate: 10,
            gop: 20,
            bitrate: 512,
            ..Self::main()
        }
    }

    fn media(&self) -> String {
        let Self {
            token,
            encoding,
            width,
            height,
            rate,
            gop,
            bitrate,
            source,
        } = self;
        format!(
            "<trt:Profiles fixed=\"true\" token=\"{token}\"><tt:Name>profil {token}</tt:Name>\
             <tt:VideoSourceConfiguration token=\"s\"><tt:Name>s</tt:Name><tt:SourceToken>{source}</tt:SourceToken>\
             </tt:VideoSourceConfiguration><tt:VideoEncoderConfiguration token=\"e\"><tt:Name>e</tt:Name>\
             <tt:Encoding>{encoding}</tt:Encoding><tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}\
             </tt:Height></tt:Resolution><tt:RateControl><tt:FrameRateLimit>{rate}</tt:FrameRateLimit>\
             <tt:BitrateLimit>{bitrate}</tt:BitrateLimit></tt:RateControl><tt:H264><tt:GovLength>{gop}</tt:GovLength>\
             <tt:H264Profile>Main</tt:H264Profile></tt:H264></tt:VideoEncoderConfiguration></trt:Profiles>"
        )
    }

    fn media2(&self) -> String {
        let Self {
            token,
            encoding,
            width,
            height,
            rate,
            gop,
            bitrate,
            source,
        } = self;
        format!(
            "<tr2:Profiles token=\"{token}\"><tr2:Name>profil {token}</tr2:Name><tr2:Configurations>\
             <tr2:VideoSource token=\"s\"><tt:SourceToken>{source}</tt:SourceToken></tr2:VideoSource>\
             <tr2:VideoEncoder token=\"e\" GovLength=\"{gop}\" Profile=\"Main\"><tt:Encoding>{encoding}</tt:Encoding>\
             <tt:Resolution><tt:Width>{width}</tt:Width><tt:Height>{height}</tt:Height></tt:Resolution>\
             <tt:RateControl ConstantBitRate=\"true\"><tt:FrameRateLimit>{rate}</tt:FrameRateLimit>\
             <tt:BitrateLimit>{bitrate}</tt:BitrateLimit></tt:RateControl></tr2:VideoEncoder></tr2:Configurations>\
             </tr2:Profiles>"
        )
    }
}

/// Wraps the body of a reply.
pub fn envelope(settings: &Settings, body: &str) -> String {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><SOAP-ENV:Envelope \
         xmlns:SOAP-ENV=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:tt=\"http://www.onvif.org/ver10/schema\" \
         xmlns:tds=\"http://www.onvif.org/ver10/device/wsdl\" xmlns:trt=\"http://www.onvif.org/ver10/media/wsdl\" \
         xmlns:tr2=\"http://www.onvif.org/ver20/media/wsdl\" xmlns:ter=\"http://www.onvif.org/ver10/error\">\
         <SOAP-ENV:Body>{body}</SOAP-ENV:Body></SOAP-ENV:Envelope>"
    );
    if !settings.odd_prefixes {
        return text;
    }
    let odd = [
        ("SOAP-ENV:", "x:"),
        ("tds:", "ns1:"),
        ("trt:", "ns7:"),
        ("tr2:", "ns7:"),
        ("tt:", ""),
    ];
    odd.iter().fold(text, |text, (usual, odd)| {
        text.replace(&format!("<{usual}"), &format!("<{odd}"))
            .replace(&format!("</{usual}"), &format!("</{odd}"))
    })
}

/// A fault with the subcode `code`.
pub fn fault(settings: &Settings, code: &str, reason: &str) -> String {
    let body = format!(
        "<SOAP-ENV:Fault><SOAP-ENV:Code><SOAP-ENV:Value>SOAP-ENV:Sender</SOAP-ENV:Value><SOAP-ENV:Subcode>\
         <SOAP-ENV:Value>ter:{code}</SOAP-ENV:Value></SOAP-ENV:Subcode></SOAP-ENV:Code><SOAP-ENV:Reason>\
         <SOAP-ENV:Text xml:lang=\"en\">{reason}</SOAP-ENV:Text></SOAP-ENV:Reason></SOAP-ENV:Fault>"
    );
    envelope(settings, &body)
}

/// The reply that tells the time.
pub fn time(settings: &Settings, time: Timestamp) -> String {
    let part = |format: &str| time.strftime(format).to_string();
    let body = format!(
        "<tds:GetSystemDateAndTimeResponse><tds:SystemDateAndTime><tt:DateTimeType>Manual</tt:DateTimeType>\
         <tt:DaylightSavings>false</tt:DaylightSavings><tt:TimeZone><tt:TZ>WIB-7</tt:TZ></tt:TimeZone>\
         <tt:UTCDateTime><tt:Time><tt:Hour>{}</tt:Hour><tt:Minute>{}</tt:Minute><tt:Second>{}</tt:Second></tt:Time>\
         <tt:Date><tt:Year>{}</tt:Year><tt:Month>{}</tt:Month><tt:Day>{}</tt:Day></tt:Date></tt:UTCDateTime>\
         </tds:SystemDateAndTime></tds:GetSystemDateAndTimeResponse>",
        part("%-H"),
        part("%-M"),
        part("%-S"),
        part("%-Y"),
        part("%-m"),
        part("%-d")
    );
    envelope(settings, &body)
}

/// The reply that tells what the camera is.
pub fn information(settings: &Settings) -> String {
    let manufacturer = &settings.manufacturer;
    let body = format!(
        "<tds:GetDeviceInformationResponse><tds:Manufacturer>{manufacturer}</tds:Manufacturer><tds:Model>KN-2 \
         &amp; co</tds:Model><tds:FirmwareVersion>5.4.3</tds:FirmwareVersion><tds:SerialNumber>SN0042\
         </tds:SerialNumber><tds:HardwareId>rev1</tds:HardwareId></tds:GetDeviceInformationResponse>"
    );
    envelope(settings, &body)
}

/// The reply that lists the services under `base`.
pub fn services(settings: &Settings, base: &str) -> String {
    let one = |namespace: &str, path: &str| {
        format!(
            "<tds:Service><tds:Namespace>http://www.onvif.org/{namespace}/wsdl</tds:Namespace>\
             <tds:XAddr>{base}/onvif/{path}</tds:XAddr><tds:Version><tt:Major>2</tt:Major><tt:Minor>6</tt:Minor>\
             </tds:Version></tds:Service>"
        )
    };
    let mut list =
        one("ver10/device", "device_service") + &one("ver10/media", "media") + &one("ver10/events", "events");
    if settings.media2 {
        list += &one("ver20/media", "media2");
    }
    envelope(
        settings,
        &format!("<tds:GetServicesResponse>{list}</tds:GetServicesResponse>"),
    )
}

/// The reply that lists the services as ONVIF 1 did.
pub fn capabilities(settings: &Settings, base: &str) -> String {
    let body = format!(
        "<tds:GetCapabilitiesResponse><tds:Capabilities><tt:Device><tt:XAddr>{base}/onvif/device_service</tt:XAddr>\
         </tt:Device><tt:Media><tt:XAddr>{base}/onvif/media</tt:XAddr></tt:Media></tds:Capabilities>\
         </tds:GetCapabilitiesResponse>"
    );
    envelope(settings, &body)
}

/// The reply that lists the profiles, of Media or Media2.
pub fn profiles(settings: &Settings, media2: bool) -> String {
    let each = settings.profiles.iter();
    let (prefix, list): (&str, String) = if media2 {
        ("tr2", each.map(Profile::media2).collect())
    } else {
        // Media has no word for H.265, and leaves out what it cannot say.
        (
            "trt",
            each.filter(|profile| profile.encoding != "H265")
                .map(Profile::media)
                .collect(),
        )
    };
    envelope(
        settings,
        &format!("<{prefix}:GetProfilesResponse>{list}</{prefix}:GetProfilesResponse>"),
    )
}

/// The reply that tells an address.
pub fn uri(settings: &Settings, action: &str, uri: &str, media2: bool) -> String {
    let body = if media2 {
        format!("<tr2:{action}Response><tr2:Uri>{uri}</tr2:Uri></tr2:{action}Response>")
    } else {
        format!("<trt:{action}Response><trt:MediaUri><tt:Uri>{uri}</tt:Uri></trt:MediaUri></trt:{action}Response>")
    };
    envelope(settings, &body)
}

/// The answer to a Probe.
pub fn probe_matches(settings: &Settings, host: &str, port: u16) -> String {
    let Settings { endpoint, name, .. } = settings;
    let name = name.replace(' ', "%20");
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><e:Envelope xmlns:e=\"http://www.w3.org/2003/05/soap-envelope\" \
         xmlns:w=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
         xmlns:d=\"http://schemas.xmlsoap.org/ws/2005/04/discovery\"><e:Header><w:RelatesTo>uuid:lost</w:RelatesTo>\
         <w:Action>http://schemas.xmlsoap.org/ws/2005/04/discovery/ProbeMatches</w:Action></e:Header><e:Body>\
         <d:ProbeMatches><d:ProbeMatch><w:EndpointReference><w:Address>{endpoint}</w:Address></w:EndpointReference>\
         <d:Types>dn:NetworkVideoTransmitter tds:Device</d:Types><d:Scopes>onvif://www.onvif.org/type/video_encoder \
         onvif://www.onvif.org/location/country/indonesia onvif://www.onvif.org/hardware/KN-2 \
         onvif://www.onvif.org/name/{name}</d:Scopes><d:XAddrs>http://{host}:{port}/onvif/device_service \
         http://[fe80::1]:{port}/onvif/device_service</d:XAddrs><d:MetadataVersion>1</d:MetadataVersion>\
         </d:ProbeMatch></d:ProbeMatches></e:Body></e:Envelope>"
    )
}

//! The words of the findings: what, why, and what to change.

use super::{Finding, Severity, Subject};
use crate::words::{Text, Value};

/// The words of one finding, before numbers are filled in. Only `what` has places for numbers.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    pub subject: Subject,
    pub severity: Severity,
    what: Text,
    why: Text,
    change: Option<Text>,
}

impl Words {
    pub fn with(self, values: &[Value]) -> Finding {
        Finding {
            subject: self.subject,
            severity: self.severity,
            what: self.what.with(values),
            why: self.why.into(),
            change: self.change.map(Into::into),
        }
    }

    #[cfg(test)]
    pub fn texts(self) -> Vec<Text> {
        [self.what, self.why].into_iter().chain(self.change).collect()
    }
}

macro_rules! findings {
    ($($name:ident: $subject:ident, $severity:ident,
        $what_id:literal, $what_en:literal, $why_id:literal, $why_en:literal
        $(, $change_id:literal, $change_en:literal)?;)+) => {
        $(pub const $name: Words = Words {
            subject: Subject::$subject,
            severity: Severity::$severity,
            what: Text::new($what_id, $what_en),
            why: Text::new($why_id, $why_en),
            change: findings!(@change $($change_id, $change_en)?),
        };)+

        #[cfg(test)]
        pub const ALL: &[(&str, Words)] = &[$((stringify!($name), $name)),+];
    };
    (@change) => { None };
    (@change $id:literal, $en:literal) => { Some(Text::new($id, $en)) };
}

findings! {
    CODEC_GOOD: Codec, Ok,
        "H.264, profil {}", "H.264, profile {}",
        "Semua peramban dapat memutarnya.", "Every browser can play it.";
    CODEC_H265_SUBSTREAM: Codec, Problem,
        "H.265 pada substream", "H.265 on the substream",
        "Kebanyakan peramban tidak dapat memutar H.265, sehingga tampilan langsung kosong.", "Most browsers cannot play H.265, so the live view stays empty.",
        "Pilih H.264 untuk substream.", "Choose H.264 for the substream.";
    CODEC_H265_MAIN: Codec, Advice,
        "H.265 pada aliran utama", "H.265 on the main stream",
        "Hemat tempat untuk rekaman, tetapi kebanyakan peramban tidak dapat memutarnya.", "It saves space in recordings, but most browsers cannot play it.",
        "Biarkan untuk rekaman; untuk tampilan langsung pakai substream H.264.", "Leave it for recordings; use an H.264 substream for the live view.";
    CODEC_H264_UNUSUAL: Codec, Problem,
        "H.264 dengan profil {}", "H.264 with profile {}",
        "Peramban dan dekoder perangkat keras hanya mengenal baseline, main dan high.", "Browsers and hardware decoders know baseline, main and high only.",
        "Pilih profil main atau high.", "Choose profile main or high.";

    KEYFRAMES_GOOD: Keyframes, Ok,
        "Jarak antarkeyframe paling lama {} detik ({} frame)", "A keyframe at least every {} s ({} frames)",
        "Tampilan langsung mulai cepat, dan gangguan cepat diketahui.", "The live view starts quickly, and faults are known soon.";
    KEYFRAMES_RARE: Keyframes, Problem,
        "Keyframe hanya setiap {} detik ({} frame)", "A keyframe only every {} s ({} frames)",
        "Rekaman dan tampilan langsung hanya dapat mulai pada keyframe; gangguan baru diketahui pada keyframe berikutnya.", "Recording and live view can only start at a keyframe; a fault is known at the next one only.",
        "Atur interval keyframe (I-frame, GOP) menjadi 2 detik.", "Set the keyframe interval (I-frame, GOP) to 2 seconds.";
    KEYFRAMES_FREQUENT: Keyframes, Advice,
        "Keyframe setiap {} detik ({} frame)", "A keyframe every {} s ({} frames)",
        "Keyframe jauh lebih besar daripada frame lain; terlalu sering menghabiskan kuota.", "Keyframes are much larger than other frames; too many use up the quota.",
        "Atur interval keyframe menjadi 2 detik.", "Set the keyframe interval to 2 seconds.";
    KEYFRAMES_MISSING: Keyframes, Problem,
        "Kurang dari dua keyframe dalam {} detik", "Fewer than two keyframes in {} s",
        "Tanpa keyframe tidak ada yang dapat direkam atau ditampilkan.", "Without keyframes nothing can be recorded or shown.",
        "Matikan H.264+/smart codec dan atur interval keyframe menjadi 2 detik.", "Switch H.264+/smart codec off and set the keyframe interval to 2 seconds.";

    SMART_CODEC_LIKELY: SmartCodec, Advice,
        "Jarak keyframe tidak tetap: {} sampai {} detik", "The distance of keyframes varies: {} to {} s",
        "Biasanya karena H.264+/smart codec, yang membuang keyframe saat gambar tenang.", "Usually due to H.264+/smart codec, which leaves out keyframes while the picture is quiet.",
        "Matikan H.264+/smart codec, dan matikan penyisipan keyframe oleh deteksi adegan.", "Switch off H.264+/smart codec, and keyframes inserted by scene detection.";

    B_FRAMES_NONE: BFrames, Ok,
        "Tanpa B-frame", "No B-frames",
        "Frame datang dalam urutan tampil, tanpa jeda tambahan.", "Frames come in the order of display, without further delay.";
    B_FRAMES: BFrames, Problem,
        "Ada B-frame", "There are B-frames",
        "Tampilan langsung tertunda, dan beberapa peramban tersendat.", "The live view is delayed, and some browsers stutter.",
        "Matikan B-frame, atau pilih profil baseline.", "Switch B-frames off, or choose profile baseline.";

    FRAME_RATE_GOOD: FrameRate, Ok,
        "{} frame per detik", "{} frames a second",
        "Cukup untuk melihat kejadian di jalan.", "Enough to see what happens in the street.";
    FRAME_RATE_HIGH: FrameRate, Advice,
        "{} frame per detik pada substream", "{} frames a second on the substream",
        "Lebih dari 15 hampir tidak menambah kejelasan, tetapi menambah data dan beban.", "Above 15 hardly anything more is seen, but it costs data and load.",
        "Atur 10 sampai 15 frame per detik.", "Set 10 to 15 frames a second.";
    FRAME_RATE_LOW: FrameRate, Advice,
        "Hanya {} frame per detik", "Only {} frames a second",
        "Kendaraan yang cepat dapat terlewat di antara dua frame.", "A fast vehicle may pass between two frames.",
        "Atur 10 sampai 15 frame per detik.", "Set 10 to 15 frames a second.";
    FRAME_RATE_LESS_THAN_SET: FrameRate, Problem,
        "{} frame per detik, padahal kamera menyebut {}", "{} frames a second, though the camera says {}",
        "Kamera atau jaringan kelebihan beban, atau rana lambat pada malam hari.", "The camera or the network is overloaded, or the shutter is slow at night.",
        "Kurangi aliran lain dan bitrate; periksa kabel; matikan rana lambat (slow shutter).", "Reduce other streams and the bitrate; check the cable; switch slow shutter off.";

    RESOLUTION_GOOD: Resolution, Ok,
        "{} x {} piksel", "{} x {} pixels",
        "Sesuai untuk aliran ini.", "Right for this stream.";
    RESOLUTION_LARGE_SUBSTREAM: Resolution, Advice,
        "{} x {} piksel pada substream", "{} x {} pixels on the substream",
        "Beban dekode dan data bertambah; kotak memakai substream untuk rekaman, tampilan langsung dan analisis.", "It costs decoding and data; the box uses the substream for ring, live view and analysis.",
        "Atur 640 x 360 sampai 704 x 576 piksel.", "Set 640 x 360 to 704 x 576 pixels.";
    RESOLUTION_SMALL: Resolution, Advice,
        "Hanya {} x {} piksel", "Only {} x {} pixels",
        "Petak parkir yang jauh hanya beberapa piksel; kerusakan lensa sulit dikenali.", "Distant parking spaces have only a few pixels; a bad lens is hard to recognise.",
        "Atur sedikitnya 640 x 360 piksel.", "Set at least 640 x 360 pixels.";
    RESOLUTION_ODD: Resolution, Problem,
        "{} x {} piksel", "{} x {} pixels",
        "Di luar batas yang didukung: sisi 64 sampai 8192 piksel.", "Outside what is supported: sides of 64 to 8192 pixels.",
        "Pilih resolusi biasa, misalnya 640 x 360.", "Choose a usual resolution, such as 640 x 360.";

    BITRATE_GOOD: Bitrate, Ok,
        "{} kbit/s: {} MB per jam", "{} kbit/s: {} MB an hour",
        "Sesuai untuk aliran ini.", "Right for this stream.";
    BITRATE_HIGH: Bitrate, Advice,
        "{} kbit/s: {} MB per jam", "{} kbit/s: {} MB an hour",
        "Lebih dari yang diperlukan; rekaman di kartu SD menjadi lebih pendek dan kartu cepat aus.", "More than needed; recordings on the SD card reach back less far, and the card wears out.",
        "Atur substream 512 kbit/s, aliran utama paling banyak 4096 kbit/s.", "Set 512 kbit/s for the substream, at most 4096 kbit/s for the main stream.";
    BITRATE_LOW: Bitrate, Advice,
        "Hanya {} kbit/s", "Only {} kbit/s",
        "Gambar berkotak-kotak saat ada gerakan.", "The picture falls into blocks when something moves.",
        "Atur sedikitnya 256 kbit/s.", "Set at least 256 kbit/s.";
    BITRATE_QUOTA: Bitrate, Problem,
        "{} kbit/s: {} MB per jam; kuota {} MB sebulan habis dalam {} jam tampilan langsung", "{} kbit/s: {} MB an hour; the quota of {} MB a month is gone after {} hours of live view",
        "Satu jam tampilan langsung sehari sudah melampaui kuota.", "An hour of live view a day is more than the quota.",
        "Turunkan bitrate substream, atau tambah kuota.", "Lower the substream's bitrate, or raise the quota.";

    CLOCK_GOOD: Clock, Ok,
        "Jam kamera berselisih {} detik", "The camera's clock is {} s off",
        "Waktu pada gambar dapat dipercaya.", "The time in the picture can be relied on.";
    CLOCK_WRONG: Clock, Problem,
        "Jam kamera berselisih {} detik", "The camera's clock is {} s off",
        "Waktu pada gambar salah; sebagai bukti akan dipertanyakan.", "The time in the picture is wrong; as evidence it will be questioned.",
        "Atur NTP dan zona waktu di kamera.", "Set NTP and the time zone in the camera.";

    TRANSPORT_TCP: Transport, Ok,
        "RTSP lewat TCP", "RTSP over TCP",
        "Tidak ada paket yang hilang.", "No packet is lost.";
    TRANSPORT_UDP: Transport, Advice,
        "RTSP lewat UDP", "RTSP over UDP",
        "Paket yang hilang merusak gambar sampai keyframe berikutnya.", "A lost packet spoils the picture up to the next keyframe.",
        "Izinkan RTSP lewat TCP (interleaved).", "Allow RTSP over TCP (interleaved).";

    AUDIO_NONE: Audio, Ok,
        "Tanpa suara", "No sound",
        "Percakapan orang di jalan tidak direkam.", "Talk in the street is not recorded.";
    AUDIO: Audio, Advice,
        "Kamera menawarkan suara", "The camera offers sound",
        "Kotak tidak mengambilnya, tetapi suara di tempat umum adalah data pribadi.", "The box does not take it, but sound from public places is personal data.",
        "Matikan mikrofon.", "Switch the microphone off.";
}

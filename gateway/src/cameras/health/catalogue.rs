//! What is said to a technician about each state, cause and measure, in Indonesian and English.

use super::event::{Cause, Measure, State};
use crate::words::Text;

/// The name of a state.
pub fn state_text(state: State) -> Text {
    match state {
        State::Up => Text::new("normal", "up"),
        State::Connecting => Text::new("menyambung", "connecting"),
        State::Stalled => Text::new("aliran terhenti", "stalled"),
        State::AuthFailed => Text::new("ditolak kamera", "login refused"),
        State::AuthUnsupported => Text::new("cara masuk tidak didukung", "login not supported"),
        State::Frozen => Text::new("gambar beku", "frozen"),
        State::Black => Text::new("gambar gelap", "black"),
        State::Blurred => Text::new("gambar kabur", "blurred"),
        State::Moved => Text::new("arah kamera berubah", "moved"),
        State::NoKeyframes => Text::new("tanpa keyframe", "no keyframes"),
        State::WrongClock => Text::new("jam kamera salah", "wrong clock"),
        State::Offline => Text::new("tidak terhubung", "offline"),
    }
}

macro_rules! causes {
    ($($name:ident: $likely_id:literal, $likely_en:literal; $todo_id:literal, $todo_en:literal;)+) => {
        /// What is likely.
        pub fn cause_text(cause: Cause) -> Text {
            match cause {
                $(Cause::$name => Text::new($likely_id, $likely_en),)+
            }
        }

        /// What to do.
        pub fn what_to_do(cause: Cause) -> Text {
            match cause {
                $(Cause::$name => Text::new($todo_id, $todo_en),)+
            }
        }
    };
}

causes! {
    None:
        "Tidak ada gangguan.",
        "Nothing is wrong.";
        "Tidak perlu tindakan.",
        "Nothing to do.";
    Starting:
        "Sambungan pertama ke kamera sedang dibuat.",
        "The first connection to the camera is being made.";
        "Tunggu sebentar.",
        "Wait a moment.";
    Interrupted:
        "Aliran baru saja terputus; sedang disambung kembali.",
        "The stream broke off a moment ago; it is being connected again.";
        "Tunggu sebentar.",
        "Wait a moment.";
    Refused:
        "Alamat kamera menjawab, tetapi menolak sambungan: RTSP mati, atau nomor port salah.",
        "The camera's address answers but refuses the connection: RTSP is off, or the port is wrong.";
        "Aktifkan RTSP di pengaturan kamera dan cocokkan nomor port (biasanya 554).",
        "Switch RTSP on in the camera's settings and compare the port (usually 554).";
    Unreachable:
        "Kamera tidak dapat dicapai: tanpa daya, kabel lepas, atau alamat IP berubah.",
        "The camera cannot be reached: no power, a loose cable, or another IP address.";
        "Periksa daya (PoE), kabel dan alamat IP kamera; coba ping dari kotak.",
        "Check the camera's power (PoE), cable and IP address; try to ping it from the box.";
    NoAnswer:
        "Kamera tidak menjawab dalam 10 detik: kelebihan beban, sedang mulai, atau paket dibuang di jaringan.",
        "The camera did not answer within 10 seconds: overloaded, starting, or packets are dropped on the way.";
        "Mulai ulang kamera; jika berulang, periksa switch dan kurangi penonton lain.",
        "Restart the camera; if it happens again, check the switch and reduce other viewers.";
    NotRtsp:
        "Yang menjawab bukan RTSP: port salah, atau perangkat lain memakai alamat ini.",
        "What answers is not RTSP: a wrong port, or another device has this address.";
        "Cocokkan alamat dan port RTSP; cari alamat IP ganda di jaringan.",
        "Compare the RTSP address and port; look for a duplicate IP address.";
    NotFound:
        "Kamera tidak mengenal alamat aliran ini.",
        "The camera does not know the path of this stream.";
        "Cocokkan alamat aliran dengan buku petunjuk, dan aktifkan substream di kamera.",
        "Compare the stream's path with the manual, and switch the substream on in the camera.";
    Rejected:
        "Kamera menjawab permintaan ini dengan galat: batas penonton tercapai, sedang mulai, atau alamat aliran salah.",
        "The camera answers this request with an error: its limit of viewers, a restart, or a wrong path.";
        "Tutup penonton lain, mulai ulang kamera, dan cocokkan alamat aliran dengan buku petunjuk.",
        "Close other viewers, restart the camera, and compare the stream's path with the manual.";
    AuthFailed:
        "Kamera menolak nama pengguna atau kata sandi.",
        "The camera refuses the user name or the password.";
        "Perbaiki nama pengguna dan kata sandi di berkas video.secrets_file. Jangan mencoba berulang kali: kamera dapat mengunci akun.",
        "Correct user name and password in the file video.secrets_file. Do not try often: the camera may lock the account.";
    AuthUnsupported:
        "Kamera meminta cara masuk yang tidak dikenal kotak ini.",
        "The camera asks for a way of logging in that this box does not know.";
        "Ubah autentikasi RTSP di kamera menjadi digest atau Basic.",
        "Change the camera's RTSP authentication to digest or Basic.";
    NoVideo:
        "Aliran ini tidak berisi video.",
        "This stream has no video.";
        "Pilih alamat aliran video, dan aktifkan video pada saluran itu.",
        "Choose the path of a video stream, and switch video on for that channel.";
    UnsupportedCodec:
        "Video kamera bukan H.264 atau H.265.",
        "The camera's video is neither H.264 nor H.265.";
        "Pilih H.264 untuk aliran ini di pengaturan video kamera.",
        "Choose H.264 for this stream in the camera's video settings.";
    Mux:
        "Video kamera tidak dapat disimpan sebagai berkas: isinya menyimpang dari standar.",
        "The camera's video cannot be put into a file: it departs from the standard.";
        "Pilih H.264 profil main di kamera dan perbarui firmware; jika berulang, kirim log kotak ke pengembang.",
        "Choose H.264, profile main, and update the firmware; if it happens again, send the box's log to the developers.";
    BadSdp:
        "Keterangan aliran dari kamera tidak dapat dibaca.",
        "The camera's description of the stream cannot be read.";
        "Perbarui firmware kamera, dan pilih H.264 untuk aliran ini.",
        "Update the camera's firmware, and choose H.264 for this stream.";
    Stalled:
        "Kamera tersambung tetapi berhenti mengirim: macet, atau jaringan terlalu lambat.",
        "The camera is connected but stopped sending: it hangs, or the network is too slow.";
        "Mulai ulang kamera; periksa kabel dan turunkan bitrate.",
        "Restart the camera; check the cable and lower the bitrate.";
    Ended:
        "Kamera mengakhiri aliran: mulai ulang, atau terlalu banyak penonton.",
        "The camera ended the stream: it restarts, or has too many viewers.";
        "Periksa jadwal mulai ulang, catu daya, dan batas jumlah penonton kamera.",
        "Check the camera's restart schedule, its power supply and its limit of viewers.";
    NoKeyframes:
        "Kamera tidak mengirim keyframe: mode H.264+, H.265+ atau smart codec aktif, atau interval terlalu panjang.",
        "The camera sends no keyframes: H.264+, H.265+ or smart codec is on, or the interval is too long.";
        "Matikan H.264+/H.265+/smart codec, dan atur interval keyframe 2 detik.",
        "Switch H.264+/H.265+/smart codec off, and set the keyframe interval to 2 seconds.";
    WorkerCrashed:
        "Proses kotak untuk kamera ini berhenti sendiri; akan dimulai lagi.",
        "The box's process for this camera has ended; it is started again.";
        "Jika berulang, kirim log kotak ke pengembang.",
        "If it happens again, send the box's log to the developers.";
    WorkerMissing:
        "Program kotak untuk kamera, gateway-camera, tidak dapat dijalankan: tidak terpasang, atau rusak.",
        "The box's program for cameras, gateway-camera, does not start: it is not installed, or damaged.";
        "Pasang gateway-camera dari rilis yang sama di folder gateway, lalu jalankan gateway check.",
        "Install gateway-camera of the same release into gateway's folder, then run gateway check.";
    Frozen:
        "Gambar yang sama terus dikirim: kamera macet, atau rekaman lama diputar ulang.",
        "The same picture is sent again and again: the camera hangs, or a recording is played back.";
        "Mulai ulang kamera; jika berulang, perbarui firmware dan periksa siapa yang mengakses kamera.",
        "Restart the camera; if it happens again, update its firmware and check who has access to it.";
    Black:
        "Gambar gelap merata: lensa tertutup atau dicat, tidak ada cahaya, atau lampu inframerah mati.",
        "The picture is dark all over: the lens is covered or painted, there is no light, or the infrared lamp is dead.";
        "Lihat lensa di tempat, bersihkan, dan periksa lampu inframerah kamera.",
        "Look at the lens on site, clean it, and check the camera's infrared lamp.";
    Blurred:
        "Gambar kurang tajam dari biasanya: sarang laba-laba, debu, embun, atau fokus bergeser.",
        "The picture has less detail than usual: a spider's web, dirt, dew, or the focus has shifted.";
        "Bersihkan lensa dan kaca pelindung, lalu atur fokus.",
        "Clean lens and dome, then adjust the focus.";
    Moved:
        "Pandangan berubah: kamera diputar atau tiang miring, atau benda besar menutupi lensa.",
        "The view is another: the camera was turned or the pole leans, or something large stands before the lens.";
        "Kembalikan arah kamera dan kencangkan; jika arah baru disengaja: gateway cameras accept-view.",
        "Turn the camera back and fasten it; if the new direction is wanted: gateway cameras accept-view.";
    WrongClock:
        "Jam kamera berbeda dari jam kotak; waktu pada gambar salah.",
        "The camera's clock differs from the box's; the time in the picture is wrong.";
        "Atur NTP dan zona waktu di kamera.",
        "Set NTP and the time zone in the camera.";
}

/// The name of a measure.
pub fn measure_text(measure: Measure) -> Text {
    match measure {
        Measure::SilenceS => Text::new("detik tanpa gambar", "seconds without a frame"),
        Measure::KeyframeGapS => Text::new("detik tanpa keyframe", "seconds without a keyframe"),
        Measure::Mean => Text::new("kecerahan rata-rata", "mean brightness"),
        Measure::Contrast => Text::new("kontras", "contrast"),
        Measure::ChangedBlocks => Text::new("bagian blok yang berubah", "share of blocks that changed"),
        Measure::ChangedPixels => Text::new("bagian piksel yang berubah", "share of pixels that changed"),
        Measure::DetailShare => Text::new("ketajaman terhadap biasanya", "detail against the usual"),
        Measure::DetailShareOfContrast => Text::new(
            "ketajaman per kontras terhadap biasanya",
            "detail for its contrast against the usual",
        ),
        Measure::EdgeCorrelation => Text::new("korelasi tepi", "correlation of edges"),
        Measure::DisplacedCorrelation => {
            Text::new("korelasi tepi setelah digeser", "correlation of edges when displaced")
        }
        Measure::ClockOffsetS => Text::new("selisih jam, detik", "clock offset, seconds"),
    }
}

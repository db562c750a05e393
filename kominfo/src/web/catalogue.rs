//! Every word of the page, in Indonesian and English. A text has both or does not compile.

use crate::store::AlarmCode;

/// A language of the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// Bahasa Indonesia.
    #[default]
    Indonesian,
    /// English.
    English,
}

impl Language {
    /// The language that `?lang=` asks for; Indonesian unless English is.
    pub fn asked(name: Option<&str>) -> Self {
        if name == Some("en") {
            Self::English
        } else {
            Self::Indonesian
        }
    }

    /// The name in HTML.
    pub fn code(self) -> &'static str {
        match self {
            Self::Indonesian => "id",
            Self::English => "en",
        }
    }

    /// The one that a page offers instead.
    pub fn other(self) -> Self {
        match self {
            Self::Indonesian => Self::English,
            Self::English => Self::Indonesian,
        }
    }
}

/// A text in both languages. `{}` stands for what is filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    id: &'static str,
    en: &'static str,
}

impl Text {
    /// The text in `language`.
    pub fn in_(self, language: Language) -> &'static str {
        match language {
            Language::Indonesian => self.id,
            Language::English => self.en,
        }
    }

    /// The text in `language` with `value` filled in.
    pub fn with(self, language: Language, value: &str) -> String {
        self.in_(language).replacen("{}", value, 1)
    }
}

macro_rules! texts {
    ($($name:ident: $id:literal, $en:literal;)+) => {
        $(pub(super) const $name: Text = Text { id: $id, en: $en };)+

        #[cfg(test)]
        const ALL: &[(&str, Text)] = &[$((stringify!($name), $name)),+];
    };
}

texts! {
    TITLE: "Parkir Tepi Jalan", "On-street Parking";
    SUBTITLE: "Data dari kotak di lapangan, ditandatangani dan diperiksa", "Data from the boxes in the street, signed and verified";
    LANGUAGE_OTHER: "English", "Bahasa Indonesia";
    SKIP: "Langsung ke isi", "Skip to content";
    LIVE: "langsung", "live";
    NOT_LIVE: "terputus, mencoba lagi", "disconnected, retrying";

    SPACES: "Petak parkir sekarang", "Parking spaces now";
    SPACES_EMPTY: "Belum ada keadaan petak. Kotak mengirimnya begitu tersambung ke broker kota.", "No space has been told yet. A box tells its spaces once it is connected to the city's broker.";
    FREE: "kosong", "free";
    OCCUPIED: "terisi", "occupied";
    UNKNOWN: "tidak diketahui", "unknown";
    CLOSED: "ditutup", "closed";
    FREE_LETTER: "K", "F";
    OCCUPIED_LETTER: "T", "O";
    UNKNOWN_LETTER: "?", "?";
    CLOSED_LETTER: "×", "×";
    SINCE: "sejak {}", "since {}";
    HEARD: "sensor terakhir melapor {}", "sensor last heard {}";
    OF_SPACES: "dari {} petak", "of {} spaces";

    TODAY: "Hari ini per zona", "Today by zone";
    TODAY_EMPTY: "Belum ada sesi atau okupansi untuk hari ini. Angka muncul setelah kendaraan pertama pergi dan catatan kotak diterima.", "No session or occupancy for today yet. Figures appear once the first vehicle has left and the box's records have come in.";
    BUSINESS_DAY: "Hari usaha {}", "Business day {}";
    ZONE: "Zona", "Zone";
    SESSIONS: "Sesi parkir", "Sessions";
    DROP_OFFS: "singgah singkat", "drop-offs";
    QUARANTINED: "perlu ditinjau", "for review";
    SUSPECT: "sensor meragukan", "suspect sensor";
    AT_A_LINE: "{} dihitung di garis", "{} counted at a line";
    ESTIMATED: "perkiraan {}, antara", "estimated {}, between";
    ESTIMATE_HOLDS: "Dengan kendaraan yang tidak terlihat sensor. Pada 95 dari 100 hari jumlah sebenarnya ada di antaranya.", "With vehicles that no sensor saw. On 95 of 100 days the true number lies between.";
    EXPECTED_FEE: "Perkiraan retribusi", "Expected fee";
    LOW_HIGH: "paling sedikit – paling banyak", "lowest – highest";
    COVERAGE: "Cakupan", "Coverage";
    NOT_ENOUGH_DATA: "belum cukup data", "not enough data";
    NO_COVERAGE: "belum ada", "none yet";
    PART_MISSING: "sebagian data belum sampai", "some data has not arrived";
    ALL_MISSING: "data okupansi belum sampai", "no occupancy data has arrived";
    MOTORCYCLES: "motor", "motorcycles";
    CARS: "mobil", "cars";
    TRUCKS: "truk", "trucks";
    BUSES: "bus", "buses";
    COVERAGE_NOTE: "Cakupan di bawah 90 % berarti belum cukup data: tidak ada kesimpulan tentang setoran.", "Coverage below 90 % means not enough data: nothing is concluded about deposits.";

    BOXES: "Kotak", "Boxes";
    BOXES_EMPTY: "Belum ada kotak terdaftar. Daftarkan dengan: kominfo box add", "No box is registered yet. Register one with: kominfo box add";
    LINK: "Sambungan", "Link";
    ONLINE: "tersambung", "online";
    OFFLINE: "terputus", "offline";
    NEVER_SEEN: "belum pernah tersambung", "never connected yet";
    BACKLOG: "Menunggu dikirim", "Waiting to be sent";
    RECORDS: "{} catatan", "{} records";
    NOT_TOLD: "belum dilaporkan", "not told";
    RECEIPT: "Tanda terima terakhir", "Last receipt";
    NO_RECEIPT: "belum ada", "none yet";
    CLOCK: "Jam kotak", "Box clock";
    CLOCK_SYNCED: "sinkron", "synchronised";
    CLOCK_HOLDOVER: "berjalan tanpa sinkronisasi", "running on its own";
    CLOCK_UNSET: "belum disetel; waktu dikoreksi kemudian", "not set; times are corrected later";
    CLOCK_SIMULATED: "simulasi (peragaan, bukan data nyata)", "simulated (demonstration, not real data)";
    STATE_TOLD: "Data keadaan diterima", "State received";
    JOURNAL_FULL: "penyimpanan kotak penuh: pulihkan sambungannya segera", "the box's storage is full: restore its link at once";
    FORKED: "riwayat bercabang", "forked history";

    CAMERAS_LINK: "Lihat {} kamera", "See {} cameras";
    LIVE_TITLE: "Kamera langsung", "Live cameras";
    LIVE_SUBTITLE: "Gambar dikirim dari kotak hanya selama ada yang menonton", "Boxes send pictures only while somebody watches";
    LIVE_OVERVIEW: "Parkir", "Parking";
    LIVE_NOSCRIPT: "Untuk menonton, JavaScript harus dinyalakan.", "Watching needs JavaScript.";
    LIVE_FOOTER: "Siapa yang menonton, kamera mana dan berapa lama, dicatat selama 90 hari.", "Who watches which camera and for how long is kept for 90 days.";
    LIVE_NOT_OFFERED: "Siaran langsung belum disiapkan di server ini: kominfo serve --command-key", "Live view has not been set up on this server: kominfo serve --command-key";
    LIVE_EMPTY: "Belum ada kamera yang dilaporkan kotak.", "No box has told a camera yet.";
    LIVE_WATCH: "Tonton gambar kecil", "Watch the small picture";
    LIVE_WATCH_MAIN: "Tonton gambar besar", "Watch the large picture";
    LIVE_COST: "{} Mbit/s ≈ {} MB per jam", "{} Mbit/s ≈ {} MB an hour";
    LIVE_COST_UNKNOWN: "laju data tidak diketahui", "data rate unknown";
    LIVE_STOP: "Berhenti", "Stop";
    LIVE_AGAIN: "Lanjutkan menonton", "Go on watching";
    LIVE_LAST: "terakhir: {}", "last told: {}";
    LIVE_BOX: "Kotak", "Box";
    LIVE_VIEWERS: "{} penonton di kotak", "{} viewers at the box";
    LIVE_VIEWERS_OF: "{} dari {} penonton di kotak", "{} of {} viewers at the box";
    SERIES_LINK: "24 jam terakhir", "the last 24 hours";
    SERIES_TITLE: "Kamera 24 jam terakhir", "Cameras over the last 24 hours";
    SERIES_SPAN: "{} sampai {}", "{} to {}";
    SERIES_LEGEND: "Garis: rata-rata; pita: terendah sampai tertinggi; latar abu-abu: tidak diketahui. Tepi bawah gambar adalah 0, tepi atasnya yang tertinggi.", "Line: mean; band: lowest to highest; grey ground: not known. The bottom of a picture is 0, its top the highest.";
    SERIES_UP: "Normal {} % dari waktu yang diketahui.", "Up for {} % of the time that is known.";
    SERIES_SUB: "Gambar kecil", "Small picture";
    SERIES_MAIN: "Gambar besar", "Large picture";
    SERIES_FPS: "gambar per detik", "frames a second";
    SERIES_KBIT: "laju data, kbit/s", "data rate, kbit/s";
    SERIES_FIGURES: "terendah {}, rata-rata {}, tertinggi {}; {} % dari 24 jam diketahui", "lowest {}, mean {}, highest {}; {} % of 24 hours known";
    SERIES_NONE: "Belum ada data dari 24 jam ini. Kotak mengirimnya setiap seperempat jam, setelah catatan dan keadaan.", "No figures of these 24 hours yet. The box sends them every quarter of an hour, after records and state.";
    SERIES_FOOTER: "Angka ini tidak ditandatangani dan dapat hilang; disimpan 30 hari.", "These figures are not signed and may be lost; they are kept for 30 days.";
    CAMERA_UP: "normal", "up";
    CAMERA_CONNECTING: "sedang menyambung ke kamera", "connecting to the camera";
    CAMERA_STALLED: "aliran dari kamera terhenti", "the camera has stopped sending";
    CAMERA_OFFLINE: "kamera tidak terjangkau", "the camera cannot be reached";
    CAMERA_AUTH_FAILED: "kata sandi kamera ditolak", "the camera refused the password";
    CAMERA_AUTH_UNSUPPORTED: "cara masuk kamera tidak didukung", "the camera's way to log in is not supported";
    CAMERA_FROZEN: "gambar beku", "the picture is frozen";
    CAMERA_BLACK: "gambar gelap", "the picture is black";
    CAMERA_BLURRED: "gambar kabur", "the picture is blurred";
    CAMERA_MOVED: "arah kamera berubah", "the camera looks elsewhere";
    CAMERA_NO_KEYFRAMES: "video tanpa keyframe, tidak dapat ditampilkan", "video without keyframes, which cannot be shown";
    CAMERA_WRONG_CLOCK: "jam kamera salah", "the camera's clock is wrong";
    CAMERA_UNSUPPORTED: "format video kamera tidak didukung", "the camera's video format is not supported";
    CAMERA_DISABLED: "dinonaktifkan", "switched off in the configuration";

    ALARMS: "Peringatan", "Alarms";
    NO_ALARMS: "Tidak ada peringatan.", "No alarms.";
    NOTICE: "Pemberitahuan", "Notice";
    ALARM: "Peringatan", "Alarm";
    TO_DO: "Yang perlu dilakukan:", "What to do:";
    TIMES: "{} kali, terakhir {}", "seen {} ×, last {}";
    CLEAR_WITH: "Setelah diperiksa, hapus dengan:", "When looked into, clear with:";

    FORK_WHAT: "Kotak menandatangani dua riwayat yang berbeda. Riwayat yang sudah diberi tanda terima tetap berlaku.", "The box has signed two different histories. The one that has receipts stays in force.";
    FORK_DO: "Periksa kotak di lapangan: penyimpanan diganti, dipulihkan dari salinan, atau kuncinya dipakai orang lain. Cocokkan setoran zona ini dengan teliti.", "Look at the box on site: its storage was exchanged or restored from a copy, or somebody else has its key. Reconcile this zone's deposits with care.";
    BAD_SIGNATURE_WHAT: "Data ditolak: tanda tangannya tidak cocok dengan kunci dan riwayat kotak ini.", "Data was refused: its signature does not fit this box's key and history.";
    BAD_SIGNATURE_DO: "Jika kuncinya baru diganti, daftarkan kotak dengan nama baru. Jika tidak, cari siapa yang memakai sertifikat kotak ini.", "If its key was changed, register the box under a new name. If not, find out who uses this box's certificate.";
    REPLAY_MISMATCH_WHAT: "Data ditolak: catatan lama dikirim ulang dengan isi yang diubah.", "Data was refused: old records were sent again with altered contents.";
    REPLAY_MISMATCH_DO: "Tidak ada yang ikut dihitung. Periksa jalur antara kotak dan broker, dan siapa yang memegang sertifikatnya.", "Nothing of it was counted. Look at the way between box and broker, and at who holds the certificate.";
    REPLAY_WHAT: "Data lama dikirim ulang tanpa perubahan. Tidak ada yang dihitung dua kali.", "Old data was sent again, unaltered. Nothing was counted twice.";
    REPLAY_DO: "Biasa terjadi setelah sambungan putus. Jika terus berulang, periksa apakah kotak menerima tanda terima.", "Usual after a broken link. If it goes on, see whether the box gets its receipts.";
    UNKNOWN_BOX_WHAT: "Data datang dari kotak yang tidak terdaftar.", "Data came from a box that is not registered.";
    UNKNOWN_BOX_DO: "Daftarkan dengan: kominfo box add, atau cabut sertifikatnya.", "Register it with: kominfo box add, or withdraw its certificate.";
    MALFORMED_WHAT: "Data ditolak: bentuknya tidak dapat dibaca.", "Data was refused: its form cannot be read.";
    MALFORMED_DO: "Cocokkan versi perangkat lunak kotak dan kota. Datanya disimpan untuk diperiksa.", "Compare the versions of the box's and the city's software. The data is kept for inspection.";
    UNDECODABLE_RECORD_WHAT: "Catatan bertanda tangan tidak dapat dipakai. Catatan itu disimpan, tetapi tidak dihitung.", "A signed record cannot be used. It is kept, and counted nowhere.";
    UNDECODABLE_RECORD_DO: "Laporkan kepada pembuat perangkat lunak, dengan nomor catatannya.", "Report it to the makers of the software, with the record's number.";
    SIMULATED_CLOCK_WHAT: "Data ditolak: jam kotak adalah jam simulasi.", "Data was refused: the box's clock is a made-up one.";
    SIMULATED_CLOCK_DO: "Jalankan kotak tanpa jam simulasi.", "Run the box without a simulated clock.";
    STORE_DAMAGED_WHAT: "Salinan kota untuk kotak ini rusak, sehingga datanya tidak dapat diterima.", "The city's own copy for this box is damaged, so its data cannot be taken in.";
    STORE_DAMAGED_DO: "Jalankan kominfo verify dan pulihkan basis data dari cadangan. Kotak menyimpan datanya sementara itu.", "Run kominfo verify and restore the database from a backup. The box keeps its data meanwhile.";
    GAP_WHAT: "Catatan sebelum yang dikirim kotak belum ada di kota. Kotak diminta mengirimnya lagi.", "Records before those that the box sends are not in the city yet. The box is asked for them again.";
    GAP_DO: "Biasa sesaat setelah gangguan. Jika terus berulang, basis data kota mungkin dipulihkan dari cadangan lama: cari cadangan yang lebih baru.", "Usual for a moment after a disturbance. If it goes on, the city's database may have been restored from an old backup: look for a newer one.";

    FOOTER: "Setiap angka dapat dibuktikan dari catatan kotak: kominfo export proof", "Every figure can be proved from the box's records: kominfo export proof";
}

/// The state of a camera in words; `None` for one that this version does not know, which is shown as it is.
pub fn camera_state(state: &str) -> Option<Text> {
    Some(match state {
        "" => NOT_TOLD,
        "up" => CAMERA_UP,
        "connecting" => CAMERA_CONNECTING,
        "stalled" => CAMERA_STALLED,
        "offline" => CAMERA_OFFLINE,
        "auth_failed" => CAMERA_AUTH_FAILED,
        "auth_unsupported" => CAMERA_AUTH_UNSUPPORTED,
        "frozen" => CAMERA_FROZEN,
        "black" => CAMERA_BLACK,
        "blurred" => CAMERA_BLURRED,
        "moved" => CAMERA_MOVED,
        "no_keyframes" => CAMERA_NO_KEYFRAMES,
        "wrong_clock" => CAMERA_WRONG_CLOCK,
        "unsupported" => CAMERA_UNSUPPORTED,
        "disabled" => CAMERA_DISABLED,
        _ => return None,
    })
}

/// What an alarm means, and what to do about it.
pub fn alarm(code: AlarmCode) -> (Text, Text) {
    match code {
        AlarmCode::Fork => (FORK_WHAT, FORK_DO),
        AlarmCode::BadSignature => (BAD_SIGNATURE_WHAT, BAD_SIGNATURE_DO),
        AlarmCode::ReplayMismatch => (REPLAY_MISMATCH_WHAT, REPLAY_MISMATCH_DO),
        AlarmCode::Replay => (REPLAY_WHAT, REPLAY_DO),
        AlarmCode::UnknownBox => (UNKNOWN_BOX_WHAT, UNKNOWN_BOX_DO),
        AlarmCode::Malformed => (MALFORMED_WHAT, MALFORMED_DO),
        AlarmCode::UndecodableRecord => (UNDECODABLE_RECORD_WHAT, UNDECODABLE_RECORD_DO),
        AlarmCode::SimulatedClock => (SIMULATED_CLOCK_WHAT, SIMULATED_CLOCK_DO),
        AlarmCode::StoreDamaged => (STORE_DAMAGED_WHAT, STORE_DAMAGED_DO),
        AlarmCode::Gap => (GAP_WHAT, GAP_DO),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_there_in_both_languages_with_the_same_gaps() {
        for (name, text) in ALL {
            assert!(!text.id.trim().is_empty() && !text.en.trim().is_empty(), "{name}");
            assert_eq!(text.id.matches("{}").count(), text.en.matches("{}").count(), "{name}");
        }
    }

    #[test]
    fn only_letters_and_a_few_words_are_the_same_in_both_languages() {
        let same: Vec<_> = ALL
            .iter()
            .filter(|(_, text)| text.id == text.en)
            .map(|(name, _)| *name)
            .collect();
        assert_eq!(same, ["UNKNOWN_LETTER", "CLOSED_LETTER"]);
    }
}

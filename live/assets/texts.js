// Texts of the live player, one object a language. `{detail}` is replaced; keys are the player's states, and both
// languages have the same keys. cameraStates and endReasons may lack a code, which is then shown as it is.

const number = (locale) => (value, decimals) =>
  new Intl.NumberFormat(locale, { minimumFractionDigits: decimals, maximumFractionDigits: decimals }).format(value);

export const TEXTS = {
  id: {
    connecting: "Menghubungkan…",
    live: "Langsung",
    delayed: "Gambar tertunda, menunggu kamera…",
    skipped: "Koneksi lambat, {detail} detik dilewati",
    reconnecting: "Sambungan terputus, mencoba lagi…",
    busy: "Penonton sudah penuh ({detail}). Dicoba lagi otomatis.",
    camera: "Kamera tidak menyala. {detail}",
    stills: "Video tidak dapat diputar di peramban ini, gambar diam ditampilkan. {detail}",
    noStills: "Gambar diam tidak tersedia.",
    ended: "Siaran langsung selesai. {detail}",
    paused: "Dijeda untuk menghemat data",
    seconds: "dtk",
    cameraStates: {
      connecting: "Sedang menyambung ke kamera",
      stalled: "Kamera berhenti mengirim gambar",
      offline: "Kamera tidak terjangkau",
      auth_failed: "Kata sandi kamera ditolak",
      auth_unsupported: "Cara masuk kamera tidak didukung",
      unsupported: "Format video kamera tidak didukung",
      disabled: "Kamera dinonaktifkan",
    },
    endReasons: {
      ttl: "Waktu menonton habis.",
      too_slow: "Koneksi terlalu lambat.",
      source_gone: "Sambungan ke lokasi terputus.",
      stopped: "Dihentikan oleh operator.",
    },
    number: number("id-ID"),
  },
  en: {
    connecting: "Connecting…",
    live: "Live",
    delayed: "Picture delayed, waiting for the camera…",
    skipped: "Slow connection, {detail} seconds skipped",
    reconnecting: "Connection lost, trying again…",
    busy: "Too many viewers ({detail}). Trying again by itself.",
    camera: "The camera is dark. {detail}",
    stills: "This browser cannot play the video, still pictures are shown. {detail}",
    noStills: "There are no still pictures.",
    ended: "The live view is over. {detail}",
    paused: "Paused to save data",
    seconds: "s",
    cameraStates: {
      connecting: "Connecting to the camera",
      stalled: "The camera has stopped sending pictures",
      offline: "The camera cannot be reached",
      auth_failed: "The camera refused the password",
      auth_unsupported: "The camera's way to log in is not supported",
      unsupported: "The camera's video format is not supported",
      disabled: "The camera is switched off in the configuration",
    },
    endReasons: {
      ttl: "The viewing time is over.",
      too_slow: "The connection is too slow.",
      source_gone: "The connection to the site was lost.",
      stopped: "Stopped by an operator.",
    },
    number: number("en-GB"),
  },
};

//! The zstd dictionaries shipped with the program.
//!
//! A batch names the version of its dictionary. A version is never changed once boxes use it: a better dictionary is a
//! new version, and cities learn it before boxes do. `cargo run -p ledger --example train-dictionary` makes it anew.

/// A dictionary and the number by which batches name it.
#[derive(Debug)]
pub struct Dictionary {
    /// The number.
    pub version: u8,
    /// The file's SHA-256, hexadecimal.
    pub sha256: &'static str,
    /// The file.
    pub bytes: &'static [u8],
}

/// The dictionary that batches are encoded with.
pub static CURRENT: Dictionary = Dictionary {
    version: 1,
    sha256: "3446a4e219824376954ac73e94dcdc9b65bc39070275ba001e46096cc20a5b03",
    bytes: include_bytes!("../dictionary/v1.zdict"),
};

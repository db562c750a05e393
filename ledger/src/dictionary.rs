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
    sha256: "ffe5b44e16b423158896e681b181c96694c2bd16a076bde0efd4155964aeb5c0",
    bytes: include_bytes!("../dictionary/v1.zdict"),
};

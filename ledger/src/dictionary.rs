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
    sha256: "bf86f6d752b5b59fa6638fed87745ce1d6dc9948df40ae094a794557d7fe10ef",
    bytes: include_bytes!("../dictionary/v1.zdict"),
};

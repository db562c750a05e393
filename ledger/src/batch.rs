//! Batches: records on their way from the box to the city, with the signature of the checkpoint that closes them.
//!
//! ```text
//! byte      version of this format (1)
//! byte      version of the dictionary (1)
//! LEB128    log index of the first record
//! LEB128    number of records, at least 1
//! 64 bytes  the log's Ed25519 signature over the body of the checkpoint of size first + number
//! rest      one zstd frame (RFC 8878) without its magic number, made with the dictionary: the records, each
//!           followed by a newline
//! ```
//!
//! The checkpoint is implied: its size is known, its root the receiver computes from its own copy of the log and these
//! records. The magic number is left out because it says nothing here, and because without it no frame can ask for one
//! of zstd's old formats. Every number has one encoding and nothing may follow the frame.

use std::io::{self, Read};
use std::sync::LazyLock;

use zstd::bulk::Compressor;
use zstd::dict::DecoderDictionary;
use zstd::stream::read::Decoder;
use zstd::zstd_safe::{CParameter, DParameter};

use crate::{LOG_SIZE_MAX, dictionary, varint};

const VERSION: u8 = 1;
/// What a zstd frame begins with.
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Highest level of compression: those above trade memory that the box does not have for hardly a byte.
const LEVEL_MAX: i32 = 19;
/// The receiver keeps at most this window, 2^n bytes, whatever a frame asks for.
const WINDOW_LOG_MAX: u32 = 20;

static DECODER: LazyLock<DecoderDictionary<'static>> =
    LazyLock::new(|| DecoderDictionary::copy(dictionary::CURRENT.bytes));

/// Consecutive records of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Log index of the first record.
    pub first_index: u64,
    /// The records' exact bytes; none is empty or holds a newline.
    pub records: Vec<Vec<u8>>,
    /// The log's signature of the checkpoint after the last record.
    pub signature: [u8; 64],
}

/// How large a batch a receiver takes. What exceeds a limit is refused before it is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes on the wire.
    pub compressed_bytes: usize,
    /// Bytes of all records with their newlines.
    pub uncompressed_bytes: usize,
    /// Records in a batch.
    pub records: usize,
    /// Bytes of one record.
    pub record_bytes: usize,
}

impl Default for Limits {
    /// 256 KiB on the wire, 4 MiB of records, 8,192 records, 64 KiB a record.
    fn default() -> Self {
        Self {
            compressed_bytes: 256 << 10,
            uncompressed_bytes: 4 << 20,
            records: 8_192,
            record_bytes: 64 << 10,
        }
    }
}

/// Why a batch could not be encoded or is refused.
#[derive(Debug, thiserror::Error)]
pub enum BatchError {
    /// The bytes are of another version of the format.
    #[error("batch of version {0}: this program reads version {VERSION}; upgrade it")]
    Version(u8),
    /// The records were compressed with a dictionary that this program does not have.
    #[error("batch with dictionary {0}: this program has dictionary {known}; upgrade it", known = dictionary::CURRENT.version)]
    Dictionary(u8),
    /// The bytes end in the header, or a number in it is malformed.
    #[error("batch with a cut off or malformed {0}")]
    Header(&'static str),
    /// The batch holds no record.
    #[error("batch without records")]
    Empty,
    /// The indexes lie beyond any log.
    #[error("batch of {count} records from index {first}: a log has at most {LOG_SIZE_MAX} records")]
    Range {
        /// First index.
        first: u64,
        /// Number of records.
        count: u64,
    },
    /// The batch is larger than allowed.
    #[error("batch with more than {max} {what}")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// How much is allowed.
        max: usize,
    },
    /// The zstd frame is damaged, cut off or not made with this dictionary.
    #[error("batch whose records do not decompress: {0}")]
    Frame(#[source] io::Error),
    /// The records could not be compressed.
    #[error("cannot compress a batch: {0}")]
    Compress(#[source] io::Error),
    /// Something follows the zstd frame.
    #[error("batch with {0} bytes after its end")]
    Trailing(usize),
    /// The number of records is not the one stated.
    #[error("batch of {found} records that states {stated}")]
    Count {
        /// The number in the header.
        stated: usize,
        /// The number found.
        found: usize,
    },
    /// A record is empty.
    #[error("record {0} of the batch is empty")]
    EmptyRecord(usize),
    /// A record to be sent holds a newline, which separates records.
    #[error("record {0} of the batch holds a newline")]
    Newline(usize),
    /// The last record has no newline behind it.
    #[error("the last record of the batch is cut off")]
    Unterminated,
}

/// Encodes a batch for the wire, compressed at zstd's `level` (1 fast to 19 small; others count as the nearer of them).
pub fn encode(batch: &Batch, level: i32) -> Result<Vec<u8>, BatchError> {
    let count = batch.records.len() as u64;
    check_range(batch.first_index, count)?;
    let mut lines = Vec::with_capacity(batch.records.iter().map(|record| record.len() + 1).sum());
    for (place, record) in batch.records.iter().enumerate() {
        if record.is_empty() {
            return Err(BatchError::EmptyRecord(place));
        }
        if record.contains(&b'\n') {
            return Err(BatchError::Newline(place));
        }
        lines.extend_from_slice(record);
        lines.push(b'\n');
    }
    let frame = compress(&lines, level.clamp(1, LEVEL_MAX)).map_err(BatchError::Compress)?;
    let body = frame
        .strip_prefix(&ZSTD_MAGIC)
        .ok_or_else(|| BatchError::Compress(io::Error::other("no zstd frame came out")))?;

    let mut bytes = Vec::with_capacity(2 + 10 + 10 + 64 + body.len());
    bytes.extend_from_slice(&[VERSION, dictionary::CURRENT.version]);
    varint::write(batch.first_index, &mut bytes);
    varint::write(count, &mut bytes);
    bytes.extend_from_slice(&batch.signature);
    bytes.extend_from_slice(body);
    Ok(bytes)
}

/// Decodes a batch within `limits`. Its signature is not verified yet.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Batch, BatchError> {
    limit("bytes on the wire", bytes.len(), limits.compressed_bytes)?;
    let (&version, rest) = bytes.split_first().ok_or(BatchError::Header("version"))?;
    if version != VERSION {
        return Err(BatchError::Version(version));
    }
    let (&dictionary, rest) = rest.split_first().ok_or(BatchError::Header("dictionary version"))?;
    if dictionary != dictionary::CURRENT.version {
        return Err(BatchError::Dictionary(dictionary));
    }
    let (first_index, rest) = varint::read(rest).ok_or(BatchError::Header("first index"))?;
    let (count, rest) = varint::read(rest).ok_or(BatchError::Header("number of records"))?;
    check_range(first_index, count)?;
    let count = usize::try_from(count).unwrap_or(usize::MAX);
    limit("records", count, limits.records)?;
    let (signature, frame) = rest.split_first_chunk().ok_or(BatchError::Header("signature"))?;

    let lines = decompress(frame, limits.uncompressed_bytes)?;
    Ok(Batch {
        first_index,
        records: split(&lines, count, limits.record_bytes)?,
        signature: *signature,
    })
}

fn check_range(first: u64, count: u64) -> Result<(), BatchError> {
    if count == 0 {
        return Err(BatchError::Empty);
    }
    match first.checked_add(count) {
        Some(size) if size <= LOG_SIZE_MAX => Ok(()),
        _ => Err(BatchError::Range { first, count }),
    }
}

fn limit(what: &'static str, found: usize, max: usize) -> Result<(), BatchError> {
    if found > max {
        Err(BatchError::Limit { what, max })
    } else {
        Ok(())
    }
}

fn compress(lines: &[u8], level: i32) -> io::Result<Vec<u8>> {
    // The dictionary can be referred to only within one window of the content's begin: the window takes in both.
    let reach = (lines.len() + dictionary::CURRENT.bytes.len())
        .next_power_of_two()
        .ilog2();
    let mut compressor = Compressor::with_dictionary(level, dictionary::CURRENT.bytes)?;
    compressor.set_parameter(CParameter::ContentSizeFlag(false))?;
    compressor.set_parameter(CParameter::ChecksumFlag(false))?;
    compressor.set_parameter(CParameter::DictIdFlag(false))?;
    compressor.set_parameter(CParameter::WindowLog(reach.min(WINDOW_LOG_MAX)))?;
    compressor.compress(lines)
}

fn decompress(frame: &[u8], bytes_max: usize) -> Result<Vec<u8>, BatchError> {
    let framed = ZSTD_MAGIC.as_slice().chain(frame);
    let mut decoder = Decoder::with_prepared_dictionary(framed, &DECODER)
        .map_err(BatchError::Frame)?
        .single_frame();
    decoder
        .set_parameter(DParameter::WindowLogMax(WINDOW_LOG_MAX))
        .map_err(BatchError::Frame)?;
    let mut lines = Vec::new();
    let allowed = u64::try_from(bytes_max).unwrap_or(u64::MAX);
    decoder
        .by_ref()
        .take(allowed.saturating_add(1))
        .read_to_end(&mut lines)
        .map_err(BatchError::Frame)?;
    limit("bytes of records", lines.len(), bytes_max)?;
    match decoder.finish().into_inner().1 {
        [] => Ok(lines),
        trailing => Err(BatchError::Trailing(trailing.len())),
    }
}

fn split(lines: &[u8], stated: usize, record_bytes_max: usize) -> Result<Vec<Vec<u8>>, BatchError> {
    let text = lines.strip_suffix(b"\n").ok_or(BatchError::Unterminated)?;
    let found = text.split(|&byte| byte == b'\n').count();
    if found != stated {
        return Err(BatchError::Count { stated, found });
    }
    let mut records = Vec::with_capacity(found);
    for (place, record) in text.split(|&byte| byte == b'\n').enumerate() {
        if record.is_empty() {
            return Err(BatchError::EmptyRecord(place));
        }
        limit("bytes in a record", record.len(), record_bytes_max)?;
        records.push(record.to_vec());
    }
    Ok(records)
}

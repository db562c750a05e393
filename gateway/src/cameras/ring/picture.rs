//! The first keyframe of a chunk, for a decoder elsewhere.

use bytes::Bytes;

use super::boxes::{FourCc, ParseError};
use super::chunk::Chunk;
use super::init::{Init, VideoCodec};

/// A picture that can be decoded on its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeySample {
    /// Its compression.
    pub video: VideoCodec,
    /// Body of `avcC` or `hvcC`, with the parameter sets.
    pub codec_config: Vec<u8>,
    /// The access unit, each NAL unit behind its length, as `codec_config` says.
    pub access_unit: Bytes,
}

/// Takes the first keyframe out of a chunk. Fails if there is none.
pub fn key_sample(init: &Init, chunk: &Bytes) -> Result<KeySample, ParseError> {
    let parsed = Chunk::parse(init, chunk)?;
    let mut begin = parsed.data.start;
    for sample in &parsed.moof.samples {
        let within = FourCc(*b"mdat");
        let bytes = usize::try_from(sample.bytes).map_err(|_| ParseError::Short { within })?;
        let end = begin.saturating_add(bytes).min(parsed.data.end);
        if sample.is_sync && bytes > 0 {
            return Ok(KeySample {
                video: init.info().video,
                codec_config: init.codec_config().to_vec(),
                access_unit: chunk.slice(begin..end),
            });
        }
        begin = end;
    }
    let what = "there is no keyframe in this chunk";
    Err(ParseError::Inconsistent { what })
}

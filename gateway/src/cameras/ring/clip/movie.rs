//! Writing a clip's file: `ftyp`, `moov`, `mdat`.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use jiff::Timestamp;

use super::builder;
use super::tables::Tables;
use super::{ClipError, Gap, Plan, Unreadable};
use crate::cameras::ring::boxes::{write_box, write_full_box};
use crate::cameras::ring::init::{Init, VideoCodec};
use crate::cameras::ring::segment::SegmentId;
use crate::cameras::ring::storage::segment_path;
use crate::cameras::ring::time::{ClockQuality, ticks_to_duration};

/// Seconds from 1904, from which the format counts, to 1970.
const MP4_TO_UNIX_SECONDS: i64 = 2_082_844_800;
/// Ticks of the whole presentation in a second.
const MOVIE_TIMESCALE: u32 = 1_000;
/// Bytes of the header of `mdat`, with a size of 64 bits.
const MDAT_HEADER_BYTES: u64 = 16;
/// The matrix that changes nothing.
const MATRIX: [u32; 9] = [0x1_0000, 0, 0, 0, 0x1_0000, 0, 0, 0, 0x4000_0000];
/// The language `und`, undetermined.
const LANGUAGE: u16 = 0x55c4;

/// A clip whose tables are read.
#[derive(Debug)]
pub struct Clip {
    folder: PathBuf,
    files: Vec<SegmentId>,
    pub(super) movies: Vec<Movie>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// One file of a clip.
#[derive(Debug)]
pub struct Movie {
    pub(super) init: Init,
    pub(super) clock: ClockQuality,
    pub(super) tables: Tables,
    pub(super) from: Timestamp,
    pub(super) to: Timestamp,
    pub(super) gaps: Vec<Gap>,
}

impl Clip {
    pub(super) fn new(plan: &Plan) -> Self {
        Self {
            folder: plan.folder.clone(),
            files: plan.segments.iter().map(|segment| segment.id).collect(),
            movies: Vec::new(),
            unreadable: Vec::new(),
        }
    }

    /// Reads the tables of the planned clip, not its frames.
    pub fn read(plan: &Plan) -> Result<Self, ClipError> {
        builder::read(plan)
    }

    /// The files to be written, at least one, in order.
    pub fn movies(&self) -> &[Movie] {
        &self.movies
    }

    /// Recordings that could not be read to their end.
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Writes one of the files, front to back: to a file, or straight into an upload of [`Movie::bytes`] bytes.
    pub fn write<W: Write>(&self, movie: &Movie, out: &mut W) -> Result<(), ClipError> {
        let output = |source| ClipError::Storage {
            action: "write",
            path: PathBuf::from("the clip"),
            source,
        };
        out.write_all(&movie.head()).map_err(output)?;
        let mut open: Option<(usize, File)> = None;
        for piece in &movie.tables.pieces {
            let segment = self.files.get(piece.file).copied().unwrap_or(SegmentId(0));
            let path = segment_path(&self.folder, segment);
            let read = |source: io::Error| match source.kind() {
                io::ErrorKind::NotFound => ClipError::Gone { segment },
                _ => ClipError::Storage {
                    action: "read",
                    path: path.clone(),
                    source,
                },
            };
            let mut file = match open.take() {
                Some((number, file)) if number == piece.file => file,
                _ => File::open(&path).map_err(read)?,
            };
            file.seek(SeekFrom::Start(piece.offset)).map_err(read)?;
            let copied = io::copy(&mut (&mut file).take(piece.bytes), out).map_err(output)?;
            if copied != piece.bytes {
                return Err(ClipError::Gone { segment });
            }
            open = Some((piece.file, file));
        }
        out.flush().map_err(output)
    }
}

impl Movie {
    pub(super) fn new(init: Init, clock: ClockQuality) -> Self {
        Self {
            init,
            clock,
            tables: Tables::default(),
            from: Timestamp::MAX,
            to: Timestamp::MIN,
            gaps: Vec::new(),
        }
    }

    /// Notes that a frame is shown from one time to another.
    pub(super) fn cover(&mut self, from: Timestamp, to: Timestamp) {
        self.from = self.from.min(from);
        self.to = self.to.max(to);
    }

    /// Length of the file, bytes.
    pub fn bytes(&self) -> u64 {
        self.head().len() as u64 + self.tables.data_bytes()
    }

    /// Everything before the frames.
    fn head(&self) -> Vec<u8> {
        let mut head = Vec::new();
        write_box(&mut head, *b"ftyp", |out| {
            out.extend_from_slice(b"isom\0\0\x02\0isomiso4mp41");
            if self.init.info().video == VideoCodec::H264 {
                out.extend_from_slice(b"avc1");
            }
        });
        // Offsets depend on the length of the tables, and that on the width of offsets, but not on their values.
        let data_bytes = self.tables.data_bytes();
        let mut short = self.moov(0, false);
        let data = (head.len() + short.len()) as u64 + MDAT_HEADER_BYTES;
        if u32::try_from(data + data_bytes).is_ok() {
            short = self.moov(data, false);
        } else {
            let long = self.moov(0, true);
            short = self.moov((head.len() + long.len()) as u64 + MDAT_HEADER_BYTES, true);
        }
        head.append(&mut short);
        head.extend_from_slice(b"\0\0\0\x01mdat");
        head.extend_from_slice(&(MDAT_HEADER_BYTES + data_bytes).to_be_bytes());
        head
    }

    /// Times of creation and change.
    fn created(&self) -> [u8; 16] {
        let seconds = self.from.as_second().saturating_add(MP4_TO_UNIX_SECONDS);
        let bytes = u64::try_from(seconds).unwrap_or(0).to_be_bytes();
        let mut twice = [0; 16];
        twice[..8].copy_from_slice(&bytes);
        twice[8..].copy_from_slice(&bytes);
        twice
    }

    fn moov(&self, data: u64, long_offsets: bool) -> Vec<u8> {
        let timescale = self.init.info().timescale;
        let ticks = self.tables.duration();
        let millis = u64::try_from(ticks_to_duration(ticks, timescale).as_millis()).unwrap_or(u64::MAX);
        let mut moov = Vec::new();
        write_box(&mut moov, *b"moov", |out| {
            write_full_box(out, *b"mvhd", 1, 0, |out| {
                out.extend_from_slice(&self.created());
                put(out, &[MOVIE_TIMESCALE]);
                out.extend_from_slice(&millis.to_be_bytes());
                // Rate 1, volume 1, reserved.
                put(out, &[0x1_0000, 0x0100_0000, 0, 0]);
                put(out, &MATRIX);
                put(out, &[0, 0, 0, 0, 0, 0, 2]);
            });
            write_box(out, *b"trak", |out| {
                // Enabled, and part of the film.
                write_full_box(out, *b"tkhd", 1, 3, |out| {
                    out.extend_from_slice(&self.created());
                    put(out, &[1, 0]);
                    out.extend_from_slice(&millis.to_be_bytes());
                    put(out, &[0, 0, 0, 0]);
                    put(out, &MATRIX);
                    out.extend_from_slice(&self.init.display_size);
                });
                write_box(out, *b"mdia", |out| {
                    write_full_box(out, *b"mdhd", 1, 0, |out| {
                        out.extend_from_slice(&self.created());
                        put(out, &[timescale.get()]);
                        out.extend_from_slice(&ticks.to_be_bytes());
                        put(out, &[u32::from(LANGUAGE) << 16]);
                    });
                    write_full_box(out, *b"hdlr", 0, 0, |out| {
                        out.extend_from_slice(b"\0\0\0\0vide\0\0\0\0\0\0\0\0\0\0\0\0video\0");
                    });
                    write_box(out, *b"minf", |out| {
                        write_full_box(out, *b"vmhd", 0, 1, |out| put(out, &[0, 0]));
                        write_box(out, *b"dinf", |out| {
                            write_full_box(out, *b"dref", 0, 0, |out| {
                                put(out, &[1]);
                                // The data is in this file.
                                write_full_box(out, *b"url ", 0, 1, |_| {});
                            });
                        });
                        write_box(out, *b"stbl", |out| self.sample_table(out, data, long_offsets));
                    });
                });
            });
        });
        moov
    }

    fn sample_table(&self, out: &mut Vec<u8>, data: u64, long_offsets: bool) {
        let tables = &self.tables;
        write_full_box(out, *b"stsd", 0, 0, |out| {
            put(out, &[1]);
            out.extend_from_slice(self.init.sample_entry());
        });
        write_full_box(out, *b"stts", 0, 0, |out| {
            let runs = tables.all_durations();
            put(out, &[count(&runs)]);
            for (frames, ticks) in runs {
                put(out, &[frames, ticks]);
            }
        });
        let offsets = tables.composition_offsets();
        if offsets.iter().any(|(_, offset)| *offset != 0) {
            let version = u8::from(offsets.iter().any(|(_, offset)| *offset < 0));
            write_full_box(out, *b"ctts", version, 0, |out| {
                put(out, &[count(&offsets)]);
                for (frames, offset) in &offsets {
                    put(out, &[*frames, offset.cast_unsigned()]);
                }
            });
        }
        write_full_box(out, *b"stss", 0, 0, |out| {
            put(out, &[count(&tables.syncs)]);
            put(out, &tables.syncs);
        });
        write_full_box(out, *b"stsc", 0, 0, |out| {
            let mut runs: Vec<(u32, u32)> = Vec::new();
            for (number, piece) in (1..).zip(&tables.pieces) {
                if runs.last().is_none_or(|(_, samples)| *samples != piece.samples) {
                    runs.push((number, piece.samples));
                }
            }
            put(out, &[count(&runs)]);
            for (first, samples) in runs {
                put(out, &[first, samples, 1]);
            }
        });
        write_full_box(out, *b"stsz", 0, 0, |out| {
            put(out, &[0, count(&tables.sizes)]);
            put(out, &tables.sizes);
        });
        let kind = if long_offsets { *b"co64" } else { *b"stco" };
        write_full_box(out, kind, 0, 0, |out| {
            put(out, &[count(&tables.pieces)]);
            let mut offset = data;
            for piece in &tables.pieces {
                if long_offsets {
                    out.extend_from_slice(&offset.to_be_bytes());
                } else {
                    put(out, &[u32::try_from(offset).unwrap_or(u32::MAX)]);
                }
                offset += piece.bytes;
            }
        });
    }
}

fn count<T>(entries: &[T]) -> u32 {
    u32::try_from(entries.len()).unwrap_or(u32::MAX)
}

fn put(out: &mut Vec<u8>, numbers: &[u32]) {
    out.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::tables::Placed;
    use super::*;
    use crate::cameras::ring::boxes::Boxes;

    #[test]
    fn offsets_have_64_bits_only_where_32_are_not_enough() {
        let sample = include_bytes!("../tests/samples/plain.cmaf");
        let mut boxes = Boxes::new(sample);
        let init_bytes = boxes.next().unwrap().unwrap().whole.len() + boxes.next().unwrap().unwrap().whole.len();
        let init = Init::parse(&Bytes::from_static(&sample[..init_bytes])).unwrap();
        for (frames, wide) in [(1, false), (2, true), (3, true)] {
            let mut movie = Movie::new(init.clone(), ClockQuality::Synced);
            movie.from = Timestamp::UNIX_EPOCH;
            for frame in 0..frames {
                movie.tables.push(Placed {
                    decode_time: frame,
                    presentation_time: frame,
                    duration: 1,
                    bytes: u32::MAX / 2 + 1_000,
                    is_sync: true,
                    file: usize::try_from(frame).unwrap(),
                    offset: 0,
                });
            }
            let head = movie.head();
            let contains = |kind: &[u8; 4]| head.windows(4).any(|window| window == kind);
            assert_eq!((contains(b"co64"), contains(b"stco")), (wide, !wide));
            assert_eq!(
                movie.bytes(),
                head.len() as u64 + (u64::from(u32::MAX / 2) + 1_000) * frames.unsigned_abs()
            );
            if wide {
                let at = head.windows(4).position(|window| window == b"co64").unwrap();
                let first = u64::from_be_bytes(head[at + 12..at + 20].try_into().unwrap());
                assert_eq!(first, head.len() as u64, "the data begins behind the head");
            }
        }
    }
}

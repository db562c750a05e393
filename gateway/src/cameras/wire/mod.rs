//! What `gateway` and its worker `gateway-camera` say to each other, over a Unix socket that the worker gets as its
//! standard input.
//!
//! A frame is a length (4 bytes, big-endian: the bytes after it), a kind (1 byte) and a body:
//!
//! | kind | direction | body |
//! | --- | --- | --- |
//! | 0 | both | JSON: a [`Command`] to the worker, an [`Event`] from it |
//! | 1 | from the worker | stream (1 byte: 0 main, 1 sub), initialisation segment: `ftyp` and `moov` |
//! | 2 | from the worker | stream (1 byte), [`ChunkHead`], `moof` and `mdat` |
//! | 3 | to the worker | [`PictureHead`], codec configuration, access unit: decode this |
//! | 4 | from the worker | number of the request (8 bytes), length of the features (4), [`Features`](super::picture::Features) as JSON, JPEG |
//! | 5 | to the worker | bytes of a CMAF stream to publish |
//!
//! Numbers are big-endian. Times are nanoseconds of `CLOCK_BOOTTIME`, which both processes read from the same kernel; a
//! camera's own clock is Unix time.
//!
//! Neither side trusts the other's lengths: a frame above [`FRAME_BYTES_MAX`] ends the connection. A worker whose
//! connection has ended stops; so it cannot outlive its parent.
//!
//! | file | what |
//! | --- | --- |
//! | `frame` | frames as bytes: lengths, kinds, where one ends |
//! | `to_worker`, `from_worker` | what frames hold, by direction |
//! | `command`, `event` | the messages in JSON |
//! | `source` | which stream, and where it comes from |

mod command;
mod event;
mod frame;
mod from_worker;
mod source;
mod to_worker;

pub use command::Command;
pub use event::{Cause, Event, Format, Stats};
pub use frame::{FRAME_BYTES_MAX, WireError, read_frame, take_frame};
pub use from_worker::{ChunkHead, FromWorker, write_chunk, write_event, write_init, write_picture};
pub use source::{Client, Credentials, Profile, Quirks, RTSP_PORT, Source, Transport};
pub use to_worker::{PictureHead, ToWorker, command_frame, picture_request_frame, publish_prefix};

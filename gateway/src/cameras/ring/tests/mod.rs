//! Tests of the ring with real streams: `samples/*.cmaf` are what `cmafmux` made of ten seconds of a test
//! picture, 10 frames a second, a keyframe each 2 s, chunks of 200 ms.

mod caps;
mod clips;
mod damage;
mod disk;
mod near;
mod recording;
mod streams;
mod support;
mod survey;

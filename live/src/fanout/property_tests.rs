//! Any interleaving of publishing, joining, taking and leaving, judged by what a decoder needs and by the bounds.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::message::UnixMillis;

#[derive(Debug, Clone)]
enum Step {
    Wait {
        millis: u64,
    },
    Chunk {
        keyframe: bool,
        bytes: usize,
    },
    Stream,
    Init,
    State,
    Gap,
    Join,
    /// Takes up to `count` messages for one of the viewers.
    Take {
        viewer: usize,
        count: usize,
    },
    Leave {
        viewer: usize,
    },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0_u64..900).prop_map(|millis| Step::Wait { millis }),
        8 => (1_usize..300).prop_map(|bytes| Step::Chunk { keyframe: false, bytes }),
        3 => (1_usize..600).prop_map(|bytes| Step::Chunk { keyframe: true, bytes }),
        1 => Just(Step::Stream),
        1 => Just(Step::Init),
        1 => Just(Step::State),
        1 => Just(Step::Gap),
        2 => Just(Step::Join),
        6 => (0_usize..4, 1_usize..9).prop_map(|(viewer, count)| Step::Take { viewer, count }),
        1 => (0_usize..4).prop_map(|viewer| Step::Leave { viewer }),
    ]
}

fn limits() -> impl Strategy<Value = Limits> {
    let bound = (50_usize..1500, 1_usize..12).prop_map(|(bytes, chunks)| Bound { bytes, chunks });
    (bound.clone(), bound, 1_u64..3000, 0_u64..2000, 1_u64..4000, 1_u32..5).prop_map(
        |(gop, queue, queue_span, restart_span, stuck, viewers_max)| Limits {
            gop,
            queue,
            queue_span_max: Duration::from_millis(queue_span),
            restart_span_max: Duration::from_millis(restart_span),
            stuck_max: Duration::from_millis(stuck),
            viewers_max,
        },
    )
}

/// What a viewer may be given next.
#[derive(Debug, Default)]
struct Decoder {
    /// Width of the last description: the number of its header.
    stream: Option<u32>,
    has_init: bool,
    /// Number of the last chunk, and whether the next one must begin with a keyframe.
    last: Option<u64>,
    needs_keyframe: bool,
    ended: bool,
}

/// What the source has sent: chunks are numbered in their wall time, and each belongs to a header and a run without gaps.
#[derive(Debug, Default)]
struct Source {
    headers: u32,
    chunks: u64,
    /// For each chunk, its header.
    header_of: BTreeMap<u64, u32>,
    /// Chunks after which nothing continues.
    breaks: Vec<u64>,
    has_init: bool,
}

impl Decoder {
    fn accept(&mut self, message: &Message, source: &Source) {
        assert!(!self.ended, "{message:?} after the end");
        match message {
            Message::Stream(info) => {
                assert!(
                    self.stream.is_none_or(|before| before <= info.width),
                    "went back to an older header"
                );
                (self.stream, self.has_init, self.needs_keyframe) = (Some(info.width), false, true);
            }
            Message::Init(_) => {
                assert!(self.stream.is_some() && !self.has_init);
                self.has_init = true;
            }
            Message::Skipped(_) => self.needs_keyframe = true,
            Message::Chunk(chunk) => {
                let number = chunk.wall().unwrap().get();
                assert!(self.has_init, "chunk {number} before an init segment");
                assert_eq!(
                    Some(source.header_of[&number]),
                    self.stream,
                    "chunk {number} under a wrong header"
                );
                if self.needs_keyframe {
                    assert!(chunk.keyframe(), "chunk {number} does not begin with a keyframe");
                    assert!(self.last.is_none_or(|last| last < number), "chunk {number} came twice");
                } else {
                    assert_eq!(self.last.map(|last| last + 1), Some(number), "gap without a word");
                    assert!(
                        !source.breaks.contains(&(number - 1)),
                        "gap of the source without a word"
                    );
                }
                (self.last, self.needs_keyframe) = (Some(number), false);
            }
            Message::State(_) => {}
            Message::Ended { .. } => self.ended = true,
            Message::Busy { .. } => panic!("busy within a stream"),
        }
    }
}

fn info(width: u32) -> StreamInfo {
    StreamInfo {
        camera: "gate-1".to_owned(),
        profile: "sub".to_owned(),
        codecs: "avc1.42c028".to_owned(),
        width,
        height: 360,
        fps: None,
        bitrate_kbit: None,
    }
}

struct World {
    now: Instant,
    limits: Limits,
    fanout: Fanout,
    source: Source,
    viewers: Vec<(ViewerId, Decoder)>,
}

impl World {
    fn step(&mut self, step: &Step) {
        match *step {
            Step::Wait { millis } => self.now += Duration::from_millis(millis),
            Step::Chunk { keyframe, bytes } => self.chunk(keyframe, bytes),
            Step::Stream => {
                self.source.headers += 1;
                self.source.has_init = false;
                self.gap();
                self.publish(Message::Stream(info(self.source.headers)));
            }
            Step::Init if self.source.headers > 0 => {
                self.source.has_init = true;
                self.gap();
                self.publish(Message::Init(Init::new(&[1; 20]).unwrap()));
            }
            Step::Init => {}
            Step::State => self.publish(Message::State(CameraState::new("up", None))),
            Step::Gap => {
                self.gap();
                self.publish(Message::Skipped(Duration::from_millis(5)));
            }
            Step::Join => match self.fanout.join(self.now) {
                Ok(id) => self.viewers.push((
                    id,
                    Decoder {
                        needs_keyframe: true,
                        ..Decoder::default()
                    },
                )),
                Err(busy) => assert_eq!(busy.viewers_max as usize, self.viewers.len()),
            },
            Step::Take { viewer, count } => {
                if let Some((id, decoder)) = self.viewers.get_mut(viewer) {
                    for message in std::iter::from_fn(|| self.fanout.take(*id)).take(count) {
                        decoder.accept(&message, &self.source);
                    }
                }
            }
            Step::Leave { viewer } => {
                if viewer < self.viewers.len() {
                    assert!(self.fanout.leave(self.viewers.remove(viewer).0).is_some());
                }
            }
        }
        self.check_bounds();
    }

    fn gap(&mut self) {
        self.source.breaks.push(self.source.chunks);
    }

    fn publish(&mut self, message: Message) {
        assert_eq!(self.fanout.publish(self.now, message), Ok(Published::Taken));
    }

    fn chunk(&mut self, keyframe: bool, bytes: usize) {
        let number = self.source.chunks + 1;
        let chunk = Chunk::new(keyframe, UnixMillis::new(number), &vec![0; bytes]).unwrap();
        match self.fanout.publish(self.now, Message::Chunk(chunk)) {
            Ok(Published::Taken) => {
                assert!(keyframe || !self.source.breaks.contains(&self.source.chunks));
                self.source.chunks = number;
                self.source.header_of.insert(number, self.source.headers);
            }
            Ok(Published::AwaitingKeyframe) => assert!(!keyframe),
            Err(error) => {
                assert_eq!(error, PublishError::NoHeader);
                assert!(!self.source.has_init);
            }
        }
    }

    fn check_bounds(&self) {
        let (gop, queue) = (self.limits.gop, self.limits.queue);
        let held = self.fanout.held();
        assert!(held.bytes <= gop.bytes.max(queue.bytes), "{held:?}");
        assert!(held.chunks <= gop.chunks.max(queue.chunks), "{held:?}");
        assert!(self.fanout.viewers() <= self.limits.viewers_max as usize);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_each_viewer_gets_what_a_decoder_can_play_within_the_bounds(
        limits in limits(),
        steps in prop::collection::vec(step(), 1..160),
    ) {
        let mut world = World {
            now: Instant::now(),
            limits,
            fanout: Fanout::new(limits),
            source: Source { breaks: vec![0], ..Source::default() },
            viewers: Vec::new(),
        };
        world.step(&Step::Stream);
        world.step(&Step::Init);
        for step in &steps {
            world.step(step);
        }
        // Whoever is left gets the rest, the end, and nothing more.
        world.publish(Message::Ended { reason: "ttl".to_owned() });
        for (id, decoder) in &mut world.viewers {
            for message in std::iter::from_fn(|| world.fanout.take(*id)) {
                decoder.accept(&message, &world.source);
            }
            prop_assert!(decoder.ended);
        }
    }
}

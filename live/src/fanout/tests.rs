use super::*;

/// A stream with small limits, a clock in milliseconds, and messages written as short words:
/// `K100` a chunk of 100 bytes that begins with a keyframe, `c100` one that continues.
struct Bench {
    start: Instant,
    fanout: Fanout,
}

const LIMITS: Limits = Limits {
    gop: Bound {
        bytes: 1000,
        chunks: 10,
    },
    queue: Bound {
        bytes: 2000,
        chunks: 20,
    },
    queue_span_max: Duration::from_secs(3),
    restart_span_max: Duration::from_secs(1),
    stuck_max: Duration::from_secs(10),
    viewers_max: 2,
};

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

/// Writes a message as the tables of this file do.
fn word(message: &Message) -> String {
    match message {
        Message::Stream(info) => format!("stream:{}", info.width),
        Message::Init(init) => format!("init:{}", init.wire_bytes()),
        Message::Chunk(chunk) => format!("{}{}", if chunk.keyframe() { 'K' } else { 'c' }, chunk.wire_bytes()),
        Message::Skipped(span) => format!("skipped:{}", span.as_millis()),
        Message::State(state) => format!("state:{}", state.state),
        Message::Ended { reason } => format!("ended:{reason}"),
        Message::Busy { .. } => "busy".to_owned(),
    }
}

fn message(word: &str) -> Message {
    let bytes = |number: &str| vec![7; number.parse::<usize>().unwrap() - 9];
    if let Some((kind, value)) = word.split_once(':') {
        return match kind {
            "stream" => Message::Stream(info(value.parse().unwrap())),
            "init" => Message::Init(Init::new(&bytes(value)).unwrap()),
            "skipped" => Message::Skipped(Duration::from_millis(value.parse().unwrap())),
            "state" => Message::State(CameraState::new(value, None)),
            _ => Message::Ended {
                reason: value.to_owned(),
            },
        };
    }
    let (kind, number) = word.split_at(1);
    Message::Chunk(Chunk::new(kind == "K", None, &bytes(number)).unwrap())
}

impl Bench {
    fn new() -> Self {
        Self {
            start: Instant::now(),
            fanout: Fanout::new(LIMITS),
        }
    }

    fn with_header() -> Self {
        let mut bench = Self::new();
        bench.publish(0, "stream:640 init:50");
        bench
    }

    fn at(&self, millis: u64) -> Instant {
        self.start + Duration::from_millis(millis)
    }

    fn publish(&mut self, millis: u64, words: &str) {
        for word in words.split(' ') {
            assert_eq!(
                self.fanout.publish(self.at(millis), message(word)),
                Ok(Published::Taken),
                "{word}"
            );
        }
    }

    fn join(&mut self, millis: u64) -> ViewerId {
        self.fanout.join(self.at(millis)).unwrap()
    }

    /// Takes all that waits for a viewer.
    fn taken(&mut self, viewer: ViewerId) -> String {
        let mut words = Vec::new();
        while let Some(message) = self.fanout.take(viewer) {
            words.push(word(&message));
        }
        words.join(" ")
    }
}

#[test]
fn a_joining_viewer_gets_the_description_the_init_segment_and_the_current_gop_at_once() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K100 c20 c21");
    bench.publish(2000, "K101 c22 c23");
    let viewer = bench.join(2100);
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K101 c22 c23");
    bench.publish(2200, "c24");
    assert_eq!(bench.taken(viewer), "c24");
    assert_eq!(bench.taken(viewer), "");
    assert_eq!(bench.fanout.counters(viewer).unwrap().bytes, 50 + 101 + 22 + 23 + 24);
}

#[test]
fn a_viewer_that_joins_before_the_first_chunk_can_set_up_its_player_meanwhile() {
    let mut bench = Bench::new();
    let viewer = bench.join(0);
    assert_eq!(bench.taken(viewer), "");
    bench.publish(10, "state:connecting stream:640 init:50");
    assert_eq!(bench.taken(viewer), "state:connecting stream:640 init:50");
    bench.publish(20, "K100 c20");
    assert_eq!(bench.taken(viewer), "K100 c20");
}

#[test]
fn the_newest_viewer_is_told_that_there_is_no_place_until_somebody_leaves() {
    let mut bench = Bench::with_header();
    let first = bench.join(0);
    bench.join(0);
    assert_eq!(bench.fanout.join(bench.at(1)), Err(Busy { viewers_max: 2 }));
    assert!(bench.fanout.leave(first).is_some());
    assert!(bench.fanout.leave(first).is_none());
    assert_ne!(bench.join(2), first);
    assert_eq!(bench.fanout.totals().busy, 1);
}

#[test]
fn a_gop_over_its_bound_is_kept_for_nobody_new_but_goes_on_for_those_who_follow() {
    let mut bench = Bench::with_header();
    let early = bench.join(0);
    bench.publish(100, "K600 c300");
    assert_eq!(bench.taken(early), "stream:640 init:50 K600 c300");
    bench.publish(300, "c200");
    let late = bench.join(400);
    bench.publish(500, "c30");
    assert_eq!(bench.taken(early), "c200 c30");
    assert_eq!(bench.taken(late), "stream:640 init:50");
    bench.publish(2000, "K601");
    assert_eq!(bench.taken(late), "K601");
    assert_eq!(bench.taken(early), "K601");
}

#[test]
fn a_gop_of_too_many_chunks_is_not_kept_either() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K20 c20 c20 c20 c20 c20 c20 c20 c20 c20");
    assert_eq!(bench.fanout.held().bytes, 200);
    bench.publish(200, "c20");
    assert_eq!(bench.fanout.held().bytes, 0);
}

#[test]
fn a_viewer_that_waits_too_long_goes_back_to_the_start_of_a_short_gop() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K100");
    let viewer = bench.join(100);
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K100");
    bench.publish(200, "c20");
    bench.publish(2900, "K101");
    bench.publish(3200, "c21");
    // The chunk of 200 has waited for 3.1 s; the GOP is 0.4 s long.
    bench.publish(3300, "c22");
    assert_eq!(bench.taken(viewer), "skipped:2700 K101 c21 c22");
    let counters = bench.fanout.counters(viewer).unwrap();
    assert_eq!((counters.skips, counters.skipped), (1, Duration::from_millis(2700)));
    assert_eq!(
        (bench.fanout.totals().skips, bench.fanout.totals().skipped),
        (1, counters.skipped)
    );
}

#[test]
fn a_viewer_that_waits_too_long_in_a_long_gop_continues_with_the_next_keyframe() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K100");
    let viewer = bench.join(100);
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K100");
    bench.publish(200, "c20");
    bench.publish(2000, "K101");
    bench.publish(3300, "c21");
    assert_eq!(bench.taken(viewer), "");
    bench.publish(3400, "c22");
    assert_eq!(bench.taken(viewer), "");
    bench.publish(4000, "K102 c23");
    assert_eq!(bench.taken(viewer), "skipped:3800 K102 c23");
}

#[test]
fn a_queue_over_its_bytes_is_dropped_and_its_memory_is_let_go() {
    let mut bench = Bench::with_header();
    let viewer = bench.join(0);
    bench.publish(100, "K900");
    bench.publish(200, "K901");
    assert_eq!(bench.fanout.held().bytes, 1801);
    bench.publish(300, "K250");
    assert_eq!(bench.fanout.held().bytes, 250);
    assert_eq!(bench.taken(viewer), "stream:640 init:50 skipped:200 K250");
}

#[test]
fn a_viewer_that_is_moved_again_before_it_was_told_is_told_of_all_it_missed() {
    let mut bench = Bench::with_header();
    let viewer = bench.join(0);
    bench.publish(0, "K100");
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K100");
    for second in 1..=8 {
        bench.publish(second * 1000, "K100");
    }
    assert_eq!(bench.fanout.counters(viewer).unwrap().skips, 1);
    bench.publish(9000, "K100");
    // What was not taken at 1 s is missing; at 5 s and at 9 s the viewer was moved to the newest keyframe.
    assert_eq!(bench.fanout.counters(viewer).unwrap().skips, 2);
    assert_eq!(bench.taken(viewer), "skipped:8000 K100");
}

#[test]
fn a_viewer_that_takes_nothing_after_being_moved_is_ended() {
    let mut bench = Bench::with_header();
    let viewer = bench.join(0);
    for second in 1..=14 {
        bench.publish(second * 1000, "K100");
    }
    // Moved at 5 s for the first time; 10 s later it has still taken nothing.
    assert!(!bench.fanout.is_too_slow(viewer));
    bench.publish(15_000, "K100 c20 c21");
    assert!(bench.fanout.is_too_slow(viewer));
    bench.publish(16_000, "K101");
    assert_eq!(bench.taken(viewer), "ended:too_slow");
    assert_eq!(bench.taken(viewer), "");
    assert_eq!((bench.fanout.totals().too_slow, bench.fanout.viewers()), (1, 1));
    bench.fanout.leave(viewer);
    assert_eq!(bench.fanout.viewers(), 0);
}

#[test]
fn a_viewer_that_is_moved_often_but_keeps_taking_is_not_ended() {
    let mut bench = Bench::with_header();
    let viewer = bench.join(0);
    for second in 1..=60 {
        bench.publish(second * 1000, "K100");
        if second % 6 == 0 {
            assert!(bench.fanout.take(viewer).is_some());
        }
    }
    assert!(!bench.fanout.is_too_slow(viewer));
    assert!(bench.fanout.counters(viewer).unwrap().skips > 5);
}

#[test]
fn a_new_header_comes_in_its_place_and_the_next_chunk_begins_with_a_keyframe() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K100");
    let viewer = bench.join(150);
    bench.publish(200, "c20 stream:1280 init:60");
    let c21 = bench.fanout.publish(bench.at(300), message("c21"));
    assert_eq!(c21, Ok(Published::AwaitingKeyframe));
    bench.publish(400, "K101 c22");
    assert_eq!(
        bench.taken(viewer),
        "stream:640 init:50 K100 c20 stream:1280 init:60 K101 c22"
    );
    assert_eq!(bench.fanout.totals().unusable_chunks, 1);
}

#[test]
fn a_camera_that_restarts_alike_sends_only_a_new_init_segment_and_viewers_get_both() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K100");
    let viewer = bench.join(150);
    bench.publish(200, "init:51 K101");
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K100 stream:640 init:51 K101");
}

#[test]
fn a_viewer_that_missed_a_change_of_header_gets_only_the_newest() {
    let mut bench = Bench::with_header();
    let viewer = bench.join(0);
    bench.publish(100, "K100");
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K100");
    bench.publish(1000, "c20 stream:800 init:51 K101");
    bench.publish(4100, "stream:1280 init:52 K102");
    assert_eq!(bench.taken(viewer), "stream:1280 init:52 skipped:3100 K102");
}

#[test]
fn a_gap_at_the_source_is_told_to_those_who_saw_what_was_before() {
    let mut bench = Bench::with_header();
    bench.publish(100, "K100");
    let early = bench.join(150);
    assert_eq!(bench.taken(early), "stream:640 init:50 K100");
    bench.publish(200, "skipped:700 skipped:50");
    let late = bench.join(300);
    assert_eq!(
        bench.fanout.publish(bench.at(900), message("c20")),
        Ok(Published::AwaitingKeyframe)
    );
    bench.publish(1000, "K101 c21");
    assert_eq!(bench.taken(early), "skipped:750 K101 c21");
    assert_eq!(bench.taken(late), "stream:640 init:50 K101 c21");
}

#[test]
fn only_the_latest_state_is_told_and_a_joining_viewer_is_told_it_too() {
    let mut bench = Bench::with_header();
    let early = bench.join(0);
    bench.publish(100, "state:up state:stalled");
    assert_eq!(bench.taken(early), "state:stalled stream:640 init:50");
    assert_eq!(bench.taken(early), "");
    let late = bench.join(200);
    assert_eq!(bench.taken(late), "state:stalled stream:640 init:50");
}

#[test]
fn the_end_comes_after_all_that_waits_and_nothing_comes_after_the_end() {
    let mut bench = Bench::with_header();
    let viewer = bench.join(0);
    bench.publish(100, "K100 c20 ended:ttl");
    assert_eq!(
        bench.fanout.publish(bench.at(200), message("c21")),
        Err(PublishError::Ended)
    );
    assert_eq!(bench.taken(viewer), "stream:640 init:50 K100 c20 ended:ttl");
    assert_eq!(bench.taken(viewer), "");
    let late = bench.join(300);
    assert!(bench.taken(late).ends_with("ended:ttl"));
}

#[test]
fn what_cannot_be_part_of_a_stream_is_refused() {
    let mut bench = Bench::new();
    let now = bench.start;
    assert_eq!(bench.fanout.publish(now, message("K100")), Err(PublishError::NoHeader));
    assert_eq!(
        bench.fanout.publish(now, message("init:50")),
        Err(PublishError::NoHeader)
    );
    bench.publish(0, "stream:640");
    assert_eq!(bench.fanout.publish(now, message("K100")), Err(PublishError::NoHeader));
    let busy = Message::from(Busy { viewers_max: 2 });
    assert_eq!(bench.fanout.publish(now, busy), Err(PublishError::NotOfAStream));
}

#[test]
fn a_chunk_is_shared_by_all_viewers() {
    let mut bench = Bench::with_header();
    let (one, two) = (bench.join(0), bench.join(0));
    bench.publish(100, "K100");
    let pointers = [one, two].map(|viewer| {
        std::iter::from_fn(|| bench.fanout.take(viewer)).find_map(|message| {
            if let Message::Chunk(chunk) = message {
                Some(chunk.payload().as_ptr())
            } else {
                None
            }
        })
    });
    assert!(pointers[0].is_some());
    assert_eq!(pointers[0], pointers[1]);
}

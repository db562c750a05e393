//! The city's end is played by a WebSocket over a pipe in memory; the clock stands still but for what is waited for.

use live::fanout::Limits;
use live::message::{Chunk, Init, StreamInfo};
use tokio::io::DuplexStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::cameras::far::room::Budget;

/// Longer than anything here lasts.
const LONG: Duration = Duration::from_secs(3_600);

struct View {
    hub: Hub,
    city: WebSocketStream<DuplexStream>,
    may_send: watch::Sender<bool>,
    stop: CancellationToken,
    box_stop: CancellationToken,
    carrying: JoinHandle<Over>,
}

fn publish(hub: &Hub, keyframe: bool, bytes: usize) {
    let chunk = Chunk::new(keyframe, None, &vec![7; bytes]).unwrap();
    hub.publish(Message::Chunk(chunk)).unwrap();
}

impl View {
    /// A view with so much time, over a pipe that holds so many bytes and a link of so many kilobits a second.
    async fn begin(ttl: Duration, pipe_bytes: usize, kbit_max: u32) -> Self {
        Self::begin_as(None, ttl, pipe_bytes, kbit_max).await
    }

    /// The same on a connection that waited, for that stream.
    async fn begin_as(id: Option<StreamId>, ttl: Duration, pipe_bytes: usize, kbit_max: u32) -> Self {
        let hub = Hub::new(Limits::default());
        hub.publish(Message::Stream(StreamInfo {
            camera: "gate-1".to_owned(),
            profile: "sub".to_owned(),
            codecs: "avc1.42c028".to_owned(),
            width: 640,
            height: 360,
            fps: None,
            bitrate_kbit: None,
        }))
        .unwrap();
        hub.publish(Message::Init(Init::new(b"ftyp").unwrap())).unwrap();
        let (ours, theirs) = tokio::io::duplex(pipe_bytes);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let city = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let may_send = watch::Sender::new(true);
        let (stop, box_stop) = (CancellationToken::new(), CancellationToken::new());
        // The sender is kept by the box as long as the stream runs.
        let (until, receiver) = watch::channel(Instant::now() + ttl);
        let mut pace = Pace {
            until: receiver,
            stop: stop.clone(),
            box_stop: box_stop.clone(),
            gate: Gate::new(Arc::new(Budget::new(kbit_max)), may_send.subscribe()),
        };
        let (viewer, of) = (hub.join().unwrap(), hub.clone());
        let carrying = tokio::spawn(async move {
            let over = carry(socket, id, &of, viewer, &mut pace).await;
            drop(until);
            over
        });
        Self {
            hub,
            city,
            may_send,
            stop,
            box_stop,
            carrying,
        }
    }

    /// The next message of the box that is no ping; `None` when it has closed.
    async fn heard(&mut self) -> Option<Message> {
        loop {
            match self.city.next().await? {
                Ok(Sent::Text(text)) => return Some(Message::parse_text(text.as_str()).unwrap()),
                Ok(Sent::Binary(bytes)) => return Some(Message::parse_binary(bytes).unwrap()),
                Ok(Sent::Close(frame)) => {
                    assert_eq!(frame.map(|frame| frame.code), Some(CloseCode::Normal));
                    return None;
                }
                Ok(_) => {}
                Err(_) => return None,
            }
        }
    }

    async fn heard_header(&mut self) {
        assert!(matches!(self.heard().await, Some(Message::Stream(_))));
        assert!(matches!(self.heard().await, Some(Message::Init(_))));
    }

    async fn heard_state(&mut self) -> String {
        match self.heard().await {
            Some(Message::State(state)) => state.state,
            other => panic!("{other:?} is no state"),
        }
    }

    async fn heard_end(&mut self) -> Option<String> {
        while let Some(message) = self.heard().await {
            if let Message::Ended { reason } = message {
                assert_eq!(self.heard().await, None, "nothing follows");
                return Some(reason);
            }
        }
        None
    }
}

#[tokio::test(start_paused = true)]
async fn the_city_is_told_why_the_box_ends_a_stream() {
    for reason in [Reason::TimeOver, Reason::Stopped, Reason::BoxStopping] {
        let mut view = View::begin(Duration::from_secs(60), 65_536, 1_500).await;
        view.heard_header().await;
        match reason {
            Reason::Stopped => view.stop.cancel(),
            Reason::BoxStopping => view.box_stop.cancel(),
            // That comes by itself.
            _ => {}
        }
        assert_eq!(view.heard_end().await.as_deref(), Some(reason.as_str()));
        assert_eq!(view.carrying.await.unwrap(), Over::Box(reason));
    }
}

#[tokio::test(start_paused = true)]
async fn while_records_wait_nothing_is_sent_but_that_and_afterwards_the_stream_begins_with_a_keyframe() {
    let mut view = View::begin(LONG, 65_536, 1_500).await;
    view.heard_header().await;
    publish(&view.hub, true, 100);
    assert!(matches!(view.heard().await, Some(Message::Chunk(_))));
    view.may_send.send_replace(false);
    assert_eq!(view.heard_state().await, HELD);
    let source = view.hub.clone();
    let sent = async {
        for number in 0..600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            publish(&source, number % 20 == 0, 100);
        }
    };
    let silent = async {
        loop {
            match view.city.next().await {
                Some(Ok(Sent::Ping(_))) => {}
                other => return other,
            }
        }
    };
    tokio::select! {
        other = silent => panic!("{other:?} came while records waited"),
        () = sent => {}
    }
    view.may_send.send_replace(true);
    assert_eq!(view.heard_state().await, "up");
    view.heard_header().await;
    match view.heard().await {
        Some(Message::Chunk(chunk)) => assert!(chunk.keyframe()),
        other => panic!("{other:?} is no chunk"),
    }
    assert_eq!(*view.hub.viewers().borrow(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_waits_for_its_bitrate_pings_and_hears_the_city_close() {
    let mut view = View::begin(LONG, 1 << 20, 64).await;
    view.heard_header().await;
    // At 8,000 bytes a second the second one waits for 49 s.
    publish(&view.hub, true, 8_000);
    publish(&view.hub, false, 392_000);
    assert!(matches!(view.heard().await, Some(Message::Chunk(_))));
    let begin = Instant::now();
    for _ in 0..3 {
        assert!(matches!(view.city.next().await, Some(Ok(Sent::Ping(_)))));
    }
    assert!(begin.elapsed() <= PING_EVERY * 3);
    let close = CloseFrame {
        code: CloseCode::Library(4000),
        reason: "nobody watches".into(),
    };
    view.city.send(Sent::Close(Some(close))).await.unwrap();
    let over = tokio::time::timeout(LEAVE_WAIT, view.carrying).await.unwrap();
    assert_eq!(over.unwrap(), Over::City("nobody watches".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_noticed_whatever_the_stream_waits_for() {
    for is_held in [false, true] {
        let view = View::begin(LONG, 256, 1_500).await;
        view.may_send.send_replace(!is_held);
        let begin = Instant::now();
        // Nobody reads at the other end, and nothing comes from there.
        assert_eq!(view.carrying.await.unwrap(), Over::Dead);
        assert!(begin.elapsed() <= UNHEARD_MAX, "held: {is_held}");
        drop(view.city);
    }
}

#[tokio::test(start_paused = true)]
async fn a_link_that_cannot_carry_the_stream_ends_it() {
    let mut view = View::begin(LONG, 256, 100_000).await;
    let begin = Instant::now();
    let source = view.hub.clone();
    let sending = tokio::spawn(async move {
        for number in 0..600 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            publish(&source, number % 20 == 0, 2_000);
        }
    });
    // It says that it is there, and takes nothing.
    let over = loop {
        view.city.send(Sent::Ping(Bytes::new())).await.ok();
        match tokio::time::timeout(Duration::from_secs(1), &mut view.carrying).await {
            Ok(over) => break over.unwrap(),
            Err(_) => assert!(begin.elapsed() < LONG),
        }
    };
    assert_eq!(over, Over::Box(Reason::TooSlow));
    sending.abort();
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_one_message() {
    let (ours, theirs) = tokio::io::duplex(4_096);
    let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
    let mut city = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
    let refusing = tokio::spawn(refuse(socket, Reason::NoCamera));
    let text = r#"{"type":"ended","reason":"no_camera"}"#;
    assert_eq!(city.next().await.unwrap().unwrap(), Sent::Text(text.into()));
    assert!(matches!(city.next().await, Some(Ok(Sent::Close(_)))));
    drop(city);
    refusing.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn on_a_connection_that_waited_the_first_message_says_whose_it_is_now() {
    let id = StreamId::from_bytes([7; 16]);
    let mut view = View::begin_as(Some(id), LONG, 65_536, 1_500).await;
    let first = loop {
        match view.city.next().await.unwrap().unwrap() {
            Sent::Ping(_) => {}
            other => break other,
        }
    };
    assert_eq!(first, Sent::text(begin_text(id)));
    view.heard_header().await;
}

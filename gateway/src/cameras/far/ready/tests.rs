//! The city's end is played by a WebSocket over a pipe in memory; the clock stands still but for what is waited for.

use live::message::Message;
use tokio::io::DuplexStream;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::protocol::Role;

use super::*;

const TTL: Duration = Duration::from_secs(60);

struct Line {
    city: WebSocketStream<DuplexStream>,
    until: watch::Sender<Instant>,
    wanted: CancellationToken,
    idling: JoinHandle<Option<WebSocketStream<DuplexStream>>>,
}

impl Line {
    async fn begin() -> Self {
        let (ours, theirs) = tokio::io::duplex(4_096);
        let socket = WebSocketStream::from_raw_socket(ours, Role::Client, None).await;
        let city = WebSocketStream::from_raw_socket(theirs, Role::Server, None).await;
        let (until, mut receiver) = watch::channel(Instant::now() + TTL);
        let wanted = CancellationToken::new();
        let token = wanted.clone();
        let idling = tokio::spawn(async move { idle(socket, &mut receiver, &token).await });
        Self {
            city,
            until,
            wanted,
            idling,
        }
    }

    /// What the city hears but pings, which it answers.
    async fn heard(&mut self) -> Option<Sent> {
        loop {
            match self.city.next().await? {
                Ok(Sent::Ping(_)) => {}
                other => return other.ok(),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_connection_waits_with_pings_alone_and_closes_at_the_end_of_its_time() {
    let mut line = Line::begin().await;
    let begin = Instant::now();
    let Some(Sent::Text(text)) = line.heard().await else {
        panic!("no last word");
    };
    let reason = Reason::TimeOver.as_str().to_owned();
    assert_eq!(Message::parse_text(&text).unwrap(), Message::Ended { reason });
    assert_eq!(begin.elapsed().as_secs(), TTL.as_secs());
    assert!(matches!(line.heard().await, Some(Sent::Close(_))));
    assert!(line.idling.await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_prolonged_waits_for_longer() {
    let mut line = Line::begin().await;
    let begin = Instant::now();
    line.until.send_replace(begin + TTL * 2);
    assert!(matches!(line.heard().await, Some(Sent::Text(_))));
    assert_eq!(begin.elapsed().as_secs(), 2 * TTL.as_secs());
}

#[tokio::test(start_paused = true)]
async fn a_stream_gets_the_connection_when_it_wants_it() {
    let mut line = Line::begin().await;
    let hearing = tokio::time::timeout(Duration::from_secs(30), line.heard());
    assert!(hearing.await.is_err(), "nothing but pings");
    line.wanted.cancel();
    let mut socket = line.idling.await.unwrap().expect("it is handed over");
    socket.send(Sent::text("first")).await.unwrap();
    let first = tokio::time::timeout(TTL, async {
        loop {
            match line.city.next().await.unwrap().unwrap() {
                Sent::Ping(_) => {}
                other => return other,
            }
        }
    });
    assert_eq!(first.await.unwrap(), Sent::text("first"));
}

#[tokio::test(start_paused = true)]
async fn a_connection_on_which_nothing_was_heard_lately_is_not_handed_over() {
    let line = Line::begin().await;
    tokio::time::sleep(FRESH_MAX + Duration::from_secs(1)).await;
    line.wanted.cancel();
    assert!(line.idling.await.unwrap().is_none());
    drop(line.city);
}

#[tokio::test(start_paused = true)]
async fn a_dead_connection_is_given_up() {
    let line = Line::begin().await;
    let begin = Instant::now();
    assert!(line.idling.await.unwrap().is_none());
    assert_eq!(begin.elapsed().as_secs(), UNHEARD_MAX.as_secs());
    drop(line.city);
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_the_city_closes_is_over() {
    let mut line = Line::begin().await;
    line.city.close(None).await.unwrap();
    assert!(line.idling.await.unwrap().is_none());
}

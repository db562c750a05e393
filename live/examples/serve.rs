//! Replays a CMAF file in real time as a live stream and lets the player be tried, by hand or in headless Chromium.
//!
//! ```text
//! cargo run --example serve -- FILE FILE            # prints the address of the page
//! cargo run --example serve -- FILE FILE --check    # drives Chromium through a table of steps, prints its figures
//! ```
//!
//! Each FILE is a fragmented MP4 with one H.264 track, chunks of about 100 ms and a keyframe each second or two;
//! the second should have another resolution.

use std::collections::VecDeque;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::ws::{self, WebSocket, WebSocketUpgrade};
use axum::extract::{Path, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use live::fanout::Limits;
use live::hub::{Hub, Viewer};
use live::message::{CameraState, Chunk, Frame, Init, Message, StreamInfo, UnixMillis};
use live::player::ASSETS;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// What the page may ask of the source.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Control {
    /// Sends nothing for so many seconds, then everything at once.
    Stall(f64),
    /// Closes all sockets.
    Drop,
    /// Sends so many chunks of the file as one.
    Join(usize),
    /// Loses so many seconds of the stream and says so.
    Skip(f64),
    /// Tells a state of the camera.
    State(String),
    /// Sends the init segment anew, and times that start anew, as after a restart of the camera.
    Restart,
    /// The same with the next file: another resolution.
    Switch,
    /// Claims other codecs.
    Codecs(String),
    /// Ends the stream.
    End(String),
}

struct App {
    hub: Hub,
    control: mpsc::Sender<Control>,
    report: mpsc::Sender<Value>,
    /// Rises when all sockets are to be closed.
    drops: watch::Sender<u64>,
    /// Sockets that were opened.
    connects: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let (flags, files): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| argument.starts_with("--"));
    let check = flags.iter().any(|flag| flag == "--check");
    let mut movies = Vec::new();
    for file in &files {
        let movie = Movie::parse(&std::fs::read(file)?).ok_or_else(|| format!("{file}: no fragmented H.264 track"))?;
        println!(
            "{file}: {} chunks, {} keyframes, {}",
            movie.chunks.len(),
            movie.keyframes(),
            movie.codecs
        );
        movies.push(movie);
    }
    if movies.is_empty() {
        return Err("usage: serve FILE [FILE …] [--check]".into());
    }
    let (control, controls) = mpsc::channel(16);
    let (report, mut reports) = mpsc::channel(1);
    let app = Arc::new(App {
        hub: Hub::new(Limits::default()),
        control,
        report,
        drops: watch::Sender::new(0),
        connects: AtomicU64::new(0),
    });
    let source = tokio::spawn(replay(app.hub.clone(), movies, controls));
    let router = Router::new()
        .route("/", get(|| async { Html(include_str!("player.html")) }))
        .route("/live", get(upgrade))
        .route("/control", post(take_control))
        .route("/report", post(take_report))
        .route("/{name}", get(asset))
        .layer(axum::extract::DefaultBodyLimit::max(64 * 1024 * 1024))
        .with_state(Arc::clone(&app));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    let address = format!("http://{}/", listener.local_addr()?);
    println!("{address}");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    if check {
        check::run(&address, &mut reports).await?;
        println!(
            "{:?}, {} sockets",
            app.hub.totals(),
            app.connects.load(Ordering::Relaxed)
        );
        return Ok(());
    }
    server.await??;
    source.await?
}

async fn asset(Path(name): Path<String>) -> Response {
    if name == "snapshot.svg" {
        let picture = "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 9'><rect width='16' height='9' fill='teal'/></svg>";
        return ([(header::CONTENT_TYPE, "image/svg+xml")], picture).into_response();
    }
    match ASSETS.iter().find(|asset| asset.name == name) {
        Some(asset) => ([(header::CONTENT_TYPE, asset.content_type)], asset.content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn take_control(State(app): State<Arc<App>>, Json(control): Json<Control>) -> StatusCode {
    if matches!(control, Control::Drop) {
        app.drops.send_modify(|drops| *drops += 1);
        return StatusCode::NO_CONTENT;
    }
    match app.control.send(control).await {
        Ok(()) => StatusCode::NO_CONTENT,
        Err(_) => StatusCode::GONE,
    }
}

async fn take_report(State(app): State<Arc<App>>, Json(report): Json<Value>) -> StatusCode {
    if app.report.send(report).await.is_ok() {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::GONE
    }
}

async fn upgrade(State(app): State<Arc<App>>, upgrade: WebSocketUpgrade) -> Response {
    upgrade.on_upgrade(async move |socket| serve(&app, socket).await)
}

async fn serve(app: &App, mut socket: WebSocket) {
    app.connects.fetch_add(1, Ordering::Relaxed);
    let mut drops = app.drops.subscribe();
    let mut viewer = match app.hub.join() {
        Ok(viewer) => viewer,
        Err(busy) => {
            // Whether the word arrives or not, the socket is closed.
            send(&mut socket, &Message::from(busy)).await.ok();
            return;
        }
    };
    tokio::select! {
        () = forward(&mut socket, &mut viewer) => {}
        _ = drops.changed() => {}
    }
}

async fn forward(socket: &mut WebSocket, viewer: &mut Viewer) {
    loop {
        tokio::select! {
            message = viewer.next() => {
                let Some(message) = message else { return };
                let sent = tokio::select! {
                    sent = send(socket, &message) => sent,
                    () = viewer.too_slow() => return,
                };
                if sent.is_err() {
                    return;
                }
            }
            heard = socket.recv() => {
                if heard.is_none_or(|heard| heard.is_err()) {
                    return;
                }
            }
        }
    }
}

async fn send(socket: &mut WebSocket, message: &Message) -> Result<(), Failure> {
    let frame = match message.encode()? {
        Frame::Text(text) => ws::Message::Text(text.into()),
        Frame::Binary(bytes) => ws::Message::Binary(bytes),
    };
    Ok(socket.send(frame).await?)
}

/// Plays the files one after the other, each over and over until told to go on, at the speed at which it was taken.
async fn replay(hub: Hub, movies: Vec<Movie>, controls: mpsc::Receiver<Control>) -> Result<(), Failure> {
    hub.publish(Message::State(CameraState::new("up", None)))?;
    let now = Instant::now();
    let mut source = Source {
        hub,
        controls,
        waiting: VecDeque::new(),
        joined: 1,
        stalled_until: now,
        lost_until: now,
    };
    let mut number = 0;
    while let Some(movie) = movies.get(number % movies.len()) {
        match source.play(movie).await? {
            After::Restart => {}
            After::Switch => number += 1,
            After::End => break,
        }
    }
    Ok(())
}

/// What follows when a file is no longer played.
enum After {
    Restart,
    Switch,
    End,
}

struct Source {
    hub: Hub,
    controls: mpsc::Receiver<Control>,
    /// Chunks to be sent: begins with a keyframe, Unix milliseconds, bytes.
    waiting: VecDeque<(bool, u64, Vec<u8>)>,
    /// How many chunks of the file are sent as one.
    joined: usize,
    stalled_until: Instant,
    lost_until: Instant,
}

impl Source {
    /// Plays one file as a camera that has just started.
    async fn play(&mut self, movie: &Movie) -> Result<After, Failure> {
        let unix_start = std::time::UNIX_EPOCH.elapsed()?;
        let start = Instant::now();
        self.waiting.clear();
        self.hub.publish(Message::Stream(movie.stream()))?;
        self.hub.publish(Message::Init(Init::new(&movie.init)?))?;
        for number in 0.. {
            let count = movie.chunks.len();
            let (Some(chunk), Ok(lap)) = (movie.chunks.get(number % count), u32::try_from(number / count)) else {
                break;
            };
            let begins = movie.span * lap + chunk.begins;
            tokio::time::sleep_until(start + begins + chunk.span).await;
            while let Ok(control) = self.controls.try_recv() {
                if let Some(after) = self.obey(control)? {
                    return Ok(after);
                }
            }
            let now = Instant::now();
            if now < self.lost_until {
                self.waiting.clear();
                continue;
            }
            // None is joined with one that begins with a keyframe.
            if chunk.keyframe && now >= self.stalled_until {
                self.flush()?;
            }
            let wall = u64::try_from((unix_start + begins).as_millis())?;
            self.waiting
                .push_back((chunk.keyframe, wall, chunk.at(begins, movie.timescale)));
            if self.waiting.len() >= self.joined && now >= self.stalled_until {
                self.flush()?;
            }
        }
        Ok(After::End)
    }

    fn obey(&mut self, control: Control) -> Result<Option<After>, Failure> {
        let now = Instant::now();
        match control {
            Control::Drop => {}
            Control::Restart => return Ok(Some(After::Restart)),
            Control::Switch => return Ok(Some(After::Switch)),
            Control::Stall(seconds) => self.stalled_until = now + Duration::from_secs_f64(seconds),
            Control::Join(count) => self.joined = count,
            Control::Skip(seconds) => {
                let span = Duration::from_secs_f64(seconds);
                self.lost_until = now + span;
                self.hub.publish(Message::Skipped(span))?;
            }
            Control::State(state) => {
                self.hub.publish(Message::State(CameraState::new(&state, None)))?;
            }
            Control::Codecs(codecs) => {
                let stream = StreamInfo {
                    camera: "example".to_owned(),
                    profile: "main".to_owned(),
                    codecs,
                    width: 640,
                    height: 360,
                    fps: None,
                    bitrate_kbit: None,
                };
                self.hub.publish(Message::Stream(stream))?;
                self.hub.publish(Message::Init(Init::new(b"-")?))?;
            }
            Control::End(reason) => {
                self.hub.publish(Message::Ended { reason })?;
                return Ok(Some(After::End));
            }
        }
        Ok(None)
    }

    /// Publishes what waits, `joined` chunks of the file as one.
    fn flush(&mut self) -> Result<(), Failure> {
        while let Some((keyframe, wall, mut bytes)) = self.waiting.pop_front() {
            let mut count = 1;
            while count < self.joined && self.waiting.front().is_some_and(|(keyframe, ..)| !keyframe) {
                bytes.extend(self.waiting.pop_front().map(|(.., more)| more).unwrap_or_default());
                count += 1;
            }
            self.hub
                .publish(Message::Chunk(Chunk::new(keyframe, UnixMillis::new(wall), &bytes)?))?;
        }
        Ok(())
    }
}

#[path = "serve/check.rs"]
mod check;
#[path = "serve/movie.rs"]
mod movie;
use movie::Movie;

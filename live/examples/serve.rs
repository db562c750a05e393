//! Replays a CMAF file in real time as a live stream and lets the player be tried, by hand or in headless Chromium.
//!
//! ```text
//! cargo run --example serve -- FILE             # prints the address of the page
//! cargo run --example serve -- FILE --check     # drives Chromium through the steps below, prints what it measured
//! ```
//!
//! FILE is a fragmented MP4 with one H.264 track, chunks of about 100 ms and a keyframe each second or two.

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
use live::message::{CameraState, Chunk, Frame, Init, Message, UnixMillis};
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
    /// Ends the stream.
    End(String),
}

struct App {
    hub: Hub,
    control: mpsc::Sender<Control>,
    report: mpsc::Sender<Value>,
    drops: watch::Sender<u64>,
    /// Unix time at the start, milliseconds.
    connects: AtomicU64,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    let file = arguments.next().ok_or("usage: serve FILE [--check [SCREENSHOT.png]]")?;
    let check = arguments.next().as_deref() == Some("--check");
    let movie = Movie::parse(&std::fs::read(&file)?).ok_or("no fragmented MP4 with one video track")?;
    println!(
        "{} chunks, {} keyframes, {}",
        movie.chunks.len(),
        movie.keyframes(),
        movie.codecs
    );
    let (control, controls) = mpsc::channel(16);
    let (report, mut reports) = mpsc::channel(1);
    let app = Arc::new(App {
        hub: Hub::new(Limits::default()),
        control,
        report,
        drops: watch::Sender::new(0),
        connects: AtomicU64::new(0),
    });
    let source = tokio::spawn(replay(Arc::clone(&app), movie, controls));
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

/// Publishes the movie over and over, at the speed at which it was taken.
async fn replay(app: Arc<App>, movie: Movie, mut controls: mpsc::Receiver<Control>) -> Result<(), Failure> {
    let hub = &app.hub;
    let unix_start = std::time::UNIX_EPOCH.elapsed()?;
    let start = Instant::now();
    let (mut joined, mut stalled_until, mut lost_until, mut origin) = (1, start, start, Duration::ZERO);
    let mut waiting = VecDeque::new();
    hub.publish(Message::Stream(movie.stream()))?;
    hub.publish(Message::Init(Init::new(&movie.init)?))?;
    hub.publish(Message::State(CameraState::new("up", None)))?;
    for lap in 0_u32.. {
        for chunk in &movie.chunks {
            let begins = movie.span * lap + chunk.begins;
            tokio::time::sleep_until(start + begins + chunk.span).await;
            if Instant::now() < lost_until {
                waiting.clear();
                continue;
            }
            // Joined chunks begin where chunks of the file do; none is joined with one that begins with a keyframe.
            if chunk.keyframe && !waiting.is_empty() && Instant::now() >= stalled_until {
                flush(hub, &mut waiting, joined)?;
            }
            let wall = u64::try_from((unix_start + begins).as_millis())?;
            waiting.push_back((
                chunk.keyframe,
                wall,
                chunk.at(begins.saturating_sub(origin), movie.timescale),
            ));
            if waiting.len() >= joined && Instant::now() >= stalled_until {
                flush(hub, &mut waiting, joined)?;
            }
            while let Ok(control) = controls.try_recv() {
                match control {
                    Control::Stall(seconds) => stalled_until = Instant::now() + Duration::from_secs_f64(seconds),
                    Control::Join(count) => joined = count,
                    Control::Drop => {}
                    Control::Skip(seconds) => {
                        lost_until = Instant::now() + Duration::from_secs_f64(seconds);
                        hub.publish(Message::Skipped(Duration::from_secs_f64(seconds)))?;
                    }
                    Control::State(state) => drop(hub.publish(Message::State(CameraState::new(&state, None)))?),
                    Control::Restart => {
                        origin = begins;
                        waiting.clear();
                        hub.publish(Message::Stream(movie.stream()))?;
                        hub.publish(Message::Init(Init::new(&movie.init)?))?;
                    }
                    Control::End(reason) => drop(hub.publish(Message::Ended { reason })?),
                }
            }
        }
    }
    Ok(())
}

/// Publishes what waits, `joined` chunks of the file as one.
fn flush(hub: &Hub, waiting: &mut VecDeque<(bool, u64, Vec<u8>)>, joined: usize) -> Result<(), Failure> {
    while let Some((keyframe, wall, mut bytes)) = waiting.pop_front() {
        let mut count = 1;
        while count < joined && waiting.front().is_some_and(|(keyframe, ..)| !keyframe) {
            bytes.extend(waiting.pop_front().map(|(.., more)| more).unwrap_or_default());
            count += 1;
        }
        hub.publish(Message::Chunk(Chunk::new(keyframe, UnixMillis::new(wall), &bytes)?))?;
    }
    Ok(())
}

#[path = "serve/check.rs"]
mod check;
#[path = "serve/movie.rs"]
mod movie;
use movie::Movie;

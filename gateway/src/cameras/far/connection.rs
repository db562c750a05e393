//! One stream's connection to the city: dialling, sending within the room that there is, and taking leave. See
//! [`live::link`].
//!
//! **Invariants.** The connection is read, and pings go out, whatever the stream waits for: its bitrate, the ledger lane,
//! the camera. What has not gone when the ledger lane needs the link is left out, and the stream begins anew with a
//! keyframe afterwards. Of the end that the box decides the city is told.
//!
//! **Limits.** [`DIAL_WAIT`]; [`UNHEARD_MAX`] for a connection that is dead; [`LEAVE_WAIT`] for the last words;
//! [`HEARD_BYTES_MAX`] for what the city says.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{SplitSink, SplitStream};
use futures::{SinkExt, StreamExt};
use live::command::StreamId;
use live::hub::{Hub, Viewer};
use live::link::{DIAL_WAIT, HELD, PING_EVERY, Reason, UNHEARD_MAX, begin_text, path_of};
use live::message::{CameraState, Frame, Message};
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Interval, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error as WsError, Message as Sent};

use super::Pace;
use super::room::Gate;
use crate::uplink::dialer::{DialError, Identity};

/// Kernel's buffer for what was sent, bytes: a small one, so that lateness is noticed here.
const SEND_BUFFER_BYTES: usize = 48 * 1_024;
/// How long the last words may take; then the connection is dropped.
const LEAVE_WAIT: Duration = Duration::from_secs(2);
/// Largest message of the city, which says little. A larger one ends the connection.
const HEARD_BYTES_MAX: usize = 4_096;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialFailed {
    #[error("\"{0}\" is no host and port")]
    Server(String),
    #[error("no connection: {0}")]
    Connect(#[from] std::io::Error),
    #[error("the box's certificate: {0}")]
    Identity(#[from] DialError),
    #[error("the server does not answer within {} s", DIAL_WAIT.as_secs())]
    Timeout,
    #[error("WebSocket: {0}")]
    WebSocket(#[from] Box<WsError>),
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Over {
    /// The box ended it.
    Box(Reason),
    /// The city closed it, with its reason if it gave one.
    City(String),
    /// Nothing was heard for [`UNHEARD_MAX`].
    Dead,
    /// It broke.
    Lost(String),
}

impl std::fmt::Display for Over {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Box(reason) => write!(f, "{reason}"),
            Self::City(reason) => write!(f, "the city closed: {reason}"),
            Self::Dead => write!(f, "nothing was heard for {} s", UNHEARD_MAX.as_secs()),
            Self::Lost(error) => write!(f, "the connection broke: {error}"),
        }
    }
}

pub(super) type Socket = WebSocketStream<TlsStream<TcpStream>>;

/// Dials a server of the city for one stream.
pub(super) async fn dial(id: StreamId, server: &str, identity: &Identity) -> Result<Socket, DialFailed> {
    timeout(DIAL_WAIT, connect(id, server, identity))
        .await
        .map_err(|_| DialFailed::Timeout)?
}

async fn connect(id: StreamId, server: &str, identity: &Identity) -> Result<Socket, DialFailed> {
    let no_server = || DialFailed::Server(server.to_owned());
    let (host, port) = server.rsplit_once(':').ok_or_else(no_server)?;
    let port: u16 = port.parse().map_err(|_| no_server())?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| no_server())?;
    let tcp = TcpStream::connect((host, port)).await?;
    tcp.set_nodelay(true)?;
    rustix::net::sockopt::set_socket_send_buffer_size(&tcp, SEND_BUFFER_BYTES).map_err(std::io::Error::from)?;
    let connector = TlsConnector::from(Arc::new(identity.tls()?));
    let tls = connector.connect(name, tcp).await?;
    let request = format!("wss://{server}{}", path_of(id))
        .into_client_request()
        .map_err(Box::new)?;
    let config = WebSocketConfig::default()
        .max_message_size(Some(HEARD_BYTES_MAX))
        .max_frame_size(Some(HEARD_BYTES_MAX));
    let (socket, _) = tokio_tungstenite::client_async_with_config(request, tls, Some(config))
        .await
        .map_err(Box::new)?;
    Ok(socket)
}

/// Sends a stream until it is over, and tells the city why. `begin`: the connection has waited, and the city is to be told
/// whose it is now.
pub(super) async fn carry<S>(
    socket: WebSocketStream<S>,
    begin: Option<StreamId>,
    hub: &Hub,
    viewer: Viewer,
    pace: &mut Pace,
) -> Over
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut heard) = socket.split();
    let mut sending = Sending {
        sink: &mut sink,
        gate: pace.gate(),
        ping: tokio::time::interval(PING_EVERY),
    };
    let over = tokio::select! {
        over = listen(&mut heard) => over,
        over = sending.run(begin, hub, viewer) => over,
        reason = pace.over() => Over::Box(reason),
    };
    match &over {
        Over::Box(reason) => leave(&mut sink, &mut heard, Some(*reason)).await,
        // Answers the city's close.
        Over::City(_) => leave(&mut sink, &mut heard, None).await,
        Over::Dead | Over::Lost(_) => {}
    }
    over
}

/// Says why there is no stream, and nothing else.
pub(super) async fn refuse<S>(socket: WebSocketStream<S>, reason: Reason)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut heard) = socket.split();
    leave(&mut sink, &mut heard, Some(reason)).await;
}

async fn leave<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Sent>,
    heard: &mut SplitStream<WebSocketStream<S>>,
    reason: Option<Reason>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let words = async {
        if let Some(reason) = reason {
            let reason = reason.as_str().to_owned();
            if let Ok(Frame::Text(text)) = (Message::Ended { reason }).encode() {
                sink.send(Sent::Text(text.into())).await?;
            }
        }
        let frame = CloseFrame {
            code: CloseCode::Normal,
            reason: "".into(),
        };
        sink.send(Sent::Close(Some(frame))).await?;
        // Dropped at once, what has not gone yet would be lost.
        while let Some(Ok(_)) = heard.next().await {}
        Ok::<(), WsError>(())
    };
    match timeout(LEAVE_WAIT, words).await {
        Ok(Ok(()) | Err(WsError::ConnectionClosed | WsError::AlreadyClosed)) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the city may not know why a stream ended"),
        Err(_) => tracing::debug!("the city may not know why a stream ended: it takes nothing"),
    }
}

/// Reads until the connection is over. Pings are answered by the WebSocket itself.
async fn listen<S>(heard: &mut SplitStream<WebSocketStream<S>>) -> Over
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        match timeout(UNHEARD_MAX, heard.next()).await {
            Err(_) => return Over::Dead,
            Ok(None) => return Over::City(String::new()),
            Ok(Some(Ok(Sent::Close(frame)))) => {
                let reason = frame.map(|frame| frame.reason.as_str().to_owned());
                return Over::City(reason.unwrap_or_default());
            }
            Ok(Some(Ok(_))) => {}
            Ok(Some(Err(error))) => return Over::Lost(error.to_string()),
        }
    }
}

/// The sending half.
struct Sending<'a, S> {
    sink: &'a mut SplitSink<WebSocketStream<S>, Sent>,
    gate: Gate,
    ping: Interval,
}

impl<S> Sending<'_, S>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    async fn run(&mut self, begin: Option<StreamId>, hub: &Hub, viewer: Viewer) -> Over {
        if let Some(id) = begin
            && let Err(over) = self.push(Sent::Text(begin_text(id).into()), &viewer).await
        {
            return over;
        }
        match self.stream(hub, viewer).await {
            Ok(never) => match never {},
            Err(over) => over,
        }
    }

    async fn stream(&mut self, hub: &Hub, mut viewer: Viewer) -> Result<std::convert::Infallible, Over> {
        loop {
            self.play(&mut viewer).await?;
            self.say(&CameraState::new(HELD, None), &viewer).await?;
            self.wait(&mut viewer).await?;
            // What was left out meanwhile leaves a hole; a viewer that has just come begins with a keyframe.
            drop(viewer);
            viewer = hub.join().map_err(|_| Over::Box(Reason::ViewersTaken))?;
            self.say(&CameraState::new("up", None), &viewer).await?;
        }
    }

    /// Sends until the ledger lane needs the link.
    async fn play(&mut self, viewer: &mut Viewer) -> Result<(), Over> {
        while self.gate.is_open() {
            let message = tokio::select! {
                message = next(viewer) => message?,
                _ = self.ping.tick() => Sent::Ping(Bytes::new()),
                () = self.gate.changed() => continue,
            };
            if let Sent::Binary(bytes) = &message {
                self.wait_for_rate(bytes.len(), viewer).await?;
                if !self.gate.is_open() {
                    return Ok(());
                }
            }
            self.push(message, viewer).await?;
        }
        Ok(())
    }

    async fn wait_for_rate(&mut self, bytes: usize, viewer: &Viewer) -> Result<(), Over> {
        let gate = self.gate.clone();
        let within_rate = gate.within_rate(bytes);
        tokio::pin!(within_rate);
        loop {
            tokio::select! {
                () = &mut within_rate => return Ok(()),
                _ = self.ping.tick() => self.push(Sent::Ping(Bytes::new()), viewer).await?,
            }
        }
    }

    /// Sends nothing but pings until the ledger lane leaves room again.
    async fn wait(&mut self, viewer: &mut Viewer) -> Result<(), Over> {
        while !self.gate.is_open() {
            tokio::select! {
                // Taken and left out, so that the viewer does not count as one that hangs.
                message = next(viewer) => drop(message?),
                _ = self.ping.tick() => self.push(Sent::Ping(Bytes::new()), viewer).await?,
                () = self.gate.changed() => {}
            }
        }
        Ok(())
    }

    async fn say(&mut self, state: &CameraState, viewer: &Viewer) -> Result<(), Over> {
        match Message::State(state.clone()).encode() {
            Ok(Frame::Text(text)) => self.push(Sent::Text(text.into()), viewer).await,
            _ => Ok(()),
        }
    }

    async fn push(&mut self, message: Sent, viewer: &Viewer) -> Result<(), Over> {
        tokio::select! {
            sent = self.sink.send(message) => sent.map_err(|error| Over::Lost(error.to_string())),
            () = viewer.too_slow() => Err(Over::Box(Reason::TooSlow)),
        }
    }
}

/// The next message that the city should get.
async fn next(viewer: &mut Viewer) -> Result<Sent, Over> {
    loop {
        let message = viewer.next().await;
        // A stream of the box ends only for a viewer that is too slow.
        let Some(message) = message.filter(|message| !matches!(message, Message::Ended { .. })) else {
            return Err(Over::Box(Reason::TooSlow));
        };
        match message.encode() {
            Ok(Frame::Text(text)) => return Ok(Sent::Text(text.into())),
            Ok(Frame::Binary(bytes)) => return Ok(Sent::Binary(bytes)),
            Err(error) => tracing::debug!(%error, "not sent"),
        }
    }
}

#[cfg(test)]
mod tests;

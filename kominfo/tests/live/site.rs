//! A city with its broker, boxes that take commands and dial, and viewers.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::{SinkExt as _, StreamExt as _};
use kominfo::dialer::TlsFiles;
use kominfo::live::Settings;
use kominfo::mqtt::{Publisher, Session};
use kominfo::serve::City as Serving;
use kominfo::{pki, tls};
use ledger::TextSigner;
use live::command::{self, LiveCommand, Order, Start, StreamId};
use live::link::path_of;
use live::message::{CameraState, Chunk, Frame, Init, Message, StreamInfo};
use parking::GatewayId;
use rand_core::OsRng;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, Error as WsError, Message as Ws};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::support::broker::{Broker, free_port};
use crate::support::{City, Database, Street, cosigner};

/// Nothing here takes longer unless it is stuck.
pub const STUCK: Duration = Duration::from_mins(1);

/// Waits for what must come.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(STUCK, what).await.expect("it did not come")
}

/// A running city that offers live view.
pub struct Site {
    pub city: City,
    pub broker: Broker,
    pub web: SocketAddr,
    pub server: String,
    signer: TextSigner,
    stop: CancellationToken,
    task: JoinHandle<anyhow::Result<()>>,
    _database: Database,
}

impl Site {
    pub async fn open(watch_max: Duration) -> Self {
        let (broker, database, cosigner) = (Broker::start(), Database::sqlite(), cosigner());
        let city = City::with_key(&database, cosigner.clone()).await;
        pki::live(&broker.pki(), "live", &[], &["127.0.0.1".parse().unwrap()]).unwrap();
        let signer = TextSigner::generate("kominfo.parkir.example.id/command", &mut OsRng).unwrap();
        let file = |name: &str| broker.pki().join(name);
        let (ca, certificate, key) = (file("ca.crt"), file("live.crt"), file("live.key"));
        let files = TlsFiles {
            ca: &ca,
            certificate: &certificate,
            key: &key,
        };
        let (web, listen) = (([127, 0, 0, 1], free_port()), ([127, 0, 0, 1], free_port()));
        let server = SocketAddr::from(listen).to_string();
        let live = Settings {
            signer: signer.clone(),
            listen: listen.into(),
            address: server.clone(),
            tls: tls::server(files).unwrap(),
            watch_max,
        };
        let stop = CancellationToken::new();
        let serving = Serving {
            store: database.open().await,
            cosigner,
            listen: web.into(),
            broker: broker.target("kominfo-client"),
            client_id: "kominfo-a".to_owned(),
            accept_simulated: false,
            live: Some(live),
        };
        let task = tokio::spawn(serving.run(stop.clone()));
        let site = Self {
            city,
            broker,
            web: web.into(),
            server,
            signer,
            stop,
            task,
            _database: database,
        };
        // A program that just started says nothing when it is ready but by answering.
        soon(async {
            while TcpStream::connect(site.web).await.is_err() || TcpStream::connect(&site.server).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await;
        site
    }

    /// A box with one camera, enrolled, with its certificate; not connected.
    pub async fn register(&self, name: &str) {
        let street = Street::new(name, 0);
        self.city.enrol(&street).await;
        let camera = r#"{"state":"up","since":"2026-01-05T00:00:00Z","sub":{"width":640,"height":360,"kbit":500},
            "main":{"width":1920,"height":1080,"kbit":4000},"viewers":1,"places":8}"#;
        let state = format!(r#"{{"full":true,"box":{{"clock":"synced"}},"camera/gate-1":{camera}}}"#);
        self.take_state(name, &state).await;
        self.broker.admit(name);
    }

    /// A value of a box's state has come.
    pub async fn tell(&self, name: &str, key: &str, value: &str) {
        self.take_state(name, &format!(r#"{{"{key}":{value}}}"#)).await;
    }

    async fn take_state(&self, name: &str, state: &str) {
        let payload = zstd::encode_all(state.as_bytes(), 1).unwrap();
        let (gateway, now) = (GatewayId::new(name).unwrap(), kominfo::clock::now());
        let refused = self.city.ingest.state(&gateway, "t", &payload, now).await;
        assert_eq!(refused.unwrap(), None);
    }

    /// The public text of the key that commands are signed with.
    pub fn vkey(&self) -> String {
        self.signer.verifier().to_vkey()
    }

    /// A box that listens to its commands.
    pub async fn pole(&self, name: &str) -> Pole {
        self.register(name).await;
        self.connect(name).await
    }

    pub async fn connect(&self, name: &str) -> Pole {
        let topics = [format!("parkir/1/{name}/command")];
        let (mut session, publisher) = Session::open(&self.broker.target(name), name, &topics).await.unwrap();
        let (sender, commands) = mpsc::unbounded_channel();
        let (origin, verifier) = (
            command::origin_of(&format!("parkir.example.id/{name}")),
            self.signer.verifier(),
        );
        let listening = tokio::spawn(async move {
            while let Ok(message) = session.next().await {
                let command = command::verify(&message.payload, &origin, &verifier).unwrap();
                message.acknowledgement.send().await.unwrap();
                sender.send(command).unwrap_or_default();
            }
        });
        Pole {
            name: name.to_owned(),
            pki: self.broker.pki(),
            commands,
            publisher,
            _listening: AbortOnDropHandle::new(listening),
        }
    }

    pub async fn watch(&self, gateway: &str) -> Watcher {
        self.ask(gateway, "gate-1", Some(&format!("http://{}", self.web)))
            .await
            .unwrap()
    }

    /// Asks to watch, with that header `Origin`.
    pub async fn ask(&self, gateway: &str, camera: &str, origin: Option<&str>) -> Result<Watcher, WsError> {
        let address = format!("ws://{}/live/ws?box={gateway}&camera={camera}&profile=sub", self.web);
        let mut request = address.into_client_request().unwrap();
        if let Some(origin) = origin {
            request.headers_mut().insert("origin", origin.parse().unwrap());
        }
        let tcp = TcpStream::connect(self.web).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await?;
        Ok(Watcher { socket })
    }

    /// A page shows cameras of these boxes; gives the status of the answer.
    pub async fn show(&self, boxes: &[&str], origin: &str) -> u16 {
        let request = reqwest::Client::new()
            .post(format!("http://{}/live/ready", self.web))
            .header("origin", origin)
            .json(&serde_json::json!({ "boxes": boxes }));
        request.send().await.unwrap().status().as_u16()
    }

    pub async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap().unwrap();
    }
}

/// A box.
pub struct Pole {
    pub name: String,
    pub pki: PathBuf,
    commands: mpsc::UnboundedReceiver<LiveCommand>,
    pub publisher: Publisher,
    _listening: AbortOnDropHandle<()>,
}

impl Pole {
    pub async fn command(&mut self) -> LiveCommand {
        soon(self.commands.recv()).await.unwrap()
    }

    /// The next command, which asks for a stream.
    pub async fn asked(&mut self) -> (StreamId, Start) {
        let command = self.command().await;
        match command.order {
            Order::Start(start) => (command.id, start),
            Order::Stop | Order::Ready(_) => panic!("{command:?}"),
        }
    }

    /// Waits until the newest stream is stopped.
    pub async fn stopped(&mut self) {
        while self.command().await.order != Order::Stop {}
    }

    /// What has come and was not looked at.
    pub fn rest(&mut self) -> Vec<LiveCommand> {
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }

    pub async fn dial(&self, site: &Site, id: StreamId) -> Result<Sender, DialFailure> {
        dial(site, &self.pki, &self.name, &path_of(id)).await
    }
}

/// Why a box could not connect.
#[derive(Debug)]
pub enum DialFailure {
    Tls,
    Status(u16),
}

/// Connects with the certificate `name` of the folder `pki`.
pub async fn dial(site: &Site, pki: &std::path::Path, name: &str, path: &str) -> Result<Sender, DialFailure> {
    let (ca, certificate, key) = (
        site.broker.pki().join("ca.crt"),
        pki.join(format!("{name}.crt")),
        pki.join(format!("{name}.key")),
    );
    let files = TlsFiles {
        ca: &ca,
        certificate: &certificate,
        key: &key,
    };
    let connector = TlsConnector::from(Arc::new(tls::client(files).unwrap()));
    let tcp = TcpStream::connect(&site.server).await.unwrap();
    let host = ServerName::try_from("127.0.0.1").unwrap();
    let stream = connector.connect(host, tcp).await.map_err(|_| DialFailure::Tls)?;
    // The box itself would refuse to send what is too large; here it is tried.
    let config = WebSocketConfig::default().max_message_size(None).max_frame_size(None);
    let address = format!("wss://{}{path}", site.server);
    let connected = tokio_tungstenite::client_async_with_config(address, stream, Some(config)).await;
    match connected {
        Ok((socket, _)) => Ok(Sender { socket }),
        Err(WsError::Http(answer)) => Err(DialFailure::Status(answer.status().as_u16())),
        // TLS 1.3 refuses a client's certificate after the client's own part is done.
        Err(_) => Err(DialFailure::Tls),
    }
}

/// A box's connection to the city.
pub struct Sender {
    pub socket: WebSocketStream<TlsStream<TcpStream>>,
}

impl Sender {
    pub async fn send(&mut self, message: Message) {
        let message = match message.encode().unwrap() {
            Frame::Text(text) => Ws::text(text),
            Frame::Binary(bytes) => Ws::binary(bytes),
        };
        self.socket.send(message).await.unwrap();
    }

    /// Begins a stream whose init segment is `init`.
    pub async fn begin(&mut self, init: &[u8]) {
        self.send(Message::State(CameraState::new("up", None))).await;
        self.send(stream_of("gate-1")).await;
        self.send(Message::Init(Init::new(init).unwrap())).await;
    }

    pub async fn chunk(&mut self, keyframe: bool, bytes: &[u8]) {
        self.send(Message::Chunk(Chunk::new(keyframe, None, bytes).unwrap()))
            .await;
    }

    /// The code with which the city closes the connection.
    pub async fn closed(&mut self) -> u16 {
        soon(async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Ws::Close(Some(frame)))) => return frame.code.into(),
                    Some(Ok(_)) => {}
                    other => panic!("no close frame but {other:?}"),
                }
            }
        })
        .await
    }
}

pub fn stream_of(camera: &str) -> Message {
    Message::Stream(StreamInfo {
        camera: camera.to_owned(),
        profile: "sub".to_owned(),
        codecs: "avc1.42c028".to_owned(),
        width: 640,
        height: 360,
        fps: None,
        bitrate_kbit: Some(500),
    })
}

/// A viewer in the portal.
pub struct Watcher {
    socket: WebSocketStream<TcpStream>,
}

impl Watcher {
    /// The next message; `None` when the city has closed the connection.
    pub async fn next(&mut self) -> Option<Message> {
        loop {
            let frame = match soon(self.socket.next()).await? {
                Ok(Ws::Text(text)) => Frame::Text(text.as_str().to_owned()),
                Ok(Ws::Binary(bytes)) => Frame::Binary(bytes),
                Ok(Ws::Close(_)) | Err(tungstenite::Error::ConnectionClosed) => return None,
                Ok(_) => continue,
                Err(error) => panic!("{error}"),
            };
            return Some(Message::parse(frame).unwrap());
        }
    }

    /// Passes over what comes until this state does; gives its message.
    pub async fn state(&mut self, state: &str) -> Option<String> {
        loop {
            match self.next().await.expect("the city closed the connection") {
                Message::State(told) if told.state == state => return told.message,
                _ => {}
            }
        }
    }

    /// Passes over states and descriptions until something else comes.
    pub async fn media(&mut self) -> Message {
        loop {
            match self.next().await.expect("the city closed the connection") {
                Message::State(_) | Message::Stream(_) => {}
                other => return other,
            }
        }
    }

    pub async fn leave(mut self) {
        self.socket.close(None).await.unwrap();
    }
}

pub fn init(bytes: &[u8]) -> Message {
    Message::Init(Init::new(bytes).unwrap())
}

pub fn chunk(keyframe: bool, bytes: &[u8]) -> Message {
    Message::Chunk(Chunk::new(keyframe, None, bytes).unwrap())
}

//! Somebody in front of the city's portal who watches a camera, as the portal's page does.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context;
use futures::StreamExt;
use live::command::Profile;
use live::message::Message;
use parking::{CameraId, GatewayId};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message as Frame;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

/// Tells the portal at `address` that a page shows cameras of a box, as the page does while it is visible.
pub async fn show_page(address: SocketAddr, gateway: &GatewayId) -> anyhow::Result<()> {
    let request = reqwest::Client::new()
        .post(format!("http://{address}/live/ready"))
        .header("origin", format!("http://{address}"))
        .json(&serde_json::json!({ "boxes": [gateway] }));
    let answer = request.send().await.context("the portal is not there")?;
    anyhow::ensure!(answer.status().is_success(), "{}", answer.status());
    Ok(())
}

/// A viewer's connection.
#[derive(Debug)]
pub struct Viewer {
    socket: WebSocketStream<TcpStream>,
}

impl Viewer {
    /// Asks the portal at `address` for the small stream of a camera.
    pub async fn open(address: SocketAddr, gateway: &GatewayId, camera: &CameraId) -> anyhow::Result<Self> {
        Self::open_profile(address, gateway, camera, Profile::Sub).await
    }

    /// Asks the portal at `address` for a stream of a camera, whether or not it has that one.
    pub async fn open_profile(
        address: SocketAddr,
        gateway: &GatewayId,
        camera: &CameraId,
        profile: Profile,
    ) -> anyhow::Result<Self> {
        let profile = profile.as_str();
        let url = format!("ws://{address}/live/ws?box={gateway}&camera={camera}&profile={profile}");
        let mut request = url.into_client_request()?;
        request
            .headers_mut()
            .insert("origin", format!("http://{address}").parse()?);
        let tcp = TcpStream::connect(address).await.context("the portal is not there")?;
        let (socket, _) = tokio_tungstenite::client_async(request, tcp).await?;
        Ok(Self { socket })
    }

    /// The next message; `None` when the portal has closed, an error when nothing comes within `patience`.
    pub async fn next(&mut self, patience: Duration) -> anyhow::Result<Option<Message>> {
        let next = async {
            loop {
                match self.socket.next().await {
                    Some(Ok(Frame::Text(text))) => return Message::parse_text(text.as_str()).map(Some),
                    Some(Ok(Frame::Binary(bytes))) => return Message::parse_binary(bytes).map(Some),
                    Some(Ok(Frame::Ping(_) | Frame::Pong(_) | Frame::Frame(_))) => {}
                    Some(Ok(Frame::Close(_)) | Err(_)) | None => return Ok(None),
                }
            }
        };
        let next = tokio::time::timeout(patience, next).await;
        Ok(next.with_context(|| format!("the portal says nothing for {patience:?}"))??)
    }
}

//! Live view in the portal: the page, what its player is made of, the WebSocket of a viewer, and where a page says which
//! boxes it shows.
//!
//! The page has no sign-on of its own either: whoever opens the portal to a network puts the city's in front of all
//! of it, `/live/ws` and `/live/ready` included. These two answer only pages of the same origin, as a browser would else let
//! any page use its visitor's sign-on; a proxy in front must leave `Host` as it is.

use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;

use axum::Json;
use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::{ConnectInfo, Path, Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use live::command::{Profile, is_camera_name};
use live::player::{ASSETS, Asset};
use parking::GatewayId;
use serde::Deserialize;

use super::api::{Problem, parsed};
use super::cameras::KEY;
use super::catalogue::Language;
use super::{PageQuery, Web, live_page};
use crate::live::{BOXES_A_PAGE_MAX, Relay, StreamKey, Viewing};

const SCRIPT: &str = include_str!("cameras.js");

/// What a browser may do on the page: as everywhere, and play what comes over its own WebSocket.
const POLICY: &str = "default-src 'self'; connect-src 'self'; media-src 'self' blob:; frame-ancestors 'none'";
/// Largest list of boxes that a page may send, bytes. A larger one is refused.
const READY_BYTES_MAX: usize = 4096;
/// The player's files are found under their own digest, so they never change.
const FOREVER: &str = "public, max-age=31536000, immutable";

/// The folder of the player's files: `/live/assets/<digest>/`.
static FOLDER: LazyLock<String> = LazyLock::new(|| {
    let all: Vec<u8> = ASSETS.iter().flat_map(|asset| asset.content.bytes()).collect();
    let digest = ledger::leaf_hash(&all);
    let first = digest.as_bytes().first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
});

pub(super) fn routes() -> Router<Web> {
    Router::new()
        .route("/live", get(page))
        .route("/live/page.js", get(script))
        .route("/live/assets/{digest}/{name}", get(asset))
        .route("/live/ws", get(watch))
        .route("/live/ready", post(ready).layer(DefaultBodyLimit::max(READY_BYTES_MAX)))
}

async fn page(State(web): State<Web>, Query(query): Query<PageQuery>) -> Result<Response, Problem> {
    let language = Language::asked(query.lang.as_deref());
    let view = web.view().await?;
    let is_offered = web.relay.is_some();
    let html = match query.fragment {
        Some(_) => live_page::body(&view, is_offered, language),
        None => live_page::whole(&view, is_offered, &FOLDER, language),
    };
    Ok(([(CONTENT_SECURITY_POLICY, POLICY)], Html(html)).into_response())
}

async fn script() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT)
}

async fn asset(Path((digest, name)): Path<(String, String)>) -> Response {
    let named = |asset: &&Asset| asset.name == name && digest == *FOLDER;
    match ASSETS.iter().find(named) {
        Some(asset) => {
            let headers = [(CONTENT_TYPE, asset.content_type), (CACHE_CONTROL, FOREVER)];
            (headers, asset.content).into_response()
        }
        None => Problem::not_found("no such file of the player", "load the page /live again").into_response(),
    }
}

#[derive(Debug, Deserialize)]
struct WatchQuery {
    #[serde(rename = "box")]
    gateway: String,
    camera: String,
    profile: String,
}

async fn watch(
    State(web): State<Web>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    Query(query): Query<WatchQuery>,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Problem> {
    let relay = relay_for(&web, &headers)?;
    let gateway: GatewayId = parsed("box", &query.gateway, "sudirman-01")?;
    let profile: Profile = parsed("profile", &query.profile, "sub")?;
    let camera = query.camera;
    let unknown = || Problem::not_found("no box tells such a camera", "GET /api/v1/boxes lists them");
    if !is_camera_name(&camera) {
        return Err(unknown());
    }
    let told = web.store.state(&gateway, &format!("{KEY}{camera}")).await?.is_some();
    let log = web.store.logs(Some(&gateway)).await?.into_iter().next();
    let log = log.filter(|_| told).ok_or_else(unknown)?;
    let viewing = Viewing {
        key: StreamKey {
            gateway,
            camera,
            profile,
        },
        origin: log.origin,
        address: address(peer, &headers),
    };
    Ok(viewing.serve(relay, upgrade))
}

/// The boxes whose cameras a page shows.
#[derive(Debug, Deserialize)]
struct Shown {
    boxes: Vec<String>,
}

async fn ready(State(web): State<Web>, headers: HeaderMap, Json(shown): Json<Shown>) -> Result<StatusCode, Problem> {
    let relay = relay_for(&web, &headers)?;
    if shown.boxes.len() > BOXES_A_PAGE_MAX {
        return Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "too many boxes at once",
            "name at most 8, those in sight",
        ));
    }
    for name in &shown.boxes {
        let gateway: GatewayId = parsed("box", name, "sudirman-01")?;
        if let Err(error) = relay.make_ready(&gateway).await {
            // Nobody waits for it: the first picture comes later.
            tracing::warn!(%gateway, %error, "no connection will wait");
        }
    }
    Ok(StatusCode::NO_CONTENT)
}

/// The relay, for a page of this portal.
fn relay_for<'a>(web: &'a Web, headers: &HeaderMap) -> Result<&'a Relay, Problem> {
    if !is_same_origin(headers) {
        return Err(Problem::new(
            StatusCode::FORBIDDEN,
            "not from a page of this portal",
            "open /live; a proxy in front must pass Host on as it is",
        ));
    }
    web.relay.as_ref().ok_or_else(|| {
        Problem::not_found(
            "this instance offers no live view",
            "kominfo serve --command-key --live-listen --live-address --live-cert --live-key",
        )
    })
}

/// Whether the request comes from a page that this server, under the name the browser knows it by, has given out.
fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let (Some(origin), Some(host)) = (text(ORIGIN), text(HOST)) else {
        return false;
    };
    let authority = origin.split_once("://").map(|(_, authority)| authority);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

/// Where a viewer comes from: the caller, and, behind a proxy, whom that named.
fn address(peer: SocketAddr, headers: &HeaderMap) -> String {
    let named = headers.get_all("x-forwarded-for").iter().next_back();
    let named = named.and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse::<IpAddr>().ok());
    match named {
        Some(named) => format!("{named} via {}", peer.ip()),
        None => peer.ip().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn only_a_page_of_the_same_host_and_port_may_watch() {
        let same = |origin, host| is_same_origin(&headers(&[("origin", origin), ("host", host)]));
        assert!(same("https://portal.example.id", "portal.example.id"));
        assert!(same("http://127.0.0.1:8080", "127.0.0.1:8080"));
        assert!(!same("http://127.0.0.1:8081", "127.0.0.1:8080"));
        assert!(!same("https://evil.example", "portal.example.id"));
        assert!(!same("https://portal.example.id.evil.example", "portal.example.id"));
        assert!(!same("null", "portal.example.id"));
        assert!(!is_same_origin(&headers(&[("host", "portal.example.id")])));
    }

    #[test]
    fn a_viewer_behind_a_proxy_is_noted_with_the_proxy() {
        let peer: SocketAddr = "10.0.0.1:5".parse().unwrap();
        assert_eq!(address(peer, &headers(&[])), "10.0.0.1");
        let forwarded = headers(&[("x-forwarded-for", "1.1.1.1, 203.0.113.9")]);
        assert_eq!(address(peer, &forwarded), "203.0.113.9 via 10.0.0.1");
        assert_eq!(address(peer, &headers(&[("x-forwarded-for", "<b>")])), "10.0.0.1");
    }
}

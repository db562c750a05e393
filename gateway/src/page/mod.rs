//! The box's own page: cameras live, for a technician or an operator in the same network, also on a phone.
//!
//! One password, kept as a hash; a session is a random cookie in memory. Everything but the login and the assets wants a
//! session; a WebSocket also wants to come from this page (`Origin`). Plain HTTP: the page is for the box's own network
//! or a VPN, and the listen address says for which.
//!
//! It reads what others publish and never waits for a camera but for a snapshot. Bounds: [`CONNECTIONS_MAX`] connections,
//! viewers as the hubs allow, sessions and attempts to log in as [`login`] says.

mod login;
pub mod password;
mod view;
mod watching;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Json;
use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::Next;
use axum::response::{Html, IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use live::player::ASSETS;
use parking::CameraId;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use self::login::Login;
use self::password::Hash;
use crate::cameras::Cameras;
use crate::cameras::snapshot::SnapshotError;
use crate::cameras::told::CameraStatus;
use crate::listener;
use crate::words::Language;

/// Most connections at once; more wait in the kernel's queue. A viewer takes one.
const CONNECTIONS_MAX: usize = 160;
/// Widths of a snapshot, pixels.
const SNAPSHOT_WIDTHS: std::ops::RangeInclusive<u16> = 160..=3_840;

const NO_CAMERA: &str = "kamera ini tidak ada (there is no such camera)\n";

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("page.js");

/// What the handlers share.
pub struct Page {
    gateway: String,
    cameras: Cameras,
    login: Login,
    stop: CancellationToken,
}

type Shared = Arc<Page>;

/// The server, bound to its address.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
}

impl Server {
    /// Binds the address that the configuration names.
    pub async fn bind(listen: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(listen)
            .await
            .with_context(|| format!("cannot listen on page.listen {listen}"))?;
        let address = listener.local_addr()?;
        tracing::info!(%address, "the box's page is open");
        Ok(Self { listener, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until cancelled.
    pub async fn run(
        self,
        gateway: String,
        cameras: Cameras,
        password: Hash,
        stop: CancellationToken,
    ) -> anyhow::Result<()> {
        let page = Arc::new(Page {
            gateway,
            cameras,
            login: Login::new(password),
            stop: stop.clone(),
        });
        listener::serve(self.listener, CONNECTIONS_MAX, router(page), stop)
            .await
            .context("the box's page")
    }
}

fn router(page: Shared) -> Router {
    let text = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
    let mut router = Router::new()
        .route("/", get(overview))
        .route("/camera/{id}", get(one))
        .route("/camera/{id}/snapshot.jpg", get(snapshot))
        .route("/api/cameras", get(statuses))
        .route("/live", get(watching::watch))
        .route("/logout", post(login::log_out))
        .route_layer(axum::middleware::from_fn_with_state(
            Arc::clone(&page),
            only_with_session,
        ))
        .route("/login", get(login::form).post(login::log_in))
        .route("/assets/style.css", text("text/css; charset=utf-8", STYLE))
        .route("/assets/page.js", text("text/javascript; charset=utf-8", SCRIPT));
    for asset in ASSETS {
        router = router.route(
            &format!("/assets/{}", asset.name),
            text(asset.content_type, asset.content),
        );
    }
    router
        .fallback(|| async { (StatusCode::NOT_FOUND, "halaman ini tidak ada (no such page)\n") })
        .layer(axum::middleware::map_response(headers))
        .layer(axum::middleware::map_response(listener::close_after))
        .with_state(page)
}

async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    let policy = "default-src 'self'; img-src 'self' blob:; media-src blob:; connect-src 'self' ws: wss:; frame-ancestors 'none'; form-action 'self'";
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn only_with_session(State(page): State<Shared>, request: Request, next: Next) -> Response {
    if page.login.knows(request.headers()) {
        return next.run(request).await;
    }
    let path = request.uri().path();
    let is_camera = path.strip_prefix("/camera/").is_some_and(|rest| !rest.contains('/'));
    if path == "/" || is_camera {
        let query = request.uri().query().unwrap_or_default();
        let language = if query.contains("lang=en") { "?lang=en" } else { "" };
        return Redirect::to(&format!("/login{language}")).into_response();
    }
    (StatusCode::UNAUTHORIZED, "masuk dahulu di /login (log in first)\n").into_response()
}

/// What a page's address may say.
#[derive(Debug, Deserialize)]
pub(crate) struct PageQuery {
    lang: Option<String>,
}

impl PageQuery {
    fn language(&self) -> Language {
        match self.lang.as_deref() {
            Some("en") => Language::English,
            _ => Language::Indonesian,
        }
    }
}

async fn overview(State(page): State<Shared>, Query(query): Query<PageQuery>) -> Html<String> {
    Html(view::overview(&page.gateway, &page.cameras, query.language()))
}

async fn one(State(page): State<Shared>, Path(id): Path<String>, Query(query): Query<PageQuery>) -> Response {
    match known(&page, &id) {
        Some(camera) => Html(view::one(&page.gateway, &page.cameras, &camera, query.language())).into_response(),
        None => (StatusCode::NOT_FOUND, NO_CAMERA).into_response(),
    }
}

fn known(page: &Page, id: &str) -> Option<CameraId> {
    page.cameras.ids().find(|known| known.as_str() == id).cloned()
}

/// A camera with its state in words.
#[derive(serde::Serialize)]
struct Told {
    #[serde(flatten)]
    status: CameraStatus,
    words: String,
    advice: String,
    figures: String,
}

async fn statuses(State(page): State<Shared>, Query(query): Query<PageQuery>) -> impl IntoResponse {
    let language = query.language();
    let told = page.cameras.statuses().into_iter().map(|status| Told {
        words: view::words(&status, language),
        advice: view::advice(&status, language),
        figures: view::figures(&status, language),
        status,
    });
    Json(told.collect::<Vec<_>>())
}

#[derive(Debug, Deserialize)]
struct SnapshotQuery {
    w: Option<u16>,
    lang: Option<String>,
}

async fn snapshot(State(page): State<Shared>, Path(id): Path<String>, Query(query): Query<SnapshotQuery>) -> Response {
    let Some(camera) = known(&page, &id) else {
        return (StatusCode::NOT_FOUND, NO_CAMERA).into_response();
    };
    let width = query
        .w
        .unwrap_or(1_280)
        .clamp(*SNAPSHOT_WIDTHS.start(), *SNAPSHOT_WIDTHS.end());
    match page.cameras.snapshot(&camera, None, width).await {
        Ok(snapshot) => ([(CONTENT_TYPE, "image/jpeg")], snapshot.jpeg).into_response(),
        Err(error) => {
            let status = match error {
                SnapshotError::Dark(..) | SnapshotError::Picture(_) => StatusCode::SERVICE_UNAVAILABLE,
                SnapshotError::Stopping => StatusCode::GONE,
            };
            (status, error.text(PageQuery { lang: query.lang }.language()) + "\n").into_response()
        }
    }
}

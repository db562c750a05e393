//! The web: pages for people, an interface for programs. They only read; watching a camera makes its box send.
//!
//! There are no accounts here: the server listens on this machine unless told otherwise, and whoever opens it to a
//! network puts a proxy with the city's own sign-on in front of it.

/// Appends a line to a page. Writing to a string cannot fail.
macro_rules! add {
    ($html:expr, $($argument:tt)*) => {
        writeln!($html, $($argument)*).unwrap_or_default()
    };
}

mod api;
mod cameras;
mod catalogue;
mod chart;
mod html;
mod live;
mod live_page;
mod page;
mod series;
mod series_page;
mod view;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::http::{HeaderValue, StatusCode};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use futures::{Stream, stream};
use serde::Deserialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::live::Relay;
use crate::store::{Store, StoreError};

use api::Problem;
use catalogue::Language;
use view::{Gatherer, View};

/// How often the store is looked at for changes, which may come from another instance.
const LOOK: Duration = Duration::from_millis(500);
/// Viewers who are told of changes as they happen; the page of one more asks by itself.
const VIEWERS_MAX: usize = 256;

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");
const CHANGES: &str = include_str!("changes.js");

/// What the handlers share.
#[derive(Debug, Clone)]
pub struct Web {
    store: Store,
    relay: Option<Relay>,
    gatherer: Arc<Gatherer>,
    changes: watch::Receiver<u64>,
    viewers: Arc<Semaphore>,
    stop: CancellationToken,
}

impl Web {
    /// Serves from `store`, and live view if there is a relay; looks for changes until `stop`.
    pub fn new(store: Store, relay: Option<Relay>, stop: CancellationToken) -> Self {
        let (sender, changes) = watch::channel(0);
        tokio::spawn(look_for_changes(store.clone(), sender, stop.clone()));
        Self {
            store,
            relay,
            gatherer: Arc::default(),
            changes,
            viewers: Arc::new(Semaphore::new(VIEWERS_MAX)),
            stop,
        }
    }

    /// All routes.
    pub fn router(self) -> Router {
        let asset = |kind: &'static str, text: &'static str| get(move || async move { ([(CONTENT_TYPE, kind)], text) });
        Router::new()
            .route("/", get(page))
            .route("/style.css", asset("text/css; charset=utf-8", STYLE))
            .route("/live.js", asset("text/javascript; charset=utf-8", SCRIPT))
            .route("/changes.js", asset("text/javascript; charset=utf-8", CHANGES))
            .route("/healthz", get(health))
            .route("/api/v1/live", get(tell_changes))
            .merge(api::routes())
            .merge(live::routes())
            .merge(series::routes())
            .fallback(|| async { Problem::not_found("no such page", "the page is at /, the interface under /api/v1/") })
            .layer(axum::middleware::map_response(headers))
            .with_state(self)
    }

    async fn view(&self) -> Result<View, StoreError> {
        self.gatherer.view(&self.store, clock::now()).await
    }
}

/// Adds what every answer has, unless it says something else itself.
async fn headers(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, "default-src 'self'; frame-ancestors 'none'"),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (CACHE_CONTROL, "no-cache"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

async fn look_for_changes(store: Store, sender: watch::Sender<u64>, stop: CancellationToken) {
    let mut last = None;
    loop {
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = stop.cancelled() => return,
        }
        // While the database is away nothing changes; what needs to be said about that is said elsewhere.
        if let Ok(mark) = store.change_mark().await
            && last.replace(mark) != Some(mark)
        {
            sender.send_modify(|change| *change += 1);
        }
    }
}

#[derive(Debug, Deserialize)]
struct PageQuery {
    lang: Option<String>,
    /// Only what changes, for the page's own script.
    fragment: Option<String>,
}

async fn page(State(web): State<Web>, Query(query): Query<PageQuery>) -> Result<Html<String>, Problem> {
    let language = Language::asked(query.lang.as_deref());
    let view = web.view().await?;
    Ok(Html(match query.fragment {
        Some(_) => page::body(&view, language),
        None => page::whole(&view, language),
    }))
}

async fn health(State(web): State<Web>) -> Result<&'static str, Problem> {
    web.store.ping().await?;
    Ok("ok\n")
}

async fn tell_changes(State(web): State<Web>) -> Response {
    match Arc::clone(&web.viewers).try_acquire_owned() {
        Ok(place) => Sse::new(changes(web, place))
            .keep_alive(KeepAlive::default())
            .into_response(),
        Err(_) => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "too many viewers",
            "ask for / again now and then",
        )
        .into_response(),
    }
}

/// An event for each change, and one at once, until the program stops.
fn changes(web: Web, place: OwnedSemaphorePermit) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut receiver = web.changes.clone();
    receiver.mark_changed();
    stream::unfold((receiver, web.stop, place), |(mut receiver, stop, place)| async move {
        tokio::select! {
            changed = receiver.changed() => changed.ok()?,
            () = stop.cancelled() => return None,
        }
        let change = *receiver.borrow_and_update();
        let event = Event::default().event("change").data(change.to_string());
        Some((Ok(event), (receiver, stop, place)))
    })
}

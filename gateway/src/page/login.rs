//! Logging in: a password against a hash, a session as a random cookie in memory.
//!
//! Bounds: [`SESSIONS_MAX`] sessions of [`SESSION_LENGTH`], the oldest goes; one attempt at a time, and after a wrong one
//! the next has to wait for [`WRONG_PAUSE`], whoever makes it: a password of ten characters is out of reach, and a
//! technician in the sun is back in a second.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use axum::Form;
use axum::extract::{Query, State};
use axum::http::header::{COOKIE, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{AppendHeaders, Html, IntoResponse, Redirect, Response};
use base64::Engine;
use rand::Rng;
use serde::Deserialize;
use subtle::ConstantTimeEq;
use tokio::time::Instant;

use super::password::Hash;
use super::{PageQuery, Shared, view};

/// Sessions at once.
const SESSIONS_MAX: usize = 64;
/// How long a session lasts.
const SESSION_LENGTH: Duration = Duration::from_secs(12 * 3_600);
/// Pause after a wrong password.
const WRONG_PAUSE: Duration = Duration::from_secs(1);
/// Name of the cookie.
const COOKIE_NAME: &str = "session";

/// Who is logged in.
pub(super) struct Login {
    hash: Hash,
    sessions: Mutex<Vec<(String, Instant)>>,
    attempt: tokio::sync::Mutex<()>,
}

impl Login {
    pub fn new(hash: Hash) -> Self {
        Self {
            hash,
            sessions: Mutex::default(),
            attempt: tokio::sync::Mutex::new(()),
        }
    }

    /// Whether a request shows a session that is running.
    pub fn knows(&self, headers: &HeaderMap) -> bool {
        let Some(shown) = shown(headers) else { return false };
        let sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |(known, since): &(String, Instant)| {
            since.elapsed() < SESSION_LENGTH && bool::from(known.as_bytes().ct_eq(shown.as_bytes()))
        };
        sessions.iter().any(is_it)
    }

    fn open(&self) -> String {
        let random: [u8; 32] = rand::rng().random();
        let name = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random);
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.retain(|(_, since)| since.elapsed() < SESSION_LENGTH);
        if sessions.len() >= SESSIONS_MAX {
            sessions.remove(0);
        }
        sessions.push((name.clone(), Instant::now()));
        name
    }

    fn close(&self, headers: &HeaderMap) {
        if let Some(shown) = shown(headers) {
            let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
            sessions.retain(|(known, _)| known != shown);
        }
    }
}

fn shown(headers: &HeaderMap) -> Option<&str> {
    let cookies = headers.get_all(COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut pairs = cookies.flat_map(|cookies| cookies.split(';')).filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(name, _)| *name == COOKIE_NAME).map(|(_, value)| value)
}

/// The form.
pub(super) async fn form(State(page): State<Shared>, Query(query): Query<PageQuery>) -> Html<String> {
    Html(view::login(&page.gateway, query.language(), false))
}

/// What the form sends.
#[derive(Deserialize)]
pub(super) struct Sent {
    password: String,
}

/// Takes the form.
pub(super) async fn log_in(
    State(page): State<Shared>,
    Query(query): Query<PageQuery>,
    Form(sent): Form<Sent>,
) -> Response {
    let language = query.language();
    let checked = {
        let _one_at_a_time = page.login.attempt.lock().await;
        let hash = page.login.hash.clone();
        let checked = tokio::task::spawn_blocking(move || hash.is_of(&sent.password)).await;
        let is_right = checked.unwrap_or(false);
        if !is_right {
            tracing::warn!("a wrong password for the box's page");
            tokio::time::sleep(WRONG_PAUSE).await;
        }
        is_right
    };
    if !checked {
        return (StatusCode::FORBIDDEN, Html(view::login(&page.gateway, language, true))).into_response();
    }
    let session = page.login.open();
    let seconds = SESSION_LENGTH.as_secs();
    let cookie = format!("{COOKIE_NAME}={session}; HttpOnly; SameSite=Strict; Path=/; Max-Age={seconds}");
    let to = format!("/{}", view::query(language));
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to(&to)).into_response()
}

/// Ends a session.
pub(super) async fn log_out(State(page): State<Shared>, headers: HeaderMap) -> Response {
    page.login.close(&headers);
    let cookie = format!("{COOKIE_NAME}=; HttpOnly; SameSite=Strict; Path=/; Max-Age=0");
    (AppendHeaders([(SET_COOKIE, cookie)]), Redirect::to("/login")).into_response()
}

/// Whether a WebSocket was opened by this very page: a browser tells where a script came from.
pub(super) fn is_same_origin(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    match (text("origin"), text("host")) {
        (Some(origin), Some(host)) => origin.split_once("://").is_some_and(|(_, from)| from == host),
        // A program that is no browser, with a session of its own.
        (None, _) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_password(password: &str) -> Login {
        Login::new(Hash::of(password, [1; 16]).unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn only_a_session_that_was_opened_is_known_and_closing_ends_it() {
        let login = with_password("kunci-simpang");
        let session = login.open();
        let mine = headers(&[("cookie", &format!("a=b; session={session}"))]);
        assert!(login.knows(&mine));
        assert!(!login.knows(&headers(&[("cookie", "session=guess")])));
        assert!(!login.knows(&HeaderMap::new()));
        login.close(&mine);
        assert!(!login.knows(&mine));
    }

    #[test]
    fn the_oldest_session_gives_way() {
        let login = with_password("kunci-simpang");
        let first = login.open();
        for _ in 0..SESSIONS_MAX {
            login.open();
        }
        assert!(!login.knows(&headers(&[("cookie", &format!("session={first}"))])));
        assert_eq!(login.sessions.lock().unwrap().len(), SESSIONS_MAX);
    }

    #[test]
    fn a_script_from_elsewhere_opens_no_socket() {
        assert!(is_same_origin(&headers(&[("origin", "http://box:8080"), ("host", "box:8080")])));
        assert!(!is_same_origin(&headers(&[("origin", "http://evil.example"), ("host", "box:8080")])));
        assert!(is_same_origin(&headers(&[("host", "box:8080")])));
    }
}

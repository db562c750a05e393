//! The HTTP side of a made-up camera.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::State as Shared;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use gateway::xml::Element;
use jiff::Timestamp;
use md5::{Digest, Md5};
use sha1::Sha1;

use super::{Auth, PASSWORD, Quirk, Settings, USER, present, replies};

/// How far a token's time may be off the camera's clock, seconds.
const TOKEN_SECONDS_MAX: i64 = 5;
const REALM: &str = "kamera";

pub struct State {
    pub settings: Settings,
    pub port: u16,
    pub proofs: Arc<AtomicU32>,
    pub requests: Arc<AtomicU32>,
    pub nonce: AtomicU32,
}

pub fn router(state: State) -> axum::Router {
    axum::Router::new().fallback(answer).with_state(Arc::new(state))
}

async fn answer(Shared(state): Shared<Arc<State>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    state.requests.fetch_add(1, Ordering::SeqCst);
    let settings = &state.settings;
    let root = Element::parse(&body, 1 << 16).unwrap();
    let action = root.child("Body").unwrap().children()[0].name().to_owned();
    match settings.quirk {
        Quirk::Slow => tokio::time::sleep(Duration::from_secs(600)).await,
        Quirk::Huge => return endless(),
        Quirk::Redirect => return (StatusCode::FOUND, [("Location", "http://127.0.0.1:9/")]).into_response(),
        _ => {}
    }
    if let Some(refusal) = state.refuse(&action, &uri, &headers, &root) {
        return refusal;
    }
    let (status, mut text) = state.reply(&action, &uri, &root);
    match settings.quirk {
        Quirk::Malformed => text.truncate(text.len() / 2),
        Quirk::Entities => text = text.replacen("?>", "?><!DOCTYPE x [<!ENTITY a 'aaaaaaaaaa'>]>", 1),
        _ => {}
    }
    (status, [("Content-Type", "application/soap+xml; charset=utf-8")], text).into_response()
}

/// More than anyone reads, with no length told.
fn endless() -> Response {
    let chunks = std::iter::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'<'; 4_096])));
    Body::from_stream(stream(chunks.take(10_000))).into_response()
}

fn stream<T>(items: impl Iterator<Item = T> + Unpin + Send + 'static) -> impl futures::Stream<Item = T> + Send {
    futures::stream::iter(items)
}

impl State {
    fn reply(&self, action: &str, uri: &Uri, root: &Element) -> (StatusCode, String) {
        let settings = &self.settings;
        let host = settings
            .says_host
            .clone()
            .unwrap_or_else(|| settings.address.to_string());
        let base = format!("http://{host}:{}", settings.says_port.unwrap_or(self.port));
        let media2 = uri.path().ends_with("media2");
        let unknown = || {
            (
                StatusCode::BAD_REQUEST,
                replies::fault(settings, "ActionNotSupported", "unknown action"),
            )
        };
        if (settings.quirk == Quirk::Fault && action != "GetSystemDateAndTime")
            || (settings.quirk == Quirk::NoServices && action == "GetServices")
            || (settings.quirk == Quirk::BrokenMedia2 && media2)
        {
            return unknown();
        }
        let token = root.find("ProfileToken").map(Element::text).unwrap_or_default();
        let text = match action {
            "GetSystemDateAndTime" => replies::time(settings, self.time()),
            "GetDeviceInformation" => replies::information(settings),
            "GetServices" => replies::services(settings, &base),
            "GetCapabilities" => replies::capabilities(settings, &base),
            "GetProfiles" => replies::profiles(settings, media2),
            "GetStreamUri" => {
                let (login, path) = (&settings.stream_login, &settings.stream_path);
                let stream = format!("rtsp://{login}{host}:554{path}/{token}?a=1&amp;b=2");
                replies::uri(settings, action, &stream, media2)
            }
            _ => return unknown(),
        };
        (StatusCode::OK, text)
    }

    fn time(&self) -> Timestamp {
        present() + self.settings.clock_offset
    }

    /// What is answered instead, when the password was not proven.
    fn refuse(&self, action: &str, uri: &Uri, headers: &HeaderMap, root: &Element) -> Option<Response> {
        let open = matches!(action, "GetSystemDateAndTime" | "GetServices" | "GetCapabilities");
        let settings = &self.settings;
        let header = headers
            .get("authorization")
            .map(|value| value.to_str().unwrap().to_owned());
        if header.is_some() || root.find("UsernameToken").is_some() {
            self.proofs.fetch_add(1, Ordering::SeqCst);
        }
        let refused = || replies::fault(settings, "NotAuthorized", "the sender is not authorized");
        match settings.auth {
            Auth::None => None,
            Auth::Token | Auth::Digest | Auth::DigestOnce | Auth::Basic if open => None,
            Auth::Token | Auth::TokenAlways => {
                let good = root
                    .find("UsernameToken")
                    .is_some_and(|token| self.token_is_good(token));
                (!good).then(|| (StatusCode::BAD_REQUEST, refused()).into_response())
            }
            Auth::Basic => Some(challenge("Basic realm=\"kamera\"".to_owned())),
            Auth::Digest | Auth::DigestOnce => {
                let nonce = format!("nonce-{}", self.nonce.load(Ordering::SeqCst));
                let good = header.is_some_and(|header| digest_is_good(&header, &nonce, uri.path()));
                if settings.auth == Auth::DigestOnce || !good {
                    self.nonce.fetch_add(1, Ordering::SeqCst);
                }
                let nonce = format!("nonce-{}", self.nonce.load(Ordering::SeqCst));
                let digest = format!("Digest realm=\"{REALM}\", qop=\"auth\", nonce=\"{nonce}\", algorithm=MD5");
                (!good).then(|| challenge(digest))
            }
        }
    }

    fn token_is_good(&self, token: &Element) -> bool {
        let created = token.child_text("Created").unwrap();
        let off = self.time().duration_since(created.parse().unwrap()).as_secs();
        let nonce = BASE64_STANDARD.decode(token.child_text("Nonce").unwrap()).unwrap();
        assert!(nonce.len() >= 16);
        let digest = Sha1::new()
            .chain_update(nonce)
            .chain_update(created)
            .chain_update(PASSWORD)
            .finalize();
        token.child_text("Username") == Some(USER)
            && token.child_text("Password") == Some(&BASE64_STANDARD.encode(digest))
            && off.abs() <= TOKEN_SECONDS_MAX
    }
}

fn challenge(text: String) -> Response {
    (StatusCode::UNAUTHORIZED, [("WWW-Authenticate", text)], "").into_response()
}

fn md5(text: &str) -> String {
    let bytes: [u8; 16] = Md5::digest(text).into();
    format!("{:032x}", u128::from_be_bytes(bytes))
}

fn digest_is_good(header: &str, nonce: &str, path: &str) -> bool {
    let challenges = http_auth::parse_challenges(header).unwrap();
    let field = |name: &str| {
        let found = challenges[0]
            .params
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.to_unescaped()).unwrap_or_default()
    };
    let user = md5(&format!("{USER}:{REALM}:{PASSWORD}"));
    let request = md5(&format!("POST:{path}"));
    let expected = md5(&format!(
        "{user}:{nonce}:{}:{}:auth:{request}",
        field("nc"),
        field("cnonce")
    ));
    field("username") == USER && field("nonce") == nonce && field("uri") == path && field("response") == expected
}

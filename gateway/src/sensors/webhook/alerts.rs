//! `POST /v1/hikvision/CAMERA/TOKEN`: alerts that a camera posts, as multipart, XML or JSON. Cameras can be told an address and
//! nothing else, so the token is a part of it.

use axum::http::{HeaderMap, StatusCode, header};

use super::Refusal;
use crate::sensors::attached::hikvision::alert::Alert;
use crate::sensors::attached::hikvision::parts::Parts;
use crate::sensors::attached::hikvision::{Post, Postbox};

/// Longest body, bytes: alerts come with pictures.
pub(super) const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

const USAGE: &str = "let the camera post its alarms, as XML or JSON, to /v1/hikvision/CAMERA/TOKEN";

/// A post of the camera of this name.
pub(super) fn post(postbox: Option<&Postbox>, name: &str) -> Result<Post, Refusal> {
    let found = postbox.and_then(|postbox| postbox.post(name));
    found.ok_or_else(|| {
        let hint = "bind a sensor of transport hikvision to it in the configuration of this box, without isapi";
        Refusal::new(StatusCode::NOT_FOUND, "no camera of this name posts here", hint)
    })
}

/// The alerts of a body, at least one.
pub(super) fn read(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Alert>, Refusal> {
    let refuse = |error: String| Refusal::new(StatusCode::BAD_REQUEST, error, USAGE);
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let texts = match content_type.and_then(Parts::boundary_of) {
        None => vec![body.to_vec()],
        Some(boundary) => {
            let mut parts = Parts::new(boundary);
            let mut texts = parts.push(body).map_err(|error| refuse(error.to_string()))?;
            texts.extend(parts.end());
            texts
        }
    };
    let alerts: Result<Vec<Alert>, Refusal> = texts
        .iter()
        .map(|text| Alert::parse(text).map_err(|error| refuse(error.to_string())))
        .collect();
    let alerts = alerts?;
    if alerts.is_empty() {
        return Err(refuse("the body holds no alert".to_owned()));
    }
    Ok(alerts)
}

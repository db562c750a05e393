//! The event stream of one camera: a request whose answer does not end.

use std::time::Duration;

use http_auth::{DigestClient, PasswordParams, parse_challenges};
use parking::CameraId;
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::super::super::backoff::Backoff;
use super::super::cause;
use super::parts::Parts;
use super::{Alert, Heard};
use crate::cameras::wire::Credentials;

/// Where a camera's events are.
const PATH: &str = "/ISAPI/Event/notification/alertStream";
/// Longest wait for a camera to answer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(10);
/// Parts in a row that are no alerts, before it is no stream of them.
const UNREADABLE_MAX: u32 = 16;
/// Waits before a camera is tried again.
const WAIT_MIN: Duration = Duration::from_secs(1);
const WAIT_MAX: Duration = Duration::from_mins(1);
/// Before a login that was refused is tried again: cameras lock an account after some.
const REFUSED_WAIT: Duration = Duration::from_mins(30);

/// A camera's stream.
pub(super) struct Stream {
    camera: CameraId,
    address: String,
    login: Option<Credentials>,
    /// A camera that says nothing for so long, not even that nothing is, has gone.
    silence_max: Duration,
}

/// The digest challenge of a refusal, if there is one that can be answered.
fn digest_of(response: &reqwest::Response) -> Option<DigestClient> {
    let values = response.headers().get_all(WWW_AUTHENTICATE).iter();
    let mut challenges = values
        .filter_map(|value| parse_challenges(value.to_str().ok()?).ok())
        .flatten();
    challenges.find_map(|challenge| DigestClient::try_from(&challenge).ok())
}

/// Why a stream is over.
enum Ended {
    /// The login; it is not tried again soon.
    Refused(String),
    Failed(String),
}

impl Stream {
    pub(super) fn new(camera: CameraId, address: String, login: Option<Credentials>, silence_max: Duration) -> Self {
        Self {
            camera,
            address,
            login,
            silence_max,
        }
    }

    /// Reads alerts, and tells when there is no stream, until nobody takes them any more.
    pub(super) async fn read_for_ever(self, heard: mpsc::Sender<(CameraId, Heard)>) {
        let mut backoff = Backoff::new(WAIT_MIN, WAIT_MAX);
        while !heard.is_closed() {
            let mut has_spoken = false;
            let ended = self.read(&heard, &mut has_spoken).await;
            if has_spoken {
                backoff.reset();
            }
            let (reason, wait) = match ended {
                Ended::Refused(reason) => (reason, REFUSED_WAIT),
                Ended::Failed(reason) => (reason, backoff.next_wait()),
            };
            if heard.send((self.camera.clone(), Heard::Nothing(reason))).await.is_err() {
                return;
            }
            tokio::time::sleep(wait).await;
        }
    }

    async fn read(&self, heard: &mpsc::Sender<(CameraId, Heard)>, has_spoken: &mut bool) -> Ended {
        let mut response = match self.open().await {
            Ok(response) => response,
            Err(ended) => return ended,
        };
        let content_type = response
            .headers()
            .get(CONTENT_TYPE)
            .and_then(|value| value.to_str().ok());
        let Some(boundary) = content_type.and_then(Parts::boundary_of) else {
            return self.failed("answers with something else than a stream of events; is it a camera with ISAPI?");
        };
        let (mut parts, mut spoken, mut unreadable) = (Parts::new(boundary), Instant::now(), 0);
        loop {
            // Bytes that are no alert are no sign of life.
            let left = self.silence_max.saturating_sub(spoken.elapsed());
            let chunk = match timeout(left, response.chunk()).await {
                Ok(Ok(Some(chunk))) => chunk,
                Ok(Ok(None)) => return self.failed("has ended its stream of events"),
                Ok(Err(error)) => return self.failed(&format!("broke off: {}", crate::xml::label(&cause(&error)))),
                Err(_) => return self.failed(&format!("has said nothing for {} s", self.silence_max.as_secs())),
            };
            let whole = match parts.push(&chunk) {
                Ok(whole) => whole,
                Err(error) => return self.failed(&format!("sends no stream of events: {error}")),
            };
            for part in whole {
                let alert = match Alert::parse(&part) {
                    Ok(alert) => alert,
                    // Some other feature of the camera; what it shows of spaces is not less true.
                    Err(error) if unreadable < UNREADABLE_MAX => {
                        unreadable += 1;
                        let odd = Heard::Odd(error.to_string());
                        if heard.send((self.camera.clone(), odd)).await.is_err() {
                            return self.failed("is not needed any more");
                        }
                        continue;
                    }
                    Err(error) => return self.failed(&format!("sends no events: {error}")),
                };
                (spoken, unreadable) = (Instant::now(), 0);
                *has_spoken = true;
                if heard.send((self.camera.clone(), Heard::Alert(alert))).await.is_err() {
                    return self.failed("is not needed any more");
                }
            }
        }
    }

    fn failed(&self, what: &str) -> Ended {
        Ended::Failed(format!("the camera at {} {what}", self.address))
    }

    /// Asks; and once more with the password, if the camera wants it.
    async fn open(&self) -> Result<reqwest::Response, Ended> {
        let client = reqwest::Client::builder()
            .connect_timeout(ANSWER_TIME_MAX)
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|error| self.failed(&error.to_string()))?;
        let first = self.ask(&client, None).await?;
        if first.status() != StatusCode::UNAUTHORIZED {
            return self.accepted(first);
        }
        let Some(login) = &self.login else {
            let reason = "wants user and password: write them into the file that video.secrets_file names";
            return Err(Ended::Refused(format!("the camera at {} {reason}", self.address)));
        };
        let Some(mut digest) = digest_of(&first) else {
            let reason = "offers no digest login: set its web authentication to digest";
            return Err(Ended::Refused(format!("the camera at {} {reason}", self.address)));
        };
        let proof = digest.respond(&PasswordParams {
            username: &login.user,
            password: &login.password,
            uri: PATH,
            method: "GET",
            body: Some(&[]),
        });
        let proof = proof.map_err(|error| self.failed(&format!("cannot be logged in to: {error}")))?;
        let second = self.ask(&client, Some(proof)).await?;
        if second.status() == StatusCode::UNAUTHORIZED {
            if digest_of(&second).is_some_and(|digest| digest.stale()) {
                return Err(self.failed("forgot what it asked: it is busy, or was started just now"));
            }
            let reason = format!(
                "refused user or password; it is tried again in {} minutes, because more tries lock the account",
                REFUSED_WAIT.as_secs() / 60
            );
            return Err(Ended::Refused(format!("the camera at {} {reason}", self.address)));
        }
        self.accepted(second)
    }

    fn accepted(&self, response: reqwest::Response) -> Result<reqwest::Response, Ended> {
        if response.status().is_success() {
            return Ok(response);
        }
        let status = response.status().as_u16();
        Err(self.failed(&format!(
            "answers with status {status}; is it a camera with ISAPI, and may this user see events?"
        )))
    }

    async fn ask(&self, client: &reqwest::Client, proof: Option<String>) -> Result<reqwest::Response, Ended> {
        let mut request = client.get(format!("http://{}{PATH}", self.address));
        if let Some(proof) = proof {
            request = request.header(AUTHORIZATION, proof);
        }
        match timeout(ANSWER_TIME_MAX, request.send()).await {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(error)) => Err(self.failed(&format!("is not reached: {}", crate::xml::label(&cause(&error))))),
            Err(_) => Err(self.failed("does not answer")),
        }
    }
}

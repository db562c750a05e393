//! Talks SOAP over HTTP to one camera.
//!
//! Limits: a reply is at most [`REPLY_BYTES_MAX`] long; every request has the caller's time limit; redirects are not
//! followed and no proxy is used, so that nothing goes to another host than the one that was reached.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, WWW_AUTHENTICATE};
use url::{Position, Url};

use super::login::{Login, LoginError, Proof, Reply, Verdict};
use super::soap::{Credentials, Fault, envelope, username_token};
use crate::xml::{Element, XmlError};

/// Longest reply, bytes. Reading stops there and the request fails.
pub const REPLY_BYTES_MAX: usize = 1024 * 1024;
/// Most times that one request is sent: without proof, with it, with a renewed nonce. After that it fails.
const SENDINGS_MAX: usize = 3;
/// Longest time to connect. In a local network it takes milliseconds; an address where nothing is never answers.
const CONNECT_TIMEOUT_MAX: Duration = Duration::from_secs(2);
/// Most `WWW-Authenticate` headers that are read. The rest is left out.
const CHALLENGES_MAX: usize = 8;

/// Gives the present time of the box.
pub type Now = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// Why a request to a camera failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The connection, or the HTTP in it.
    #[error("no answer from {url}: {problem}")]
    Unreachable {
        /// Where it went.
        url: String,
        /// Why, down to the cause.
        problem: String,
    },
    /// The address is one of HTTPS.
    #[error(
        "{url} is HTTPS only\n  hint: allow plain HTTP for ONVIF in the camera; the login stays secret, as a digest"
    )]
    Https {
        /// The address.
        url: String,
    },
    /// The reply is longer than [`REPLY_BYTES_MAX`].
    #[error("the reply of {url} is longer than {REPLY_BYTES_MAX} bytes")]
    TooLong {
        /// Where it went.
        url: String,
    },
    /// The reply is no XML that is read.
    #[error("the reply of {url} cannot be read: {source}")]
    Xml {
        /// Where it went.
        url: String,
        /// Why.
        source: XmlError,
    },
    /// The HTTP status says no, and there is no SOAP fault that says why.
    #[error("{url} answered with HTTP status {status}{}", hint(*status))]
    Status {
        /// Where it went.
        url: String,
        /// The status.
        status: u16,
    },
    /// The camera says why it does not do this.
    #[error("{url} answered with a fault: {fault}")]
    Fault {
        /// Where it went.
        url: String,
        /// What it said.
        fault: Fault,
    },
    /// The reply lacks what was asked for.
    #[error("the reply of {url} has no {what}")]
    Incomplete {
        /// Where it went.
        url: String,
        /// What is missing.
        what: &'static str,
    },
    /// The login.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl RequestError {
    /// Whether nothing more is to be had from this camera.
    pub fn is_final(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Https { .. } => true,
            Self::Login(error) => *error != LoginError::NotAllowed,
            _ => false,
        }
    }
}

fn hint(status: u16) -> &'static str {
    match status {
        301 | 302 | 307 | 308 => {
            "\n  hint: it sends elsewhere, perhaps to HTTPS; allow plain HTTP for ONVIF in the camera"
        }
        403 => "\n  hint: the camera may let in only certain addresses, or have locked this one",
        404 => {
            "\n  hint: there may be no ONVIF, or it is switched off; look under integration in the camera's settings"
        }
        _ => "",
    }
}

/// The connection to one camera.
pub struct Client {
    http: reqwest::Client,
    login: Login,
    now: Now,
    clock_offset: SignedDuration,
}

/// Makes the HTTP client that all cameras share. `timeout` limits each request as a whole.
pub fn http_client(timeout: Duration) -> Result<reqwest::Client, reqwest::Error> {
    let builder = reqwest::Client::builder()
        .timeout(timeout)
        .connect_timeout(timeout.min(CONNECT_TIMEOUT_MAX));
    builder.no_proxy().redirect(reqwest::redirect::Policy::none()).build()
}

impl Client {
    /// Starts without proof of the password, and with the camera's clock taken to be right.
    pub fn new(http: reqwest::Client, credentials: Option<Credentials>, now: Now) -> Self {
        Self {
            http,
            login: Login::new(credentials),
            now,
            clock_offset: SignedDuration::ZERO,
        }
    }

    /// The present time of the box.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// Sets how far the camera's clock is ahead of the box's.
    pub fn set_clock_offset(&mut self, offset: SignedDuration) {
        self.clock_offset = offset;
    }

    /// Sends `body` to `url`, and gives the SOAP body of the reply.
    pub async fn call(&mut self, url: &Url, body: &str) -> Result<Element, RequestError> {
        if url.scheme() != "http" {
            return Err(RequestError::Https { url: url.to_string() });
        }
        for _ in 0..SENDINGS_MAX {
            let sent = self.send(url, body).await?;
            let fault = sent.root.as_ref().ok().and_then(Fault::find);
            let reply = Reply {
                status: sent.status.as_u16(),
                challenges: &sent.challenges,
                fault: fault.as_ref(),
            };
            match self.login.judge(reply) {
                Verdict::Again => {}
                Verdict::Fail(error) => return Err(error.into()),
                Verdict::Accept => return sent.accepted(url, fault),
            }
        }
        Err(LoginError::Refused.into())
    }

    async fn send(&mut self, url: &Url, body: &str) -> Result<Sent, RequestError> {
        let path = &url[Position::BeforePath..Position::AfterQuery];
        let plain = envelope(None, body);
        let (message, authorization) = match self.login.proof(path, &plain)? {
            Proof::None => (plain, None),
            Proof::Digest(header) => (plain, Some(header)),
            Proof::Token(credentials) => {
                let created = (self.now)().saturating_add(self.clock_offset).unwrap_or(Timestamp::MAX);
                let token = username_token(credentials, rand::random(), created);
                (envelope(Some(&token), body), None)
            }
        };
        let mut request = self.http.post(url.clone()).body(message);
        request = request.header(CONTENT_TYPE, "application/soap+xml; charset=utf-8");
        if let Some(header) = authorization {
            request = request.header(AUTHORIZATION, header);
        }
        let response = request.send().await.map_err(|error| unreachable(url, &error))?;
        Sent::read(response, url).await
    }
}

/// A reply as it came.
struct Sent {
    status: StatusCode,
    challenges: Vec<String>,
    root: Result<Element, XmlError>,
}

impl Sent {
    async fn read(mut response: reqwest::Response, url: &Url) -> Result<Self, RequestError> {
        let status = response.status();
        let headers = response.headers().get_all(WWW_AUTHENTICATE).iter();
        let challenges = headers.filter_map(|value| value.to_str().ok()).take(CHALLENGES_MAX);
        let challenges = challenges.map(str::to_owned).collect();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| unreachable(url, &error))? {
            if bytes.len().saturating_add(chunk.len()) > REPLY_BYTES_MAX {
                return Err(RequestError::TooLong { url: url.to_string() });
            }
            bytes.extend_from_slice(&chunk);
        }
        let root = Element::parse(&bytes, REPLY_BYTES_MAX);
        Ok(Self {
            status,
            challenges,
            root,
        })
    }

    fn accepted(self, url: &Url, fault: Option<Fault>) -> Result<Element, RequestError> {
        let url = url.to_string();
        if let Some(fault) = fault {
            return Err(RequestError::Fault { url, fault });
        }
        if !self.status.is_success() {
            let status = self.status.as_u16();
            return Err(RequestError::Status { url, status });
        }
        self.root.map_err(|source| RequestError::Xml { url, source })
    }
}

fn unreachable(url: &Url, error: &reqwest::Error) -> RequestError {
    let problem = if error.is_timeout() {
        "it took too long".to_owned()
    } else {
        let mut cause: &dyn std::error::Error = error;
        while let Some(deeper) = cause.source() {
            cause = deeper;
        }
        crate::xml::label(&cause.to_string())
    };
    RequestError::Unreachable {
        url: url.to_string(),
        problem,
    }
}

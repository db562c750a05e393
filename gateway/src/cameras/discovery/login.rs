//! Which proof of the password goes with a request, and what a refusal means. Pure.
//!
//! A camera that is asked wrongly a few times locks the account, or the box's address, for half an hour. So the first
//! request goes without any proof; only when it is refused, one proof is sent: HTTP Digest (RFC 7616) if the camera
//! offers it, else a `UsernameToken`. If that is refused too, nothing more is sent to this camera. Once a proof was
//! accepted, a refusal can only mean that the nonce has run out, or that the user may not do this.

use http_auth::{DigestClient, PasswordParams, parse_challenges};

use super::soap::{Credentials, Fault};

/// Why a login went wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// The camera wants a user, and none was given.
    #[error("the camera wants user and password\n  hint: give them with --user and --password-file")]
    Needed,
    /// The camera refused user or password. They were sent once.
    #[error(
        "the camera refused user or password\n  hint: check them, and that the camera has an ONVIF user of this name: \
         several makers keep ONVIF users apart from those of the web page; it was tried once, as more tries lock the \
         account"
    )]
    Refused,
    /// The camera says that the account is locked.
    #[error(
        "the camera has locked the account: {0}\n  hint: wait half an hour, or restart the camera, before trying again"
    )]
    Locked(String),
    /// The login is right, but this user may not do this.
    #[error("the user may not do this\n  hint: give the user the right to view, or take an operator")]
    NotAllowed,
    /// The camera offers nothing that keeps the password secret.
    #[error(
        "the camera offers only the login methods \"{0}\"\n  hint: set its authentication to digest; with basic the \
         password would cross the network in the clear"
    )]
    Unsupported(String),
}

/// What to do with a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is the answer.
    Accept,
    /// Send the request once more.
    Again,
    /// Give up.
    Fail(LoginError),
}

/// How the next request proves the password.
#[derive(Debug)]
pub enum Proof<'a> {
    /// Not at all.
    None,
    /// By a `UsernameToken` in the message.
    Token(&'a Credentials),
    /// By this `Authorization` header.
    Digest(String),
}

/// A reply as far as it matters here.
#[derive(Debug, Clone, Copy)]
pub struct Reply<'a> {
    /// The HTTP status.
    pub status: u16,
    /// The values of all `WWW-Authenticate` headers.
    pub challenges: &'a [String],
    /// The fault in the message.
    pub fault: Option<&'a Fault>,
}

#[derive(Debug)]
enum Method {
    Open,
    Token,
    Digest(Box<DigestClient>),
}

/// The login to one camera.
#[derive(Debug)]
pub struct Login {
    credentials: Option<Credentials>,
    method: Method,
    /// A proof was accepted.
    proven: bool,
    /// The request under way was sent again already.
    renewed: bool,
    /// Why nothing more is sent.
    given_up: Option<LoginError>,
}

impl Login {
    /// Starts without any proof.
    pub fn new(credentials: Option<Credentials>) -> Self {
        Self {
            credentials,
            method: Method::Open,
            proven: false,
            renewed: false,
            given_up: None,
        }
    }

    /// The proof for a POST to `path`, or why none may be sent any more.
    pub fn proof(&mut self, path: &str, body: &str) -> Result<Proof<'_>, LoginError> {
        if let Some(error) = &self.given_up {
            return Err(error.clone());
        }
        let Some(credentials) = &self.credentials else {
            return Ok(Proof::None);
        };
        match &mut self.method {
            Method::Open => Ok(Proof::None),
            Method::Token => Ok(Proof::Token(credentials)),
            Method::Digest(client) => {
                let parameters = PasswordParams {
                    username: &credentials.user,
                    password: &credentials.password,
                    uri: path,
                    method: "POST",
                    body: Some(body.as_bytes()),
                };
                client
                    .respond(&parameters)
                    .map(Proof::Digest)
                    .map_err(LoginError::Unsupported)
            }
        }
    }

    /// Judges the reply to the request that carried the last proof.
    pub fn judge(&mut self, reply: Reply<'_>) -> Verdict {
        if let Some(fault) = reply.fault.filter(|fault| fault.locked()) {
            return self.give_up(LoginError::Locked(fault.reason.clone()));
        }
        if reply.status != 401 && !reply.fault.is_some_and(Fault::refuses_login) {
            self.renewed = false;
            // Success shows that the proof is good; a fault, that the camera got as far as to the request.
            self.proven |= reply.status < 400 && !matches!(self.method, Method::Open);
            return Verdict::Accept;
        }
        let digests = digests(reply.challenges);
        match &self.method {
            Method::Open => self.choose(digests, &reply),
            Method::Digest(_) => match digests.into_iter().next() {
                Some(next) if !self.renewed && (self.proven || next.stale()) => {
                    self.renewed = true;
                    self.method = Method::Digest(Box::new(next));
                    Verdict::Again
                }
                _ => self.refused(),
            },
            Method::Token => self.refused(),
        }
    }

    fn choose(&mut self, digests: Vec<DigestClient>, reply: &Reply<'_>) -> Verdict {
        if self.credentials.is_none() {
            return Verdict::Fail(LoginError::Needed);
        }
        if let Some(client) = digests.into_iter().next() {
            self.method = Method::Digest(Box::new(client));
        } else if reply.challenges.is_empty() || reply.fault.is_some() {
            self.method = Method::Token;
        } else {
            let schemes = schemes(reply.challenges);
            return self.give_up(LoginError::Unsupported(schemes));
        }
        Verdict::Again
    }

    fn refused(&mut self) -> Verdict {
        self.renewed = false;
        if self.proven {
            return Verdict::Fail(LoginError::NotAllowed);
        }
        self.give_up(LoginError::Refused)
    }

    fn give_up(&mut self, error: LoginError) -> Verdict {
        self.given_up = Some(error.clone());
        Verdict::Fail(error)
    }
}

/// The digest challenges that can be answered, the camera's favourite first.
fn digests(challenges: &[String]) -> Vec<DigestClient> {
    let parsed = challenges.iter().filter_map(|value| parse_challenges(value).ok());
    let digests = parsed
        .flatten()
        .filter(|challenge| challenge.scheme.eq_ignore_ascii_case("digest"));
    digests
        .filter_map(|challenge| DigestClient::try_from(&challenge).ok())
        .collect()
}

fn schemes(challenges: &[String]) -> String {
    let words = challenges.iter().filter_map(|value| value.split_whitespace().next());
    crate::xml::label(&words.collect::<Vec<_>>().join(", "))
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;

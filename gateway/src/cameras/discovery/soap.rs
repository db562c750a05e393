//! SOAP 1.2 messages: envelopes, the WS-Security `UsernameToken`, faults. Pure.
//!
//! The token (OASIS WSS `UsernameToken` Profile 1.0, ONVIF Core 5.9.1) proves the password without sending it:
//! `PasswordDigest = base64(SHA-1(nonce + created + password))`. A camera refuses a `created` that is some seconds to
//! minutes off *its own* clock, so it is written in the camera's time.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use sha1::{Digest, Sha1};

use crate::xml::{Element, label};

/// Bytes of a token's nonce.
pub const NONCE_BYTES: usize = 16;

/// User and password for cameras.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

/// Wraps `body`, with `header` in the header if there is one.
pub fn envelope(header: Option<&str>, body: &str) -> String {
    let header = header.map(|header| format!("<s:Header>{header}</s:Header>"));
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\
         <s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\">{}<s:Body>{body}</s:Body></s:Envelope>",
        header.unwrap_or_default()
    )
}

/// Writes the `UsernameToken` for `credentials`; `created` is the camera's time.
pub fn username_token(credentials: &Credentials, nonce: [u8; NONCE_BYTES], created: Timestamp) -> String {
    let created = created.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    let digest = password_digest(&nonce, &created, &credentials.password);
    let namespace = "http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss";
    format!(
        "<w:Security s:mustUnderstand=\"1\" xmlns:w=\"{namespace}-wssecurity-secext-1.0.xsd\" \
         xmlns:u=\"{namespace}-wssecurity-utility-1.0.xsd\">\
         <w:UsernameToken><w:Username>{user}</w:Username>\
         <w:Password Type=\"{namespace}-username-token-profile-1.0#PasswordDigest\">{digest}</w:Password>\
         <w:Nonce EncodingType=\"{namespace}-soap-message-security-1.0#Base64Binary\">{nonce}</w:Nonce>\
         <u:Created>{created}</u:Created></w:UsernameToken></w:Security>",
        user = escaped(&credentials.user),
        nonce = BASE64_STANDARD.encode(nonce),
    )
}

fn password_digest(nonce: &[u8], created: &str, password: &str) -> String {
    let mut hash = Sha1::new();
    hash.update(nonce);
    hash.update(created);
    hash.update(password);
    BASE64_STANDARD.encode(hash.finalize())
}

/// Writes `text` as the content of an element.
pub fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Why a camera did not do what it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fault {
    /// The codes, outermost first, without prefixes: `Sender`, `NotAuthorized`.
    pub codes: Vec<String>,
    /// The reason in the camera's words.
    pub reason: String,
}

impl Fault {
    /// Finds the fault in a reply, of SOAP 1.2 or 1.1.
    pub fn find(root: &Element) -> Option<Self> {
        let fault = root.find("Fault")?;
        let values = fault.find_all("Value").into_iter().chain(fault.find_all("faultcode"));
        let codes = values.map(|value| {
            let code = value.text();
            label(code.rsplit_once(':').map_or(code, |(_, code)| code))
        });
        let reason = fault.find("Text").or_else(|| fault.find("faultstring"));
        Some(Self {
            codes: codes.take(4).collect(),
            reason: label(reason.map(Element::text).unwrap_or_default()),
        })
    }

    /// Whether it says that user or password are missing, wrong or not enough (ONVIF Core 5.8.2.4).
    pub fn refuses_login(&self) -> bool {
        let by_code = |code: &String| {
            let code = code.to_ascii_lowercase();
            matches!(
                code.as_str(),
                "notauthorized" | "failedauthentication" | "operationprohibited" | "invalidsecurity"
            )
        };
        let reason = self.reason.to_ascii_lowercase();
        let by_reason = ["not authorized", "unauthorized", "authorization", "authentication"];
        self.codes.iter().any(by_code) || by_reason.iter().any(|words| reason.contains(words))
    }

    /// Whether it says that the account is locked.
    pub fn locked(&self) -> bool {
        let reason = self.reason.to_ascii_lowercase();
        reason.contains("locked") || reason.contains("lockout")
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.codes.join("/"))?;
        if !self.reason.is_empty() {
            write!(f, " ({})", self.reason)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_sha1_over_nonce_created_and_password() {
        // The expected value was computed with Python's hashlib.
        let nonce: [u8; NONCE_BYTES] = std::array::from_fn(|i| u8::try_from(i).unwrap());
        let credentials = Credentials {
            user: "a<b&c".into(),
            password: "p@ss word".into(),
        };
        let token = username_token(&credentials, nonce, "2026-11-22T01:02:03Z".parse().unwrap());
        let token = Element::parse(token.replace("s:mustUnderstand", "must").as_bytes(), 4_096).unwrap();
        let token = token.find("UsernameToken").unwrap();
        assert_eq!(token.child_text("Username"), Some("a<b&c"));
        assert_eq!(token.child_text("Created"), Some("2026-11-22T01:02:03Z"));
        assert_eq!(token.child_text("Nonce"), Some("AAECAwQFBgcICQoLDA0ODw=="));
        assert_eq!(token.child_text("Password"), Some("LrvIBK2unEx8kQWL86HFhRmQ13w="));
    }

    #[test]
    fn credentials_do_not_show_the_password_in_a_log() {
        let credentials = Credentials {
            user: "admin".into(),
            password: "s3cret".into(),
        };
        let shown = format!("{credentials:?}");
        assert!(shown.contains("admin") && !shown.contains("s3cret"), "{shown}");
    }

    #[test]
    fn faults_of_both_versions_of_soap_are_read() {
        let newer = "<e><Fault><Code><Value>env:Sender</Value><Subcode><Value>ter:NotAuthorized</Value></Subcode></Code>\
                     <Reason><Text xml:lang='en'>no</Text></Reason></Fault></e>";
        let fault = Fault::find(&Element::parse(newer.as_bytes(), 4_096).unwrap()).unwrap();
        assert_eq!(fault.codes, ["Sender", "NotAuthorized"]);
        assert!(fault.refuses_login() && !fault.locked());
        let older = "<e><Fault><faultcode>s:Client</faultcode><faultstring>user is locked</faultstring></Fault></e>";
        let fault = Fault::find(&Element::parse(older.as_bytes(), 4_096).unwrap()).unwrap();
        assert_eq!(fault.to_string(), "Client (user is locked)");
        assert!(fault.locked() && !fault.refuses_login());
    }
}

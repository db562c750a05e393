//! The address of a stream: checked, and shown without any password.

use url::{Position, Url};

use crate::cameras::discovery::without_passwords;
use crate::commands::UsageError;

/// An address that can be tried.
#[derive(Debug)]
pub struct Address {
    url: Url,
}

const EXAMPLE: &str = "write it as in rtsp://192.168.1.64:554/Streaming/Channels/102";

impl Address {
    /// Refuses what is no RTSP, and what holds user and password, without repeating them.
    pub fn parse(text: &str) -> Result<Self, UsageError> {
        let refuse = |what: &str| Err(UsageError(format!("{what}\n  hint: {EXAMPLE}")));
        let Ok(url) = Url::parse(text) else {
            return refuse("this is no address of a stream");
        };
        match url.scheme() {
            "rtsp" => {}
            "rtsps" => return refuse("RTSP over TLS is not supported"),
            // What stands before the first colon may be a user name.
            "http" | "https" | "rtmp" | "rtp" | "udp" | "file" | "onvif" => {
                return refuse(&format!("{} is no RTSP", url.scheme()));
            }
            _ => return refuse("this is no address of a stream"),
        }
        if !url.username().is_empty() || url.password().is_some() {
            let hint = "give them as --user NAME --password-file FILE, where nobody else can read them";
            return Err(UsageError(format!(
                "the address holds a user name or password\n  hint: {hint}"
            )));
        }
        if url.host_str().is_none_or(str::is_empty) {
            return refuse("the address names no host");
        }
        Ok(Self { url })
    }

    /// As the camera is asked.
    pub fn url(&self) -> &str {
        self.url.as_str()
    }

    fn path(&self) -> &str {
        &self.url[Position::BeforePath..]
    }

    /// For people: some makers put a password into the path.
    pub fn shown(&self) -> String {
        format!(
            "{}{}",
            &self.url[..Position::BeforePath],
            without_passwords(self.path()).0
        )
    }

    /// A message of somebody else, without the passwords of this address.
    pub fn cleared(&self, message: &str) -> String {
        let (clear, removed) = without_passwords(self.path());
        if removed {
            message.replace(self.path(), &clear)
        } else {
            message.to_owned()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_tried_is_refused_without_repeating_a_password() {
        for text in [
            "192.168.1.64",
            "rtsp://",
            "rtsp:///live",
            "http://192.168.1.64/live",
            "rtsps://192.168.1.64/live",
            "admin:rahasia@192.168.1.64/live",
            "rtsp://admin:rahasia@192.168.1.64/live",
            "rtsp://rahasia@192.168.1.64/live",
        ] {
            let said = Address::parse(text).unwrap_err().to_string();
            assert!(said.contains("hint:") && !said.contains("rahasia"), "{said}");
        }
    }

    #[test]
    fn a_password_in_the_path_is_sent_and_not_shown() {
        let address = Address::parse("rtsp://10.0.0.9/user=admin_password=rahasia_channel=1.sdp?real_stream").unwrap();
        assert!(address.url().contains("rahasia"));
        let shown = "rtsp://10.0.0.9/user=admin_password=REMOVED_channel=1.sdp?real_stream";
        assert_eq!(address.shown(), shown);
        assert_eq!(
            address.cleared(&format!("404 for {}", address.url())),
            format!("404 for {shown}")
        );
    }
}

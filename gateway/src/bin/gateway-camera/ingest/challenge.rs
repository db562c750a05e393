//! Which ways of logging in a camera offers: `rtspsrc` says only that it was not let in, whether the password was wrong
//! or the camera asks for something that it does not know.

use std::time::Duration;

use gateway::cameras::wire::RTSP_PORT;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// How long the camera may take.
const TIMEOUT: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 4_096;

/// Whether the camera asks for a login in no way that `rtspsrc` of GStreamer 1.22 knows: Basic, and Digest with MD5.
/// `false` when it cannot be told. The question carries no login, so it costs none of the camera's tries.
pub(super) async fn is_foreign(url: &str) -> bool {
    let asked = tokio::time::timeout(TIMEOUT, ask(url)).await;
    matches!(asked, Ok(Some(answer)) if offers_only_others(&answer))
}

async fn ask(url: &str) -> Option<String> {
    let parsed = url::Url::parse(url).ok()?;
    let host = parsed.host_str()?.trim_matches(['[', ']']);
    let mut connection = TcpStream::connect((host, parsed.port().unwrap_or(RTSP_PORT)))
        .await
        .ok()?;
    let question = format!("DESCRIBE {parsed} RTSP/1.0\r\nCSeq: 1\r\nAccept: application/sdp\r\n\r\n");
    connection.write_all(question.as_bytes()).await.ok()?;
    let (mut answer, mut rest) = (Vec::new(), connection.take(ANSWER_BYTES_MAX));
    while !answer.windows(4).any(|end| end == b"\r\n\r\n") {
        if rest.read_buf(&mut answer).await.ok()? == 0 {
            break;
        }
    }
    Some(String::from_utf8_lossy(&answer).into_owned())
}

/// Whether an answer has challenges (RFC 2326, section 12.44; RFC 7616), and none of them is known.
fn offers_only_others(answer: &str) -> bool {
    let challenges = answer.lines().filter_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("www-authenticate")
            .then(|| value.trim().to_ascii_lowercase())
    });
    let mut is_any = false;
    for challenge in challenges {
        is_any = true;
        let is_other_digest = challenge.contains("sha-256") || challenge.contains("sha-512");
        if challenge.starts_with("basic") || (challenge.starts_with("digest") && !is_other_digest) {
            return false;
        }
    }
    is_any
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_known_way_is_enough() {
        let answer = |challenges: &str| format!("RTSP/1.0 401 Unauthorized\r\nCSeq: 1\r\n{challenges}\r\n");
        let sha256 = "WWW-Authenticate: Digest realm=\"a\", nonce=\"b\", algorithm=SHA-256\r\n";
        let md5 = "www-authenticate: Digest realm=\"a\", nonce=\"b\"\r\n";
        assert!(offers_only_others(&answer(sha256)));
        assert!(offers_only_others(&answer("WWW-Authenticate: Negotiate\r\n")));
        assert!(!offers_only_others(&answer(&format!("{sha256}{md5}"))));
        assert!(!offers_only_others(&answer("WWW-Authenticate: Basic realm=\"a\"\r\n")));
        assert!(
            !offers_only_others("RTSP/1.0 403 Forbidden\r\n\r\n"),
            "nothing is known"
        );
    }
}

//! Takes a multipart body apart as it comes (RFC 2046, section 5.1).
//!
//! A camera's event stream is one body without an end, so a part that tells its length is given as soon as it is there, and not
//! when the next one begins. Parts that tell no length end at the next boundary. Pictures are passed over.

/// Longest head of a part, bytes.
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Longest part that is kept, bytes.
const PART_BYTES_MAX: usize = 64 * 1024;
/// Most parts in one piece of a body, as it comes from the network.
const PARTS_MAX: usize = 64;
/// Longest part that is passed over, bytes: a picture.
const SKIPPED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A body that is no multipart, or holds too much.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PartsError {
    /// The head of a part does not end.
    #[error("the head of a part is longer than {} KiB", HEAD_BYTES_MAX / 1024)]
    Head,
    /// A part does not end.
    #[error("a part is longer than {} KiB", PART_BYTES_MAX / 1024)]
    Part,
    /// It is cut into too many.
    #[error("more than {PARTS_MAX} parts at once")]
    TooMany,
    /// A picture does not end.
    #[error("a picture is longer than {} MiB", SKIPPED_BYTES_MAX / 1024 / 1024)]
    Picture,
}

/// What comes next.
#[derive(Debug)]
enum Next {
    Boundary,
    Head,
    /// So many bytes; kept or not.
    Counted {
        left: usize,
        is_kept: bool,
    },
    /// Everything up to a boundary; kept or not.
    Open {
        passed: usize,
        is_kept: bool,
    },
}

/// A body that comes.
#[derive(Debug)]
pub struct Parts {
    boundary: Vec<u8>,
    buffer: Vec<u8>,
    next: Next,
    kept: Vec<u8>,
}

impl Parts {
    /// A body whose parts are divided by `boundary`, as the header says it.
    pub fn new(boundary: &str) -> Self {
        // Some cameras write the two dashes into the header too.
        let boundary = boundary.trim_start_matches("--");
        Self {
            boundary: format!("--{boundary}").into_bytes(),
            buffer: Vec::new(),
            next: Next::Boundary,
            kept: Vec::new(),
        }
    }

    /// The boundary of a content type, if it is that of a multipart.
    pub fn boundary_of(content_type: &str) -> Option<&str> {
        let (kind, parameters) = content_type.split_once(';')?;
        if !kind.trim().to_ascii_lowercase().starts_with("multipart/") {
            return None;
        }
        let values = parameters.split(';').filter_map(|parameter| parameter.split_once('='));
        let mut boundaries = values.filter(|(name, _)| name.trim().eq_ignore_ascii_case("boundary"));
        let boundary = boundaries.next()?.1.trim().trim_matches('"');
        (!boundary.is_empty()).then_some(boundary)
    }

    /// Takes the next bytes; gives the parts that are whole by them.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Vec<u8>>, PartsError> {
        self.buffer.extend_from_slice(bytes);
        let (mut whole, mut begun) = (Vec::new(), 0);
        while self.step(&mut whole)? {
            begun += usize::from(matches!(self.next, Next::Head));
            if begun > PARTS_MAX {
                return Err(PartsError::TooMany);
            }
        }
        Ok(whole)
    }

    /// The body is over: a last part without a length ends here.
    pub fn end(mut self) -> Option<Vec<u8>> {
        match self.next {
            Next::Open { is_kept: true, .. } => {
                self.kept.append(&mut self.buffer);
                Some(self.kept)
            }
            _ => None,
        }
    }

    /// Goes on by one; false when more bytes are needed.
    fn step(&mut self, whole: &mut Vec<Vec<u8>>) -> Result<bool, PartsError> {
        match self.next {
            Next::Boundary => {
                let Some(at) = find(&self.buffer, &self.boundary) else {
                    // A boundary may have begun.
                    let keep = self.buffer.len().min(self.boundary.len());
                    self.buffer.drain(..self.buffer.len() - keep);
                    return Ok(false);
                };
                self.buffer.drain(..at + self.boundary.len());
                self.next = Next::Head;
            }
            Next::Head => {
                let Some((head, end)) = head_of(&self.buffer) else {
                    if self.buffer.len() > HEAD_BYTES_MAX {
                        return Err(PartsError::Head);
                    }
                    return Ok(false);
                };
                self.next = body_of(&self.buffer[..head]);
                self.buffer.drain(..end);
                if let Next::Counted { left, is_kept } = self.next {
                    check(left, is_kept)?;
                }
            }
            Next::Counted { left, is_kept } => {
                let taken = left.min(self.buffer.len());
                self.pass(taken, is_kept);
                if taken < left {
                    let left = left - taken;
                    self.next = Next::Counted { left, is_kept };
                    return Ok(false);
                }
                self.give(is_kept, whole);
            }
            Next::Open { passed, is_kept } => {
                let end = find(&self.buffer, &self.boundary);
                let taken = end.unwrap_or_else(|| self.buffer.len().saturating_sub(self.boundary.len()));
                self.pass(taken, is_kept);
                let passed = passed + taken;
                check(passed, is_kept)?;
                if end.is_none() {
                    self.next = Next::Open { passed, is_kept };
                    return Ok(false);
                }
                self.give(is_kept, whole);
            }
        }
        Ok(true)
    }

    fn pass(&mut self, bytes: usize, is_kept: bool) {
        let passed = self.buffer.drain(..bytes);
        if is_kept {
            self.kept.extend(passed);
        }
    }

    fn give(&mut self, is_kept: bool, whole: &mut Vec<Vec<u8>>) {
        if is_kept {
            whole.push(std::mem::take(&mut self.kept));
        }
        self.next = Next::Boundary;
    }
}

fn check(bytes: usize, is_kept: bool) -> Result<(), PartsError> {
    match (is_kept, bytes) {
        (true, bytes) if bytes > PART_BYTES_MAX => Err(PartsError::Part),
        (false, bytes) if bytes > SKIPPED_BYTES_MAX => Err(PartsError::Picture),
        _ => Ok(()),
    }
}

/// The end of a head, and of the empty line after it.
fn head_of(buffer: &[u8]) -> Option<(usize, usize)> {
    // The end of the boundary's own line is the begin of the head.
    let buffer = &buffer[..buffer.len().min(HEAD_BYTES_MAX + 4)];
    let ends = [(&b"\r\n\r\n"[..], 4), (b"\n\n", 2)];
    ends.into_iter()
        .filter_map(|(end, length)| find(buffer, end).map(|at| (at, at + length)))
        .min()
}

fn body_of(head: &[u8]) -> Next {
    let head = String::from_utf8_lossy(head);
    let header = |wanted: &str| {
        let mut values = head.lines().filter_map(|line| line.split_once(':'));
        let found = values.find(|(name, _)| name.trim().eq_ignore_ascii_case(wanted));
        found.map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    // Alerts are XML or JSON; cameras send pictures and whatever else beside them.
    let is_text = |kind: String| ["xml", "json", "text/"].iter().any(|known| kind.contains(known));
    let is_kept = header("content-type").is_none_or(is_text);
    match header("content-length").and_then(|length| length.parse().ok()) {
        Some(left) => Next::Counted { left, is_kept },
        None => Next::Open { passed: 0, is_kept },
    }
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PUSH: &str = "--MIME_boundary\r\nContent-Disposition: form-data; name=\"alert.xml\"\r\nContent-Type: application/xml\r\n\
                        Content-Length: 9\r\n\r\n<one></o>\r\n--MIME_boundary\r\nContent-Type: image/jpeg\r\n\r\n\u{1}--MIME\u{2}\r\n\
                        --MIME_boundary\r\nContent-Type: text/xml\r\n\r\n<two/>\r\n--MIME_boundary--\r\n";

    fn texts(parts: Vec<Vec<u8>>) -> Vec<String> {
        let text = |part: Vec<u8>| String::from_utf8(part).unwrap().trim().to_owned();
        parts.into_iter().map(text).collect()
    }

    #[test]
    fn a_boundary_is_read_from_a_content_type() {
        for (content_type, boundary) in [
            ("multipart/form-data; boundary=MIME_boundary", Some("MIME_boundary")),
            ("Multipart/Mixed;charset=x; Boundary=\"a b\"", Some("a b")),
            ("application/xml; boundary=x", None),
            ("multipart/mixed", None),
            ("multipart/mixed; boundary=", None),
        ] {
            assert_eq!(Parts::boundary_of(content_type), boundary, "{content_type}");
        }
    }

    #[test]
    fn a_part_with_a_length_is_there_before_the_next_one_begins() {
        let mut parts = Parts::new("--b");
        assert!(
            parts
                .push(b"--b\r\nContent-Type: application/xml\r\nContent-Length: 3\r\n\r\nab")
                .unwrap()
                .is_empty()
        );
        assert_eq!(parts.push(b"c").unwrap(), [b"abc"]);
        assert_eq!(texts(parts.push(b"\r\n--b\n\nd\n--b").unwrap()), ["d"]);
    }

    #[test]
    fn a_last_part_without_a_length_ends_with_the_body() {
        let mut parts = Parts::new("b");
        assert!(
            parts
                .push(b"--b\r\nContent-Type: text/xml\r\n\r\n<a/>")
                .unwrap()
                .is_empty()
        );
        assert_eq!(parts.end().unwrap(), b"<a/>");
    }

    #[test]
    fn a_body_of_nothing_but_parts_is_refused() {
        let body = b"--b\n\n".repeat(700_000);
        assert_eq!(Parts::new("b").push(&body), Err(PartsError::TooMany));
    }

    #[test]
    fn what_has_no_end_is_refused() {
        let long = vec![b'x'; PART_BYTES_MAX + 100];
        assert_eq!(
            Parts::new("b").push(&[b"--b\r\n", &long[..]].concat()),
            Err(PartsError::Head)
        );
        assert_eq!(
            Parts::new("b").push(&[b"--b\r\n\r\n", &long[..]].concat()),
            Err(PartsError::Part)
        );
        let told = format!("--b\r\nContent-Length: {}\r\n\r\n", usize::MAX);
        assert_eq!(Parts::new("b").push(told.as_bytes()), Err(PartsError::Part));
        let picture = format!(
            "--b\r\nContent-Type: image/jpeg\r\nContent-Length: {}\r\n\r\n",
            usize::MAX
        );
        assert_eq!(Parts::new("b").push(picture.as_bytes()), Err(PartsError::Picture));
        let mut noise = Parts::new("b");
        for _ in 0..1_000 {
            assert!(noise.push(&[0xff; 1_000]).unwrap().is_empty());
        }
        assert!(noise.buffer.len() < 10);
    }

    proptest! {
        #[test]
        fn parts_are_the_same_however_the_bytes_come(cuts in prop::collection::vec(1_usize..40, 1..60)) {
            let (mut parts, mut found, mut rest) = (Parts::new("MIME_boundary"), Vec::new(), PUSH.as_bytes());
            for cut in cuts.into_iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at(cut.min(rest.len()));
                found.extend(parts.push(now).unwrap());
                rest = later;
            }
            prop_assert_eq!(texts(found), ["<one></o>", "<two/>"]);
        }

        #[test]
        fn no_bytes_make_it_fall_over(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let mut parts = Parts::new("b");
            let _any = parts.push(&bytes);
            let _any = parts.push(b"--b\r\n\r\n");
            let _any = parts.push(&bytes);
        }
    }
}

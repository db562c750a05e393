//! Secrets that live in files of their own.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Longest secret file, bytes.
const SECRET_BYTES_MAX: u64 = 4_096;
/// Read by others than owner and group.
const OTHERS_READ: u32 = 0o004;

/// Why a secret could not be read.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file cannot be read.
    #[error("cannot read the secret in {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file holds no secret.
    #[error("{path} holds no secret: expected one line of text, at most 4096 bytes")]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the secret in the first line of the file at `path`. Warns when everybody can.
pub fn read_secret(path: &Path) -> Result<String, SecretError> {
    let failed = |source| SecretError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode();
    if mode & OTHERS_READ != 0 {
        tracing::warn!(path = %path.display(), "everybody can read this secret; hint: chmod o= on it");
    }
    let mut text = String::new();
    let read = file
        .take(SECRET_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let secret = text.lines().next().unwrap_or_default().trim();
    if secret.is_empty() || read as u64 > SECRET_BYTES_MAX {
        return Err(SecretError::Empty { path: path.to_owned() });
    }
    Ok(secret.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_the_first_line_and_an_empty_or_huge_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        let write = |text: &str| std::fs::write(&path, text).unwrap();
        write("  s3cret \nsecond line\n");
        assert_eq!(read_secret(&path).unwrap(), "s3cret");
        for none in ["", "\n", &"x".repeat(5_000)] {
            write(none);
            assert!(matches!(read_secret(&path), Err(SecretError::Empty { .. })));
        }
        let error = read_secret(&folder.path().join("absent")).unwrap_err().to_string();
        assert!(error.contains("absent"), "{error}");
    }
}

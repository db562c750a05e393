//! User and password of a camera, from the command line and a file: an argument could be read by every process.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::commands::UsageError;

/// Longest password, bytes. A longer first line is refused.
const PASSWORD_BYTES_MAX: u64 = 1_024;

/// What to show a camera that asks.
#[derive(Debug, Args)]
pub struct Login {
    /// User name.
    #[arg(long, requires = "password_file")]
    user: Option<String>,
    /// File with the password in its first line, mode 600.
    #[arg(long, value_name = "FILE", requires = "user")]
    password_file: Option<PathBuf>,
}

impl Login {
    /// Whether there is any.
    pub fn is_given(&self) -> bool {
        self.user.is_some()
    }

    /// User and password, if they were given.
    pub fn read(&self) -> Result<Option<(String, String)>, UsageError> {
        match (&self.user, &self.password_file) {
            (Some(user), Some(file)) => Ok(Some((user.clone(), password(file)?))),
            _ => Ok(None),
        }
    }
}

fn password(path: &Path) -> Result<String, UsageError> {
    let refuse = |what: String| UsageError(format!("{}: {what}", path.display()));
    let unreadable = |error: std::io::Error| refuse(format!("cannot be read: {error}"));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let mode = metadata.mode() & 0o777;
    if metadata.is_file() && mode & 0o077 != 0 {
        let hint = format!("chmod 600 {}", path.display());
        return Err(refuse(format!(
            "has mode {mode:03o}: others than its owner may read the password\n  hint: {hint}"
        )));
    }
    let mut line = String::new();
    let mut reader = BufReader::new(file.take(PASSWORD_BYTES_MAX));
    reader
        .read_line(&mut line)
        .map_err(|_| refuse("its first line is no text".to_owned()))?;
    let password = line.trim_end_matches(['\n', '\r']);
    if password.is_empty() {
        return Err(refuse(
            "its first line is empty\n  hint: write the password into it".to_owned(),
        ));
    }
    Ok(password.to_owned())
}

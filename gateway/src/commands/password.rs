//! `gateway password`: the hash of the page's password.

use std::io::BufRead;

use clap::Args;
use rand::Rng;

use super::UsageError;
use crate::page::password::{BYTES_MAX, CHARS_MIN, Hash};

/// Reads a password from standard input and prints its hash, for the file that `page.password_file` names.
#[derive(Debug, Args)]
pub struct Password {}

impl Password {
    /// Runs the command.
    pub fn run() -> anyhow::Result<()> {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        let password = line.trim_end_matches(['\n', '\r']);
        if password.chars().count() < CHARS_MIN || password.len() > BYTES_MAX {
            let message = format!(
                "the password on standard input has {} characters\n  hint: use at least {CHARS_MIN}, as in: gateway password > page.password && chmod 600 page.password",
                password.chars().count()
            );
            return Err(UsageError(message).into());
        }
        let hash = Hash::of(password, rand::rng().random()).ok_or_else(|| anyhow::anyhow!("cannot hash it"))?;
        tell!("{}", hash.as_str());
        Ok(())
    }
}

//! The page's password: kept as an Argon2id hash in PHC form, so that the file tells nobody what to type.

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::Argon2;

/// Fewest characters of a password.
pub const CHARS_MIN: usize = 10;
/// Most bytes of a password: what is longer is no password, but work for the box.
pub const BYTES_MAX: usize = 256;

/// A hash, as its file holds it.
#[derive(Debug, Clone)]
pub struct Hash(String);

impl Hash {
    /// Reads a file's text.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let parsed = PasswordHash::new(text).ok()?;
        (parsed.algorithm.as_str() == "argon2id" && parsed.hash.is_some()).then(|| Self(text.to_owned()))
    }

    /// Hashes a password with 16 random bytes of salt.
    pub fn of(password: &str, salt: [u8; 16]) -> Option<Self> {
        let salt = SaltString::encode_b64(&salt).ok()?;
        let hash = Argon2::default().hash_password(password.as_bytes(), &salt).ok()?;
        Some(Self(hash.to_string()))
    }

    /// The file's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `password` is the one. Takes about 50 ms of a fast core and 19 MiB: not on an async thread.
    pub fn is_of(&self, password: &str) -> bool {
        if password.len() > BYTES_MAX {
            return false;
        }
        PasswordHash::new(&self.0)
            .is_ok_and(|parsed| Argon2::default().verify_password(password.as_bytes(), &parsed).is_ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_fits_its_own_hash_only() {
        let hash = Hash::of("kunci-simpang", [7; 16]).unwrap();
        let read = Hash::parse(&format!("{}\n", hash.as_str())).unwrap();
        assert!(read.is_of("kunci-simpang"));
        assert!(!read.is_of("kunci-simpanh"));
        assert!(!read.is_of(&"x".repeat(BYTES_MAX + 1)));
    }

    #[test]
    fn a_password_in_clear_is_no_hash() {
        assert!(Hash::parse("kunci-simpang").is_none());
        assert!(Hash::parse("").is_none());
    }
}

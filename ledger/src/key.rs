//! The text forms of keys, shared by those of logs, of cosigners and of signed texts.
//!
//! Public: the C2SP verifier key `<name>+<key id>+<base64(type || key)>`. Private: the same behind `PRIVATE+KEY+`, with
//! the 32-byte Ed25519 seed in place of the public key (the form of Go's `golang.org/x/mod/sumdb/note`). The key id is
//! eight hexadecimal digits and covers the name, so that a key renamed by hand is refused.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

const PRIVATE_PREFIX: &str = "PRIVATE+KEY+";

/// What a key signs; the byte is the C2SP signature type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum KeyType {
    /// Ed25519 over the note.
    Log = 0x01,
    /// `cosignature/v1`: Ed25519 over a time and the note.
    Cosigner = 0x04,
}

impl KeyType {
    fn byte(self) -> u8 {
        self as u8
    }
}

/// Why a key could not be made or read. No message repeats a private key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The name is empty or holds a space, a plus or a control character.
    #[error("\"{0}\" cannot name a key: it must not be empty nor hold spaces, '+' or control characters")]
    Name(String),
    /// The text has another form.
    #[error("malformed key: expected {0}")]
    Form(&'static str),
    /// The key is for another kind of signature.
    #[error("key of signature type 0x{found:02x}: expected type 0x{expected:02x} ({})", type_name(*expected))]
    Type {
        /// The type byte of the key.
        found: u8,
        /// The type byte wanted here.
        expected: u8,
    },
    /// The key id does not belong to name and key: the text was damaged, or the key renamed.
    #[error("key id {found:08x} does not belong to this name and key (theirs is {expected:08x})")]
    Id {
        /// The id in the text.
        found: u32,
        /// The id computed.
        expected: u32,
    },
    /// The bytes are no Ed25519 public key, or one under which forgeries verify.
    #[error("the key of \"{0}\" is no usable Ed25519 public key")]
    Point(String),
}

fn type_name(byte: u8) -> &'static str {
    if byte == KeyType::Log.byte() {
        "log"
    } else {
        "cosignature/v1"
    }
}

const VERIFIER_FORM: &str = "<name>+<key id, 8 hexadecimal digits>+<base64 of type and 32-byte key>";
const SIGNER_FORM: &str = "PRIVATE+KEY+<name>+<key id, 8 hexadecimal digits>+<base64 of type and 32-byte seed>";

/// A public key with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublicKey {
    pub(crate) name: String,
    pub(crate) id: u32,
    kind: KeyType,
    key: VerifyingKey,
}

impl PublicKey {
    fn new(name: String, kind: KeyType, key: VerifyingKey) -> Self {
        let id = signed_note::key_id(&name, &tagged(kind, key.as_bytes()));
        Self { name, id, kind, key }
    }

    pub(crate) fn from_text(text: &str, kind: KeyType) -> Result<Self, KeyError> {
        let (name, id, key) = parse(text, kind, VERIFIER_FORM)?;
        let key = VerifyingKey::from_bytes(&key).map_err(|_| KeyError::Point(name.clone()))?;
        if key.is_weak() {
            return Err(KeyError::Point(name));
        }
        Self::new(name, kind, key).with_id(id)
    }

    pub(crate) fn to_text(&self) -> String {
        join(&self.name, self.id, self.kind, self.key.as_bytes())
    }

    /// Refuses an id that is not this key's own.
    fn with_id(self, found: u32) -> Result<Self, KeyError> {
        if found == self.id {
            Ok(self)
        } else {
            Err(KeyError::Id {
                found,
                expected: self.id,
            })
        }
    }

    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        self.key
            .verify_strict(message, &Signature::from_bytes(signature))
            .is_ok()
    }
}

/// A private key with its name.
#[derive(Clone)]
pub(crate) struct PrivateKey {
    seed: SigningKey,
    public: PublicKey,
}

impl PrivateKey {
    pub(crate) fn generate(
        name: &str,
        kind: KeyType,
        random: &mut impl rand_core::CryptoRngCore,
    ) -> Result<Self, KeyError> {
        check_name(name)?;
        Ok(Self::new(name.to_owned(), kind, SigningKey::generate(random)))
    }

    fn new(name: String, kind: KeyType, seed: SigningKey) -> Self {
        let public = PublicKey::new(name, kind, seed.verifying_key());
        Self { seed, public }
    }

    pub(crate) fn from_text(text: &str, kind: KeyType) -> Result<Self, KeyError> {
        let rest = text.strip_prefix(PRIVATE_PREFIX).ok_or(KeyError::Form(SIGNER_FORM))?;
        let (name, id, seed) = parse(rest, kind, SIGNER_FORM)?;
        let key = Self::new(name, kind, SigningKey::from_bytes(&seed));
        key.public.clone().with_id(id)?;
        Ok(key)
    }

    pub(crate) fn to_text(&self) -> String {
        let public = &self.public;
        format!(
            "{PRIVATE_PREFIX}{}",
            join(&public.name, public.id, public.kind, self.seed.as_bytes())
        )
    }

    pub(crate) fn public(&self) -> &PublicKey {
        &self.public
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.seed.sign(message).to_bytes()
    }
}

/// Refuses names that cannot stand in a signature line.
fn check_name(name: &str) -> Result<(), KeyError> {
    if signed_note::is_key_name_valid(name) && !name.chars().any(char::is_control) {
        Ok(())
    } else {
        Err(KeyError::Name(name.to_owned()))
    }
}

fn tagged(kind: KeyType, key: &[u8; 32]) -> [u8; 33] {
    let mut bytes = [kind.byte(); 33];
    bytes[1..].copy_from_slice(key);
    bytes
}

fn join(name: &str, id: u32, kind: KeyType, key: &[u8; 32]) -> String {
    format!("{name}+{id:08x}+{}", STANDARD.encode(tagged(kind, key)))
}

/// Takes `<name>+<id>+<base64(type || 32 bytes)>` apart. One newline at the end, as files have it, is allowed.
fn parse(text: &str, kind: KeyType, form: &'static str) -> Result<(String, u32, [u8; 32]), KeyError> {
    let line = text.strip_suffix('\n').unwrap_or(text);
    let (name, rest) = line.split_once('+').ok_or(KeyError::Form(form))?;
    let (id, key) = rest.split_once('+').ok_or(KeyError::Form(form))?;
    check_name(name)?;
    if id.len() != 8 || !id.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(KeyError::Form(form));
    }
    let id = u32::from_str_radix(id, 16).map_err(|_| KeyError::Form(form))?;
    let key = STANDARD.decode(key).map_err(|_| KeyError::Form(form))?;
    let (&found, key) = key.split_first().ok_or(KeyError::Form(form))?;
    if found != kind.byte() {
        return Err(KeyError::Type {
            found,
            expected: kind.byte(),
        });
    }
    let key = key.try_into().map_err(|_| KeyError::Form(form))?;
    Ok((name.to_owned(), id, key))
}

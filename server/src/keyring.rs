//! What is kept encrypted, and the keys to it: XChaCha20-Poly1305 (RFC 8439; draft-irtf-cfrg-xchacha), a random nonce each time.
//!
//! ```text
//! key file: one key a line, base64 of 32 bytes; the first one encrypts, all of them decrypt; `#` starts a comment
//! sealed:   1 | id of the key, 4 bytes | nonce, 24 bytes | ciphertext and tag
//! ```
//! What a text belongs to (a secret of a repository, under a name) goes into the tag, so that a row that was moved to another
//! repository or name does not open.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use protocol::service::SecretText;
use sha2::{Digest as _, Sha256};
use zeroize::{Zeroize as _, Zeroizing};

const VERSION: u8 = 1;
const ID: usize = 4;
const NONCE: usize = 24;
const HEAD: usize = 1 + ID + NONCE;

/// Largest key file that is read, bytes.
const LARGEST: u64 = 64 << 10;

/// What a sealed text belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Binding<'b> {
    /// A secret of a repository (empty: of the whole server), by its name.
    Secret {
        /// The repository's URL.
        repository: &'b str,
        /// The secret's name.
        name: &'b str,
    },
    /// The text by which a database knows its keys.
    Check,
}

impl Binding<'_> {
    /// As it goes into the tag, behind the head. Lengths keep one part from being taken for another.
    fn bytes(self, head: &[u8]) -> Vec<u8> {
        let parts: [&[u8]; 3] = match self {
            Self::Secret { repository, name } => {
                [b"secret", repository.as_bytes(), name.as_bytes()]
            }
            Self::Check => [b"check", b"", b""],
        };
        let mut bytes = head.to_vec();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        bytes
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be used.
    #[error("failed to {action} the secret key file {path}: {source}", path = path.display())]
    File {
        /// What was to be done.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A line of it is no key.
    #[error(
        "line {line} of the secret key file {path} is no key: base64 of 32 random bytes is expected, as `openssl rand -base64 32` prints it",
        path = path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
    /// It has none.
    #[error("the secret key file {path} has no key in it", path = path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// The database was encrypted with another one.
    #[error(
        "the secrets in this database are encrypted with a key that {path} does not have: all servers of a database need the same file, \
         and a backup of the database needs the key of its time",
        path = path.display()
    )]
    Wrong {
        /// The file.
        path: PathBuf,
    },
    /// The database has secrets, and the server no key.
    #[error(
        "there are secrets in this database, and no key to decrypt them with{}: put the file back from its backup, or name it with \
         `--secret-key-file`. To go on without the secrets: `DELETE FROM facts WHERE name = 'secret-key'` and `DELETE FROM secrets`",
        .path.as_ref().map(|path| format!(" ({} is not there)", path.display())).unwrap_or_default()
    )]
    Missing {
        /// Where it would be.
        path: Option<PathBuf>,
    },
}

/// What was sealed cannot be opened: with another key, for something else, or not as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not open with any key of this server")]
pub(crate) struct DoesNotOpen;

struct OneKey {
    id: [u8; ID],
    cipher: XChaCha20Poly1305,
}

impl OneKey {
    fn of(mut bytes: Zeroizing<Vec<u8>>) -> Option<Self> {
        if bytes.len() != 32 {
            return None;
        }
        let mut hasher = Sha256::new();
        hasher.update(b"slipway secret key id");
        hasher.update(&*bytes);
        let mut id = [0; ID];
        id.copy_from_slice(&hasher.finalize()[..ID]);
        let cipher = XChaCha20Poly1305::new(Key::from_slice(&bytes));
        bytes.zeroize();
        Some(Self { id, cipher })
    }
}

/// The keys of a server.
pub(crate) struct Keyring {
    /// Where they are from.
    path: PathBuf,
    /// Never empty.
    keys: Vec<OneKey>,
}

impl std::fmt::Debug for Keyring {
    /// Without the keys.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring")
            .field("path", &self.path)
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

impl Keyring {
    /// The keys of a file.
    pub(crate) fn read(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File {
            action: "read",
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if metadata.is_file() && metadata.mode() & 0o077 != 0 {
            let path = path.display();
            tracing::warn!("others can read the secret key: `chmod 600 {path}` keeps them out");
        }
        let mut text = Zeroizing::new(String::new());
        file.take(LARGEST)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self, KeyError> {
        let mut keys = Vec::new();
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let bytes = STANDARD.decode(line).map(Zeroizing::new).ok();
            let key = bytes.and_then(OneKey::of).ok_or(KeyError::Line {
                path: path.to_owned(),
                line: index + 1,
            })?;
            keys.push(key);
        }
        match keys.is_empty() {
            true => Err(KeyError::Empty {
                path: path.to_owned(),
            }),
            false => Ok(Self {
                path: path.to_owned(),
                keys,
            }),
        }
    }

    /// Makes a file with one new key, which must not be there. It is durable before anything is encrypted with it.
    pub(crate) fn make(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File {
            action: "make",
            path: path.to_owned(),
            source,
        };
        let mut bytes = Zeroizing::new([0_u8; 32]);
        getrandom::fill(&mut *bytes).map_err(|error| failed(io::Error::other(error)))?;
        let text = Zeroizing::new(format!("{}\n", STANDARD.encode(*bytes)));
        // Under its name there is the whole key or none.
        let fresh = path.with_extension("new");
        let _ = std::fs::remove_file(&fresh);
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&fresh)
            .map_err(failed)?;
        let written = file
            .write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .and_then(|()| std::fs::hard_link(&fresh, path));
        let removed = std::fs::remove_file(&fresh);
        written
            .and(removed)
            .and_then(|()| File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all())
            .map_err(failed)?;
        Self::parse(path, &text)
    }

    /// Encrypts a text for the one thing that it belongs to.
    pub(crate) fn seal(
        &self,
        binding: Binding<'_>,
        text: &SecretText,
    ) -> Result<Vec<u8>, getrandom::Error> {
        let mut nonce = [0; NONCE];
        getrandom::fill(&mut nonce)?;
        // Never empty.
        let key = &self.keys[0];
        let mut head = Vec::with_capacity(HEAD);
        head.push(VERSION);
        head.extend_from_slice(&key.id);
        head.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(text.expose().as_bytes().to_vec());
        let tag = key
            .cipher
            .encrypt_in_place_detached(
                XNonce::from_slice(&nonce),
                &binding.bytes(&head[..=ID]),
                &mut body,
            )
            // Texts of more than 256 GiB are refused by the cipher; there are none.
            .map_err(|_| getrandom::Error::UNEXPECTED)?;
        head.extend_from_slice(&body);
        head.extend_from_slice(&tag);
        Ok(head)
    }

    /// Decrypts what belongs to this.
    pub(crate) fn open(
        &self,
        binding: Binding<'_>,
        sealed: &[u8],
    ) -> Result<SecretText, DoesNotOpen> {
        if sealed.len() < HEAD || sealed[0] != VERSION {
            return Err(DoesNotOpen);
        }
        let (head, body) = sealed.split_at(HEAD);
        let (id, nonce) = head[1..].split_at(ID);
        for key in self.keys.iter().filter(|key| key.id == id) {
            let mut bytes = body.to_vec();
            let nonce = XNonce::from_slice(nonce);
            let opened =
                key.cipher
                    .decrypt_in_place(nonce, &binding.bytes(&head[..=ID]), &mut bytes);
            if opened.is_ok() {
                return match String::from_utf8(bytes) {
                    Ok(text) => Ok(SecretText::new(text)),
                    Err(error) => {
                        error.into_bytes().zeroize();
                        Err(DoesNotOpen)
                    }
                };
            }
        }
        Err(DoesNotOpen)
    }

    /// Whether something is encrypted with the key that encrypts now.
    pub(crate) fn is_current(&self, sealed: &[u8]) -> bool {
        sealed.get(1..=ID) == Some(&self.keys[0].id)
    }

    /// These are not the keys of the database.
    pub(crate) fn wrong(&self) -> KeyError {
        KeyError::Wrong {
            path: self.path.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OF: Binding<'_> = Binding::Secret {
        repository: "https://host/a",
        name: "TOKEN",
    };

    fn keys(text: &str) -> Result<Keyring, KeyError> {
        Keyring::parse(Path::new("/keys"), text)
    }

    fn key(byte: u8) -> String {
        STANDARD.encode([byte; 32])
    }

    #[test]
    fn what_is_sealed_opens_for_what_it_belongs_to_and_for_nothing_else() {
        let keyring = keys(&key(1)).unwrap();
        let text = SecretText::new("hunter2-and-more".to_owned());
        let sealed = keyring.seal(OF, &text).unwrap();
        assert_eq!(keyring.open(OF, &sealed), Ok(text.clone()));
        assert_ne!(keyring.seal(OF, &text).unwrap(), sealed, "the nonce is new");
        for other in [
            Binding::Check,
            Binding::Secret {
                repository: "https://host/b",
                name: "TOKEN",
            },
            Binding::Secret {
                repository: "https://host/aT",
                name: "OKEN",
            },
        ] {
            assert_eq!(keyring.open(other, &sealed), Err(DoesNotOpen), "{other:?}");
        }
        for at in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(keyring.open(OF, &changed), Err(DoesNotOpen), "byte {at}");
            assert_eq!(keyring.open(OF, &sealed[..at]), Err(DoesNotOpen));
        }
        assert!(!format!("{keyring:?} {text:?}").contains("hunter2"));
    }

    #[test]
    fn the_first_key_encrypts_and_all_decrypt() {
        let old = keys(&key(1)).unwrap();
        let both = keys(&format!("# new\n{}\n\n{}\n", key(2), key(1))).unwrap();
        let new = keys(&key(2)).unwrap();
        let text = SecretText::new("a value".to_owned());
        let sealed = old.seal(OF, &text).unwrap();
        assert_eq!(both.open(OF, &sealed), Ok(text.clone()));
        assert!(!both.is_current(&sealed));
        assert_eq!(new.open(OF, &sealed), Err(DoesNotOpen));
        let again = both.seal(OF, &text).unwrap();
        assert_eq!(new.open(OF, &again), Ok(text));
        assert!(both.is_current(&again));
    }

    #[test]
    fn a_file_is_made_once_for_its_owner_and_what_is_no_key_is_named_by_its_line() {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("secret-key");
        let made = Keyring::make(&path).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o777, 0o600);
        assert!(Keyring::make(&path).is_err(), "it would be lost");
        let read = Keyring::read(&path).unwrap();
        let sealed = made
            .seal(OF, &SecretText::new("a value".to_owned()))
            .unwrap();
        assert!(read.open(OF, &sealed).is_ok());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        let error = keys("# one\nAAAA\n").unwrap_err().to_string();
        assert!(
            error.starts_with("line 2 of the secret key file /keys"),
            "{error}"
        );
        assert!(matches!(keys("# none\n"), Err(KeyError::Empty { .. })));
    }
}

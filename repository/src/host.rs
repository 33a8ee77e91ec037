//! What is shown to a host, by the files that have it: so that it stands in no configuration, and can be exchanged while everything runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Credentials, KnownHosts, Remote, Secret, Url};

/// The largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// What is shown to one host. A token, a password or a key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    /// A file with a token, for https.
    pub token_file: Option<PathBuf>,
    /// A user's name, for https.
    pub user: Option<String>,
    /// A file with its password.
    pub password_file: Option<PathBuf>,
    /// A file with a private key, for ssh.
    pub key_file: Option<PathBuf>,
    /// A file with what the key is encrypted with.
    pub passphrase_file: Option<PathBuf>,
    /// The keys of the host, for ssh; the user's `~/.ssh/known_hosts` otherwise.
    pub known_hosts_file: Option<PathBuf>,
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read {path}: {source}", path = path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

impl Host {
    /// A repository of the host, with what is shown to it. Files are read now.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it should be.
    pub fn remote(&self, url: Url) -> Result<Remote, Unreadable> {
        let secret = |path: &PathBuf| {
            let text = read(path)?;
            Ok::<_, Unreadable>(Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()))
        };
        let credentials = match (&self.token_file, &self.password_file, &self.key_file) {
            (Some(token), _, _) => Credentials::Token(secret(token)?),
            (None, Some(password), _) => Credentials::Password {
                user: self.user.clone().unwrap_or_else(|| "git".to_owned()),
                password: secret(password)?,
            },
            (None, None, Some(key)) => Credentials::Key {
                private: Secret::new(read(key)?),
                passphrase: self.passphrase_file.as_ref().map(secret).transpose()?,
            },
            (None, None, None) => Credentials::None,
        };
        let known_hosts = self.known_hosts_file.as_ref().map(|path| {
            KnownHosts::parse(&read(path)?).map_err(|error| Unreadable {
                path: path.clone(),
                source: io::Error::other(error),
            })
        });
        Ok(Remote {
            url,
            credentials,
            known_hosts: known_hosts.transpose()?,
        })
    }
}

fn read(path: &Path) -> Result<String, Unreadable> {
    let mut text = String::new();
    let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(text),
        Err(source) => Err(Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

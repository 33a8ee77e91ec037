//! What is shown to a host, by the files that have it: so that it stands in no configuration, and can be exchanged while everything runs.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::{Credentials, KnownHosts, Remote, Scheme, Secret, Url};

/// The largest file that is read, bytes.
const LARGEST: u64 = 1 << 20;

/// What is shown to one host: nothing, what https takes, a key for ssh, or both.
///
/// In a configuration it is one or more of `token_file`; `user` and `password_file`; `key_file`, `passphrase_file` and
/// `known_hosts_file`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Files")]
pub struct Host {
    login: Option<Login>,
    key: Option<Key>,
    known_hosts: Option<PathBuf>,
}

/// What is shown over https.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Login {
    /// A file with a token.
    Token(PathBuf),
    /// A user's name, and a file with its password.
    Password { user: String, file: PathBuf },
}

/// What is shown over ssh.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    /// A file with a private key.
    file: PathBuf,
    /// A file with what the key is encrypted with.
    passphrase: Option<PathBuf>,
}

/// As it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Files {
    token_file: Option<PathBuf>,
    user: Option<String>,
    password_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    passphrase_file: Option<PathBuf>,
    known_hosts_file: Option<PathBuf>,
}

/// Why what is written makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum Contradiction {
    #[error("a host is shown one of `token_file` and `password_file`, not both")]
    TwoLogins,
    #[error("`user` is for `password_file`, which is missing; a token needs none")]
    UserAlone,
    #[error("`passphrase_file` is for `key_file`, which is missing")]
    PassphraseAlone,
}

impl TryFrom<Files> for Host {
    type Error = Contradiction;

    fn try_from(files: Files) -> Result<Self, Contradiction> {
        let login = match (files.token_file, files.user, files.password_file) {
            (Some(_), _, Some(_)) => return Err(Contradiction::TwoLogins),
            (_, Some(_), None) => return Err(Contradiction::UserAlone),
            (Some(token), None, None) => Some(Login::Token(token)),
            (None, user, Some(file)) => Some(Login::Password {
                user: user.unwrap_or_else(|| "git".to_owned()),
                file,
            }),
            (None, None, None) => None,
        };
        let key = match (files.key_file, files.passphrase_file) {
            (None, Some(_)) => return Err(Contradiction::PassphraseAlone),
            (file, passphrase) => file.map(|file| Key { file, passphrase }),
        };
        Ok(Self {
            login,
            key,
            known_hosts: files.known_hosts_file,
        })
    }
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
    /// Whether something is named, and nothing of it is for such a URL: a key goes over ssh only, everything else never.
    #[must_use]
    pub fn is_for_others(&self, url: &Url) -> bool {
        match url.scheme() {
            Scheme::Ssh => self.key.is_none() && self.login.is_some(),
            _ => self.login.is_none() && self.key.is_some(),
        }
    }

    /// A repository of the host, with what is shown to it. Files are read now.
    ///
    /// # Errors
    /// When one cannot be read, or is not what it should be.
    pub fn remote(&self, url: Url) -> Result<Remote, Unreadable> {
        let credentials = match url.scheme() {
            Scheme::Ssh => self.key.as_ref().map(Key::read),
            _ => self.login.as_ref().map(Login::read),
        };
        Ok(Remote {
            url,
            credentials: credentials.transpose()?.unwrap_or(Credentials::None),
            known_hosts: self.read_known_hosts()?,
            covers: None,
        })
    }

    /// Reads every file once.
    ///
    /// # Errors
    /// The first that cannot be read.
    pub(crate) fn try_files(&self) -> Result<(), Unreadable> {
        self.login.as_ref().map(Login::read).transpose()?;
        self.key.as_ref().map(Key::read).transpose()?;
        self.read_known_hosts()?;
        Ok(())
    }

    fn read_known_hosts(&self) -> Result<Option<KnownHosts>, Unreadable> {
        let Some(path) = &self.known_hosts else {
            return Ok(None);
        };
        let parsed = KnownHosts::parse(&read(path)?);
        parsed.map(Some).map_err(|error| Unreadable {
            path: path.clone(),
            source: io::Error::other(error),
        })
    }
}

impl Login {
    fn read(&self) -> Result<Credentials, Unreadable> {
        match self {
            Self::Token(file) => line(file).map(Credentials::Token),
            Self::Password { user, file } => Ok(Credentials::Password {
                user: user.clone(),
                password: line(file)?,
            }),
        }
    }
}

impl Key {
    fn read(&self) -> Result<Credentials, Unreadable> {
        Ok(Credentials::Key {
            private: Secret::new(read(&self.file)?),
            passphrase: self.passphrase.as_deref().map(line).transpose()?,
        })
    }
}

/// A secret that an editor may have ended with a line break. One that is being exchanged may be empty for a moment.
fn line(path: &Path) -> Result<Secret, Unreadable> {
    let text = read(path)?;
    match text.trim_end_matches(['\n', '\r']) {
        "" => Err(Unreadable {
            path: path.to_owned(),
            source: io::Error::other("it is empty"),
        }),
        text => Ok(Secret::new(text.to_owned())),
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Allowed;

    fn host(files: serde_json::Value) -> Result<Host, String> {
        serde_json::from_value(files).map_err(|error| error.to_string())
    }

    fn url(text: &str) -> Url {
        Url::parse(text, Allowed::default()).unwrap()
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for (files, expected) in [
            (
                serde_json::json!({ "token_file": "/t", "password_file": "/p" }),
                "not both",
            ),
            (
                serde_json::json!({ "token_file": "/t", "user": "ci" }),
                "`user` is for",
            ),
            (serde_json::json!({ "user": "ci" }), "`user` is for"),
            (
                serde_json::json!({ "passphrase_file": "/p" }),
                "`passphrase_file` is for",
            ),
            (serde_json::json!({ "token": "t" }), "unknown field"),
        ] {
            let error = host(files).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_key_goes_over_ssh_and_a_token_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, format!("{name}\n")).unwrap();
            path
        };
        let (https, ssh) = (url("https://h.example/o/n"), url("git@h.example:o/n"));
        let both = host(serde_json::json!({ "token_file": at("token"), "key_file": at("key") }));
        let both = both.unwrap();
        let shown = |host: &Host, url: &Url| host.remote(url.clone()).unwrap().credentials;
        assert!(
            matches!(shown(&both, &https), Credentials::Token(token) if token.expose() == "token")
        );
        assert!(
            matches!(shown(&both, &ssh), Credentials::Key { private, .. } if private.expose() == "key\n")
        );
        let token = host(serde_json::json!({ "token_file": at("token") })).unwrap();
        assert!(matches!(shown(&token, &ssh), Credentials::None));
        assert!(token.is_for_others(&ssh) && !token.is_for_others(&https));
        let key = host(serde_json::json!({ "key_file": at("key") })).unwrap();
        assert!(key.is_for_others(&https) && !key.is_for_others(&ssh));
        assert!(!both.is_for_others(&https) && !both.is_for_others(&ssh));
        assert!(!Host::default().is_for_others(&https));
    }
}

//! Where a repository is: parsed strictly, shown without secrets.
//!
//! Git's own syntax has forms that execute commands (`ext::sh -c ..`) or smuggle options (`--upload-pack=..`); of it only
//! `https://`, `ssh://`, `user@host:path`, `http://` and absolute paths (`file://` too) are left here.

mod error;
mod identity;
mod parse;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use error::UrlError;
pub use identity::identity;
use parse::check_path;

use crate::place;

/// Which places are taken beside `https` and `ssh`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allowed {
    /// Directories of this machine, as `file:///..` or as an absolute path.
    pub files: bool,
    /// `http` to any host; without, only to this machine (`localhost`, `127.0.0.0/8`, `::1`).
    pub plain_http: bool,
    /// Servers of this machine: `localhost`, loopback addresses, those of its link, and names that stand for such.
    pub this_machine: bool,
}

impl Default for Allowed {
    /// What a person may name who sits at the machine.
    fn default() -> Self {
        Self {
            files: false,
            plain_http: false,
            this_machine: true,
        }
    }
}

/// How a repository is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Scheme {
    /// `https://`
    Https,
    /// `http://`
    Http,
    /// `ssh://` and `user@host:path`
    Ssh,
    /// `file://` and absolute paths
    File,
}

/// The place of a repository. Shown without its password and token; written out with them for the process that makes a
/// transfer, and for nobody else.
#[derive(Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Url {
    scheme: Scheme,
    /// User, and password where one was written; not for files.
    user: Option<String>,
    password: Option<String>,
    /// Lower case; IPv6 in brackets. Empty for files.
    host: String,
    port: Option<u16>,
    /// From its first `/`; of `user@host:path` relative to the user's home directory where it has none.
    path: String,
    /// Whether its name may stand for this machine.
    this_machine: bool,
}

impl Url {
    /// How the repository is reached.
    #[must_use]
    pub const fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The host; empty for directories.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, where it is written.
    #[must_use]
    pub const fn port(&self) -> Option<u16> {
        self.port
    }

    /// The user that is written in it.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The password that is written in it.
    pub(crate) fn password(&self) -> Option<&str> {
        self.password.as_deref()
    }

    /// The directory, of a repository that is one.
    #[must_use]
    pub fn directory(&self) -> Option<&str> {
        (self.scheme == Scheme::File).then_some(self.path.as_str())
    }

    /// What people call it: `owner/name`, without `.git`; the last part of a directory's path.
    #[must_use]
    pub fn repository_name(&self) -> &str {
        let path = self.path.trim_matches('/');
        let path = path.strip_suffix("/.git").unwrap_or(path);
        let path = path.strip_suffix(".git").unwrap_or(path);
        match self.scheme {
            Scheme::File => path.rsplit('/').next().unwrap_or(path),
            _ => path,
        }
    }

    /// The text for libgit2, without password: credentials go by callback.
    pub(crate) fn to_git(&self) -> String {
        if self.scheme == Scheme::File {
            return self.path.clone();
        }
        self.to_string()
    }

    /// Whether credentials for one are meant for the other: the same scheme, host and port.
    #[must_use]
    pub fn is_same_host(&self, other: &Self) -> bool {
        (self.scheme, &self.host, self.port) == (other.scheme, &other.host, other.port)
    }

    /// Whether this is where a URL leads that libgit2 has made of it, or of what a host has said.
    pub(crate) fn is_at_host_of(&self, text: &str) -> bool {
        let anything = Allowed {
            files: true,
            plain_http: true,
            this_machine: true,
        };
        text == self.to_git() || Self::parse(text, anything).is_ok_and(|at| at.is_same_host(self))
    }

    /// A name for files that belong to this repository, and to who is shown to its host: some of its letters, and a hash of the whole.
    pub(crate) fn slug(&self, shown: &[&str]) -> String {
        let mut hash = Sha256::new_with_prefix(self.to_string());
        for value in shown {
            hash.update([0]);
            hash.update(value);
        }
        let hash: String = hash
            .finalize()
            .iter()
            .take(10)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = self.repository_name();
        let readable = name.rsplit('/').next().unwrap_or(name);
        let readable: String = readable
            .chars()
            .filter(|character| character.is_ascii_alphanumeric() || matches!(character, '-' | '_'))
            .take(40)
            .collect();
        format!("{readable}-{hash}")
            .trim_start_matches('-')
            .to_owned()
    }

    /// Whether the name of its host may stand for this machine.
    pub(crate) const fn may_be_this_machine(&self) -> bool {
        self.this_machine
    }

    /// Where a submodule is whose URL is written so: relative (`./`, `../`) to this repository, or whole. A submodule of a
    /// repository that is fetched is never a directory or a server of this machine, nor reached without encryption, where
    /// this one is not.
    ///
    /// # Errors
    /// See [`UrlError`].
    pub fn of_submodule(&self, text: &str) -> Result<Self, UrlError> {
        let allowed = Allowed {
            files: self.scheme == Scheme::File,
            plain_http: false,
            this_machine: self.this_machine
                && (self.scheme == Scheme::File || place::is_this_machine(&self.host)),
        };
        if !(text.starts_with("./") || text.starts_with("../") || text == "..") {
            let mut url = Self::parse(text, allowed)?;
            // Wherever the repository's own host is, it was allowed.
            url.this_machine |= self.this_machine && self.host == url.host;
            if url.scheme == Scheme::Http && self.scheme != Scheme::Http {
                return Err(UrlError::PlainHttp);
            }
            return Ok(url);
        }
        let mut parts: Vec<&str> = self.path.split('/').collect();
        for part in text.trim_end_matches('/').split('/') {
            match part {
                "." | "" => {}
                ".." => match parts.pop() {
                    Some(part) if !part.is_empty() => {}
                    _ => return Err(UrlError::Relative),
                },
                part => parts.push(part),
            }
        }
        let path = parts.join("/");
        check_path(&path)?;
        // What was joined must be as good as what is written whole.
        if path.contains(|character: char| {
            character.is_control()
                || character.is_whitespace()
                || matches!(character, '\\' | '?' | '#')
        }) {
            return Err(UrlError::Characters);
        }
        Ok(Self {
            path,
            ..self.clone()
        })
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = match self.scheme {
            Scheme::File => return write!(f, "file://{}", self.path),
            Scheme::Https => "https",
            Scheme::Http => "http",
            Scheme::Ssh => "ssh",
        };
        write!(f, "{scheme}://")?;
        // Of a token that is written as a user nothing is shown, and nothing is told to a log.
        if let Some(user) = self.user.as_ref().filter(|_| self.scheme == Scheme::Ssh) {
            write!(f, "{user}@")?;
        }
        f.write_str(&self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        if self.path.starts_with('/') {
            f.write_str(&self.path)
        } else {
            write!(f, "/~/{}", self.path)
        }
    }
}

impl fmt::Debug for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests;

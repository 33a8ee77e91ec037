//! Where jobs' files come from, and what the machine's configuration says about it.
//!
//! ```yaml
//! repositories:
//!   files: false                  # whether directories of this machine may be named: file:///srv/git/x
//!   plain_http: false             # whether other machines may be reached without encryption
//!   submodules: true
//!   hosts:
//!     git.example.org: { token_file: /etc/slipway/token }
//!     ssh.example.org: { key_file: /etc/slipway/id_ed25519, known_hosts_file: /etc/slipway/known_hosts }
//!     old.example.org:8443: { user: ci, password_file: /etc/slipway/password }
//!   private:                      # only these repositories of a host, and their submodules among them
//!     https://git.example.org/owner/*: { token_file: /etc/slipway/owner-token }
//! ```

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use indexmap::IndexMap;
use protocol::service::Source;
use repository::{
    Allowed, CheckedOut, Error, Host, Limits, Mirrors, Private, Remote, Unreadable, Url, Want,
    Watch,
};
use serde::Deserialize;

/// How often a host is asked that cannot be reached.
const ATTEMPTS: u32 = 4;

/// How long to wait before the second attempt; twice as long before each other.
const PAUSE: Duration = Duration::from_secs(1);

/// What the machine's configuration says about repositories.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Repositories {
    /// Whether directories of this machine may be named.
    pub files: bool,
    /// Whether other machines may be reached without encryption.
    pub plain_http: bool,
    /// Whether submodules are fetched.
    pub submodules: bool,
    /// What is shown to hosts, by `host` or `host:port`, for all their repositories that are not private.
    pub hosts: IndexMap<String, Host>,
    /// What is shown for some repositories.
    pub private: Private,
}

impl Default for Repositories {
    fn default() -> Self {
        Self {
            files: false,
            plain_http: false,
            submodules: true,
            hosts: IndexMap::new(),
            private: Private::default(),
        }
    }
}

/// Why a job's files cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The repository.
    #[error("failed to get the sources: {0}")]
    Repository(#[from] Error),
    /// A directory, where the machine's owner has not said so.
    #[error(
        "failed to get the sources: the repository is a directory of this machine, which its configuration does not allow (`repositories: {{ files: true }}`)"
    )]
    Files,
    /// The server says something that is no commit.
    #[error("failed to get the sources: the server names the commit {0:?}, which is none")]
    Commit(String),
    /// A file that the configuration names.
    #[error("failed to read {path}, which the configuration names for {of}: {source}", path = path.display())]
    Credential {
        /// The file.
        path: PathBuf,
        /// The host, or the repositories.
        of: String,
        /// Why.
        source: io::Error,
    },
}

impl SourceError {
    /// Whether it was only stopped.
    #[must_use]
    pub const fn is_stop(&self) -> bool {
        matches!(self, Self::Repository(Error::Stopped))
    }

    /// Whether this machine is to blame: another one may have more luck.
    #[must_use]
    pub fn is_this_machines(&self) -> bool {
        match self {
            Self::Repository(error) => error.is_this_machines(),
            Self::Credential { .. } => true,
            Self::Files | Self::Commit(_) => false,
        }
    }
}

impl Repositories {
    /// What may be named.
    #[must_use]
    pub const fn allowed(&self) -> Allowed {
        Allowed {
            files: self.files,
            plain_http: self.plain_http,
            this_machine: true,
        }
    }

    /// A repository, with what is shown to its host.
    ///
    /// # Errors
    /// When the URL is refused, or a file cannot be read.
    pub fn remote(&self, url: &str) -> Result<Remote, SourceError> {
        let url = match Url::parse(url, self.allowed()) {
            Err(repository::UrlError::File) => return Err(SourceError::Files),
            other => other.map_err(Error::Url)?,
        };
        let unreadable = |of: String| {
            move |error: Unreadable| SourceError::Credential {
                path: error.path,
                of,
                source: error.source,
            }
        };
        if let Some(group) = self.private.group(&url) {
            let of = group.pattern().to_string();
            return group.remote(url).map_err(unreadable(of));
        }
        let with_port = url.port().map(|port| format!("{}:{port}", url.host()));
        let host = with_port
            .and_then(|name| self.hosts.get_key_value(&name))
            .or_else(|| self.hosts.get_key_value(url.host()));
        match host {
            Some((name, host)) => host.remote(url).map_err(unreadable(name.clone())),
            None => Ok(Remote::public(url)),
        }
    }

    /// Writes a job's files to a directory, which must not exist. A host that cannot be reached is asked again. Of a fork, submodules are
    /// fetched as everybody may: who has written it may have named any.
    ///
    /// # Errors
    /// See [`SourceError`].
    pub fn check_out(
        &self,
        mirrors: &Mirrors,
        source: &Source,
        fork: bool,
        directory: &Path,
        watch: &dyn Watch,
    ) -> Result<CheckedOut, SourceError> {
        let remote = self.remote(&source.url)?;
        let commit = source
            .commit
            .parse()
            .map_err(|_| SourceError::Commit(source.commit.clone()))?;
        let want = Want::commit(commit).seen_at(source.reference.clone());
        let limits = Limits {
            follow_submodules: self.submodules,
            trust_submodules: !fork,
            ..Limits::default()
        };
        let mut attempt = 1;
        loop {
            match mirrors.check_out(&remote, &want, directory, &limits, watch) {
                Ok(done) => return Ok(done),
                Err(error) if error.is_worth_another_attempt() && attempt < ATTEMPTS => {
                    tracing::warn!(%error, attempt, "the sources are not there yet");
                    // What a submodule that cannot be reached has left.
                    let _ = std::fs::remove_dir_all(directory);
                    wait(PAUSE * 2_u32.pow(attempt - 1), watch)?;
                    attempt += 1;
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Waits, but no longer than somebody wants.
fn wait(length: Duration, watch: &dyn Watch) -> Result<(), Error> {
    let started = std::time::Instant::now();
    while started.elapsed() < length {
        if !watch.goes_on() {
            return Err(Error::Stopped);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// What a person should hear of a checkout.
#[must_use]
pub fn warnings(done: &CheckedOut) -> Vec<String> {
    if done.lfs == 0 {
        return Vec::new();
    }
    let more = done.lfs.saturating_sub(done.lfs_examples.len() as u64);
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let (what, are) = match done.lfs {
        1 => ("file", "is a pointer"),
        _ => ("files", "are pointers"),
    };
    vec![format!(
        "{} {what} of the commit {are} of Git LFS, whose content is not fetched: {}{more}.",
        done.lfs,
        done.lfs_examples.join(", ")
    )]
}

#[cfg(test)]
mod tests {
    use super::{Repositories, warnings};
    use repository::{CheckedOut, Credentials};

    fn parse(text: &str) -> Repositories {
        serde_yaml::from_str(text).unwrap()
    }

    #[test]
    fn hosts_have_their_credentials() {
        let directory = tempfile::tempdir().unwrap();
        let token = directory.path().join("token");
        std::fs::write(&token, "hunter2\n").unwrap();
        let config = parse(&format!(
            "hosts:\n  git.example: {{ token_file: {token} }}\n  git.example:8443: {{ user: ci, password_file: {token} }}\n  gone.example: {{ key_file: /nonexistent }}\n",
            token = token.display()
        ));
        let credentials = |url: &str| config.remote(url).map(|remote| remote.credentials);
        let token = |text: &str| repository::Secret::new(text.to_owned());
        assert_eq!(
            credentials("https://git.example/a").unwrap(),
            Credentials::Token(token("hunter2"))
        );
        let Credentials::Password { user, .. } = credentials("https://git.example:8443/a").unwrap()
        else {
            panic!("the port counts");
        };
        assert_eq!(user, "ci");
        assert_eq!(
            credentials("https://other.example/a").unwrap(),
            Credentials::None
        );
        let error = credentials("git@gone.example:a").unwrap_err().to_string();
        assert!(
            error.contains("/nonexistent, which the configuration names for gone.example"),
            "{error}"
        );
        let error = credentials("/srv/x").unwrap_err().to_string();
        assert!(error.contains("repositories: { files: true }"), "{error}");
    }

    #[test]
    fn private_repositories_have_their_own_credentials_and_the_others_of_the_host_its() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| {
            let path = directory.path().join(name);
            std::fs::write(&path, name).unwrap();
            path.display().to_string()
        };
        let config = parse(&format!(
            "hosts:\n  git.example: {{ token_file: {} }}\nprivate:\n  https://git.example/own/*: {{ token_file: {} }}\n  https://git.example/gone/*: {{ token_file: /nonexistent }}\n",
            at("of-host"),
            at("of-own"),
        ));
        let token = |name: &str| Credentials::Token(repository::Secret::new(name.to_owned()));
        let own = config.remote("https://git.example/own/a").unwrap();
        assert_eq!(own.credentials, token("of-own"));
        assert!(own.covers.is_some());
        let other = config.remote("https://git.example/other/a").unwrap();
        assert_eq!((other.credentials, other.covers), (token("of-host"), None));
        let error = config.remote("https://git.example/gone/a").unwrap_err();
        let expected = "the configuration names for https://git.example/gone/*";
        assert!(error.to_string().contains(expected), "{error}");
    }

    #[test]
    fn pointers_of_lfs_are_counted_and_named() {
        let mut done = CheckedOut {
            lfs: 1,
            lfs_examples: vec!["a.png".to_owned()],
            ..CheckedOut::default()
        };
        insta::assert_snapshot!(warnings(&done).join("\n"), @"1 file of the commit is a pointer of Git LFS, whose content is not fetched: a.png.");
        done.lfs = 3;
        insta::assert_snapshot!(warnings(&done).join("\n"), @"3 files of the commit are pointers of Git LFS, whose content is not fetched: a.png and 2 more.");
    }
}

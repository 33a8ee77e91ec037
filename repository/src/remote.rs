//! A repository somewhere else, and how to get in.

use crate::{Credentials, KnownHosts, Url};

/// A repository somewhere else, and how to get in.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: Url,
    /// Who asks.
    pub credentials: Credentials,
    /// The keys of SSH hosts; `None` is the user's `~/.ssh/known_hosts`.
    pub known_hosts: Option<KnownHosts>,
}

impl Remote {
    /// A repository that everybody may read.
    #[must_use]
    pub const fn public(url: Url) -> Self {
        Self {
            url,
            credentials: Credentials::None,
            known_hosts: None,
        }
    }

    /// The remote of a submodule. Credentials stay with the host they are for.
    pub(crate) fn of_submodule(&self, url: Url) -> Self {
        let credentials = match self.url.is_same_host(&url) {
            true => self.credentials.clone(),
            false => Credentials::None,
        };
        Self {
            url,
            credentials,
            known_hosts: self.known_hosts.clone(),
        }
    }
}

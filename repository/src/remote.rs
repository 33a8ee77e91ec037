//! A repository somewhere else, and how to get in.

use crate::{Credentials, KnownHosts, Pattern, Scheme, Url};

/// A repository somewhere else, and how to get in.
#[derive(Debug, Clone)]
pub struct Remote {
    /// Where it is.
    pub url: Url,
    /// Who asks.
    pub credentials: Credentials,
    /// The keys of SSH hosts; `None` is the user's `~/.ssh/known_hosts`.
    pub known_hosts: Option<KnownHosts>,
    /// Which other repositories of the host the credentials are for; `None` is all of them.
    pub covers: Option<Pattern>,
}

impl Remote {
    /// A repository that everybody may read.
    #[must_use]
    pub const fn public(url: Url) -> Self {
        Self {
            url,
            credentials: Credentials::None,
            known_hosts: None,
            covers: None,
        }
    }

    /// The same, and its host is told nothing but what the URL says.
    pub(crate) fn without_credentials(self) -> Self {
        Self {
            credentials: Credentials::None,
            ..self
        }
    }

    /// The remote of a submodule. Credentials stay with the host, and the repositories of it, that they are for.
    pub(crate) fn of_submodule(&self, url: Url) -> Self {
        let covers = |pattern: &Pattern| pattern.covers(&url);
        let credentials =
            match self.url.is_same_host(&url) && self.covers.as_ref().is_none_or(covers) {
                true => self.credentials.clone(),
                false => Credentials::None,
            };
        Self {
            url,
            credentials,
            known_hosts: self.known_hosts.clone(),
            covers: self.covers.clone(),
        }
    }

    /// A name for what is kept of it. What was had by showing something is not for who shows nothing, or something else: the host
    /// might have told them that there is no such repository. Credentials of a configuration are one for all that they are for, so that
    /// they can be exchanged; those of a URL are whoever has written it.
    pub(crate) fn slug(&self) -> String {
        match (&self.credentials, self.url.user(), self.url.password()) {
            (Credentials::None, Some(user), Some(password)) => self.url.slug(&[user, password]),
            (Credentials::None, Some(token), None) if self.url.scheme() != Scheme::Ssh => {
                self.url.slug(&[token])
            }
            // An older program's mirrors, whose names told nobody apart, are no such.
            (Credentials::None, ..) => self.url.slug(&["public"]),
            (
                Credentials::Token(_) | Credentials::Password { .. } | Credentials::Key { .. },
                ..,
            ) => {
                let of = self.covers.as_ref().map(ToString::to_string);
                self.url.slug(&["shown", of.as_deref().unwrap_or_default()])
            }
        }
    }
}

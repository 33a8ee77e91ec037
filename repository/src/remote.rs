//! A repository somewhere else, and how to get in.

use git2::{CertificateCheckStatus, FetchOptions, RemoteCallbacks, RemoteRedirect};

use crate::credentials::answer;
use crate::{Credentials, KnownHosts, Scheme, Url, Watch};

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

    pub(crate) fn callbacks<'c>(&'c self, watch: &'c dyn Watch) -> RemoteCallbacks<'c> {
        let mut callbacks = RemoteCallbacks::new();
        answer(&mut callbacks, &self.url, &self.credentials);
        callbacks.transfer_progress(|progress| {
            watch.received(
                progress.received_bytes() as u64,
                progress.received_objects(),
                progress.total_objects(),
            )
        });
        callbacks.sideband_progress(|_| watch.goes_on());
        let known = self
            .known_hosts
            .as_ref()
            .filter(|_| self.url.scheme() == Scheme::Ssh);
        if let Some(known) = known {
            callbacks.certificate_check(|certificate, _| known.check(&self.url, certificate));
        } else {
            // TLS by the machine's authorities, SSH by the user's known hosts: libgit2 has looked already.
            callbacks.certificate_check(|_, _| Ok(CertificateCheckStatus::CertificatePassthrough));
        }
        callbacks
    }

    pub(crate) fn fetch_options<'c>(&'c self, watch: &'c dyn Watch) -> FetchOptions<'c> {
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(self.callbacks(watch))
            .download_tags(git2::AutotagOption::None)
            .update_fetchhead(false)
            // A forge that has moved a repository says so at the first request.
            .follow_redirects(RemoteRedirect::Initial);
        options
    }
}

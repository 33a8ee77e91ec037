//! One transfer from a host into a mirror.

use std::path::Path;

use git2::Repository;

use crate::transport::{Request, Transport};
use crate::{Error, Remote, Watch, resolve, upkeep};

/// Transfers into one mirror. Whoever makes them holds its lock.
pub(crate) struct Transfer<'a> {
    /// The mirror.
    pub(crate) path: &'a Path,
    pub(crate) transport: &'a Transport,
    pub(crate) remote: &'a Remote,
    pub(crate) watch: &'a dyn Watch,
}

impl Transfer<'_> {
    /// The mirror as it is now: another process writes to it.
    pub(crate) fn open(&self) -> Result<Repository, Error> {
        Repository::open_bare(self.path).map_err(|error| self.damaged(error.message()))
    }

    /// The mirror is not what it should be: it is fetched anew.
    pub(crate) fn damaged(&self, message: &str) -> Error {
        Error::Damaged {
            url: self.remote.url.to_string(),
            message: message.to_owned(),
        }
    }

    /// Fetches what the refspecs say, with so many commits of history; `None` is all of it. What a refspec names and the
    /// host lacks is passed over. Answers the host's default branch where it tells one.
    pub(crate) fn run(
        &self,
        refspecs: &[String],
        depth: Option<u32>,
    ) -> Result<Option<String>, Error> {
        let request = Request {
            parent: std::process::id(),
            url: self.remote.url.clone(),
            credentials: self.remote.credentials.clone(),
            known_hosts: self.remote.known_hosts.clone(),
            refspecs: refspecs.to_vec(),
            depth,
            bounds: self.transport.bounds(),
        };
        let begun = upkeep::begin(self.path)?;
        let result = self.transport.run(self.path, &request, self.watch);
        begun.end();
        let branch = result?;
        // Its words are a stranger's.
        Ok(branch.filter(|name| name.starts_with("refs/") && resolve::check(name).is_ok()))
    }
}

//! One transfer from a host into a mirror.

use git2::Repository;

use crate::{Error, Remote, Scheme, Watch};

/// Transfers into one mirror. Whoever makes them holds its lock.
pub(crate) struct Transfer<'a> {
    pub(crate) repository: &'a Repository,
    pub(crate) remote: &'a Remote,
    pub(crate) watch: &'a dyn Watch,
}

impl Transfer<'_> {
    /// Fetches what the refspecs say, with so many commits of history; `None` is all of it. What a refspec names and the
    /// host lacks is passed over. Answers the host's default branch where it tells one.
    pub(crate) fn run(
        &self,
        refspecs: &[String],
        depth: Option<u32>,
    ) -> Result<Option<String>, Error> {
        let Self {
            repository,
            remote,
            watch,
        } = *self;
        // Directories have no shallow transfers in libgit2.
        let depth = depth.filter(|_| remote.url.scheme() != Scheme::File);
        let mut git = repository
            .remote_anonymous(&remote.url.to_git())
            .map_err(|error| Error::of_remote(&remote.url, &error))?;
        let mut options = remote.fetch_options(watch);
        match depth {
            Some(depth) => options.depth(i32::try_from(depth).unwrap_or(i32::MAX)),
            // The number by which git itself says "all of it", where some is missing.
            None if repository.is_shallow() => options.depth(i32::MAX),
            None => &mut options,
        };
        git.fetch(refspecs, Some(&mut options), None)
            .map_err(|error| match watch.goes_on() {
                true => Error::of_remote(&remote.url, &error),
                // What libgit2 says depends on which of its callbacks has heard it first.
                false => Error::Stopped,
            })?;
        let branch = git.default_branch().ok();
        Ok(branch.and_then(|name| name.as_str().ok().map(str::to_owned)))
    }
}

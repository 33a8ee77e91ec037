//! Writes a commit's tree down, without trusting it.
//!
//! ```text
//! Mirror --Walk--> Writer (directories opened one below the other, never by path) --> directory
//!   '-- gitlinks --> their URL, checked --> Mirrors::fetch --> the same again, in the submodule's directory
//! ```
//! No filter, attribute, hook or configuration of the repository counts: a file has the bytes of its blob. Links are written as
//! they are, wherever they lead, and nothing here ever goes through one.

mod limits;
mod tree;
mod writer;

use std::path::Path;

use limits::Budget;
pub use limits::Limits;
use tree::{Gitlink, Walk};
use writer::Directory;

use crate::submodule;
use crate::{Commit, Error, Mirror, Want, Watch};

/// What was written down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CheckedOut {
    /// Files, directories and links.
    pub entries: u64,
    /// Of files.
    pub bytes: u64,
    /// Paths of the submodules, from the root.
    pub submodules: Vec<String>,
    /// How many files are pointers of Git LFS, whose content is not here.
    pub lfs: u64,
    /// The first ten of them.
    pub lfs_examples: Vec<String>,
}

/// How deep submodules may be in each other.
const DEEPEST: usize = 8;

/// How many LFS pointers are named.
const NAMED: usize = 10;

/// A checkout at work: what all of its repositories share.
struct CheckOut<'a> {
    limits: &'a Limits,
    watch: &'a dyn Watch,
    budget: Budget,
    done: CheckedOut,
}

pub(crate) fn check_out(
    mirror: &Mirror,
    commit: Commit,
    directory: &Path,
    limits: &Limits,
    watch: &dyn Watch,
) -> Result<CheckedOut, Error> {
    let root = Directory::create(directory)?;
    let mut work = CheckOut {
        limits,
        watch,
        budget: Budget::of(limits),
        done: CheckedOut::default(),
    };
    work.repository(mirror, commit, root, "", 0)?;
    let CheckOut {
        budget, mut done, ..
    } = work;
    (done.entries, done.bytes) = budget.spent(limits);
    Ok(done)
}

impl CheckOut<'_> {
    /// Writes one repository and its submodules. `prefix` is where it is in the whole, with a slash at the end unless empty.
    fn repository(
        &mut self,
        mirror: &Mirror,
        commit: Commit,
        root: Directory,
        prefix: &str,
        depth: usize,
    ) -> Result<(), Error> {
        let mut walk = Walk {
            mirror,
            commit,
            limits: self.limits,
            watch: self.watch,
            budget: &mut self.budget,
            done: &mut self.done,
            prefix,
            links: Vec::new(),
        };
        walk.run(root)?;
        let links = walk.links;
        if links.is_empty() || !self.limits.follow_submodules {
            return Ok(());
        }
        let text = mirror.read_file(commit, ".gitmodules", submodule::LARGEST)?;
        let text = String::from_utf8_lossy(&text.unwrap_or_default()).into_owned();
        let urls = submodule::urls(&text);
        for Gitlink {
            path,
            commit: wanted,
            directory,
        } in links
        {
            let full = format!("{prefix}{path}");
            // Without a URL it is an empty directory, as git leaves it.
            let Some(url) = urls.get(&path) else {
                continue;
            };
            let hostile = |what: &str| Error::Hostile {
                commit,
                path: full.clone(),
                what: what.to_owned(),
            };
            if depth >= DEEPEST {
                return Err(hostile("submodules are nested too deeply"));
            }
            if self.done.submodules.len() >= self.limits.submodules {
                return Err(hostile("there are too many submodules"));
            }
            self.done.submodules.push(full.clone());
            self.submodule(mirror, url, wanted, directory, &full, depth)
                .map_err(|error| match error {
                    error @ (Error::Stopped | Error::Submodule { .. }) => error,
                    error => Error::Submodule {
                        path: full.clone(),
                        source: Box::new(error),
                    },
                })?;
        }
        Ok(())
    }

    fn submodule(
        &mut self,
        parent: &Mirror,
        url: &str,
        wanted: Commit,
        directory: Directory,
        path: &str,
        depth: usize,
    ) -> Result<(), Error> {
        let url = parent.remote.url.of_submodule(url)?;
        let remote = match self.limits.trust_submodules {
            true => parent.remote.of_submodule(url),
            false => parent.remote.of_submodule(url).without_credentials(),
        };
        let (mirror, commit) = parent
            .mirrors
            .fetch(&remote, &Want::commit(wanted), self.watch)?;
        self.repository(&mirror, commit, directory, &format!("{path}/"), depth + 1)
    }
}

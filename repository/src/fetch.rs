//! Brings one commit here, with as little beside it as the host allows.

use git2::{ObjectType, Oid, Repository};

use crate::transfer::Transfer;
use crate::{Commit, Error, resolve};

/// What is wanted of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The commit. Without one, what `reference` is now.
    pub commit: Option<Commit>,
    /// The name in full under which it was seen (`refs/heads/main`, `refs/pull/7/merge`): for hosts that do not hand out a
    /// commit by its id.
    pub reference: Option<String>,
    /// How many commits of its history; `None` is all. Of a directory of this machine always all.
    pub depth: Option<u32>,
}

impl Want {
    /// One commit, without its history.
    #[must_use]
    pub const fn commit(commit: Commit) -> Self {
        Self {
            commit: Some(commit),
            reference: None,
            depth: Some(1),
        }
    }

    /// The same, and where it was seen.
    #[must_use]
    pub fn seen_at(mut self, reference: Option<String>) -> Self {
        self.reference = reference;
        self
    }
}

/// Our names for what was fetched; the newest of them are what the host is told to be here.
const NAMES: &str = "refs/slipway/";

/// How many of them are kept.
const KEPT_NAMES: usize = 50;

/// Whether a commit is here, and what it consists of as far as one look tells: a transfer brings all of it or nothing.
pub(crate) fn has(repository: &Repository, commit: Commit) -> bool {
    let tree = repository
        .find_commit(commit.oid())
        .and_then(|it| it.tree());
    tree.is_ok()
}

pub(crate) fn fetch(transfer: &Transfer<'_>, want: &Want) -> Result<Commit, Error> {
    let url = &transfer.remote.url;
    if let Some(reference) = &want.reference {
        resolve::check(reference)?;
    }
    let Some(wanted) = want.commit else {
        let name = want.reference.as_deref().unwrap_or("HEAD");
        return Ok(resolve::resolve(transfer, name, want.depth)?.commit);
    };
    let repository = transfer.open()?;
    if let Some(commit) = here(transfer, &repository, wanted, want.depth)? {
        return Ok(commit);
    }
    let name = new_name(&repository, wanted);
    let exactly = transfer.run(&[format!("+{wanted}:{name}")], want.depth);
    forget_old_names(&transfer.open()?);
    match exactly {
        Ok(_) => {}
        Err(
            error @ (Error::Stopped
            | Error::Slow { .. }
            | Error::TooMuch { .. }
            | Error::Refused { .. }
            | Error::NoRepository { .. }
            | Error::Damaged { .. }
            | Error::Process { .. }),
        ) => return Err(error),
        Err(error) => {
            tracing::debug!(%error, "the host does not hand out a commit by its id");
            by_names(transfer, want, wanted, &name).map_err(|other| match other {
                // Had the host been there, the second attempt would have said something better.
                Error::Unreachable { .. } => error,
                other => other,
            })?;
        }
    }
    let repository = transfer.open()?;
    if let Some(commit) = here(transfer, &repository, wanted, Some(1))? {
        return Ok(commit);
    }
    let names_it = |reference: git2::Reference<'_>| reference.target() == Some(wanted.oid());
    match repository.find_reference(&name).is_ok_and(names_it) {
        // The host has handed it out, or was told that it is here.
        true => Err(transfer.damaged("an object that should be here is not")),
        false => Err(Error::NoCommit {
            url: url.to_string(),
            commit: wanted,
        }),
    }
}

/// First by the name it was seen under, as shallow as it may be and then whole, then every branch and tag.
fn by_names(transfer: &Transfer<'_>, want: &Want, wanted: Commit, name: &str) -> Result<(), Error> {
    if let Some(reference) = &want.reference {
        let refspec = [format!("+{reference}:{name}")];
        for depth in [want.depth, None] {
            transfer.run(&refspec, depth)?;
            if here(transfer, &transfer.open()?, wanted, Some(1))?.is_some() {
                return Ok(());
            }
        }
    }
    let everything = [
        "+refs/heads/*:refs/slipway/heads/*".to_owned(),
        "+refs/tags/*:refs/slipway/tags/*".to_owned(),
    ];
    transfer.run(&everything, None).map(|_| ())
}

/// The wanted commit when it is here, through the tags that lead to it, and with as much history as is wanted. What is here
/// and cannot be read is damage.
fn here(
    transfer: &Transfer<'_>,
    repository: &Repository,
    wanted: Commit,
    depth: Option<u32>,
) -> Result<Option<Commit>, Error> {
    let damaged = |error: git2::Error| transfer.damaged(error.message());
    let object = match repository.find_object(wanted.oid(), None) {
        Err(error) if error.code() == git2::ErrorCode::NotFound => return Ok(None),
        object => object.map_err(damaged)?,
    };
    // A tag or a tree that a host hands out by its id need not lead to a commit.
    if !matches!(object.kind(), Some(ObjectType::Commit | ObjectType::Tag)) {
        return Ok(None);
    }
    let commit = object.peel_to_commit().map_err(damaged)?;
    commit.tree().map_err(damaged)?;
    Ok(is_deep(repository, commit.id(), depth).then(|| Commit::new(commit.id())))
}

/// Whether so many commits are here on the way back from one, or all there are.
fn is_deep(repository: &Repository, from: Oid, depth: Option<u32>) -> bool {
    if depth == Some(1) || !repository.is_shallow() {
        return true;
    }
    let mut edge = vec![from];
    let mut left = depth.unwrap_or(u32::MAX).saturating_sub(1);
    let mut seen = std::collections::HashSet::new();
    while left > 0 && !edge.is_empty() {
        left -= 1;
        let mut next = Vec::new();
        for id in edge {
            let Ok(commit) = repository.find_commit(id) else {
                return false;
            };
            for parent in commit.parent_ids() {
                if repository.find_commit(parent).is_err() {
                    return false;
                }
                if seen.insert(parent) {
                    next.push(parent);
                }
            }
        }
        edge = next;
    }
    true
}

/// Gives a commit that is here a name of our own, unless one of the last has it: the host is told of it, and does not send it again.
pub(crate) fn remember(
    transfer: &Transfer<'_>,
    repository: &Repository,
    commit: Commit,
) -> Result<(), Error> {
    let ending = format!("-{commit}");
    if !names(repository).iter().any(|name| name.ends_with(&ending)) {
        let name = new_name(repository, commit);
        repository
            .reference(&name, commit.oid(), true, "")
            .map_err(|error| transfer.damaged(error.message()))?;
        forget_old_names(repository);
    }
    Ok(())
}

/// A name of our own for a commit, later in order than those before it.
fn new_name(repository: &Repository, commit: Commit) -> String {
    let last = names(repository).last().and_then(|name| {
        let number = name.strip_prefix(NAMES)?.strip_prefix("at/")?;
        number.split('-').next()?.parse::<u64>().ok()
    });
    let number = last.map_or(0, |last| last + 1);
    format!("{NAMES}at/{number:012}-{commit}")
}

fn names(repository: &Repository) -> Vec<String> {
    let mut names: Vec<String> = repository
        .references_glob(&format!("{NAMES}at/*"))
        .map(|all| {
            all.flatten()
                .filter_map(|it| it.name().ok().map(str::to_owned))
                .collect()
        })
        .unwrap_or_default();
    names.sort();
    names
}

fn forget_old_names(repository: &Repository) {
    let names = names(repository);
    let surplus = names.len().saturating_sub(KEPT_NAMES);
    for name in &names[..surplus] {
        let deleted = repository
            .find_reference(name)
            .and_then(|mut it| it.delete());
        if let Err(error) = deleted {
            tracing::debug!(name, %error, "an old name stays");
        }
    }
}

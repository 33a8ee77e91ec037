//! From a name to a commit, which is then here.
//!
//! The host's list of names is not looked through: git2 panics at one that is not UTF-8, and there are such branches. What a
//! name may stand for is fetched to a name of our own instead.

use git2::{ObjectType, Reference};

use crate::transfer::Transfer;
use crate::{Commit, Error, fetch};

/// What a name stands for now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resolved {
    /// The commit; of an annotated tag the one it leads to.
    pub commit: Commit,
    /// The name in full: `refs/heads/main`, `refs/tags/v1`; `None` for a commit's id, and for a `HEAD` that is no branch.
    pub reference: Option<String>,
    /// The branch that the host's `HEAD` is, in full, where it says so.
    pub default: Option<String>,
}

/// Our name for what the place in the list of candidates stands for.
fn ours(place: usize) -> String {
    format!("refs/slipway/named/{place}")
}

/// Fetches what `reference` is: a full name (`refs/..`), a branch, a tag, `HEAD`, or a commit's id, which is taken as it is.
pub(crate) fn resolve(
    transfer: &Transfer<'_>,
    reference: &str,
    depth: Option<u32>,
) -> Result<Resolved, Error> {
    if let Ok(commit) = reference.parse() {
        return Ok(Resolved {
            commit,
            reference: None,
            default: None,
        });
    }
    check(reference)?;
    let candidates = match reference == "HEAD" || reference.starts_with("refs/") {
        true => vec![reference.to_owned()],
        false => vec![
            format!("refs/heads/{reference}"),
            format!("refs/tags/{reference}"),
        ],
    };
    let repository = transfer.open()?;
    let mut refspecs = Vec::new();
    for (place, candidate) in candidates.iter().enumerate() {
        if let Ok(mut old) = repository.find_reference(&ours(place)) {
            old.delete()
                .map_err(|error| Error::of_remote(&transfer.remote.url, &error))?;
        }
        refspecs.push(format!("+{candidate}:{}", ours(place)));
    }
    let default = transfer.run(&refspecs, depth)?;
    let repository = transfer.open()?;
    let found = |place: usize| repository.find_reference(&ours(place)).ok();
    let commit = |it: Reference<'_>| Some(it.peel(ObjectType::Commit).ok()?.id());
    let mut all = candidates.into_iter().enumerate();
    let (name, id) = all
        .find_map(|(place, name)| Some((name, commit(found(place)?)?)))
        .ok_or_else(|| Error::NoReference {
            url: transfer.remote.url.to_string(),
            reference: reference.to_owned(),
        })?;
    let commit = Commit::new(id);
    fetch::remember(transfer, &repository, commit)?;
    Ok(Resolved {
        commit,
        reference: match name.as_str() {
            "HEAD" => default.clone(),
            _ => Some(name),
        },
        default,
    })
}

/// A name that git could have for a reference, and nothing that would be a pattern or an option.
pub(crate) fn check(reference: &str) -> Result<(), Error> {
    let full = match reference.starts_with("refs/") || reference == "HEAD" {
        true => reference.to_owned(),
        false => format!("refs/heads/{reference}"),
    };
    let is_valid = reference.len() <= 1024
        && !reference.starts_with('-')
        && !reference.contains('*')
        && git2::Reference::is_valid_name(&full);
    match is_valid {
        true => Ok(()),
        false => Err(Error::InvalidReference(
            reference
                .chars()
                .filter(|c| !c.is_control())
                .take(100)
                .collect(),
        )),
    }
}

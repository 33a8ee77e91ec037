//! What is in several directories, as one archive to put back later: with owners and exact times, and never with a secret.

use std::io::{self, Write};
use std::os::fd::BorrowedFd;

use serde::{Deserialize, Serialize};

use super::error::{CollectError, TooMuch};
use super::forbidden::Forbidden;
use super::joined;
use super::list::{Found, FoundKind, Of, list};
use super::pack::{Bounded, Bounds, Collected, Keep, Packing, not_taken};

/// As fast as a disk, and a third of the size of what builds leave.
const LEVEL: i32 = 3;

/// A directory that is held by a name, and which paths of it are meant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// What it is held by.
    pub name: String,
    /// Relative paths: these files, and everything below these directories. The empty one is all of it.
    pub below: Vec<String>,
    /// It is a working tree, whose `.git` is no part of it.
    pub is_tree: bool,
}

/// Writes what is at and below the parts' paths as a zstd-compressed tar archive, sorted, of the same bytes for the same
/// files. The paths of the first part begin with `0/`, those of the second with `1/`. What is no file, directory or link is left
/// out, as is what cannot be read.
///
/// # Errors
/// There is more than there may be, something forbidden is among it, a file changes meanwhile, or `out` takes no more.
pub(crate) fn save(
    parts: &[(BorrowedFd<'_>, Part)],
    bounds: Bounds,
    forbidden: Forbidden,
    out: impl Write,
) -> Result<Collected, CollectError> {
    let written = |error: io::Error| not_taken(&error, bounds);
    let out = Bounded::new(out, bounds);
    let out = zstd::stream::write::Encoder::new(out, LEVEL).map_err(written)?;
    let mut packing = Packing::new(out, bounds, Keep::Everything, forbidden);
    for (number, (root, part)) in parts.iter().enumerate() {
        packing.enter(*root, format!("{number}"));
        for found in everything(*root, part)? {
            packing.add(&found.path)?;
        }
    }
    packing.finish(|out| out.finish())
}

/// All that is meant, sorted: what is above before what is below it.
fn everything(root: BorrowedFd<'_>, part: &Part) -> Result<Vec<Found>, CollectError> {
    let of = match part.is_tree {
        true => Of::Tree,
        false => Of::Directory,
    };
    let mut all = Vec::new();
    let below: Vec<Vec<u8>> = part.below.iter().map(|path| path.clone().into()).collect();
    if below.iter().any(Vec::is_empty) {
        all.push(Found {
            path: Vec::new(),
            kind: FoundKind::Directory,
        });
    }
    let mut listed = Vec::new();
    list(root, of, &joined(&below), &mut listed)?;
    all.extend(Found::read(&listed));
    all.retain(|found| !matches!(found.kind, FoundKind::Special | FoundKind::Unreadable));
    all.sort();
    // A path may be below another one.
    all.dedup();
    // A directory that is there in any case, with nothing in it.
    if all.iter().all(|found| found.path.is_empty()) {
        all.clear();
    }
    if all.len() as u64 > super::list::MOST {
        return Err(CollectError::TooMuch {
            what: TooMuch::Files,
            limit: super::list::MOST,
        });
    }
    Ok(all)
}

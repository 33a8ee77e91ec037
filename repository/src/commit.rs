//! The id of a commit.

use std::fmt;
use std::str::FromStr;

use git2::Oid;

/// Forty hexadecimal digits, lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Commit(Oid);

/// What is no commit's id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a commit's id has 40 hexadecimal digits")]
pub struct InvalidCommit;

impl Commit {
    pub(crate) const fn new(id: Oid) -> Self {
        Self(id)
    }

    pub(crate) const fn oid(self) -> Oid {
        self.0
    }
}

impl FromStr for Commit {
    type Err = InvalidCommit;

    fn from_str(text: &str) -> Result<Self, InvalidCommit> {
        let is_whole = text.len() == 40 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        match Oid::from_str(text) {
            Ok(id) if is_whole && !id.is_zero() => Ok(Self(id)),
            _ => Err(InvalidCommit),
        }
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

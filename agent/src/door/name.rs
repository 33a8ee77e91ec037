//! Names of containers, which are names of directories as well.

use std::fmt;
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::places::{is_name, is_random, random_name};

/// Of a name, in characters; it becomes a host name, too (hostname(7)).
const LONGEST: usize = 63;

/// A container's name: letters, digits, `_`, `.` and `-`, a letter or digit first.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// A text is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a container's name: at most 63 letters, digits, `_`, `.` and `-`, of which the first is a letter or digit"
)]
pub struct NameError(String);

impl Name {
    /// A name that nobody has chosen, as Docker's short ids look.
    pub(super) fn random() -> io::Result<Self> {
        random_name().map(Self)
    }

    /// Whether it looks like one that nobody has chosen.
    pub(super) fn is_random(&self) -> bool {
        is_random(&self.0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        if is_name(text, LONGEST, b"_.-") {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.chars().take(LONGEST).collect()))
        }
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::places::is_name;

/// Of an id, in characters: a file's name.
const LONGEST: usize = 255;

/// A container's id, which whoever creates it chooses: letters, digits, `_`, `+`, `-` and `.`, a letter or digit first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

/// A text is no id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a container's id: at most 255 letters, digits, `_`, `+`, `-` and `.`, of which the first is a letter or digit"
)]
pub struct IdError(String);

impl Id {
    /// The id.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Id {
    type Err = IdError;

    fn from_str(text: &str) -> Result<Self, IdError> {
        if is_name(text, LONGEST, b"_+-.") {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError(text.chars().take(LONGEST).collect()))
        }
    }
}

impl TryFrom<String> for Id {
    type Error = IdError;

    fn try_from(text: String) -> Result<Self, IdError> {
        text.parse()
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::Id;

    #[test]
    fn an_id_has_the_marks_of_the_field() {
        for text in ["web", "a+b_c-d.e", &"x".repeat(255)] {
            assert_eq!(text.parse::<Id>().unwrap().as_str(), text);
        }
        for text in ["", "../x", "a b", &"x".repeat(256)] {
            assert!(text.parse::<Id>().is_err(), "{text:?}");
        }
    }
}

//! Secrets that a server keeps: administrators set them, jobs get them, and nobody reads them back.

use std::fmt;

use pipelines::Event;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::{Zeroize, ZeroizeOnDrop};

use super::limits;

/// A value that nobody sees by accident, and that is wiped from memory when nobody has it any more. On the wire it is a text.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, Zeroize, ZeroizeOnDrop, ToSchema)]
#[serde(transparent)]
pub struct SecretText(String);

impl SecretText {
    /// Hides a value.
    #[must_use]
    pub const fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// A secret is to be set. What it was before is replaced.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SetSecret {
    /// Text of at most [`limits::SECRET`] bytes, and of at least [`limits::SECRET_LEAST`] without the white space around it.
    pub value: SecretText,
    /// Only pipelines that run for one of these have it; all of them otherwise. One of a fork never has.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub events: Vec<Event>,
    /// Only pipelines of one of these branches have it; of all, and of tags, otherwise.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
}

/// What is told of a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secret {
    /// Under which jobs name it.
    pub name: String,
    /// The repository's URL; `None` is the whole server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// What pipelines that have it run for; all when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub events: Vec<Event>,
    /// The branches of pipelines that have it; all when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<String>,
    /// When it was set last.
    pub set_at: u64,
    /// By whose token: its name.
    pub set_by: String,
}

/// The secrets of a repository, or of the whole server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Secrets {
    /// By name.
    pub secrets: Vec<Secret>,
}

/// Why a job does not get a secret that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Withheld {
    /// There is none of this name.
    NotSet,
    /// The pipeline is of a fork.
    Fork,
    /// It is not for what the pipeline runs for.
    Event,
    /// It is not for the pipeline's branch.
    Branch,
    /// It was encrypted with a key that the server does not have.
    Unreadable,
    /// Something this program does not know: the server is newer.
    #[serde(other)]
    Unknown,
}

impl fmt::Display for Withheld {
    /// Behind "needs the secret TOKEN, which ..".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotSet => "is not set on the server, neither for the repository nor for all",
            Self::Fork => "a pull request of a fork does not get",
            Self::Event => "is not for what this pipeline runs for",
            Self::Branch => "is not for this pipeline's branch",
            Self::Unreadable => "the server has no key to decrypt with",
            Self::Unknown => "the server does not hand out",
        })
    }
}

/// Whether a text can be the name of a secret: of a variable of the environment, of at most [`limits::NAME`] bytes.
#[must_use]
pub fn is_secret_name(name: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let starts = name.bytes().next();
    starts.is_some_and(|first| !first.is_ascii_digit())
        && name.len() <= limits::NAME
        && name.bytes().all(is_word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_on_the_wire_and_in_nothing_that_is_printed() {
        let set: SetSecret =
            serde_json::from_str(r#"{"value":"hunter2-and-more","events":["push","tag"]}"#)
                .unwrap();
        assert_eq!(set.value.expose(), "hunter2-and-more");
        let shown = format!("{set:?}");
        assert!(
            !shown.contains("hunter2") && shown.contains("***"),
            "{shown}"
        );
        let newer: Withheld = serde_json::from_str(r#""of_tomorrow""#).unwrap();
        assert_eq!(newer, Withheld::Unknown);
    }

    #[test]
    fn names_are_those_of_variables() {
        for name in ["TOKEN", "_x9", "a"] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["", "9X", "A-B", "A=B", "Ä", &"a".repeat(129)] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}

//! Names of containers, which are names of directories as well.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Of a name, in characters; it becomes a host name, too (hostname(7)).
const LONGEST: usize = 63;
/// Bytes of a name nobody chose.
const RANDOM: usize = 6;

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
        let mut bytes = [0; RANDOM];
        File::open("/dev/urandom")?.read_exact(&mut bytes)?;
        Ok(Self(bytes.map(|byte| format!("{byte:02x}")).concat()))
    }

    /// Whether it looks like one that nobody has chosen.
    pub(super) fn is_random(&self) -> bool {
        self.0.len() == 2 * RANDOM && is_hex(&self.0)
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a text could be the beginning of a name that nobody has chosen.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
        let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if begins && text.len() <= LONGEST && text.bytes().all(is_fit) {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere() {
        for text in ["web", "web-1.test_2", "0", &"x".repeat(63)] {
            assert_eq!(text.parse::<Name>().unwrap().as_str(), text);
        }
        for text in [
            "",
            ".",
            "..",
            "../x",
            "a/b",
            ".new",
            "-f",
            "a b",
            "a\n",
            "ä",
            &"x".repeat(64),
        ] {
            assert!(text.parse::<Name>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_name_nobody_chose_is_known_as_one() {
        let (one, other) = (Name::random().unwrap(), Name::random().unwrap());
        assert!(one.is_random() && one != other);
        assert!(!"web".parse::<Name>().unwrap().is_random());
    }
}

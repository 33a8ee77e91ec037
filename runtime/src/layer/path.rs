//! The name of an entry, made relative and free of everything that could lead elsewhere.

use super::error::{Refusal, UnpackError};

/// `PATH_MAX`, which counts the final NUL.
const LONGEST: usize = 4095;

/// Components joined by single slashes; empty is the layer's root.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryPath(Vec<u8>);

impl EntryPath {
    /// Reads a name as archives have it: `./a//b/` is `a/b`, `/a` is `a`.
    pub(crate) fn parse(raw: &[u8]) -> Result<Self, UnpackError> {
        let refuse = |refusal| Err(UnpackError::refused(raw, refusal));
        if raw.is_empty() {
            return refuse(Refusal::Empty);
        }
        if raw.len() > LONGEST {
            return refuse(Refusal::TooLong);
        }
        if raw.contains(&0) {
            return refuse(Refusal::Nul);
        }
        let mut path = Vec::with_capacity(raw.len());
        for component in raw.split(|b| *b == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return refuse(Refusal::DotDot),
                component => {
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend_from_slice(component);
                }
            }
        }
        Ok(Self(path))
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The directory it is in and its name there; the root has an empty name.
    pub(super) fn split(&self) -> (&[u8], &[u8]) {
        match self.0.iter().rposition(|b| *b == b'/') {
            Some(slash) => (&self.0[..slash], &self.0[slash + 1..]),
            None => (b"", &self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_made_relative() {
        for (raw, path) in [
            ("a", "a"),
            ("./a//b/", "a/b"),
            ("/a/./b", "a/b"),
            ("./", ""),
            ("/", ""),
            ("a/..b/...", "a/..b/..."),
        ] {
            assert_eq!(
                EntryPath::parse(raw.as_bytes()).unwrap().as_bytes(),
                path.as_bytes()
            );
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for raw in ["", "..", "../a", "a/../b", "/..", "a\0b"] {
            EntryPath::parse(raw.as_bytes()).unwrap_err();
        }
        EntryPath::parse(&[b'a'; 4096]).unwrap_err();
    }
}

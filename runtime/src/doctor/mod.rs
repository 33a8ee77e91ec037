//! What this machine offers to containers, what it lacks, and how to get it. Nothing here changes anything.

mod cgroup;
mod data;
mod ids;
mod kernel;
mod namespaces;

use std::path::Path;

use crate::userns::IdMap;

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What, in two or three words.
    pub name: &'static str,
    /// How well it serves.
    pub state: State,
    /// What was found.
    pub found: String,
    /// How to get what is missing, when there is a way.
    pub fix: Option<String>,
}

/// How well something serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// As it should be.
    Found,
    /// Containers run, with less than they could have.
    Limited,
    /// Containers cannot run.
    Missing,
}

impl Check {
    pub(super) fn found(name: &'static str, found: impl Into<String>) -> Self {
        Self {
            name,
            state: State::Found,
            found: found.into(),
            fix: None,
        }
    }

    pub(super) fn limited(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            name,
            state: State::Limited,
            found: found.into(),
            fix: Some(fix.into()),
        }
    }

    pub(super) fn missing(
        name: &'static str,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            state: State::Missing,
            ..Self::limited(name, found, fix)
        }
    }
}

/// Looks at everything that can be told without starting a container.
#[must_use]
pub fn examine(map: &IdMap) -> Vec<Check> {
    let machine = Machine::real();
    vec![
        kernel::check(&machine),
        namespaces::limit(&machine),
        namespaces::apparmor(&machine),
        ids::check(map),
        cgroup::check(&machine),
    ]
}

/// Looks at the agent's data directory, which must exist.
#[must_use]
pub fn examine_data(directory: &Path) -> Check {
    data::check(directory)
}

/// Where the machine's files are read; a test puts its own tree there.
#[derive(Debug)]
struct Machine<'a> {
    root: &'a Path,
}

impl Machine<'static> {
    fn real() -> Self {
        Self {
            root: Path::new("/"),
        }
    }
}

impl Machine<'_> {
    /// A small file's text, trimmed.
    fn read(&self, path: &str) -> Option<String> {
        let text = std::fs::read_to_string(self.root.join(path)).ok()?;
        Some(text.trim().to_owned())
    }
}

#[cfg(test)]
mod tests;

//! What a job asks for.

use pipelines::plan::CachePath;
use sha2::{Digest as _, Sha256};

/// Changes when archives are made in another way.
const FORMAT: &str = "slipway cache 1";

/// One cache of a job, its expressions evaluated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Under which name it is kept.
    pub key: String,
    /// Beginnings of other keys to start from, best first.
    pub fallback: Vec<String>,
    /// What is in it; sorted, none twice.
    pub paths: Vec<CachePath>,
}

/// A directory that files of a cache are in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'w> {
    /// The job's directory with this name; `None` is its workspace.
    pub directory: Option<&'w CachePath>,
    /// Paths in it.
    pub below: Vec<&'w str>,
}

impl Wanted {
    /// A cache of these paths.
    #[must_use]
    pub fn new(key: String, fallback: Vec<String>, mut paths: Vec<CachePath>) -> Self {
        paths.sort();
        paths.dedup();
        Self {
            key,
            fallback,
            paths,
        }
    }

    /// What two caches must have in common beside the key, so that one can be put where the other was: the paths, the kind of
    /// processor that their files may be for, and how archives are made. 64 hexadecimal digits.
    #[must_use]
    pub fn version(&self) -> String {
        let mut hasher = Sha256::new();
        for part in [FORMAT, std::env::consts::ARCH] {
            hasher.update(part);
            hasher.update([0]);
        }
        for path in &self.paths {
            let kind = match path {
                CachePath::Workspace(_) => b'w',
                CachePath::Home(_) => b'h',
                CachePath::Absolute(_) => b'a',
            };
            hasher.update([kind]);
            hasher.update(path.to_string());
            hasher.update([0]);
        }
        hex(&hasher.finalize())
    }

    /// Where its files are, in an order that is always the same: the workspace, and then each directory by itself.
    #[must_use]
    pub fn places(&self) -> Vec<Place<'_>> {
        let workspace = self.paths.iter().filter_map(|path| match path {
            CachePath::Workspace(path) => Some(path.as_str()),
            CachePath::Home(_) | CachePath::Absolute(_) => None,
        });
        let workspace = Place {
            directory: None,
            below: workspace.collect(),
        };
        let others = self.directories().map(|directory| Place {
            directory: Some(directory),
            below: vec![""],
        });
        std::iter::once(workspace).chain(others).collect()
    }

    /// The directories outside of the workspace that it is of.
    pub fn directories(&self) -> impl Iterator<Item = &CachePath> {
        let paths = self.paths.iter();
        paths.filter(|path| !matches!(path, CachePath::Workspace(_)))
    }
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(paths: &[&str]) -> Wanted {
        let paths = paths.iter().map(|path| CachePath::parse(path).unwrap());
        Wanted::new("k".into(), Vec::new(), paths.collect())
    }

    #[test]
    fn the_version_is_of_the_paths_and_not_of_their_order() {
        let version = |paths: &[&str]| wanted(paths).version();
        assert_eq!(version(&["a", "~/b"]), version(&["~/b", "./a", "a/"]));
        assert_ne!(version(&["a", "b"]), version(&["a"]));
        assert_ne!(version(&["/x/a"]), version(&["x/a"]));
        assert_ne!(version(&["~/a"]), version(&["a"]));
        assert_eq!(version(&[]).len(), 64);
    }

    #[test]
    fn the_workspace_comes_first_and_each_directory_by_itself() {
        let wanted = wanted(&["~/.cargo", "target", "/var/cache/apt", "a"]);
        let places = wanted.places();
        assert_eq!(places[0].below, ["a", "target"]);
        let directories = places.iter().map(|place| place.directory);
        let shown: Vec<_> = directories
            .map(|place| place.map_or_else(String::new, ToString::to_string))
            .collect();
        assert_eq!(shown, ["", "~/.cargo", "/var/cache/apt"]);
    }
}

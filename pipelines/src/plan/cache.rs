//! What a job keeps from run to run, and how that may be named.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::expression::Template;

/// Characters of a key.
const KEY: usize = 512;

/// Where steps see their workspace.
const WORKSPACE: &str = "/workspace";

/// Where nothing of a job's may be: the kernel's own files, and how a step talks to us.
const RESERVED: [&str; 4] = ["/proc", "/sys", "/dev", "/run/slipway"];

/// What an image is made of: covered as a whole, nothing would run. What is below may be covered.
const NEEDED: [&str; 10] = [
    "/bin", "/boot", "/etc", "/lib", "/lib64", "/root", "/run", "/sbin", "/usr", "/var",
];

/// An item of `cache`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cache<T = Template> {
    /// Under which name it is kept.
    pub key: T,
    /// Prefixes of other keys to start from when there is none of this name, best first.
    #[serde(default = "Vec::new", skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<T>,
    /// What is kept: paths in the workspace, absolute ones, or ones in the home directory (`~/`).
    pub paths: Vec<T>,
}

impl<T> Cache<T> {
    /// The same with other texts.
    pub(crate) fn map<U>(&self, text: &mut impl FnMut(&T) -> U) -> Cache<U> {
        Cache {
            key: text(&self.key),
            fallback: self.fallback.iter().map(&mut *text).collect(),
            paths: self.paths.iter().map(text).collect(),
        }
    }
}

/// Whether a text can be the key of a cache, or the beginning of one, once expressions in it are evaluated: 1 to 512
/// characters, none of them a control character, no white space around them. An empty part of a key is a sign of an expression
/// that had nothing to say, and is let through: a key is only a name.
#[must_use]
pub fn is_cache_key(text: &str) -> bool {
    !text.is_empty()
        && text.trim() == text
        && text.chars().nth(KEY).is_none()
        && !text.chars().any(char::is_control)
}

/// Where something is that a cache keeps. Clean: without doubled slashes, `.` and `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CachePath {
    /// In the workspace; never empty.
    Workspace(String),
    /// In the home directory of a step's user; never empty.
    Home(String),
    /// In the container.
    Absolute(String),
}

/// Why a text cannot be the path of a cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CachePathError {
    /// Nothing, or only dots and slashes.
    #[error("a cache cannot be the whole of it: name directories in it")]
    Whole,
    /// It leads up.
    #[error("a `..` leads out of what can be kept")]
    Up,
    /// Of somebody else.
    #[error("`~` is followed by `/`: other users' directories cannot be named")]
    OtherHome,
    /// The kernel's files, and ours.
    #[error("nothing of a job can be in `/proc`, `/sys`, `/dev` and `/run/slipway`")]
    Reserved,
    /// An image's.
    #[error("images need this directory: name directories in it")]
    Needed,
    /// git's own.
    #[error("what is git's own is no part of the workspace")]
    Git,
    /// A NUL or another control character.
    #[error("a path holds no control characters")]
    Control,
    /// More than a path can have.
    #[error("a path has at most 1,024 bytes")]
    Long,
}

impl CachePath {
    /// Reads a path as it stands under `paths`, once expressions in it are evaluated.
    ///
    /// # Errors
    /// See [`CachePathError`].
    pub fn parse(text: &str) -> Result<Self, CachePathError> {
        if text.chars().any(char::is_control) {
            return Err(CachePathError::Control);
        }
        if text.len() > 1024 {
            return Err(CachePathError::Long);
        }
        if let Some(rest) = text.strip_prefix('~') {
            let rest = match rest {
                "" => rest,
                rest => rest.strip_prefix('/').ok_or(CachePathError::OtherHome)?,
            };
            return match clean(rest)? {
                path if path.is_empty() => Err(CachePathError::Whole),
                path => Ok(Self::Home(path)),
            };
        }
        let path = clean(text)?;
        if !text.starts_with('/') {
            return in_workspace(path);
        }
        let path = format!("/{path}");
        if path == "/" || path == WORKSPACE {
            return Err(CachePathError::Whole);
        }
        if let Some(inside) = below(&path, WORKSPACE) {
            return in_workspace(inside.to_owned());
        }
        if RESERVED
            .iter()
            .any(|top| path == *top || below(&path, top).is_some())
        {
            return Err(CachePathError::Reserved);
        }
        if NEEDED.contains(&path.as_str()) {
            return Err(CachePathError::Needed);
        }
        Ok(Self::Absolute(path))
    }
}

impl fmt::Display for CachePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workspace(path) | Self::Absolute(path) => f.write_str(path),
            Self::Home(path) => write!(f, "~/{path}"),
        }
    }
}

fn in_workspace(path: String) -> Result<CachePath, CachePathError> {
    match path.split('/').next() {
        None | Some("") => Err(CachePathError::Whole),
        Some(".git") => Err(CachePathError::Git),
        Some(_) => Ok(CachePath::Workspace(path)),
    }
}

fn below<'p>(path: &'p str, top: &str) -> Option<&'p str> {
    path.strip_prefix(top)?.strip_prefix('/')
}

/// Components that are names, joined by single slashes.
fn clean(path: &str) -> Result<String, CachePathError> {
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => return Err(CachePathError::Up),
            name => names.push(name),
        }
    }
    Ok(names.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_in_the_workspace_in_the_home_or_absolute() {
        for (text, path) in [
            ("target", CachePath::Workspace("target".into())),
            ("./a//b/", CachePath::Workspace("a/b".into())),
            ("/workspace/target", CachePath::Workspace("target".into())),
            (
                "~/.cargo/registry",
                CachePath::Home(".cargo/registry".into()),
            ),
            ("~//.m2/.", CachePath::Home(".m2".into())),
            ("/root/.cache/", CachePath::Absolute("/root/.cache".into())),
            (
                "/var/cache//apt",
                CachePath::Absolute("/var/cache/apt".into()),
            ),
            ("/workspaces", CachePath::Absolute("/workspaces".into())),
            ("/procedure", CachePath::Absolute("/procedure".into())),
            ("a..b", CachePath::Workspace("a..b".into())),
        ] {
            assert_eq!(CachePath::parse(text), Ok(path), "{text}");
        }
    }

    #[test]
    fn what_leads_elsewhere_or_covers_too_much_is_refused() {
        use CachePathError::*;
        for (text, error) in [
            ("", Whole),
            (".", Whole),
            ("/", Whole),
            ("//.", Whole),
            ("~", Whole),
            ("~/", Whole),
            ("/workspace/", Whole),
            ("/workspace/.", Whole),
            ("..", Up),
            ("a/../../b", Up),
            ("~/../x", Up),
            ("/workspace/../etc", Up),
            ("~root/x", OtherHome),
            ("/proc", Reserved),
            ("/./proc/self", Reserved),
            ("/dev/shm", Reserved),
            ("/run/slipway", Reserved),
            ("/usr/", Needed),
            ("/run", Needed),
            (".git/hooks", Git),
            ("./.git", Git),
            ("/workspace/.git", Git),
            ("a\0b", Control),
            ("a\nb", Control),
        ] {
            assert_eq!(CachePath::parse(text), Err(error), "{text:?}");
        }
        assert_eq!(CachePath::parse(&"a/".repeat(600)), Err(Long));
    }

    #[test]
    fn keys_are_short_and_can_be_shown() {
        for key in ["deps-1", "a b", "ü", "linux/x86_64:deps,1"] {
            assert!(is_cache_key(key), "{key}");
        }
        for key in ["", " a", "a\n", "a\tb", &"k".repeat(513)] {
            assert!(!is_cache_key(key), "{key:?}");
        }
    }
}

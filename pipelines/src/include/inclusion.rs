use std::fmt;

/// Characters of a commit's name that are shown.
const COMMIT_SHOWN: usize = 12;

/// A file to include.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Inclusion {
    /// A file of the working tree: relative to its root, without `.` and `..`.
    Path(String),
    /// A file of a commit of another repository.
    Git {
        /// As git takes it; without credentials.
        url: String,
        /// The commit's whole name: 40 or 64 lower-case hexadecimal digits.
        commit: String,
        /// Relative to the repository's root, without `.` and `..`.
        path: String,
    },
}

impl Inclusion {
    /// Another file of the same tree.
    pub(crate) fn sibling(&self, path: String) -> Self {
        match self {
            Self::Path(_) => Self::Path(path),
            Self::Git { url, commit, .. } => Self::Git {
                url: url.clone(),
                commit: commit.clone(),
                path,
            },
        }
    }
}

/// As messages and places name it.
impl fmt::Display for Inclusion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => f.write_str(path),
            Self::Git { url, commit, path } => {
                let short = commit.get(..COMMIT_SHOWN).unwrap_or(commit);
                write!(f, "{url}@{short}:{path}")
            }
        }
    }
}

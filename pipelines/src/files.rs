//! The files of a tree, as far as expressions ask for them.

use std::fmt;
use std::sync::Arc;

/// Knows the files of a tree. The language reads none itself.
pub trait Files: fmt::Debug + Send + Sync {
    /// A digest of the files that match the globs (see [`GlobList`](crate::glob::GlobList)), their paths from the root of the
    /// tree included; empty when none does. The same answer for the whole of a run. `None` when nobody can say.
    fn hash(&self, globs: &[String]) -> Option<String>;
}

/// A tree, shared by all who ask. Two are the same when they are one.
#[derive(Debug, Clone)]
pub struct Tree(Arc<dyn Files>);

impl Tree {
    /// What answers for the tree.
    pub fn new(files: impl Files + 'static) -> Self {
        Self(Arc::new(files))
    }

    /// See [`Files::hash`].
    #[must_use]
    pub fn hash(&self, globs: &[String]) -> Option<String> {
        self.0.hash(globs)
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Tree {}

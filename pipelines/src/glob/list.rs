use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Glob;
use crate::expression::Mistake;

/// Globs in order, some of which exclude; on the wire a list of strings. An empty one matches nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GlobList(Vec<Glob>);

impl GlobList {
    /// Reads globs.
    ///
    /// # Errors
    ///
    /// The mistake of the first that cannot be read; its range is inside that one's text. [`Glob::parse`] tells about
    /// each.
    pub fn parse<T: AsRef<str>>(globs: &[T]) -> Result<Self, Mistake> {
        globs
            .iter()
            .map(|glob| Glob::parse(glob.as_ref()))
            .collect()
    }

    /// Whether the last glob that matches a path is one that includes it. Where the first one excludes, what none
    /// matches is included.
    ///
    /// ```
    /// use pipelines::glob::GlobList;
    ///
    /// let sources = GlobList::parse(&["src/**", "!**/*.md"])?;
    /// assert!(sources.matches("src/deep/lib.rs"));
    /// assert!(!sources.matches("src/notes.md"));
    /// assert!(GlobList::parse(&["!docs/**"])?.matches("src/notes.md"));
    /// # Ok::<(), pipelines::expression::Mistake>(())
    /// ```
    #[must_use]
    pub fn matches(&self, path: &str) -> bool {
        let mut last_first = self.0.iter().rev();
        match last_first.find(|glob| glob.matches(path)) {
            Some(glob) => !glob.excludes(),
            None => self.0.first().is_some_and(Glob::excludes),
        }
    }

    /// The globs in their order.
    pub fn iter(&self) -> impl Iterator<Item = &Glob> {
        self.0.iter()
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Glob> for GlobList {
    fn from_iter<I: IntoIterator<Item = Glob>>(globs: I) -> Self {
        Self(globs.into_iter().collect())
    }
}

impl Serialize for GlobList {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(Glob::as_str))
    }
}

impl<'de> Deserialize<'de> for GlobList {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let globs = Vec::<String>::deserialize(deserializer)?;
        Self::parse(&globs).map_err(de::Error::custom)
    }
}

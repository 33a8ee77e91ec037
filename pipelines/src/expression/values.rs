use super::{Budget, Value};

/// What is known at the moment an expression is evaluated. Before a run most of it is not; see [`Known::Unknown`].
pub trait Values {
    /// A variable by its name: `event`, `branch`, `base`, `tag`, `commit`, `repo` (strings, empty when there is none),
    /// `matrix`, `env`, `inputs`, `needs`, `steps`, `job` (maps).
    fn variable(&self, name: &str) -> Known<'_>;

    /// How everything before this job or step went; `None` while that is open.
    fn status(&self, status: Status) -> Option<bool>;

    /// Whether a file that matches the globs (see [`GlobList`](crate::glob::GlobList)) has changed; `None` while
    /// that is open.
    fn changed(&self, globs: &[String]) -> Option<bool>;

    /// A digest of the files in the workspace that match the globs; `None` while that is open.
    fn hash_files(&self, globs: &[String]) -> Option<String>;

    /// A budget over all the expressions that are evaluated with these values, besides the one each has for itself.
    fn budget(&self) -> Option<&Budget> {
        None
    }
}

/// What is known about a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known<'v> {
    /// Its value.
    Value(Value),
    /// Its value, lent: a large map is not copied for every expression that reads one key of it.
    Borrowed(&'v Value),
    /// It has a value, but not yet.
    Unknown,
}

/// A status function with an answer that is not the same always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// `success()`: nothing before has failed.
    Success,
    /// `failure()`: something before has failed.
    Failure,
    /// `cancelled()`: the run is being cancelled.
    Cancelled,
}

/// What evaluating came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A value that cannot change any more.
    Known(Value),
    /// It depends on something that is not known yet.
    Unknown,
}

use super::{Job, Settings, Spanned, Text, Triggers};
use crate::plan::Concurrency;

/// The whole file.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) name: Option<Spanned<String>>,
    /// `None` is push and pull request.
    pub(crate) on: Option<Triggers>,
    pub(crate) concurrency: Option<Concurrency<Text>>,
    /// Defaults for every job.
    pub(crate) settings: Settings,
    /// The value of `jobs`, or one job with the id `main` for top-level `steps`.
    pub(crate) jobs: Vec<Job>,
}

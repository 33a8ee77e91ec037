use super::{Job, Settings, Spanned};

/// The whole file.
#[derive(Debug)]
pub(crate) struct Pipeline {
    pub(crate) name: Option<Spanned<String>>,
    /// Defaults for every job.
    pub(crate) settings: Settings,
    /// The value of `jobs`, or one job with the id `main` for top-level `steps`.
    pub(crate) jobs: Vec<Job>,
}

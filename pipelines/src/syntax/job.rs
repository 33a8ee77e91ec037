use super::{Settings, Spanned, Step};

/// A value under `jobs`, or the job that top-level `steps` stand for.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: Spanned<String>,
    /// Defaults for the job's steps; `timeout` is the job's own.
    pub(crate) settings: Settings,
    pub(crate) needs: Vec<Spanned<String>>,
    pub(crate) allow_failure: bool,
    pub(crate) steps: Vec<Step>,
}

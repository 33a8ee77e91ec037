use std::time::Duration;

use super::Spanned;

/// The keys that pipeline, job and step share; an inner one wins.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) image: Option<Spanned<String>>,
    /// In the order of the file, names unique.
    pub(crate) env: Vec<EnvVar>,
    /// The shell's argument vector; never empty.
    pub(crate) shell: Option<Spanned<Vec<String>>>,
    pub(crate) workdir: Option<String>,
    pub(crate) user: Option<String>,
    pub(crate) timeout: Option<Duration>,
}

/// An entry of `env`.
#[derive(Debug)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) value: String,
}

use std::time::Duration;

use super::{Spanned, Text};
use crate::plan::{Network, Resources, Retry};

/// The keys that pipeline, job and step share; an inner one wins.
#[derive(Debug, Default)]
pub(crate) struct Settings {
    pub(crate) image: Option<Text>,
    /// In the order of the file, names unique.
    pub(crate) env: Vec<EnvVar>,
    /// The shell's argument vector; never empty.
    pub(crate) shell: Option<Spanned<Vec<Text>>>,
    pub(crate) workdir: Option<Text>,
    pub(crate) user: Option<Text>,
    pub(crate) timeout: Option<Duration>,
    pub(crate) silence_timeout: Option<Duration>,
    pub(crate) retry: Option<Retry>,
    pub(crate) resources: Resources,
    pub(crate) network: Option<Network<Text>>,
    /// Not a pipeline's.
    pub(crate) secrets: Vec<Spanned<String>>,
}

/// An entry of `env`.
#[derive(Debug)]
pub(crate) struct EnvVar {
    pub(crate) name: String,
    pub(crate) value: Text,
}

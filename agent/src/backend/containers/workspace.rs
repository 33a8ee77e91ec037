use std::path::PathBuf;
use std::sync::Arc;

use super::ahead::Ahead;
use super::network::JobNetwork;
use super::services::Services;

/// What the containers of one job have in common.
#[derive(Debug)]
pub struct Workspace {
    /// By which the zygote holds its tree.
    pub(super) name: String,
    /// The same of the job's directories, and where steps see them.
    pub(super) directories: Vec<(String, PathBuf)>,
    pub(super) network: Arc<JobNetwork>,
    pub(super) services: Services,
    pub(super) ahead: Ahead,
}

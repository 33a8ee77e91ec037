use serde::{Deserialize, Serialize};

/// What a container may use at most. `None` is whatever the machine gives anyway.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resources {
    /// CPU time, in thousandths of a core: 1500 is one core and a half.
    pub cpus: Option<u64>,
    /// Memory of all of its processes together, bytes; what they write to a root that is in memory counts.
    pub memory: Option<u64>,
    /// Processes and threads at the same time.
    pub pids: Option<u64>,
    /// What it writes to its own root, bytes.
    pub disk: Option<u64>,
    /// Open files of each process. Never more than the agent itself may have.
    pub nofile: Option<u64>,
}

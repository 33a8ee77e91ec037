use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What a running container uses at one moment, all of its processes together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// CPU time so far, in user mode and in the kernel.
    pub cpu: Duration,
    /// Memory, bytes. By a control group, what it has in memory without the files that could be dropped at once; else each
    /// process's proportional share.
    pub memory: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Read from block devices so far, bytes; `None` where nobody counts.
    pub read: Option<u64>,
    /// Written to block devices so far, bytes.
    pub written: Option<u64>,
}

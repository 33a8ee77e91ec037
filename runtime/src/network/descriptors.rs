//! Descriptors for connections: each needs two.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have as many open files as it may (getrlimit(2)). Containers come from the zygote, which was there before,
/// and keep the limit that the agent was started with: programs that use select(2) break with a higher one.
pub(super) fn raise_limit() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    // Up to the hard limit everybody may.
    if let Err(errno) = setrlimit(Resource::Nofile, raised) {
        tracing::debug!(%errno, "the limit of open files cannot be raised");
    }
}

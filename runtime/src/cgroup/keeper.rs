//! The process that removes an agent's groups when the agent is gone, however it went.
//!
//! Nothing else can: a group is no file that is forgotten with its last user, and the zygote, which dies with the agent,
//! has no right to it. The keeper waits for the end of a pipe and does not hear of signals meant for the agent; where it is
//! killed as well, the next agent's [`super::Claim`] removes what is left.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, pipe_with};

use super::Claim;
use crate::detach::let_go;
use crate::sys::{CloneFlags, Cloned, SingleThreaded, clone3_into, close_all_but, exit_now};

/// Between two attempts to remove groups in which something is still dying.
const PAUSE: Duration = Duration::from_millis(2);
/// After this it gives up, and leaves the rest to the next agent.
const PATIENCE: Duration = Duration::from_secs(30);

/// Holds the keeper back: when the last copy of this is gone, it begins.
#[derive(Debug)]
pub(crate) struct Keeper {
    _pipe: OwnedFd,
}

impl Keeper {
    /// Forks the keeper of `claim`.
    ///
    /// # Errors
    /// When no process or pipe can be made.
    pub(crate) fn start(proof: &SingleThreaded, claim: &Claim) -> io::Result<Self> {
        let (over, pipe) = pipe_with(PipeFlags::CLOEXEC)?;
        let leaf = claim.leaf_of_keeper()?;
        let leaf = leaf.as_ref().map(AsFd::as_fd);
        match clone3_into(proof, CloneFlags::NONE, leaf)? {
            Cloned::Child => {
                drop(pipe);
                keep(proof, claim, &over);
                exit_now(0)
            }
            Cloned::Parent { .. } => Ok(Self { _pipe: pipe }),
        }
    }
}

fn keep(proof: &SingleThreaded, claim: &Claim, over: &OwnedFd) {
    // A session of its own hears nothing of the terminal; what is asked to end here are containers, not us.
    let _ = rustix::process::setsid();
    let _ = rustix::thread::set_name(c"slipway-keeper");
    let _ = let_go();
    let kept: Vec<_> = claim.locks().chain([over.as_fd()]).collect();
    let _ = close_all_but(proof, &kept);
    claim.warm_up();
    let mut nothing = [0; 1];
    while let Err(Errno::INTR) = rustix::io::read(over, &mut nothing) {}
    let started = Instant::now();
    while !claim.dissolve() && started.elapsed() < PATIENCE {
        std::thread::sleep(PAUSE);
    }
}

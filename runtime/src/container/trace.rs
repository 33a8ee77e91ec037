//! Where the time of a container's start goes.
//!
//! Every start is traced: a mark is one reading of the clock, which the C library takes without a system call. The
//! agent, the zygote, the container's init and its command each make their marks; all of them read CLOCK_MONOTONIC, which
//! is the same for all processes of a machine.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// What was over when a mark was made; in this order, each at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// The agent was asked for a container.
    Asked,
    /// The zygote has the request, or a container that was built ahead has its command.
    Received,
    /// The container's first process runs, in all its namespaces.
    Cloned,
    /// It knows what to build, its host name is set and its network is up.
    Specified,
    /// The overlay is mounted over the image's layers.
    Root,
    /// `/dev` is complete.
    Dev,
    /// `/proc` and `/sys` are mounted.
    Kernel,
    /// What of them is hidden or read-only is covered.
    Masked,
    /// What the container shares with the machine or a job is mounted.
    Mounts,
    /// Its files are written.
    Files,
    /// The root is the only one the container has.
    Entered,
    /// The command's process exists.
    Forked,
    /// It has found its user, its directory and its streams.
    Placed,
    /// It has given up every privilege that it is not to have.
    Dropped,
    /// The command has been executed.
    Executed,
    /// The agent knows.
    Told,
}

impl Phase {
    /// What happened between the mark before and this one.
    #[must_use]
    pub const fn describe(self) -> &'static str {
        match self {
            Self::Asked => "ask for a container",
            Self::Received => "reach the zygote",
            Self::Cloned => "clone into new namespaces",
            Self::Specified => "read the specification, host name, loopback",
            Self::Root => "mount the overlay",
            Self::Dev => "make /dev",
            Self::Kernel => "mount /proc and /sys",
            Self::Masked => "mask and protect parts of them",
            Self::Mounts => "mount what is shared",
            Self::Files => "write files",
            Self::Entered => "pivot into the root",
            Self::Forked => "fork the command",
            Self::Placed => "find user, directory and streams",
            Self::Dropped => "drop privileges",
            Self::Executed => "filter system calls, execute",
            Self::Told => "tell the agent",
        }
    }
}

/// Marks in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Trace {
    /// With nanoseconds of CLOCK_MONOTONIC.
    marks: Vec<(Phase, u64)>,
}

impl Trace {
    /// One that begins now.
    pub(crate) fn asked() -> Self {
        let mut trace = Self::default();
        trace.mark(Phase::Asked);
        trace
    }

    /// This phase is over now.
    pub(crate) fn mark(&mut self, phase: Phase) {
        let now = clock_gettime(ClockId::Monotonic);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(now.tv_nsec).unwrap_or(0);
        self.marks
            .push((phase, seconds * 1_000_000_000 + nanoseconds));
    }

    /// Takes over the marks that another process has made meanwhile.
    pub(crate) fn merge(&mut self, other: Self) {
        self.marks.extend(other.marks);
        self.marks.sort_by_key(|(phase, _)| *phase);
    }

    /// How long each phase took, in order; the first mark only says when everything began.
    pub fn phases(&self) -> impl Iterator<Item = (Phase, Duration)> {
        let pairs = self.marks.windows(2);
        pairs.filter_map(|pair| match pair {
            [(_, from), (phase, to)] => {
                Some((*phase, Duration::from_nanos(to.saturating_sub(*from))))
            }
            _ => None,
        })
    }

    /// From the first mark to the last.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.phases().map(|(_, took)| took).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_several_processes_make_one_sequence() {
        let mut agent = Trace {
            marks: vec![(Phase::Asked, 100), (Phase::Told, 1_000)],
        };
        agent.merge(Trace {
            marks: vec![(Phase::Received, 150), (Phase::Cloned, 400)],
        });
        let phases: Vec<_> = agent.phases().collect();
        let nanoseconds = Duration::from_nanos;
        assert_eq!(
            phases,
            [
                (Phase::Received, nanoseconds(50)),
                (Phase::Cloned, nanoseconds(250)),
                (Phase::Told, nanoseconds(600)),
            ]
        );
        assert_eq!(agent.total(), nanoseconds(900));
    }

    #[test]
    fn a_clock_that_seems_to_run_backwards_takes_no_time() {
        let trace = Trace {
            marks: vec![(Phase::Asked, 100), (Phase::Received, 90)],
        };
        assert_eq!(trace.total(), Duration::ZERO);
    }
}

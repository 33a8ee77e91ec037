use std::path::PathBuf;

use crate::rootfs::Stage;
use crate::security::masks;
use crate::security::seccomp::{Options, Program};
use crate::sys::{CloneFlags, SingleThreaded};
use crate::userns::Rung;

/// What the zygote has made ready once, for every container it will start.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// That it may go on after a clone.
    pub(crate) proof: SingleThreaded,
    /// Where roots are put together.
    pub(crate) stage: Stage,
    /// Which ids the namespace has.
    pub(crate) rung: Rung,
    /// The system calls a command may make.
    pub(crate) filter: Program,
    /// What of `/proc` and `/sys` is hidden.
    pub(crate) masked: Vec<PathBuf>,
    /// Containers' first processes are siblings of this process.
    beside: bool,
}

impl Prepared {
    /// Makes everything ready; the stage is mounted.
    pub(crate) fn new(proof: SingleThreaded, stage: Stage, rung: Rung, beside: bool) -> Self {
        Self {
            beside,
            proof,
            stage,
            rung,
            filter: Program::default_profile(&Options::default()),
            masked: masked(),
        }
    }

    /// Whether containers' first processes are siblings of this process, and have to see for themselves when the agent is gone.
    pub(crate) const fn is_beside(&self) -> bool {
        self.beside
    }

    /// How a clone gets the parent that it is to have.
    pub(crate) const fn beside(&self) -> CloneFlags {
        CloneFlags::PARENT.when(self.beside)
    }
}

fn masked() -> Vec<PathBuf> {
    let possible = std::fs::read_to_string("/sys/devices/system/cpu/possible").unwrap_or_default();
    // A list that cannot be read is that of a kernel without processors to throttle.
    let mut throttles = possible
        .parse()
        .map(|cpus| masks::thermal_throttle(&cpus))
        .unwrap_or_default();
    // The others may appear with a module or a device; looking for a dozen in every container costs microseconds.
    throttles.retain(|path| path.exists());
    masks::MASKED
        .iter()
        .map(PathBuf::from)
        .chain(throttles)
        .collect()
}

//! The system calls that a step may make.
//!
//! `profile` decides a rule for each number, from the lists in `moby` and the container's capabilities; `compile`
//! turns the rules into a classic BPF [`Program`]. `sys` installs it.
//!
//! ```text
//!     moby ──> profile ──> Ranges<Rule> ──compile──> Program ──sys──> seccomp(2)
//! ```
//!
//! A program answers in this order:
//! 1. a call of another architecture kills the process with `SIGSYS`. An i386 or Arm program does not run at all; an
//!    error would not help it, since its `exit` would fail as well and it would spin;
//! 2. on x86-64, a call of the x32 ABI: `EPERM`;
//! 3. a number newer than the profile: `ENOSYS`, so that a C library falls back;
//! 4. `clone3`: `ENOSYS`, for the same reason, since no filter can check its flags;
//! 5. a call that is allowed, whatever its arguments: the kernel finds that out once and keeps it in a bitmap;
//! 6. `clone`, `personality`, `socket`, `ioctl`: by one argument;
//! 7. everything else: `EPERM`.
//!
//! Compiling takes microseconds and needs no kernel. The same capabilities give the same program.

mod action;
mod arch;
mod bpf;
mod compile;
#[cfg(test)]
mod interpreter;
mod moby;
mod own;
mod profile;
mod ranges;
mod rule;
#[cfg(test)]
mod tests;

use rustix::thread::CapabilitySet;

pub use action::Action;
pub use bpf::Instruction;
pub use own::{Answer, ArgumentTest, Comparison, OwnProfile, OwnRule};
use profile::Profile;

use super::capabilities;

/// How many instructions the kernel accepts in one program: `BPF_MAXINSNS` of `linux/bpf_common.h`.
pub const MAX_INSTRUCTIONS: usize = 4096;

/// What the profile depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// The container's bounding set. A call that needs one of these capabilities is allowed, as in moby's profile;
    /// without it the call would fail anyway, and refusing it early keeps code of the kernel out of reach.
    pub capabilities: CapabilitySet,
    /// Whether it may make namespaces, and mounts in them.
    pub nesting: bool,
}

impl Default for Options {
    /// Those of a container that asked for nothing: [`capabilities::DEFAULT`].
    fn default() -> Self {
        Self {
            capabilities: capabilities::DEFAULT,
            nesting: false,
        }
    }
}

/// A seccomp program: what `seccomp(SECCOMP_SET_MODE_FILTER)` takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    instructions: Vec<Instruction>,
}

impl Program {
    /// The default profile for this machine's architecture, some hundreds of instructions.
    ///
    /// Cannot fail: the lists are constants, and a test holds every program they can give to the kernel's rules.
    #[must_use]
    pub fn default_profile(options: &Options) -> Self {
        Self {
            instructions: compile::compile(&Profile::new(options).ranges()),
        }
    }

    /// The instructions in order: never empty, at most [`MAX_INSTRUCTIONS`], the first one is where it begins.
    #[must_use]
    pub fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }
}

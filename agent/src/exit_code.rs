//! Every status the agent exits with, in one place.
//!
//! The numbers from 64 on follow `sysexits(3)`; 130 is what shells report for a command that Ctrl-C ended.

use std::process::Termination;

/// How the agent exits. A script may rely on each of these meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitCode {
    /// The pipeline succeeded, or the command did what it was asked.
    Success,
    /// The pipeline failed: a command, a limit the pipeline set, or an image it names that does not exist or that
    /// the registry refuses to hand out. For a command that is about an image alone: that image.
    Failed,
    /// The command line is wrong: an unknown option, job or step, a directory without a pipeline, a bad configuration.
    Usage,
    /// The pipeline file is invalid; the diagnostics say where. `EX_DATAERR`.
    InvalidPipeline,
    /// A registry or server could not be reached, or did not deliver what it promised. `EX_UNAVAILABLE`.
    Unavailable,
    /// Slipway, its runtime, its disk or the machine failed. `EX_SOFTWARE`.
    Internal,
    /// This host cannot run containers; the message says why and what to do. `EX_NOPERM`.
    HostUnsupported,
    /// A signal, or a reader of the output that went away, stopped the run.
    Cancelled,
    /// What became of a container's command, for `run`, `exec` and whoever asks for it: see [`crate::door::Ending`].
    Command(u8),
}

impl Termination for ExitCode {
    fn report(self) -> std::process::ExitCode {
        std::process::ExitCode::from(match self {
            Self::Success => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::InvalidPipeline => 65,
            Self::Unavailable => 69,
            Self::Internal => 70,
            Self::HostUnsupported => 77,
            Self::Cancelled => 130,
            Self::Command(code) => code,
        })
    }
}

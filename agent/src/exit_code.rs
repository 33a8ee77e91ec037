//! Every status the agent exits with, in one place.
//!
//! The numbers from 64 on follow `sysexits(3)`; 130 is what shells report for a command that Ctrl-C ended.

use std::process::Termination;

/// How the agent exits. A script may rely on each of these meanings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum ExitCode {
    /// The pipeline succeeded, or the command did what it was asked.
    Success = 0,
    /// The pipeline failed: a command, a limit the pipeline set, or an image it names that does not exist or that
    /// the registry refuses to hand out.
    PipelineFailed = 1,
    /// The command line is wrong: an unknown option, job or step, a directory without a pipeline, a bad configuration.
    Usage = 2,
    /// The pipeline file is invalid; the diagnostics say where. `EX_DATAERR`.
    InvalidPipeline = 65,
    /// A registry or server could not be reached, or did not deliver what it promised. `EX_UNAVAILABLE`.
    Unavailable = 69,
    /// Slipway, its runtime, its disk or the machine failed. `EX_SOFTWARE`.
    Internal = 70,
    /// This host cannot run containers; the message says why and what to do. `EX_NOPERM`.
    HostUnsupported = 77,
    /// A signal, or a reader of the output that went away, stopped the run.
    Cancelled = 130,
}

impl Termination for ExitCode {
    fn report(self) -> std::process::ExitCode {
        std::process::ExitCode::from(self as u8)
    }
}

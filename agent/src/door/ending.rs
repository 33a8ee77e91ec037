//! How a container's command ended, as a number for scripts.

use runtime::container::{ExitStatus, StartError};

use crate::exit_code::ExitCode;

/// The agent itself failed; the command never ran. As `docker run`, `env(1)` and `timeout(1)` have it.
const AGENT: u8 = 125;
/// The command is there and cannot be executed.
const NOT_EXECUTABLE: u8 = 126;
/// There is no such command.
const NOT_FOUND: u8 = 127;
/// Added to the number of the signal that ended the command.
const SIGNAL: u8 = 128;

/// How a container's command ended, or that it never began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It ran.
    Ran(ExitStatus),
    /// There is no such command in the image.
    NotFound,
    /// It cannot be executed.
    NotExecutable,
    /// The agent failed before it could run.
    Failed,
}

impl Ending {
    /// Which of them a refusal to start is.
    #[must_use]
    pub const fn refused(error: &StartError) -> Self {
        match error {
            StartError::CommandNotFound { .. } => Self::NotFound,
            StartError::NotExecutable { .. } | StartError::TooLong { .. } => Self::NotExecutable,
            _ => Self::Failed,
        }
    }

    /// The number for it.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Ran(ExitStatus::Code(code)) => code,
            Self::Ran(ExitStatus::Signal(signal)) => {
                SIGNAL.saturating_add(u8::try_from(signal).unwrap_or(0))
            }
            Self::NotFound => NOT_FOUND,
            Self::NotExecutable => NOT_EXECUTABLE,
            Self::Failed => AGENT,
        }
    }
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        Self::Command(ending.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_shells_and_of_docker() {
        let code = |ending: Ending| ending.code();
        assert_eq!(code(Ending::Ran(ExitStatus::Code(3))), 3);
        assert_eq!(code(Ending::Ran(ExitStatus::Signal(15))), 143);
        let missing = StartError::CommandNotFound {
            program: "x".to_owned(),
        };
        assert_eq!(code(Ending::refused(&missing)), 127);
        let denied = StartError::NotExecutable {
            program: "x".to_owned(),
            errno: 13,
        };
        assert_eq!(code(Ending::refused(&denied)), 126);
        assert_eq!(code(Ending::refused(&StartError::UpperOnOverlay)), 125);
    }
}

//! A piece of a step's output.

use std::sync::Arc;

/// Which step of a run something belongs to.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct StepId {
    /// The job's id.
    pub job: String,
    /// The step's name.
    pub step: String,
    /// The step's position in the job, from 0.
    pub index: usize,
}

/// Bytes a step wrote in one go, or what one read found of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Whose they are.
    pub step: Arc<StepId>,
    /// Offset of the first byte in the step's log.
    pub offset: u64,
    /// Never empty. May end in the middle of a line, an escape sequence or a character.
    pub bytes: Vec<u8>,
}

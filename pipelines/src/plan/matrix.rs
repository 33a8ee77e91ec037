use std::num::NonZeroUsize;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

use crate::expression::Value;

/// Where a job stands in its matrix.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cell {
    /// The key under `jobs`; every cell of the matrix has the same. What other jobs write in `needs`.
    pub job: String,
    /// The cell's values by axis, in the order of the file; `matrix.NAME` in expressions.
    pub values: IndexMap<String, Value>,
    /// The first cell that fails, and is not allowed to, cancels the others.
    pub fail_fast: bool,
    /// How many cells of this matrix may run at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_parallel: Option<NonZeroUsize>,
}

//! What a step leaves for others.

use std::fs::File;
use std::io::{self, Seek as _, SeekFrom};

use indexmap::IndexMap;

use crate::assignments;
use crate::backend::Exchange;

/// Names and values that a step has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Read as `steps.NAME.outputs`.
    pub(super) outputs: IndexMap<String, String>,
    /// For the environment of the job's later steps.
    pub(super) env: IndexMap<String, String>,
}

impl Left {
    /// Reads a step's files once it is over. Both are the step's own: whatever it did to them is bounded and harmless.
    ///
    /// # Errors
    /// What is wrong, by the variable that leads to the file; for a person.
    pub(super) fn read(exchange: Exchange) -> Result<Self, String> {
        let left = Self {
            outputs: all(exchange.output, "SLIPWAY_OUTPUT")?,
            env: all(exchange.env, "SLIPWAY_ENV")?,
        };
        if let Some(name) = left.env.keys().find(|name| name.contains('-')) {
            return Err(format!("$SLIPWAY_ENV: `{name}` is no name of a variable"));
        }
        Ok(left)
    }
}

fn all(mut file: File, variable: &str) -> Result<IndexMap<String, String>, String> {
    let wrong = |error: &dyn std::error::Error| format!("${variable}: {error}");
    let rewound: io::Result<u64> = file.seek(SeekFrom::Start(0));
    rewound.map_err(|error| wrong(&error))?;
    let found = assignments::read(file).map_err(|error| wrong(&error))?;
    Ok(found.into_iter().collect())
}

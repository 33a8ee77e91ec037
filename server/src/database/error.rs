//! What can fail about a database.

use protocol::service::{Problem, ProblemCode};

/// A database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// It cannot be reached, or the connection broke. What was asked for may have happened.
    #[error("the database is unavailable: {message}")]
    Unavailable {
        /// What its client says.
        message: String,
    },
    /// Somebody else changed the same at the same time; asking again helps.
    #[error("the database was busy with the same rows: {message}")]
    Busy {
        /// What it says.
        message: String,
    },
    /// A value that must be there once is there already.
    #[error("a value is there already: {message}")]
    Duplicate {
        /// What it says.
        message: String,
    },
    /// A statement failed otherwise.
    #[error("a statement failed: {message}")]
    Statement {
        /// What it says.
        message: String,
    },
    /// An answer has another shape than expected: a column of another type, or none.
    #[error("column {column} of an answer is not what was expected")]
    Shape {
        /// Which, from 0.
        column: usize,
    },
    /// What is kept as JSON is none, or not the one expected.
    #[error("a document in the database cannot be read or written: {source}")]
    Json {
        /// Why.
        source: serde_json::Error,
    },
    /// Its schema was made by a newer program.
    #[error(
        "the database has schema {found}, and this program knows {known}: it was used by a newer one"
    )]
    Newer {
        /// What it has.
        found: i64,
        /// What this program knows.
        known: i64,
    },
    /// The server is ending.
    #[error("the server is shutting down")]
    Closed,
}

/// Why an operation did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum OperationError {
    /// It was refused; nothing has changed.
    #[error("{}", .0.message)]
    Refused(Box<Problem>),
    /// The database failed; nothing has changed, as far as that can be known.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl From<Problem> for OperationError {
    fn from(problem: Problem) -> Self {
        Self::Refused(Box::new(problem))
    }
}

/// The short way to refuse.
pub(crate) fn refuse<T>(
    code: ProblemCode,
    message: impl Into<String>,
) -> Result<T, OperationError> {
    Err(Problem::new(code, message).into())
}

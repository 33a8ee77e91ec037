//! An operation on its way to a database's thread and back.

use tokio::sync::oneshot;

use super::foresight::{Foresight, Outlook};
use super::transaction::Transaction;
use super::{DatabaseError, OperationError};

/// What to do with the transaction an operation ran in.
#[derive(Debug)]
pub(super) enum Verdict {
    Commit,
    /// The operation was refused.
    Rollback,
    /// The database failed under it.
    Failed(DatabaseError),
}

/// An operation of any type.
pub(super) trait Work: Send {
    /// What it begins with, where that is known.
    fn foresight(&self, outlook: Outlook<'_>) -> Option<Foresight>;

    /// Whether [`Self::foresight`] has something.
    fn foresees(&self) -> bool;

    /// Runs it, perhaps not for the first time.
    fn run(&mut self, transaction: &mut Transaction<'_>) -> Verdict;

    /// Answers who asked: with what the operation came to, or with why the database did not keep it.
    fn deliver(self: Box<Self>, failed: Option<DatabaseError>);
}

/// Runs an operation. A bug in one is its own failure, and not the end of the thread that all others need.
pub(super) fn run(work: &mut dyn Work, transaction: &mut Transaction<'_>) -> Verdict {
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work.run(transaction)));
    caught.unwrap_or_else(|_| {
        Verdict::Failed(DatabaseError::Statement {
            message: "the operation has panicked".to_owned(),
        })
    })
}

/// Says what an operation begins with.
pub(super) type Foresee = Box<dyn Fn(Outlook<'_>) -> Foresight + Send>;

struct Operation<F, T> {
    foresee: Option<Foresee>,
    operation: F,
    result: Option<Result<T, OperationError>>,
    answer: oneshot::Sender<Result<T, OperationError>>,
}

/// Packs an operation up.
pub(super) fn work<T, F>(foresee: Option<Foresee>, operation: F) -> (Box<dyn Work>, Answer<T>)
where
    T: Send + 'static,
    F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send + 'static,
{
    let (answer, wait) = oneshot::channel();
    let work = Operation {
        foresee,
        operation,
        result: None,
        answer,
    };
    (Box::new(work), Answer(wait))
}

/// The way back.
pub(super) struct Answer<T>(oneshot::Receiver<Result<T, OperationError>>);

impl<T> Answer<T> {
    pub(super) async fn wait(self) -> Result<T, OperationError> {
        self.0
            .await
            .unwrap_or(Err(OperationError::Database(DatabaseError::Closed)))
    }
}

impl<T, F> Work for Operation<F, T>
where
    T: Send,
    F: FnMut(&mut Transaction<'_>) -> Result<T, OperationError> + Send,
{
    fn foresight(&self, outlook: Outlook<'_>) -> Option<Foresight> {
        self.foresee.as_ref().map(|foresee| foresee(outlook))
    }

    fn foresees(&self) -> bool {
        self.foresee.is_some()
    }

    fn run(&mut self, transaction: &mut Transaction<'_>) -> Verdict {
        match (self.operation)(transaction) {
            Err(OperationError::Database(error)) => {
                self.result = None;
                Verdict::Failed(error)
            }
            result => {
                let verdict = match &result {
                    Ok(_) => Verdict::Commit,
                    Err(_) => Verdict::Rollback,
                };
                self.result = Some(result);
                verdict
            }
        }
    }

    fn deliver(self: Box<Self>, failed: Option<DatabaseError>) {
        let result = match (failed, self.result) {
            (None, Some(result)) => result,
            // A refusal, too: it may rest on what others of its batch have written.
            (Some(error), _) => Err(error.into()),
            (None, None) => Err(DatabaseError::Closed.into()),
        };
        // Who asked may have gone.
        let _ = self.answer.send(result);
    }
}

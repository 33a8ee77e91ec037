//! Statements that an operation begins with, known before it runs.
//!
//! ```text
//! batch of operations --> what they foresee, all on its way at once --> each runs, and finds its first answers here
//! ```
//! Where the database is far, a question costs the way there and back, and the threads that change at both ends, more than the
//! database takes to answer it. So operations say what they are going to ask, as long as it depends on nothing that they have yet to
//! hear. An operation is the same with and without: what it foresees is asked once, whoever asks it, and where it goes another way
//! after all, answers that it does not want are thrown away.
//!
//! What is foreseen is executed before other operations of the batch have run. That is as if they ran beside it on another
//! connection, but for locks, which do not hold off their own transaction. So what an operation has locked, loaded and changed it
//! keeps for those behind it ([`Transaction::keep`]): they go on with that, and what they have foreseen of it is thrown away, or not
//! asked at all. Only operations that foresee something do so, which are the first of their batch: whatever else is in it loads anew.

use std::any::Any;
use std::collections::{HashMap, VecDeque};

use super::transaction::Transaction;
use super::{DatabaseError, Row, Value};
use crate::queue::Structures;

/// A statement with its values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Question {
    pub(super) sql: &'static str,
    pub(super) values: Vec<Value<'static>>,
}

impl Question {
    pub(crate) fn new(sql: &'static str, values: impl IntoIterator<Item = Value<'static>>) -> Self {
        Self {
            sql,
            values: values.into_iter().collect(),
        }
    }

    /// It changes nothing.
    fn only_looks(&self) -> bool {
        self.sql.starts_with("SELECT")
    }
}

/// What operations have kept, by pipeline.
pub(super) type Kept = HashMap<i64, Box<dyn Any + Send>>;

/// What an operation begins with, in its order.
#[derive(Debug, Default)]
pub(crate) struct Foresight {
    pub(super) questions: Vec<Question>,
    /// The pipeline that it loads behind them, and how.
    pub(super) loads: Option<(i64, [Question; 2])>,
}

impl Foresight {
    pub(crate) fn new(questions: impl IntoIterator<Item = Question>) -> Self {
        Self {
            questions: questions.into_iter().collect(),
            loads: None,
        }
    }

    /// Behind it a pipeline is loaded, unless somebody keeps it.
    pub(crate) fn loading(mut self, pipeline: i64, questions: [Question; 2]) -> Self {
        self.loads = Some((pipeline, questions));
        self
    }
}

/// What is known when it is foreseen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outlook<'s> {
    /// [`Transaction::now`] of the operation.
    pub(crate) now: u64,
    pub(crate) structures: &'s Structures,
}

/// Answers that have come, for an operation that is about to run.
#[derive(Debug, Default)]
pub(super) struct Foreseen(pub(super) VecDeque<(Question, Vec<Row>)>);

impl Foreseen {
    /// The answer to a question, when it is what was foreseen next. Otherwise nothing that was foreseen is of use any more.
    ///
    /// # Errors
    /// When something was changed that the operation does not know of: it has to run again.
    fn take(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Option<Vec<Row>>, DatabaseError> {
        match self.0.pop_front() {
            None => Ok(None),
            Some((question, rows)) if question.sql == sql && question.values == values => {
                Ok(Some(rows))
            }
            Some((question, _)) => {
                let others = self.0.drain(..).map(|(question, _)| question);
                let mut all = std::iter::once(question).chain(others);
                match all.all(|question| question.only_looks()) {
                    true => Ok(None),
                    false => Err(strayed()),
                }
            }
        }
    }

    /// The operation has ended.
    pub(super) fn end(&mut self) -> Result<(), DatabaseError> {
        match self.0.drain(..).all(|(question, _)| question.only_looks()) {
            true => Ok(()),
            false => Err(strayed()),
        }
    }
}

fn strayed() -> DatabaseError {
    DatabaseError::Busy {
        message: "an operation has not asked what it foresaw".to_owned(),
    }
}

impl Transaction<'_> {
    /// The rows a statement answers with.
    pub(crate) fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
    ) -> Result<Vec<Row>, DatabaseError> {
        match self.foreseen.take(sql, values)? {
            Some(rows) => {
                self.statements.has_asked(sql);
                Ok(rows)
            }
            None => self.statements.query(sql, values),
        }
    }

    /// Keeps what was made of a pipeline that the transaction has locked, as it is written, for operations behind this one.
    pub(crate) fn keep<T: Any + Send>(&mut self, pipeline: i64, what: T) {
        if let Some(kept) = self.statements.kept() {
            kept.insert(pipeline, Box::new(what));
        }
    }

    /// What an operation before this one has kept of a pipeline. Who changes it keeps it anew.
    pub(crate) fn kept<T: Any + Send>(&mut self, pipeline: i64) -> Option<T> {
        let kept = self.statements.kept()?.remove(&pipeline)?;
        kept.downcast().ok().map(|kept| *kept)
    }

    /// The rows that answer a question.
    pub(crate) fn ask(&mut self, question: &Question) -> Result<Vec<Row>, DatabaseError> {
        self.query(question.sql, &question.values)
    }

    /// The first of them.
    pub(crate) fn ask_first(&mut self, question: &Question) -> Result<Option<Row>, DatabaseError> {
        Ok(self.ask(question)?.into_iter().next())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOOK: &str = "SELECT 1";
    const CHANGE: &str = "UPDATE jobs SET beat = 1";

    fn foreseen(all: &[&'static str]) -> Foreseen {
        let row = || vec![Row(vec![Value::Null])];
        let answers = all.iter().map(|sql| (Question::new(sql, []), row()));
        Foreseen(answers.collect())
    }

    #[test]
    fn what_was_foreseen_is_answered_in_its_order() {
        let mut foreseen = foreseen(&[CHANGE, LOOK]);
        assert!(foreseen.take(CHANGE, &[]).unwrap().is_some());
        assert!(foreseen.take(LOOK, &[]).unwrap().is_some());
        assert!(foreseen.take(LOOK, &[]).unwrap().is_none());
        assert!(foreseen.end().is_ok());
    }

    #[test]
    fn answers_that_nobody_wants_are_thrown_away() {
        let mut other = foreseen(&[LOOK, LOOK]);
        assert!(other.take(LOOK, &[1_i64.into()]).unwrap().is_none());
        assert!(other.take(LOOK, &[]).unwrap().is_none());
        let mut none = foreseen(&[LOOK]);
        assert!(none.end().is_ok());
    }

    #[test]
    fn a_change_that_an_operation_does_not_know_of_is_undone() {
        assert!(foreseen(&[LOOK, CHANGE]).take(CHANGE, &[]).is_err());
        assert!(foreseen(&[CHANGE]).end().is_err());
    }
}

//! What operations foresee is asked of the database, all on its way at once.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use futures_util::future::join_all;
use tokio_postgres::Statement;

use super::session::{Session, WAITING, taken};
use super::values::{failed, parameters};
use crate::database::foresight::{Foreseen, Outlook, Question};
use crate::database::work::Work;
use crate::database::{DatabaseError, Row};

impl Session {
    /// Asks what the first operations foresee that foresee something; their answers, one an operation. What pipelines are loaded
    /// with is asked once.
    pub(super) fn look_ahead(
        &mut self,
        works: &[Box<dyn Work>],
        now: u64,
    ) -> Result<VecDeque<Foreseen>, DatabaseError> {
        let structures = Arc::clone(&self.structures);
        let outlook = Outlook {
            now,
            structures: &structures,
        };
        let mut loaded = HashSet::new();
        let foresights = works.iter().map_while(|work| work.foresight(outlook));
        let each = foresights.map(|foresight| {
            let mut questions = foresight.questions;
            if let Some((pipeline, load)) = foresight.loads
                && loaded.insert(pipeline)
            {
                questions.extend(load);
            }
            questions
        });
        let each: Vec<Vec<Question>> = each.collect();
        let mut answers = self.answers(&each.concat())?.into_iter();
        let foreseen = |questions: Vec<Question>| {
            Foreseen(questions.into_iter().zip(answers.by_ref()).collect())
        };
        Ok(each.into_iter().map(foreseen).collect())
    }

    /// The answers to questions that do not depend on each other's; what waits goes before them.
    fn answers(&mut self, questions: &[Question]) -> Result<Vec<Vec<Row>>, DatabaseError> {
        if questions.is_empty() {
            return Ok(Vec::new());
        }
        self.flush()?;
        let mut answers = Vec::with_capacity(questions.len());
        for some in questions.chunks(WAITING) {
            let statements = some.iter().map(|question| self.prepared(question.sql));
            let statements = statements.collect::<Result<Vec<Statement>, _>>()?;
            let client = &self.client;
            let each = some
                .iter()
                .zip(&statements)
                .map(|(question, statement)| async move {
                    let values = parameters(&question.values);
                    client.query(statement, &values).await.map_err(failed)
                });
            for rows in self.runtime.block_on(join_all(each)) {
                answers.push(taken(&rows?)?);
            }
        }
        Ok(answers)
    }
}

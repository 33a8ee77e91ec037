//! Carries what the policy decides about pipelines into the database, and on to other pipelines: the end of one job may end its
//! pipeline, which lets another one of its group start.
//!
//! ```text
//! Flow::pipeline (loads, locks) -> the caller tells the graph what happened -> Flow::settle: graphs, rows, groups, until nothing moves
//! ```

use std::collections::{BTreeMap, BTreeSet};

use protocol::service::{JobId, PipelineId};

use super::loaded::{Loaded, lock, not_found, save};
use crate::database::{News, OperationError, Transaction, locking, word};
use crate::queue::{State, Stopping};

/// Pipelines that change together.
#[derive(Debug)]
pub(crate) struct Flow<'f, 't> {
    tx: &'f mut Transaction<'t>,
    loaded: BTreeMap<i64, Loaded>,
    /// Groups that have a place to give, perhaps.
    job_groups: BTreeSet<i64>,
    pipeline_groups: BTreeSet<i64>,
}

impl<'f, 't> Flow<'f, 't> {
    pub(crate) const fn new(tx: &'f mut Transaction<'t>) -> Self {
        Self {
            tx,
            loaded: BTreeMap::new(),
            job_groups: BTreeSet::new(),
            pipeline_groups: BTreeSet::new(),
        }
    }

    /// Loads a pipeline, and keeps others from changing it until the transaction ends.
    pub(crate) fn pipeline(&mut self, id: PipelineId) -> Result<&mut Loaded, OperationError> {
        let id = i64::try_from(id.0).unwrap_or(i64::MAX);
        if !self.loaded.contains_key(&id) {
            let loaded = match self.tx.kept(id) {
                Some(kept) => kept,
                None => lock(self.tx, id)?,
            };
            self.loaded.insert(id, loaded);
        }
        self.loaded
            .get_mut(&id)
            .ok_or_else(|| not_found("pipeline", id))
    }

    /// Takes up a pipeline that is being made in this transaction.
    pub(crate) fn made(&mut self, id: i64, loaded: Loaded) {
        self.loaded.insert(id, loaded);
    }

    /// Loads the pipeline of a job; and the job's place in it.
    pub(crate) fn job(&mut self, job: JobId) -> Result<(&mut Loaded, usize), OperationError> {
        let row = self
            .tx
            .first("SELECT pipeline FROM jobs WHERE id = $1", &[job.0.into()])?;
        let Some(row) = row else {
            return Err(not_found("job", job.0));
        };
        self.job_of(PipelineId(row.number(0)?), job)
    }

    /// The same where it is known which one that is.
    pub(crate) fn job_of(
        &mut self,
        pipeline: PipelineId,
        job: JobId,
    ) -> Result<(&mut Loaded, usize), OperationError> {
        let loaded = self.pipeline(pipeline)?;
        let place = loaded.place(job).ok_or_else(|| not_found("job", job.0))?;
        Ok((loaded, place))
    }

    /// A pipeline that was over has jobs again: it waits for its group's place as one that was just made.
    pub(crate) fn reopen(&mut self, id: PipelineId) -> Result<(), OperationError> {
        let now = self.tx.now();
        let loaded = self.pipeline(id)?;
        if loaded.conclusion.is_none() {
            return Ok(());
        }
        let group = loaded.group;
        loaded.graph.is_open = group.is_none() && !loaded.needs_approval;
        self.tx.later(
            "UPDATE pipelines SET queued_at = $1 WHERE id = $2",
            &[now.into(), id.0.into()],
        )?;
        self.pipeline_groups.extend(group);
        Ok(())
    }

    /// A person has agreed to a pipeline: it starts, or waits for its group's place.
    pub(crate) fn approve(&mut self, id: PipelineId) -> Result<(), OperationError> {
        let loaded = self.pipeline(id)?;
        loaded.needs_approval = false;
        let group = loaded.group;
        let state = match group {
            None => "queued",
            Some(_) => "held",
        };
        loaded.graph.is_open = group.is_none();
        state.clone_into(&mut loaded.state);
        self.tx.execute(
            "UPDATE pipelines SET approval = 0, state = $1 WHERE id = $2",
            &[state.into(), id.0.into()],
        )?;
        self.tx.tell(News::Pipeline(id));
        self.pipeline_groups.extend(group);
        Ok(())
    }

    /// A pipeline's group is to be looked at: it has a new member.
    pub(crate) fn look_at_group(&mut self, group: i64) {
        self.pipeline_groups.insert(group);
    }

    /// Lets everything go as far as it can, and writes it.
    pub(crate) fn settle(mut self) -> Result<(), OperationError> {
        loop {
            let ids: Vec<i64> = self.loaded.keys().copied().collect();
            for id in ids {
                self.settle_one(id)?;
            }
            if let Some(group) = self.pipeline_groups.pop_first() {
                self.give_pipeline_place(group)?;
            } else if let Some(group) = self.job_groups.pop_first() {
                self.give_job_place(group)?;
            } else {
                break;
            }
        }
        for (id, loaded) in self.loaded {
            self.tx.keep(id, loaded);
        }
        Ok(())
    }

    fn settle_one(&mut self, id: i64) -> Result<(), OperationError> {
        let Some(loaded) = self.loaded.get_mut(&id) else {
            return Ok(());
        };
        loaded.graph.settle();
        for index in 0..loaded.rows.len() {
            if std::mem::take(&mut loaded.graph.nodes[index].changed) {
                let groups = &mut self.job_groups;
                save(self.tx, loaded, index, groups)?;
            }
        }
        let conclusion = loaded.graph.conclusion();
        if loaded.was_cancelled != loaded.graph.cancelled {
            loaded.was_cancelled = loaded.graph.cancelled;
            self.tx.later(
                "UPDATE pipelines SET cancelled = $1 WHERE id = $2",
                &[loaded.was_cancelled.into(), id.into()],
            )?;
        }
        if conclusion != loaded.conclusion {
            loaded.conclusion = conclusion;
            let finished_at = conclusion.is_some().then(|| self.tx.now());
            loaded.state = match conclusion {
                Some(_) => "finished",
                None if !loaded.graph.is_open => "held",
                None if loaded.graph.has_started() => "running",
                None => "queued",
            }
            .to_owned();
            self.tx.later(
                "UPDATE pipelines SET state = $1, conclusion = $2, finished_at = $3 WHERE id = $4",
                &[
                    (&loaded.state).into(),
                    word(&conclusion)?,
                    finished_at.into(),
                    id.into(),
                ],
            )?;
            if conclusion.is_some() {
                self.pipeline_groups.extend(loaded.group);
                self.tx.structures().remove(id);
            }
        }
        Ok(())
    }

    /// Lets the next job of a group in, when none has its place.
    fn give_job_place(&mut self, group: i64) -> Result<(), OperationError> {
        let lock = locking!(self.tx, "SELECT id FROM groups_of WHERE id = $1");
        self.tx.query(lock, &[group.into()])?;
        let rows = self.tx.query(
            "SELECT id, pipeline, state FROM jobs WHERE group_of = $1 AND state <> 'finished' ORDER BY queued_at, id",
            &[group.into()],
        )?;
        let mut held = Vec::new();
        let mut with_place = Vec::new();
        for row in &rows {
            let member = (JobId(row.number(0)?), PipelineId(row.number(1)?));
            match row.word::<State>(2)? {
                State::Held => held.push(member),
                state if state.takes_place() => with_place.push(member),
                _ => {}
            }
        }
        if let Some(&(newest, pipeline)) = held.last() {
            let (loaded, index) = self.job(newest)?;
            let group = &loaded.graph.nodes[index].group;
            if group.as_ref().is_some_and(|group| group.cancels) {
                // Jobs of one run do not push each other out.
                let older = |member: &&(JobId, PipelineId)| member.1 != pipeline;
                for (job, _) in with_place.iter().chain(&held).filter(older) {
                    let (loaded, index) = self.job(*job)?;
                    if loaded.graph.nodes[index].stopping == Stopping::No {
                        loaded.graph.cancel(index);
                    }
                }
                held.retain(|member| member.1 == pipeline);
            }
        }
        if with_place.is_empty() {
            for (job, _) in held {
                let (loaded, index) = self.job(job)?;
                if loaded.graph.has_room(index) {
                    loaded.graph.admit(index);
                    break;
                }
            }
        }
        Ok(())
    }

    /// Lets the next pipeline of a group start, when none has its place.
    fn give_pipeline_place(&mut self, group: i64) -> Result<(), OperationError> {
        let lock = locking!(self.tx, "SELECT id FROM groups_of WHERE id = $1");
        self.tx.query(lock, &[group.into()])?;
        let rows = self.tx.query(
            "SELECT id, state, cancels FROM pipelines WHERE group_of = $1 AND state <> 'finished' AND approval = 0 ORDER BY queued_at, id",
            &[group.into()],
        )?;
        let mut members = Vec::new();
        for row in &rows {
            members.push((
                PipelineId(row.number(0)?),
                row.text(1)? == "held",
                row.is(2)?,
            ));
        }
        let newest = members.last().copied();
        if let Some((newest, true, true)) = newest {
            for (older, ..) in members.iter().filter(|member| member.0 != newest) {
                let loaded = self.pipeline(*older)?;
                if !loaded.graph.cancelled {
                    loaded.graph.cancel_all();
                }
            }
            members.retain(|member| !member.1 || member.0 == newest);
        }
        if members.iter().any(|member| !member.1) {
            return Ok(());
        }
        if let Some((next, ..)) = members.first() {
            let next = *next;
            self.tx.later(
                "UPDATE pipelines SET state = 'queued' WHERE id = $1 AND state = 'held'",
                &[next.0.into()],
            )?;
            let loaded = self.pipeline(next)?;
            loaded.graph.is_open = true;
            "queued".clone_into(&mut loaded.state);
        }
        Ok(())
    }
}

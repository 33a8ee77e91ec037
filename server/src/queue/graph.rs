//! A pipeline while it runs: which of its jobs may start, and what the end of one means for the others.
//!
//! Pure and synchronous. The meaning of `needs`, `if`, `allow_failure`, `fail_fast` and `max_parallel` is the same as on a
//! laptop, where the agent's executor has them; groups of concurrency reach beyond a pipeline and are the caller's: a job
//! that has one stays [`State::Held`] until [`Graph::admit`].

use std::sync::Arc;

use indexmap::IndexMap;
use protocol::service::Need;
use protocol::{Cause, Conclusion, Decision, RunValues, Skip, decide, hears_failures};

use super::node::{End, Node, State, Stopping};
use super::structure::Structure;
use super::turn::bind;

/// A pipeline's jobs in the order of its plan.
#[derive(Debug, Clone)]
pub(crate) struct Graph {
    pub(crate) nodes: Vec<Node>,
    structure: Arc<Structure>,
    /// It may start: it has no group, or its group's place.
    pub(crate) is_open: bool,
    /// Somebody has stopped the pipeline.
    pub(crate) cancelled: bool,
}

impl Graph {
    /// Of jobs in the order of the plan: as many as the structure has.
    pub(crate) const fn new(
        nodes: Vec<Node>,
        structure: Arc<Structure>,
        is_open: bool,
        cancelled: bool,
    ) -> Self {
        Self {
            nodes,
            structure,
            is_open,
            cancelled,
        }
    }

    fn change(&mut self, index: usize) -> &mut Node {
        let node = &mut self.nodes[index];
        node.changed = true;
        node
    }

    /// Lets every job go as far as it can without an agent, a person or a group.
    pub(crate) fn settle(&mut self) {
        if !self.is_open {
            return;
        }
        // Each pass takes jobs forward only, so there are few of them; most often the order of the file needs one.
        loop {
            let mut is_moved = false;
            for index in 0..self.nodes.len() {
                match self.nodes[index].state {
                    State::Waiting => is_moved |= self.turn(index),
                    State::Held if self.nodes[index].group.is_none() => {
                        is_moved |= self.enter(index);
                    }
                    _ => {}
                }
            }
            if !is_moved {
                return;
            }
        }
    }

    /// Whether a waiting job's turn has come, and what becomes of it then.
    fn turn(&mut self, index: usize) -> bool {
        let hears = hears_failures(&self.nodes[index].shape.condition);
        let mut open = false;
        let mut unmet = None;
        for &need in &self.structure.needs[index] {
            let node = &self.nodes[need];
            if node.state != State::Finished {
                open = true;
            } else if !hears && !node.satisfies() {
                unmet = unmet.or(Some(need));
            }
        }
        if let Some(need) = unmet {
            let failed = self.nodes[need].failed;
            let unmet = self.nodes[need].shape.id.clone();
            let cause = Cause::Skipped(Skip::Needs { unmet });
            self.end(index, End::of(Conclusion::Skipped, cause));
            self.nodes[index].failed = failed;
            return true;
        }
        if open {
            return false;
        }
        let (needs, failed) = self.needs_of(index);
        let shape = &self.nodes[index].shape;
        let ended = needs.iter();
        let ended = ended.map(|(job, need)| (job, need.conclusion, &need.outputs));
        let mut values = RunValues::of_job(&self.structure.event, shape, ended);
        values.failed = failed;
        match decide(&shape.condition, &shape.place, &values) {
            Decision::Skip(condition) => {
                let cause = Cause::Skipped(Skip::Condition { condition });
                self.end(index, End::of(Conclusion::Skipped, cause));
            }
            Decision::Mistake(message) => self.mistake(index, message),
            Decision::Run => match bind(shape, &values) {
                Err(message) => self.mistake(index, message),
                Ok((runs_on, group)) => {
                    let node = self.change(index);
                    node.runs_on = runs_on;
                    node.group = group;
                    node.state = match node.shape.approval && !node.approved {
                        true => State::Approval,
                        false => State::Held,
                    };
                }
            },
        }
        true
    }

    /// Makes a held job ready when its matrix has room.
    fn enter(&mut self, index: usize) -> bool {
        let has_room = self.has_room(index);
        if has_room {
            self.change(index).state = State::Ready;
        }
        has_room
    }

    /// Whether as few cells of the job's matrix run as may.
    pub(crate) fn has_room(&self, index: usize) -> bool {
        let Some(cell) = &self.nodes[index].shape.cell else {
            return true;
        };
        let Some(most) = cell.max_parallel else {
            return true;
        };
        let running = self.structure.cells(&cell.job).iter();
        let running = running.filter(|cell| self.nodes[**cell].state.takes_place());
        running.count() < most.get()
    }

    /// A held job has its group's place now.
    pub(crate) fn admit(&mut self, index: usize) {
        if self.nodes[index].state == State::Held {
            self.change(index).state = State::Ready;
        }
    }

    fn mistake(&mut self, index: usize, message: String) {
        self.end(
            index,
            End::of(Conclusion::Failure, Cause::Start { message }),
        );
        self.nodes[index].failed = true;
    }

    /// Ends a job that no agent has.
    fn end(&mut self, index: usize, end: End) {
        let node = self.change(index);
        node.state = State::Finished;
        node.end = Some(end);
        node.allowed = false;
        node.failed = false;
    }

    /// What a job's expressions read of what it needs, and whether something of it has failed. Of a matrix the worst end
    /// counts, and of outputs that several cells have, the last cell's.
    pub(crate) fn needs_of(&self, index: usize) -> (IndexMap<String, Need>, bool) {
        let mut needs: IndexMap<String, Need> = IndexMap::new();
        let mut failed = false;
        for &need in &self.structure.needs[index] {
            let node = &self.nodes[need];
            let Some(ended) = node.as_need() else {
                continue;
            };
            failed |= node.failed;
            match needs.get_mut(node.shape.key()) {
                None => {
                    needs.insert(node.shape.key().to_owned(), ended);
                }
                Some(worst) => {
                    if worst.conclusion == Conclusion::Success {
                        worst.conclusion = ended.conclusion;
                    }
                    worst.outputs.extend(ended.outputs);
                }
            }
        }
        (needs, failed)
    }

    /// An agent has finished a job.
    pub(crate) fn finish(&mut self, index: usize, mut end: End) {
        let node = self.change(index);
        if end.conclusion == Conclusion::Cancelled
            && node.stopping == Stopping::No
            && let Some(job) = node.stopped_by.clone()
        {
            end.cause = Some(Cause::FailFast { job });
        }
        node.allowed = node.shape.allow_failure && end.conclusion == Conclusion::Failure;
        node.state = State::Finished;
        let conclusion = end.conclusion;
        node.end = Some(end);
        node.failed = !node.satisfies();
        if node.failed && conclusion != Conclusion::Cancelled {
            self.fail_fast(index);
        }
    }

    /// Stops the other cells of a matrix.
    fn fail_fast(&mut self, index: usize) {
        let shape = &self.nodes[index].shape;
        let Some(cell) = shape.cell.as_ref().filter(|cell| cell.fail_fast) else {
            return;
        };
        let job = shape.id.clone();
        for other in self.structure.cells(&cell.job).to_vec() {
            let node = &self.nodes[other];
            if node.state == State::Finished || node.stopped_by.is_some() {
                continue;
            }
            if node.state.is_with_agent() {
                self.change(other).stopped_by = Some(job.clone());
            } else {
                let cause = Cause::FailFast { job: job.clone() };
                self.change(other).stopped_by = Some(job.clone());
                self.end(other, End::of(Conclusion::Cancelled, cause));
            }
        }
    }

    /// An agent was lost with a job, or has given it back. It is to run again, unless `end` says how it ends now.
    pub(crate) fn give_back(&mut self, index: usize, end: Option<End>) {
        let node = &self.nodes[index];
        if node.stopping > Stopping::No {
            self.finish(index, End::of(Conclusion::Cancelled, Cause::Cancelled));
        } else if let Some(job) = node.stopped_by.clone() {
            let cause = Cause::FailFast { job };
            self.finish(index, End::of(Conclusion::Cancelled, cause));
        } else if let Some(end) = end {
            self.finish(index, end);
        } else {
            self.change(index).state = State::Ready;
        }
    }

    /// A person stops a job: what runs is asked to end, at the second time killed.
    pub(crate) fn cancel(&mut self, index: usize) {
        match self.nodes[index].state {
            State::Finished => {}
            state if state.is_with_agent() => {
                let node = self.change(index);
                node.stopping = match node.stopping {
                    Stopping::No => Stopping::Cancel,
                    Stopping::Cancel | Stopping::Abort => Stopping::Abort,
                };
            }
            _ => self.end(index, End::of(Conclusion::Cancelled, Cause::Cancelled)),
        }
    }

    /// A person, or a newer run, stops the pipeline.
    pub(crate) fn cancel_all(&mut self) {
        self.cancelled = true;
        (0..self.nodes.len()).for_each(|index| self.cancel(index));
    }

    /// A person agrees.
    pub(crate) fn approve(&mut self, index: usize) {
        let node = self.change(index);
        node.approved = true;
        if node.state == State::Approval {
            node.state = State::Held;
        }
    }

    /// Lets jobs run again that are over, and what has not run well because of them.
    pub(crate) fn retry(&mut self, jobs: &[usize]) {
        self.cancelled = false;
        let mut frontier: Vec<usize> = jobs.to_vec();
        let mut reset = vec![false; self.nodes.len()];
        while let Some(index) = frontier.pop() {
            if reset[index] || self.nodes[index].state != State::Finished {
                continue;
            }
            reset[index] = true;
            let dependants = self.structure.dependants[index].iter().copied();
            frontier.extend(dependants);
            let node = self.change(index);
            node.state = State::Waiting;
            node.end = None;
            node.allowed = false;
            node.failed = false;
            node.stopping = Stopping::No;
            node.stopped_by = None;
            node.lost = 0;
            // Where it stood, and in which group, was of the time before.
            node.group = None;
            node.runs_on = IndexMap::new();
        }
    }

    /// How the pipeline ended, once all of its jobs are over.
    pub(crate) fn conclusion(&self) -> Option<Conclusion> {
        let mut worst = Conclusion::Success;
        for node in &self.nodes {
            let end = node
                .end
                .as_ref()
                .filter(|_| node.state == State::Finished)?;
            let counts = match (end.conclusion, &end.cause) {
                (Conclusion::Cancelled, Some(Cause::FailFast { .. })) => Conclusion::Success,
                (Conclusion::Failure, _) if node.allowed => Conclusion::Success,
                (Conclusion::Skipped, _) => Conclusion::Success,
                (conclusion, _) => conclusion,
            };
            if weight(counts) > weight(worst) {
                worst = counts;
            }
        }
        Some(worst)
    }

    /// Whether a job has started, or has been.
    pub(crate) fn has_started(&self) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|node| node.state == State::Running || node.attempt > 0)
    }
}

/// A failure outweighs an error, since running again would not help; a cancel outweighs both.
const fn weight(conclusion: Conclusion) -> u8 {
    match conclusion {
        Conclusion::Success | Conclusion::Skipped => 0,
        Conclusion::Error => 1,
        Conclusion::Failure => 2,
        Conclusion::Cancelled => 3,
    }
}

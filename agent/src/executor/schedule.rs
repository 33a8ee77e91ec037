//! Which node of a graph may run next. Used for the jobs of a plan and for the steps of a job.
//!
//! Pure and synchronous: it knows indices and needs, nothing of time, tasks or containers.
//!
//! ```text
//!            all needs satisfied        start_next            finish
//! Waiting ------------------------> Ready ---------> Running -------> Finished
//!    |  a need is finished unsatisfied, or skipped
//!    '------------------------------------------------------------> Skipped
//!         withdraw: Waiting and Ready -> Skipped
//! ```
//! A node that hears of failures (its `if` asks how things went) waits for all of its needs to be over, however they
//! ended.

use std::collections::{BTreeSet, HashMap};
use std::num::NonZeroUsize;

/// A graph of nodes, the state of each, and how many may run at once.
#[derive(Debug)]
pub(crate) struct Schedule {
    nodes: Vec<Node>,
    /// Indices of nodes in state `Ready`; the lowest starts first, so that the order is the file's.
    ready: BTreeSet<usize>,
    running: usize,
    limit: NonZeroUsize,
}

#[derive(Debug)]
struct Node {
    /// In the order written.
    needs: Vec<usize>,
    dependants: Vec<usize>,
    /// A need that fails, or is skipped, does not skip it.
    hears_failures: bool,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// This many needs are not satisfied yet.
    Waiting {
        unmet: usize,
    },
    Ready,
    Running,
    Finished,
    Skipped,
}

/// A node that will never run, and the need that is to blame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Skipped {
    /// The node.
    pub(crate) node: usize,
    /// The need of it that did not succeed.
    pub(crate) unmet: usize,
}

/// Why a graph cannot be scheduled. A compiled plan never is such a graph; one that came over a wire may be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// Two nodes have the same name.
    #[error("`{name}` exists twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A node needs one that does not exist.
    #[error("`{name}` needs `{need}`, which does not exist")]
    UnknownNeed {
        /// The node.
        name: String,
        /// What it needs.
        need: String,
    },
    /// A node needs itself, directly or through others.
    #[error("`{name}` needs itself, directly or through others")]
    Cycle {
        /// The first node of the cycle in the order of the plan, or one behind the cycle.
        name: String,
    },
}

impl Schedule {
    /// Builds the graph of `(name, needs)` pairs, in which at most `limit` nodes run at once.
    pub(crate) fn new<'a>(
        graph: impl IntoIterator<Item = (&'a str, &'a [String])>,
        limit: NonZeroUsize,
    ) -> Result<Self, ScheduleError> {
        let graph: Vec<_> = graph.into_iter().collect();
        let mut index = HashMap::with_capacity(graph.len());
        for (node, (name, _)) in graph.iter().enumerate() {
            if index.insert(*name, node).is_some() {
                return Err(ScheduleError::Duplicate {
                    name: (*name).to_owned(),
                });
            }
        }
        let mut nodes = Vec::with_capacity(graph.len());
        for (name, needs) in &graph {
            let mut indices: Vec<usize> = Vec::with_capacity(needs.len());
            for need in *needs {
                let Some(&target) = index.get(need.as_str()) else {
                    return Err(ScheduleError::UnknownNeed {
                        name: (*name).to_owned(),
                        need: need.clone(),
                    });
                };
                if !indices.contains(&target) {
                    indices.push(target);
                }
            }
            nodes.push(Node {
                state: State::Waiting {
                    unmet: indices.len(),
                },
                needs: indices,
                dependants: Vec::new(),
                hears_failures: false,
            });
        }
        for node in 0..nodes.len() {
            for need in nodes[node].needs.clone() {
                nodes[need].dependants.push(node);
            }
        }
        let mut schedule = Self {
            nodes,
            ready: BTreeSet::new(),
            running: 0,
            limit,
        };
        if let Some(node) = schedule.first_in_cycle() {
            return Err(ScheduleError::Cycle {
                name: graph[node].0.to_owned(),
            });
        }
        for node in 0..schedule.nodes.len() {
            schedule.promote(node);
        }
        Ok(schedule)
    }

    /// Lets a node be asked whatever became of its needs. To be called before anything starts.
    pub(crate) fn hear_failures(&mut self, node: usize) {
        self.nodes[node].hears_failures = true;
    }

    /// Takes the next node to start: the first in order that is ready, as long as the limit allows another one.
    pub(crate) fn start_next(&mut self) -> Option<usize> {
        self.start_next_of(|_| true)
    }

    /// As [`Self::start_next`], of those that may start.
    pub(crate) fn start_next_of(&mut self, may_start: impl Fn(usize) -> bool) -> Option<usize> {
        if self.running >= self.limit.get() {
            return None;
        }
        let node = self.ready.iter().copied().find(|node| may_start(*node))?;
        self.ready.remove(&node);
        self.nodes[node].state = State::Running;
        self.running += 1;
        Some(node)
    }

    /// Notes that a running node is over. Unless it is `satisfied`, everything that needs it, directly or through
    /// others, is skipped, but for what hears of failures; the skipped are returned, each after the one it blames.
    pub(crate) fn finish(&mut self, node: usize, satisfied: bool) -> Vec<Skipped> {
        debug_assert_eq!(self.nodes[node].state, State::Running);
        self.nodes[node].state = State::Finished;
        self.running -= 1;
        let mut skipped: Vec<Skipped> = Vec::new();
        let mut frontier = BTreeSet::from([node]);
        while let Some(over) = frontier.pop_first() {
            let is_good = over == node && satisfied;
            for dependant in self.nodes[over].dependants.clone() {
                let hears = self.nodes[dependant].hears_failures;
                let State::Waiting { unmet } = &mut self.nodes[dependant].state else {
                    continue;
                };
                if is_good || hears {
                    *unmet -= 1;
                    self.promote(dependant);
                } else {
                    self.nodes[dependant].state = State::Skipped;
                    skipped.push(Skipped {
                        node: dependant,
                        unmet: over,
                    });
                    frontier.insert(dependant);
                }
            }
        }
        skipped
    }

    /// Takes a node that has not been started, ready or not, to be finished without having run; `false` when it has been
    /// started.
    pub(crate) fn take(&mut self, node: usize) -> bool {
        let waits = matches!(self.nodes[node].state, State::Waiting { .. } | State::Ready);
        if waits {
            self.ready.remove(&node);
            self.nodes[node].state = State::Running;
            self.running += 1;
        }
        waits
    }

    /// Gives up on every node that has not been started and does not hear of failures; returns them in order.
    pub(crate) fn withdraw_deaf(&mut self) -> Vec<usize> {
        let mut withdrawn = Vec::new();
        for node in 0..self.nodes.len() {
            let Node {
                state,
                hears_failures,
                ..
            } = &mut self.nodes[node];
            let waits = matches!(state, State::Waiting { .. } | State::Ready);
            if waits && !*hears_failures {
                *state = State::Skipped;
                self.ready.remove(&node);
                withdrawn.push(node);
            }
        }
        for &node in &withdrawn {
            for dependant in self.nodes[node].dependants.clone() {
                if let State::Waiting { unmet } = &mut self.nodes[dependant].state {
                    *unmet -= 1;
                    self.promote(dependant);
                }
            }
        }
        withdrawn
    }

    /// Gives up on every node that has not been started; returns them in order.
    pub(crate) fn withdraw(&mut self) -> Vec<usize> {
        self.ready.clear();
        let mut withdrawn = Vec::new();
        for (node, Node { state, .. }) in self.nodes.iter_mut().enumerate() {
            if matches!(state, State::Waiting { .. } | State::Ready) {
                *state = State::Skipped;
                withdrawn.push(node);
            }
        }
        withdrawn
    }

    /// Nothing runs, and nothing will.
    pub(crate) fn is_done(&self) -> bool {
        self.running == 0 && self.ready.is_empty()
    }

    /// Whether two nodes could ever run at the same time.
    pub(crate) fn is_parallel(&self) -> bool {
        if self.limit.get() == 1 {
            return false;
        }
        // A graph is a chain exactly if taking nodes in topological order never leaves a choice.
        let mut unmet: Vec<usize> = self.nodes.iter().map(|node| node.needs.len()).collect();
        let mut ready: Vec<usize> = (0..unmet.len()).filter(|&node| unmet[node] == 0).collect();
        loop {
            match ready.as_slice() {
                [] => return false,
                [only] => ready = self.release(*only, &mut unmet),
                _ => return true,
            }
        }
    }

    /// Turns a node whose needs are all satisfied into a ready one.
    fn promote(&mut self, node: usize) {
        if self.nodes[node].state == (State::Waiting { unmet: 0 }) {
            self.nodes[node].state = State::Ready;
            self.ready.insert(node);
        }
    }

    /// Counts `node` as done in `unmet` and returns which nodes that leaves without unmet needs.
    fn release(&self, node: usize, unmet: &mut [usize]) -> Vec<usize> {
        let mut released = Vec::new();
        for &dependant in &self.nodes[node].dependants {
            unmet[dependant] -= 1;
            if unmet[dependant] == 0 {
                released.push(dependant);
            }
        }
        released
    }

    fn first_in_cycle(&self) -> Option<usize> {
        let mut unmet: Vec<usize> = self.nodes.iter().map(|node| node.needs.len()).collect();
        let mut ready: Vec<usize> = (0..unmet.len()).filter(|&node| unmet[node] == 0).collect();
        while let Some(node) = ready.pop() {
            ready.extend(self.release(node, &mut unmet));
        }
        unmet.iter().position(|&count| count > 0)
    }
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;

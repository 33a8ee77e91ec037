//! Who gets which job: turns go round over the repositories, oldest first within one, labels matched.
//!
//! Pure. Jobs that may run wait in lanes: one for each repository and set of labels, sorted by when they are due. A priority is
//! a head start in time, so nothing waits for ever behind what is more important.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;

/// Labels by name.
pub(crate) type Labels = IndexMap<String, String>;

/// An agent that asks for a job.
#[derive(Debug, Clone)]
pub(crate) struct Asking {
    /// What it has.
    pub(crate) labels: Arc<Labels>,
}

/// Jobs that ask for the same of an agent, of one repository.
#[derive(Debug, Clone)]
pub(crate) struct Lane {
    pub(crate) repository: i64,
    /// What they ask for.
    pub(crate) labels: Labels,
    /// `(due, job)`, sorted: as many as there are, or as there are agents asking.
    pub(crate) jobs: Vec<(i64, i64)>,
}

/// A repository's turns so far: a number that only grows with each job handed out. The lowest is next.
pub(crate) type Served = BTreeMap<i64, i64>;

/// A job for an agent: the agent by its place among those asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Match {
    pub(crate) agent: usize,
    pub(crate) job: i64,
    pub(crate) repository: i64,
}

/// Whether an agent has every label a job asks for.
pub(crate) fn has_labels(has: &Labels, wanted: &Labels) -> bool {
    wanted
        .iter()
        .all(|(name, value)| has.get(name) == Some(value))
}

/// Hands jobs out. `asking` is in the order in which they came. Notes the turns in `served`, from the number behind `turn`
/// and all that are there.
pub(crate) fn assign(
    asking: &[Asking],
    lanes: &[Lane],
    turn: i64,
    served: &mut Served,
) -> Vec<Match> {
    let mut free: BTreeSet<usize> = (0..asking.len()).collect();
    let mut next: Vec<usize> = vec![0; lanes.len()];
    let mut turn = served.values().copied().fold(turn, i64::max);
    let mut matches = Vec::new();
    // Each round hands out one job, or closes a lane that no agent left can serve.
    let mut open: BTreeSet<usize> = (0..lanes.len()).collect();
    while !free.is_empty() {
        let candidate = open
            .iter()
            .filter_map(|&lane| {
                let job = *lanes[lane].jobs.get(next[lane])?;
                let last = served.get(&lanes[lane].repository).copied().unwrap_or(0);
                Some((last, lanes[lane].repository, job, lane))
            })
            .min();
        let Some((_, repository, (_, job), lane)) = candidate else {
            break;
        };
        // The agent that has the least beside what is asked for: special ones stay free for special jobs.
        let fitting = free
            .iter()
            .filter(|agent| has_labels(&asking[**agent].labels, &lanes[lane].labels));
        let agent = fitting
            .min_by_key(|agent| (asking[**agent].labels.len(), **agent))
            .copied();
        let Some(agent) = agent else {
            open.remove(&lane);
            continue;
        };
        free.remove(&agent);
        next[lane] += 1;
        turn += 1;
        served.insert(repository, turn);
        matches.push(Match {
            agent,
            job,
            repository,
        });
    }
    matches
}

//! Jobs are handed to agents that ask.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use indexmap::IndexMap;
use protocol::service::{
    AgentId, AttemptId, JobId, Need, PipelineId, SecretText, Terms, Trigger, Withheld,
};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::loaded::{Loaded, peek};
use super::secret::{self, Found};
use crate::database::{
    DatabaseError, Dialect, Foresight, OperationError, Question, Row, Transaction, Value, skipping,
};
use crate::keyring::Keyring;
use crate::queue::{Asking, Labels, Lane, assign, has_labels};

/// Lanes that are looked at for one batch, beside as many as there are agents: the next ones have their turn in the next.
const LANES: usize = 256;

/// An agent that asks.
#[derive(Debug, Clone)]
pub(crate) struct Demand {
    pub(crate) agent: AgentId,
    pub(crate) labels: Arc<Labels>,
}

/// Offers jobs to agents; each answer names its agent by its place in `demands`. One that has been told to take no more since it
/// asked goes on waiting.
pub(crate) fn offer(
    tx: &mut Transaction<'_>,
    demands: &[Demand],
    terms: Terms,
) -> Result<Vec<(usize, Offer)>, OperationError> {
    let draining = draining(tx)?;
    let places: Vec<usize> = (0..demands.len())
        .filter(|place| !draining.contains(&demands[*place].agent))
        .collect();
    let asking: Vec<Asking> = places
        .iter()
        .map(|place| Asking {
            labels: Arc::clone(&demands[*place].labels),
        })
        .collect();
    let (lanes, mut served) = lanes(tx, &asking)?;
    if lanes.is_empty() {
        return Ok(Vec::new());
    }
    let turn = i64::try_from(tx.now()).unwrap_or_default();
    let matches = assign(&asking, &lanes, turn, &mut served);
    let mut turns: BTreeMap<i64, i64> = BTreeMap::new();
    let mut offers = Vec::with_capacity(matches.len());
    let wanted: Vec<Taking> = matches
        .iter()
        .map(|found| Taking {
            job: found.job,
            agent: demands[places[found.agent]].agent,
        })
        .collect();
    let mut taken = take(tx, &wanted)?;
    let of: BTreeSet<i64> = taken.values().map(|taken| taken.pipeline).collect();
    let commons = commons(tx, &of)?;
    let mut loaded = BTreeMap::new();
    for found in matches {
        let Some(Taken {
            attempt,
            pipeline,
            plan,
        }) = taken.remove(&found.job)
        else {
            continue;
        };
        let Some(common) = commons.get(&pipeline) else {
            continue;
        };
        turns.insert(found.repository, served[&found.repository]);
        let id = AttemptId {
            job: JobId(u64::try_from(found.job).unwrap_or_default()),
            attempt,
        };
        let Needs { jobs } =
            serde_json::from_str(plan.get()).map_err(|source| DatabaseError::Json { source })?;
        let wanted = jobs.iter().flat_map(Needing::secrets).cloned().collect();
        let (needs, failed) = match jobs.iter().all(|job| job.needs.is_empty()) {
            true => (IndexMap::new(), false),
            false => needs_of(tx, id.job, pipeline, &mut loaded)?,
        };
        let offer = Offer {
            id,
            pipeline: PipelineId(u64::try_from(pipeline).unwrap_or_default()),
            terms,
            plan,
            needs,
            failed,
            wanted,
            secrets: IndexMap::new(),
            withheld: IndexMap::new(),
            common: Arc::clone(common),
        };
        offers.push((places[found.agent], offer));
    }
    for (repository, turn) in turns {
        tx.later(
            "UPDATE repositories SET served = $1 WHERE id = $2 AND served < $1",
            &[turn.into(), repository.into()],
        )?;
    }
    Ok(offers)
}

/// What [`offer`] begins with.
pub(crate) fn foresee() -> Foresight {
    Foresight::new([DRAINING, BUSY].map(|sql| Question::new(sql, [])))
}

const DRAINING: &str = "SELECT id FROM agents WHERE draining <> 0";

/// Jumps from lane to lane in the index of ready jobs, however many each has.
const BUSY: &str = "SELECT l.id, l.repository, l.labels, r.served FROM ( \
     WITH RECURSIVE busy (lane) AS ( \
       SELECT min(lane) FROM jobs WHERE state = 'ready' \
       UNION ALL \
       SELECT (SELECT min(lane) FROM jobs WHERE state = 'ready' AND lane > busy.lane) FROM busy WHERE busy.lane IS NOT NULL \
     ) SELECT lane FROM busy \
     ) AS ready JOIN lanes l ON l.id = ready.lane JOIN repositories r ON r.id = l.repository ORDER BY r.served, l.id";

/// The agents that take no more jobs.
fn draining(tx: &mut Transaction<'_>) -> Result<HashSet<AgentId>, DatabaseError> {
    let rows = tx.query(DRAINING, &[])?;
    rows.iter().map(|row| Ok(AgentId(row.number(0)?))).collect()
}

/// The lanes with jobs that an asking agent can take, and the turns of their repositories.
fn lanes(
    tx: &mut Transaction<'_>,
    asking: &[Asking],
) -> Result<(Vec<Lane>, BTreeMap<i64, i64>), DatabaseError> {
    let rows = tx.query(BUSY, &[])?;
    let mut lanes = Vec::new();
    let mut served = BTreeMap::new();
    for row in &rows {
        let labels: Labels = row.json(2)?;
        let fitting = asking
            .iter()
            .filter(|agent| has_labels(&agent.labels, &labels))
            .count();
        if fitting == 0 {
            continue;
        }
        let id = row.int(0)?;
        let sql = skipping!(
            tx,
            "SELECT due, id FROM jobs WHERE state = 'ready' AND lane = $1 ORDER BY due, id LIMIT $2"
        );
        let mut jobs = Vec::new();
        for job in tx.query(sql, &[id.into(), fitting.into()])? {
            jobs.push((job.int(0)?, job.int(1)?));
        }
        let repository = row.int(1)?;
        served.insert(repository, row.int(3)?);
        lanes.push(Lane {
            repository,
            labels,
            jobs,
        });
        if lanes.len() >= LANES + asking.len() {
            break;
        }
    }
    Ok((lanes, served))
}

/// What a pipeline's jobs have in common, as it is kept: it may be large, and is neither read nor copied.
#[derive(Debug, Serialize)]
struct Common {
    #[serde(skip)]
    repository: i64,
    trigger: Box<RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    source: Option<Box<RawValue>>,
    variables: Box<RawValue>,
}

/// An assignment on its way out: the JSON of [`protocol::service::Assignment`].
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Offer {
    #[serde(flatten)]
    pub(crate) id: AttemptId,
    pipeline: PipelineId,
    terms: Terms,
    plan: Box<RawValue>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    needs: IndexMap<String, Need>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    failed: bool,
    /// The secrets that the job names.
    #[serde(skip)]
    wanted: BTreeSet<String>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    secrets: IndexMap<String, SecretText>,
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    withheld: IndexMap<String, Withheld>,
    #[serde(flatten, serialize_with = "shared")]
    common: Arc<Common>,
}

impl Offer {
    /// Whether the job names secrets: [`secrets`] has them.
    pub(crate) fn wants_secrets(&self) -> bool {
        !self.wanted.is_empty()
    }

    /// What the job gets of the secrets that it names, in a transaction of its own: only jobs that name any wait for it.
    pub(crate) fn secrets(
        &self,
        tx: &mut Transaction<'_>,
        keyring: Option<&Keyring>,
    ) -> Result<Vec<(String, Found)>, OperationError> {
        let trigger: Trigger = serde_json::from_str(self.common.trigger.get())
            .map_err(|source| DatabaseError::Json { source })?;
        let names = self.wanted.iter();
        let found = names.map(|name| {
            let found = secret::of_job(tx, self.common.repository, &trigger, name, keyring)?;
            Ok((name.clone(), found))
        });
        found.collect()
    }

    /// The same with what the job gets.
    pub(crate) fn with_secrets(mut self, found: Vec<(String, Found)>) -> Self {
        for (name, found) in found {
            match found {
                Found::Value(value) => drop(self.secrets.insert(name, value)),
                Found::Withheld(why) => drop(self.withheld.insert(name, why)),
            }
        }
        self
    }
}

fn shared<S: Serializer>(common: &Arc<Common>, serializer: S) -> Result<S::Ok, S::Error> {
    common.serialize(serializer)
}

/// Of a plan whether its job needs others, and which secrets it names.
#[derive(Debug, Deserialize)]
struct Needs {
    jobs: Vec<Needing>,
}

#[derive(Debug, Deserialize)]
struct Needing {
    #[serde(default)]
    needs: Vec<IgnoredAny>,
    #[serde(default)]
    services: Vec<Naming>,
    #[serde(default)]
    steps: Vec<Naming>,
    #[serde(default)]
    after: Vec<Naming>,
}

#[derive(Debug, Deserialize)]
struct Naming {
    #[serde(default)]
    secrets: Vec<String>,
}

impl Needing {
    fn secrets(&self) -> impl Iterator<Item = &String> {
        let all = self.services.iter().chain(&self.steps).chain(&self.after);
        all.flat_map(|naming| &naming.secrets)
    }
}

/// A job on its way to an agent.
#[derive(Debug, Serialize)]
struct Taking {
    job: i64,
    agent: AgentId,
}

/// A job that an agent has been given.
#[derive(Debug)]
struct Taken {
    attempt: u32,
    pipeline: i64,
    plan: Box<RawValue>,
}

/// Gives jobs to agents; those that are still ready.
fn take(tx: &mut Transaction<'_>, wanted: &[Taking]) -> Result<HashMap<i64, Taken>, DatabaseError> {
    let rows = match tx.dialect() {
        Dialect::Postgres => tx.query(
            "UPDATE jobs SET state = 'assigned', attempt = attempt + 1, offers = offers + 1, agent = wanted.agent, beat = beat + 1 \
             FROM json_to_recordset($1::text::json) AS wanted (job BIGINT, agent BIGINT) \
             WHERE jobs.id = wanted.job AND state = 'ready' RETURNING id, attempt, pipeline, plan",
            &[Value::json(&wanted)?],
        )?,
        Dialect::Sqlite => {
            let mut rows = Vec::with_capacity(wanted.len());
            for Taking { job, agent } in wanted {
                rows.extend(tx.first(
                    "UPDATE jobs SET state = 'assigned', attempt = attempt + 1, offers = offers + 1, agent = $1, beat = beat + 1 \
                     WHERE id = $2 AND state = 'ready' RETURNING id, attempt, pipeline, plan",
                    &[agent.0.into(), (*job).into()],
                )?);
            }
            rows
        }
    };
    let taken = |row: &Row| {
        let taken = Taken {
            attempt: row.number(1)?,
            pipeline: row.int(2)?,
            plan: row.json(3)?,
        };
        Ok((row.int(0)?, taken))
    };
    rows.iter().map(taken).collect()
}

/// What the jobs of each of these pipelines have in common.
fn commons(
    tx: &mut Transaction<'_>,
    pipelines: &BTreeSet<i64>,
) -> Result<BTreeMap<i64, Arc<Common>>, DatabaseError> {
    let rows = match tx.dialect() {
        Dialect::Postgres => tx.query(
            "SELECT id, trigger_of, source, variables, repository FROM pipelines \
             WHERE id IN (SELECT value::bigint FROM json_array_elements_text($1::text::json))",
            &[Value::json(&pipelines)?],
        )?,
        Dialect::Sqlite => {
            let mut rows = Vec::with_capacity(pipelines.len());
            for pipeline in pipelines {
                rows.extend(tx.first(
                    "SELECT id, trigger_of, source, variables, repository FROM pipelines WHERE id = $1",
                    &[(*pipeline).into()],
                )?);
            }
            rows
        }
    };
    let common = |row: &Row| {
        let common = Common {
            repository: row.int(4)?,
            trigger: row.json(1)?,
            source: row.maybe_json(2)?,
            variables: row.json(3)?,
        };
        Ok((row.int(0)?, Arc::new(common)))
    };
    rows.iter().map(common).collect()
}

/// How what a job needs has ended, and whether something of it has failed. The pipelines of a batch are loaded once each.
fn needs_of(
    tx: &mut Transaction<'_>,
    job: JobId,
    pipeline: i64,
    loaded: &mut BTreeMap<i64, Loaded>,
) -> Result<(IndexMap<String, Need>, bool), OperationError> {
    let loaded = match loaded.entry(pipeline) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(new) => {
            let id = PipelineId(u64::try_from(pipeline).unwrap_or_default());
            new.insert(peek(tx, id)?)
        }
    };
    let index = loaded.place(job);
    Ok(index.map_or_else(Default::default, |index| loaded.graph.needs_of(index)))
}

//! A pipeline comes in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::plan::{Concurrency, Job, Plan};
use protocol::service::{PipelineId, Source, Trigger};
use protocol::{Conclusion, EventValues, RunValues};

use super::flow::Flow;
use super::lane::{group_id, labels};
use super::loaded::{Fresh, JobRow, Loaded, insert_as};
use crate::database::{
    DatabaseError, Dialect, Foresight, OperationError, Question, Transaction, Value, word,
};
use crate::queue::{Graph, Group, Node, Structure};

/// Sets of labels whose lanes are looked for before the jobs are written, at most.
const LANES: usize = 8;

/// A pipeline as it was compiled, or not.
#[derive(Debug, Clone)]
pub(crate) struct Submission {
    /// The repository's URL; empty for none.
    pub(crate) repository: String,
    /// The branch that its host's `HEAD` is, where that is known.
    pub(crate) default_branch: Option<String>,
    pub(crate) key: Option<String>,
    pub(crate) name: Option<String>,
    pub(crate) source: Option<Source>,
    pub(crate) trigger: Trigger,
    pub(crate) variables: IndexMap<String, String>,
    pub(crate) priority: i32,
    pub(crate) diagnostics: String,
    /// A person has to agree before it starts.
    pub(crate) needs_approval: bool,
    /// `Err` is why there is nothing to run, and how that counts.
    pub(crate) plan: Result<Plan, (Conclusion, String)>,
}

/// What [`submit`] begins with.
pub(crate) fn foresee(submission: &Submission) -> Foresight {
    let ids = ids(submission);
    let questions = key(submission)
        .into_iter()
        .chain([ids, repository_of(&submission.repository)]);
    Foresight::new(questions.chain(lane_questions(submission)))
}

/// The pipeline of the same key.
fn key(submission: &Submission) -> Option<Question> {
    let key = submission.key.clone()?;
    let sql = "SELECT id FROM pipelines WHERE submission = $1";
    Some(Question::new(sql, [key.into()]))
}

/// An id for the pipeline, and one for each of its jobs, given ahead: what is written then needs no answer.
fn ids(submission: &Submission) -> Question {
    let jobs = submission.plan.as_ref().map_or(0, |plan| plan.jobs.len());
    Question::new(
        "SELECT nextval(pg_get_serial_sequence(CASE place WHEN 0 THEN 'pipelines' ELSE 'jobs' END, 'id')) \
         FROM generate_series(0, $1::bigint) AS place",
        [jobs.into()],
    )
}

fn repository_of(url: &str) -> Question {
    Question::new(
        "SELECT id FROM repositories WHERE url = $1",
        [url.to_owned().into()],
    )
}

/// The lanes of its jobs, as far as their labels are known already, of some sets of labels.
fn lane_questions(submission: &Submission) -> Vec<Question> {
    let jobs = submission.plan.iter().flat_map(|plan| &plan.jobs);
    let literal = |job: &Job| -> Option<String> {
        let runs_on = job.runs_on.iter();
        let runs_on = runs_on.map(|(name, value)| Some((name, value.as_literal()?)));
        labels(runs_on.collect::<Option<Vec<_>>>()?).ok()
    };
    let all: BTreeSet<String> = jobs.filter_map(literal).collect();
    let question = |labels: String| {
        Question::new(
            "SELECT l.id, l.labels FROM lanes l JOIN repositories r ON r.id = l.repository WHERE r.url = $1 AND l.labels = $2",
            [submission.repository.clone().into(), labels.into()],
        )
    };
    all.into_iter().take(LANES).map(question).collect()
}

/// Takes it in; the same key again is answered with the pipeline that is there.
pub(crate) fn submit(
    tx: &mut Transaction<'_>,
    submission: &Submission,
) -> Result<PipelineId, OperationError> {
    if let Some(key) = key(submission)
        && let Some(row) = tx.ask_first(&key)?
    {
        return Ok(PipelineId(row.number(0)?));
    }
    let now = tx.now();
    // SQLite is asked nothing that it could answer in the course of writing.
    let ids = match tx.dialect() {
        Dialect::Sqlite => Vec::new(),
        Dialect::Postgres => tx.ask(&ids(submission))?,
    };
    let mut ids = ids.iter().map(|row| row.int(0));
    let known = tx.ask_first(&repository_of(&submission.repository))?;
    let lanes = match (tx.dialect(), &known) {
        (Dialect::Postgres, Some(_)) => lanes(tx, submission)?,
        _ => BTreeMap::new(),
    };
    let repository = match known {
        Some(row) => row.int(0)?,
        None => new_repository(tx, &submission.repository)?,
    };
    if let Some(branch) = &submission.default_branch {
        tx.later(
            "UPDATE repositories SET default_branch = $2 WHERE id = $1",
            &[repository.into(), branch.into()],
        )?;
    }
    let group = group(tx, repository, submission)?;
    let is_held = submission.needs_approval || group.is_some();
    let (state, conclusion, reason, finished_at) = match (&submission.plan, is_held) {
        (Ok(_), false) => ("queued", None, None, None),
        (Ok(_), true) => ("held", None, None, None),
        (Err((conclusion, reason)), _) => ("finished", Some(*conclusion), Some(reason), Some(now)),
    };
    let source = submission.source.as_ref().map(Value::json).transpose()?;
    let (group, cancels) = group.unzip();
    let id = ids.next().transpose()?;
    let pipeline = insert_as(
        tx,
        id,
        "INSERT INTO pipelines (repository, submission, name, source, trigger_of, variables, priority, state, conclusion, \
         reason, diagnostics, group_of, cancels, created_at, queued_at, finished_at, approval, id) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $14, $15, $16, $17) RETURNING id",
        &[
            repository.into(),
            submission.key.as_ref().into(),
            submission.name.as_ref().into(),
            source.into(),
            Value::json(&submission.trigger)?,
            Value::json(&submission.variables)?,
            submission.priority.into(),
            state.into(),
            word(&conclusion)?,
            reason.into(),
            (&submission.diagnostics).into(),
            group.into(),
            cancels.unwrap_or(false).into(),
            now.into(),
            finished_at.into(),
            submission.needs_approval.into(),
            id.into(),
        ],
    )?;
    let id = PipelineId(u64::try_from(pipeline).unwrap_or_default());
    let Ok(plan) = &submission.plan else {
        return Ok(id);
    };
    let mut loaded = loaded(id, repository, plan, submission, group, now)?;
    loaded.lanes = lanes;
    for row in &mut loaded.rows {
        row.give(ids.next().transpose()?);
    }
    let mut flow = Flow::new(tx);
    flow.made(pipeline, loaded);
    if let Some(group) = group {
        flow.look_at_group(group);
    }
    flow.settle()?;
    Ok(id)
}

/// A pipeline none of whose jobs is written yet.
fn loaded(
    id: PipelineId,
    repository: i64,
    plan: &Plan,
    submission: &Submission,
    group: Option<i64>,
    now: u64,
) -> Result<Loaded, DatabaseError> {
    let is_held = submission.needs_approval || group.is_some();
    let due = due(now, submission.priority);
    let shapes: Vec<Arc<Job>> = plan.jobs.iter().map(|job| Arc::new(shape(job))).collect();
    let mut rows = Vec::with_capacity(shapes.len());
    for job in &plan.jobs {
        let plan = Value::json(&alone(plan, job))?;
        rows.push(JobRow::fresh(Fresh {
            plan,
            due,
            id: None,
        }));
    }
    let nodes = shapes.iter().map(|shape| Node::new(Arc::clone(shape)));
    let nodes = nodes.collect();
    let structure = Structure::new(shapes, submission.trigger.context());
    Ok(Loaded {
        id,
        repository,
        graph: Graph::new(nodes, Arc::new(structure), !is_held, false),
        rows,
        state: match is_held {
            false => "queued".to_owned(),
            true => "held".to_owned(),
        },
        conclusion: None,
        group,
        was_cancelled: false,
        needs_approval: submission.needs_approval,
        lanes: BTreeMap::new(),
    })
}

/// When a job is due: a priority's point is a minute's head start.
fn due(now: u64, priority: i32) -> i64 {
    const MINUTE: i64 = 60_000;
    i64::try_from(now).unwrap_or(i64::MAX / 2) - i64::from(priority) * MINUTE
}

/// A plan of this job, without what the server decides.
fn alone(plan: &Plan, job: &Job) -> Plan {
    let job = Job {
        condition: pipelines::plan::Condition::Success,
        runs_on: IndexMap::new(),
        concurrency: None,
        approval: false,
        ..job.clone()
    };
    Plan::new(plan.name.clone(), vec![job])
}

/// The lanes that are there already.
fn lanes(
    tx: &mut Transaction<'_>,
    submission: &Submission,
) -> Result<BTreeMap<String, i64>, DatabaseError> {
    let mut lanes = BTreeMap::new();
    for question in lane_questions(submission) {
        if let Some(row) = tx.ask_first(&question)? {
            lanes.insert(row.text(1)?.to_owned(), row.int(0)?);
        }
    }
    Ok(lanes)
}

fn new_repository(tx: &mut Transaction<'_>, url: &str) -> Result<i64, DatabaseError> {
    tx.one(
        "INSERT INTO repositories (url) VALUES ($1) \
         ON CONFLICT (url) DO UPDATE SET url = excluded.url RETURNING id",
        &[url.into()],
    )?
    .int(0)
}

/// The pipeline's group, and whether it pushes others out.
fn group(
    tx: &mut Transaction<'_>,
    repository: i64,
    submission: &Submission,
) -> Result<Option<(i64, bool)>, DatabaseError> {
    let concurrency = submission.plan.as_ref().ok();
    let Some(Concurrency {
        group,
        cancel_in_progress,
    }) = concurrency.and_then(|plan| plan.concurrency.as_ref())
    else {
        return Ok(None);
    };
    let event = EventValues::of(submission.trigger.context());
    let values = RunValues::of_job(&event, &Job::new("", Vec::new()), []);
    // The compiler has put in what it knows; what is still open has no value here, and then the text is the name.
    let name = group.text(&values).unwrap_or_else(|_| format!("{group:?}"));
    let group = Group {
        name,
        cancels: *cancel_in_progress,
    };
    let id = group_id(tx, repository, "pipeline", &group)?;
    Ok(Some((id, group.cancels)))
}

/// A job without what it does: what the queue needs of it.
fn shape(job: &Job) -> Job {
    Job {
        id: job.id.clone(),
        place: job.place.clone(),
        cell: job.cell.clone(),
        needs: job.needs.clone(),
        condition: job.condition.clone(),
        runs_on: job.runs_on.clone(),
        allow_failure: job.allow_failure,
        concurrency: job.concurrency.clone(),
        approval: job.approval,
        ..Job::new(&job.id, Vec::new())
    }
}

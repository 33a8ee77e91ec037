//! What expressions read while a run goes on: the same on a server, that decides whether a job runs, and on the agent that has it.

use std::sync::Arc;

use indexmap::IndexMap;
use pipelines::expression::{Known, Status, Value, Values};
use pipelines::glob::GlobList;
use pipelines::plan::Job;
use pipelines::{Context, Tree};

use crate::Conclusion;

/// What is the same for every job of a run: the event. It may be large, and is never copied.
#[derive(Debug)]
pub struct EventValues {
    variables: IndexMap<&'static str, Value>,
    changed: Option<Vec<String>>,
    tree: Option<Tree>,
}

impl EventValues {
    /// Of what a pipeline runs for.
    #[must_use]
    pub fn of(context: Context) -> Arc<Self> {
        let text = |text: &Option<String>| Value::from(text.as_deref().unwrap_or_default());
        let inputs = context.inputs.iter();
        let inputs = inputs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        Arc::new(Self {
            variables: IndexMap::from([
                ("event", Value::from(context.event.as_str())),
                ("branch", text(&context.branch)),
                ("base", text(&context.base)),
                ("tag", text(&context.tag)),
                ("commit", text(&context.commit)),
                ("repo", text(&context.repo)),
                ("inputs", inputs.collect()),
            ]),
            changed: context.changed,
            tree: context.tree,
        })
    }
}

/// The values at one moment, for one job or one of its steps.
#[derive(Debug, Clone)]
pub struct RunValues {
    event: Arc<EventValues>,
    /// By the names of the language; what is missing is not known.
    own: IndexMap<&'static str, Value>,
    /// Something before has failed.
    pub failed: bool,
}

impl RunValues {
    /// Those of a job: the event, its matrix, and how the jobs it needs ended, by their names.
    pub fn of_job<'n>(
        event: &Arc<EventValues>,
        job: &Job,
        needs: impl IntoIterator<Item = (&'n String, Conclusion, &'n IndexMap<String, String>)>,
    ) -> Self {
        let matrix = job.cell.as_ref().map(|cell| cell.values.clone());
        let needs = needs
            .into_iter()
            .map(|(job, conclusion, outputs)| (job.clone(), ended(conclusion, outputs)));
        Self {
            event: Arc::clone(event),
            own: IndexMap::from([
                ("matrix", Value::Map(matrix.unwrap_or_default())),
                ("needs", needs.collect()),
                ("steps", Value::Map(IndexMap::new())),
                ("job", job_value(&job.id, false)),
            ]),
            failed: false,
        }
    }

    /// Notes how a step ended, and what it has left.
    pub fn step_ended(
        &mut self,
        step: &str,
        conclusion: Conclusion,
        outputs: &IndexMap<String, String>,
    ) {
        if let Some(Value::Map(steps)) = self.own.get_mut("steps") {
            steps.insert(step.to_owned(), ended(conclusion, outputs));
        }
    }

    /// Notes that something of job `id` has failed.
    pub fn fail(&mut self, id: &str) {
        self.failed = true;
        self.own.insert("job", job_value(id, true));
    }

    /// The same with a step's environment.
    #[must_use]
    pub fn with_env<'e>(&self, env: impl IntoIterator<Item = (&'e String, &'e str)>) -> Self {
        let mut values = self.clone();
        let env = env
            .into_iter()
            .map(|(name, value)| (name.clone(), Value::from(value)));
        values.own.insert("env", env.collect());
        values
    }
}

fn ended(conclusion: Conclusion, outputs: &IndexMap<String, String>) -> Value {
    let outputs = outputs.iter();
    let outputs = outputs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    [
        ("conclusion", Value::from(conclusion.as_str())),
        ("outputs", outputs.collect()),
    ]
    .into_iter()
    .collect()
}

fn job_value(id: &str, failed: bool) -> Value {
    let status = if failed { "failure" } else { "success" };
    [("id", Value::from(id)), ("status", Value::from(status))]
        .into_iter()
        .collect()
}

impl Values for RunValues {
    fn variable(&self, name: &str) -> Known<'_> {
        let value = self
            .own
            .get(name)
            .or_else(|| self.event.variables.get(name));
        value.map_or(Known::Unknown, Known::Borrowed)
    }

    /// Nothing starts in a run that is being cancelled.
    fn status(&self, status: Status) -> Option<bool> {
        Some(match status {
            Status::Success => !self.failed,
            Status::Failure => self.failed,
            Status::Cancelled => false,
        })
    }

    /// When nobody knows what has changed, everything may have.
    fn changed(&self, globs: &[String]) -> Option<bool> {
        let Some(changed) = &self.event.changed else {
            return Some(true);
        };
        let globs = GlobList::parse(globs).ok()?;
        Some(changed.iter().any(|path| globs.matches(path)))
    }

    /// Nothing is known where there are no files at hand.
    fn hash_files(&self, globs: &[String]) -> Option<String> {
        self.event.tree.as_ref()?.hash(globs)
    }
}

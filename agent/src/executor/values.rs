//! What expressions read while a run goes on.

use indexmap::IndexMap;
use pipelines::expression::{Known, Status, Value, Values};
use pipelines::glob::GlobList;
use pipelines::plan::Job;
use pipelines::{Context, Tree};
use protocol::Conclusion;

/// The values at one moment, for one job or one of its steps.
#[derive(Debug, Clone)]
pub(super) struct RunValues {
    /// By the names of the language; what is missing is not known.
    variables: IndexMap<&'static str, Value>,
    changed: Option<Vec<String>>,
    tree: Option<Tree>,
    /// Something before has failed.
    pub(super) failed: bool,
}

impl RunValues {
    /// Those of a job: the event, its matrix, and how the jobs it needs ended.
    pub(super) fn of_job(
        context: &Context,
        job: &Job,
        needs: IndexMap<String, (Conclusion, IndexMap<String, String>)>,
    ) -> Self {
        let text = |text: &Option<String>| Value::from(text.as_deref().unwrap_or_default());
        let matrix = job.cell.as_ref().map(|cell| cell.values.clone());
        let needs = needs
            .into_iter()
            .map(|(job, (conclusion, outputs))| (job, ended(conclusion, &outputs)));
        let variables = [
            ("event", Value::from(context.event.as_str())),
            ("branch", text(&context.branch)),
            ("base", text(&context.base)),
            ("tag", text(&context.tag)),
            ("commit", text(&context.commit)),
            ("repo", text(&context.repo)),
            ("matrix", Value::Map(matrix.unwrap_or_default())),
            ("needs", needs.collect()),
            ("steps", Value::Map(IndexMap::new())),
            ("job", job_value(&job.id, false)),
        ];
        Self {
            variables: variables.into_iter().collect(),
            changed: context.changed.clone(),
            tree: context.tree.clone(),
            failed: false,
        }
    }

    /// Notes how a step ended, and what it has left.
    pub(super) fn step_ended(
        &mut self,
        step: &str,
        conclusion: Conclusion,
        outputs: &IndexMap<String, String>,
    ) {
        if let Some(Value::Map(steps)) = self.variables.get_mut("steps") {
            steps.insert(step.to_owned(), ended(conclusion, outputs));
        }
    }

    /// Notes that something of job `id` has failed.
    pub(super) fn fail(&mut self, id: &str) {
        self.failed = true;
        self.variables.insert("job", job_value(id, true));
    }

    /// The same with a step's environment.
    pub(super) fn with_env<'e>(
        &self,
        env: impl IntoIterator<Item = (&'e String, &'e str)>,
    ) -> Self {
        let mut values = self.clone();
        let env = env
            .into_iter()
            .map(|(name, value)| (name.clone(), Value::from(value)));
        values.variables.insert("env", env.collect());
        values
    }
}

fn ended(conclusion: Conclusion, outputs: &IndexMap<String, String>) -> Value {
    let word = match conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::Error => "error",
        Conclusion::Skipped => "skipped",
        Conclusion::Cancelled => "cancelled",
    };
    [
        ("conclusion", Value::from(word)),
        (
            "outputs",
            outputs
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                .collect(),
        ),
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
        self.variables
            .get(name)
            .map_or(Known::Unknown, Known::Borrowed)
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
        let Some(changed) = &self.changed else {
            return Some(true);
        };
        let globs = GlobList::parse(globs).ok()?;
        Some(changed.iter().any(|path| globs.matches(path)))
    }

    fn hash_files(&self, globs: &[String]) -> Option<String> {
        self.tree.as_ref()?.hash(globs)
    }
}

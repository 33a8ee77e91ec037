//! What the expressions of a job read when its turn comes: the event, its matrix, and how what it needs has ended.

use indexmap::IndexMap;
use pipelines::Context;
use pipelines::expression::{Known, Status, Value, Values};
use pipelines::glob::GlobList;
use pipelines::plan::Job;
use protocol::Conclusion;
use protocol::service::Need;

/// The values of one job's turn.
#[derive(Debug)]
pub(crate) struct JobValues {
    variables: IndexMap<&'static str, Value>,
    changed: Option<Vec<String>>,
    /// Something that it needs has failed.
    failed: bool,
}

impl JobValues {
    pub(crate) fn new(
        context: &Context,
        job: &Job,
        needs: &IndexMap<String, Need>,
        failed: bool,
    ) -> Self {
        let text = |text: &Option<String>| Value::from(text.as_deref().unwrap_or_default());
        let matrix = job.cell.as_ref().map(|cell| cell.values.clone());
        let inputs = context.inputs.iter();
        let inputs = inputs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
        let itself = [
            ("id", Value::from(job.id.as_str())),
            ("status", "success".into()),
        ];
        Self {
            variables: IndexMap::from([
                ("event", Value::from(context.event.as_str())),
                ("branch", text(&context.branch)),
                ("base", text(&context.base)),
                ("tag", text(&context.tag)),
                ("commit", text(&context.commit)),
                ("repo", text(&context.repo)),
                ("inputs", inputs.collect()),
                ("matrix", Value::Map(matrix.unwrap_or_default())),
                ("needs", needs.iter().map(ended).collect()),
                ("steps", Value::Map(IndexMap::new())),
                ("job", itself.into_iter().collect()),
            ]),
            changed: context.changed.clone(),
            failed,
        }
    }
}

fn ended((job, need): (&String, &Need)) -> (String, Value) {
    let word = match need.conclusion {
        Conclusion::Success => "success",
        Conclusion::Failure => "failure",
        Conclusion::Error => "error",
        Conclusion::Skipped => "skipped",
        Conclusion::Cancelled => "cancelled",
    };
    let outputs = need.outputs.iter();
    let outputs = outputs.map(|(name, value)| (name.clone(), Value::from(value.as_str())));
    let value = [
        ("conclusion", Value::from(word)),
        ("outputs", outputs.collect()),
    ];
    (job.clone(), value.into_iter().collect())
}

impl Values for JobValues {
    fn variable(&self, name: &str) -> Known<'_> {
        let value = self.variables.get(name);
        value.map_or(Known::Unknown, Known::Borrowed)
    }

    /// Nothing starts in a pipeline that is being cancelled.
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

    /// The server has no files at hand: the agent, that has, decides.
    fn hash_files(&self, _globs: &[String]) -> Option<String> {
        None
    }
}

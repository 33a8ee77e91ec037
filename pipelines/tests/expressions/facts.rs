//! What the tests know of a run.

use indexmap::IndexMap;
use pipelines::expression::{
    Expression, Known, Mistake, Outcome, Status, Type, Types, Value, Values,
};
use serde_json::json;

/// Variables that are not in here are unknown.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    variables: IndexMap<String, Value>,
    status: Option<Status>,
    changed: Option<Vec<String>>,
}

impl Facts {
    /// Variables by name.
    pub(crate) fn new(variables: serde_json::Value) -> Self {
        Self {
            variables: serde_json::from_value(variables).unwrap(),
            ..Self::default()
        }
    }

    pub(crate) fn status(mut self, status: Status) -> Self {
        self.status = Some(status);
        self
    }

    /// Globs that match a changed file.
    pub(crate) fn changed(mut self, globs: &[&str]) -> Self {
        self.changed = Some(globs.iter().map(|&glob| glob.to_owned()).collect());
        self
    }
}

impl Values for Facts {
    fn variable(&self, name: &str) -> Known<'_> {
        self.variables
            .get(name)
            .map_or(Known::Unknown, Known::Borrowed)
    }

    fn status(&self, status: Status) -> Option<bool> {
        self.status.map(|found| found == status)
    }

    fn changed(&self, globs: &[String]) -> Option<bool> {
        let changed = self.changed.as_ref()?;
        Some(globs.iter().any(|glob| changed.contains(glob)))
    }

    fn hash_files(&self, globs: &[String]) -> Option<String> {
        self.changed.as_ref()?;
        Some(format!("hash of {}", globs.join(" and ")))
    }
}

/// Types of variables by name.
#[derive(Debug, Default)]
pub(crate) struct Shapes(IndexMap<String, Type>);

impl Types for Shapes {
    fn variable(&self, name: &str) -> Option<&Type> {
        self.0.get(name)
    }
}

/// A run in which everything is known.
pub(crate) fn run() -> Facts {
    Facts::new(json!({
        "event": "push", "branch": "main", "base": "", "tag": "", "commit": "0123abcd", "repo": "acme/shop",
        "matrix": { "rust": "1.90", "jobs": 4, "full": true, "ratio": 0.5, "images": ["a", "b"], "none": null },
        "env": { "LANG": "C.UTF-8" },
        "inputs": { "level": "patch", "dry run": true },
        "needs": { "build": { "outputs": { "digest": "sha256:1" }, "conclusion": "success" } },
        "steps": { "unit tests": { "outputs": { "passed": "12" }, "conclusion": "failure" } },
        "job": { "id": "test", "status": "success" },
    }))
    .status(Status::Success)
    .changed(&["src/**"])
}

/// The types of a place at which the names are known.
pub(crate) fn shapes() -> Shapes {
    let step = Type::record([
        ("outputs", Type::record([("passed", Type::Text)])),
        ("conclusion", Type::Text),
    ]);
    Shapes(IndexMap::from([
        (
            "matrix".to_owned(),
            Type::record([
                ("rust", Type::Text),
                ("jobs", Type::Int),
                ("full", Type::Bool),
            ]),
        ),
        (
            "steps".to_owned(),
            Type::record([("unit tests", step), ("build", Type::finished())]),
        ),
        ("inputs".to_owned(), Type::record([("level", Type::Text)])),
    ]))
}

/// What an expression comes to, as somebody would read it.
pub(crate) fn evaluated(expression: &str, values: &dyn Values) -> String {
    let parsed = match Expression::parse(expression) {
        Ok(parsed) => parsed,
        Err(mistake) => return marked(expression, &mistake),
    };
    match parsed.evaluate(values) {
        Ok(Outcome::Known(value)) => serde_json::to_string(&value).unwrap(),
        Ok(Outcome::Unknown) => "unknown".to_owned(),
        Err(error) => {
            let help = error.help.map(|help| format!(" ({help})"));
            format!(
                "error at `{}`: {}{}",
                &expression[error.range],
                error.kind,
                help.unwrap_or_default()
            )
        }
    }
}

/// A mistake with what it marks.
pub(crate) fn marked(text: &str, mistake: &Mistake) -> String {
    let help = mistake.help.as_ref().map(|help| format!(" ({help})"));
    format!(
        "mistake at {:?}: {}{}",
        &text[mistake.range.clone()],
        mistake.message,
        help.unwrap_or_default()
    )
}

/// Each line with what it comes to.
pub(crate) fn table(lines: &str, answer: impl Fn(&str) -> String) -> String {
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty());
    let rows = lines.map(|line| format!("{line}\n    {}", answer(line).replace('\n', "\n    ")));
    rows.collect::<Vec<_>>().join("\n")
}

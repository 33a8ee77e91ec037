//! Puts a run's values into what a plan has left open.

use super::{Action, Command};
use crate::expression::{EvaluateError, Template, Values};

/// An expression that has no value in this run.
#[derive(Debug, thiserror::Error)]
#[error("`{key}` cannot be evaluated: {source}")]
pub struct BindError {
    /// The key it stands in, for example `env.RUST`.
    pub key: String,
    /// Why there is no value.
    pub source: Box<EvaluateError>,
}

pub(super) fn command(
    command: &Command<Template>,
    values: &dyn Values,
) -> Result<Command<String>, BindError> {
    let text = |key: &str, template: &Template| text(key, template, values);
    let texts = |key: &str, templates: &[Template]| {
        let texts = templates.iter().map(|template| text(key, template));
        texts.collect::<Result<Vec<_>, _>>()
    };
    Ok(Command {
        image: text("image", &command.image)?,
        action: match &command.action {
            Action::Script { script, shell } => Action::Script {
                script: text("run", script)?,
                shell: texts("shell", shell)?,
            },
            Action::Entrypoint { args } => Action::Entrypoint {
                args: texts("args", args)?,
            },
        },
        env: command
            .env
            .iter()
            .map(|(name, value)| Ok((name.clone(), text(&format!("env.{name}"), value)?)))
            .collect::<Result<_, _>>()?,
        workdir: optional(command.workdir.as_ref(), |workdir| text("workdir", workdir))?,
        user: optional(command.user.as_ref(), |user| text("user", user))?,
    })
}

fn optional(
    template: Option<&Template>,
    text: impl Fn(&Template) -> Result<String, BindError>,
) -> Result<Option<String>, BindError> {
    template.map(text).transpose()
}

fn text(key: &str, template: &Template, values: &dyn Values) -> Result<String, BindError> {
    template.text(values).map_err(|source| BindError {
        key: key.to_owned(),
        source: Box::new(source),
    })
}

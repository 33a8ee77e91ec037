//! Puts a run's values into what a plan has left open.

use super::{Action, Build, Command, Network, Probe, Ready, Service};
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

pub(super) fn service(
    service: &Service<Template>,
    values: &dyn Values,
) -> Result<Service<String>, BindError> {
    let ready = |ready: &Ready<Template>| {
        let probe = match &ready.probe {
            Probe::Tcp(port) => Probe::Tcp(*port),
            Probe::Http(url) => Probe::Http(text("ready.http", url, values)?),
            Probe::Run(script) => Probe::Run(text("ready.run", script, values)?),
            Probe::Log(pattern) => Probe::Log(pattern.clone()),
        };
        Ok(Ready {
            probe,
            timeout: ready.timeout,
        })
    };
    let build = |build: &Build<Template>| {
        let args = build.args.iter().map(|(name, value)| {
            let value = text(&format!("build.args.{name}"), value, values)?;
            Ok((name.clone(), value))
        });
        Ok(Build {
            context: build.context.clone(),
            dockerfile: build.dockerfile.clone(),
            target: build.target.clone(),
            args: args.collect::<Result<_, _>>()?,
        })
    };
    Ok(Service {
        name: service.name.clone(),
        command: command(&service.command, values)?,
        build: service.build.as_ref().map(build).transpose()?,
        ready: service.ready.as_ref().map(ready).transpose()?,
        secrets: service.secrets.clone(),
        network: network(&service.network, values)?,
    })
}

pub(super) fn network(
    of: &Network<Template>,
    values: &dyn Values,
) -> Result<Network<String>, BindError> {
    let mut failed = None;
    let bound = of.map(&mut |target| match text("network.allow", target, values) {
        Ok(text) => text,
        Err(error) => {
            failed.get_or_insert(error);
            String::new()
        }
    });
    failed.map_or(Ok(bound), Err)
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

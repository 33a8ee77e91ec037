//! A step with everything it inherits.

use indexmap::{IndexMap, IndexSet};

use super::Binder;
use crate::{
    Overrides,
    diagnostic::Diagnostics,
    expression::Template,
    plan,
    syntax::{Action, EnvVar, Job, Pipeline, Settings, Step},
};

/// What a script is handed to when nothing says otherwise.
const DEFAULT_SHELL: [&str; 2] = ["sh", "-e"];

/// What a step inherits; the step's own settings come between `job` and `overrides`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers<'p> {
    pub(super) pipeline: &'p Pipeline,
    pub(super) job: &'p Job,
    pub(super) overrides: &'p Overrides,
    pub(super) binder: Binder<'p>,
}

impl<'p> Layers<'p> {
    pub(super) fn step(
        self,
        step: &'p Step,
        name: String,
        mut needs: Vec<String>,
        diagnostics: &mut Diagnostics,
    ) -> plan::Step {
        if let Some(from) = &step.from
            && !needs.contains(&from.value)
        {
            needs.push(from.value.clone());
        }
        let mut text = |text: &_| self.binder.text(text, diagnostics);
        let action = match &step.action {
            Action::Run(script) => plan::Action::Script {
                script: Template::join(&script.iter().map(&mut text).collect::<Vec<_>>(), "\n"),
                shell: match self.inner(step, |s| s.shell.as_ref()) {
                    Some(shell) => shell.value.iter().map(&mut text).collect(),
                    None => DEFAULT_SHELL.map(Template::from).to_vec(),
                },
            },
            Action::Entrypoint(args) => plan::Action::Entrypoint {
                args: args.iter().map(&mut text).collect(),
            },
        };
        let workdir = self.inner(step, |s| s.workdir.as_ref()).map(&mut text);
        let user = self.inner(step, |s| s.user.as_ref()).map(&mut text);
        let network = match &self.overrides.network {
            Some(network) => network.clone(),
            None => self
                .inner(step, |s| s.network.as_ref())
                .map(|network| network.map(&mut text))
                .unwrap_or_default(),
        };
        let inputs = step.inputs.iter().map(&mut text).collect();
        let env = self.env(step, &mut text);
        plan::Step {
            place: self.binder.place(step.span),
            needs,
            condition: self.binder.condition(step.condition.as_ref(), diagnostics),
            command: plan::Command {
                image: self.image(step, diagnostics),
                action,
                env,
                workdir,
                user,
            },
            secrets: self.secrets(step),
            timeout: step.settings.timeout,
            silence_timeout: self.inner(step, |s| s.silence_timeout),
            retry: self.inner(step, |s| s.retry.clone()),
            allow_failure: step.allow_failure,
            resources: self.resources(step),
            network,
            nesting: step.nesting,
            from: step.from.as_ref().map(|from| from.value.clone()),
            snapshot: step.snapshot,
            inputs,
            ..plan::Step::new(&name, "", plan::Action::Entrypoint { args: Vec::new() })
        }
    }

    fn layers(self, step: &'p Step) -> [&'p Settings; 3] {
        [&self.pipeline.settings, &self.job.settings, &step.settings]
    }

    /// The value of the innermost layer that has one.
    fn inner<T>(self, step: &'p Step, get: impl Fn(&'p Settings) -> Option<T>) -> Option<T> {
        self.layers(step).into_iter().rev().find_map(get)
    }

    fn image(self, step: &'p Step, diagnostics: &mut Diagnostics) -> Template {
        if let Some(image) = &self.overrides.image {
            return Template::literal(image.as_str());
        }
        let image = self.inner(step, |s| s.image.as_ref());
        image.map_or_else(Template::default, |image| {
            self.binder.image(image, diagnostics)
        })
    }

    fn env(
        self,
        step: &'p Step,
        bind: &mut impl FnMut(&'p crate::syntax::Text) -> Template,
    ) -> IndexMap<String, Template> {
        let written = self
            .layers(step)
            .into_iter()
            .flat_map(|settings| &settings.env);
        let mut env: IndexMap<String, Template> = written
            .map(|EnvVar { name, value }| (name.clone(), bind(value)))
            .collect();
        let given = self.overrides.env.iter();
        env.extend(given.map(|(name, value)| (name.clone(), Template::literal(value.as_str()))));
        env
    }

    fn secrets(self, step: &'p Step) -> Vec<String> {
        let names = [&self.job.settings, &step.settings]
            .into_iter()
            .flat_map(|settings| &settings.secrets)
            .map(|name| &name.value);
        names
            .collect::<IndexSet<_>>()
            .into_iter()
            .cloned()
            .collect()
    }

    /// Each limit by itself: a step that says how much memory it needs keeps its job's cores.
    fn resources(self, step: &'p Step) -> plan::Resources {
        let of = |get: fn(&plan::Resources) -> Option<u64>| self.inner(step, |s| get(&s.resources));
        plan::Resources {
            cpu_millis: of(|r| r.cpu_millis),
            memory_bytes: of(|r| r.memory_bytes),
            pids: of(|r| r.pids),
            disk_bytes: of(|r| r.disk_bytes),
            nofile: of(|r| r.nofile),
        }
    }
}

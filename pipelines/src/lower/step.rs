//! A step with everything it inherits.

use indexmap::IndexMap;

use crate::{
    Overrides, plan,
    syntax::{Action, EnvVar, Settings, Step},
};

/// What a script is handed to when nothing says otherwise.
const DEFAULT_SHELL: [&str; 2] = ["sh", "-e"];

/// What a step inherits; the step's own settings come between `job` and `overrides`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layers<'p> {
    pub(super) pipeline: &'p Settings,
    pub(super) job: &'p Settings,
    pub(super) overrides: &'p Overrides,
}

impl<'p> Layers<'p> {
    pub(super) fn step(self, step: &'p Step, name: String, needs: Vec<String>) -> plan::Step {
        let image = self
            .overrides
            .image
            .as_ref()
            .or_else(|| self.inner(step, |s| Some(&s.image.as_ref()?.value)));
        let action = match &step.action {
            Action::Run(script) => plan::Action::Script {
                script: script.clone(),
                shell: self.shell(step),
            },
            Action::Entrypoint => plan::Action::Entrypoint,
        };
        plan::Step {
            name,
            needs,
            image: image.cloned().unwrap_or_default(),
            action,
            env: self.env(step),
            workdir: self.inner(step, |s| s.workdir.as_ref()).cloned(),
            user: self.inner(step, |s| s.user.as_ref()).cloned(),
            timeout: step.settings.timeout,
            allow_failure: step.allow_failure,
        }
    }

    /// The value of the innermost layer that has one.
    fn inner<T>(self, step: &'p Step, get: impl Fn(&'p Settings) -> Option<T>) -> Option<T> {
        [&step.settings, self.job, self.pipeline]
            .into_iter()
            .find_map(get)
    }

    fn shell(self, step: &'p Step) -> Vec<String> {
        match self.inner(step, |s| s.shell.as_ref()) {
            Some(shell) => shell.value.clone(),
            None => DEFAULT_SHELL.map(str::to_owned).to_vec(),
        }
    }

    fn env(self, step: &Step) -> IndexMap<String, String> {
        let layers = [self.pipeline, self.job, &step.settings];
        let written = layers.into_iter().flat_map(|settings| &settings.env);
        let written = written.map(|EnvVar { name, value }| (name.clone(), value.clone()));
        let given = self
            .overrides
            .env
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()));
        written.chain(given).collect()
    }
}

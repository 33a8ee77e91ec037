//! Every text of a part that may hold expressions, so that rules about expressions forget none.

use super::{Action, Job, Pipeline, Settings, Step, Text};
use crate::plan::{self, Network, Probe};

impl Settings {
    pub(crate) fn each_text<'a>(&'a self, visit: &mut impl FnMut(&'a Text)) {
        self.image.iter().for_each(&mut *visit);
        self.env.iter().for_each(|variable| visit(&variable.value));
        let shell = self.shell.iter().flat_map(|shell| &shell.value);
        shell.for_each(&mut *visit);
        self.workdir.iter().for_each(&mut *visit);
        self.user.iter().for_each(&mut *visit);
        if let Some(Network::Allow(targets)) = &self.network {
            targets.iter().for_each(visit);
        }
    }
}

impl Pipeline {
    /// The pipeline's own, without its jobs'.
    pub(crate) fn each_text<'a>(&'a self, visit: &mut impl FnMut(&'a Text)) {
        self.settings.each_text(visit);
        self.concurrency
            .iter()
            .for_each(|concurrency| visit(&concurrency.group));
    }
}

impl Job {
    /// The job's own, without its steps'.
    pub(crate) fn each_text<'a>(&'a self, visit: &mut impl FnMut(&'a Text)) {
        self.settings.each_text(visit);
        self.runs_on.values().for_each(&mut *visit);
        self.concurrency
            .iter()
            .for_each(|concurrency| visit(&concurrency.group));
        for service in &self.services {
            let command = &service.command;
            visit(&command.image);
            command.env.values().for_each(&mut *visit);
            match &command.action {
                plan::Action::Script { script, .. } => visit(script),
                plan::Action::Entrypoint { args } => args.iter().for_each(&mut *visit),
            }
            let args = service.build.iter().flat_map(|build| build.args.values());
            args.for_each(&mut *visit);
            let probe = service.ready.as_ref().map(|ready| &ready.probe);
            if let Some(Probe::Http(text) | Probe::Run(text)) = probe {
                visit(text);
            }
        }
        for cache in &self.cache {
            let texts = std::iter::once(&cache.key)
                .chain(&cache.fallback)
                .chain(&cache.paths);
            texts.for_each(&mut *visit);
        }
        for artifact in &self.artifacts {
            let texts = std::iter::once(&artifact.name).chain(&artifact.paths);
            texts.for_each(&mut *visit);
        }
        self.reports.values().flatten().for_each(visit);
    }
}

impl Step {
    pub(crate) fn each_text<'a>(&'a self, visit: &mut impl FnMut(&'a Text)) {
        self.settings.each_text(visit);
        match &self.action {
            Action::Run(texts) | Action::Entrypoint(texts) => texts.iter().for_each(&mut *visit),
        }
        self.inputs.iter().for_each(visit);
    }
}

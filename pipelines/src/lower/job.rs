//! One cell of a job, or the whole job where it has no matrix.

use std::collections::{HashMap, HashSet};

use super::{Binder, Scope, matrix::Cell, name, step::Layers};
use crate::{
    Overrides, Source,
    diagnostic::Diagnostics,
    expression::Value,
    plan,
    syntax::{Job, Pipeline, Step},
};

/// What every job is lowered with.
#[derive(Debug)]
pub(super) struct Lowering<'p> {
    pub(super) source: &'p Source,
    pub(super) pipeline: &'p Pipeline,
    /// The plan's ids of the jobs under one key.
    pub(super) ids: HashMap<&'p str, Vec<&'p str>>,
    pub(super) overrides: &'p Overrides,
}

impl Lowering<'_> {
    pub(super) fn job(
        &self,
        job: &Job,
        cell: &Cell,
        scope: &Scope<'_>,
        diagnostics: &mut Diagnostics,
    ) -> plan::Job {
        let scope = scope.in_cell(Value::Map(cell.values.clone()));
        let binder = Binder::new(&scope, self.source);
        let layers = Layers {
            pipeline: self.pipeline,
            job,
            overrides: self.overrides,
            binder,
        };
        let steps = layers.steps(&job.steps, diagnostics);
        let after = layers.steps(&job.after, diagnostics);
        let pipeline = &self.pipeline.settings;
        let network = match &self.overrides.network {
            Some(network) => network.clone(),
            None => [&job.settings, pipeline]
                .into_iter()
                .find_map(|settings| settings.network.as_ref())
                .map(|network| network.map(&mut |text| binder.text(text, diagnostics)))
                .unwrap_or_default(),
        };
        let mut text = |text: &_| binder.text(text, diagnostics);
        plan::Job {
            place: binder.place(job.id.span),
            cell: job.matrix.as_ref().map(|matrix| plan::Cell {
                job: job.id.value.clone(),
                values: cell.values.clone(),
                fail_fast: matrix.fail_fast,
                max_parallel: matrix.max_parallel,
            }),
            needs: self.needs(job),
            runs_on: texts(&job.runs_on, &mut text),
            timeout: job.settings.timeout.or(pipeline.timeout),
            allow_failure: cell.allow_failure.unwrap_or(job.allow_failure),
            concurrency: job.concurrency.as_ref().map(|group| group.map(&mut text)),
            approval: job.approval,
            services: job
                .services
                .iter()
                .map(|service| plan::Service {
                    network: network.clone(),
                    ..service.map(&mut text)
                })
                .collect(),
            cache: job.cache.iter().map(|cache| cache.map(&mut text)).collect(),
            after,
            outputs: texts(&job.outputs, &mut text),
            artifacts: job
                .artifacts
                .iter()
                .map(|artifact| artifact.map(&mut text))
                .collect(),
            reports: job
                .reports
                .iter()
                .map(|(format, patterns)| {
                    (format.clone(), patterns.iter().map(&mut text).collect())
                })
                .collect(),
            condition: binder.condition(job.condition.as_ref(), diagnostics),
            ..plan::Job::new(&cell.id, steps)
        }
    }

    /// Every cell of every job it needs, each once.
    fn needs(&self, job: &Job) -> Vec<String> {
        let mut seen = HashSet::new();
        let keys = job.needs.iter().filter(|need| seen.insert(&need.value));
        let ids = keys.flat_map(|need| self.ids.get(need.value.as_str()));
        ids.flatten().map(|id| (*id).to_owned()).collect()
    }
}

fn texts<T>(
    texts: &indexmap::IndexMap<String, crate::syntax::Text>,
    bind: &mut impl FnMut(&crate::syntax::Text) -> T,
) -> indexmap::IndexMap<String, T> {
    let bound = texts.iter().map(|(name, text)| (name.clone(), bind(text)));
    bound.collect()
}

impl Layers<'_> {
    fn steps(self, steps: &[Step], diagnostics: &mut Diagnostics) -> Vec<plan::Step> {
        let mut lowered: Vec<plan::Step> = Vec::with_capacity(steps.len());
        for (step, name) in steps.iter().zip(name::names(steps)) {
            let before = lowered.last().map(|before| before.name.clone());
            let needs = match &step.needs {
                Some(needs) => needs.iter().map(|need| need.value.clone()).collect(),
                None => before.into_iter().collect(),
            };
            lowered.push(self.step(step, name, needs, diagnostics));
        }
        lowered
    }
}

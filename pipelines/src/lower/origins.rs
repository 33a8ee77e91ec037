//! The same way through the layers as [`super::step`], for the places instead of the values.

use super::matrix;
use crate::{
    Options, Source, Span,
    diagnostic::Diagnostics,
    origin::{Layer, Origin, Origins, StepOrigins},
    plan::Place,
    syntax::{Action, Job, Pipeline, Settings, Step, Text},
};

/// Where the values of a plan come from that was made of this pipeline.
pub(crate) fn origins(source: &Source, pipeline: &Pipeline, options: &Options) -> Origins {
    let cells = matrix::cells(pipeline, &mut Diagnostics::default()).unwrap_or_default();
    let mut origins = Vec::new();
    for (job, cells) in pipeline.jobs.iter().zip(&cells) {
        let finder = Finder {
            source,
            pipeline,
            job,
            options,
        };
        let steps = job.steps.iter().chain(&job.after);
        let steps: Vec<StepOrigins> = steps.map(|step| finder.step(step)).collect();
        origins.extend(std::iter::repeat_n(steps, cells.len()));
    }
    origins
}

struct Finder<'p> {
    source: &'p Source,
    pipeline: &'p Pipeline,
    job: &'p Job,
    options: &'p Options,
}

impl<'p> Finder<'p> {
    fn step(&self, step: &'p Step) -> StepOrigins {
        let overrides = &self.options.overrides;
        let mut origins = StepOrigins::new();
        let mut note = |key: String, origin: Origin| {
            origins.insert(key, origin);
        };
        let text = |get: fn(&Settings) -> Option<&Text>| {
            let (layer, text) = self.inner(step, get)?;
            Some(self.written(layer, text))
        };
        let given = |given: bool| given.then(|| plain(Layer::CommandLine));
        let image = given(overrides.image.is_some()).or_else(|| text(|s| s.image.as_ref()));
        note(
            "image".to_owned(),
            image.unwrap_or_else(|| plain(Layer::Default)),
        );
        if matches!(step.action, Action::Run(_)) {
            let shell = self.inner(step, |s| s.shell.as_ref());
            let shell = shell.map(|(layer, shell)| self.at(layer, shell.span));
            note(
                "shell".to_owned(),
                shell.unwrap_or_else(|| plain(Layer::Default)),
            );
        }
        for (key, origin) in [
            ("workdir", text(|s| s.workdir.as_ref())),
            ("user", text(|s| s.user.as_ref())),
            ("timeout", step.settings.timeout.map(|_| plain(Layer::Step))),
            (
                "silence_timeout",
                self.unplaced(step, |s| s.silence_timeout.is_some()),
            ),
            ("nesting", step.nesting.then(|| plain(Layer::Step))),
            ("retry", self.unplaced(step, |s| s.retry.is_some())),
            (
                "network",
                given(overrides.network.is_some())
                    .or_else(|| self.unplaced(step, |s| s.network.is_some())),
            ),
        ] {
            if let Some(origin) = origin {
                note(key.to_owned(), origin);
            }
        }
        for (layer, settings) in self.layers(step) {
            for variable in &settings.env {
                let origin = self.written(layer, &variable.value);
                note(format!("env.{}", variable.name), origin);
            }
            for secret in &settings.secrets {
                note(
                    format!("secrets.{}", secret.value),
                    self.at(layer, secret.span),
                );
            }
        }
        for name in overrides.env.keys() {
            note(format!("env.{name}"), plain(Layer::CommandLine));
        }
        origins
    }

    fn layers(&self, step: &'p Step) -> [(Layer, &'p Settings); 3] {
        [
            (Layer::Pipeline, &self.pipeline.settings),
            (Layer::Job, &self.job.settings),
            (Layer::Step, &step.settings),
        ]
    }

    /// The value of the innermost layer that has one.
    fn inner<T>(
        &self,
        step: &'p Step,
        get: impl Fn(&'p Settings) -> Option<T>,
    ) -> Option<(Layer, T)> {
        let layers = self.layers(step).into_iter().rev();
        layers
            .into_iter()
            .find_map(|(layer, settings)| Some((layer, get(settings)?)))
    }

    fn unplaced(&self, step: &'p Step, has: impl Fn(&Settings) -> bool) -> Option<Origin> {
        let (layer, ()) = self.inner(step, |settings| has(settings).then_some(()))?;
        Some(plain(layer))
    }

    fn written(&self, layer: Layer, text: &Text) -> Origin {
        let mut references = text.template.references();
        let by_cell = references.any(|r| r.path.first().is_some_and(|name| name == "matrix"));
        Origin {
            by_cell,
            ..self.at(layer, text.span)
        }
    }

    fn at(&self, layer: Layer, span: Span) -> Origin {
        let place = Place {
            file: self.source.name_at(span.start).to_owned(),
            line: self.source.position(span.start).line,
        };
        Origin {
            place,
            ..plain(layer)
        }
    }
}

fn plain(layer: Layer) -> Origin {
    Origin {
        layer,
        place: Place::default(),
        by_cell: false,
    }
}

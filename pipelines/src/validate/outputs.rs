//! What is read as `needs.JOB.outputs.NAME` is an output that the job says it has. That the job is needed is checked with the
//! other names.

use indexmap::IndexMap;

use super::expressions::push_of_condition;
use crate::{
    Code,
    diagnostic::{Diagnostics, quoted},
    expression::{Mistake, Reference},
    parse::closest,
    syntax::{If, Job, Pipeline, Text},
};

pub(super) fn check(pipeline: &Pipeline, diagnostics: &mut Diagnostics) {
    let jobs = pipeline.jobs.iter();
    let jobs = Jobs(jobs.map(|job| (job.id.value.as_str(), job)).collect());
    for job in jobs.0.values() {
        jobs.check_condition(job.condition.as_ref(), diagnostics);
        job.each_text(&mut |text| jobs.check_text(text, diagnostics));
        for text in job.outputs.values() {
            jobs.check_text(text, diagnostics);
        }
        for step in job.steps.iter().chain(&job.after) {
            jobs.check_condition(step.condition.as_ref(), diagnostics);
            step.each_text(&mut |text| jobs.check_text(text, diagnostics));
        }
    }
}

/// By their ids.
struct Jobs<'p>(IndexMap<&'p str, &'p Job>);

impl Jobs<'_> {
    fn check_text(&self, text: &Text, diagnostics: &mut Diagnostics) {
        if text.template.as_literal().is_none() {
            let mistakes = self.mistakes(text.template.references(), diagnostics);
            diagnostics.push_mistakes(Code::BadExpression, text.scalar(), mistakes);
        }
    }

    fn check_condition(&self, condition: Option<&If>, diagnostics: &mut Diagnostics) {
        if let Some(condition) = condition {
            let mistakes = self.mistakes(condition.expression.references(), diagnostics);
            push_of_condition(condition, mistakes, diagnostics);
        }
    }

    fn mistakes(
        &self,
        references: impl Iterator<Item = Reference>,
        diagnostics: &Diagnostics,
    ) -> Vec<Mistake> {
        let suggest = diagnostics.wants_suggestions();
        references
            .filter_map(|reference| self.mistake(reference, suggest))
            .collect()
    }

    fn mistake(&self, reference: Reference, suggest: bool) -> Option<Mistake> {
        let [variable, id, outputs, name, ..] = &reference.path[..] else {
            return None;
        };
        if variable != "needs" || outputs != "outputs" {
            return None;
        }
        let outputs = &self.0.get(id.as_str())?.outputs;
        if outputs.contains_key(name) {
            return None;
        }
        let message = format!("the job {} has no output {}", quoted(id), quoted(name));
        let known = outputs.keys().map(String::as_str);
        let meant = if suggest { closest(name, known) } else { None };
        let mistake = Mistake::new(reference.range, message);
        Some(match meant {
            Some(meant) => mistake.suggest(Some(meant)),
            None => mistake.help(format!("say what it is under `outputs` of {}", quoted(id))),
        })
    }
}

//! Expressions read what is there, and are of a type that fits where they stand.

use std::cell::OnceCell;

use indexmap::IndexMap;

use crate::{
    Code,
    diagnostic::{Diagnostics, quoted},
    expression::{Mistake, Reference, Type, Types},
    lower::step_names,
    parse::closest,
    syntax::{If, InputType, Job, Matrix, Pipeline, Step, Text},
};

pub(super) fn check(pipeline: &Pipeline, diagnostics: &mut Diagnostics) {
    let mut names = Names {
        matrix: Type::Record(IndexMap::new()),
        needs: Type::Record(IndexMap::new()),
        inputs: inputs(pipeline),
    };
    // The pipeline's own texts are every job's: what they read of a matrix is looked at when it is put in.
    let anywhere = Names {
        matrix: Type::Map(Box::new(Type::Any)),
        needs: Type::Map(Box::new(Type::finished())),
        inputs: names.inputs.clone(),
    };
    pipeline.each_text(&mut |text| check_text(text, &anywhere, diagnostics));
    for job in &pipeline.jobs {
        names.matrix = axes(job.matrix.as_ref());
        let needs = job.needs.iter();
        names.needs = Type::record(needs.map(|need| (need.value.as_str(), Type::finished())));
        check_job(job, &names, diagnostics);
    }
}

/// What is known about the variables in a job.
struct Names {
    matrix: Type,
    needs: Type,
    inputs: Type,
}

impl Types for Names {
    fn variable(&self, name: &str) -> Option<&Type> {
        match name {
            "matrix" => Some(&self.matrix),
            "needs" => Some(&self.needs),
            "inputs" => Some(&self.inputs),
            _ => None,
        }
    }
}

fn inputs(pipeline: &Pipeline) -> Type {
    let manual = pipeline.on.as_ref().and_then(|on| on.manual.as_ref());
    let inputs = manual.into_iter().flatten();
    Type::record(inputs.map(|(name, input)| {
        let ty = match input.kind {
            InputType::String | InputType::Choice(_) => Type::Text,
            InputType::Boolean => Type::Bool,
            InputType::Number => Type::Int,
        };
        (name.as_str(), ty)
    }))
}

/// The axes of a matrix and what `include` adds, each with what its values have in common.
fn axes(matrix: Option<&Matrix>) -> Type {
    let mut types: IndexMap<String, Type> = IndexMap::new();
    let axes = matrix.into_iter().flat_map(|matrix| &matrix.axes);
    let axes = axes.flat_map(|(name, values)| values.iter().map(move |value| (name, value)));
    let included = matrix.into_iter().flat_map(|matrix| &matrix.include);
    let included = included.flat_map(|include| &include.values);
    for (name, value) in axes.chain(included) {
        let ty = Type::of(value);
        let joined = match types.swap_remove(name) {
            Some(other) => other.join(ty),
            None => ty,
        };
        types.insert(name.clone(), joined);
    }
    Type::Record(types)
}

fn check_job(job: &Job, names: &Names, diagnostics: &mut Diagnostics) {
    if let Some(condition) = &job.condition {
        check_condition(condition, names, diagnostics);
    }
    job.each_text(&mut |text| check_text(text, names, diagnostics));
    job.outputs
        .values()
        .for_each(|text| check_text(text, names, diagnostics));
    for steps in [&job.steps, &job.after] {
        for step in steps {
            if let Some(condition) = &step.condition {
                check_condition(condition, names, diagnostics);
            }
            step.each_text(&mut |text| check_text(text, names, diagnostics));
        }
    }
    Order::of(job).check(job, diagnostics);
}

fn check_text(text: &Text, names: &Names, diagnostics: &mut Diagnostics) {
    let mistakes = text.template.check(names);
    diagnostics.push_mistakes(Code::BadExpression, text.scalar(), mistakes);
}

fn check_condition(condition: &If, names: &Names, diagnostics: &mut Diagnostics) {
    let mistakes = condition.expression.check_condition(names);
    push_of_condition(condition, mistakes, diagnostics);
}

/// Mistakes in a condition, which may begin behind a `${{`.
pub(super) fn push_of_condition(
    condition: &If,
    mistakes: Vec<Mistake>,
    diagnostics: &mut Diagnostics,
) {
    let shifted = mistakes.into_iter().map(|mut mistake| {
        mistake.range.start += condition.offset();
        mistake.range.end += condition.offset();
        mistake
    });
    diagnostics.push_mistakes(Code::BadExpression, condition.scalar(), shifted);
}

/// Which steps come before which.
struct Order {
    /// In the order of the file, so that of two names that are as close the first is suggested, every time.
    index: IndexMap<String, usize>,
    needs: Vec<Vec<usize>>,
    /// By step, whether each other one comes before it; found when somebody asks.
    before: Vec<OnceCell<Vec<bool>>>,
}

impl Order {
    fn of(job: &Job) -> Self {
        let graph = super::graph::of_steps(&job.steps);
        let names = step_names(&job.steps);
        let index: IndexMap<String, usize> = names
            .into_iter()
            .enumerate()
            .map(|(at, name)| (name, at))
            .collect();
        let needs = graph.nodes.iter().map(|node| {
            let targets = node.needs.iter().filter_map(|need| index.get(&need.value));
            targets.copied().collect()
        });
        let needs: Vec<Vec<usize>> = needs.collect();
        let before = vec![OnceCell::new(); needs.len()];
        Self {
            index,
            needs,
            before,
        }
    }

    fn check(&self, job: &Job, diagnostics: &mut Diagnostics) {
        for (at, step) in job.steps.iter().enumerate() {
            self.check_step(step, Some(at), diagnostics);
        }
        for step in &job.after {
            self.check_step(step, None, diagnostics);
        }
        let mut rest = |text: &Text| self.check_references(text, None, diagnostics);
        job.outputs.values().for_each(&mut rest);
    }

    /// `at` is the step's own place; `None` is behind all of them.
    fn check_step(&self, step: &Step, at: Option<usize>, diagnostics: &mut Diagnostics) {
        step.each_text(&mut |text| self.check_references(text, at, diagnostics));
        if let Some(condition) = &step.condition {
            let references: Vec<_> = condition.expression.references().collect();
            let mistakes = self.mistakes(&references, at, diagnostics.wants_suggestions());
            push_of_condition(condition, mistakes, diagnostics);
        }
    }

    fn check_references(&self, text: &Text, at: Option<usize>, diagnostics: &mut Diagnostics) {
        if text.template.as_literal().is_some() {
            return;
        }
        let references: Vec<_> = text.template.references().collect();
        let mistakes = self.mistakes(&references, at, diagnostics.wants_suggestions());
        diagnostics.push_mistakes(Code::BadExpression, text.scalar(), mistakes);
    }

    fn mistakes(&self, references: &[Reference], at: Option<usize>, suggest: bool) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for reference in references {
            let [variable, name, ..] = reference.path.as_slice() else {
                continue;
            };
            if variable != "steps" {
                continue;
            }
            let message = match (self.index.get(name), at) {
                (Some(_), None) => continue,
                (Some(&target), Some(at)) if self.comes_before(target, at) => continue,
                (Some(_), Some(_)) => {
                    format!("the step {} does not come before this one", quoted(name))
                }
                (None, _) => format!("no step before this is called {}", quoted(name)),
            };
            let mistake = Mistake::new(reference.range.clone(), message);
            let known = self.index.keys().map(String::as_str);
            mistakes.push(match closest(name, known) {
                Some(meant) if suggest && meant != name => mistake.suggest(Some(meant)),
                _ => mistake,
            });
        }
        mistakes
    }

    fn comes_before(&self, target: usize, at: usize) -> bool {
        let before = self.before[at].get_or_init(|| {
            let mut seen = vec![false; self.needs.len()];
            let mut open = self.needs[at].clone();
            while let Some(step) = open.pop() {
                if !std::mem::replace(&mut seen[step], true) {
                    open.extend(&self.needs[step]);
                }
            }
            seen
        });
        before[target]
    }
}

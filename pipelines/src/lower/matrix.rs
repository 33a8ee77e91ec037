//! The cells of matrices: every combination of values, without the excluded ones, then what is included.

use std::collections::HashSet;

use indexmap::IndexMap;

use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    expression::Value,
    limits,
    syntax::{Include, Job, Matrix, Pipeline},
};

/// Characters of a value in an id.
const VALUE_CHARS: usize = 40;

/// What a value of a cell costs beside its text.
const VALUE_BYTES: usize = 64;

/// One job of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cell {
    /// Unique in the plan.
    pub(super) id: String,
    /// Empty where there is no matrix.
    pub(super) values: IndexMap<String, Value>,
    /// What `include` says, if it says anything.
    pub(super) allow_failure: Option<bool>,
}

/// The cells of every job, in the order of the file. `None`, with errors, when a matrix has none, or there are too many.
pub(super) fn cells(pipeline: &Pipeline, diagnostics: &mut Diagnostics) -> Option<Vec<Vec<Cell>>> {
    let mut total = 0_usize;
    let mut all = Vec::with_capacity(pipeline.jobs.len());
    let mut sound = true;
    for job in &pipeline.jobs {
        let cells = match &job.matrix {
            None => vec![Cell {
                id: job.id.value.clone(),
                values: IndexMap::new(),
                allow_failure: None,
            }],
            Some(matrix) => match of_matrix(job, matrix) {
                Ok(cells) => cells,
                Err(message) => {
                    diagnostics.push(Diagnostic::new(Code::BadMatrix, matrix.span, message));
                    sound = false;
                    continue;
                }
            },
        };
        let before = total;
        total = total.saturating_add(cells.len());
        if total > limits::JOBS {
            if before <= limits::JOBS {
                let message = format!(
                    "the pipeline has more than the {} jobs that it may have, every cell of a matrix counted",
                    limits::JOBS
                );
                let diagnostic = Diagnostic::new(Code::TooManyJobs, job.id.span, message);
                diagnostics.push(diagnostic.label("the limit is crossed in this job"));
            }
            sound = false;
            continue;
        }
        all.push(cells);
    }
    sound.then_some(all)
}

fn of_matrix(job: &Job, matrix: &Matrix) -> Result<Vec<Cell>, String> {
    let axes = matrix.axes.values().map(Vec::len);
    let count = axes.fold(1_usize, usize::saturating_mul);
    if count > limits::MATRIX_CELLS {
        return Err(format!(
            "the matrix of {} has {count} combinations before any is excluded; at most {} are looked at",
            quoted(&job.id.value),
            limits::MATRIX_CELLS
        ));
    }
    let entries = matrix.exclude.iter().map(IndexMap::len);
    let entries = entries.chain(matrix.include.iter().map(|include| include.values.len()));
    let comparisons = entries.sum::<usize>().saturating_mul(count);
    if comparisons > limits::MATRIX_COMPARISONS {
        return Err(format!(
            "the entries of `include` and `exclude` of the matrix of {} take {comparisons} comparisons; at most {} are made",
            quoted(&job.id.value),
            limits::MATRIX_COMPARISONS
        ));
    }
    let mut budget = Budget::of(job);
    for (axis, choices) in &matrix.axes {
        let times = count / choices.len();
        for choice in choices {
            budget.spend(axis, choice, times)?;
        }
    }
    let combinations = if matrix.axes.is_empty() { 0 } else { count };
    let mut rows: Vec<Row> = (0..combinations)
        .map(|number| Row::nth(matrix, number))
        .collect();
    rows.retain(|row| !matrix.exclude.iter().any(|excluded| row.has(excluded)));
    let combined = rows.len();
    for include in &matrix.include {
        add(&mut rows, combined, include, matrix, &mut budget)?;
    }
    if rows.is_empty() {
        return Err(format!(
            "the matrix of {} has no cells",
            quoted(&job.id.value)
        ));
    }
    let mut taken = HashSet::new();
    let cells = rows.into_iter().map(|row| {
        let id = unique(label(&job.id.value, &row.values), &mut taken);
        Cell {
            id,
            values: row.values,
            allow_failure: row.allow_failure,
        }
    });
    Ok(cells.collect())
}

struct Row {
    values: IndexMap<String, Value>,
    allow_failure: Option<bool>,
}

impl Row {
    /// The combination of that number; the last axis changes fastest.
    fn nth(matrix: &Matrix, mut number: usize) -> Self {
        let mut values = IndexMap::with_capacity(matrix.axes.len());
        for (axis, choices) in matrix.axes.iter().rev() {
            values.insert(axis.clone(), choices[number % choices.len()].clone());
            number /= choices.len();
        }
        values.reverse();
        Self {
            values,
            allow_failure: None,
        }
    }

    fn has(&self, values: &IndexMap<String, Value>) -> bool {
        values
            .iter()
            .all(|(axis, value)| self.values.get(axis) == Some(value))
    }
}

/// Adds an entry's other values to the combinations that have its values of axes, or a cell if there is none.
fn add(
    rows: &mut Vec<Row>,
    combined: usize,
    include: &Include,
    matrix: &Matrix,
    budget: &mut Budget,
) -> Result<(), String> {
    let is_axis = |name: &String| matrix.axes.contains_key(name);
    let of_axes: IndexMap<String, Value> = include
        .values
        .iter()
        .filter(|(name, _)| is_axis(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut found = false;
    for row in rows[..combined].iter_mut().filter(|row| row.has(&of_axes)) {
        found = true;
        for (name, value) in include.values.iter().filter(|(name, _)| !is_axis(name)) {
            budget.spend(name, value, 1)?;
            row.values.insert(name.clone(), value.clone());
        }
        row.allow_failure = include.allow_failure.or(row.allow_failure);
    }
    if !found && !include.values.is_empty() {
        rows.push(Row {
            values: include.values.clone(),
            allow_failure: include.allow_failure,
        });
    }
    Ok(())
}

/// How much the values of one matrix may still take.
struct Budget {
    job: String,
    left: usize,
}

impl Budget {
    fn of(job: &Job) -> Self {
        Self {
            job: quoted(&job.id.value),
            left: limits::MATRIX_BYTES,
        }
    }

    /// A value in so many cells; an error when there is no room for it.
    fn spend(&mut self, name: &str, value: &Value, times: usize) -> Result<(), String> {
        let text = value.to_text().map_or(0, |text| text.len());
        let size = (VALUE_BYTES + name.len() + text).saturating_mul(times);
        match self.left.checked_sub(size) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(format!(
                "the values of all cells of the matrix of {} take more than 8 MiB",
                self.job
            )),
        }
    }
}

/// `test (1.90, debian:trixie)`
fn label(job: &str, values: &IndexMap<String, Value>) -> String {
    let shown = values.values().map(|value| {
        let text = value.to_text().unwrap_or_default();
        let mut shown: String = text
            .chars()
            .take(VALUE_CHARS)
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        if text.chars().nth(VALUE_CHARS).is_some() {
            shown.push('…');
        }
        shown
    });
    format!("{job} ({})", shown.collect::<Vec<_>>().join(", "))
}

fn unique(label: String, taken: &mut HashSet<String>) -> String {
    let mut id = label.clone();
    let mut number = 2;
    while !taken.insert(id.clone()) {
        id = format!("{label} ({number})");
        number += 1;
    }
    id
}

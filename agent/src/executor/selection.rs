//! `--job` and `--step`: the part of a plan that is asked for.

use std::collections::{BTreeSet, HashSet};

use pipelines::plan::{Job, Plan, Step};

/// What to run of a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// Ids of jobs, or keys under `jobs`, which stand for all cells of a matrix; none is all of them.
    pub jobs: Vec<String>,
    /// Axes and values: of matrices that have such an axis, only the cells with that value.
    pub cells: Vec<(String, String)>,
    /// Run the jobs without what they need.
    pub without_needs: bool,
    /// The name of the one step to run, of the one job that is selected or that has it. Needs are left out then, of the
    /// step and of its job.
    pub step: Option<String>,
}

/// A name on the command line that the pipeline does not have.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectionError {
    /// There is no such job.
    #[error("there is no job `{name}`{}; the jobs are {}", hint(.similar.as_deref()), list(.jobs))]
    UnknownJob {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        similar: Option<String>,
        /// What there is.
        jobs: Vec<String>,
    },
    /// No matrix has such a value.
    #[error("no matrix has a cell with `{axis}={value}`{}", hint(.similar.as_deref()))]
    NoCell {
        /// The axis that was asked for.
        axis: String,
        /// And its value.
        value: String,
        /// What may have been meant: another axis, or another value.
        similar: Option<String>,
    },
    /// No selected job has such a step.
    #[error("there is no step `{name}`{}; the steps are {}", hint(.similar.as_deref()), list(.steps))]
    UnknownStep {
        /// What was asked for.
        name: String,
        /// What may have been meant.
        similar: Option<String>,
        /// What there is.
        steps: Vec<String>,
    },
    /// More than one job has such a step.
    #[error("step `{name}` exists in the jobs {}; choose one with --job", list(.jobs))]
    AmbiguousStep {
        /// What was asked for.
        name: String,
        /// Where it was found.
        jobs: Vec<String>,
    },
}

impl Selection {
    /// Reduces `plan` to what is selected. The order stays the plan's.
    pub fn apply(&self, mut plan: Plan) -> Result<Plan, SelectionError> {
        self.select_cells(&mut plan)?;
        for name in &self.jobs {
            if !plan.jobs.iter().any(|job| is_called(job, name)) {
                let mut jobs: Vec<String> =
                    plan.jobs.iter().map(|job| job.key().to_owned()).collect();
                jobs.dedup();
                return Err(SelectionError::UnknownJob {
                    name: name.clone(),
                    similar: similar(name, &jobs),
                    jobs,
                });
            }
        }
        match &self.step {
            Some(step) => self.single_step(plan, step),
            None if self.jobs.is_empty() => Ok(plan),
            None => Ok(self.selected_jobs(plan)),
        }
    }

    /// Takes the other cells of the matrices that have the axes out of the plan.
    fn select_cells(&self, plan: &mut Plan) -> Result<(), SelectionError> {
        for (axis, value) in &self.cells {
            let of_axis = |job: &Job| {
                let value = job.cell.as_ref()?.values.get(axis)?;
                Some(value.to_text().unwrap_or_default())
            };
            let values: Vec<String> = plan.jobs.iter().filter_map(of_axis).collect();
            if !values.contains(value) {
                let cells: Vec<String> = match values.is_empty() {
                    true => axes(plan),
                    false => values,
                };
                return Err(SelectionError::NoCell {
                    axis: axis.clone(),
                    value: value.clone(),
                    similar: similar(if cells == axes(plan) { axis } else { value }, &cells),
                });
            }
            plan.jobs
                .retain(|job| of_axis(job).is_none_or(|of_job| of_job == *value));
        }
        let left: HashSet<String> = plan.jobs.iter().map(|job| job.id.clone()).collect();
        for job in &mut plan.jobs {
            job.needs.retain(|need| left.contains(need));
        }
        Ok(())
    }

    fn selected_jobs(&self, mut plan: Plan) -> Plan {
        let named = |job: &&Job| self.jobs.iter().any(|name| is_called(job, name));
        let mut selected: Vec<String> = plan
            .jobs
            .iter()
            .filter(named)
            .map(|job| job.id.clone())
            .collect();
        let mut next = 0;
        while next < selected.len() && !self.without_needs {
            let job = plan.jobs.iter().find(|job| job.id == selected[next]);
            let needs = job.map(|job| job.needs.clone()).unwrap_or_default();
            for need in needs {
                if !selected.contains(&need) {
                    selected.push(need);
                }
            }
            next += 1;
        }
        plan.jobs.retain(|job| selected.contains(&job.id));
        for job in &mut plan.jobs {
            job.needs.retain(|need| selected.contains(need));
        }
        plan
    }

    fn single_step(&self, mut plan: Plan, name: &str) -> Result<Plan, SelectionError> {
        let candidates = || {
            plan.jobs.iter().filter(|job| {
                self.jobs.is_empty() || self.jobs.iter().any(|name| is_called(job, name))
            })
        };
        let having: Vec<String> = candidates()
            .filter(|job| job.steps.iter().any(|step| step.name == name))
            .map(|job| job.id.clone())
            .collect();
        let [only] = having.as_slice() else {
            if having.is_empty() {
                let steps: Vec<String> = candidates()
                    .flat_map(|job| job.steps.iter().map(|step| step.name.clone()))
                    .collect();
                return Err(SelectionError::UnknownStep {
                    name: name.to_owned(),
                    similar: similar(name, &steps),
                    steps,
                });
            }
            return Err(SelectionError::AmbiguousStep {
                name: name.to_owned(),
                jobs: having,
            });
        };
        plan.jobs.retain(|job| job.id == *only);
        for Job { needs, steps, .. } in &mut plan.jobs {
            needs.clear();
            steps.retain(|step| step.name == name);
            for Step { needs, .. } in steps {
                needs.clear();
            }
        }
        Ok(plan)
    }
}

/// Whether a name on the command line means a job.
fn is_called(job: &Job, name: &str) -> bool {
    job.id == name || job.key() == name
}

/// Every axis of the plan's matrices.
fn axes(plan: &Plan) -> Vec<String> {
    let cells = plan.jobs.iter().filter_map(|job| job.cell.as_ref());
    let axes: BTreeSet<&String> = cells.flat_map(|cell| cell.values.keys()).collect();
    axes.into_iter().cloned().collect()
}

/// The name that is most like `name`, if one is like it at all.
pub(super) fn similar(name: &str, names: &[String]) -> Option<String> {
    names
        .iter()
        .map(|other| (strsim::normalized_damerau_levenshtein(name, other), other))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, other)| other.clone())
}

pub(super) fn hint(similar: Option<&str>) -> String {
    similar.map_or_else(String::new, |name| format!(", did you mean `{name}`?"))
}

pub(super) fn list(names: &[String]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
#[path = "selection_tests.rs"]
mod tests;

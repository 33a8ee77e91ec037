//! Matrices while they run: how many cells at once, and what becomes of the others when one fails.
//!
//! Pure: knows indices of jobs, nothing of tasks.

use std::collections::HashMap;

use pipelines::plan::Job;

/// The matrices of a plan.
#[derive(Debug, Default)]
pub(super) struct Cells {
    /// The matrix of each job that is a cell.
    of_job: HashMap<usize, usize>,
    matrices: Vec<Matrix>,
}

#[derive(Debug)]
struct Matrix {
    jobs: Vec<usize>,
    running: usize,
    max_parallel: Option<usize>,
    fail_fast: bool,
    /// The first cell that failed, where that stops the others.
    failed: Option<usize>,
}

impl Cells {
    pub(super) fn of(jobs: &[Job]) -> Self {
        let mut cells = Self::default();
        let mut by_key: HashMap<&str, usize> = HashMap::new();
        for (index, job) in jobs.iter().enumerate() {
            let Some(cell) = &job.cell else { continue };
            let matrix = *by_key.entry(&cell.job).or_insert_with(|| {
                cells.matrices.push(Matrix {
                    jobs: Vec::new(),
                    running: 0,
                    max_parallel: cell.max_parallel.map(Into::into),
                    fail_fast: cell.fail_fast,
                    failed: None,
                });
                cells.matrices.len() - 1
            });
            cells.matrices[matrix].jobs.push(index);
            cells.of_job.insert(index, matrix);
        }
        cells
    }

    fn matrix(&mut self, job: usize) -> Option<&mut Matrix> {
        let matrix = *self.of_job.get(&job)?;
        self.matrices.get_mut(matrix)
    }

    /// Whether the job's matrix lets another cell run.
    pub(super) fn may_start(&self, job: usize) -> bool {
        self.of_job.get(&job).is_none_or(|matrix| {
            let matrix = &self.matrices[*matrix];
            matrix.max_parallel.is_none_or(|most| matrix.running < most)
        })
    }

    pub(super) fn started(&mut self, job: usize) {
        if let Some(matrix) = self.matrix(job) {
            matrix.running += 1;
        }
    }

    /// Notes that a started cell is over. The other cells, where it is the first whose failure stops them.
    pub(super) fn ended(&mut self, job: usize, failed: bool) -> Vec<usize> {
        let Some(matrix) = self.matrix(job) else {
            return Vec::new();
        };
        matrix.running -= 1;
        if !failed || !matrix.fail_fast || matrix.failed.is_some() {
            return Vec::new();
        }
        matrix.failed = Some(job);
        let others = matrix.jobs.iter().copied();
        others.filter(|other| *other != job).collect()
    }

    /// The cell whose failure stopped this one, if one did.
    pub(super) fn stopped_by(&self, job: usize) -> Option<usize> {
        let matrix = &self.matrices[*self.of_job.get(&job)?];
        matrix.failed.filter(|failed| *failed != job)
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use indexmap::IndexMap;
    use pipelines::plan::Cell;

    use super::*;

    fn cells(max_parallel: usize, fail_fast: bool) -> Cells {
        let cell = |job: &str| Job {
            cell: Some(Cell {
                job: job.to_owned(),
                values: IndexMap::new(),
                fail_fast,
                max_parallel: NonZeroUsize::new(max_parallel),
            }),
            ..Job::new("x", Vec::new())
        };
        Cells::of(&[
            cell("a"),
            cell("b"),
            cell("a"),
            Job::new("y", Vec::new()),
            cell("a"),
        ])
    }

    #[test]
    fn a_matrix_limits_its_own_cells_only() {
        let mut cells = cells(1, true);
        cells.started(0);
        let may_start: Vec<usize> = (0..5).filter(|job| cells.may_start(*job)).collect();
        assert_eq!(may_start, [1, 3]);
        assert!(cells.ended(0, false).is_empty());
        assert!(cells.may_start(2));
    }

    #[test]
    fn the_first_failure_stops_the_others_and_is_named() {
        let mut cells = cells(0, true);
        [0, 2, 4].into_iter().for_each(|job| cells.started(job));
        assert_eq!(cells.ended(2, true), [0, 4]);
        assert!(cells.ended(4, true).is_empty());
        assert_eq!((cells.stopped_by(0), cells.stopped_by(2)), (Some(2), None));
        assert_eq!((cells.stopped_by(1), cells.stopped_by(3)), (None, None));
    }

    #[test]
    fn without_fail_fast_nothing_is_stopped() {
        let mut cells = cells(0, false);
        cells.started(0);
        assert!(cells.ended(0, true).is_empty());
        assert_eq!(cells.stopped_by(2), None);
    }
}

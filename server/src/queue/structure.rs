//! What never changes about a pipeline while it runs: its jobs as they are planned, and who needs whom.

use std::collections::HashMap;
use std::sync::Arc;

use pipelines::Context;
use pipelines::plan::Job;
use protocol::EventValues;

/// Of one pipeline, in the order of its plan.
#[derive(Debug)]
pub(crate) struct Structure {
    /// The jobs without what they do.
    pub(crate) shapes: Vec<Arc<Job>>,
    /// What each needs, in the order written.
    pub(super) needs: Vec<Vec<usize>>,
    pub(super) dependants: Vec<Vec<usize>>,
    /// The cells of each matrix.
    matrices: HashMap<String, Vec<usize>>,
    /// What the pipeline runs for.
    pub(super) event: Arc<EventValues>,
}

impl Structure {
    /// A need that is no job of it counts as satisfied: the compiler leaves none.
    pub(crate) fn new(shapes: Vec<Arc<Job>>, context: Context) -> Self {
        let ids: HashMap<&str, usize> = shapes
            .iter()
            .enumerate()
            .map(|(index, shape)| (shape.id.as_str(), index))
            .collect();
        let needs: Vec<Vec<usize>> = shapes
            .iter()
            .map(|shape| {
                let needs = shape.needs.iter();
                let mut known: Vec<usize> = needs
                    .filter_map(|need| ids.get(need.as_str()).copied())
                    .collect();
                let mut seen = std::collections::HashSet::new();
                known.retain(|need| seen.insert(*need));
                known
            })
            .collect();
        let mut dependants = vec![Vec::new(); shapes.len()];
        for (index, needs) in needs.iter().enumerate() {
            needs.iter().for_each(|need| dependants[*need].push(index));
        }
        let mut matrices: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, shape) in shapes.iter().enumerate() {
            if let Some(cell) = &shape.cell {
                matrices.entry(cell.job.clone()).or_default().push(index);
            }
        }
        Self {
            needs,
            dependants,
            matrices,
            event: EventValues::of(context),
            shapes,
        }
    }

    /// The cells of a matrix, by the name of its job.
    pub(crate) fn cells(&self, job: &str) -> &[usize] {
        self.matrices.get(job).map_or(&[], Vec::as_slice)
    }
}

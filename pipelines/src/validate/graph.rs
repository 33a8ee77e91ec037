//! Jobs and steps as what they have in common: names, and needs between them.

use std::borrow::Cow;

use crate::{
    lower::step_names,
    syntax::{Pipeline, Spanned, Step},
};

/// Jobs of a pipeline or steps of a job.
#[derive(Debug)]
pub(super) struct Graph<'p> {
    /// `job` or `step`.
    pub(super) what: &'static str,
    pub(super) nodes: Vec<Node<'p>>,
}

#[derive(Debug)]
pub(super) struct Node<'p> {
    pub(super) name: Cow<'p, str>,
    pub(super) needs: Cow<'p, [Spanned<String>]>,
}

pub(super) fn of_jobs(pipeline: &Pipeline) -> Graph<'_> {
    let nodes = pipeline.jobs.iter().map(|job| Node {
        name: Cow::Borrowed(&*job.id.value),
        needs: Cow::Borrowed(&job.needs),
    });
    Graph {
        what: "job",
        nodes: nodes.collect(),
    }
}

/// A step that says nothing needs the one before it; one that says `from` needs that one.
pub(super) fn of_steps(steps: &[Step]) -> Graph<'_> {
    let names = step_names(steps);
    let mut nodes: Vec<Node<'_>> = Vec::with_capacity(steps.len());
    for (step, name) in steps.iter().zip(names) {
        let mut needs = match (&step.needs, nodes.last()) {
            (Some(needs), _) => Cow::Borrowed(needs.as_slice()),
            // Two steps of one name are told elsewhere.
            (None, Some(before)) if before.name != name => {
                Cow::Owned(vec![Spanned::new(before.name.to_string(), step.span)])
            }
            (None, _) => Cow::Borrowed(&[][..]),
        };
        if let Some(from) = &step.from
            && !needs.iter().any(|need| need.value == from.value)
        {
            needs.to_mut().push(from.clone());
        }
        nodes.push(Node {
            name: Cow::Owned(name),
            needs,
        });
    }
    Graph {
        what: "step",
        nodes,
    }
}

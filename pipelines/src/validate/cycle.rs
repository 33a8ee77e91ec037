//! Jobs do not need each other in a circle, nor do the steps of a job.
//!
//! Nodes whose needs are all settled are taken away until none is left (Kahn's algorithm). What remains is in a circle or
//! leads into one; walking `needs` from there runs around one. Every node is walked once, so each circle that shares none
//! with another is reported once.

use std::collections::HashMap;

use super::graph::Graph;
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    syntax::Spanned,
};

/// Nodes of a circle that a message names.
const NAMED: usize = 8;

/// An edge of the graph: the index of the needed node, and the word in `needs` that says so.
type Edge<'p> = (usize, &'p Spanned<String>);

pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    let mut index: HashMap<&str, usize> = HashMap::new();
    for (at, node) in graph.nodes.iter().enumerate() {
        index.entry(&node.name).or_insert(at);
    }
    // One that needs itself is another rule's finding.
    let edges: Vec<Vec<Edge<'_>>> = graph
        .nodes
        .iter()
        .enumerate()
        .map(|(at, node)| {
            let targets = node
                .needs
                .iter()
                .filter_map(|need| Some((*index.get(need.value.as_str())?, need)));
            targets.filter(|(target, _)| *target != at).collect()
        })
        .collect();
    let settled = settled(&edges);
    let mut walked = vec![false; edges.len()];
    for start in 0..edges.len() {
        if !settled[start]
            && let Some(circle) = walk(start, &edges, &settled, &mut walked)
        {
            diagnostics.push(describe(&circle, graph));
        }
    }
}

/// For every node, whether it can be reached by starting those whose needs are met.
fn settled(edges: &[Vec<Edge<'_>>]) -> Vec<bool> {
    let mut waiting: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut needed_by = vec![Vec::new(); edges.len()];
    for (at, targets) in edges.iter().enumerate() {
        for (target, _) in targets {
            needed_by[*target].push(at);
        }
    }
    let mut ready: Vec<usize> = (0..edges.len()).filter(|&at| waiting[at] == 0).collect();
    let mut settled = vec![false; edges.len()];
    while let Some(at) = ready.pop() {
        settled[at] = true;
        for &dependent in &needed_by[at] {
            waiting[dependent] -= 1;
            if waiting[dependent] == 0 {
                ready.push(dependent);
            }
        }
    }
    settled
}

/// Follows the first unsettled need of each node until one comes again: the edges of that circle, starting with the one
/// out of its first node in the file. `None` when the walk runs into one that was walked before, also when that is its start.
fn walk<'p>(
    start: usize,
    edges: &[Vec<Edge<'p>>],
    settled: &[bool],
    walked: &mut [bool],
) -> Option<Vec<Edge<'p>>> {
    let mut path: Vec<(usize, Edge<'p>)> = Vec::new();
    let mut at = start;
    while !walked[at] {
        walked[at] = true;
        let edge = *edges[at].iter().find(|(target, _)| !settled[*target])?;
        path.push((at, edge));
        at = edge.0;
    }
    let from = path.iter().position(|(job, _)| *job == at)?;
    let circle = &mut path[from..];
    let first = circle
        .iter()
        .enumerate()
        .min_by_key(|(_, (job, _))| *job)?
        .0;
    circle.rotate_left(first);
    Some(circle.iter().map(|(_, edge)| *edge).collect())
}

fn describe(circle: &[Edge<'_>], graph: &Graph<'_>) -> Diagnostic {
    // Every edge leads to the node that the next one starts from; the last one leads back to the first.
    let target = |at: usize| &*graph.nodes[circle[at].0].name;
    let source = |at: usize| target((at + circle.len() - 1) % circle.len());
    let label = |at: usize| format!("{} needs {}", quoted(source(at)), quoted(target(at)));
    let mut path: Vec<&str> = (0..circle.len().min(NAMED)).map(source).collect();
    if circle.len() > NAMED {
        path.push("…");
    }
    path.push(source(0));
    let message = format!(
        "{}s need each other in a circle: `{}`",
        graph.what,
        path.join(" -> ")
    );
    let diagnostic = Diagnostic::new(Code::Cycle, circle[0].1.span, message)
        .label(label(0))
        .help("none of them could ever start: remove one of these needs");
    let others = circle.iter().enumerate().skip(1).take(NAMED - 1);
    others.fold(diagnostic, |diagnostic, (at, (_, need))| {
        diagnostic.related(need.span, label(at))
    })
}

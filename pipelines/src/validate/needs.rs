//! `needs` names other jobs of the pipeline, or other steps of the job, each once.

use std::collections::{HashMap, HashSet};

use super::graph::{Graph, Node};
use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    parse::closest,
    syntax::Spanned,
};

pub(super) fn check(graph: &Graph<'_>, diagnostics: &mut Diagnostics) {
    let what = graph.what;
    let names: HashSet<&str> = graph.nodes.iter().map(|node| &*node.name).collect();
    for node in &graph.nodes {
        let mut first: HashMap<&str, Span> = HashMap::new();
        for need in node.needs.iter() {
            if let Some(&earlier) = first.get(need.value.as_str()) {
                let message = format!("the {what} {} is needed twice", quoted(&need.value));
                diagnostics.push(
                    Diagnostic::new(Code::DuplicateNeed, need.span, message)
                        .related(earlier, "the first one is here"),
                );
                continue;
            }
            first.insert(&need.value, need.span);
            if need.value == node.name {
                let message = format!("the {what} {} needs itself", quoted(&need.value));
                diagnostics.push(
                    Diagnostic::new(Code::SelfNeed, need.span, message)
                        .help("remove it from `needs`"),
                );
            } else if !names.contains(need.value.as_str()) {
                let diagnostic = unknown(node, need, graph, diagnostics.wants_suggestions());
                diagnostics.push(diagnostic);
            }
        }
    }
}

fn unknown(
    node: &Node<'_>,
    need: &Spanned<String>,
    graph: &Graph<'_>,
    suggest: bool,
) -> Diagnostic {
    let what = graph.what;
    let message = format!("there is no {what} {}", quoted(&need.value));
    let diagnostic = Diagnostic::new(Code::UnknownNeed, need.span, message);
    let others = || {
        let names = graph.nodes.iter().map(|node| &*node.name);
        names.filter(|name| *name != node.name)
    };
    if !suggest {
        return diagnostic;
    }
    if let Some(meant) = closest(&need.value, others()) {
        return diagnostic.label(format!("did you mean `{meant}`?"));
    }
    let few: Vec<String> = others().take(9).map(quoted).collect();
    match few.len() {
        0 if what == "job" => {
            diagnostic.help("it is the only job of the pipeline, so that it can need no other")
        }
        0 => diagnostic.help("it is the only step of the job, so that it can need no other"),
        1..=8 => diagnostic.help(format!("the other {what}s are {}", few.join(", "))),
        _ => diagnostic,
    }
}

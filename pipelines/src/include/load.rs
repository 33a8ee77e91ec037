//! Makes one tree of a source's files.

use std::collections::HashMap;

use super::Inclusion;
use crate::{
    Code, Diagnostic, Source, Span,
    diagnostic::{Diagnostics, quoted},
    limits, parse,
    source::SourceFile,
    syntax::Spanned,
    yaml::{self, Node, Value},
};

/// The pipeline's tree, with all that it includes. `None`, with an error, when the pipeline itself has none; a file that
/// cannot be included is an error and left out.
pub(crate) fn load(source: &Source, diagnostics: &mut Diagnostics<'_>) -> Option<Node> {
    let mut loading = Loading {
        source,
        diagnostics,
        open: Vec::new(),
        loaded: HashMap::new(),
    };
    let root = loading.file(source.root())?;
    if root.weight > limits::SOURCE_BYTES as u64 + limits::ALIAS_BYTES {
        let message =
            "the pipeline, with what it includes and what aliases stand for, is too large";
        let diagnostic = Diagnostic::new(Code::TooComplex, source.root().span, message);
        diagnostics.push(diagnostic);
        return None;
    }
    Some(root)
}

struct Loading<'s, 'd, 't> {
    source: &'s Source,
    diagnostics: &'d mut Diagnostics<'t>,
    /// The files whose includes are being read, from the outside in. As long as [`limits::INCLUDES`] at most, since
    /// there are no more files.
    open: Vec<&'s Inclusion>,
    /// Files that have been read, by where they start.
    loaded: HashMap<usize, Option<Node>>,
}

impl<'s> Loading<'s, '_, '_> {
    fn file(&mut self, file: &'s SourceFile) -> Option<Node> {
        if let Some(known) = self.loaded.get(&file.span.start) {
            return known.clone();
        }
        let tree = self.tree(file);
        self.loaded.insert(file.span.start, tree.clone());
        tree
    }

    fn tree(&mut self, file: &'s SourceFile) -> Option<Node> {
        let own = yaml::load(self.source, file, self.diagnostics)?;
        let Some(wanted) = parse::includes(&own, file.inclusion(), self.diagnostics) else {
            return Some(own);
        };
        self.open.extend(file.inclusion());
        let mut below: Option<Node> = None;
        for wanted in &wanted {
            if let Some(node) = self.inclusion(wanted) {
                below = Some(match below {
                    Some(below) => yaml::overlay(&below, &node),
                    None => node,
                });
            }
        }
        if file.inclusion().is_some() {
            self.open.pop();
        }
        let own = yaml::without(&own, "include");
        Some(match below {
            Some(below) => yaml::overlay(&below, &own),
            None => own,
        })
    }

    fn inclusion(&mut self, wanted: &Spanned<Inclusion>) -> Option<Node> {
        let Spanned { value, span } = wanted;
        if self.open.contains(&value) {
            let message = format!("{} includes itself", quoted(&value.to_string()));
            let path = self.open.iter().skip_while(|open| **open != value);
            let path: Vec<String> = path.map(ToString::to_string).collect();
            let help = format!("it does so by way of {}", path.join(" -> "));
            let diagnostic = Diagnostic::new(Code::IncludeCycle, *span, message);
            self.diagnostics.push(match path.len() {
                0 | 1 => diagnostic,
                _ => diagnostic.help(help),
            });
            return None;
        }
        match self.source.included(value) {
            Some(Ok(file)) => {
                let node = self.file(file)?;
                if matches!(node.value, Value::Mapping(_)) {
                    return Some(node);
                }
                let what = format!("it is {}, and not a mapping", node.describe());
                self.refuse(value, *span, &what);
            }
            Some(Err(reason)) => self.refuse(value, *span, reason),
            None => self.refuse(value, *span, "nobody has read it"),
        }
        None
    }

    fn refuse(&mut self, inclusion: &Inclusion, span: Span, reason: &str) {
        let name = quoted(&inclusion.to_string());
        let message = format!("{name} cannot be included: {reason}");
        self.diagnostics
            .push(Diagnostic::new(Code::BadInclude, span, message));
    }
}

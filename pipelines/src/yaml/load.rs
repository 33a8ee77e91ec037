//! Builds the tree from the parser's events, on a stack of its own: depth costs no stack and is bounded.

use saphyr_parser::{Event, Parser, ScalarStyle, Tag};

use super::{
    Entry, Key, Node, Scalar, ScalarKind, Value,
    anchors::Anchors,
    merge,
    mistake::{refusal, syntax_error, too_deep},
    offsets::Offsets,
    text,
};
use crate::{Code, Diagnostic, Source, Span, diagnostic::Diagnostics, limits, source::SourceFile};

/// The tree of a file's only document. `None`, with at least one error, when there is none.
pub(crate) fn load(
    source: &Source,
    file: &SourceFile,
    diagnostics: &mut Diagnostics,
) -> Option<Node> {
    let base = text::check(source, file, diagnostics)?;
    let text = &source.text()[..file.span.end];
    let offsets = Offsets::new(text, base);
    let mut loader = Loader {
        offsets,
        anchors: Anchors::new(),
        open: Vec::new(),
        root: None,
        documents: 0,
        diagnostics,
    };
    let mut parser = Parser::new_from_str(&text[base..]);
    while let Some(event) = parser.next_event() {
        let outcome = match event {
            Ok((Event::StreamEnd, _)) => break,
            Ok((event, span)) => {
                let span = loader.offsets.span(&span);
                loader.event(event, span)
            }
            Err(error) => Err(syntax_error(source, &loader.offsets, &error)),
        };
        if let Err(diagnostic) = outcome {
            diagnostics.push(diagnostic);
            return None;
        }
    }
    let root = loader.root.take();
    let nothing = root.as_ref().is_none_or(|node| {
        matches!(&node.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Null && node.span.is_empty())
    });
    if nothing {
        diagnostics.push(
            Diagnostic::new(Code::EmptyFile, Span::new(base, base), "the file is empty")
                .help("the smallest pipeline is `image: host` and `steps: [{ run: make }]`"),
        );
        return None;
    }
    root
}

/// A fatal mistake: nothing behind it can be understood.
type Fatal = Diagnostic;

/// A collection whose end has not come yet.
#[derive(Debug)]
struct Open {
    start: Span,
    anchor: usize,
    content: Content,
}

#[derive(Debug)]
enum Content {
    Sequence(Vec<Node>),
    Mapping {
        entries: Vec<Entry>,
        key: Option<PendingKey>,
    },
}

#[derive(Debug)]
enum PendingKey {
    Scalar(Key),
    /// A list, a mapping or nothing as a key: reported, and its value is dropped.
    Invalid,
}

struct Loader<'t, 'd, 's> {
    offsets: Offsets<'t>,
    anchors: Anchors,
    open: Vec<Open>,
    root: Option<Node>,
    documents: usize,
    diagnostics: &'d mut Diagnostics<'s>,
}

impl Loader<'_, '_, '_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Fatal> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(Diagnostic::new(
                        Code::MultipleDocuments,
                        span,
                        "a pipeline is one YAML document",
                    )
                    .label("a second one starts here")
                    .help("put everything into one document, and remove the `---`"));
                }
                Ok(())
            }
            Event::Alias(id) => {
                let mut node = self
                    .anchors
                    .resolve(id)
                    .map_err(|refused| refusal(span, refused))?;
                self.check_depth(span, node.height)?;
                if node.span.is_empty() {
                    node.span = span;
                }
                self.place(node, false)
            }
            Event::Scalar(text, style, anchor, tag) => {
                let plain = style == ScalarStyle::Plain;
                // The parser gives a value that is not there the span of whatever comes next.
                let absent = plain && text.is_empty();
                let span = if absent {
                    Span::new(span.start, span.start)
                } else {
                    span
                };
                let kind = self.scalar_kind(&text, plain, tag.as_deref(), span);
                let node = Node::scalar(
                    span,
                    Scalar {
                        text: text.into(),
                        kind,
                    },
                );
                self.anchors.define(anchor, &node);
                self.place(node, plain)
            }
            Event::SequenceStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "seq", span);
                self.open(span, anchor, Content::Sequence(Vec::new()))
            }
            Event::MappingStart(anchor, tag) => {
                self.check_tag(tag.as_deref(), "map", span);
                self.open(
                    span,
                    anchor,
                    Content::Mapping {
                        entries: Vec::new(),
                        key: None,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn open(&mut self, start: Span, anchor: usize, content: Content) -> Result<(), Fatal> {
        self.check_depth(start, 1)?;
        self.open.push(Open {
            start,
            anchor,
            content,
        });
        Ok(())
    }

    fn close(&mut self, end: Span) -> Result<(), Fatal> {
        let Some(Open {
            start,
            anchor,
            content,
        }) = self.open.pop()
        else {
            return Ok(());
        };
        let node = match content {
            Content::Sequence(items) => {
                let last = items.last().map(|item| item.span);
                Node::sequence(
                    collection_span(start, items.first().map(|item| item.span), last, end),
                    items,
                )
            }
            Content::Mapping { entries, .. } => {
                let first = entries.first().map(|entry| entry.key.span);
                let last = entries.last().map(|entry| entry.place());
                let span = collection_span(start, first, last, end);
                let entries = merge::resolve(entries, &mut self.anchors, self.diagnostics)
                    .map_err(|(span, refused)| refusal(span, refused))?;
                Node::mapping(span, entries)
            }
        };
        self.anchors.define(anchor, &node);
        self.place(node, false)
    }

    /// Puts a complete node where it belongs: into the innermost open collection, or at the root.
    fn place(&mut self, node: Node, plain: bool) -> Result<(), Fatal> {
        match self.open.last_mut().map(|open| &mut open.content) {
            None => self.root = Some(node),
            Some(Content::Sequence(items)) => items.push(node),
            Some(Content::Mapping { entries, key }) => match key.take() {
                Some(PendingKey::Scalar(key)) => entries.push(Entry { key, value: node }),
                Some(PendingKey::Invalid) => {}
                None => *key = Some(pending_key(&node, plain, self.diagnostics)),
            },
        }
        Ok(())
    }

    fn check_depth(&self, span: Span, levels: u32) -> Result<(), Fatal> {
        if self.open.len() as u64 + u64::from(levels) <= u64::from(limits::DEPTH) {
            return Ok(());
        }
        Err(too_deep(span))
    }

    fn scalar_kind(
        &mut self,
        text: &str,
        plain: bool,
        tag: Option<&Tag>,
        span: Span,
    ) -> ScalarKind {
        match tag {
            None if plain => ScalarKind::of_plain(text),
            None => ScalarKind::String,
            Some(tag) if is_non_specific(tag) => ScalarKind::String,
            Some(tag) => {
                let kind = tag
                    .is_yaml_core_schema()
                    .then(|| ScalarKind::of_tag(&tag.suffix, text))
                    .flatten();
                kind.unwrap_or_else(|| {
                    self.unknown_tag(tag, span);
                    ScalarKind::String
                })
            }
        }
    }

    fn check_tag(&mut self, tag: Option<&Tag>, expected: &str, span: Span) {
        if let Some(tag) = tag
            && !is_non_specific(tag)
            && !(tag.is_yaml_core_schema() && tag.suffix == expected)
        {
            self.unknown_tag(tag, span);
        }
    }

    fn unknown_tag(&mut self, tag: &Tag, span: Span) {
        let shown = if tag.is_yaml_core_schema() {
            format!("!!{}", tag.suffix)
        } else {
            tag.to_string()
        };
        let message = format!(
            "the tag {} does not fit here",
            crate::diagnostic::quoted(&shown)
        );
        self.diagnostics
            .push(Diagnostic::new(Code::UnknownTag, span, message).help("remove the tag"));
    }
}

/// A lone `!`, which only says "not plain".
fn is_non_specific(tag: &Tag) -> bool {
    (tag.handle.is_empty() && tag.suffix == "!") || (tag.handle == "!" && tag.suffix.is_empty())
}

fn pending_key(node: &Node, plain: bool, diagnostics: &mut Diagnostics) -> PendingKey {
    match &node.value {
        Value::Scalar(scalar) if scalar.kind != ScalarKind::Null || !scalar.text.is_empty() => {
            PendingKey::Scalar(Key {
                text: scalar.text.clone(),
                span: node.span,
                plain,
            })
        }
        Value::Scalar(_) | Value::Sequence(_) | Value::Mapping(_) => {
            let message = format!("a key is a string, and this is {}", node.describe());
            diagnostics.push(Diagnostic::new(Code::WrongType, node.span, message));
            PendingKey::Invalid
        }
    }
}

/// A flow collection reaches from bracket to bracket, a block collection from its first to its last child.
fn collection_span(start: Span, first: Option<Span>, last: Option<Span>, end: Span) -> Span {
    let is_flow = !start.is_empty() && end.start >= start.end && !end.is_empty();
    match (first, last) {
        _ if is_flow => Span::new(start.start, end.end),
        (Some(first), Some(last)) => Span::new(first.start, last.end.max(first.end)),
        _ => start,
    }
}

//! Values of one type each, or a diagnostic that says what stands there instead.

use std::rc::Rc;

use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    limits,
    syntax::Spanned,
    yaml::{Entry, Node, ScalarKind, Value},
};

/// What an expression of the language starts with; passing it on as text would give it a meaning that it loses later.
const EXPRESSION: &str = "${{";

/// A value and what messages need to talk about it: the key it belongs to and where to point.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'n> {
    pub(super) key: &'n str,
    pub(super) node: &'n Node,
    pub(super) span: Span,
}

impl<'n> Field<'n> {
    pub(super) fn of(entry: &'n Entry) -> Self {
        Self {
            key: &entry.key.text,
            node: &entry.value,
            span: entry.place(),
        }
    }

    /// An item of the list that is this field's value.
    pub(super) const fn item(self, node: &'n Node) -> Self {
        Self {
            key: self.key,
            node,
            span: node.span,
        }
    }

    pub(super) fn is_null(self) -> bool {
        matches!(&self.node.value, Value::Scalar(scalar) if scalar.kind == ScalarKind::Null)
    }

    /// The items, when this is a list.
    pub(super) fn items(self) -> Option<&'n [Node]> {
        if let Value::Sequence(items) = &self.node.value {
            Some(items)
        } else {
            None
        }
    }

    pub(super) fn wrong_type(self, expected: &str) -> Diagnostic {
        let message = format!(
            "{} is {expected}, and this is {}",
            quoted(self.key),
            self.node.describe()
        );
        Diagnostic::new(Code::WrongType, self.span, message)
    }

    /// Any scalar that is not null, as it was written: where text is expected, `1.90` and `true` are text.
    pub(super) fn text(self, diagnostics: &mut Diagnostics) -> Option<Spanned<Rc<str>>> {
        let text = match &self.node.value {
            Value::Scalar(scalar) if scalar.kind != ScalarKind::Null => &scalar.text,
            _ => {
                diagnostics.push(self.wrong_type("a string"));
                return None;
            }
        };
        if text.contains('\0') {
            let message = format!("{} contains a NUL character", quoted(self.key));
            diagnostics.push(Diagnostic::new(Code::BadText, self.span, message));
            return None;
        }
        if let Some(start) = text.find(EXPRESSION) {
            let end = text[start..]
                .find("}}")
                .map_or(text.len(), |end| start + end + 2);
            let message = format!(
                "the expression {} is not supported yet",
                quoted(&text[start..end])
            );
            diagnostics.push(
                Diagnostic::new(Code::NotYet, self.span, message)
                    .help("write the value itself, or let the script find it out"),
            );
            return None;
        }
        Some(Spanned::new(Rc::clone(text), self.span))
    }

    /// A text that stays on one line and is short: it will stand in headings and tables.
    pub(super) fn name(self, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let text = self.text(diagnostics)?;
        let problem = if text.value.trim().is_empty() {
            "is empty"
        } else if text.value.chars().any(char::is_control) {
            "contains control characters or line breaks"
        } else if text.value.chars().count() > limits::NAME_CHARS {
            "is longer than 256 characters"
        } else {
            return Some(Spanned::new(text.value.to_string(), text.span));
        };
        let message = format!("the name {} {problem}", quoted(&text.value));
        diagnostics.push(Diagnostic::new(Code::BadName, self.span, message));
        None
    }

    pub(super) fn boolean(self, diagnostics: &mut Diagnostics) -> Option<bool> {
        if let Value::Scalar(scalar) = &self.node.value {
            if let ScalarKind::Bool(value) = scalar.kind {
                return Some(value);
            }
            let diagnostic = self.wrong_type("`true` or `false`");
            let meant = match scalar.text.to_ascii_lowercase().as_str() {
                "yes" | "on" | "y" | "true" | "1" => Some("true"),
                "no" | "off" | "n" | "false" | "0" => Some("false"),
                _ => None,
            };
            diagnostics.push(match meant {
                Some(meant) => diagnostic.label(format!("write `{meant}`")),
                None => diagnostic,
            });
        } else {
            diagnostics.push(self.wrong_type("`true` or `false`"));
        }
        None
    }

    pub(super) fn mapping(self, diagnostics: &mut Diagnostics) -> Option<&'n [Entry]> {
        if let Value::Mapping(entries) = &self.node.value {
            return Some(entries);
        }
        diagnostics.push(self.wrong_type("a mapping"));
        None
    }
}

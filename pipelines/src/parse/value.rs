//! Values of one type each, or a diagnostic that says what stands there instead.

use std::rc::Rc;

use crate::{
    Code, Diagnostic, Span,
    diagnostic::{Diagnostics, quoted},
    expression::Template,
    limits,
    locate::Scalar,
    syntax::{Spanned, Text},
    yaml::{Entry, Node, ScalarKind, Value},
};

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
        Some(Spanned::new(Rc::clone(text), self.span))
    }

    /// Any scalar that is not null, in which no expression may stand: it has to be known before anything else is.
    pub(super) fn literal(self, diagnostics: &mut Diagnostics) -> Option<Spanned<Rc<str>>> {
        let text = self.text(diagnostics)?;
        if text.value.contains("${{") {
            let message = format!("no expression can stand in {}", quoted(self.key));
            diagnostics.push(
                Diagnostic::new(Code::NoExpression, self.span, message)
                    .help("write the value itself"),
            );
            return None;
        }
        Some(text)
    }

    /// Any scalar that is not null, with expressions in it where there are any.
    pub(super) fn template(self, diagnostics: &mut Diagnostics) -> Option<Text> {
        let text = self.text(diagnostics)?;
        match Template::parse(&text.value) {
            Ok(template) => Some(Text::new(template, self.span, self.node.span, text.value)),
            Err(mistakes) => {
                let scalar = Scalar {
                    value: &text.value,
                    span: self.node.span,
                };
                diagnostics.push_mistakes(Code::BadExpression, scalar, mistakes);
                None
            }
        }
    }

    /// A list of texts.
    pub(super) fn templates(self, what: &str, diagnostics: &mut Diagnostics) -> Vec<Text> {
        let Some(items) = self.items() else {
            diagnostics.push(self.wrong_type(what).help("write a list: `[..]`"));
            return Vec::new();
        };
        let texts = items
            .iter()
            .map(|item| self.item(item).template(diagnostics));
        texts.collect::<Vec<_>>().into_iter().flatten().collect()
    }

    /// A list of texts without expressions.
    pub(super) fn literals(
        self,
        what: &str,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Spanned<String>> {
        let Some(items) = self.items() else {
            diagnostics.push(self.wrong_type(what).help("write a list: `[..]`"));
            return Vec::new();
        };
        let texts = items
            .iter()
            .filter_map(|item| self.item(item).literal(diagnostics));
        texts
            .map(|text| Spanned::new(text.value.to_string(), text.span))
            .collect()
    }

    /// A whole number from 1.
    pub(super) fn count(self, most: u64, diagnostics: &mut Diagnostics) -> Option<u64> {
        let text = self.literal(diagnostics)?;
        let number = text.value.parse().ok();
        if let Some(number) = number.filter(|number| (1..=most).contains(number)) {
            return Some(number);
        }
        let message = format!(
            "{} is a whole number from 1 to {most}, and this is {}",
            quoted(self.key),
            quoted(&text.value)
        );
        diagnostics.push(Diagnostic::new(Code::BadNumber, self.span, message));
        None
    }

    /// Says that a mapping lacks a key.
    pub(super) fn lacks(self, key: &str, example: &str, diagnostics: &mut Diagnostics) {
        let message = format!("{} needs a key {}", quoted(self.key), quoted(key));
        diagnostics.push(
            Diagnostic::new(Code::MissingKey, self.span, message)
                .help(format!("add it, such as `{example}`")),
        );
    }

    /// A text that stays on one line and is short: it will stand in headings and tables.
    pub(super) fn name(self, diagnostics: &mut Diagnostics) -> Option<Spanned<String>> {
        let text = self.literal(diagnostics)?;
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

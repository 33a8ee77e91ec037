//! Puts what is known into texts and conditions.

use super::scope::Scope;
use crate::{
    Code, Diagnostic, Source, Span,
    diagnostic::Diagnostics,
    expression::{EvaluateError, Template},
    parse::bad_image,
    plan::{Condition, Place},
    syntax::{If, Text, text::is_image},
};

#[derive(Debug, Clone, Copy)]
pub(super) struct Binder<'s> {
    scope: &'s Scope<'s>,
    source: &'s Source,
}

impl<'s> Binder<'s> {
    pub(super) const fn new(scope: &'s Scope<'s>, source: &'s Source) -> Self {
        Self { scope, source }
    }

    /// A text with what is known put in; as it was, with an error, when that cannot be done.
    pub(super) fn text(self, text: &Text, diagnostics: &mut Diagnostics) -> Template {
        match text.template.bind(self.scope) {
            Ok(template) => template,
            Err(error) => {
                diagnostics.push(wrong(text.span, &error));
                text.template.clone()
            }
        }
    }

    /// A text that is an image reference, as soon as it is known.
    pub(super) fn image(self, text: &Text, diagnostics: &mut Diagnostics) -> Template {
        let template = self.text(text, diagnostics);
        if let Some(literal) = template.as_literal()
            && !is_image(literal)
            && text.template.as_literal().is_none()
        {
            let bound = Text::given(literal, text.span);
            diagnostics.push(bad_image(&bound));
        }
        template
    }

    /// An `if`, decided when it can be.
    pub(super) fn condition(
        self,
        condition: Option<&If>,
        diagnostics: &mut Diagnostics,
    ) -> Condition {
        let Some(condition) = condition else {
            return Condition::Success;
        };
        let expression = &condition.expression;
        match expression.holds(self.scope) {
            // One that asks how things went is heard after a failure, so that it is more than "when all went well".
            Ok(Some(true)) if expression.uses_status() => Condition::When {
                expression: expression.clone(),
            },
            Ok(Some(true)) => Condition::Success,
            Ok(Some(false)) => {
                let because = expression.explain(self.scope);
                let colon = if because.is_empty() { "" } else { ": " };
                Condition::Never {
                    reason: format!("if: {expression} is false{colon}{because}"),
                }
            }
            Ok(None) => Condition::When {
                expression: expression.clone(),
            },
            Err(error) => {
                diagnostics.push(wrong(condition.span, &error));
                Condition::Success
            }
        }
    }

    pub(super) fn place(self, span: Span) -> Place {
        Place {
            file: self.source.name_at(span.start).to_owned(),
            line: self.source.position(span.start).line,
        }
    }
}

fn wrong(span: Span, error: &EvaluateError) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::BadExpression, span, error.to_string());
    match &error.help {
        Some(help) => diagnostic.help(help.clone()),
        None => diagnostic,
    }
}

//! `if`: an expression, with or without `${{ }}` around it.

use super::{
    shape::{Shape, Type},
    value::Field,
};
use crate::{Code, diagnostic::Diagnostics, expression::Expression, locate::Scalar, syntax::If};

pub(super) const CONDITION: Type<Option<If>> = Type {
    words: "[condition](#conditions)",
    shape: Shape::Condition,
    read: condition,
};

fn condition(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<If> {
    let text = field.text(diagnostics)?;
    let (expression, offset) = unwrapped(&text.value);
    match Expression::parse(expression) {
        Ok(expression) => Some(If::new(
            expression,
            field.span,
            field.node.span,
            text.value,
            offset,
        )),
        Err(mut mistake) => {
            mistake.range = mistake.range.start + offset..mistake.range.end + offset;
            let scalar = Scalar {
                value: &text.value,
                span: field.node.span,
            };
            diagnostics.push_mistakes(Code::BadExpression, scalar, [mistake]);
            None
        }
    }
}

/// What stands between `${{` and `}}`, when they are around all of it, and where that starts.
fn unwrapped(text: &str) -> (&str, usize) {
    let start = text.len() - text.trim_start().len();
    let trimmed = text.trim();
    let inside = trimmed
        .strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"));
    match inside {
        Some(inside) if !inside.contains("${{") => {
            let blank = inside.len() - inside.trim_start().len();
            (inside.trim(), start + 3 + blank)
        }
        _ => (trimmed, start),
    }
}

#[cfg(test)]
mod tests {
    use super::unwrapped;

    #[test]
    fn braces_around_the_whole_are_taken_away() {
        assert_eq!(unwrapped("branch == 'x'"), ("branch == 'x'", 0));
        assert_eq!(unwrapped(" ${{  failure() }} "), ("failure()", 6));
        assert_eq!(unwrapped("${{ a }} == ${{ b }}").1, 0);
    }
}

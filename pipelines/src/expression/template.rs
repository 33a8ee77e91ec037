//! Texts with expressions in them.

use std::{fmt, ops::Range};

use super::{EvaluateError, Expression, Mistake, Outcome, Reference, Types, Values, scan};

/// A text with `${{ expressions }}` in it.
///
/// What has become text stays text: a branch called `${{ env.TOKEN }}` is put in as it is and never read again, neither
/// by [`bind`](Self::bind) nor on the wire (see the implementation of `Serialize`).
///
/// ```
/// use pipelines::expression::Template;
///
/// let template = Template::parse("cargo-${{ matrix.rust }}").expect("a template");
/// assert_eq!(template.as_literal(), None);
/// assert_eq!(template.references().next().expect("one").path, ["matrix", "rust"]);
/// assert_eq!(Template::literal("${{").to_string(), "$${{");
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    /// Two texts never stand side by side, and none is empty.
    pub(super) parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Debug, Clone)]
pub(super) enum Part {
    Text(String),
    Expression {
        expression: Expression,
        /// Where the expression starts in the text that was parsed.
        offset: usize,
    },
}

// Where an expression stood makes no difference.
impl PartialEq for Part {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(one), Self::Text(other)) => one == other,
            (
                Self::Expression { expression, .. },
                Self::Expression {
                    expression: other, ..
                },
            ) => expression == other,
            _ => false,
        }
    }
}

impl Eq for Part {}

impl Template {
    /// Reads a text as a user wrote it. `$${{` is a literal `${{`.
    ///
    /// # Errors
    ///
    /// Every mistake found in it, in the order of their places, as bytes of `text`: in an expression, an empty one, one
    /// that is not closed.
    pub fn parse(text: &str) -> Result<Self, Vec<Mistake>> {
        scan::scan(text)
    }

    /// A text in which nothing is looked for.
    #[must_use]
    pub fn literal(text: impl Into<String>) -> Self {
        let mut template = Self::default();
        template.push_text(text.into());
        template
    }

    /// Templates one behind the other, with a text between them.
    pub(crate) fn join<'t>(templates: impl IntoIterator<Item = &'t Self>, separator: &str) -> Self {
        let mut joined = Self::default();
        for (index, template) in templates.into_iter().enumerate() {
            if index > 0 {
                joined.push_text(separator.to_owned());
            }
            for part in &template.parts {
                match part {
                    Part::Text(text) => joined.push_text(text.clone()),
                    Part::Expression { .. } => joined.parts.push(part.clone()),
                }
            }
        }
        joined
    }

    /// The text, when no expression is left in it.
    #[must_use]
    pub fn as_literal(&self) -> Option<&str> {
        match self.parts.as_slice() {
            [] => Some(""),
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The expressions, and where each stands in the text that was parsed (a template off the wire has no places).
    pub fn expressions(&self) -> impl Iterator<Item = (&Expression, Range<usize>)> {
        self.parts.iter().filter_map(|part| match part {
            Part::Text(_) => None,
            Part::Expression { expression, offset } => {
                let range = *offset..*offset + expression.source().len();
                Some((expression, range))
            }
        })
    }

    /// The variables all its expressions read; ranges as in [`expressions`](Self::expressions).
    pub fn references(&self) -> impl Iterator<Item = Reference> {
        self.expressions().flat_map(|(expression, place)| {
            expression.references().map(move |reference| Reference {
                range: reference.range.start + place.start..reference.range.end + place.start,
                path: reference.path,
            })
        })
    }

    /// Mistakes that show once the types of the variables are known, and expressions that have no text; ranges as in
    /// [`expressions`](Self::expressions).
    #[must_use]
    pub fn check(&self, types: &dyn Types) -> Vec<Mistake> {
        self.expressions()
            .flat_map(|(expression, place)| {
                let mistakes = expression.check_text(types);
                let shift = move |mistake: Mistake| mistake.shifted(place.start);
                mistakes.into_iter().map(shift)
            })
            .collect()
    }

    /// Puts in what is known, keeps the expressions that are not.
    ///
    /// # Errors
    ///
    /// When an expression cannot be evaluated, or is a list or a map.
    pub fn bind(&self, values: &dyn Values) -> Result<Self, EvaluateError> {
        let mut bound = Self::default();
        for part in &self.parts {
            match part {
                Part::Text(text) => bound.push_text(text.clone()),
                Part::Expression { expression, .. } => match expression.evaluate(values)? {
                    Outcome::Known(value) => bound.push_text(expression.text_of(&value)?),
                    Outcome::Unknown => bound.parts.push(part.clone()),
                },
            }
        }
        Ok(bound)
    }

    /// The text with every expression replaced.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), and when an expression has no value yet.
    pub fn text(&self, values: &dyn Values) -> Result<String, EvaluateError> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(literal) => text.push_str(literal),
                Part::Expression { expression, .. } => match expression.evaluate(values)? {
                    Outcome::Known(value) => text.push_str(&expression.text_of(&value)?),
                    Outcome::Unknown => return Err(expression.unknown(values)),
                },
            }
        }
        Ok(text)
    }

    pub(super) fn push_text(&mut self, text: String) {
        match self.parts.last_mut() {
            _ if text.is_empty() => {}
            Some(Part::Text(before)) => before.push_str(&text),
            _ => self.parts.push(Part::Text(text)),
        }
    }
}

impl<T: Into<String>> From<T> for Template {
    /// A literal; nothing is parsed.
    fn from(text: T) -> Self {
        Self::literal(text)
    }
}

impl fmt::Display for Template {
    /// As a user would write it: parsed, it comes to the same text.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut parts = self.parts.iter().peekable();
        while let Some(part) = parts.next() {
            match part {
                Part::Text(text) => {
                    let escaped = text.replace("${{", "$${{");
                    // Before an expression, dollars would take its meaning away: they become one themselves.
                    let before = escaped.trim_end_matches('$');
                    let dollars = &escaped[before.len()..];
                    if parts.peek().is_some() && !dollars.is_empty() {
                        write!(f, "{before}${{{{ \"{dollars}\" }}}}")?;
                    } else {
                        f.write_str(&escaped)?;
                    }
                }
                Part::Expression { expression, .. } => {
                    write!(f, "${{{{ {} }}}}", expression.source())?;
                }
            }
        }
        Ok(())
    }
}

use std::{fmt, sync::Arc};

use super::{
    EvaluateError, EvaluateErrorKind, Mistake, Outcome, Pattern, Reference, Type, Types, Untyped,
    Value, Values,
    check::Checker,
    error::Failure,
    evaluate, explain,
    node::Node,
    parser::{self, Parsed},
};

/// An expression that has been read and checked. Cheap to clone; equal when its source is.
///
/// ```
/// use pipelines::expression::Expression;
///
/// let expression = Expression::parse("branch == 'main' && failure()").expect("an expression");
/// assert!(expression.uses_status());
/// assert_eq!(expression.references().next().expect("one").path, ["branch"]);
///
/// let mistake = Expression::parse("brnch == 'main'").expect_err("an unknown variable");
/// assert_eq!(mistake.range, 0..5);
/// assert_eq!(mistake.help.as_deref(), Some("did you mean `branch`?"));
/// ```
#[derive(Clone)]
pub struct Expression(Arc<Parsed>);

impl Expression {
    /// Reads an expression: its syntax, its size, that its variables and functions exist, and what is certain about
    /// their types.
    ///
    /// # Errors
    ///
    /// The first mistake in it, in bytes of `text`.
    pub fn parse(text: &str) -> Result<Self, Mistake> {
        let expression = Self(Arc::new(parser::parse(text)?));
        match expression.check(&Untyped).into_iter().next() {
            None => Ok(expression),
            Some(mistake) => Err(mistake),
        }
    }

    /// As it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.0.source
    }

    /// The variables it reads, in the order of their places, repetitions included.
    pub fn references(&self) -> impl Iterator<Item = Reference> {
        self.0.references.iter().cloned()
    }

    /// Whether it asks how things went: `success()`, `failure()`, `always()`, `cancelled()`.
    #[must_use]
    pub fn uses_status(&self) -> bool {
        self.0.uses_status
    }

    /// The globs of `changed(..)` and `hash_files(..)`, a call each.
    pub fn patterns(&self) -> impl Iterator<Item = &Pattern> {
        self.0.patterns.iter()
    }

    /// The type of its value, as far as it is known before a run.
    #[must_use]
    pub fn result_type(&self, types: &dyn Types) -> Type {
        self.checker(types).node(&self.0.root).into_owned()
    }

    /// The mistakes that show once the types of the variables are known, in the order of their places: keys that do not
    /// exist, comparisons that never hold.
    #[must_use]
    pub fn check(&self, types: &dyn Types) -> Vec<Mistake> {
        let mut checker = self.checker(types);
        checker.node(&self.0.root);
        checker.mistakes()
    }

    /// As [`check`](Self::check), and that it can be true or false at all: for `if`.
    #[must_use]
    pub fn check_condition(&self, types: &dyn Types) -> Vec<Mistake> {
        let mut checker = self.checker(types);
        let found = checker.node(&self.0.root);
        if !matches!(*found, Type::Bool | Type::Any) {
            checker.not_boolean(&self.0.root, &found, "`if` wants");
        }
        checker.mistakes()
    }

    /// As [`check`](Self::check), and that it can stand in a text at all: for `${{ }}`.
    pub(super) fn check_text(&self, types: &dyn Types) -> Vec<Mistake> {
        let mut checker = self.checker(types);
        let found = checker.node(&self.0.root);
        if matches!(*found, Type::List(_)) || found.is_map() {
            let range = self.0.root.range.clone();
            let subject = Node::subject(self.source(), range.clone());
            let message = format!("{subject} is {}, which has no text", found.described());
            let mistake = Mistake::new(range, message);
            checker.add(match *found {
                Type::List(_) => mistake.help("`.join(\", \")` makes a string of a list of them"),
                _ => mistake.help("name one of its keys"),
            });
        }
        checker.mistakes()
    }

    fn checker<'t>(&'t self, types: &'t dyn Types) -> Checker<'t> {
        Checker::new(self.source(), types)
    }

    /// Its value, when what is known decides it: `false && x` is false whatever `x` is.
    ///
    /// # Errors
    ///
    /// A key that is not there, values that do not fit together, more work than is allowed.
    pub fn evaluate(&self, values: &dyn Values) -> Result<Outcome, EvaluateError> {
        evaluate::evaluate(&self.0, values).map_err(|failure| failure.in_expression(self.source()))
    }

    /// As [`evaluate`](Self::evaluate), for `if`: whether it holds, `None` while that is open.
    ///
    /// # Errors
    ///
    /// As [`evaluate`](Self::evaluate), and when it is neither true nor false.
    pub fn holds(&self, values: &dyn Values) -> Result<Option<bool>, EvaluateError> {
        match self.evaluate(values)? {
            Outcome::Known(Value::Bool(holds)) => Ok(Some(holds)),
            Outcome::Unknown => Ok(None),
            Outcome::Known(other) => Err(self.wrong_type(&other, "`if` wants true or false")),
        }
    }

    /// What its variables were, for a sentence that says why it came out as it did: `branch is "dev", matrix.n is 3`.
    /// Without those that are lists or maps, or not known; empty when none is left.
    #[must_use]
    pub fn explain(&self, values: &dyn Values) -> String {
        explain::explain(&self.0, values)
    }

    pub(super) fn text_of(&self, value: &Value) -> Result<String, EvaluateError> {
        let text = value.to_text();
        text.ok_or_else(|| self.wrong_type(value, "a text has no place for it"))
    }

    /// That a value was wanted and there is none yet.
    pub(super) fn unknown(&self, values: &dyn Values) -> EvaluateError {
        let what = explain::unknown(&self.0, values);
        self.failure(EvaluateErrorKind::Unknown(what))
    }

    fn wrong_type(&self, value: &Value, wanted: &str) -> EvaluateError {
        self.failure(EvaluateErrorKind::WrongType {
            found: format!("it is {}", Type::of(value).described()),
            wanted: wanted.to_owned(),
        })
    }

    fn failure(&self, kind: EvaluateErrorKind) -> EvaluateError {
        Failure::new(&self.0.root.range, kind).in_expression(self.source())
    }
}

impl PartialEq for Expression {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source()
    }
}

impl Eq for Expression {}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expression").field(&self.source()).finish()
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}

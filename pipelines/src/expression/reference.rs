use std::ops::Range;

/// A variable an expression reads, as far as its path is written out: `steps["unit tests"].outputs.x`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    /// The variable's name, then keys: `["steps", "unit tests", "outputs", "x"]`. Ends before the first key that is
    /// computed.
    pub path: Vec<String>,
    /// Bytes of the expression.
    pub range: Range<usize>,
}

/// The globs of one call of `changed(..)` or `hash_files(..)`; they are literals, so that they are known before a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    /// Which of the two.
    pub function: PatternFunction,
    /// The globs as written, checked.
    pub globs: Vec<String>,
    /// Bytes of the expression: the whole call.
    pub range: Range<usize>,
}

/// A function whose arguments are globs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PatternFunction {
    /// `changed("src/**")`
    Changed,
    /// `hash_files("Cargo.lock")`
    HashFiles,
}

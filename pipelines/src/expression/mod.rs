//! Expressions (`if:`) and texts with expressions in them (`${{ }}`). The language is CEL
//! (<https://github.com/google/cel-spec/blob/master/doc/langdef.md>) with this project's variables and functions; the
//! user's page is `docs/expressions.md`.
//!
//! ```text
//! text --token--> words --parser, primary, literal--> Node tree --check--> Expression --evaluate--> Outcome
//! text with ${{ }} --scan--> Template (texts and Expressions) --bind--> Template --text--> String
//! ```
//! Two things set this apart from an ordinary interpreter. Evaluating is partial: what is not known yet ([`Known`]) makes
//! a result unknown only where it matters. And every text comes from strangers: size, nesting and work are bounded, what
//! has become text is never read again, and each mistake names its bytes.
//!
//! Reading and evaluating are written for this module, because positions, partial values and bounds go through all of
//! it; the tests hold both against the `cel` crate as the judge of what CEL is.

mod budget;
mod check;
mod error;
mod evaluate;
mod explain;
#[expect(clippy::module_inception, reason = "the file is named after its type")]
mod expression;
mod function;
mod literal;
mod missing;
mod mistake;
mod node;
mod parser;
mod primary;
mod reference;
mod scan;
mod template;
mod token;
mod types;
mod value;
mod values;
mod variable;
mod wire;

pub use budget::Budget;
pub use error::{EvaluateError, EvaluateErrorKind};
pub use expression::Expression;
pub use mistake::Mistake;
pub use reference::{Pattern, PatternFunction, Reference};
pub use template::Template;
pub use types::{Type, Types, Untyped};
pub use value::{Float, Value};
pub use values::{Known, Outcome, Status, Values};

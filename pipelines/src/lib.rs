//! The pipeline language: the text of a `.pipeline.yml` becomes a [`plan::Plan`], or diagnostics that name line and
//! column. Pure: no files, clock, network or async, so that a laptop, a runner and a server compile alike.
//!
//! ```text
//! Source --yaml, include--> Node tree --parse--> syntax --validate--> syntax --lower--> Plan
//!    \________________\__________________\____________________\___________\--> Diagnostics, sorted by place
//! ```
//! `yaml` knows YAML and no keys, `parse` knows keys and types, `validate` holds the rules that need more than one
//! value (a rule a file), `lower` fills defaults in. A user's mistake is never an `Err`: each room adds diagnostics and
//! goes on with what it understood, so that one run shows every mistake.
//!
//! ```
//! use pipelines::{Overrides, Source, compile, render};
//!
//! let source = Source::new(".pipeline.yml", "image: host\nsteps:\n  - run: make\n  - run: make test\n");
//! let plan = compile(&source, &Overrides::default()).plan.expect("a valid pipeline");
//! assert_eq!(plan.jobs[0].id, "main");
//! assert_eq!(plan.jobs[0].steps[1].needs, ["make"]);
//!
//! let source = Source::new(".pipeline.yml", "image: host\nsteps:\n  - comands: make\n");
//! let compilation = compile(&source, &Overrides::default());
//! assert!(compilation.plan.is_none());
//! print!("{}", render::human(&source, &compilation.diagnostics, false));
//! ```

mod compile;
mod context;
mod diagnostic;
pub mod expression;
mod files;
pub mod glob;
mod include;
mod inputs;
mod limits;
mod locate;
mod lower;
mod origin;
mod overrides;
mod parse;
pub mod plan;
pub mod render;
pub mod schema;
mod source;
mod syntax;
pub mod units;
mod validate;
mod yaml;

pub use compile::{Compilation, Options, compile, compile_with};
pub use context::{Context, Event};
pub use diagnostic::{Code, Diagnostic, Related, Severity};
pub use files::{Files, Tree};
pub use include::{Inclusion, gather};
pub use origin::{Layer, Origin, Origins, StepOrigins};
pub use overrides::{OverrideError, Overrides};
pub use source::{Position, Source, Span};

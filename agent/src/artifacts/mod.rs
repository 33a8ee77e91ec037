//! Artifacts: which files of a workspace they are, and where their archives go. When they are made is the executor's business.

mod place;
mod selection;

pub use place::{ArtifactError, ArtifactPlace, Draft};
pub use selection::{Chosen, Selection};

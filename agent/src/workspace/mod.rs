//! The working tree a run starts from: where it is, and what git says about it.

mod changes;
mod files;
mod find;
mod git;
mod include;

pub use changes::{ChangesError, changes_since};
pub use files::TreeFiles;
pub use find::{FILE_NAME, FindError, Found, find, open, standard_input};
pub use git::{GitError, GitFacts, git_facts};
pub use include::gather;

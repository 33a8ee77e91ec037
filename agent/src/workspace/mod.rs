//! The working tree a run starts from: where it is, and what git says about it.

mod find;
mod git;

pub use find::{FILE_NAME, FindError, Found, find, open};
pub use git::{GitError, GitFacts, git_facts};

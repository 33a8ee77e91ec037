//! Shows diagnostics: to a human, as snippets of the file, and to machines, as data.

mod excerpt;
mod human;
mod machine;

#[cfg(test)]
mod tests;

pub use human::human;
pub use machine::{Located, LocatedRelated, machine};

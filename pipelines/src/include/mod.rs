//! `include`: other files under the pipeline's own, before any key is read.
//!
//! ```text
//! Source --gather (asks its caller for files)--> Source with all files --load--> one Node tree
//! ```
//! The files of a list lie one over the other, and the including file over all of them: mappings are merged key by key,
//! whatever else there is twice is the upper one's. What stands in the tree keeps the place it was written at.

mod gather;
mod inclusion;
mod load;

#[cfg(test)]
mod tests;

pub use gather::gather;
pub use inclusion::Inclusion;
pub(crate) use load::load;

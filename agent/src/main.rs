//! The `agent` binary: a doorway.
fn main() {}

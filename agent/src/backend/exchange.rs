//! The files through which a step talks to those that come after it.

use std::fs::File;

/// A step's own files; it can write to them, and remove or replace them, which nobody sees.
#[derive(Debug)]
pub struct Exchange {
    /// `$SLIPWAY_OUTPUT`: its outputs.
    pub output: File,
    /// `$SLIPWAY_ENV`: variables for the steps after it.
    pub env: File,
    /// `$SLIPWAY_MASK`: what is not to be shown any more.
    pub mask: File,
}

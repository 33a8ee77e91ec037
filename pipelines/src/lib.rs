//! The pipeline language: the text of a `.pipeline.yml` becomes a [`plan::Plan`] or diagnostics that name line and column.

pub mod plan;

//! Every bound on untrusted input, in one place. Crossing one is a diagnostic.

/// Bytes of a pipeline file.
pub(crate) const FILE_BYTES: usize = 1024 * 1024;

/// Levels of lists and mappings inside each other, aliases expanded. Also bounds every recursion over the tree.
pub(crate) const DEPTH: u32 = 64;

/// What aliases and merge keys may add to a file when they are expanded, in bytes; see [`crate::yaml::Node::weight`].
pub(crate) const ALIAS_BYTES: u64 = 4 * 1024 * 1024;

/// Files that a pipeline includes, each counted as often as it is included.
pub(crate) const INCLUDES: usize = 64;

/// Bytes of a pipeline and all files that it includes.
pub(crate) const SOURCE_BYTES: usize = 4 * 1024 * 1024;

/// Jobs of a pipeline.
pub(crate) const JOBS: usize = 1_024;

/// Steps of a job.
pub(crate) const STEPS: usize = 1_024;

/// Artifacts of a job.
pub(crate) const ARTIFACTS: usize = 64;

/// Caches of a job.
pub(crate) const CACHES: usize = 16;

/// Keys to start from, and paths, of a cache.
pub(crate) const CACHE_ENTRIES: usize = 64;

/// Characters of a job's id.
pub(crate) const JOB_ID_CHARS: usize = 64;

/// Characters of a pipeline's or a step's name.
pub(crate) const NAME_CHARS: usize = 256;

/// Bytes of text in a plan, defaults and `env` repeated in every step. A small file can ask for terabytes otherwise.
pub(crate) const PLAN_BYTES: usize = 32 * 1024 * 1024;

/// Diagnostics that are kept; the rest only counts as "there was an error".
pub(crate) const DIAGNOSTICS_KEPT: usize = 1_000;

/// Diagnostics that are shown to a human.
pub(crate) const DIAGNOSTICS_SHOWN: usize = 100;

/// A suggestion ("did you mean") costs time; past this many diagnostics nobody reads it.
pub(crate) const SUGGESTIONS: usize = 100;

/// Days of the longest duration.
pub(crate) const DURATION_DAYS: u64 = 365;

/// Bytes of an expression.
pub(crate) const EXPRESSION_BYTES: usize = 4_096;

/// Brackets, arguments, `!` and conditionals inside each other in an expression. Bounds every recursion over it.
pub(crate) const EXPRESSION_DEPTH: usize = 32;

/// What evaluating one expression may cost; see [`crate::expression::Budget`].
pub(crate) const EXPRESSION_STEPS: u64 = 100_000;

/// Bytes of a regular expression.
pub(crate) const REGEX_BYTES: usize = 256;

/// Bytes a compiled regular expression may take. Bounds repetitions of repetitions.
pub(crate) const REGEX_COMPILED_BYTES: usize = 32 * 1024;

/// Mistakes that are reported of one text with expressions in it.
pub(crate) const TEMPLATE_MISTAKES: usize = 20;

/// Bytes of a glob.
pub(crate) const GLOB_BYTES: usize = 1_024;

/// Mistakes that are told of one scalar.
pub(crate) const MISTAKES: usize = 20;

/// Cells of a matrix before any is excluded, and entries of `include` and of `exclude`.
pub(crate) const MATRIX_CELLS: usize = 4_096;

/// Values that are compared to find the cells which the entries of `include` and of `exclude` mean.
pub(crate) const MATRIX_COMPARISONS: usize = 4 * 1024 * 1024;

/// Bytes of all values of all cells of a matrix. A small file can ask for gigabytes otherwise.
pub(crate) const MATRIX_BYTES: usize = 8 * 1024 * 1024;

//! Where the values of a plan come from, for whoever asks why a step is as it is.

use std::fmt;

use indexmap::IndexMap;

use crate::plan::Place;

/// What decides about a value; an inner layer wins over those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layer {
    /// Nobody has said anything.
    Default,
    /// The top of the file.
    Pipeline,
    /// The job.
    Job,
    /// The step itself.
    Step,
    /// An option of the command line.
    CommandLine,
}

/// Where one value comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Who has said it.
    pub layer: Layer,
    /// Where it is written; unknown for what is not, and for a few keys that are read without their place.
    pub place: Place,
    /// The cell of the matrix is in it.
    pub by_cell: bool,
}

/// The origins of one step's values, by key: `image`, `env.NAME`, `secrets.NAME` and so on.
pub type StepOrigins = IndexMap<String, Origin>;

/// The origins of a plan, job by job and step by step in its order; the steps of `after` follow the others.
pub type Origins = Vec<Vec<StepOrigins>>;

/// As a remark behind a value.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.layer {
            Layer::Default => "by default",
            Layer::Pipeline => "from the pipeline",
            Layer::Job => "from the job",
            Layer::Step => "from the step",
            Layer::CommandLine => "from the command line",
        })?;
        if self.place.line > 0 {
            write!(f, ", {}:{}", self.place.file, self.place.line)?;
        }
        if self.by_cell {
            f.write_str(", by its matrix cell")?;
        }
        Ok(())
    }
}

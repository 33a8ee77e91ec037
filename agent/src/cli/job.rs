use clap::Args;

/// For `agent start`: standard input says what to run.
#[derive(Debug, Args)]
pub struct Job {
    /// Instead: look whether this host can run containers, and remove what killed processes have left
    #[arg(long)]
    pub sweep: bool,
}

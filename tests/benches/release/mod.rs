//! What is measured: the binary as users have it.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The release binary, built if need be; or the one that `SLIPWAY_BENCH_AGENT` names, so that two can be compared.
pub(crate) fn agent() -> Result<PathBuf, Box<dyn Error>> {
    if let Some(other) = std::env::var_os("SLIPWAY_BENCH_AGENT") {
        return Ok(other.into());
    }
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--package", "agent"])
        .status()?;
    if !status.success() {
        return Err("the agent does not build".into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .ok_or("no target directory")?;
    Ok(target.join("release/agent"))
}

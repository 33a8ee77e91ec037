//! `agent image prune`.

use std::time::Duration;

use runtime::store::Retention;

use super::remove::text;
use crate::cli::ImagePrune;
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// Removes what is not needed any more.
///
/// # Errors
/// When the store cannot be used.
pub(super) fn execute(arguments: &ImagePrune, machine: &Machine) -> Result<ExitCode, CommandError> {
    let (store, zygote) = super::open_with_worker(machine)?;
    let any_age = arguments.all && arguments.older_than.is_none() && arguments.max_size.is_none();
    let retention = Retention {
        older_than: arguments
            .older_than
            .or_else(|| any_age.then_some(Duration::ZERO)),
        max_size: arguments.max_size,
        dry_run: arguments.dry_run,
    };
    let collected = super::block_on(store.collect(&retention, &zygote))??;
    print(&text(&collected, arguments.format, arguments.dry_run)?)?;
    Ok(ExitCode::Success)
}

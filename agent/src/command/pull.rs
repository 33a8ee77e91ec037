//! `agent pull`: an image from its source into the store.

use std::env;

use runtime::zygote::Zygote;

use super::CommandError;
use super::error::starting;
use super::printing::print;
use crate::backend::ConnectError;
use crate::cli::ImagePull;
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::images::{Images, announce};
use crate::machine::Machine;

/// Pulls an image, asking its source even when it is here.
///
/// # Errors
/// When the machine cannot hold it, or its source does not hand it out.
pub fn execute(arguments: &ImagePull, machine: &Machine) -> Result<ExitCode, CommandError> {
    let config = Config::load(machine.config.as_ref())?;
    let base = env::current_dir().map_err(starting("find the current directory"))?;
    machine.create_data()?;
    let zygote = Zygote::spawn(&machine.data).map_err(ConnectError::from)?;
    let images = Images::new(&zygote, &machine.data, &base, &config).map_err(ConnectError::from)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    let tell = announce(&arguments.image);
    let progress = |news| {
        if !arguments.quiet {
            tell(news);
        }
    };
    let pulled = runtime.block_on(images.get(&zygote, &arguments.image, None, &progress))?;
    if let Some(digest) = pulled.digest {
        print(&format!("{digest}\n"))?;
    }
    Ok(ExitCode::Success)
}

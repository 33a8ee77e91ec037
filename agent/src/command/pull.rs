//! `agent pull`: an image from its source into the store.

use std::env;
use std::io::{self, IsTerminal as _};

use runtime::store::{Progress, PullPolicy};
use runtime::zygote::Zygote;

use super::CommandError;
use super::error::starting;
use super::printing::print;
use crate::backend::{ConnectError, ImageProgress};
use crate::cli::ImagePull;
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::images::{Bars, Images, Relay, announce};
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
    let watched = io::stderr().is_terminal() && !machine.no_status_line;
    let bars = (watched && !arguments.quiet).then(|| Bars::new(&arguments.image));
    let tell = announce(&arguments.image);
    let tell = |news: ImageProgress| {
        if !arguments.quiet {
            tell(news);
        }
    };
    let relay = Relay::new(&arguments.image, &tell);
    let progress = |news: Progress<'_>| match &bars {
        Some(bars) => bars.show(news),
        None => relay.pass_on(news),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    // A name that was given on this machine is a registry's again.
    let policy = arguments.image.parse().ok().as_ref().map(PullPolicy::of);
    let get = images.get_telling(&zygote, &arguments.image, policy, &progress);
    let pulled = runtime.block_on(get);
    drop(bars);
    let pulled = pulled?;
    runtime.block_on(images.tidy(&zygote));
    if let Some(digest) = pulled.digest {
        print(&format!("{digest}\n"))?;
    }
    Ok(ExitCode::Success)
}

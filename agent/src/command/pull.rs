//! `agent pull`: an image from its source into the store.

use std::env;

use runtime::store::PullPolicy;
use runtime::zygote::Zygote;
use serde::Serialize;

use super::CommandError;
use super::error::starting;
use super::image::to_json;
use super::printing::print;
use crate::backend::ConnectError;
use crate::cli::{ImagePull, ListFormat};
use crate::config::Config;
use crate::exit_code::ExitCode;
use crate::images::{Images, telling};
use crate::machine::Machine;

/// What came of it, for programs.
#[derive(Serialize)]
struct Pulled<'a> {
    image: &'a str,
    digest: Option<String>,
    /// Fetched now, as stored at the source.
    bytes: u64,
}

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
    // A name that was given on this machine is a registry's again.
    let policy = arguments.image.parse().ok().as_ref().map(PullPolicy::of);
    let pulled = telling(&arguments.image, arguments.quiet, machine, |progress| {
        runtime.block_on(images.get_telling(&zygote, &arguments.image, policy, progress))
    })?;
    runtime.block_on(images.tidy(&zygote));
    match (arguments.format, pulled.digest) {
        (ListFormat::Json, digest) => print(&to_json(&Pulled {
            image: &arguments.image,
            digest,
            bytes: pulled.pulled_bytes,
        })?)?,
        (ListFormat::Table, Some(digest)) => print(&format!("{digest}\n"))?,
        (ListFormat::Table, None) => {}
    }
    Ok(ExitCode::Success)
}

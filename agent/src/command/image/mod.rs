//! `agent image ..`: what the store holds, and what can be done with it. One file a command.

mod inspect;
mod list;
mod load;
mod prune;
mod remove;
mod save;
mod shown;
mod tag;
mod verify;
mod whole;

use std::env;
use std::path::{Path, PathBuf};

use runtime::store::{self, FindError, Store, Stored};
use runtime::zygote::{self, Zygote};

use super::CommandError;
use super::error::starting;
use crate::backend::ConnectError;
use crate::cli::Image;
use crate::exit_code::ExitCode;
use crate::machine::Machine;

pub use list::list;
pub use load::execute as load;
pub use remove::remove;
pub use save::execute as save;
pub(super) use shown::{short, to_json};
pub use tag::execute as tag;
pub(super) use tag::name;

/// Does what was asked for.
///
/// # Errors
/// When the store cannot be used, or the image is not what it should be.
pub fn execute(command: &Image, machine: &Machine) -> Result<ExitCode, CommandError> {
    match command {
        Image::Ls(arguments) => list(arguments, machine),
        Image::Pull(arguments) => super::pull::execute(arguments, machine),
        Image::Inspect(arguments) => inspect::execute(arguments, machine),
        Image::Tag(arguments) => tag(arguments, machine),
        Image::Rm(arguments) => remove(arguments, machine),
        Image::Prune(arguments) => prune::execute(arguments, machine),
        Image::Save(arguments) => save(arguments, machine),
        Image::Load(arguments) => load(arguments, machine),
        Image::Verify(arguments) => verify::execute(arguments, machine),
    }
}

/// The store, for looking into it: that takes no container.
pub(super) fn open(machine: &Machine) -> Result<Store, CommandError> {
    machine.create_data()?;
    let directory = zygote::directory(&machine.data).map_err(ConnectError::from)?;
    opened(machine, &directory)
}

/// The names of the images that are here, for a shell: nothing is made, and what goes wrong is nobody's concern.
pub(crate) fn names(machine: &Machine) -> Option<Vec<String>> {
    let images = machine.data.join("images");
    if !images.is_dir() {
        return None;
    }
    let layers = zygote::directory(&machine.data).ok()?.join("layers");
    let all = Store::open(&images, &layers).ok()?.images().ok()?;
    Some(
        all.iter()
            .map(|image| shown::short(&image.name).to_owned())
            .collect(),
    )
}

/// The store with somebody who works in it: what is in layers belongs to the containers' ids.
fn open_with_worker(machine: &Machine) -> Result<(Store, Zygote), CommandError> {
    machine.create_data()?;
    let zygote = Zygote::spawn(&machine.data).map_err(ConnectError::from)?;
    Ok((opened(machine, zygote.directory())?, zygote))
}

fn opened(machine: &Machine, directory: &Path) -> Result<Store, CommandError> {
    let store = Store::open(&machine.data.join("images"), &directory.join("layers"));
    Ok(store.map_err(ConnectError::from)?)
}

/// What relative paths of images are relative to.
fn base() -> Result<PathBuf, CommandError> {
    env::current_dir().map_err(starting("find the current directory"))
}

/// The image of a name or id; of several names the one that was last used.
fn find(all: &[Stored], text: &str, base: &Path) -> Result<Stored, FindError> {
    let found = store::find(all, text, base)?;
    found
        .into_iter()
        .next()
        .ok_or_else(|| FindError::Missing(text.to_owned()))
}

fn block_on<T>(future: impl Future<Output = T>) -> Result<T, CommandError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(starting("start the async runtime"))?;
    Ok(runtime.block_on(future))
}

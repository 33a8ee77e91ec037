//! `agent image load`.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use runtime::store::{Named, PullError};
use runtime::transport::LocalError;
use serde::Serialize;

use super::shown::{short, to_json};
use crate::cli::{ImageLoad, ListFormat};
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::images::{failure, telling};
use crate::machine::Machine;

/// A loaded image, for programs.
#[derive(Serialize)]
struct Loaded<'a> {
    name: &'a str,
    digest: Option<String>,
    layers: usize,
}

/// Takes images from an archive.
///
/// # Errors
/// When it is none, or has an image without a name.
pub fn execute(arguments: &ImageLoad, machine: &Machine) -> Result<ExitCode, CommandError> {
    let tag = match &arguments.tag {
        Some(name) => Some(super::tag::name(name)?),
        None => None,
    };
    let (store, zygote) = super::open_with_worker(machine)?;
    let spooled = match &arguments.input {
        Some(_) => None,
        None if io::stdin().is_terminal() => return Err(CommandError::ArchiveFromTerminal),
        None => Some(spool(&machine.data.join("images/tmp"))?),
    };
    let path: PathBuf = match (&arguments.input, &spooled) {
        (Some(path), _) => path.clone(),
        (None, Some(file)) => format!("/proc/self/fd/{}", file.as_raw_fd()).into(),
        (None, None) => return Ok(ExitCode::Success),
    };
    let shown = arguments
        .input
        .as_ref()
        .map_or("standard input".to_owned(), |path| {
            path.display().to_string()
        });
    let loaded = telling(&shown, arguments.quiet, machine, |progress| {
        super::block_on(store.load(&path, tag.as_ref(), &zygote, progress))
    })?;
    let loaded = loaded.map_err(|error| refusal(&error, &path, &shown))?;
    print(&text(&loaded, arguments.format)?)?;
    Ok(ExitCode::Success)
}

/// Nobody knows the file that standard input was kept in.
fn refusal(error: &PullError, path: &Path, shown: &str) -> CommandError {
    match error {
        PullError::Local {
            source: LocalError::Unnamed { .. },
            ..
        } => CommandError::UnnamedImage(shown.to_owned()),
        error => {
            let mut failure = failure(error);
            failure.message = failure.message.replace(&*path.to_string_lossy(), shown);
            failure.into()
        }
    }
}

fn text(loaded: &[Named], format: ListFormat) -> Result<String, CommandError> {
    match format {
        ListFormat::Table => Ok(loaded
            .iter()
            .map(|named| format!("{}\n", short(&named.name)))
            .collect()),
        ListFormat::Json => {
            let list = loaded.iter().map(|named| Loaded {
                name: short(&named.name),
                digest: named.image.digest.map(|digest| digest.to_string()),
                layers: named.image.layers.len(),
            });
            to_json(&list.collect::<Vec<_>>())
        }
    }
}

/// Standard input as a file: an archive's parts are read in another order than they are stored.
/// The file has no name, so that it goes with this process, whatever ends that.
fn spool(directory: &Path) -> Result<File, CommandError> {
    let copy = || {
        let mut file = tempfile::tempfile_in(directory)?;
        io::copy(&mut io::stdin().lock(), &mut file)?;
        Ok(file)
    };
    copy().map_err(super::super::error::starting(
        "keep standard input in a file",
    ))
}

//! `agent image save`.

use std::fs::File;
use std::io::{self, IsTerminal as _, Write};
use std::path::Path;

use runtime::store::{Exported, SaveFormat, Stored};
use serde::Serialize;

use super::shown::{short, to_json};
use super::whole::Whole;
use crate::cli::{ArchiveFormat, ImageSave};
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::{Stdout, complain};
use crate::sink::size;

/// An archive that was written, for programs.
#[derive(Debug, Serialize)]
struct Saved {
    images: usize,
    /// Of layers.
    bytes: u64,
    /// Layers that have another diff ID than they were pulled with.
    repacked: usize,
}

/// Writes images to an archive.
///
/// # Errors
/// When one of them is not here or not whole, or the archive cannot be written.
pub fn execute(arguments: &ImageSave, machine: &Machine) -> Result<ExitCode, CommandError> {
    if arguments.output.is_none() && io::stdout().is_terminal() {
        return Err(CommandError::ArchiveToTerminal);
    }
    let (store, zygote) = super::open_with_worker(machine)?;
    let base = super::base()?;
    let all = store.images()?;
    let mut images: Vec<(Stored, Vec<String>)> = Vec::new();
    for text in &arguments.images {
        let image = super::find(&all, text, &base)?;
        let names = name(&image).into_iter();
        match images.iter_mut().find(|(other, _)| other.id == image.id) {
            // The same image under another name.
            Some((_, known)) => known.extend(names),
            None => images.push((image, names.collect())),
        }
    }
    let images: Vec<_> = images
        .iter()
        .map(|(image, names)| (image, names.clone()))
        .collect();
    let format = match arguments.format {
        ArchiveFormat::DockerArchive => SaveFormat::Docker,
        ArchiveFormat::OciArchive => SaveFormat::Oci,
    };
    let save = |out: &mut (dyn Write + Send)| -> Result<Exported, CommandError> {
        Ok(super::block_on(store.save(&images, format, &zygote, out))??)
    };
    let exported = match &arguments.output {
        Some(path) => whole(path, save)?,
        None => save(&mut Stdout::open().map_err(unwritten("standard output"))?)?,
    };
    if arguments.json {
        let saved = to_json(&Saved {
            images: images.len(),
            bytes: exported.bytes,
            repacked: exported.repacked,
        })?;
        match arguments.output {
            Some(_) => print(&saved)?,
            None => complain(saved.trim_end()),
        }
    } else if !arguments.quiet {
        complain(format_args!("saved {} of layers", size(exported.bytes)));
        if exported.repacked > 0 {
            let count = exported.repacked;
            complain(format_args!(
                "warning: {count} layers are packed from their files, with another diff ID than they were pulled with"
            ));
        }
    }
    Ok(ExitCode::Success)
}

/// The name in the archive; an image of a file has none.
fn name(image: &Stored) -> Option<String> {
    let name = short(&image.name);
    (name != image.name && !name.contains('@')).then(|| name.to_owned())
}

/// Writes a file that is there whole or not at all.
fn whole(
    path: &Path,
    write: impl FnOnce(&mut (dyn Write + Send)) -> Result<Exported, CommandError>,
) -> Result<Exported, CommandError> {
    use std::os::unix::fs::FileTypeExt as _;
    let shown = path.display().to_string();
    // A pipe or a device is written to, not replaced.
    let is_special = path.metadata().is_ok_and(|found| {
        let kind = found.file_type();
        kind.is_fifo() || kind.is_char_device() || kind.is_block_device() || kind.is_socket()
    });
    if is_special {
        let opened = File::options().write(true).open(path);
        return write(&mut opened.map_err(unwritten(&shown))?);
    }
    // A link is followed, so that what it leads to is replaced and not the link.
    let target = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let directory = target
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let mut file = Whole::begin(directory).map_err(unwritten(&shown))?;
    let exported = write(file.out())?;
    file.end(directory, &target).map_err(unwritten(&shown))?;
    Ok(exported)
}

fn unwritten(path: &str) -> impl FnOnce(io::Error) -> CommandError {
    move |source| CommandError::Unwritten {
        path: path.to_owned(),
        source,
    }
}

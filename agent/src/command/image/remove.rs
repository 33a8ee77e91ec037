use runtime::store::{Collected, FindError, Stored, find};
use serde::Serialize;

use super::shown::{short, to_json};
use crate::cli::{ImageRemove, ListFormat};
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::{sanitise, size};

/// What was removed, for programs.
#[derive(Debug, Serialize)]
pub(super) struct Removed<'a> {
    images: Vec<&'a str>,
    layers: &'a [String],
    bytes: u64,
    layers_in_use: usize,
    remains: usize,
    dry_run: bool,
}

/// Forgets names, and removes what nothing else needs.
///
/// # Errors
/// When there is no such image, or an id has several names.
pub fn remove(arguments: &ImageRemove, machine: &Machine) -> Result<ExitCode, CommandError> {
    let (store, zygote) = super::open_with_worker(machine)?;
    let base = super::base()?;
    let all = store.images()?;
    let mut going: Vec<Stored> = Vec::new();
    for text in &arguments.images {
        match find(&all, text, &base) {
            Ok(found) if found.len() > 1 && !arguments.force => {
                let names = found.iter().map(|image| short(&image.name).to_owned());
                return Err(CommandError::SeveralNames {
                    id: text.clone(),
                    names: names.collect(),
                });
            }
            Ok(found) => going.extend(found),
            Err(FindError::Missing(_)) if arguments.force => {}
            Err(error) => return Err(error.into()),
        }
    }
    let collected = super::block_on(store.remove(&going, &zygote))??;
    print(&text(&collected, arguments.format, false)?)?;
    Ok(ExitCode::Success)
}

/// What was removed, or would be.
pub(super) fn text(
    collected: &Collected,
    format: ListFormat,
    dry_run: bool,
) -> Result<String, CommandError> {
    let images: Vec<&str> = collected.images.iter().map(|name| short(name)).collect();
    if format == ListFormat::Json {
        return to_json(&Removed {
            images,
            layers: &collected.layers,
            bytes: collected.bytes,
            layers_in_use: collected.in_use,
            remains: collected.remains,
            dry_run,
        });
    }
    let mut text = String::new();
    for image in images {
        text += &format!("untagged: {}\n", sanitise(image));
    }
    for layer in &collected.layers {
        text += &format!("deleted: sha256:{layer}\n");
    }
    let would = if dry_run { "would free" } else { "freed" };
    text += &format!("{would} {}\n", size(collected.bytes));
    if collected.remains > 0 {
        let remains = collected.remains;
        text += &format!("removed {remains} remains of what was killed\n");
    }
    if collected.in_use > 0 {
        let layers = collected.in_use;
        text += &format!(
            "{layers} layers are in use and stay; `agent image prune` removes them later\n"
        );
    }
    Ok(text)
}

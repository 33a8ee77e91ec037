use std::collections::HashSet;

use runtime::store::Stored;

use super::shown::{Shown, short, to_json, unix_ms};
use crate::cli::{ImageList, ListFormat};
use crate::clock;
use crate::command::CommandError;
use crate::command::printing::{aligned, print};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::{sanitise, size};

/// Of an id, digits that are shown.
const DIGITS: usize = 12;

/// Lists images.
///
/// # Errors
/// When the store cannot be read.
pub fn list(arguments: &ImageList, machine: &Machine) -> Result<ExitCode, CommandError> {
    let mut images = super::open(machine)?.images()?;
    if let Some(part) = &arguments.name {
        images.retain(|image| short(&image.name).contains(part.as_str()));
    }
    let text = match (arguments.quiet, arguments.format) {
        (true, _) => ids(&images, arguments.no_trunc),
        (false, ListFormat::Table) => table(&images, arguments.no_trunc, clock::unix_ms()),
        (false, ListFormat::Json) => to_json(&images.iter().map(Shown::of).collect::<Vec<_>>())?,
    };
    print(&text)?;
    Ok(ExitCode::Success)
}

/// Each id once.
fn ids(images: &[Stored], whole: bool) -> String {
    let mut known = HashSet::new();
    let images = images.iter().filter(|image| known.insert(image.id));
    images.map(|image| id(image, whole) + "\n").collect()
}

fn id(image: &Stored, whole: bool) -> String {
    if whole {
        image.id.to_string()
    } else {
        image.id.hex()[..DIGITS].to_owned()
    }
}

fn table(images: &[Stored], whole: bool, now: u64) -> String {
    let head = ["NAME", "ID", "LAYERS", "USED", "SIZE", "OWN"].map(str::to_owned);
    let rows = images.iter().map(|image| {
        let state = if image.is_incomplete {
            " (not whole)"
        } else if image.in_use {
            " (in use)"
        } else {
            ""
        };
        [
            sanitise(short(&image.name)),
            id(image, whole),
            image.layers.len().to_string(),
            format!("{}{state}", ago(now.saturating_sub(unix_ms(image.used)))),
            size(image.size),
            size(image.size.saturating_sub(image.shared)),
        ]
    });
    aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
}

/// `5s ago`, `3h ago`, `12d ago`: as exact as it matters.
fn ago(milliseconds: u64) -> String {
    let seconds = milliseconds / 1000;
    match seconds {
        0..60 => format!("{seconds}s ago"),
        60..3600 => format!("{}m ago", seconds / 60),
        3600..172_800 => format!("{}h ago", seconds / 3600),
        _ => format!("{}d ago", seconds / 86_400),
    }
}

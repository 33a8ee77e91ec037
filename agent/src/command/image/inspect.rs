//! `agent image inspect`.

use runtime::store::Stored;
use serde::Serialize;
use serde_json::Value;

use super::shown::{Shown, short, to_json};
use crate::cli::ImageInspect;
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// Everything about an image.
#[derive(Serialize)]
struct Whole<'a> {
    #[serde(flatten)]
    shown: Shown<'a>,
    /// All names with its id.
    names: Vec<&'a str>,
    layers: Vec<String>,
    /// The configuration document as it is.
    config: Value,
}

/// Prints them.
///
/// # Errors
/// When one of them is not here.
pub(super) fn execute(
    arguments: &ImageInspect,
    machine: &Machine,
) -> Result<ExitCode, CommandError> {
    let store = super::open(machine)?;
    let base = super::base()?;
    let all = store.images()?;
    let mut found = Vec::new();
    for text in &arguments.images {
        found.push(super::find(&all, text, &base)?);
    }
    let list: Vec<_> = found.iter().map(|image| whole(image, &all)).collect();
    print(&to_json(&list)?)?;
    Ok(ExitCode::Success)
}

fn whole<'a>(image: &'a Stored, all: &'a [Stored]) -> Whole<'a> {
    let same = all.iter().filter(|other| other.id == image.id);
    Whole {
        shown: Shown::of(image),
        names: same.map(|other| short(&other.name)).collect(),
        layers: image
            .layers
            .iter()
            .map(|layer| format!("sha256:{layer}"))
            .collect(),
        config: serde_json::from_slice(&image.config).unwrap_or_default(),
    }
}

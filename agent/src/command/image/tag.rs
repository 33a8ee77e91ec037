//! `agent image tag`.

use runtime::image::Source;
use serde::Serialize;

use super::shown::{short, to_json};
use crate::backend::{ImageError, ImageErrorKind};
use crate::cli::{ImageTag, ListFormat};
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::machine::Machine;

/// An image's further name, for programs.
#[derive(Debug, Serialize)]
struct Tagged<'a> {
    name: &'a str,
    id: String,
}

/// Gives an image a further name.
///
/// # Errors
/// When it is not here, or the name is none.
pub fn execute(arguments: &ImageTag, machine: &Machine) -> Result<ExitCode, CommandError> {
    let store = super::open(machine)?;
    let image = super::find(&store.images()?, &arguments.image, &super::base()?)?;
    let name = Source::Registry(name(&arguments.name)?);
    super::block_on(store.tag(&image, &name))??;
    if arguments.format == ListFormat::Json {
        print(&to_json(&Tagged {
            name: short(&name.to_string()),
            id: image.id.to_string(),
        })?)?;
    }
    Ok(ExitCode::Success)
}

/// A name that an image can be given: a registry's, without a digest.
pub(in crate::command) fn name(text: &str) -> Result<runtime::image::Reference, CommandError> {
    let refused = |why: String| {
        CommandError::Image(ImageError {
            kind: ImageErrorKind::InvalidReference,
            message: format!("`{text}` cannot be an image's name: {why}"),
        })
    };
    let source: Source = text.parse().map_err(|error| refused(format!("{error}")))?;
    match source {
        Source::Registry(reference) if reference.digest().is_none() => Ok(reference),
        Source::Registry(_) => Err(refused("a digest is not given but computed".to_owned())),
        _ => Err(refused("it names a file".to_owned())),
    }
}

//! What a stage begins with, and what `--from` names.

use std::collections::BTreeMap;

use super::config::Draft;
use super::variables::Globals;
use super::{BuildFailure, FailureKind, Refusal, Tools};
use crate::dockerfile::{Dockerfile, Expansion, FromStage, Place, Problem};
use crate::image::{Platform, Source};

/// The stages that are built.
pub(super) struct Sources<'a> {
    pub(super) file: &'a Dockerfile,
    /// Of the stage that is being built.
    pub(super) number: usize,
    pub(super) done: &'a BTreeMap<usize, Draft>,
}

impl Sources<'_> {
    /// The layers of what `--from` names: a stage before, or an image.
    pub(super) async fn root(
        &self,
        tools: Tools<'_>,
        text: &str,
        place: Place,
    ) -> Result<Vec<String>, BuildFailure> {
        if let Some(number) = self.file.stage(text, self.number) {
            return self.done.get(&number).map(Draft::root).ok_or_else(|| {
                let message = format!("the stage `{text}` is not built");
                let help = "which stages are needed is decided beforehand: name it without a variable, and not in a trigger";
                let problem = Problem::new(place, message).help(help);
                BuildFailure::new(FailureKind::Dockerfile, problem)
            });
        }
        if let Ok(number) = text.parse::<usize>() {
            let message = format!("there is no stage {number} before this one");
            return Err(BuildFailure::mistake(place, message));
        }
        Ok(image(tools, text, place).await?.root())
    }
}

/// The image of a `FROM`, with its variables replaced.
pub(super) fn base(
    from: &FromStage,
    globals: &Globals,
    expansion: &Expansion,
) -> Result<String, BuildFailure> {
    let place = from.words_place;
    let expand = |text: &str, place: Place| {
        let word = expansion.word(text, &|name| globals.get(name));
        word.map_err(|error| BuildFailure::mistake(place, error.to_string()))
    };
    if let Some((platform, place)) = &from.platform {
        let wanted = expand(platform, *place)?;
        let host = Platform::host();
        let plain = format!("{}/{}", host.os, host.architecture);
        if wanted != plain && wanted != host.to_string() {
            let message = format!("`{wanted}` is not this machine's platform, which is {host}");
            return Err(BuildFailure::mistake(*place, message));
        }
    }
    let name = expand(&from.base, place)?;
    if name.is_empty() {
        let message = format!("`{}` is the name of no image: it is empty", from.base);
        let mut failure = BuildFailure::mistake(place, message);
        failure.problem.help = Some("give its `ARG` above the first `FROM` a value".to_owned());
        return Err(failure);
    }
    Ok(name)
}

/// Gets an image.
pub(super) async fn image(
    tools: Tools<'_>,
    text: &str,
    place: Place,
) -> Result<Draft, BuildFailure> {
    let wrong = |message: String| BuildFailure::mistake(place, message);
    let source: Source = text
        .parse()
        .map_err(|error| wrong(format!("`{text}` is not an image: {error}")))?;
    if !matches!(source, Source::Registry(_)) {
        let message =
            format!("`{text}` cannot be built on: only images with a registry's name can");
        let mut failure = wrong(message);
        failure.problem.help = Some("`agent image load --tag NAME` gives it one".to_owned());
        return Err(failure);
    }
    let pulled = tools.host.image(&source, text).await;
    pulled.map_err(|Refusal { kind, message }| {
        BuildFailure::new(kind, Problem::new(place, message))
    })?;
    let gone = || {
        let problem = Problem::new(place, format!("the configuration of `{text}` is not here"));
        BuildFailure::new(FailureKind::Internal, problem)
    };
    let document = tools.store.config_of(&source).ok_or_else(gone)?;
    Draft::of(&document).map_err(|error| BuildFailure::instruction(place, error.to_string()))
}

//! A build from its first stage to the image.

use std::collections::BTreeMap;

use super::config::Draft;
use super::from::{Sources, base, image};
use super::needed::needed;
use super::stage::Stage;
use super::variables::{Args, Globals};
use super::{BuildFailure, Built, News, Request, Tools};
use crate::dockerfile::{Dockerfile, Expansion, Instruction, Place, parse_trigger};
use crate::image::{MAX_LAYERS, Platform};

pub(super) async fn execute(
    request: &Request<'_>,
    tools: Tools<'_>,
) -> Result<Built, BuildFailure> {
    let file = request.dockerfile;
    let expansion = Expansion::new(file.escape);
    let mut globals = globals(request, &expansion)?;
    let names = file
        .stages
        .iter()
        .map(|stage| base(&stage.from, &globals, &expansion))
        .collect::<Vec<_>>();
    let bases: Vec<Option<usize>> = names
        .iter()
        .enumerate()
        .map(|(number, name)| file.stage(name.as_ref().ok()?, number))
        .collect();
    let wanted = needed(file, request.target, &bases)?;
    let total = wanted
        .iter()
        .map(|number| file.stages[*number].instructions.len() + 1)
        .sum();
    let mut steps = Steps { done: 0, total };
    let mut done: BTreeMap<usize, Draft> = BTreeMap::new();
    let mut inherited: BTreeMap<usize, Args> = BTreeMap::new();
    for &number in &wanted {
        let stage = &file.stages[number];
        // A mistake in a stage that nobody needs is nobody's.
        let name = names[number].clone()?;
        steps.say(tools, &stage.from.source);
        let place = stage.from.words_place;
        let (mut draft, args) = match bases[number] {
            Some(base) => (
                done.get(&base).cloned().unwrap_or_else(Draft::empty),
                inherited.get(&base).cloned().unwrap_or_default(),
            ),
            None if name == "scratch" => (Draft::empty(), Args::default()),
            None => (image(tools, &name, place).await?, Args::default()),
        };
        draft.has_own_command = false;
        let triggers = std::mem::take(&mut draft.triggers);
        let triggers = read_triggers(&triggers, stage.from.place)?;
        steps.total += triggers.len();
        let mut building = Stage {
            request,
            tools,
            globals: &mut globals,
            expansion,
            args,
            draft,
        };
        for instruction in triggers.iter().chain(&stage.instructions) {
            steps.say(tools, &instruction.source);
            let sources = Sources {
                file,
                number,
                done: &done,
            };
            building.instruction(instruction, &sources).await?;
            if building.draft.layers.len() > MAX_LAYERS {
                let message = format!("the image has more than {MAX_LAYERS} layers");
                return Err(BuildFailure::mistake(instruction.place, message));
            }
        }
        let Stage { draft, args, .. } = building;
        done.insert(number, draft);
        inherited.insert(number, args);
    }
    warn(&globals, tools);
    let draft = wanted.last().and_then(|last| done.remove(last));
    keep(&draft.unwrap_or_else(Draft::empty), request, tools).await
}

/// Puts the image under its names.
async fn keep(
    draft: &Draft,
    request: &Request<'_>,
    tools: Tools<'_>,
) -> Result<Built, BuildFailure> {
    let place = request
        .dockerfile
        .stages
        .last()
        .map_or(Place::START, |stage| stage.from.place);
    let document = draft
        .document()
        .map_err(|error| BuildFailure::internal(place, &error))?;
    let kept = tools.store.keep_image(&document, request.names).await;
    let (id, names) = kept.map_err(|error| BuildFailure::commit(place, &error))?;
    Ok(Built { id, names })
}

fn globals(request: &Request<'_>, expansion: &Expansion) -> Result<Globals, BuildFailure> {
    let Dockerfile { globals: args, .. } = request.dockerfile;
    let mut globals = Globals::new(request.args, &Platform::host());
    for arg in args {
        let default = arg.default.as_deref();
        let default = default
            .map(|text| expansion.word(text, &|name| globals.get(name)))
            .transpose()
            .map_err(|error| BuildFailure::mistake(Place::START, error.to_string()))?;
        globals.declare(&arg.name, default);
    }
    Ok(globals)
}

/// Instructions that the image below has for who builds on it; their place is the `FROM`'s.
fn read_triggers(texts: &[String], place: Place) -> Result<Vec<Instruction>, BuildFailure> {
    let read = |text: &String| {
        let mut instruction = parse_trigger(text).map_err(|problem| {
            let message = format!(
                "the image's trigger `{text}` is refused: {}",
                problem.message
            );
            BuildFailure::mistake(place, message)
        })?;
        (instruction.place, instruction.words_place) = (place, place);
        Ok(instruction)
    };
    texts.iter().map(read).collect()
}

fn warn(globals: &Globals, tools: Tools<'_>) {
    for name in globals.unused() {
        let text = format!("no `ARG` asks for the build argument `{name}`");
        tools.host.say(News::Warning(&text));
    }
}

/// Counts.
struct Steps {
    done: usize,
    total: usize,
}

impl Steps {
    fn say(&mut self, tools: Tools<'_>, text: &str) {
        self.done += 1;
        tools.host.say(News::Step {
            number: self.done,
            total: self.total,
            text,
        });
    }
}

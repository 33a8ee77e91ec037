//! `agent image verify`.

use std::collections::BTreeSet;

use runtime::store::{Stored, Verified};
use serde::Serialize;

use super::shown::{short, to_json};
use crate::cli::{ImageVerify, ListFormat};
use crate::command::CommandError;
use crate::command::printing::print;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::output::complain;
use crate::sink::sanitise;

/// What looking at an image has shown, for programs.
#[derive(Serialize)]
struct Shown<'a> {
    name: &'a str,
    ok: bool,
    findings: Vec<String>,
    layers: usize,
    layers_proven: usize,
    entries: u64,
    unrecorded: &'a [String],
}

/// Checks images. Ends with 1 when one is damaged.
///
/// # Errors
/// When there is no such image, or the store cannot be read.
pub(super) fn execute(
    arguments: &ImageVerify,
    machine: &Machine,
) -> Result<ExitCode, CommandError> {
    let (store, zygote) = super::open_with_worker(machine)?;
    let base = super::base()?;
    let all = store.images()?;
    let mut images = Vec::new();
    for text in &arguments.images {
        images.push(super::find(&all, text, &base)?);
    }
    if arguments.images.is_empty() {
        images = all;
    }
    let verified = super::block_on(store.verify(&images, &zygote))??;
    let pairs: Vec<(&Stored, &Verified)> = images.iter().zip(&verified).collect();
    let text = match arguments.format {
        ListFormat::Json => to_json(&pairs.iter().map(shown).collect::<Vec<_>>())?,
        ListFormat::Table => pairs
            .iter()
            .filter(|(_, verified)| !arguments.quiet || !verified.findings.is_empty())
            .map(|(image, verified)| lines(image, verified))
            .collect(),
    };
    print(&text)?;
    if verified.iter().all(|verified| verified.findings.is_empty()) {
        return Ok(ExitCode::Success);
    }
    let damaged = verified.iter().flat_map(|verified| &verified.damaged);
    let damaged: BTreeSet<&String> = damaged.collect();
    let damaged: Vec<String> = damaged.into_iter().cloned().collect();
    if !arguments.repair {
        complain(
            "help: `agent image verify --repair` removes what is damaged, and `agent pull` fetches it anew",
        );
        return Ok(ExitCode::Failed);
    }
    let removed = super::block_on(store.discard(&damaged, &zygote))??;
    complain(format_args!(
        "{removed} of {} damaged layers removed; pull the images again",
        damaged.len()
    ));
    if removed < damaged.len() {
        complain("help: the others are in use: end their containers, and repair again");
    }
    Ok(ExitCode::Failed)
}

fn shown<'a>((image, verified): &(&'a Stored, &'a Verified)) -> Shown<'a> {
    Shown {
        name: short(&image.name),
        ok: verified.findings.is_empty(),
        findings: verified.findings.iter().map(ToString::to_string).collect(),
        layers: image.layers.len(),
        layers_proven: verified.layers,
        entries: verified.entries,
        unrecorded: &verified.unrecorded,
    }
}

fn lines(image: &Stored, verified: &Verified) -> String {
    let name = sanitise(short(&image.name));
    if verified.findings.is_empty() {
        let unproven = match verified.unrecorded.len() {
            0 => String::new(),
            count => format!(", {count} that cannot be proven"),
        };
        return format!(
            "ok: {name}: {} layers{unproven}, {} entries\n",
            verified.layers, verified.entries
        );
    }
    let findings = verified.findings.iter();
    findings
        .map(|finding| format!("damaged: {name}: {}\n", sanitise(&finding.to_string())))
        .collect()
}

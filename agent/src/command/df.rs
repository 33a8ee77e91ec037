//! `agent df`: what the agent's data takes.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use runtime::zygote;
use serde::Serialize;

use super::CommandError;
use super::image;
use super::printing::{aligned, print};
use crate::backend::ConnectError;
use crate::cli::{Df, ListFormat};
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::size;

/// One kind of data.
#[derive(Debug, Serialize)]
struct Line {
    kind: &'static str,
    count: usize,
    in_use: Option<usize>,
    /// Bytes. Of layers, uncompressed; of everything else, on the disk. Images are made of the layers, and have none besides.
    size: Option<u64>,
    /// Bytes that could go now.
    reclaimable: Option<u64>,
}

/// Prints it.
///
/// # Errors
/// When the data directory cannot be read.
pub fn execute(arguments: &Df, machine: &Machine) -> Result<ExitCode, CommandError> {
    let usage = image::open(machine)?.usage()?;
    let directory = |kind, name: &str| {
        let path = machine.data.join(name);
        Line {
            kind,
            count: std::fs::read_dir(&path).map_or(0, Iterator::count),
            in_use: None,
            size: Some(disk_usage(&path)),
            reclaimable: None,
        }
    };
    let others = other_maps(machine)?;
    let mut lines = vec![
        Line {
            kind: "images",
            count: usage.images,
            in_use: Some(usage.images_in_use),
            size: None,
            reclaimable: None,
        },
        Line {
            kind: "layers",
            count: usage.layers,
            in_use: Some(usage.layers_in_use),
            size: Some(usage.bytes),
            reclaimable: Some(usage.reclaimable),
        },
        directory("documents", "images/blobs/sha256"),
        directory("containers", "containers"),
        directory("runs", "runs"),
        directory("caches", "caches/blobs"),
    ];
    if !others.is_empty() {
        lines.push(Line {
            kind: "other id maps",
            count: others.len(),
            in_use: None,
            size: Some(others.iter().map(|path| disk_usage(path)).sum()),
            reclaimable: None,
        });
    }
    let text = match arguments.format {
        ListFormat::Json => image::to_json(&lines)?,
        ListFormat::Table => table(&lines, usage.orphans, usage.remains, &others),
    };
    print(&text)?;
    Ok(ExitCode::Success)
}

fn table(lines: &[Line], orphans: usize, remains: usize, others: &[PathBuf]) -> String {
    let head = ["TYPE", "COUNT", "IN USE", "SIZE", "RECLAIMABLE"].map(str::to_owned);
    let rows = lines.iter().map(|line| {
        [
            line.kind.to_owned(),
            line.count.to_string(),
            line.in_use
                .map_or_else(String::new, |count| count.to_string()),
            line.size.map_or_else(String::new, size),
            line.reclaimable.map_or_else(String::new, size),
        ]
    });
    let mut text = aligned(&std::iter::once(head).chain(rows).collect::<Vec<_>>());
    let left = [
        (orphans, "layers without an image"),
        (remains, "remains of killed pulls"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, what)| format!("{count} {what}"))
    .collect::<Vec<_>>();
    if !left.is_empty() {
        let left = left.join(" and ");
        text += &format!("{left}: `agent image prune` removes them\n");
    }
    for path in others {
        let path = path.display();
        text += &format!(
            "{path} has layers of another id map, which no agent uses: root can remove it\n"
        );
    }
    text
}

/// Where layers are that were unpacked under other id maps than this agent's: nobody collects them.
fn other_maps(machine: &Machine) -> Result<Vec<PathBuf>, CommandError> {
    let ours = zygote::directory(&machine.data).map_err(ConnectError::from)?;
    let maps = std::fs::read_dir(machine.data.join("rootfs"));
    let paths = maps
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path());
    let has_layers = |path: &PathBuf| match std::fs::read_dir(path.join("layers")) {
        Ok(mut layers) => layers.next().is_some(),
        // What cannot be looked into belongs to somebody else.
        Err(error) => error.kind() == io::ErrorKind::PermissionDenied,
    };
    let mut others: Vec<PathBuf> = paths
        .filter(|path| *path != ours && has_layers(path))
        .collect();
    others.sort();
    Ok(others)
}

/// Bytes on the disk of everything below a path; what cannot be read counts nothing.
fn disk_usage(path: &Path) -> u64 {
    let mut total = 0;
    let mut rest = vec![path.to_owned()];
    while let Some(directory) = rest.pop() {
        let Ok(entries) = std::fs::read_dir(&directory) else {
            continue;
        };
        for entry in entries.flatten() {
            let Ok(metadata) = entry.metadata() else {
                continue;
            };
            // `st_blocks` is in units of 512 bytes (stat(3type)).
            total += metadata.blocks() * 512;
            if metadata.is_dir() {
                rest.push(entry.path());
            }
        }
    }
    total
}

//! `resources`: `{ cpus: 1.5, memory: 2GiB, pids: 1024, disk: 10GiB, nofile: 4096 }`.

use super::{
    keys::{Keys, Put, key},
    shape::{Shape, Type},
    value::Field,
};
use crate::{
    Code, Diagnostic,
    diagnostic::{Diagnostics, quoted},
    plan::Resources,
    units,
};

/// Processes of one cgroup; the kernel's own limit.
const MOST_PIDS: u64 = 4_194_304;

/// Open files of one process; the kernel's own limit (`fs.nr_open`).
const MOST_FILES: u64 = 1_048_576;

pub(super) const RESOURCES: Type<Resources> = Type {
    words: "[resources](#resources)",
    shape: Shape::Keys(&KEYS),
    read: |field, diagnostics| {
        let mut resources = Resources::default();
        KEYS.read(&mut resources, field, diagnostics);
        resources
    },
};

static KEYS: Keys<Resources> = Keys {
    name: "resources",
    what: "`resources`",
    keys: &[
        key(
            "cpus",
            &Put(&CPUS, |resources: &mut Resources, cpus| {
                resources.cpu_millis = cpus
            }),
        )
        .default("the machine's")
        .means("Cores, with up to three digits behind the point.")
        .example("cpus: 1.5"),
        key(
            "memory",
            &Put(&SIZE, |resources: &mut Resources, memory| {
                resources.memory_bytes = memory
            }),
        )
        .default("the machine's")
        .means("Memory of all processes together, with what is written outside of the workspace.")
        .example("memory: 2GiB"),
        key(
            "pids",
            &Put(&PIDS, |resources: &mut Resources, pids| {
                resources.pids = pids
            }),
        )
        .default("the machine's")
        .means("Processes and threads at the same time.")
        .example("pids: 1024"),
        key(
            "disk",
            &Put(&SIZE, |resources: &mut Resources, disk| {
                resources.disk_bytes = disk
            }),
        )
        .default("the machine's")
        .means("What may be written outside of the workspace, and how much may be left in it.")
        .example("disk: 10GiB"),
        key(
            "nofile",
            &Put(&FILES, |resources: &mut Resources, files| {
                resources.nofile = files
            }),
        )
        .default("the machine's")
        .means("Open files of one process.")
        .example("nofile: 4096"),
    ],
    rules: &[],
    others: None,
    frame: "\
image: host
steps:
  - run: 'true'
    resources:
      KEY
",
};

const CPUS: Type<Option<u64>> = Type {
    words: "number",
    shape: Shape::Either(&[
        Shape::Number {
            most: units::MOST_CORES,
        },
        Shape::StringLike(r"^[0-9]+(\.[0-9]{1,3})?$"),
    ]),
    read: cpus,
};

const SIZE: Type<Option<u64>> = Type {
    words: "[size](#sizes)",
    shape: Shape::StringLike("^[0-9]*[1-9][0-9]*\\s*([KMGT]iB|[kMGT]B)$"),
    read: size,
};

const PIDS: Type<Option<u64>> = Type {
    words: "whole number",
    shape: Shape::Count(MOST_PIDS),
    read: |field, diagnostics| field.count(MOST_PIDS, diagnostics),
};

const FILES: Type<Option<u64>> = Type {
    words: "whole number",
    shape: Shape::Count(MOST_FILES),
    read: |field, diagnostics| field.count(MOST_FILES, diagnostics),
};

/// Cores, with up to three digits behind the point.
fn cpus(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let text = field.literal(diagnostics)?;
    let millis = units::cores(&text.value);
    if millis.is_none() {
        let message = format!("{} is not a number of cores", quoted(&text.value));
        diagnostics.push(
            Diagnostic::new(Code::BadNumber, field.span, message).help("write `2`, or `1.5`"),
        );
    }
    millis
}

/// A number with a unit, in bytes.
fn size(field: Field<'_>, diagnostics: &mut Diagnostics) -> Option<u64> {
    let text = field.literal(diagnostics)?;
    let size = units::size(&text.value);
    if size.is_none() {
        let message = format!("{} is not a size", quoted(&text.value));
        diagnostics.push(
            Diagnostic::new(Code::BadSize, field.span, message)
                .help("write a whole number with a unit, such as 512MiB or 2GiB"),
        );
    }
    size
}

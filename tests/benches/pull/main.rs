//! What pulling an image takes, from a registry on loopback to a tree that containers can run on: a cold store, an image
//! of five layers, 30,000 files and 600 MB, against podman, docker, skopeo with umoci, and what the same bytes take
//! programs that do nothing else. In one run, everybody in turn, on memory and on a fresh ext4 with a journal.
//!
//! `cargo bench -p system-tests --bench pull`; as root, since it mounts both. Words behind `--` choose kinds of layers: `gzip`, `zstd`,
//! `uncompressed`. Needs docker-registry, skopeo, umoci, curl, pigz, `libdeflate-gunzip` and zstd; peers that are not there are
//! left out and named. Docker's daemon is one of its own, with its store in the place that is measured; its time and memory
//! count, too.
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

#[path = "../release/mod.rs"]
mod release;

mod contenders;
mod image;
mod measure;
mod place;

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use contenders::Contender;
use harness::{Docker, Registry};
use image::{Compression, Image};
use measure::Sample;
use place::Place;

/// Rounds; each measures everybody once.
const ROUNDS: usize = 3;
/// Set in the process that has a mount namespace of its own.
const INSIDE: &str = "SLIPWAY_BENCH_INSIDE";

fn main() -> Result<(), Box<dyn Error>> {
    if std::env::var_os(INSIDE).is_none() {
        return in_a_mount_namespace();
    }
    let agent = release::agent()?;
    let work = tempfile::tempdir()?;
    // The registry and the image's making stay out of the places that are measured.
    let registry = Registry::start();
    let image = Image::make(&work.path().join("image"))?;
    println!("{image}");
    // Cargo says `--bench`.
    let asked = std::env::args().skip(1);
    let asked: Vec<String> = asked.filter(|word| !word.starts_with('-')).collect();
    for compression in [Compression::Gzip, Compression::Zstd, Compression::None] {
        if !asked.is_empty() && !asked.contains(&compression.to_string()) {
            continue;
        }
        let reference = image.push(&registry, compression)?;
        let blobs = image.blobs(compression);
        for place in [Place::Memory, Place::Ext4] {
            let mounted = place.mount(work.path())?;
            let docker = docker(&mounted);
            let docker = docker.as_ref();
            let mut all =
                contenders::all(&agent, &reference, compression, &blobs, &mounted, docker)?;
            let mut samples: Vec<Vec<Sample>> = all.iter().map(|_| Vec::new()).collect();
            for _ in 0..ROUNDS {
                for (contender, samples) in all.iter_mut().zip(&mut samples) {
                    samples.push(run(contender, &mounted)?);
                }
            }
            println!("{}", table(compression, place, &all, &samples));
        }
    }
    Ok(())
}

/// Says who is not measured.
pub(crate) fn left_out(name: &str) {
    println!("left out: {name} (not installed, or refuses to run here)");
}

/// Docker's daemon with its store in the place; it ends before that is mounted afresh.
fn docker(place: &Path) -> Option<Docker> {
    Docker::start(&place.join("docker"), "overlay2")
        .inspect_err(|_| left_out("docker pull"))
        .ok()
}

/// Everything mounted here goes with this process, however it ends.
fn in_a_mount_namespace() -> Result<(), Box<dyn Error>> {
    let status = Command::new("unshare")
        .arg("--mount")
        .arg(std::env::current_exe()?)
        .args(std::env::args().skip(1))
        .env(INSIDE, "1")
        .status()?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("the benchmark ended with {status}").into())
    }
}

fn run(contender: &Contender, place: &Path) -> Result<Sample, Box<dyn Error>> {
    let store = place.join("store");
    let _ = fs::remove_dir_all(&store);
    fs::create_dir_all(&store)?;
    contender.prepare(&store)?;
    rustix::fs::sync();
    let sample = measure::run(contender.command(&store), contender.daemon)?;
    Ok(sample.ok_or_else(|| format!("{} failed", contender.name))?)
}

fn table(
    compression: Compression,
    place: Place,
    all: &[Contender],
    samples: &[Vec<Sample>],
) -> String {
    let medians: Vec<Sample> = samples
        .iter()
        .map(|samples| measure::median(samples))
        .collect();
    let ours = medians.first().map_or(1.0, |sample| sample.wall);
    let mut text = format!(
        "{:44} {:>8} {:>8} {:>12} {:>8}\n",
        format!("{compression} layers, {place}"),
        "wall, s",
        "CPU, s",
        "peak, MiB",
        "x ours"
    );
    for (contender, sample) in all.iter().zip(&medians) {
        text += &format!(
            "{:44} {:>8.2} {:>8.2} {:>12.0} {:>8.2}\n",
            contender.name,
            sample.wall,
            sample.cpu,
            sample.peak_mib,
            sample.wall / ours
        );
    }
    text
}

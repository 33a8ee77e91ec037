//! What starting and ending one container costs, next to what the kernel takes for it.
//!
//! `cargo bench -p runtime --bench start`, as root or as a plain user. In one run, everybody in turn:
//! - the floor: `minimal.c`, which does the needed system calls and nothing else, in a loop;
//! - this runtime through its public interface, from a running zygote;
//! - the peers that are installed, as the processes a user would start.
//!
//! Twice: with busybox's static `true`, and with a shell of a dynamically linked system. Then two workers at once.
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

mod floor;
mod ours;
mod peers;
mod root;
mod sample;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use floor::Floor;
use ours::Ours;
use root::Root;
use sample::Sample;

/// Rounds; each measures everybody once.
const ROUNDS: usize = 7;
/// Containers of a round for those that take a millisecond or two.
const RUNS: usize = 60;
/// Between containers that do not follow each other at once, as steps do that have something to do.
const PAUSE: Duration = Duration::from_millis(10);

fn main() -> Result<std::process::ExitCode, Box<dyn Error>> {
    // The zygote is this program again.
    if let Some(status) = runtime::zygote::run_if_zygote() {
        return Ok(status);
    }
    let work = tempfile::tempdir_in(work_directory()?)?;
    let ours = Ours::start(&work.path().join("data"))?;
    for root in [
        Root::busybox(work.path())?,
        Root::of_this_machine(work.path())?,
    ] {
        println!("{}", one_at_a_time(&ours, &root, work.path())?);
    }
    println!("{}", phases(&ours, &Root::busybox(work.path())?)?);
    println!(
        "{}",
        two_at_once(&ours, &Root::busybox(work.path())?, work.path())?
    );
    Ok(std::process::ExitCode::SUCCESS)
}

/// Memory, so that the disk of the machine has no part in it; where a user may write.
fn work_directory() -> Result<PathBuf, Box<dyn Error>> {
    Ok(std::env::var_os("SLIPWAY_BENCH_DIR")
        .map_or_else(|| PathBuf::from("/dev/shm"), PathBuf::from))
}

fn one_at_a_time(
    ours: &Ours,
    root: &Root,
    work: &std::path::Path,
) -> Result<String, Box<dyn Error>> {
    let floor = Floor::build(work)?;
    let image = ours.image(root)?;
    let own = [
        "minimal.c",
        "this runtime",
        "on a private network",
        "this runtime, now and then",
        "on a private network, now and then",
    ];
    let mut samples = own.map(Sample::new).into_iter().collect::<Vec<_>>();
    let mut peers = peers::all(root, work)?;
    samples.extend(peers.iter().map(|peer| Sample::new(peer.name)));
    for _ in 0..ROUNDS {
        samples[0].extend(floor.run(root, RUNS)?);
        for (sample, pause) in [(1, Duration::ZERO), (3, PAUSE)] {
            samples[sample].extend(ours.run(&image, root, RUNS, pause)?);
            samples[sample + 1].extend(ours.run_in_pod(&image, root, RUNS, pause)?);
        }
        for (peer, sample) in peers.iter_mut().zip(&mut samples[own.len()..]) {
            sample.extend(peer.run()?);
        }
    }
    Ok(sample::table(
        &format!("one container of `{}`", root.command.join(" ")),
        &samples,
    ))
}

fn phases(ours: &Ours, root: &Root) -> Result<String, Box<dyn Error>> {
    let image = ours.image(root)?;
    let mut samples = Vec::new();
    for (phase, times) in ours.phases(&image, root, RUNS * ROUNDS)? {
        let mut sample = Sample::new(phase.describe());
        sample.extend(times);
        samples.push(sample);
    }
    Ok(sample::breakdown(
        "where the time of a start goes",
        &samples,
    ))
}

fn two_at_once(ours: &Ours, root: &Root, work: &std::path::Path) -> Result<String, Box<dyn Error>> {
    let floor = Floor::build(work)?;
    let image = ours.image(root)?;
    let mut rates = [const { Vec::new() }; 4];
    for _ in 0..ROUNDS {
        rates[0].push(floor.rate(root, RUNS, 1)?);
        rates[1].push(floor.rate(root, RUNS, 2)?);
        rates[2].push(ours.rate(&image, root, RUNS, 1)?);
        rates[3].push(ours.rate(&image, root, RUNS, 2)?);
    }
    let [floor_one, floor_two, ours_one, ours_two] = rates.map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        rates[rates.len() / 2]
    });
    Ok(format!(
        "containers a second      one worker   two workers   two / one\n\
         minimal.c              {floor_one:>12.0}  {floor_two:>12.0}  {:>10.2}\n\
         this runtime           {ours_one:>12.0}  {ours_two:>12.0}  {:>10.2}\n",
        floor_two / floor_one,
        ours_two / ours_one,
    ))
}

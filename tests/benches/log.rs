//! What a step's log costs: 1,000,000 lines of 100 bytes through `agent run-local`, against the same command piped to
//! `cat >/dev/null`, in one run, so that a ratio holds whatever the machine is doing.
//!
//! `cargo bench -p system-tests --bench log`; as root or as a plain user. Runs on `image: host`; needs perl.
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROUNDS: usize = 5;

/// How a million lines can be written.
const WRITERS: [(&str, &str); 2] = [
    (
        "in large writes",
        r#"perl -e '$line = ("x" x 99) . "\n"; print $line for 1..1000000'"#,
    ),
    (
        "one write a line",
        r#"perl -e '$| = 1; $line = ("x" x 99) . "\n"; print $line for 1..1000000'"#,
    ),
];

/// One run of somebody.
#[derive(Clone, Copy)]
struct Sample {
    wall: Duration,
    /// `VmHWM` of the process itself, kibibytes; 0 where it was not looked at.
    peak: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-log");
    let agent = agent()?;
    println!(
        "{:18} {:>12} {:>12} {:>8} {:>14}",
        "1,000,000 lines", "cat, s", "slipway, s", "ratio", "peak RSS, MiB"
    );
    for (number, (name, script)) in WRITERS.into_iter().enumerate() {
        let repo = work.join(format!("repo-{number}"));
        fs::create_dir_all(&repo)?;
        let indented = script.replace('\n', "\n      ");
        let text = format!("image: host\nsteps:\n  - name: write\n    run: |\n      {indented}\n");
        fs::write(repo.join(".pipeline.yml"), text)?;
        let (mut bare, mut ours) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let (to_cat, through_us) = (to_cat(script)?, through_us(&agent, &repo, &work)?);
            // The first round warms the caches.
            if round > 0 {
                bare.push(to_cat);
                ours.push(through_us);
            }
        }
        let (bare, ours) = (median(&mut bare), median(&mut ours));
        let seconds = |sample: Sample| sample.wall.as_secs_f64();
        println!(
            "{name:18} {:>12.3} {:>12.3} {:>8.2} {:>14.1}",
            seconds(bare),
            seconds(ours),
            seconds(ours) / seconds(bare),
            f64::from(u32::try_from(ours.peak)?) / 1024.0
        );
    }
    Ok(())
}

fn to_cat(script: &str) -> Result<Sample, Box<dyn Error>> {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{script} | cat >/dev/null")]);
    time(command)
}

/// The agent's own output goes through a pipe to a `cat` as well.
fn through_us(agent: &Path, repo: &Path, work: &Path) -> Result<Sample, Box<dyn Error>> {
    let mut cat = Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let pipe = cat.stdin.take().ok_or("cat has no input")?;
    let mut command = Command::new(agent);
    command
        .arg("run-local")
        .arg(repo)
        .env("SLIPWAY_DATA", work.join("data"))
        .stdout(Stdio::from(pipe));
    let sample = time(command);
    cat.wait()?;
    sample
}

fn time(mut command: Command) -> Result<Sample, Box<dyn Error>> {
    let started = Instant::now();
    let mut child = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn()?;
    drop(command);
    let mut peak = 0;
    let status = loop {
        peak = peak_of(&child).max(peak);
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let wall = started.elapsed();
    if !status.success() {
        return Err(format!("a run ended with {status}").into());
    }
    Ok(Sample { wall, peak })
}

/// The high-water mark only grows, so the last look before the end tells it (proc(5), `VmHWM`).
fn peak_of(child: &Child) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse().ok())
        .unwrap_or(0)
}

fn median(samples: &mut [Sample]) -> Sample {
    samples.sort_by_key(|sample| sample.wall);
    samples[samples.len() / 2]
}

/// The release binary, built if need be.
fn agent() -> Result<PathBuf, Box<dyn Error>> {
    let status = Command::new(env!("CARGO"))
        .args(["build", "--release", "--quiet", "--package", "agent"])
        .status()?;
    if !status.success() {
        return Err("the agent does not build".into());
    }
    let target = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .parent()
        .ok_or("no target directory")?;
    Ok(target.join("release/agent"))
}

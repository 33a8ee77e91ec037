//! What a step's log costs: 1,000,000 lines of 100 bytes through `agent run-local`, against the same command piped to
//! `cat >/dev/null`, in one run, so that a ratio holds whatever the machine is doing. Beside it `tee FILE | cat`: what keeping
//! the log on disk costs by itself, on the same file system as ours.
//!
//! `cargo bench -p system-tests --bench log`; as root or as a plain user. Runs on `image: host`; needs perl.
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

mod release;

use std::error::Error;
use std::fs;
use std::path::Path;
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
    let agent = release::agent()?;
    println!(
        "{:18} {:>10} {:>10} {:>12} {:>8} {:>8} {:>14}",
        "1,000,000 lines", "cat, s", "tee, s", "slipway, s", "x cat", "x tee", "peak RSS, MiB"
    );
    for (number, (name, script)) in WRITERS.into_iter().enumerate() {
        let repo = work.join(format!("repo-{number}"));
        fs::create_dir_all(&repo)?;
        let indented = script.replace('\n', "\n      ");
        let text = format!("image: host\nsteps:\n  - name: write\n    run: |\n      {indented}\n");
        fs::write(repo.join(".pipeline.yml"), text)?;
        let (mut bare, mut kept, mut ours) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let to_cat = to_cat(script)?;
            let through_tee = through_tee(script, &work.join("tee.log"))?;
            let through_us = through_us(&agent, &repo, &work)?;
            // The first round warms the caches.
            if round > 0 {
                bare.push(to_cat);
                kept.push(through_tee);
                ours.push(through_us);
            }
        }
        let (bare, kept) = (median(&mut bare), median(&mut kept));
        let ours = median(&mut ours);
        let seconds = |sample: Sample| sample.wall.as_secs_f64();
        println!(
            "{name:18} {:>10.3} {:>10.3} {:>12.3} {:>8.2} {:>8.2} {:>14.1}",
            seconds(bare),
            seconds(kept),
            seconds(ours),
            seconds(ours) / seconds(bare),
            seconds(ours) / seconds(kept),
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

fn through_tee(script: &str, log: &Path) -> Result<Sample, Box<dyn Error>> {
    let _ = fs::remove_file(log);
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{script} | tee \"$0\" | cat >/dev/null")]);
    command.arg(log);
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

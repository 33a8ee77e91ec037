//! One command: its time, its processor time, and the memory of everything it started.

use std::collections::HashMap;
use std::error::Error;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{WaitOptions, getpid, set_child_subreaper, wait};

/// What one run took.
#[derive(Clone, Copy)]
pub(crate) struct Sample {
    /// Seconds.
    pub(crate) wall: f64,
    /// Seconds of processor time, of all of its processes.
    pub(crate) cpu: f64,
    /// The most memory that its processes had at one time, each page counted once for each that has it.
    pub(crate) peak_mib: f64,
}

/// Runs it to its end; `None` when it failed.
pub(crate) fn run(mut command: Command) -> Result<Option<Sample>, Box<dyn Error>> {
    set_child_subreaper(Some(getpid()))?;
    let before = children_time()?;
    let started = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak = resident(child.id()).max(peak);
        std::thread::sleep(Duration::from_millis(20));
    };
    let wall = started.elapsed().as_secs_f64();
    let cpu = children_time()? - before;
    #[expect(clippy::cast_precision_loss, reason = "some thousands")]
    let peak_mib = peak as f64 / 1024.0;
    Ok(status.success().then_some(Sample {
        wall,
        cpu,
        peak_mib,
    }))
}

/// The sample with the middle time.
pub(crate) fn median(samples: &[Sample]) -> Sample {
    let mut sorted = samples.to_vec();
    sorted.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    sorted[sorted.len() / 2]
}

/// Processor time of all children that are over, and of theirs, in seconds (`cutime` and `cstime` of
/// proc_pid_stat(5)). Those whose parents went first have come to us, since we are their reaper.
fn children_time() -> Result<f64, Box<dyn Error>> {
    // One of them is the registry, which goes on.
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    let text = fs::read_to_string("/proc/self/stat")?;
    let (_, fields) = text.rsplit_once(')').ok_or("no name in /proc/self/stat")?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks = |at: usize| -> Result<f64, Box<dyn Error>> {
        Ok(fields.get(at).ok_or("a short line")?.parse()?)
    };
    #[expect(clippy::cast_precision_loss, reason = "it is 100")]
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    Ok((ticks(13)? + ticks(14)?) / per_second)
}

/// KiB of a process and all that come from it.
fn resident(top: u32) -> u64 {
    let mut parents = HashMap::new();
    let mut sizes = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let status = fs::read_to_string(entry.path().join("status")).unwrap_or_default();
        let field = |name: &str| -> Option<u64> {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse().ok()
        };
        let parent = field("PPid:").and_then(|parent| u32::try_from(parent).ok());
        parents.insert(id, parent.unwrap_or(0));
        sizes.insert(id, field("VmRSS:").unwrap_or(0));
    }
    let descends = |mut id: u32| {
        for _ in 0..64 {
            if id == top {
                return true;
            }
            match parents.get(&id) {
                Some(parent) if *parent != 0 => id = *parent,
                _ => return false,
            }
        }
        false
    };
    sizes
        .iter()
        .filter(|(id, _)| descends(**id))
        .map(|(_, size)| size)
        .sum()
}

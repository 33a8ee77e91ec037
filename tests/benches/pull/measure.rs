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

/// Runs it to its end, with the daemon that works for it; `None` when it failed.
pub(crate) fn run(
    mut command: Command,
    daemon: Option<u32>,
) -> Result<Option<Sample>, Box<dyn Error>> {
    set_child_subreaper(Some(getpid()))?;
    let time = || Ok::<f64, Box<dyn Error>>(children_time()? + daemon.map_or(0.0, tree_time));
    let before = time()?;
    let started = Instant::now();
    let others = children(std::process::id());
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
        let beside = daemon.map_or(0, resident);
        peak = (resident(child.id()) + beside).max(peak);
        std::thread::sleep(Duration::from_millis(20));
    };
    let wall = started.elapsed().as_secs_f64();
    // What the command has left to us ends now: its time counts when it is over.
    let deadline = Instant::now() + Duration::from_secs(5);
    while children(std::process::id())
        .iter()
        .any(|id| !others.contains(id))
        && Instant::now() < deadline
    {
        children_time()?;
        std::thread::sleep(Duration::from_millis(5));
    }
    let cpu = time()? - before;
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

/// Processor time of all children that are over, and of theirs, in seconds. Those whose parents went first have come to us,
/// since we are their reaper.
fn children_time() -> Result<f64, Box<dyn Error>> {
    // One of them is the registry, which goes on.
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
    let [_, _, user, system] = times("self").ok_or("no times in /proc/self/stat")?;
    Ok(user + system)
}

/// Processor time of a process and all that come from it, and of those of their children that are over, in seconds.
fn tree_time(top: u32) -> f64 {
    let all = tree(top);
    all.iter()
        .filter_map(|id| times(&id.to_string()))
        .map(|times| times.iter().sum::<f64>())
        .sum()
}

/// `utime`, `stime`, `cutime` and `cstime` of proc_pid_stat(5), in seconds.
fn times(process: &str) -> Option<[f64; 4]> {
    let text = fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    #[expect(clippy::cast_precision_loss, reason = "it is 100")]
    let per_second = rustix::param::clock_ticks_per_second() as f64;
    let mut ticks = fields.split_whitespace().skip(11);
    let mut next = || Some(ticks.next()?.parse::<f64>().ok()? / per_second);
    Some([next()?, next()?, next()?, next()?])
}

/// KiB of a process and all that come from it.
fn resident(top: u32) -> u64 {
    let all = tree(top);
    all.iter().filter_map(|id| field(*id, "VmRSS:")).sum()
}

/// Those whose parent a process is.
fn children(process: u32) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{process}/task"));
    let lists = tasks.into_iter().flatten().flatten();
    let lists = lists.map(|task| fs::read_to_string(task.path().join("children")));
    let lists = lists.map(Result::unwrap_or_default).collect::<Vec<_>>();
    let words = lists.iter().flat_map(|list| list.split_whitespace());
    words.filter_map(|id| id.parse().ok()).collect()
}

/// A process and all that come from it.
fn tree(top: u32) -> Vec<u32> {
    let mut parents = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        if let Some(id) = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok())
        {
            let parent = field(id, "PPid:").and_then(|parent| u32::try_from(parent).ok());
            parents.insert(id, parent.unwrap_or(0));
        }
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
    parents.keys().copied().filter(|id| descends(*id)).collect()
}

/// A number of a process's `status`.
fn field(process: u32, name: &str) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

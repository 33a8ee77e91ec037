//! What a step costs: a job of 100 steps of `true` in a Debian root, against a bare process and against other runtimes,
//! all in one run, so that a ratio holds whatever the machine is doing.
//!
//! `cargo bench -p system-tests --bench steps`; as root or as a plain user. Needs mmdebstrap once; peers that are not
//! installed, or do not work for this user, are left out and named.
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

mod release;

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// Steps of our job, and processes of a round of the cheap peers.
const STEPS: u32 = 100;
/// Rounds; each measures everybody once.
const ROUNDS: usize = 5;

/// crun 1.8 refuses hybrid cgroups: in a mount namespace without the second tree it takes the machine for a plain v1 one.
const PLAIN_V1: &str = "umount /sys/fs/cgroup/unified 2>/dev/null";

/// Somebody who can run `true` in the root.
struct Contender {
    name: &'static str,
    /// Runs of a round; expensive ones do fewer.
    runs: u32,
    command: Box<dyn Fn() -> Command>,
    /// One process runs all the steps.
    whole_job: bool,
    samples: Vec<Duration>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-steps");
    fs::create_dir_all(&work)?;
    let root = debian(&work)?;
    let agent = release::agent()?;
    let repo = repository(&work, &work.join("debian.tar"))?;
    let mut contenders = contenders(&root, &work, &agent, &repo)?;

    // The first run unpacks the image and warms every cache; whoever fails it is out.
    contenders.retain(|contender| {
        let works = run(contender).is_ok();
        if !works {
            println!(
                "left out: {} (not installed, or refuses to run here)",
                contender.name
            );
        }
        works
    });
    for _ in 0..ROUNDS {
        for contender in &mut contenders {
            let sample = run(contender)?;
            contender.samples.push(sample);
        }
    }
    println!("{}", table(&contenders));
    Ok(())
}

/// The time of one step.
fn run(contender: &Contender) -> Result<Duration, Box<dyn Error>> {
    let started = Instant::now();
    let processes = if contender.whole_job {
        1
    } else {
        contender.runs
    };
    for _ in 0..processes {
        let status = (contender.command)()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if !status.success() {
            return Err(format!("{} ended with {status}", contender.name).into());
        }
    }
    Ok(started.elapsed() / contender.runs)
}

fn contenders(
    root: &Path,
    work: &Path,
    agent: &Path,
    repo: &Path,
) -> Result<Vec<Contender>, Box<dyn Error>> {
    let mut all = Vec::new();
    let mut add = |name, runs, whole_job, command: Box<dyn Fn() -> Command>| {
        all.push(Contender {
            name,
            runs,
            command,
            whole_job,
            samples: Vec::new(),
        });
    };
    add(
        "fork + exec of `true`",
        STEPS,
        false,
        Box::new(|| Command::new("/bin/true")),
    );
    let (program, repo, data) = (agent.to_owned(), repo.to_owned(), work.join("data"));
    add(
        "slipway, whole `run-local`",
        STEPS,
        true,
        Box::new(move || {
            let mut command = Command::new(&program);
            command
                .args(["run-local", "--quiet", "--network", "none"])
                .arg(&repo);
            command.env("SLIPWAY_DATA", &data);
            command
        }),
    );
    let dir = root.to_owned();
    add(
        "bwrap --unshare-all",
        STEPS,
        false,
        Box::new(move || {
            let mut command = Command::new("bwrap");
            command
                .arg("--unshare-all")
                .arg("--bind")
                .arg(&dir)
                .arg("/");
            command.args([
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "--tmpfs",
                "/tmp",
                "/bin/true",
            ]);
            command
        }),
    );
    let bundle = bundle(work, root)?;
    add(
        "crun run",
        30,
        false,
        Box::new(move || {
            let mut command = Command::new("unshare");
            let script =
                format!("{PLAIN_V1}; cd \"$0\" && exec crun --cgroup-manager=disabled run bench$$");
            command.args(["-m", "sh", "-c", &script]).arg(&bundle);
            command
        }),
    );
    let dir = root.to_owned();
    add(
        "podman run --rm --network none",
        5,
        false,
        Box::new(move || {
            let mut command = Command::new("unshare");
            // The limits podman would raise are this shell's own: not every root may raise them.
            let script = format!(
                "{PLAIN_V1}; exec podman run --rm --network none --ulimit nofile=1024:1024 \
                 --ulimit nproc=1024:1024 --rootfs \"$0\" /bin/true"
            );
            command.args(["-m", "sh", "-c", &script]).arg(&dir);
            command
        }),
    );
    Ok(all)
}

/// A minimal Debian, as an archive for us and unpacked for the others.
fn debian(work: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let (archive, root) = (work.join("debian.tar"), work.join("root"));
    if !archive.exists() {
        let partial = work.join("debian.tar.partial");
        let status = Command::new("mmdebstrap")
            .args(["--quiet", "--variant=minbase", "--format=tar", "bookworm"])
            .arg(&partial)
            .status()?;
        if !status.success() {
            return Err("mmdebstrap cannot make a Debian root".into());
        }
        fs::rename(&partial, &archive)?;
    }
    if !root.exists() {
        fs::create_dir_all(&root)?;
        // As a plain user device nodes are refused; nobody here needs them.
        Command::new("tar")
            .arg("-xf")
            .arg(&archive)
            .arg("-C")
            .arg(&root)
            .args(["--exclude=./dev/*"])
            .status()?;
    }
    Ok(root)
}

/// A repository whose one job has [`STEPS`] steps.
fn repository(work: &Path, archive: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let repo = work.join("repo");
    fs::create_dir_all(&repo)?;
    let mut text = format!("image: tar:{}\nsteps:\n", archive.display());
    for step in 0..STEPS {
        writeln!(
            text,
            "  - {{ name: s{step}, run: 'true', shell: [/bin/true] }}"
        )?;
    }
    fs::write(repo.join(".pipeline.yml"), text)?;
    Ok(repo)
}

/// An OCI bundle with the root.
fn bundle(work: &Path, root: &Path) -> Result<PathBuf, Box<dyn Error>> {
    let bundle = work.join("bundle");
    fs::create_dir_all(&bundle)?;
    let config = bundle.join("config.json");
    if !config.exists() {
        let mut spec = Command::new("crun");
        spec.arg("spec").current_dir(&bundle);
        let is_root = fs::metadata("/proc/self")
            .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
        if !is_root {
            spec.arg("--rootless");
        }
        if spec.status().is_ok_and(|status| status.success()) {
            let text = fs::read_to_string(&config)?
                .replace("\"terminal\": true", "\"terminal\": false")
                .replace("\"sh\"", "\"/bin/true\"")
                .replace(
                    "\"path\": \"rootfs\"",
                    &format!("\"path\": \"{}\"", root.display()),
                );
            fs::write(&config, text)?;
        }
    }
    Ok(bundle)
}

fn table(contenders: &[Contender]) -> String {
    let median = |contender: &Contender| {
        let mut sorted = contender.samples.clone();
        sorted.sort();
        sorted
            .get(sorted.len() / 2)
            .copied()
            .unwrap_or_default()
            .as_secs_f64()
            * 1e3
    };
    let range = |contender: &Contender| {
        let of =
            |sample: Option<&Duration>| sample.copied().unwrap_or_default().as_secs_f64() * 1e3;
        (
            of(contender.samples.iter().min()),
            of(contender.samples.iter().max()),
        )
    };
    let base = contenders.first().map_or(1.0, median);
    let ours = contenders.get(1).map_or(1.0, median);
    let mut text = format!(
        "{:32} {:>10} {:>17} {:>14} {:>10}\n",
        "one step of `true`", "median ms", "min .. max", "x fork+exec", "x slipway"
    );
    for contender in contenders {
        let (low, high) = range(contender);
        let ms = median(contender);
        let _ = writeln!(
            text,
            "{:32} {ms:>10.2} {:>17} {:>14.1} {:>10.2}",
            contender.name,
            format!("{low:.2} .. {high:.2}"),
            ms / base,
            ms / ours
        );
    }
    text
}

//! `minimal.c`: what the kernel takes.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runtime::security::seccomp::{Options, Program};

use crate::root::Root;

/// The compiled program and what it needs.
pub(crate) struct Floor {
    program: PathBuf,
    filter: PathBuf,
    work: PathBuf,
}

impl Floor {
    /// Compiles it with the machine's `cc`, and writes down the system calls that this runtime allows, for it to allow.
    pub(crate) fn build(work: &Path) -> Result<Self, Box<dyn Error>> {
        let floor = Self {
            program: work.join("minimal"),
            filter: work.join("filter.bpf"),
            work: work.join("mnt"),
        };
        std::fs::create_dir_all(&floor.work)?;
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/start/minimal.c");
        let compiled = Command::new("cc")
            .args(["-O2", "-o"])
            .arg(&floor.program)
            .arg(source)
            .status()?;
        if !compiled.success() {
            return Err("the floor does not compile".into());
        }
        let program = Program::default_profile(&Options::default());
        let bytes: Vec<u8> = program
            .instructions()
            .iter()
            .flat_map(|one| {
                let [low, high] = one.code.to_ne_bytes();
                let [a, b, c, d] = one.k.to_ne_bytes();
                [low, high, one.jt, one.jf, a, b, c, d]
            })
            .collect();
        std::fs::write(&floor.filter, bytes)?;
        Ok(floor)
    }

    /// The times of `runs` containers, one after the other.
    pub(crate) fn run(&self, root: &Root, runs: usize) -> Result<Vec<Duration>, Box<dyn Error>> {
        times(self.spawn(root, runs)?)
    }

    /// Containers a second with so many workers.
    pub(crate) fn rate(
        &self,
        root: &Root,
        runs: usize,
        workers: usize,
    ) -> Result<f64, Box<dyn Error>> {
        let children: Vec<_> = (0..workers)
            .map(|_| self.spawn(root, runs))
            .collect::<Result<_, _>>()?;
        let mut rate = 0.0;
        for child in children {
            let took: Duration = times(child)?.iter().sum();
            #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
            let runs = runs as f64;
            rate += runs / took.as_secs_f64();
        }
        Ok(rate)
    }

    fn spawn(&self, root: &Root, runs: usize) -> Result<Child, Box<dyn Error>> {
        let mut command = Command::new(&self.program);
        command
            .arg(&root.tree)
            .arg(&self.work)
            .arg(&self.filter)
            .arg(runs.to_string())
            .args(&root.command);
        Ok(command.stdout(Stdio::piped()).spawn()?)
    }
}

fn times(child: Child) -> Result<Vec<Duration>, Box<dyn Error>> {
    let done = child.wait_with_output()?;
    if !done.status.success() {
        return Err("the floor does not run here".into());
    }
    String::from_utf8(done.stdout)?
        .lines()
        .map(|line| Ok(Duration::from_nanos(line.parse()?)))
        .collect()
}

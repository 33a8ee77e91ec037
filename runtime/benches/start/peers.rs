//! Other runtimes, as the processes a user would start.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::root::Root;

/// crun 1.8 refuses hybrid cgroups: in a mount namespace without the second tree it takes the machine for a plain v1 one.
const PLAIN_V1: &str = "umount /sys/fs/cgroup/unified 2>/dev/null";

/// Somebody who can run the command in the root.
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    runs: usize,
    program: &'static str,
    arguments: Vec<String>,
}

impl Peer {
    /// The times of a round.
    pub(crate) fn run(&mut self) -> Result<Vec<Duration>, Box<dyn Error>> {
        (0..self.runs).map(|_| self.once()).collect()
    }

    fn once(&self) -> Result<Duration, Box<dyn Error>> {
        let from = Instant::now();
        let status = Command::new(self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        let took = from.elapsed();
        if status.success() {
            Ok(took)
        } else {
            Err(format!("{} ended with {status}", self.name).into())
        }
    }
}

/// Those that are installed and work for this user; the others are named.
pub(crate) fn all(root: &Root, work: &Path) -> Result<Vec<Peer>, Box<dyn Error>> {
    let tree = root.tree.display().to_string();
    let mut bubblewrap: Vec<String> = ["--unshare-all", "--bind", &tree, "/"]
        .into_iter()
        .chain(["--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp"])
        .map(ToOwned::to_owned)
        .collect();
    bubblewrap.extend_from_slice(&root.command);
    let shell = |script: String, rest: &[String]| -> Vec<String> {
        let mut all = vec!["-m".to_owned(), "sh".to_owned(), "-c".to_owned(), script];
        all.extend_from_slice(rest);
        all
    };
    let bundle = bundle(work, root)?.display().to_string();
    let mut podman = vec![tree];
    podman.extend_from_slice(&root.command);
    let mut docker = vec![format!("slipway-bench-{}", root.name)];
    docker.extend_from_slice(&podman);
    let peers = vec![
        Peer {
            name: "bwrap --unshare-all",
            runs: 15,
            program: "bwrap",
            arguments: bubblewrap,
        },
        Peer {
            name: "crun run, no cgroup",
            runs: 6,
            program: "unshare",
            arguments: shell(
                format!("{PLAIN_V1}; cd \"$0\" && exec crun --cgroup-manager=disabled run bench$$"),
                std::slice::from_ref(&bundle),
            ),
        },
        Peer {
            name: "runc run",
            runs: 4,
            program: "unshare",
            arguments: shell(
                format!("{PLAIN_V1}; cd \"$0\" && exec runc run bench$$"),
                std::slice::from_ref(&bundle),
            ),
        },
        Peer {
            name: "podman run --rm --network none",
            runs: 2,
            program: "unshare",
            // The limits podman would raise are this shell's own: not every root may raise them.
            arguments: shell(
                format!(
                    "{PLAIN_V1}; exec podman run --rm --network none --ulimit nofile=1024:1024 \
                     --ulimit nproc=1024:1024 --rootfs \"$0\" \"$@\""
                ),
                &podman,
            ),
        },
        Peer {
            name: "docker run --rm --network none",
            runs: 2,
            program: "sh",
            arguments: [
                "-c",
                "docker image inspect \"$0\" >/dev/null 2>&1 || tar -C \"$1\" -c . | docker import - \"$0\"; image=$0; shift
                 exec docker run --rm --network none \"$image\" \"$@\"",
            ]
            .into_iter()
            .map(ToOwned::to_owned)
            .chain(docker)
            .collect(),
        },
    ];
    let (works, others): (Vec<_>, Vec<_>) = peers.into_iter().partition(|peer| peer.once().is_ok());
    for peer in others {
        println!(
            "left out: {} (not installed, or refuses to run here)",
            peer.name
        );
    }
    Ok(works)
}

/// An OCI bundle with the root.
fn bundle(work: &Path, root: &Root) -> Result<PathBuf, Box<dyn Error>> {
    let bundle = work.join(format!("bundle-{}", root.name));
    std::fs::create_dir_all(&bundle)?;
    let mut spec = Command::new("crun");
    spec.arg("spec").current_dir(&bundle);
    let is_root = std::fs::metadata("/proc/self")
        .is_ok_and(|meta| std::os::unix::fs::MetadataExt::uid(&meta) == 0);
    if !is_root {
        spec.arg("--rootless");
    }
    if spec
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
    {
        let config = bundle.join("config.json");
        let command = root.command.iter().map(|word| format!("\"{word}\""));
        let text = std::fs::read_to_string(&config)?
            .replace("\"terminal\": true", "\"terminal\": false")
            .replace("\"sh\"", &command.collect::<Vec<_>>().join(", "))
            .replace(
                "\"path\": \"rootfs\"",
                &format!("\"path\": \"{}\"", root.tree.display()),
            );
        std::fs::write(&config, text)?;
    }
    Ok(bundle)
}

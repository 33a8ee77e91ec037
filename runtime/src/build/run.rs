//! `RUN`: a container on the layers so far, whose writes become the next one.

use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use super::stage::{Stage, joined};
use super::{BuildFailure, Connection, FailureKind, News, Refusal};
use crate::container::{
    ContainerSpec, Exceeded, Exit, ExitStatus, Layers, Mount, MountSource, Network, Process,
    Rootfs, Shared, Writable,
};
use crate::dockerfile::{Instruction, Place, Run, RunNetwork};
use crate::zygote::Zygote;

/// What the container is called in itself.
const HOSTNAME: &str = "build";

impl Stage<'_> {
    pub(super) async fn run(
        &mut self,
        instruction: &Instruction,
        run: &Run,
    ) -> Result<(), BuildFailure> {
        let place = instruction.words_place;
        let argv = self.words(&run.command);
        if self.draft.layers.is_empty() {
            let message = "there is nothing to run: the image has no files yet";
            return Err(BuildFailure::mistake(place, message));
        }
        let env = self.environment();
        let scratch = self.scratch(run)?;
        // What a command fetches depends on how it gets there: who comes by another way, or by none, is not given what came by this.
        let way = (run.network != RunNetwork::None).then(|| {
            let proxies: Vec<_> = self.globals.proxies().collect();
            (self.tools.host.network_key(), proxies)
        });
        let key = self.key(&serde_json::json!({
            "run": argv,
            "env": env,
            "user": self.draft.user,
            "directory": self.draft.directory,
            "network": way,
            "host": run.network == RunNetwork::Host,
            "scratch": scratch,
        }));
        let made = match self.cached(&key, place).await? {
            Some(made) => made,
            None => {
                let number = self.tools.zygote.fresh();
                let shown = run.command.args.join(" ");
                let ran = self
                    .container(argv, env, &scratch, number, run.network, place)
                    .await
                    .and_then(|exit| ended(&shown, exit, place));
                let layer = match ran {
                    Ok(()) => {
                        let targets = scratch.iter().map(|mount| mount.target.clone());
                        self.commit(number, Some(targets.collect()), place).await
                    }
                    Err(failure) => Err(failure),
                };
                self.tools.zygote.forget(number).await;
                self.keep(&key, Some(layer?), place)?
            }
        };
        self.record(&instruction.source, &made);
        Ok(())
    }

    /// Directories in memory.
    fn scratch(&self, run: &Run) -> Result<Vec<Mount>, BuildFailure> {
        /// Where it is not said.
        const SIZE: u64 = 1 << 30;
        let mounts = run.scratch.iter().map(|scratch| {
            let target = self.expand(&scratch.target, scratch.place)?;
            Ok(Mount {
                source: MountSource::Tmpfs {
                    size: scratch.size.unwrap_or(SIZE),
                },
                target: joined(&self.draft.directory, &target).into(),
                read_only: false,
            })
        });
        mounts.collect()
    }

    /// What the image says, and what it is built with where the image says nothing.
    fn environment(&self) -> Vec<(String, String)> {
        let mut env = self.draft.env.clone();
        for (name, value) in self.args.all() {
            if self.draft.env(name).is_none() {
                env.push((name.clone(), value.clone()));
            }
        }
        env
    }

    async fn container(
        &self,
        argv: Vec<String>,
        mut env: Vec<(String, String)>,
        scratch: &[Mount],
        number: u64,
        network: RunNetwork,
        place: Place,
    ) -> Result<Exit, BuildFailure> {
        for (name, value) in self.globals.proxies() {
            if !env.iter().any(|(other, _)| other == name) {
                env.push((name.to_owned(), value.to_owned()));
            }
        }
        let connection = self.connection(network, place).await?;
        let spec = ContainerSpec {
            hostname: HOSTNAME.to_owned(),
            rootfs: Rootfs::Layers(Layers {
                layers: self.draft.root(),
                writable: Writable::Kept(number),
                read_only: false,
            }),
            mounts: scratch.to_vec(),
            files: Vec::new(),
            exchange: Vec::new(),
            process: Process {
                argv,
                env,
                cwd: PathBuf::from(&self.draft.directory),
                create_cwd: true,
                user: self.draft.user.clone(),
                nesting: false,
                privileges: None,
            },
            network: match connection {
                Connection::None => Network::None,
                Connection::Host => Network::Host,
                Connection::Private(_) => Network::Pod,
            },
            shared: Shared::default(),
            resources: self.tools.host.resources(),
        };
        let io = |error: std::io::Error| BuildFailure::internal(place, &error);
        let (reader, writer) = super::copy::pipe(place)?;
        let again = writer.try_clone().map_err(io)?;
        let nothing = OwnedFd::from(File::open("/dev/null").map_err(io)?);
        let streams = [nothing, writer, again];
        let zygote = self.tools.zygote;
        let started = match &connection {
            Connection::Private(interface) => zygote.start_in(interface, &spec, streams).await,
            Connection::None | Connection::Host => zygote.start(&spec, streams).await,
        };
        let mut container = started.map_err(|error| BuildFailure::request(place, &error))?;
        let output = pipe::Receiver::from_owned_fd(reader).map_err(io)?;
        let handle = container.handle().try_clone().map_err(io)?;
        // Whatever ends the command ends all who could still write.
        let finished = futures_util::future::join(container.wait(), self.tell(output));
        let mut finished = std::pin::pin!(finished);
        let mut is_overfilled = false;
        let (exit, copied) = tokio::select! {
            done = &mut finished => done,
            () = overfilled(zygote, number, spec.resources.disk) => {
                is_overfilled = true;
                // One that is gone needs no signal.
                let _ = handle.signal(libc::SIGKILL);
                finished.await
            }
        };
        let mut exit = exit.map_err(|error| BuildFailure::internal(place, &error))?;
        if is_overfilled {
            exit.exceeded = Some(Exceeded::Disk);
        }
        copied.map_err(io)?;
        Ok(exit)
    }

    async fn tell(&self, mut output: pipe::Receiver) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            match output.read(&mut buffer).await? {
                0 => return Ok(()),
                count => self.tools.host.say(News::Output(&buffer[..count])),
            }
        }
    }

    async fn connection(
        &self,
        network: RunNetwork,
        place: Place,
    ) -> Result<Connection, BuildFailure> {
        if network == RunNetwork::None {
            return Ok(Connection::None);
        }
        let refused = |Refusal { kind, message }| {
            let problem = crate::dockerfile::Problem::new(place, message);
            BuildFailure::new(kind, problem)
        };
        let connection = self.tools.host.network().await.map_err(refused)?;
        if network == RunNetwork::Host && !matches!(connection, Connection::Host) {
            let problem = crate::dockerfile::Problem::new(
                place,
                "`RUN --network=host` is not allowed: the build has another network",
            );
            let problem = problem.help("build it with `--network host`");
            return Err(BuildFailure::new(FailureKind::Dockerfile, problem));
        }
        Ok(connection)
    }
}

/// Returns when more than `limit` bytes are kept under a number. What is written between two looks is too much.
async fn overfilled(zygote: &Zygote, number: u64, limit: Option<u64>) {
    /// Measuring takes as long as there are files: at most one part in so many of the time.
    const SHARE: u32 = 10;
    const INTERVAL: Duration = Duration::from_millis(200);
    let Some(limit) = limit else {
        return std::future::pending().await;
    };
    let mut pause = INTERVAL;
    loop {
        tokio::time::sleep(pause).await;
        let begun = Instant::now();
        if zygote
            .kept_bytes(number)
            .await
            .is_ok_and(|bytes| bytes > limit)
        {
            return;
        }
        pause = INTERVAL.max(begun.elapsed() * SHARE);
    }
}

fn ended(command: &str, exit: Exit, place: Place) -> Result<(), BuildFailure> {
    let shown: String = command
        .lines()
        .next()
        .unwrap_or("")
        .chars()
        .take(80)
        .collect();
    let how = match exit.status {
        ExitStatus::Code(0) => return Ok(()),
        ExitStatus::Code(code) => format!("ended with exit code {code}"),
        ExitStatus::Signal(number) => format!("was killed by signal {number}"),
    };
    let why = match exit.exceeded {
        None => "",
        Some(Exceeded::Memory) => ": it ran out of memory",
        Some(Exceeded::Pids) => ": it could not make another process",
        Some(Exceeded::Disk) => ": it had no more room to write to its root",
    };
    let message = format!("`{shown}` {how}{why}");
    Err(BuildFailure::instruction(place, message))
}

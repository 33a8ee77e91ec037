//! This runtime, through what it offers to everybody.

use std::collections::BTreeMap;
use std::error::Error;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use runtime::container::{
    ContainerSpec, ExitStatus, Layers, Network, Phase, Process, Resources, Rootfs, Shared, Writable,
};
use runtime::image::Source;
use runtime::network::{Pod, Policy, default_pools};
use runtime::registry::Settings;
use runtime::store::Store;
use runtime::zygote::Zygote;
use tokio::runtime::Runtime;

use crate::root::Root;

/// A running zygote and a store.
pub(crate) struct Ours {
    zygote: Zygote,
    store: Store,
    runtime: Runtime,
}

impl Ours {
    pub(crate) fn start(data: &Path) -> Result<Self, Box<dyn Error>> {
        std::fs::create_dir_all(data)?;
        let zygote = Zygote::spawn(data)?;
        let store = Store::open(&data.join("images"), &zygote.directory().join("layers"))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()?;
        Ok(Self {
            zygote,
            store,
            runtime,
        })
    }

    /// The layers of a root.
    pub(crate) fn image(&self, root: &Root) -> Result<Vec<String>, Box<dyn Error>> {
        let source: Source = format!("tar:{}", root.archive.display()).parse()?;
        let settings = Settings::default();
        let pulled = self.store.pull(&source, &settings, &self.zygote, &|_| ());
        let image = self.runtime.block_on(pulled)?;
        Ok(image
            .layers
            .iter()
            .map(|name| format!("layers/{name}"))
            .collect())
    }

    /// The times of `runs` containers, one after the other, with so long in between.
    pub(crate) fn run(
        &self,
        layers: &[String],
        root: &Root,
        runs: usize,
        pause: Duration,
    ) -> Result<Vec<Duration>, Box<dyn Error>> {
        let spec = specification(layers, root);
        self.runtime
            .block_on(worker(&self.zygote, &spec, runs, pause))
    }

    /// The same, each with a place in a private network.
    pub(crate) fn run_in_pod(
        &self,
        layers: &[String],
        root: &Root,
        runs: usize,
        pause: Duration,
    ) -> Result<Vec<Duration>, Box<dyn Error>> {
        let spec = ContainerSpec {
            network: Network::Pod,
            ..specification(layers, root)
        };
        self.runtime.block_on(async {
            let pod = Pod::open(&self.zygote, &default_pools(), usize::MAX).await?;
            let mut times = Vec::with_capacity(runs);
            for _ in 0..runs {
                tokio::time::sleep(pause).await;
                let from = Instant::now();
                let interface = pod.attach().await?;
                interface.admit(Policy::Everything, None);
                let started = self.zygote.start_in(&interface, &spec, streams()?);
                let exit = started.await?.wait().await?;
                times.push(from.elapsed());
                if exit.status != ExitStatus::Code(0) {
                    return Err(format!("the command ended with {:?}", exit.status).into());
                }
            }
            Ok(times)
        })
    }

    /// How long each phase of a start took, of `runs` containers.
    pub(crate) fn phases(
        &self,
        layers: &[String],
        root: &Root,
        runs: usize,
    ) -> Result<BTreeMap<Phase, Vec<Duration>>, Box<dyn Error>> {
        let spec = specification(layers, root);
        let mut phases: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for _ in 0..runs {
            let start = self.zygote.start(&spec, streams()?);
            let mut container = self.runtime.block_on(start)?;
            for (phase, took) in container.trace().phases() {
                phases.entry(phase).or_default().push(took);
            }
            let _ = self.runtime.block_on(container.wait())?;
        }
        Ok(phases)
    }

    /// Containers a second with so many workers on the one zygote.
    pub(crate) fn rate(
        &self,
        layers: &[String],
        root: &Root,
        runs: usize,
        workers: usize,
    ) -> Result<f64, Box<dyn Error>> {
        let spec = specification(layers, root);
        let from = Instant::now();
        self.runtime.block_on(futures_util::future::try_join_all(
            (0..workers).map(|_| worker(&self.zygote, &spec, runs, Duration::ZERO)),
        ))?;
        #[expect(clippy::cast_precision_loss, reason = "some hundreds")]
        let all = (runs * workers) as f64;
        Ok(all / from.elapsed().as_secs_f64())
    }
}

async fn worker(
    zygote: &Zygote,
    spec: &ContainerSpec,
    runs: usize,
    pause: Duration,
) -> Result<Vec<Duration>, Box<dyn Error>> {
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        tokio::time::sleep(pause).await;
        let from = Instant::now();
        let mut container = zygote.start(spec, streams()?).await?;
        let exit = container.wait().await?;
        times.push(from.elapsed());
        if exit.status != ExitStatus::Code(0) {
            return Err(format!("the command ended with {:?}", exit.status).into());
        }
    }
    Ok(times)
}

fn streams() -> Result<[OwnedFd; 3], Box<dyn Error>> {
    let null = || File::options().read(true).write(true).open("/dev/null");
    Ok([null()?.into(), null()?.into(), null()?.into()])
}

fn specification(layers: &[String], root: &Root) -> ContainerSpec {
    ContainerSpec {
        hostname: root.name.to_owned(),
        rootfs: Rootfs::Layers(Layers {
            layers: layers.to_vec(),
            writable: Writable::Memory,
            read_only: false,
        }),
        mounts: Vec::new(),
        files: Vec::new(),
        exchange: Vec::new(),
        process: Process {
            nesting: false,
            privileges: None,
            argv: root.command.clone(),
            env: vec![("PATH".to_owned(), "/usr/bin:/bin".to_owned())],
            cwd: "/".into(),
            create_cwd: false,
            user: None,
        },
        network: Network::None,
        shared: Shared::default(),
        resources: Resources::default(),
    }
}

//! Containers, from the agent's request to the news that they run, or could.

use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};

use super::Zygote;
use super::request::{
    RequestError, memory_file, next, not_sent, out_of_turn, request_on, with_streams,
};
use super::start::Start;
use super::wire::{Reply, Request};
use crate::cgroup::{Entry, Lease};
use crate::container::handle::Membership;
use crate::container::limits::OwnLimits;
use crate::container::memory_watch::MemoryWatch;
use crate::container::namespaces::Namespaces;
use crate::container::{
    Container, ContainerHandle, ContainerSpec, Created, Exit, Phase, Resources, Rootfs, Spare,
    StartError, Streams, Trace, Writable,
};
use crate::message::Connection;
use crate::network::Interface;
use crate::network::pod::PodSpec;

impl Zygote {
    /// Starts a container; returns when its command has been executed.
    ///
    /// # Errors
    /// See [`RequestError`]; a command that cannot be executed is [`RequestError::Refused`].
    pub async fn start(
        &self,
        spec: &ContainerSpec,
        streams: impl Into<Streams>,
    ) -> Result<Container, RequestError> {
        self.launch(spec, streams.into(), None, false).await
    }

    /// Starts a container that has a place in a private network; `network` of its specification says so.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn start_in(
        &self,
        interface: &Interface,
        spec: &ContainerSpec,
        streams: impl Into<Streams>,
    ) -> Result<Container, RequestError> {
        self.launch(spec, streams.into(), Some(interface), false)
            .await
    }

    /// Makes a container up to the point where only its command is missing.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn create(
        &self,
        spec: &ContainerSpec,
        streams: impl Into<Streams>,
    ) -> Result<Created, RequestError> {
        let container = self.launch(spec, streams.into(), None, true).await?;
        Ok(Created::new(container))
    }

    /// Builds a container like this one as far as that goes without its command; `None` where its command decides too much.
    ///
    /// # Errors
    /// See [`RequestError`].
    pub async fn prepare(
        &self,
        interface: Option<&Interface>,
        spec: &ContainerSpec,
    ) -> Result<Option<Spare>, RequestError> {
        let Some(shape) = spec.shape() else {
            return Ok(None);
        };
        let nothing = || File::open("/dev/null").map(OwnedFd::from).map_err(not_sent);
        let streams = [nothing()?, nothing()?, nothing()?];
        let container = self.launch(&shape, streams.into(), interface, true);
        let created = Created::new(container.await?);
        Ok(Some(Spare::new(shape, created)))
    }

    async fn launch(
        &self,
        spec: &ContainerSpec,
        streams: Streams,
        interface: Option<&Interface>,
        held: bool,
    ) -> Result<Container, RequestError> {
        let mut trace = Trace::asked();
        let has_terminal = streams.terminal().is_some();
        let namespaces = Namespaces::of(spec);
        let own = OwnLimits::of(&spec.resources, &self.enforcement);
        let joined = interface.map(Interface::joined);
        let spec_file = memory_file(&(spec, own, joined)).map_err(|source| RequestError::Io {
            operation: "pass the container's specification",
            source,
        })?;
        let lease = self.group(&spec.resources).await?;
        let entry = lease.as_ref().and_then(Lease::entry);
        let request = Request::Start(Start {
            namespaces,
            writable: writable(&spec.rootfs),
            upper: match writable(&spec.rootfs) {
                Some(Writable::Kept(number)) => self.kept(number),
                _ => self.upper(&format!("root.{}", self.fresh())),
            },
            disk: bound_of_upper(spec),
            terminal: streams.terminal(),
            grouped: matches!(entry, Some(Entry::Directory(_))),
            joined: interface.is_some(),
            held,
        });
        let mut fds = with_streams(vec![spec_file.as_fd()], &streams);
        fds.extend(interface.map(AsFd::as_fd));
        let replies = match entry {
            Some(Entry::Helper(helper)) => request_on(&helper.socket, &request, &fds),
            Some(Entry::Directory(group)) => {
                fds.push(group.as_fd());
                self.request(&request, &fds).await
            }
            None => self.request(&request, &fds).await,
        };
        drop((spec_file, streams));
        match ready(replies?, &mut trace).await {
            Ok((init, replies, files, exit)) => {
                let handle = ContainerHandle {
                    init,
                    namespaces,
                    group: match &lease {
                        Some(lease) => Membership::of(lease).map_err(not_sent)?,
                        None => None,
                    },
                };
                trace.mark(Phase::Told);
                let watch = MemoryWatch::of(&spec.resources, &self.enforcement);
                let container =
                    Container::new(handle, replies, files, has_terminal, exit, trace, lease);
                Ok(container.watched(watch))
            }
            Err(error) => Err(too_low(&spec.resources, lease.as_ref()).unwrap_or(error)),
        }
    }

    /// Has a private network's process forked: the socket it answers on and takes orders from.
    pub(crate) async fn open_pod(&self, spec: &PodSpec) -> Result<Connection, RequestError> {
        self.request(&Request::Pod(*spec), &[]).await
    }

    /// A control group held to `resources`, where there are any.
    async fn group(&self, resources: &Resources) -> Result<Option<Lease>, RequestError> {
        let Some(groups) = &self.groups else {
            return Ok(None);
        };
        let mut lease = groups.take().await?;
        match (lease.limit(resources), resources.memory) {
            (Err(error), Some(bytes)) if error.is_busy() => Err(StartError::LimitTooLow {
                limit: of_memory(bytes),
            }
            .into()),
            (result, _) => Ok(result.map(|()| Some(lease))?),
        }
    }
}

/// Waits until a container's command runs, or could: its first process, where its end will be told, the files that come with
/// it, and its end, if that was told before.
async fn ready(
    replies: Connection,
    trace: &mut Trace,
) -> Result<(OwnedFd, Connection, Vec<OwnedFd>, Option<Exit>), RequestError> {
    // Whoever clones tells that it has, the container that it runs and that it is over: two senders, in any order.
    let (mut init, mut runs, mut exit) = (None, None, None);
    loop {
        match next(&replies).await? {
            (Reply::Cloned, fds) => init = fds.into_iter().next(),
            (Reply::Running(inside) | Reply::Created(inside), files) => {
                trace.merge(inside);
                runs = Some(files);
            }
            (Reply::Exited(early), _) => exit = Some(early),
            (Reply::Failed(error), _) => return Err(error.into()),
            (other @ Reply::Done(_), _) => {
                return Err(out_of_turn(&format!("{other:?} came out of turn")));
            }
        }
        if let Some(init) = init.take_if(|_| runs.is_some()) {
            return Ok((init, replies, runs.take().unwrap_or_default(), exit));
        }
    }
}

/// Whether it was a limit that kept a container from starting.
pub(crate) fn too_low(resources: &Resources, lease: Option<&Lease>) -> Option<RequestError> {
    let reading = lease?.group()?.read();
    let limit = match (resources.memory, resources.pids) {
        (Some(bytes), _) if reading.oom_kills > 0 => of_memory(bytes),
        (_, Some(count)) if reading.refused_forks > 0 => format!("{count} processes"),
        _ => return None,
    };
    Some(StartError::LimitTooLow { limit }.into())
}

fn of_memory(bytes: u64) -> String {
    format!("{bytes} bytes of memory")
}

/// Where the upper layer is to be, of a root that has one.
fn writable(rootfs: &Rootfs) -> Option<Writable> {
    match rootfs {
        Rootfs::Layers(layers) => Some(layers.writable),
        Rootfs::Bundle(_) => None,
    }
}

/// The bound of a container's upper layer: what it may write, and what we write there ourselves.
fn bound_of_upper(spec: &ContainerSpec) -> Option<u64> {
    /// A tmpfs counts pages.
    const PAGE: u64 = 4096;
    /// Files of ours that are not among the specification's, such as `/etc/hosts`.
    const OTHERS: u64 = 16 * PAGE;
    let of_files = spec
        .files
        .iter()
        .map(|file| file.content.len() as u64 + PAGE);
    let disk = spec.resources.disk?;
    Some(of_files.fold(disk.saturating_add(OTHERS), u64::saturating_add))
}

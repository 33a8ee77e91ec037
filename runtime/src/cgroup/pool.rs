//! Groups made ahead of the containers that will be in them, by a thread that may be slow.
//!
//! ```text
//! take --Taken--> thread: mkdir, (version 1: a helper, moved in) --Lease--> take answers, with one prepared earlier
//! Lease dropped --Return--> thread: once the last process is gone, made ready again (version 1) or removed
//! ```
//! On version 1 a group is used again, with its helper, where nothing of its last container shows: making groups in five
//! trees and a process for each container would cost more than the container. On version 2 it is one directory.

use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc as asynchronous;

use super::{Claim, Group, Version};
use crate::container::{Resources, id_of};

/// Groups that wait for a container: at least and at most.
const READY: (isize, isize) = (2, 4);
/// Before the first look at whether a group's processes are gone, and twice as much before each other one, up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// How a container gets into its group without a write to `cgroup.procs`.
#[derive(Debug)]
pub(crate) enum Entry {
    /// Version 2: cloned into this directory.
    Directory(OwnedFd),
    /// Version 1: cloned by a process that is in it.
    Helper(Helper),
}

/// A fork of the zygote that is in a group.
#[derive(Debug)]
pub(crate) struct Helper {
    /// Where it takes requests.
    pub(crate) socket: OwnedFd,
    /// Its id.
    process: u32,
}

/// Makes processes that clone containers.
pub(crate) trait Helpers: Send + 'static {
    /// Forks one; its process descriptor and the socket it listens on. It ends with that.
    ///
    /// # Errors
    /// When the zygote cannot.
    fn fork(&self) -> io::Result<(OwnedFd, OwnedFd)>;
}

/// A group could not be made, or does not take a limit.
#[derive(Debug, thiserror::Error)]
#[error("{operation}")]
pub struct GroupError {
    /// With the path.
    operation: String,
    /// Why.
    source: io::Error,
}

impl GroupError {
    /// What is in a group already is more than a limit on memory allows (version 1).
    pub(crate) fn is_busy(&self) -> bool {
        self.source.kind() == io::ErrorKind::ResourceBusy
    }
}

/// The agent's end of the thread.
#[derive(Debug)]
pub(crate) struct Groups {
    orders: mpsc::Sender<Order>,
    ready: Mutex<asynchronous::UnboundedReceiver<Result<Lease, GroupError>>>,
}

#[derive(Debug)]
enum Order {
    Taken,
    Return(Box<Used>),
    End,
}

/// A group that may still have processes in it.
#[derive(Debug)]
struct Used {
    group: Group,
    /// The way in, unless it is not to be used again.
    entry: Option<Entry>,
}

/// A group in use, with the way into it. Dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Lease {
    used: Option<Used>,
    orders: mpsc::Sender<Order>,
}

impl Lease {
    /// The group; none only while it is being dropped.
    pub(crate) fn group(&self) -> Option<&Group> {
        self.used.as_ref().map(|used| &used.group)
    }

    /// The way into it.
    pub(crate) fn entry(&self) -> Option<&Entry> {
        self.used.as_ref().and_then(|used| used.entry.as_ref())
    }

    /// Holds what will run in it to limits.
    ///
    /// # Errors
    /// With the file that does not take its value.
    pub(crate) fn limit(&mut self, resources: &Resources) -> Result<(), GroupError> {
        let group = self.used.as_mut().map(|used| &mut used.group);
        group
            .map_or(Ok(()), |group| group.limit(resources))
            .map_err(|(path, source)| at("write to", path, source))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(used) = self.used.take() {
            // Without the thread, the keeper removes it.
            let _ = self.orders.send(Order::Return(Box::new(used)));
        }
    }
}

impl Groups {
    /// Starts the thread, which prepares the first groups at once.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(crate) fn start(claim: Claim, helpers: impl Helpers) -> io::Result<Self> {
        let (orders, received) = mpsc::channel();
        let (sender, ready) = asynchronous::unbounded_channel();
        let worker = Worker {
            claim,
            helpers,
            orders: orders.clone(),
            ready: sender,
            serial: 0,
            stock: 0,
            most: most_ready(),
            leaving: Vec::new(),
        };
        std::thread::Builder::new()
            .name("cgroups".to_owned())
            .spawn(move || worker.run(&received))?;
        Ok(Self {
            orders,
            ready: Mutex::new(ready),
        })
    }

    /// A group for one container. There will be another one in its place.
    ///
    /// # Errors
    /// When none could be made.
    pub(crate) async fn take(&self) -> Result<Lease, GroupError> {
        let gone = || GroupError {
            operation: "prepare a control group".to_owned(),
            source: io::ErrorKind::BrokenPipe.into(),
        };
        let _ = self.orders.send(Order::Taken);
        self.ready.lock().await.recv().await.ok_or_else(gone)?
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        let _ = self.orders.send(Order::End);
    }
}

struct Worker<H> {
    claim: Claim,
    helpers: H,
    orders: mpsc::Sender<Order>,
    ready: asynchronous::UnboundedSender<Result<Lease, GroupError>>,
    serial: u64,
    /// Groups that were made and not taken; less than none while somebody waits for one.
    stock: isize,
    /// How many there are to be at most.
    most: isize,
    /// Groups that were given back, and for how long each was last waited for.
    leaving: Vec<(Used, Duration)>,
}

impl<H: Helpers> Worker<H> {
    fn run(mut self, received: &mpsc::Receiver<Order>) {
        if !self.stock_up(self.most) {
            return;
        }
        loop {
            let pause = self.leaving.iter().map(|(_, pause)| *pause).min();
            let order = match pause {
                None => received.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => received.recv_timeout(pause),
            };
            match order {
                Ok(Order::Taken) => self.stock -= 1,
                Ok(Order::Return(used)) => self.leaving.push((*used, PAUSES.0)),
                Err(RecvTimeoutError::Timeout) => {
                    for (_, pause) in &mut self.leaving {
                        *pause = PAUSES.1.min(*pause * 2);
                    }
                }
                Ok(Order::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
            self.collect();
            // On version 1 most come back: one is made for whoever is next only where none is about to.
            let enough = match self.claim.version() {
                Version::One => isize::from(self.leaving.is_empty()),
                Version::Two => self.most,
            };
            if !self.stock_up(enough) {
                return;
            }
        }
    }

    /// Makes groups whose processes are gone ready again if they are needed, and removes them if not.
    fn collect(&mut self) {
        for (mut used, pause) in std::mem::take(&mut self.leaving) {
            if self.stock < self.most
                && let Some(Entry::Helper(helper)) = &used.entry
                && used.group.is_left_to_helper()
            {
                self.serial += 1;
                if used.group.renew(&name(self.serial), helper.process) {
                    let lease = self.lease(used);
                    self.hand_out(Ok(lease));
                    continue;
                }
                // Its end makes the group removable.
                used.entry = None;
            }
            let is_kept =
                matches!(used.entry, Some(Entry::Helper(_))) && !used.group.is_left_to_helper();
            if is_kept {
                self.leaving.push((used, pause));
                continue;
            }
            used.entry = None;
            if !used.group.remove() {
                self.leaving.push((used, pause));
            }
        }
    }

    /// Makes groups until there are enough; false when nobody is there to take them.
    fn stock_up(&mut self, enough: isize) -> bool {
        while self.stock < enough {
            let made = self.make();
            if !self.hand_out(made) {
                return false;
            }
        }
        true
    }

    fn hand_out(&mut self, made: Result<Lease, GroupError>) -> bool {
        self.stock += 1;
        self.ready.send(made).is_ok()
    }

    fn lease(&self, used: Used) -> Lease {
        Lease {
            used: Some(used),
            orders: self.orders.clone(),
        }
    }

    fn make(&mut self) -> Result<Lease, GroupError> {
        self.serial += 1;
        let group = Group::create(self.claim.version(), self.claim.bases(), &name(self.serial))
            .map_err(|(path, source)| at("make", path, source))?;
        let entry = match self.claim.version() {
            Version::Two => self.directory(&group),
            Version::One => self.helper(&group),
        };
        // It is removed when something has failed, too.
        match entry {
            Ok(entry) => Ok(self.lease(Used {
                group,
                entry: Some(entry),
            })),
            Err(error) => {
                drop(self.lease(Used { group, entry: None }));
                Err(error)
            }
        }
    }

    fn directory(&self, group: &Group) -> Result<Entry, GroupError> {
        let directory = group.give(self.claim.owner()).and_then(|()| group.open());
        directory
            .map(Entry::Directory)
            .map_err(|source| GroupError {
                operation: "give a control group to the zygote".to_owned(),
                source,
            })
    }

    fn helper(&self, group: &Group) -> Result<Entry, GroupError> {
        let helper = self.helpers.fork().and_then(|(process, socket)| {
            let process = id_of(&process)?;
            Ok(Helper { socket, process })
        });
        let helper = helper.map_err(|source| GroupError {
            operation: "fork a helper".to_owned(),
            source,
        })?;
        group
            .enter(helper.process)
            .map_err(|(path, source)| at("write to", path, source))?;
        Ok(Entry::Helper(helper))
    }
}

/// One for each processor, within reason.
fn most_ready() -> isize {
    let count = std::thread::available_parallelism().map_or(0, usize::from);
    let (least, most) = READY;
    isize::try_from(count).unwrap_or(most).clamp(least, most)
}

fn name(serial: u64) -> String {
    format!("container-{serial}")
}

fn at(operation: &str, path: PathBuf, source: io::Error) -> GroupError {
    GroupError {
        operation: format!("{operation} {}", path.display()),
        source,
    }
}

//! What was asked for on the command line, understood and checked; nothing has been touched yet.

use std::path::Path;

use indexmap::IndexMap;
use runtime::container::{Network, Resources};
use runtime::store::PullPolicy;

use super::streams::Wiring;
use super::volume::{self, Volume};
use super::{DoorError, Name, environment, size, terminal};
use crate::cli::{NetworkMode, Pull, Run};
use crate::ports::Port;

/// Of a host name, in bytes (sethostname(2)).
const LONGEST_HOSTNAME: usize = 64;

/// A container to run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// As written.
    pub(super) image: String,
    /// `None` leaves it to the kind of source.
    pub(super) policy: Option<PullPolicy>,
    /// Instead of the image's command; empty for none.
    pub(super) command: Vec<String>,
    /// Instead of the image's; an empty one is none at all.
    pub(super) entrypoint: Option<String>,
    /// Over the image's.
    pub(super) env: IndexMap<String, String>,
    /// Instead of the image's.
    pub(super) workdir: Option<String>,
    /// Instead of the image's.
    pub(super) user: Option<String>,
    /// `None` is the container's name.
    pub(super) hostname: Option<String>,
    /// In the order of mounting.
    pub(super) volumes: Vec<Volume>,
    /// Its root cannot be written to.
    pub(super) read_only: bool,
    /// Which one it sees.
    pub(super) network: Network,
    /// Of the machine, that lead to it.
    pub(super) ports: Vec<Port>,
    /// What it may use.
    pub(super) resources: Resources,
    /// Its streams.
    pub(super) wiring: Wiring,
    /// What its terminal is to be taken for, if it has one.
    pub(super) term: Option<String>,
    /// `None` is a random one.
    pub(super) name: Option<Name>,
    /// Nothing of it is kept when it is over.
    pub(super) remove: bool,
    /// Where the time of its start went is to be said.
    pub(super) trace: bool,
}

impl Request {
    /// Understands a command line. Relative paths are relative to `base`; `own` is the agent's own environment.
    ///
    /// # Errors
    /// With the option that makes no sense.
    pub fn new(
        options: &Run,
        base: &Path,
        own: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, DoorError> {
        options.hostname.as_deref().map_or(Ok(()), check_hostname)?;
        let name = options.name.as_deref().map(str::parse).transpose()?;
        let wiring = Wiring {
            interactive: options.interactive,
            terminal: options.tty,
            detached: options.detach,
        };
        wiring.check()?;
        Ok(Self {
            image: options.image().to_owned(),
            policy: policy(options),
            command: options.command().to_vec(),
            entrypoint: options.entrypoint.clone(),
            term: options.tty.then(|| terminal::kind(&own)),
            env: environment::gather(&options.env_files, &options.env, own)?,
            workdir: options.workdir.clone(),
            user: options.user.clone(),
            hostname: options.hostname.clone(),
            volumes: volume::gather(&options.volumes, &options.tmpfs, base)?,
            read_only: options.read_only,
            network: match options.network {
                NetworkMode::Default => Network::Pod,
                NetworkMode::Host => Network::Host,
                NetworkMode::None => Network::None,
            },
            ports: ports(options)?,
            resources: resources(options)?,
            wiring,
            name,
            remove: options.rm,
            trace: options.trace,
        })
    }
}

/// Files are looked at in any case, which costs nothing; registries only when asked to.
fn policy(options: &Run) -> Option<PullPolicy> {
    match options.pull {
        Pull::Always => None,
        Pull::Missing => options
            .image()
            .parse()
            .ok()
            .filter(|source| matches!(source, runtime::image::Source::Registry(_)))
            .map(|_| PullPolicy::IfMissing),
    }
}

fn ports(options: &Run) -> Result<Vec<Port>, DoorError> {
    let wrong = |text: &str, problem| DoorError::Option {
        option: "--publish",
        text: text.to_owned(),
        problem,
    };
    if let (Some(first), true) = (
        options.publish.first(),
        options.network != NetworkMode::Default,
    ) {
        let problem =
            "only a container with a network of its own, `--network default`, has ports to publish";
        return Err(wrong(first, problem));
    }
    let read = |text: &String| text.parse().map_err(|problem| wrong(text, problem));
    options.publish.iter().map(read).collect()
}

fn resources(options: &Run) -> Result<Resources, DoorError> {
    let wrong = |option, text: &str, problem| DoorError::Option {
        option,
        text: text.to_owned(),
        problem,
    };
    let memory = options.memory.as_deref().map(|text| {
        size::parse(text).ok_or_else(|| wrong("--memory", text, "it is no size such as 512m"))
    });
    let cpus = options.cpus.as_deref().map(|text| {
        let problem = "it is no number of cores such as 1.5";
        size::thousandths(text).ok_or_else(|| wrong("--cpus", text, problem))
    });
    Ok(Resources {
        memory: memory.transpose()?,
        cpus: cpus.transpose()?,
        pids: options.pids_limit,
        ..Resources::default()
    })
}

/// It ends up in `/etc/hosts`, among other things.
fn check_hostname(name: &str) -> Result<(), DoorError> {
    let wrong = |problem| DoorError::Option {
        option: "--hostname",
        text: name.to_owned(),
        problem,
    };
    let is_fit = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_fit) {
        return Err(wrong("it is made of letters, digits, `-`, `.` and `_`"));
    }
    if name.len() > LONGEST_HOSTNAME {
        return Err(wrong("it has more than 64 characters"));
    }
    Ok(())
}

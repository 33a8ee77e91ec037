//! From the specification's words to the runtime's. Pure, save for a look at the machine's devices and at who we are.

mod devices;
mod ids;
mod mounts;
mod namespaces;
mod options;
mod process;
mod resources;
mod seccomp;
mod sysctl;

use std::path::{Component, Path, PathBuf};

use runtime::container::{
    Bundle, ContainerSpec, Network, ProcessLimit, Propagation, Rootfs, TerminalSize,
};
use runtime::namespace;
use runtime::userns::IdMap;
use runtime::zygote::Hold;

use super::OciError;
use super::config::{Hooks, Spec};

/// Of a host name, in bytes (sethostname(2)).
const LONGEST_HOSTNAME: usize = 64;
/// Of a terminal whose size is not said.
const TERMINAL: TerminalSize = TerminalSize {
    rows: 24,
    columns: 80,
};

/// Everything that a supervisor needs to know.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) spec: ContainerSpec,
    /// There is something to start.
    pub(super) has_process: bool,
    /// To be held by the zygote before the container is made.
    pub(super) held: Vec<Held>,
    /// To be entered before there is a zygote.
    pub(super) shares: Vec<Share>,
    /// Host name and domain name for a `uts` namespace that is entered, empty for what it has.
    pub(super) names: Option<(String, String)>,
    /// Instead of the ids that the machine gives to containers.
    pub(super) map: Option<IdMap>,
    /// The size of the terminal that the process is to have, if any.
    pub(super) terminal: Option<TerminalSize>,
    pub(super) hooks: Hooks,
    pub(super) limits: Vec<ProcessLimit>,
}

/// A file or directory of the machine for the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) name: String,
    pub(super) path: PathBuf,
    pub(super) hold: Hold,
    /// Where it stands in the configuration.
    pub(super) field: String,
}

/// A namespace that the container shares with somebody else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Share {
    pub(super) kind: namespace::Kind,
    pub(super) path: PathBuf,
    /// Where it stands in the configuration.
    pub(super) field: String,
}

impl Plan {
    /// What a bundle asks for. `bundle` is absolute.
    pub(super) fn of(spec: &Spec, bundle: &Path) -> Result<Self, OciError> {
        let spaces = namespaces::of(&spec.linux)?;
        let map = ids::map(&spec.linux, spaces.has_user)?;
        let joined = spaces
            .shares
            .iter()
            .any(|share| share.kind == namespace::Kind::Uts);
        let has_name = !(spec.hostname.is_empty() && spec.domainname.is_empty());
        if spaces.shared.uts && has_name && !joined {
            return Err(OciError::field(
                "hostname",
                "a name of its own takes a `uts` namespace that is not the machine's (linux.namespaces)",
            ));
        }
        check_name("hostname", &spec.hostname)?;
        check_name("domainname", &spec.domainname)?;
        // A container does not own a namespace that it joins: its supervisor gives the names.
        let own = |name: &String| if joined { String::new() } else { name.clone() };
        let root = spec
            .root
            .as_ref()
            .ok_or_else(|| OciError::field("root", "a container needs one"))?;
        // Owners on disk are the container's own where the bundle says which ids those are.
        let hold = if map.is_some() { Hold::Raw } else { Hold::Tree };
        let mut held = vec![Held {
            name: "root".to_owned(),
            path: bundle.join(&root.path),
            hold,
            field: "root.path".to_owned(),
        }];
        let mounts = mounts::of(&spec.mounts, bundle, hold, &mut held)?;
        let process = process::of(spec)?;
        let linux = &spec.linux;
        let bundle = Bundle {
            root: "root".to_owned(),
            read_only: root.readonly,
            propagation: propagation(&linux.rootfs_propagation)?,
            mounts,
            devices: devices::of(&linux.devices)?,
            masked: paths("linux.maskedPaths", &linux.masked_paths)?,
            read_only_paths: paths("linux.readonlyPaths", &linux.readonly_paths)?,
            sysctl: sysctl::of(&linux.sysctl, &spaces)?,
            domainname: own(&spec.domainname),
        };
        for (list, hooks) in spec.hooks.lists() {
            for (index, hook) in hooks.iter().enumerate() {
                if !Path::new(&hook.path).is_absolute() {
                    let field = format!("hooks.{list}[{index}].path");
                    return Err(OciError::field(field, "it is not absolute"));
                }
            }
        }
        let limits = process::limits(spec)?;
        let terminal = spec.process.as_ref().filter(|process| process.terminal);
        Ok(Self {
            spec: ContainerSpec {
                hostname: own(&spec.hostname),
                rootfs: Rootfs::Bundle(Box::new(bundle)),
                mounts: Vec::new(),
                files: Vec::new(),
                exchange: Vec::new(),
                process,
                network: if spaces.own_network {
                    Network::None
                } else {
                    Network::Host
                },
                shared: spaces.shared,
                resources: resources::of(&linux.resources)?,
            },
            has_process: spec.process.is_some(),
            held,
            shares: spaces.shares,
            names: joined.then(|| (spec.hostname.clone(), spec.domainname.clone())),
            map,
            terminal: terminal.map(|process| {
                let said = process.console_size;
                said.map_or(TERMINAL, |size| TerminalSize {
                    rows: size.height,
                    columns: size.width,
                })
            }),
            hooks: spec.hooks.clone(),
            limits,
        })
    }
}

fn check_name(field: &str, name: &str) -> Result<(), OciError> {
    if name.len() > LONGEST_HOSTNAME || name.contains('\0') {
        return Err(OciError::field(
            field,
            "it has more than 64 bytes, or a NUL among them",
        ));
    }
    Ok(())
}

/// Of the root; the kernel's own default is the container's.
fn propagation(text: &str) -> Result<Propagation, OciError> {
    match text {
        "" | "private" | "rprivate" => Ok(Propagation::Private),
        "shared" | "rshared" => Ok(Propagation::Shared),
        "slave" | "rslave" => Ok(Propagation::Slave),
        "unbindable" | "runbindable" => Ok(Propagation::Unbindable),
        other => Err(OciError::field(
            "linux.rootfsPropagation",
            format!("{other:?} is none of private, shared, slave and unbindable"),
        )),
    }
}

/// Absolute paths without a way up.
fn paths(field: &str, texts: &[String]) -> Result<Vec<PathBuf>, OciError> {
    let all = texts.iter().enumerate();
    all.map(|(index, text)| absolute(&format!("{field}[{index}]"), text))
        .collect()
}

fn absolute(field: &str, text: &str) -> Result<PathBuf, OciError> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(OciError::field(field, format!("{text:?} is not absolute")));
    }
    let up = path.components().any(|part| part == Component::ParentDir);
    if up || text.contains('\0') {
        return Err(OciError::field(
            field,
            format!("{text:?} has a `..` or a NUL in it"),
        ));
    }
    Ok(path.components().collect())
}

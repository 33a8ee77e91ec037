use std::path::Path;

use runtime::container::{BundleMount, Content};
use runtime::zygote::Hold;

use super::options::{Bind, Options, read};
use super::{Held, absolute};
use crate::oci::OciError;
use crate::oci::config::Mount;

/// Options that are a tmpfs's own (tmpfs(5)).
const TMPFS: &[&str] = &[
    "size",
    "mode",
    "uid",
    "gid",
    "nr_inodes",
    "nr_blocks",
    "huge",
];
/// Options that are a devpts's own.
const DEVPTS: &[&str] = &["newinstance", "ptmxmode", "mode", "uid", "gid", "max"];

/// All of them in order; what is the machine's is added to `held`.
pub(super) fn of(
    mounts: &[Mount],
    bundle: &Path,
    hold: Hold,
    held: &mut Vec<Held>,
) -> Result<Vec<BundleMount>, OciError> {
    let mut all = Vec::with_capacity(mounts.len());
    for (index, mount) in mounts.iter().enumerate() {
        let field = format!("mounts[{index}]");
        let options = read(&mount.options)
            .map_err(|problem| OciError::field(format!("{field}.options"), problem))?;
        let is_bind = options.bind.is_some() || mount.kind == "bind";
        let content = if is_bind {
            let hold = match (hold, options.bind) {
                (Hold::Raw, _) => Hold::Raw,
                (_, Some(Bind::WithBelow)) => Hold::Tree,
                _ => Hold::Bind,
            };
            bind(mount, index, &options, bundle, hold, held)?
        } else {
            file_system(mount, &field, &options)?
        };
        all.push(BundleMount {
            content,
            label: mount.source.clone(),
            target: absolute(&format!("{field}.destination"), &mount.destination)?,
            attributes: options.attributes,
            below: options.below,
            propagation: options.propagation,
            propagation_below: options.propagation_below,
        });
    }
    Ok(all)
}

fn bind(
    mount: &Mount,
    index: usize,
    options: &Options,
    bundle: &Path,
    hold: Hold,
    held: &mut Vec<Held>,
) -> Result<Content, OciError> {
    // The kernel passes over what is for the file system, which is mounted already.
    only(options, &[TMPFS, DEVPTS].concat(), index)?;
    if mount.source.is_empty() {
        let field = format!("mounts[{index}].source");
        return Err(OciError::field(field, "a bind mount needs one"));
    }
    let name = format!("mount.{index}");
    held.push(Held {
        name: name.clone(),
        path: bundle.join(&mount.source),
        hold,
        field: format!("mounts[{index}].source"),
    });
    Ok(Content::Held { name })
}

fn file_system(mount: &Mount, field: &str, options: &Options) -> Result<Content, OciError> {
    let own = |known: &[&str]| {
        only_in(options, known, field)?;
        Ok::<_, OciError>(options.data.clone())
    };
    Ok(match mount.kind.as_str() {
        "proc" => {
            own(&[])?;
            Content::Proc
        }
        "sysfs" => {
            own(&[])?;
            Content::Sys
        }
        "mqueue" => {
            own(&[])?;
            Content::Mqueue
        }
        "cgroup" | "cgroup2" => {
            own(&[])?;
            Content::Cgroup
        }
        "tmpfs" => Content::Tmpfs {
            options: own(TMPFS)?,
        },
        "devpts" => Content::Devpts {
            options: own(DEVPTS)?,
        },
        other => {
            let field = format!("{field}.type");
            return Err(OciError::field(
                field,
                format!("a mount of type {other:?} is not offered"),
            ));
        }
    })
}

fn only(options: &Options, known: &[&str], index: usize) -> Result<(), OciError> {
    only_in(options, known, &format!("mounts[{index}]"))
}

fn only_in(options: &Options, known: &[&str], field: &str) -> Result<(), OciError> {
    let unknown = options
        .data
        .iter()
        .find(|(name, _)| !known.contains(&&**name));
    match unknown {
        None => Ok(()),
        Some((name, _)) => Err(OciError::field(
            format!("{field}.options"),
            format!("the option `{name}` is not offered"),
        )),
    }
}

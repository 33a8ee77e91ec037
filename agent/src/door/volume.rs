//! What of the machine, or of its memory, a container is to see, and where.

use std::path::{Component, Path, PathBuf};

use super::size;

/// Where nothing of a user's may be mounted, nor below: what is there decides what the container is.
const KERNEL: [&str; 2] = ["/proc", "/sys"];
/// Of a `--tmpfs` that does not say: memory is only taken when it is used.
const TMPFS_SIZE: u64 = 1 << 30;

/// Why a mount makes no sense.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{option} {text:?}: {problem}")]
pub struct VolumeError {
    option: &'static str,
    text: String,
    problem: String,
}

/// One mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Volume {
    /// What is mounted.
    pub(super) source: VolumeSource,
    /// Absolute, in the container.
    pub(super) target: PathBuf,
    /// Nothing can be written through it.
    pub(super) read_only: bool,
}

/// What is mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum VolumeSource {
    /// A file or directory of this machine.
    Path(PathBuf),
    /// Memory, at most so many bytes.
    Memory(u64),
}

/// Reads both kinds, in the order in which they must be mounted: what is above before what is below it.
pub(super) fn gather(
    volumes: &[String],
    tmpfs: &[String],
    base: &Path,
) -> Result<Vec<Volume>, VolumeError> {
    let mut all: Vec<Volume> = Vec::new();
    let volumes = volumes.iter().map(|text| ("--volume", text));
    let tmpfs = tmpfs.iter().map(|text| ("--tmpfs", text));
    for (option, text) in volumes.chain(tmpfs) {
        let wrong = |problem: String| VolumeError {
            option,
            text: text.clone(),
            problem,
        };
        let volume = match option {
            "--volume" => of_machine(text, base),
            _ => of_memory(text),
        }
        .map_err(wrong)?;
        if all.iter().any(|other| other.target == volume.target) {
            let target = volume.target.display();
            return Err(wrong(format!(
                "something else is mounted at {target} already"
            )));
        }
        all.push(volume);
    }
    all.sort_by_key(|volume| volume.target.components().count());
    Ok(all)
}

fn of_machine(text: &str, base: &Path) -> Result<Volume, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, to, mode) = match *parts.as_slice() {
        [source, to] => (source, to, "rw"),
        [source, to, mode] => (source, to, mode),
        _ => return Err("it must have the form SRC:DST or SRC:DST:ro".to_owned()),
    };
    let read_only = match mode {
        "ro" => true,
        "rw" => false,
        other => return Err(format!("the mode is `ro` or `rw`, not `{other}`")),
    };
    if !source.starts_with(['/', '.']) {
        return Err(format!(
            "there are no volumes with names; a directory beside you is ./{source}"
        ));
    }
    Ok(Volume {
        source: VolumeSource::Path(base.join(source).components().collect()),
        target: target(to)?,
        read_only,
    })
}

fn of_memory(text: &str) -> Result<Volume, String> {
    let (to, options) = text.split_once(':').unwrap_or((text, ""));
    let mut bytes = TMPFS_SIZE;
    for option in options.split(',').filter(|option| !option.is_empty()) {
        bytes = option
            .strip_prefix("size=")
            .and_then(size::parse)
            .ok_or_else(|| format!("`{option}` is not of the form size=64m"))?;
    }
    Ok(Volume {
        source: VolumeSource::Memory(bytes),
        target: target(to)?,
        read_only: false,
    })
}

/// A place in the container that a mount may have.
fn target(text: &str) -> Result<PathBuf, String> {
    let path = Path::new(text);
    if !path.is_absolute() {
        return Err(format!("`{text}` is not an absolute path of the container"));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("`{text}` has a `..` in it"));
    }
    if text.contains('\0') {
        return Err("a path holds no NUL character".to_owned());
    }
    // Without doubled and trailing slashes.
    let path: PathBuf = path.components().collect();
    let kernel = KERNEL.iter().any(|kernel| path.starts_with(kernel));
    if kernel || path == Path::new("/") || path == Path::new("/dev") {
        return Err(format!("nothing may be mounted at {}", path.display()));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(volumes: &[&str], tmpfs: &[&str]) -> Result<Vec<String>, String> {
        let owned = |texts: &[&str]| {
            texts
                .iter()
                .map(|text| (*text).to_owned())
                .collect::<Vec<_>>()
        };
        let all = gather(&owned(volumes), &owned(tmpfs), Path::new("/here"));
        let shown = |volume: Volume| {
            let mode = if volume.read_only { "ro" } else { "rw" };
            format!("{:?} {} {mode}", volume.source, volume.target.display())
        };
        all.map(|all| all.into_iter().map(shown).collect())
            .map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_above_is_mounted_before_what_is_below() {
        let volumes = ["/srv/a:/data/a/b:ro", "./x:/data//a/", "/y:/z:rw"];
        insta::assert_snapshot!(read(&volumes, &["/t", "/data:size=4k"]).unwrap().join("\n"), @r#"
        Path("/y") /z rw
        Memory(1073741824) /t rw
        Memory(4096) /data rw
        Path("/here/x") /data/a rw
        Path("/srv/a") /data/a/b ro
        "#);
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |volume: &str| read(&[volume], &[]).unwrap_err();
        insta::assert_snapshot!(refused("cache:/cache"), @r#"--volume "cache:/cache": there are no volumes with names; a directory beside you is ./cache"#);
        insta::assert_snapshot!(refused("/a"), @r#"--volume "/a": it must have the form SRC:DST or SRC:DST:ro"#);
        insta::assert_snapshot!(refused("/a:b"), @r#"--volume "/a:b": `b` is not an absolute path of the container"#);
        insta::assert_snapshot!(refused("/a:/b:z"), @r#"--volume "/a:/b:z": the mode is `ro` or `rw`, not `z`"#);
        insta::assert_snapshot!(refused("/a:/b/../proc"), @r#"--volume "/a:/b/../proc": `/b/../proc` has a `..` in it"#);
        insta::assert_snapshot!(refused("/a://proc/self"), @r#"--volume "/a://proc/self": nothing may be mounted at /proc/self"#);
        assert!(refused("/a:/").contains("nothing may be mounted"));
        assert!(refused("/a:/dev/").contains("nothing may be mounted"));
        insta::assert_snapshot!(read(&["/a:/b", "/c:/b/"], &[]).unwrap_err(), @r#"--volume "/c:/b/": something else is mounted at /b already"#);
        insta::assert_snapshot!(read(&[], &["/t:noexec"]).unwrap_err(), @r#"--tmpfs "/t:noexec": `noexec` is not of the form size=64m"#);
    }
}

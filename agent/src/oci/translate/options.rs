//! Options of mounts, as fstab(5) and config.md ("Linux mount options") spell them.

use runtime::container::{AccessTime, Attributes, Propagation};

/// What the options of a mount say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) attributes: Attributes,
    pub(super) below: Attributes,
    pub(super) propagation: Option<Propagation>,
    pub(super) propagation_below: bool,
    /// It is a copy of another mount, with what is mounted below it or without.
    pub(super) bind: Option<Bind>,
    /// What is for the file system: its name and its value, empty for a flag.
    pub(super) data: Vec<(String, String)>,
}

/// How much is copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Bind {
    /// The mount alone.
    Alone,
    /// Everything mounted below it as well.
    WithBelow,
}

/// Reads them; the later one wins.
pub(super) fn read(texts: &[String]) -> Result<Options, String> {
    let mut options = Options::default();
    for text in texts {
        let known = options.take_whole(text)
            || set(&mut options.attributes, text)
            || text
                .strip_prefix('r')
                .is_some_and(|behind| set(&mut options.below, behind));
        if known {
            continue;
        }
        if NOT_OFFERED.contains(&text.as_str()) {
            return Err(format!("the option `{text}` is not offered"));
        }
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        options.data.push((name.to_owned(), value.to_owned()));
    }
    Ok(options)
}

/// What is for the file system as a whole, which a container does not change, or for other runtimes.
const NOT_OFFERED: [&str; 17] = [
    "sync",
    "dirsync",
    "mand",
    "iversion",
    "lazytime",
    "remount",
    "copy-up",
    "tmpcopyup",
    "idmap",
    "ridmap",
    "silent",
    "loud",
    "noiversion",
    "nolazytime",
    "nomand",
    "swap",
    "bindroot",
];

impl Options {
    /// What is about the mount as a whole.
    fn take_whole(&mut self, text: &str) -> bool {
        let spread = |name: &str| match name {
            "private" => Some(Propagation::Private),
            "shared" => Some(Propagation::Shared),
            "slave" => Some(Propagation::Slave),
            "unbindable" => Some(Propagation::Unbindable),
            _ => None,
        };
        match text {
            "bind" => self.bind = Some(Bind::Alone),
            "rbind" => self.bind = Some(Bind::WithBelow),
            // What is so anyway.
            "defaults" | "async" => {}
            _ => {
                let below = text.strip_prefix('r').and_then(spread);
                let Some(propagation) = spread(text).or(below) else {
                    return false;
                };
                self.propagation = Some(propagation);
                self.propagation_below = below.is_some();
            }
        }
        true
    }
}

/// What can be said of a mount, or of those below it.
fn set(attributes: &mut Attributes, name: &str) -> bool {
    match name {
        "ro" => attributes.read_only = true,
        "rw" => attributes.read_only = false,
        "noexec" => attributes.no_exec = true,
        "exec" => attributes.no_exec = false,
        "nosuid" => attributes.no_suid = true,
        "suid" => attributes.no_suid = false,
        // Devices cannot be opened anywhere.
        "nodev" | "dev" => {}
        "nosymfollow" => attributes.no_symlinks = true,
        "symfollow" => attributes.no_symlinks = false,
        "nodiratime" => attributes.no_dir_access_time = true,
        "diratime" => attributes.no_dir_access_time = false,
        "relatime" => attributes.access_time = Some(AccessTime::Relative),
        "noatime" => attributes.access_time = Some(AccessTime::Never),
        "strictatime" => attributes.access_time = Some(AccessTime::Strict),
        "atime" | "norelatime" | "nostrictatime" => attributes.access_time = None,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(texts: &[&str]) -> Result<Options, String> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        read(&texts)
    }

    #[test]
    fn options_are_for_the_mount_for_those_below_and_for_the_file_system() {
        let read = options(&[
            "rbind",
            "ro",
            "rnoexec",
            "rslave",
            "size=64k",
            "newinstance",
        ])
        .unwrap();
        assert!(read.attributes.read_only && !read.attributes.no_exec);
        assert!(read.below.no_exec && !read.below.read_only);
        assert_eq!(read.bind, Some(Bind::WithBelow));
        assert_eq!(read.propagation, Some(Propagation::Slave));
        assert!(read.propagation_below);
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(read.data, [pair("size", "64k"), pair("newinstance", "")]);
        assert!(!options(&["ro", "rw"]).unwrap().attributes.read_only);
        // `ro` and `rro`, `relatime` and `rrelatime`: what begins with an r of its own.
        let read = options(&["rro", "relatime"]).unwrap();
        assert!(read.below.read_only && !read.attributes.read_only);
        assert_eq!(read.attributes.access_time, Some(AccessTime::Relative));
        assert_eq!(read.below.access_time, None);
    }

    #[test]
    fn what_is_not_offered_is_named() {
        insta::assert_snapshot!(options(&["ro", "remount"]).unwrap_err(), @"the option `remount` is not offered");
    }
}

//! Images of every maker of images and of archives: the root that a container sees is the one that podman shows, to the
//! last mode, owner, extended attribute, hard link, device and time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use harness::{TestEnvironment, Who, for_everyone, images, wait};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::must;

for_everyone!(the_tree_of_every_maker_is_the_one_that_podman_shows,);

fn the_tree_of_every_maker_is_the_one_that_podman_shows(env: &TestEnvironment) {
    if !env.is_set_up_by_root() {
        // What a container sees is looked at from outside, with all rights.
        return;
    }
    let mut differences = Vec::new();
    let all = makers();
    for (number, (name, reference)) in all.iter().enumerate() {
        // Never over, and found by it.
        let seconds = format!("{}{number:04}", 100_000 + env.uid());
        let words = [
            "run",
            "--user",
            "0",
            "--entrypoint",
            "",
            reference,
            "sleep",
            &seconds,
        ];
        let running = env.agent(words).spawn();
        let container = wait::until(wait::PATIENCE, || process(&["sleep", &seconds]))
            .expect("the container runs");
        let number = container.as_raw_nonzero().to_string();
        let found = listing(&format!("/proc/{number}/root"));
        let ours = Tree::read(&found, Some(&map(&number)));
        kill_process(container, Signal::KILL).expect("end the container");
        let _ = running.finish().expect(137);
        let theirs = fs::read(images::path("makers").join(format!("{name}.podman")))
            .expect("read podman's listing");
        let theirs = Tree::read(&String::from_utf8_lossy(&theirs), None);
        assert!(
            theirs.files.len() > 300,
            "podman's listing of {name} is short"
        );
        differences.extend(
            theirs
                .differences(&ours, env.who())
                .into_iter()
                .map(|line| format!("{name}: {line}")),
        );
    }
    assert!(all.len() >= 14, "only {} makers", all.len());
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Names and references of the images in `makers`.
fn makers() -> Vec<(String, String)> {
    let mut all = Vec::new();
    for entry in fs::read_dir(images::path("makers")).expect("list the makers") {
        let path = entry.expect("list the makers").path();
        let file = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(name) = file.strip_suffix(".docker.tar") {
            all.push((
                name.to_owned(),
                format!("docker-archive:{}", path.display()),
            ));
        } else if path.is_dir() {
            all.push((file, format!("oci:{}:latest", path.display())));
        }
    }
    all.sort();
    all
}

/// The process whose command is this one.
fn process(command: &[&str]) -> Option<Pid> {
    let processes = fs::read_dir("/proc").ok()?.flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let wanted = format!("{}\0", command.join("\0"));
    let is_it = |pid: &i32| {
        let found = fs::read(format!("/proc/{pid}/cmdline"));
        found.is_ok_and(|found| found == wanted.as_bytes())
    };
    numbers.into_iter().find(is_it).and_then(Pid::from_raw)
}

fn listing(root: &str) -> String {
    must(Command::new(images::path("list-root")).arg(root))
}

/// User and group ids inside and outside of a process's namespace: first inside, first outside, count.
type Map = [Vec<[u32; 3]>; 2];

fn map(process: &str) -> Map {
    ["uid_map", "gid_map"].map(|file| {
        let text = fs::read_to_string(format!("/proc/{process}/{file}")).expect("read a map");
        let number = |word: Option<&str>| word.and_then(|word| word.parse().ok()).unwrap_or(0);
        let line = |line: &str| {
            let mut words = line.split_whitespace();
            [
                number(words.next()),
                number(words.next()),
                number(words.next()),
            ]
        };
        text.lines().map(line).collect()
    })
}

fn inside(map: &[[u32; 3]], id: u32) -> Option<u32> {
    let range = map
        .iter()
        .find(|[_, outside, count]| (*outside..outside.saturating_add(*count)).contains(&id))?;
    Some(id - range[1] + range[0])
}

/// What can be said of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    kind: String,
    mode: String,
    owner: String,
    /// The names that lead to it, where it has several.
    names: BTreeSet<String>,
    size: String,
    device: String,
    time: String,
    link: String,
    content: String,
    attributes: BTreeMap<String, String>,
}

struct Tree {
    files: BTreeMap<String, File>,
}

/// What is mounted, or written into every container.
const OURS: [&str; 9] = [
    "./dev",
    "./proc",
    "./sys",
    "./run",
    "./workspace",
    "./etc/hosts",
    "./etc/hostname",
    "./etc/resolv.conf",
    "./etc/mtab",
];
const OVERRIDE: &str = "user.containers.override_stat";

impl Tree {
    /// Reads what `list-root` has written; ids are those of the namespace, if there is one.
    fn read(listing: &str, map: Option<&Map>) -> Self {
        let mut files: BTreeMap<String, File> = BTreeMap::new();
        let mut inodes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        for line in listing.lines() {
            let (kind, rest) = line.split_at_checked(2).unwrap_or((line, ""));
            match kind {
                "S " => {
                    let fields: Vec<&str> = rest.rsplitn(9, '|').collect();
                    let [inode, time, device, size, _, owner, mode, kind, path] = fields[..] else {
                        panic!("a line of a listing: {line}");
                    };
                    let is_directory = kind == "directory";
                    let file = File {
                        kind: kind.replace("regular empty file", "regular file"),
                        mode: mode.to_owned(),
                        owner: translated(owner, map),
                        names: BTreeSet::new(),
                        size: if is_directory {
                            String::new()
                        } else {
                            size.to_owned()
                        },
                        device: device.to_owned(),
                        time: time.to_owned(),
                        link: String::new(),
                        content: String::new(),
                        attributes: BTreeMap::new(),
                    };
                    if !is_directory {
                        inodes
                            .entry(inode.to_owned())
                            .or_default()
                            .insert(path.to_owned());
                        numbers.insert(path.to_owned(), inode.to_owned());
                    }
                    files.insert(path.to_owned(), file);
                }
                "L " => {
                    if let Some((path, link)) = rest.split_once('|')
                        && let Some(file) = files.get_mut(path)
                    {
                        file.link = link.to_owned();
                    }
                }
                "H " => {
                    if let Some((hash, path)) = rest.split_once(" *")
                        && let Some(file) = files.get_mut(&path.replace("\\\\", "\\"))
                    {
                        file.content = hash.to_owned();
                    }
                }
                "X " => {
                    if let Some((path, attribute)) = rest.split_once('|')
                        && let Some((name, value)) = attribute.split_once('=')
                        && let Some(file) = files.get_mut(&path.replace("\\134", "\\"))
                    {
                        file.attributes.insert(name.to_owned(), value.to_owned());
                    }
                }
                _ => {}
            }
        }
        for (path, file) in &mut files {
            if let Some(names) = numbers.get(path).and_then(|inode| inodes.get(inode)) {
                file.names.clone_from(names);
            }
            file.settle();
        }
        files.retain(|path, _| {
            path != "."
                && !OURS
                    .iter()
                    .any(|ours| path == ours || path.starts_with(&format!("{ours}/")))
        });
        Self { files }
    }

    fn differences(&self, ours: &Self, who: Who) -> Vec<String> {
        let paths: BTreeSet<&String> = self.files.keys().chain(ours.files.keys()).collect();
        let mut lines = Vec::new();
        for path in paths {
            match (self.files.get(path), ours.files.get(path)) {
                (Some(theirs), Some(ours)) => {
                    let mut theirs = theirs.clone();
                    // Owners of what has no such attributes are not on the disk where there is but one id.
                    if who == Who::Solo && ["symbolic link", "fifo"].contains(&&theirs.kind[..]) {
                        theirs.owner.clone_from(&ours.owner);
                    }
                    // Files of ours are written into it.
                    if path == "./etc" {
                        theirs.time.clone_from(&ours.time);
                    }
                    if theirs != *ours {
                        lines.push(format!("{path}\n  podman: {theirs:?}\n  ours:   {ours:?}"));
                    }
                }
                (None, _) => lines.push(format!("{path}: only ours")),
                (_, None) => lines.push(format!("{path}: only podman's")),
            }
        }
        lines
    }
}

impl File {
    /// What is kept in an attribute where it could not be made is what the file stands for.
    fn settle(&mut self) {
        // What a layer is marked with; and what has no value podman loses, since it takes that for the end of a record.
        self.attributes
            .retain(|name, value| !name.starts_with("user.overlay.") && value != "0x");
        // Version 3 of file capabilities has the namespace's root in its last four bytes (capabilities(7)).
        if let Some(capability) = self.attributes.get_mut("security.capability")
            && let Some(rest) = capability.strip_prefix("0x01000003")
        {
            *capability = format!("0x01000002{}", &rest[..32]);
        }
        let Some(kept) = self.attributes.remove(OVERRIDE) else {
            return;
        };
        let kept = text(&kept);
        let fields: Vec<&str> = kept.splitn(4, ':').collect();
        let [uid, gid, mode, kind] = fields[..] else {
            panic!("what is kept of a file: {kept}");
        };
        self.owner = format!("{uid}:{gid}");
        self.mode = mode.trim_start_matches('0').to_owned();
        if self.mode.is_empty() {
            "0".clone_into(&mut self.mode);
        }
        let words: Vec<&str> = kind.split('-').collect();
        if let [kind @ ("char" | "block"), major, minor] = words[..] {
            let name = if kind == "char" { "character" } else { "block" };
            self.kind = format!("{name} special file");
            let hex = |number: &str| number.parse::<u32>().map(|number| format!("{number:x}"));
            self.device = format!(
                "{}:{}",
                hex(major).unwrap_or_default(),
                hex(minor).unwrap_or_default()
            );
            self.content.clear();
        }
    }
}

fn translated(owner: &str, map: Option<&Map>) -> String {
    let Some([users, groups]) = map else {
        return owner.to_owned();
    };
    let (uid, gid) = owner.split_once(':').unwrap_or_default();
    let id = |map, id: &str| {
        id.parse()
            .ok()
            .and_then(|id| inside(map, id))
            .map_or("none".to_owned(), |id| id.to_string())
    };
    format!("{}:{}", id(users, uid), id(groups, gid))
}

/// `0x616263` is `abc`.
fn text(hex: &str) -> String {
    let digits = hex.trim_start_matches("0x").as_bytes();
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).unwrap_or(""), 16).unwrap_or(b'?')
    };
    String::from_utf8_lossy(&digits.chunks(2).map(byte).collect::<Vec<u8>>()).into_owned()
}

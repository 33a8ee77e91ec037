//! Cases of archives and what becomes of them, in text.
//!
//! ```text
//! # a comment
//! = NAME                 a case begins: an empty place, and the first layer
//! - dir PATH MODE        an entry of the layer; a name may be `""`, `@outside` is the directory that must not change
//! - file PATH MODE TEXT  TEXT may have blanks, or be missing
//! - symlink PATH TARGET  - link PATH TARGET (a hard one)  - fifo PATH MODE  - char PATH MAJOR MINOR
//! - pax KEY VALUE        an extended header for the entry after it; `\0` is a NUL
//! - long NAME            GNU's long name for it; `@long` is one of 5,000 bytes
//! - global NAME          a global extended header
//! +                      the next layer begins
//! > refused TEXT         the layer is refused in words with TEXT
//! > list PATH..          what all layers together show, directories with a `/`
//! > text PATH TEXT       > mode PATH MODE  > target PATH LINK  > absent PATH
//! > same PATH PATH       one file, links followed; > different PATH PATH
//! > xattr PATH KEY VALUE without VALUE: has it not
//! ~ ..                   what another reader does
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use super::*;

#[test]
fn cases_of_containerd_end_as_they_should() {
    run(include_str!("tables/containerd.txt"), 42);
}

#[test]
fn cases_of_moby_end_as_they_should() {
    run(include_str!("tables/moby.txt"), 19);
}

#[test]
fn archives_that_broke_other_readers_do_not_break_ours() {
    run(include_str!("tables/ours.txt"), 44);
}

fn run(table: &str, expected: usize) {
    let cases = table.split("\n= ").skip(1);
    let failures: Vec<String> = cases
        .clone()
        .filter_map(|case| Case::run(case).err())
        .collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!(cases.count(), expected);
}

struct Case {
    place: Place,
    /// Directories of the layers, the lowest first.
    layers: Vec<PathBuf>,
    tar: Tar,
    /// How the last layer ended, once it has been unpacked.
    ended: Option<Result<(), String>>,
}

impl Case {
    fn run(text: &str) -> Result<(), String> {
        let (name, lines) = text.split_once('\n').unwrap();
        let mut case = Self {
            place: Place::new(),
            layers: Vec::new(),
            tar: Tar::new(),
            ended: None,
        };
        for line in lines.lines().filter(|line| !line.is_empty()) {
            let words: Vec<&str> = line.split(' ').collect();
            let outcome = match words[0] {
                "#" | "~" => Ok(()),
                "-" => {
                    let tar = std::mem::take(&mut case.tar);
                    case.tar = case.entry(tar, &words[1..]);
                    Ok(())
                }
                "+" => case.unpack().map(|()| case.ended = None),
                ">" => case.check(&words[1..]),
                _ => Err("no such line".to_owned()),
            };
            outcome.map_err(|why| format!("{name}: {line}: {why}"))?;
        }
        case.place.assert_nothing_escaped();
        case.ended
            .map(|_| ())
            .ok_or_else(|| format!("{name}: nothing is checked"))
    }

    fn expand(&self, word: &str) -> String {
        let outside = self.place.0.path().to_str().unwrap();
        match word {
            "\"\"" => String::new(),
            "@long" => "a/".repeat(2500),
            word => word.replace("@outside", outside).replace("\\0", "\0"),
        }
    }

    fn entry(&self, tar: Tar, words: &[&str]) -> Tar {
        let name = self.expand(words[1]);
        let link = self.expand(words.get(2).unwrap_or(&""));
        let mode = |at: usize| u32::from_str_radix(words[at], 8).unwrap();
        let fields = |kind, mode| Fields {
            kind,
            name: &name,
            mode,
            ..Fields::default()
        };
        match words[0] {
            "dir" => tar.header(&fields(b'5', mode(2))),
            "fifo" => tar.header(&fields(b'6', mode(2))),
            "file" => {
                let text = words[3..].join(" ");
                let size = text.len() as u64;
                tar.header(&Fields {
                    size,
                    ..fields(b'0', mode(2))
                })
                .content(text.as_bytes())
            }
            "symlink" => tar.symlink(&name, &link),
            "link" => tar.hard_link(&name, &link),
            "char" => {
                let device = (words[2].parse().unwrap(), words[3].parse().unwrap());
                tar.header(&Fields {
                    device,
                    ..fields(b'3', 0o600)
                })
            }
            "pax" => tar.pax(&[(&name, &link)]),
            "global" => tar.header(&fields(b'g', 0)),
            "long" => tar.long_name(&name),
            other => panic!("no entry is called {other}"),
        }
    }

    /// Unpacks the layer that the entries up to here make; what is refused may only be the last one.
    fn unpack(&mut self) -> Result<(), String> {
        match &self.ended {
            Some(Ok(())) => return Ok(()),
            Some(Err(error)) => return Err(error.clone()),
            None => {}
        }
        let bytes = std::mem::take(&mut self.tar).bytes();
        let target = self.place.target().join(self.layers.len().to_string());
        fs::create_dir(&target).unwrap();
        let root = File::open(&target).unwrap();
        let ended = unpack(&bytes[..], Compression::Detect, root.as_fd(), &LIMITS, None);
        let ended = ended.map(|_| ()).map_err(|error| error.to_string());
        self.layers.push(target);
        self.ended = Some(ended.clone());
        ended
    }

    fn check(&mut self, words: &[&str]) -> Result<(), String> {
        if words[0] == "refused" {
            let expected = words[1..].join(" ");
            return match self.unpack() {
                Err(error) if error.contains(&expected) => Ok(()),
                other => Err(format!("{other:?}")),
            };
        }
        self.unpack()?;
        let stack = Stack::of(&self.layers);
        let path = self.expand(words[1]);
        let rest = self.expand(&words.get(2..).unwrap_or_default().join(" "));
        let found = match words[0] {
            "list" => {
                let found = stack.0.iter().map(|(path, shown)| {
                    match shown.path.is_symlink() || !shown.path.is_dir() {
                        true => path.clone(),
                        false => format!("{path}/"),
                    }
                });
                let found: Vec<String> = found.collect();
                return equal(&found.join(" "), &words[1..].join(" "));
            }
            "absent" => {
                return match stack.0.get(&path) {
                    None => Ok(()),
                    Some(_) => Err("is there".to_owned()),
                };
            }
            "same" | "different" => {
                let inode =
                    |path: &str| Some(fs::symlink_metadata(stack.follow(path)?).unwrap().ino());
                let (one, other) = (inode(&path), inode(&rest));
                let is_right =
                    one.is_some() && other.is_some() && (one == other) == (words[0] == "same");
                return if is_right {
                    Ok(())
                } else {
                    Err(format!("{one:?} {other:?}"))
                };
            }
            "text" => fs::read_to_string(stack.follow(&path).ok_or("is not there")?).unwrap(),
            "mode" => format!("{:o}", stack.0.get(&path).ok_or("is not there")?.mode),
            "target" => {
                let link = fs::read_link(&stack.0.get(&path).ok_or("is not there")?.path);
                link.map_err(|error| error.to_string())?
                    .display()
                    .to_string()
            }
            "xattr" => {
                let mut value = [0; 64];
                let path = stack.follow(&path).ok_or("is not there")?;
                let length = rustix::fs::getxattr(path, words[2], &mut value).unwrap_or(0);
                return equal(
                    &value[..length].escape_ascii().to_string(),
                    &words[3..].join(" "),
                );
            }
            other => return Err(format!("nothing checks {other}")),
        };
        equal(&found, &rest)
    }
}

fn equal(found: &str, expected: &str) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("found `{found}`")),
    }
}

/// What layers show together, by path; as overlayfs stacks them (Linux, Documentation/filesystems/overlayfs.rst).
struct Stack(BTreeMap<String, Shown>);

struct Shown {
    path: PathBuf,
    mode: u32,
}

impl Stack {
    fn of(layers: &[PathBuf]) -> Self {
        let mut stack = Self(BTreeMap::new());
        for layer in layers {
            if is_opaque(layer) {
                stack.0.clear();
            }
            stack.put(layer, layer);
        }
        stack
    }

    fn put(&mut self, layer: &Path, directory: &Path) {
        // A directory that its owner may not enter.
        let mode = fs::metadata(directory).unwrap().mode() & 0o7777;
        fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            let name = path
                .strip_prefix(layer)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned();
            let found = fs::symlink_metadata(&path).unwrap();
            let covers = self
                .0
                .get(&name)
                .is_some_and(|lower| lower.path.is_symlink() || !lower.path.is_dir());
            if !found.is_dir() || covers || is_opaque(&path) {
                let below = format!("{name}/");
                self.0
                    .retain(|path, _| *path != name && !path.starts_with(&below));
            }
            if found.file_type().is_char_device() && found.rdev() == 0 {
                continue;
            }
            let shown = Shown {
                path: path.clone(),
                mode: found.mode() & 0o7777,
            };
            self.0.insert(name, shown);
            if found.is_dir() {
                self.put(layer, &path);
            }
        }
        fs::set_permissions(directory, fs::Permissions::from_mode(mode)).unwrap();
    }

    /// What a path leads to, links followed below the root.
    fn follow(&self, path: &str) -> Option<&PathBuf> {
        let mut rest: Vec<String> = path.rsplit('/').map(str::to_owned).collect();
        let mut here: Vec<String> = Vec::new();
        for _ in 0..100 {
            let Some(component) = rest.pop() else {
                return self.0.get(&here.join("/")).map(|shown| &shown.path);
            };
            match &component[..] {
                "" | "." => {}
                ".." => drop(here.pop()),
                _ => {
                    here.push(component);
                    if let Ok(link) = fs::read_link(&self.0.get(&here.join("/"))?.path) {
                        let link = link.to_str()?;
                        here.pop();
                        if link.starts_with('/') {
                            here.clear();
                        }
                        rest.extend(link.rsplit('/').map(str::to_owned));
                    }
                }
            }
        }
        None
    }
}

fn is_opaque(path: &Path) -> bool {
    let mut value = [0; 8];
    !path.is_symlink() && rustix::fs::getxattr(path, "user.overlay.opaque", &mut value) == Ok(1)
}

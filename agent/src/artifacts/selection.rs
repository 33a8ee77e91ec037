//! Which files an artifact's `paths` mean. Pure.

use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

use pipelines::expression::Mistake;
use pipelines::glob::Glob;

use crate::backend::{FileKind, FoundFile};

/// Globs in order. One speaks of the paths it matches and of everything below; the last one that does decides.
#[derive(Debug)]
pub struct Selection {
    globs: Vec<Glob>,
}

/// What was chosen.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Files, directories and links, sorted.
    pub paths: Vec<Vec<u8>>,
    /// Devices, pipes and sockets that would have been.
    pub special: usize,
    /// Directories that cannot be read.
    pub unreadable: usize,
}

impl Selection {
    /// Reads `paths`.
    ///
    /// # Errors
    /// The mistake of the first that cannot be read.
    pub fn parse(paths: &[String]) -> Result<Self, Mistake> {
        let globs = paths.iter().map(|path| Glob::parse(path));
        Ok(Self {
            globs: globs.collect::<Result<_, _>>()?,
        })
    }

    /// The paths below which everything is that can be meant. The empty one is the whole workspace.
    #[must_use]
    pub fn roots(&self) -> Vec<Vec<u8>> {
        // A list that begins with an exclusion means everything else.
        if self.globs.first().is_some_and(Glob::excludes) {
            return vec![Vec::new()];
        }
        let including = self.globs.iter().filter(|glob| !glob.excludes());
        let sorted: BTreeSet<&[u8]> = including.map(|glob| plain_part(glob.as_str())).collect();
        let mut roots: Vec<Vec<u8>> = Vec::new();
        for path in sorted {
            let is_below = |root: &Vec<u8>| {
                root.is_empty()
                    || path
                        .strip_prefix(&root[..])
                        .is_some_and(|rest| rest.starts_with(b"/"))
            };
            // Sorted by bytes, something may stand between a directory and what is in it.
            if !roots.iter().any(is_below) {
                roots.push(path.to_vec());
            }
        }
        roots
    }

    /// Chooses from what there is.
    #[must_use]
    pub fn choose(&self, found: Vec<FoundFile>) -> Chosen {
        let mut known = HashMap::new();
        let mut chosen = Chosen::default();
        for FoundFile { path, kind } in found {
            if kind == FileKind::Unreadable {
                chosen.unreadable += 1;
                continue;
            }
            let parent = parent(&path).map(|parent| self.matching(parent, &mut known));
            let own = self.own(&path, parent.as_deref());
            if self.includes(&own) {
                match kind {
                    FileKind::Special => chosen.special += 1,
                    _ => chosen.paths.push(path),
                }
            }
        }
        chosen.paths.sort();
        chosen
    }

    /// Which globs match a directory or one that it is in.
    fn matching(&self, path: &[u8], known: &mut HashMap<Vec<u8>, Rc<[bool]>>) -> Rc<[bool]> {
        if let Some(matching) = known.get(path) {
            return Rc::clone(matching);
        }
        // From the top down, without recursion: a tree may be deep.
        let mut above: Option<Rc<[bool]>> = None;
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
        for end in ends.map(|(end, _)| end).chain([path.len()]) {
            let here = &path[..end];
            let matching = match known.get(here) {
                Some(matching) => Rc::clone(matching),
                None => {
                    let matching: Rc<[bool]> = self.own(here, above.as_deref()).into();
                    known.insert(here.to_vec(), Rc::clone(&matching));
                    matching
                }
            };
            above = Some(matching);
        }
        above.unwrap_or_default()
    }

    fn own(&self, path: &[u8], above: Option<&[bool]>) -> Vec<bool> {
        // A name that is not UTF-8 is matched by no glob, but what it is in may be.
        let text = std::str::from_utf8(path).ok();
        let globs = self.globs.iter().enumerate();
        let matches = globs.map(|(index, glob)| {
            above.is_some_and(|above| above[index]) || text.is_some_and(|text| glob.matches(text))
        });
        matches.collect()
    }

    fn includes(&self, matching: &[bool]) -> bool {
        let mut last_first = self.globs.iter().zip(matching).rev();
        match last_first.find(|(_, matches)| **matches) {
            Some((glob, _)) => !glob.excludes(),
            None => self.globs.first().is_some_and(Glob::excludes),
        }
    }
}

fn parent(path: &[u8]) -> Option<&[u8]> {
    let slash = path.iter().rposition(|byte| *byte == b'/')?;
    Some(&path[..slash])
}

/// The directories that a glob names without any sign, or all of it.
fn plain_part(glob: &str) -> &[u8] {
    let Some(sign) = glob.find(['*', '?', '[', '\\']) else {
        return glob.as_bytes();
    };
    let slash = glob[..sign].rfind('/').unwrap_or(0);
    &glob.as_bytes()[..slash]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selection(paths: &[&str]) -> Selection {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        Selection::parse(&paths).unwrap()
    }

    fn roots(paths: &[&str]) -> Vec<String> {
        let roots = selection(paths).roots().into_iter();
        roots.map(|root| String::from_utf8(root).unwrap()).collect()
    }

    fn chosen(paths: &[&str], files: &[&str]) -> Vec<String> {
        let found = files.iter().map(|path| FoundFile {
            path: path.as_bytes().to_vec(),
            kind: FileKind::File,
        });
        let chosen = selection(paths).choose(found.collect());
        let paths = chosen.paths.into_iter();
        paths.map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn only_what_can_be_meant_is_looked_at() {
        assert_eq!(roots(&["target/release/app"]), ["target/release/app"]);
        assert_eq!(roots(&["dist/*.js", "dist", "!dist/x"]), ["dist"]);
        assert_eq!(roots(&["a/b-c/x", "a/b", "a/b/c/**"]), ["a/b", "a/b-c/x"]);
        assert_eq!(roots(&["a/[bc]/d", "x\\*"]), [""]);
        assert_eq!(roots(&["**/*.xml", "a"]), [""]);
        assert_eq!(roots(&["!node_modules"]), [""]);
    }

    #[test]
    fn a_directory_means_what_is_in_it_and_the_last_glob_decides() {
        let files = [
            "dist",
            "dist/a.js",
            "dist/a.js.map",
            "dist/deep/b.js",
            "distant",
        ];
        assert_eq!(chosen(&["dist"], &files), &files[..4]);
        assert_eq!(
            chosen(&["dist", "!**/*.map"], &files),
            ["dist", "dist/a.js", "dist/deep/b.js"]
        );
        assert_eq!(chosen(&["dist", "!dist/deep"], &files), &files[..3]);
        assert_eq!(
            chosen(&["dist", "!dist/deep", "dist/deep/b.js"], &files),
            &files[..4]
        );
        assert_eq!(
            chosen(&["**/*.js"], &files),
            ["dist/a.js", "dist/deep/b.js"]
        );
        assert_eq!(chosen(&["!dist"], &files), ["distant"]);
        assert_eq!(chosen(&["none"], &files), [""; 0]);
    }

    #[test]
    fn what_no_text_can_name_comes_with_its_directory() {
        let found = |path: &[u8], kind| FoundFile {
            path: path.to_vec(),
            kind,
        };
        let list = vec![
            found(b"dist/\xff", FileKind::File),
            found(b"dist/pipe", FileKind::Special),
            found(b"dist/closed", FileKind::Unreadable),
            found(b"\xff", FileKind::File),
        ];
        let chosen = selection(&["dist"]).choose(list);
        assert_eq!(chosen.paths, [b"dist/\xff".to_vec()]);
        assert_eq!((chosen.special, chosen.unreadable), (1, 1));
    }
}

//! Artifacts whose content is known: numbers that a job's step computes and writes to files, and this program computes again.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::draw::Draw;
use crate::noise::{FACTOR, MODULUS, SUMMAND};

/// Files by their paths.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// What one job leaves.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Leaving {
    seed: u64,
    /// Of four bytes each.
    words: usize,
    /// Two artifacts, one of which is a directory.
    tree: bool,
}

/// Words of an artifact that takes more than one piece to send, 1 to 3 MiB.
const MANY: (usize, usize) = (256 << 10, 768 << 10);

impl Leaving {
    /// Every third job leaves nothing, and every twelfth much.
    pub(crate) fn draw(draw: &mut Draw) -> Option<Self> {
        let seed = draw.next() % MODULUS;
        let words = match draw.below(12) {
            0..4 => return None,
            4 => 0,
            5..9 => draw.below(2_000),
            9 | 10 => draw.below(100_000),
            _ => MANY.0 + draw.below(MANY.1 - MANY.0),
        };
        let tree = draw.below(3) == 0;
        Some(Self { seed, words, tree })
    }

    /// A part of a step's script.
    pub(crate) fn script(&self) -> String {
        let Self { seed, words, tree } = self;
        // A disk that is full takes it later; what perl could not write it tells when it closes the file.
        let write = format!(
            "until perl -e '$x={seed}; for (1..{words}) {{ $x = ($x * {FACTOR} + {SUMMAND}) % {MODULUS}; print pack(q(N), $x) \
             or exit 1 }} close(STDOUT) or exit 1' > out.bin 2>/dev/null; do sleep 0.2; done"
        );
        match tree {
            false => write,
            true => format!(
                "{write}; until mkdir -p tree/below && : > tree/empty && cp out.bin tree/below/copy; do sleep 0.2; done 2>/dev/null"
            ),
        }
    }

    /// Of the pipeline.
    pub(crate) fn declared(&self) -> String {
        let tree = match self.tree {
            true => ", { name: tree, paths: [tree], when: always }",
            false => "",
        };
        format!("artifacts: [{{ name: out, paths: [out.bin], when: always }}{tree}], ")
    }

    /// What there has to be, by the artifacts' names.
    pub(crate) fn artifacts(&self) -> BTreeMap<&'static str, Files> {
        let mut x = self.seed;
        let mut bytes = Vec::with_capacity(self.words * 4);
        for _ in 0..self.words {
            x = (x * FACTOR + SUMMAND) % MODULUS;
            bytes.extend(u32::try_from(x).unwrap_or_default().to_be_bytes());
        }
        let files = |files: Vec<(&str, Vec<u8>)>| {
            let files = files.into_iter();
            files
                .map(|(path, bytes)| (path.to_owned(), bytes))
                .collect()
        };
        let mut artifacts = BTreeMap::from([("out", files(vec![("out.bin", bytes.clone())]))]);
        if self.tree {
            let tree = vec![("tree/below/copy", bytes), ("tree/empty", Vec::new())];
            artifacts.insert("tree", files(tree));
        }
        artifacts
    }
}

/// The files of an archive.
pub(crate) fn unpack(archive: &[u8]) -> Files {
    let directory = tempfile::TempDir::new().expect("a place for files");
    let mut tar = Command::new("tar")
        .args(["-xz", "-C"])
        .arg(directory.path())
        .stdin(Stdio::piped())
        .spawn()
        .expect("run tar");
    let mut input = tar.stdin.take().expect("a way into tar");
    input.write_all(archive).expect("give tar the archive");
    drop(input);
    assert!(tar.wait().is_ok_and(|status| status.success()), "unpack");
    let mut files = Files::new();
    each_file(directory.path(), &mut |path| {
        let name = path.strip_prefix(directory.path()).expect("below it");
        let bytes = fs::read(path).expect("read a file");
        files.insert(name.display().to_string(), bytes);
    });
    files
}

/// `JOB-ATTEMPT` and the stream of all files that are in a storage, whosever they are.
pub(crate) fn stored(storage: &Path) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    each_file(storage, &mut |path| {
        let below = path.strip_prefix(storage).expect("below it");
        let names: Vec<_> = below
            .iter()
            .map(|name| name.to_string_lossy().into_owned())
            .collect();
        let is_temporary = names.last().is_some_and(|name| name.starts_with('.'));
        // The directory's own files, and nothing else, are of no attempt.
        let at = names.iter().position(|name| name.contains('-'));
        let is_own = names.len() == 1 && ["lock", "boot", "identity"].contains(&&*names[0]);
        if is_temporary || is_own {
            return;
        }
        let named = at.and_then(|at| Some((names[at].clone(), names.get(at + 1)?)));
        found.insert(match named {
            // A part of it.
            Some((attempt, stream)) => {
                let stream = stream.split('~').next().unwrap_or_default();
                (attempt, stream.to_owned())
            }
            None => (below.display().to_string(), String::new()),
        });
    });
    found
}

/// Files may come and go meanwhile.
fn each_file(directory: &Path, take: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => each_file(&entry.path(), take),
            Ok(_) => take(&entry.path()),
            Err(_) => {}
        }
    }
}

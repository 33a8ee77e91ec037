//! Files of the fake backend: all that a workspace has is what it was told to have.

use std::fs::File;
use std::io::Write as _;
use std::time::Duration;

use super::{Fake, FakeWorkspace};
use crate::backend::{FileKind, FilePart, FilesError, FoundFile, Most, PackedFiles, RestoredFiles};

impl Fake {
    pub(super) async fn list(
        &self,
        workspace: &FakeWorkspace,
        below: &[Vec<u8>],
    ) -> Result<Vec<FoundFile>, FilesError> {
        let below: Vec<_> = below
            .iter()
            .map(|path| String::from_utf8_lossy(path))
            .collect();
        self.note(format!("list {} {}", workspace.0, below.join(" ")));
        let found = |path: &&str| FoundFile {
            path: path.as_bytes().to_vec(),
            kind: FileKind::File,
        };
        Ok(self.files.iter().map(found).collect())
    }

    pub(super) async fn pack(
        &self,
        workspace: &FakeWorkspace,
        paths: &[Vec<u8>],
        most: Most,
        mut out: &File,
    ) -> Result<PackedFiles, FilesError> {
        let all = paths.join(&b' ');
        let text = String::from_utf8_lossy(&all);
        // What ends in `z` can be compressed.
        let archive = text.trim_end_matches('z').as_bytes();
        self.note(format!("pack {} {text}", workspace.0));
        if self.packing_hangs {
            std::future::pending().await
        }
        for (bytes, most) in [(&all[..], most.contents), (archive, most.archive)] {
            if bytes.len() as u64 > most {
                return Err(FilesError {
                    is_of_the_files: true,
                    message: format!("more than {most} bytes"),
                });
            }
        }
        out.write_all(archive).unwrap();
        Ok(PackedFiles {
            files: paths.len() as u64,
            bytes: 7,
            size: archive.len() as u64,
            sha256: "ab".repeat(32),
        })
    }

    pub(super) async fn save(
        &self,
        workspace: &FakeWorkspace,
        parts: &[FilePart],
        most: u64,
        forbidden: &[Vec<u8>],
        mut out: &File,
    ) -> Result<PackedFiles, FilesError> {
        self.note(format!("save {} {}", workspace.0, places(parts)));
        if self.packing_hangs {
            std::future::pending().await
        }
        let text = self.files.join(" ");
        let is_forbidden = |word: &Vec<u8>| text.contains(&*String::from_utf8_lossy(word));
        if forbidden.iter().any(is_forbidden) {
            return Err(FilesError {
                is_of_the_files: true,
                message: "`file` holds the value of a secret".to_owned(),
            });
        }
        if text.len() as u64 > most {
            return Err(FilesError {
                is_of_the_files: true,
                message: format!("more than {most} bytes"),
            });
        }
        out.write_all(text.as_bytes()).unwrap();
        Ok(PackedFiles {
            files: self.files.len() as u64,
            bytes: 7,
            size: text.len() as u64,
            sha256: crate::caches::sha256(text.as_bytes()),
        })
    }

    pub(super) async fn restore(
        &self,
        workspace: &FakeWorkspace,
        parts: &[FilePart],
        _most: u64,
        time: Duration,
        mut archive: &File,
    ) -> Result<RestoredFiles, FilesError> {
        self.note(format!("restore {} {}", workspace.0, places(parts)));
        let mut text = String::new();
        std::io::Read::read_to_string(&mut archive, &mut text).unwrap();
        tokio::time::sleep(self.restoring_takes.min(time)).await;
        if self.restoring_takes > time {
            return Err(FilesError {
                is_of_the_files: false,
                message: "it takes too long".to_owned(),
            });
        }
        if self.restoring_fails {
            return Err(FilesError {
                is_of_the_files: true,
                message: "its archive is damaged: bad luck".to_owned(),
            });
        }
        Ok(RestoredFiles {
            files: text.split_whitespace().count() as u64,
            bytes: 7,
        })
    }
}

/// `0: a b, ~: c`.
fn places(parts: &[FilePart]) -> String {
    let parts = parts.iter().map(|part| {
        let place = part
            .directory
            .map_or_else(|| "workspace".to_owned(), |number| number.to_string());
        format!("{place}:{}", part.below.join(","))
    });
    parts.collect::<Vec<_>>().join(" ")
}

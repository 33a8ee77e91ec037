//! Looks into commits that are here.

use git2::{DiffOptions, ObjectType};

use crate::{Commit, Error, Mirror};

const LINK: i32 = 0o120_000;

pub(crate) fn file(
    mirror: &Mirror,
    commit: Commit,
    path: &str,
    most: u64,
) -> Result<Option<Vec<u8>>, Error> {
    let damaged = |error: git2::Error| mirror.damaged(&error);
    let wrong = |what: String| Error::NoFile {
        path: path.to_owned(),
        commit,
        what,
    };
    let repository = &mirror.repository;
    let mut tree = mirror.commit(commit)?.tree().map_err(damaged)?;
    let mut parts = path.split('/').peekable();
    while let Some(part) = parts.next() {
        let Some(entry) = tree.get_name(part) else {
            return Ok(None);
        };
        let (id, kind, mode) = (entry.id(), entry.kind(), entry.filemode());
        drop(entry);
        match kind {
            Some(ObjectType::Tree) if parts.peek().is_some() => {
                tree = repository.find_tree(id).map_err(damaged)?;
            }
            Some(ObjectType::Blob) if parts.peek().is_none() && mode != LINK => {
                let odb = repository.odb().map_err(damaged)?;
                let (size, _) = odb.read_header(id).map_err(damaged)?;
                if size as u64 > most {
                    return Err(wrong(format!("{size} bytes large, more than {most}")));
                }
                let blob = repository.find_blob(id).map_err(damaged)?;
                return Ok(Some(blob.content().to_vec()));
            }
            Some(ObjectType::Blob) if mode == LINK => {
                return Err(wrong("a symbolic link".to_owned()));
            }
            Some(ObjectType::Tree) => return Err(wrong("a directory".to_owned())),
            Some(ObjectType::Commit) => return Err(wrong("a submodule".to_owned())),
            _ => return Ok(None),
        }
    }
    Ok(None)
}

pub(crate) fn changed_paths(
    mirror: &Mirror,
    from: Commit,
    to: Commit,
    most: usize,
) -> Result<Option<Vec<String>>, Error> {
    let damaged = |error: git2::Error| mirror.damaged(&error);
    let old = mirror.commit(from)?.tree().map_err(damaged)?;
    let new = mirror.commit(to)?.tree().map_err(damaged)?;
    let mut options = DiffOptions::new();
    options.ignore_submodules(false).skip_binary_check(true);
    let diff = mirror
        .repository
        .diff_tree_to_tree(Some(&old), Some(&new), Some(&mut options))
        .map_err(damaged)?;
    if diff.deltas().len() > most {
        return Ok(None);
    }
    let mut paths: Vec<String> = diff
        .deltas()
        .flat_map(|delta| [delta.old_file().path(), delta.new_file().path()])
        .flatten()
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    paths.sort();
    paths.dedup();
    Ok(Some(paths))
}

pub(crate) fn describe(mirror: &Mirror, commit: Commit) -> Result<(String, String), Error> {
    let commit = mirror.commit(commit)?;
    let message = String::from_utf8_lossy(commit.message_bytes()).into_owned();
    let author = String::from_utf8_lossy(commit.author().name_bytes()).into_owned();
    let clean = |text: &str| -> String {
        text.chars()
            .filter(|character| !character.is_control())
            .take(200)
            .collect()
    };
    let first = message.trim().lines().next().unwrap_or_default();
    Ok((clean(first), clean(&author)))
}

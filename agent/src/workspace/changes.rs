//! What has changed since a branch, for `changed(..)` and the `paths` of filters.

use std::collections::BTreeSet;
use std::path::Path;

use git2::{BranchType, Commit, Delta, DiffOptions, Repository};

/// Why nobody knows what has changed.
#[derive(Debug, thiserror::Error)]
pub enum ChangesError {
    /// There is no such branch, neither here nor at `origin`.
    #[error("there is no branch `{0}`, neither here nor at `origin`")]
    NoBranch(String),
    /// The repository cannot be read.
    #[error("failed to read the git repository: {0}")]
    Git(#[from] git2::Error),
}

/// Paths from the root of the repository, sorted, that differ between the working tree, uncommitted changes and new files
/// included, and the commit at which its history left that of the branch `base`. Both names of what was renamed.
pub fn changes_since(directory: &Path, base: &str) -> Result<Vec<String>, ChangesError> {
    let repository = Repository::discover(directory)?;
    let Some(base) = branch(&repository, base)? else {
        return Err(ChangesError::NoBranch(base.to_owned()));
    };
    let head = repository.head()?.peel_to_commit()?;
    let left = repository.merge_base(base.id(), head.id())?;
    let tree = repository.find_commit(left)?.tree()?;
    let mut options = DiffOptions::new();
    options
        .include_untracked(true)
        .recurse_untracked_dirs(true)
        .include_typechange(true);
    let diff = repository.diff_tree_to_workdir_with_index(Some(&tree), Some(&mut options))?;
    let mut paths = BTreeSet::new();
    for delta in diff
        .deltas()
        .filter(|delta| delta.status() != Delta::Unmodified)
    {
        let files = [delta.old_file(), delta.new_file()];
        let changed = files.iter().filter_map(|file| file.path()?.to_str());
        paths.extend(changed.map(ToOwned::to_owned));
    }
    Ok(paths.into_iter().collect())
}

/// The newest commit of a branch: the local one, else that of `origin`.
fn branch<'r>(repository: &'r Repository, name: &str) -> Result<Option<Commit<'r>>, git2::Error> {
    let local = repository.find_branch(name, BranchType::Local);
    let remote = || repository.find_branch(&format!("origin/{name}"), BranchType::Remote);
    let found = local.or_else(|_| remote()).ok();
    found
        .map(|branch| branch.get().peel_to_commit())
        .transpose()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use git2::{IndexAddOption, Oid, Signature};

    use super::*;

    fn commit(repository: &Repository, reference: &str, parents: &[Oid]) -> Oid {
        let signature = Signature::now("name", "name@example.org").unwrap();
        let mut index = repository.index().unwrap();
        index.add_all(["*"], IndexAddOption::DEFAULT, None).unwrap();
        index.write().unwrap();
        let tree = repository.find_tree(index.write_tree().unwrap()).unwrap();
        let parents: Vec<_> = parents
            .iter()
            .map(|id| repository.find_commit(*id).unwrap())
            .collect();
        let parents: Vec<_> = parents.iter().collect();
        repository
            .commit(
                Some(reference),
                &signature,
                &signature,
                "m",
                &tree,
                &parents,
            )
            .unwrap()
    }

    #[test]
    fn what_the_branch_has_done_counts_and_what_its_base_has_done_since_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let repository = Repository::init(root).unwrap();
        repository.set_head("refs/heads/main").unwrap();
        for name in ["kept", "edited", "removed", "uncommitted"] {
            fs::write(root.join(name), name).unwrap();
        }
        let first = commit(&repository, "refs/heads/main", &[]);
        fs::write(root.join("of main"), "x").unwrap();
        commit(&repository, "refs/heads/main", &[first]);
        fs::remove_file(root.join("of main")).unwrap();
        let object = repository.find_commit(first).unwrap();
        repository.branch("topic", &object, false).unwrap();
        repository.set_head("refs/heads/topic").unwrap();
        fs::write(root.join("edited"), "other").unwrap();
        fs::remove_file(root.join("removed")).unwrap();
        commit(&repository, "refs/heads/topic", &[first]);
        fs::write(root.join("uncommitted"), "other").unwrap();
        fs::create_dir(root.join("new")).unwrap();
        fs::write(root.join("new/file"), "x").unwrap();
        assert_eq!(
            changes_since(&root.join("new"), "main").unwrap(),
            ["edited", "new/file", "removed", "uncommitted"]
        );
        let error = changes_since(root, "master").unwrap_err();
        assert_eq!(
            error.to_string(),
            "there is no branch `master`, neither here nor at `origin`"
        );
    }
}

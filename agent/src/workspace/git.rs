//! What git says about the working tree, for the predefined variables.

use std::path::Path;

use git2::{ErrorCode, ObjectType, Repository};

/// Facts of the commit that is checked out. Each may be missing: no repository, no commit yet, a detached head.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GitFacts {
    /// The commit's id.
    pub commit: Option<String>,
    /// The branch that is checked out.
    pub branch: Option<String>,
    /// The first tag, by name, of the commit.
    pub tag: Option<String>,
    /// The path part of the URL of `origin` without `.git`: `owner/name`. Never a user name or a password.
    pub repository: Option<String>,
}

/// Why a repository cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("failed to read the git repository: {source}")]
pub struct GitError {
    #[from]
    source: git2::Error,
}

/// Reads the facts of the repository that `directory` is in; all are missing outside of one.
pub fn git_facts(directory: &Path) -> Result<GitFacts, GitError> {
    // libgit2's beginning fills OpenSSL's tables, two milliseconds, and reads the authorities that SSL_CERT_FILE names, if it
    // does, six more: not where there is nothing to do.
    let real = directory.canonicalize();
    let is_in_one =
        real.is_ok_and(|real| real.ancestors().any(|above| above.join(".git").exists()));
    if !is_in_one {
        return Ok(GitFacts::default());
    }
    let repository = match Repository::discover(directory) {
        Ok(repository) => repository,
        Err(error) if error.code() == ErrorCode::NotFound => return Ok(GitFacts::default()),
        Err(error) => return Err(error.into()),
    };
    let origin = repository.find_remote("origin").ok();
    let mut facts = GitFacts {
        repository: origin.and_then(|origin| repository_path(origin.url().ok()?)),
        ..GitFacts::default()
    };
    let head = match repository.head() {
        Ok(head) => head,
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => {
            return Ok(facts);
        }
        Err(error) => return Err(error.into()),
    };
    let commit = head.peel_to_commit()?.id();
    facts.commit = Some(commit.to_string());
    if head.is_branch() {
        facts.branch = head.shorthand().ok().map(ToOwned::to_owned);
    }
    let mut tags: Vec<String> = Vec::new();
    for reference in repository.references_glob("refs/tags/*")?.flatten() {
        let is_head = reference
            .peel(ObjectType::Commit)
            .is_ok_and(|object| object.id() == commit);
        if is_head && let Ok(name) = reference.shorthand() {
            tags.push(name.to_owned());
        }
    }
    tags.sort();
    facts.tag = tags.into_iter().next();
    Ok(facts)
}

/// The path in a git URL: `https://user:secret@host/owner/name.git`, `ssh://git@host:22/owner/name`, or the form
/// `git@host:owner/name.git` (git-clone(1), "GIT URLS"). A local path has no owner and says nothing.
fn repository_path(url: &str) -> Option<String> {
    let path = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split_once('/')?.1,
        None => {
            let (host, path) = url.split_once(':')?;
            if host.contains('/') {
                return None;
            }
            path
        }
    };
    let path = path.split(['?', '#']).next().unwrap_or(path);
    let path = path.trim_matches('/');
    let path = path.strip_suffix(".git").unwrap_or(path);
    (!path.is_empty()).then(|| path.to_owned())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use git2::{Repository, Signature};

    use super::{GitFacts, git_facts, repository_path};

    fn commit(repository: &Repository) -> git2::Oid {
        let signature = Signature::now("name", "name@example.org").unwrap();
        let tree = repository.treebuilder(None).unwrap().write().unwrap();
        let tree = repository.find_tree(tree).unwrap();
        repository
            .commit(Some("HEAD"), &signature, &signature, "first", &tree, &[])
            .unwrap()
    }

    #[test]
    fn a_checked_out_tag_has_all_facts() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init(directory.path()).unwrap();
        repository.set_head("refs/heads/feature/x").unwrap();
        repository
            .remote("origin", "https://me:secret@example.org/owner/name.git")
            .unwrap();
        let id = commit(&repository);
        let object = repository.find_object(id, None).unwrap();
        repository.tag_lightweight("v1", &object, false).unwrap();
        let signature = Signature::now("name", "name@example.org").unwrap();
        repository
            .tag("v0-annotated", &object, &signature, "message", false)
            .unwrap();
        std::fs::create_dir(directory.path().join("sub")).unwrap();
        // Also by way of a link from outside.
        let elsewhere = tempfile::tempdir().unwrap();
        let link = elsewhere.path().join("link");
        std::os::unix::fs::symlink(directory.path().join("sub"), &link).unwrap();
        assert_eq!(git_facts(&link).unwrap().commit, Some(id.to_string()));
        assert_eq!(
            git_facts(&directory.path().join("sub")).unwrap(),
            GitFacts {
                commit: Some(id.to_string()),
                branch: Some("feature/x".to_owned()),
                tag: Some("v0-annotated".to_owned()),
                repository: Some("owner/name".to_owned()),
            }
        );
    }

    #[test]
    fn a_repository_without_a_commit_or_with_a_detached_head_has_some() {
        let directory = tempfile::tempdir().unwrap();
        let repository = Repository::init(directory.path()).unwrap();
        assert_eq!(git_facts(directory.path()).unwrap(), GitFacts::default());
        let id = commit(&repository);
        repository.set_head_detached(id).unwrap();
        let facts = git_facts(directory.path()).unwrap();
        assert_eq!((facts.commit, facts.branch), (Some(id.to_string()), None));
    }

    #[test]
    fn outside_of_a_repository_there_are_none() {
        assert_eq!(git_facts(Path::new("/proc")).unwrap(), GitFacts::default());
    }

    #[test]
    fn urls_give_their_path_and_no_secret() {
        let path = |url| repository_path(url);
        let expected = Some("owner/name".to_owned());
        assert_eq!(path("https://user:secret@host/owner/name.git"), expected);
        assert_eq!(path("ssh://git@host:22/owner/name/"), expected);
        assert_eq!(path("git@host:owner/name.git"), expected);
        assert_eq!(path("https://host/owner/name?token=secret"), expected);
        assert_eq!(path("/srv/git/name.git"), None);
        assert_eq!(path("file:///srv/git/name.git"), None);
        assert_eq!(path("./a:b"), None);
    }
}

//! `agent caches list` and `remove`: those of a server.

use protocol::service::{Cache, CacheId, Caches, path};

use super::super::CommandError;
use super::super::printing::{aligned, print};
use super::{client, print_json, show, wait};
use crate::cli::ServerOptions;
use crate::clock::unix_ms;
use crate::exit_code::ExitCode;
use crate::machine::Machine;
use crate::sink::{sanitise, size};

/// Lists the caches of a server, or of one of its repositories.
pub fn caches(
    server: &ServerOptions,
    repo: Option<&str>,
    json: bool,
    machine: &Machine,
) -> Result<ExitCode, CommandError> {
    let client = client(server, machine)?;
    wait(async {
        let mut answer: Caches = client.get(path::CACHES).await?;
        answer
            .caches
            .retain(|cache| repo.is_none_or(|repo| is_of(cache, repo)));
        match json {
            true => print_json(&answer)?,
            false => print(&table(&answer.caches))?,
        }
        Ok(ExitCode::Success)
    })
}

/// Removes some of them.
pub fn remove_caches(
    server: &ServerOptions,
    caches: &[CacheId],
    machine: &Machine,
) -> Result<ExitCode, CommandError> {
    let client = client(server, machine)?;
    wait(async {
        for cache in caches {
            client.delete(&path::of_cache(*cache)).await?;
        }
        Ok(ExitCode::Success)
    })
}

/// Whether it is of the repository with this URL, or with this end of one: `owner/name`.
fn is_of(cache: &Cache, repo: &str) -> bool {
    let url = cache.repository.strip_suffix(".git");
    let url = url.unwrap_or(&cache.repository);
    let repo = repo.strip_suffix(".git").unwrap_or(repo);
    url == repo
        || url
            .strip_suffix(repo)
            .is_some_and(|before| before.ends_with(['/', ':']))
}

fn table(caches: &[Cache]) -> String {
    let now = unix_ms();
    let head = [
        "ID",
        "REPOSITORY",
        "SCOPE",
        "KEY",
        "SIZE",
        "JOB",
        "CREATED",
        "USED",
    ];
    let rows = caches.iter().map(|cache| {
        [
            cache.id.to_string(),
            sanitise(&cache.repository),
            sanitise(&cache.scope),
            sanitise(&cache.key),
            size(cache.size),
            cache.job.to_string(),
            show::ago(cache.created_at, now),
            show::ago(cache.used_at, now),
        ]
    });
    let rows: Vec<_> = std::iter::once(head.map(str::to_owned))
        .chain(rows)
        .collect();
    aligned(&rows)
}

#[cfg(test)]
mod tests {
    use protocol::service::JobId;

    use super::*;

    #[test]
    fn a_repository_is_its_url_or_the_end_of_it() {
        let cache = Cache {
            id: CacheId(1),
            repository: "https://git.example.org/o/name.git".to_owned(),
            scope: String::new(),
            key: String::new(),
            size: 0,
            files: 0,
            sha256: String::new(),
            job: JobId(1),
            created_at: 0,
            used_at: 0,
        };
        for repo in [
            "o/name",
            "name",
            "name.git",
            "https://git.example.org/o/name",
        ] {
            assert!(is_of(&cache, repo), "{repo}");
        }
        for repo in ["ame", "o", "other/name"] {
            assert!(!is_of(&cache, repo), "{repo}");
        }
    }
}

//! Caches come by the same way as logs, belong to a repository and a scope, and go when nobody uses them.

use protocol::Conclusion::Success;
use protocol::service::{
    AttemptId, Cache, CacheAnswer, CacheEnd, CacheFound, CacheQuery, Caches, Finish, ProblemCode,
    StreamName, Submit, Trigger, path,
};
use reqwest::{Method, StatusCode, header};

use crate::harness::{Agent, Server, end, finish, problem};

/// A job that keeps two caches.
pub(crate) const KEEPING: &str = "image: host\njobs:\n  t:\n    cache: [{ key: a, paths: [a] }, { key: b, paths: [b] }]\n    steps: [{ run: make }]\n";

pub(crate) fn stream() -> StreamName {
    StreamName::cache(0)
}

pub(crate) fn query(key: &str, fallback: &[&str]) -> CacheQuery {
    CacheQuery {
        key: key.to_owned(),
        fallback: fallback.iter().map(|key| (*key).to_owned()).collect(),
        version: "cd".repeat(32),
    }
}

pub(crate) fn said(key: &str) -> CacheEnd {
    CacheEnd {
        stream: stream(),
        key: key.to_owned(),
        version: "cd".repeat(32),
        files: 3,
        sha256: "ab".repeat(32),
        instead_of: None,
    }
}

/// A job of a repository for an event, which an agent takes.
pub(crate) async fn job_of(
    server: &Server,
    agent: &Agent,
    url: &str,
    trigger: Trigger,
) -> AttemptId {
    let submit = Submit {
        repository: Some(url.to_owned()),
        trigger,
        ..Submit::default()
    };
    server.submitted(&submit).await;
    agent.take().await.id
}

pub(crate) async fn push(server: &Server, agent: &Agent, url: &str, branch: &str) -> AttemptId {
    let trigger = Trigger {
        branch: Some(branch.to_owned()),
        ..Trigger::of(pipelines::Event::Push)
    };
    job_of(server, agent, url, trigger).await
}

pub(crate) async fn request(
    server: &Server,
    agent: &Agent,
    url: &str,
    from: &str,
    to: &str,
) -> AttemptId {
    let trigger = Trigger {
        branch: Some(from.to_owned()),
        base: Some(to.to_owned()),
        ..Trigger::of(pipelines::Event::PullRequest)
    };
    job_of(server, agent, url, trigger).await
}

/// What a job is to start from.
pub(crate) async fn found(agent: &Agent, id: AttemptId, query: &CacheQuery) -> Option<CacheFound> {
    let address = path::of_attempt(path::CACHE_FIND, id);
    let answer: CacheAnswer = agent.user.post(&address, query).await;
    answer.found
}

/// Ends a job that leaves one cache.
pub(crate) async fn keeping(agent: &Agent, id: AttemptId, key: &str, bytes: &[u8]) {
    let mut offset = 0;
    for piece in bytes.chunks(1_000_000) {
        let answer = agent.log(id, &stream(), offset, piece).send().await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        offset += piece.len() as u64;
    }
    let ended = Finish {
        logs: vec![end(&stream(), bytes)],
        caches: vec![said(key)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
}

/// Ends a job that leaves nothing.
pub(crate) async fn nothing(agent: &Agent, id: AttemptId) {
    agent.tell(path::FINISH, id, &finish(Success)).await;
}

pub(crate) async fn listed(server: &Server) -> Vec<Cache> {
    let answer: Caches = server.admin.get(path::CACHES).await;
    answer.caches
}

pub(crate) async fn bytes_of(agent: &Agent, id: AttemptId, cache: &CacheFound) -> Vec<u8> {
    let address = path::of_cache_archive(id, cache.id);
    let answer = agent
        .user
        .request(Method::GET, &address)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/zstd");
    answer.bytes().await.unwrap().to_vec()
}

#[tokio::test]
async fn a_cache_is_kept_whole_and_found_by_its_key_or_its_beginning() {
    let server =
        Server::start_with(|config| config.retention = server::Retention::of(4 << 20)).await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "main").await;
    assert_eq!(found(&agent, id, &query("a-1", &["a-"])).await, None);
    // Longer than any log is kept.
    let whole: Vec<u8> = (0_u32..2_500_000).flat_map(u32::to_le_bytes).collect();
    keeping(&agent, id, "a-1", &whole).await;
    // It is no log and no artifact.
    assert_eq!(server.job(id.job).await.attempts[0].logs, []);
    let log = path::of_log(path::LOG, id, &stream());
    let refused = problem(server.admin.request(Method::GET, &log)).await;
    assert_eq!(refused.code, ProblemCode::NotFound);

    let id = push(&server, &agent, &url, "main").await;
    let exact = found(&agent, id, &query("a-1", &[])).await.unwrap();
    assert!(exact.exact && exact.size == 10_000_000 && exact.sha256 == "ab".repeat(32));
    assert_eq!(bytes_of(&agent, id, &exact).await, whole);
    let address = path::of_cache_archive(id, exact.id);
    let part = agent
        .user
        .request(Method::GET, &address)
        .header(header::RANGE, "bytes=4000001-");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), whole[4_000_001..]);
    let begun = found(&agent, id, &query("a-2", &["x", "a-"]))
        .await
        .unwrap();
    assert_eq!((begun.key.as_str(), begun.exact), ("a-1", false));
    let other = CacheQuery {
        version: "ef".repeat(32),
        ..query("a-1", &["a-"])
    };
    assert_eq!(found(&agent, id, &other).await, None, "of other paths");
    // The first under a key stays.
    keeping(&agent, id, "a-1", b"another").await;
    let id = push(&server, &agent, &url, "main").await;
    let same = found(&agent, id, &query("a-1", &[])).await.unwrap();
    assert_eq!(bytes_of(&agent, id, &same).await, whole);
    assert_eq!(listed(&server).await.len(), 1);
}

#[tokio::test]
async fn who_writes_decides_who_reads() {
    let server = Server::start().await;
    let url = server.repository("r", KEEPING);
    let other = server.repository("other", KEEPING);
    let agent = server.agent(&[]).await;
    // The repository's own `HEAD` is what every job of it trusts.
    let manual = job_of(&server, &agent, &url, Trigger::default()).await;
    keeping(&agent, manual, "of-main", b"main").await;
    let id = push(&server, &agent, &url, "topic").await;
    keeping(&agent, id, "of-topic", b"topic").await;
    let id = request(&server, &agent, &url, "main", "topic").await;
    keeping(&agent, id, "of-request", b"request").await;
    let scopes: Vec<_> = listed(&server)
        .await
        .into_iter()
        .map(|cache| cache.scope)
        .collect();
    assert!(
        scopes[0].starts_with("pull-request:main -> topic "),
        "{scopes:?}"
    );
    assert_eq!(scopes[1..], ["branch:topic", "branch:main"]);
    let all = ["of-main", "of-topic", "of-request"];
    let reads = async |id: AttemptId| {
        let mut read = Vec::new();
        for key in all {
            if found(&agent, id, &query(key, &[])).await.is_some() {
                read.push(key);
            }
        }
        nothing(&agent, id).await;
        read
    };
    assert_eq!(
        reads(push(&server, &agent, &url, "main").await).await,
        ["of-main"]
    );
    assert_eq!(
        reads(push(&server, &agent, &url, "topic").await).await,
        ["of-main", "of-topic"]
    );
    assert_eq!(
        reads(push(&server, &agent, &url, "third").await).await,
        ["of-main"]
    );
    assert_eq!(
        reads(request(&server, &agent, &url, "main", "topic").await).await,
        all,
        "the same request"
    );
    assert_eq!(
        reads(request(&server, &agent, &url, "fork", "main").await).await,
        ["of-main"]
    );
    assert_eq!(
        reads(push(&server, &agent, &other, "main").await).await,
        [""; 0]
    );
}

#[tokio::test]
async fn nobody_fetches_what_a_job_does_not_read() {
    let server = Server::start().await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "topic").await;
    keeping(&agent, id, "k", b"topic").await;
    let cache = listed(&server).await[0].id;
    let id = push(&server, &agent, &url, "other").await;
    let address = path::of_cache_archive(id, cache);
    let refused = problem(agent.user.request(Method::GET, &address)).await;
    assert_eq!(refused.code, ProblemCode::NotFound);
    // Nor does anybody but who holds the job.
    let stranger = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "topic").await;
    let address = path::of_cache_archive(id, cache);
    let refused = problem(stranger.user.request(Method::GET, &address)).await;
    assert_eq!(refused.code, ProblemCode::Fenced);
    let find = path::of_attempt(path::CACHE_FIND, id);
    let ask = stranger
        .user
        .request(Method::POST, &find)
        .json(&query("k", &[]));
    assert_eq!(problem(ask).await.code, ProblemCode::Fenced);
    let users = server.admin.request(Method::GET, &address);
    assert_eq!(problem(users).await.code, ProblemCode::Forbidden);
    nothing(&agent, id).await;
    let refused = problem(agent.user.request(Method::GET, &address)).await;
    assert_eq!(refused.code, ProblemCode::Fenced, "its job is over");
}

#[tokio::test]
async fn what_is_said_wrongly_is_refused() {
    let server = Server::start_with(|config| config.caches.bytes = 10).await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "main").await;
    let large = problem(agent.log(id, &stream(), 0, b"more than ten bytes")).await;
    assert_eq!(large.code, ProblemCode::TooLarge);
    let third = StreamName::cache(2);
    let more = problem(agent.log(id, &third, 0, b"x")).await;
    assert_eq!(more.code, ProblemCode::Invalid, "the job has two");
    let find = path::of_attempt(path::CACHE_FIND, id);
    for wrong in [
        query("", &[]),
        query("a\nb", &[]),
        query("a", &[""]),
        query("a", &["x"; 65]),
        CacheQuery {
            version: "../x".to_owned(),
            ..query("a", &[])
        },
    ] {
        let ask = agent.user.request(Method::POST, &find).json(&wrong);
        assert_eq!(problem(ask).await.code, ProblemCode::Invalid, "{wrong:?}");
    }
    let finish_at = path::of_attempt(path::FINISH, id);
    let of = |caches: Vec<CacheEnd>| Finish {
        caches,
        ..finish(Success)
    };
    for wrong in [
        said(""),
        CacheEnd {
            sha256: "AB".repeat(32),
            ..said("a")
        },
        CacheEnd {
            instead_of: Some("../x".to_owned()),
            ..said("a")
        },
        CacheEnd {
            stream: StreamName::step(0),
            ..said("a")
        },
    ] {
        let tell = agent
            .user
            .request(Method::POST, &finish_at)
            .json(&of(vec![wrong]));
        assert_eq!(problem(tell).await.code, ProblemCode::Invalid);
    }
    // There is no archive: no job ends another way for that.
    agent.tell(path::FINISH, id, &of(vec![said("a")])).await;
    assert_eq!(listed(&server).await, []);
}

#[tokio::test]
async fn what_an_agent_could_not_use_gives_place_in_the_scope_of_its_job_only() {
    let server = Server::start().await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "main").await;
    keeping(&agent, id, "a", b"bad").await;
    let instead = async |id: AttemptId, of: &str, now: &str, bytes: &[u8]| {
        let answer = agent.log(id, &stream(), 0, bytes).send().await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        let cache = CacheEnd {
            sha256: now.repeat(32),
            instead_of: Some(of.repeat(32)),
            ..said("a")
        };
        let ended = Finish {
            logs: vec![end(&stream(), bytes)],
            caches: vec![cache],
            ..finish(Success)
        };
        agent.tell(path::FINISH, id, &ended).await;
    };
    // A pull request that could not use it has one of its own from now on.
    let id = request(&server, &agent, &url, "other", "main").await;
    instead(id, "ab", "01", b"own").await;
    let id = push(&server, &agent, &url, "main").await;
    let bad = found(&agent, id, &query("a", &[])).await.unwrap();
    assert_eq!(bad.sha256, "ab".repeat(32));
    let late = push(&server, &agent, &url, "main").await;
    instead(id, "ab", "02", b"good").await;
    // Somebody else has been faster.
    instead(late, "ab", "03", b"late").await;
    let id = push(&server, &agent, &url, "main").await;
    let good = found(&agent, id, &query("a", &[])).await.unwrap();
    assert_eq!(good.sha256, "02".repeat(32));
    assert_eq!(bytes_of(&agent, id, &good).await, b"good");
    nothing(&agent, id).await;
}

#[tokio::test]
async fn without_a_repository_nothing_is_shared() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(KEEPING).await;
    let id = agent.take().await.id;
    keeping(&agent, id, "a", b"bytes").await;
    assert_eq!(listed(&server).await, []);
    server.submit(KEEPING).await;
    let id = agent.take().await.id;
    assert_eq!(found(&agent, id, &query("a", &["a"])).await, None);
}

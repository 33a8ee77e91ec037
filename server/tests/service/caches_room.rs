//! How much of caches is kept, and which go.

use std::time::Duration;

use protocol::Conclusion::Success;
use protocol::service::{CacheEnd, Finish, ProblemCode, Role, StreamName, path};
use reqwest::{Method, StatusCode};

use crate::caches::{KEEPING, found, keeping, listed, push, query, request, said, stream};
use crate::harness::{Server, end, finish, problem};

#[tokio::test]
async fn the_caches_of_a_job_are_bounded_together_and_what_its_end_does_not_name_goes() {
    let server = Server::start_with(|config| config.caches.bytes = 10).await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "main").await;
    let first = agent.log(id, &stream(), 0, b"six by").send().await;
    assert_eq!(first.unwrap().status(), StatusCode::OK);
    let second = StreamName::cache(1);
    let more = problem(agent.log(id, &second, 0, b"six by")).await;
    assert_eq!(more.code, ProblemCode::TooLarge);
    let less = agent.log(id, &second, 0, b"four").send().await;
    assert_eq!(less.unwrap().status(), StatusCode::OK);
    let ended = Finish {
        logs: vec![end(&second, b"four")],
        caches: vec![CacheEnd {
            stream: second.clone(),
            ..said("b")
        }],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    let keys: Vec<_> = listed(&server)
        .await
        .into_iter()
        .map(|cache| cache.key)
        .collect();
    assert_eq!(keys, ["b"]);
    let logs = server.config.data.join("logs");
    let left = || {
        let groups = std::fs::read_dir(&logs).into_iter().flatten().flatten();
        let attempts =
            groups.flat_map(|group| std::fs::read_dir(group.path()).into_iter().flatten());
        let files = attempts.flatten().flat_map(|attempt| {
            std::fs::read_dir(attempt.path())
                .into_iter()
                .flatten()
                .flatten()
        });
        files
            .filter(|file| file.file_name().to_string_lossy().starts_with("cache-0"))
            .count()
    };
    for _ in 0..400 {
        if left() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(left(), 0, "what nobody has named is removed from the disk");
}

#[tokio::test]
async fn what_was_not_used_for_longest_makes_room_and_what_nobody_uses_goes() {
    let server = Server::start_with(|config| config.caches.bytes = 10).await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    for key in ["a", "b"] {
        let id = push(&server, &agent, &url, "main").await;
        keeping(&agent, id, key, b"four").await;
    }
    let id = push(&server, &agent, &url, "main").await;
    found(&agent, id, &query("a", &[])).await.unwrap();
    keeping(&agent, id, "c", b"four").await;
    let keys = async || {
        let mut keys: Vec<_> = listed(&server)
            .await
            .into_iter()
            .map(|cache| cache.key)
            .collect();
        keys.sort();
        keys
    };
    assert_eq!(keys().await, ["a", "c"]);
    // Its key is free again.
    let id = push(&server, &agent, &url, "main").await;
    keeping(&agent, id, "b", b"x").await;
    assert_eq!(keys().await, ["a", "b", "c"]);
    let reader = server.user(Role::Reader).await;
    let cache = path::of_cache(listed(&server).await[0].id);
    let refused = problem(reader.request(Method::DELETE, &cache)).await;
    assert_eq!(refused.code, ProblemCode::Forbidden);
    let removed = server.admin.request(Method::DELETE, &cache).send().await;
    assert_eq!(removed.unwrap().status(), StatusCode::NO_CONTENT);
    let again = problem(server.admin.request(Method::DELETE, &cache)).await;
    assert_eq!(again.code, ProblemCode::NotFound);
    assert_eq!(keys().await.len(), 2);
}

#[tokio::test]
async fn pull_requests_make_room_for_branches_and_not_the_other_way_round() {
    let server = Server::start_with(|config| config.caches.bytes = 10).await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "main").await;
    keeping(&agent, id, "of-main", b"four").await;
    let scopes = async || {
        let listed = listed(&server).await.into_iter();
        listed.map(|cache| cache.scope).collect::<Vec<_>>()
    };
    for from in ["one", "two", "three"] {
        let id = request(&server, &agent, &url, from, "main").await;
        keeping(&agent, id, "of-request", b"four").await;
        let scopes = scopes().await;
        assert_eq!(scopes.len(), 2, "{scopes:?}");
        assert!(scopes[0].starts_with("pull-request:"), "{scopes:?}");
        assert_eq!(scopes[1], "branch:main");
    }
    let id = push(&server, &agent, &url, "other").await;
    keeping(&agent, id, "of-other", b"four").await;
    assert_eq!(scopes().await, ["branch:other", "branch:main"]);
}

#[tokio::test]
async fn what_nobody_uses_goes_with_its_bytes() {
    let mut server = Server::start().await;
    let url = server.repository("r", KEEPING);
    let agent = server.agent(&[]).await;
    let id = push(&server, &agent, &url, "main").await;
    keeping(&agent, id, "a", b"bytes").await;
    assert_eq!(listed(&server).await.len(), 1);
    server.config.caches.keep = Some(Duration::from_millis(1));
    server.restart().await;
    for _ in 0..200 {
        if listed(&server).await.is_empty() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(listed(&server).await, []);
    let logs = server.config.data.join("logs").join(id.to_string());
    let left = || {
        std::fs::read_dir(&logs)
            .into_iter()
            .flatten()
            .flatten()
            .count()
    };
    for _ in 0..200 {
        if left() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(left(), 0, "the archive is removed from the disk");
}

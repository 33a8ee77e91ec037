//! Artifacts come by the same way as logs, are kept whole, fetched by ranges, and go when their time is over.

use std::time::Duration;

use protocol::Conclusion::{Failure, Success};
use protocol::service::{
    Artifact, ArtifactEnd, Artifacts, AttemptId, Finish, ProblemCode, StreamName, path,
};
use reqwest::{Method, StatusCode, header};
use serde_json::json;
use server::Retention;

use crate::harness::{Agent, Server, end, finish, problem};

/// A job that leaves one artifact.
pub(crate) const LEAVING: &str = "image: host\njobs:\n  t:\n    artifacts: [{ name: app, paths: [app] }]\n    steps: [{ run: make }]\n";

fn stream(name: &str) -> StreamName {
    StreamName::artifact(name).unwrap()
}

/// What is said of an artifact.
pub(crate) fn said(name: &str, expire_ms: Option<u64>) -> ArtifactEnd {
    ArtifactEnd {
        name: name.to_owned(),
        files: 3,
        bytes: 9,
        sha256: "ab".repeat(32),
        expire_ms,
    }
}

/// Sends a stream in pieces of 1 MB.
pub(crate) async fn send(agent: &Agent, id: AttemptId, name: &str, bytes: &[u8]) {
    let mut offset = 0;
    for piece in bytes.chunks(1_000_000) {
        let answer = agent.log(id, &stream(name), offset, piece).send().await;
        assert_eq!(answer.unwrap().status(), StatusCode::OK);
        offset += piece.len() as u64;
    }
}

/// Ends an attempt that has left one artifact.
pub(crate) async fn finished(agent: &Agent, id: AttemptId, bytes: &[u8], expire_ms: Option<u64>) {
    let ended = Finish {
        logs: vec![end(&stream("app"), bytes)],
        artifacts: vec![said("app", expire_ms)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
}

async fn listed(server: &Server, id: AttemptId) -> Vec<Artifact> {
    let address = path::of_job(path::ARTIFACTS, id.job);
    let answer: Artifacts = server.admin.get(&address).await;
    answer.artifacts
}

#[tokio::test]
async fn an_artifact_is_kept_whole_and_fetched_by_ranges() {
    let server = Server::start_with(|config| config.retention = Retention::of(4 << 20)).await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let assignment = agent.take().await;
    assert_eq!(assignment.terms.artifact_bytes, 1 << 30);
    let id = assignment.id;
    // Longer than any log is kept.
    let whole: Vec<u8> = (0_u32..2_500_000).flat_map(u32::to_le_bytes).collect();
    send(&agent, id, "app", &whole).await;
    assert_eq!(listed(&server, id).await, []);
    let address = path::of_artifact(id, "app");
    let early = problem(server.admin.request(Method::GET, &address)).await;
    assert_eq!(
        early.code,
        ProblemCode::NotFound,
        "only what is whole is there"
    );
    finished(&agent, id, &whole, None).await;

    let [artifact] = &listed(&server, id).await[..] else {
        panic!("one artifact");
    };
    assert_eq!((artifact.size, artifact.files), (10_000_000, 3));
    let kept = artifact.expires_at.unwrap() - artifact.created_at;
    assert_eq!(kept, 30 * 24 * 60 * 60 * 1_000);
    let answer = server
        .admin
        .request(Method::GET, &address)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/gzip");
    assert_eq!(answer.headers()[header::CONTENT_LENGTH], "10000000");
    let name = "attachment; filename=\"app.tar.gz\"";
    assert_eq!(answer.headers()[header::CONTENT_DISPOSITION], name);
    assert_eq!(answer.bytes().await.unwrap(), whole);
    let part = server
        .admin
        .request(Method::GET, &address)
        .header(header::RANGE, "bytes=4000001-4000004");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), StatusCode::PARTIAL_CONTENT);
    assert_eq!(part.bytes().await.unwrap(), whole[4_000_001..4_000_005]);
    // It is no log.
    assert_eq!(server.job(id.job).await.attempts[0].logs, []);
    let log = path::of_log(path::LOG, id, &stream("app"));
    let refused = problem(server.admin.request(Method::GET, &log)).await;
    assert_eq!(refused.code, ProblemCode::NotFound);
    let strange = server
        .admin
        .request(Method::GET, &path::of_artifact(id, "..%2fx"));
    assert_eq!(problem(strange).await.code, ProblemCode::Invalid);
}

#[tokio::test]
async fn what_is_too_large_or_said_wrongly_is_refused() {
    let server = Server::start_with(|config| config.artifacts.bytes = 10).await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let id = agent.take().await.id;
    agent
        .log(id, &stream("app"), 0, b"12345")
        .send()
        .await
        .unwrap();
    let much = problem(agent.log(id, &stream("app"), 5, b"678901")).await;
    assert_eq!(much.code, ProblemCode::TooLarge);
    let logs = || vec![end(&stream("app"), b"12345")];
    for artifacts in [
        json!([said("other", None)]),
        json!([{ "name": "../x", "files": 1, "bytes": 1, "sha256": "ab".repeat(32) }]),
        json!([{ "name": "app", "files": 1, "bytes": 1, "sha256": "x" }]),
    ] {
        let ended =
            json!({ "conclusion": "success", "events": 0, "logs": logs(), "artifacts": artifacts });
        let refused = agent.refused(path::FINISH, id, &ended).await;
        assert_eq!(refused.code, ProblemCode::Invalid, "{artifacts}");
    }
    // An archive that nobody says anything of is thrown away.
    let ended = Finish {
        logs: logs(),
        ..finish(Failure)
    };
    agent.tell(path::FINISH, id, &ended).await;
    assert_eq!(listed(&server, id).await, []);
    let address = path::of_artifact(id, "app");
    let none = problem(server.admin.request(Method::GET, &address)).await;
    assert_eq!(none.code, ProblemCode::NotFound);
}

#[tokio::test]
async fn only_attempts_that_were_finished_leave_something() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let first = agent.take().await.id;
    send(&agent, first, "app", b"half of").await;
    agent
        .tell(path::RELEASE, first, &json!({ "reason": "shutdown" }))
        .await;
    let stale = problem(agent.log(first, &stream("app"), 7, b" it")).await;
    assert_eq!(stale.code, ProblemCode::Fenced);
    let second = agent.take().await.id;
    assert_eq!(second.job, first.job);
    send(&agent, second, "app", b"all of it").await;
    finished(&agent, second, b"all of it", None).await;
    let [artifact] = &listed(&server, second).await[..] else {
        panic!("one artifact");
    };
    assert_eq!(artifact.attempt, second.attempt);

    // Nobody gives back what is finished: neither who has finished it nor somebody else.
    let other = server.agent(&[]).await;
    for agent in [&agent, &other] {
        let reason = json!({ "reason": "shutdown" });
        agent.tell(path::RELEASE, second, &reason).await;
    }
    let address = path::of_artifact(second, "app");
    let answer = server
        .admin
        .request(Method::GET, &address)
        .send()
        .await
        .unwrap();
    assert_eq!(answer.bytes().await.unwrap(), b"all of it"[..]);
}

#[tokio::test]
async fn what_has_expired_goes_and_is_still_told_of() {
    let mut server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let id = agent.take().await.id;
    send(&agent, id, "app", b"archive").await;
    finished(&agent, id, b"archive", Some(1)).await;
    // A server looks when it starts.
    tokio::time::sleep(Duration::from_millis(2)).await;
    server.restart().await;
    let mut artifact = listed(&server, id).await.remove(0);
    for _ in 0..100 {
        if artifact.expired {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
        artifact = listed(&server, id).await.remove(0);
    }
    assert!(artifact.expired);
    let address = path::of_artifact(id, "app");
    let gone = problem(server.admin.request(Method::GET, &address)).await;
    assert_eq!(gone.code, ProblemCode::NotFound);
    assert!(gone.message.contains("has expired"), "{}", gone.message);
    let directory = server.config.data.join("logs/0").join(id.to_string());
    assert!(directory.exists());
    wait_until_gone(&server, id, "artifact-app").await;
}

/// Waits until a file of an attempt is gone.
async fn wait_until_gone(server: &Server, id: AttemptId, name: &str) {
    let file = server.config.data.join("logs/0").join(id.to_string());
    let file = file.join(name);
    for _ in 0..200 {
        if !file.exists() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} stays", file.display());
}

#[tokio::test]
async fn what_a_removed_agent_has_begun_to_leave_goes() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let id = agent.take().await.id;
    send(&agent, id, "app", b"half of").await;
    let log = StreamName::step(0);
    agent.log(id, &log, 0, b"hello").send().await.unwrap();
    let address = path::of_agent(path::AGENT, agent.id);
    let removed = server.admin.request(Method::DELETE, &address).send().await;
    assert_eq!(removed.unwrap().status(), StatusCode::NO_CONTENT);
    wait_until_gone(&server, id, "artifact-app").await;
    // Its log stays.
    let read = server
        .admin
        .request(Method::GET, &path::of_log(path::LOG, id, &log));
    assert_eq!(read.send().await.unwrap().bytes().await.unwrap(), "hello");
}

#[tokio::test]
async fn what_a_server_did_not_come_to_remove_the_next_one_does() {
    let mut server = Server::start_with(|config| {
        config.terms.heartbeat = Duration::from_millis(100);
        config.terms.lease = Duration::from_millis(200);
    })
    .await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let id = agent.take().await.id;
    send(&agent, id, "app", b"half of").await;
    agent
        .tell(path::RELEASE, id, &json!({ "reason": "shutdown" }))
        .await;
    server.end().await;
    let file = server.config.data.join("logs/0").join(id.to_string());
    std::fs::create_dir_all(&file).unwrap();
    std::fs::write(file.join("artifact-app"), b"half of").unwrap();
    server.start_again().await;
    wait_until_gone(&server, id, "artifact-app").await;
}

#[tokio::test]
async fn the_operator_has_the_last_word_on_how_long_and_how_much() {
    let day = 24 * 60 * 60 * 1_000;
    let server = Server::start_with(|config| {
        config.artifacts.max_keep = Some(Duration::from_millis(7 * day));
        config.artifacts.attempt_bytes = 12;
        config.artifacts.repository_bytes = Some(25);
    })
    .await;
    let agent = server.agent(&[]).await;
    let pipeline = "image: host\njobs:\n  t:\n    artifacts: [{ name: app, paths: [a] }, { name: other, paths: [b] }]\n    steps: [{ run: make }]\n";
    let mut ids = Vec::new();
    for expire_ms in [Some(365 * day), Some(day), None] {
        server.submit(pipeline).await;
        let assignment = agent.take().await;
        assert_eq!(assignment.terms.artifacts_bytes, 12);
        let id = assignment.id;
        send(&agent, id, "app", b"1234567890").await;
        let kept = async |offset, bytes: &'static [u8]| {
            agent.log(id, &stream("other"), offset, bytes).send().await
        };
        assert_eq!(kept(0, b"12").await.unwrap().status(), StatusCode::OK);
        // What is there already is not more.
        assert_eq!(kept(0, b"12").await.unwrap().status(), StatusCode::OK);
        let much = problem(agent.log(id, &stream("other"), 2, b"3")).await;
        assert_eq!(much.code, ProblemCode::TooLarge);
        assert!(much.help.unwrap().contains("attempt_bytes"));
        let ended = Finish {
            logs: vec![
                end(&stream("app"), b"1234567890"),
                end(&stream("other"), b"12"),
            ],
            artifacts: vec![said("app", expire_ms), said("other", Some(day))],
            ..finish(Success)
        };
        agent.tell(path::FINISH, id, &ended).await;
        ids.push(id);
    }
    // The oldest had to make room: thirty-six bytes are more than twenty-five.
    let expected = [
        ("app", 7, true),
        ("other", 1, true),
        ("app", 1, false),
        ("other", 1, false),
        ("app", 7, false),
        ("other", 1, false),
    ];
    let expected = expected.map(|(name, days, expired)| (name.to_owned(), days, expired));
    let mut kept = Vec::new();
    for _ in 0..200 {
        kept.clear();
        for id in &ids {
            let artifacts = listed(&server, *id).await;
            let shown = artifacts.iter().map(|artifact| {
                let length = artifact.expires_at.unwrap() - artifact.created_at;
                (artifact.name.clone(), length / day, artifact.expired)
            });
            kept.extend(shown);
        }
        if kept == expected {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(kept, expected);
    wait_until_gone(&server, ids[0], "artifact-app").await;
    wait_until_gone(&server, ids[0], "artifact-other").await;
}

#[tokio::test]
async fn a_job_that_leaves_more_than_its_repository_may_have_takes_no_place_of_others() {
    let server = Server::start_with(|config| config.artifacts.repository_bytes = Some(10)).await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let first = agent.take().await.id;
    send(&agent, first, "app", b"archive").await;
    finished(&agent, first, b"archive", None).await;
    server.submit(LEAVING).await;
    let assignment = agent.take().await;
    // Its agent knows before it has sent anything.
    assert_eq!(assignment.terms.artifacts_bytes, 10);
    let much = problem(agent.log(assignment.id, &stream("app"), 0, b"12345678901")).await;
    assert_eq!(much.code, ProblemCode::TooLarge);
    assert!(much.help.unwrap().contains("repository_bytes"));
    agent.finish(assignment.id, Failure).await;
    assert!(!listed(&server, first).await[0].expired);
}

#[tokio::test]
async fn an_archive_that_an_end_does_not_name_goes() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(LEAVING).await;
    let id = agent.take().await.id;
    send(&agent, id, "app", b"archive").await;
    agent.finish(id, Failure).await;
    wait_until_gone(&server, id, "artifact-app").await;
}

//! Where pipelines come from, and what is kept of it.

use std::time::Duration;

use protocol::service::{ProblemCode, Submitted, path};
use serde_json::json;

use crate::harness::Server;

#[tokio::test]
async fn a_repository_of_the_servers_machine_is_not_taken_unless_that_is_allowed() {
    let server = Server::start_with(|config| config.allow_file_repositories = false).await;
    let repository = server.repository("one", "image: host\nsteps: [{ run: x }]\n");
    let port = server.admin.base.rsplit(':').next().unwrap().to_owned();
    let urls = [
        repository.clone(),
        format!("file://{repository}"),
        format!("http://127.0.0.1:{port}/x"),
        format!("https://localhost:{port}/x"),
        format!("ssh://git@[::1]:{port}/x"),
        format!("https://0x7f.1:{port}/x"),
        "https://169.254.169.254/latest".to_owned(),
    ];
    for url in &urls {
        let submit = json!({ "repository": url });
        let problem = server.admin.refused(path::PIPELINES, &submit).await;
        assert_eq!(problem.code, ProblemCode::Invalid, "{url}");
        assert!(
            problem.message.contains("not allowed here"),
            "{url}: {}",
            problem.message
        );
    }
    let commit = "1".repeat(40);
    let includes = |url: &str| {
        let include = format!("include: [{{ git: '{url}', ref: '{commit}', path: x.yml }}]\n");
        json!({ "pipeline": format!("{include}image: host\nsteps: [{{ run: x }}]\n") })
    };
    // Of a pipeline's own words: it has failed, and says why.
    for url in &urls[1..] {
        let submitted: Submitted = server.admin.post(path::PIPELINES, &includes(url)).await;
        let pipeline = server.pipeline(submitted.pipeline).await;
        let said = pipeline.diagnostics;
        assert!(said.contains("not allowed here"), "{url}: {said}");
    }
    // Where it is allowed, there is only nothing there.
    let server = Server::start().await;
    let submit = includes(&format!("http://127.0.0.1:{port}/x"));
    let submitted: Submitted = server.admin.post(path::PIPELINES, &submit).await;
    let said = server.pipeline(submitted.pipeline).await.diagnostics;
    assert!(!said.contains("not allowed"), "{said}");
}

#[tokio::test]
async fn what_is_kept_of_a_repository_may_go_or_be_damaged() {
    let server = Server::start().await;
    let repository = server.repository("one", "image: host\nsteps: [{ run: x }]\n");
    let submit = json!({ "repository": repository });
    let mirrors = server.config.data.join("mirrors");
    let mirror = || {
        let entries = std::fs::read_dir(&mirrors).unwrap();
        let mut paths = entries.map(|entry| entry.unwrap().path());
        paths.find(|path| path.extension().is_some_and(|it| it == "git"))
    };
    let _: Submitted = server.admin.post(path::PIPELINES, &submit).await;
    std::fs::remove_dir_all(mirror().unwrap().join("objects")).unwrap();
    let _: Submitted = server.admin.post(path::PIPELINES, &submit).await;
    let packs = mirror().unwrap().join("objects/pack");
    for entry in std::fs::read_dir(packs).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let _: Submitted = server.admin.post(path::PIPELINES, &submit).await;
}

#[tokio::test]
async fn mirrors_that_nobody_uses_go_while_the_server_runs() {
    let mut server = Server::start_with(|config| config.mirrors.unused_for = Duration::ZERO).await;
    let repository = server.repository("one", "image: host\nsteps: [{ run: x }]\n");
    let submit = json!({ "repository": repository });
    let mirrors = server.config.data.join("mirrors");
    let has_mirror = || {
        let entries = std::fs::read_dir(&mirrors).unwrap();
        entries
            .flatten()
            .any(|entry| entry.path().extension().is_some_and(|it| it == "git"))
    };
    let _: Submitted = server.admin.post(path::PIPELINES, &submit).await;
    assert!(has_mirror());
    server.restart().await;
    for _ in 0..500 {
        if !has_mirror() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the mirror stays");
}

//! Private repositories: a host that wants to know who asks.

use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicU64;

use protocol::service::{Pipeline, ProblemCode, Submitted, path};
use serde_json::{Value, json};

use crate::harness::Server;
use crate::http_backend;

/// Serves the repositories of a directory to who has the token `hunter22`; gives the base of their URLs.
fn serve(root: &Path) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let root = root.to_owned();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let root = root.clone();
            std::thread::spawn(move || {
                // `x-access-token:hunter22`
                let wanted = Some("Basic eC1hY2Nlc3MtdG9rZW46aHVudGVyMjI=");
                http_backend::answer(stream, &root, wanted, &AtomicU64::new(0), false)
            });
        }
    });
    format!("http://127.0.0.1:{port}")
}

/// The id of the one commit of a repository.
fn head(repository: &Path) -> String {
    let output = Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(repository)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

async fn submitted(server: &Server, submit: &Value) -> Pipeline {
    let submitted: Submitted = server.admin.post(path::PIPELINES, submit).await;
    server.pipeline(submitted.pipeline).await
}

#[tokio::test]
async fn a_private_repository_is_read_with_what_the_configuration_has_for_it_and_included_by_its_own_kind_only()
 {
    let place = tempfile::tempdir().unwrap();
    let base = serve(place.path());
    let token = place.path().join("token");
    std::fs::write(&token, "wrong\n").unwrap();
    let file = token.clone();
    let pattern = format!("{base}/own/*");
    let server = Server::start_with(move |config| {
        let shown = serde_json::json!({ pattern: { "token_file": file } });
        config.repositories = serde_json::from_value(shown).unwrap();
    })
    .await;
    let make = |name: &str, pipeline: &str| {
        let made = server.repository(name, pipeline);
        let to = place.path().join(name);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        assert!(
            Command::new("cp")
                .arg("-r")
                .arg(&made)
                .arg(&to)
                .status()
                .unwrap()
                .success()
        );
        (format!("{base}/{name}/.git"), head(&to))
    };
    let (one, commit) = make("own/one", "image: host\nsteps: [{ run: one }]\n");
    let include = format!("include: [{{ git: '{one}', ref: '{commit}', path: .pipeline.yml }}]\n");
    let (two, _) = make("own/two", &include);
    let (other, _) = make("other/three", &include);

    // Not with a token that the host refuses; the file is read anew each time.
    let problem = server
        .admin
        .refused(path::PIPELINES, &json!({ "repository": one }))
        .await;
    assert_eq!(problem.code, ProblemCode::Repository);
    assert!(!problem.message.contains("wrong"), "{}", problem.message);
    std::fs::write(&token, "hunter22\n").unwrap();
    let pipeline = submitted(&server, &json!({ "repository": one })).await;
    assert_eq!(pipeline.jobs.len(), 1, "{}", pipeline.diagnostics);

    // Who is of the same kind includes it, unless a fork has written that.
    let pipeline = submitted(&server, &json!({ "repository": two })).await;
    assert_eq!(pipeline.jobs.len(), 1, "{}", pipeline.diagnostics);
    let fork = json!({ "repository": two, "trigger": { "event": "pull_request", "fork": true } });
    let pipeline = submitted(&server, &fork).await;
    let said = pipeline.diagnostics;
    assert!(said.contains("this repository is private"), "{said}");

    // Other repositories of the same host are not shown the token.
    let problem = server
        .admin
        .refused(path::PIPELINES, &json!({ "repository": other }))
        .await;
    assert_eq!(problem.code, ProblemCode::Repository);

    // A file that is gone is the operator's business.
    std::fs::remove_file(&token).unwrap();
    let problem = server
        .admin
        .refused(
            path::PIPELINES,
            &json!({ "repository": one, "ref": "main" }),
        )
        .await;
    assert!(
        problem.message.contains("cannot be read"),
        "{}",
        problem.message
    );
    assert!(!problem.message.contains("token"), "{}", problem.message);
}

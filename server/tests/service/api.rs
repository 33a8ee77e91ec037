//! Who may do what, and how refusals look.

use protocol::service::{ProblemCode, Role, Submitted, TokenKind, Tokens, path, version};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ONE, Server, User, problem};

#[tokio::test]
async fn nobody_gets_in_without_a_token_and_no_further_than_it_allows() {
    let server = Server::start().await;
    let stranger = User::new(&server.admin.base, "slipway_user_wrong");
    let code = |problem: protocol::service::Problem| problem.code;
    let get = |user: &User, path: &str| problem(user.request(Method::GET, path));
    assert_eq!(
        code(get(&stranger, path::JOBS).await),
        ProblemCode::Unauthorized
    );
    let reader = server.user(Role::Reader).await;
    let _: Value = reader.get(path::JOBS).await;
    let submit = json!({ "pipeline": ONE });
    assert_eq!(
        code(reader.refused(path::PIPELINES, &submit).await),
        ProblemCode::Forbidden
    );
    let writer = server.user(Role::Writer).await;
    let _: Value = writer.post(path::PIPELINES, &submit).await;
    assert_eq!(
        code(get(&writer, path::TOKENS).await),
        ProblemCode::Forbidden
    );
    let agent = server.agent(&[]).await;
    assert_eq!(
        code(get(&agent.user, path::JOBS).await),
        ProblemCode::Forbidden
    );
    let acquire = json!({ "free": 1, "wait_ms": 0 });
    assert_eq!(
        code(writer.refused(path::ACQUIRE, &acquire).await),
        ProblemCode::Forbidden
    );
    // Another agent's attempt is none of its own.
    let other = server.agent(&[]).await;
    let taken = agent.take().await;
    let refused = other.refused(path::ACCEPT, taken.id, &json!({})).await;
    assert_eq!(refused.code, ProblemCode::Fenced);
}

#[tokio::test]
async fn the_first_token_is_for_the_one_who_runs_the_server() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::start().await;
    let file = server.running().first_token.clone().unwrap();
    let mode = std::fs::metadata(file).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let server::Location::Sqlite(path) = &server.config.database else {
        assert_eq!(server.kind(), "PostgreSQL");
        return;
    };
    // Nothing of a token is in the database but its hash.
    let database = std::fs::read(path).unwrap();
    let wal = std::fs::read(path.with_extension("sqlite-wal")).unwrap();
    let token = server.admin.token.as_bytes();
    assert!(
        ![database, wal]
            .iter()
            .any(|file| file.windows(token.len()).any(|at| at == token))
    );
}

#[tokio::test]
async fn tokens_can_be_used_up_and_revoked() {
    let server = Server::start().await;
    let wanted = json!({ "name": "two", "kind": "registration", "uses": 1 });
    let created: Value = server.admin.post(path::TOKENS, &wanted).await;
    let registrar = User::new(&server.admin.base, created["secret"].as_str().unwrap());
    let agent = json!({ "name": "a", "slots": 1, "version": "0" });
    let _: Value = registrar.post(path::AGENTS, &agent).await;
    let refused = registrar.refused(path::AGENTS, &agent).await;
    assert_eq!(refused.code, ProblemCode::Forbidden);
    let token = server.token(TokenKind::User, Some(Role::Reader)).await;
    let user = User::new(&server.admin.base, &token);
    let _: Value = user.get(path::JOBS).await;
    let tokens: Value = server.admin.get(path::TOKENS).await;
    let last = tokens["tokens"].as_array().unwrap().last().unwrap();
    let revoke = format!("{}/{}", path::TOKENS, last["id"]);
    let revoked = server
        .admin
        .request(Method::DELETE, &revoke)
        .send()
        .await
        .unwrap();
    assert_eq!(revoked.status(), 204);
    let refused = problem(user.request(Method::GET, path::JOBS)).await;
    assert_eq!(refused.code, ProblemCode::Unauthorized);
}

#[tokio::test]
async fn every_refusal_is_a_problem() {
    let server = Server::start().await;
    let admin = &server.admin;
    let get = |path: &str| problem(admin.request(Method::GET, path));
    assert_eq!(get("/api/v1/nothing").await.code, ProblemCode::NotFound);
    assert_eq!(get("/api/v1/jobs/99").await.code, ProblemCode::NotFound);
    assert_eq!(get("/api/v1/jobs/x").await.code, ProblemCode::Invalid);
    assert_eq!(
        get("/api/v1/jobs?before=x").await.code,
        ProblemCode::Invalid
    );
    assert_eq!(
        get("/api/v1/jobs/1/attempts/1/logs/..%2fx").await.code,
        ProblemCode::Invalid
    );
    let method = problem(admin.request(Method::PUT, path::JOBS)).await;
    assert_eq!(method.code, ProblemCode::Method);
    let body = admin.request(Method::POST, path::PIPELINES).body("{");
    assert_eq!(problem(body).await.code, ProblemCode::Invalid);
    let large = admin
        .request(Method::POST, path::PIPELINES)
        .body(vec![b' '; 9 << 20]);
    assert_eq!(problem(large).await.code, ProblemCode::TooLarge);
    let old = reqwest::Client::new()
        .get(format!("{}{}", admin.base, path::JOBS))
        .header(version::HEADER, "7");
    assert_eq!(problem(old).await.code, ProblemCode::ProtocolVersion);
    let problem = get("/api/v1/jobs/99").await;
    assert_eq!(problem.request.unwrap().len(), 16);
}

#[tokio::test]
async fn a_submission_is_made_once_for_its_key_and_keeps_its_diagnostics() {
    let server = Server::start().await;
    let submit = json!({ "pipeline": ONE, "key": "k-1" });
    let one: Value = server.admin.post(path::PIPELINES, &submit).await;
    let two: Value = server.admin.post(path::PIPELINES, &submit).await;
    assert_eq!(one, two);
    let wrong = server.submit("image: host\nstep: [{ run: x }]\n").await;
    let pipeline = server.pipeline(wrong).await;
    assert_eq!(
        pipeline.summary.conclusion,
        Some(protocol::Conclusion::Failure)
    );
    assert!(
        pipeline.diagnostics.contains("unknown-key"),
        "{}",
        pipeline.diagnostics
    );
    assert!(pipeline.jobs.is_empty());
}

#[tokio::test]
async fn who_watches_is_told() {
    let server = Server::start().await;
    server.submit(ONE).await;
    let admin = &server.admin;
    for (path, expected) in [
        (path::HEALTH, "ok"),
        (path::READY, "ready"),
        (path::METRICS, "slipway_jobs{state=\"ready\"} 1"),
        (path::METRICS, "slipway_database 1"),
    ] {
        let answer = admin.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let text = answer.text().await.unwrap();
        assert!(text.contains(expected), "{path}: {text}");
    }
}

#[tokio::test]
async fn a_pipeline_comes_from_the_commit_of_a_repository() {
    let server = Server::start().await;
    let repository = server.repository("one", "name: ci\nimage: host\nsteps: [{ run: x }]\n");
    let submit = json!({ "repository": repository, "ref": "main" });
    let submitted: Submitted = server.admin.post(path::PIPELINES, &submit).await;
    let pipeline = server.pipeline(submitted.pipeline).await.summary;
    assert_eq!(pipeline.name.as_deref(), Some("ci"));
    assert_eq!(pipeline.trigger.branch.as_deref(), Some("main"));
    assert_eq!(pipeline.trigger.repo.as_deref(), Some("one"));
    let source = server.agent(&[]).await.take().await.source.unwrap();
    assert_eq!(source.reference.as_deref(), Some("refs/heads/main"));
    assert_eq!(Some(source.commit), pipeline.trigger.commit);
    for (wrong, code) in [
        (
            json!({ "repository": repository, "ref": "none" }),
            ProblemCode::Repository,
        ),
        (
            json!({ "repository": "ext::sh -c true" }),
            ProblemCode::Invalid,
        ),
        (
            json!({ "repository": "/nowhere/at/all" }),
            ProblemCode::Repository,
        ),
        (
            json!({ "repository": repository, "trigger": { "event": "push", "commit": "x" } }),
            ProblemCode::Invalid,
        ),
        (json!({}), ProblemCode::Invalid),
    ] {
        let problem = server.admin.refused(path::PIPELINES, &wrong).await;
        assert_eq!(problem.code, code, "{wrong}: {}", problem.message);
    }
}

#[tokio::test]
async fn the_description_of_the_api_names_what_there_is() {
    let server = Server::start().await;
    let stranger = reqwest::Client::builder().no_proxy().build().unwrap();
    let url = format!("{}{}", server.admin.base, path::OPENAPI);
    let described: Value = stranger
        .get(url)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut operations = 0;
    for (path, methods) in described["paths"].as_object().unwrap() {
        let filled = path
            .replace("{name}", "step-0")
            .replace("{secret}", "TOKEN");
        let filled: String = filled
            .split(['{', '}'])
            .enumerate()
            .map(|(index, part)| if index % 2 == 1 { "77" } else { part })
            .collect();
        for method in methods.as_object().unwrap().keys() {
            operations += 1;
            let method: Method = method.to_uppercase().parse().unwrap();
            let answer = server
                .admin
                .request(method.clone(), &filled)
                .send()
                .await
                .unwrap();
            let status = answer.status().as_u16();
            let text = answer.text().await.unwrap();
            assert!(
                status != 405 && !text.contains("nothing at this address"),
                "{method} {path}: {text}"
            );
        }
    }
    assert_eq!(operations, 45);
    // Every reference leads somewhere.
    let text = described.to_string();
    for reference in text.split("\"#/components/schemas/").skip(1) {
        let name = reference.split('"').next().unwrap();
        assert!(
            described["components"]["schemas"][name].is_object(),
            "{name}"
        );
    }
}

#[tokio::test]
async fn a_job_that_asks_for_approval_waits_for_a_person() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server
        .submit("image: host\njobs: { a: { approval: true, steps: [{ run: x }] } }\n")
        .await;
    assert!(agent.offered().await.is_none());
    assert_eq!(server.shown(id).await, "a: Approval\n= Queued");
    let job = server.pipeline(id).await.jobs[0].id;
    let approve = path::of_job(path::JOB_APPROVE, job);
    let reader = server.user(Role::Reader).await;
    assert_eq!(
        reader.refused(&approve, &json!({})).await.code,
        ProblemCode::Forbidden
    );
    server.admin.tell(&approve, &json!({})).await;
    assert_eq!(agent.run(protocol::Conclusion::Success).await, "a");
}

#[tokio::test]
async fn who_guesses_tokens_is_not_let_as_far_as_the_database() {
    let server = Server::start().await;
    let unseen = server.token(TokenKind::User, Some(Role::Reader)).await;
    let guesser = User::new(&server.admin.base, "slipway_user_guess");
    let limited = loop {
        let refused = problem(guesser.request(Method::GET, path::JOBS)).await;
        if refused.code != ProblemCode::Unauthorized {
            break refused.code;
        }
    };
    assert_eq!(limited, ProblemCode::RateLimited);
    // Whether a token counts that was never seen here would be a question to the database.
    let unseen = User::new(&server.admin.base, &unseen);
    let mut refusals = 0;
    for _ in 0..5 {
        let _ = guesser.request(Method::GET, path::JOBS).send().await;
        let answer = unseen.request(Method::GET, path::JOBS).send().await;
        match answer.unwrap().status().as_u16() {
            429 => refusals += 1,
            status => assert_eq!(status, 200),
        }
    }
    assert!(refusals > 0);
    // Those that have counted before go on, also when some other token counts no more.
    let _: Value = server.admin.get(path::JOBS).await;
    let tokens: Tokens = server.admin.get(path::TOKENS).await;
    let id = tokens.tokens.iter().map(|token| token.id).max().unwrap();
    let revoked = server
        .admin
        .request(Method::DELETE, &path::of_token(id))
        .send();
    assert_eq!(revoked.await.unwrap().status().as_u16(), 204);
    for _ in 0..20 {
        let _ = guesser.request(Method::GET, path::JOBS).send().await;
        let _: Value = server.admin.get(path::JOBS).await;
    }
}

#[tokio::test]
async fn behind_a_proxy_each_client_is_one_and_guesses_for_itself() {
    let proxies = serde_json::json!(["127.0.0.1"]);
    let server = Server::start_with(move |config| {
        config.proxies = serde_json::from_value(proxies).unwrap();
    })
    .await;
    let token = server.token(TokenKind::User, Some(Role::Reader)).await;
    let asks = |token: &str, from: &'static str| {
        let user = User::new(&server.admin.base, token);
        user.request(Method::GET, path::JOBS)
            .header("x-forwarded-for", from)
    };
    // Whatever it says that it is.
    for number in 0..100 {
        let from = ["203.0.113.1, 192.0.2.7", "203.0.113.2, 192.0.2.7"][number % 2];
        let answer = asks("slipway_user_guess", from).send().await.unwrap();
        if answer.status().as_u16() == 429 {
            let other = asks(&token, "192.0.2.8").send().await.unwrap();
            assert_eq!(other.status().as_u16(), 200);
            return;
        }
    }
    panic!("a hundred guesses were answered");
}

#[tokio::test]
async fn who_waits_for_a_change_of_a_pipeline_hears_of_it_at_once() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    let address = path::of_pipeline(path::PIPELINE, id);
    let get = |tag: &str, wait: u32| {
        let request = server.admin.request(Method::GET, &address);
        let request = request.header("if-none-match", tag);
        request.header("prefer", format!("wait={wait}")).send()
    };
    let first = get("", 0).await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(get(&tag, 0).await.unwrap().status(), 304);
    let waiting = tokio::spawn(get(&tag, 50));
    let taken = agent.take().await;
    // Longer than the test may last, if nobody told.
    let changed = waiting.await.unwrap().unwrap();
    assert_eq!(changed.status(), 200);
    assert_ne!(changed.headers()["etag"].to_str().unwrap(), tag);
    agent.finish(taken.id, protocol::Conclusion::Success).await;
}

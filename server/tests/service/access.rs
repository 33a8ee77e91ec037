//! Who may call what: every address of the API, with every kind of token. An address without a row fails the test.

use protocol::service::{CreatedToken, Jobs, Pipelines, Role, TokenKind, path};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ONE, Server, User, problem};

/// Whom an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Everybody,
    Registrars,
    Agents,
    Users(Role),
}

/// What a token for some repositories reaches there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// What the address names, where that is of them.
    Named,
    /// A list, without what is of others.
    Listed,
    /// What the request names besides, where that is of them.
    Asked,
    /// Nothing.
    Nothing,
}

use For::{Agents, Everybody, Registrars, Users};
use Reach::{Asked, Listed, Named, Nothing};
use Role::{Admin, Reader, Writer};

const ROWS: &[(&str, &str, For, Reach)] = &[
    ("GET", path::HEALTH, Everybody, Nothing),
    ("GET", path::READY, Everybody, Nothing),
    ("GET", path::METRICS, Everybody, Nothing),
    ("GET", path::OPENAPI, Everybody, Nothing),
    ("POST", path::AGENTS, Registrars, Nothing),
    ("PUT", path::SELF, Agents, Nothing),
    ("POST", path::ACQUIRE, Agents, Nothing),
    ("POST", path::HEARTBEAT, Agents, Nothing),
    ("POST", path::ACCEPT, Agents, Nothing),
    ("POST", path::FINISH, Agents, Nothing),
    ("POST", path::RELEASE, Agents, Nothing),
    ("POST", path::EVENTS, Agents, Nothing),
    ("PATCH", path::LOG, Agents, Nothing),
    ("GET", path::PIPELINES, Users(Reader), Listed),
    ("GET", path::PIPELINE, Users(Reader), Named),
    ("GET", path::JOBS, Users(Reader), Listed),
    ("GET", path::JOB, Users(Reader), Named),
    ("GET", path::EVENTS, Users(Reader), Named),
    ("GET", path::EVENTS_FOLLOW, Users(Reader), Named),
    ("GET", path::LOG, Users(Reader), Named),
    ("GET", path::LOG_FOLLOW, Users(Reader), Named),
    ("GET", path::ARTIFACTS, Users(Reader), Named),
    ("GET", path::ARTIFACT, Users(Reader), Named),
    ("POST", path::CACHE_FIND, Agents, Nothing),
    ("GET", path::CACHE_ARCHIVE, Agents, Nothing),
    ("GET", path::CACHES, Users(Reader), Listed),
    ("DELETE", path::CACHE, Users(Writer), Nothing),
    ("GET", path::AGENTS, Users(Reader), Nothing),
    ("GET", path::AGENT, Users(Reader), Nothing),
    ("POST", path::PIPELINES, Users(Writer), Asked),
    ("POST", path::PIPELINE_CANCEL, Users(Writer), Named),
    ("POST", path::PIPELINE_RETRY, Users(Writer), Named),
    ("POST", path::PIPELINE_APPROVE, Users(Writer), Named),
    ("POST", path::JOB_CANCEL, Users(Writer), Named),
    ("POST", path::JOB_RETRY, Users(Writer), Named),
    ("POST", path::JOB_APPROVE, Users(Writer), Named),
    ("GET", path::SECRETS, Users(Admin), Asked),
    ("PUT", path::SECRET, Users(Admin), Asked),
    ("DELETE", path::SECRET, Users(Admin), Asked),
    ("DELETE", path::AGENT, Users(Admin), Nothing),
    ("POST", path::AGENT_DRAIN, Users(Admin), Nothing),
    ("DELETE", path::AGENT_DRAIN, Users(Admin), Nothing),
    ("POST", path::TOKENS, Users(Admin), Nothing),
    ("GET", path::TOKENS, Users(Admin), Nothing),
    ("DELETE", path::TOKEN, Users(Admin), Nothing),
];

/// Who calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Who {
    Nobody,
    Registrar,
    Agent,
    /// Of the whole server.
    User(Role),
    /// For the repository that is asked about, and for another one.
    Own(Role),
    Other(Role),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Allowed,
    Unknown,
    Forbidden,
    /// As if it were not there.
    Hidden,
}

fn expected(who: Who, whom: For, reach: Reach) -> Answer {
    let enough = |role: Role| matches!(whom, Users(least) if role >= least);
    match (whom, who) {
        (Everybody, _) | (Registrars, Who::Registrar) | (Agents, Who::Agent) => Answer::Allowed,
        (_, Who::Nobody) => Answer::Unknown,
        (_, Who::User(role)) if enough(role) => Answer::Allowed,
        (_, Who::Own(role)) if enough(role) && reach != Nothing => Answer::Allowed,
        (_, Who::Other(role)) if enough(role) => match reach {
            Named => Answer::Hidden,
            Listed => Answer::Allowed,
            Asked | Nothing => Answer::Forbidden,
        },
        _ => Answer::Forbidden,
    }
}

impl Server {
    async fn token_for(&self, role: Role, repositories: &[&str]) -> User {
        let wanted =
            json!({ "name": "some", "kind": "user", "role": role, "repositories": repositories });
        let created: CreatedToken = self.admin.post(path::TOKENS, &wanted).await;
        User::new(&self.admin.base, &created.secret)
    }

    async fn callers(&self, own: &str, other: &str) -> Vec<(Who, User)> {
        let agent = self.agent(&[]).await;
        let registrar = self.token(TokenKind::Registration, None).await;
        let mut callers = vec![
            (
                Who::Nobody,
                User::new(&self.admin.base, "slipway_user_none"),
            ),
            (Who::Registrar, User::new(&self.admin.base, &registrar)),
            (Who::Agent, agent.user),
        ];
        for role in [Reader, Writer, Admin] {
            callers.push((Who::User(role), self.user(role).await));
            callers.push((Who::Own(role), self.token_for(role, &[own]).await));
            callers.push((Who::Other(role), self.token_for(role, &[other]).await));
        }
        callers
    }

    async fn submit_of(&self, repository: &str) -> protocol::service::PipelineId {
        let submit = protocol::service::Submit {
            repository: Some(repository.to_owned()),
            ..protocol::service::Submit::default()
        };
        self.submitted(&submit).await
    }
}

#[tokio::test]
async fn every_address_answers_whom_it_is_for_and_nobody_else() {
    // Who only guesses is held up elsewhere.
    let server = Server::start().await;
    let (own, other) = (
        server.repository("own", ONE),
        server.repository("other", ONE),
    );
    let pipeline = server.submit_of(&own).await;
    let job = server.pipeline(pipeline).await.jobs[0].id;
    let callers = server.callers(&own, &other).await;
    let described: Value = server.admin.get(path::OPENAPI).await;
    let mut known = 0;
    for (address, methods) in described["paths"].as_object().unwrap() {
        for method in methods.as_object().unwrap().keys() {
            let method = method.to_uppercase();
            let mut rows = ROWS.iter();
            let row = rows.find(|row| row.0 == method && row.1 == address);
            let Some(&(_, template, whom, reach)) = row else {
                panic!("{method} {address} has no row here: who may call it?");
            };
            known += 1;
            let mut filled = template
                .replace("{pipeline}", &pipeline.to_string())
                .replace("{job}", &job.to_string())
                .replace("{attempt}", "1")
                .replace("{name}", "step-0")
                .replace("{secret}", "TOKEN")
                .replace("{agent}", "77")
                .replace("{cache}", "77")
                .replace("{token}", "77");
            if address.contains("/secrets") {
                filled += &format!("?repository={own}");
            }
            assert!(!filled.contains('{'), "{filled}");
            for (who, user) in &callers {
                let method: Method = method.parse().unwrap();
                let mut request = user.request(method.clone(), &filled);
                if method != Method::GET {
                    request = request.json(&json!({ "repository": own, "value": "a value" }));
                }
                let answer = request.send().await.unwrap();
                let status = answer.status().as_u16();
                // A stream that goes on is not waited for.
                let text = match status {
                    404 => answer.text().await.unwrap(),
                    _ => String::new(),
                };
                let is_hidden = text.contains(&format!("there is no job {job}\""))
                    || text.contains(&format!("there is no pipeline {pipeline}\""));
                let got = match status {
                    // Of strangers so many are not looked at at all.
                    401 | 429 => Answer::Unknown,
                    403 => Answer::Forbidden,
                    404 if is_hidden => Answer::Hidden,
                    _ => Answer::Allowed,
                };
                assert_eq!(
                    got,
                    expected(*who, whom, reach),
                    "{who:?}: {method} {filled}"
                );
            }
        }
    }
    assert_eq!(known, ROWS.len(), "a row is of no address");
}

#[tokio::test]
async fn a_token_for_some_repositories_sees_and_does_what_is_of_them() {
    let server = Server::start().await;
    let (own, other) = (
        server.repository("own/a", ONE),
        server.repository("other", ONE),
    );
    let below = format!("{}/*", server.directory.path().join("own").display());
    let mine = server.submit_of(&own).await;
    let theirs = server.submit_of(&other).await;
    let without = server.submit(ONE).await;
    let user = server
        .token_for(Admin, &[&below, "https://git.example.org/x/y"])
        .await;
    let pipelines: Pipelines = user.get(path::PIPELINES).await;
    let seen: Vec<_> = pipelines.pipelines.iter().map(|it| it.id).collect();
    assert_eq!(seen, [mine]);
    let jobs: Jobs = user.get(path::JOBS).await;
    let seen: Vec<_> = jobs.jobs.iter().map(|it| it.pipeline).collect();
    assert_eq!(seen, [mine]);
    for hidden in [theirs, without] {
        let address = path::of_pipeline(path::PIPELINE, hidden);
        let refused = problem(user.request(Method::GET, &address)).await;
        assert_eq!(refused.message, format!("there is no pipeline {hidden}"));
    }
    let refused = user
        .refused(path::PIPELINES, &json!({ "pipeline": ONE }))
        .await;
    assert!(
        refused.message.contains("has to be of one of them"),
        "{}",
        refused.message
    );
    let refused = user
        .refused(path::PIPELINES, &json!({ "repository": other }))
        .await;
    assert_eq!(refused.message, "your token is not for this repository");
    let _: Value = user
        .post(path::PIPELINES, &json!({ "repository": own }))
        .await;
    // Nor by way of what a pipeline includes.
    let commit = git2::Repository::open(&other)
        .unwrap()
        .head()
        .unwrap()
        .target()
        .unwrap();
    let including = format!(
        "include: [{{ git: \"file://{other}\", ref: {commit}, path: .pipeline.yml }}]\nimage: host\nsteps: [{{ run: x }}]\n"
    );
    let wanted = json!({ "repository": own, "pipeline": including });
    let submitted: protocol::service::Submitted = user.post(path::PIPELINES, &wanted).await;
    let pipeline = server.pipeline(submitted.pipeline).await;
    assert_eq!(
        pipeline.summary.conclusion,
        Some(protocol::Conclusion::Failure)
    );
    assert!(
        pipeline
            .diagnostics
            .contains("your token is not for this repository"),
        "{}",
        pipeline.diagnostics
    );
    // The whole server's secrets are not its business.
    let refused = problem(user.request(Method::GET, path::SECRETS)).await;
    assert!(
        refused.message.contains("of the whole server"),
        "{}",
        refused.message
    );
}

#[tokio::test]
async fn patterns_of_tokens_are_understood_or_refused_and_shown() {
    let server = Server::start().await;
    let create = |kind: &str, repositories: &[&str]| {
        let role = (kind == "user").then_some("admin");
        json!({ "name": "t", "kind": kind, "role": role, "repositories": repositories })
    };
    let patterns = ["https://GIT.example.org/a/b", "https://git.example.org/c/*"];
    let created: CreatedToken = server
        .admin
        .post(path::TOKENS, &create("user", &patterns))
        .await;
    assert_eq!(
        created.token.repositories,
        ["https://git.example.org/a/b", "https://git.example.org/c/*"]
    );
    let listed: protocol::service::Tokens = server.admin.get(path::TOKENS).await;
    assert_eq!(listed.tokens.last().unwrap().repositories.len(), 2);
    for (kind, pattern) in [
        ("user", "https://git.example.org/a*"),
        ("user", "https://git.example.org/*/a"),
        ("user", "ext::sh"),
        ("registration", "https://git.example.org/a"),
    ] {
        let refused = server
            .admin
            .refused(path::TOKENS, &create(kind, &[pattern]))
            .await;
        assert_eq!(
            refused.code,
            protocol::service::ProblemCode::Invalid,
            "{pattern}"
        );
    }
}

#[tokio::test]
async fn an_administrator_of_some_repositories_is_none_of_the_server() {
    let mut server = Server::start().await;
    let own = server.repository("own", ONE);
    let _ = server.token_for(Admin, &[&own]).await;
    let tokens: protocol::service::Tokens = server.admin.get(path::TOKENS).await;
    let first = tokens.tokens[0].id;
    let revoked = server
        .admin
        .request(Method::DELETE, &path::of_token(first))
        .send()
        .await;
    assert_eq!(revoked.unwrap().status(), 204);
    server.end().await;
    server.config.listen.set_port(0);
    let running = server::start(server.config.clone()).await.unwrap();
    assert!(running.first_token.is_some(), "there is no way in any more");
    running.shutdown.now();
    running.ended().await.unwrap();
}

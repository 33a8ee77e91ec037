//! A server of this program on what an earlier one has left. The fixtures are what servers of those schemas have written.

use std::path::Path;

use protocol::Conclusion::{Failure, Success};
use protocol::service::{
    AgentId, Agents, EventPage, Finish, JobState, Order, Pipelines, StreamName, path,
};
use reqwest::Method;
use serde_json::{Value, json};
use server::{Config, ServerError};
use tempfile::TempDir;

use crate::harness::{Agent, ONE, User, end, finish};
use crate::schemas;

/// The first administrator's and an agent's, of the fixture of schema 1.
const ADMIN: &str = "slipway_user_IZDzWd68BL0wkdiwmZ3mffNB2cvyH2QpSizV_Ej3dc0";
const AGENT: &str = "slipway_agent_xRyDgXUZlNOPIE6UftqawPxmAqKphY_TSAp6FOPza6I";

/// A data directory as a server of this schema has left it.
fn left_by(schema: &str) -> (TempDir, Config) {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(fixture.join(schema))
        .arg(&data)
        .status();
    assert!(copied.unwrap().success());
    let mut config = Config::in_directory(data, crate::harness::transport());
    config.listen.set_port(0);
    (directory, config)
}

#[tokio::test]
async fn everything_of_schema_1_is_there_and_goes_on() {
    let (_directory, config) = left_by("schema-1");
    let running = server::start(config).await.unwrap();
    assert_eq!(running.first_token, None);
    let admin = User::new(&format!("http://{}", running.address), ADMIN);
    let agent = Agent {
        user: User::new(&admin.base, AGENT),
        id: AgentId(1),
    };
    let pipelines: Pipelines = admin.get(path::PIPELINES).await;
    let ends: Vec<_> = pipelines.pipelines.iter().map(|it| it.conclusion).collect();
    assert_eq!(
        ends,
        [
            None,
            None,
            None,
            Some(Failure),
            Some(Failure),
            Some(Success)
        ]
    );
    let invalid: Value = admin.get("/api/v1/pipelines/3").await;
    assert!(invalid["diagnostics"].as_str().unwrap().contains("stepz"));
    let agents: Agents = admin.get(path::AGENTS).await;
    assert!(
        agents
            .agents
            .iter()
            .any(|agent| agent.description.name == "old")
    );

    // What is over.
    let job: protocol::service::Job = admin.get("/api/v1/jobs/1").await;
    let log = "/api/v1/jobs/1/attempts/1/logs/step-0";
    let text = admin.request(Method::GET, log).send().await.unwrap();
    assert_eq!(
        text.text().await.unwrap(),
        "compiled by schema 1\n".repeat(40)
    );
    assert_eq!(job.attempts[0].logs.len(), 2);
    let events: EventPage<Value> = admin.get("/api/v1/jobs/1/attempts/1/events").await;
    assert_eq!((events.events.len(), events.complete), (3, true));

    // What is going on.
    let id = protocol::service::AttemptId {
        job: protocol::service::JobId(4),
        attempt: 1,
    };
    let held = json!({ "held": [id] });
    let answer: protocol::service::HeartbeatAnswer = agent.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer.held[0].order, Order::Continue);
    let name = StreamName::step(0);
    agent
        .log(id, &name, 10, b", and half")
        .send()
        .await
        .unwrap();
    let ended = Finish {
        logs: vec![end(&name, b"half a log, and half")],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;

    // What waits: the one whose group's place is free now, and the first job of its pipeline.
    let mut taken = Vec::new();
    while let Some(offer) = agent.offered().await {
        agent.tell(path::ACCEPT, offer.id, &json!({})).await;
        agent.finish(offer.id, Success).await;
        taken.push(offer.id.job.0);
    }
    taken.sort_unstable();
    assert_eq!(taken, [6, 7]);
    let waiting: protocol::service::Job = admin.get("/api/v1/jobs/9").await;
    assert_eq!(waiting.summary.state, JobState::Queued);
    let _: Value = admin
        .post(path::PIPELINES, &json!({ "pipeline": ONE }))
        .await;
    // What has come since.
    let set = json!({ "value": "hunter2-and-more" });
    let address = path::of_secret("TOKEN", None);
    let answer = admin.request(Method::PUT, &address).json(&set).send().await;
    assert_eq!(answer.unwrap().status(), 204);
    running.shutdown.now();
    running.ended().await.unwrap();
}

#[tokio::test]
async fn a_database_of_a_newer_server_is_refused_and_stays_as_it_is() {
    let (_directory, config) = left_by("schema-1");
    let file = config.data.join("server.sqlite");
    let newer = || rusqlite::Connection::open(&file).unwrap();
    newer()
        .execute("UPDATE schema_version SET version = 1000", [])
        .unwrap();
    let refused = server::start(config).await.unwrap_err();
    assert!(matches!(refused, ServerError::Database(_)), "{refused:?}");
    let message = refused.to_string();
    assert!(
        message.contains("schema 1000") && message.contains("newer"),
        "{message}"
    );
    let columns = newer().prepare("SELECT offers FROM jobs").is_ok();
    assert!(!columns, "it was changed");
}

#[tokio::test]
async fn what_servers_of_schema_4_have_left_of_artifacts_is_sorted_out() {
    let directory = TempDir::new().unwrap();
    let mut config = Config::in_directory(directory.path().to_owned(), crate::harness::transport());
    config.listen.set_port(0);
    let open = || rusqlite::Connection::open(config.data.join("server.sqlite")).unwrap();
    let made = schemas::schema_4("INTEGER PRIMARY KEY AUTOINCREMENT", "BLOB");
    open().execute_batch(&made).unwrap();
    schemas::upgrade(config.clone()).await;
    let numbers = |query: &str| -> Vec<i64> {
        let database = open();
        let mut statement = database.prepare(query).unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let left = schemas::LEFT.map(&numbers);
    assert_eq!(left, [vec![101, 201], vec![0, 5, 5], vec![30, 80]]);
    assert_eq!(numbers(schemas::UNSAID), [102]);
    assert_eq!(numbers(schemas::KNOWN), [6, 7, 8, 9, 10, 11, 12, 13]);
}

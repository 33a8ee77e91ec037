//! Pull requests of forks: no secrets, and nothing of them runs before a person has agreed.

use protocol::Conclusion::Success;
use protocol::service::{ProblemCode, Withheld, path};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ONE, Server};

const PIPELINE: &str = "image: host\njobs:\n  a: { approval: true, steps: [{ run: x }] }\n  b: { steps: [{ run: x, secrets: [TOKEN] }] }\n  \
                        c: { needs: [b], if: always(), steps: [{ run: x }] }\n";

fn fork(pipeline: &str) -> Value {
    json!({ "pipeline": pipeline, "trigger": { "event": "pull_request", "fork": true } })
}

async fn submitted(server: &Server, submit: &Value) -> protocol::service::PipelineId {
    let submitted: protocol::service::Submitted = server.admin.post(path::PIPELINES, submit).await;
    submitted.pipeline
}

#[tokio::test]
async fn a_forks_pull_request_waits_for_a_person_and_gets_no_secrets() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    if server.kind() == "SQLite" {
        let set = json!({ "value": "hunter2-and-more" });
        let address = path::of_secret("TOKEN", None);
        let answer = server
            .admin
            .request(Method::PUT, &address)
            .json(&set)
            .send();
        assert_eq!(answer.await.unwrap().status(), 204);
    }
    let id = submitted(&server, &fork(PIPELINE)).await;
    assert_eq!(
        server.shown(id).await,
        "a: Approval\nb: Approval\nc: Approval\n= Queued"
    );
    assert!(agent.offered().await.is_none());
    let approve = |template: &str, id: u64| {
        let address = template.replace("{pipeline}", &id.to_string());
        address.replace("{job}", &id.to_string())
    };
    // What would let a job of it through otherwise.
    let jobs: Vec<u64> = server
        .pipeline(id)
        .await
        .jobs
        .iter()
        .map(|job| job.id.0)
        .collect();
    let refused = server
        .admin
        .refused(&approve(path::JOB_APPROVE, jobs[1]), &json!({}))
        .await;
    assert_eq!(refused.code, ProblemCode::Conflict);
    assert!(refused.help.unwrap().contains("does, as a whole"));
    server
        .admin
        .tell(&approve(path::JOB_CANCEL, jobs[1]), &json!({}))
        .await;
    server
        .admin
        .tell(&approve(path::JOB_RETRY, jobs[1]), &json!({}))
        .await;
    server
        .admin
        .tell(&approve(path::JOB_CANCEL, jobs[1]), &json!({}))
        .await;
    assert!(
        agent.offered().await.is_none(),
        "c runs always, but not yet"
    );
    server
        .admin
        .tell(&path::of_pipeline(path::PIPELINE_CANCEL, id), &json!({}))
        .await;
    server
        .admin
        .tell(&path::of_pipeline(path::PIPELINE_RETRY, id), &json!({}))
        .await;
    assert!(agent.offered().await.is_none());
    assert_eq!(
        server.shown(id).await,
        "a: Approval\nb: Approval\nc: Approval\n= Queued"
    );

    let address = path::of_pipeline(path::PIPELINE_APPROVE, id);
    server.admin.tell(&address, &json!({})).await;
    assert_eq!(
        server.admin.refused(&address, &json!({})).await.code,
        ProblemCode::Conflict
    );
    // Its own approvals are asked for as ever.
    assert_eq!(
        server.shown(id).await,
        "a: Approval\nb: Agent\nc: Needs\n= Queued"
    );
    let assignment = agent.take().await;
    assert_eq!(assignment.secrets.len(), 0);
    let expected = match server.kind() {
        "SQLite" => Withheld::Fork,
        _ => Withheld::NotSet,
    };
    assert_eq!(assignment.withheld["TOKEN"], expected);
    agent.finish(assignment.id, Success).await;
    assert_eq!(agent.run(Success).await, "c");
}

#[tokio::test]
async fn a_fork_that_waits_takes_no_place_of_a_group_and_pushes_nobody_out() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let grouped = format!("concurrency: {{ group: deploy, cancel_in_progress: true }}\n{ONE}");
    let own = server.submit(&grouped).await;
    let taken = agent.take().await;
    let fork = submitted(&server, &fork(&grouped)).await;
    assert_eq!(server.shown(own).await, "main: Running\n= Running");
    let held = json!({ "held": [taken.id] });
    let answer: Value = agent.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer["held"][0]["order"], "continue");
    // Once somebody has agreed it is as any other.
    let address = path::of_pipeline(path::PIPELINE_APPROVE, fork);
    server.admin.tell(&address, &json!({})).await;
    let answer: Value = agent.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer["held"][0]["order"], "cancel");
    agent
        .finish(taken.id, protocol::Conclusion::Cancelled)
        .await;
    assert_eq!(agent.run(Success).await, "main");
    assert_eq!(server.shown(fork).await, "main: Success\n= Success");
}

#[tokio::test]
async fn a_server_can_be_told_that_forks_do_not_wait() {
    let server = Server::start_with(|config| config.fork_approval = false).await;
    let agent = server.agent(&[]).await;
    submitted(&server, &fork(ONE)).await;
    assert_eq!(agent.run(Success).await, "main");
    let push = json!({ "pipeline": ONE, "trigger": { "event": "push", "fork": true } });
    let refused = server.admin.refused(path::PIPELINES, &push).await;
    assert_eq!(refused.code, ProblemCode::Invalid);
}

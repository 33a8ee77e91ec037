//! What happens when something dies.

use std::time::Duration;

use protocol::Conclusion::Success;
use protocol::service::{AttemptState, HeartbeatAnswer, Order, ProblemCode, path};
use serde_json::json;

use crate::harness::{ONE, Server, finish};

fn short(config: &mut server::Config) {
    config.terms.accept = Duration::from_millis(300);
    config.terms.heartbeat = Duration::from_millis(200);
    config.terms.lease = Duration::from_millis(600);
    config.terms.wait = Duration::from_secs(2);
}

#[tokio::test]
async fn an_offer_that_nobody_accepts_goes_to_another_agent() {
    let server = Server::start_with(short).await;
    let (one, two) = (server.agent(&[]).await, server.agent(&[]).await);
    let id = server.submit(ONE).await;
    let lost = one.offered().await.unwrap();
    let taken = two.take().await;
    assert_eq!(taken.id.job, lost.id.job);
    let late = one.refused(path::ACCEPT, lost.id, &json!({})).await;
    assert_eq!(late.code, ProblemCode::Fenced);
    two.finish(taken.id, Success).await;
    let job = server.job(taken.id.job).await;
    assert_eq!(job.attempts.len(), 1);
    assert_eq!(server.shown(id).await, "main: Success\n= Success");
}

#[tokio::test]
async fn a_silent_agent_loses_its_job_and_can_write_nothing_more() {
    let server = Server::start_with(short).await;
    let (one, two) = (server.agent(&[]).await, server.agent(&[]).await);
    server.submit(ONE).await;
    let lost = one.take().await;
    let taken = two.take().await;
    assert_eq!(taken.id.job, lost.id.job);
    let held = json!({ "held": [lost.id] });
    let answer: HeartbeatAnswer = one.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer.held[0].order, Order::Lost);
    for (template, body) in [
        (path::FINISH, serde_json::to_value(finish(Success)).unwrap()),
        (path::EVENTS, json!({ "first": 0, "events": [] })),
        (path::ACCEPT, json!({})),
    ] {
        let refused = one.refused(template, lost.id, &body).await;
        assert_eq!(refused.code, ProblemCode::Fenced, "{template}");
    }
    two.finish(taken.id, Success).await;
    let job = server.job(lost.id.job).await;
    let states: Vec<AttemptState> = job.attempts.iter().map(|attempt| attempt.state).collect();
    assert_eq!(states, [AttemptState::Lost, AttemptState::Finished]);
}

#[tokio::test]
async fn an_agent_for_one_job_is_forgotten_when_it_has_gone() {
    let server = Server::start_with(short).await;
    let agent = server.agent(&[]).await;
    let description = json!({ "name": "once", "slots": 1, "version": "0", "ephemeral": true });
    let path = path::SELF;
    let said = agent.user.request(reqwest::Method::PUT, path);
    assert_eq!(said.json(&description).send().await.unwrap().status(), 204);
    let stays = server.agent(&[]).await;
    for _ in 0..100 {
        let agents: protocol::service::Agents = server.admin.get(path::AGENTS).await;
        if agents.agents.iter().all(|known| known.id == stays.id) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is still known");
}

#[tokio::test]
async fn heartbeats_keep_a_job() {
    let server = Server::start_with(short).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let taken = agent.take().await;
    let held = json!({ "held": [taken.id] });
    for _ in 0..12 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let answer: HeartbeatAnswer = agent.user.post(path::HEARTBEAT, &held).await;
        assert_eq!(answer.held[0].order, Order::Continue);
    }
    agent.finish(taken.id, Success).await;
}

#[tokio::test]
async fn a_job_that_is_lost_too_often_is_an_error() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    for attempt in 1..=3 {
        let taken = agent.take().await;
        assert_eq!(taken.id.attempt, attempt);
        let release = json!({ "reason": "restarted" });
        agent.tell(path::RELEASE, taken.id, &release).await;
        agent.tell(path::RELEASE, taken.id, &release).await;
    }
    let shown = server.shown(id).await;
    assert!(shown.starts_with("main: Error, Internal"), "{shown}");
    assert!(agent.offered().await.is_none());
}

#[tokio::test]
async fn what_is_declined_counts_as_never_run() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    for _ in 0..5 {
        let offer = agent.offered().await.unwrap();
        let release = json!({ "reason": "declined" });
        agent.tell(path::RELEASE, offer.id, &release).await;
    }
    let taken = agent.take().await;
    agent.finish(taken.id, Success).await;
    assert_eq!(server.job(taken.id.job).await.attempts.len(), 1);
}

#[tokio::test]
async fn a_restart_of_the_server_changes_nothing_for_who_works() {
    let mut server = Server::start_with(short).await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    let taken = agent.take().await;
    server.restart().await;
    let held = json!({ "held": [taken.id] });
    let answer: HeartbeatAnswer = agent.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer.held[0].order, Order::Continue);
    agent.finish(taken.id, Success).await;
    assert_eq!(server.shown(id).await, "main: Success\n= Success");
}

#[tokio::test]
async fn a_server_that_ends_answers_those_who_wait() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let waiting = tokio::spawn(async move { agent.acquire(60_000).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    server.running().shutdown.begin();
    assert!(waiting.await.unwrap().is_none());
}

#[tokio::test]
async fn an_agent_that_is_removed_loses_what_it_has() {
    let server = Server::start().await;
    let (one, two) = (server.agent(&[]).await, server.agent(&[]).await);
    server.submit(ONE).await;
    let taken = one.take().await;
    let remove = path::of_agent(path::AGENT, one.id);
    let answer = server.admin.request(reqwest::Method::DELETE, &remove);
    assert_eq!(answer.send().await.unwrap().status(), 204);
    let again = two.take().await;
    assert_eq!(again.id.job, taken.id.job);
    let refused = one.refused(path::FINISH, taken.id, &finish(Success)).await;
    assert_eq!(refused.code, ProblemCode::Unauthorized);
}

#[tokio::test]
async fn a_job_that_no_agent_takes_on_is_an_error_that_says_so() {
    let server = Server::start_with(|config| {
        short(config);
        config.terms.accept = Duration::from_millis(100);
    })
    .await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    // It gets the offer each time, and cannot read it.
    for _ in 0..10 {
        assert!(agent.acquire(5_000).await.is_some());
    }
    assert!(agent.acquire(1_000).await.is_none());
    let shown = server.shown(id).await;
    assert!(
        shown.starts_with("main: Error, Internal") && shown.contains("offered 10 times"),
        "{shown}"
    );
    let again = path::of_pipeline(path::PIPELINE_RETRY, id);
    server.admin.tell(&again, &json!({})).await;
    assert_eq!(agent.run(Success).await, "main");
}

#[tokio::test]
async fn a_job_that_agents_cannot_read_is_an_error_that_says_why() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    let release = json!({ "reason": "unreadable", "message": "plan: unknown variant `x`" });
    for _ in 0..2 {
        let offer = agent.offered().await.unwrap();
        agent.tell(path::RELEASE, offer.id, &release).await;
    }
    // Another one can.
    let taken = agent.take().await;
    agent
        .tell(path::RELEASE, taken.id, &json!({ "reason": "restarted" }))
        .await;
    for _ in 0..3 {
        let offer = agent.offered().await.unwrap();
        agent.tell(path::RELEASE, offer.id, &release).await;
    }
    assert!(agent.offered().await.is_none());
    let shown = server.shown(id).await;
    let why = "offered 3 times, and not taken on: its agent cannot read it: plan: unknown variant `x` (agent test)";
    assert!(
        shown.starts_with("main: Error, Internal") && shown.contains(why),
        "{shown}"
    );
}

#[tokio::test]
async fn who_sends_byte_by_byte_or_without_end_does_not_keep_a_connection() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let server = Server::start_with(|config| {
        config.patience.head = Duration::from_millis(300);
        config.patience.body = Duration::from_millis(300);
    })
    .await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-length: 100\r\n\r\n{{",
        path::PIPELINES,
        server.admin.token
    );
    let long = format!("GET /healthz HTTP/1.1\r\nhost: {}", "x".repeat(8 << 10));
    for (sent, answer) in [
        ("GET /healthz HTTP/1.1\r\nhost:", ""),
        (&head, "HTTP/1.1 408 "),
        (&long, "HTTP/1.1 431 "),
    ] {
        let address = server.running().address;
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        stream.write_all(sent.as_bytes()).await.unwrap();
        let mut said = String::new();
        let ended = stream.read_to_string(&mut said);
        let ended = tokio::time::timeout(Duration::from_secs(20), ended).await;
        assert!(ended.is_ok(), "the connection stays");
        assert!(said.starts_with(answer), "{said}");
    }
}

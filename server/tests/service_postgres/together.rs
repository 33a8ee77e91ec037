//! Operations that share a transaction, and are asked ahead together.

use std::sync::Arc;
use std::time::Duration;

use protocol::Conclusion::Success;
use protocol::service::{PipelineState, path};
use serde_json::json;

use crate::harness::{Agent, Server};

/// Pipelines of one group, and jobs of another one across all of them: the end of a job changes pipelines that it is not of.
const MIXED: &str = "\
image: host
jobs:
  first: { steps: [{ run: make }] }
  second: { needs: [first], concurrency: { group: deploy }, steps: [{ run: make }] }
";

/// Each pushes those before it out.
const PUSHING: &str = "\
image: host
concurrency: { group: newest, cancel_in_progress: true }
jobs:
  first: { steps: [{ run: make }] }
  second: { needs: [first], steps: [{ run: make }] }
";

/// Works until there is nothing to do for a while.
async fn work(agent: Agent) {
    while let Some(offer) = agent.acquire(3_000).await {
        let accept = path::of_attempt(path::ACCEPT, offer.id);
        let accepted = agent.user.request(reqwest::Method::POST, &accept);
        let accepted = accepted.json(&json!({})).send().await.unwrap();
        // What was stopped meanwhile is not run.
        if accepted.status() == 204 {
            agent.finish(offer.id, Success).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ends_of_jobs_share_transactions_with_pipelines_that_push_theirs_out() {
    let server = Arc::new(Server::start().await);
    let mut workers = Vec::new();
    for _ in 0..12 {
        workers.push(tokio::spawn(work(server.agent(&[]).await)));
    }
    let mut users = Vec::new();
    for user in 0..6 {
        let server = Arc::clone(&server);
        users.push(tokio::spawn(async move {
            let mut pipelines = Vec::new();
            for _ in 0..15 {
                let text = if user % 2 == 0 { MIXED } else { PUSHING };
                pipelines.push(server.submit(text).await);
            }
            pipelines
        }));
    }
    let mut pipelines = Vec::new();
    for user in users {
        pipelines.extend(user.await.unwrap());
    }
    for worker in workers {
        worker.await.unwrap();
    }
    for id in pipelines {
        let pipeline = server.pipeline(id).await;
        assert_eq!(
            pipeline.summary.state,
            PipelineState::Finished,
            "{}",
            server.shown(id).await
        );
        assert!(pipeline.jobs.iter().all(|job| job.conclusion.is_some()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_twice_in_one_transaction_is_done_once() {
    let server = Arc::new(Server::start().await);
    let mut agents = Vec::new();
    for _ in 0..8 {
        server.submit(crate::harness::ONE).await;
        agents.push(server.agent(&[]).await);
    }
    let mut all = Vec::new();
    for agent in agents {
        all.push(tokio::spawn(async move {
            let offer = agent.acquire(5_000).await.expect("a job");
            // The same call comes again before the first is answered.
            let nothing = json!({});
            let accept = || agent.tell(path::ACCEPT, offer.id, &nothing);
            tokio::join!(accept(), accept(), accept());
            let finish = || agent.finish(offer.id, Success);
            tokio::join!(finish(), finish(), finish());
            offer.id.job
        }));
    }
    for done in all {
        let job = server.job(done.await.unwrap()).await;
        assert_eq!(
            (job.summary.attempt, job.summary.conclusion),
            (1, Some(Success))
        );
    }
}

/// Its last job never runs here.
const PUSHED: &str = "\
image: host
concurrency: { group: newest, cancel_in_progress: true }
jobs:
  first: { steps: [{ run: make }] }
  second: { steps: [{ run: make }] }
  third: { runs_on: { os: plan9 }, steps: [{ run: make }] }
";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_is_looked_at_anew_whose_pipeline_was_pushed_out_in_the_same_transaction() {
    let server = Arc::new(Server::start().await);
    let agent = server.agent(&[]).await;
    let old = server.submit(PUSHED).await;
    // The server knows the pipeline from now on.
    agent.run(Success).await;
    let taken = agent.take().await;
    let submit = |text: &'static str| {
        let server = Arc::clone(&server);
        tokio::spawn(async move { server.submit(text).await })
    };
    // While each connection that writes waits for the same lock, others gather.
    let database = Arc::clone(server.database.as_ref().unwrap());
    let lock = "BEGIN; LOCK TABLE repositories; SELECT pg_sleep(2); COMMIT";
    let locked = tokio::task::spawn_blocking(move || database.execute(lock));
    let database = server.database();
    let holds = "SELECT count(*) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation \
                 WHERE c.relname = 'repositories' AND l.mode = 'AccessExclusiveLock' AND l.granted";
    database.wait_for(holds, 1).await;
    let mut others = Vec::new();
    for writers in 1..=3 {
        others.push(submit(crate::harness::ONE));
        let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                       AND query LIKE 'SELECT id FROM repositories%'";
        database.wait_for(waiting, writers).await;
    }
    let new = submit(PUSHED);
    tokio::time::sleep(Duration::from_millis(200)).await;
    agent.finish(taken.id, Success).await;
    locked.await.unwrap();
    for other in others {
        other.await.unwrap();
    }
    new.await.unwrap();
    assert_eq!(
        server.shown(old).await,
        "first: Success\nsecond: Success\nthird: Cancelled, Cancelled\n= Cancelled"
    );
}

//! Which job goes to whom, and when.

use std::time::Duration;

use protocol::Conclusion::{Error, Failure, Success};
use protocol::service::{Drain, Finish, Order, Submit, path};
use serde_json::json;

use crate::harness::{ONE, Server, finish};

#[tokio::test]
async fn a_job_goes_the_whole_way() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    let offer = agent.offered().await.unwrap();
    assert_eq!((offer.pipeline, offer.id.attempt), (id, 1));
    assert_eq!(offer.plan.jobs[0].id, "main");
    assert_eq!(server.shown(id).await, "main: Assigned\n= Queued");
    agent.tell(path::ACCEPT, offer.id, &json!({})).await;
    agent.tell(path::ACCEPT, offer.id, &json!({})).await;
    assert_eq!(server.shown(id).await, "main: Running\n= Running");
    agent.finish(offer.id, Success).await;
    agent.finish(offer.id, Success).await;
    assert_eq!(server.shown(id).await, "main: Success\n= Success");
    assert!(agent.offered().await.is_none());
}

#[tokio::test]
async fn an_agent_that_waits_hears_of_a_job_at_once() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let waiting = tokio::spawn({
        let agent = agent.clone();
        async move { agent.acquire(30_000).await }
    });
    server.submit(ONE).await;
    assert!(waiting.await.unwrap().is_some());
}

#[tokio::test]
async fn a_cell_with_a_group_of_its_own_waits_for_room_in_its_matrix_and_no_longer() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let pipeline = "image: host\njobs:\n  cell:\n    matrix: { n: [1, 2, 3], max_parallel: 1 }\n    \
                    concurrency: { group: \"g-${{ matrix.n }}\" }\n    steps: [{ run: x }]\n";
    let id = server.submit(pipeline).await;
    for _ in 0..3 {
        let cell = agent.take().await;
        assert!(agent.offered().await.is_none());
        agent.finish(cell.id, Success).await;
    }
    assert!(server.shown(id).await.ends_with("= Success"));
}

#[tokio::test]
async fn an_agent_that_is_told_to_take_no_more_while_it_waits_gets_none() {
    let server = Server::start().await;
    let (one, other) = (server.agent(&[]).await, server.agent(&[]).await);
    let waiting = tokio::spawn({
        let one = one.clone();
        async move { one.acquire(4_000).await }
    });
    while !server.metrics().await.contains("agents_waiting 1") {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let drain = path::AGENT_DRAIN.replace("{agent}", &one.id.to_string());
    let told: Drain = server.admin.post(&drain, &json!({})).await;
    assert!(told.draining);
    server.submit(ONE).await;
    assert!(waiting.await.unwrap().is_none());
    assert!(other.offered().await.is_some());
}

const DIAMOND: &str = "
image: host
jobs:
  a: { steps: [{ run: x }], outputs: { v: '1' } }
  b: { needs: [a], steps: [{ run: x }] }
  c: { needs: [a], steps: [{ run: x }] }
  d: { needs: [b, c], steps: [{ run: x }] }
  e: { needs: [d], if: failure(), steps: [{ run: x }] }
";

#[tokio::test]
async fn jobs_start_when_what_they_need_has_succeeded() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(DIAMOND).await;
    let a = agent.take().await;
    assert!(agent.offered().await.is_none());
    let outputs = [("v".to_owned(), "42".to_owned())].into();
    let end = Finish {
        outputs,
        ..finish(Success)
    };
    agent.tell(path::FINISH, a.id, &end).await;
    let b = agent.take().await;
    assert_eq!(b.needs["a"].outputs["v"], "42");
    assert!(!b.failed);
    let c = agent.take().await;
    agent.finish(c.id, Success).await;
    assert!(agent.offered().await.is_none());
    agent.finish(b.id, Success).await;
    assert_eq!(agent.run(Success).await, "d");
    assert_eq!(
        server.shown(id).await,
        "a: Success\nb: Success\nc: Success\nd: Success\n\
         e: Skipped, Condition { condition: \"if: failure() is false\" }\n= Success",
    );
}

#[tokio::test]
async fn a_failure_skips_what_needs_it_and_wakes_what_asks_for_it() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(DIAMOND).await;
    assert_eq!(agent.run(Success).await, "a");
    assert_eq!(agent.run(Failure).await, "b");
    assert_eq!(agent.run(Success).await, "c");
    let e = agent.take().await;
    assert_eq!(e.plan.jobs[0].id, "e");
    assert!(e.failed);
    agent.finish(e.id, Success).await;
    assert_eq!(
        server.shown(id).await,
        "a: Success\nb: Failure\nc: Success\nd: Skipped, Needs { unmet: \"b\" }\ne: Success\n= Failure",
    );
}

#[tokio::test]
async fn labels_decide_who_may_have_a_job() {
    let server = Server::start().await;
    let (plain, gpu) = (
        server.agent(&[("os", "linux")]).await,
        server.agent(&[("os", "linux"), ("gpu", "yes")]).await,
    );
    let id = server
        .submit("image: host\njobs: { a: { runs_on: { gpu: 'yes' }, steps: [{ run: x }] } }\n")
        .await;
    assert!(plain.offered().await.is_none());
    assert_eq!(gpu.run(Success).await, "a");
    assert_eq!(server.shown(id).await, "a: Success\n= Success");
    let id = server
        .submit("image: host\njobs: { a: { runs_on: { gpu: no }, steps: [{ run: x }] } }\n")
        .await;
    let job = server.job(server.pipeline(id).await.jobs[0].id).await;
    let waiting = serde_json::to_value(job.summary.waiting).unwrap();
    assert_eq!(
        waiting,
        json!({ "for": "labels", "runs_on": { "gpu": "no" } })
    );
}

#[tokio::test]
async fn turns_go_round_over_repositories_and_priorities_are_a_head_start() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let (a, b) = (server.repository("a", ONE), server.repository("b", ONE));
    let named = |name: &str, priority| Submit {
        repository: Some(if name.starts_with('a') {
            a.clone()
        } else {
            b.clone()
        }),
        pipeline: Some(format!(
            "image: host\njobs: {{ {name}: {{ steps: [{{ run: x }}] }} }}\n"
        )),
        priority,
        ..Submit::default()
    };
    for name in ["a1", "a2", "a3"] {
        server.submitted(&named(name, 0)).await;
    }
    server.submitted(&named("a0", 5)).await;
    for name in ["b1", "b2"] {
        server.submitted(&named(name, 0)).await;
    }
    let mut order = Vec::new();
    for _ in 0..6 {
        order.push(agent.run(Success).await);
    }
    assert_eq!(order, ["a0", "b1", "a1", "b2", "a2", "a3"]);
}

#[tokio::test]
async fn a_matrix_holds_its_cells_to_max_parallel_and_fails_fast() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server
        .submit("image: host\njobs: { t: { matrix: { n: [1, 2, 3, 4], max_parallel: 2 }, steps: [{ run: x }] } }\n")
        .await;
    let one = agent.take().await;
    let two = agent.take().await;
    assert!(agent.offered().await.is_none());
    agent.finish(one.id, Success).await;
    let three = agent.take().await;
    agent.finish(two.id, Failure).await;
    let held = json!({ "held": [three.id] });
    let answer: protocol::service::HeartbeatAnswer = agent.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer.held[0].order, Order::Cancel);
    agent
        .finish(three.id, protocol::Conclusion::Cancelled)
        .await;
    assert_eq!(
        server.shown(id).await,
        "t (1): Success\nt (2): Failure\nt (3): Cancelled, FailFast { job: \"t (2)\" }\n\
         t (4): Cancelled, FailFast { job: \"t (2)\" }\n= Failure",
    );
}

#[tokio::test]
async fn of_a_group_one_job_runs_and_the_others_wait() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let text = "image: host\njobs: { d: { concurrency: deploy, steps: [{ run: x }] } }\n";
    let (one, two) = (server.submit(text).await, server.submit(text).await);
    let first = agent.take().await;
    assert_eq!(first.pipeline, one);
    assert!(agent.offered().await.is_none());
    assert_eq!(
        server.shown(two).await,
        "d: Concurrency { group: \"deploy\" }\n= Queued",
    );
    agent.finish(first.id, Success).await;
    assert_eq!(agent.take().await.pipeline, two);
}

#[tokio::test]
async fn a_newer_run_of_a_group_stops_the_older_ones_when_it_says_so() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let text =
        "image: host\nconcurrency: { group: g, cancel_in_progress: true }\nsteps: [{ run: x }]\n";
    let one = server.submit(text).await;
    let first = agent.take().await;
    let two = server.submit(text).await;
    let three = server.submit(text).await;
    assert_eq!(
        server.shown(two).await,
        "main: Cancelled, Cancelled\n= Cancelled"
    );
    assert!(agent.offered().await.is_none());
    let held = json!({ "held": [first.id] });
    let answer: protocol::service::HeartbeatAnswer = agent.user.post(path::HEARTBEAT, &held).await;
    assert_eq!(answer.held[0].order, Order::Cancel);
    agent
        .finish(first.id, protocol::Conclusion::Cancelled)
        .await;
    assert_eq!(server.shown(one).await, "main: Cancelled\n= Cancelled");
    assert_eq!(agent.take().await.pipeline, three);
}

#[tokio::test]
async fn a_pipeline_that_is_cancelled_ends_and_can_run_again() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(DIAMOND).await;
    let a = agent.take().await;
    let cancel = path::of_pipeline(path::PIPELINE_CANCEL, id);
    for order in [Order::Cancel, Order::Abort] {
        server.admin.tell(&cancel, &json!({})).await;
        let held = json!({ "held": [a.id] });
        let answer: protocol::service::HeartbeatAnswer =
            agent.user.post(path::HEARTBEAT, &held).await;
        assert_eq!(answer.held[0].order, order);
    }
    agent.finish(a.id, protocol::Conclusion::Cancelled).await;
    let shown = server.shown(id).await;
    assert!(shown.ends_with("= Cancelled"), "{shown}");
    let retry = path::of_pipeline(path::PIPELINE_RETRY, id);
    server.admin.tell(&retry, &json!({})).await;
    let again = agent.take().await;
    assert_eq!((again.id.job, again.id.attempt), (a.id.job, 2));
    agent.finish(again.id, Error).await;
    let shown = server.shown(id).await;
    assert!(shown.starts_with("a: Error\n"), "{shown}");
}

#[tokio::test]
async fn what_is_allowed_to_fail_fails_nothing() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server
        .submit("image: host\njobs:\n  a: { allow_failure: true, steps: [{ run: x }] }\n  b: { needs: [a], steps: [{ run: x }] }\n")
        .await;
    agent.run(Failure).await;
    agent.run(Success).await;
    assert_eq!(
        server.shown(id).await,
        "a: Failure (allowed)\nb: Success\n= Success",
    );
}

#[tokio::test]
async fn what_is_run_again_waits_behind_those_that_wait_already() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let retry = |id| path::of_pipeline(path::PIPELINE_RETRY, id);
    // For an agent.
    let one = server.submit(ONE).await;
    agent.run(Failure).await;
    let two = server.submit(ONE).await;
    // Their places are of different milliseconds.
    tokio::time::sleep(Duration::from_millis(5)).await;
    server.admin.tell(&retry(one), &json!({})).await;
    for expected in [two, one] {
        let taken = agent.take().await;
        assert_eq!(taken.pipeline, expected);
        agent.finish(taken.id, Success).await;
    }
    // For the place of a job's group, and a pipeline's.
    for text in [
        "image: host\njobs: { d: { concurrency: deploy, steps: [{ run: x }] } }\n",
        "image: host\nconcurrency: all\nsteps: [{ run: x }]\n",
    ] {
        let first = server.submit(text).await;
        agent.run(Failure).await;
        let second = server.submit(text).await;
        let running = agent.take().await;
        assert_eq!(running.pipeline, second);
        let third = server.submit(text).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        server.admin.tell(&retry(first), &json!({})).await;
        assert!(agent.offered().await.is_none(), "{text}");
        agent.finish(running.id, Success).await;
        for expected in [third, first] {
            let taken = agent.take().await;
            assert_eq!(taken.pipeline, expected, "{text}");
            assert!(agent.offered().await.is_none(), "{text}");
            agent.finish(taken.id, Success).await;
        }
    }
}

//! Traces of pipelines, as a collector gets them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use protocol::Conclusion::{Failure, Success};
use protocol::service::{EventsKept, Finish, path};
use protocol::{Cause, Conclusion};
use serde_json::json;
use server::Otlp;

use crate::harness::{Agent, Server, finish};

/// A collector that answers as it is told to, and keeps what it takes.
#[derive(Clone, Default)]
struct Collector {
    taken: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    /// What the next requests are answered with; then 200.
    answers: Arc<Mutex<Vec<StatusCode>>>,
    asked: Arc<Mutex<usize>>,
}

async fn collect(
    State(collector): State<Collector>,
    headers: HeaderMap,
    body: Bytes,
) -> StatusCode {
    *collector.asked.lock().unwrap() += 1;
    assert_eq!(headers["content-type"], "application/x-protobuf");
    assert_eq!(headers["x-key"], "secret");
    if let Some(status) = collector.answers.lock().unwrap().pop() {
        return status;
    }
    let request = ExportTraceServiceRequest::decode(body).unwrap();
    collector.taken.lock().unwrap().push(request);
    StatusCode::OK
}

impl Collector {
    /// Answers at an address until the test ends.
    async fn start(&self) -> Otlp {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let mut otlp = Otlp::at(&format!("http://{}", listener.local_addr().unwrap()));
        otlp.headers = vec![("x-key".to_owned(), "secret".to_owned())];
        let router = Router::new().route("/v1/traces", post(collect));
        let router = router.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        otlp
    }

    /// Waits for so many traces.
    async fn traces(&self, count: usize) -> Vec<ExportTraceServiceRequest> {
        for _ in 0..400 {
            let taken = self.taken.lock().unwrap().clone();
            if taken.len() >= count {
                return taken;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{} traces came", self.taken.lock().unwrap().len());
    }
}

fn spans(request: &ExportTraceServiceRequest) -> Vec<Span> {
    let resources = request.resource_spans.iter();
    let scopes = resources.flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn attribute(span: &Span, key: &str) -> String {
    let found = span
        .attributes
        .iter()
        .find(|attribute| attribute.key == key);
    let value = found.and_then(|attribute| attribute.value.clone()?.value);
    match value {
        Some(Any::StringValue(text)) => text,
        Some(Any::IntValue(number)) => number.to_string(),
        Some(Any::BoolValue(value)) => value.to_string(),
        _ => String::new(),
    }
}

/// `name: result`, indented below its parent, in the order of their starts.
fn tree(spans: &[Span]) -> String {
    fn below(spans: &[Span], parent: &[u8], depth: usize, out: &mut String) {
        for span in spans.iter().filter(|span| span.parent_span_id == parent) {
            let result = ["cicd.pipeline.result", "cicd.pipeline.task.run.result"]
                .map(|key| attribute(span, key))
                .concat();
            let indent = "  ".repeat(depth);
            *out += &format!("{indent}{} {result}\n", span.name);
            below(spans, &span.span_id, depth + 1, out);
        }
    }
    let mut out = String::new();
    below(spans, &[], 0, &mut out);
    out
}

const TWO: &str = "name: ci\nimage: host\njobs:\n  build: { steps: [{ name: make, run: x }, { name: check, run: x }] }\n  deploy: { needs: [build], steps: [{ run: x }] }\n";

/// Ends the next job so, with one step that has run.
async fn run(agent: &Agent, conclusion: Conclusion, cause: Option<Cause>) {
    let id = agent.take().await.id;
    let events = json!({ "first": 0, "events": [
        { "type": "run_started", "id": "1" },
        { "type": "step_started", "job": "build", "step": "make", "index": 0, "image": "host", "at": 1_700_000_000_000_u64 },
        { "type": "step_finished", "job": "build", "step": "make", "conclusion": conclusion, "cause": cause, "allowed": false, "duration_ms": 1500 },
    ]});
    let _: EventsKept = agent
        .user
        .post(&path::of_attempt(path::EVENTS, id), &events)
        .await;
    let ended = Finish {
        events: 3,
        ..finish(conclusion)
    };
    agent.tell(path::FINISH, id, &ended).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pipeline_is_a_tree_of_spans_and_the_same_trace_when_it_runs_again() {
    let collector = Collector::default();
    let otlp = collector.start().await;
    let server = Server::start_with(|config| config.otlp = Some(otlp)).await;
    let agent = server.agent(&[]).await;
    let pipeline = server.submit(TWO).await;
    run(&agent, Failure, Some(Cause::Exit { code: 3 })).await;
    let first = spans(&collector.traces(1).await[0]);
    assert_eq!(
        tree(&first),
        "RUN ci failure\n  build failure\n    queue \n    attempt 1 failure\n      make failure\n  deploy skip\n    queue \n"
    );
    let by_name: HashMap<&str, &Span> = first
        .iter()
        .map(|span| (span.name.as_str(), span))
        .collect();
    let root = by_name["RUN ci"];
    assert_eq!(root.trace_id.len(), 16);
    assert!(first.iter().all(|span| span.trace_id == root.trace_id));
    assert!(first.iter().all(|span| span.span_id.len() == 8));
    assert_eq!(
        attribute(root, "cicd.pipeline.run.id"),
        pipeline.to_string()
    );
    assert_eq!(attribute(root, "cicd.pipeline.name"), "ci");
    let step = by_name["make"];
    assert_eq!(step.start_time_unix_nano, 1_700_000_000_000_000_000);
    assert_eq!(
        step.end_time_unix_nano - step.start_time_unix_nano,
        1_500_000_000
    );
    assert_eq!(attribute(step, "error.type"), "exit");
    let status = step.status.clone().unwrap();
    assert_eq!((status.code, status.message.as_str()), (2, "exit status 3"));
    assert_eq!(
        attribute(by_name["attempt 1"], "cicd.worker.id"),
        agent.id.to_string()
    );

    let retry = path::of_pipeline(path::PIPELINE_RETRY, pipeline);
    server.admin.tell(&retry, &json!({})).await;
    run(&agent, Success, None).await;
    run(&agent, Success, None).await;
    let again = spans(&collector.traces(2).await[1]);
    let ids = |spans: &[Span], name: &str| {
        let span = spans.iter().find(|span| span.name == name).unwrap();
        (span.trace_id.clone(), span.span_id.clone())
    };
    assert_eq!(ids(&again, "RUN ci"), ids(&first, "RUN ci"));
    let told = tree(&again);
    assert!(told.starts_with("RUN ci success\n"), "{told}");
    let metrics = server.metrics().await;
    assert!(metrics.contains("slipway_traces_total 2"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_collector_that_is_away_or_refuses_holds_nobody_up() {
    let collector = Collector::default();
    let otlp = collector.start().await;
    // Taken from the end: not now, not now, and the second trace never.
    *collector.answers.lock().unwrap() = vec![
        StatusCode::BAD_REQUEST,
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::TOO_MANY_REQUESTS,
    ];
    let server = Server::start_with(|config| config.otlp = Some(otlp)).await;
    let agent = server.agent(&[]).await;
    let first = server.submit(crate::harness::ONE).await;
    agent.run(Success).await;
    assert_eq!(server.shown(first).await, "main: Success\n= Success");
    // Tried three times, and given up the third.
    for _ in 0..200 {
        if *collector.asked.lock().unwrap() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(*collector.asked.lock().unwrap(), 3);
    server.submit(crate::harness::ONE).await;
    agent.run(Success).await;
    collector.traces(1).await;
    let metrics = server.metrics().await;
    assert!(metrics.contains("slipway_traces_lost_total 1"), "{metrics}");
    assert!(metrics.contains("slipway_traces_total 1"), "{metrics}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_not_sent_is_sent_by_the_next_server() {
    let collector = Collector::default();
    let otlp = collector.start().await;
    *collector.answers.lock().unwrap() = vec![StatusCode::SERVICE_UNAVAILABLE; 1_000];
    let mut server = Server::start_with(|config| config.otlp = Some(otlp)).await;
    let agent = server.agent(&[]).await;
    server.submit(crate::harness::ONE).await;
    agent.run(Success).await;
    for _ in 0..200 {
        if *collector.asked.lock().unwrap() > 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.restart().await;
    collector.answers.lock().unwrap().clear();
    assert_eq!(spans(&collector.traces(1).await[0])[0].name, "RUN");
}

//! The messages of the service as they travel.

use pipelines::{Overrides, Source as Text, compile};
use protocol::service::{
    Assignment, AttemptId, EventBatch, Finish, Heartbeat, HeartbeatAnswer, JobId, Order, Pipeline,
    PipelineId, Release, ReleaseReason, SecretText, Submit, Terms, Trigger, Waiting, Withheld,
};
use serde_json::{Value, json};

#[test]
fn an_assignment_survives_the_wire_and_shows_no_secret() {
    let text = Text::new("f", "image: host\nsteps: [{ run: 'echo ${{ branch }}' }]\n");
    let plan = compile(&text, &Overrides::default()).plan;
    let assignment = Assignment {
        id: AttemptId {
            job: JobId(7),
            attempt: 2,
        },
        pipeline: PipelineId(3),
        terms: Terms {
            accept_ms: 10_000,
            lease_ms: 60_000,
            heartbeat_ms: 15_000,
            log_bytes: 1 << 28,
            artifact_bytes: 1 << 30,
            artifacts_bytes: 1 << 32,
            cache_bytes: 10 << 30,
        },
        plan: plan.unwrap(),
        needs: [].into(),
        failed: false,
        trigger: Trigger::default(),
        source: None,
        variables: [].into(),
        secrets: [("TOKEN".to_owned(), SecretText::new("hush-hush".to_owned()))].into(),
        withheld: [("KEY".to_owned(), Withheld::Fork)].into(),
        traceparent: None,
    };
    let wire = serde_json::to_string(&assignment).unwrap();
    assert_eq!(
        serde_json::from_str::<Assignment>(&wire).unwrap(),
        assignment
    );
    assert!(wire.contains(r#""job":7,"attempt":2"#), "{wire}");
    assert!(!format!("{assignment:?}").contains("hush-hush"));
}

#[test]
fn what_a_newer_program_adds_is_passed_over() {
    let answer: HeartbeatAnswer = serde_json::from_value(json!({
        "held": [{ "job": 1, "attempt": 1, "order": "dance", "tempo": 3 }],
        "heartbeat_ms": 1000, "more": [],
    }))
    .unwrap();
    // A job is not ended for an order nobody understands: the agent goes on until it is told one that it knows.
    assert_eq!(answer.held[0].order, Order::Unknown);
    let waiting: Waiting = serde_json::from_value(json!({ "for": "moonlight" })).unwrap();
    assert_eq!(waiting, Waiting::Unknown);
    // Events are kept as they came.
    let batch: EventBatch<Value> =
        serde_json::from_value(json!({ "first": 0, "events": [{ "type": "of_tomorrow" }] }))
            .unwrap();
    assert_eq!(batch.events[0]["type"], "of_tomorrow");
}

#[test]
fn a_short_form_says_enough() {
    let submit: Submit = serde_json::from_value(json!({ "pipeline": "x" })).unwrap();
    assert_eq!(submit.trigger, Trigger::default());
    let held: Heartbeat =
        serde_json::from_value(json!({ "held": [{ "job": 1, "attempt": 1 }] })).unwrap();
    assert_eq!(held.held[0].to_string(), "1-1");
    let finish: Finish =
        serde_json::from_value(json!({ "conclusion": "success", "events": 0, "logs": [] }))
            .unwrap();
    assert!(finish.cause.is_none());
    let release = Release {
        reason: ReleaseReason::Shutdown,
    };
    assert_eq!(
        serde_json::to_value(release).unwrap(),
        json!({ "reason": "shutdown" })
    );
    let pipeline: Result<Pipeline, _> = serde_json::from_value(json!({
        "id": 1, "trigger": { "event": "push" }, "state": "queued", "created_at": 0, "jobs": [],
    }));
    assert_eq!(pipeline.unwrap().summary.trigger.event.as_str(), "push");
}

//! What readers and agents may ask for, and no more.

use std::time::Duration;

use protocol::service::{Problem, ProblemCode, Role, StreamName, limits, path};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{ONE, Server, User, problem};

#[tokio::test]
async fn who_follows_takes_a_place_and_gives_it_back() {
    let server = Server::start_with(|config| {
        config.followers = server::Followers { each: 2, all: 3 };
    })
    .await;
    let agent = server.agent(&[]).await;
    let pipeline = server.submit(ONE).await;
    let taken = agent.take().await;
    let log = path::of_log(path::LOG_FOLLOW, taken.id, &StreamName::step(0));
    let events = path::of_attempt(path::EVENTS_FOLLOW, taken.id);
    let (one, two) = (
        server.user(Role::Reader).await,
        server.user(Role::Reader).await,
    );
    let follow = async |user: &User, path: &str| {
        let answer = user.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{path}");
        answer
    };
    let first = follow(&one, &log).await;
    let _second = follow(&one, &events).await;
    let refused = one.request(Method::GET, &log).send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert_eq!(refused.headers()["retry-after"], "5");
    let told: Problem = refused.json().await.unwrap();
    assert!(
        told.message.contains("2 logs, events and pipelines"),
        "{}",
        told.message
    );
    // Another one has the last place of all, and who only looks needs none.
    let _third = follow(&two, &log).await;
    assert_eq!(
        problem_of(&two, &events).await.code,
        ProblemCode::Unavailable
    );
    let shown = format!("/api/v1/pipelines/{pipeline}");
    let looked = two.request(Method::GET, &shown).send().await.unwrap();
    let tag = looked.headers()["etag"].clone();
    let waiting = two
        .request(Method::GET, &shown)
        .header("if-none-match", tag.clone());
    assert_eq!(
        problem(waiting.header("prefer", "wait=20")).await.code,
        ProblemCode::Unavailable
    );
    let looking = two
        .request(Method::GET, &shown)
        .header("if-none-match", tag);
    assert_eq!(looking.send().await.unwrap().status(), 304);
    // Who has gone has left its place.
    drop(first);
    for attempt in 0.. {
        let again = one.request(Method::GET, &log).send().await.unwrap();
        if again.status() == 200 {
            break;
        }
        assert!(attempt < 200, "the place is not given back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn problem_of(user: &User, path: &str) -> Problem {
    problem(user.request(Method::GET, path)).await
}

#[tokio::test]
async fn the_events_of_an_attempt_have_a_bound_in_bytes() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let address = path::of_attempt(path::EVENTS, id);
    let text = "x".repeat(7 << 20);
    let most = limits::EVENT_BYTES / text.len() as u64;
    for first in 0..most {
        let batch = json!({ "first": first, "events": [{ "type": "said", "text": text }] });
        let _: Value = agent.user.post(&address, &batch).await;
    }
    let batch = json!({ "first": most, "events": [{ "type": "said", "text": text }] });
    let refused = agent.user.refused(&address, &batch).await;
    assert_eq!(refused.code, ProblemCode::TooLarge);
    assert!(
        refused.message.contains("bytes together"),
        "{}",
        refused.message
    );
    // What fits still comes.
    let batch = json!({ "first": most, "events": [{ "type": "said" }] });
    let _: Value = agent.user.post(&address, &batch).await;
}

//! Logs and events: nothing lost, nothing twice.

use protocol::Conclusion::Success;
use protocol::service::{EventPage, Finish, LogKept, ProblemCode, Role, StreamName, path};
use reqwest::Method;
use reqwest::header::{CONTENT_RANGE, RANGE};
use serde_json::{Value, json};

use crate::harness::{ONE, Server, end, finish, problem};

#[tokio::test]
async fn a_log_is_taken_by_offset_and_read_by_range() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    let next = |kept: LogKept| kept.next;
    let sent = agent.log(id, &name, 0, b"hello ").send().await.unwrap();
    assert_eq!(next(sent.json().await.unwrap()), 6);
    let again = agent.log(id, &name, 0, b"hello ").send().await.unwrap();
    assert_eq!(next(again.json().await.unwrap()), 6);
    let gap = problem(agent.log(id, &name, 9, b"!")).await;
    assert_eq!((gap.code, gap.next), (ProblemCode::Offset, Some(6)));

    // Without all of it the attempt is not over.
    let whole = b"hello world";
    let ended = Finish {
        logs: vec![end(&name, whole)],
        events: 1,
        ..finish(Success)
    };
    let lacks = agent.refused(path::FINISH, id, &ended).await;
    assert_eq!(lacks.code, ProblemCode::Incomplete);
    let lacks: Vec<_> = lacks
        .missing
        .iter()
        .map(|lack| (lack.log.is_some(), lack.from))
        .collect();
    assert_eq!(lacks, [(false, 0), (true, 6)]);
    agent.log(id, &name, 6, b"world").send().await.unwrap();
    let events = json!({ "first": 0, "events": [{ "type": "warning", "message": "m" }] });
    let _: Value = agent
        .user
        .post(&path::of_attempt(path::EVENTS, id), &events)
        .await;
    agent.tell(path::FINISH, id, &ended).await;

    let reader = server.user(Role::Reader).await;
    let log = path::of_log(path::LOG, id, &name);
    let read = reader.request(Method::GET, &log).send().await.unwrap();
    assert_eq!(read.text().await.unwrap(), "hello world");
    let part = reader.request(Method::GET, &log).header(RANGE, "bytes=6-8");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()[CONTENT_RANGE], "bytes 6-8/11");
    assert_eq!(part.text().await.unwrap(), "wor");
    let behind = reader.request(Method::GET, &log).header(RANGE, "bytes=11-");
    assert_eq!(problem(behind).await.next, Some(11));
    let job = server.job(id.job).await;
    let stream = &job.attempts[0].logs[0];
    assert!(stream.complete && stream.length == 11, "{stream:?}");
}

#[tokio::test]
async fn a_copy_that_differs_is_thrown_away_and_sent_again() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    agent.log(id, &name, 0, b"hallo").send().await.unwrap();
    let ended = Finish {
        logs: vec![end(&name, b"hello")],
        ..finish(Success)
    };
    let lacks = agent.refused(path::FINISH, id, &ended).await;
    assert_eq!(lacks.missing[0].from, 0);
    agent.log(id, &name, 0, b"hello").send().await.unwrap();
    agent.tell(path::FINISH, id, &ended).await;
}

#[tokio::test]
async fn events_are_numbered() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let path = path::of_attempt(path::EVENTS, id);
    let batch = |first: u64, count: u64| {
        let events: Vec<Value> = (first..first + count)
            .map(|n| json!({ "type": "x", "n": n }))
            .collect();
        json!({ "first": first, "events": events })
    };
    let kept: Value = agent.user.post(&path, &batch(0, 3)).await;
    assert_eq!(kept["next"], 3);
    let kept: Value = agent.user.post(&path, &batch(1, 4)).await;
    assert_eq!(kept["next"], 5);
    let gap = agent.user.refused(&path, &batch(7, 1)).await;
    assert_eq!((gap.code, gap.next), (ProblemCode::Gap, Some(5)));
    for from in 0..=5 {
        let page: EventPage<Value> = server.admin.get(&format!("{path}?from={from}")).await;
        let numbers: Vec<u64> = page
            .events
            .iter()
            .map(|event| event["n"].as_u64().unwrap())
            .collect();
        assert_eq!(numbers, (from..5).collect::<Vec<u64>>());
        assert!(!page.complete);
    }
}

/// Reads server-sent events until one is called `end`.
#[tokio::test]
async fn events_that_an_agent_does_not_have_any_more_are_sent_again() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let address = path::of_attempt(path::EVENTS, id);
    let three = json!({ "first": 0, "events": [{ "n": 1 }, { "n": 2 }, { "n": 3 }] });
    let _: Value = agent.user.post(&address, &three).await;
    let ended = Finish {
        events: 2,
        ..finish(Success)
    };
    let lacks = agent.refused(path::FINISH, id, &ended).await;
    assert_eq!(lacks.code, ProblemCode::Incomplete);
    assert_eq!((lacks.missing.len(), lacks.missing[0].from), (1, 0));
    let two = json!({ "first": 0, "events": [{ "n": 1 }, { "n": 9 }] });
    let _: Value = agent.user.post(&address, &two).await;
    agent.tell(path::FINISH, id, &ended).await;
    let page: EventPage<Value> = server.admin.get(&address).await;
    assert_eq!(page.events, [json!({ "n": 1 }), json!({ "n": 9 })]);
    assert!(page.complete);
}

async fn followed(request: reqwest::RequestBuilder) -> Vec<(String, Value)> {
    let answer = request.send().await.unwrap();
    // A proxy passes on what comes when it comes.
    assert_eq!(answer.headers()["content-type"], "text/event-stream");
    assert_eq!(answer.headers()["x-accel-buffering"], "no");
    let text = answer.text().await.unwrap();
    let mut events = Vec::new();
    for block in text.split("\n\n").filter(|block| block.contains("data:")) {
        let field = |name: &str| {
            let line = block.lines().find_map(|line| line.strip_prefix(name));
            line.map(|line| line.trim_start_matches(':').trim().to_owned())
        };
        let data = serde_json::from_str(&field("data").unwrap()).unwrap();
        events.push((field("id").unwrap_or_default(), data));
    }
    events
}

#[tokio::test]
async fn followers_get_everything_and_go_on_where_they_were() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    let follow = path::of_log(path::LOG_FOLLOW, id, &name);
    let following = tokio::spawn(followed(server.admin.request(Method::GET, &follow)));
    let events = path::of_attempt(path::EVENTS_FOLLOW, id);
    let following_events = tokio::spawn(followed(server.admin.request(Method::GET, &events)));
    let mut offset = 0;
    for piece in ["one\n", "tw\u{f6}\n", "three\n"] {
        agent
            .log(id, &name, offset, piece.as_bytes())
            .send()
            .await
            .unwrap();
        offset += piece.len() as u64;
    }
    agent.log(id, &name, offset, b"\xff").send().await.unwrap();
    let _: Value = agent
        .user
        .post(
            &path::of_attempt(path::EVENTS, id),
            &json!({ "first": 0, "events": [{ "type": "x" }] }),
        )
        .await;
    let whole = b"one\ntw\xc3\xb6\nthree\n\xff";
    let ended = Finish {
        logs: vec![end(&name, whole)],
        events: 1,
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    let bytes = |events: &[(String, Value)]| -> Vec<u8> {
        let mut bytes = Vec::new();
        for (_, data) in events {
            if let Some(text) = data["text"].as_str() {
                bytes.extend_from_slice(text.as_bytes());
            } else if let Some(text) = data["base64"].as_str() {
                use base64::Engine as _;
                bytes.extend(
                    base64::engine::general_purpose::STANDARD
                        .decode(text)
                        .unwrap(),
                );
            }
        }
        bytes
    };
    assert_eq!(bytes(&following.await.unwrap()), whole);
    let seen = following_events.await.unwrap();
    assert_eq!((seen.len(), &*seen[0].0), (2, "0"));
    let rest = server
        .admin
        .request(Method::GET, &follow)
        .header("last-event-id", "4");
    assert_eq!(bytes(&followed(rest).await), whole[4..]);
}

#[tokio::test]
async fn a_job_has_logs_of_its_own_steps_and_services_only() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    for name in ["step-1", "step-1.times", "service-db"] {
        let name = name.parse().unwrap();
        let refused = problem(agent.log(id, &name, 0, b"x")).await;
        assert_eq!(refused.code, ProblemCode::Invalid, "{name}");
    }
    let name = StreamName::step(0);
    for logs in [
        vec![end(&StreamName::step(7), b"")],
        vec![end(&name, b""), end(&name, b"")],
    ] {
        let ended = Finish {
            logs,
            ..finish(Success)
        };
        let refused = agent.refused(path::FINISH, id, &ended).await;
        assert_eq!(refused.code, ProblemCode::Invalid);
    }
    agent
        .log(id, &name.times_of(), 0, b"")
        .send()
        .await
        .unwrap();
    agent.finish(id, Success).await;
}

#[tokio::test]
async fn a_page_of_events_has_a_bounded_size() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let path = path::of_attempt(path::EVENTS, id);
    let large = "x".repeat(300_000);
    for first in 0..6 {
        let events: Vec<Value> = (0..3)
            .map(|n| json!({ "type": "x", "n": first * 3 + n, "text": large }))
            .collect();
        let batch = json!({ "first": first * 3, "events": events });
        let _: Value = agent.user.post(&path, &batch).await;
    }
    let ended = Finish {
        events: 18,
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    let (mut from, mut numbers) = (0, Vec::new());
    while numbers.len() < 18 {
        let page = server
            .admin
            .request(Method::GET, &format!("{path}?from={from}"));
        let text = page.send().await.unwrap().text().await.unwrap();
        assert!(text.len() < 1_300_000, "{}", text.len());
        let page: EventPage<Value> = serde_json::from_str(&text).unwrap();
        assert!(!page.events.is_empty());
        numbers.extend(page.events.iter().map(|event| event["n"].as_u64().unwrap()));
        from = page.next;
    }
    assert_eq!(numbers, (0..18).collect::<Vec<u64>>());
}

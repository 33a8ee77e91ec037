//! What is seen by looking into the database beside the server.

use std::time::Duration;

use protocol::Conclusion::Success;
use protocol::service::{Finish, StreamName, path};
use reqwest::Method;
use serde_json::json;

use crate::harness::{ONE, Server, end, finish};

/// The server's database, opened once more.
fn beside(server: &Server) -> rusqlite::Connection {
    rusqlite::Connection::open(server.config.data.join("server.sqlite")).unwrap()
}

async fn is_ready(server: &Server) -> bool {
    let ready = server.admin.request(Method::GET, path::READY).send();
    ready.await.unwrap().status() == 200
}

#[tokio::test]
async fn who_asks_whether_a_server_is_ready_writes_nothing() {
    let server = Server::start().await;
    let other = beside(&server);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    // A write would wait for the other one.
    assert!(is_ready(&server).await);
    other.execute_batch("ROLLBACK").unwrap();
}

#[tokio::test]
async fn an_agent_for_one_job_is_forgotten_whatever_the_clock_has_said() {
    let server = Server::start_with(|config| {
        config.terms.accept = Duration::from_millis(300);
        config.terms.heartbeat = Duration::from_millis(200);
        config.terms.lease = Duration::from_millis(600);
        config.terms.wait = Duration::from_millis(500);
    })
    .await;
    let agent = server.agent(&[]).await;
    let description = json!({ "name": "once", "slots": 1, "version": "0", "ephemeral": true });
    let said = agent.user.request(Method::PUT, path::SELF);
    assert_eq!(said.json(&description).send().await.unwrap().status(), 204);
    // A clock was ten years ahead.
    let sql = "UPDATE agents SET seen_at = seen_at + 315360000000";
    beside(&server).execute(sql, []).unwrap();
    let known = || {
        beside(&server).query_row("SELECT count(*) FROM agents", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    for _ in 0..100 {
        if known().unwrap() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("it is still known");
}

#[tokio::test]
async fn pipelines_of_long_ago_are_forgotten_with_their_logs() {
    let day: i64 = 86_400_000;
    let mut server = Server::start_with(|config| {
        config.keep = Some(Duration::from_secs(30 * 86_400));
    })
    .await;
    let agent = server.agent(&[]).await;
    let name = StreamName::step(0);
    let mut done = Vec::new();
    for _ in 0..2 {
        server.submit(ONE).await;
        let id = agent.take().await.id;
        agent.log(id, &name, 0, b"hello").send().await.unwrap();
        let events = json!({ "first": 0, "events": [{ "type": "x" }] });
        let _: serde_json::Value = agent
            .user
            .post(&path::of_attempt(path::EVENTS, id), &events)
            .await;
        let ended = Finish {
            logs: vec![end(&name, b"hello")],
            events: 1,
            ..finish(Success)
        };
        agent.tell(path::FINISH, id, &ended).await;
        done.push(id);
    }
    // One that waits is never too old.
    let waits = server.submit(ONE).await;
    beside(&server)
        .execute(
            "UPDATE pipelines SET created_at = created_at - ?1 WHERE id = 3",
            [90 * day],
        )
        .unwrap();
    for (pipeline, age) in [(1, 31), (2, 29)] {
        let sql = "UPDATE pipelines SET finished_at = finished_at - ?1 WHERE id = ?2";
        beside(&server).execute(sql, [age * day, pipeline]).unwrap();
    }
    server.restart().await;
    let get = |path: String| server.admin.request(Method::GET, &path).send();
    let log = |id| path::of_log(path::LOG, id, &name);
    for _ in 0..100 {
        if get("/api/v1/pipelines/1".to_owned())
            .await
            .unwrap()
            .status()
            == 404
        {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    for (path, status) in [
        ("/api/v1/pipelines/1".to_owned(), 404),
        ("/api/v1/jobs/1".to_owned(), 404),
        (log(done[0]), 404),
        ("/api/v1/pipelines/2".to_owned(), 200),
        (log(done[1]), 200),
    ] {
        assert_eq!(get(path.clone()).await.unwrap().status(), status, "{path}");
    }
    // The files go behind the rows.
    let streams = || {
        let sql = "SELECT count(*) FROM streams WHERE job = 1";
        let left = beside(&server).query_row(sql, [], |row| row.get::<_, i64>(0));
        left.unwrap()
    };
    for _ in 0..100 {
        if streams() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(!server.config.data.join("logs/0/1-1").exists());
    for table in ["attempts", "events", "streams"] {
        let sql = format!("SELECT count(*) FROM {table} WHERE job = 1");
        let left = beside(&server).query_row(&sql, [], |row| row.get::<_, i64>(0));
        assert_eq!(left.unwrap(), 0, "{table}");
    }
    assert_eq!(agent.take().await.pipeline, waits);
}

#[tokio::test]
async fn nobody_writes_to_an_attempt_while_its_end_is_on_its_way_to_the_database() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let name = StreamName::step(0);
    server.submit(ONE).await;
    let id = agent.take().await.id;
    agent.log(id, &name, 0, b"hello").send().await.unwrap();
    let ended = Finish {
        logs: vec![end(&name, b"hello")],
        ..finish(Success)
    };
    // The database lets nobody write, and its agent loses patience.
    let other = beside(&server);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let finishing = {
        let (agent, ended) = (agent.clone(), ended.clone());
        tokio::spawn(async move { agent.tell(path::FINISH, id, &ended).await })
    };
    let mut tries = 0;
    let waits = loop {
        // The same piece again changes nothing.
        let again = agent.log(id, &name, 0, b"hello");
        let mut again = tokio::spawn(again.send());
        let answered = tokio::time::timeout(Duration::from_millis(300), &mut again).await;
        match answered {
            Err(_) => break again,
            Ok(answer) => assert_eq!(answer.unwrap().unwrap().status(), 200),
        }
        tries += 1;
        assert!(tries < 50, "pieces are taken while the attempt ends");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    finishing.abort();
    let _ = finishing.await;
    let late = tokio::spawn(agent.log(id, &name, 5, b" world").send());
    let again = {
        let (agent, ended) = (agent.clone(), ended.clone());
        tokio::spawn(async move { agent.tell(path::FINISH, id, &ended).await })
    };
    other.execute_batch("COMMIT").unwrap();
    again.await.unwrap();
    assert_eq!(waits.await.unwrap().unwrap().status(), 409);
    assert_eq!(late.await.unwrap().unwrap().status(), 409);
    let log = path::of_log(path::LOG, id, &name);
    let read = server.admin.request(Method::GET, &log).send().await;
    assert_eq!(read.unwrap().text().await.unwrap(), "hello");
    assert_eq!(
        std::fs::read(server.config.data.join("logs/0/1-1/step-0")).unwrap(),
        b"hello"
    );
}

#[tokio::test]
async fn a_server_that_is_refused_leaves_no_database_behind() {
    let one = Server::start().await;
    let elsewhere = tempfile::tempdir().unwrap();
    let mut config = one.config.clone();
    config.data = elsewhere.path().join("data");
    config.database = server::Location::Sqlite(config.data.join("server.sqlite"));
    config.storage = server::Storage::Directory(config.data.join("logs"));
    let refused = async |config: server::Config| {
        let data = config.data.clone();
        let error = server::start(config).await.unwrap_err();
        for name in ["server.sqlite", "admin-token"] {
            assert!(!data.join(name).exists(), "{error}: {name} is there");
        }
        error.to_string()
    };
    let mut taken = config.clone();
    taken.listen = one.running().address;
    assert!(refused(taken).await.contains("failed to listen"));
    config.listen.set_port(0);
    let mut directory = config.clone();
    directory.storage = one.config.storage.clone();
    assert!(refused(directory).await.contains("another server uses"));
    config.tls = Some(("/nonexistent/certificate".into(), "/nonexistent/key".into()));
    assert!(refused(config).await.contains("certificate"));
}

//! Logs as objects of an S3 server, by way of any of several servers.

use protocol::Conclusion::{Failure, Success};
use protocol::service::{Finish, LogKept, ProblemCode, StreamName, path};
use reqwest::Method;
use server::{ServerError, Storage};

use crate::artifacts;
use crate::caches;
use crate::harness::{Agent, ONE, end, finish, problem};
use crate::s3::S3;

pub(crate) async fn send(
    agent: &Agent,
    id: protocol::service::AttemptId,
    offset: u64,
    bytes: &[u8],
) -> u64 {
    let sent = agent.log(id, &StreamName::step(0), offset, bytes).send();
    let kept: LogKept = sent.await.unwrap().json().await.unwrap();
    kept.next
}

#[tokio::test]
async fn pieces_go_to_any_server_and_are_joined_in_the_end() {
    let s3 = S3::start().await;
    let one = s3.server(256 << 20).await;
    let two = one.beside().await;
    let agent = one.agent(&[]).await;
    one.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    let whole: Vec<u8> = (0_u32..600_000).flat_map(u32::to_le_bytes).collect();
    let mut offset = 0;
    for (index, piece) in whole.chunks(500_000).enumerate() {
        let at = if index % 2 == 0 {
            agent.clone()
        } else {
            agent.at(&two)
        };
        offset = send(&at, id, offset, piece).await;
        // Once more, as after a lost answer.
        assert_eq!(
            send(&agent, id, offset - 10, &piece[piece.len() - 10..]).await,
            offset
        );
    }
    let gap = problem(agent.log(id, &name, offset + 1, b"x")).await;
    assert_eq!((gap.code, gap.next), (ProblemCode::Offset, Some(offset)));
    // Each digest is written once.
    let digests = "SELECT SUM(length(digests)) FROM blocks";
    assert_eq!(one.database().numbers(digests), [2 * 32]);
    let rows = "SELECT COUNT(*) FROM blocks";
    assert_eq!(one.database().numbers(rows), [2]);
    let ended = Finish {
        logs: vec![end(&name, &whole)],
        ..finish(Success)
    };
    agent.at(&two).tell(path::FINISH, id, &ended).await;
    let log = path::of_log(path::LOG, id, &name);
    let read = one.admin.request(Method::GET, &log).send().await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), whole);
    for _ in 0..100 {
        if s3.objects() == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(s3.objects(), 1);
    assert_eq!(one.database().numbers(rows), [0]);
    let read = two.admin.request(Method::GET, &log).send().await.unwrap();
    assert_eq!(read.bytes().await.unwrap(), whole);
}

#[tokio::test]
async fn of_a_long_log_head_and_tail_are_kept() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    let whole: Vec<u8> = (0_u32..2_500_000).flat_map(u32::to_le_bytes).collect();
    let mut offset = 0;
    for piece in whole.chunks(1_000_000) {
        offset = send(&agent, id, offset, piece).await;
    }
    let ended = Finish {
        logs: vec![end(&name, &whole)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    let stream = server.job(id.job).await.attempts[0].logs[0].clone();
    let (from, to) = (stream.cut_from.unwrap(), stream.cut_to.unwrap());
    let log = path::of_log(path::LOG, id, &name);
    let read = server
        .admin
        .request(Method::GET, &log)
        .send()
        .await
        .unwrap();
    assert_eq!(read.headers()["slipway-cut"], format!("{from}-{to}"));
    let read = read.bytes().await.unwrap();
    let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
    assert!((2 << 20..=4 << 20).contains(&(whole.len() - to)), "{to}");
    let told = format!("\n[{} bytes are not kept]\n", to - from);
    assert_eq!(
        read,
        [&whole[..from], told.as_bytes(), &whole[to..]].concat()
    );
}

#[tokio::test]
async fn a_copy_that_differs_is_thrown_away() {
    let s3 = S3::start().await;
    let server = s3.server(256 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    send(&agent, id, 0, b"hallo").await;
    let ended = Finish {
        logs: vec![end(&StreamName::step(0), b"hello")],
        ..finish(Success)
    };
    let lacks = agent.refused(path::FINISH, id, &ended).await;
    assert_eq!(lacks.missing[0].from, 0);
    assert_eq!(s3.objects(), 0);
    send(&agent, id, 0, b"hello").await;
    agent.tell(path::FINISH, id, &ended).await;
}

#[tokio::test]
async fn an_artifact_is_kept_whole_and_goes_with_its_time() {
    let s3 = S3::start().await;
    let mut server = s3.server(4 << 20).await;
    let two = server.beside().await;
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    // Longer than any log is kept, by way of two servers.
    let whole: Vec<u8> = (0_u32..2_000_000).flat_map(u32::to_le_bytes).collect();
    artifacts::send(&agent, id, "app", &whole).await;
    artifacts::finished(&agent.at(&two), id, &whole, Some(1)).await;
    let address = path::of_artifact(id, "app");
    let read = two.admin.request(Method::GET, &address).send().await;
    let read = read.unwrap().bytes().await.unwrap();
    assert!(read == whole, "another archive came");
    // Joined first; a server looks for what has expired when it starts.
    s3.wait_for_objects(1).await;
    server.restart().await;
    s3.wait_for_objects(0).await;
    let gone = problem(server.admin.request(Method::GET, &address)).await;
    assert_eq!(gone.code, ProblemCode::NotFound);
}

#[tokio::test]
async fn of_a_lost_attempt_no_archive_stays_in_the_bucket() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    send(&agent, id, 0, b"hello").await;
    artifacts::send(&agent, id, "app", b"half of").await;
    // Somebody has died between the object and its row.
    let place = s3
        .directory
        .path()
        .join("bucket/ci/logs")
        .join(id.to_string());
    std::fs::write(place.join("artifact-app/0000000000000007-dead"), b"it").unwrap();
    assert_eq!(s3.objects(), 3);
    let address = path::of_agent(path::AGENT, agent.id);
    let removed = server.admin.request(Method::DELETE, &address).send().await;
    assert_eq!(removed.unwrap().status(), 204);
    s3.wait_for_objects(1).await;
    let log = path::of_log(path::LOG, id, &StreamName::step(0));
    let read = server.admin.request(Method::GET, &log).send().await;
    assert_eq!(read.unwrap().bytes().await.unwrap(), "hello");
}

#[tokio::test]
async fn an_archive_that_an_end_does_not_name_goes() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    artifacts::send(&agent, id, "app", b"archive").await;
    assert_eq!(s3.objects(), 1);
    agent.finish(id, Failure).await;
    s3.wait_for_objects(0).await;
    let rows = "SELECT COUNT(*) FROM streams";
    server.database().wait_for(rows, 0).await;
}

#[tokio::test]
async fn a_piece_that_comes_too_late_leaves_no_object() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    send(&agent, id, 0, b"hello").await;
    let name = StreamName::step(0);
    // It is let in, and then the attempt ends.
    s3.faults.hold();
    let late = tokio::spawn(agent.log(id, &name, 5, b" world").send());
    s3.faults.come().await;
    let ended = Finish {
        logs: vec![end(&name, b"hello")],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    s3.faults.release();
    assert_eq!(late.await.unwrap().unwrap().status(), 409);
    assert_eq!(s3.objects(), 1);
}

#[tokio::test]
async fn buckets_are_told_from_each_other() {
    let (s3, other) = (S3::start().await, S3::start().await);
    let server = s3.server(4 << 20).await;
    // Another server of this database, with another bucket.
    let mut config = server.config.clone();
    config.listen.set_port(0);
    config.data = server.directory.path().join("beside");
    other.place_in(&mut config);
    let refused = server::start(config.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::OtherStorage { .. }),
        "{refused}"
    );
    // Another database, with this bucket.
    let database = crate::database::make().unwrap();
    config.database = database.location.clone();
    s3.place_in(&mut config);
    let refused = server::start(config.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::TakenStorage { .. }),
        "{refused}"
    );
    // A prefix of its own it may have.
    config.storage = Storage::Objects("s3://bucket/other".to_owned());
    let running = server::start(config).await.unwrap();
    running.shutdown.now();
    running.ended().await.unwrap();
}

#[tokio::test]
async fn a_bucket_that_fails_for_a_while_is_asked_again_and_nothing_is_lost() {
    let s3 = S3::start().await;
    let server = s3.server(256 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    // The client of the bucket asks again by itself.
    s3.faults.fail(2);
    assert_eq!(send(&agent, id, 0, b"hello ").await, 6);
    assert_eq!(s3.faults.left(), 0);
    // At some time it does not: then the agent does.
    s3.faults.fail(usize::MAX);
    let refused = problem(agent.log(id, &name, 6, b"world")).await;
    assert_eq!(refused.code, ProblemCode::Unavailable);
    s3.faults.fail(0);
    assert_eq!(send(&agent, id, 6, b"world").await, 11);
    let ended = Finish {
        logs: vec![end(&name, b"hello world")],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    let log = path::of_log(path::LOG, id, &name);
    let read = server.admin.request(Method::GET, &log).send().await;
    assert_eq!(read.unwrap().bytes().await.unwrap(), "hello world");
    s3.wait_for_objects(1).await;
    // Who reads is refused, and does not take what is not there for all that there is.
    s3.faults.fail(usize::MAX);
    let refused = problem(server.admin.request(Method::GET, &log)).await;
    assert_eq!(refused.code, ProblemCode::Unavailable);
    s3.faults.fail(0);
}

#[tokio::test]
async fn a_cache_is_kept_whole_and_goes_with_its_objects() {
    let s3 = S3::start().await;
    let one = s3.server(4 << 20).await;
    let url = one.repository("r", caches::KEEPING);
    let agent = one.agent(&[]).await;
    let id = caches::push(&one, &agent, &url, "main").await;
    let whole: Vec<u8> = (0_u32..2_500_000).flat_map(u32::to_le_bytes).collect();
    caches::keeping(&agent, id, "a", &whole).await;
    let id = caches::push(&one, &agent, &url, "main").await;
    let found = caches::found(&agent, id, &caches::query("a", &[])).await;
    let found = found.unwrap();
    assert_eq!(caches::bytes_of(&agent, id, &found).await, whole);
    let removed = one
        .admin
        .request(Method::DELETE, &path::of_cache(found.id))
        .send()
        .await;
    assert_eq!(removed.unwrap().status(), 204);
    // Nothing but what tells the bucket from another.
    s3.wait_for_objects(0).await;
}

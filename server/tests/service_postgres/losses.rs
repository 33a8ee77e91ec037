//! What a bucket has lost, of logs that go on and of such that are over.

use protocol::Conclusion::Success;
use protocol::service::{Finish, ProblemCode, StreamName, path};
use reqwest::Method;

use crate::artifacts;
use crate::harness::{ONE, end, finish};
use crate::objects::send;
use crate::s3::S3;

#[tokio::test]
async fn a_stream_that_cannot_be_joined_keeps_no_other_one_in_pieces() {
    let s3 = S3::start().await;
    let server = s3.server(256 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    let whole = vec![7; 2_000_000];
    artifacts::send(&agent, id, "app", &whole).await;
    send(&agent, id, 0, b"hello ").await;
    send(&agent, id, 6, b"world").await;
    // Somebody removes an archive meanwhile.
    let place = s3.directory.path().join("bucket/ci/logs");
    let place = place.join(id.to_string()).join("artifact-app");
    for piece in std::fs::read_dir(&place).unwrap() {
        std::fs::remove_file(piece.unwrap().path()).unwrap();
    }
    let ended = Finish {
        logs: vec![
            end(&StreamName::artifact("app").unwrap(), &whole),
            end(&StreamName::step(0), b"hello world"),
        ],
        artifacts: vec![artifacts::said("app", None)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    s3.wait_for_objects(1).await;
}

#[tokio::test]
async fn what_the_bucket_has_lost_of_a_log_that_goes_on_is_sent_again() {
    let s3 = S3::start().await;
    let mut server = s3.server(256 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    let ended = Finish {
        logs: vec![end(&name, b"hello")],
        ..finish(Success)
    };
    let place = s3.directory.path().join("bucket/ci/logs");
    let place = place.join(id.to_string()).join("step-0");
    // All of it, half of it, and what is in nobody's memory any more.
    for left in [None, Some(2), Some(0)] {
        send(&agent, id, 0, b"hello").await;
        for piece in std::fs::read_dir(&place).unwrap() {
            let file = piece.unwrap().path();
            match left {
                None => std::fs::remove_file(file).unwrap(),
                Some(left) => std::fs::write(file, &b"hello"[..left]).unwrap(),
            }
        }
        server.restart().await;
        let lacks = agent.refused(path::FINISH, id, &ended).await;
        assert_eq!(
            (lacks.code, lacks.missing[0].from),
            (ProblemCode::Incomplete, 0),
            "{left:?}"
        );
    }
    send(&agent, id, 0, b"hello").await;
    agent.tell(path::FINISH, id, &ended).await;
    // Who is late, and says something else, changes nothing.
    let other = Finish {
        logs: vec![end(&name, b"hallo")],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &other).await;
    let log = path::of_log(path::LOG, id, &name);
    let read = server.admin.request(Method::GET, &log).send().await;
    assert_eq!(read.unwrap().bytes().await.unwrap(), "hello");
}

#[tokio::test]
async fn pieces_that_have_lost_something_are_not_joined() {
    let s3 = S3::start().await;
    let server = s3.server(256 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    let whole = vec![7; 2_000_000];
    artifacts::send(&agent, id, "app", &whole).await;
    send(&agent, id, 0, b"hello ").await;
    send(&agent, id, 6, b"world").await;
    let place = s3.directory.path().join("bucket/ci/logs");
    let place = place.join(id.to_string()).join("artifact-app");
    let piece = std::fs::read_dir(&place).unwrap().next().unwrap().unwrap();
    std::fs::write(piece.path(), b"half").unwrap();
    let ended = Finish {
        logs: vec![
            end(&StreamName::artifact("app").unwrap(), &whole),
            end(&StreamName::step(0), b"hello world"),
        ],
        artifacts: vec![artifacts::said("app", None)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    // That is joined behind the archive.
    let log = "SELECT COUNT(*) FROM pieces WHERE name = 'step-0'";
    server.database().wait_for(log, 1).await;
    let archive = "SELECT COUNT(*) FROM pieces WHERE name = 'artifact-app'";
    server.database().wait_for(archive, 2).await;
}

#[tokio::test]
async fn a_stream_that_an_earlier_server_has_begun_goes_on() {
    let s3 = S3::start().await;
    let mut server = s3.server(256 << 20).await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let id = agent.take().await.id;
    let whole: Vec<u8> = (0_u32..900_000).flat_map(u32::to_le_bytes).collect();
    let mut offset = 0;
    for piece in whole.chunks(1_000_000).take(3) {
        offset = send(&agent, id, offset, piece).await;
    }
    // It has kept the digests so.
    server.database().execute(
        "UPDATE streams SET digests = (SELECT string_agg(digests, '' ORDER BY first) FROM blocks); DELETE FROM blocks",
    );
    // What they are of is not read again.
    let place = s3.directory.path().join("bucket/ci/logs");
    let place = place.join(id.to_string()).join("step-0");
    let first = std::fs::read_dir(&place)
        .unwrap()
        .map(|piece| piece.unwrap().path());
    std::fs::remove_file(first.min().unwrap()).unwrap();
    server.restart().await;
    let rest = &whole[usize::try_from(offset).unwrap()..];
    send(&agent, id, offset, rest).await;
    server.restart().await;
    let ended = Finish {
        logs: vec![end(&StreamName::step(0), &whole)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
}

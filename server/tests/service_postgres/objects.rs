//! Logs as objects of an S3 server, by way of any of several servers.

use protocol::Conclusion::Success;
use protocol::service::{Finish, LogKept, ProblemCode, StreamName, path};
use reqwest::Method;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;
use server::{Retention, Storage};
use tempfile::TempDir;

use crate::artifacts;
use crate::harness::{Agent, ONE, Server, end, finish, problem};

/// An S3 server with one bucket. It ends with the test's runtime.
pub(crate) struct S3 {
    pub(crate) directory: TempDir,
    pub(crate) endpoint: String,
}

impl S3 {
    pub(crate) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        std::fs::create_dir(directory.path().join("bucket")).unwrap();
        let files = s3s_fs::FileSystem::new(directory.path()).unwrap();
        let mut service = S3ServiceBuilder::new(files);
        service.set_auth(SimpleAuth::from_single("key", "secret"));
        let service = service.build().into_shared();
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let socket = hyper_util::rt::TokioIo::new(socket);
                    let executor = hyper_util::rt::TokioExecutor::new();
                    let builder = hyper_util::server::conn::auto::Builder::new(executor);
                    let _ = builder.serve_connection(socket, service).await;
                });
            }
        });
        Self {
            directory,
            endpoint,
        }
    }

    pub(crate) async fn server(&self, bytes: u64) -> Server {
        Server::start_with(|config| {
            config.storage = Storage::Objects("s3://bucket/ci".to_owned());
            config.storage_options = [
                ("endpoint", self.endpoint.as_str()),
                ("region", "us-east-1"),
                ("access_key_id", "key"),
                ("secret_access_key", "secret"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into();
            config.retention = Retention::of(bytes);
        })
        .await
    }

    /// Waits until there are so many objects.
    async fn wait_for_objects(&self, count: usize) {
        for _ in 0..200 {
            if self.objects() == count {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        assert_eq!(self.objects(), count);
    }

    /// Objects there are.
    fn objects(&self) -> usize {
        fn count(directory: &std::path::Path) -> usize {
            let entries = std::fs::read_dir(directory).unwrap().flatten();
            entries
                .filter(|entry| !entry.file_name().to_string_lossy().starts_with('.'))
                .map(|entry| match entry.file_type().unwrap().is_dir() {
                    true => count(&entry.path()),
                    false => 1,
                })
                .sum()
        }
        count(&self.directory.path().join("bucket"))
    }
}

async fn send(agent: &Agent, id: protocol::service::AttemptId, offset: u64, bytes: &[u8]) -> u64 {
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

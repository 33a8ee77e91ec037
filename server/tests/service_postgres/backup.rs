//! A copy of PostgreSQL and of where logs are, taken while the server runs, is a server of its own.

use std::path::Path;
use std::process::Command;

use protocol::Conclusion::Success;
use protocol::service::{AttemptId, Finish, Job, PipelineId, StreamName, path};
use reqwest::Method;
use server::{Config, Location, ServerError, Storage};

use crate::artifacts;
use crate::database::{self, Database};
use crate::harness::{Agent, Server, User, end, finish};
use crate::s3::S3;

/// Runs one of PostgreSQL's programs on a database.
fn run(program: &str, arguments: &[&str], url: &str) {
    let mut command = database::program(program);
    let done = command.args(arguments).arg("-d").arg(url).status();
    assert!(done.unwrap().success(), "{program} has failed");
}

fn url(location: &Location) -> &str {
    match location {
        Location::Postgres(url) => url,
        Location::Sqlite(path) => panic!("{}", path.display()),
    }
}

/// What a server had when it was copied.
struct Left {
    agent: Agent,
    /// A job that is over, and the log of its step.
    id: AttemptId,
    text: Vec<u8>,
    waiting: PipelineId,
}

/// Has a server do something.
async fn work(server: &Server) -> Left {
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let waiting = server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    let text: Vec<u8> = (0_u32..300_000).flat_map(u32::to_le_bytes).collect();
    agent.log(id, &name, 0, &text).send().await.unwrap();
    artifacts::send(&agent, id, "app", b"archive").await;
    let app = StreamName::artifact("app").unwrap();
    let ended = Finish {
        logs: vec![end(&name, &text), end(&app, b"archive")],
        artifacts: vec![artifacts::said("app", None)],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;
    Left {
        agent,
        id,
        text,
        waiting,
    }
}

/// As the page on the server says: first the database, and then where logs are.
fn copy(server: &Server, logs: &Path, to: &Path) -> Database {
    let other = database::make().unwrap();
    let (from, into) = (url(&server.config.database), url(&other.location));
    // All databases of the tests have one directory.
    let name = into.rsplit('/').next().unwrap();
    let dump = database::directory(&other).join(format!("{name}.dump"));
    let file = dump.to_str().unwrap();
    tokio::task::block_in_place(|| {
        run("pg_dump", &["-Fc", "-f", file], from);
        run("pg_restore", &["--no-owner", file], into);
        let copied = Command::new("cp").arg("-r").arg(logs).arg(to).status();
        assert!(copied.unwrap().success());
    });
    other
}

/// Where a server is started that was copied.
fn restored(server: &Server, database: &Database) -> Config {
    let mut config = server.config.clone();
    config.listen.set_port(0);
    config.database = database.location.clone();
    config.data = server.directory.path().join("restored");
    config
}

/// Everything that was answered is there, and goes on.
async fn has_all(config: Config, server: &Server, left: Left) {
    let Left {
        agent,
        id,
        text,
        waiting,
    } = left;
    let name = StreamName::step(0);
    let restored = server::start(config).await.unwrap();
    assert_eq!(restored.first_token, None);
    let admin = User::new(&format!("http://{}", restored.address), &server.admin.token);
    let job: Job = admin.get(&path::of_job(path::JOB, id.job)).await;
    assert_eq!(job.summary.conclusion, Some(Success));
    let read = async |address: String| {
        let answer = admin.request(Method::GET, &address).send().await.unwrap();
        answer.bytes().await.unwrap()
    };
    let log = read(path::of_log(path::LOG, id, &name)).await;
    assert!(log == text, "the log differs");
    assert_eq!(read(path::of_artifact(id, "app")).await, "archive");
    // What was queued is queued, the agent's token counts, and a job runs to its end.
    let agent = Agent {
        user: User::new(&admin.base, &agent.user.token),
        id: agent.id,
    };
    let assignment = agent.take().await;
    assert_eq!(assignment.pipeline, waiting);
    agent
        .log(assignment.id, &name, 0, b"hello")
        .send()
        .await
        .unwrap();
    let ended = Finish {
        logs: vec![end(&name, b"hello")],
        ..finish(Success)
    };
    agent.tell(path::FINISH, assignment.id, &ended).await;
    assert_eq!(
        read(path::of_log(path::LOG, assignment.id, &name)).await,
        "hello"
    );
    restored.shutdown.now();
    restored.ended().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_database_and_bucket_has_everything_that_was_answered() {
    let (s3, other) = (S3::start().await, S3::start().await);
    let server = s3.server(256 << 20).await;
    let left = work(&server).await;
    let bucket = s3.directory.path().join("bucket");
    let database = copy(&server, &bucket, other.directory.path());
    let mut config = restored(&server, &database);
    other.place_in(&mut config);
    has_all(config, &server, left).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_database_and_directory_has_everything_that_was_answered() {
    let server = Server::start().await;
    let left = work(&server).await;
    let to = server.directory.path().join("copied");
    let database = copy(&server, &server.config.data.join("logs"), &to);
    let mut config = restored(&server, &database);
    config.storage = Storage::Directory(server.directory.path().join("empty"));
    let refused = server::start(config.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ServerError::OtherStorage { .. }),
        "{refused}"
    );
    config.storage = Storage::Directory(to);
    has_all(config, &server, left).await;
}

//! A copy of PostgreSQL and of the bucket, taken while the server runs, is a server of its own.

use std::process::Command;

use protocol::Conclusion::Success;
use protocol::service::{Finish, Job, StreamName, path};
use reqwest::Method;
use server::{Location, Storage};

use crate::artifacts;
use crate::database;
use crate::harness::{Agent, User, end, finish};
use crate::objects::S3;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_database_and_bucket_has_everything_that_was_answered() {
    let s3 = S3::start().await;
    let server = s3.server(256 << 20).await;
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

    // As the page on the server says: first the database, then the bucket.
    let other = database::make().unwrap();
    let dump = database::directory(&other).join("copy.dump");
    let file = dump.to_str().unwrap();
    let (from, to) = (
        url(&server.config.database).to_owned(),
        url(&other.location).to_owned(),
    );
    tokio::task::block_in_place(|| {
        run("pg_dump", &["-Fc", "-f", file], &from);
        run("pg_restore", &["--no-owner", file], &to);
    });
    let copy = S3::start().await;
    let copied = Command::new("cp")
        .arg("-r")
        .arg(s3.directory.path().join("bucket"))
        .arg(copy.directory.path())
        .status();
    assert!(copied.unwrap().success());

    let mut config = server.config.clone();
    config.listen.set_port(0);
    config.database = other.location.clone();
    config.data = server.directory.path().join("restored");
    config.storage = Storage::Objects("s3://bucket/ci".to_owned());
    for (key, value) in &mut config.storage_options {
        if key == "endpoint" {
            value.clone_from(&copy.endpoint);
        }
    }
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

//! A copy that is taken while the server runs is a server of its own.

use protocol::Conclusion::Success;
use protocol::service::{Finish, Job, StreamName, path};
use reqwest::Method;
use server::{Config, Location};

use crate::harness::{ONE, Server, User, end, finish};

#[tokio::test]
async fn a_copy_of_a_running_server_has_everything_that_was_answered() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    server.submit(ONE).await;
    let waiting = server.submit(ONE).await;
    let id = agent.take().await.id;
    let name = StreamName::step(0);
    agent.log(id, &name, 0, b"hello").send().await.unwrap();
    let ended = Finish {
        logs: vec![end(&name, b"hello")],
        ..finish(Success)
    };
    agent.tell(path::FINISH, id, &ended).await;

    // As the page on the server says: first the database, then the logs.
    let copy = server.directory.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    let Location::Sqlite(database) = &server.config.database else {
        panic!("the copy of another database is its own business");
    };
    let connection = rusqlite::Connection::open(database).unwrap();
    connection
        .backup("main", copy.join("server.sqlite"), None)
        .unwrap();
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(server.config.data.join("logs"))
        .arg(&copy)
        .status();
    assert!(copied.unwrap().success());

    let mut config = Config::in_directory(copy, crate::harness::transport());
    config.listen.set_port(0);
    let restored = server::start(config).await.unwrap();
    assert_eq!(restored.first_token, None);
    let admin = User::new(&format!("http://{}", restored.address), &server.admin.token);
    let job: Job = admin.get(&path::of_job(path::JOB, id.job)).await;
    assert_eq!(job.summary.conclusion, Some(Success));
    let log = admin.request(Method::GET, &path::of_log(path::LOG, id, &name));
    assert_eq!(log.send().await.unwrap().text().await.unwrap(), "hello");
    // What was queued is queued, and the agent's token counts.
    let agent = crate::harness::Agent {
        user: User::new(&admin.base, &agent.user.token),
        id: agent.id,
    };
    assert_eq!(agent.take().await.pipeline, waiting);
    restored.shutdown.now();
    restored.ended().await.unwrap();
}

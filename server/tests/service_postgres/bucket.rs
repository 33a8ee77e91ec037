//! Whose a bucket is, and what a server may do in it.

use protocol::service::{AgentId, path};
use reqwest::Method;
use server::{Config, Running, ServerError};

use crate::artifacts;
use crate::harness::{Server, transport};
use crate::s3::S3;

/// A server that was never started, on a database of its own.
fn fresh(s3: &S3, directory: &std::path::Path, database: &crate::database::Database) -> Config {
    let mut config = Config::in_directory(directory.to_owned(), transport());
    config.listen.set_port(0);
    config.database = database.location.clone();
    s3.place_in(&mut config);
    config
}

async fn end(running: Running) {
    running.shutdown.now();
    running.ended().await.unwrap();
}

#[tokio::test]
async fn a_first_start_that_fails_behind_the_marker_takes_the_bucket_from_nobody() {
    let s3 = S3::start().await;
    let directory = tempfile::TempDir::new().unwrap();
    let database = crate::database::make().unwrap();
    let config = fresh(&s3, directory.path(), &database);
    s3.faults.deafen(true);
    server::start(config.clone()).await.unwrap_err();
    assert!(s3.directory.path().join("bucket/ci/identity").exists());
    s3.faults.deafen(false);
    end(server::start(config).await.unwrap()).await;
}

#[tokio::test]
async fn of_two_databases_that_come_to_a_bucket_at_once_one_gets_it() {
    let s3 = S3::start().await;
    let directories = [0; 2].map(|_| tempfile::TempDir::new().unwrap());
    let databases = [0; 2].map(|_| crate::database::make().unwrap());
    s3.faults.hold();
    let [one, two] = [0, 1].map(|index| {
        let config = fresh(&s3, directories[index].path(), &databases[index]);
        tokio::spawn(async move { server::start(config).await })
    });
    // Both have seen that nobody has it.
    s3.faults.wait_for_held(2).await;
    s3.faults.release();
    let started = [one.await.unwrap(), two.await.unwrap()];
    let mut refused = 0;
    for started in started {
        match started {
            Ok(running) => end(running).await,
            Err(error) => {
                assert!(matches!(error, ServerError::TakenStorage { .. }), "{error}");
                refused += 1;
            }
        }
    }
    assert_eq!(refused, 1);
}

/// An attempt is lost that has left something in the bucket that no row names.
async fn lose(s3: &S3, server: &Server) {
    let agent = server.agent(&[]).await;
    server.submit(artifacts::LEAVING).await;
    let id = agent.take().await.id;
    let place = s3.directory.path().join("bucket/ci/logs");
    let place = place.join(id.to_string()).join("artifact-app");
    std::fs::create_dir_all(&place).unwrap();
    std::fs::write(place.join("0000000000000000-dead"), b"it").unwrap();
    remove(server, agent.id).await;
}

async fn remove(server: &Server, agent: AgentId) {
    let address = path::of_agent(path::AGENT, agent);
    let removed = server.admin.request(Method::DELETE, &address).send().await;
    assert_eq!(removed.unwrap().status(), 204);
}

#[tokio::test]
async fn a_server_that_may_not_list_starts_and_lives_with_what_nobody_names() {
    let s3 = S3::start().await;
    s3.faults.forbid_lists();
    let mut server = s3.server(4 << 20).await;
    server.restart().await;
    lose(&s3, &server).await;
    server
        .database()
        .wait_for("SELECT removed FROM remains", 1)
        .await;
    assert_eq!(s3.objects(), 1);
    // Whose it is, it can be told all the same.
    let directory = tempfile::TempDir::new().unwrap();
    let database = crate::database::make().unwrap();
    let refused = server::start(fresh(&s3, directory.path(), &database)).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, ServerError::TakenStorage { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn a_server_that_is_refused_everything_has_removed_nothing() {
    let s3 = S3::start().await;
    let server = s3.server(4 << 20).await;
    s3.faults.refuse();
    lose(&s3, &server).await;
    // The list, and what would tell that only lists are refused.
    s3.faults.wait_for_refused(2).await;
    server
        .database()
        .wait_for("SELECT removed FROM remains", 0)
        .await;
    server
        .database()
        .wait_for("SELECT tries FROM remains", 1)
        .await;
}

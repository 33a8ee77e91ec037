//! Several servers on one database.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::Conclusion::Success;
use protocol::service::path;
use serde_json::json;

use tempfile::TempDir;

use crate::database::Database;
use crate::harness::{Agent, ONE, Server, User};
use crate::s3::S3;

impl Server {
    /// Another server on the same database.
    pub(crate) async fn beside(&self) -> Self {
        let directory = TempDir::new().unwrap();
        let mut config = self.config.clone();
        config.listen.set_port(0);
        config.data = directory.path().join("data");
        let running = server::start(config.clone()).await.unwrap();
        assert_eq!(running.first_token, None);
        let base = format!("http://{}", running.address);
        Self {
            admin: User::new(&base, &self.admin.token),
            directory,
            running: Some(running),
            database: self.database.clone(),
            config,
        }
    }

    pub(crate) fn database(&self) -> &Database {
        self.database.as_ref().unwrap()
    }
}

impl Agent {
    /// The same agent, talking to another server.
    pub(crate) fn at(&self, server: &Server) -> Self {
        Self {
            user: User::new(&server.admin.base, &self.user.token),
            id: self.id,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn any_server_answers_and_each_job_is_handed_out_once() {
    let storage = S3::start().await;
    let one = storage.server(256 << 20).await;
    let two = one.beside().await;
    let mut agents = Vec::new();
    for index in 0..8 {
        let agent = one.agent(&[]).await;
        agents.push(if index % 2 == 0 {
            agent
        } else {
            agent.at(&two)
        });
    }
    const JOBS: usize = 60;
    let workers: Vec<_> = agents
        .into_iter()
        .map(|agent| {
            tokio::spawn(async move {
                let mut done = Vec::new();
                while let Some(offer) = agent.acquire(3_000).await {
                    agent.tell(path::ACCEPT, offer.id, &json!({})).await;
                    agent.finish(offer.id, Success).await;
                    done.push(offer.id);
                }
                done
            })
        })
        .collect();
    for index in 0..JOBS {
        if index % 2 == 0 { &one } else { &two }.submit(ONE).await;
    }
    let mut times: BTreeMap<u64, usize> = BTreeMap::new();
    for worker in workers {
        for id in worker.await.unwrap() {
            assert_eq!(id.attempt, 1);
            *times.entry(id.job.0).or_default() += 1;
        }
    }
    assert_eq!(times.len(), JOBS);
    assert!(times.values().all(|times| *times == 1), "{times:?}");
}

#[tokio::test]
async fn an_agent_that_waits_at_one_server_hears_of_jobs_from_another() {
    let storage = S3::start().await;
    let one = storage.server(256 << 20).await;
    let two = one.beside().await;
    let agent = one.agent(&[]).await.at(&two);
    let waiting = tokio::spawn(async move { agent.acquire(30_000).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    one.submit(ONE).await;
    assert!(waiting.await.unwrap().is_some());
}

#[tokio::test]
async fn a_server_survives_the_loss_of_its_connections() {
    let server = Server::start().await;
    let agent = server.agent(&[]).await;
    let id = server.submit(ONE).await;
    let taken = agent.take().await;
    for _ in 0..3 {
        server.database().cut_connections();
        // What was under way may be refused as unavailable; it is asked again, as every client does.
        for _ in 0..50 {
            let ready = server.admin.request(reqwest::Method::GET, path::READY);
            if ready.send().await.unwrap().status() == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    agent.finish(taken.id, Success).await;
    assert_eq!(server.shown(id).await, "main: Success\n= Success");
}

#[tokio::test]
async fn a_second_server_with_logs_of_its_own_is_refused() {
    let one = Server::start().await;
    let elsewhere = TempDir::new().unwrap();
    let mut config = one.config.clone();
    config.listen.set_port(0);
    config.data = elsewhere.path().join("data");
    config.storage = server::Storage::Directory(elsewhere.path().join("logs"));
    let refused = server::start(config.clone()).await.unwrap_err();
    assert!(
        matches!(refused, server::ServerError::OtherStorage { .. }),
        "{refused}"
    );
    // Nor may two servers write to one directory.
    config.storage = one.config.storage.clone();
    let refused = server::start(config).await.unwrap_err();
    assert!(refused.to_string().contains("another server"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_of_the_same_pipelines_end_at_two_servers_at_once() {
    const CELLS: usize = 24;
    let storage = S3::start().await;
    let one = storage.server(256 << 20).await;
    let two = one.beside().await;
    let mut text = "image: host\njobs:\n".to_owned();
    for cell in 0..CELLS {
        text.push_str(&format!("  j{cell}: {{ steps: [{{ run: make }}] }}\n"));
    }
    // What follows needs all of them, so that each end changes the pipeline.
    let needs: Vec<String> = (0..CELLS).map(|cell| format!("j{cell}")).collect();
    text.push_str(&format!(
        "  last: {{ needs: [{}], steps: [{{ run: make }}] }}\n",
        needs.join(", ")
    ));
    let mut pipelines = Vec::new();
    for index in 0..4 {
        let server = if index % 2 == 0 { &one } else { &two };
        pipelines.push(server.submit(&text).await);
    }
    let mut workers = Vec::new();
    for index in 0..16 {
        let agent = one.agent(&[]).await;
        let agent = if index % 2 == 0 {
            agent
        } else {
            agent.at(&two)
        };
        workers.push(tokio::spawn(async move {
            let mut done = 0;
            while let Some(offer) = agent.acquire(4_000).await {
                agent.tell(path::ACCEPT, offer.id, &json!({})).await;
                agent.finish(offer.id, Success).await;
                done += 1;
            }
            done
        }));
    }
    let mut done = 0;
    for worker in workers {
        done += worker.await.unwrap();
    }
    assert_eq!(done, pipelines.len() * (CELLS + 1));
    for pipeline in pipelines {
        let pipeline = one.pipeline(pipeline).await;
        assert_eq!(pipeline.summary.conclusion, Some(Success));
        assert!(pipeline.jobs.iter().all(|job| job.attempt == 1));
    }
}

//! Agents that pretend: they speak the protocol, and do nothing.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use protocol::service::{BlockHasher, Checksum};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::client::Client;
use crate::place::Server;

/// The one byte of each log.
const BYTE: &[u8] = b".";

/// What comes of jobs: when each was submitted, and how long it took from there.
#[derive(Debug, Default)]
pub(crate) struct Record {
    pub(crate) submitted: u64,
    pub(crate) finished: u64,
    /// Until the server had the first byte of the log.
    pub(crate) kept: Vec<Duration>,
    /// Until somebody who follows the log had it, of some.
    pub(crate) followed: Vec<Duration>,
    pub(crate) failures: Vec<String>,
}

/// Everybody's record.
pub(crate) type Shared = Rc<RefCell<Record>>;

/// What all agents know.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) start: Instant,
    pub(crate) record: Shared,
    /// Of which jobs the log is followed: every n-th.
    pub(crate) every: u64,
    /// In whose name.
    pub(crate) user: String,
    pub(crate) address: std::net::SocketAddr,
}

impl Setting {
    pub(crate) fn new(server: &Server, every: u64) -> Self {
        Self {
            start: Instant::now(),
            record: Shared::default(),
            every,
            user: server.token.clone(),
            address: server.address,
        }
    }

    /// How long ago a job was submitted.
    fn since(&self, submitted: u64) -> Duration {
        self.start.elapsed() - Duration::from_micros(submitted)
    }

    /// What a user submits: a pipeline of so many jobs.
    pub(crate) fn submission(&self, jobs: usize) -> Value {
        let pipeline = match jobs {
            1 => "image: host\nsteps: [{ run: make }]\n".to_owned(),
            jobs => {
                let mut text = "image: host\njobs:\n".to_owned();
                for job in 0..jobs {
                    text.push_str(&format!("  j{job}: {{ steps: [{{ run: make }}] }}\n"));
                }
                text
            }
        };
        let now = u64::try_from(self.start.elapsed().as_micros()).unwrap_or_default();
        json!({ "pipeline": pipeline, "variables": { "SUBMITTED": now.to_string() } })
    }
}

/// Registered agents, connected.
pub(crate) async fn register(server: &Server, count: usize) -> io::Result<Vec<Client>> {
    let token = server.registration().await;
    let token = token.map_err(|error| io::Error::other(error.to_string()))?;
    let mut registrar = Client::new(server.address, &token);
    let description = json!({ "name": "bench", "labels": {}, "slots": 1, "version": "0" });
    let mut agents = Vec::with_capacity(count);
    for _ in 0..count {
        let answer = registrar.post("/api/v1/agents", &description).await?;
        let answer = answer.json()?;
        let secret = answer["secret"].as_str().unwrap_or_default();
        agents.push(Client::new(server.address, secret));
    }
    Ok(agents)
}

/// Has agents work until they are dropped.
pub(crate) fn work(agents: Vec<Client>, setting: &Setting) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    for mut agent in agents {
        let setting = setting.clone();
        tasks.spawn_local(async move {
            loop {
                if let Err(error) = job(&mut agent, &setting).await {
                    let failures = &mut setting.record.borrow_mut().failures;
                    failures.push(error.to_string());
                }
            }
        });
    }
    tasks
}

/// Waits for one job and does it.
async fn job(agent: &mut Client, setting: &Setting) -> io::Result<()> {
    let acquire = json!({ "free": 1, "wait_ms": 50_000 });
    let answer = agent.post("/api/v1/agents/self/acquire", &acquire).await?;
    if answer.status == 204 {
        return Ok(());
    }
    let assignment = answer.json()?;
    let submitted = assignment["variables"]["SUBMITTED"].as_str();
    let submitted: u64 = submitted.and_then(|at| at.parse().ok()).unwrap_or(0);
    let number = assignment["job"].as_u64().unwrap_or_default();
    let path = attempt(&assignment);
    agent.post(&format!("{path}/accept"), &json!({})).await?;
    if number.is_multiple_of(setting.every) {
        let (setting, path) = (setting.clone(), format!("{path}/logs/step-0/follow"));
        tokio::task::spawn_local(async move {
            let follower = Client::new(setting.address, &setting.user);
            let byte = async { follower.follow(&path).await?.next().await };
            let byte = byte.await;
            let mut record = setting.record.borrow_mut();
            match byte {
                Ok(Some(_)) => record.followed.push(setting.since(submitted)),
                Ok(None) => record.failures.push("a log without a byte".to_owned()),
                Err(error) => record.failures.push(error.to_string()),
            }
        });
    }
    agent.patch(&format!("{path}/logs/step-0"), 0, BYTE).await?;
    let kept = setting.since(submitted);
    setting.record.borrow_mut().kept.push(kept);
    finish(agent, &path, BYTE.len() as u64, checksum(BYTE)).await?;
    setting.record.borrow_mut().finished += 1;
    Ok(())
}

/// The path of an assignment's attempt.
pub(crate) fn attempt(assignment: &Value) -> String {
    let (job, attempt) = (&assignment["job"], &assignment["attempt"]);
    format!("/api/v1/jobs/{job}/attempts/{attempt}")
}

/// An attempt has succeeded; its one log is so long.
pub(crate) async fn finish(
    agent: &mut Client,
    path: &str,
    length: u64,
    checksum: Checksum,
) -> io::Result<()> {
    let log = json!({ "name": "step-0", "length": length, "checksum": checksum });
    let finish = json!({ "conclusion": "success", "events": 0, "logs": [log] });
    let path = format!("{path}/finish");
    agent.post(&path, &finish).await.map(drop)
}

/// Of a whole log.
pub(crate) fn checksum(bytes: &[u8]) -> Checksum {
    let mut hasher = BlockHasher::new();
    hasher.update(bytes);
    hasher.checksum()
}

//! Jobs: how many a second, and how long until the first byte of a log.

use std::cell::Cell;
use std::error::Error;
use std::rc::Rc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant as TokioInstant, MissedTickBehavior, interval_at, sleep};

use crate::client::Client;
use crate::fleet::{self, Setting};
use crate::place::Server;
use crate::print;

/// Agents that work.
pub(crate) const AGENTS: usize = 64;
/// Agents of the large fleet.
const MANY: usize = 2_000;
/// Users that submit: so many that it is not they who wait.
const USERS: usize = 32;
/// Jobs that are submitted and not finished, where as many as can be are to be done.
const BACKLOG: u64 = 500;
/// Behind the start nothing is counted for so long.
const WARM: Duration = Duration::from_secs(2);
/// How long what is counted lasts.
const MEASURED: Duration = Duration::from_secs(8);

/// As many jobs as can be; how many that is a second.
pub(crate) async fn most(server: &Server) -> Result<f64, Box<dyn Error>> {
    print("a server that was just started, MiB", &[mib(server)]);
    let bare = round_trips(server).await?;
    print("bare requests a second (/healthz)", &[format!("{bare:.0}")]);
    let agents = fleet::register(server, AGENTS).await?;
    let setting = Setting::new(server, u64::MAX);
    let working = fleet::work(agents, &setting);
    let saturated = saturated(server, &setting).await?;
    print(
        "jobs a second, saturated, 64 agents",
        &[
            format!("{saturated:.0}"),
            format!("{:.3} x bare", saturated / bare),
        ],
    );
    one_pipeline(server, &setting).await?;
    drop(working);
    sleep(Duration::from_secs(1)).await;
    Ok(saturated)
}

/// Everything about jobs.
pub(crate) async fn measure(server: &Server) -> Result<(), Box<dyn Error>> {
    let saturated = most(server).await?;
    let agents = fleet::register(server, AGENTS).await?;
    latency(server, agents, saturated / 2.0, "64 agents, half of that").await?;
    let agents = fleet::register(server, AGENTS).await?;
    latency(server, agents, 500.0, "64 agents").await?;
    let agents = fleet::register(server, MANY).await?;
    many(server, agents).await?;
    Ok(())
}

fn mib(server: &Server) -> String {
    format!("{:.1} MiB", server.resident())
}

/// What the server's HTTP does by itself, with as many connections.
async fn round_trips(server: &Server) -> Result<f64, Box<dyn Error>> {
    let started = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..AGENTS {
        let mut client = server.user();
        tasks.spawn_local(async move {
            let mut count = 0.0;
            while started.elapsed() < Duration::from_secs(3) {
                client.get("/healthz").await?;
                count += 1.0;
            }
            Ok::<f64, std::io::Error>(count)
        });
    }
    let mut count = 0.0;
    while let Some(done) = tasks.join_next().await {
        count += done??;
    }
    Ok(count / started.elapsed().as_secs_f64())
}

/// Users submit as soon as there is room; jobs that are finished, a second.
pub(crate) async fn saturated(server: &Server, setting: &Setting) -> Result<f64, Box<dyn Error>> {
    let (enough, mut users) = (Rc::new(Cell::new(false)), JoinSet::new());
    for _ in 0..USERS {
        let (mut user, setting) = (server.user(), setting.clone());
        let enough = Rc::clone(&enough);
        users.spawn_local(async move {
            while !enough.get() {
                let outstanding = {
                    let record = setting.record.borrow();
                    record.submitted - record.finished
                };
                if outstanding >= BACKLOG {
                    sleep(Duration::from_millis(1)).await;
                    continue;
                }
                setting.record.borrow_mut().submitted += 1;
                submit(&mut user, &setting, 1).await;
            }
        });
    }
    sleep(WARM).await;
    let (before, processor, started) = (
        setting.record.borrow().finished,
        server.processor(),
        Instant::now(),
    );
    sleep(MEASURED).await;
    let seconds = started.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let done = (setting.record.borrow().finished - before) as f64;
    let processor = server.processor() - processor;
    let waiting = {
        let record = setting.record.borrow();
        record.submitted - record.finished
    };
    enough.set(true);
    while users.join_next().await.is_some() {}
    print(
        "  the server's processors meanwhile",
        &[
            format!("{:.2}", processor / seconds),
            format!("{:.2} ms a job", processor / done * 1_000.0),
            mib(server),
            format!("{waiting} jobs not over"),
        ],
    );
    drained(setting).await;
    failures(setting);
    Ok(done / seconds)
}

pub(crate) async fn submit(user: &mut Client, setting: &Setting, jobs: usize) {
    let submission = setting.submission(jobs);
    if let Err(error) = user.post("/api/v1/pipelines", &submission).await {
        let failures = &mut setting.record.borrow_mut().failures;
        failures.push(error.to_string());
    }
}

/// Until everything that was submitted is finished.
pub(crate) async fn drained(setting: &Setting) {
    let patience = Instant::now();
    while patience.elapsed() < Duration::from_secs(60) {
        let is_done = {
            let record = setting.record.borrow();
            record.finished >= record.submitted
        };
        if is_done {
            return;
        }
        sleep(Duration::from_millis(2)).await;
    }
}

fn failures(setting: &Setting) {
    let record = setting.record.borrow();
    if let Some(first) = record.failures.first() {
        print(
            "  FAILURES",
            &[record.failures.len().to_string(), first.clone()],
        );
    }
}

/// One pipeline of many jobs.
async fn one_pipeline(server: &Server, setting: &Setting) -> Result<(), Box<dyn Error>> {
    const JOBS: usize = 1_000;
    let started = Instant::now();
    setting.record.borrow_mut().submitted += JOBS as u64;
    submit(&mut server.user(), setting, JOBS).await;
    let submitted = started.elapsed();
    drained(setting).await;
    let all = started.elapsed();
    print(
        "one pipeline of 1,000 jobs: submitted, all done",
        &[
            format!("{:.3} s", submitted.as_secs_f64()),
            format!("{:.3} s", all.as_secs_f64()),
            mib(server),
        ],
    );
    failures(setting);
    Ok(())
}

/// Submits so many a second, whatever comes of them, and looks how long the first byte takes.
async fn latency(
    server: &Server,
    agents: Vec<Client>,
    rate: f64,
    name: &str,
) -> Result<(), Box<dyn Error>> {
    let setting = Setting::new(server, 10);
    let working = fleet::work(agents, &setting);
    sleep(Duration::from_millis(500)).await;
    let processor = server.processor();
    let started = Instant::now();
    let mut resident: f64 = 0.0;
    let mut tick = interval_at(TokioInstant::now(), Duration::from_secs_f64(1.0 / rate));
    tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut idle: Vec<Client> = Vec::new();
    let mut submitting = JoinSet::new();
    while started.elapsed() < MEASURED {
        tick.tick().await;
        while let Some(done) = submitting.try_join_next() {
            idle.push(done?);
        }
        let mut user = idle.pop().unwrap_or_else(|| server.user());
        let setting = setting.clone();
        let mut record = setting.record.borrow_mut();
        record.submitted += 1;
        if record.submitted.is_multiple_of(256) {
            resident = resident.max(server.resident());
        }
        drop(record);
        submitting.spawn_local(async move {
            submit(&mut user, &setting, 1).await;
            user
        });
    }
    let processor = (server.processor() - processor) / started.elapsed().as_secs_f64();
    drained(&setting).await;
    sleep(Duration::from_millis(500)).await;
    {
        let record = &mut *setting.record.borrow_mut();
        print(
            &format!("submit to first byte at {rate:.0} jobs/s, {name}"),
            &[
                percentiles("kept", &mut record.kept),
                percentiles("followed", &mut record.followed),
                format!("{processor:.2} processors"),
                format!("{resident:.1} MiB"),
            ],
        );
    }
    failures(&setting);
    drop(working);
    sleep(Duration::from_secs(1)).await;
    Ok(())
}

/// The large fleet waits, and then works.
async fn many(server: &Server, agents: Vec<Client>) -> Result<(), Box<dyn Error>> {
    let setting = Setting::new(server, 10);
    let waiting = fleet::work(agents, &setting);
    waits_for(server, MANY).await?;
    let processor = server.processor();
    sleep(Duration::from_secs(5)).await;
    let processor = (server.processor() - processor) / 5.0;
    print(
        "2,000 agents wait",
        &[mib(server), format!("{processor:.3} processors")],
    );
    drop(waiting);
    sleep(Duration::from_secs(1)).await;
    let agents = fleet::register(server, MANY).await?;
    latency(server, agents, 500.0, "2,000 agents").await
}

/// Until so many agents wait at the server.
async fn waits_for(server: &Server, count: usize) -> Result<(), Box<dyn Error>> {
    let mut user = server.user();
    for _ in 0..600 {
        let text = user.get("/metrics").await?.body;
        let text = String::from_utf8_lossy(&text).into_owned();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("slipway_agents_waiting "));
        if line.and_then(|count| count.parse().ok()) == Some(count) {
            return Ok(());
        }
        sleep(Duration::from_millis(50)).await;
    }
    Err("the agents do not wait".into())
}

fn percentiles(name: &str, samples: &mut [Duration]) -> String {
    samples.sort_unstable();
    let at = |thousandths: usize| {
        let index = samples.len() * thousandths / 1_000;
        let sample = samples.get(index.min(samples.len().saturating_sub(1)));
        sample.copied().unwrap_or_default().as_secs_f64() * 1_000.0
    };
    let (half, most) = (at(500), at(990));
    format!(
        "{name}: p50 {half:.1} ms, p99 {most:.1} ms ({})",
        samples.len()
    )
}

/// An agent that waits, and does nothing.
pub(crate) async fn idle_agent(server: &Server) -> Result<(), Box<dyn Error>> {
    let agent = server.waiting_agent().await?;
    waits_for(server, 1).await?;
    let first = agent.resident();
    // It gives memory back with its second heartbeat.
    sleep(Duration::from_secs(35)).await;
    let agents = server.user().get("/api/v1/agents").await?.json()?;
    let known = agents["agents"].as_array().map_or(0, Vec::len);
    print(
        "an idle `agent start`: at first, later",
        &[
            format!("{first:.1} MiB"),
            format!("{:.1} MiB", agent.resident()),
            format!("of {known}"),
        ],
    );
    Ok(())
}

/// A job that an agent has taken: the path of its attempt.
pub(crate) async fn taken(agent: &mut Client) -> Result<String, Box<dyn Error>> {
    let acquire = json!({ "free": 1, "wait_ms": 10_000 });
    let answer = agent.post("/api/v1/agents/self/acquire", &acquire).await?;
    let assignment: Value = answer.json()?;
    let path = fleet::attempt(&assignment);
    agent.post(&format!("{path}/accept"), &json!({})).await?;
    Ok(path)
}

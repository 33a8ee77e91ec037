//! Everything dies at random, and at the end every job has one conclusion and every log is whole.
//!
//! `cargo test -p system-tests --test chaos`. The seed is in the report; `SLIPWAY_CHAOS_SEED` has the same faults drawn again,
//! `SLIPWAY_CHAOS_JOBS`, `SLIPWAY_CHAOS_AGENTS` and `SLIPWAY_CHAOS_SERVERS` how much there is of what.
#![expect(clippy::print_stdout, reason = "its report")]

mod cluster;
mod database;
mod draw;
mod fault;
mod link;
mod noise;
mod objects;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use harness::{TestEnvironment, for_one_user};
use serde_json::Value;

use cluster::Cluster;
use draw::Draw;
use fault::Trouble;
use noise::Noise;

for_one_user!(
    one_server_on_sqlite_loses_nothing_whatever_dies,
    several_servers_on_postgresql_and_s3_lose_nothing_whatever_dies,
);

/// Jobs of one pipeline.
const TOGETHER: usize = 10;
/// Between two faults.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(900));
/// Nothing takes longer once faults have ended.
const PATIENCE: Duration = Duration::from_secs(300);
/// How often is looked what has become of the jobs.
const LOOK: Duration = Duration::from_millis(500);

fn number(name: &str, default: u64) -> u64 {
    let given = std::env::var(name).ok();
    given.map_or(default, |text| text.parse().expect("a number"))
}

fn count(name: &str, default: u64) -> usize {
    usize::try_from(number(name, default)).expect("a small number")
}

fn one_server_on_sqlite_loses_nothing_whatever_dies(env: &TestEnvironment) {
    lose_nothing(env, 1);
}

fn several_servers_on_postgresql_and_s3_lose_nothing_whatever_dies(env: &TestEnvironment) {
    lose_nothing(env, count("SLIPWAY_CHAOS_SERVERS", 3));
}

/// Every job has one conclusion, and every log is whole.
fn lose_nothing(env: &TestEnvironment, servers: usize) {
    let seed = number("SLIPWAY_CHAOS_SEED", u64::from(std::process::id()));
    let jobs = count("SLIPWAY_CHAOS_JOBS", 60);
    let agents = count("SLIPWAY_CHAOS_AGENTS", 4);
    println!("seed {seed}: {jobs} jobs, {agents} agents, {servers} servers");
    let mut draw = Draw::new(seed);
    let noises: Vec<_> = (0..jobs).map(|_| Noise::draw(&mut draw)).collect();
    let mut cluster = Cluster::start(env, servers, agents);
    let mut run = Run::new(noises);
    let from = Instant::now();
    run.carry_out(&mut cluster, &mut draw, env);
    println!("{run}in {:.0?}", from.elapsed());
    run.verify(&cluster);
    cluster.end();
}

/// How a job ended: conclusion, attempt, and when.
type End = (String, u64, u64);

struct Run {
    noises: Vec<Noise>,
    /// How many are submitted.
    submitted: usize,
    pipelines: Vec<u64>,
    /// Jobs by their ids: their names, and how they ended when that was first seen.
    jobs: BTreeMap<u64, (String, Option<End>)>,
    faults: BTreeMap<String, usize>,
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (fault, count) in &self.faults {
            writeln!(f, "{count:6} {fault}")?;
        }
        let ended = self.jobs.values().filter_map(|(_, end)| end.as_ref());
        let attempts: u64 = ended.map(|(_, attempts, _)| attempts).sum();
        writeln!(f, "{attempts:6} attempts at {} jobs", self.jobs.len())
    }
}

impl Run {
    const fn new(noises: Vec<Noise>) -> Self {
        Self {
            noises,
            submitted: 0,
            pipelines: Vec::new(),
            jobs: BTreeMap::new(),
            faults: BTreeMap::new(),
        }
    }

    /// Submits everything while faults strike, until all has ended. They stop when half of the time is over.
    fn carry_out(&mut self, cluster: &mut Cluster<'_>, draw: &mut Draw, env: &TestEnvironment) {
        let mut trouble = Trouble::default();
        let begin = Instant::now();
        let (mut next_fault, mut next_look) = (begin, begin);
        while self.submitted < self.noises.len() || !self.is_over() {
            let now = Instant::now();
            assert!(
                now.duration_since(begin) < PATIENCE * 2,
                "jobs do not end:\n{self}{:#?}",
                self.open()
            );
            trouble.mend(cluster, now);
            let strikes = now.duration_since(begin) < PATIENCE;
            if !strikes {
                trouble.mend_all(cluster);
            } else if now >= next_fault {
                next_fault = now + draw.between(PAUSE.0, PAUSE.1);
                if let Some(fault) = trouble.strike(cluster, draw) {
                    *self.faults.entry(fault.to_string()).or_default() += 1;
                }
            }
            if self.submitted < self.noises.len() {
                self.submit(cluster, env);
            } else if now >= next_look {
                next_look = now + LOOK;
                self.look(cluster);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        trouble.mend_all(cluster);
    }

    fn submit(&mut self, cluster: &Cluster<'_>, env: &TestEnvironment) {
        let end = self.noises.len().min(self.submitted + TOGETHER);
        let mut text = "image: host\nnetwork: none\njobs:\n".to_owned();
        for index in self.submitted..end {
            let script = Value::from(self.noises[index].script());
            text += &format!("  n{index}: {{ steps: [{{ name: noise, run: {script} }}] }}\n");
        }
        env.write("noise.yml", &text);
        let file = env.root().join("noise.yml").display().to_string();
        // One that was not answered may have been taken: its jobs are others than those of the next attempt.
        let words = ["submit", "--no-repo", "--pipeline", &file];
        if let Some(id) = cluster.say(&words).and_then(|id| id.parse().ok()) {
            self.pipelines.push(id);
            self.submitted = end;
        }
    }

    fn look(&mut self, cluster: &Cluster<'_>) {
        for pipeline in &self.pipelines {
            let id = pipeline.to_string();
            let Some(list) = cluster.ask(&["jobs", "--json", "--pipeline", &id]) else {
                return;
            };
            for job in list["jobs"].as_array().into_iter().flatten() {
                let id = job["id"].as_u64().expect("a job's id");
                let name = job["name"].as_str().expect("a job's name").to_owned();
                let end = (job["state"] == "finished").then(|| {
                    (
                        job["conclusion"].as_str().unwrap_or_default().to_owned(),
                        job["attempt"].as_u64().unwrap_or_default(),
                        job["finished_at"].as_u64().unwrap_or_default(),
                    )
                });
                let (_, known) = self.jobs.entry(id).or_insert((name, None));
                // What is over is over.
                assert!(
                    known.is_none() || *known == end,
                    "{known:?} became {end:?}: {job}"
                );
                *known = end;
            }
        }
    }

    fn is_over(&self) -> bool {
        self.jobs.len() == self.noises.len() && self.jobs.values().all(|(_, end)| end.is_some())
    }

    fn open(&self) -> Vec<(&u64, &String)> {
        let open = self.jobs.iter().filter(|(_, (_, end))| end.is_none());
        open.map(|(id, (name, _))| (id, name)).collect()
    }

    /// Every job has succeeded, once, and its log is what it printed.
    fn verify(&mut self, cluster: &Cluster<'_>) {
        self.look(cluster);
        let mut names: Vec<_> = self.jobs.values().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), self.noises.len());
        for (id, (name, end)) in &self.jobs {
            let (conclusion, attempts, _) = end.as_ref().expect("an end");
            assert_eq!(conclusion, "success", "{name} after {attempts} attempts");
            let index: usize = name[1..].parse().expect("a number");
            let id = id.to_string();
            let log = harness::wait::until(PATIENCE, || cluster.bytes(&["logs", &id]));
            let (log, expected) = (log.expect("a log"), self.noises[index].log());
            let at = log
                .iter()
                .zip(&expected)
                .position(|(one, other)| one != other);
            assert!(
                log == expected,
                "the log of {name} has {} bytes instead of {} and differs at {at:?}",
                log.len(),
                expected.len()
            );
        }
    }
}

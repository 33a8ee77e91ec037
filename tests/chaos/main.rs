//! Everything dies at random, and at the end every job has one conclusion, every log and every artifact is whole, and nothing is left
//! of artifacts of attempts that came to no end.
//!
//! `cargo test -p system-tests --test chaos`. The seed is in the report; `SLIPWAY_CHAOS_SEED` has the same faults drawn again,
//! `SLIPWAY_CHAOS_JOBS`, `SLIPWAY_CHAOS_AGENTS` and `SLIPWAY_CHAOS_SERVERS` how much there is of what.
#![expect(clippy::print_stdout, reason = "its report")]

mod asker;
mod cable;
mod clock;
mod cluster;
mod disk;
mod draw;
mod fault;
mod leaving;
mod link;
mod noise;
mod objects;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::resume_unwind;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use harness::{Skip, TestEnvironment, for_one_user};
use serde_json::Value;

use asker::Asker;
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

/// Every job has one conclusion, and everything that came of it is whole.
fn lose_nothing(env: &TestEnvironment, servers: usize) {
    if !env.is_set_up_by_root() {
        let why = "only root can make networks and disks for agents".to_owned();
        return harness::skip(&Skip(why));
    }
    let seed = number("SLIPWAY_CHAOS_SEED", u64::from(std::process::id()));
    let jobs = count("SLIPWAY_CHAOS_JOBS", 60);
    let agents = count("SLIPWAY_CHAOS_AGENTS", 4);
    println!("seed {seed}: {jobs} jobs, {agents} agents, {servers} servers");
    let mut draw = Draw::new(seed);
    let noises: Vec<_> = (0..jobs).map(|_| Noise::draw(&mut draw)).collect();
    let mut cluster = Cluster::start(env, servers, agents);
    let asker = cluster.take_asker();
    let mut run = Run::new(noises);
    let from = Instant::now();
    let faults = thread::scope(|scope| {
        let watching = scope.spawn(|| run.carry_out(&asker, env));
        let faults = strike(&mut cluster, &mut draw, || watching.is_finished());
        watching.join().unwrap_or_else(|panic| resume_unwind(panic));
        faults
    });
    for (fault, count) in faults {
        println!("{count:6} {fault}");
    }
    println!("{run}in {:.0?}", from.elapsed());
    let kept = run.verify(&asker);
    verify_storage(&cluster.storage(), &kept, &asker);
    for place in cluster.places() {
        assert_no_secret(&place);
    }
    cluster.end();
}

/// Has things go wrong until all is over, but not for ever. What went wrong how often.
fn strike(
    cluster: &mut Cluster<'_>,
    draw: &mut Draw,
    is_over: impl Fn() -> bool,
) -> BTreeMap<String, usize> {
    let mut faults = BTreeMap::new();
    let mut trouble = Trouble::default();
    let begin = Instant::now();
    let mut next = begin;
    while !is_over() {
        let now = Instant::now();
        trouble.mend(cluster, now);
        if now.duration_since(begin) >= PATIENCE {
            trouble.mend_all(cluster);
        } else if now >= next {
            next = now + draw.between(PAUSE.0, PAUSE.1);
            if let Some(fault) = trouble.strike(cluster, draw) {
                *faults.entry(fault.to_string()).or_default() += 1;
            }
        }
        thread::sleep(Duration::from_millis(10));
    }
    trouble.mend_all(cluster);
    faults
}

/// No file has what was hidden.
fn assert_no_secret(place: &Path) {
    // The shell's own search: files may be large, and come and go.
    let found = Command::new("grep")
        .args(["-rlaF", Noise::SECRET])
        .arg(place)
        .output()
        .expect("run grep");
    let files = String::from_utf8_lossy(&found.stdout);
    assert!(files.is_empty(), "a secret is in {files}");
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
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
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
        }
    }

    /// Submits everything, and looks until all of it has ended.
    fn carry_out(&mut self, asker: &Asker<'_>, env: &TestEnvironment) {
        let begin = Instant::now();
        while self.submitted < self.noises.len() || !self.is_over() {
            assert!(
                begin.elapsed() < PATIENCE * 2,
                "jobs do not end:\n{self}{:#?}",
                self.open()
            );
            if self.submitted < self.noises.len() {
                self.submit(asker, env);
            } else {
                self.look(asker);
                thread::sleep(LOOK);
            }
        }
    }

    fn submit(&mut self, asker: &Asker<'_>, env: &TestEnvironment) {
        let end = self.noises.len().min(self.submitted + TOGETHER);
        let mut text = "image: host\nnetwork: none\njobs:\n".to_owned();
        for index in self.submitted..end {
            let script = Value::from(self.noises[index].script());
            let leaving = self.noises[index].leaving;
            let artifacts = leaving
                .map(|leaving| leaving.declared())
                .unwrap_or_default();
            text += &format!(
                "  n{index}: {{ {artifacts}steps: [{{ name: noise, run: {script} }}] }}\n"
            );
        }
        env.write("noise.yml", &text);
        let file = env.root().join("noise.yml").display().to_string();
        // One that was not answered may have been taken: its jobs are others than those of the next attempt.
        let words = ["submit", "--no-repo", "--pipeline", &file];
        if let Some(id) = asker.say(&words).and_then(|id| id.parse().ok()) {
            self.pipelines.push(id);
            self.submitted = end;
        }
    }

    fn look(&mut self, asker: &Asker<'_>) {
        for pipeline in &self.pipelines {
            let id = pipeline.to_string();
            let Some(list) = asker.ask(&["jobs", "--json", "--pipeline", &id]) else {
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

    /// Every job has ended as it had to, once, its log is what it printed, and what it has left is there.
    fn verify(&mut self, asker: &Asker<'_>) -> Kept {
        self.look(asker);
        let mut names: Vec<_> = self.jobs.values().map(|(name, _)| name.clone()).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), self.noises.len());
        let mut kept = Kept::default();
        for (id, (name, end)) in &self.jobs {
            let (conclusion, attempts, _) = end.as_ref().expect("an end");
            let noise = self.noise_of(name);
            let expected = if noise.fails { "failure" } else { "success" };
            assert_eq!(conclusion, expected, "{name} after {attempts} attempts");
            let id = id.to_string();
            let archives = verify_artifacts(asker, &id, *attempts, name, noise);
            kept.all.extend(archives);
            kept.all
                .insert((format!("{id}-{attempts}"), "step-0".to_owned()));
            for attempt in 1..=*attempts {
                let logs = ["step-0", "step-0.times"];
                let logs = logs.map(|log| (format!("{id}-{attempt}"), log.to_owned()));
                kept.logs.extend(logs);
            }
            let log = harness::wait::until(PATIENCE, || asker.bytes(&["logs", &id]));
            let (log, expected) = (log.expect("a log"), noise.log());
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
        kept
    }

    fn noise_of(&self, name: &str) -> &Noise {
        let index: usize = name[1..].parse().expect("a number");
        &self.noises[index]
    }
}

/// What has to be in the storage, and what may be: `JOB-ATTEMPT` and the stream.
#[derive(Default)]
struct Kept {
    /// Logs and archives of attempts that were finished.
    all: BTreeSet<(String, String)>,
    /// Logs of all attempts: those that came to no end have left what had come.
    logs: BTreeSet<(String, String)>,
}

/// The storage has all of what has ended, and nothing that nobody has to have left, once nothing is to be removed any more.
fn verify_storage(storage: &Path, kept: &Kept, asker: &Asker<'_>) {
    let removed = harness::wait::until(PATIENCE, || {
        let figures = asker.get("/metrics")?;
        figures.contains("slipway_removals 0\n").then_some(())
    });
    assert!(removed.is_some(), "something cannot be removed");
    let stored = leaving::stored(storage);
    let surplus: Vec<_> = stored
        .difference(&kept.all)
        .filter(|stream| !kept.logs.contains(stream))
        .collect();
    let missing: Vec<_> = kept.all.difference(&stored).collect();
    assert!(
        surplus.is_empty() && missing.is_empty(),
        "the storage has {surplus:?} too much, and lacks {missing:?}"
    );
    println!(
        "{:6} streams, {:6} of them kept",
        stored.len(),
        kept.all.len()
    );
}

/// What a job has left is there once, of its last attempt, and whole; the names of these archives in the storage.
fn verify_artifacts(
    asker: &Asker<'_>,
    id: &str,
    attempt: u64,
    name: &str,
    noise: &Noise,
) -> Vec<(String, String)> {
    let expected = noise.leaving.map(|leaving| leaving.artifacts());
    let mut expected = expected.unwrap_or_default();
    if noise.fails {
        // What a full disk did not let an agent pack of a job that has failed anyway is told, and all that there is of it.
        let address = format!("/api/v1/jobs/{id}/attempts/{attempt}/events");
        let events = harness::wait::until(PATIENCE, || asker.get(&address));
        let events = events.expect("events");
        expected.retain(|artifact, _| {
            !events.contains(&format!(
                "Artifact `{artifact}` of job `{name}` is not kept"
            ))
        });
    }
    let listed = harness::wait::until(PATIENCE, || asker.ask(&["artifacts", id, "--json"]));
    let listed = listed.expect("a list of artifacts");
    let listed: Vec<_> = listed["artifacts"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|artifact| (artifact["name"].as_str(), artifact["attempt"].as_u64()))
        .collect();
    let names: Vec<_> = expected
        .keys()
        .map(|artifact| (Some(*artifact), Some(attempt)))
        .collect();
    assert_eq!(listed, names, "artifacts of {name}, job {id}");
    for (artifact, files) in &expected {
        let words = ["artifacts", id, artifact, "--output", "-"];
        let archive = harness::wait::until(PATIENCE, || asker.bytes(&words));
        let found = leaving::unpack(&archive.expect("an archive"));
        let sizes = |files: &leaving::Files| {
            let sizes = files.iter();
            sizes
                .map(|(path, bytes)| (path.clone(), bytes.len()))
                .collect::<Vec<_>>()
        };
        assert!(
            found == *files,
            "artifact {artifact} of {name} has {:?} instead of {:?}, or other bytes",
            sizes(&found),
            sizes(files)
        );
    }
    let stored = |artifact| (format!("{id}-{attempt}"), format!("artifact-{artifact}"));
    expected.into_keys().map(stored).collect()
}

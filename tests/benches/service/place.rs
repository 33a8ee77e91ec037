//! A server of the release binary, and an agent that waits; and what the kernel knows about them.

use std::error::Error;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;

use harness::Database;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::client::Client;

/// Where a server keeps what it has to say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// What outlives a server: its directories, and its database.
#[derive(Debug)]
pub(crate) struct Place {
    directory: tempfile::TempDir,
    database: Option<Database>,
}

impl Place {
    /// An empty one, below `work`.
    pub(crate) fn new(work: &Path, kind: Kind) -> Result<Rc<Self>, Box<dyn Error>> {
        let directory = tempfile::TempDir::new_in(work)?;
        let data = directory.path().join("server");
        fs::create_dir_all(&data)?;
        fs::write(data.join("server.yml"), "requests_per_second: 0\n")?;
        Ok(Rc::new(Self {
            directory,
            database: (kind == Kind::Postgres).then(Database::start),
        }))
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("server")
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.database.is_none()
    }

    /// What the database takes, bytes.
    pub(crate) fn bytes(&self) -> Result<u64, Box<dyn Error>> {
        match self.is_sqlite() {
            true => Ok(fs::metadata(self.data().join("server.sqlite"))?.len()),
            false => {
                let said = self.sql("SELECT pg_database_size('postgres')")?;
                Ok(said.first().ok_or("no size")?.parse()?)
            }
        }
    }

    /// Has the database do something while no server runs; what it answers, a line a row.
    pub(crate) fn sql(&self, text: &str) -> Result<Vec<String>, Box<dyn Error>> {
        let mut command = match &self.database {
            Some(database) => {
                let mut command = Command::new("psql");
                command.args(["--no-psqlrc", "-qAt", "-v", "ON_ERROR_STOP=1"]);
                command.args(["-d", &database.url(), "-c", text]);
                command
            }
            None => {
                let mut command = Command::new("sqlite3");
                command.arg("-bail").arg(self.data().join("server.sqlite"));
                command.arg(text);
                command
            }
        };
        let output = command.stderr(Stdio::inherit()).output()?;
        match output.status.success() {
            true => Ok(String::from_utf8(output.stdout)?
                .lines()
                .map(str::to_owned)
                .collect()),
            false => Err(format!("the database did not do it: {}", output.status).into()),
        }
    }
}

/// A server. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    /// An administrator's.
    pub(crate) token: String,
    program: PathBuf,
    place: Rc<Place>,
}

impl Server {
    /// Starts one.
    pub(crate) fn start(program: &Path, place: &Rc<Place>) -> Result<Self, Box<dyn Error>> {
        let mut command = Command::new(program);
        command.args(["server", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(place.data());
        if let Some(database) = &place.database {
            command.args(["--database", &database.url()]);
        }
        let mut process = command
            .env("SLIPWAY_LOG", "warn")
            .stderr(Stdio::piped())
            .spawn()?;
        let errors = process.stderr.take().ok_or("no standard error")?;
        let mut said = BufReader::new(errors).lines();
        let address = loop {
            let line = said.next().ok_or("the server does not start")??;
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse()?;
            }
        };
        // What else it complains about.
        std::thread::spawn(move || said.map_while(Result::ok).for_each(|line| complain(&line)));
        let token = place.data().join("admin-token");
        let token = harness::wait::until(harness::wait::PATIENCE, || {
            let token = fs::read_to_string(&token).ok();
            token.filter(|token| token.ends_with('\n'))
        });
        Ok(Self {
            process,
            address,
            token: token.ok_or("no token")?.trim().to_owned(),
            program: program.to_owned(),
            place: Rc::clone(place),
        })
    }

    pub(crate) fn user(&self) -> Client {
        Client::new(self.address, &self.token)
    }

    /// A token to register agents with.
    pub(crate) async fn registration(&self) -> Result<String, Box<dyn Error>> {
        let wanted = json!({ "name": "bench", "kind": "registration" });
        let answer = self.user().post("/api/v1/tokens", &wanted).await?.json()?;
        Ok(answer["secret"].as_str().ok_or("no secret")?.to_owned())
    }

    /// An agent that waits for jobs, as users start it.
    pub(crate) async fn waiting_agent(&self) -> Result<WaitingAgent, Box<dyn Error>> {
        let process = Command::new(&self.program)
            .args(["start", "--server", &format!("http://{}", self.address)])
            .args(["--token", &self.registration().await?])
            .env("SLIPWAY_DATA", self.place.directory.path().join("agent"))
            .stderr(Stdio::null())
            .spawn()?;
        Ok(WaitingAgent { process })
    }

    /// What is resident of it and no file, MiB.
    pub(crate) fn resident(&self) -> f64 {
        resident(&self.process)
    }

    /// Seconds of processors it has had.
    pub(crate) fn processor(&self) -> f64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()));
        let stat = stat.unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: f64 = ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum();
        ticks / 100.0
    }
}

#[expect(clippy::print_stderr, reason = "a benchmark")]
fn complain(line: &str) {
    eprintln!("server: {line}");
}

impl Drop for Server {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

/// An agent that waits. Dropped, it ends.
#[derive(Debug)]
pub(crate) struct WaitingAgent {
    process: Child,
}

impl WaitingAgent {
    pub(crate) fn resident(&self) -> f64 {
        resident(&self.process)
    }
}

impl Drop for WaitingAgent {
    fn drop(&mut self) {
        end(&mut self.process);
    }
}

fn end(process: &mut Child) {
    if let Some(id) = Pid::from_raw(process.id().cast_signed()) {
        let _ = kill_process(id, Signal::TERM);
    }
    let _ = process.wait();
}

/// `VmRSS` of proc(5), MiB.
fn resident(process: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

//! A PostgreSQL of the tests' own, in a temporary directory: started for the first test that needs it, gone with the last.

use std::os::unix::fs::chown;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use server::Location;
use tempfile::TempDir;

static CLUSTER: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A database, as long as it is held.
pub(crate) struct Database {
    pub(crate) location: Location,
    cluster: Arc<Cluster>,
}

struct Cluster {
    directory: TempDir,
    process: Child,
}

/// Runs what blocks where no runtime minds.
fn apart<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| scope.spawn(work).join().unwrap())
}

/// A database of its own.
pub(crate) fn make() -> Option<Database> {
    Some(apart(made))
}

fn made() -> Database {
    let cluster = {
        let mut known = CLUSTER.lock().unwrap_or_else(PoisonError::into_inner);
        known.upgrade().unwrap_or_else(|| {
            let cluster = Arc::new(Cluster::start());
            *known = Arc::downgrade(&cluster);
            cluster
        })
    };
    let name = format!("test_{}", NEXT.fetch_add(1, Ordering::Relaxed));
    let create = format!("CREATE DATABASE {name}");
    let mut client = cluster.client("postgres").unwrap();
    client.batch_execute(&create).unwrap();
    Database {
        location: Location::Postgres(cluster.url(&name)),
        cluster,
    }
}

impl Database {
    /// Ends every connection of servers, as a restart of the database or a cut network does.
    pub(crate) fn cut_connections(&self) {
        let Location::Postgres(url) = &self.location else {
            return;
        };
        apart(|| {
            let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
            client
                .batch_execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                     WHERE datname = current_database() AND pid <> pg_backend_pid()",
                )
                .unwrap();
        });
    }
}

impl Database {
    /// Carries out statements beside the server.
    pub(crate) fn execute(&self, statements: &str) {
        let Location::Postgres(url) = &self.location else {
            return;
        };
        apart(|| {
            let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
            client.batch_execute(statements).unwrap();
        });
    }

    /// The numbers that are asked for, a row each.
    pub(crate) fn numbers(&self, query: &str) -> Vec<i64> {
        let Location::Postgres(url) = &self.location else {
            return Vec::new();
        };
        let query = format!("SELECT asked::BIGINT FROM ({query}) AS of (asked)");
        apart(|| {
            let mut client = postgres::Client::connect(url, postgres::NoTls).unwrap();
            let rows = client.query(&query, &[]).unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        })
    }

    /// Waits until what is asked for is one row with this number.
    pub(crate) async fn wait_for(&self, query: &str, number: i64) {
        for _ in 0..200 {
            if self.numbers(query) == [number] {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("{query}: {:?} and not {number}", self.numbers(query));
    }
}

/// Where the cluster of a database is; PostgreSQL's own user may write there.
pub(crate) fn directory(database: &Database) -> PathBuf {
    database.cluster.directory.path().to_owned()
}

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").map(|versions| {
        let bins = versions.flatten().map(|version| version.path().join("bin"));
        bins.filter(|bin| bin.join("initdb").exists()).max()
    });
    versions
        .ok()
        .flatten()
        .expect("PostgreSQL is not installed: Debian has it in the package `postgresql`")
}

/// A program of PostgreSQL's, which does not run as root.
pub(crate) fn program(name: &str) -> Command {
    let path = programs().join(name);
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]);
            command.arg(path);
            command
        }
        false => Command::new(path),
    };
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command.current_dir("/");
    command
}

fn id_of(arguments: &[&str]) -> u32 {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout)
        .unwrap()
        .trim()
        .parse()
        .unwrap()
}

fn is_root() -> bool {
    id_of(&["-u"]) == 0
}

impl Cluster {
    fn start() -> Self {
        let directory = TempDir::new().unwrap();
        if is_root() {
            let (user, group) = (id_of(&["-u", "postgres"]), id_of(&["-g", "postgres"]));
            chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let data = directory.path().join("data");
        let made = program("initdb")
            .args([
                "--auth=trust",
                "--username=slipway",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data)
            .status();
        assert!(made.unwrap().success());
        let process = program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(directory.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "fsync=off",
                "-c",
                "max_connections=200",
            ])
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let cluster = Self { directory, process };
        for _ in 0..200 {
            if cluster.client("postgres").is_ok() {
                return cluster;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("PostgreSQL does not answer");
    }

    fn url(&self, name: &str) -> String {
        let host = self.directory.path().to_str().unwrap().replace('/', "%2F");
        format!("postgres://slipway@{host}/{name}")
    }

    fn client(&self, name: &str) -> Result<postgres::Client, postgres::Error> {
        postgres::Client::connect(&self.url(name), postgres::NoTls)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // SIGINT: a fast shutdown; the server takes its children with it.
        let id = self.process.id().to_string();
        let _ = Command::new("kill").args(["-INT", &id]).status();
        let _ = self.process.wait();
    }
}

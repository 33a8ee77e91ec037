//! What a server does, on this machine: jobs a second, how long a user waits for a log's first byte, agents that wait, bytes of
//! logs in and out, memory. The release binary serves; agents only pretend, and speak the real protocol, from one thread.
//!
//! `cargo bench -p system-tests --bench service`; as root or as a plain user. Words behind `--` choose: `sqlite`, `postgres` (Debian's, when
//! it is installed), `jobs`, `logs`, `idle`; and two that are only done when they are asked for: `saturated` is the first part of `jobs`
//! alone, `full` has a million jobs there already (minutes, and some gigabytes below the target directory).
#![expect(clippy::print_stdout, reason = "a benchmark's table")]

#[path = "../release/mod.rs"]
mod release;

mod client;
mod dispatch;
mod fleet;
mod full;
mod logs;
mod place;

use std::error::Error;
use std::path::Path;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::task::LocalSet;

use place::{Kind, Place, Server};

fn main() -> Result<(), Box<dyn Error>> {
    let agent = release::agent()?;
    let work = Path::new(env!("CARGO_TARGET_TMPDIR")).join("bench-service");
    std::fs::create_dir_all(&work)?;
    // Thousands of connections.
    let Rlimit { maximum, .. } = getrlimit(Resource::Nofile);
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: maximum,
            maximum,
        },
    )?;
    // Cargo says `--bench`.
    let asked = std::env::args().skip(1);
    let asked: Vec<String> = asked.filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |words: &[&str], word: &str| {
        let asked: Vec<&String> = asked
            .iter()
            .filter(|word| words.contains(&word.as_str()))
            .collect();
        asked.is_empty() || asked.iter().any(|asked| *asked == word)
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let has_postgres = Path::new("/usr/lib/postgresql").exists();
    for kind in [Kind::Sqlite, Kind::Postgres] {
        if !is_wanted(&["sqlite", "postgres"], kind.name()) {
            continue;
        }
        if kind == Kind::Postgres && !has_postgres {
            println!("left out: postgres (not installed)");
            continue;
        }
        println!("{}", kind.name());
        const ALL: [&str; 5] = ["idle", "jobs", "logs", "saturated", "full"];
        for what in ALL {
            let is_asked = asked.iter().any(|word| word == what);
            let waits_to_be_asked = matches!(what, "saturated" | "full");
            if !is_asked && (waits_to_be_asked || !is_wanted(&ALL, what)) {
                continue;
            }
            let place = Place::new(&work, kind)?;
            if what == "full" {
                LocalSet::new().block_on(&runtime, full::measure(&agent, &place))?;
                continue;
            }
            let server = Server::start(&agent, &place)?;
            let measure = async {
                match what {
                    "idle" => dispatch::idle_agent(&server).await,
                    "jobs" => dispatch::measure(&server).await,
                    "saturated" => dispatch::most(&server).await.map(drop),
                    _ => logs::measure(&server, &work).await,
                }
            };
            LocalSet::new().block_on(&runtime, measure)?;
        }
    }
    Ok(())
}

/// A line of the table.
pub(crate) fn print(name: &str, values: &[String]) {
    println!("  {name:64} {}", values.join(" | "));
}

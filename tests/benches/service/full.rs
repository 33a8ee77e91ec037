//! A server that has been at work for long: a hundred thousand pipelines, a million jobs. Whether what it does takes as long as
//! on the first day, and how much room all of it takes.
//!
//! A few pipelines run for real; what they have left in the database is then there ten thousand times.

use std::error::Error;
use std::path::Path;
use std::rc::Rc;
use std::time::Instant;

use crate::dispatch::{AGENTS, drained, saturated, submit};
use crate::fleet::{self, Setting};
use crate::place::{Place, Server};
use crate::print;

/// Pipelines that run for real, and the jobs of each.
const PIPELINES: usize = 10;
const JOBS: usize = 10;
/// How often they are there in the end.
const TIMES: usize = 10_000;
/// Between the ids of a row and of its copy; more than there are rows at first.
const STEP: usize = 1_000;

/// Tables with what is kept of pipelines that are over, and their columns that are ids of such rows.
const TABLES: [(&str, &[&str]); 5] = [
    ("pipelines", &["id"]),
    ("jobs", &["id", "pipeline"]),
    ("attempts", &["job"]),
    ("streams", &["job"]),
    ("events", &["job"]),
];

/// Fills the place, and measures a server there before and after.
pub(crate) async fn measure(agent: &Path, place: &Rc<Place>) -> Result<(), Box<dyn Error>> {
    let server = Server::start(agent, place)?;
    look(&server, "empty").await?;
    let agents = fleet::register(&server, AGENTS).await?;
    let setting = Setting::new(&server, u64::MAX);
    let working = fleet::work(agents, &setting);
    let before = saturated(&server, &setting).await?;
    drop(working);
    drop(server);

    for (table, _) in TABLES {
        place.sql(&format!("DELETE FROM {table}"))?;
    }
    let server = Server::start(agent, place)?;
    let agents = fleet::register(&server, AGENTS).await?;
    let setting = Setting::new(&server, u64::MAX);
    let working = fleet::work(agents, &setting);
    for _ in 0..PIPELINES {
        setting.record.borrow_mut().submitted += JOBS as u64;
        submit(&mut server.user(), &setting, JOBS).await;
    }
    drained(&setting).await;
    drop(working);
    drop(server);

    let began = Instant::now();
    for (table, ids) in TABLES {
        place.multiply(table, ids)?;
    }
    let jobs = PIPELINES * JOBS * TIMES;
    let filled = began.elapsed().as_secs_f64();
    #[expect(clippy::cast_precision_loss, reason = "a figure")]
    let each = place.bytes()? as f64 / jobs as f64;
    print(
        &format!("{jobs} jobs are put there; room a job"),
        &[format!("{filled:.0} s"), format!("{each:.0} bytes")],
    );

    let began = Instant::now();
    let server = Server::start(agent, place)?;
    let started = began.elapsed().as_secs_f64();
    print("the server starts", &[format!("{started:.2} s")]);
    look(&server, "full").await?;
    let agents = fleet::register(&server, AGENTS).await?;
    let setting = Setting::new(&server, u64::MAX);
    let working = fleet::work(agents, &setting);
    let after = saturated(&server, &setting).await?;
    drop(working);
    print(
        "jobs a second, saturated, 64 agents: empty, full",
        &[
            format!("{before:.0}"),
            format!("{after:.0}"),
            format!("{:.2} x empty", after / before),
        ],
    );
    Ok(())
}

/// How long somebody who looks waits, the best of five.
async fn look(server: &Server, when: &str) -> Result<(), Box<dyn Error>> {
    let mut user = server.user();
    for path in ["/api/v1/pipelines", "/api/v1/jobs", "/metrics", "/readyz"] {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let began = Instant::now();
            user.get(path).await?;
            best = best.min(began.elapsed().as_secs_f64() * 1_000.0);
        }
        print(&format!("{when}: GET {path}"), &[format!("{best:.1} ms")]);
    }
    Ok(())
}

impl Place {
    /// Has each row of a table there [`TIMES`] times, with ids of its own.
    fn multiply(&self, table: &str, ids: &[&str]) -> Result<(), Box<dyn Error>> {
        let columns = match self.is_sqlite() {
            true => format!("SELECT name FROM pragma_table_info('{table}')"),
            false => format!(
                "SELECT column_name FROM information_schema.columns WHERE table_name = '{table}' ORDER BY ordinal_position"
            ),
        };
        let columns = self.sql(&columns)?;
        let value = |column: &String| match column.as_str() {
            column if ids.contains(&column) => format!("t.{column} + n.i * {STEP}"),
            // What may be there once, and what a copy does not take part in.
            "submission" | "group_of" => "NULL".to_owned(),
            column => format!("t.{column}"),
        };
        let values: Vec<String> = columns.iter().map(value).collect();
        let (columns, values) = (columns.join(", "), values.join(", "));
        self.sql(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) \
             INSERT INTO {table} ({columns}) SELECT {values} FROM n, {table} t",
            TIMES - 1
        ))?;
        if !self.is_sqlite() {
            if ids.contains(&"id") {
                self.sql(&format!(
                    "SELECT setval(pg_get_serial_sequence('{table}', 'id'), (SELECT max(id) FROM {table}))"
                ))?;
            }
            self.sql(&format!("VACUUM ANALYZE {table}"))?;
        }
        Ok(())
    }
}

//! What is left to say when a run is over: a table of everything, and for each failure its reason and last lines.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use protocol::{Cause, Conclusion, Event, Usage};

use super::style::Tone;
use super::table::{self, Cell};
use super::{Style, duration, sanitise, wording};
use crate::log::{RunDirectory, StepId, tail};

/// Gathers the ends of steps and jobs.
#[derive(Debug)]
pub(super) struct Summary {
    logs: Arc<RunDirectory>,
    /// Ids of the jobs in the plan's order, which is the table's.
    jobs: Vec<String>,
    /// Where the logs of started steps are found: position by job and step.
    started: HashMap<(String, String), usize>,
    /// Started services, by job and name.
    services: HashSet<(String, String)>,
    /// Jobs that have failed.
    failed: HashSet<String>,
    lines: Vec<Line>,
}

/// What a line of the table is about.
#[derive(Debug)]
enum Of {
    Step(String),
    Service(String),
    /// A job that says more than its steps.
    Job,
}

/// One line of the table.
#[derive(Debug)]
struct Line {
    job: String,
    of: Of,
    conclusion: Conclusion,
    cause: Option<Cause>,
    allowed: bool,
    duration_ms: u64,
    usage: Option<Usage>,
}

impl Summary {
    pub(super) fn new(logs: Arc<RunDirectory>) -> Self {
        Self {
            logs,
            jobs: Vec::new(),
            started: HashMap::new(),
            services: HashSet::new(),
            failed: HashSet::new(),
            lines: Vec::new(),
        }
    }

    /// Takes note of what matters for the end.
    pub(super) fn note(&mut self, event: &Event) {
        if let Event::JobFinished {
            job, allowed: true, ..
        } = event
        {
            let lines = self.lines.iter_mut().filter(|line| line.job == *job);
            lines.for_each(|line| line.allowed |= line.conclusion == Conclusion::Failure);
        }
        if let Event::JobFinished {
            job,
            conclusion: Conclusion::Failure | Conclusion::Error,
            ..
        } = event
        {
            self.failed.insert(job.clone());
        }
        match event {
            Event::RunStarted { jobs, .. } => self.jobs.clone_from(jobs),
            Event::StepStarted {
                job, step, index, ..
            } => {
                self.started.insert((job.clone(), step.clone()), *index);
            }
            Event::StepFinished {
                job,
                step,
                conclusion,
                cause,
                allowed,
                duration_ms,
                usage,
            } => self.lines.push(Line {
                job: job.clone(),
                of: Of::Step(step.clone()),
                conclusion: *conclusion,
                cause: cause.clone(),
                allowed: *allowed,
                duration_ms: *duration_ms,
                usage: *usage,
            }),
            Event::ServiceStarted { job, service, .. } => {
                self.services.insert((job.clone(), service.clone()));
            }
            Event::ServiceFinished {
                job,
                service,
                conclusion,
                cause,
                duration_ms,
                usage,
            } => self.lines.push(Line {
                job: job.clone(),
                of: Of::Service(service.clone()),
                conclusion: *conclusion,
                cause: cause.clone(),
                allowed: false,
                duration_ms: *duration_ms,
                usage: *usage,
            }),
            Event::JobFinished {
                job,
                conclusion,
                cause: Some(cause),
                allowed,
                duration_ms,
            } => self.lines.push(Line {
                job: job.clone(),
                of: Of::Job,
                conclusion: *conclusion,
                cause: Some(cause.clone()),
                allowed: *allowed,
                duration_ms: *duration_ms,
                usage: None,
            }),
            _ => {}
        }
    }

    /// Writes the table, then the failures.
    pub(super) fn write(&mut self, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let rank: HashMap<&str, usize> = (0..)
            .zip(&self.jobs)
            .map(|(i, job)| (job.as_str(), i))
            .collect();
        self.lines
            .sort_by_key(|line| rank.get(line.job.as_str()).copied().unwrap_or(usize::MAX));
        let mut rows = vec![heading()];
        rows.extend(self.lines.iter().map(Line::cells));
        table::write(&rows, style, out)?;
        for line in &self.lines {
            let has_failed = matches!(line.conclusion, Conclusion::Failure | Conclusion::Error);
            let is_beside = matches!(line.of, Of::Service(_)) && self.failed.contains(&line.job);
            if has_failed || is_beside {
                self.write_last_lines(line, style, out)?;
            }
        }
        Ok(())
    }

    /// Writes what was last seen of a step or a service, for somebody who asks why its job has failed.
    fn write_last_lines(&self, line: &Line, style: Style, out: &mut dyn Write) -> io::Result<()> {
        let (word, tone) = wording::conclusion(line.conclusion, line.allowed);
        write!(
            out,
            "\n{}",
            style.paint(tone, format_args!("{}: {word}", line.place()))
        )?;
        match line.cause.as_ref().and_then(wording::cause) {
            Some(cause) => writeln!(out, ": {cause}")?,
            None => writeln!(out)?,
        }
        let Some(path) = self.log_of(line) else {
            return Ok(());
        };
        match tail(&path) {
            Ok(lines) if lines.is_empty() => writeln!(out, "  it printed nothing"),
            Ok(lines) => {
                for text in lines {
                    writeln!(out, "  {} {text}", style.paint(Tone::Quiet, "|"))?;
                }
                writeln!(out, "  full log: {}", sanitise(&path.display().to_string()))
            }
            Err(error) => writeln!(out, "  its log cannot be read: {}: {error}", path.display()),
        }
    }

    /// Where the log of what a line is about is kept, if there is one.
    fn log_of(&self, line: &Line) -> Option<PathBuf> {
        match &line.of {
            Of::Job => None,
            Of::Service(service) => self
                .services
                .contains(&(line.job.clone(), service.clone()))
                .then(|| self.logs.service_log_path(&line.job, service)),
            Of::Step(step) => {
                let index = self.started.get(&(line.job.clone(), step.clone()))?;
                Some(self.logs.log_path(&StepId {
                    job: line.job.clone(),
                    step: step.clone(),
                    index: *index,
                }))
            }
        }
    }
}

impl Line {
    fn place(&self) -> String {
        match self.name() {
            Some(name) => format!("{} / {name}", sanitise(&self.job)),
            None => sanitise(&self.job),
        }
    }

    /// What it is called within its job.
    fn name(&self) -> Option<String> {
        match &self.of {
            Of::Step(step) => Some(sanitise(step)),
            Of::Service(service) => Some(sanitise(&wording::service(service))),
            Of::Job => None,
        }
    }

    fn cells(&self) -> [Cell; 8] {
        let (word, tone) = wording::conclusion(self.conclusion, self.allowed);
        let ran =
            self.conclusion != Conclusion::Skipped && self.duration_ms > 0 || self.usage.is_some();
        let cpu = |usage: Usage| duration(usage.user_us.saturating_add(usage.system_us) / 1000);
        // Of all processes together where that is known, else of the largest.
        let memory =
            |usage: Usage| wording::size(usage.peak_memory_bytes.unwrap_or(usage.max_rss_bytes));
        let io = |usage: Usage| match (usage.read_bytes, usage.written_bytes) {
            (None, None) => "-".to_owned(),
            (read, written) => {
                wording::size(read.unwrap_or(0).saturating_add(written.unwrap_or(0)))
            }
        };
        let pids = |usage: Usage| match usage.peak_pids {
            Some(count) => count.to_string(),
            None => "-".to_owned(),
        };
        [
            Cell::left(sanitise(&self.job)),
            Cell::left(self.name().unwrap_or_else(|| "-".to_owned())),
            Cell {
                tone: Some(tone),
                ..Cell::left(word.to_owned())
            },
            Cell::right(if ran {
                duration(self.duration_ms)
            } else {
                String::new()
            }),
            Cell::right(self.usage.map(cpu).unwrap_or_default()),
            Cell::right(self.usage.map(memory).unwrap_or_default()),
            Cell::right(self.usage.map(io).unwrap_or_default()),
            Cell::right(self.usage.map(pids).unwrap_or_default()),
        ]
    }
}

fn heading() -> [Cell; 8] {
    let heading = |cell: Cell| Cell {
        tone: Some(Tone::Quiet),
        ..cell
    };
    [
        heading(Cell::left("JOB".to_owned())),
        heading(Cell::left("STEP".to_owned())),
        heading(Cell::left("RESULT".to_owned())),
        heading(Cell::right("TIME".to_owned())),
        heading(Cell::right("CPU".to_owned())),
        heading(Cell::right("MEMORY".to_owned())),
        heading(Cell::right("I/O".to_owned())),
        heading(Cell::right("PIDS".to_owned())),
    ]
}
